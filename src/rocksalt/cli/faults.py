"""Reads a faults file: what is to go wrong on which simulated wire, and when. See docs/reference/faults.md.

Whatever is wrong in the file comes as one ConfigError with every problem's line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from rocksalt.config.errors import ConfigError, Problem, shown
from rocksalt.config.errors import Fault as BrokenRule
from rocksalt.config.hints import did_you_mean
from rocksalt.config.reading import read_table
from rocksalt.config.source import Source
from rocksalt.config.station import Station
from rocksalt.config.tables import Count, NotNegative, Number, Positive, Table, Text, describe
from rocksalt.config.words import problems_of

_BEGINS: Final = ("at_s", "every_s", "chance_per_hour", "reply")
_NEEDS: Final[Mapping[str, tuple[str, str]]] = {
    "delay": ("delay_s", "for instance delay_s = 3.0, wire seconds"),
    "stream_delay": ("delay_s", "for instance delay_s = 3.0, wire seconds"),
    "drift": ("per_s", "for instance per_s = 0.001, added to numbers each second"),
    "wrong_unit": ("factor", "for instance factor = 1000.0, bar shown in millibar"),
    "half_open": ("for_s", "for instance for_s = 20.0"),
    "refused": ("for_s", "for instance for_s = 20.0"),
    "reboot": ("for_s", "for instance for_s = 20.0, the time it takes to boot"),
}
_BELONGS: Final[Mapping[str, tuple[str, ...]]] = {
    "delay_s": ("delay", "stream_delay"),
    "per_s": ("drift",),
    "factor": ("wrong_unit",),
    "writes": ("nan", "overflow"),
    "keep_end": ("truncated",),
}


class Entry(Table):
    """One [[fault]]. What the keys mean is told by `rocksalt.twin.wire.faults.Fault`, which has the same ones."""

    device: Text = describe("the device whose wire it is", "membrane")
    kind: Literal[
        "silence", "delay", "garbage", "truncated", "stale", "doubled", "stuck", "nan", "overflow", "drift",
        "wrong_unit", "dropped", "half_open", "refused", "reboot", "stream_lost", "stream_corrupt", "stream_delay",
        "stream_lost_end", "stream_duplicate_end",
    ] = describe("what happens", "silence")  # fmt: skip
    at_s: NotNegative | None = Field(None, description="experiment time at which it begins", examples=[600.0])
    every_s: Positive | None = Field(None, description="experiment time between beginnings", examples=[60.0])
    chance_per_hour: Positive | None = Field(None, description="beginnings an hour in the mean", examples=[2.0])
    reply: Count | None = Field(None, description="which matching reply begins it, from 1", examples=[3])
    for_s: Positive | None = Field(None, description="experiment time that it lasts", examples=[20.0])
    replies: Count | None = Field(None, description="how many replies it hits", examples=[1])
    matching: Annotated[str, Field(strict=True, description="what the question must match", examples=["PRES"])] = ""
    delay_s: NotNegative = Field(0.0, description="wire seconds that a reply is held up", examples=[3.0])
    per_s: Number = Field(0.0, description="what is added to numbers each second", examples=[0.001])
    factor: Number = Field(1.0, description="what numbers are multiplied with", examples=[1000.0])
    writes: Annotated[str, Field(strict=True, description="what stands for the number", examples=["9.91E37"])] = ""
    keep_end: bool = Field(False, strict=True, description="whether a cut line is ended all the same", examples=[True])

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> list[BrokenRule]:
        found: list[BrokenRule] = []
        given = [key for key in _BEGINS if data.get(key) is not None]
        if len(given) != 1:
            rule = f"one of {', '.join(_BEGINS)} says when it begins" + (f", not {len(given)}" if given else "")
            found.append(BrokenRule(tuple(given[1:2]), rule, "" if given else "for instance at_s = 600.0"))
        kind = data.get("kind")
        default = {"factor": 1.0, "keep_end": False, "writes": ""}
        if isinstance(kind, str) and kind in _NEEDS:
            key, hint = _NEEDS[kind]
            if data.get(key) in (None, 0.0, default.get(key)):
                found.append(BrokenRule((key,) if key in data else (), f"{kind} needs {key}", hint))
        for key, kinds in _BELONGS.items():
            if data.get(key) not in (None, 0.0, default.get(key)) and isinstance(kind, str) and kind not in kinds:
                found.append(BrokenRule((key,), f"{key} is for {' and '.join(kinds)} alone"))
        pattern = data.get("matching")
        if isinstance(pattern, str):
            try:
                re.compile(pattern)
            except re.error as error:
                found.append(BrokenRule(("matching",), f"must be a regular expression: {error}"))
        return found


class FaultsFile(Table):
    """A faults file. `options` are those of the simulators, by device; what they mean each simulator says itself."""

    seed: Annotated[int, Field(strict=True, ge=0)] | None = Field(None, description="seed of chance", examples=[1])
    fault: list[Entry] = Field(default_factory=list, description="faults, a table [[fault]] each", examples=[[]])
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="options of simulators, a table [options.NAME] each", examples=[{}]
    )


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a faults file says. seed is None where the file leaves it to the twin's."""

    entries: tuple[Entry, ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int | None = None


def read_faults(path: Path | None, station: Station) -> Schedule:
    """The file, checked against the station; no file is an empty schedule. Raises ConfigError with every problem."""
    if path is None:
        return Schedule()
    data, source = read_table(path)
    try:
        value = FaultsFile.model_validate(data)
    except ValidationError as error:
        stray = [name for name in data if name in station.devices and isinstance(data[name], dict)]
        problems = problems_of(error, FaultsFile, data, source)
        for name in stray:
            hint = f"the options of a simulator go into [options.{name}]"
            problems = [one for one in problems if one.key != name]
            problems.append(source.problem((name,), "there is no such table", hint))
        raise ConfigError(problems) from None
    if problems := list(_problems(value, source, station)):
        raise ConfigError(problems)
    return Schedule(tuple(value.fault), value.options, value.seed)


def _problems(value: FaultsFile, source: Source, station: Station) -> Iterator[Problem]:
    """What can't be so on this station."""
    nobody = "there is no such device in the station"
    for name in value.options:
        if name not in station.devices:
            yield source.problem(("options", name), nobody, did_you_mean(name, station.devices))
    for index, entry in enumerate(value.fault):
        key = ("fault", index, "device")
        device = station.devices.get(entry.device)
        if device is None:
            yield source.problem(key, nobody, did_you_mean(entry.device, station.devices), shown(entry.device))
        elif entry.kind.startswith("stream_") and device.stream is None:
            rule = f"{entry.device} has no stream that {entry.kind} could happen to"
            yield source.problem(("fault", index, "kind"), rule, "", shown(entry.kind))
