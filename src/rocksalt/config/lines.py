"""On which line of a TOML text each key stands. The standard library parses TOML but keeps no positions.

The scanner only has to be right for text that `tomllib` has already accepted, so it checks nothing.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import Final

from rocksalt.config.errors import Key

DEEPEST: Final = 20
"""Tables and lists inside one another that a file may have; deeper keys have the line of what they are in."""
_BLANK = " \t\r\n"
_QUOTES = "\"'"


def key_lines(text: str) -> dict[Key, int]:
    """Line (from 1) of every key, table and list item; a table that is only implied has the line that first implies it.

    Keys are paths: ("devices", "membrane", "limits", "upper"); items of lists and of arrays of tables have their index.
    """
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *(i + 1 for i, c in enumerate(text) if c == "\n")]
        self.lines: dict[Key, int] = {}
        self.table_counts: dict[Key, int] = {}

    def scan(self) -> dict[Key, int]:
        table: Key = ()
        while self.skip_blank():
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
        return self.lines

    def line(self) -> int:
        return bisect_right(self.starts, self.at)

    def note(self, key: Key, line: int) -> None:
        for length in range(1, min(len(key), DEEPEST) + 1):
            self.lines.setdefault(key[:length], line)

    def header(self) -> Key:
        line = self.line()
        repeated = self.text.startswith("[[", self.at)
        self.at += 2 if repeated else 1
        *stem, last = self.key()
        self.skip_blank()
        self.at += 2 if repeated else 1
        table: Key = ()
        for part in stem:
            table = self.newest((*table, part))
        table = (*table, last)
        if repeated:
            self.table_counts[table] = self.table_counts.get(table, 0) + 1
            self.note(table, line)
        table = self.newest(table)
        self.note(table, line)
        self.lines[table] = line
        return table

    def newest(self, key: Key) -> Key:
        """The last table so far of an array of tables; any other key as it is."""
        count = self.table_counts.get(key)
        return key if count is None else (*key, count - 1)

    def pair(self, table: Key) -> None:
        line = self.line()
        key = (*table, *self.key())
        self.note(key, line)
        self.skip_blank()
        self.at += 1  # the equals sign
        self.value(key)

    def key(self) -> tuple[str, ...]:
        parts = []
        while True:
            self.skip_blank()
            start = self.at
            if self.text[self.at] in _QUOTES:
                self.string()
                quoted = self.text[start : self.at]
                parts.append(_unescaped(quoted) if quoted[0] == '"' else quoted[1:-1])
            else:
                while self.text[self.at] not in ".=] \t":
                    self.at += 1
                parts.append(self.text[start : self.at])
            self.skip_blank()
            if self.text[self.at] != ".":
                return tuple(parts)
            self.at += 1

    def value(self, key: Key) -> None:
        self.skip_blank()
        match self.text[self.at]:
            case '"' | "'":
                self.string()
            case "[":
                self.at += 1
                index = 0
                while self.inside("]"):
                    self.note((*key, index), self.line())
                    self.value((*key, index))
                    index += 1
            case "{":
                self.at += 1
                while self.inside("}"):
                    self.pair(key)
            case _:
                while self.at < len(self.text) and self.text[self.at] not in ",]}\n#":
                    self.at += 1

    def inside(self, end: str) -> bool:
        """Whether another item comes before `end`; steps over commas, and over `end` itself."""
        self.skip_blank()
        if self.text[self.at] == ",":
            self.at += 1
            self.skip_blank()
        if self.text[self.at] != end:
            return True
        self.at += 1
        return False

    def string(self) -> None:
        quote = self.text[self.at]
        if self.text.startswith(3 * quote, self.at):
            self.at += 3
            while not self.text.startswith(3 * quote, self.at):
                self.step(quote)
            self.at += 3
            while self.text[self.at : self.at + 1] == quote:  # up to two quotes may stand right before the last three
                self.at += 1
            return
        self.at += 1
        while self.text[self.at] != quote:
            self.step(quote)
        self.at += 1

    def step(self, quote: str) -> None:
        self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1

    def skip_blank(self) -> bool:
        """Go to the next character that means something; False at the end of the text."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.text[self.at] in _BLANK:
                self.at += 1
            else:
                return True
        return False


def _unescaped(quoted: str) -> str:
    """A basic string of one line. JSON's escapes are TOML's but for the long Unicode form and two newer short ones."""
    parts = []
    at = 1
    while at < len(quoted) - 1:
        if quoted[at] != "\\":
            parts.append(quoted[at])
            at += 1
            continue
        kind = quoted[at + 1]
        width = {"u": 4, "U": 8, "x": 2}.get(kind, 0)
        if width:
            parts.append(chr(int(quoted[at + 2 : at + 2 + width], 16)))
        else:
            parts.append("\x1b" if kind == "e" else json.loads(f'"\\{kind}"'))
        at += 2 + width
    return "".join(parts)
