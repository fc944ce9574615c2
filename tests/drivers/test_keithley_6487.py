"""The picoammeter: a current is believed only with a status that says so; a shorted input is no dark beam."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from devices.transcripts import say, transcript
from drivers.bench import Late, SerialLike, Wire, clock, device_on, in_virtual_time, settings
from drivers.doors import Beam
from rocksalt.config.links import parse_link
from rocksalt.devices import GarbledReply, LinkLost, Preempted, Refused, Settings, WrongInstrument
from rocksalt.devices.links import RealWires
from rocksalt.time import Chance, run_virtual
from rocksalt.twin.surroundings.flux import coulomb_per_photon
from rocksalt.twin.wire.hosting import ServedPty, serve_tcp
from rocksalt.twin.world import World, world_from_station
from rocksalt_drivers.keithley_6487.driver import Keithley6487
from rocksalt_drivers.keithley_6487.simulator import PicoammeterSimulator

STATIONS = Path(__file__).parents[2] / "config" / "stations"
GPIB, SERIAL, TCP = "visa://GPIB0::22::INSTR", "serial:///dev/ttyUSB0?baud=9600", "tcp://127.0.0.1:4001"
QUIET = {"noise_a": 0.0, "offset_a": 0.0}
IDENTITY = b"KEITHLEY INSTRUMENTS INC.,MODEL 6487,1234567,B04   May  9 2005 10:47:41/A02  /D\n"


def station(link: str = GPIB, **options: Any) -> Settings:
    return settings(link=link, **options)


async def connected(
    beam: Any = None, link: str = GPIB, box: dict[str, Any] | None = None, **options: Any
) -> tuple[Keithley6487, Wire, PicoammeterSimulator]:
    simulator = PicoammeterSimulator(beam or Beam(), clock(), options={**QUIET, **(box or {})})
    device, wire = device_on(Keithley6487, "flux", simulator, station(link, **options))
    await device.connect()
    wire.forget()
    return device, wire, simulator


async def one_reading(answer: bytes, times: int = 1, **options: Any) -> float:
    """What the driver makes of an answer to READ?, as if it had connected."""
    with transcript([(b"READ?\r\n", answer)] * times) as peer:
        device, _ = device_on(Keithley6487, "flux", peer, station(**{"zero_correct": False, **options}))
        await device.link.open()
        try:
            return float((await device.read()).value)
        finally:
            device.link.close()


class Always:
    """A peer with one answer to everything."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.send: Callable[[bytes], None] = lambda data: None

    def accept(self, send: Callable[[bytes], None]) -> Any:
        self.send = send
        return self

    def receive(self, data: bytes) -> None:
        self.send(self.answer)

    def closed(self) -> None:
        pass


# --- connecting


@in_virtual_time
async def test_a_whole_conversation_byte_for_byte() -> None:
    exchanges: list[tuple[bytes, bytes | None]] = [(b"*IDN?\r\n", IDENTITY), (b"*CLS\r\n", None)]

    def told(command: bytes, query: bytes = b"", answer: bytes = b"") -> None:
        exchanges.extend([(command + b"\r\n", None), (b"SYST:ERR?\r\n", b'0,"No error"\n')])
        if query:
            exchanges.append((query + b"\r\n", answer + b"\n"))

    told(b"*RST")
    told(b"SYST:ZCH ON")
    told(b"FORM:ELEM READ,UNIT,TIME,STAT")
    told(b"CURR:NPLC 1", b"CURR:NPLC?", b"1.00")
    told(b"AVER OFF")
    told(b"CURR:RANG 2e-09", b"CURR:RANG?", b"2.000000E-09")
    exchanges += [(b"INIT\r\n", None), (b"*OPC?\r\n", b"1\n")]
    told(b"SYST:ZCOR:ACQ")
    told(b"SYST:ZCOR ON", b"SYST:ZCOR?", b"1")
    told(b"CURR:RANG:AUTO ON", b"CURR:RANG:AUTO?", b"1")
    told(b"SOUR:VOLT:STAT OFF", b"SOUR:VOLT:STAT?", b"0")
    told(b"SYST:TIME:RES")
    told(b"SYST:ZCH OFF", b"SYST:ZCH?", b"0")
    exchanges += [
        (b"READ?\r\n", b"+1.040564E-06A,+2.236299E+02,+1.024000E+03\n"),
        (b"ABOR\r\n", None), (b"*OPC?\r\n", b"1\n"),
        (b"SOUR:VOLT:STAT OFF\r\n", None), (b"SOUR:VOLT:STAT?\r\n", b"0\n"),
    ]  # fmt: skip
    with transcript(exchanges) as peer:
        device, _ = device_on(Keithley6487, "flux", peer, station())
        await device.connect()
        reading = await device.read()
        await device.stop()
        await device.make_safe()
    assert (reading.name, reading.unit, reading.value) == ("flux_a", "A", 1.040564e-06)


@in_virtual_time
async def test_what_the_panel_was_left_in_is_put_right() -> None:
    left = {"zero_check": True, "range_a": 2e-9, "nplc": 0.01, "average": 50, "trigger_count": 3, "null_a": 5e-7,
            "elements": "TIME,STAT", "volts": 9.0, "limit_a": 1e-9, "offset_a": 4e-13}  # fmt: skip
    device, _, simulator = await connected(box=left)
    assert not simulator.source_on
    assert (simulator.zero_check, simulator.zero_correct, simulator.auto) == (False, True, True)
    assert (await device.read()).value == pytest.approx(1.04e-6, rel=1e-6)


@in_virtual_time
async def test_the_instruments_own_zero_is_subtracted_unless_the_station_says_not_to() -> None:
    for zero_correct, expected in ((True, 3e-12), (False, 4e-12)):
        device, _, _ = await connected(Beam(3e-12), box={"offset_a": 1e-12}, zero_correct=zero_correct)
        assert (await device.read()).value == pytest.approx(expected, rel=1e-5)


@in_virtual_time
async def test_another_instrument_is_refused_by_its_name() -> None:
    other = {"identity": "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1,C30"}
    simulator = PicoammeterSimulator(Beam(), clock(), options=other)
    device, _ = device_on(Keithley6487, "flux", simulator, station())
    with pytest.raises(WrongInstrument, match=r"MODEL 2400.* answers at visa://GPIB0::22::INSTR"):
        await device.connect()


@in_virtual_time
async def test_a_6485_has_no_source_and_is_never_told_of_one() -> None:
    device, wire, simulator = await connected(box={"model": "6485"})
    assert (await device.read()).value == 1.04e-6
    await device.make_safe()
    assert wire.sent == [b"READ?\r\n", b"ABOR\r\n", b"*OPC?\r\n"]
    assert not simulator.errors
    with pytest.raises(Refused, match="a 6485 has no voltage source"):
        await connected(box={"model": "6485"}, bias_v=5.0)


@in_virtual_time
async def test_a_command_that_it_does_not_take_is_told_by_its_error_queue() -> None:
    with pytest.raises(Refused, match="SOUR:VOLT:STAT ON: -221 Settings conflict"):
        await connected(bias_v=100.0)  # above 50 V, and nothing in the interlock's socket
    device, _, _ = await connected(bias_v=100.0, box={"interlock": True})
    assert device.state == "connected"


@pytest.mark.parametrize("options", [
    {"range_a": 0.5}, {"range_a": 0.0}, {"nplc": 0.001}, {"nplc": 60.0}, {"average": 0}, {"line_hz": 55.0},
    {"on_limit": "maybe"}, {"zero_correct": "no"}, {"bias_v": 501.0}, {"bias_limit_a": 1.0},
    {"ampere_per_photon": 0.0},
])  # fmt: skip
@in_virtual_time
async def test_options_that_make_no_sense_are_refused_when_the_station_is_read(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^flux: .*station\.toml:12"):
        device_on(Keithley6487, "flux", None, station(**options))


# --- readings


@pytest.mark.parametrize(("bit", "words"), [
    (0, "overflow"), (2, "math is on"), (3, "a relative value"), (7, "overvoltage"), (9, "zero check is on"),
])  # fmt: skip
@in_virtual_time
async def test_a_status_that_says_that_it_is_no_reading_is_believed(bit: int, words: str) -> None:
    answer = f"+1.040564E-06A,+2.236299E+02,{1 << bit:+.6E}\n".encode()
    with pytest.raises(Refused, match=rf"flux: the reading can't be believed, status {1 << bit}: {words}"):
        await one_reading(answer)


@in_virtual_time
async def test_its_words_for_no_number_and_too_large_are_refused_whatever_the_status() -> None:
    for number, words in ((b"+9.910000E+37", "no number to give"), (b"+9.900000E+37", "overflow"),
                          (b"-9.900000E+37", "overflow")):  # fmt: skip
        with pytest.raises(Refused, match=words):
            await one_reading(number + b"A,+2.236299E+02,+0.000000E+00\n")


@in_virtual_time
async def test_a_failed_limit_test_is_refused_or_ignored_as_the_station_says() -> None:
    for bits, word in ((16 + 32, "LIM1"), (16 + 64, "LIM2")):
        answer = f"+1.040564E-06A,+2.236299E+02,{bits:+.6E}\n".encode()
        with pytest.raises(Refused, match="a limit test has failed"):
            await one_reading(answer)
        assert await one_reading(answer, on_limit="ignore") == 1.040564e-06, word
    assert await one_reading(b"+1.040564E-06A,+2.236299E+02,+1.600000E+01\n") == 1.040564e-06


@in_virtual_time
async def test_zero_check_at_the_panel_is_no_dark_beam() -> None:
    device, _, simulator = await connected()
    simulator.zero_check = True
    with pytest.raises(Refused, match="status 1536: zero check is on: its input is shorted"):
        await device.read()
    simulator.zero_check = simulator.zero_correct = False
    with pytest.raises(Refused, match="zero correct is off, status 0: is somebody at its panel"):
        await device.read()
    assert device.state == "connected"


@pytest.mark.parametrize("answer", [
    b"+1.040564E-06A\n", b"+1.040564E-06,+2.236299E+02,+0.000000E+00\n", b"1.040564E-06A,+2.236299E+02,+0.000000E+00\n",
    b"+1.04056E-06A,+2.236299E+02,+0.000000E+00\n", b"+1.040564E-0A,+2.236299E+02,+0.000000E+00\n",
    b"+1.040564E-06A,+2.236299E+02,+1.500000E+00\n", b"+1.040564E-06A,-2.236299E+02,+0.000000E+00\n",
    b"+1.040564E-06A,+2.236299E+02,+7.000000E+05\n", b"+1.040564E-06OHMS,+2.236299E+02,+0.000000E+00\n",
    b"+1.040564E+00A,+2.236299E+02,+0.000000E+00\n", b"nanA,+2.236299E+02,+0.000000E+00\n", b"1\n", b'0,"No error"\n',
    b"+1.040564E-06A,+2.236299E+02,+0.000000E+00,+1.040564E-06A,+2.236300E+02,+0.000000E+00\n", IDENTITY,
    b"+1.040564E-06A,+2.236299E+02,+0.000000E+00,+5.000000E+00\n",
])  # fmt: skip
@in_virtual_time
async def test_an_answer_out_of_grammar_is_asked_once_more_and_then_is_an_error(answer: bytes) -> None:
    with pytest.raises(GarbledReply, match=r"^flux: "):
        await one_reading(answer, times=2)


@given(st.floats(-2e-2, 2e-2), st.floats(0.0, 9e4), st.integers(0, 0xFFFF), st.booleans())
@hypothesis_settings(max_examples=60, deadline=None)
def test_every_reading_that_the_manual_allows_is_read_to_its_last_digit(
    ampere: float, seconds: float, bits: int, blank: bool
) -> None:
    ampere, seconds = round(ampere, 16), round(seconds, 5)
    bits &= ~(1 + 4 + 8 + 96 + 128 + 512)
    comma = ", " if blank else ","
    text = comma.join((f"{ampere:+.6E}A", f"{seconds:+.6E}", f"{bits:+.6E}"))
    run_virtual(lambda: _is(text, float(f"{ampere:.6E}")))


async def _is(text: str, expected: float) -> None:
    assert await one_reading(text.encode() + b"\r\n") == expected


@given(st.data())
@hypothesis_settings(max_examples=100, deadline=None)
def test_a_reading_that_lost_or_gained_a_byte_is_never_another_number(data: st.DataObject) -> None:
    true = "+1.040564E-06A,+2.236299E+02,+1.024000E+03"
    at = data.draw(st.integers(0, len(true) - 1))
    kept = true[:at] + data.draw(st.sampled_from(["", "0", ",", "E", "-", ".", "A", ";"])) + true[at + 1 :]
    extra = true[:at] + data.draw(st.sampled_from("0E-+.,A; ")) + true[at:]

    async def tried(text: str) -> None:
        device, _ = device_on(Keithley6487, "flux", Always(text.encode() + b"\n"), station())
        await device.link.open()
        with pytest.raises((GarbledReply, Refused)):
            await device.read()

    for text in (kept, extra):
        if len(text.replace(" ", "")) != len(true):
            run_virtual(lambda text=text: tried(text))


@in_virtual_time
async def test_the_same_answer_twice_is_a_stuck_instrument() -> None:
    answer = b"+1.040564E-06A,+2.236299E+02,+0.000000E+00\n"
    with transcript([(b"READ?\r\n", answer)] * 3) as peer:
        device, _ = device_on(Keithley6487, "flux", peer, station(zero_correct=False))
        await device.link.open()
        assert (await device.read()).value == 1.040564e-06
        with pytest.raises(GarbledReply, match="once more, time stamp and all"):
            await device.read()


@in_virtual_time
async def test_photons_a_second_are_the_current_above_the_dark_one() -> None:
    device, _, _ = await connected(Beam(1.001e-6), ampere_per_photon=1e-16, dark_a=1e-9)
    current, flux, status = await device.readings()
    assert (current.name, current.value, current.unit) == ("flux_a", 1.001e-6, "A")
    assert (flux.name, flux.value, flux.unit) == ("flux_ph_per_s", pytest.approx(1e10), "photons/s")
    assert (status.name, status.value) == ("flux_status", 1024.0)
    plain, _, _ = await connected()
    assert [reading.name for reading in await plain.readings()] == ["flux_a", "flux_status"]


@in_virtual_time
async def test_a_search_for_the_range_is_waited_for_and_a_fixed_range_needs_none() -> None:
    loop = asyncio.get_running_loop()
    device, _, simulator = await connected(Beam(1e-3), box={"range_s": 0.9})
    simulator.range_a = 2e-6
    began_s = loop.time()
    assert (await device.read()).value == 1e-3  # three ranges up: 2.7 s, beyond the 2 s for any answer
    assert 2.0 < loop.time() - began_s < 4.0
    impatient, _, simulator = await connected(Beam(1e-3), box={"range_s": 0.9}, autorange_s=0.0)
    simulator.range_a = 2e-6
    with pytest.raises(LinkLost, match=r"no answer to 'READ\?' within 2\.12 s"):
        await impatient.read()
    fixed, _, _ = await connected(Beam(1e-3), range_a=1e-6)
    with pytest.raises(Refused, match="overflow"):
        await fixed.read()


@in_virtual_time
async def test_a_long_integration_is_waited_for() -> None:
    loop = asyncio.get_running_loop()
    device, _, _ = await connected(Beam(1e-6, 1e-12), nplc=50.0, average=4)
    began_s = loop.time()
    await device.read()
    assert loop.time() - began_s == pytest.approx(24.3)  # once more after three ranges up
    assert device.facts["gate_s"] == 4.0


# --- stopping, and the voltage source


@in_virtual_time
async def test_a_stop_ends_a_reading_of_five_minutes_at_once() -> None:
    for link in (SERIAL, TCP, GPIB):
        box = {"bus": link == GPIB}
        device, wire, _ = await connected(link=link, box=box, nplc=50.0, average=100, range_a=2e-6)
        loop = asyncio.get_running_loop()
        reading = asyncio.ensure_future(device._read())  # the hook alone: `read` would begin anew
        await asyncio.sleep(10.0)
        wire.forget()
        began_s = loop.time()
        await device.stop()
        assert loop.time() - began_s < 0.5
        assert wire.sent[0] == (b"ABOR\r\n" if link == GPIB else b"\x18")
        with pytest.raises(Preempted):
            await reading


@in_virtual_time
async def test_the_source_is_biased_last_and_off_with_nothing_asked_first() -> None:
    device, wire, simulator = await connected(bias_v=9.0, bias_limit_a=250e-6)
    assert (simulator.source_on, simulator.volts, simulator.source_limit_a) == (True, 9.0, 250e-6)
    assert (await device.read()).value == 1.04e-6
    wire.forget()
    await device.make_safe()
    assert wire.sent == [b"SOUR:VOLT:STAT OFF\r\n", b"SOUR:VOLT:STAT?\r\n"]
    assert not simulator.source_on
    assert (await device.read()).value == 1.04e-6, "without a bias it still measures"
    await device.reconnect()
    assert not simulator.source_on, "a link that comes back does not switch on what was made safe"
    assert (await device.read()).value == 1.04e-6
    await device.close()
    await device.connect()
    assert simulator.source_on


@in_virtual_time
async def test_on_a_serial_line_the_safe_state_is_one_message_and_waits_for_no_reading() -> None:
    device, wire, simulator = await connected(link=TCP, bias_v=9.0, nplc=50.0, average=100)
    reading = asyncio.ensure_future(device._read())
    await asyncio.sleep(5.0)
    wire.forget()
    await device.make_safe()
    assert wire.sent[0] == b"\x18SOUR:VOLT:STAT OFF\r\n"
    assert not simulator.source_on
    with pytest.raises(Preempted):
        await reading


@in_virtual_time
async def test_the_source_is_off_even_where_no_answer_comes_back() -> None:
    silent = False
    simulator = PicoammeterSimulator(Beam(), clock(), options=QUIET)
    line = Late(simulator, lambda: None if silent else 0.0)
    device, _ = device_on(Keithley6487, "flux", line, station(SERIAL, bias_v=9.0), transport=SerialLike)
    await device.connect()
    silent = True
    with pytest.raises(LinkLost):
        await device.make_safe()
    assert not simulator.source_on


@in_virtual_time
async def test_a_source_at_its_limit_or_moved_at_the_panel_is_told() -> None:
    device, _, simulator = await connected(bias_v=9.0)
    simulator.volts = 4.0
    with pytest.raises(Refused, match="stands at 4 V, where 9 V was set"):
        await device.read()
    simulator.source_limited = True
    with pytest.raises(Refused, match=r"at its limit of 2\.5e-05 A"):
        await device.read()
    answer = b"+1.040564E-06A,+2.236299E+02,+0.000000E+00,"
    with pytest.raises(GarbledReply, match="its last part is no voltage"):
        await one_reading(answer + b"+0.00\n", times=2, bias_v=9.0)
    for form in (b"+000.0000\n", b"+0.000000E+00\n"):  # not switched on yet: 0 V is what it must be
        assert await one_reading(answer + form, bias_v=9.0) == 1.040564e-06


@in_virtual_time
async def test_a_source_that_stays_on_is_not_called_safe() -> None:
    device, _, simulator = await connected(bias_v=9.0)
    simulator.switch_source = lambda state: None  # type: ignore[method-assign]
    with pytest.raises(Refused, match="says that it is on"):
        await device.make_safe()


# --- lines: terminators, echoes, late answers


@pytest.mark.parametrize("box", [
    {"terminator": "\r"}, {"terminator": "\r\n"}, {"echo": True, "terminator": "\r\n"}, {"says_dcl": True},
    {"says_dcl": True, "echo": True},
])  # fmt: skip
@pytest.mark.parametrize("sent", ["\r", "\n", "\r\n"])
@in_virtual_time
async def test_terminators_echoes_and_dcl_make_no_difference(box: dict[str, Any], sent: str) -> None:
    for link in (TCP, SERIAL):
        simulator = PicoammeterSimulator(Beam(), clock(), options={**QUIET, **box})
        transport = {"transport": SerialLike} if link == SERIAL else {}
        device, _ = device_on(Keithley6487, "flux", simulator, station(link, terminator=sent), **transport)
        await device.connect()
        assert (await device.read()).value == 1.04e-6
        await device.stop()
        await device.make_safe()
        assert (await device.read()).value == 1.04e-6


@pytest.mark.parametrize("answer", [b"%b;1\n", b"%b; 1;\n", b"%b;1; \r\n"])
@in_virtual_time
async def test_the_beat_is_found_with_or_without_a_semicolon_at_the_end(answer: bytes) -> None:
    ours, late = answer % IDENTITY.strip(), b"+1.040564E-06A,+2.236299E+02,+1.024000E+03\n"
    exchanges = [(b"\x18", None), (b"\r\n", None), (b"*IDN?;*OPC?\r\n", late + ours), (b"*IDN?\r\n", IDENTITY)]
    with transcript(exchanges) as peer:
        device, _ = device_on(Keithley6487, "flux", peer, station(TCP))
        await device.link.open()
        assert "6487" in await device.identify()


class SerialServer:
    """A box between TCP and a serial line: connections come and go, the line and what is on it stay."""

    def __init__(self, peer: Any) -> None:
        self.send: Callable[[bytes], None] = lambda data: None
        self.session = peer.accept(lambda data: self.send(data))

    def accept(self, send: Callable[[bytes], None]) -> Any:
        self.send = send
        return self

    def receive(self, data: bytes) -> None:
        self.session.receive(data)

    def closed(self) -> None:
        self.send = lambda data: None


@pytest.mark.parametrize("kind", ["serial", "server"])
@pytest.mark.parametrize("seed", range(40))
@in_virtual_time
async def test_a_late_answer_is_never_taken_for_the_next_ones(seed: int, kind: str) -> None:
    chance = Chance(seed).stream("late answers")
    started = False

    def delay_s() -> float | None:
        luck = chance.random() if started else 1.0
        return None if luck < 0.03 else float(chance.uniform(0, 5)) if luck < 0.2 else float(chance.uniform(0, 0.1))

    beam = Beam(1e-7, 1e-9)  # a current for every moment
    simulator = PicoammeterSimulator(beam, clock(), options=QUIET)
    late = Late(simulator, delay_s)
    peer, transport = (late, {"transport": SerialLike}) if kind == "serial" else (SerialServer(late), {})
    link = SERIAL if kind == "serial" else TCP
    device, _ = device_on(Keithley6487, "flux", peer, station(link, range_a=2e-6), **transport)
    await device.connect()
    started, checked = True, 0
    for _ in range(25):
        asked_s = device.clock.now_s()
        poll = asyncio.ensure_future(device.read())
        if chance.random() < 0.3:
            await asyncio.sleep(float(chance.uniform(0, 0.2)))
            poll.cancel()
        (answer,) = await asyncio.gather(poll, return_exceptions=True)
        if not isinstance(answer, BaseException):
            now_s = device.clock.now_s()
            assert beam.ampere + 1e-9 * asked_s - 1e-12 <= answer.value <= beam.ampere + 1e-9 * now_s + 1e-12
            checked += 1
        else:
            assert isinstance(answer, (LinkLost, GarbledReply, asyncio.CancelledError))
    assert checked >= 4


@in_virtual_time
async def test_a_box_that_was_switched_off_and_on_behind_a_server_is_not_believed_until_it_is_prepared_again() -> None:
    device, _, simulator = await connected(link=TCP)
    simulator.power_cycle()
    with pytest.raises(Refused, match="zero check is on"):
        await device.read()
    await device.reconnect()
    assert (await device.read()).value == 1.04e-6


# --- real wires


async def used(device: Any) -> None:
    await device.connect()
    assert (await device.read()).value == 1.04e-6
    await device.stop()
    await device.make_safe()
    assert (await device.read()).value == 1.04e-6
    await device.close()


def real(link: str) -> Any:
    told = Settings(parse_link(link), options={"range_a": 2e-6, "nplc": 0.1}, where="station.toml:12")
    return Keithley6487("flux", told, RealWires(), clock())


async def test_over_a_socket_it_is_used_and_comes_back_with_a_right_value() -> None:
    beam = Beam()
    simulator = PicoammeterSimulator(beam, clock(), options=QUIET)
    server, address = await serve_tcp(simulator)
    await used(real(f"tcp://{address}"))
    device = real(f"tcp://{address}")
    await device.connect()
    server.close()
    device.link.close()
    with pytest.raises(LinkLost):
        await device.read()
    beam.ampere = 1.5e-6
    server, _ = await serve_tcp(simulator, int(address.rpartition(":")[2]))
    await device.reconnect()
    assert (await device.read()).value == 1.5e-6
    await device.close()
    server.close()
    await asyncio.sleep(0.02)


async def test_over_a_pseudo_terminal_by_pyserial() -> None:
    pty = ServedPty(PicoammeterSimulator(Beam(), clock(), options={**QUIET, "terminator": "\r", "echo": True}))
    try:
        await used(real(f"serial://{pty.path}?baud=57600"))
    finally:
        pty.close()


async def test_by_visa_over_a_socket_and_a_serial_line() -> None:
    """pyvisa-py in its own process, as a station without a VISA library has it."""
    simulator = PicoammeterSimulator(Beam(), clock(), options=QUIET)
    server, address = await serve_tcp(simulator)
    host, _, port = address.rpartition(":")
    pty = ServedPty(PicoammeterSimulator(Beam(), clock(), options=QUIET))
    try:
        await used(real(f"visa://TCPIP0::{host}::{port}::SOCKET"))
        await used(real(f"visa://ASRL{pty.path}::INSTR"))
    finally:
        server.close()
        pty.close()
        await asyncio.sleep(0.02)


# --- with the twin


def world() -> World:
    table = tomllib.loads((STATIONS / "simulated-dac.toml").read_text())
    poni = (STATIONS / "simulated-dac.poni").read_text()
    shape = tuple(table["devices"]["detector"]["shape"])
    return world_from_station(table["twin"], table["beam"], shape, poni, table["load_curve"], 4, None)


@in_virtual_time
async def test_it_sees_the_twins_beam_come_and_go() -> None:
    twin = world()
    simulator = PicoammeterSimulator(getattr(twin, PicoammeterSimulator.stands_at), clock())
    per_photon = coulomb_per_photon(12.398419843 / twin.lattices[0].wavelength_angstrom)
    device, _ = device_on(Keithley6487, "flux", simulator, station(SERIAL, ampere_per_photon=per_photon))
    await device.connect()
    _, dark, _ = await device.readings()
    twin.enclosure.request_shutter(device.clock.now_s(), True)
    await asyncio.sleep(1.0)
    _, bright, _ = await device.readings()
    assert abs(dark.value) < 1e6
    hidden = twin.hidden
    expected = 2e9 * hidden.beam.flux_relative * (1.0 + hidden.monitor.responsivity_relative)
    assert bright.value == pytest.approx(expected, rel=1.1 * hidden.beam.ripple + 1e-3)


# --- the simulator, from the notes


async def conversation(box: PicoammeterSimulator, *messages: bytes) -> list[bytes]:
    """As `say`, with half a minute after each message for what takes its time."""
    answers: list[bytes] = []
    session = box.accept(answers.append)
    found = []
    for message in messages:
        answers.clear()
        session.receive(message)
        await asyncio.sleep(30.0)
        found.append(b"".join(answers))
    return found


@in_virtual_time
async def test_the_simulator_gives_the_manuals_own_reading() -> None:
    left = {**QUIET, "zero_check": False, "range_a": 2e-6, "null_a": 1e-9, "average": 2, "nplc": 1.0,
            "overvoltage": True, "elements": "READ,UNIT,TIME,STAT"}  # fmt: skip
    box = PicoammeterSimulator(Beam(1.041564e-6), clock(), options=left)
    await asyncio.sleep(223.6299 - 0.12)
    assert await conversation(box, b"READ?\r\n") == [b"+1.040564E-06A,+2.236299E+02,+1.380000E+02\n"]


@in_virtual_time
async def test_the_simulator_answers_as_the_notes_say() -> None:
    box = PicoammeterSimulator(Beam(), clock(), options={**QUIET, "range_a": 2e-9, "elements": "READ,STAT"})
    talk: dict[bytes, bytes] = {
        b"*IDN?\n": IDENTITY,
        b"NONSENSE?\n": b"",
        b"SYST:ERR?\n": b'-113,"Undefined header"\n',
        b":SYSTEM:ERROR?\r": b'0,"No error"\n',
        b"FETC?\n": b"",
        b"syst:err?\r\n": b'-230,"Data corrupt or stale"\n',
        b"READ?\n": b"+0.000000E+00,+5.120000E+02\n",  # zero check is on: no current, and bit 9
        b"SYST:ZCH OFF; ZCH?\n": b"0\n",  # the second command goes on where the first one stood
        b"READ?\n ": b"+9.900000E+37,+1.000000E+00\n",  # 1.04 uA on the 2 nA range
        b"CURR:RANG 1E-6;:CURR:RANG?\n": b"2.000000E-06\n",
        b"FORM:ELEM ALL;:READ?\n": b"+1.040000E-06A,+3.003600E+02,+0.000000E+00,+0.000000E+00\n",
        b"CURR:NPLC 500\n": b"",
        b"SYST:ERR?;*OPC?\n": b'-222,"Parameter data out of range";1\n',
        b"SYST:ZCOR:ACQ;:SYST:ERR?\n": b'-221,"Settings conflict"\n',
        b"SOUR:VOLT 9;:SOUR:VOLT:STAT ON;:SOUR:VOLT:STAT?\n": b"1\n",
        b"SYST:CLE;:CURR:NPLC;:SYST:ERR?\n": b'-109,"Missing parameter"\n',
    }
    assert dict(zip(talk, await conversation(box, *talk), strict=True)) == talk


@in_virtual_time
async def test_the_simulator_is_made_with_the_drivers_own_options_too() -> None:
    both = {"range_a": "auto", "nplc": 0.5, "average": 2, "line_hz": 60.0, "terminator": "\r", "bias_v": 5.0}
    device, _, _ = await connected(box=both, **both)
    assert (await device.read()).value == 1.04e-6


@in_virtual_time
async def test_the_simulators_autorange_goes_up_at_105_percent_and_down_at_the_lower_value() -> None:
    beam = Beam(2.09e-6)
    box = PicoammeterSimulator(beam, clock(), options={**QUIET, "zero_check": False, "auto": True, "range_a": 2e-6})
    ranges = []
    for ampere in (2.09e-6, 2.11e-6, 2.05e-6, 1.99e-6, 1e-9):
        beam.ampere = ampere
        await conversation(box, b"READ?\n")
        ranges.append(box.range_a)
    assert ranges == pytest.approx([2e-6, 2e-5, 2e-5, 2e-6, 2e-9])


@pytest.mark.parametrize("clear", [b"\x03", b"\x18"])
@in_virtual_time
async def test_the_simulators_device_clear_discards_the_reading_and_what_stood_behind_it(clear: bytes) -> None:
    box = PicoammeterSimulator(Beam(), clock(), options={"nplc": 50.0})
    assert say(box, b"READ?\n*IDN?\n*OP", clear + b"*OPC?\n") == [b"", b"1\n"]
    await asyncio.sleep(60.0)
    told = PicoammeterSimulator(Beam(), clock(), options={"says_dcl": True, "echo": True})
    assert say(told, clear, b"*OPC?\n") == [b"DCL\n", b"\n1\n"]


@in_virtual_time
async def test_the_simulator_is_one_instrument_however_many_speak_to_it() -> None:
    box = PicoammeterSimulator(
        Beam(), clock(), options={**QUIET, "zero_check": False, "nplc": 50.0, "elements": "TIME"}
    )
    heard: list[tuple[str, bytes]] = []
    one, other = (box.accept(lambda data, name=name: heard.append((name, data))) for name in ("one", "other"))
    one.receive(b"READ?\n")
    other.receive(b"READ?\n*IDN?\n")
    await asyncio.sleep(10.0)
    assert heard == [("one", b"+3.000000E+00\n"), ("other", b"+6.000000E+00\n"), ("other", IDENTITY)]
    one.receive(b"READ?\n")
    one.closed()
    other.receive(b"\x18*OPC?\n")  # ends what a client began that has gone
    assert heard[3:] == [("other", b"1\n")]


@in_virtual_time
async def test_the_simulator_measures_one_thing_after_another_and_noise_grows_with_the_range() -> None:
    box = PicoammeterSimulator(Beam(0.0), clock(), options={"nplc": 1.0, "range_a": 2e-9, "trigger_count": 3})
    (three,) = await conversation(box, b"SYST:ZCH OFF;:READ?\n")
    values = [float(text) for text in three.decode().split(",")]
    assert len(set(values)) == 3
    assert all(abs(value - 4e-13) < 1e-13 for value in values)
    (rough,) = await conversation(box, b"CURR:RANG 2E-2;:READ?\n")
    assert max(abs(float(text) - 4e-13) for text in rough.decode().split(",")) > 1e-9
