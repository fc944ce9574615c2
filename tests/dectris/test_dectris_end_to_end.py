"""Simulator, driver, decoder and writer together, in virtual time and on real sockets. The twin's truth judges."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the filter for plain h5py)
import numpy as np
import pytest
import zmq

from rocksalt.config.links import Link
from rocksalt.devices import Settings
from rocksalt.devices.links import RealWires
from rocksalt.devices.links.stream import ZmqStream
from rocksalt.devices.stream import BadMessage
from rocksalt.storage.frames import MASK
from rocksalt.storage.writer import Writer
from rocksalt.time import ExperimentClock
from rocksalt.twin.wire.hosting import ServedStream, serve_http
from rocksalt_drivers.dectris_simplon.driver import DectrisSimplon
from rocksalt_drivers.dectris_simplon.simulator import DectrisSimulator
from rocksalt_drivers.dectris_simplon.stream import decoder as stream_decoder

from .conftest import SHAPE, Camera


def pixel_hashes(folder: Path) -> dict[int, str]:
    with h5py.File(folder / "frames" / "frames_000001.h5", "r") as file:
        numbers = file["entry/data/number"][()]
        return {
            int(number): hashlib.sha256(file["entry/data/data"][index].tobytes()).hexdigest()
            for index, number in enumerate(numbers)
        }


def announcement(series: int, count: int) -> dict[str, Any]:
    return {"kind": "series", "series": series, "measurement": 0, "first_number": 0, "count": count, "exposure_s": 0.1}


@pytest.mark.parametrize("stream_version", [1, 2])
@pytest.mark.parametrize(
    ("fault", "missing"),
    [({}, []), ({"drop_images": [2]}, [2]), ({"duplicate_end": True}, []), ({"lost_end": True}, []),
     ({"early_reply": True}, []), ({"late_reply_s": 1.0}, [])],
)  # fmt: skip
def test_every_frame_that_the_detector_sent_is_on_disk(
    virtually, tmp_path: Path, stream_version: int, fault, missing: list[int]
) -> None:
    async def work(bench) -> None:
        detector = bench.driver(stream_version=stream_version)
        await detector.connect()
        said: list[dict[str, Any]] = []
        decoder = stream_decoder(stream_version, SHAPE)
        writer = Writer(tmp_path, decoder, said.append, bench.clock, reserve_bytes=0)
        armed = await detector.arm(0.1, 5)
        await writer.command(announcement(armed.series, 5))
        await detector.trigger(0.1, 5)
        await detector.disarm()
        for message in bench.parts:
            await writer.message(message)
        if fault.get("lost_end"):
            await writer.command({"kind": "series_timeout", "series": armed.series})
        await writer.command({"kind": "finish"})
        (end,) = [message for message in said if message["kind"] == "series_end"]
        assert (end["taken"], end["written"], end["missing"]) == (5, 5 - len(missing), missing)
        assert [message for message in said if message["kind"] == "trouble"] == []
        assert pixel_hashes(tmp_path) == {frame: sha256 for frame, sha256, *_ in bench.camera.truth}
        # What the detector compressed is what lies on the disk: nothing was unpacked or packed on the way.
        chunk_hashes = {message["number"]: message["sha256"] for message in said if message["kind"] == "frame"}
        assert chunk_hashes == {frame: chunk for frame, _, chunk, *_ in bench.camera.truth}
        (start,) = [message for message in said if message["kind"] == "series_start"]
        assert start["saturation_value"] == detector.count_cutoff == 1_000_000
        with h5py.File(tmp_path / "frames" / "frames_000001.h5", "r") as file:
            assert np.array_equal(file[MASK][()], detector.pixel_mask)
            assert set(file["entry/data/saturation_value"][()]) == {1_000_000}

    virtually(work, **fault)


@pytest.mark.parametrize(
    ("stream_version", "fault", "missing", "causes"),
    [
        (1, {"corrupt_images": [1]}, [1], ["stream"]),
        (2, {"corrupt_images": [1]}, [1], ["stream"]),
        (1, {"wrong_hash_images": [3]}, [3], ["stream"]),
        (1, {"jump_images": [4]}, [4], []),
        (2, {"jump_images": [4]}, [4], []),
    ],
)
def test_a_frame_that_came_broken_is_missing_and_the_writer_says_why(
    virtually, tmp_path: Path, stream_version: int, fault, missing: list[int], causes: list[str]
) -> None:
    async def work(bench) -> None:
        detector = bench.driver(stream_version=stream_version)
        await detector.connect()
        said: list[dict[str, Any]] = []
        writer = Writer(tmp_path, stream_decoder(stream_version, SHAPE), said.append, bench.clock, reserve_bytes=0)
        armed = await detector.arm(0.1, 5)
        await writer.command(announcement(armed.series, 5))
        await detector.trigger(0.1, 5)
        for message in bench.parts:
            await writer.message(message)
        await writer.command({"kind": "finish"})
        (end,) = [message for message in said if message["kind"] == "series_end"]
        assert (end["written"], end["missing"]) == (4, missing)
        assert [message["cause"] for message in said if message["kind"] == "trouble"] == causes

    virtually(work, **fault)


def test_a_stream_of_the_other_version_is_said_to_be_that(virtually, tmp_path: Path) -> None:
    async def work(bench) -> None:
        await bench.driver(stream_version=1).connect()
        said: list[dict[str, Any]] = []
        writer = Writer(tmp_path, stream_decoder(2, SHAPE), said.append, bench.clock, reserve_bytes=0)
        await bench.take()
        await writer.message(bench.parts[0])
        assert "set stream_version = 1 in the station file" in said[0]["what"]

    virtually(work)


@pytest.mark.parametrize("options", [{}, {"compression": "lz4"}])
@pytest.mark.parametrize("stream_version", [1, 2])
async def test_on_real_sockets_it_is_the_same(tmp_path: Path, stream_version: int, options: dict[str, str]) -> None:
    clock = ExperimentClock(asyncio.get_running_loop(), speed=100.0)
    camera = Camera()
    simulator = DectrisSimulator(camera, clock, options={"initialize_s": 0.1})
    stream = ServedStream()
    simulator.stream_to(stream.push)
    server, address = await serve_http(simulator)
    host, port = address.split(":")
    settings = Settings(Link("http", host, int(port)), shape=SHAPE, stream_version=stream_version)
    detector = DectrisSimplon("detector", settings, RealWires(), clock)
    said: list[dict[str, Any]] = []
    counted = asyncio.Event()

    def hear(message: dict[str, Any]) -> None:
        said.append(message)
        if message["kind"] == "series_end":
            counted.set()

    decoder = stream_decoder(stream_version, SHAPE)
    writer = Writer(tmp_path, decoder, hear, clock, reserve_bytes=0)
    pull = ZmqStream(f"tcp://{stream.address}", largest=decoder.max_message_bytes)

    async def pulling() -> None:
        while True:
            await writer.message(await pull.receive())

    task = asyncio.create_task(pulling())
    try:
        async with asyncio.timeout(30):
            await detector.connect()
            for key, value in options.items():  # what a person may do meanwhile on the unit's own page
                await detector.api.put("detector", key, value)
            armed = await detector.arm(0.3, 200)
            await writer.command(announcement(armed.series, 200))
            await detector.trigger(0.3, 200)
            await counted.wait()
    finally:
        task.cancel()
        await asyncio.wait([task])
        await detector.close()
        pull.close()
        stream.close()
        server.close()
    await writer.command({"kind": "finish"})
    assert [message for message in said if message["kind"] == "trouble"] == []
    assert len(camera.truth) == 200
    hashes = {frame: sha256 for frame, sha256, *_ in camera.truth}
    assert len(set(hashes.values())) == 200
    assert pixel_hashes(tmp_path) == hashes


async def test_a_message_of_too_many_parts_is_cut_and_refused_and_the_next_one_is_whole() -> None:
    stream = ServedStream()
    pull = ZmqStream(f"tcp://{stream.address}")
    try:
        assert stream._socket.poll(10_000, zmq.POLLOUT)  # they are joined
        assert stream.push([b"{}"] * 500)
        end = (b'{"htype":"dseries_end-1.0","series":7}',)
        assert stream.push(end)
        async with asyncio.timeout(10):
            many = await pull.receive()
            assert len(many) == 64
            with pytest.raises(BadMessage, match="64 parts"):
                stream_decoder(1, SHAPE).decode(many)
            assert await pull.receive() == end
    finally:
        pull.close()
        stream.close()
