"""Bytes over TCP, by asyncio's streams."""

from __future__ import annotations

import asyncio

CHUNK = 65536


class TcpTransport:
    """A client socket. A new connection leaves every late reply of the old one behind."""

    reopening_cleans = True

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def write(self, data: bytes) -> None:
        if self._writer is None:
            raise BrokenPipeError(32, "not connected")
        self._writer.write(data)
        await self._writer.drain()

    async def read(self) -> bytes:
        if self._reader is None:
            return b""
        return await self._reader.read(CHUNK)

    def close(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.transport.abort()  # at once, and without lingering: the other side may take one client only
