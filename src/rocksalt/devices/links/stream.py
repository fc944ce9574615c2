"""A detector's stream of messages: ZeroMQ PULL on a real socket, or a queue in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

from rocksalt.time import door


class StreamLink(Protocol):
    """Where messages arrive. One at a time, whole, in order."""

    async def receive(self) -> bytes:
        """The next message; waits for as long as it takes."""
        ...

    def close(self) -> None: ...


class ZmqStream:
    """ZeroMQ PULL, connected to the detector's PUSH. The library itself refuses messages above `largest` bytes."""

    def __init__(self, address: str, *, high_water: int = 200, largest: int = -1) -> None:
        import zmq
        import zmq.asyncio

        self._socket: Any = zmq.asyncio.Context.instance().socket(zmq.PULL)
        self._socket.setsockopt(zmq.RCVHWM, high_water)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, largest)
        self._socket.connect(address)

    async def receive(self) -> bytes:
        data: bytes = await self._socket.recv()
        return data

    def close(self) -> None:
        self._socket.close()


class MemoryStream:
    """A bounded queue: `push` says False when nobody takes, as a PUSH socket at its high-water mark does."""

    def __init__(self, high_water: int = 200) -> None:
        self._waiting: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._high_water = high_water

    def push(self, message: bytes) -> bool:
        if len(self._waiting) >= self._high_water:
            return False
        self._waiting.append(message)
        self._wake.set()
        return True

    async def receive(self) -> bytes:
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        door()
        return self._waiting.popleft()

    def close(self) -> None:
        pass
