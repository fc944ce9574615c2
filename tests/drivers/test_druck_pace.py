"""The membrane's pressure controller: what reaches its wire, what is believed of its answers, what is never done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from devices.transcripts import say, transcript
from drivers.bench import Late, SerialLike, Wire, clock, device_on, in_virtual_time, settings
from drivers.doors import Gas
from rocksalt.devices import (
    GarbledReply,
    Limits,
    LinkLost,
    OutOfLimits,
    RampTooFast,
    Refused,
    Stopped,
    WrongInstrument,
)
from rocksalt.time import Chance
from rocksalt_drivers.druck_pace.driver import DruckPace
from rocksalt_drivers.druck_pace.simulator import PaceSimulator

IDN = b"*IDN GE Druck,Pace5000 User Interface,58784,01.05.04\r\n"
NO_ERROR = b':SYST:ERR 0, "No error"\r\n'


def pace_and_wire(gas: Gas | None = None, **options: Any) -> tuple[DruckPace, Wire, PaceSimulator]:
    simulator = PaceSimulator(gas or Gas(), clock(), options=options)
    pace, wire = device_on(DruckPace, "membrane", simulator, settings())
    return pace, wire, simulator


async def connected(gas: Gas | None = None, **options: Any) -> tuple[DruckPace, Wire, PaceSimulator]:
    pace, wire, simulator = pace_and_wire(gas, **options)
    await pace.connect()
    wire.forget()
    return pace, wire, simulator


# --- limits, ramp, arrival


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (210, r"^membrane: 210 bar is above 150 bar \(user limit, station\.toml:14\)$"),
        (-1, r"^membrane: -1 bar is below 0 bar \(user limit, station\.toml:14\)$"),
        (float("nan"), r"^membrane: nan bar is below"),
        (float("inf"), r"^membrane: inf bar is no place to go to"),
    ],
)
@in_virtual_time
async def test_a_pressure_beyond_the_limit_never_reaches_the_wire(target: float, message: str) -> None:
    pace, wire, _ = await connected()
    with pytest.raises(OutOfLimits, match=message):
        await pace.set(target)
    assert wire.sent == []


@in_virtual_time
async def test_the_instruments_own_limit_counts_where_it_is_the_tighter() -> None:
    pace, wire, _ = await connected(range_bar=70.0)
    with pytest.raises(OutOfLimits, match=r'100 bar is above 70 bar \(the instrument\'s own, range "71\.00barg"\)'):
        await pace.set(100)
    assert wire.sent == []


@in_virtual_time
async def test_a_limit_that_is_no_number_lets_nothing_through() -> None:
    pace, wire = device_on(DruckPace, "membrane", PaceSimulator(Gas(), clock()), settings(float("nan")))
    await pace.connect()
    wire.forget()
    with pytest.raises(OutOfLimits, match="above nan bar"):
        await pace.set(10)
    assert wire.sent == []


@in_virtual_time
async def test_it_arrives_at_the_ramp_that_was_asked_for() -> None:
    gas = Gas()
    pace, _, _ = await connected(gas)
    await pace.set(40)
    assert gas.gas_bar(pace.clock.now_s()) == pytest.approx(40, abs=0.1)
    assert pace.clock.now_s() == pytest.approx(80, abs=2)
    reading = await pace.read()
    assert (reading.name, reading.unit) == ("membrane_bar", "bar")


@in_virtual_time
async def test_a_ramp_that_the_instrument_does_not_obey_moves_nothing() -> None:
    pace, wire, simulator = await connected()
    simulator._within = lambda value, lower, upper: 5.0 if upper == simulator.fastest_bar_per_s else value
    with pytest.raises(RampTooFast, match=r"reports a ramp of 5 bar/s after it was told 0\.5 .*nothing was moved"):
        await pace.set(40)
    assert not any(b":SOUR:PRES 40" in sent or b"OUTP" in sent for sent in wire.sent)


@in_virtual_time
async def test_a_supply_that_is_too_low_is_refused_before_the_move() -> None:
    pace, wire, simulator = await connected(Gas(supply=30.0))
    with pytest.raises(Refused, match="the supply holds 30 bar, below 40"):
        await pace.set(40)
    assert not simulator.output
    assert not any(sent.startswith(b":OUTP") for sent in wire.sent)


# --- the front panel


@in_virtual_time
async def test_a_panel_left_in_megapascal_with_overshoot_and_full_speed_is_put_right() -> None:
    gas = Gas()
    pace, _, simulator = await connected(gas, unit="MPA", slew_mode="MAX", overshoot=True)
    assert (simulator.unit, simulator.mode, simulator.overshoot) == ("BAR", "LIN", False)
    highest = 0.0
    move = asyncio.ensure_future(pace.set(40))
    while not move.done():
        await asyncio.sleep(0.5)
        highest = max(highest, gas.gas_bar(pace.clock.now_s()))
    await move
    assert highest == pytest.approx(40)


@in_virtual_time
async def test_somebody_at_the_panel_during_a_run_is_noticed_before_the_next_move() -> None:
    pace, _, simulator = await connected()
    simulator.unit = "MPA"
    with pytest.raises(Refused, match=r":UNIT:PRES\? says MPA, where BAR was set: is somebody at its panel\?"):
        await pace.set(40)
    assert not simulator.output


# --- what is believed


@in_virtual_time
async def test_an_error_in_the_queue_is_an_answer_and_the_queue_is_read_to_its_end() -> None:
    pace, _, simulator = await connected()
    say(simulator, b"NONSENSE\n")
    with pytest.raises(Refused, match=r":SOUR:PRES:SLEW 0\.5: -113 Undefined header"):
        await pace.set(10)
    assert not simulator.errors
    await pace.set(10)


@in_virtual_time
async def test_another_instrument_is_refused_by_its_name() -> None:
    pace, _, _ = pace_and_wire(identity="GE Druck,DPI 620,1,1.0")
    with pytest.raises(WrongInstrument, match=r"'GE Druck,DPI 620,1,1\.0' answers .*station\.toml:12"):
        await pace.connect()
    assert pace.state == "disconnected"


@pytest.mark.parametrize(
    "answer",
    [
        b":SENS:PRES 1.2340000\r\n",
        b"1.2340000\n",
        b":SENSE1:PRESSURE 1.234\r",
        b":sens:pres 1.234E0\r\n",
        b":SENS:PRES +1.234\n",
    ],
)
@in_virtual_time
async def test_a_reading_is_understood_with_any_header_and_any_end(answer: bytes) -> None:
    with transcript([(b":SENS:PRES?\n", answer)]) as peer:
        pace, _ = device_on(DruckPace, "membrane", peer, settings())
        await pace.link.open()
        assert (await pace.read()).value == 1.234


@pytest.mark.parametrize(
    "answer",
    [
        b":SOUR:PRES:LEV:IMM:AMPL 1.2340000\r\n",
        b":SENS:PRES:SLEW 1.2340000\r\n",
        b":SENS2:PRES 1.2340000\r\n",
        b":SENS:PRES NaN\r\n",
        b":SENS:PRES 9.91E37\r\n",
        b":SENS:PRES 1.2 bar\r\n",
        b":SENS:PRES\r\n",
        b": 1.0\r\n",
        b"1,234\r\n",
        b"inf\r\n",
        b"\xff\xfe1.0\r\n",
    ],
)
@in_virtual_time
async def test_an_answer_out_of_grammar_is_asked_once_more_and_then_is_an_error(answer: bytes) -> None:
    with transcript([(b":SENS:PRES?\n", answer), (b":SENS:PRES?\n", answer)]) as peer:
        pace, _ = device_on(DruckPace, "membrane", peer, settings())
        await pace.link.open()
        with pytest.raises(GarbledReply, match="membrane: "):
            await pace.read()


@in_virtual_time
async def test_the_second_module_of_a_pace6000_is_asked_by_its_number() -> None:
    with transcript([(b":SENS2:PRES?\n", b":SENS2:PRES 2.5\r\n")]) as peer:
        pace, _ = device_on(DruckPace, "membrane", peer, settings(module=2))
        await pace.link.open()
        assert (await pace.read()).value == 2.5


@in_virtual_time
async def test_a_whole_conversation_byte_for_byte() -> None:
    exchanges: list[tuple[bytes, bytes | None]] = [
        (b"*IDN?\n", IDN),
        (b"*CLS\n", None),
        (b":UNIT:PRES BAR\n:SYST:ERR?\n", NO_ERROR),
        (b":SOUR:PRES:SLEW:MODE LIN\n:SYST:ERR?\n", NO_ERROR),
        (b":SOUR:PRES:SLEW:OVER 0\n:SYST:ERR?\n", NO_ERROR),
        (b":UNIT:PRES?\n", b":UNIT:PRES BAR\r\n"),
        (b":SOUR:PRES:SLEW:MODE?\n", b":SOUR:PRES:SLEW:MODE LIN\r\n"),
        (b":SOUR:PRES:SLEW:OVER?\n", b":SOUR:PRES:SLEW:OVER:STAT 0\r\n"),
        (b":INST:LIM?\n", b':INST:LIM "211.00barg", 210.0000000, -1.0000000\r\n'),
        (b":SOUR:PRES:SLEW 0.5\n:SYST:ERR?\n", NO_ERROR),
        (b":SOUR:PRES:SLEW?\n", b":SOUR:PRES:SLEW 0.5000000\r\n"),
        (b":SENS:PRES?\n", b":SENS:PRES 0.0010000\r\n"),
        (b":UNIT:PRES?\n", b":UNIT:PRES BAR\r\n"),
        (b":SOUR:PRES:SLEW:MODE?\n", b":SOUR:PRES:SLEW:MODE LIN\r\n"),
        (b":SOUR:PRES:SLEW:OVER?\n", b":SOUR:PRES:SLEW:OVER:STAT 0\r\n"),
        (b":SOUR:PRES:COMP1?\n", b":SOUR:PRES:COMP1 200.0000000\r\n"),
        (b":SOUR:PRES 0.5\n:SYST:ERR?\n", NO_ERROR),
        (b":SOUR:PRES?\n", b":SOUR:PRES:LEV:IMM:AMPL 0.5000000\r\n"),
        (b":OUTP:STAT 1\n:SYST:ERR?\n", NO_ERROR),
        (b":OUTP:STAT?\n", b":OUTP:STAT 1\r\n"),
        (b":SENS:PRES?\n", b":SENS:PRES 0.4990000\r\n"),
        (b":OUTP:STAT 0\n:OUTP:STAT?\n", b":OUTP:STAT 0\r\n"),
    ]
    with transcript(exchanges) as peer:
        pace, _ = device_on(DruckPace, "membrane", peer, settings())
        await pace.connect()
        assert pace.identified == "GE Druck,Pace5000 User Interface,58784,01.05.04"
        assert pace.own_limits == Limits(-1.0, 210.0, 'the instrument\'s own, range "211.00barg"')
        await pace.set(0.5)
        await pace.make_safe()


# --- stop, safe state


@in_virtual_time
async def test_a_stop_during_a_move_holds_the_gas_where_it_stands() -> None:
    gas = Gas()
    pace, _, simulator = await connected(gas)
    move = asyncio.ensure_future(pace.set(40))
    await asyncio.sleep(20)
    await pace.stop()
    with pytest.raises(Stopped, match="the move to 40 bar was stopped"):
        await move
    assert not simulator.output
    assert gas.gas_bar(1e6) == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("words", range(1, 14))
@in_virtual_time
async def test_after_a_stop_no_byte_of_the_move_reaches_the_wire_whenever_it_comes(words: int) -> None:
    pace, wire, simulator = pace_and_wire()
    await pace.connect()
    slow = Late(simulator, lambda: 0.2)
    pace, wire = device_on(DruckPace, "membrane", slow, settings())
    await pace.connect()
    wire.forget()
    move = asyncio.ensure_future(pace.set(40))
    while len(wire.sent) < words:
        await asyncio.sleep(0.01)
    before = len(wire.sent)
    await pace.stop()
    with pytest.raises(Stopped):
        await move
    await asyncio.sleep(5)
    assert wire.sent[before:] == [b":OUTP:STAT 0\n", b":OUTP:STAT?\n"]
    assert not simulator.output


@in_virtual_time
async def test_the_safe_state_is_one_exchange_with_nothing_read_first_and_never_vents() -> None:
    gas = Gas()
    pace, wire, _ = await connected(gas)
    await pace.set(10)
    wire.forget()
    await pace.make_safe()
    assert wire.sent == [b":OUTP:STAT 0\n", b":OUTP:STAT?\n"]
    assert gas.gas_bar(1e6) == pytest.approx(10, abs=0.1)


@in_virtual_time
async def test_a_poll_that_a_stop_broke_off_is_asked_again() -> None:
    simulator = PaceSimulator(Gas(), clock())
    pace, _ = device_on(DruckPace, "membrane", Late(simulator, lambda: 0.5), settings())
    await pace.connect()
    poll = asyncio.ensure_future(pace.read())
    await asyncio.sleep(0.1)
    await pace.stop()
    assert (await poll).value == 0.0


@in_virtual_time
async def test_on_a_serial_line_a_stop_is_said_before_the_line_is_cleansed() -> None:
    simulator = PaceSimulator(Gas(), clock())
    silent = False
    pace, wire = device_on(
        DruckPace, "membrane", Late(simulator, lambda: None if silent else 0.01), settings(), transport=SerialLike
    )
    await pace.connect()
    await pace.set(1)
    silent = True
    with pytest.raises(LinkLost):
        await pace.read()
    wire.forget()
    with pytest.raises(LinkLost):  # not a word comes back, so it can't be confirmed
        await pace.stop()
    assert wire.sent[:2] == [b"\n", b":OUTP:STAT 0\n"]
    assert not simulator.output


# --- lost, late


@in_virtual_time
async def test_a_lost_link_is_noticed_once_with_its_reason() -> None:
    heard: list[tuple[str, str]] = []
    silent = False
    simulator = PaceSimulator(Gas(), clock())
    pace, _ = device_on(DruckPace, "membrane", Late(simulator, lambda: None if silent else 0.0), settings())
    pace.on_change = lambda device, state, why: heard.append((state, why))
    await pace.connect()
    silent = True
    for _ in range(2):
        with pytest.raises(LinkLost):
            await pace.read()
    assert [state for state, _ in heard] == ["connected", "disconnected"]
    assert "no answer to ':SENS:PRES?' within 2 s" in heard[1][1]


@pytest.mark.parametrize("transport", ["tcp", "serial"])
@pytest.mark.parametrize("seed", range(100))
@in_virtual_time
async def test_a_late_answer_is_never_taken_for_the_next_ones(seed: int, transport: str) -> None:
    """A poller, a move and a stop on a line whose answers come late or never: each reading is as old as it claims."""
    chance = Chance(seed).stream("late answers")
    started = False

    def delay_s() -> float | None:
        if not started:
            return 0.01
        kind = chance.random()
        return None if kind < 0.03 else float(chance.uniform(0, 4)) if kind < 0.15 else float(chance.uniform(0, 0.3))

    gas = Gas()
    simulator = PaceSimulator(gas, clock())
    kind = {"transport": SerialLike} if transport == "serial" else {}
    pace, _ = device_on(DruckPace, "membrane", Late(simulator, delay_s), settings(), **kind)
    await pace.connect()
    gas.ramp(0.0, 150.0, 0.25)  # a pressure for every moment
    started, checked = True, 0

    async def poll() -> None:
        nonlocal checked
        for _ in range(40):
            asked_s = pace.clock.now_s()
            try:
                value = (await pace.read()).value
            except (LinkLost, GarbledReply):
                if not pace.link.connected:
                    await pace.link.open()
            else:
                lowest, highest = gas.gas_bar(asked_s), gas.gas_bar(pace.clock.now_s())
                assert min(lowest, highest) - 1e-6 <= value <= max(lowest, highest) + 1e-6
                checked += 1
            await asyncio.sleep(float(chance.uniform(0, 1)))

    async def move() -> None:
        await asyncio.sleep(float(chance.uniform(0, 10)))
        try:
            await pace.set(20)
        except (LinkLost, GarbledReply, Stopped):
            pass

    async def stop() -> None:
        await asyncio.sleep(float(chance.uniform(0, 20)))
        try:
            await pace.stop()
        except (LinkLost, GarbledReply):
            pass

    async with asyncio.TaskGroup() as group:
        for work in (poll(), move(), stop()):
            group.create_task(work)
    assert checked > 10


@in_virtual_time
async def test_a_cancelled_poll_leaves_nothing_for_the_next_one() -> None:
    gas = Gas()
    simulator = PaceSimulator(gas, clock())
    pace, _ = device_on(DruckPace, "membrane", Late(simulator, lambda: 0.5), settings(), transport=SerialLike)
    await pace.connect()
    gas.ramp(0.0, 150.0, 1.0)
    poll = asyncio.ensure_future(pace.read())
    await asyncio.sleep(0.2)
    poll.cancel()
    await asyncio.sleep(0)
    assert pace.link.dirty
    asked_s = pace.clock.now_s()
    assert (await pace.read()).value >= gas.gas_bar(asked_s)


# --- the simulator, from the notes


@in_virtual_time
async def test_the_simulator_answers_as_the_notes_say() -> None:
    gas = Gas(start_bar=1.234, target_bar=1.234)
    box = PaceSimulator(gas, clock(), options={"unit": "BAR", "slew_mode": "LIN"})
    assert say(
        box, b"*IDN?\n", b":SENS:PRES?\n", b":sense:pressure?\r", b":SOUR:PRES 0.5\n", b":SOUR:PRES?\n",
        b":SOUR:PRES:SLEW:OVER 0\n", b":SOUR:PRES:SLEW:OVER?\n", b":SYST:ERR?\r\n", b":SENS:PRES:INL?\n",
        b":SOUR:PRES:LEV:IMM:AMPL?;:SENS:PRES?\n", b":SOURCE:PRESSURE:COMP1?\n",
    ) == [
        IDN, b":SENS:PRES 1.2340000\r\n", b":SENS:PRES 1.2340000\r\n", b"", b":SOUR:PRES:LEV:IMM:AMPL 0.5000000\r\n",
        b"", b":SOUR:PRES:SLEW:OVER:STAT 0\r\n", NO_ERROR, b":SENS:PRES:INL 1.2340000, 0\r\n",
        b":SOUR:PRES:LEV:IMM:AMPL 0.5000000;:SENS:PRES 1.2340000\r\n", b":SOUR:PRES:COMP1 200.0000000\r\n",
    ]  # fmt: skip


@in_virtual_time
async def test_the_simulator_meets_errors_with_silence_and_keeps_five() -> None:
    box = PaceSimulator(Gas(), clock(), options={"unit": "BAR"})
    assert say(
        box, b":SOUR:PRES 5000\n", b":SOUR:PRES:COMP3?\n", b":NO:SUCH 1\n", b":SENS:PRES 5\n",
        b":SOUR:PRES x\n", b"*CLS?\n",
    ) == [b""] * 6  # fmt: skip
    assert say(box, *[b":SYST:ERR?\n"] * 6) == [
        b':SYST:ERR -222, "Data out of range"\r\n',
        b':SYST:ERR -114, "Header suffix out of range"\r\n',
        b':SYST:ERR -113, "Undefined header"\r\n',
        b':SYST:ERR 201, "Query only"\r\n',
        b':SYST:ERR -350, "Queue overflow"\r\n',
        NO_ERROR,
    ]


@in_virtual_time
async def test_in_the_simulator_every_number_follows_the_unit() -> None:
    box = PaceSimulator(Gas(start_bar=20, target_bar=20), clock(), options={"unit": "BAR"})
    say(box, b":SOUR:PRES 30\n", b":SOUR:PRES:SLEW 0.5\n", b":UNIT:PRES MPA\n")
    assert say(box, b":SENS:PRES?\n", b":SOUR:PRES?\n", b":SOUR:PRES:SLEW?\n", b":SOUR:PRES:COMP1?\n") == [
        b":SENS:PRES 2.0000000\r\n", b":SOUR:PRES:LEV:IMM:AMPL 3.0000000\r\n", b":SOUR:PRES:SLEW 0.0500000\r\n",
        b":SOUR:PRES:COMP1 20.0000000\r\n",
    ]  # fmt: skip


@in_virtual_time
async def test_the_simulator_overshoots_where_it_is_allowed_and_cuts_long_answers() -> None:
    gas = Gas()
    box = PaceSimulator(gas, clock(), options={"unit": "BAR", "slew_mode": "MAX"})
    say(box, b":SOUR:PRES 100;:OUTP:STAT 1\n")
    await asyncio.sleep(5.1)
    assert gas.gas_bar(box.clock.now_s()) == pytest.approx(102)
    say(box, b":SENS:PRES?\n")
    await asyncio.sleep(10)
    assert say(box, b":SENS:PRES?\n", b":OUTP 0;:OUTP:STAT?\n") == [b":SENS:PRES 100.0000000\r\n", b":OUTP:STAT 0\r\n"]
    (long,) = say(box, b";".join([b"*IDN?"] * 10) + b"\n")
    assert len(long) == 255 + 2


@in_virtual_time
async def test_the_simulator_vents_only_when_told_and_says_how_far_it_is() -> None:
    gas = Gas(start_bar=10, target_bar=10)
    box = PaceSimulator(gas, clock(), options={"unit": "BAR"})
    assert say(box, b":SOUR:PRES:LEV:IMM:AMPL:VENT 1\n", b":SOUR:PRES:LEV:IMM:AMPL:VENT?\n")[1].endswith(b"VENT 1\r\n")
    await asyncio.sleep(6)
    assert say(box, b":SOUR:PRES:VENT?\n") == [b":SOUR:PRES:LEV:IMM:AMPL:VENT 2\r\n"]
    assert gas.gas_bar(1e6) == 0.0
