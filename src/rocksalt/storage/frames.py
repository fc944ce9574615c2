"""Frame files: the detector's compressed chunks as they came, readable by others (SWMR) from the first frame on.

A file is made new, written once, and never opened again for writing. Imported by the writer alone: it needs h5py.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from rocksalt.devices.stream import Encoding
from rocksalt.time import Crashed, current_node, door

DATA: Final = "/entry/data/data"
NAME: Final = re.compile(r"frames_(\d{6})\.h5")
FRAMES_PER_FILE: Final = 2000
PROBE_BYTES: Final = 4 << 20
COLUMN_CHUNK: Final = 256
COLUMNS: Final[tuple[tuple[str, str, str], ...]] = (
    ("number", "<i8", ""),
    ("measurement", "<i8", ""),
    ("series", "<i8", ""),
    ("image", "<i8", ""),
    ("exposure_s", "<f8", "s"),
    ("ended_s", "<f8", "s"),
    ("sha256", "S64", ""),
    ("saturation_value", "<i8", "counts"),
)
MASK: Final = "/entry/instrument/detector/pixel_mask"


_broken: list[FrameFile] = []
"""Files that the disk refused. HDF5 writes on when such a file is closed or forgotten, and dies of it (segmentation
fault, HDF5 2.0.0 by h5py 3.16.0 under RLIMIT_FSIZE): so they are neither, and lie as they lay."""


def broken_files() -> int:
    """How many files could not be let go of. A process that has some must leave by os._exit, past HDF5's farewell."""
    return len(_broken)


def disk_takes(run_folder: Path) -> None:
    """Write, synchronise and remove PROBE_BYTES beside the frames, without HDF5. Raises OSError as the disk does."""
    door()
    probe = run_folder / "frames" / ".probe"
    try:
        with probe.open("wb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


class FrameFile:
    """One new file `frames/frames_NNNNNN.h5` of frames of one shape, type and encoding.

    Layout: /entry/data is an NXdata whose signal `data` is (n, rows, columns), a chunk a frame; beside it one column a
    frame of number, measurement, series, image, exposure_s, ended_s and the sha256 of the chunk. A frame counts when
    all of them have it. The format is held to HDF5 1.10's, the oldest that knows SWMR, so that any reader of today
    opens it. A file takes frames of many series, up to FRAMES_PER_FILE: a night of short ones isn't a thousand files.
    """

    def __init__(
        self, run_folder: Path, shape: tuple[int, int], dtype: np.dtype[Any], encoding: Encoding,
        mask: NDArray[np.uint32] | None = None,
    ) -> None:  # fmt: skip
        """`mask` is the detector's own for these frames, (rows, columns), where it told one.

        Raises OSError when the file cannot be made; an existing one is never opened: the next number is taken."""
        door()
        self.shape, self.dtype, self.encoding, self.mask = shape, dtype, encoding, mask
        folder = run_folder / "frames"
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"frames_{_next_number(folder):06d}.h5"
        self.file = self._path.relative_to(run_folder).as_posix()
        self.frames = 0
        self._node = current_node()
        self._open = True
        self._h5 = h5py.File(self._path, "x", libver=("v110", "v110"))
        try:
            self._data, self._columns = self._lay_out()
            self._h5.flush()
            self._h5.swmr_mode = True
        except (OSError, RuntimeError, ValueError):
            _broken.append(self)
            self._path.unlink(missing_ok=True)
            raise

    def _lay_out(self) -> tuple[h5py.Dataset, tuple[h5py.Dataset, ...]]:
        """Everything that has a name is made here: once SWMR is on, nothing can be added."""
        root = self._h5
        root.attrs["NX_class"], root.attrs["default"] = "NXroot", "entry"
        entry = root.create_group("entry")
        entry.attrs["NX_class"], entry.attrs["default"] = "NXentry", "data"
        group = entry.create_group("data")
        group.attrs["NX_class"], group.attrs["signal"], group.attrs["axes"] = "NXdata", "data", ["number", ".", "."]
        group.attrs["number_indices"] = 0
        data = group.create_dataset(
            "data",
            shape=(0, *self.shape),
            maxshape=(None, *self.shape),
            chunks=(1, *self.shape),
            dtype=self.dtype,
            **_filter(self.encoding),
        )
        data.attrs["interpretation"], data.attrs["long_name"], data.attrs["units"] = "image", "counts", "counts"
        columns = []
        for name, kind, unit in COLUMNS:
            column = group.create_dataset(name, shape=(0,), maxshape=(None,), chunks=(COLUMN_CHUNK,), dtype=kind)
            if unit:
                column.attrs["units"] = unit
            columns.append(column)
        if self.mask is not None:  # where NXdetector has it, and any program looks for it
            instrument = entry.create_group("instrument")
            instrument.attrs["NX_class"] = "NXinstrument"
            detector = instrument.create_group("detector")
            detector.attrs["NX_class"] = "NXdetector"
            detector.create_dataset(
                "pixel_mask", data=self.mask, chunks=self.mask.shape, compression="gzip", compression_opts=1
            )
        return data, tuple(columns)

    def takes(
        self, shape: tuple[int, int], dtype: np.dtype[Any], encoding: Encoding, mask: NDArray[np.uint32] | None = None
    ) -> bool:
        """Whether another frame of this kind belongs in this file. A mask is known by its identity; None fits any."""
        alike = (shape, dtype, encoding) == (self.shape, self.dtype, self.encoding)
        return self.frames < FRAMES_PER_FILE and alike and (mask is None or mask is self.mask)

    def append(
        self, chunk: memoryview, *, number: int, measurement: int, series: int, image: int, exposure_s: float,
        ended_s: float, sha256: str, saturation_value: int = 0,
    ) -> int:  # fmt: skip
        """Write one frame and flush it to the operating system; returns its index in the file.

        A pixel is saturated from saturation_value counts on; 0 where that was not told.

        Raises OSError (or RuntimeError, as h5py has it) when the disk refuses. The frame is then not in the file, and
        the file is never touched again: what it holds stays readable, as after a death of the process.
        """
        door()
        index = self.frames
        values = (number, measurement, series, image, exposure_s, ended_s, sha256.encode("ascii"), saturation_value)
        try:
            self._data.resize(index + 1, axis=0)
            self._data.id.write_direct_chunk((index, 0, 0), chunk)
            for column, value in zip(self._columns, values, strict=True):
                _append_value(column.id, index, np.array([value], column.dtype))
            self._h5.flush()
        except (OSError, RuntimeError, ValueError):
            _broken.append(self)
            raise
        self.frames = index + 1
        return index

    def sync(self) -> None:
        """Have the operating system put on the disk what was flushed: what survives a loss of power."""
        door()
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def abandon(self) -> None:
        """Let go as a death of the process would: not a byte reaches the disk from here on, and HDF5 forgets the file.

        For a crash in virtual time. What HDF5 writes in closing goes to memory that nobody keeps.
        """
        self._open = False
        nowhere = os.memfd_create("abandoned")
        try:
            os.dup2(nowhere, self._h5.id.get_vfd_handle())
        finally:
            os.close(nowhere)
        self._h5.close()

    def close(self) -> None:
        """Close the file for good; from here on plain h5py opens it. Raises as `append` does."""
        try:
            door()
        except Crashed:
            self.abandon()
            raise
        self._open = False
        self._h5.close()
        self.sync()

    def __del__(self) -> None:
        """A file that a dead node still held is not closed by being forgotten: HDF5 would tidy up what lies there."""
        node = getattr(self, "_node", None)
        if node is not None and node.dead and self._open and self not in _broken:
            self.abandon()


_ONE: Final = h5py.h5s.create_simple((1,))


def _append_value(column: h5py.h5d.DatasetID, index: int, value: np.ndarray[Any, Any]) -> None:
    """`resize` and assignment, by h5py's lower floor: they stand beside every frame, and are four times as fast so."""
    column.set_extent((index + 1,))
    space = column.get_space()
    space.select_hyperslab((index,), (1,))
    column.write(_ONE, space, value)


def _next_number(folder: Path) -> int:
    taken = [int(match[1]) for path in folder.iterdir() if (match := NAME.fullmatch(path.name))]
    return max(taken, default=0) + 1


def _filter(encoding: Encoding) -> dict[str, Any]:
    """The HDF5 filter that undoes the wire's encoding. Block sizes stand in each chunk, so the defaults will do."""
    if encoding == "bslz4":
        return dict(hdf5plugin.Bitshuffle(cname="lz4"))
    if encoding == "lz4":
        return dict(hdf5plugin.LZ4())
    return {}
