"""An error is an answer: where it stands, what the rule is, and the way out. All of a file's problems at once.

`Problem` is one of them, ready to print; `ConfigError` carries the lot. Nothing here knows of pydantic or TOML.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Key = tuple[str | int, ...]
_LONGEST: Final = 60
_EASY: Final = (1e-4, 1e6)  # numbers that are read more easily without a power of ten
_BARE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that is broken at `at` (a key's path in the data), before anybody knows file and line."""

    at: Key
    rule: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file.

    line     counts from 1; None where the file as a whole is meant
    key      dotted path, "" where there is none
    value    as it is to be printed, with its unit if the caller knows it; "" for nothing
    rule     what is required; may be several lines
    hint     the way out; "" where there is none
    """

    file: str
    line: int | None
    key: str
    value: str
    rule: str
    hint: str = ""

    def __str__(self) -> str:
        """The problem as the command line shows it; a device's key starts with the device's name."""
        place = printable(self.file) if self.line is None else f"{printable(self.file)}:{self.line}"
        subject = self.key.removeprefix("devices.")
        if subject and self.value:
            subject = f"{subject} = {self.value}"
        head = f"{place}  {subject}" if subject else place
        rest = [line for text in (self.rule, self.hint) if text for line in text.splitlines()]
        return "\n  ".join([head, *rest])


class ConfigError(Exception):
    """A configuration that can't be used. `problems` holds everything that was found, in the order of the lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        unique = dict.fromkeys(problems)
        self.problems: tuple[Problem, ...] = tuple(sorted(unique, key=lambda p: (p.file, p.line or 0)))
        if not self.problems:
            raise ValueError("a ConfigError needs at least one problem")
        super().__init__(str(self))

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def dotted(key: Key) -> str:
    """A key's path as a person would write it: `devices.membrane.limits.upper`, `envelope.pressure_gpa[1]`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if part and _BARE.issuperset(part) else shown(part)
        text += f".{name}" if text else name
    return text


def shown(value: object) -> str:
    """A value as it would stand in TOML, on one line, at most 60 characters and harmless to a terminal."""
    text = printable(_toml(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def printable(text: str) -> str:
    """The text with everything that could move a cursor or hide a letter written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _toml(value: object) -> str:
    match value:
        case bool():
            text = "true" if value else "false"
        case str():
            text = json.dumps(value[: 2 * _LONGEST], ensure_ascii=False)
        case int():
            # Python refuses to print an integer of more than 4300 digits; nobody wants to read one of 60.
            text = str(value) if value.bit_length() < 4 * _LONGEST else "an integer of many digits"
        case float():
            text = _short(value) if math.isfinite(value) else str(value)
        case datetime.datetime() | datetime.date() | datetime.time():
            text = value.isoformat()
        case Mapping():
            text = "{ … }" if value else "{}"
        case Sequence():
            text = f"[{', '.join(_toml(item) for item in value[:_LONGEST])}]"
        case _:
            text = str(value)
    return text


def _short(value: float) -> str:
    """The shortest text that is this very number: 0.05, 2.0e9."""
    plain = repr(value)
    if _EASY[0] <= abs(value) < _EASY[1]:
        return plain
    mantissa, _, exponent = f"{value:.15e}".partition("e")
    digits = mantissa.rstrip("0")
    powers = f"{digits}{'0' if digits.endswith('.') else ''}e{int(exponent)}"
    return powers if len(powers) < len(plain) and float(powers) == value else plain
