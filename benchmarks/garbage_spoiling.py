"""How replies are spoilt for `make accept-garbage`: most are true ones spliced, cut, doubled, stale…

A spoiler stands between a simulator and its client, keeps what went by, and spoils one reply when it is told to.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

DERIVED: Final = ("splice", "cut", "cut line", "lost byte", "double", "stale", "range", "not a number", "unit", "bit")
"""What is made of true replies."""
NOISE: Final = ("bytes", "text", "empty")
NUMBER: Final = re.compile(rb"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
NO_NUMBERS: Final = (b"NaN", b"nan", b"9.91E37", b"9.9E37", b"-9.9E37", b"inf", b"-Infinity", b"", b"---", b"1e999")
UNITS: Final = (1000.0, 1e-3, 0.1, 14.5038, 1.8, 1e5, -1.0)
KEPT: Final = 40


@dataclass
class Spoilt:
    """One reply as it was delivered."""

    question: bytes
    true: bytes
    delivered: bytes
    how: str
    socket: int = 0
    """Of an instrument that has several: on another than the first, `question` is what the first was asked last."""


class Spoiler:
    """Bytes by `accept`, on each of several `sockets`, requests by `handle`: whichever the simulator has."""

    def __init__(
        self, simulator: Any, chance: np.random.Generator, *, binary: bool, number: tuple[int, int] = (0, 2),
        values: Callable[[bytes], range] = lambda reply: range(9, len(reply)),
    ) -> None:  # fmt: skip
        self._simulator, self.chance, self._binary = simulator, chance, binary
        self._number_at, self._values = number, values
        self.log: list[Spoilt] = []
        self._before: deque[tuple[bytes, bytes]] = deque(maxlen=KEPT)
        self._countdown, self._how = 0, ""
        if hasattr(simulator, "handle"):
            self.handle = self._handle
        self._asked: dict[int, bytes] = {}
        if hasattr(simulator, "sockets"):
            self.sockets = tuple(_Socket(self, number, socket) for number, socket in enumerate(simulator.sockets))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._simulator, name)

    def spoil(self, number: int, how: str) -> None:
        """The number-th reply from now on (1 is the next one), in this way; forget what went by."""
        self._countdown, self._how = number, how
        self.log = []

    def calm(self) -> None:
        self._countdown = 0

    def accept(self, send: Callable[[bytes], None]) -> Any:
        return self.joined(self._simulator, 0, send)

    def joined(self, simulator: Any, socket: int, send: Callable[[bytes], None]) -> Any:
        """A connection to one socket of the simulator."""
        asked = self._asked
        asked[0] = asked.get(0, b"") if socket else b""
        several = hasattr(self, "sockets")

        def deliver(reply: bytes) -> None:
            delivered = self._delivered(asked[0], reply, socket)
            if delivered or not reply or not several:  # nothing at all would hang up: one of many is lost instead
                send(delivered)

        session = simulator.accept(deliver)

        class Wire:
            def receive(self, data: bytes) -> None:
                if socket == 0:
                    asked[0] = data
                session.receive(data)

            def closed(self) -> None:
                session.closed()

        return Wire()

    async def _handle(self, request: Any) -> Any:
        answer = await self._simulator.handle(request)
        return replace(answer, body=self._delivered(f"{request.method} {request.path}".encode(), answer.body))

    def _delivered(self, question: bytes, reply: bytes, socket: int = 0) -> bytes:
        how, delivered = "", reply
        if self._countdown:
            self._countdown -= 1
            if self._countdown == 0:
                how = self._how
                delivered = self._made(how, question, reply)
        self._before.append((question, reply))
        self.log.append(Spoilt(question, reply, delivered, how, socket))
        return delivered

    def _made(self, how: str, question: bytes, reply: bytes) -> bytes:
        chance = self.chance
        end = re.search(rb"[\r\n]*\Z", reply)
        tail = end[0] if end and not self._binary else b""
        body = reply[: len(reply) - len(tail)]
        place = int(chance.integers(0, len(body) + 1))
        other = self._other(question)
        match how:
            case "true":
                return reply
            case "splice":
                spliced = body[:place] + other[int(chance.integers(0, len(other) + 1)) :]
                return self._numbered(question, spliced) if self._binary else spliced.rstrip(b"\r\n") + tail
            case "cut":
                return body[:place]
            case "cut line":
                return (body[:place] if chance.random() < 0.7 else body[place:]) + tail
            case "lost byte":
                return body[:place] + body[place + 1 :] + tail
            case "double":
                return reply + reply if chance.random() < 0.5 else body + body + tail
            case "stale":
                return self._numbered(question, other) if self._binary and chance.random() < 0.7 else other
            case "range" | "not a number" | "unit":
                return self._with_number(how, question, body) + tail
            case "bit":
                at = min(place, len(body) - 1)
                flipped = body[at] ^ (1 << int(chance.integers(0, 8 if self._binary else 7)))
                return body[:at] + bytes([flipped]) + body[at + 1 :] + tail if body else reply
            case "bytes":
                return bytes(chance.integers(0, 256, int(chance.integers(1, 60))).tolist()) + tail
            case "text":
                return bytes(chance.integers(0x20, 0x7F, int(chance.integers(1, 60))).tolist()) + tail
        return tail

    def _other(self, question: bytes) -> bytes:
        """An earlier reply, to another question if there is one; the one before most often."""
        others = [reply for asked, reply in self._before if asked != question] or [b""]
        return others[-1] if self.chance.random() < 0.5 else others[int(self.chance.integers(len(others)))]

    def _numbered(self, question: bytes, reply: bytes) -> bytes:
        """A frame under the question's own transaction: the harder case."""
        start, stop = self._number_at
        return reply[:start] + question[start:stop] + reply[stop:]

    def _with_number(self, how: str, question: bytes, body: bytes) -> bytes:
        if self._binary:
            data = bytearray(body)
            for at in self._values(body):
                if self.chance.random() < 0.5:
                    data[at] = 0xFF if how == "not a number" else int(self.chance.integers(256))
            return bytes(data)
        found = list(NUMBER.finditer(body))
        if not found:
            return body
        number = found[int(self.chance.integers(len(found)))]
        return body[: number.start()] + self._number(how, number[0]) + body[number.end() :]

    def _number(self, how: str, text: bytes) -> bytes:
        chance = self.chance
        if how == "not a number":
            return NO_NUMBERS[int(chance.integers(len(NO_NUMBERS)))]
        if how == "unit":
            value = float(text) * UNITS[int(chance.integers(len(UNITS)))]
            return f"{value:.7f}".encode()
        value = float(chance.normal()) * 10.0 ** float(chance.integers(-6, 12))
        return (f"{value:.7f}", f"{value:+.3f}", f"{value:.3E}", str(round(value)))[int(chance.integers(4))].encode()


class _Socket:
    """One of several, as a peer of its own."""

    def __init__(self, spoiler: Spoiler, number: int, socket: Any) -> None:
        self._spoiler, self._number, self._socket = spoiler, number, socket

    def accept(self, send: Callable[[bytes], None]) -> Any:
        return self._spoiler.joined(self._socket, self._number, send)


def strict(body: bytes) -> Any:
    """JSON as its standard has it. Raises ValueError."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(body, parse_constant=refuse)
