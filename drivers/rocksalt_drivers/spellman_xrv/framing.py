"""The frame that all families share, as the driver writes and reads it: STX text CS ETX, on TCP without CS.

The text is a command's number and its arguments, a comma after each.
"""

from __future__ import annotations

from typing import Final

STX, ETX = b"\x02", b"\x03"
LONGEST: Final = 512
"""Bytes of a reply's text: the longest that the manuals have, 27 flags, is 60."""


class BadFrame(ValueError):
    """Bytes that are no frame."""


def checksum(text: bytes) -> int:
    """Over all bytes after STX, the last comma included: two's complement of the sum, AND 0x7F, OR 0x40."""
    return -sum(text) & 0x7F | 0x40


def packed(command: tuple[str, ...], *, checked: bool) -> bytes:
    """A frame to send. ("10", "1024") on a serial line: STX `10,1024,@` ETX."""
    text = "".join(f"{part}," for part in command).encode("ascii")
    return STX + text + (bytes([checksum(text)]) if checked else b"") + ETX


def unpacked(inside: bytes, *, checked: bool) -> tuple[str, ...]:
    """What stands between STX and ETX, as number and fields. Raises BadFrame."""
    text = inside[:-1] if checked else inside
    if checked and (not inside or inside[-1] != checksum(text)):
        raise BadFrame("its checksum is wrong")
    if not text.endswith(b",") or any(not 0x20 <= byte < 0x7F for byte in text):
        raise BadFrame("it is no text that ends with a comma")
    return tuple(text[:-1].decode("ascii").split(","))
