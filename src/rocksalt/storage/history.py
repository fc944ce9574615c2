"""The history of a run: a fold over its journal. Policy, summary, resume and replay all read this one thing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rocksalt.storage import records
from rocksalt.storage.journal import Entry
from rocksalt.values import Estimate, FrameRef, Measurement, Reading


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement that is done: what was asked, what the instruments read, what the model made of it.

    estimate is None where the model was late; dose is what this measurement's light cost, repeats included.
    """

    measurement: Measurement
    reason: str
    runner_up: str
    readings: Mapping[str, Reading]
    frames: tuple[FrameRef, ...]
    estimate: Estimate | None
    started_s: float
    done_s: float
    dose_gy: float
    dose_sigma_gy: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person should know of."""

    at_s: float
    what: str


@dataclass(slots=True)
class History:
    """What has happened so far. `take` is the only way in: one journal entry at a time, in order.

    pending   the measurement that was intended and is not done yet: where a resumed run goes on
    """

    begun: Mapping[str, Any] = field(default_factory=dict)
    began_at: str = ""
    facts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ended_at: str = ""
    now_s: float = 0.0
    state: str = "preparing"
    holds: dict[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    pending: Point | None = None
    set_points: dict[str, float] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    taken: int = 0
    written: int = 0
    lost: list[int] = field(default_factory=list)
    next_frame: int = 0
    dose_gy: float = 0.0
    dose_sigma_gy: float = 0.0
    decisions: int = 0
    alarms: list[Alarm] = field(default_factory=list)
    finish: Mapping[str, Any] | None = None
    status: str = ""
    why: str = ""

    def take(self, entry: Entry) -> None:
        """Fold one entry in. Kinds that mean nothing here are passed over."""
        self.now_s = entry.t_s
        handler = _FOLDS.get(entry.kind)
        if handler is not None:
            handler(self, entry, entry.data)


def fold(entries: Iterable[Entry]) -> History:
    """The history that these entries tell."""
    history = History()
    for entry in entries:
        history.take(entry)
    return history


def _begun(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.begun = data
    history.began_at = entry.at


def _state(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.state = data["state"]


def _held(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.holds[data["hold"]] = data["why"]


def _released(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.holds.pop(data["hold"], None)


def _intend(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.decisions += 1
    history.pending = Point(
        records.measurement(data["measurement"]),
        data["reason"],
        data["runner_up"],
        {},
        (),
        None,
        entry.t_s,
        entry.t_s,
        0.0,
        0.0,
    )


def _reached(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.set_points[data["setpoint"]] = data["target"]


def _connected(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.facts[data["device"]] = data.get("facts", {})


def _found(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.set_points.setdefault(data["setpoint"], data["value"])


def _reading(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    value = records.reading(data)
    history.readings.append(value)
    if history.pending is not None:
        history.pending = replace(history.pending, readings={**history.pending.readings, value.name: value})


def _acknowledged(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    ref = records.frame_ref(data)
    history.written += 1
    history.next_frame = max(history.next_frame, ref.number + 1)
    if history.pending is not None and history.pending.measurement.number == ref.measurement:
        history.pending = replace(history.pending, frames=(*history.pending.frames, ref))


def _exposing(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.next_frame = max(history.next_frame, data["first_number"] + data["count"])


def _series(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.taken += data["taken"]
    history.lost.extend(data["missing"])


def _dose(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.dose_gy += data["gray"]
    history.dose_sigma_gy += data[
        "sigma_gray"
    ]  # the flux is one unknown for the whole run: its errors add, not in squares
    if history.pending is not None:
        history.pending = replace(
            history.pending,
            dose_gy=history.pending.dose_gy + data["gray"],
            dose_sigma_gy=history.pending.dose_sigma_gy + data["sigma_gray"],
        )


def _estimated(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    if history.pending is not None:
        history.pending = replace(history.pending, estimate=records.estimate(data["estimate"]))


def _repeated(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    if history.pending is not None:  # its frames stay on disk; the measurement starts again without them
        history.pending = replace(history.pending, frames=(), estimate=None, readings={})


def _done(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    if history.pending is not None:
        history.points.append(replace(history.pending, done_s=entry.t_s))
        history.pending = None


def _alarm(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.alarms.append(Alarm(entry.t_s, data["what"]))


def _finish(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.decisions += 1
    history.finish = data


def _ended(history: History, entry: Entry, data: Mapping[str, Any]) -> None:
    history.status = data["status"]
    history.why = data["why"]
    history.ended_at = entry.at


_FOLDS = {
    "begun": _begun,
    "state": _state,
    "held": _held,
    "released": _released,
    "intend": _intend,
    "connected": _connected,
    "found": _found,
    "reached": _reached,
    "reading": _reading,
    "exposing": _exposing,
    "acknowledged": _acknowledged,
    "series": _series,
    "dose": _dose,
    "estimated": _estimated,
    "repeated": _repeated,
    "done": _done,
    "alarm": _alarm,
    "finish": _finish,
    "ended": _ended,
}
