"""A detector's stream of messages: ZeroMQ PULL on a real socket, or a queue in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final, Protocol

from rocksalt.devices.stream import Message
from rocksalt.time import door

MOST_PARTS: Final = 64
"""No protocol here has messages of half as many; what comes beyond is not kept, so that a decoder sees too many."""


class StreamLink(Protocol):
    """Where messages arrive. One at a time, whole, in order."""

    async def receive(self) -> Message:
        """The next message, all its parts; waits for as long as it takes."""
        ...

    def close(self) -> None: ...


class ZmqStream:
    """ZeroMQ PULL, connected to the detector's PUSH. The library itself refuses parts of more than `largest` bytes."""

    def __init__(self, address: str, *, high_water: int = 200, largest: int = -1) -> None:
        import zmq
        import zmq.asyncio

        self._socket: Any = zmq.asyncio.Context.instance().socket(zmq.PULL)
        self._socket.setsockopt(zmq.RCVHWM, high_water)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, largest)
        self._socket.connect(address)
        self._more: int = zmq.RCVMORE
        self._at_once: int = zmq.NOBLOCK

    async def receive(self) -> Message:
        parts = [await self._socket.recv()]
        while self._socket.getsockopt(self._more):  # ZeroMQ has all of a message or none: the rest is here already
            part = await self._socket.recv(self._at_once)
            if len(parts) < MOST_PARTS:
                parts.append(part)
        return tuple(parts)

    def close(self) -> None:
        self._socket.close()


class MemoryStream:
    """A bounded queue: `push` says False when nobody takes, as a PUSH socket at its high-water mark does."""

    def __init__(self, high_water: int = 200) -> None:
        self._waiting: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._high_water = high_water

    def push(self, message: Message) -> bool:
        if len(self._waiting) >= self._high_water:
            return False
        self._waiting.append(message)
        self._wake.set()
        return True

    async def receive(self) -> Message:
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        door()
        return self._waiting.popleft()

    def close(self) -> None:
        pass
