"""The driver's side of the Ocean Binary Protocol: a request to bytes, and bytes to an answer or to a sentence.

No I/O here. A message is a header of 44 bytes, a payload and a trailer of 20, little-endian; up to 16 bytes of payload
travel inside the header. Facts and how sure they are: README.md.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

_HEADER: Final = struct.Struct("<HHHHII6sBB16sI")
_TRAILER: Final = struct.Struct("<16sI")
HEADER_BYTES: Final = _HEADER.size
TRAILER_BYTES: Final = _TRAILER.size
_START, _VERSION, _END = 0xC0C1, 0x1100, 0xC2C3C4C5
_IN_HEADER: Final = 16
RESPONSE, ACK, REQUEST_ACK, NACK, EXCEPTION, DEPRECATED = 1, 2, 4, 8, 16, 32
_OF_REPLIES: Final = RESPONSE | ACK | NACK | EXCEPTION | DEPRECATED
NO_CHECKSUM, MD5 = 0, 1
UNKNOWN_TYPE, NO_SUCH_INFORMATION, DEFERRED = 2, 12, 255
ERRORS: Final = {
    1: "protocol not supported", 2: "unknown message type", 3: "bad checksum", 4: "message too large",
    5: "payload of the wrong length", 6: "payload with invalid data", 7: "not ready for this",
    8: "unknown checksum type", 9: "it was reset unexpectedly", 10: "commands came from too many buses",
    11: "out of memory", 12: "there is no such information", 13: "internal error", 255: "deferred",
}  # fmt: skip


class Forbidden(ValueError):
    """Bytes that the protocol's grammar does not have."""


@dataclass(frozen=True, slots=True)
class Head:
    """A reply's header. `immediate` is the payload that travelled inside it; `remaining` counts payload and trailer."""

    flags: int
    error: int
    kind: int
    regarding: int
    checksum: int
    immediate: bytes
    remaining: int


def request(kind: int, payload: bytes = b"", *, regarding: int, ack: bool, md5: bool) -> bytes:
    """A whole request. `ack` asks for an acknowledgement; `md5` seals it."""
    inside = payload if len(payload) <= _IN_HEADER else b""
    outside = b"" if len(payload) <= _IN_HEADER else payload
    header = _HEADER.pack(
        _START, _VERSION, REQUEST_ACK if ack else 0, 0, kind, regarding, b"", MD5 if md5 else NO_CHECKSUM,
        len(inside), inside, len(outside) + TRAILER_BYTES,
    )  # fmt: skip
    body = header + outside
    return body + _TRAILER.pack(hashlib.md5(body, usedforsecurity=False).digest() if md5 else b"", _END)


def head(raw: bytes, *, longest: int) -> Head:
    """The header in 44 bytes. Raises Forbidden, for a payload of more than `longest` bytes too."""
    start, version, flags, error, kind, regarding, _, checksum, inside, immediate, remaining = _HEADER.unpack(raw)
    if start != _START:
        raise Forbidden(f"it begins with {raw[:2].hex(' ')}, where a message begins with c1 c0")
    if version != _VERSION:
        raise Forbidden(f"it is of protocol version {version:#06x}, where {_VERSION:#06x} is spoken")
    if flags & ~_OF_REPLIES or (flags & ACK and flags & NACK):
        raise Forbidden(f"its flags are {flags:#06x}, which no reply has")
    if checksum not in (NO_CHECKSUM, MD5):
        raise Forbidden(f"its checksum is of type {checksum}; there are 0 and 1")
    if inside > _IN_HEADER:
        raise Forbidden(f"it says that {inside} bytes stand in the header, which has room for {_IN_HEADER}")
    if not TRAILER_BYTES <= remaining <= TRAILER_BYTES + longest:
        raise Forbidden(
            f"it says that {remaining} bytes follow, where {TRAILER_BYTES} to {TRAILER_BYTES + longest} may"
        )
    if inside and remaining > TRAILER_BYTES:
        raise Forbidden("it has a payload both in the header and behind it")
    if error and not flags & (NACK | EXCEPTION) and error != DEFERRED:
        raise Forbidden(f"it has error {error}, and no flag that says so")
    return Head(flags, error, kind, regarding, checksum, immediate[:inside], remaining)


def payload(header: Head, raw: bytes, rest: bytes) -> bytes:
    """The payload, once the `remaining` bytes have come; `raw` is the header as it came. Raises Forbidden."""
    checksum, end = _TRAILER.unpack(rest[-TRAILER_BYTES:])
    if end != _END:
        raise Forbidden(f"it ends with {rest[-4:].hex(' ')}, where a message ends with c5 c4 c3 c2")
    outside = rest[:-TRAILER_BYTES]
    if header.checksum == MD5 and hashlib.md5(raw + outside, usedforsecurity=False).digest() != checksum:
        raise Forbidden("its checksum does not fit")
    return header.immediate or outside
