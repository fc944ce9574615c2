"""Plans for the tests, and what a consumer finds of them: by the documents alone, with plain h5py."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the filter for plain h5py)
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp

from cli.desk import until
from rocksalt.bluesky import Frames

from .conftest import Bench, Devices, Told


def fly(detector: Any, frames: Frames, *, series: int = 1, told_every_s: float = 0.1) -> Any:
    """Series of frames, one after the other, told of while they come."""

    @bpp.stage_decorator([detector])
    @bpp.run_decorator()
    def inner() -> Any:
        yield from bps.prepare(detector, frames, wait=True)
        yield from bps.declare_stream(detector, name="primary", collect=True)
        yield from bps.checkpoint()
        for _ in range(series):
            yield from bps.kickoff(detector, wait=True)
            yield from bps.collect_while_completing(
                [detector], [detector], flush_period=told_every_s, stream_name="primary"
            )

    return inner()


def found(told: Told, key: str) -> list[Any]:
    """The rows of one run's data key, in the order of their seq_nums."""
    resources = {document["uid"]: document for document in told.of("stream_resource")}
    (descriptor,) = told.of("descriptor")
    rows: dict[int, Any] = {}
    for datum in told.of("stream_datum"):
        resource = resources[datum["stream_resource"]]
        if resource["data_key"] != key:
            continue
        assert datum["descriptor"] == descriptor["uid"]
        assert resource["mimetype"] == "application/x-hdf5"
        with h5py.File(resource["uri"].removeprefix("file://localhost"), "r") as file:
            dataset = file[resource["parameters"]["dataset"]]
            assert list(dataset.chunks) == resource["parameters"]["chunk_shape"]
            described = descriptor["data_keys"][key]
            assert [1, *dataset.shape[1:]] == described["shape"]
            assert dataset.dtype.str == described["dtype_numpy"]
            places = range(datum["indices"]["start"], datum["indices"]["stop"])
            numbers = range(datum["seq_nums"]["start"], datum["seq_nums"]["stop"])
            for place, number in zip(places, numbers, strict=True):
                assert number not in rows
                rows[number] = dataset[place]
    assert sorted(rows) == list(range(1, len(rows) + 1))
    return [rows[number] for number in sorted(rows)]


def pixel_hashes(told: Told) -> list[str]:
    return [hashlib.sha256(frame.tobytes()).hexdigest() for frame in found(told, "detector")]


def every_frame_is_found(told: Told, sent: list[dict[str, Any]]) -> None:
    """The pixels are those that the detector sent, in their order, and each frame's hash is that of its chunk."""
    assert pixel_hashes(told) == [frame["sha256"] for frame in sent]
    assert [sha256.decode() for sha256 in found(told, "detector_sha256")] == [frame["chunk_sha256"] for frame in sent]


def ask(engine: RunEngine, work: Any) -> Any:
    """Something asynchronous, on the RunEngine's loop."""
    return asyncio.run_coroutine_threadsafe(work, engine.loop).result(10)


def nothing_goes_on(bench: Bench, engine: RunEngine, devices: Devices) -> None:
    """The detector is idle, the shutter closed, and no writer lives."""
    assert ask(engine, devices["detector"].device._state()) == "idle"
    until("the shutter is closed", lambda: bench.shutter == "closed", 5)
    assert writers() == []


def writers() -> list[str]:
    """Command lines of the writers among this process's children (of all its threads)."""
    lines = []
    for tasks in Path("/proc/self/task").iterdir():
        for pid in _read(tasks / "children").split():
            line = _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ")
            lines += [line] if "rocksalt.storage.writer" in line else []
    return lines


def _read(path: Path) -> str:
    """Nothing, for a thread or a child that has ended meanwhile."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return path.read_text()
    return ""


def when(act: Callable[[], object], happens: Callable[[], bool]) -> threading.Thread:
    """Do this to the running plan once that has happened, as a person at another terminal would."""

    def watch() -> None:
        until("it happens", happens, 20)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread
