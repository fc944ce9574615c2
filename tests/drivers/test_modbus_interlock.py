"""Shutter, door and interlock: the box decides, the program asks, and a daemon that dies lets the shutter fall."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from devices.transcripts import say, transcript
from drivers.bench import Late, Wire, clock, device_on, in_virtual_time, settings
from drivers.doors import Hutch
from rocksalt.devices import GarbledReply, LinkLost, NotReached, Refused, Stopped, WrongInstrument
from rocksalt.time import ExperimentClock
from rocksalt_drivers.modbus_interlock.driver import ModbusInterlock
from rocksalt_drivers.modbus_interlock.simulator import InterlockSimulator


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


async def connected(hutch: Hutch | None = None, **options: Any) -> tuple[ModbusInterlock, Wire, InterlockSimulator]:
    simulator = InterlockSimulator(hutch or Hutch(), clock())
    device, wire = device_on(ModbusInterlock, "interlock", simulator, settings(**options))
    await device.connect()
    wire.forget()
    return device, wire, simulator


async def beating(device: ModbusInterlock) -> None:
    while True:
        await device.beat()
        await asyncio.sleep(0.5)


@in_virtual_time
async def test_it_says_what_it_is_as_far_as_modbus_can_tell() -> None:
    device, _, _ = await connected()
    await asyncio.sleep(12.3)
    assert await device.identify() == "modbus interlock, state safe, uptime 12"


@in_virtual_time
async def test_a_box_whose_registers_make_no_sense_is_no_interlock() -> None:
    registers = hexed("0001 0000 000f 01 04 0c") + struct.pack(">6H", 700, 0, 0, 0, 0, 0)
    question = hexed("0000 0006 01 04 0000 0006")
    with transcript([(b"\0\1" + question, registers)]) as peer:
        device, _ = device_on(ModbusInterlock, "interlock", peer, settings())
        with pytest.raises(GarbledReply, match="hold \\[700, 0, 0, 0, 0, 0\\]: no state of an interlock"):
            await device.connect()


@in_virtual_time
async def test_the_shutter_opens_and_closes_and_the_switches_say_so() -> None:
    hutch = Hutch()
    device, _, _ = await connected(hutch)
    await device.open_shutter()
    status = await device.status()
    assert (status.shutter_open, status.shutter_closed, status.door_closed, status.ready) == (True, False, True, True)
    assert hutch.on
    await device.close_shutter()
    status = await device.status()
    assert (status.shutter_open, status.shutter_closed) == (False, True)
    assert [(reading.name, reading.value) for reading in await device.readings()][:2] == [
        ("interlock.shutter", 0.0),
        ("interlock.door", 1.0),
    ]


@in_virtual_time
async def test_with_the_door_open_nothing_is_asked_of_the_shutter() -> None:
    device, wire, _ = await connected(Hutch(closed=False))
    with pytest.raises(Refused, match="the door is open: the shutter stays closed"):
        await device.open_shutter()
    assert not any(sent[7] in (5, 15) for sent in wire.sent)


@pytest.mark.parametrize(
    ("attribute", "words"),
    [("emergency_ok", "emergency stop"), ("searched", "search or key missing"), ("cooled", "no cooling flow")],
)
@in_virtual_time
async def test_a_chain_that_is_not_closed_is_named(attribute: str, words: str) -> None:
    device, _, simulator = await connected()
    setattr(simulator, attribute, False)
    with pytest.raises(Refused, match=rf"the interlock is not ready \({words}\)"):
        await device.open_shutter()


@in_virtual_time
async def test_two_door_channels_that_disagree_are_a_fault_at_once_and_latched_after_half_a_second() -> None:
    device, _, simulator = await connected()
    simulator.door_b = False
    status = await device.status()
    assert (status.door_closed, status.ready) == (False, False)
    assert "the door's two channels disagree" in status.fault
    await asyncio.sleep(1)
    simulator.door_b = None
    assert "the door's two channels disagree" in (await device.status()).fault
    await device.reset()
    assert (await device.status()).ready


@in_virtual_time
async def test_an_opened_door_closes_the_shutter_and_takes_the_permit_whatever_is_written() -> None:
    hutch = Hutch()
    device, _, simulator = await connected(hutch)
    await device.open_shutter()
    hutch.set_door(device.clock.now_s(), False)
    await asyncio.sleep(0.2)
    status = await device.status()
    assert (status.shutter_closed, status.door_closed, status.ready) == (True, False, False)
    assert not hutch.on
    await device._shutter(open=True)  # written is written: the box takes it, and does nothing of it
    status = await device.status()
    assert status.shutter_closed
    assert "the shutter was asked to open and may not" in status.fault
    assert not hutch.on
    hutch.set_door(device.clock.now_s(), True)
    await device.close_shutter()
    assert (await device.status()).ready
    assert simulator.cycles == 1


@in_virtual_time
async def test_a_shutter_that_sticks_is_not_reported_as_open() -> None:
    device, _, _ = await connected(Hutch(stuck=True))
    with pytest.raises(NotReached, match="told to be open, and its switch does not say so after 2 s"):
        await device.open_shutter()


@in_virtual_time
async def test_the_safe_state_is_one_message_and_a_stop_closes_the_shutter() -> None:
    hutch = Hutch()
    device, wire, simulator = await connected(hutch)
    await device.open_shutter()
    wire.forget()
    await device.stop()
    assert [sent[7:] for sent in wire.sent] == [hexed("05 0000 0000")]
    assert (simulator.coils[0], hutch.on) == (False, True)
    await device.open_shutter()
    wire.forget()
    await device.make_safe()
    assert [sent[7:] for sent in wire.sent] == [hexed("0f 0000 0003 01 00")]
    assert (simulator.coils[0], hutch.on) == (False, False)


@in_virtual_time
async def test_a_stop_while_the_shutter_is_opening_wins() -> None:
    hutch = Hutch(stuck=True)
    device, _, simulator = await connected(hutch)
    opening = asyncio.ensure_future(device.open_shutter())
    await asyncio.sleep(0.5)
    await device.stop()
    with pytest.raises(Stopped, match="opening the shutter was stopped"):
        await opening
    assert simulator.coils[0] is False


@in_virtual_time
async def test_the_shutter_stays_open_while_somebody_beats_and_falls_when_nobody_does() -> None:
    hutch = Hutch()
    device, _, _ = await connected(hutch)
    heart = asyncio.ensure_future(beating(device))
    await device.open_shutter()
    await asyncio.sleep(60)
    assert hutch.shutter_open(device.clock.now_s())
    heart.cancel()  # the daemon is dead: nobody asks the box anything any more
    await asyncio.sleep(2.2)
    assert not hutch.open
    assert not hutch.on
    assert "watchdog ran out" in (await device.status()).fault
    await device.beat()
    assert (await device.status()).ready


@in_virtual_time
async def test_the_watchdog_runs_on_the_boxs_own_time_whatever_the_speed_of_the_experiment() -> None:
    loop = asyncio.get_running_loop()
    hutch = Hutch()
    fast = ExperimentClock(loop, speed=100.0)
    simulator = InterlockSimulator(hutch, fast)
    device = ModbusInterlock("interlock", settings(watchdog_ms=1000), Wire(simulator), fast)
    await device.connect()
    await device.open_shutter()
    await asyncio.sleep(0.9)
    assert hutch.open
    await asyncio.sleep(0.2)
    assert not hutch.open


@in_virtual_time
async def test_settings_are_believed_when_they_are_read_back() -> None:
    _, _, simulator = await connected(watchdog_ms=1500, max_open_s=30)
    assert simulator.holdings == [0, 1500, 30]
    simulator._write_holdings = lambda first, values: None  # type: ignore[method-assign]
    device, _ = device_on(ModbusInterlock, "interlock", simulator, settings(watchdog_ms=900))
    with pytest.raises(Refused, match=r"holding register 1 was set to 900, and holds \[1500\]"):
        await device.connect()


@in_virtual_time
async def test_a_shutter_that_is_open_too_long_falls() -> None:
    hutch = Hutch()
    device, _, _ = await connected(hutch, max_open_s=30)
    heart = asyncio.ensure_future(beating(device))
    await device.open_shutter()
    await asyncio.sleep(31)
    assert not hutch.open
    assert "the shutter was open too long" in (await device.status()).fault
    heart.cancel()


# --- what is believed


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("0007 0000 0006 01 05 0000 0000", "was transaction 1 of unit 1; the answer is to transaction 7"),
        ("0001 0000 0006 02 05 0000 0000", "the answer is to transaction 1 of unit 2"),
        ("0001 0000 0006 01 06 0000 0000", "which answers something else"),
        ("0001 0000 0006 01 05 0001 0000", "it echoes coil 1"),
        ("0001 0000 0006 01 05 0000 ff00", "it echoes coil 0"),
        ("0001 0001 0006 01 05 0000 0000", "which is no Modbus header"),
        ("0001 0000 ffff 01 05 0000 0000", "which is no Modbus header"),
        ("0001 0000 0003 01 05 00", "which answers something else"),
    ],
)
@in_virtual_time
async def test_an_answer_that_is_not_ours_is_garbled(answer: str, message: str) -> None:
    with transcript([(hexed("0001 0000 0006 01 05 0000 0000"), hexed(answer))]) as peer:
        device, _ = device_on(ModbusInterlock, "interlock", peer, settings())
        await device.link.open()
        with pytest.raises(GarbledReply, match=message):
            await device.stop()
        assert device.link.dirty


@in_virtual_time
async def test_an_exception_is_named() -> None:
    with transcript([(hexed("0001 0000 0006 01 06 0000 0001"), hexed("0001 0000 0003 01 86 02"))]) as peer:
        device, _ = device_on(ModbusInterlock, "interlock", peer, settings())
        await device.link.open()
        with pytest.raises(Refused, match=r"WriteSingleRegisterRequest 0: exception 2 \(no such address\)"):
            await device.beat()


@in_virtual_time
async def test_the_state_of_the_hutch_byte_for_byte() -> None:
    exchanges = [
        (hexed("0001 0000 0006 01 02 0000 0008"), hexed("0001 0000 0004 01 02 01 df")),
        (hexed("0002 0000 0006 01 04 0000 0006"), hexed("0002 0000 000f 01 04 0c 0002 0000 0005 0000 0b86 000c")),
        (hexed("0003 0000 0008 01 0f 0000 0004 01 0d"), hexed("0003 0000 0006 01 0f 0000 0004")),
        (hexed("0004 0000 0006 01 06 0000 0001"), hexed("0004 0000 0006 01 06 0000 0001")),
    ]
    with transcript(exchanges) as peer:
        device, _ = device_on(ModbusInterlock, "interlock", peer, settings())
        await device.link.open()
        status = await device.status()
        assert (status.shutter_open, status.shutter_closed) == (True, False)
        assert (status.door_closed, status.ready) == (True, True)
        await device._shutter(open=True)
        await device.beat()


@in_virtual_time
async def test_an_answer_that_never_comes_is_a_lost_link_and_the_next_connection_starts_clean() -> None:
    silent = True
    simulator = InterlockSimulator(Hutch(), clock())
    device, _ = device_on(ModbusInterlock, "interlock", Late(simulator, lambda: 3.0 if silent else 0.0), settings())
    await device.link.open()
    with pytest.raises(LinkLost, match="no answer to ReadDiscreteInputsRequest 0 within 1 s"):
        await device.status()
    silent = False
    await asyncio.sleep(2.5)
    assert (await device.status()).door_closed


@in_virtual_time
async def test_another_name_is_refused() -> None:
    device, _, _ = await connected()

    async def other() -> str:
        return "a coffee machine"

    device._identify = other  # type: ignore[method-assign]
    with pytest.raises(WrongInstrument, match="a coffee machine"):
        await device.connect()


# --- the simulator, from the standard and the notes


@in_virtual_time
async def test_the_simulator_answers_each_function_as_the_standard_says() -> None:
    box = InterlockSimulator(Hutch(), clock())
    conversation = {
        "0001 0000 0006 01 01 0000 0004": "0001 0000 0004 01 01 01 00",
        "0002 0000 0006 01 02 0000 0008": "0002 0000 0004 01 02 01 6f",
        "0003 0000 0006 01 03 0001 0001": "0003 0000 0005 01 03 02 07d0",
        "0004 0000 0006 01 04 0000 0002": "0004 0000 0007 01 04 04 0000 0000",
        "0005 0000 0006 01 05 0003 ff00": "0005 0000 0006 01 05 0003 ff00",
        "0006 0000 0006 01 06 0000 0001": "0006 0000 0006 01 06 0000 0001",
        "0007 0000 0008 01 0f 0000 0004 01 0d": "0007 0000 0006 01 0f 0000 0004",
        "0008 0000 0009 01 10 0002 0001 02 001e": "0008 0000 0006 01 10 0002 0001",
        "0009 0000 000d 01 17 0000 0003 0000 0001 02 0002": "0009 0000 0009 01 17 06 0002 07d0 001e",
        "000a 0000 0006 01 01 0000 0004": "000a 0000 0004 01 01 01 0d",
    }
    for question, answer in conversation.items():
        assert say(box, hexed(question)) == [hexed(answer)], question


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("01 07", 1),
        ("01 02 0000 0009", 2),
        ("01 05 0004 ff00", 2),
        ("01 05 0000 1234", 3),
        ("01 02 0000 0000", 3),
        ("01 0f 0000 0003 02 0000", 3),
        ("01 06 0009 0001", 2),
        ("01 03 00", 3),
    ],
)
@in_virtual_time
async def test_the_simulator_refuses_with_the_standards_exceptions(question: str, code: int) -> None:
    body = hexed(question)
    box = InterlockSimulator(Hutch(), clock())
    frame = struct.pack(">HHH", 9, 0, len(body)) + body
    assert say(box, frame) == [struct.pack(">HHHBBB", 9, 0, 3, 1, body[1] | 0x80, code)]


@in_virtual_time
async def test_the_simulator_puts_frames_together_from_pieces_and_ignores_other_units() -> None:
    box = InterlockSimulator(Hutch(), clock())
    frame = hexed("0001 0000 0006 01 01 0000 0004")
    pieces = say(box, *[frame[at : at + 1] for at in range(len(frame))])
    assert b"".join(pieces) == hexed("0001 0000 0004 01 01 01 00")
    assert say(box, frame[:6] + b"\x09" + frame[7:], b"GET / HTTP/1.1\r\n\r\n", frame)[:2] == [b"", b""]
