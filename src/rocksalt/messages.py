"""How the processes of one run talk: msgpack messages, whole and in order, over Unix sockets or in memory.

The memory form packs and unpacks all the same: what can't travel between processes can't travel between nodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import msgpack

from rocksalt.time import door

Message = dict[str, Any]
LARGEST = 64 << 20  # bytes of one message


class ChannelClosed(ConnectionError):
    """The other side is gone."""


class Channel(Protocol):
    """Two-way, ordered. `receive` raises ChannelClosed once the other side is gone and everything it sent was taken."""

    async def send(self, message: Message) -> None: ...

    async def receive(self) -> Message: ...

    def close(self) -> None: ...


def pack(message: Message) -> bytes:
    data: bytes = msgpack.packb(message, use_bin_type=True)
    return data


def unpack(data: bytes) -> Message:
    """Raises ValueError for anything but one packed map with text keys."""
    try:
        message = msgpack.unpackb(data, raw=False, strict_map_key=True)
    except (ValueError, msgpack.UnpackException) as error:
        raise ValueError(f"not one message: {error}") from error
    if not isinstance(message, dict):
        raise ValueError(f"a message is a map, not {type(message).__name__}")
    return message


async def each(channel: Channel) -> AsyncIterator[Message]:
    """The messages of a channel until it closes."""
    while True:
        try:
            yield await channel.receive()
        except ChannelClosed:
            return


class SocketChannel:
    """A Unix socket; each message behind its length in four bytes, big-endian."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._sending = asyncio.Lock()

    async def send(self, message: Message) -> None:
        data = pack(message)
        async with self._sending:
            try:
                self._writer.write(struct.pack(">I", len(data)) + data)
                await self._writer.drain()
            except (ConnectionError, RuntimeError) as error:
                raise ChannelClosed(str(error)) from error

    async def receive(self) -> Message:
        try:
            (length,) = struct.unpack(">I", await self._reader.readexactly(4))
            if length > LARGEST:
                raise ChannelClosed(f"a message of {length} bytes was announced; {LARGEST} is the most")
            return unpack(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ChannelClosed("the other process is gone") from error

    def close(self) -> None:
        self._writer.close()

    async def closed(self) -> None:
        """Wait until the socket is let go."""
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


async def connect(path: Path) -> SocketChannel:
    """The channel to whoever listens at the socket `path`. Raises OSError."""
    return SocketChannel(*await asyncio.open_unix_connection(str(path)))


class MemoryChannel:
    """One end of a pair in one process; made by `pair`."""

    def __init__(self) -> None:
        self.other: MemoryChannel
        self._waiting: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._closed = False

    async def send(self, message: Message) -> None:
        door()
        if self.other._closed:
            raise ChannelClosed("the other node is gone")
        self.other._waiting.append(pack(message))
        self.other._wake.set()

    async def receive(self) -> Message:
        while not self._waiting:
            if self._closed or self.other._closed:
                raise ChannelClosed("the other node is gone")
            self._wake.clear()
            await self._wake.wait()
        door()
        return unpack(self._waiting.popleft())

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        self.other._wake.set()


def pair() -> tuple[MemoryChannel, MemoryChannel]:
    """Two ends of one channel between nodes."""
    here, there = MemoryChannel(), MemoryChannel()
    here.other, there.other = there, here
    return here, there
