"""The guards around every driver: limits, ramp, arrival, stops, and what a lost link does to a device."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys

import pytest

from drivers.bench import clock, in_virtual_time, settings
from rocksalt.config.links import parse_link
from rocksalt.devices import (
    ANYWHERE,
    GarbledReply,
    Limits,
    LinkLost,
    NotReached,
    OutOfLimits,
    Preempted,
    Settable,
    Settings,
    Stopped,
)
from rocksalt.devices.links import MemoryWires


class Slide(Settable):
    """A device without a wire: goes `speed` units a second towards its target, as long as nothing is in its way."""

    unit = "mm"
    identity = re.compile("slide")
    speed, wall = 1.0, float("inf")

    def _wire(self, wires: object) -> None:
        self.words: list[str] = []
        self.fail: list[Exception] = []
        self.target = self.began_mm = self.began_s = 0.0

    async def _open(self) -> None:
        pass

    async def _close(self) -> None:
        self.words.append("closed")

    async def _identify(self) -> str:
        return "slide"

    async def _read(self) -> float:
        if self.fail:
            raise self.fail.pop(0)
        gone = self.speed * (self.clock.now_s() - self.began_s)
        return min(self.began_mm + min(gone, self.target - self.began_mm), self.wall)

    async def _set_ramp(self, per_s: float) -> float:
        await asyncio.sleep(0.1)
        return self.speed

    async def _set(self, target: float) -> None:
        await asyncio.sleep(0.1)
        self.words.append(f"go {target:g}")
        self.target, self.began_s = target, self.clock.now_s()

    async def _stop(self) -> None:
        self.words.append("stop")


def slide(rules: Settings | None = None) -> Slide:
    return Slide("stage", rules or settings(100.0, ramp=1.0), MemoryWires({}), clock())


@in_virtual_time
async def test_what_does_not_arrive_in_the_time_its_ramp_grants_is_said_with_where_it_stands() -> None:
    stage = slide()
    await stage.connect()
    stage.wall = 7.0
    with pytest.raises(NotReached, match=r"stage: 7 mm after 71 s, where 10 was asked for"):
        await stage.set(10)
    assert stage.clock.now_s() == pytest.approx(72, abs=1.5)


@pytest.mark.parametrize("after_s", [0.05, 0.15, 0.25, 3.0])
@in_virtual_time
async def test_a_stop_ends_a_move_before_during_and_after_its_command(after_s: float) -> None:
    stage = slide()
    await stage.connect()
    move = asyncio.ensure_future(stage.set(10))
    await asyncio.sleep(after_s)
    await stage.stop()
    with pytest.raises(Stopped, match="the move to 10 mm was stopped"):
        await move
    await asyncio.sleep(10)
    assert stage.words == (["go 10", "stop"] if after_s > 0.2 else ["stop"])


@in_virtual_time
async def test_who_is_cancelled_himself_gets_no_excuse() -> None:
    stage = slide()
    await stage.connect()
    move = asyncio.ensure_future(stage.set(10))
    await asyncio.sleep(1)
    move.cancel()
    with pytest.raises(asyncio.CancelledError):
        await move
    assert stage._moves == []


@pytest.mark.parametrize("error", [GarbledReply("stage", "noise"), Preempted("stage", "a stop")])
@in_virtual_time
async def test_a_question_is_asked_twice_and_no_more(error: Exception) -> None:
    stage = slide()
    await stage.connect()
    stage.fail = [error]
    assert (await stage.read()).value == 0.0
    stage.fail = [error, error]
    with pytest.raises(type(error)):
        await stage.read()
    assert stage.state == "connected"


@in_virtual_time
async def test_a_lost_link_is_an_event_with_a_reason_and_ends_the_move() -> None:
    stage = slide()
    events: list[tuple[str, str]] = []
    stage.on_change = lambda device, state, why: events.append((state, why))
    await stage.connect()
    move = asyncio.ensure_future(stage.set(10))
    await asyncio.sleep(1)
    stage.fail = [LinkLost("stage", "no answer")]
    with pytest.raises(LinkLost):
        await move
    assert events == [("connected", "slide"), ("disconnected", "stage: no answer")]


@in_virtual_time
async def test_a_device_whose_own_limits_cant_be_had_is_not_connected() -> None:
    class Mute(Slide):
        async def _limits(self) -> Limits:
            raise GarbledReply("stage", "no limits")

    stage = Mute("stage", settings(), MemoryWires({}), clock())
    with pytest.raises(GarbledReply):
        await stage.connect()
    assert (stage.state, stage.words) == ("disconnected", ["closed"])


@in_virtual_time
async def test_the_message_names_the_rule_that_was_broken() -> None:
    stage = slide(Settings(parse_link("tcp://127.0.0.1:1"), Limits(0, 100, "user limit"), where="station.toml:3"))
    stage.own_limits = Limits(-5, 50, "the instrument's own")
    with pytest.raises(OutOfLimits, match=r"^stage: 120 mm is above 100 mm \(user limit\)$"):
        await stage.set(120)
    with pytest.raises(OutOfLimits, match=r"^stage: 60 mm is above 50 mm \(the instrument's own\)$"):
        await stage.set(60)
    assert (stage.limits.lower, stage.limits.upper) == (0, 50)


def test_no_limit_at_all_still_lets_no_infinity_and_no_nan_through() -> None:
    for target in (float("inf"), float("-inf"), float("nan")):
        with pytest.raises(OutOfLimits):
            ANYWHERE.check("stage", target, "mm")
    ANYWHERE.check("stage", 1e9, "mm")


def test_devices_and_drivers_of_shutter_and_pressure_need_no_numpy() -> None:
    """The guardian must come up quickly and depend on little."""
    program = (
        "import sys, rocksalt.devices, rocksalt.config.reading, rocksalt_drivers.modbus_interlock.driver, "
        "rocksalt_drivers.druck_pace.driver; sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
