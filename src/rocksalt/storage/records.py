"""Values as journal lines carry them: plain dicts with the fields' own names, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rocksalt.values import (
    Conditions,
    Estimate,
    Exposure,
    FrameRef,
    Measured,
    Measurement,
    PhaseEstimate,
    Reading,
)

Plain = dict[str, Any]


def plain(value: Any) -> Any:
    """A value as JSON types: dataclasses and mappings become dicts, tuples lists. Not for frames and patterns."""
    if hasattr(value, "__dataclass_fields__"):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float | int | str | bool) or value is None:
        return value
    return value.item()  # a numpy scalar


def _measured(data: Mapping[str, Any] | None) -> Measured | None:
    return None if data is None else Measured(data["value"], data["sigma"])


def measurement(data: Mapping[str, Any]) -> Measurement:
    expects = data["expects"]
    return Measurement(
        number=data["number"],
        setpoints=dict(data["setpoints"]),
        exposures=tuple(Exposure(**exposure) for exposure in data["exposures"]),
        settle_s=data["settle_s"],
        ramps=dict(data.get("ramps", {})),
        expects=Conditions(
            _measured(expects["pressure_gpa"]),
            _measured(expects["temperature_k"]),
            _measured(expects["dose_gy"]),
            expects["pressure_scale"],
        ),
    )


def frame_ref(data: Mapping[str, Any]) -> FrameRef:
    return FrameRef(**{name: data[name] for name in FrameRef.__dataclass_fields__})


def reading(data: Mapping[str, Any]) -> Reading:
    return Reading(**{name: data[name] for name in Reading.__dataclass_fields__})


def estimate(data: Mapping[str, Any]) -> Estimate:
    return Estimate(
        measurement=data["measurement"],
        label=data["label"],
        probabilities=dict(data["probabilities"]),
        phases=tuple(PhaseEstimate(**phase) for phase in data["phases"]),
        candidates=tuple(PhaseEstimate(**phase) for phase in data["candidates"]),
        pressure_gpa=_measured(data["pressure_gpa"]),
        fraction_b2=_measured(data["fraction_b2"]),
        microstrain=_measured(data["microstrain"]),
        textured=data["textured"],
        reasons=tuple(data["reasons"]),
        model=data["model"],
        pressure_scale=data["pressure_scale"],
        drift_gpa=_measured(data["drift_gpa"]),
        saturated_fraction=data["saturated_fraction"],
    )
