"""A file as it was read: its text, its hash, and each key's line, so that later checks can point at it too.

Drivers and rooms above use `Source.problem` to speak of a value in the file with the file's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from rocksalt.config.errors import Key, Problem, dotted

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from. `sha256` (hex) is over the file's bytes; `lines` maps key paths to lines from 1."""

    path: Path
    text: str = field(repr=False)
    lines: Mapping[Key, int] = field(repr=False)
    sha256: str

    def line(self, key: Key | str) -> int:
        """The line of the key (a path, or dotted text), or of the nearest table around it that the file has."""
        path = tuple(key.split(".")) if isinstance(key, str) else key
        for length in range(len(path), 0, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line
        return 1

    def problem(self, key: Key | str, rule: str, hint: str = "", value: str = "") -> Problem:
        """A problem at a key of this file; `value` is printed as it is, so the caller adds the unit he knows."""
        name = key if isinstance(key, str) else dotted(key)
        return Problem(str(self.path), self.line(key), name, value, rule, hint)


@dataclass(frozen=True, slots=True)
class Read(Generic[T_co]):
    """What a file says, and the file."""

    value: T_co
    source: Source
