"""The simulated detector's monitor: a small buffer of images, read one by one over HTTP as TIFF.

Written from the manual's facts in README.md. The private IFD (tag 51192) has no content that is known here: left out.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from numpy.typing import NDArray

DEFAULT_WAIT_MS: Final = 500.0
LONGEST_WAIT_MS: Final = 60_000.0


@dataclass(frozen=True, slots=True)
class Kept:
    series: int
    image: int
    pixels: NDArray[Any]


class Monitor:
    """Images in, TIFF files out. `keys` are the module's own: mode, buffer_size, discard_new."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        self.keys = keys
        self.dropped = 0
        self.overflowed = False
        self._kept: deque[Kept] = deque()
        self._came = asyncio.Event()

    def show(self, series: int, image: int, pixels: NDArray[Any]) -> None:
        if self.keys["mode"].value != "enabled":
            return
        if len(self._kept) >= self.keys["buffer_size"].value:
            self.dropped += 1
            self.overflowed = True
            if self.keys["discard_new"].value:
                return
            self._kept.popleft()
        self._kept.append(Kept(series, image, pixels))
        self._came.set()

    def clear(self) -> None:
        self._kept.clear()
        self.dropped, self.overflowed = 0, False

    def status(self) -> dict[str, Any]:
        size = self.keys["buffer_size"].value
        return {
            "state": "overflow" if self.overflowed else "normal", "dropped": self.dropped,
            "buffer_fill_level": [len(self._kept), size], "buffer_free": size - len(self._kept),
        }  # fmt: skip

    def listed(self) -> list[list[Any]]:
        """[[series, [images]], …]."""
        found: dict[int, list[int]] = {}
        for kept in self._kept:
            found.setdefault(kept.series, []).append(kept.image)
        return [[series, images] for series, images in found.items()]

    async def get(self, which: str, query: str) -> tuple[int, bytes]:
        """HTTP status and body of images/`which`: monitor (the newest), next (the oldest, taken away), series/image."""
        if which not in ("monitor", "next"):
            return self._one(which)
        try:
            wait_ms = float(parse_qs(query).get("timeout", [str(DEFAULT_WAIT_MS)])[0])
        except ValueError:
            return 400, b"timeout is a number of milliseconds"
        try:
            async with asyncio.timeout(min(max(wait_ms, 0.0), LONGEST_WAIT_MS) / 1000):
                while not self._kept:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            return 408, b"no image"
        kept = self._kept[-1] if which == "monitor" else self._kept.popleft()
        return 200, tiff(kept.pixels)

    def _one(self, which: str) -> tuple[int, bytes]:
        for kept in self._kept:
            if which in (f"{kept.series}/{kept.image}", f"{kept.series}/{kept.image}/1"):
                return 200, tiff(kept.pixels)
        return 404, f"images/{which} does not exist".encode()


def tiff(pixels: NDArray[Any]) -> bytes:
    """Little-endian TIFF 6.0, one uncompressed strip of unsigned integers."""
    rows, columns = pixels.shape
    bits, data = 8 * pixels.dtype.itemsize, pixels.astype(f"<u{pixels.dtype.itemsize}").tobytes()
    tags = (
        (256, columns), (257, rows), (258, bits), (259, 1), (262, 1), (273, 0), (277, 1), (278, rows), (279, len(data)),
        (339, 1),
    )  # fmt: skip
    begins = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, begins if tag == 273 else value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data
