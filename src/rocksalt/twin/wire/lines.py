"""Simulators of instruments that speak in lines of text: bytes in, bytes out, by patterns.

A handler is a method marked with `@replies(pattern)`; it returns the answer without its end, or None for silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def replies(pattern: str) -> Callable[[F], F]:
    """Mark a method as the answer to commands that match the whole pattern, in any case. Groups become arguments."""

    def mark(method: F) -> F:
        method.__dict__.setdefault("_patterns", []).append(re.compile(pattern, re.IGNORECASE))
        return method

    return mark


class LineSimulator:
    """A box that listens for lines. `terminator` ends its answers; it takes CR, LF or both from its clients.

    unknown(command) is called for what nothing matches: boxes differ in how they take offence.
    """

    terminator: bytes = b"\r\n"
    longest: ClassVar[int] = 4096
    _handlers: ClassVar[list[tuple[re.Pattern[str], str]]]

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        cls._handlers = [
            (pattern, name)
            for base in reversed(cls.__mro__)
            for name, method in vars(base).items()
            for pattern in getattr(method, "_patterns", ())
        ]

    def answer(self, command: str) -> str | None:
        """The answer to one command, or None for silence."""
        for pattern, name in self._handlers:
            if found := pattern.fullmatch(command):
                reply = getattr(self, name)(*found.groups())
                return None if reply is None else str(reply)
        return self.unknown(command)

    def unknown(self, command: str) -> str | None:
        return None

    def line(self, text: str) -> str | None:
        """The answer to one line; boxes that take several commands in a line take it apart here."""
        return self.answer(text)

    def accept(self, send: Callable[[bytes], None]) -> LineSession:
        """A new client."""
        return LineSession(self, send)


class LineSession:
    """One client's conversation: gathers bytes into lines, sends the answers."""

    def __init__(self, box: LineSimulator, send: Callable[[bytes], None]) -> None:
        self._box, self._send = box, send
        self._buffer = bytearray()

    def receive(self, data: bytes) -> None:
        self._buffer += data
        while True:
            ends = [at for end in (b"\r", b"\n") if (at := self._buffer.find(end)) >= 0]
            if not ends:
                break
            raw = bytes(self._buffer[: min(ends)])
            del self._buffer[: min(ends) + 1]
            if raw.strip():
                reply = self._box.line(raw.decode("ascii", "replace").strip())
                if reply is not None:
                    self._send(reply.encode("ascii") + self._box.terminator)
        if len(self._buffer) > self._box.longest:
            self._buffer.clear()

    def closed(self) -> None:
        self._buffer.clear()
