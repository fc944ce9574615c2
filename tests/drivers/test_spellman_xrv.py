"""The irradiation tube's generator: frames, four families, and a high voltage that is off unless all is well."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as laws
from hypothesis import strategies as st

from devices.transcripts import say, transcript
from drivers.bench import Late, SerialLike, Wire, clock, device_on, in_virtual_time
from drivers.tube import Tube
from rocksalt.config.links import parse_link
from rocksalt.devices import (
    DeviceError,
    GarbledReply,
    Limits,
    LinkLost,
    NotReached,
    OutOfLimits,
    Refused,
    Settings,
    Stopped,
    WrongInstrument,
)
from rocksalt.devices.links import RealWires
from rocksalt.time import Chance, ExperimentClock, run_virtual
from rocksalt.twin.wire.hosting import ServedPty, serve_tcp
from rocksalt.twin.world import world_from_station
from rocksalt_drivers.spellman_xrv.driver import SpellmanXrv
from rocksalt_drivers.spellman_xrv.framing import BadFrame, checksum, packed, unpacked
from rocksalt_drivers.spellman_xrv.simulator import SpellmanSimulator

TCP, SERIAL = "tcp://127.0.0.1:50001", "serial:///dev/ttyS0"
SCALE = {"full_scale_kv": 160.0, "full_scale_ma": 30.0}
FAMILIES = ("xrv", "ux", "xrb", "sl")
VECTORS = {"28,": "j", "22,": "p", "10,1024,": "@", "98,1,": "F", "98,0,": "G", "10,$,": "c", "28,160,30,0,": "|",
           "60,4095,": "p"}  # fmt: skip
"""Text and check byte, from the notes, section f."""


def station(link: str = TCP, *, lower: float = 20.0, ramp: float | None = 2.0, **options: Any) -> Settings:
    if options.get("model", "xrv") in ("xrb", "sl"):
        options = {**SCALE, **options}
    if options.get("model") in ("ux", "xrb"):
        options = {"identity": options["model"].upper(), **options}
    limits = Limits(lower, 100.0, "user limit, station.toml:14")
    return Settings(parse_link(link), limits, ramp, options={"ma": 10.0, **options}, where="station.toml:12")


def tube_and_wire(tube: Tube | None = None, settings: Settings | None = None, **played: Any) -> tuple[Any, Wire, Any]:
    settings = settings or station()
    options = {"model": settings.options.get("model", "xrv"), **played}
    simulator = SpellmanSimulator(tube or Tube(), clock(), options=options)
    device, wire = device_on(SpellmanXrv, "tube", simulator, settings)
    return device, wire, simulator


async def connected(tube: Tube | None = None, settings: Settings | None = None, **played: Any) -> tuple[Any, Wire, Any]:
    device, wire, simulator = tube_and_wire(tube, settings, **played)
    await device.connect()
    wire.forget()
    return device, wire, simulator


def plain(text: str) -> bytes:
    """A frame as TCP has it."""
    return b"\x02" + text.encode() + b"\x03"


def flags(count: int, *set_: int) -> str:
    return "".join(f"{int(at in set_)}," for at in range(count))


READY, LIVE, WARNING = (flags(17, *bits) for bits in ((1, 2, 15, 16), (0, 1, 2, 15, 16), (1, 2, 8, 15, 16)))


# --- frames


@pytest.mark.parametrize(("text", "check"), VECTORS.items())
def test_the_check_byte_is_the_manuals(text: str, check: str) -> None:
    assert chr(checksum(text.encode())) == check
    inside = text.encode() + check.encode()
    fields = tuple(text[:-1].split(","))
    assert packed(fields, checked=True) == b"\x02" + inside + b"\x03"
    assert packed(fields, checked=False) == plain(text)
    assert unpacked(inside, checked=True) == unpacked(text.encode(), checked=False) == fields


FIELDS = st.lists(st.text(st.sampled_from("0123456789.$ABCXRV- "), max_size=6), min_size=1, max_size=30)


@laws(deadline=None)
@given(FIELDS, st.booleans())
def test_what_is_packed_is_unpacked_and_no_frame_holds_another_ones_ends(fields: Sequence[str], checked: bool) -> None:
    frame = packed(tuple(fields), checked=checked)
    assert frame.count(b"\x02") == frame.count(b"\x03") == 1
    assert unpacked(frame[1:-1], checked=checked) == tuple(fields)


@laws(deadline=None)
@given(FIELDS, st.data())
def test_a_bit_that_flipped_on_a_serial_line_is_seen(fields: Sequence[str], data: st.DataObject) -> None:
    """All but bit 6, to which the check is blind: it makes letters of digits, which the grammar refuses."""
    inside = bytearray(packed(tuple(fields), checked=True)[1:-1])
    at = data.draw(st.integers(0, len(inside) - 1))
    inside[at] ^= 1 << data.draw(st.integers(0, 5))
    with pytest.raises(BadFrame):
        unpacked(bytes(inside), checked=True)


@laws(deadline=None)
@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_are_a_frame_or_a_bad_frame(inside: bytes, checked: bool) -> None:
    try:
        fields = unpacked(inside, checked=checked)
    except BadFrame:
        return
    assert packed(fields, checked=checked)[1:-1] == inside


# --- whole conversations, from the notes


@in_virtual_time
async def test_a_whole_conversation_byte_for_byte_on_tcp() -> None:
    exchanges = [
        (plain("26,"), plain("26,XRV160N3000,")),
        (plain("22,"), plain(f"22,{READY}")),
        (plain("28,"), plain("28,160,30,0,")),
        (plain("22,"), plain(f"22,{READY}")),
        (plain("10,0,"), plain("10,$,")),
        (plain("11,0,"), plain("11,$,")),
        (plain("22,"), plain(f"22,{READY}")),
        (plain("11,1365,"), plain("11,$,")),
        (plain("15,"), plain("15,1365,")),
        (plain("10,511,"), plain("10,$,")),
        (plain("14,"), plain("14,511,")),
        (plain("98,1,"), plain("98,$,")),
        (plain("22,"), plain(f"22,{WARNING}")),
        (plain("19,"), plain("19,0,0,1000,0,0,0,0,0,")),
        (plain("22,"), plain(f"22,{LIVE}")),
        (plain("19,"), plain("19,426,1138,2000,0,0,0,0,1138,")),
        (plain("19,"), plain("19,426,1138,2000,0,0,0,0,1138,")),
        (plain("22,"), plain(f"22,{LIVE}")),
        (plain("19,"), plain("19,426,1138,2000,0,0,0,0,1138,")),
        # 426 counts are 19.97 kV; half a second at 2 kV/s further 20.97 kV, which is 536.8 counts: rounded down
        (plain("10,536,"), plain("10,$,")),
        (plain("22,"), plain(f"22,{LIVE}")),
        (plain("19,"), plain("19,426,1138,2000,0,0,0,0,1138,")),
        (plain("10,562,"), plain("10,$,")),
        (plain("22,"), plain(f"22,{LIVE}")),
        (plain("19,"), plain("19,426,1138,2000,0,0,0,0,1138,")),
        (plain("10,563,"), plain("10,$,")),
        (plain("14,"), plain("14,563,")),
        (plain("22,"), plain(f"22,{LIVE}")),
        (plain("19,"), plain("19,469,1138,2000,0,0,0,0,1138,")),
        (plain("19,"), plain("19,469,1138,2000,0,0,0,0,1138,")),
        (plain("98,0,"), plain("98,$,")),
        (plain("22,"), plain(f"22,{READY}")),
    ]
    with transcript(exchanges) as peer:
        device, _ = device_on(SpellmanXrv, "tube", peer, station())
        await device.connect()
        assert device.identified == "spellman xrv XRV160N3000"
        assert device.facts["full_scale_kv"] == 160.0
        await device.hv(True)
        await device.set(22.0)
        await device.make_safe()


@in_virtual_time
async def test_a_whole_conversation_byte_for_byte_on_a_serial_line_has_check_bytes() -> None:
    status = f"22,{READY}"
    exchanges = [
        (b"\x0228,j\x03", b"\x0228,160,30,0,|\x03"),
        (b"\x0222,p\x03", b"\x02" + status.encode() + bytes([checksum(status.encode())]) + b"\x03"),
        (b"\x0210,0,W\x03", b"\x0210,$,c\x03"),
        (b"\x0211,0,V\x03", b"\x0211,$,b\x03"),
        (b"\x0298,0,G\x03", b"\x0298,$,S\x03"),
        (b"\x0222,p\x03", b"\x02" + status.encode() + bytes([checksum(status.encode())]) + b"\x03"),
    ]
    with transcript(exchanges) as peer:
        device, _ = device_on(SpellmanXrv, "tube", peer, station(SERIAL))
        await device.link.open()
        await device._prepare()
        await device.stop()


@pytest.mark.parametrize(
    ("model", "polls", "on", "off"),
    [
        ("xrv", [("19,", "19,853,1138,0,0,0,0,0,1138,")], "98,1,", "98,0,"),
        ("ux", [("20,", "20,1300,2400,853,1138,5,5,1300,")], "99,1,", "99,0,"),
        ("xrb", [("27,", "27,$,"), ("60,", "60,853,"), ("61,", "61,1138,")], "98,1,", "98,0,"),
        ("sl", [("20,", "20,853,1138,")], "99,", "98,"),
    ],
)
@in_virtual_time
async def test_the_same_numbers_mean_other_things_to_other_families(
    model: str, polls: list[tuple[str, str]], on: str, off: str
) -> None:
    statuses = {
        "xrv": [("22,", f"22,{READY}")],
        "ux": [("22,", "22,0,1,0,")],
        "xrb": [("22,", "22,0,1,0,")],
        "sl": [("22,", "22,0,"), ("32,", f"32,{flags(11, 0, 10)}")],
    }[model]
    scale = [("28,", "28,160,30,0,")] if model in ("xrv", "ux") else []
    watchdog = [("28,5,", "28,$,")] if model == "xrb" else []
    zeros = [("10,0,", "10,$,"), ("11,0,", "11,$,")]
    setting = [("11,1365,", "11,$,"), ("15,", "15,1365,"), ("10,511,", "10,$,"), ("14,", "14,511,")]
    number = off.partition(",")[0]
    said = [*scale, *statuses, *watchdog, *zeros, *polls, *statuses, *setting, (on, on.partition(",")[0] + ",$,"),
            (off, f"{number},$,"), *statuses]  # fmt: skip
    with transcript([(plain(sent), plain(answer)) for sent, answer in said]) as peer:
        device, _ = device_on(SpellmanXrv, "tube", peer, station(model=model))
        await device.link.open()
        await device._prepare()
        assert (await device.read()).value == pytest.approx(40.0, abs=0.02)
        assert device._ma_now == pytest.approx(10.0, abs=0.01)
        assert await device._command_on(20.0)
        await device.make_safe()


@pytest.mark.parametrize("model", FAMILIES)
@in_virtual_time
async def test_each_family_comes_on_moves_and_goes_off_with_its_simulator(model: str) -> None:
    tube = Tube()
    device, _, _ = await connected(tube, station(model=model))
    heart = asyncio.ensure_future(polled(device))
    await device.hv(True)
    await device.set(60.0)
    assert tube.kv(device.clock.now_s()) == pytest.approx(60.0, abs=0.5)
    assert {reading.name: round(reading.value) for reading in await device.readings()} == {
        "tube_kv": 60, "tube_ma": 10, "tube.hv": 1, "tube.interlock": 1, "tube.fault": 0
    }  # fmt: skip
    await device.hv(False)
    assert not tube.is_on(device.clock.now_s())
    heart.cancel()


async def polled(device: Any, every_s: float = 2.0) -> None:
    """What the daemon does: it reads."""
    while True:
        await asyncio.sleep(every_s)
        await device.readings()


# --- high voltage


@in_virtual_time
async def test_high_voltage_comes_up_at_the_lower_limit_after_the_warning_with_the_current_of_the_station() -> None:
    tube = Tube()
    device, _, _ = await connected(tube)
    began_s = device.clock.now_s()
    await device.hv(True)
    assert device.clock.now_s() - began_s > tube.rating.warning_s
    assert tube.kv(device.clock.now_s()) == pytest.approx(20.0, abs=0.5)
    assert tube.ma(device.clock.now_s()) == pytest.approx(10.0, abs=0.6)
    await device.hv(True)  # it is on: nothing changes
    assert tube.is_on(device.clock.now_s())


@in_virtual_time
async def test_a_move_without_high_voltage_is_refused_and_nothing_is_set() -> None:
    tube = Tube()
    device, _, _ = await connected(tube)
    with pytest.raises(Refused, match=r"^tube: high voltage is off: it comes on by hv\(True\) and nothing else$"):
        await device.set(40.0)
    assert tube.setpoints(0.0) == (0.0, 0.0)


@in_virtual_time
async def test_the_ramp_of_the_station_is_never_passed_and_no_set_point_beyond_the_target_is_sent() -> None:
    tube = Tube()
    device, _, _ = await connected(tube)
    await device.hv(True)
    seen: list[tuple[float, float]] = []
    move = asyncio.ensure_future(device.set(40.0))
    while not move.done():
        now_s = device.clock.now_s()
        seen.append((now_s, tube.kv(now_s)))
        assert tube.setpoints(now_s)[0] <= 40.0
        await asyncio.sleep(0.25)
    await move
    start_s, start_kv = seen[0]
    assert all(kv <= start_kv + 2.0 * (at_s - start_s) + 1.1 for at_s, kv in seen)
    assert 9.0 <= seen[-1][0] - start_s <= 12.0


@in_virtual_time
async def test_a_set_point_does_not_run_away_from_a_voltage_that_does_not_follow() -> None:
    tube = Tube()
    device, wire, _ = await connected(tube)
    await device.hv(True)
    device.margin_s = 5.0
    wire.forget()
    tube.generator.set = lambda *anything, **named: None  # type: ignore[method-assign]
    with pytest.raises(NotReached, match=r"20\.0 kV on the way to 90 kV: it does not follow"):
        await device.set(90.0)
    highest = max(int(message[4:-2]) for message in wire.sent if message.startswith(b"\x0210,"))
    assert 20.0 < highest * 160 / 4095 <= 20.0 + 2.0 * 2.0 + 0.5


@in_virtual_time
async def test_a_limit_is_checked_before_the_wire_and_never_passed_by_rounding() -> None:
    device, wire, _ = await connected()
    with pytest.raises(OutOfLimits, match=r"^tube: 101 kV is above 100 kV \(user limit, station\.toml:14\)$"):
        await device.set(101.0)
    assert wire.sent == []
    assert device._to_counts(100.0) * 160 / 4095 <= 100.0 < (device._to_counts(100.0) + 1) * 160 / 4095
    assert device._to_counts(160.0) == 4095


@laws(deadline=None)
@given(st.floats(0.0, 160.0))
def test_counts_are_at_or_below_what_was_asked_and_less_than_one_below(kv: float) -> None:
    async def counts() -> int:
        device, _, _ = await connected()
        return int(device._to_counts(kv))

    found = run_virtual(counts)
    assert kv - 160 / 4095 < found * 160 / 4095 <= kv + 1e-9


@in_virtual_time
async def test_the_generators_own_scale_and_the_tubes_power_are_limits_too() -> None:
    small = Tube(rating=type(Tube().rating)(max_kv=50.0))
    device, _, _ = await connected(small)
    with pytest.raises(OutOfLimits, match=r"60 kV is above 50 kV \(the generator's own, full scale\)"):
        await device.set(60.0)
    device, _, _ = await connected(settings=station(max_w=500.0))
    with pytest.raises(OutOfLimits, match=r"60 kV is above 50 kV \(the generator's own, options\.max_w"):
        await device.set(60.0)


@pytest.mark.parametrize("bit", range(27))
@in_virtual_time
async def test_an_open_interlock_and_every_latched_fault_keep_high_voltage_off(bit: int) -> None:
    tube = Tube()
    device, wire, simulator = await connected(tube)
    simulator.latched.add(bit)
    wire.forget()
    with pytest.raises(Refused, match="high voltage stays off until the fault is cleared"):
        await device.hv(True)
    assert plain("98,1,") not in wire.sent
    await device.clear_faults()
    tube.set_interlock(device.clock.now_s(), False)
    with pytest.raises(Refused, match="an interlock is open: high voltage stays off"):
        await device.hv(True)
    assert plain("98,1,") not in wire.sent
    tube.set_interlock(device.clock.now_s(), True)
    await device.hv(True)


@in_virtual_time
async def test_a_door_that_opens_takes_the_voltage_and_closing_it_brings_nothing_back() -> None:
    tube = Tube()
    device, _, _ = await connected(tube)
    await device.hv(True)
    move = asyncio.ensure_future(device.set(80.0))
    await asyncio.sleep(5)
    tube.set_interlock(device.clock.now_s(), False)
    with pytest.raises(Refused, match="an interlock is open"):
        await move
    tube.set_interlock(device.clock.now_s(), True)
    status = await device.status()
    assert (status.live, status.interlock_closed, status.faults) == (False, True, ("fault",))
    with pytest.raises(Refused, match="until the fault is cleared"):
        await device.hv(True)
    await device.clear_faults()
    assert not tube.is_on(device.clock.now_s())
    await device.hv(True)


@in_virtual_time
async def test_an_arc_in_a_move_is_named_at_once() -> None:
    tube = Tube()
    device, _, _ = await connected(tube)
    await device.hv(True)
    move = asyncio.ensure_future(device.set(80.0))
    await asyncio.sleep(5)
    tube.trip("arc")
    tube.high_voltage(device.clock.now_s(), False)
    tripped_s = device.clock.now_s()
    with pytest.raises(Refused, match=r"^tube: arc, anode: "):
        await move
    assert device.clock.now_s() - tripped_s <= 0.5


@in_virtual_time
async def test_what_does_not_come_up_is_switched_off_again() -> None:
    tube = Tube()
    device, wire, simulator = await connected(tube)
    device.margin_s = 10.0
    simulator.obeys = False
    with pytest.raises(NotReached, match=r"0\.0 kV, 0\.00 mA after 40 s, where 20 kV, 10 mA were asked for"):
        await device.hv(True)
    assert wire.sent[-2] == plain("98,0,")
    simulator.obeys = True
    tube.shift_kv = -5.0  # a divider that broke
    with pytest.raises(NotReached, match=r"15\.0 kV"):
        await device.hv(True)
    assert not tube.is_on(device.clock.now_s())


@in_virtual_time
async def test_whoever_gives_up_waiting_for_high_voltage_leaves_it_off() -> None:
    tube = Tube()
    device, _, _ = await connected(tube)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3.0):
            await device.hv(True)
    assert not tube.is_on(device.clock.now_s())


@pytest.mark.parametrize("ask", ["stop", "make_safe"])
@in_virtual_time
async def test_a_stop_in_the_warning_or_in_a_move_takes_high_voltage_off_in_two_messages(ask: str) -> None:
    tube = Tube()
    device, wire, _ = await connected(tube)
    for wait_s in (3.0, 20.0):
        rising = asyncio.ensure_future(raised(device))
        await asyncio.sleep(wait_s)
        wire.forget()
        await getattr(device, ask)()
        with pytest.raises(Stopped):
            await rising
        assert wire.sent == [plain("98,0,"), plain("22,")]
        assert not tube.is_on(device.clock.now_s())


async def raised(device: Any) -> None:
    await device.hv(True)
    await device.set(90.0)


@pytest.mark.parametrize("transport", [None, SerialLike])
@in_virtual_time
async def test_high_voltage_is_off_at_once_though_a_question_hangs(transport: Any) -> None:
    tube, silent = Tube(on_kv=40.0), False
    simulator = SpellmanSimulator(tube, clock())
    late = Late(simulator, lambda: None if silent else 0.0)
    wire = {} if transport is None else {"transport": transport}
    device, _ = device_on(SpellmanXrv, "tube", late, station(), **wire)
    await device.connect()
    silent = True
    poll = asyncio.ensure_future(device.read())
    await asyncio.sleep(0.1)
    began_s = device.clock.now_s()
    off = asyncio.ensure_future(device.make_safe())
    await asyncio.sleep(0.01)
    assert not tube.is_on(began_s + 0.02)
    results = await asyncio.gather(off, poll, return_exceptions=True)
    assert all(isinstance(result, DeviceError) for result in results)
    silent = False
    await device.connect()
    assert (await device.read()).value == 0.0


@in_virtual_time
async def test_off_that_is_not_obeyed_is_an_alarm() -> None:
    device, _, simulator = await connected(Tube(on_kv=40.0))
    simulator.obeys = False
    with pytest.raises(Refused, match="its status says that it is on: cut its power"):
        await device.stop()


@in_virtual_time
async def test_an_off_whose_answer_was_garbled_is_said_again() -> None:
    exchanges = [
        (plain("98,0,"), b"\x0298,?,\x03"),
        (plain("98,0,"), plain("98,$,")),
        (plain("22,"), plain(f"22,{READY}")),
    ]
    with transcript(exchanges) as peer:
        device, _ = device_on(SpellmanXrv, "tube", peer, station())
        await device.link.open()
        await device.stop()


@pytest.mark.parametrize("lost", ["hv", "stop"])
@in_virtual_time
async def test_high_voltage_in_doubt_is_off_after_the_line_is_back(lost: str) -> None:
    tube, deaf = Tube(on_kv=40.0 if lost == "stop" else None), False

    class Deaf:
        """A line on which, once deaf, answers get lost (98,1) or nothing arrives (98,0)."""

        def accept(self, send: Any) -> Any:
            session = simulator.accept(lambda data: None if deaf else send(data))

            class Wire:
                def receive(self, data: bytes) -> None:
                    nonlocal deaf
                    deaf = deaf or data.startswith(b"\x0298,")
                    if data != plain("98,0,") or not deaf:
                        session.receive(data)

                closed = session.closed

            return Wire()

    simulator = SpellmanSimulator(tube, clock())
    device, _ = device_on(SpellmanXrv, "tube", Deaf(), station())
    await device.connect()
    with pytest.raises(LinkLost):
        await (device.hv(True) if lost == "hv" else device.stop())
    assert tube.is_on(device.clock.now_s())
    deaf = False
    device.link._transport._peer = simulator
    await device.reconnect()
    assert not tube.is_on(device.clock.now_s())


# --- what the panel left, who answers, what is believed


@in_virtual_time
async def test_a_panel_left_in_local_with_a_set_point_is_put_right() -> None:
    tube = Tube()
    tube.set_kv(0.0, 150.0)
    tube.set_ma(0.0, 18.0)
    device, _, simulator = await connected(tube, local=True)
    assert not simulator.local
    assert tube.setpoints(0.0) == (0.0, 0.0)
    assert not (await device.status()).live


@pytest.mark.parametrize(("kv", "ma", "stays"), [(40.0, 10.0, True), (120.0, 10.0, False), (40.0, 12.0, False)])
@in_virtual_time
async def test_high_voltage_found_on_stays_on_within_the_limits_and_goes_off_beyond(
    kv: float, ma: float, stays: bool
) -> None:
    tube = Tube(on_kv=kv, on_ma=ma)
    device, _, _ = await connected(tube)
    assert tube.is_on(device.clock.now_s()) is stays
    assert ("found" in device.facts) is not stays


@in_virtual_time
async def test_a_panel_that_keeps_control_is_refused() -> None:
    device, _, simulator = tube_and_wire(local=True)
    simulator._take_control = lambda flag: "$"
    simulator.table = simulator._tables()["xrv"]
    with pytest.raises(Refused, match="its panel has control: switch it to remote"):
        await device.connect()


@pytest.mark.parametrize("played", FAMILIES)
@pytest.mark.parametrize("expected", FAMILIES)
@in_virtual_time
async def test_another_family_is_refused_by_its_flags_or_its_name(played: str, expected: str) -> None:
    device, _, _ = tube_and_wire(settings=station(model=expected), model=played)
    if played == expected:
        await device.connect()
        assert device.identified.startswith(f"spellman {expected} ")
    else:
        with pytest.raises(WrongInstrument, match=rf"station file \(station\.toml:12\) expects the family {expected}"):
            await device.connect()


@in_virtual_time
async def test_another_name_is_refused() -> None:
    device, _, _ = tube_and_wire(settings=station(identity="XRV225"))
    with pytest.raises(WrongInstrument, match=r"'XRV160' with 17 status flags answers .* and 'XRV225' in its name"):
        await device.connect()


@pytest.mark.parametrize(
    "options",
    [
        {"model": "dxm"},
        {"ma": 0},
        {"model": "sl", "full_scale_kv": 0.0},
        {"watchdog_s": 11},
        {"model": "ux", "watchdog_s": 5},
        {"model": "ux", "identity": ""},
        {"model": "xrb", "identity": ""},
    ],
)
@in_virtual_time
async def test_options_that_make_no_sense_are_refused_when_the_station_is_read(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^tube: .*station\.toml:12"):
        tube_and_wire(settings=station(**options), model="xrv")


@pytest.mark.parametrize(
    ("options", "words"), [({"ma": 40.0}, "gives 30 mA at most"), ({"full_scale_kv": 60.0}, "is 160")]
)
@in_virtual_time
async def test_a_station_that_does_not_fit_the_generator_is_refused(options: dict[str, Any], words: str) -> None:
    device, _, _ = tube_and_wire(settings=station(**options))
    with pytest.raises(Refused, match=words):
        await device.connect()


@pytest.mark.parametrize(
    "answer",
    [
        b"20,853,1138,0,0,0,0,0,1138,",
        b"19,853,1138,0,0,0,0,1138,",
        b"19,853,1138,0,0,0,0,0,4096,",
        b"19,-853,1138,0,0,0,0,0,0,",
        b"19,85.3,1138,0,0,0,0,0,0,",
        b"19,,1138,0,0,0,0,0,0,",
        b"19,NaN,1138,0,0,0,0,0,0,",
        b"19,853,1138,0,0,0,0,0,1138",
        b"19,1,",
        b"19,$,",
        b"19,",
        b"",
        b"19,853,1138,0,\x0219,853,1138,0,0,0,0,0,0,",
        b"19,8\xff3,1138,0,0,0,0,0,0,",
        b"9" * 600,
    ],
)
@in_virtual_time
async def test_an_answer_out_of_grammar_is_asked_once_more_and_then_is_an_error(answer: bytes) -> None:
    with transcript([(plain("19,"), b"\x02" + answer + b"\x03")] * 2) as peer:
        device, _ = device_on(SpellmanXrv, "tube", peer, station())
        await device.link.open()
        with pytest.raises(GarbledReply, match=r"^tube: "):
            await device.read()


@in_virtual_time
async def test_a_serial_answer_with_a_wrong_check_byte_is_not_believed() -> None:
    for bad in (b"\x0219,853,1138,0,0,0,0,0,1138,\x03", b"\x0219,853,1138,0,0,0,0,0,1138,A\x03"):
        with transcript([(b"\x0219,j\x03", bad)] * 2) as peer:
            device, _ = device_on(SpellmanXrv, "tube", peer, station(SERIAL))
            await device.link.open()
            with pytest.raises(GarbledReply, match=r"checksum|no text"):
                await device.read()


@in_virtual_time
async def test_a_monitor_at_the_end_of_its_converter_is_no_reading() -> None:
    device, _, _ = await connected(Tube(on_kv=40.0, shift_kv=0.0))
    device, _, simulator = await connected()
    simulator.door.shift_kv = 1000.0
    with pytest.raises(Refused, match="at the end of its converter"):
        await device.read()


@in_virtual_time
async def test_an_error_number_is_named() -> None:
    with transcript([(plain("31,"), plain("31,2,"))]) as peer:
        device, _ = device_on(SpellmanXrv, "tube", peer, station())
        await device.link.open()
        with pytest.raises(Refused, match=r"31 met error 2 \(command not known\)"):
            await device.clear_faults()


# --- watchdog


@in_virtual_time
async def test_an_xrb_shuts_off_by_itself_when_the_program_falls_silent_and_not_while_it_is_polled() -> None:
    tube = Tube()
    device, wire, _ = tube_and_wire(tube, station(model="xrb", watchdog_s=3))
    await device.connect()
    assert plain("28,3,") in wire.sent
    await device.hv(True)
    heart = asyncio.ensure_future(polled(device))
    await asyncio.sleep(60)
    assert tube.is_on(device.clock.now_s())
    heart.cancel()
    await asyncio.sleep(3.5)
    assert not tube.is_on(device.clock.now_s())
    with pytest.raises(Refused, match=r"fault: high voltage stays off"):
        await device.set(40.0)


@in_virtual_time
async def test_an_xrvs_watchdog_is_set_in_its_configuration_where_the_station_asks_and_left_alone_otherwise() -> None:
    tube = Tube()
    device, wire, simulator = tube_and_wire(tube, station(watchdog_s=4))
    kept = list(simulator.config)
    await device.connect()
    assert (simulator.config, simulator.watchdog_s) == (kept, 4)
    wire.forget()
    await device.connect()
    assert not any(message.startswith(b"\x0209") for message in wire.sent)
    await device.hv(True)
    await asyncio.sleep(5)
    assert not tube.is_on(device.clock.now_s())
    assert "watchdog" in (await device.status()).faults
    _, _, simulator = await connected(left_watchdog_s=7)
    assert simulator.watchdog_s == 7


@in_virtual_time
async def test_the_watchdog_runs_on_the_boxs_own_time_whatever_the_speed_of_the_experiment() -> None:
    fast = ExperimentClock(asyncio.get_running_loop(), speed=100.0)
    tube = Tube()
    simulator = SpellmanSimulator(tube, fast, options={"model": "xrb"})
    device = SpellmanXrv("tube", station(model="xrb"), Wire(simulator), fast)
    await device.connect()
    await device.hv(True)
    await asyncio.sleep(4.5)
    assert tube.is_on(fast.now_s())
    await asyncio.sleep(1.0)
    assert not tube.is_on(fast.now_s())


# --- the line


@in_virtual_time
async def test_messages_on_a_serial_line_are_150_ms_apart_on_the_wires_own_time() -> None:
    device, _, _ = await connected(settings=station(SERIAL), port="serial")
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for _ in range(10):
        await device.read()
    assert loop.time() - began_s == pytest.approx(1.5)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("transport", [None, SerialLike])
def test_a_late_answer_is_never_taken_for_the_next_ones(seed: int, transport: Any) -> None:
    run_virtual(lambda: late_answers(seed, transport))


async def late_answers(seed: int, transport: Any) -> None:
    chance = Chance(seed).stream("late answers")
    started = False

    def delay_s() -> float | None:
        kind = chance.random() if started else 1.0
        return None if kind < 0.03 else float(chance.uniform(0, 6)) if kind < 0.15 else float(chance.uniform(0, 0.1))

    class Rising(Tube):
        def kv(self, at_s: float) -> float:
            return 1.0 + at_s / 20.0

    tube = Rising()
    wire = {} if transport is None else {"transport": transport}
    simulator = SpellmanSimulator(tube, clock())
    device, _ = device_on(SpellmanXrv, "tube", Late(simulator, delay_s), station(), **wire)
    await device.connect()
    started, checked = True, 0
    for _ in range(30):
        asked_s = device.clock.now_s()
        poll = asyncio.ensure_future(device.read() if chance.random() < 0.8 else device.status())
        if chance.random() < 0.3:
            await asyncio.sleep(float(chance.uniform(0, 0.1)))
            poll.cancel()
        if chance.random() < 0.1:
            await asyncio.gather(device.stop(), return_exceptions=True)
        (answer,) = await asyncio.gather(poll, return_exceptions=True)
        if not isinstance(answer, BaseException):
            if hasattr(answer, "value"):
                now_s = device.clock.now_s()
                assert 1.0 + asked_s / 20.0 - 0.05 <= answer.value <= 1.0 + now_s / 20.0 + 0.05
                checked += 1
        else:
            assert isinstance(answer, (DeviceError, asyncio.CancelledError))
    assert checked >= 3


# --- real wires


@pytest.mark.parametrize("wire", ["tcp", "serial"])
async def test_over_real_wires_it_comes_on_moves_goes_off_and_comes_back(wire: str) -> None:
    loop = asyncio.get_running_loop()
    fast = ExperimentClock(loop, speed=50.0)
    tube = Tube()
    simulator = SpellmanSimulator(tube, fast, options={"port": wire})
    server: Any
    if wire == "tcp":
        server, place = await serve_tcp(simulator)
    else:
        server = ServedPty(simulator)
        place = server.path
    settings = station(f"{wire}://{place}", ramp=8.0, spacing_s=0.001)
    device = SpellmanXrv("tube", settings, RealWires(), fast)
    await device.connect()
    await device.hv(True)
    await device.set(40.0)
    assert (await device.read()).value == pytest.approx(40.0, abs=0.5)
    await device.close()
    tube.shift_kv = 5.0
    await device.reconnect()
    assert (await device.read()).value == pytest.approx(45.0, abs=0.5)
    await device.stop()
    assert not tube.is_on(fast.now_s())
    await device.close()
    server.close()


@in_virtual_time
async def test_the_twins_own_tube_shines_on_the_crystal_while_high_voltage_is_on() -> None:
    stations = Path(__file__).parents[2] / "config" / "stations"
    table = tomllib.loads((stations / "simulated-dac.toml").read_text())
    poni, shape = (stations / "simulated-dac.poni").read_text(), tuple(table["devices"]["detector"]["shape"])
    world = world_from_station({"sample": "KBr"}, table["beam"], shape, poni, table["load_curve"], 3, None)
    simulator = SpellmanSimulator(getattr(world, SpellmanSimulator.stands_at), clock())
    device, _ = device_on(SpellmanXrv, "tube", simulator, station())
    await device.connect()
    await device.hv(True)
    await device.set(60.0)
    assert world.tube.setpoints(device.clock.now_s()) == (pytest.approx(60.0, abs=0.04), pytest.approx(10.0, abs=0.01))
    reading = await device.read()
    assert reading.value == pytest.approx(60.0, abs=0.5)
    world.tube.permit(device.clock.now_s(), False)
    with pytest.raises(Refused, match="an interlock is open"):
        await device.set(70.0)
    assert not world.tube.is_on(device.clock.now_s())


@in_virtual_time
async def test_silence_is_a_lost_link_by_its_deadline() -> None:
    device, _ = device_on(SpellmanXrv, "tube", Late(SpellmanSimulator(Tube(), clock()), lambda: None), station())
    with pytest.raises(LinkLost, match=r"no answer to command 26 within 2 s"):
        await device.connect()


# --- the simulator, from the notes


@in_virtual_time
async def test_the_simulator_answers_an_xrv_s_table_with_and_without_check_bytes() -> None:
    box = SpellmanSimulator(Tube(), clock(), options={"name": "XRV160N3000"})
    conversation = {
        "26,": "26,XRV160N3000,",
        "28,": "28,160,30,0,",
        "10,1024,": "10,$,",
        "14,": "14,1024,",
        "10,4096,": "10,1,",
        "10,x,": "10,1,",
        "10,": "10,1,",
        "11,4095,": "11,$,",
        "15,": "15,4095,",
        "12,2000,": "12,$,",
        "16,": "16,2000,",
        "19,": f"19,0,0,{box.words['13']},0,0,0,0,0,",
        "22,": f"22,{flags(17, 1, 2, 6, 7, 9, 15, 16)}",
        "68,": f"68,{flags(27)}",
        "98,2,": "98,1,",
        "38,": "38,3000,1800,",
        "97,2000,900,": "97,$,",
        "31,": "31,$,",
        "99,0,": "99,$,",
        "98,1,": "98,1,",
        "52,": "52,2,",
        "74,": "74,2,",
        "21,": "21,0.0,",
        "07,3,": "07,$,",
    }
    for sent, answer in conversation.items():
        assert say(box, plain(sent)) == [plain(answer)], sent
    assert say(box, b"\x0228,j\x03", b"\x0210,1024,@\x03") == [b"\x0228,160,30,0,|\x03", b"\x0210,1,V\x03"]
    assert say(box, b"\x0228,k\x03", b"\x03", b"noise\x0226", b",\x0226,\x03") == [
        b"\x0228,1,M\x03", b"", b"", plain("26,XRV160N3000,")
    ]  # fmt: skip


@in_virtual_time
async def test_a_port_of_the_simulator_may_insist_on_check_bytes_or_on_none() -> None:
    serial = SpellmanSimulator(Tube(), clock(), options={"port": "serial"})
    assert say(serial, plain("26,"), b"\x0222,p\x03")[0] != plain("26,XRV160,")
    tcp = SpellmanSimulator(Tube(), clock(), options={"port": "tcp"})
    assert say(tcp, b"\x0228,j\x03", plain("28,")) == [b"", plain("28,160,30,0,")]


@in_virtual_time
async def test_the_simulator_takes_one_client_when_told_so() -> None:
    box = SpellmanSimulator(Tube(), clock(), options={"one_client": True})
    session = box.accept(lambda data: None)
    with pytest.raises(ConnectionRefusedError):
        box.accept(lambda data: None)
    session.closed()
    box.accept(lambda data: None)


@in_virtual_time
async def test_the_simulator_warns_before_it_gives_voltage_and_forgets_it_when_its_power_goes() -> None:
    box = SpellmanSimulator(Tube(), clock())
    say(box, plain("10,1024,"), plain("11,1365,"))
    assert say(box, plain("98,1,"), plain("22,")) == [
        plain("98,$,"),
        plain(f"22,{flags(17, 1, 2, 6, 7, 8, 9, 15, 16)}"),
    ]
    await asyncio.sleep(5.1)
    assert say(box, plain("22,")) == [plain(f"22,{flags(17, 0, 1, 2, 6, 7, 9, 15, 16)}")]
    await asyncio.sleep(10)
    assert say(box, plain("60,"), plain("61,")) == [plain("60,853,"), plain("61,1138,")]
    box.power_cycle()
    await asyncio.sleep(1)
    assert say(box, plain("60,"), plain("14,")) == [plain("60,0,"), plain("14,0,")]
