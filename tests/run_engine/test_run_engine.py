"""A real RunEngine over simulated instruments on real sockets: scans, counts, fly scans, and how each of them ends."""

from __future__ import annotations

import asyncio
import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the filter for plain h5py)
import pytest
from bluesky import FailedStatus, RunEngine, RunEngineInterrupted
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky import protocols as expected
from bluesky.plans import count, scan

from cli.desk import until
from rocksalt.bluesky import Frames, station
from rocksalt.daemon.run import NotThere
from rocksalt.daemon.station_lock import StationBusy
from rocksalt.devices import LinkLost, OutOfLimits, Refused

from .conftest import ONLY, SPEED, Bench, Told

Devices = dict[str, Any]


@pytest.fixture
def devices(bench: Bench, engine: RunEngine, tmp_path: Path) -> Iterator[Devices]:
    with station(bench.station, engine, only=ONLY, data=tmp_path, speed=SPEED) as found:
        yield found


def fly(detector: Any, frames: Frames, *, told_every_s: float = 0.1) -> Any:
    @bpp.stage_decorator([detector])
    @bpp.run_decorator()
    def inner() -> Any:
        yield from bps.prepare(detector, frames, wait=True)
        yield from bps.declare_stream(detector, name="primary", collect=True)
        yield from bps.checkpoint()
        yield from bps.kickoff(detector, wait=True)
        yield from bps.collect_while_completing(
            [detector], [detector], flush_period=told_every_s, stream_name="primary"
        )

    return inner()


def found(told: Told, key: str) -> list[Any]:
    """What a consumer finds by the documents of one run alone, by seq_num: with plain h5py."""
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


def nothing_goes_on(bench: Bench, engine: RunEngine, devices: Devices) -> None:
    """The detector is idle, the shutter closed, and no writer lives."""

    async def state() -> str:
        return str(await devices["detector"].device._state())

    assert asyncio.run_coroutine_threadsafe(state(), engine.loop).result(5) == "idle"
    until("the shutter is closed", lambda: bench.now()["shutter"] == "closed", 5)
    assert children("rocksalt.storage.writer") == []


def children(word: str) -> list[str]:
    """Command lines of this process's children (of all its threads) that have this word."""
    found = []
    for tasks in Path("/proc/self/task").iterdir():
        for pid in (tasks / "children").read_text().split():
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            found += [line] if word in line else []
    return found


def test_wrapped_devices_have_what_a_run_engine_looks_for(devices: Devices) -> None:
    every = (expected.HasName, expected.HasParent, expected.HasHints, expected.Configurable, expected.Stoppable)
    own = {
        "membrane": (expected.Readable, expected.Locatable, expected.Checkable),
        "interlock": (expected.Readable, expected.Movable, expected.Checkable, expected.Pausable),
        "detector": (
            expected.Stageable, expected.Preparable, expected.Triggerable, expected.Readable, expected.Flyable,
            expected.Collectable, expected.WritesStreamAssets, expected.Pausable,
        ),
    }  # fmt: skip
    for name, protocols in own.items():
        for protocol in (*every, *protocols):
            assert isinstance(devices[name], protocol), (name, protocol)


def test_a_scan_over_the_membrane_tells_where_it_was_and_what_it_is(
    bench: Bench, engine: RunEngine, told: Told, devices: Devices
) -> None:
    engine(scan([devices["interlock"]], devices["membrane"], 0.0, 2.0, 3))
    (start,), (descriptor,), events, (stop,) = (told.of(kind) for kind in ("start", "descriptor", "event", "stop"))
    assert [event["data"]["membrane_bar"] for event in events] == pytest.approx([0.0, 1.0, 2.0], abs=0.1)
    assert [event["data"]["interlock_shutter"] for event in events] == [0.0, 0.0, 0.0]
    assert stop["exit_status"] == "success"
    key = descriptor["data_keys"]["membrane_bar"]
    assert (key["units"], key["limits"]) == ("bar", {"control": {"low": 0.0, "high": 150.0}})
    assert "Druck" in descriptor["configuration"]["membrane"]["data"]["membrane_identity"]
    assert descriptor["configuration"]["membrane"]["data"]["membrane_ramp"] == 0.2
    assert descriptor["hints"]["membrane"] == {"fields": ["membrane_bar"]}
    times = [start["time"], *(event["timestamps"]["membrane_bar"] for event in events), stop["time"]]
    assert times == sorted(times)


def test_a_count_takes_a_frame_a_point(bench: Bench, engine: RunEngine, told: Told, devices: Devices) -> None:
    before = len(bench.sent())
    engine(bps.prepare(devices["detector"], Frames(exposure_s=0.5), wait=True))
    told.clear()
    engine(count([devices["detector"], devices["membrane"]], num=3))
    sent = bench.sent()[before:]
    assert len(sent) == len(told.of("event")) == 3
    frames = found(told, "detector")
    assert [hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames] == [frame["sha256"] for frame in sent]
    assert [sha256.decode() for sha256 in found(told, "detector_sha256")] == [frame["chunk_sha256"] for frame in sent]
    (descriptor,) = told.of("descriptor")
    assert descriptor["configuration"]["detector"]["data"]["detector_exposure_s"] == 0.5
    assert "EIGER2" in descriptor["configuration"]["detector"]["data"]["detector_identity"]
    nothing_goes_on(bench, engine, devices)


def test_a_fly_scan_of_twenty_frames_is_told_of_while_it_comes(
    bench: Bench, engine: RunEngine, told: Told, devices: Devices
) -> None:
    before = len(bench.sent())
    engine(fly(devices["detector"], Frames(exposure_s=0.5, count=20)))
    sent = bench.sent()[before:]
    assert len(sent) == 20
    frames = found(told, "detector")
    assert [hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames] == [frame["sha256"] for frame in sent]
    assert [sha256.decode() for sha256 in found(told, "detector_sha256")] == [frame["chunk_sha256"] for frame in sent]
    assert told.of("stop")[0]["exit_status"] == "success"
    assert told.of("stop")[0]["num_events"] == {"primary": 20}
    assert len(told.of("stream_resource")) == 2
    nothing_goes_on(bench, engine, devices)


def test_a_move_outside_the_limits_fails_with_our_error_and_never_reaches_the_wire(
    engine: RunEngine, told: Told, devices: Devices
) -> None:
    membrane = devices["membrane"]
    sent: list[Any] = []
    exchange = membrane.device.link.exchange
    membrane.device.link.exchange = lambda *given, **named: (sent.append(given), exchange(*given, **named))[1]
    with pytest.raises(FailedStatus) as failed:
        engine(scan([], membrane, 151.0, 160.0, 2))
    assert isinstance(failed.value.__cause__, OutOfLimits)
    assert "151 bar is above 150 bar" in str(failed.value.__cause__)
    assert told.of("stop")[0]["exit_status"] == "fail"
    assert sent == []
    with pytest.raises(OutOfLimits):
        membrane.check_value(-1.0)


def when(act: Callable[[], object], happens: Callable[[], bool]) -> threading.Thread:
    """Do this to the running plan once that has happened, as a person at another terminal would."""

    def watch() -> None:
        until("it happens", happens, 20)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_an_abort_in_the_middle_of_a_fly_scan_leaves_nothing_armed_and_no_process(
    bench: Bench, engine: RunEngine, told: Told, devices: Devices
) -> None:
    def plan() -> Any:
        yield from bps.mv(devices["interlock"], "open")
        yield from fly(devices["detector"], Frames(exposure_s=2.0, count=500))

    thread = when(engine.abort, lambda: len(told.of("stream_datum")) >= 4)
    with pytest.raises(RunEngineInterrupted):
        engine(plan())
    thread.join()
    (stop,) = told.of("stop")
    assert stop["exit_status"] == "abort"
    nothing_goes_on(bench, engine, devices)
    frames = found(told, "detector")
    hashes = {frame["sha256"] for frame in bench.sent()}
    assert 2 <= len(frames) < 500
    assert {hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames} <= hashes


def test_after_an_abort_the_next_count_is_well(bench: Bench, engine: RunEngine, told: Told, devices: Devices) -> None:
    detector = devices["detector"]
    thread = when(engine.abort, lambda: len(told.of("stream_datum")) >= 2)
    with pytest.raises(RunEngineInterrupted):
        engine(fly(detector, Frames(exposure_s=2.0, count=500)))
    thread.join()
    before = len(bench.sent())
    engine(bps.prepare(detector, Frames(exposure_s=0.5), wait=True))
    told.clear()
    engine(count([detector]))
    (frame,) = found(told, "detector")
    assert [hashlib.sha256(frame.tobytes()).hexdigest()] == [sent["sha256"] for sent in bench.sent()[before:]]


def test_a_paused_fly_scan_is_taken_again_and_the_shutter_opens_again(
    bench: Bench, engine: RunEngine, told: Told, devices: Devices
) -> None:
    """Frames of the series that was broken off and were never told of are on disk and in no document."""
    detector, shutter, before = devices["detector"], devices["interlock"], len(bench.sent())

    def plan() -> Any:
        yield from bps.mv(shutter, "open")
        yield from fly(detector, Frames(exposure_s=2.0, count=6), told_every_s=10.0)

    thread = when(engine.request_pause, lambda: len(bench.sent()) >= before + 2)
    with pytest.raises(RunEngineInterrupted):
        engine(plan())
    thread.join()
    until("the shutter is closed", lambda: bench.now()["shutter"] == "closed", 5)
    before, lines = len(bench.sent()), len(bench.lines("shutter"))
    engine.resume()
    assert told.of("stop")[0]["exit_status"] == "success"
    again = [frame["sha256"] for frame in bench.sent()[before:]]
    assert len(again) == 6
    assert [hashlib.sha256(frame.tobytes()).hexdigest() for frame in found(told, "detector")] == again
    assert "open" in [line["shutter"] for line in bench.lines("shutter")][lines:]
    nothing_goes_on(bench, engine, devices)


def test_the_membrane_that_was_stopped_by_an_abort_holds_where_it_stands(
    engine: RunEngine, told: Told, devices: Devices
) -> None:
    membrane = devices["membrane"]
    thread = when(engine.abort, lambda: membrane._move is not None)
    with pytest.raises(RunEngineInterrupted):
        engine(bps.mv(membrane, 100.0))
    thread.join()
    here = asyncio.run_coroutine_threadsafe(membrane.device.read(), engine.loop).result(5)
    assert here.value < 50.0
    assert membrane._move.success


def test_a_detector_says_what_it_needs(engine: RunEngine, told: Told, devices: Devices) -> None:
    detector = devices["detector"]
    with pytest.raises(Refused, match="it is not staged"):
        engine(bps.trigger(detector, wait=True))
    with pytest.raises(Refused, match="nobody said how long"):
        engine(count([detector]))
    with pytest.raises(FailedStatus) as failed:
        engine(bps.prepare(detector, Frames(exposure_s=0.1, count=2001), wait=True))
    assert "make several kickoffs" in str(failed.value.__cause__)
    assert children("rocksalt.storage.writer") == []


def test_a_shutter_is_open_no_longer_than_the_plan_that_opened_it(
    bench: Bench, engine: RunEngine, devices: Devices
) -> None:
    shutter = devices["interlock"]

    def plan() -> Any:
        yield from bps.mv(shutter, "open")
        assert (yield from bps.rd(shutter)) == 1.0
        raise RuntimeError("a plan with a mistake in it")

    with pytest.raises(RuntimeError, match="mistake"):
        engine(plan())
    until("the shutter is closed", lambda: bench.now()["shutter"] == "closed", 5)
    assert any(line["shutter"] == "open" for line in bench.lines("shutter"))


def test_a_lost_detector_fails_the_plan_and_the_writer_is_gone_all_the_same(
    bench: Bench, engine: RunEngine, told: Told, devices: Devices
) -> None:
    detector = devices["detector"]
    request = detector.device.http.request

    async def deaf(method: str, path: str, value: Any = None, *, deadline_s: float | None = None) -> Any:
        if "command" in path:
            raise LinkLost("detector", f"no answer to {method} {path}")
        return await request(method, path, value, deadline_s=deadline_s)

    detector.device.http.request = deaf
    try:
        with pytest.raises(FailedStatus) as failed:
            engine(fly(detector, Frames(exposure_s=0.5, count=2)))
    finally:
        detector.device.http.request = request
    assert isinstance(failed.value.__cause__, LinkLost)
    assert told.of("stop")[0]["exit_status"] == "fail"
    assert children("rocksalt.storage.writer") == []


def test_bluesky_is_not_imported_by_us() -> None:
    """It is the user's, who may not have it: our package beside it needs no more than its protocols' methods."""
    look = "import sys, rocksalt.bluesky; sys.exit('bluesky' in sys.modules or 'event_model' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_one_session_at_a_time_has_an_instrument(
    bench: Bench, engine: RunEngine, devices: Devices, tmp_path: Path
) -> None:
    with pytest.raises(StationBusy, match="in use by a Bluesky session"), station(bench.station, engine, only=ONLY):
        pass


def test_instruments_that_do_not_answer_are_named_and_nothing_stays_open(
    bench: Bench, engine: RunEngine, tmp_path: Path
) -> None:
    away = tmp_path / "away.toml"
    (tmp_path / "simulated-dac.poni").write_bytes((bench.station.parent / "simulated-dac.poni").read_bytes())
    text = bench.station.read_text()
    away.write_text(
        text.replace(
            'driver = "druck_pace"\nlink = "tcp://127.0.0.1:', 'driver = "druck_pace"\nlink = "tcp://127.0.0.2:'
        )
    )
    with pytest.raises(NotThere, match="membrane"), station(away, engine, only=ONLY, speed=SPEED):
        pass
    with station(bench.station, engine, only=ONLY, speed=SPEED) as devices:
        assert devices["membrane"].device.state == "connected"


def test_the_example_on_the_page_runs_as_it_stands(
    bench: Bench, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/use-with-bluesky.md").read_text("utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    command = " ".join(f"--only {name}" for name in ONLY)
    assert f"rocksalt simulate config/stations/simulated-dac.toml {command} --speed {SPEED}\n" in page
    stations = tmp_path / "config" / "stations"
    stations.mkdir(parents=True)
    (stations / "simulated-dac.toml").write_bytes(bench.station.read_bytes())
    (stations / "simulated-dac.poni").write_bytes((bench.station.parent / "simulated-dac.poni").read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, "use-with-bluesky.md", "exec"), names)
    for name, document in names["documents"]:
        told.hear(name, document)
    assert [stop["exit_status"] for stop in told.of("stop")] == ["success"] * 3
    images = [line for line in capsys.readouterr().out.splitlines() if line.startswith("detector {")]
    assert len(images) >= 4
    assert all(line.endswith(", 514, 1030)") for line in images)
    assert sum(int(re.search(r"\((\d+), 514", line)[1]) for line in images) == 8  # type: ignore[index]
