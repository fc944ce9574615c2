"""What happened beside the measurements: states, alarms, holds, repeats, late models, as the journal tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rocksalt.storage.journal import Entry


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the report: experiment time, one word, and the journal's sentence. `grave`: a person should know."""

    at_s: float
    what: str
    text: str
    grave: bool = False


def events(entries: Iterable[Entry]) -> list[Event]:
    """The events in order. Entries of other kinds are passed over."""
    return [event for entry in entries if (event := _event(entry)) is not None]


def _event(entry: Entry) -> Event | None:
    data: Mapping[str, Any] = entry.data
    match entry.kind:
        case "alarm":
            return Event(entry.t_s, "alarm", str(data.get("what", "")), grave=True)
        case "held":
            return Event(entry.t_s, "held", f"{data.get('hold', '')}: {data.get('why', '')}", grave=True)
        case "released":
            return Event(entry.t_s, "released", f"{data.get('hold', '')}: {data.get('why', '')}")
        case "repeated":
            return Event(entry.t_s, "repeated", f"measurement {data.get('measurement', '?')}: {data.get('why', '')}")
        case "late":
            return Event(entry.t_s, "late", f"measurement {data.get('measurement', '?')}: {data.get('why', '')}")
        case "state":
            return Event(entry.t_s, str(data.get("state", "")), str(data.get("why", "")))
        case "ended":
            return Event(entry.t_s, "ended", f"{data.get('status', '')}: {data.get('why', '')}")
        case _:
            return None


def holding(entries: Iterable[Entry], end_s: float) -> list[tuple[float, float]]:
    """Spans (from, to) of experiment time in which a hold stood; one that was never released ends at end_s."""
    standing: set[str] = set()
    spans: list[tuple[float, float]] = []
    since = 0.0
    for entry in entries:
        if entry.kind == "held":
            if not standing:
                since = entry.t_s
            standing.add(str(entry.data.get("hold")))
        elif entry.kind == "released" and standing:
            standing.discard(str(entry.data.get("hold")))
            if not standing:
                spans.append((since, entry.t_s))
    if standing:
        spans.append((since, end_s))
    return spans


def identities(entries: Iterable[Entry]) -> dict[str, str]:
    """Who answered: device name to what it said of itself."""
    return {
        str(entry.data.get("device", "")): str(entry.data.get("identity", ""))
        for entry in entries
        if entry.kind == "connected"
    }
