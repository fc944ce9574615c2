"""Links that never leave the process: the same bytes, handed over at once. For virtual time and for tests.

The other side is a simulator as `rocksalt.twin.wire.hosting` describes it; the rooms know each other by shape alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from rocksalt.time import door


class Session(Protocol):
    def receive(self, data: bytes) -> None: ...

    def closed(self) -> None: ...


class BytePeer(Protocol):
    """Whoever answers in bytes; `accept` may raise ConnectionRefusedError, as a box that takes one client only does."""

    def accept(self, send: Callable[[bytes], None]) -> Session: ...


class MemoryTransport:
    """A connection to a peer in this process. `log` keeps what was written, for tests that look at the wire."""

    reopening_cleans = True

    def __init__(self, peer: BytePeer) -> None:
        self._peer = peer
        self._session: Session | None = None
        self._arrived: deque[bytes] = deque()
        self._wake: asyncio.Event = asyncio.Event()
        self._connection = 0
        self.sent: list[bytes] = []

    async def open(self) -> None:
        door()
        self._connection += 1
        mine = self._connection
        self._arrived.clear()
        self._wake = asyncio.Event()

        def deliver(data: bytes) -> None:
            if mine == self._connection:  # a reply to a connection that is gone falls on the floor, as on a socket
                self._arrived.append(data)
                self._wake.set()

        self._session = self._peer.accept(deliver)

    async def write(self, data: bytes) -> None:
        door()
        if self._session is None:
            raise BrokenPipeError(32, "not connected")
        self.sent.append(data)
        self._session.receive(data)

    async def read(self) -> bytes:
        while not self._arrived:
            self._wake.clear()
            await self._wake.wait()
        door()
        return self._arrived.popleft()

    def waiting(self) -> bool:
        return any(self._arrived)  # an empty chunk is a hang-up: nothing to read there

    def close(self) -> None:
        session, self._session = self._session, None
        self._connection += 1
        if session is not None:
            session.closed()
