"""Bytes over a serial line: pyserial opens and sets the port, the loop waits on its file descriptor.

Opening may block for as long as the operating system likes, so it happens in a thread that can be abandoned; a port
that opens after nobody waits for it any more is closed there and then.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from typing import Any

PSEUDO_TERMINALS = "/dev/pts/"


class SerialTransport:
    """A serial port, locked against other programs. Reopening it does not help: a late reply arrives all the same."""

    reopening_cleans = False

    def __init__(self, path: str, settings: Mapping[str, str]) -> None:
        self._path = path
        self._settings: dict[str, Any] = {
            "baudrate": int(settings.get("baud", "9600")),
            "bytesize": int(settings.get("bytesize", "8")),
            "parity": settings.get("parity", "N"),
            "stopbits": float(settings.get("stopbits", "1")),
        }
        self._port: Any = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Any] = loop.create_future()

        def hand_over(port: Any, error: Exception | None) -> None:
            if opened.done():
                if port is not None:
                    port.close()
            elif error is not None:
                opened.set_exception(error)
            else:
                opened.set_result(port)

        def work() -> None:
            port, failure = None, None
            try:
                port = _open(self._path, self._settings)
            except Exception as error:  # handed over whole: it is raised where it is awaited
                failure = error
            try:
                loop.call_soon_threadsafe(hand_over, port, failure)
            except RuntimeError:  # the loop is gone
                if port is not None:
                    port.close()

        threading.Thread(target=work, name=f"open {self._path}", daemon=True).start()
        try:
            self._port = await opened
        except ValueError as error:  # pyserial's word for settings that the port does not take
            raise OSError(22, str(error)) from error
        os.set_blocking(self._port.fileno(), False)

    async def write(self, data: bytes) -> None:
        if self._port is None:
            raise BrokenPipeError(32, "not open")
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._port.fileno(), view) :]
            except BlockingIOError:
                await self._ready(writing=True)

    async def read(self) -> bytes:
        # Readiness first: a port that pyserial has set up gives b"" both when nothing is there yet and when it is gone.
        while self._port is not None:
            await self._ready(writing=False)
            if self._port is None:
                break
            try:
                return os.read(self._port.fileno(), 65536)
            except BlockingIOError:
                continue
            except OSError:  # EIO: the other side of a pseudo-terminal is gone, or the adapter was pulled
                return b""
        return b""

    def waiting(self) -> bool:
        try:
            return self._port is not None and self._port.in_waiting > 0
        except OSError:  # the port is gone: whoever reads next is told
            return False

    def close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            loop = asyncio.get_running_loop() if _running() else None
            if loop is not None:
                loop.remove_reader(port.fileno())
                loop.remove_writer(port.fileno())
            port.close()

    async def _ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        port = self._port
        fd = port.fileno()
        ready: asyncio.Future[None] = loop.create_future()
        add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        add(fd, lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
        finally:
            if self._port is port:  # else it was closed meanwhile, and the number may belong to another file
                remove(fd)


def _running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _open(path: str, settings: dict[str, Any]) -> Any:
    import termios

    import serial

    if path.startswith(PSEUDO_TERMINALS):
        # Nothing is framed there, and the system refuses 7 bits and parity on it: a simulator's line, or a test's.
        settings = settings | {"bytesize": 8, "parity": "N"}
    try:
        return serial.Serial(path, timeout=0, write_timeout=0, exclusive=True, **settings)
    except termios.error as error:  # not an OSError, for no reason but history
        raise OSError(error.args[0], f"the port does not take these settings: {error.args[-1]}") from error
