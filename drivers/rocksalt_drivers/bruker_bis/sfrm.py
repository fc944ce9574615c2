"""SFRM frame files as BIS writes them: how long one must be, by its own head, and its pixels, read by fabio.

Facts in README.md. Every size that the file announces is held against the station's shape before it is used.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LINE, BLOCK = 80, 512
LEAST_BLOCKS: Final = 10
"""HDRBLKS is a multiple of five, and the lines down to NCOLS, the forty-second, need more than five blocks."""
HEAD: Final = LEAST_BLOCKS * BLOCK
MOST_BLOCKS: Final = 100
_WHOLE: Final = re.compile(r"-?\d{1,15}")


class BadFrame(ValueError):
    """A file that is no frame of this detector; the text says why."""


@dataclass(frozen=True, slots=True)
class SfrmFrame:
    """One frame of BIS.

    counts        (rows, columns) int32
    exposure_s    as the file's ELAPSDA says; None where it does not
    angles_deg    2theta, omega, phi, chi; None where the file does not say
    """

    counts: NDArray[np.int32]
    exposure_s: float | None
    angles_deg: tuple[float, float, float, float] | None


def largest(shape: tuple[int, int]) -> int:
    """Bytes that no frame of this shape exceeds: four a pixel, and each table with an entry for every pixel."""
    return MOST_BLOCKS * BLOCK + shape[0] * shape[1] * (4 + 4 + 2 + 4) + 3 * 16


def length(head: bytes, shape: tuple[int, int]) -> int:
    """Bytes of the whole file, by its first HEAD bytes. Raises BadFrame."""
    fields = _fields(head)
    (version,) = _whole(fields, "FORMAT", 1)
    if version != 100:
        raise BadFrame(f"FORMAT is {version}: frames of format 100 are read")
    (blocks,) = _whole(fields, "HDRBLKS", 1)
    if not LEAST_BLOCKS <= blocks <= MOST_BLOCKS or blocks % 5:
        raise BadFrame(f"HDRBLKS is {blocks}: a multiple of 5 from {LEAST_BLOCKS} to {MOST_BLOCKS} was expected")
    rows, columns = _whole(fields, "NROWS", 1)[0], _whole(fields, "NCOLS", 1)[0]
    if (rows, columns) != shape:
        raise BadFrame(f"it has {rows} rows of {columns} pixels; the station file says shape = {list(shape)}")
    pixel, underflow = _whole(fields, "NPIXELB", 2)
    under, over_1, over_2 = _whole(fields, "NOVERFL", 3)
    if pixel not in (1, 2, 4) or underflow not in (1, 2):
        raise BadFrame(f"NPIXELB is {pixel} {underflow}: bytes a pixel are 1, 2 or 4, and a byte or two an underflow")
    if max(under, over_1, over_2) > rows * columns or min(over_1, over_2) < 0 or under < -1:
        raise BadFrame(f"NOVERFL is {under} {over_1} {over_2}, of {rows * columns} pixels")
    tables = ((max(under, 0), underflow), (over_1, 2), (over_2, 4))
    return blocks * BLOCK + rows * columns * pixel + sum(-(-count * size // 16) * 16 for count, size in tables)


def read_frame(path: Path, shape: tuple[int, int], *, sums: bool = True) -> SfrmFrame:
    """Read a whole frame: pixels by fabio. Blocks, so that it is not for the daemon's loop. Links are not followed.

    sums   sum, minimum and maximum must be those of the header (that they are so on real files is unconfirmed)

    Raises BadFrame, OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BadFrame(f"{path.name} is no plain file")
        data = file.read(largest(shape) + 1)
    return frame_of(data, shape, sums=sums)


def frame_of(data: bytes, shape: tuple[int, int], *, sums: bool = True) -> SfrmFrame:
    """The frame in the bytes of a file. Raises BadFrame, and nothing else, for whatever bytes."""
    if len(data) < HEAD or len(data) > largest(shape):
        raise BadFrame(f"{len(data)} bytes: a frame of {shape[0]} x {shape[1]} has {HEAD} to {largest(shape)}")
    needed = length(data[:HEAD], shape)
    if len(data) < needed:
        raise BadFrame(f"it is cut: {len(data)} of {needed} bytes")
    fields = _fields(data[:HEAD])
    from fabio.bruker100image import Bruker100Image

    try:
        counts = np.asarray(Bruker100Image().read(io.BytesIO(data[:needed])).data)
    except Exception as error:  # fabio raises whatever its parsing ran into
        raise BadFrame(f"fabio can't read it: {type(error).__name__}: {error}") from None
    if counts.shape != shape:
        raise BadFrame(f"fabio reads {counts.shape} pixels, of {shape}")
    for name, found in (("NCOUNTS", int(counts.sum(dtype=np.int64))), ("MINIMUM", int(counts.min())),
                        ("MAXIMUM", int(counts.max()))):  # fmt: skip
        if sums and name in fields and (said := _whole(fields, name, 1)[0]) != found:
            raise BadFrame(f"{name} says {said}, and its pixels give {found}")
    return SfrmFrame(counts.astype(np.int32), _seconds(fields), _angles(fields))


def _fields(head: bytes) -> dict[str, str]:
    """Names and values of the header's lines; of a name that comes again, the first."""
    fields: dict[str, str] = {}
    for start in range(0, len(head) - LINE + 1, LINE):
        line = head[start : start + LINE].decode("latin-1")
        name, colon, value = line[:7].strip(), line[7], line[8:]
        if colon == ":" and name:
            fields.setdefault(name, value.strip())
    return fields


def _whole(fields: Mapping[str, str], name: str, count: int) -> tuple[int, ...]:
    words = fields.get(name, "").split()[:count]
    if len(words) < count or not all(_WHOLE.fullmatch(word) for word in words):
        raise BadFrame(f"{name} is {fields.get(name, 'missing')[:40]!r}, where {count} whole numbers were expected")
    return tuple(int(word) for word in words)


def _seconds(fields: Mapping[str, str]) -> float | None:
    found = _floats(fields.get("ELAPSDA", ""))
    return found[0] if found else None


def _angles(fields: Mapping[str, str]) -> tuple[float, float, float, float] | None:
    match _floats(fields.get("ANGLES", "")):
        case [two_theta, omega, phi, chi, *_]:
            return two_theta, omega, phi, chi
    return None


def _floats(text: str) -> list[Any]:
    try:
        return [value for word in text.split() if np.isfinite(value := float(word))]
    except ValueError:
        return []
