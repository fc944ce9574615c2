"""The journal: one JSON line for everything that was commanded, read, estimated, decided. The truth for meaning.

Policy, summary and resume are folds over it. A line carries its number first and its checksum last; a torn tail is cut,
never trusted. Written by one process; appending survives a `kill -9`, `commit()` survives the machine.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rocksalt.storage.disk import Appending, Disk
from rocksalt.time import Clock

VERSION: Final = 1
NAME: Final = "journal.jsonl"


class BadJournal(ValueError):
    """A journal that can't be read on: what is wrong, in which line, and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its number, its kind, experiment time, date, and whatever else the kind says."""

    seq: int
    kind: str
    t_s: float
    at: str
    data: Mapping[str, Any] = field(default_factory=dict)


def encode(entry: Entry) -> bytes:
    """The line's bytes. The checksum is over everything before the comma in front of it."""
    head = {"seq": entry.seq, "kind": entry.kind, "t_s": entry.t_s, "at": entry.at, **entry.data}
    body = json.dumps(head, separators=(",", ":"), allow_nan=False, ensure_ascii=False)[:-1].encode()
    return body + b',"crc32":"%08x"}\n' % zlib.crc32(body)


def decode(line: bytes) -> Entry:
    """The entry of one line, its end included. Raises ValueError for a line that is torn or altered."""
    body, comma, tail = line.rpartition(b',"crc32":"')
    if not comma or len(tail) != 11 or tail[8:] != b'"}\n':
        raise ValueError("no checksum at the end")
    if tail[:8] != b"%08x" % zlib.crc32(body):
        raise ValueError("the checksum does not fit the line")
    data = json.loads(body + b"}")
    return Entry(data.pop("seq"), data.pop("kind"), data.pop("t_s"), data.pop("at"), data)


@dataclass(frozen=True, slots=True)
class Reading:
    """A journal as it lies on disk: its good entries, and how many bytes they take; what follows is a torn tail."""

    entries: tuple[Entry, ...]
    good_bytes: int
    torn_bytes: int


def read(path: Path) -> Reading:
    """Read a journal. A torn tail is left out and counted.

    Raises BadJournal when a line in the middle is damaged (that is no crash, that is a fault of disk or hand), when
    numbers have a gap, or when the journal was written by a newer version; FileNotFoundError.
    """
    raw = path.read_bytes()
    entries: list[Entry] = []
    good = 0
    for number, line in enumerate(_lines(raw)):
        try:
            entry = decode(line)
        except (ValueError, KeyError) as error:
            if _good_line_after(raw, good + len(line)):
                raise BadJournal(
                    f"{path}:{number + 1}: {error}, and good lines follow: the file was altered. "
                    "`rocksalt recover` can keep what comes before it"
                ) from error
            break
        if entry.seq != number:
            raise BadJournal(f"{path}:{number + 1}: seq is {entry.seq}, {number} comes here: lines are missing")
        if entry.kind == "begun" and entry.data.get("version", 0) > VERSION:
            raise BadJournal(
                f"{path} was written by a newer rocksalt (journal version {entry.data['version']}; "
                f"this one reads up to {VERSION}): use that one"
            )
        entries.append(entry)
        good += len(line)
    return Reading(tuple(entries), good, len(raw) - good)


def begun(path: Path) -> tuple[Entry, ...]:
    """The good entries of a run's journal, its first line among them. Raises as `read`; BadJournal without it."""
    entries = read(path).entries
    if not entries or entries[0].kind != "begun":
        raise BadJournal(f"{path}:1: the line that begins a journal is not there: nothing says what this run was")
    return entries


def _lines(raw: bytes) -> Iterator[bytes]:
    start = 0
    while (end := raw.find(b"\n", start)) >= 0:
        yield raw[start : end + 1]
        start = end + 1
    if start < len(raw):
        yield raw[start:]


def _good_line_after(raw: bytes, start: int) -> bool:
    for line in _lines(raw[start:]):
        try:
            decode(line)
        except (ValueError, KeyError):
            continue
        return True
    return False


class Journal:
    """The journal being written. `entries` is what it holds; `append` adds a line, `commit` makes it last."""

    def __init__(self, path: Path, disk: Disk, clock: Clock, entries: tuple[Entry, ...] = ()) -> None:
        self._file: Appending = disk.append(path)
        self._clock = clock
        self.entries: list[Entry] = list(entries)
        self.listeners: list[Callable[[Entry], None]] = []

    def append(self, kind: str, **data: Any) -> Entry:
        """Write a line. It survives the death of this process from here on; of the machine after `commit`."""
        entry = Entry(len(self.entries), kind, round(self._clock.now_s(), 6), self._clock.wall(), data)
        self._file.write(encode(entry))
        self.entries.append(entry)
        for listener in self.listeners:
            listener(entry)
        return entry

    async def commit(self) -> None:
        """Everything appended so far survives the machine. Raises OSError."""
        await self._file.sync()

    def close(self) -> None:
        self._file.close()
