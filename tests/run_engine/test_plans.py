"""A real RunEngine over simulated instruments on real sockets: scans, counts and fly scans, and what documents say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky import protocols as expected
from bluesky.plans import count, scan

import rocksalt.bluesky.recording
from rocksalt.bluesky import Frames, wrap
from rocksalt.config.links import Link
from rocksalt.devices import Settable, Settings
from rocksalt.devices.links import Wires
from rocksalt.time import ExperimentClock

from .conftest import ONLY, SPEED, Bench, Devices, Told
from .plans import ask, every_frame_is_found, fly, nothing_goes_on


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
    engine: RunEngine, told: Told, devices: Devices
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
    assert ask(engine, devices["membrane"].locate())["setpoint"] == 2.0


def test_a_count_takes_a_frame_a_point(bench: Bench, engine: RunEngine, told: Told, devices: Devices) -> None:
    before = len(bench.sent())
    engine(bps.prepare(devices["detector"], Frames(exposure_s=0.5), wait=True))
    told.clear()
    engine(count([devices["detector"], devices["membrane"]], num=3))
    sent = bench.sent()[before:]
    assert len(sent) == len(told.of("event")) == 3
    every_frame_is_found(told, sent)
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
    every_frame_is_found(told, sent)
    assert told.of("stop")[0]["exit_status"] == "success"
    assert told.of("stop")[0]["num_events"] == {"primary": 20}
    assert len(told.of("stream_resource")) == 2
    assert len(told.of("stream_datum")) > 2
    nothing_goes_on(bench, engine, devices)


def test_a_series_lies_in_one_file_for_documents_tell_of_one_at_a_time(
    bench: Bench, engine: RunEngine, told: Told, devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rocksalt.bluesky.recording, "FRAMES_PER_FILE", 7)
    before = len(bench.sent())
    engine(fly(devices["detector"], Frames(exposure_s=0.2, count=3), series=3))
    every_frame_is_found(told, bench.sent()[before:])
    uris = [resource["uri"] for resource in told.of("stream_resource") if resource["data_key"] == "detector"]
    assert [uri.rpartition("/")[2] for uri in uris] == ["frames_000001.h5", "frames_000002.h5"]
    assert told.of("stop")[0]["num_events"] == {"primary": 9}


def test_two_runs_of_one_staging_have_documents_of_their_own(engine: RunEngine, told: Told, devices: Devices) -> None:
    detector = devices["detector"]

    @bpp.stage_decorator([detector])
    def plan() -> Any:
        yield from bps.prepare(detector, Frames(exposure_s=0.2), wait=True)
        for _ in range(2):
            yield from bps.open_run()
            yield from bps.trigger_and_read([detector])
            yield from bps.close_run()

    engine(plan())
    resources = [resource for resource in told.of("stream_resource") if resource["data_key"] == "detector"]
    assert [resource["run_start"] for resource in resources] == [start["uid"] for start in told.of("start")]
    assert len({resource["uid"] for resource in told.of("stream_resource")}) == 4
    uid = resources[1]["uid"]
    (datum,) = [datum for datum in told.of("stream_datum") if datum["stream_resource"] == uid]
    assert (datum["indices"], datum["seq_nums"]) == ({"start": 1, "stop": 2}, {"start": 1, "stop": 2})


def test_frames_are_told_of_up_to_an_index_that_several_detectors_share(
    engine: RunEngine, devices: Devices, tmp_path: Path
) -> None:
    detector = devices["detector"]

    async def five_frames() -> None:
        await detector.prepare(Frames(exposure_s=0.2, count=5)).task
        for begin in (detector.stage, detector.kickoff, detector.complete):
            await begin().task

    ask(engine, five_frames())
    assert ask(engine, detector.get_index()) == 5
    told = [list(detector.collect_asset_docs(index)) for index in (3, 3, None, None)]
    places = [[document["indices"] for name, document in documents if name == "stream_datum"] for documents in told]
    assert places == [[{"start": 0, "stop": 3}] * 2, [], [{"start": 3, "stop": 5}] * 2, []]
    assert ask(engine, detector.get_index()) == 5


class Soft(Settable):
    """An instrument of one's own making: a number, and no limits."""

    identity = re.compile("soft")
    unit = "mm"
    value = 0.0

    def _wire(self, wires: Wires) -> None: ...
    async def _open(self) -> None: ...
    async def _close(self) -> None: ...
    async def _identify(self) -> str:
        return "soft"

    async def _read(self) -> float:
        return self.value

    async def _set(self, target: float) -> None:
        self.value = target


def test_a_device_of_ones_own_making_is_wrapped_and_scanned(engine: RunEngine, told: Told) -> None:
    nowhere: Any = None
    stage = Soft("stage", Settings(Link("tcp", "127.0.0.1", 1)), nowhere, ExperimentClock(engine.loop))
    ask(engine, stage.connect())
    engine(scan([], wrap(stage), -1.0, 1.0, 3))
    assert [event["data"]["stage_mm"] for event in told.of("event")] == [-1.0, 0.0, 1.0]
    (descriptor,) = told.of("descriptor")
    assert descriptor["data_keys"]["stage_mm"]["limits"] == {"control": {"low": None, "high": None}}
    with pytest.raises(RuntimeError, match=r"ask for it in a plan, as in RE\(bps.mv\(…\)\)"):
        wrap(stage).set(0.0)


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
    (tmp_path / "example.py").write_text(code, "utf-8")
    monkeypatch.chdir(tmp_path)
    for name, document in runpy.run_path("example.py")["documents"]:
        told.hear(name, document)
    assert [stop["exit_status"] for stop in told.of("stop")] == ["success"] * 3
    shapes = re.findall(r"^detector \{.*\} \((\d+), 270, 480\)$", capsys.readouterr().out, re.MULTILINE)
    assert sum(map(int, shapes)) == 8
