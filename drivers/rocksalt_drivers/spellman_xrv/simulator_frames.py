"""Frames as a generator hears and says them: STX, fields with a comma after each, a check byte on serial, ETX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

RECEIVED_BADLY = "1"
LONGEST_FRAME = 1024


class Box(Protocol):
    """Whose frames they are. `port`: "serial" wants check bytes, "tcp" none, "auto" does as its client."""

    port: str

    def respond(self, command: str, arguments: list[str]) -> list[str]: ...

    def left(self) -> None: ...


class FrameSession:
    """One client's conversation: gathers bytes into frames, answers each. What stands outside a frame is nothing."""

    def __init__(self, box: Box, send: Callable[[bytes], None]) -> None:
        self._box, self._send = box, send
        self._frame: bytearray | None = None

    def receive(self, data: bytes) -> None:
        for byte in data:
            if byte == 2:
                self._frame = bytearray()
            elif byte == 3 and self._frame is not None:
                frame, self._frame = bytes(self._frame), None
                self._answer(frame)
            elif self._frame is not None:
                self._frame.append(byte)
                if len(self._frame) > LONGEST_FRAME:
                    self._frame = None

    def _answer(self, frame: bytes) -> None:
        checked = self._box.port == "serial" or (self._box.port == "auto" and not frame.endswith(b","))
        text = frame[:-1] if checked else frame
        sound = text.endswith(b",") and text.isascii() and (not checked or frame[-1] == _check(text))
        fields = text.decode("ascii", "replace").split(",")[:-1]
        if not sound:
            number = fields[0] if fields and fields[0].isdigit() else "0"
            if checked:
                self._send(framed([number, RECEIVED_BADLY], checked))
            return
        self._send(framed(self._box.respond(fields[0], fields[1:]), checked))

    def closed(self) -> None:
        self._frame = None
        self._box.left()


def framed(fields: list[str], checked: bool) -> bytes:
    """STX, the fields with a comma after each, the check byte of a serial line, ETX."""
    text = "".join(field + "," for field in fields).encode("ascii")
    return b"\x02" + text + (bytes([_check(text)]) if checked else b"") + b"\x03"


def _check(text: bytes) -> int:
    """256 minus the sum, its low seven bits, with bit 6 set."""
    return (0x100 - sum(text) % 0x100) % 0x80 | 0x40
