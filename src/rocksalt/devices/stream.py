"""What a detector's stream says, whatever its wire: the start of a series, its images, its end.

A driver's decoder turns one message into one of these; the writer takes them and knows no wire format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Encoding = Literal["bslz4", "lz4", "raw"]

Message = tuple[bytes, ...]
"""One message as it crosses the wire: its parts, in order. A wire without parts sends messages of one."""


class BadMessage(ValueError):
    """A message that its protocol does not allow; the text is a sentence that says where and why."""


@dataclass(frozen=True, slots=True)
class SeriesStart:
    """The detector was armed: what the images of `series` will be.

    images            how many the detector means to send; None where the message does not say
    shape             (rows, columns), of the station where the message does not say
    dtype             of the pixels; None where the message does not say
    count_time_s      exposure of one image; None where the message does not say
    saturation_value  counts from which a pixel is saturated; None where the message does not say
    pixel_mask        (rows, columns) uint32, 0 is a good pixel; None unless the header carried it
    meta              the other plain values of the header, by the wire's own names
    """

    series: int
    unique_id: str
    images: int | None
    shape: tuple[int, int]
    dtype: np.dtype[Any] | None
    count_time_s: float | None
    saturation_value: int | None = None
    pixel_mask: NDArray[np.uint32] | None = None
    meta: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Image:
    """One image as it came.

    image    counts from 0 over the series
    start_s, stop_s, real_s   exposure by the detector's clock, from the series' zero on; real_s is its length
    chunk    compressed pixels, row-major; "bslz4" and "lz4" are the HDF5 filters' framing, "raw" is the bare bytes
    """

    series: int
    image: int
    chunk: memoryview
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    encoding: Encoding
    start_s: float
    stop_s: float
    real_s: float


@dataclass(frozen=True, slots=True)
class SeriesEnd:
    """The detector has nothing more to send for `series`. It may come twice, or never."""

    series: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """A well-formed message that is none of the three; `note` says what it was, for the log."""

    note: str


StreamMessage = SeriesStart | Image | SeriesEnd | Ignored


class StreamDecoder(Protocol):
    """One detector's stream -> values. Sizes are held to the station's shape before anything is allocated."""

    @property
    def max_message_bytes(self) -> int:
        """No honest part of a message is longer; the socket refuses longer ones before they are read."""
        ...

    def decode(self, message: Message) -> StreamMessage:
        """One message. Raises BadMessage, and nothing else, for whatever bytes in however many parts."""
        ...
