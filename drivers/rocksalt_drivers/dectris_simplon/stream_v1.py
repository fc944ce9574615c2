"""Decoder of the DECTRIS stream, version 1 (legacy): ZeroMQ messages of JSON parts and blobs. Facts are in README.md.

Parts are told apart by their `htype`. Sizes are bounded by the station's shape before anything is allocated.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from rocksalt.devices.stream import BadMessage, Encoding, Ignored, Image, Message, SeriesEnd, SeriesStart, StreamMessage
from rocksalt_drivers.dectris_simplon.stream_chunks import check_chunk, framed_lz4
from rocksalt_drivers.dectris_simplon.strict_json import loads

MOST_PARTS: Final = 12  # header, configuration, three arrays of two parts each, appendix; some room
MAX_COUNT: Final = 2**63 - 1
LONGEST_NAME: Final = 100
IMAGE_DTYPES: Final[Mapping[str, str]] = {"uint8": "|u1", "uint16": "<u2", "uint32": "<u4"}
ENCODING: Final = re.compile(r"(?:(?:bs(8|16|32)-)?lz4)?<")
# The manual writes dflatfield-1.0; flatfield-1.0 was seen too.
ARRAY: Final = re.compile(r"d?(flatfield|pixelmask|countrate_table)-1\.\d+")
OTHER: Final = re.compile(r"d[a-z_]{1,40}-\d+\.\d+")
ARRAY_TYPES: Final[Mapping[str, str]] = {"flatfield": "<f4", "pixelmask": "<u4", "countrate_table": "<f4"}
NS: Final = 1e-9


class StreamV1:
    """See rocksalt.devices.stream.StreamDecoder."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._expected = f"the station file says {shape[0]} x {shape[1]}"
        # The longest honest part is a mask or a flatfield, or an image that did not compress.
        self.max_message_bytes = 8 * shape[0] * shape[1] + (1 << 20)

    def decode(self, message: Message) -> StreamMessage:
        """One message -> SeriesStart, Image, SeriesEnd or Ignored. Raises BadMessage, and nothing else."""
        if not 1 <= len(message) <= MOST_PARTS:
            raise BadMessage(f"a stream message of {len(message)} parts: it has 1 to {MOST_PARTS}")
        if (longest := max(map(len, message))) > self.max_message_bytes:
            raise BadMessage(
                f"a part of {longest} bytes in a stream message: one of this {self.shape[0]} x {self.shape[1]} "
                f"detector has at most {self.max_message_bytes}"
            )
        header = _object(message[0], "the first part")
        match header.get("htype"):
            case "dimage-1.0":
                return self._image(header, message)
            case "dheader-1.0":
                return self._start(header, message)
            case "dseries_end-1.0":
                return SeriesEnd(_count(header, "series"))
            case str() as kind if kind in ("dimage_d-1.0", "dconfig-1.0") or ARRAY.fullmatch(kind):
                raise BadMessage(f"a stream message that begins with {kind!r}, in the middle of another")
            case str() as kind if OTHER.fullmatch(kind):
                return Ignored(f"a stream message of type {kind[:40]!r}, which this driver does not know")
        raise BadMessage("a stream message whose first part has no `htype` such as dimage-1.0")

    # an image

    def _image(self, header: dict[str, Any], message: Message) -> Image:
        if not 4 <= len(message) <= 5:  # the fifth is an appendix
            raise BadMessage(f"an image of {len(message)} parts: it has 4, or 5 with an appendix")
        said, blob, times = message[1:4]
        form = _object(said, "the second part of an image", "dimage_d-1.0")
        config = _object(times, "the fourth part of an image", "dconfig-1.0")
        self._check_shape(form.get("shape"), "an image")
        name = form.get("type")
        if not isinstance(name, str) or name not in IMAGE_DTYPES:
            raise BadMessage(f"the type {str(name)[:40]!r} of an image is none of {', '.join(IMAGE_DTYPES)}")
        if "size" in form and form["size"] != len(blob):
            raise BadMessage(f"an image says that it has {str(form['size'])[:20]} bytes, and {len(blob)} came")
        if (digest := header.get("hash")) and digest != hashlib.md5(blob, usedforsecurity=False).hexdigest():
            raise BadMessage(f"image {str(header.get('frame'))[:20]} is not what was sent: its MD5 is another")
        dtype = np.dtype(IMAGE_DTYPES[name])
        encoding, chunk = self._chunk(form.get("encoding"), blob, dtype)
        return Image(
            series=_count(header, "series"),
            image=_count(header, "frame"),
            chunk=memoryview(chunk),
            shape=self.shape,
            dtype=dtype,
            encoding=encoding,
            start_s=_count(config, "start_time") * NS,
            stop_s=_count(config, "stop_time") * NS,
            real_s=_count(config, "real_time") * NS,
        )

    def _chunk(self, told: object, blob: bytes, dtype: np.dtype[Any]) -> tuple[Encoding, bytes]:
        """The blob in the framing of HDF5's filters. A shuffled one has it; a bare LZ4 block has none."""
        found = ENCODING.fullmatch(told) if isinstance(told, str) else None
        if found is None:
            raise BadMessage(f"an image in the encoding {str(told)[:40]!r}: it is <, lz4< or bs8-, bs16-, bs32-lz4<")
        size = self.shape[0] * self.shape[1] * dtype.itemsize
        if found[0] == "lz4<":
            return "lz4", framed_lz4("an image", blob, size)
        if found[1] is not None and int(found[1]) != 8 * dtype.itemsize:
            raise BadMessage(f"an image was shuffled by {found[1]} bits; its type has {8 * dtype.itemsize}")
        encoding: Encoding = "raw" if found[0] == "<" else "bslz4"
        check_chunk("an image", blob, encoding, size=size, item=dtype.itemsize)
        return encoding, blob

    # the start of a series

    def _start(self, header: dict[str, Any], message: Message) -> SeriesStart:
        detail = header.get("header_detail")
        if detail not in ("all", "basic", "none"):
            raise BadMessage(f"a start with header_detail {str(detail)[:20]!r}: it is all, basic or none")
        config: dict[str, Any] = {}
        rest = message[1:]
        if detail != "none":
            if not rest:
                raise BadMessage(f"a start with header_detail {detail!r} and no configuration")
            config, rest = _object(rest[0], "the configuration"), rest[1:]
        arrays = dict(self._arrays(rest))
        self._check_sides(config)
        bits = config.get("bit_depth_image")
        dtype = IMAGE_DTYPES.get(f"uint{bits}") if isinstance(bits, int) else None
        count_time = config.get("count_time")
        if not isinstance(count_time, int | float) or isinstance(count_time, bool):
            count_time = None
        mask = arrays.get("pixelmask")
        return SeriesStart(
            series=_count(header, "series"),
            unique_id="",  # version 1 has none
            images=_images(config),
            shape=self.shape,
            dtype=None if dtype is None else np.dtype(dtype),
            count_time_s=None if count_time is None else float(count_time),
            saturation_value=_whole(config.get("countrate_correction_count_cutoff")) or None,
            pixel_mask=None if mask is None else np.frombuffer(mask, "<u4").reshape(self.shape).astype(np.uint32),
            meta={key: value for key, value in config.items() if isinstance(value, bool | int | float | str)},
        )

    def _arrays(self, parts: Message) -> Iterator[tuple[str, bytes]]:
        """(kind, bytes) of each array after the configuration. What is left over at the end is an appendix."""
        at = 0
        while at < len(parts):
            kind, form = _array_header(parts[at])
            if kind is None:
                if at + 1 < len(parts):
                    raise BadMessage(f"part {at + 1} of {len(parts)} behind a start's configuration has no known htype")
                return
            if at + 1 == len(parts):
                raise BadMessage(f"the {kind} of a start is announced and does not come")
            blob = parts[at + 1]
            if kind != "countrate_table":
                self._check_shape(form.get("shape"), f"the {kind}")
                self._check_blob(kind, form, blob)
            yield kind, blob
            at += 2

    def _check_blob(self, kind: str, form: Mapping[str, Any], blob: bytes) -> None:
        wanted = {"<f4": "float32", "<u4": "uint32"}[ARRAY_TYPES[kind]]
        size = 4 * self.shape[0] * self.shape[1]
        if form.get("type") != wanted or len(blob) != size:
            raise BadMessage(
                f"the {kind} is {len(blob)} bytes of {str(form.get('type'))[:20]!r}; it is {size} bytes of {wanted}"
            )

    def _check_sides(self, config: Mapping[str, Any]) -> None:
        found = (config.get("y_pixels_in_detector"), config.get("x_pixels_in_detector"))
        if None not in found and found != self.shape:
            raise BadMessage(f"the series has images of {str(found[0])[:20]} x {str(found[1])[:20]}; {self._expected}")

    def _check_shape(self, told: object, what: str) -> None:
        """The wire's shape is [x, y]."""
        if not isinstance(told, list) or [_whole(side) for side in told] != [self.shape[1], self.shape[0]]:
            raise BadMessage(f"{what} has the shape [x, y] = {str(told)[:60]}; {self._expected}")


def _array_header(part: bytes) -> tuple[str | None, dict[str, Any]]:
    """("flatfield" | "pixelmask" | "countrate_table" | None, header). An appendix may be any bytes."""
    if len(part) > 1000 or not part.startswith(b"{"):
        return None, {}
    try:
        content = loads(part)
    except ValueError:
        return None, {}
    htype = content.get("htype") if isinstance(content, dict) else None
    found = ARRAY.fullmatch(htype) if isinstance(htype, str) else None
    return (found[1] if found else None), content


def _images(config: Mapping[str, Any]) -> int | None:
    """How many images the configuration means: frames a trigger, times triggers."""
    frames, triggers = _whole(config.get("nimages")), _whole(config.get("ntrigger"))
    if config.get("trigger_mode") in ("inte", "exte"):
        frames = 1  # one a trigger, whatever nimages says
    return None if frames is None or triggers is None else _whole(frames * triggers)


def _object(part: bytes, what: str, htype: str | None = None) -> dict[str, Any]:
    """A part that is a JSON object, of `htype` if that is given. Raises BadMessage."""
    try:
        content = loads(part)
    except ValueError as error:
        raise BadMessage(f"{what} of a stream message: {error}") from None
    if not isinstance(content, dict):
        raise BadMessage(f"{what} of a stream message is a {type(content).__name__}, not an object")
    if htype is not None and content.get("htype") != htype:
        raise BadMessage(f"{what} has the htype {str(content.get('htype'))[:40]!r}; it is {htype!r}")
    return content


def _whole(value: object) -> int | None:
    """A count, or None for whatever is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT else None


def _count(content: Mapping[str, Any], key: str) -> int:
    if (count := _whole(content.get(key))) is None:
        raise BadMessage(
            f"`{key}` of a {str(content.get('htype'))[:20]} is {str(content.get(key))[:20]!r}, not a count"
        )
    return count
