"""What a file of one detector frame says: counts, mask, and how many frames were summed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.formats.errors import FormatError

MAX_PIXELS: Final = 64 * 10**6


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One frame, or the sum of the frames that a file holds.

    counts                (rows, columns), any real type; the sum over `frames` frames, so that Poisson's law holds
    mask                  (rows, columns) bool, True where a pixel holds no measurement
    frames                how many frames were summed
    saturation            counts per frame at which a pixel no longer counts, where the file says so
    wavelength_angstrom   where the file says so
    notes                 sentences on choices made while reading
    """

    path: Path
    counts: NDArray[Any]
    mask: NDArray[np.bool_]
    frames: int = 1
    saturation: float | None = None
    wavelength_angstrom: float | None = None
    notes: tuple[str, ...] = ()


def mask_of(image: NDArray[Any]) -> NDArray[np.bool_]:
    """(…) bool, True where the value itself says that nothing was measured: see the head of this module."""
    if image.dtype.kind == "u":
        return np.asarray(image == np.iinfo(image.dtype).max)
    if image.dtype.kind == "i":
        return np.asarray(image < 0)
    return np.asarray(~np.isfinite(image))


def require_pixels(path: Path, shape: tuple[int, ...], kind: str, where: str = "the image") -> None:
    """Refuse what is no plane of numbers of a bearable size, before it is read. Raises FormatError."""
    if kind not in "iuf":
        raise FormatError(path, f"{where} holds no plain numbers (type kind {kind!r})")
    if len(shape) != 2 or min(shape, default=0) < 2:
        raise FormatError(path, f"{where} has shape {shape}; a frame is a plane of rows and columns")
    if shape[0] * shape[1] > MAX_PIXELS:
        raise FormatError(
            path, f"{where} has {shape[0]} x {shape[1]} pixels; frames are read up to {MAX_PIXELS // 10**6} million"
        )
