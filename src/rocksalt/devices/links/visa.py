"""Bytes over VISA (GPIB, USBTMC, VXI-11, HiSLIP, sockets, serial): pyvisa in a process of its own.

A VISA library may block for as long as it likes, in code that no thread can be called back from. So it lives in a child
(`visa_process`): closing the link kills it, and whatever it held is free again, at the price of a third of a second to
start another.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Final

HEAD: Final = struct.Struct(">cI")  # what it is, and how many bytes follow
WRITE, READ, OPENED, DATA, FAILED = b"W", b"R", b"O", b"D", b"E"


class VisaTransport:
    """A VISA resource. A new connection leaves every late reply behind (the child clears the device as it opens it),
    except on a serial line, which nothing cleans."""

    def __init__(self, resource: str, serial: Mapping[str, str]) -> None:
        self._resource, self._serial = resource, dict(serial)
        self.reopening_cleans = not resource.upper().startswith("ASRL")
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._asked = False

    async def open(self) -> None:
        """Start the child and let it open the resource. Raises OSError with what the library said."""
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "rocksalt.devices.links.visa_process", str(theirs.fileno()),
                    json.dumps({"resource": self._resource, "serial": self._serial}),
                ],
                pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        await self._next()

    async def write(self, data: bytes) -> None:
        if self._writer is None:
            raise BrokenPipeError(32, "not open")
        self._writer.write(HEAD.pack(WRITE, len(data)) + data)
        await self._writer.drain()

    async def read(self) -> bytes:
        if self._writer is None:
            return b""
        # A read that was given up is still going on in the child: what it brings is the next thing to be read.
        if not self._asked:
            self._asked = True
            self._writer.write(HEAD.pack(READ, 0))
        try:
            data = await self._next()
        except EOFError:
            return b""
        self._asked = False
        return data

    def waiting(self) -> bool:
        """Never: the child reads when it is asked to, and what nobody asked for stays in the library, unseen."""
        return False

    def close(self) -> None:
        writer, process = self._writer, self._process
        self._writer = self._reader = self._process = None
        self._asked = False
        if writer is not None:
            writer.transport.abort()
        if process is not None:
            process.kill()
            # Its end may have to wait for the library's system call, and we may not.
            threading.Thread(target=process.wait, name=f"reap {self._resource}", daemon=True).start()

    async def _next(self) -> bytes:
        """The payload of the child's next message. Raises OSError where it is a failure, EOFError where it is gone."""
        assert self._reader is not None
        try:
            kind, size = HEAD.unpack(await self._reader.readexactly(HEAD.size))
            payload = await self._reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise EOFError("the VISA process is gone") from error
        if kind == FAILED:
            raise OSError(5, payload.decode("utf-8", "replace"))
        return payload
