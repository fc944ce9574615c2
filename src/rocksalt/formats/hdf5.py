"""Frames in HDF5 and NeXus: which dataset is meant, and nothing from outside the file's own folder.

The way to the data is @default from the root, then /entry/data/data (or data_000001 and so on), then the only plane or
stack of planes in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from rocksalt.formats.errors import FormatError
from rocksalt.formats.image_file import ImageFile, mask_of, require_pixels

MAX_FRAMES: Final = 200
"""A file of more frames is summed over this many, evenly spread: enough light for a pattern, and a bounded time."""

_MAX_OBJECTS: Final = 20_000
_MAX_DEPTH: Final = 16
_MIN_SIDE: Final = 16  # a table of numbers narrower than this is no detector
_DATA_PARTS: Final = re.compile(r"data_\d+")


def read_hdf5(path: Path, dataset: str | None) -> ImageFile:
    """The frame, or the sum of frames, of a dataset (rows, columns) or (frames, rows, columns). Raises FormatError."""
    import hdf5plugin  # noqa: F401  registers the bitshuffle and LZ4 filters that detectors write with

    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            inside = _Inside(path, path.resolve().parent)
            found = inside.chosen(file, dataset) if dataset is not None else inside.search(file)
            return _sum(path, file, found)
    except FormatError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, MemoryError) as error:
        raise FormatError(path, f"no readable HDF5 file: {error}") from error


@dataclass(frozen=True, slots=True)
class _Inside:
    """Walks a foreign file. Links are followed by hand, so that none leads out of `folder` unseen."""

    path: Path
    folder: Path

    def chosen(self, file: h5py.File, name: str) -> list[h5py.Dataset]:
        node = self._walk(file, name)
        if node is None:
            raise FormatError(self.path, f"there is no {name!r} in this file; {self._listing(file)}")
        if isinstance(node, h5py.Group):
            raise FormatError(self.path, f"{name!r} is a group; name a dataset in it: {self._listing(file)}")
        if not _frame_like(node):
            raise FormatError(
                self.path, f"{name!r} has shape {node.shape}; a frame has two dimensions, a stack of frames three"
            )
        return [node]

    def search(self, file: h5py.File) -> list[h5py.Dataset]:
        if (node := self._default(file)) is not None:
            return [node]
        group = self._walk(file, "/entry/data")
        if isinstance(group, h5py.Group):
            if (node := self._walk(group, "data")) is not None and _frame_like(node):
                return [node]
            parts = [self._walk(group, name) for name in sorted(group) if _DATA_PARTS.fullmatch(name)]
            stacks = [part for part in parts if part is not None and _frame_like(part)]
            if stacks and len({part.shape[-2:] for part in stacks}) == 1:
                return stacks
        found = list(self._candidates(file))
        if len(found) == 1:
            return found
        raise FormatError(
            self.path,
            self._listing(file) if found else "no detector frame (a dataset of two or three dimensions) in this file",
        )

    def _default(self, file: h5py.File) -> h5py.Dataset | None:
        """NeXus: @default names a child until a group has @signal (NeXus manual, "Find the plottable data")."""
        group: Any = file
        for _ in range(_MAX_DEPTH):
            signal, default = _attribute(group, "signal"), _attribute(group, "default")
            if signal is not None:
                node = self._walk(group, signal)
                return node if node is not None and _frame_like(node) else None
            if default is None:
                return None
            group = self._walk(group, default)
            if not isinstance(group, h5py.Group):
                return None
        return None

    def _walk(self, start: h5py.Group, name: str, depth: int = 0) -> Any:
        """The node of that name, or None; every link on the way is looked at before it is followed."""
        if depth > _MAX_DEPTH:
            raise FormatError(self.path, f"links in this file lead in circles (at {name!r})")
        node: Any = start.file if name.startswith("/") else start
        for part in (each for each in name.split("/") if each not in {"", "."}):
            if not isinstance(node, h5py.Group):
                return None
            link = node.get(part, getlink=True)
            if link is None:
                return None
            if isinstance(link, h5py.SoftLink):
                node = self._walk(node, link.path, depth + 1)
            elif isinstance(link, h5py.ExternalLink):
                self._require_inside(link.filename, f"{node.name.rstrip('/')}/{part}")
                node = node.get(part)
            else:
                node = node[part]
            if node is None:
                return None
        if isinstance(node, h5py.Dataset):
            self._require_own(node, depth)
        return node

    def _require_own(self, node: h5py.Dataset, depth: int) -> None:
        """Refuse a dataset whose bytes lie outside the folder: external storage, or a virtual dataset's sources."""
        if node.external:
            raise FormatError(self.path, f"{node.name} keeps its bytes in other files ({node.external[0][0]}); refused")
        if not node.is_virtual:
            return
        for source in node.virtual_sources():
            if source.file_name == ".":
                continue
            target = self._require_inside(source.file_name, node.name)
            if depth >= _MAX_DEPTH:
                raise FormatError(self.path, f"virtual datasets in this file lead in circles (at {node.name})")
            if target.is_file() and "%" not in source.dset_name:
                with h5py.File(target, "r") as other:
                    self._walk(other, source.dset_name, depth + 1)

    def _require_inside(self, filename: str, name: str) -> Path:
        target = (self.folder / filename.replace("%b", "0")).resolve()
        if not target.is_relative_to(self.folder):
            raise FormatError(
                self.path,
                f"{name} lies in another folder ({filename}); only files beside this one are followed. Copy it there",
            )
        return target

    def _candidates(self, file: h5py.File) -> Iterator[h5py.Dataset]:
        """Every plane and stack of planes, depth first, hard and soft links alike, each object once."""
        seen: set[Any] = set()
        stack: list[h5py.Group] = [file]
        visited = 0
        while stack:
            group = stack.pop()
            for name in group:
                visited += 1
                if visited > _MAX_OBJECTS:
                    raise FormatError(
                        self.path, f"more than {_MAX_OBJECTS} objects in this file; name the data with --dataset"
                    )
                if isinstance(group.get(name, getlink=True), h5py.ExternalLink | h5py.SoftLink):
                    continue
                node = group[name]
                address = h5py.h5o.get_info(node.id).addr
                if address in seen:
                    continue
                seen.add(address)
                if isinstance(node, h5py.Group):
                    stack.append(node)
                elif (
                    _frame_like(node)
                    and min(node.shape[-2:]) >= _MIN_SIDE
                    and "mask" not in name
                    and "flatfield" not in name
                ):
                    self._require_own(node, 0)
                    yield node

    def _listing(self, file: h5py.File) -> str:
        names = [f"{node.name} {node.shape}" for node in self._candidates(file)]
        if not names:
            return "it holds no dataset of two or three dimensions"
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        return f"say which by --dataset: {shown}"


def _sum(path: Path, file: h5py.File, parts: list[h5py.Dataset]) -> ImageFile:
    """Sum of frames rather than their mean: the sum of counts is counts, and keeps Poisson's variance."""
    shape: tuple[int, int] = parts[0].shape[-2:]
    kind = parts[0].dtype.kind
    require_pixels(path, shape, kind, str(parts[0].name))
    where = [(part, index) for part in parts for index in range(part.shape[0] if part.ndim == 3 else 1)]
    if not where:
        raise FormatError(path, f"{parts[0].name} holds no frame yet (shape {parts[0].shape})")
    taken = (
        where
        if len(where) <= MAX_FRAMES
        else [where[i] for i in np.linspace(0, len(where) - 1, MAX_FRAMES).astype(int)]
    )
    total = np.zeros(shape, dtype=np.float64 if kind == "f" else np.int64)
    mask = _pixel_mask(file, shape)
    for part, index in taken:
        frame = np.asarray(part[index] if part.ndim == 3 else part[()])
        unmeasured = mask_of(frame)
        mask |= unmeasured
        total += np.where(unmeasured, 0, frame).astype(total.dtype)
    notes: list[str] = []
    if len(where) > 1:
        spread = "" if len(taken) == len(where) else f", evenly spread over the {len(where)} in the file"
        notes.append(f"{len(taken)} frames of {parts[0].name} were summed{spread}")
    return ImageFile(
        path,
        total,
        mask,
        frames=len(taken),
        saturation=_scalar(file, "entry/instrument/detector/saturation_value"),
        wavelength_angstrom=_wavelength(file),
        notes=tuple(notes),
    )


def _pixel_mask(file: h5py.File, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """NXdetector's pixel_mask: any bit set means that the pixel is not to be used."""
    for name in ("entry/instrument/detector/pixel_mask", "entry/instrument/detector/detectorSpecific/pixel_mask"):
        node = _local(file, name)
        if node is not None and node.shape == shape and node.dtype.kind in "iub":
            return np.asarray(node[()] != 0)
    return np.zeros(shape, dtype=bool)


def _wavelength(file: h5py.File) -> float | None:
    for name in ("entry/instrument/beam/incident_wavelength", "entry/sample/beam/incident_wavelength"):
        value, node = _scalar(file, name), _local(file, name)
        if value is not None and node is not None:
            units = (_attribute(node, "units") or "angstrom").lower()
            factor = {"angstrom": 1.0, "å": 1.0, "a": 1.0, "nm": 10.0, "m": 1e10, "pm": 0.01}.get(units)
            if factor is not None and 0.01 < value * factor < 100.0:
                return value * factor
    return None


def _scalar(file: h5py.File, name: str) -> float | None:
    node = _local(file, name)
    if node is None or node.size != 1 or node.dtype.kind not in "iuf":
        return None
    value = float(np.asarray(node[()]).reshape(-1)[0])
    return value if np.isfinite(value) else None


def _local(file: h5py.File, name: str) -> h5py.Dataset | None:
    """A dataset reached by hard links alone."""
    node: Any = file
    for part in name.split("/"):
        if not isinstance(node, h5py.Group) or not isinstance(node.get(part, getlink=True), h5py.HardLink):
            return None
        node = node[part]
    return node if isinstance(node, h5py.Dataset) and not node.is_virtual and not node.external else None


def _attribute(node: Any, name: str) -> str | None:
    value = node.attrs.get(name)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _frame_like(node: Any) -> bool:
    return isinstance(node, h5py.Dataset) and node.ndim in {2, 3} and node.dtype.kind in "iuf"
