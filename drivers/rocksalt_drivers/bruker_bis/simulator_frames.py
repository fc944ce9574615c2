"""SFRM files as a BIS writes them, format 100: header, pixels of one byte, tables of what did not fit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

HEADER_BLOCKS = 15
END = b"\x1a\x04"
AT = {
    0: "FORMAT", 1: "VERSION", 2: "HDRBLKS", 3: "TYPE", 4: "SITE", 5: "MODEL", 6: "USER", 7: "SAMPLE", 19: "NCOUNTS",
    20: "NOVERFL", 21: "MINIMUM", 22: "MAXIMUM", 25: "FILENAM", 26: "CREATED", 27: "CUMULAT", 28: "ELAPSDR",
    29: "ELAPSDA", 32: "RANGE", 33: "START", 34: "INCREME", 35: "NUMBER", 36: "NFRAMES", 37: "ANGLES", 39: "NPIXELB",
    40: "NROWS", 41: "NCOLS", 42: "WORDORD", 43: "LONGORD", 44: "TARGET", 45: "SOURCEK", 46: "SOURCEM", 47: "FILTER",
    52: "LOWTEMP", 54: "CENTER", 55: "DISTANC", 58: "LINEAR", 63: "WAVELEN", 65: "AXIS", 66: "ENDING", 78: "DETTYPE",
    79: "NEXP", 80: "CCDPARM", 86: "DARK",
}  # fmt: skip


def sfrm(counts: NDArray[np.uint32], facts: Mapping[str, str], *, baseline: int) -> bytes:
    """One frame as a file's bytes. counts: (rows, columns). baseline: what is taken off each pixel, -1 for none.

    Pixels at or below the baseline are stored as 0, with their value in the table of underflows.
    """
    rows, columns = counts.shape
    flat = np.minimum(counts, np.uint32(2**31 - 1)).astype(np.int64).ravel()
    values, under = flat, np.empty(0, np.int64)
    if baseline >= 0:
        low = flat <= baseline
        under = flat[low]
        values = np.where(low, 0, flat - baseline)
    over_1 = values[values >= 255]
    over_2 = over_1[over_1 >= 65535]
    pixels = np.minimum(values, 255).astype("<u1")
    wide = 1 if baseline < 128 else 2
    header = {
        **facts,
        "FORMAT": "100", "VERSION": "11", "HDRBLKS": str(HEADER_BLOCKS), "TYPE": "SCAN FRAME",
        "NCOUNTS": str(int(flat.sum())), "MINIMUM": str(int(flat.min())), "MAXIMUM": str(int(flat.max())),
        "NOVERFL": _columns(len(under) if baseline >= 0 else -1, len(over_1), len(over_2)),
        "NPIXELB": _columns(1, wide), "NROWS": str(rows), "NCOLS": str(columns),
        "WORDORD": "0", "LONGORD": "0", "LINEAR": "1.0 0.0", "NEXP": _columns(1, 0, max(baseline, 0), 0, 0),
    }  # fmt: skip
    return b"".join(
        (
            _header(header),
            pixels.tobytes(),
            _padded(under.astype(f"<u{wide}").tobytes()),
            _padded(np.minimum(over_1, 65535).astype("<u2").tobytes()),
            _padded(over_2.astype("<u4").tobytes()),
        )
    )


def _header(values: Mapping[str, str]) -> bytes:
    """Lines of 80 bytes; those that the notes do not name stay blank. Ctrl-Z and Ctrl-D end the padding."""
    lines = [f"{AT[at]:<7}:{values.get(AT[at], '')[:72]:<72}" if at in AT else " " * 80 for at in range(max(AT) + 1)]
    text = "".join(lines).encode("ascii", "replace")
    return text.ljust(HEADER_BLOCKS * 512 - len(END), b".") + END


def _columns(*numbers: int) -> str:
    width = 72 // len(numbers)
    return "".join(f"{number:<{width}d}" for number in numbers)


def _padded(table: bytes) -> bytes:
    return table + b"\0" * (-len(table) % 16)
