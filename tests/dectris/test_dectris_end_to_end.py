"""Simulator, driver, decoder and writer together, in virtual time and on real sockets. The twin's truth judges."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the filter for plain h5py)
import pytest

from rocksalt.config.links import Link
from rocksalt.devices import Settings
from rocksalt.devices.links import RealWires
from rocksalt.devices.links.stream import ZmqStream
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


@pytest.mark.parametrize(
    ("fault", "missing"),
    [({}, []), ({"drop_images": [2]}, [2]), ({"duplicate_end": True}, []), ({"lost_end": True}, [])],
)
def test_every_frame_that_the_detector_sent_is_on_disk(virtually, tmp_path: Path, fault, missing: list[int]) -> None:
    async def work(bench) -> None:
        detector = bench.driver()
        await detector.connect()
        said: list[dict[str, Any]] = []
        writer = Writer(tmp_path, stream_decoder(2, SHAPE), said.append, bench.clock, reserve_bytes=0)
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
        chunk_hashes = {message["number"]: message["sha256"] for message in said if message["kind"] == "frame"}
        assert chunk_hashes == {frame: chunk for frame, _, chunk, *_ in bench.camera.truth}

    virtually(work, **fault)


async def test_on_real_sockets_it_is_the_same(tmp_path: Path) -> None:
    clock = ExperimentClock(asyncio.get_running_loop(), speed=50.0)
    camera = Camera()
    simulator = DectrisSimulator(camera, clock, options={})
    stream = ServedStream()
    simulator.stream_to(stream.push)
    server, address = await serve_http(simulator)
    host, port = address.split(":")
    detector = DectrisSimplon("detector", Settings(Link("http", host, int(port)), shape=SHAPE), RealWires(), clock)
    said: list[dict[str, Any]] = []
    counted = asyncio.Event()

    def hear(message: dict[str, Any]) -> None:
        said.append(message)
        if message["kind"] == "series_end":
            counted.set()

    writer = Writer(tmp_path, stream_decoder(2, SHAPE), hear, clock, reserve_bytes=0)
    pull = ZmqStream(f"tcp://{stream.address}", largest=stream_decoder(2, SHAPE).max_message_bytes)

    async def pulling() -> None:
        while True:
            await writer.message(await pull.receive())

    task = asyncio.create_task(pulling())
    try:
        async with asyncio.timeout(20):
            await detector.connect()
            armed = await detector.arm(0.5, 20)
            await writer.command(announcement(armed.series, 20))
            await detector.trigger(0.5, 20)
            await counted.wait()
    finally:
        task.cancel()
        await asyncio.wait([task])
        await detector.close()
        pull.close()
        stream.close()
        server.close()
    await writer.command({"kind": "finish"})
    assert len(camera.truth) == 20
    assert pixel_hashes(tmp_path) == {frame: sha256 for frame, sha256, *_ in camera.truth}
