"""The temperature controller: ramp, sensor status, and a heater that is held or off, never forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from devices.transcripts import say, transcript
from drivers.bench import Late, SerialLike, Wire, clock, device_on, in_virtual_time, settings
from drivers.doors import Heat
from rocksalt.devices import (
    GarbledReply,
    LinkLost,
    OutOfLimits,
    RampTooFast,
    Refused,
    Settings,
    Stopped,
    WrongInstrument,
)
from rocksalt.time import Chance
from rocksalt_drivers.lakeshore_336.driver import LakeShore336
from rocksalt_drivers.lakeshore_336.simulator import LakeShoreSimulator

SERIAL = "serial:///dev/ttyUSB0?baud=57600"


def station(**options: Any) -> Settings:
    ramp = options.pop("ramp", 0.1)
    return settings(320.0, lower=290.0, ramp=ramp, link=SERIAL, **{"input": "A", "output": 1, **options})


async def connected(heat: Heat | None = None, **options: Any) -> tuple[LakeShore336, Wire, LakeShoreSimulator]:
    simulator = LakeShoreSimulator(heat or Heat(), clock())
    device, wire = device_on(LakeShore336, "temperature", simulator, station(**options))
    await device.connect()
    wire.forget()
    return device, wire, simulator


@pytest.mark.parametrize("target", [321, 289, float("nan")])
@in_virtual_time
async def test_a_temperature_beyond_the_limit_never_reaches_the_wire(target: float) -> None:
    device, wire, _ = await connected()
    with pytest.raises(OutOfLimits, match=r"K \(user limit, station\.toml:14\)"):
        await device.set(target)
    assert wire.sent == []


@in_virtual_time
async def test_it_arrives_at_the_ramp_of_the_station_file_in_kelvin_per_second() -> None:
    heat = Heat()
    device, wire, simulator = await connected(heat)
    began_s = device.clock.now_s()
    await device.set(310)
    assert b"RAMP 1,1,6.000;RAMP? 1;*ESR?\r\n" in wire.sent
    assert device.clock.now_s() - began_s == pytest.approx(150, abs=4)
    assert (simulator.range, simulator.setpoint_k) == (3, 310.0)
    reading = await device.read()
    assert (reading.name, reading.unit, reading.value) == ("temperature_k", "K", pytest.approx(310, abs=0.2))


@in_virtual_time
async def test_a_ramp_starts_at_the_temperature_and_not_at_an_old_set_point() -> None:
    heat = Heat()
    device, _, simulator = await connected(heat)
    simulator.setpoint_k = 400.0  # left by the last user, with the heater off
    highest_k = 0.0
    move = asyncio.ensure_future(device.set(300))
    while not move.done():
        await asyncio.sleep(1)
        highest_k = max(highest_k, heat.sample_k(device.clock.now_s()))
    await move
    assert highest_k <= 300.0


@in_virtual_time
async def test_a_ramp_finer_than_the_box_can_do_moves_nothing() -> None:
    device, _, simulator = await connected(ramp=0.0005)
    with pytest.raises(RampTooFast, match=r"reports a ramp of 0 K/s after it was told 0\.0005"):
        await device.set(300)
    assert simulator.range == 0


@in_virtual_time
async def test_a_ramp_that_is_switched_off_again_moves_nothing() -> None:
    device, _, simulator = await connected()
    simulator.shown_ramp = lambda output: "0,+006.0"  # type: ignore[method-assign]
    with pytest.raises(RampTooFast, match="a ramp of inf K/s"):
        await device.set(300)
    assert simulator.range == 0


@pytest.mark.parametrize(
    ("bits", "words"), [(1, "invalid"), (16, "temperature under range"), (192, "sensor at zero, sensor over range")]
)
@in_virtual_time
async def test_a_sensor_that_says_it_is_ill_is_not_believed(bits: int, words: str) -> None:
    answer = f"+295.123;{bits:03d};000\r\n".encode()
    with transcript([(b"KRDG? A;RDGST? A;*ESR?\r\n", answer)]) as peer:
        device, _ = device_on(LakeShore336, "temperature", peer, station())
        await device.link.open()
        with pytest.raises(Refused, match=f"sensor A can't be believed: .*({words})"):
            await device.read()


@pytest.mark.parametrize(
    "answer",
    [
        b"nan;000;000\r\n",
        b"1e999;000;000\r\n",
        b"+295.123;000\r\n",
        b"+295.123;x;000\r\n",
        b"000\r\n",
        b"+295,123;000;000\n",
        b"?\r",
    ],
)
@in_virtual_time
async def test_an_answer_out_of_grammar_is_asked_once_more_and_then_is_an_error(answer: bytes) -> None:
    with transcript([(b"KRDG? A;RDGST? A;*ESR?\r\n", answer)] * 2) as peer:
        device, _ = device_on(LakeShore336, "temperature", peer, station())
        await device.link.open()
        with pytest.raises(GarbledReply, match="temperature: "):
            await device.read()


@in_virtual_time
async def test_a_command_that_the_box_does_not_know_is_told_by_its_event_register() -> None:
    device, _, simulator = await connected()
    simulator._handlers = [entry for entry in simulator._handlers if entry[1] != "set_range"]  # type: ignore[misc]
    with pytest.raises(Refused, match=r"SETP 1,300\.000;RANGE 1,3;RANGE\? 1;\*ESR\?: command error"):
        await device.set(300)


@in_virtual_time
async def test_an_old_error_is_nobodys_fault() -> None:
    simulator = LakeShoreSimulator(Heat(), clock())
    say(simulator, b"NONSENSE 1\r\n")
    device, _ = device_on(LakeShore336, "temperature", simulator, station())
    await device.connect()
    assert device.state == "connected"


@in_virtual_time
async def test_another_instrument_is_refused_by_its_name() -> None:
    simulator = LakeShoreSimulator(Heat(), clock(), options={"identity": "LSCI,MODEL218S,1,3.0"})
    device, _ = device_on(LakeShore336, "temperature", simulator, station())
    with pytest.raises(WrongInstrument, match=r"'LSCI,MODEL218S,1,3\.0' answers at serial:///dev/ttyUSB0"):
        await device.connect()


@in_virtual_time
async def test_a_whole_conversation_byte_for_byte() -> None:
    reading = b"KRDG? A;RDGST? A;*ESR?\r\n"
    exchanges = [
        (b"*IDN?\r\n", b"LSCI,MODEL336,LSA21PN/#######,2.9\r\n"),
        (b"*ESR?\r\n", b"128\r\n"),
        (b"OUTMODE 1,1,1,0;OUTMODE? 1;*ESR?\r\n", b"1,1,0;000\r\n"),
        (b"TLIMIT A,325.000;TLIMIT? A;*ESR?\r\n", b"+325.000;000\r\n"),
        (b"RAMP 1,1,6.000;RAMP? 1;*ESR?\r\n", b"1,+006.0;000\r\n"),
        (reading, b"+295.123;000;000\r\n"),
        (b"RANGE? 1;*ESR?\r\n", b"0;000\r\n"),
        (b"RAMP? 1;*ESR?\r\n", b"1,+006.0;000\r\n"),
        (reading, b"+295.123;000;000\r\n"),
        (b"RAMP 1,0,0;SETP 1,295.123;*ESR?\r\n", b"000\r\n"),
        (b"RAMP 1,1,+006.0;*ESR?\r\n", b"000\r\n"),
        (b"SETP 1,310.000;RANGE 1,3;RANGE? 1;*ESR?\r\n", b"3;000\r\n"),
        (reading, b"+309.950;000;000\r\n"),
        (reading, b"+310.002;000;000\r\n"),
        (b"RAMP 1,0,0;SETP 1,310.002;*ESR?\r\n", b"000\r\n"),
    ]
    with transcript(exchanges) as peer:
        device, _ = device_on(LakeShore336, "temperature", peer, station())
        await device.connect()
        await device.set(310)
        await device.stop()


@in_virtual_time
async def test_a_stop_during_a_ramp_holds_the_temperature_where_it_is() -> None:
    heat = Heat()
    device, _, simulator = await connected(heat)
    move = asyncio.ensure_future(device.set(315))
    await asyncio.sleep(100)
    await device.stop()
    with pytest.raises(Stopped):
        await move
    assert simulator.range == 3
    assert heat.sample_k(1e6) == pytest.approx(305, abs=0.5)


@in_virtual_time
async def test_a_heater_that_is_to_be_off_is_off_with_nothing_asked_first() -> None:
    device, wire, simulator = await connected(safe="off")
    await device.set(300)
    wire.forget()
    await device.make_safe()
    assert wire.sent == [b"RANGE 1,0\r\n", b"RANGE? 1;*ESR?\r\n"]
    assert simulator.range == 0


@in_virtual_time
async def test_a_heater_that_is_to_hold_holds_below_the_limit_and_is_off_above_it() -> None:
    heat = Heat()
    device, wire, simulator = await connected(heat)
    await device.set(300)
    await asyncio.sleep(60)
    wire.forget()
    await device.make_safe()
    assert simulator.range == 3
    assert wire.sent == [b"KRDG? A;RDGST? A;*ESR?\r\n", b"RAMP 1,0,0;SETP 1,300.000;*ESR?\r\n"]
    heat.heat(device.clock.now_s(), 322.0, 0.0)
    await device.make_safe()
    assert simulator.range == 0


@in_virtual_time
async def test_a_heater_whose_sensor_is_ill_is_switched_off_by_stop_and_safe_alike() -> None:
    for ask in ("stop", "make_safe"):
        heat = Heat()
        device, _, simulator = await connected(heat)
        await device.set(300)
        simulator.lowest_k = 500.0  # the sensor's lead is off
        with pytest.raises(Refused, match="sensor A can't be believed"):
            await getattr(device, ask)()
        assert simulator.range == 0


@in_virtual_time
async def test_a_heater_is_switched_off_even_where_no_answer_comes_back() -> None:
    silent = False
    simulator = LakeShoreSimulator(Heat(), clock())
    line = Late(simulator, lambda: None if silent else 0.0)
    device, _ = device_on(LakeShore336, "temperature", line, station())
    await device.connect()
    await device.set(300)
    silent = True
    with pytest.raises(LinkLost):
        await device.make_safe()
    assert simulator.range == 0


@in_virtual_time
async def test_the_box_itself_takes_the_heater_off_above_its_cut_out() -> None:
    heat = Heat()
    device, _, simulator = await connected(heat)
    await device.set(300)
    heat.heat(device.clock.now_s(), 326.0, 0.0)  # a loop that runs away
    await device.read()
    assert simulator.cut_out_k["A"] == 325.0
    assert simulator.range == 0


@in_virtual_time
async def test_messages_on_a_serial_line_are_50_ms_apart_on_the_wires_own_time() -> None:
    device, _, _ = await connected()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for _ in range(10):
        await device.read()
    assert loop.time() - began_s == pytest.approx(0.5)
    swift, _, _ = await connected(spacing_s=0.0)
    began_s = loop.time()
    await swift.read()
    assert loop.time() == began_s


@pytest.mark.parametrize("options", [{"input": "E"}, {"output": 3}, {"range": 0}, {"safe": "maybe"}])
@in_virtual_time
async def test_options_that_make_no_sense_are_refused_when_the_station_is_read(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^temperature: .*station\.toml:12"):
        device_on(LakeShore336, "temperature", None, station(**options))


@pytest.mark.parametrize("seed", range(100))
@in_virtual_time
async def test_a_late_answer_without_a_header_is_never_taken_for_the_next_ones(seed: int) -> None:
    chance = Chance(seed).stream("late answers")
    started = False

    def delay_s() -> float | None:
        kind = chance.random() if started else 1.0
        return None if kind < 0.03 else float(chance.uniform(0, 4)) if kind < 0.15 else float(chance.uniform(0, 0.2))

    heat = Heat()
    simulator = LakeShoreSimulator(heat, clock())
    device, _ = device_on(LakeShore336, "temperature", Late(simulator, delay_s), station(), transport=SerialLike)
    await device.connect()
    heat.heat(device.clock.now_s(), 1000.0, 60.0)  # a temperature for every moment
    started, checked = True, 0
    for _ in range(30):
        asked_s = device.clock.now_s()
        poll = asyncio.ensure_future(device.read())
        if chance.random() < 0.3:
            await asyncio.sleep(float(chance.uniform(0, 0.2)))
            poll.cancel()
        (answer,) = await asyncio.gather(poll, return_exceptions=True)
        if not isinstance(answer, BaseException):
            now_s = device.clock.now_s()
            assert heat.sample_k(asked_s) - 1e-3 <= answer.value <= heat.sample_k(now_s) + 1e-3
            checked += 1
        else:
            assert isinstance(answer, (LinkLost, GarbledReply, asyncio.CancelledError))
    assert checked >= 5


# --- the simulator, from the notes


@in_virtual_time
async def test_the_simulator_answers_as_the_notes_say() -> None:
    box = LakeShoreSimulator(Heat(295.123, 295.123), clock())
    conversation = {
        b"\n": b"",
        b"*IDN?\r\n": b"LSCI,MODEL336,LSA21PN/#######,2.9\r\n",
        b"*ESR?\n": b"128\r\n",
        b"KRDG? A;*ESR?\r\n": b"+295.123;000\r\n",
        b"SETP 1,310.0;*ESR?\r\n": b"000\r\n",
        b"SETP? 1\r\n": b"+310.000\r\n",
        b"NONSENSE?\r\n": b"",
        b"NONSENSE?;*ESR?\r\n": b"032\r\n",
        b"SETP 1,x;*ESR?\n": b"032\r\n",
        b"RANGE 1,9;*ESR?\n": b"016\r\n",
        b"KRDG? 0\n": b"+295.123,+000.000,+000.000,+000.000\r\n",
        b"RDGST? B\n": b"001\r\n",
        b"CRDG? A\n": b"+021.973\r\n",
    }
    for message, answer in conversation.items():
        assert say(box, message) == [answer], message


@in_virtual_time
async def test_the_simulators_set_point_walks_its_ramp() -> None:
    box = LakeShoreSimulator(Heat(), clock(), options={"setpoint_k": 295.0})
    say(box, b"RAMP 1,1,6;SETP 1,301;RANGE 1,3\n")
    await asyncio.sleep(10)
    assert say(box, b"SETP? 1;RAMPST? 1;HTR? 1\n") == [b"+296.000;1;+042.0\r\n"]
    await asyncio.sleep(60)
    assert say(box, b"SETP? 1;RAMPST? 1;RANGE 1,0;HTR? 1\n") == [b"+301.000;0;+000.0\r\n"]
