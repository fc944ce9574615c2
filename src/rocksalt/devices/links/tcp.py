"""Bytes over TCP, by asyncio's streams."""

from __future__ import annotations

import asyncio
from typing import Any

CHUNK = 65536


class _Counting(asyncio.StreamReader):
    """A reader that knows how many bytes nobody has read yet."""

    unread = 0

    def feed_data(self, data: Any) -> None:
        self.unread += len(data)
        super().feed_data(data)

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        self.unread -= len(data)
        return data


class TcpTransport:
    """A client socket. A new connection leaves every late reply of the old one behind."""

    reopening_cleans = True

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: _Counting | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._reader = reader = _Counting(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, self._host, self._port)
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)

    async def write(self, data: bytes) -> None:
        if self._writer is None:
            raise BrokenPipeError(32, "not connected")
        self._writer.write(data)
        await self._writer.drain()

    async def read(self) -> bytes:
        if self._reader is None:
            return b""
        return await self._reader.read(CHUNK)

    def waiting(self) -> bool:
        return self._reader is not None and self._reader.unread > 0

    def close(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.transport.abort()  # at once, and without lingering: the other side may take one client only
