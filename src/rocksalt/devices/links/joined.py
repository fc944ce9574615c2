"""Several connections that are one conversation: opened in order, written to on the first, all of them always read.

For instruments that answer on one socket and speak unasked on another. Nobody has to ask for what they say: a task
reads each socket while the link is open, so that none fills up, and hands whole messages to a listener as they come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from rocksalt.devices.links.byte import LONGEST_REPLY, Transport
from rocksalt.time import door

Cut = Callable[[bytearray], bytes | None]
"""Takes one whole message off the front of a buffer; None while there is none. It may drop what stands between."""
WAITING = 1024
"""Answers kept for a reader that does not come; older ones fall off, and were heard all the same."""


class Listener(Protocol):
    """Whoever hears all that is said, asked for or not."""

    def opened(self) -> None:
        """A new conversation begins; what was heard in the last one may be true no longer."""
        ...

    def heard(self, message: bytes) -> None:
        """A message, as it arrives, before the reader of its connection sees it."""
        ...

    def ended(self, why: str) -> None:
        """A connection ended by itself, and the conversation with it."""
        ...


class JoinedTransport:
    """Reading gives the messages of the first connection, one at a time; the listener gets those of all of them.

    Writing drops what the first connection said before: it was heard, and is no answer to what is written now.
    """

    reopening_cleans = True

    def __init__(self, connections: Sequence[Transport], *, cut: Cut, listener: Listener) -> None:
        self._connections, self._cut, self._listener = tuple(connections), cut, listener
        self._answers: deque[bytes] = deque(maxlen=WAITING)
        self._wake = asyncio.Event()
        self._pumps: list[asyncio.Task[None]] = []
        self._over = False
        self._opening = 0

    async def open(self) -> None:
        """Open each connection in order. Raises OSError; then none is left open."""
        self.close()
        mine = self._opening
        self._answers.clear()
        self._wake = asyncio.Event()
        for connection in self._connections:
            await connection.open()
            if mine != self._opening:
                connection.close()
                raise ConnectionAbortedError(103, "given up for a newer connection")
        self._over = False
        self._listener.opened()
        loop = asyncio.get_running_loop()
        self._pumps = [
            loop.create_task(self._pump(number, connection), name=f"read connection {number}")
            for number, connection in enumerate(self._connections)
        ]

    async def write(self, data: bytes) -> None:
        self._answers.clear()
        await self._connections[0].write(data)

    async def read(self) -> bytes:
        while not self._answers:
            if self._over:
                return b""
            self._wake.clear()
            await self._wake.wait()
        return self._answers.popleft()

    def waiting(self) -> bool:
        """Whether the first connection has said something that nobody has read: it speaks when it likes."""
        return bool(self._answers) or self._connections[0].waiting()

    def close(self) -> None:
        self._opening += 1
        self._over = True
        self._wake.set()
        pumps, self._pumps = self._pumps, []
        for pump in pumps:
            pump.cancel()
        for connection in self._connections:
            connection.close()

    async def _pump(self, number: int, connection: Transport) -> None:
        buffer = bytearray()
        why = f"connection {number + 1} of {len(self._connections)} was closed by the other side"
        try:
            while data := await connection.read():
                door()
                buffer += data
                while (message := self._cut(buffer)) is not None:
                    self._listener.heard(message)
                    if number == 0:
                        self._answers.append(message)
                        self._wake.set()
                if len(buffer) > LONGEST_REPLY:
                    why = f"more than {LONGEST_REPLY} bytes without an end on connection {number + 1}"
                    break
        except OSError as error:
            why = f"connection {number + 1} of {len(self._connections)}: {error.strerror or type(error).__name__}"
        self._over = True
        self._wake.set()
        self._listener.ended(why)
