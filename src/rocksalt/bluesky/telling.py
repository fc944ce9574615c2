"""Frames on disk as documents: stream_resource says which file and dataset, stream_datum which places in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rocksalt.bluesky.wrapped import key_of
from rocksalt.devices import Detector
from rocksalt.storage.frames import COLUMN_CHUNK, DATA

if TYPE_CHECKING:
    from event_model.documents.event_descriptor import DataKey

MIMETYPE: Final = "application/x-hdf5"
SHA256: Final = DATA.rpartition("/")[0] + "/sha256"
Document = tuple[str, dict[str, Any]]


class Telling:
    """What documents have told of one detector's frames since it was staged.

    `files` is the recording's: file, relative to the folder -> frames in it that are on disk.
    """

    def __init__(self, detector: Detector, shape: tuple[int, int], folder: Path, files: Mapping[str, int]) -> None:
        self._detector, self._shape, self._folder, self._files = detector, shape, folder, files
        self._told: dict[str, int] = {}
        """File -> frames in it that were told of, or passed over."""
        self._count = 0
        self._resources: dict[tuple[str, str], str] = {}
        """(file, key) -> uid of the stream_resource that the present stream has."""
        self._image, self._sha256 = key_of(detector.name), key_of(f"{detector.name}_sha256")

    def begin_stream(self) -> dict[str, DataKey]:
        """The keys of a stream. Its files are told of with uids of its own, though another stream has had them."""
        self._resources = {}
        rows, columns = self._shape
        where = f"{self._detector.settings.stream}#"
        image: DataKey = {
            "source": f"{where}frames", "dtype": "array", "shape": [1, rows, columns],
            "dims": ["frame", "row", "column"], "external": "STREAM:", "units": "counts",
        }  # fmt: skip
        if isinstance(bits := self._detector.facts.get("bit_depth"), float):
            image["dtype_numpy"] = "|u1" if bits == 8 else f"<u{int(bits) // 8}"
        sha256: DataKey = {
            "source": f"{where}sha256 of a frame's chunk", "dtype": "array", "shape": [1], "dims": ["frame"],
            "dtype_numpy": "|S64", "external": "STREAM:",
        }  # fmt: skip
        return {self._image: image, self._sha256: sha256}

    def pass_over(self) -> None:
        """What lies untold on disk is never told of: it is of a series that was broken off."""
        self._told = dict(self._files)

    @property
    def index(self) -> int:
        """How many frames were or could be told of."""
        return self._count + sum(new for _, _, new in self._untold())

    def documents(self, index: int | None) -> Iterator[Document]:
        """Tell of what is on disk and untold, up to `index`. One file's frames at a time: a RunEngine takes ranges of
        one length only in one go."""
        for file, first, new in self._untold()[:1]:
            count = new if index is None else min(new, index - self._count)
            if count <= 0:
                return
            self._told[file] = first + count
            self._count += count
            for key in (self._image, self._sha256):
                if (file, key) not in self._resources:
                    self._resources[file, key] = self._uid(file, key, first)
                    yield "stream_resource", self._resource(file, key)
                yield "stream_datum", self._datum(file, key, first, first + count)

    def _untold(self) -> list[tuple[str, int, int]]:
        """(file, first untold frame, how many)"""
        told = ((file, self._told.get(file, 0), frames) for file, frames in self._files.items())
        return [(file, first, frames - first) for file, first, frames in told if frames > first]

    def _uid(self, file: str, key: str, first: int) -> str:
        """Unlike any other: of this file, this place in it and this moment. Chance is not asked."""
        clock = self._detector.clock
        name = f"{self._folder / file}#{key}/{first}@{clock.wall()}/{clock.now_s()!r}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, name))

    def _resource(self, file: str, key: str) -> dict[str, Any]:
        is_image = key == self._image
        return {
            "uid": self._resources[file, key],
            "data_key": key,
            "mimetype": MIMETYPE,
            "uri": "file://localhost" + (self._folder / file).as_uri().removeprefix("file://"),
            "parameters": {
                "dataset": DATA if is_image else SHA256,
                "swmr": True,
                "chunk_shape": [1, *self._shape] if is_image else [COLUMN_CHUNK],
            },
        }

    def _datum(self, file: str, key: str, start: int, stop: int) -> dict[str, Any]:
        """Its descriptor and seq_nums are the RunEngine's to fill in."""
        resource = self._resources[file, key]
        return {
            "uid": f"{resource}/{start}",
            "stream_resource": resource,
            "descriptor": "",
            "indices": {"start": start, "stop": stop},
            "seq_nums": {"start": 0, "stop": 0},
        }
