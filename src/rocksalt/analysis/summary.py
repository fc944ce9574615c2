"""summary.json: what a run found and what it cost, worked out from its history alone.

The keys are fixed for the outside; docs/reference/summary-json.md says what each one means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rocksalt.analysis.words import many, plus_minus
from rocksalt.storage.history import History
from rocksalt.storage.records import plain

INTERRUPTED: Final = "interrupted"
"""Status of a run whose journal has no end: its daemon died, or it still goes on."""
DOSE_BOUND: Final = "photo-absorption upper bound"
DOSE_UNKNOWN: Final = "not booked: the station states no flux"
_BRANCHES: Final = {"up": "on compression", "down": "on decompression"}
_ENDS: Final = {
    "finished": "the run came to its end",
    "failed": "the run failed",
    "stopped": "a person stopped the run",
    "safe": "the run was stopped for safety",
    INTERRUPTED: "the journal has no end",
}


def summary_of(history: History, transitions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The summary as strict JSON types; `transitions` as `fit_transition` gives them, empty when none was found.

    Pressures in GPa, dose in Gy, times in s. A number that is not finite becomes null.
    """
    begun = history.begun
    found = [_strict(plain(transition)) for transition in transitions]
    lost = sorted(set(history.lost))
    status = history.status or INTERRUPTED
    models = sorted({point.estimate.model for point in history.points if point.estimate is not None})
    return {
        "run": str(begun.get("run", "")),
        "campaign": str(_table(begun, "campaign").get("campaign", "")),
        "station": str(_table(begun, "station").get("station", "")),
        "status": status,
        "frames": {
            # A series whose end is not in the journal counts by the frames that are on disk.
            "taken": max(history.taken, history.written + len(lost)),
            "written": history.written,
            "lost": len(lost),
        },
        "measurements": len(history.points),
        "decisions": history.decisions,
        "dose_gy": _finite(history.dose_gy),
        "dose_sigma_gy": _finite(history.dose_sigma_gy),
        "duration_s": round(history.now_s, 3),
        "model": ", ".join(models) or None,
        "transitions": found,
        "result": {
            "sentence": _sentence(history, found, status),
            "why": str((history.finish or {}).get("why", "")) or status,
            "lost_frames": lost,
            "alarms": len(history.alarms),
            "dose_note": DOSE_BOUND if flux_known(begun) else DOSE_UNKNOWN,
        },
    }


def headline(transition: Mapping[str, Any]) -> str:
    """One transition in one sentence, with both uncertainties, the branch, the scale and the temperature."""
    pressure, stat, scale = (transition.get(key) for key in ("pressure_gpa", "sigma_stat", "sigma_scale"))
    words = [_turns(transition), pressure_words(pressure, stat, scale), *_circumstances(transition)]
    if transition.get("scale"):
        words.append(f"(pressure scale: {transition['scale']})")
    return " ".join(words)


def heading(transition: Mapping[str, Any]) -> tuple[str, str]:
    """The same in two lines: what was found in large letters, and below it how well it is known."""
    pressure, stat, scale = (transition.get(key) for key in ("pressure_gpa", "sigma_stat", "sigma_scale"))
    value, mark, spread = pressure_words(pressure, stat, scale).partition(" ± ")
    large = f"{_turns(transition)} {value} GPa" if mark else f"{_turns(transition)} {value}"
    below = [f"± {spread}"] if mark else []
    below += _circumstances(transition)
    if (onset := transition.get("onset_gpa")) is not None:
        below[-1:] = [f"{below[-1]};" if below else "", f"B2 sets in at {onset:.3f} GPa"]
    if transition.get("scale"):
        below.append(f"(pressure scale: {transition['scale']})")
    return large, " ".join(part for part in below if part)


def _turns(transition: Mapping[str, Any]) -> str:
    start, end = ("B2", "B1") if transition.get("branch") == "down" else ("B1", "B2")
    return f"{transition.get('salt', '')} turns from {start} to {end} at"


def _circumstances(transition: Mapping[str, Any]) -> list[str]:
    branch = _BRANCHES.get(str(transition.get("branch", "")), "")
    temperature = transition.get("temperature_k")
    return [*([branch] if branch else []), *([f"at {temperature:.1f} K"] if temperature is not None else [])]


def pressure_words(pressure: float | None, stat: float | None, scale: float | None) -> str:
    """ "1.843 ± 0.021 (statistical) ± 0.050 (scale) GPa", with as much of it as is known."""
    if pressure is None:
        return "a pressure that is not known"
    if stat is None:
        return f"{pressure:.3f} GPa"
    value = plus_minus(pressure, stat, most=4)
    if scale is None:
        return f"{value} (statistical) GPa"
    places = len(value.rpartition(".")[2])
    return f"{value} (statistical) ± {scale:.{places}f} (scale) GPa"


def flux_known(begun: Mapping[str, Any]) -> bool:
    """Whether the station states the flux at the sample, without which no dose is booked."""
    return _table(_table(begun, "station"), "beam").get("flux_ph_per_s") is not None


def _sentence(history: History, found: Sequence[Mapping[str, Any]], status: str) -> str:
    if found:
        return "; ".join(headline(transition) for transition in found)
    reason = str((history.finish or {}).get("reason", ""))
    if reason:
        return f"No transition was found: {reason}"
    return f"No transition was found: {_ENDS.get(status, status)} after {many(len(history.points), 'measurement')}"


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _strict(value: Any) -> Any:
    """JSON types without NaN and infinity."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    if isinstance(value, float):
        return _finite(value)
    return value
