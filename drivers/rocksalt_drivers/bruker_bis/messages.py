"""What BIS says and is told: `[VERB /ARG=VAL /ARG=VAL]`, with a line end after it or none. Bytes in, values out.

Facts in README.md. A message ends at the bracket that closes it, for values hold brackets too ("D8[000123] with…").
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LONGEST: Final = 8192
"""Bytes: ten times what the longest status message of the manual would need."""
_VERB: Final = re.compile(r"[A-Za-z][A-Za-z0-9_()]*")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.#-]*")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BLANK: Final = b" \t\r\n\0"


class BadMessage(ValueError):
    """Bytes that the grammar does not allow, or an argument that is not what its name promises, and in which verb."""

    def __init__(self, text: str, verb: str = "") -> None:
        super().__init__(text)
        self.verb = verb


@dataclass(frozen=True, slots=True)
class Message:
    """One message. Verb and names of arguments are in capitals, values as they came; a flag's value is empty."""

    verb: str
    arguments: Mapping[str, str] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """A finite number. Raises BadMessage."""
        return _number(self._text(name), self, name)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """`count` finite numbers with blanks between. Raises BadMessage."""
        parts = self._text(name).split()
        if len(parts) != count:
            text = f"{name} of {self.verb} is {self._text(name)!r}, where {count} numbers were expected"
            raise BadMessage(text, self.verb)
        return tuple(_number(part, self, name) for part in parts)

    def flag(self, name: str) -> bool:
        """0 or 1, Yes or No, On or Off. Raises BadMessage."""
        text = self._text(name).lower()
        if text in ("1", "yes", "on"):
            return True
        if text in ("0", "no", "off"):
            return False
        raise BadMessage(f"{name} of {self.verb} is {text!r}, which is neither yes nor no", self.verb)

    def _text(self, name: str) -> str:
        if name not in self.arguments:
            raise BadMessage(f"{self.verb} came without {name}", self.verb)
        return self.arguments[name]


def cut(buffer: bytearray) -> bytes | None:
    """Take one message off the front; None while its end has not come. What is no message comes out as it is, so that
    `parse` can refuse it: bytes before a bracket, a message broken by a line end, one of more than LONGEST bytes.
    A message that was cut short takes none of the next one with it, where that one ends its line."""
    del buffer[: len(buffer) - len(buffer.lstrip(_BLANK))]
    depth = 0
    for at, byte in enumerate(buffer[:LONGEST]):
        if byte in b"\r\n":
            inner = buffer.find(b"[", 1, at)
            return _take(buffer, inner if depth and inner > 0 else at)
        if byte == ord("["):
            if depth == 0 and at > 0:
                return _take(buffer, at)
            depth += 1
        elif byte == ord("]"):
            depth -= 1
            if depth <= 0:
                return _take(buffer, at + 1)
    return _take(buffer, LONGEST) if len(buffer) >= LONGEST else None


def _take(buffer: bytearray, count: int) -> bytes:
    taken = bytes(buffer[:count])
    del buffer[:count]
    return taken


def parse(raw: bytes) -> Message:
    """One message from its bytes. Raises BadMessage."""
    text = raw.decode("latin-1")
    if not (text.startswith("[") and text.endswith("]")) or not text.isprintable() or len(raw) > LONGEST:
        raise BadMessage(f"{text[:80]!r} is no message of BIS")
    head, *parts = text[1:-1].split(" /")
    verb, _, rest = head.strip().partition(" ")
    if not _VERB.fullmatch(verb):
        raise BadMessage(f"{text[:80]!r} has no verb")
    arguments: dict[str, str] = {}
    # The first argument may come without its slash, as the manual itself writes INSTRUMENTSTATUS.
    for part in ([rest] if rest.strip() else []) + parts:
        name, _, value = part.partition("=")
        name = name.strip().upper()
        if not _NAME.fullmatch(name) or name in arguments:
            raise BadMessage(f"{text[:80]!r} has an argument {name[:20]!r} that is no name, or is there twice")
        arguments[name] = value.strip()
    return Message(verb.upper(), arguments)


def encode(verb: str, arguments: Mapping[str, str | float | int] | None = None) -> str:
    """A message to send, without line end. Raises ValueError for a value that would end it or begin an argument."""
    parts = [verb]
    for name, value in (arguments or {}).items():
        text = f"{value:.6f}" if isinstance(value, float) else str(value)
        if not text.isascii() or not text.isprintable() or any(mark in text for mark in ("[", "]", " /")):
            raise ValueError(f"{name}={text!r} can't be said to BIS: plain text without brackets and without ' /' can")
        parts.append(f"/{name}={text}")
    return f"[{' '.join(parts)}]"


def _number(text: str, message: Message, name: str) -> float:
    if not _NUMBER.fullmatch(text) or not math.isfinite(value := float(text)):
        raise BadMessage(f"{name} of {message.verb} is {text!r}, which is no number", message.verb)
    return value
