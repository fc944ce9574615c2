"""How a picoammeter's simulator talks: messages one after another, readings that take their time, device clear.

The instrument itself is in simulator.py.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import deque
from collections.abc import Callable
from typing import Protocol

from rocksalt.time import Clock


class Box(Protocol):
    """What a conversation needs of the instrument."""

    clock: Clock
    terminator: bytes
    echo: bool
    says_dcl: bool
    range_a: float
    range_s: float
    trigger_count: int
    last: list[tuple[float, int, float]]

    @property
    def conversion_s(self) -> float: ...

    def one(self, command: str) -> str | None: ...

    def take(self, start_s: float) -> float | None: ...

    def keep(self, current_a: float) -> None: ...

    def shown(self) -> str: ...


LONGEST = 4096


def scpi(words: str, argument: str = "") -> str:
    """The pattern of a command as the manual writes it: capitals for the short form, [nodes] to leave out."""
    pattern = re.sub(r"([A-Z]+)([a-z]+)", r"\1(?:\2)?", words)
    return ":?" + pattern.replace("[", "(?:").replace("]", ")?") + argument


MEASURING = re.compile(scpi("(?:READ|MEASure[:CURRent[:DC]])", r"\?"), re.IGNORECASE)
STARTING = re.compile(scpi("INITiate[:IMMediate]"), re.IGNORECASE)
END = ""
"""Behind the last command of a message."""
DEVICE_CLEAR = re.compile(rb"[\x03\x18]")


class Talk:
    """What the instrument was told and has still to do, whoever told it: one message after another."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._waiting: deque[tuple[Conversation, str]] = deque()
        self._answers: list[str] = []
        """Of the message that is worked on."""
        self._timer: asyncio.TimerHandle | None = None

    def hear(self, client: Conversation, text: str) -> None:
        """A whole message."""
        self._waiting.extend((client, command) for command in (*_rooted(text), END))
        self._work()

    def clear(self) -> None:
        """Device clear: pending operations and output are discarded."""
        self._answers = []
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _work(self) -> None:
        while self._waiting and self._timer is None:
            client, command = self._waiting.popleft()
            if command == END:
                if self._answers:
                    client.say(";".join(self._answers).encode("ascii"))
                self._answers = []
            elif STARTING.fullmatch(command):
                self._measure(tell=False)
            elif MEASURING.fullmatch(command):
                self._measure(tell=True)
            elif (answer := self._box.one(command)) is not None:
                self._answers.append(answer)

    def _measure(self, *, tell: bool) -> None:
        self._box.last = []
        self._convert(self._box.trigger_count, 0.0, tell)

    def _convert(self, left: int, late_s: float, tell: bool) -> None:
        box, start_s = self._box, self._box.clock.now_s() + late_s

        def over() -> None:
            self._timer = None
            before_a = box.range_a
            current_a = box.take(start_s)
            if current_a is None:
                steps = abs(round(math.log10(box.range_a / before_a)))
                self._convert(left, steps * box.range_s, tell)
                return
            box.keep(current_a)
            if left > 1:
                self._convert(left - 1, 0.0, tell)
                return
            if tell:
                self._answers.append(box.shown())
            self._work()

        delay_s = (late_s + box.conversion_s) / box.clock.speed
        self._timer = asyncio.get_running_loop().call_later(delay_s, over)


class Conversation:
    """One client: gathers its bytes into messages. Its device clear is everybody's, for there is one instrument."""

    def __init__(self, box: Box, talk: Talk, send: Callable[[bytes], None]) -> None:
        self._box, self._talk, self._send = box, talk, send
        self._buffer = b""

    def say(self, answer: bytes) -> None:
        self._send(answer + self._box.terminator)

    def receive(self, data: bytes) -> None:
        *before, data = DEVICE_CLEAR.split(data)
        if before:
            self._buffer = b""
            self._talk.clear()
            if self._box.says_dcl:
                self.say(b"DCL")
        *lines, self._buffer = re.split(rb"[\r\n]", (self._buffer + data)[-LONGEST:])
        for _ in lines if self._box.echo else ():
            self.say(b"")
        for line in lines:
            if text := line.decode("ascii", "replace").strip():
                self._talk.hear(self, text)

    def closed(self) -> None:
        """The line is gone; the instrument goes on, and nobody hears it."""
        self._send = lambda data: None


def _rooted(text: str) -> list[str]:
    """The commands of a message. One without a colon in front goes on where the one before it stood."""
    commands: list[str] = []
    path = ""
    for part in filter(None, (part.strip() for part in text.split(";"))):
        command = part if part.startswith((":", "*")) or not path else f"{path}:{part}"
        if not part.startswith("*"):
            path = re.split(r"[\s?]", command)[0].rpartition(":")[0]
        commands.append(command)
    return commands
