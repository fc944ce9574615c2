"""Bytes to a library that may block for as long as it likes: it lives in a process of its own, and is killed there.

The parent's side of `visa_process` and `seabreeze_process`. A message is one letter, four bytes of length, a payload.
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
from typing import Any, Final

HEAD: Final = struct.Struct(">cI")  # what it is, and how many bytes follow
WRITE, READ, OPENED, DATA, FAILED = b"W", b"R", b"O", b"D", b"E"


class ChildTransport:
    """A transport whose other end is `python -m module FD JSON`. Closing it kills the child: whatever it held is free
    again, at the price of a third of a second to start another.

    asked   what the child is told to hold, as JSON; what: its name, for threads and messages
    """

    def __init__(self, module: str, asked: Mapping[str, Any], *, what: str, reopening_cleans: bool) -> None:
        self._module, self._told, self._what = module, json.dumps(asked), what
        self.reopening_cleans = reopening_cleans
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._asked = False

    async def open(self) -> None:
        """Start the child and let it open what it is to hold. Raises OSError with what the library said."""
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", self._module, str(theirs.fileno()), self._told,
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
            threading.Thread(target=process.wait, name=f"reap {self._what}", daemon=True).start()

    async def _next(self) -> bytes:
        """The payload of the child's next message. Raises OSError where it is a failure, EOFError where it is gone."""
        assert self._reader is not None
        try:
            kind, size = HEAD.unpack(await self._reader.readexactly(HEAD.size))
            payload = await self._reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise EOFError(f"the process that held {self._what} is gone") from error
        if kind == FAILED:
            raise OSError(5, payload.decode("utf-8", "replace"))
        return payload
