"""Decoders of the DECTRIS stream: version 2 here, one CBOR map a message; version 1 in `stream_v1.py`.

The bytes are taken as hostile: lengths are bounded by the station's shape before anything is allocated, and whatever is
wrong comes out as BadMessage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cbor2
import numpy as np
from numpy.typing import NDArray

from rocksalt.devices.stream import (
    BadMessage,
    Encoding,
    Image,
    Message,
    SeriesEnd,
    SeriesStart,
    StreamDecoder,
    StreamMessage,
)
from rocksalt.devices.stream import Ignored as IgnoredMessage
from rocksalt_drivers.dectris_simplon.stream_chunks import check_chunk
from rocksalt_drivers.dectris_simplon.stream_v1 import StreamV1

# RFC 8746 typed arrays that a detector sends: tag -> element type
TYPED: Final[Mapping[int, str]] = {
    64: "|u1", 65: ">u2", 66: ">u4", 67: ">u8", 69: "<u2", 70: "<u4", 71: "<u8",
    72: "|i1", 77: "<i2", 78: "<i4", 79: "<i8", 84: "<f2", 85: "<f4", 86: "<f8",
}  # fmt: skip
ROW_MAJOR: Final = 40
COMPRESSED: Final = 56500
IMAGE_DTYPES: Final[Mapping[str, str]] = {"uint8": "|u1", "uint16": "<u2", "uint32": "<u4"}
MAX_DEPTH: Final = 16  # the protocol nests seven deep: map, channels, tag 40, list, typed tag, compression tag, list
MAX_COUNT: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class _Bytes:
    """A byte string, compressed or not, where the message had one. element is bytes per element, 0 where not said."""

    data: bytes
    encoding: Encoding = "raw"
    element: int = 0


@dataclass(frozen=True, slots=True)
class _Typed:
    dtype: np.dtype[Any]
    content: _Bytes


@dataclass(frozen=True, slots=True)
class _Array:
    shape: tuple[int, int]
    typed: _Typed


def decoder(stream_version: int, shape: tuple[int, int], channel: str = "threshold_1") -> StreamDecoder:
    """The decoder of `stream_version` for a detector of (rows, columns); of version 2's channels, `channel` is taken.

    Raises ValueError for a version that is not known here."""
    match stream_version:
        case 1:
            return StreamV1(shape)
        case 2:
            return StreamV2(shape, channel)
    raise ValueError(f"stream_version = {stream_version}: a DECTRIS detector has 1 and 2; set it in the station file")


class StreamV2:
    """See rocksalt.devices.stream.StreamDecoder."""

    def __init__(self, shape: tuple[int, int], channel: str = "threshold_1") -> None:
        self.shape = shape
        self.channel = channel
        self._expected = f"the station file says {shape[0]} x {shape[1]}"
        # The longest honest message is a start with mask, flatfield and rate table; at most four channels of each.
        self.max_message_bytes = 4 * 8 * shape[0] * shape[1] + (4 << 20)

    def decode(self, message: Message) -> StreamMessage:
        """One message -> SeriesStart, Image, SeriesEnd or Ignored. Raises BadMessage, and nothing else."""
        if len(message) != 1:
            raise BadMessage(
                f"a stream message of {len(message)} parts: version 2 has one; for version 1 (legacy), set "
                "stream_version = 1 in the station file"
            )
        return self._decode(message[0])

    def _decode(self, message: bytes) -> StreamMessage:
        if len(message) > self.max_message_bytes:
            raise BadMessage(
                f"a stream message of {len(message)} bytes: one of this {self.shape[0]} x {self.shape[1]} detector has "
                f"at most {self.max_message_bytes}"
            )
        try:
            top = cbor2.loads(
                message,
                tag_hook=_tag,
                semantic_decoders=_PLAIN,
                max_depth=MAX_DEPTH,
                strict_hashable_types=True,
                allow_duplicate_keys=False,
            )
        except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, BadMessage) else error
            what = f"a stream message of {len(message)} bytes is no CBOR as the manual has it"
            raise BadMessage(f"{what}: {cause}") from None
        if not isinstance(top, dict):
            raise BadMessage(f"a stream message is a map; this one is a {type(top).__name__}")
        match top.get("type"):
            case "image":
                return self._image(top)
            case "start":
                return self._start(top)
            case "end":
                return SeriesEnd(_count(top, "series_id"))
            case str() as kind:
                return IgnoredMessage(f"a stream message of type {kind[:40]!r}, which this driver does not know")
        raise BadMessage("a stream message has no `type`")

    def _image(self, top: dict[Any, Any]) -> Image:
        data = top.get("data")
        if not isinstance(data, dict) or not data:
            raise BadMessage("an image without `data`")
        pixels = data[self.channel] if self.channel in data else next(iter(data.values())) if len(data) == 1 else None
        if not isinstance(pixels, _Array):
            raise BadMessage(f"an image whose data is no row-major array of channel {self.channel!r}")
        self._check_array(pixels, "an image")
        if pixels.typed.dtype.kind != "u":
            raise BadMessage(f"an image of {pixels.typed.dtype}: pixels are unsigned integers")
        return Image(
            series=_count(top, "series_id"),
            image=_count(top, "image_id"),
            chunk=memoryview(pixels.typed.content.data),
            shape=pixels.shape,
            dtype=pixels.typed.dtype,
            encoding=pixels.typed.content.encoding,
            start_s=_rational(top, "start_time"),
            stop_s=_rational(top, "stop_time"),
            real_s=_rational(top, "real_time"),
        )

    def _start(self, top: dict[Any, Any]) -> SeriesStart:
        shape = (_count(top, "image_size_y"), _count(top, "image_size_x"))
        if shape != self.shape:
            raise BadMessage(f"the series has images of {shape[0]} x {shape[1]}; {self._expected}")
        name = top.get("image_dtype")
        if not isinstance(name, str) or name not in IMAGE_DTYPES:
            raise BadMessage(f"image_dtype {str(name)[:40]!r} is none of {', '.join(IMAGE_DTYPES)}")
        cutoff, count_time = top.get("saturation_value"), top.get("count_time")
        if not isinstance(count_time, int | float) or not math.isfinite(count_time):
            count_time = None
        return SeriesStart(
            series=_count(top, "series_id"),
            unique_id=str(top.get("series_unique_id", ""))[:200],
            images=_count(top, "number_of_images"),
            shape=shape,
            dtype=np.dtype(IMAGE_DTYPES[name]),
            count_time_s=count_time if count_time is None else float(count_time),
            saturation_value=cutoff if isinstance(cutoff, int) and 0 < cutoff <= MAX_COUNT else None,
            pixel_mask=self._mask(top.get("pixel_mask")),
            meta={key: value for key, value in top.items() if isinstance(key, str) and _is_plain(value)},
        )

    def _mask(self, channels: object) -> NDArray[np.uint32] | None:
        if not isinstance(channels, dict) or not channels:
            return None
        array = channels.get(self.channel, next(iter(channels.values())))
        if not isinstance(array, _Array):
            raise BadMessage("pixel_mask is no row-major array")
        self._check_array(array, "the pixel mask")
        content, dtype = array.typed.content, array.typed.dtype
        if dtype.kind != "u":
            raise BadMessage(f"a pixel mask of {dtype}: it is unsigned integers")
        data = content.data
        if content.encoding != "raw":
            from dectris.compression import decompress  # the length inside was checked against shape and type

            try:
                data = decompress(data, content.encoding, elem_size=dtype.itemsize)
            except (RuntimeError, ValueError, MemoryError) as error:
                raise BadMessage(f"the pixel mask does not decompress: {error}") from None
            if len(data) != self.shape[0] * self.shape[1] * dtype.itemsize:
                raise BadMessage(f"the pixel mask decompresses to {len(data)} bytes, not one element a pixel")
        return np.frombuffer(data, dtype).reshape(self.shape).astype(np.uint32)

    def _check_array(self, array: _Array, what: str) -> None:
        """Shape as the station's; a compressed chunk announces exactly the bytes that shape and type have."""
        if array.shape != self.shape:
            raise BadMessage(f"{what} is {array.shape[0]} x {array.shape[1]}; {self._expected}")
        content, item = array.typed.content, array.typed.dtype.itemsize
        if content.encoding == "bslz4" and content.element != item:
            raise BadMessage(f"{what} was shuffled by {content.element} bytes; its type has {item}")
        size = self.shape[0] * self.shape[1] * item
        check_chunk(what, content.data, content.encoding, size=size, item=item)


def _tag(tag: cbor2.CBORTag, immutable: bool) -> object:
    """cbor2 6's hook takes (tag, immutable). Tags that the stream does not use vanish around their value."""
    value = tag.value
    if tag.tag == COMPRESSED:
        match value:
            case [("bslz4" | "lz4") as name, int() as element, bytes() as data]:
                return _Bytes(data, name, element)
        raise BadMessage('a compressed byte string is ["bslz4" or "lz4", element size, bytes]; this one is not')
    if tag.tag in TYPED:
        if isinstance(value, bytes):
            value = _Bytes(value)
        if not isinstance(value, _Bytes):
            raise BadMessage(f"typed array (tag {tag.tag}) around something that is no byte string")
        return _Typed(np.dtype(TYPED[tag.tag]), value)
    if tag.tag == ROW_MAJOR:
        match value:
            case [[int() as rows, int() as columns], _Typed() as typed]:
                return _Array((rows, columns), typed)
        return None  # of another rank or kind, such as the rate table: nothing here reads it
    return value


# The library's own ideas of regular expressions, mail, bignums, shared and cyclic values… have no place in this stream:
# they are read as the bare value under the tag.
_PLAIN: Final[Mapping[int, Callable[[Any, bool], Any]]] = {
    number: (lambda value, immutable: value)
    for number in (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 43000, 52, 54, 100, 256, 258, 260, 261, 1004, 55799)
}


def _count(top: Mapping[Any, Any], key: str) -> int:
    value = top.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise BadMessage(f"`{key}` of a {str(top.get('type'))[:20]} message is not a count")
    return value


def _rational(top: Mapping[Any, Any], key: str) -> float:
    """[ticks, ticks per second] -> seconds."""
    match top.get(key):
        case [int() as ticks, int() as per_second] if 0 <= ticks <= MAX_COUNT and 0 < per_second <= MAX_COUNT:
            return ticks / per_second
    raise BadMessage(f"`{key}` of an image is not [ticks, ticks per second]")


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and isinstance(v, bool | int | float | str) for k, v in value.items())
    return isinstance(value, bool | int | float | str)
