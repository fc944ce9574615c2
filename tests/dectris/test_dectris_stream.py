"""The decoder of stream version 2, against messages written out by hand from the protocol's description."""

from __future__ import annotations

import tracemalloc

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.devices.stream import BadMessage, Ignored, Image, SeriesEnd, SeriesStart
from rocksalt_drivers.dectris_simplon.stream import decoder

PIXELS = np.array([[1, 2, 3], [4, 5, 65535]], "<u2")
NAMES = (
    "69 7365726965735f6964 07"  # "series_id": 7
    "70 7365726965735f756e697175655f6964 63 616263"  # "series_unique_id": "abc"
)
TIMES = (
    "69 7265616c5f74696d65 82 1a017d7840 1a02faf080"  # "real_time": [25000000, 50000000]
    "6a 73746172745f74696d65 82 1a05f5e100 1a02faf080"  # "start_time": [100000000, 50000000]
    "69 73746f705f74696d65 82 1a07735940 1a02faf080"  # "stop_time": [125000000, 50000000]
)
IMAGE_HEAD = (
    "a8"
    "64 74797065 65 696d616765"  # "type": "image"
    + NAMES
    + "68 696d6167655f6964 03"  # "image_id": 3
    + TIMES
    + "64 64617461 a1 6b 7468726573686f6c645f31"  # "data": {"threshold_1":
)
RAW_PIXELS = "0100 0200 0300 0400 0500 ffff"
RAW_IMAGE = bytes.fromhex(
    IMAGE_HEAD
    + "d828 82 82 02 03"  # tag 40 [[2, 3],
    + "d845 4c"  # tag 69, 12 bytes
    + RAW_PIXELS
)
# Six elements fill no group of eight, so the bit-shuffling leaves them as they are behind the 12 bytes of the header.
CHUNK = bytes.fromhex("000000000000000c 00002000" + RAW_PIXELS)
PACKED_IMAGE = bytes.fromhex(
    IMAGE_HEAD
    + "d828 82 82 02 03"
    + "d845 d9dcb4 83 65 62736c7a34 02 5818"  # tag 69, tag 56500 ["bslz4", 2, 24 bytes]
    + CHUNK.hex()
)
END = bytes.fromhex("a3 64 74797065 63 656e64" + NAMES)
START = bytes.fromhex(
    "a9 64 74797065 65 7374617274"  # "type": "start"
    + NAMES
    + "6a 636f756e745f74696d65 fb 3fe0000000000000"  # "count_time": 0.5
    + "6b 696d6167655f6474797065 66 75696e743136"  # "image_dtype": "uint16"
    + "6c 696d6167655f73697a655f78 03"  # "image_size_x": 3
    + "6c 696d6167655f73697a655f79 02"  # "image_size_y": 2
    + "70 6e756d6265725f6f665f696d61676573 0a"  # "number_of_images": 10
    + "68 61726d5f64617465 c0 74 323032342d30342d30315431303a30303a30305a"  # "arm_date": 0("2024-04-01T10:00:00Z")
)
TRANSCRIPTS = (RAW_IMAGE, PACKED_IMAGE, START, END)


def reader(shape: tuple[int, int], *channel: str):
    """Version 2 has one part a message."""
    read = decoder(2, shape, *channel).decode
    return lambda message: read((message,))


@pytest.fixture
def decode():
    return reader((2, 3))


def test_an_uncompressed_image_is_its_bytes(decode) -> None:
    image = decode(RAW_IMAGE)
    assert isinstance(image, Image)
    assert (image.series, image.image, image.encoding) == (7, 3, "raw")
    assert (image.start_s, image.stop_s, image.real_s) == (2.0, 2.5, 0.5)
    assert np.array_equal(np.frombuffer(image.chunk, image.dtype).reshape(image.shape), PIXELS)


def test_a_compressed_image_is_handed_on_as_it_came(decode) -> None:
    from dectris.compression import decompress

    image = decode(PACKED_IMAGE)
    assert (image.encoding, bytes(image.chunk), image.dtype) == ("bslz4", CHUNK, np.dtype("<u2"))
    assert decompress(CHUNK, "bslz4", elem_size=2) == PIXELS.tobytes()


def test_a_start_says_what_the_images_will_be(decode) -> None:
    start = decode(START)
    assert isinstance(start, SeriesStart)
    assert (start.series, start.unique_id, start.images, start.shape) == (7, "abc", 10, (2, 3))
    assert (start.dtype, start.count_time_s, start.pixel_mask) == (np.dtype("<u2"), 0.5, None)
    assert start.meta["arm_date"] == "2024-04-01T10:00:00Z"


def test_a_start_with_all_of_its_header_brings_the_mask(decode) -> None:
    mask = np.array([[0, 1, 0], [2, 0, 0]], "<u4")
    array = cbor2.CBORTag(40, [[2, 3], cbor2.CBORTag(70, mask.tobytes())])
    start = decode(cbor2.dumps(cbor2.loads(START) | {"pixel_mask": {"threshold_1": array}, "saturation_value": 99}))
    assert np.array_equal(start.pixel_mask, mask)
    assert start.saturation_value == 99


def test_an_end_names_its_series(decode) -> None:
    assert decode(END) == SeriesEnd(7)


def test_a_message_of_a_type_to_come_is_ignored_with_a_note(decode) -> None:
    note = decode(cbor2.dumps({"type": "heartbeat"}))
    assert isinstance(note, Ignored)
    assert "heartbeat" in note.note


def test_of_several_channels_the_configured_one_is_taken() -> None:
    image = cbor2.loads(RAW_IMAGE)
    second = cbor2.CBORTag(40, [[2, 3], cbor2.CBORTag(69, bytes(12))])
    message = cbor2.dumps(image | {"data": {"threshold_2": second, **image["data"]}})
    assert bytes(reader((2, 3))(message).chunk) == PIXELS.tobytes()
    assert bytes(reader((2, 3), "threshold_2")(message).chunk) == bytes(12)
    with pytest.raises(BadMessage, match="threshold_3"):
        reader((2, 3), "threshold_3")(message)


def packed(header: str, *, element: int = 2, shape: tuple[int, int] = (2, 3), tag: int = 69) -> bytes:
    chunk = bytes.fromhex(header) + PIXELS.tobytes()
    array = cbor2.CBORTag(40, [list(shape), cbor2.CBORTag(tag, cbor2.CBORTag(56500, ["bslz4", element, chunk]))])
    return cbor2.dumps(cbor2.loads(RAW_IMAGE) | {"data": {"threshold_1": array}})


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (packed("000000000000000c00002000", shape=(3, 2)), "3 x 2; the station file says 2 x 3"),
        (packed("000000000000000c00002000", shape=(2**40, 2**40)), "the station file says 2 x 3"),
        (packed("000000000000000d00002000"), "announces 13 bytes; its shape and type have 12"),
        (packed("ffffffffffffffff00002000"), "announces 18446744073709551615 bytes"),
        (packed("000000000000000c00000000"), "blocks of 0 bytes"),
        (packed("000000000000000cffffffff"), "blocks of 4294967295 bytes"),
        (packed("000000000000000c00002000", element=4), "shuffled by 4 bytes; its type has 2"),
        (packed("000000000000000c00002000", tag=77), "pixels are unsigned integers"),
        (RAW_IMAGE.replace(b"\x82\x02\x03", b"\x82\x03\x02"), "3 x 2"),
        (cbor2.dumps({"type": "image"}), "without `data`"),
        (cbor2.dumps({"type": "end", "series_id": -1}), "`series_id` of a end message is not a count"),
        (cbor2.dumps({"type": "end", "series_id": True}), "not a count"),
        (cbor2.dumps([1]), "is a map"),
        (cbor2.dumps({"series_id": 1}), "no `type`"),
        (b"", "no CBOR"),
        (bytes(100_000_000), "at most"),
    ],
)
def test_what_the_protocol_does_not_allow_is_said_in_a_sentence(decode, message: bytes, why: str) -> None:
    with pytest.raises(BadMessage) as error:
        decode(message)
    assert why in str(error.value)


@pytest.mark.parametrize(
    "message",
    [
        b"\x81" * 1_000_000,  # a million lists in one another
        b"\xd8\x28" * 500_000,  # and tags
        b"\xa1\x64type" + b"\x5b" + b"\xff" * 8,  # a string of 2**64 - 1 bytes
        b"\x9b" + b"\x7f" + b"\xff" * 7 + b"\x01",  # a list of 2**63 - 1 things
        b"\xbb" + b"\x7f" + b"\xff" * 7 + b"\x61a\x01",
        b"\xc4\x82\x1a\x3f\xff\xff\xff\x01",  # 1e1073741823 as a decimal
        b"\xc5\x82\x1a\x3f\xff\xff\xff\x01",  # 2**1073741823 as a bigfloat
        b"\xd8\x23\x78\x0c((a+)+)+b$xx",  # a regular expression
        b"\xd8\x1c\x81\xd8\x1d\x00",  # a list that contains itself
    ],
)
def test_a_hostile_message_costs_neither_memory_nor_a_crash(message: bytes) -> None:
    read = reader((514, 1030))
    tracemalloc.start()
    try:
        with pytest.raises(BadMessage):
            read(message)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def answers_or_refuses(message: bytes) -> None:
    """The law: BadMessage, or a value that keeps to the station's shape."""
    try:
        value = reader((2, 3))(message)
    except BadMessage:
        return
    assert isinstance(value, SeriesStart | Image | SeriesEnd | Ignored)
    if isinstance(value, Image):
        assert value.shape == (2, 3)
        assert value.chunk.nbytes <= len(message)
        assert value.encoding != "raw" or value.chunk.nbytes == 6 * value.dtype.itemsize


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_understood(garbage: bytes) -> None:
    answers_or_refuses(garbage)


@given(st.sampled_from(TRANSCRIPTS), st.data())
def test_a_message_that_was_cut_is_refused(message: bytes, data: st.DataObject) -> None:
    cut = message[: data.draw(st.integers(0, len(message) - 1))]
    with pytest.raises(BadMessage):
        reader((2, 3))(cut)


@given(st.sampled_from(TRANSCRIPTS), st.sampled_from(TRANSCRIPTS), st.data())
def test_messages_spliced_into_each_other_are_refused_or_understood(
    one: bytes, other: bytes, data: st.DataObject
) -> None:
    at, of = data.draw(st.integers(0, len(one))), data.draw(st.integers(0, len(other)))
    answers_or_refuses(one[:at] + other[of:])


@given(st.sampled_from(TRANSCRIPTS), st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4))
def test_flipped_bits_are_refused_or_understood(message: bytes, flips: list[tuple[int, int]]) -> None:
    broken = bytearray(message)
    for at, mask in flips:
        broken[at % len(broken)] ^= mask
    answers_or_refuses(bytes(broken))


def test_a_stream_version_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="stream_version = 3"):
        decoder(3, (2, 3))


def test_a_message_of_several_parts_is_another_version() -> None:
    with pytest.raises(BadMessage, match=r"2 parts: version 2 has one; .* set stream_version = 1"):
        decoder(2, (2, 3)).decode((END, END))
    with pytest.raises(BadMessage, match="0 parts"):
        decoder(2, (2, 3)).decode(())
