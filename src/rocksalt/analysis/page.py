"""What the report says, as plain text in rows: headline, numbers, decisions, facts. The template only lays it out.

Nothing in here is markup: names and reasons come from files, and the template escapes all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rocksalt.analysis import words
from rocksalt.analysis.summary import INTERRUPTED, flux_known, heading, pressure_words
from rocksalt.storage.history import History, Point
from rocksalt.values import Measurement

STATUS: Final[Mapping[str, str]] = {
    "finished": "finished",
    "failed": "failed, the station was made safe",
    "stopped": "stopped by a person",
    "safe": "stopped for safety",
    INTERRUPTED: "no end in the journal: interrupted, or still going on",
}
_MODES: Final = {
    "simulate": "A rehearsal: every instrument and the sample were simulated.",
    "virtual": "A rehearsal in virtual time: every instrument and the sample were simulated.",
}
_NO_GAUGE: Final = "none: pressures are read off the sample's own equation of state"
_UNITS: Final = {"k": "K", "gpa": "GPa", "gy": "Gy"}
_WHYS: Final = {
    "goal": "the goal was reached",
    "envelope": "the envelope's end was reached",
    "budget": "a budget was used up",
    "unknown": "the model could not read the sample",
    "blow_out": "the load was lost",
    "nothing": "there was nothing to find",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and what it is."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of decisions, ready to be read; `unread` is why the model could not read the pattern."""

    number: str
    at: str
    setpoints: str
    light: str
    pressure: str
    fraction: str
    label: str
    reason: str
    runner_up: str
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A transition: the heading, the line below it, and its facts one by one."""

    heading: str
    line: str
    facts: tuple[Fact, ...]


def found(transition: Mapping[str, Any]) -> Found:
    """One transition of the summary in words. Every uncertainty is one sigma."""
    facts = [
        Fact("P50", pressure_words(*(transition.get(key) for key in ("pressure_gpa", "sigma_stat", "sigma_scale")))),
        Fact("what that is", str(transition.get("definition") or "")),
        Fact("onset (B2 fraction 0.05)", _or_unknown(transition.get("onset_gpa"), ".3f", "GPa")),
        Fact("branch", str(transition.get("branch") or "not known")),
        Fact("pressure scale", str(transition.get("scale") or "not known")),
        Fact("gauge", str(transition.get("gauge") or _NO_GAUGE)),
        Fact("temperature", _or_unknown(transition.get("temperature_k"), ".1f", "K")),
        Fact("rate of loading", _or_unknown(transition.get("rate_gpa_per_min"), ".3f", "GPa/min")),
    ]
    return Found(*heading(transition), tuple(fact for fact in facts if fact.value))


def key_numbers(summary: Mapping[str, Any]) -> list[Fact]:
    """What the run cost and gave."""
    frames = summary["frames"]
    dose = summary.get("dose_gy") or 0.0
    booked = summary["result"]["dose_note"]
    return [
        Fact("measurements", str(summary["measurements"])),
        Fact("decisions", str(summary["decisions"])),
        Fact("frames taken", str(frames["taken"])),
        Fact("frames on disk", str(frames["written"])),
        Fact("frames lost", str(frames["lost"])),
        Fact("time", words.duration(summary["duration_s"])),
        Fact("dose", words.dose(dose, summary.get("dose_sigma_gy")) if "upper bound" in booked else "not booked"),
    ]


def rehearsal(history: History) -> str:
    """A sentence when nothing here was measured on a real sample."""
    return _MODES.get(str(history.begun.get("mode", "")), "")


def nothing_found(history: History) -> str:
    """Why no transition is stated: the stop rule's sentence, or that none spoke."""
    if history.finish is None:
        return "The run ended before a decision to finish was taken."
    why = _WHYS.get(str(history.finish.get("why", "")), str(history.finish.get("why", "")))
    return f"{history.finish.get('reason', '')} ({why})."


def decisions(history: History) -> list[Row]:
    """All decisions in order: the measurements that are done, one that is not, and the last word."""
    rows = [_row(point, done=True) for point in history.points]
    if history.pending is not None:
        rows.append(_row(history.pending, done=False))
    if history.finish is not None:
        why = _WHYS.get(str(history.finish.get("why", "")), "")
        rows.append(
            Row(
                "end", words.clock(history.now_s), "", "", "", "", "",
                f"{history.finish.get('reason', '')}" + (f" ({why})" if why else ""),
                str(history.finish.get("runner_up", "")),
            )
        )  # fmt: skip
    return rows


def _row(point: Point, *, done: bool) -> Row:
    measurement, estimate = point.measurement, point.estimate
    unread = estimate.reasons[0] if estimate is not None and estimate.label == "unknown" and estimate.reasons else ""
    return Row(
        str(measurement.number),
        words.clock(point.started_s),
        "; ".join(_setpoint(name, target) for name, target in measurement.setpoints.items()) or "stay",
        _light(measurement),
        words.measured(estimate.pressure_gpa if estimate is not None else None, most=3),
        words.measured(estimate.fraction_b2 if estimate is not None else None, most=3),
        estimate.label if estimate is not None else "model late" if done else "not done",
        point.reason,
        point.runner_up,
        unread,
    )


def frame_files(history: History) -> list[Fact]:
    """The files that hold the frames of the measurements that are done."""
    counted = Counter(frame.file for point in history.points for frame in point.frames)
    return [Fact(file, words.many(count, "frame")) for file, count in sorted(counted.items())]


def campaign_facts(begun: Mapping[str, Any]) -> list[Fact]:
    """The campaign file as it was read, key by key."""
    return _flat(_table(begun, "campaign"))


def station_facts(begun: Mapping[str, Any]) -> list[Fact]:
    """The station file without devices and twin, key by key."""
    station = _table(begun, "station")
    return _flat({key: value for key, value in station.items() if key not in ("devices", "twin")})


@dataclass(frozen=True, slots=True)
class Instrument:
    """A device as the station file has it, and who answered."""

    name: str
    driver: str
    link: str
    identity: str
    limits: str
    ramp: str


def instruments(begun: Mapping[str, Any], identities: Mapping[str, str]) -> list[Instrument]:
    """The station's devices in the file's order."""
    devices = _table(_table(begun, "station"), "devices")
    return [
        Instrument(
            str(name),
            str(device.get("driver", "")),
            str(device.get("link", "")),
            identities.get(str(name), "did not answer"),
            _limits(device.get("limits")),
            "–" if device.get("ramp") is None else f"{device['ramp']:g} per s",
        )
        for name, device in devices.items()
        if isinstance(device, Mapping)
    ]


def program_facts(history: History, summary: Mapping[str, Any]) -> list[Fact]:
    """What made this: versions, seed, files and dates."""
    begun = history.begun
    facts = [
        Fact("run", str(summary["run"])),
        Fact("began", history.began_at),
        Fact("ended", history.ended_at or "no end in the journal"),
        Fact("status", STATUS.get(str(summary["status"]), str(summary["status"]))),
        Fact("rocksalt", str(begun.get("rocksalt", ""))),
        Fact("journal version", str(begun.get("version", ""))),
        Fact("mode", str(begun.get("mode", ""))),
        Fact("seed", str(begun.get("seed", ""))),
        Fact("model", str(summary["model"] or "none answered")),
        Fact("campaign file, sha256", str(begun.get("campaign_sha256", ""))),
        Fact("station file, sha256", str(begun.get("station_sha256", ""))),
    ]
    return [fact for fact in facts if fact.value]


def temperature(points: Sequence[Point]) -> str:
    """Mean and range of the temperature readings; "" where there are none."""
    read = [point.readings["temperature_k"].value for point in points if "temperature_k" in point.readings]
    if not read:
        return ""
    low, high = f"{min(read):.2f}", f"{max(read):.2f}"
    return f"{sum(read) / len(read):.2f} K" + (f" ({low} to {high})" if low != high else "")


def dose_budget_gy(begun: Mapping[str, Any]) -> float | None:
    """What the campaign allows, Gy; None where it sets no limit or no dose is booked."""
    budget = _table(_table(begun, "campaign"), "envelope").get("dose_gy")
    return float(budget) if isinstance(budget, int | float) and flux_known(begun) else None


def salt(begun: Mapping[str, Any]) -> str:
    """The campaign's salt."""
    return str(_table(_table(begun, "campaign"), "sample").get("salt", ""))


def pressure_scale(history: History) -> str:
    """The scale that most estimates name; "" where none names one."""
    named = Counter(p.estimate.pressure_scale for p in history.points if p.estimate and p.estimate.pressure_scale)
    return named.most_common(1)[0][0] if named else ""


def _light(measurement: Measurement) -> str:
    return ", ".join(f"{exposure.count} × {exposure.seconds:.3g} s" for exposure in measurement.exposures)


def _limits(limits: Any) -> str:
    if not isinstance(limits, Mapping):
        return "–"
    return f"{limits.get('lower', 0.0):g} to {limits.get('upper', 0.0):g}"


def _or_unknown(value: Any, form: str, unit: str) -> str:
    return "not known" if value is None else f"{value:{form}} {unit}"


def _setpoint(name: str, target: float) -> str:
    """ "membrane 41.02 bar" of "membrane_bar": a set-point is a device's name and unit."""
    device, _, unit = name.rpartition("_")
    return f"{device or name} {target:.2f} {_UNITS.get(unit, unit)}"


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _flat(data: Mapping[str, Any], prefix: str = "") -> list[Fact]:
    facts: list[Fact] = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            facts.extend(_flat(value, f"{prefix}{key}."))
        elif value is not None:
            facts.append(Fact(f"{prefix}{key}", _plain(value)))
    return facts


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_plain(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
