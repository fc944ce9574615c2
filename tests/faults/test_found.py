"""What faults and garbage found in links and drivers, each once and by itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from drivers.bench import device_on, in_virtual_time, settings
from drivers.doors import Gas, Heat, Hutch
from rocksalt.devices import ByteLink, GarbledReply, WrongInstrument
from rocksalt.devices.links.http import HttpReply
from rocksalt.devices.links.memory import MemoryTransport
from rocksalt.devices.links.tcp import TcpTransport
from rocksalt.time import Chance, ExperimentClock
from rocksalt.twin.wire.faults import Fault, Faults, FaultyLine
from rocksalt.twin.wire.hosting import serve_tcp
from rocksalt.twin.wire.lines import LineSimulator, replies
from rocksalt_drivers.druck_pace.driver import DruckPace
from rocksalt_drivers.druck_pace.simulator import PaceSimulator
from rocksalt_drivers.lakeshore_336.driver import LakeShore336
from rocksalt_drivers.lakeshore_336.simulator import LakeShoreSimulator
from rocksalt_drivers.modbus_interlock.driver import ModbusInterlock
from rocksalt_drivers.modbus_interlock.simulator import InterlockSimulator


class Counter(LineSimulator):
    """Answers N? with how often it was asked."""

    asked = 0

    @replies(r"N\?")
    def number(self) -> str:
        self.asked += 1
        return str(self.asked)


def clock() -> ExperimentClock:
    return ExperimentClock(asyncio.get_running_loop())


def doubled() -> FaultyLine:
    return FaultyLine(Counter(), Faults([(0, Fault("box", "doubled", reply=1))], clock(), Chance(1)))


class Changed:
    """A box whose answers are changed on the way, once `change` is set."""

    def __init__(self, box: Any) -> None:
        self.box = box
        self.change: Callable[[bytes], bytes] = lambda reply: reply

    def accept(self, send: Callable[[bytes], None]) -> Any:
        return self.box.accept(lambda reply: send(self.change(reply)))


def becomes(pattern: bytes, text: bytes) -> Callable[[bytes], bytes]:
    return lambda reply: re.sub(pattern, text, reply)


async def asked(link: ByteLink) -> str:
    async with link.exchange() as line:
        return await line.ask("N?")


@in_virtual_time
async def test_a_second_copy_of_a_reply_is_not_the_next_questions_answer() -> None:
    link = ByteLink(MemoryTransport(doubled()), device="box", address="memory")
    await link.open()
    assert [await asked(link) for _ in range(3)] == ["1", "2", "3"]


async def test_nor_is_it_on_a_socket() -> None:
    server, address = await serve_tcp(doubled())
    host, _, port = address.rpartition(":")
    link = ByteLink(TcpTransport(host, int(port)), device="box", address=address)
    await link.open()
    found = []
    for _ in range(3):
        found.append(await asked(link))
        await asyncio.sleep(0.01)
    link.close()
    server.close()
    await asyncio.sleep(0.01)
    assert found == ["1", "2", "3"]


@in_virtual_time
async def test_an_instrument_that_speaks_by_itself_may_say_so_and_keeps_its_connection() -> None:
    transport = MemoryTransport(doubled())
    link = ByteLink(transport, device="box", address="memory")
    link.unasked = "news"
    await link.open()
    assert [await asked(link) for _ in range(2)] == ["1", "1"]
    assert not link.dirty


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_json_from_an_instrument_holds_no_such_number(word: str) -> None:
    with pytest.raises(GarbledReply, match="is not JSON"):
        HttpReply("detector", 200, f'{{"value": {word}}}'.encode()).json()


@in_virtual_time
async def test_another_instrument_is_refused_whenever_it_is_asked_who_it_is() -> None:
    box = PaceSimulator(Gas(), clock())
    pace, _ = device_on(DruckPace, "membrane", box, settings())
    await pace.connect()
    box.identity = "ACME,Pump 3,0,1"
    with pytest.raises(WrongInstrument, match=r"'ACME,Pump 3,0,1' answers"):
        await pace.identify()


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (rb":SENS:PRES 1", b"1"),  # its header lost, and maybe digits with it
        (rb":SENS:PRES ", b":SENS:PRES:STAT "),
        (rb":SENS", b":SEN"),
        (rb":SENS:PRES .*\r", b":SENS:PRES 10.\r"),
        (rb":SENS:PRES 10", b":SENS:PRES 10000"),  # beyond its own range: another unit
    ],
)
@in_virtual_time
async def test_a_pressure_that_lost_a_piece_on_its_way_is_no_pressure(pattern: bytes, text: bytes) -> None:
    box = Changed(PaceSimulator(Gas(start_bar=10.0, target_bar=10.0), clock()))
    pace, _ = device_on(DruckPace, "membrane", box, settings())
    await pace.connect()
    box.change = becomes(pattern, text)
    with pytest.raises(GarbledReply):
        await pace.read()


@pytest.mark.parametrize(
    ("pattern", "text"), [(rb"\+295\.000", b"+29.000"), (rb"\+295\.000", b"9.9E37"), (rb";000\r", b";00\r")]
)
@in_virtual_time
async def test_a_temperature_that_lost_a_piece_on_its_way_is_no_temperature(pattern: bytes, text: bytes) -> None:
    box = Changed(LakeShoreSimulator(Heat(), clock()))
    oven, _ = device_on(LakeShore336, "temperature", box, settings(320.0, lower=290.0))
    await oven.connect()
    box.change = becomes(pattern, text)
    with pytest.raises(GarbledReply):
        await oven.read()


@in_virtual_time
async def test_a_temperature_misread_before_a_ramp_does_not_become_its_start_above_the_limit() -> None:
    inside = LakeShoreSimulator(Heat(), clock())
    box = Changed(inside)
    oven, wire = device_on(LakeShore336, "temperature", box, settings(320.0, lower=290.0))
    await oven.connect()
    box.change = becomes(rb"\+295\.000", b"+495.000")
    moving = asyncio.ensure_future(oven.set(300.0))
    await asyncio.sleep(1.0)
    moving.cancel()
    assert b"RAMP 1,0,0;SETP 1,320.000;*ESR?\r\n" in wire.sent
    assert not any(b"495" in sent for sent in wire.sent)


@in_virtual_time
async def test_eight_bits_are_one_byte() -> None:
    box = Changed(InterlockSimulator(Hutch(), clock()))
    interlock, _ = device_on(ModbusInterlock, "interlock", box, settings())
    await interlock.connect()
    box.change = lambda reply: reply[:8] + b"\x00" + reply[9:] if reply[7] == 2 else reply
    with pytest.raises(GarbledReply, match="not 1 bytes of values"):
        await interlock.status()
