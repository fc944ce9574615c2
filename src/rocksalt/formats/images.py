"""Detector frames on disk: .tif .tiff .cbf by fabio, .h5 .hdf5 .nxs by h5py, as counts and a mask.

A pixel is masked where an integer image is negative (gaps and dead pixels of Pilatus files) and where an unsigned one
is at the largest value of its type (gaps and dead pixels of Eiger files, saturation of CCDs).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from rocksalt.formats.errors import FormatError
from rocksalt.formats.image_file import ImageFile, mask_of, require_pixels
from rocksalt.formats.text import require_file

MAX_IMAGE_BYTES: Final = 512 * 2**20
MAX_HDF5_BYTES: Final = 64 * 2**30  # only what is asked for is read
FABIO_SUFFIXES: Final = (".tif", ".tiff", ".cbf")
HDF5_SUFFIXES: Final = (".h5", ".hdf5", ".nxs")
IMAGE_SUFFIXES: Final = FABIO_SUFFIXES + HDF5_SUFFIXES


def read_image(path: Path | str, *, dataset: str | None = None) -> ImageFile:
    """Read a frame by its suffix; `dataset` is a path inside an HDF5 file. Raises FormatError."""
    path = Path(path)
    suffix = path.suffix.lower()
    require_file(path, max_bytes=MAX_HDF5_BYTES if suffix in HDF5_SUFFIXES else MAX_IMAGE_BYTES)
    if suffix in HDF5_SUFFIXES:
        from rocksalt.formats.hdf5 import read_hdf5  # h5py is loaded for HDF5 alone

        return read_hdf5(path, dataset)
    if suffix not in FABIO_SUFFIXES:
        raise FormatError(path, f"the suffix {suffix!r} is not known; frames end in {', '.join(IMAGE_SUFFIXES)}")
    if dataset is not None:
        raise FormatError(
            path, f"--dataset names a path inside an HDF5 file, and a {suffix} file has none; leave it out"
        )
    return _read_fabio(path)


def _read_fabio(path: Path) -> ImageFile:
    import fabio

    try:
        with _quiet("fabio"), fabio.open(str(path)) as handle:
            frames = int(handle.nframes)
            data = np.array(handle.data)
            header = {str(key): str(value) for key, value in dict(handle.header).items()}
    except Exception as error:  # fabio and the codecs beneath it raise whatever they meet first in a broken file
        raise FormatError(
            path, f"no readable {path.suffix.lower()} image: {str(error) or type(error).__name__}"
        ) from error
    require_pixels(path, data.shape, data.dtype.kind)
    notes = (f"the first of {frames} images in the file was taken",) if frames > 1 else ()
    return ImageFile(path, data, mask_of(data), saturation=_cutoff(header), notes=notes)


def _cutoff(header: dict[str, str]) -> float | None:
    """Dectris writes "Count_cutoff 1097223 counts" into the header, in TIFF as an item and in CBF as a comment line."""
    text = "\n".join(f"{key} {value}" for key, value in header.items())
    match = re.search(r"count_cutoff\W+(\d{1,12})\b", text, re.IGNORECASE)
    return float(match[1]) if match else None


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Readers log what they dislike in a tag and go on; what matters comes as an exception or in the pixels."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
