"""The driver and its triggers: from the software and from outside, answered early, late, or never."""

from __future__ import annotations

import asyncio
import json

import pytest

from rocksalt.devices import Refused, Stopped
from rocksalt.devices.stream import Image, SeriesEnd, SeriesStart
from rocksalt_drivers.dectris_simplon.stream import decoder

from .conftest import SHAPE
from .wire import Wire


def triggers(bench) -> list[object]:
    """The bodies of the trigger commands."""
    return [json.loads(body) if body else None for _, path, body in bench.log if path.endswith("command/trigger")]


def what_came(bench, stream_version: int = 2) -> list[object]:
    read = decoder(stream_version, SHAPE).decode
    return [read(parts) for parts in bench.parts]


@pytest.mark.parametrize("answer", [{}, {"early_reply": True}, {"late_reply_s": 1.0}, {"late_reply_s": 5.0}])
@pytest.mark.parametrize(("mode", "commands"), [("ints", 1), ("inte", 3)])
def test_a_series_is_over_when_it_is_over_whenever_its_triggers_are_answered(
    virtually, mode: str, commands: int, answer
) -> None:
    async def work(bench) -> None:
        detector = bench.driver(trigger_mode=mode)
        await detector.connect()
        armed = await detector.arm(2.0, 3)
        began_s = bench.clock.now_s()
        await detector.trigger(2.0, 3)
        late_s = answer.get("late_reply_s", 0.0)
        # An overdue answer to the last trigger is not waited for; one in between is, as the state alone can't tell.
        waited_s = min(late_s, 3.0) if mode == "ints" else 2 * late_s + min(late_s, 3.0)
        assert 6.0 <= bench.clock.now_s() - began_s < 7.0 + waited_s
        assert len(triggers(bench)) == commands
        start, *images, end = what_came(bench)
        assert isinstance(start, SeriesStart)
        assert start.images == 3
        assert [image.image for image in images if isinstance(image, Image)] == [0, 1, 2]
        assert [image.real_s for image in images if isinstance(image, Image)] == [2.0] * 3
        assert end == SeriesEnd(armed.series)

    virtually(work, **answer)


def test_a_trigger_of_its_own_for_each_image_says_how_long(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver(trigger_mode="inte")
        await detector.connect()
        await detector.arm(0.25, 2)
        assert await bench.get("config/nimages") == 1
        assert await bench.get("config/ntrigger") == 2
        await detector.trigger(0.25, 2)
        assert triggers(bench) == [{"value": 0.25}, {"value": 0.25}]

    virtually(work)


@pytest.mark.parametrize("stream_version", [1, 2])
def test_an_edge_from_outside_starts_the_whole_series(virtually, stream_version: int) -> None:
    async def work(bench) -> None:
        detector = bench.driver(trigger_mode="exts", stream_version=stream_version)
        await detector.connect()
        await detector.arm(0.5, 4)
        bench.clock.loop.call_later(3.0, bench.simulator.trigger_in, True)
        bench.clock.loop.call_later(3.2, bench.simulator.trigger_in, False)
        bench.clock.loop.call_later(3.4, bench.simulator.trigger_in, True)  # nobody's: the series runs
        await detector.trigger(0.5, 4)
        assert triggers(bench) == []
        start, *images, _ = what_came(bench, stream_version)
        assert start.images == len(images) == 4

    virtually(work)


def test_each_pulse_from_outside_is_an_image_as_long_as_it(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver(trigger_mode="exte")
        await detector.connect()
        await detector.arm(0.5, 3)
        for at_s, high in ((1.0, True), (1.25, False), (1.5, True), (2.5, False), (3.0, True), (3.125, False)):
            bench.clock.loop.call_later(at_s, bench.simulator.trigger_in, high)
        await detector.trigger(0.5, 3)
        assert triggers(bench) == []
        images = [message for message in what_came(bench) if isinstance(message, Image)]
        assert [image.real_s for image in images] == pytest.approx([0.25, 1.0, 0.125])
        assert [image.start_s for image in images] == pytest.approx([1.0, 1.5, 3.0])

    virtually(work)


def test_an_edge_that_never_comes_is_refused_and_the_link_is_not_lost(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver(trigger_mode="exts")
        await detector.connect()
        await detector.arm(1.0, 1)
        with pytest.raises(Refused, match="the external trigger did not complete the series within its time"):
            await detector.trigger(1.0, 1)
        assert detector.state == "connected"
        await detector.stop()
        await detector.arm(1.0, 1)

    virtually(work)


def test_a_software_trigger_is_refused_where_edges_are_awaited(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(trigger_mode="exts")
        await bench.put("command/arm")
        assert (await bench.put("command/trigger"))[0] == 400
        bench.simulator.trigger_in(False)  # a falling edge starts nothing
        assert await bench.get("status/state") == "ready"

    virtually(work)


def test_a_mode_that_the_detector_does_not_have_is_refused_with_those_that_it_has(virtually) -> None:
    async def work(bench) -> None:
        with pytest.raises(Refused, match=r"trigger_mode = 'extg' \(station.toml:40\): it is ints, inte"):
            await bench.driver(trigger_mode="extg").connect()

    virtually(work)


@pytest.mark.parametrize("ask", ["stop", "make_safe"])
@pytest.mark.parametrize("mode", ["ints", "inte", "exts"])
def test_a_stop_ends_the_series_in_one_exchange_and_whoever_waits_is_told(virtually, mode: str, ask: str) -> None:
    async def work(bench) -> None:
        detector = bench.driver(trigger_mode=mode)
        await detector.connect()
        await detector.arm(100.0, 5)
        waiting = asyncio.ensure_future(detector.trigger(100.0, 5))
        await bench.clock.sleep(250.1)
        bench.log.clear()
        await getattr(detector, ask)()
        assert [(method, path) for method, path, _ in bench.log] == [("PUT", "/detector/api/1.8.0/command/abort")]
        assert await bench.get("status/state") == "idle"
        with pytest.raises(Stopped, match="the series was stopped"):
            await waiting
        assert what_came(bench)[-1] == SeriesEnd(1)

    virtually(work)


def test_a_stop_goes_its_own_way_while_a_cold_detector_initializes(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver()
        connecting = asyncio.ensure_future(detector.connect())
        await bench.clock.sleep(30.0)
        assert await bench.get("status/state") == "initialize"
        for ask in (detector.stop, detector.make_safe):
            began_s = bench.clock.now_s()
            await ask()
            assert bench.clock.now_s() == began_s
        await connecting
        assert bench.clock.now_s() >= 119.0
        assert detector.state == "connected"

    virtually(work, initialize_s=119.0)


def test_a_detector_that_somebody_else_initializes_is_waited_for(virtually) -> None:
    async def work(bench) -> None:
        somebody = asyncio.ensure_future(bench.put("command/initialize"))
        await bench.clock.sleep(1.0)
        await bench.driver().connect()
        await somebody
        assert sum(path.endswith("initialize") for _, path, _ in bench.log) == 0

    virtually(work, initialize_s=60.0)


def test_an_abort_that_is_refused_by_a_detector_that_counts_is_told(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver(peer=Wire(bench, {"command/abort": (500, b"busy")}))
        await detector.connect()
        await detector.stop()  # idle: it is what was asked for
        await detector.arm(1.0, 1)
        with pytest.raises(Refused, match="abort: 500 busy"):
            await detector.stop()

    virtually(work)


def test_a_stop_while_the_high_voltage_ramps_is_a_stop(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver()
        await detector.connect()
        arming = asyncio.ensure_future(detector.arm(1.0, 1))
        await bench.clock.sleep(5.0)
        await detector.stop()
        with pytest.raises(Stopped, match="arming was stopped"):
            await arming
        assert bench.parts == []

    virtually(work, hv_ramp_s=60.0)
