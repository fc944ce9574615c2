"""The writer: what it acknowledges is on disk, what is missing it names, and nothing that comes upsets it."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the filter for plain h5py)
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocksalt.devices.stream import BadMessage, Ignored, Image, SeriesEnd, SeriesStart
from rocksalt.storage import frames
from rocksalt.storage.frames import DATA
from rocksalt.storage.writer import Writer

SHAPE = (4, 5)
DTYPE = np.dtype("<u4")


class Script:
    """A decoder of messages that are numbers in a list of what they mean."""

    max_message_bytes = 1000

    def __init__(self) -> None:
        self.meanings: list[Any] = []

    def decode(self, message: tuple[bytes, ...]) -> Any:
        meaning = self.meanings[int(message[0])]
        if isinstance(meaning, BadMessage):
            raise meaning
        return meaning


class Clock:
    now = 0.0

    def now_s(self) -> float:
        return self.now


class Desk:
    """A writer, its decoder's script, and everything it said."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.folder, self.script, self.clock = folder, Script(), Clock()
        self.said: list[dict[str, Any]] = []
        self.writer = Writer(folder, self.script, self.said.append, self.clock, **({"reserve_bytes": 0} | limits))

    async def announce(self, series: int, count: int, *, measurement: int = 3, first_number: int = 10) -> None:
        await self.writer.command({
            "kind": "series", "series": series, "measurement": measurement, "first_number": first_number,
            "count": count, "exposure_s": 0.5,
        })  # fmt: skip

    async def comes(self, *meanings: Any) -> None:
        for meaning in meanings:
            self.script.meanings.append(meaning)
            await self.writer.message((str(len(self.script.meanings) - 1).encode(),))

    async def finish(self) -> None:
        await self.writer.command({"kind": "finish"})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.said if message["kind"] == kind]

    def causes(self) -> list[str]:
        return [message["cause"] for message in self.of("trouble")]


def pixels(series: int, image: int) -> np.ndarray:
    return np.full(SHAPE, 1000 * series + image, DTYPE)


def image(series: int, number: int) -> Image:
    chunk = memoryview(pixels(series, number).tobytes())
    return Image(series, number, chunk, SHAPE, DTYPE, "raw", number * 1.0, number + 0.5, 0.5)


def on_disk(folder: Path) -> dict[int, int]:
    """Frame number -> its pixels' value, by plain h5py."""
    found: dict[int, int] = {}
    for path in sorted((folder / "frames").iterdir()):
        with h5py.File(path, "r") as file:
            for index, number in enumerate(file["entry/data/number"][()]):
                found[int(number)] = int(file[DATA][index, 0, 0])
    return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_a_frame_is_readable_by_others_when_it_is_acknowledged(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    seen = []

    def look(message: dict[str, Any]) -> None:
        desk.said.append(message)
        if message["kind"] == "frame":
            with h5py.File(tmp_path / message["file"], "r", swmr=True) as file:
                seen.append(int(file[DATA][message["index"], 0, 0]))

    desk.writer = Writer(tmp_path, desk.script, look, desk.clock, reserve_bytes=0)
    await desk.announce(1, 3)
    await desk.comes(*(image(1, number) for number in range(3)), SeriesEnd(1))
    assert seen == [1000, 1001, 1002]
    await desk.finish()


async def test_an_acknowledgement_is_a_frame_ref_with_the_hash_of_the_bytes_that_came(desk: Desk) -> None:
    from rocksalt.values import FrameRef

    desk.clock.now = 100.0
    await desk.announce(5, 2, measurement=7, first_number=40)
    await desk.comes(image(5, 1))
    ((message),) = desk.of("frame")
    ref = FrameRef(**{key: value for key, value in message.items() if key != "kind"})
    digest = hashlib.sha256(pixels(5, 1).tobytes()).hexdigest()
    assert ref == FrameRef(41, 7, 5, 1, "frames/frames_000001.h5", 0, digest, 0.5, 100.0)
    await desk.finish()


async def test_times_follow_the_detectors_clock_however_late_messages_come(desk: Desk) -> None:
    await desk.announce(1, 3)
    for number, now in enumerate((10.5, 14.0, 12.6)):
        desk.clock.now = now
        await desk.comes(image(1, number))
    assert [frame["ended_s"] for frame in desk.of("frame")] == pytest.approx([10.5, 11.5, 12.5])
    await desk.finish()


async def test_a_complete_series_is_counted_at_its_end(desk: Desk) -> None:
    start = SeriesStart(1, "u", 2, SHAPE, DTYPE, 0.5, 999)
    await desk.announce(1, 2)
    await desk.comes(start, image(1, 0), image(1, 1), SeriesEnd(1))
    assert desk.of("series_end") == [
        {"kind": "series_end", "series": 1, "measurement": 3, "taken": 2, "written": 2, "missing": [], "reason": "end"}
    ]
    assert desk.of("series_start")[0]["saturation_value"] == 999
    assert desk.causes() == []
    await desk.finish()
    assert on_disk(desk.folder) == {10: 1000, 11: 1001}
    assert desk.said[-1] == {"kind": "finished", "frames": 2}


async def test_the_detectors_mask_and_cutoff_lie_beside_the_frames_that_they_belong_to(desk: Desk) -> None:
    masks = {1: np.eye(4, 5, dtype=np.uint32), 2: np.eye(4, 5, dtype=np.uint32), 3: np.ones((4, 5), np.uint32)}
    for series in (1, 2, 3, 4):  # the start of series 4 is lost
        await desk.announce(series, 1, first_number=10 * series)
        if series in masks:
            await desk.comes(SeriesStart(series, "u", 1, SHAPE, DTYPE, 0.5, 100 * series, masks[series]))
        await desk.comes(image(series, 0), SeriesEnd(series))
    await desk.finish()
    kept = {}
    for path in sorted((desk.folder / "frames").iterdir()):
        with h5py.File(path, "r") as file:
            mask = file["entry/instrument/detector/pixel_mask"]
            cutoffs = file["entry/data/saturation_value"]
            for index, number in enumerate(file["entry/data/number"][()]):
                kept[int(number)] = path.name, int(mask[()].sum()), int(cutoffs[index])
    assert kept == {
        10: ("frames_000001.h5", 4, 100), 20: ("frames_000001.h5", 4, 200),
        30: ("frames_000002.h5", 20, 300), 40: ("frames_000002.h5", 20, 0),
    }  # fmt: skip
    assert desk.causes() == []


async def test_an_image_that_was_lost_is_named(desk: Desk) -> None:
    await desk.announce(1, 5)
    await desk.comes(*(image(1, number) for number in (0, 1, 3)), SeriesEnd(1))
    (end,) = desk.of("series_end")
    assert (end["taken"], end["written"], end["missing"]) == (5, 3, [2, 4])
    await desk.finish()


async def test_frames_wait_for_the_announcement_of_their_series(desk: Desk) -> None:
    await desk.comes(image(2, 0), image(2, 1), SeriesEnd(2))
    assert desk.said == []
    await desk.announce(2, 2)
    assert [message["kind"] for message in desk.said] == ["frame", "frame", "series_end"]
    await desk.finish()


async def test_waiting_is_bounded_and_what_found_no_room_is_missing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, waiting_bytes=2 * pixels(0, 0).nbytes)
    await desk.comes(*(image(2, number) for number in range(4)))
    assert desk.causes() == ["stray", "stray"]
    await desk.announce(2, 4)
    await desk.comes(SeriesEnd(2))
    assert desk.of("series_end")[0]["missing"] == [2, 3]
    await desk.finish()


async def test_an_end_that_comes_twice_is_one_end_and_one_that_never_comes_is_closed_by_the_daemon(desk: Desk) -> None:
    await desk.announce(1, 1)
    await desk.comes(image(1, 0), SeriesEnd(1), SeriesEnd(1))
    await desk.announce(2, 2, first_number=11)
    await desk.comes(image(2, 0))
    await desk.writer.command({"kind": "series_timeout", "series": 2})
    await desk.writer.command({"kind": "series_timeout", "series": 2})
    await desk.writer.command({"kind": "series_timeout", "series": 77})
    assert [(end["series"], end["reason"], end["missing"]) for end in desk.of("series_end")] == [
        (1, "end", []),
        (2, "timeout", [1]),
    ]
    await desk.comes(image(2, 1))
    assert desk.causes() == ["stray"]
    await desk.finish()


async def test_the_same_image_twice_is_kept_once(desk: Desk) -> None:
    await desk.announce(1, 2)
    await desk.comes(image(1, 0), image(1, 0), image(1, 1), SeriesEnd(1))
    assert desk.causes() == ["duplicate"]
    await desk.finish()
    assert on_disk(desk.folder) == {10: 1000, 11: 1001}


async def test_an_image_beyond_what_was_announced_is_a_stray(desk: Desk) -> None:
    await desk.announce(1, 1)
    await desk.comes(image(1, 0), image(1, 1), SeriesEnd(1))
    assert desk.causes() == ["stray"]
    assert desk.writer.strays == 1
    await desk.finish()
    assert on_disk(desk.folder) == {10: 1000}


async def test_a_series_that_is_cut_short_is_announced_again_with_what_it_has(desk: Desk) -> None:
    await desk.announce(1, 100)
    await desk.comes(image(1, 0), image(1, 1))
    await desk.announce(1, 2)
    await desk.comes(SeriesEnd(1))
    assert desk.of("series_end")[0]["missing"] == []
    await desk.finish()


async def test_garbage_is_told_and_the_next_frame_is_taken(desk: Desk) -> None:
    await desk.announce(1, 1)
    await desk.comes(BadMessage("no CBOR"), Ignored("a heartbeat"), Ignored("a heartbeat"), image(1, 0), SeriesEnd(1))
    assert [trouble["what"] for trouble in desk.of("trouble")] == ["no CBOR", "a heartbeat"]
    assert desk.of("series_end")[0]["written"] == 1
    await desk.finish()


async def test_finish_closes_what_is_open_and_says_so(desk: Desk) -> None:
    await desk.announce(1, 3)
    await desk.comes(image(1, 0))
    await desk.finish()
    assert desk.writer.finished
    assert [(message["kind"], message.get("reason")) for message in desk.said[1:]] == [
        ("series_end", "finish"),
        ("finished", None),
    ]


async def test_files_follow_each_other_and_another_kind_of_frame_gets_its_own(desk: Desk, monkeypatch) -> None:
    monkeypatch.setattr(frames, "FRAMES_PER_FILE", 2)
    await desk.announce(1, 4)
    await desk.comes(*(image(1, number) for number in range(3)))
    small = Image(1, 3, memoryview(bytes(40)), SHAPE, np.dtype("<u2"), "raw", 3.0, 3.5, 0.5)
    await desk.comes(small, SeriesEnd(1))
    assert [(frame["file"][-4:-3], frame["index"]) for frame in desk.of("frame")] == [
        ("1", 0), ("1", 1), ("2", 0), ("3", 0)
    ]  # fmt: skip
    await desk.finish()
    assert on_disk(desk.folder) == {10: 1000, 11: 1001, 12: 1002, 13: 0}


async def test_a_disk_that_runs_low_is_told_once_and_again_after_there_was_room(tmp_path: Path) -> None:
    desk = Desk(tmp_path, reserve_bytes=1 << 62)
    await desk.announce(1, 4)
    await desk.comes(image(1, 0), image(1, 1))
    assert desk.causes() == ["disk_low"]
    assert "stop exposing" in desk.of("trouble")[0]["what"]
    desk.writer._reserve_bytes = 0
    await desk.comes(image(1, 2))
    desk.writer._reserve_bytes = 1 << 62
    await desk.comes(image(1, 3))
    assert desk.causes() == ["disk_low", "disk_low"]
    await desk.finish()


async def test_an_unknown_command_is_refused(desk: Desk) -> None:
    with pytest.raises(ValueError, match="not 'dance'"):
        await desk.writer.command({"kind": "dance"})


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.lists(st.one_of(st.integers(0, 5), st.just("end"), st.just("garbage")), max_size=12), early=st.booleans()
)
def test_whatever_comes_in_whatever_order_the_counts_are_right(tmp_path_factory, order: list[Any], early: bool) -> None:

    folder = tmp_path_factory.mktemp("run")

    async def work() -> Desk:
        desk = Desk(folder)
        if not early:
            await desk.announce(1, 5)
        meanings = {"end": SeriesEnd(1), "garbage": BadMessage("garbage")}
        await desk.comes(*(meanings[one] if isinstance(one, str) else image(1, one) for one in order))
        if early:
            await desk.announce(1, 5)
        await desk.finish()
        return desk

    desk = asyncio.run(work())
    before_end = order[: order.index("end")] if "end" in order else order
    expected = {one for one in before_end if isinstance(one, int) and one < 5}
    (end,) = desk.of("series_end")
    assert (end["written"], end["missing"]) == (len(expected), [n for n in range(5) if n not in expected])
    found = on_disk(folder) if (folder / "frames").exists() else {}
    assert found == {10 + one: 1000 + one for one in expected}
    assert [frame["number"] for frame in desk.of("frame")] == list(dict.fromkeys(
        10 + one for one in before_end if isinstance(one, int) and one < 5
    ))  # fmt: skip


CHILD = """
import asyncio, json, os, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_writer import Desk, image
from rocksalt.devices.stream import SeriesEnd

async def main():
    desk = Desk(Path({folder!r}))
    desk.writer._send = lambda message: print(json.dumps(message), flush=True)
    await desk.announce(1, {count}, first_number=0)
    await desk.comes(*(image(1, number) for number in range({before})))
    {then}
    await desk.comes(*(image(1, number) for number in range({before}, {count})), SeriesEnd(1))
    await desk.finish()

asyncio.run(main())
os._exit(0)
"""


def in_a_process(folder: Path, *, count: int, before: int, then: str) -> tuple[int, list[dict[str, Any]]]:
    """A writer in a process of its own to which `then` happens; its exit status and what it said."""
    here = str(Path(__file__).parent)
    code = CHILD.format(here=here, folder=str(folder), count=count, before=before, then=then)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_killed_writer_leaves_every_acknowledged_frame_readable(tmp_path: Path) -> None:
    status, said = in_a_process(tmp_path, count=300, before=200, then="os.kill(os.getpid(), signal.SIGKILL)")
    assert status == -signal.SIGKILL
    acknowledged = [message for message in said if message["kind"] == "frame"]
    assert len(acknowledged) == 200
    with h5py.File(tmp_path / "frames" / "frames_000001.h5", "r", swmr=True) as file:
        for frame in acknowledged:
            assert file["entry/data/number"][frame["index"]] == frame["number"]
            assert (file[DATA][frame["index"]] == pixels(1, frame["image"])).all()


def test_a_disk_that_refuses_is_named_and_nothing_is_acknowledged_that_is_not_there(tmp_path: Path) -> None:
    # Files may not grow beyond 64 KiB from here on: write fails as it does on a full disk.
    limit = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))"
    status, said = in_a_process(tmp_path, count=600, before=100, then=limit)
    assert status == 0
    (trouble,) = [message for message in said if message["kind"] == "trouble"]
    assert trouble["cause"] == "disk"
    assert "are not on disk" in trouble["what"]
    (end,) = [message for message in said if message["kind"] == "series_end"]
    acknowledged = {message["number"]: message for message in said if message["kind"] == "frame"}
    assert end["written"] == len(acknowledged) < 600
    assert sorted({*end["missing"], *acknowledged}) == list(range(600))
    readable = 0
    for path in sorted((tmp_path / "frames").iterdir()):
        with h5py.File(path, "r", swmr=True) as file:
            for frame in acknowledged.values():
                if frame["file"].endswith(path.name):
                    assert file["entry/data/number"][frame["index"]] == frame["number"]
                    assert (file[DATA][frame["index"]] == pixels(1, frame["image"])).all()
                    readable += 1
    assert readable == len(acknowledged)


def test_writing_goes_on_in_a_new_file_once_the_disk_takes_it(tmp_path: Path) -> None:
    limits = "resource.setrlimit(resource.RLIMIT_FSIZE, ({}, resource.RLIM_INFINITY))"
    then = (
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        + limits.format(65536)
        + "; await desk.comes(*(image(1, number) for number in range(100, 400))); "
        + limits.format("resource.RLIM_INFINITY")
    )
    status, said = in_a_process(tmp_path, count=500, before=100, then=then)
    assert status == 0
    acknowledged = [message for message in said if message["kind"] == "frame"]
    assert [frame["number"] for frame in acknowledged][-100:] == list(range(400, 500))
    assert acknowledged[-1]["file"] == "frames/frames_000002.h5"
    with h5py.File(tmp_path / "frames" / "frames_000002.h5", "r") as file:
        assert file["entry/data/number"][()].tolist() == list(range(400, 500))
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["frames_000001.h5", "frames_000002.h5"]


async def test_an_abandoned_writer_leaves_its_file_as_a_death_would(desk: Desk) -> None:
    await desk.announce(1, 3)
    await desk.comes(image(1, 0), image(1, 1))
    path = desk.folder / "frames" / "frames_000001.h5"
    lay = path.read_bytes()
    desk.writer.abandon()
    assert path.read_bytes() == lay
    with pytest.raises(OSError, match="already open for write"):
        h5py.File(path, "r")
    with h5py.File(path, "r", swmr=True) as file:
        assert file[DATA][:, 0, 0].tolist() == [1000, 1001]


def test_a_node_that_crashes_leaves_its_file_as_it_lay_although_everything_is_forgotten(tmp_path: Path) -> None:

    from rocksalt.time import Crashed, Node, run_virtual

    path = tmp_path / "frames" / "frames_000001.h5"

    async def night() -> None:
        node = Node("writer")

        async def writing() -> None:
            desk = Desk(tmp_path)
            await desk.announce(1, 9)
            await desk.comes(image(1, 0), image(1, 1))
            lay.append(path.read_bytes())
            node.crash()
            with pytest.raises(Crashed):
                await desk.comes(image(1, 2))
            with pytest.raises(Crashed):
                await desk.finish()

        task = node.spawn(writing())
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None

    lay: list[bytes] = []
    run_virtual(night)
    gc.collect()
    assert [path.read_bytes()] == lay
    with h5py.File(path, "r", swmr=True) as file:
        assert file[DATA][:, 0, 0].tolist() == [1000, 1001]


async def test_serve_obeys_and_pulls_until_finish_or_until_the_daemon_is_gone(tmp_path: Path) -> None:

    from rocksalt.devices.links.stream import MemoryStream
    from rocksalt.messages import pair
    from rocksalt.storage.writer import serve

    for ending in ("finish", "gone"):
        folder = tmp_path / ending
        folder.mkdir()
        desk, stream, (here, there) = Desk(folder), MemoryStream(), pair()
        desk.writer._send = there.send
        serving = asyncio.create_task(serve(desk.writer, stream, there))
        await here.send({"kind": "series", "series": 1, "measurement": 0, "first_number": 0, "count": 2,
                         "exposure_s": 0.5})  # fmt: skip
        desk.script.meanings += [image(1, 0), image(1, 1)]
        for number in range(2):
            assert stream.push((str(number).encode(),))
            assert (await here.receive())["number"] == number
        if ending == "finish":
            await here.send({"kind": "finish"})
        else:
            here.close()
        async with asyncio.timeout(5):
            await serving
        assert on_disk(folder) == {0: 1000, 1: 1001}
