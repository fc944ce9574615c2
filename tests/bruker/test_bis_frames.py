"""Frames on disk: what the simulator writes by the notes, fabio reads; what is late, cut or foreign is no frame."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bruker.bench import SHAPE, World
from drivers.bench import in_virtual_time
from rocksalt.devices import LinkLost, Refused, Stopped
from rocksalt_drivers.bruker_bis.sfrm import HEAD, BadFrame, frame_of, largest, length, read_frame
from rocksalt_drivers.bruker_bis.simulator_frames import sfrm

FACTS = {"ELAPSDA": "2.500", "ANGLES": "1.0 2.0 3.0 4.0"}
COUNTS = st.one_of(
    st.integers(0, 400),
    st.sampled_from([0, 63, 64, 65, 254, 255, 256, 318, 319, 65_534, 65_535, 65_598, 65_599, 2**31 - 1]),
)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.tuples(st.integers(2, 9), st.integers(2, 9)).flatmap(
        lambda shape: arrays(np.uint32, shape, elements=COUNTS)
    ),
    baseline=st.sampled_from([-1, 0, 32, 64, 127, 128, 200]),
)
def test_every_count_survives_baseline_underflow_and_both_overflow_tables(
    counts: np.ndarray[Any, Any], baseline: int
) -> None:
    frame = frame_of(sfrm(counts, FACTS, baseline=baseline), counts.shape)
    assert (frame.counts == counts).all()
    assert (frame.exposure_s, frame.angles_deg) == (2.5, (1.0, 2.0, 3.0, 4.0))


def some_file() -> bytes:
    counts = np.arange(48, dtype=np.uint32).reshape(6, 8) * 2000
    return sfrm(counts, FACTS, baseline=64)


def test_the_header_is_laid_out_as_the_notes_say() -> None:
    data = some_file()
    lines = [data[at : at + 80].decode() for at in range(0, 87 * 80, 80)]
    for number, name in {
        0: "FORMAT",
        2: "HDRBLKS",
        20: "NOVERFL",
        40: "NROWS",
        41: "NCOLS",
        79: "NEXP",
        86: "DARK",
    }.items():
        assert lines[number].startswith(f"{name:<7}:"), number
    assert lines[2][8:].strip() == "15"
    assert data[15 * 512 - 2 : 15 * 512] == b"\x1a\x04"
    assert set(data[87 * 80 : 15 * 512 - 2]) == {ord(".")}


def test_the_header_alone_tells_how_long_the_file_must_be() -> None:
    data = some_file()
    assert length(data[:HEAD], (6, 8)) == len(data)
    assert len(data) <= largest((6, 8))


@pytest.mark.parametrize("cut", [0, 100, HEAD - 1, HEAD, 7680, -1])
def test_a_file_that_is_cut_is_refused_wherever_it_was(cut: int) -> None:
    with pytest.raises(BadFrame):
        frame_of(some_file()[:cut], (6, 8))


def changed(name: str, value: str) -> bytes:
    data = bytearray(some_file())
    at = data.index(f"{name:<7}:".encode())
    data[at + 8 : at + 80] = f"{value:<72}".encode()
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NROWS", "4096"), ("NCOLS", "-8"), ("NROWS", "six"), ("FORMAT", "86"), ("HDRBLKS", "1000000"),
        ("HDRBLKS", "12"),
        ("NPIXELB", "8 1"), ("NPIXELB", "1"), ("NOVERFL", "0 99999999 0"), ("NOVERFL", "0 0 -1"), ("NOVERFL", ""),
        ("NCOUNTS", "7"), ("MAXIMUM", "7"), ("NEXP", "1 0 many 0 0"),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_refused_before_anything_is_made_of_it(name: str, value: str) -> None:
    with pytest.raises(BadFrame):
        frame_of(changed(name, value), (6, 8))


def test_sums_that_a_real_file_writes_otherwise_may_be_passed_over() -> None:
    data = changed("NCOUNTS", "7")
    assert frame_of(data, (6, 8), sums=False).counts.shape == (6, 8)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7900), st.integers(0, 255)), max_size=8), st.integers(0, 9000))
def test_damaged_bytes_give_a_frame_or_a_refusal_and_nothing_else(damage: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(some_file())
    for at, byte in damage:
        data[at % len(data)] = byte
    try:
        frame = frame_of(bytes(data[:cut]), (6, 8), sums=False)
    except BadFrame:
        return
    assert frame.counts.shape == (6, 8)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(some_file())
    (tmp_path / "a.sfrm").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError):
        read_frame(tmp_path / "a.sfrm", (6, 8))


# the detector


async def detector_in(world: World, folder: Path, **options: Any) -> Any:
    detector = world.part("detector", shape=SHAPE, frames_dir=str(folder), **options)
    await detector.connect()
    world.wires.forget()
    return detector


@pytest.mark.parametrize("case", ["upper", "lower", "kept"])
@in_virtual_time
async def test_frames_are_exposed_written_and_read_back_count_for_count(case: str, tmp_path: Path) -> None:
    world = World(frames_dir=str(tmp_path), file_case=case)
    detector = await detector_in(world, tmp_path, frames_dir_on_bis="C:\\Frames\\")
    files = await detector.expose(2.0, 3)
    assert [(file.series, file.number, file.exposure_s) for file in files] == [(1, 0, 2.0), (1, 1, 2.0), (1, 2, 2.0)]
    assert detector.lost == {}
    for file, pixels in zip(files, world.camera.pixels, strict=True):
        frame = read_frame(file.path, SHAPE)
        assert (frame.counts == pixels).all()
        assert file.size == file.path.stat().st_size
    assert "[Scan /Filename=C:\\Frames\\rs000001_000000.sfrm /ScanTime=2.000000 /Rescan=0]" in world.wires.said


@in_virtual_time
async def test_light_falls_only_while_the_safety_shutter_is_open_and_a_frame_is_taken(tmp_path: Path) -> None:
    world = World(frames_dir=str(tmp_path))
    detector, shutter = await detector_in(world, tmp_path), world.part("shutter")
    await shutter.connect()
    asked: list[bool] = []
    request = world.hutch.request_shutter
    world.hutch.request_shutter = lambda at_s, open: (asked.append(open), request(at_s, open))[1]  # type: ignore[method-assign]
    await detector.expose(1.0, 1)
    assert not any(asked)
    await shutter.open_shutter()
    assert not any(asked), "the fast shutter is still closed"
    await detector.expose(1.0, 1)
    assert asked[-2:] == [True, False]


@pytest.mark.parametrize("wanted", [False, True])
@in_virtual_time
async def test_an_attenuator_that_was_left_elsewhere_is_put_where_the_station_says(
    wanted: bool, tmp_path: Path
) -> None:
    world = World(frames_dir=str(tmp_path), attenuator_in=not wanted)
    detector = await detector_in(world, tmp_path, attenuator=wanted)
    assert len(await detector.expose(1.0, 1)) == 1
    assert world.bis.attenuator == wanted
    world.wires.forget()
    await detector.expose(1.0, 1)
    assert not any("Attenuator" in text for text in world.wires.said)


@in_virtual_time
async def test_a_series_never_takes_an_old_file_for_a_new_frame(tmp_path: Path) -> None:
    (tmp_path / "RS000007_000000.SFRM").write_bytes(some_file())
    world = World(frames_dir=str(tmp_path))
    detector = await detector_in(world, tmp_path)
    (file,) = await detector.expose(1.0, 1)
    assert file.series == 8
    assert (await detector.arm(1.0, 1)).series == 9


@in_virtual_time
async def test_a_file_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    world = World(frames_dir=str(tmp_path), late_file_s=8.0)
    detector = await detector_in(world, tmp_path)
    assert len(await detector.expose(1.0, 2)) == 2
    assert detector.lost == {}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"no_file": [1]}, "rs000001_000001.sfrm is not there after 10 s"),
        ({"truncate": [1]}, r"rs000001_000001.sfrm has \d+ of \d+ bytes after 10 s"),
    ],
)
@in_virtual_time
async def test_a_frame_whose_file_never_comes_whole_is_lost_and_the_series_goes_on(
    fault: dict[str, Any], words: str, tmp_path: Path
) -> None:
    world = World(frames_dir=str(tmp_path), **fault)
    detector = await detector_in(world, tmp_path)
    files = await detector.expose(1.0, 3)
    assert [file.number for file in files] == [0, 2]
    assert list(detector.lost) == [1]
    assert detector.state == "connected"
    import re

    assert re.search(words, detector.lost[1])


@in_virtual_time
async def test_a_frame_of_another_size_or_through_a_link_is_lost_and_says_why(tmp_path: Path) -> None:
    world = World(frames_dir=str(tmp_path), no_file=[0, 1, 2])
    detector = await detector_in(world, tmp_path)
    await detector.arm(1.0, 3)
    (tmp_path / "rs000001_000000.sfrm").write_bytes(some_file())
    (tmp_path / "elsewhere").write_bytes(some_file())
    (tmp_path / "rs000001_000001.sfrm").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "rs000001_000002.sfrm")
    await detector.trigger(1.0, 3)
    assert detector.frames == ()
    assert "it has 6 rows of 8 pixels; the station file says shape = [6, 1024]" in detector.lost[0]
    assert "is a link, and links are not followed" in detector.lost[1]
    assert "is no plain file" in detector.lost[2]


@in_virtual_time
async def test_an_axis_that_moves_meanwhile_does_not_end_the_frame_early(tmp_path: Path) -> None:
    world = World(frames_dir=str(tmp_path))
    detector, omega = await detector_in(world, tmp_path), world.part("omega")
    await omega.connect()
    moving = asyncio.ensure_future(omega.set(90.0))
    await asyncio.sleep(1.0)
    files = await detector.expose(30.0, 1)
    await moving
    assert len(files) == 1


@in_virtual_time
async def test_a_stop_of_everything_ends_the_series_whoever_said_it(tmp_path: Path) -> None:
    world = World(frames_dir=str(tmp_path))
    detector, omega = await detector_in(world, tmp_path), world.part("omega")
    await omega.connect()
    for stop, error, says in (
        (omega.stop, Refused, r"^detector: rs00000\d_000000.sfrm was stopped before it was whole"),
        (detector.stop, Stopped, r"^detector: the series was stopped"),
    ):
        exposing = asyncio.ensure_future(detector.expose(100.0, 2))
        await asyncio.sleep(10.0)
        await stop()
        with pytest.raises(error, match=says):
            await exposing
    assert len(await detector.expose(1.0, 1)) == 1, "and the next series is none the worse"


@in_virtual_time
async def test_made_safe_the_frame_that_is_being_taken_is_finished_and_no_other_begun(tmp_path: Path) -> None:
    world = World(frames_dir=str(tmp_path))
    detector = await detector_in(world, tmp_path)
    exposing = asyncio.ensure_future(detector.expose(100.0, 3))
    await asyncio.sleep(10.0)
    await detector.make_safe()
    with pytest.raises(Stopped):
        await exposing
    await asyncio.sleep(400.0)
    assert len(world.camera.pixels) == 1


@in_virtual_time
async def test_a_folder_that_is_not_there_is_told_when_it_connects(tmp_path: Path) -> None:
    world = World(frames_dir=str(tmp_path))
    detector = world.part("detector", shape=SHAPE, frames_dir=str(tmp_path / "nowhere"))
    with pytest.raises(LinkLost, match=r"^detector: .*nowhere: No such file or directory"):
        await detector.connect()


@pytest.mark.parametrize(("exposure_s", "count"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
@in_virtual_time
async def test_an_exposure_that_is_none_is_refused(exposure_s: float, count: int, tmp_path: Path) -> None:
    detector = await detector_in(World(frames_dir=str(tmp_path)), tmp_path)
    with pytest.raises(Refused, match="is no exposure"):
        await detector.expose(exposure_s, count)
