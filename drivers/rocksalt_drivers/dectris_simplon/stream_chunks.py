"""Compressed pixels as both versions of the DECTRIS stream bring them: the framing, checked before anything unpacks it.

The framings are those of two HDF5 filters, so that a chunk goes to disk as it came; see README.md.
"""

from __future__ import annotations

import struct
from typing import Final

from rocksalt.devices.stream import BadMessage, Encoding

HEADER: Final = struct.Struct(">QI")  # bytes in all, bytes a block
WORD: Final = struct.Struct(">I")
LARGEST_BLOCK: Final = 1 << 30  # of HDF5 filter 32004; what exceeds it has to be cut


def check_chunk(what: str, data: bytes, encoding: Encoding, *, size: int, item: int) -> None:
    """That `data` holds exactly `size` bytes of elements of `item` bytes, as far as its framing tells.

    Raises BadMessage. Every length in it is looked at; nothing is unpacked, and nothing allocated.
    """
    if encoding == "raw":
        if len(data) != size:
            raise BadMessage(f"{what} has {len(data)} bytes; its shape and type have {size}")
        return
    if len(data) < HEADER.size:
        raise BadMessage(f"{what} is cut: {len(data)} bytes, and the header alone has {HEADER.size}")
    total, block = HEADER.unpack_from(data)
    if total != size:
        raise BadMessage(f"{what} announces {total} bytes; its shape and type have {size}")
    shuffled = encoding == "bslz4"
    if block == 0 or block > max(size, LARGEST_BLOCK) or (shuffled and block % (8 * item)):
        raise BadMessage(f"{what} has blocks of {block} bytes, which no {encoding} chunk of its type has")
    # Bit-shuffling takes groups of eight elements; what fills no group is left as it is behind the last block.
    packed = size - size % (8 * item) if shuffled else size
    blocks, longest = -(-packed // block), _lz4_bound(min(block, packed))
    at = HEADER.size
    for _ in range(blocks):
        if at + WORD.size > len(data):
            raise BadMessage(f"{what} is cut: {len(data)} bytes end before its {blocks} blocks do")
        length = WORD.unpack_from(data, at)[0]
        if not 0 < length <= longest:
            raise BadMessage(f"{what} has a block of {length} compressed bytes, where at most {longest} can be")
        at += WORD.size + length
    if at + size - packed != len(data):
        raise BadMessage(f"{what} has {len(data)} bytes; its {blocks} blocks say {at + size - packed}")


def _lz4_bound(size: int) -> int:
    """The longest that LZ4 makes of `size` bytes (LZ4 block format: a byte more for each 255, and 16)."""
    return size + size // 255 + 16


def framed_lz4(what: str, block: bytes, size: int) -> bytes:
    """A bare LZ4 block of `size` bytes, in the framing of HDF5 filter 32004; nothing is compressed anew.

    Raises BadMessage where the block cannot be one of that size.
    """
    if size > LARGEST_BLOCK:
        raise BadMessage(f"{what} has {size} bytes, above {LARGEST_BLOCK}: one LZ4 block cannot be kept as a chunk")
    if not 0 < len(block) <= _lz4_bound(size):
        raise BadMessage(f"{what} has {len(block)} compressed bytes, where at most {_lz4_bound(size)} can be")
    if len(block) == size:  # in this framing a block as long as its content is the content
        block = unpack_lz4(what, block, size)
    return HEADER.pack(size, size) + WORD.pack(len(block)) + block


def unpack_lz4(what: str, block: bytes, size: int) -> bytes:
    """A bare LZ4 block -> exactly `size` bytes (LZ4 block format description). Raises BadMessage.

    For the one in many frames that `framed_lz4` cannot take as it is; slow, and never more than `size` bytes large.
    """
    out = bytearray()
    at = 0

    def extended(length: int) -> int:
        nonlocal at
        if length == 15:
            while True:
                more = block[at]
                at, length = at + 1, length + more
                if more != 255:
                    break
        return length

    try:
        while True:
            token = block[at]
            at += 1
            literals = extended(token >> 4)
            if at + literals > len(block) or len(out) + literals > size:
                raise IndexError
            out += block[at : at + literals]
            at += literals
            if at == len(block):
                break
            distance = block[at] | block[at + 1] << 8
            at += 2
            length = extended(token & 15) + 4
            if not 0 < distance <= len(out) or len(out) + length > size:
                raise IndexError
            pattern = out[-distance:][:length]
            out += (pattern * (length // len(pattern) + 1))[:length]
    except IndexError:
        raise BadMessage(f"{what} is no LZ4 block") from None
    if len(out) != size:
        raise BadMessage(f"{what} unpacks to {len(out)} bytes; its shape and type have {size}")
    return bytes(out)
