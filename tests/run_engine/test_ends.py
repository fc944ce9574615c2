"""How plans end under a RunEngine: refused, aborted, paused, with a mistake in them, with an instrument lost."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bluesky import FailedStatus, RunEngine, RunEngineInterrupted
from bluesky import plan_stubs as bps
from bluesky.plans import count, scan

from cli.desk import until
from rocksalt.bluesky import Frames, FramesLost, station
from rocksalt.config.errors import ConfigError
from rocksalt.daemon.run import NotThere
from rocksalt.daemon.station_lock import StationBusy
from rocksalt.devices import LinkLost, OutOfLimits, Refused

from .conftest import ONLY, SPEED, Bench, Devices, Told
from .plans import ask, every_frame_is_found, fly, nothing_goes_on, pixel_hashes, when, writers


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
    frames = pixel_hashes(told)
    assert 2 <= len(frames) < 500
    assert set(frames) <= {frame["sha256"] for frame in bench.sent()}


def test_an_abort_while_the_writer_starts_leaves_no_process(
    bench: Bench, engine: RunEngine, told: Told, devices: Devices
) -> None:
    thread = when(engine.abort, lambda: writers() != [])
    with pytest.raises(RunEngineInterrupted):
        engine(fly(devices["detector"], Frames(exposure_s=2.0, count=500)))
    thread.join()
    nothing_goes_on(bench, engine, devices)


def test_after_a_halt_the_writer_is_gone_and_the_next_count_is_well(
    bench: Bench, engine: RunEngine, told: Told, devices: Devices
) -> None:
    """A halt lets no plan clean up; the RunEngine unstages, and waits for nothing."""
    detector = devices["detector"]
    thread = when(engine.halt, lambda: len(told.of("stream_datum")) >= 2)
    with pytest.raises(RunEngineInterrupted):
        engine(fly(detector, Frames(exposure_s=2.0, count=500)))
    thread.join()
    until("the writer is gone", lambda: writers() == [], 5)
    nothing_goes_on(bench, engine, devices)
    before = len(bench.sent())
    engine(bps.prepare(detector, Frames(exposure_s=0.5), wait=True))
    told.clear()
    engine(count([detector]))
    every_frame_is_found(told, bench.sent()[before:])


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
    until("the shutter is closed", lambda: bench.shutter == "closed", 5)
    assert ask(engine, detector.device._state()) == "idle"
    before, changes = len(bench.sent()), len(bench.shutters)
    engine.resume()
    assert told.of("stop")[0]["exit_status"] == "success"
    assert len(bench.sent()[before:]) == 6
    every_frame_is_found(told, bench.sent()[before:])
    assert "open" in bench.shutters[changes:]
    nothing_goes_on(bench, engine, devices)


def test_a_count_that_was_paused_in_a_frame_takes_that_frame_again(
    bench: Bench, engine: RunEngine, told: Told, devices: Devices
) -> None:
    detector = devices["detector"]
    engine(bps.prepare(detector, Frames(exposure_s=6.0), wait=True))
    told.clear()
    thread = when(engine.request_pause, lambda: detector._exposing is not None and not detector._exposing.done)
    with pytest.raises(RunEngineInterrupted):
        engine(count([detector], num=2))
    thread.join()
    before = len(bench.sent())
    engine.resume()
    assert told.of("stop")[0]["exit_status"] == "success"
    assert len(bench.sent()[before:]) == 2
    every_frame_is_found(told, bench.sent()[before:])


def test_a_shutter_that_the_plan_only_read_stays_closed_after_a_pause(
    bench: Bench, engine: RunEngine, devices: Devices
) -> None:
    shutter = devices["interlock"]
    engine(bps.mv(shutter, "open"))
    until("the shutter is closed", lambda: bench.shutter == "closed", 5)
    changes = len(bench.shutters)

    def plan() -> Any:
        yield from bps.checkpoint()
        yield from bps.rd(shutter)
        yield from bps.pause()
        assert (yield from bps.rd(shutter)) == 0.0

    with pytest.raises(RunEngineInterrupted):
        engine(plan())
    engine.resume()
    assert "open" not in bench.shutters[changes:]


def test_a_shutter_is_open_no_longer_than_the_plan_that_opened_it(
    bench: Bench, engine: RunEngine, devices: Devices
) -> None:
    shutter, changes = devices["interlock"], len(bench.shutters)

    def plan() -> Any:
        yield from bps.mv(shutter, "open")
        assert (yield from bps.rd(shutter)) == 1.0
        raise RuntimeError("a plan with a mistake in it")

    with pytest.raises(RuntimeError, match="mistake"):
        engine(plan())
    until("the shutter is closed", lambda: bench.shutter == "closed", 5)
    assert "open" in bench.shutters[changes:]


def test_a_move_that_was_stopped_by_an_abort_holds_where_it_stands(engine: RunEngine, devices: Devices) -> None:
    membrane = devices["membrane"]
    thread = when(engine.abort, lambda: membrane._move is not None)
    with pytest.raises(RunEngineInterrupted):
        engine(bps.mv(membrane, 100.0))
    thread.join()
    assert ask(engine, membrane.device.read()).value < 50.0
    assert membrane._move.done


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_a_stop_right_after_a_set_is_not_overtaken_by_the_move(
    bench: Bench, engine: RunEngine, devices: Devices, steps: int
) -> None:
    """However far the move has come: not begun yet, asking the instrument, on its way."""
    membrane, shutter, changes = devices["membrane"], devices["interlock"], len(bench.shutters)

    async def set_and_stop() -> None:
        for device, target in ((membrane, 100.0), (shutter, "open")):
            move = device.set(target)
            for _ in range(steps):
                await asyncio.sleep(0)
            await device.stop()
            assert move.success

    ask(engine, set_and_stop())
    until("the shutter is closed", lambda: bench.shutter == "closed", 5)
    assert "open" not in bench.shutters[changes:]
    before, after = (ask(engine, membrane.device.read()).value for _ in range(2))
    assert after == pytest.approx(before, abs=0.05)


def test_a_membrane_that_has_arrived_goes_on_regulating_when_the_plan_is_over(
    engine: RunEngine, devices: Devices
) -> None:
    membrane = devices["membrane"]

    async def output() -> str:
        async with membrane.device.link.exchange() as line:
            return str(await membrane.device._ask(line, ":OUTP:STAT?"))

    engine(bps.mvr(membrane, 0.5))
    assert ask(engine, output()) == "1"
    ask(engine, membrane.stop(success=False))
    assert ask(engine, output()) == "0"


def test_a_detector_says_what_it_needs(engine: RunEngine, told: Told, devices: Devices) -> None:
    detector = devices["detector"]
    with pytest.raises(Refused, match="it is not staged"):
        engine(bps.trigger(detector, wait=True))
    with pytest.raises(Refused, match="nobody said how long"):
        engine(count([detector]))
    with pytest.raises(FailedStatus) as failed:
        engine(bps.prepare(detector, Frames(exposure_s=0.1, count=2001), wait=True))
    assert "make several kickoffs" in str(failed.value.__cause__)
    assert writers() == []


def test_a_lost_detector_fails_the_plan_and_the_writer_is_gone_all_the_same(
    engine: RunEngine, told: Told, devices: Devices
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
    assert writers() == []
    until("it is brought back", lambda: detector.device.state == "connected", 5)


def test_a_frame_that_never_came_fails_the_series_by_name(
    bench: Bench, engine: RunEngine, told: Told, devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, before = devices["detector"], len(bench.sent())
    arm = detector.device.arm
    monkeypatch.setattr(detector.device, "arm", lambda exposure_s, count: arm(exposure_s, count - 1))
    with pytest.raises(FailedStatus) as failed:
        engine(fly(detector, Frames(exposure_s=5.0, count=3)))
    assert isinstance(failed.value.__cause__, FramesLost)
    assert "1 of 3 frames of series" in str(failed.value.__cause__)
    assert "(images 2)" in str(failed.value.__cause__)
    frames = pixel_hashes(told)
    assert frames == [frame["sha256"] for frame in bench.sent()[before:]][: len(frames)]
    assert frames
    nothing_goes_on(bench, engine, devices)


def test_what_a_plan_has_left_running_ends_with_the_block(bench: Bench, engine: RunEngine, tmp_path: Path) -> None:
    with station(bench.station, engine, only=ONLY, data=tmp_path, speed=SPEED) as devices:
        detector = devices["detector"]
        engine(bps.prepare(detector, Frames(exposure_s=2.0, count=500), wait=True))
        ask(engine, started(detector.stage))
        ask(engine, started(detector.kickoff))
        assert ask(engine, detector.device._state()) in ("acquire", "ready")
        assert len(writers()) == 1
    assert writers() == []
    with station(bench.station, engine, only=ONLY, data=tmp_path, speed=SPEED) as devices:
        nothing_goes_on(bench, engine, devices)


async def started(begin: Any) -> None:
    await begin().task


def test_one_session_at_a_time_has_an_instrument(bench: Bench, engine: RunEngine, devices: Devices) -> None:
    with pytest.raises(StationBusy, match="in use by a Bluesky session"), station(bench.station, engine, only=ONLY):
        pass


def test_a_device_that_the_station_does_not_have_is_refused_by_name(bench: Bench, engine: RunEngine) -> None:
    with pytest.raises(ConfigError, match="membrane"), station(bench.station, engine, only=["membrene"]):
        pass


def test_instruments_that_do_not_answer_are_named_and_nothing_stays_open(
    bench: Bench, engine: RunEngine, tmp_path: Path
) -> None:
    (tmp_path / "simulated-dac.poni").write_bytes((bench.station.parent / "simulated-dac.poni").read_bytes())
    text, away = bench.station.read_text(), tmp_path / "away.toml"
    here = 'driver = "druck_pace"\nlink = "tcp://127.0.0.'
    assert here + "1" in text
    away.write_text(text.replace(here + "1", here + "2"))
    with pytest.raises(NotThere, match="membrane"), station(away, engine, only=ONLY, speed=SPEED):
        pass
    with station(bench.station, engine, only=ONLY, speed=SPEED) as devices:
        assert devices["membrane"].device.state == "connected"


def test_bluesky_is_not_imported_by_us() -> None:
    """It is the user's, who may not have it: our package beside it needs no more than its protocols' methods."""
    look = "import sys, rocksalt.bluesky; sys.exit('bluesky' in sys.modules or 'event_model' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0
