"""The decoder of stream version 1 (legacy), against messages written out by hand from the protocol's description."""

from __future__ import annotations

import hashlib
import json
import struct
import tracemalloc
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from dectris.compression import decompress
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.devices.stream import BadMessage, Ignored, Image, SeriesEnd, SeriesStart
from rocksalt_drivers.dectris_simplon.stream import decoder
from rocksalt_drivers.dectris_simplon.stream_chunks import framed_lz4, unpack_lz4

PIXELS = np.array([[1, 2, 3], [4, 5, 65535]], "<u2")
RAW = bytes.fromhex("0100 0200 0300 0400 0500 ffff")
# 12 bytes in all, blocks of 8192; six elements fill no group of eight and stand behind the header as they are.
SHUFFLED = bytes.fromhex("000000000000000c 00002000") + RAW
LITERALS = bytes.fromhex("c0") + RAW  # an LZ4 block: twelve literals and nothing else
TIMES = b'{"htype":"dconfig-1.0","start_time":2000000000,"stop_time":2500000000,"real_time":500000000}'


def image(blob: bytes, encoding: str, *, shape: str = "[3,2]", kind: str = "uint16", digest: str | None = None):
    """The four parts of image 3 of series 7; shape is [x, y]."""
    digest = hashlib.md5(blob).hexdigest() if digest is None else digest
    return (
        f'{{"htype":"dimage-1.0","series":7,"frame":3,"hash":"{digest}"}}'.encode(),
        f'{{"htype":"dimage_d-1.0","shape":{shape},"type":"{kind}","encoding":"{encoding}","size":{len(blob)}}}'.encode(),
        blob,
        TIMES,
    )


IMAGES = {"<": image(RAW, "<"), "lz4<": image(LITERALS, "lz4<"), "bs16-lz4<": image(SHUFFLED, "bs16-lz4<")}
CONFIG = (
    b'{"count_time":0.5,"nimages":5,"ntrigger":2,"trigger_mode":"ints","bit_depth_image":16,'
    b'"countrate_correction_count_cutoff":12345,"x_pixels_in_detector":3,"y_pixels_in_detector":2,'
    b'"sensor_material":"CdTe","threshold_energy":15000.0,"roi_mode":"disabled","trigger_start_delay":0}'
)
MASK = np.array([[0, 1, 0], [2, 0, 0]], "<u4")
FLATFIELD = (b'{"htype":"dflatfield-1.0","shape":[3,2],"type":"float32"}', bytes(24))
PIXELMASK = (b'{"htype":"dpixelmask-1.0","shape":[3,2],"type":"uint32"}', MASK.tobytes())
TABLE = (b'{"htype":"dcountrate_table-1.0","shape":[2,3],"type":"float32"}', bytes(24))


def head(detail: str) -> bytes:
    return f'{{"htype":"dheader-1.0","series":7,"header_detail":"{detail}"}}'.encode()


BASIC = (head("basic"), CONFIG)
ALL = (head("all"), CONFIG, *FLATFIELD, *PIXELMASK, *TABLE)
END = (b'{"htype":"dseries_end-1.0","series":7}',)
TRANSCRIPTS = (*IMAGES.values(), (head("none"),), BASIC, ALL, (*ALL, b"appendix"), END)


@pytest.fixture
def decode():
    return decoder(1, (2, 3)).decode


@pytest.mark.parametrize(("encoding", "kept"), [("<", "raw"), ("lz4<", "lz4"), ("bs16-lz4<", "bslz4")])
def test_an_image_of_every_encoding_is_its_pixels(decode, encoding: str, kept: str) -> None:
    found = decode(IMAGES[encoding])
    assert isinstance(found, Image)
    assert (found.series, found.image, found.encoding, found.shape) == (7, 3, kept, (2, 3))
    assert (found.start_s, found.stop_s, found.real_s) == pytest.approx((2.0, 2.5, 0.5))
    chunk = bytes(found.chunk)
    pixels = chunk if kept == "raw" else decompress(chunk, kept, elem_size=2)
    assert np.array_equal(np.frombuffer(pixels, found.dtype).reshape(found.shape), PIXELS)


def test_what_is_in_the_filters_framing_is_handed_on_as_it_came_and_bare_lz4_gets_its_framing(decode) -> None:
    assert bytes(decode(IMAGES["bs16-lz4<"]).chunk) == SHUFFLED
    framing = bytes.fromhex("000000000000000c 0000000c 0000000d")  # 12 bytes, one block of 12, packed into 13
    assert bytes(decode(IMAGES["lz4<"]).chunk) == framing + LITERALS


def dark(size: int) -> bytes:
    """An LZ4 block of zeros: one as it is, then a match of distance 1 and of length 19 and what follows, then five."""
    more = size - 1 - 5 - 19
    return bytes([0x1F, 0, 1, 0]) + b"\xff" * (more // 255) + bytes([more % 255, 0x50]) + bytes(5)


def test_the_header_of_a_frame_seen_on_the_wire_is_read_as_it_was_there() -> None:
    # 4148 x 4362 pixels of uint16: the first 12 bytes gave 36187152 bytes and blocks of 8192
    header = struct.pack(">QI", 36187152, 8192)
    assert header == bytes.fromhex("0000000002282c10 00002000")
    blocks, rest = divmod(36187152, 8192)
    chunk = header + (struct.pack(">I", len(dark(8192))) + dark(8192)) * blocks
    chunk += struct.pack(">I", len(dark(rest))) + dark(rest)
    found = decoder(1, (4362, 4148)).decode(image(chunk, "bs16-lz4<", shape="[4148,4362]"))
    assert (found.shape, found.encoding) == ((4362, 4148), "bslz4")
    assert decompress(bytes(found.chunk), "bslz4", elem_size=2) == bytes(36187152)


def test_a_bare_block_that_is_as_long_as_its_pixels_is_unpacked_for_the_framing_takes_that_length_for_bare_pixels() -> (
    None
):
    block = b"\x40abcd\x04\x00\x50efghi"  # abcd, four bytes from four back, efghi
    assert len(block) == 13
    read = decoder(1, (1, 13)).decode
    chunk = bytes(read(image(block, "lz4<", shape="[13,1]", kind="uint8")).chunk)
    assert decompress(chunk, "lz4") == b"abcdabcdefghi"
    with h5py.File("nowhere", "w", driver="core", backing_store=False) as file:
        data = file.create_dataset("d", (1, 13), "|u1", chunks=(1, 13), **hdf5plugin.LZ4())
        data.id.write_direct_chunk((0, 0), chunk)
        assert data[()].tobytes() == b"abcdabcdefghi"


@given(st.binary(min_size=1, max_size=300), st.integers(0, 40))
def test_a_bare_block_comes_out_of_the_filter_as_its_pixels(start: bytes, again: int) -> None:
    pixels = (start * (again + 1))[:4000]
    with h5py.File("nowhere", "w", driver="core", backing_store=False) as file:
        options = hdf5plugin.LZ4(nbytes=len(pixels))
        data = file.create_dataset("d", data=np.frombuffer(pixels, "|u1"), chunks=(len(pixels),), **options)
        block = data.id.read_direct_chunk((0,))[1][16:]
    if len(block) < len(pixels):  # else the filter kept the bytes as they are
        assert unpack_lz4("it", block, len(pixels)) == pixels
        assert decompress(framed_lz4("it", block, len(pixels)), "lz4") == pixels


def test_an_image_without_a_hash_or_with_an_appendix_is_an_image(decode) -> None:
    first, *rest = IMAGES["<"]
    bare = b'{"htype":"dimage-1.0","series":7,"frame":3}'
    assert decode((bare, *rest)).image == decode((first, *rest, b"\x00 anything")).image == 3


def test_a_start_says_what_the_images_will_be(decode) -> None:
    start = decode(BASIC)
    assert isinstance(start, SeriesStart)
    assert (start.series, start.images, start.shape, start.dtype) == (7, 10, (2, 3), np.dtype("<u2"))
    assert (start.count_time_s, start.saturation_value, start.pixel_mask) == (0.5, 12345, None)
    assert start.meta["sensor_material"] == "CdTe"


def test_a_start_with_all_of_its_header_brings_the_mask_however_the_parts_are_spelled(decode) -> None:
    for spelled in (b"dflatfield", b"flatfield"):
        flat = FLATFIELD[0].replace(b"dflatfield", spelled)
        start = decode((head("all"), CONFIG, flat, FLATFIELD[1], *PIXELMASK, *TABLE))
        assert np.array_equal(start.pixel_mask, MASK)
    assert np.array_equal(decode((head("all"), CONFIG, *PIXELMASK, *FLATFIELD)).pixel_mask, MASK)  # in any order


@pytest.mark.parametrize("detail", ["basic", "none", "all"])
def test_an_appendix_may_follow_any_start(decode, detail: str) -> None:
    for appendix in (b"", b"some words", b'{"mine": 1}', b"{", b"\xff\xfe"):
        whole = {"basic": BASIC, "all": ALL, "none": (head("none"),)}[detail]
        assert decode((*whole, appendix)).series == 7


def test_a_start_without_configuration_says_what_it_does_not_know(decode) -> None:
    start = decode((head("none"),))
    assert (start.images, start.dtype, start.count_time_s, start.saturation_value) == (None, None, None, None)


@pytest.mark.parametrize(("mode", "images"), [("ints", 10), ("exts", 10), ("inte", 2), ("exte", 2)])
def test_how_many_images_are_meant_follows_from_the_trigger_mode(decode, mode: str, images: int) -> None:
    assert decode((head("basic"), CONFIG.replace(b"ints", mode.encode()))).images == images


def test_an_end_names_its_series_and_what_is_to_come_is_ignored_with_a_note(decode) -> None:
    assert decode(END) == SeriesEnd(7)
    note = decode((b'{"htype":"dheartbeat-1.0"}', b""))
    assert isinstance(note, Ignored)
    assert "dheartbeat" in note.note


def changed(part: int, old: bytes, new: bytes, message=IMAGES["bs16-lz4<"]) -> tuple[bytes, ...]:
    assert old in message[part]
    return (*message[:part], message[part].replace(old, new), *message[part + 1 :])


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ((), "0 parts"),
        ((b"",) * 13, "13 parts"),
        ((b"",), "no JSON"),
        ((b"[1]",), "is a list, not an object"),
        ((b"{}",), "no `htype`"),
        ((b'{"htype":"dim@ge-1.0"}',), "no `htype` such as dimage-1.0"),
        ((b'{"htype":"dseries_end-1.0","series":7,"series":8}',), "'series' stands there twice"),
        ((b'{"htype":"dseries_end-1.0","series":NaN}',), "NaN is no number"),
        ((b'{"htype":"dseries_end-1.0","series":1e999}',), "beyond every number"),
        ((b'{"htype":"dseries_end-1.0","series":7.0}',), "not a count"),
        ((b'{"htype":"dseries_end-1.0","series":true}',), "not a count"),
        ((b'{"htype":"dseries_end-1.0","series":-1}',), "not a count"),
        ((b'{"htype":"dseries_end-1.0","series":9223372036854775808}',), "not a count"),
        ((b'{"htype":"dseries_end-1.0","series":' + b"9" * 5000 + b"}",), "no JSON"),
        ((b'{"htype":' + b"[" * 20 + b"]" * 20 + b"}",), "more than 12 lists and objects"),
        ((b"{" + b" " * 300_000 + b"}",), "300002 bytes of JSON"),
        ((bytes(10_000_000),), "has at most"),
        (IMAGES["<"][:3], "3 parts"),
        ((*IMAGES["<"], b"", b""), "6 parts"),
        (image(RAW, "<", shape="[2,3]"), "[x, y] = [2, 3]; the station file says 2 x 3"),
        (image(RAW, "<", shape="[3,2,1]"), "the station file says 2 x 3"),
        (image(RAW, "<", shape='"3x2"'), "the station file says 2 x 3"),
        (image(RAW, "<", shape="[true,2]"), "the station file says 2 x 3"),
        (image(RAW, "<", kind="int16"), "'int16' of an image is none of uint8"),
        (image(RAW, "<", kind="uint32"), "12 bytes; its shape and type have 24"),
        (image(RAW, ">"), "in the encoding '>'"),
        (image(RAW, "bs64-lz4<"), "in the encoding 'bs64-lz4<'"),
        (image(RAW, "<", digest="0" * 32), "its MD5 is another"),
        (image(SHUFFLED, "bs32-lz4<"), "shuffled by 32 bits; its type has 16"),
        (image(SHUFFLED[:-1], "bs16-lz4<"), "23 bytes; its 0 blocks say 24"),
        (image(SHUFFLED[:11], "bs16-lz4<"), "is cut"),
        (image(b"\xff" * 8 + SHUFFLED[8:], "bs16-lz4<"), "announces 18446744073709551615 bytes"),
        (image(b"\xc0" * 60, "lz4<"), "60 compressed bytes, where at most 28"),
        (changed(1, b'"size":24', b'"size":25'), "says that it has 25 bytes, and 24 came"),
        (changed(1, b"dimage_d-1.0", b"dimage-1.0"), "it is 'dimage_d-1.0'"),
        (changed(3, b"500000000}", b"-1}"), "`real_time`"),
        (changed(0, b'"frame":3', b'"frame":null'), "`frame`"),
        ((head("much"), CONFIG), "header_detail 'much'"),
        ((head("all"),), "no configuration"),
        (changed(1, b'"x_pixels_in_detector":3', b'"x_pixels_in_detector":4', BASIC), "images of 2 x 4; the station"),
        ((*BASIC, PIXELMASK[0]), "pixelmask of a start is announced and does not come"),
        ((*BASIC, PIXELMASK[0], bytes(23)), "the pixelmask is 23 bytes of 'uint32'; it is 24 bytes"),
        ((*BASIC, PIXELMASK[0].replace(b"uint32", b"float32"), bytes(24)), "of 'float32'"),
        ((*BASIC, PIXELMASK[0].replace(b"[3,2]", b"[2,3]"), bytes(24)), "the pixelmask has the shape"),
        ((*BASIC, b"what", b"is this"), "has no known htype"),
    ],
)  # fmt: skip
def test_what_the_protocol_does_not_allow_is_said_in_a_sentence(decode, message: Any, why: str) -> None:
    with pytest.raises(BadMessage) as error:
        decode(message)
    assert why in str(error.value)


@pytest.mark.parametrize(
    "message",
    [
        (b"[" * 200_000,),
        (b'{"a":' * 40_000,),
        (b"[" + b"[]," * 60_000 + b"[]]",),
        (image(SHUFFLED, "bs16-lz4<", shape="[4611686018427387904,4611686018427387904]")),
        (head("all"), CONFIG, b'{"htype":"dpixelmask-1.0","shape":[1099511627776,1099511627776],"type":"uint32"}', b""),
        (b"\x1f\x8b" * 100,),
    ],
)
def test_a_hostile_message_costs_neither_memory_nor_a_crash(message: Any) -> None:
    read = decoder(1, (514, 1030)).decode
    tracemalloc.start()
    try:
        with pytest.raises(BadMessage):
            read(message)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("block", [b"", b"\xf0", b"\xf0\xff", b"\x10", b"\x10a\x00", b"\x10a\x00\x00", b"\x10a\x02\x00",
                                   b"\x1fa\x01\x00\xff\xff\xff\x00"])  # fmt: skip
def test_a_block_that_is_no_lz4_is_refused(block: bytes) -> None:
    with pytest.raises(BadMessage):
        unpack_lz4("it", block, 100)


def answers_or_refuses(message: tuple[bytes, ...]) -> None:
    """The law: BadMessage, or a value that keeps to the station's shape."""
    try:
        value = decoder(1, (2, 3)).decode(message)
    except BadMessage:
        return
    assert isinstance(value, SeriesStart | Image | SeriesEnd | Ignored)
    if isinstance(value, Image):
        assert value.shape == (2, 3)
        assert value.chunk.nbytes <= 64
        assert value.encoding != "raw" or value.chunk.nbytes == 6 * value.dtype.itemsize
    if isinstance(value, SeriesStart) and value.pixel_mask is not None:
        assert value.pixel_mask.shape == (2, 3)


parts = st.one_of(
    st.binary(max_size=60), st.sampled_from(sorted({part for message in TRANSCRIPTS for part in message}))
)


@given(st.lists(parts, max_size=9).map(tuple))
def test_garbage_and_parts_of_other_messages_are_refused_or_understood(message: tuple[bytes, ...]) -> None:
    answers_or_refuses(message)


@given(st.sampled_from([*IMAGES.values(), BASIC, END]), st.data())
def test_a_part_that_was_cut_is_refused(message: tuple[bytes, ...], data: st.DataObject) -> None:
    part = data.draw(st.integers(0, len(message) - 1))
    cut = message[part][: data.draw(st.integers(0, len(message[part]) - 1))]
    with pytest.raises(BadMessage):
        decoder(1, (2, 3)).decode((*message[:part], cut, *message[part + 1 :]))


@given(st.sampled_from([*IMAGES.values(), BASIC]), st.data())
def test_a_part_that_is_missing_or_doubled_is_refused(message: tuple[bytes, ...], data: st.DataObject) -> None:
    part = data.draw(st.integers(0, len(message) - 1))
    with pytest.raises(BadMessage):
        decoder(1, (2, 3)).decode((*message[:part], *message[part + 1 :]))
    if message is not BASIC and part < len(message) - 1:  # a last part more is an appendix
        with pytest.raises(BadMessage):
            decoder(1, (2, 3)).decode((*message[: part + 1], message[part], *message[part + 1 :]))


flip = st.tuples(st.integers(0, 12), st.integers(0, 10_000), st.integers(1, 255))


@given(st.sampled_from(TRANSCRIPTS), st.lists(flip, max_size=4))
def test_flipped_bits_are_refused_or_understood(message: tuple[bytes, ...], flips: list[tuple[int, int, int]]) -> None:
    broken = [bytearray(part) for part in message]
    for part, at, mask in flips:
        if one := broken[part % len(broken)]:
            one[at % len(one)] ^= mask
    answers_or_refuses(tuple(map(bytes, broken)))


@given(st.binary(max_size=80), st.integers(1, 64))
def test_any_bytes_are_an_lz4_block_of_that_size_or_refused(block: bytes, size: int) -> None:
    try:
        assert len(unpack_lz4("it", block, size)) == size
    except BadMessage:
        pass


@given(st.integers(0, 12), st.integers(1, 255))
def test_no_flipped_bit_of_an_image_with_its_hash_gets_through(at: int, mask: int) -> None:
    first, form, blob, times = IMAGES["lz4<"]
    broken = bytearray(blob)
    broken[at] ^= mask
    with pytest.raises(BadMessage, match="MD5"):
        decoder(1, (2, 3)).decode((first, form, bytes(broken), times))


def test_json_reads_as_the_standard_library_does_where_it_is_strict() -> None:
    from rocksalt_drivers.dectris_simplon.strict_json import loads

    for text in ('{"a": [1, 2.5, "x", null, true]}', "3", '"\\u00e9"'):
        assert loads(text.encode()) == json.loads(text)
    for text in (b"\xff\xfe1\x00", b"1 2", b"Infinity", b"", b'{"a":1,"a":1}'):
        with pytest.raises(ValueError, match=r"no JSON"):
            loads(text)
