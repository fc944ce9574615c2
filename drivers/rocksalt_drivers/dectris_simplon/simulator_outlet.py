"""Where the simulated detector's images leave it: stream version 1 or 2, as its key `format` says, with named faults.

Nothing but messages are made here; states and times are the simulator's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import cbor2
import numpy as np
from numpy.typing import NDArray

from rocksalt_drivers.dectris_simplon import simulator_legacy as legacy
from rocksalt_drivers.dectris_simplon import simulator_stream as version_2

Push = Callable[[tuple[bytes, ...]], bool]
JUMP: Final = 1000  # how far an image jumps that comes under a series that nobody armed


class Outlet:
    """The stream of one detector. `mode`, `format` and the rest are its keys; `dropped` is what nobody pulled."""

    def __init__(self, keys: Mapping[str, Any], mask: NDArray[np.uint32], options: Mapping[str, Any]) -> None:
        self.keys, self.mask, self.options = keys, mask, options
        self.push: Push | None = None
        self.dropped = 0
        self.series = 0
        self.date = ""

    def start(self, series: int, date: str, config: Mapping[str, Any], cutoff: int) -> bool:
        """A series was armed. `config` is the detector's keys and values."""
        self.series, self.date = series, date
        detail, appendix = str(self._key("header_detail")), str(self._key("header_appendix"))
        if self._is_legacy():
            flatfield = str(self.options.get("flatfield_htype", "dflatfield-1.0"))
            return self._send(
                legacy.start_parts(
                    config, series, detail=detail, mask=self.mask, flatfield=flatfield, appendix=appendix
                )
            )
        mask = self.mask if detail == "all" else None
        return self._send_map(
            version_2.start_message(
                config, self._names(series), arm_date=date, saturation_value=cutoff, appendix=appendix, mask=mask
            )
        )

    def image(
        self, image: int, pixels: NDArray[np.unsignedinteger], algorithm: str, begins_s: float, seconds: float
    ) -> str | None:
        """Compress and send one image. Returns the SHA-256 of its chunk, or None when it did not leave."""
        encoding, chunk = "", b""
        if self._is_legacy():
            encoding, chunk = legacy.blob(pixels, algorithm)
        else:
            chunk = version_2.compress(pixels, algorithm)
        if self._is("drop_images", image):
            return None
        digest = hashlib.md5(chunk, usedforsecurity=False).hexdigest()
        if self._is("wrong_hash_images", image):
            digest = hashlib.md5(b"another image", usedforsecurity=False).hexdigest()
        sha256 = hashlib.sha256(chunk).hexdigest()
        if self._is("corrupt_images", image):
            chunk = chunk[:12] + bytes(byte ^ 0xFF for byte in chunk[12:])
        series = self.series + (JUMP if self._is("jump_images", image) else 0)
        shape, itemsize = (pixels.shape[0], pixels.shape[1]), pixels.dtype.itemsize
        appendix = str(self._key("image_appendix"))
        if self._is_legacy():
            sent = self._send(legacy.image_parts(
                series, image, chunk, digest, shape=shape, itemsize=itemsize, encoding=encoding, begins_s=begins_s,
                seconds=seconds, appendix=appendix,
            ))  # fmt: skip
        else:
            sent = self._send_map(version_2.image_message(
                self._names(series), image, chunk, shape=shape, itemsize=itemsize, algorithm=algorithm,
                begins_s=begins_s, seconds=seconds, date=self.date, appendix=appendix,
            ))  # fmt: skip
        return sha256 if sent else None

    def end(self) -> None:
        """The series is over, once more for each time that this is called."""
        if self._is_legacy():
            self._send(legacy.end_parts(self.series))
        else:
            self._send_map({"type": "end", **self._names(self.series)})

    def _is(self, fault: str, image: int) -> bool:
        return any(entry in (image, [self.series, image]) for entry in self.options.get(fault, ()))

    def _key(self, name: str) -> Any:
        return self.keys[name].value

    def _is_legacy(self) -> bool:
        return bool(self._key("format") == "legacy")

    def _names(self, series: int) -> dict[str, Any]:
        return {"series_id": series, "series_unique_id": f"{self.date}-{series}"}

    def _send_map(self, message: Mapping[str, Any]) -> bool:
        return self._send((cbor2.dumps(message),))

    def _send(self, message: tuple[bytes, ...]) -> bool:
        """Whether it was taken. A stream that is disabled sends nothing, silently; one that nobody pulls drops."""
        if self._key("mode") != "enabled" or self.push is None:
            return False
        if self.push(message):
            return True
        self.dropped += 1
        return False
