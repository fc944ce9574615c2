"""Faults on a detector's stream: messages lost, corrupt or late, and an end of series that comes twice or never."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

import numpy as np

from rocksalt.twin.wire.faults.plan import END, Faults

Message = tuple[bytes, ...]  # the parts of one

_LATER_S: Final = 1e-6  # timers of one time have no order
_SPOILT: Final = 16  # bytes


@runtime_checkable
class KnowsItsStream(Protocol):
    """What a simulator that streams may offer: which of its messages ends a series."""

    def ends_series(self, message: Message) -> bool: ...


class FaultyStream:
    """A `push` in front of another one. What is lost on the way was sent for all that the detector knows."""

    def __init__(self, simulator: object, faults: Faults, push: Callable[[Message], bool]) -> None:
        self._knows = simulator if isinstance(simulator, KnowsItsStream) else None
        self._faults, self._push = faults, push
        self._free_s = float("-inf")

    def push(self, message: Message) -> bool:
        """Whether it was taken; a message that is held up or lost counts as taken."""
        ends = self._knows is not None and self._knows.ends_series(message)
        delay_s, times = 0.0, 1
        for active in self._faults.on_message(END if ends else "message"):
            match active.fault.kind:
                case "stream_lost":
                    return True
                case "stream_lost_end":
                    return True
                case "stream_duplicate_end":
                    times = 2
                case "stream_corrupt":
                    message = spoilt(active.chance, message)
                case "stream_delay":
                    delay_s += active.fault.delay_s
        taken = self._after(delay_s, message)
        for _ in range(times - 1):
            taken = self._after(delay_s, message) and taken
        return taken

    def _after(self, delay_s: float, message: Message) -> bool:
        """In order: a message that is held up holds up those behind it."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if delay_s <= 0.0 and self._free_s <= now_s:
            return self._push(message)
        self._free_s = max(self._free_s + _LATER_S, now_s + delay_s)
        loop.call_at(self._free_s, self._push, message)
        return True


def spoilt(chance: np.random.Generator, message: Message) -> Message:
    """A run of bytes in the second half of the longest part, turned over: in an image, that is its pixels."""
    longest = max(range(len(message)), key=lambda number: len(message[number]))
    part = message[longest]
    first = int(chance.integers(len(part) // 2, max(len(part) - _SPOILT, len(part) // 2) + 1))
    turned = bytes(byte ^ 0xFF for byte in part[first : first + _SPOILT])
    return (*message[:longest], part[:first] + turned + part[first + _SPOILT :], *message[longest + 1 :])
