"""What each measurement said about the sample, in the four numbers that deciding needs.
The only place that reads estimates and readings; everything behind it sees `Seen`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rocksalt.policy.contracts import Point
from rocksalt.values import Measured, Measurement

_IN_TUNE_BAR = 0.2  # a regulator that holds its set-point reads this near to it
_ASTRAY_BAR = 20.0  # and no loop goes on measuring with the membrane this far away from it
_SAME_BAR = 0.05  # bar; a controller's read-back scatters by less at one set-point
_PRESSURE_FLOOR_GPA = 0.004  # no powder pattern of a loaded cell is better than this, whatever its fit says
_FRACTION_FLOOR = 0.005


@dataclass(frozen=True, slots=True)
class Seen:
    """One measurement: membrane (bar), sample pressure (GPa) and B2 fraction where known, when, and how long exposed.

    resolved   the model answered, did not say unknown, and gave both pressure and fraction
    late       the model did not answer in time
    """

    bar: float
    pressure_gpa: Measured | None
    fraction: Measured | None
    started_s: float
    done_s: float
    exposure_s: float
    frames: int
    late: bool
    saturated: float

    @property
    def resolved(self) -> bool:
        return self.pressure_gpa is not None and self.fraction is not None


def same_bar(a: float, b: float) -> bool:
    """Whether two membrane pressures (bar) are one set-point."""
    return abs(a - b) < _SAME_BAR


def look(point: Point, setpoint: str = "membrane_bar") -> Seen:
    """Read one point. A membrane reading that is not finite, or at its set-point within noise, is the set-point;
    so is one so far off that the instrument, not the membrane, must be wrong."""
    measurement, estimate = point.measurement, point.estimate
    target = measurement.setpoints.get(setpoint, math.nan)
    reading = point.readings.get(setpoint)
    bar = reading.value if reading is not None else target
    if (
        not math.isfinite(bar)
        or abs(bar - target) < max(_IN_TUNE_BAR, 0.01 * abs(target))
        or abs(bar - target) > _ASTRAY_BAR
    ):
        bar = target
    exposure = measurement.exposures[0] if measurement.exposures else None
    known = estimate is not None and estimate.label != "unknown"
    return Seen(
        bar=bar,
        pressure_gpa=_sane(estimate.pressure_gpa, _PRESSURE_FLOOR_GPA) if estimate is not None and known else None,
        fraction=_sane(estimate.fraction_b2, _FRACTION_FLOOR) if estimate is not None and known else None,
        started_s=point.started_s,
        done_s=point.done_s,
        exposure_s=exposure.seconds if exposure else 0.0,
        frames=exposure.count if exposure else 0,
        late=estimate is None,
        saturated=estimate.saturated_fraction if estimate is not None else 0.0,
    )


def look_all(points: Sequence[Point], setpoint: str = "membrane_bar") -> tuple[Seen, ...]:
    """Read all points, in order; those without a known membrane pressure are left out."""
    return tuple(seen for seen in (look(point, setpoint) for point in points) if math.isfinite(seen.bar))


def exposed_s(measurement: Measurement) -> float:
    """Beam time of a measurement: seconds x count over its exposures."""
    return sum(exposure.seconds * exposure.count for exposure in measurement.exposures)


def _sane(value: Measured | None, floor: float) -> Measured | None:
    """A number that is not finite, or whose sigma is not, is no answer; a sigma below the floor is a fit's vanity."""
    if value is None or not math.isfinite(value.value) or not math.isfinite(value.sigma) or value.sigma < 0:
        return None
    return Measured(value.value, max(value.sigma, floor))
