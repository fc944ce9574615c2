"""The simulated detector in stream version 1, against the protocol's description, read without our decoder."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pytest
from dectris.compression import decompress

from .conftest import SHAPE


def content(part: bytes) -> dict:
    return json.loads(part)


def htypes(bench) -> list[str]:
    return [content(parts[0])["htype"] for parts in bench.parts]


def pixels_of(parts: tuple[bytes, ...]) -> np.ndarray:
    form, blob = content(parts[1]), parts[2]
    columns, rows = form["shape"]
    dtype = {"uint16": "<u2", "uint32": "<u4"}[form["type"]]
    size = rows * columns * np.dtype(dtype).itemsize
    if form["encoding"] == "lz4<":  # no size word: the size is known from the shape
        data = decompress(struct.pack(">QII", size, size, len(blob)) + blob, "lz4") if len(blob) != size else b""
    else:
        assert form["encoding"] == f"bs{8 * np.dtype(dtype).itemsize}-lz4<"
        assert struct.unpack_from(">QI", blob) == (size, 8192)
        data = decompress(blob, "bslz4", elem_size=np.dtype(dtype).itemsize)
    return np.frombuffer(data, dtype).reshape(rows, columns)


def test_a_series_is_these_parts(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(stream="legacy", count_time=0.5, nimages=2, compression="bslz4")
        await bench.take()
        start, first, second, end = bench.parts
        assert start[0] == b'{"htype": "dheader-1.0", "series": 1, "header_detail": "basic"}'
        assert content(start[1])["nimages"] == 2
        assert content(start[1])["countrate_correction_count_cutoff"] == 5_000_000
        assert len(start) == 2
        for number, parts in enumerate((first, second)):
            digest = hashlib.md5(parts[2]).hexdigest()
            assert content(parts[0]) == {"htype": "dimage-1.0", "series": 1, "frame": number, "hash": digest}
            assert content(parts[1]) == {"htype": "dimage_d-1.0", "shape": [10, 6], "type": "uint32",
                                         "encoding": "bs32-lz4<", "size": len(parts[2])}  # fmt: skip
        times = content(second[3])
        assert times["htype"] == "dconfig-1.0"
        assert times["stop_time"] - times["start_time"] == times["real_time"] == 500_000_000
        assert end == (b'{"htype": "dseries_end-1.0", "series": 1}',)

    virtually(work)


def test_the_whole_header_brings_flatfield_mask_and_table_and_an_appendix_comes_last(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(stream="legacy")
        for key, value in (("header_detail", "all"), ("header_appendix", "of mine"), ("image_appendix", "too")):
            await bench.put(f"/stream/api/1.8.0/config/{key}", value)
        await bench.take()
        start, image, _ = bench.parts
        assert [content(part)["htype"] for part in start[2:8:2]] == [
            "flatfield-1.0", "dpixelmask-1.0", "dcountrate_table-1.0",
        ]  # fmt: skip
        assert content(start[4]) == {"htype": "dpixelmask-1.0", "shape": [10, 6], "type": "uint32"}
        assert np.array_equal(np.frombuffer(start[5], "<u4").reshape(SHAPE), bench.simulator.mask)
        assert np.array_equal(np.frombuffer(start[3], "<f4"), np.ones(60, "<f4"))
        assert (start[-1], image[-1], len(image)) == (b"of mine", b"too", 5)

    virtually(work, flatfield_htype="flatfield-1.0")


def test_a_start_without_any_detail_is_one_part(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(stream="legacy")
        await bench.put("/stream/api/1.8.0/config/header_detail", "none")
        await bench.take()
        assert bench.parts[0] == (b'{"htype": "dheader-1.0", "series": 1, "header_detail": "none"}',)

    virtually(work)


@pytest.mark.parametrize("compression", ["lz4", "bslz4"])
@pytest.mark.parametrize("bits", [16, 32])
def test_every_depth_and_compression_is_read_back(virtually, bits: int, compression: str) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(stream="legacy", compression=compression)
        await bench.take()
        pixels = pixels_of(bench.parts[1])
        expected = np.full(SHAPE, 50, np.uint32) + np.arange(10, dtype=np.uint32)
        expected[:, 4:6] = 2**bits - 1
        assert np.array_equal(pixels, expected)
        ((_, _, chunk_sha256, *_),) = bench.camera.truth
        assert chunk_sha256 == hashlib.sha256(bench.parts[1][2]).hexdigest()

    virtually(work, bit_depth=bits)


def test_pixels_that_do_not_compress_come_as_literals_and_still_as_lz4() -> None:
    from rocksalt_drivers.dectris_simplon.simulator_legacy import blob
    from rocksalt_drivers.dectris_simplon.stream_chunks import unpack_lz4

    for sides in ((1, 3), (1, 7), (30, 41)):
        noise = np.random.default_rng(3).integers(0, 2**16, sides).astype("<u2")
        encoding, block = blob(noise, "lz4")
        assert (encoding, unpack_lz4("it", block, noise.nbytes)) == ("lz4<", noise.tobytes())


@pytest.mark.parametrize(
    ("fault", "images", "ends"),
    [
        ({}, [(1, 0), (1, 1), (1, 2)], 1),
        ({"drop_images": [1]}, [(1, 0), (1, 2)], 1),
        ({"jump_images": [[1, 2]]}, [(1, 0), (1, 1), (1001, 2)], 1),
        ({"series_step": 7}, [(7, 0), (7, 1), (7, 2)], 1),
        ({"lost_end": True}, [(1, 0), (1, 1), (1, 2)], 0),
        ({"duplicate_end": True}, [(1, 0), (1, 1), (1, 2)], 2),
    ],
)
def test_a_named_fault_of_the_stream_happens(virtually, fault, images, ends: int) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(stream="legacy", nimages=3)
        await bench.take()
        await bench.put("command/disarm")
        heads = [content(parts[0]) for parts in bench.parts]
        assert [(head["series"], head["frame"]) for head in heads if head["htype"] == "dimage-1.0"] == images
        assert htypes(bench).count("dseries_end-1.0") == ends

    virtually(work, **fault)


@pytest.mark.parametrize("fault", ["wrong_hash_images", "corrupt_images"])
def test_an_image_and_its_hash_do_not_agree_where_that_is_the_fault(virtually, fault: str) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(stream="legacy", nimages=2)
        await bench.take()
        agree = [hashlib.md5(parts[2]).hexdigest() == content(parts[0])["hash"] for parts in bench.parts[1:3]]
        assert agree == [True, False]

    virtually(work, **{fault: [1]})


def test_one_format_is_sent_at_a_time_as_its_key_says(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(stream="legacy")
        await bench.take()
        await bench.put("/stream/api/1.8.0/config/format", "cbor")
        await bench.take()
        assert [len(parts) for parts in bench.parts] == [2, 4, 1, 1, 1, 1]

    virtually(work)
