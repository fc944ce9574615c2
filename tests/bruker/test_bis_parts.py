"""The parts of a Bruker through one conversation: limits before the wire, stops that go first, links that come back."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rocksalt_drivers.bruker_bis
from bruker.bench import SHAPE, Client, Silent, Wires, World, settings_of, soon
from drivers.bench import Late, clock, in_virtual_time
from rocksalt.devices import (
    Detector,
    DeviceError,
    Enclosure,
    GarbledReply,
    LinkLost,
    NotReached,
    OutOfLimits,
    RampTooFast,
    Refused,
    Settable,
    Stopped,
)
from rocksalt.time import Chance
from rocksalt_drivers.bruker_bis.driver import BrukerBis

AXES = ["2theta", "omega", "phi", "chi", "x", "y", "z", "distance"]
ALL = [*AXES, "kv", "ma", "temperature", "shutter"]
MOVES = {**dict.fromkeys(AXES, (5.0, 500.0)), "kv": (40.0, 60.0), "ma": (10.0, 60.0), "temperature": (310.0, 500.0)}
UNITS = {**dict.fromkeys(AXES[:4], "deg"), **dict.fromkeys("xyz", "mm"), "distance": "cm", "kv": "kV", "ma": "mA",
         "temperature": "K"}  # fmt: skip
each = pytest.mark.parametrize("part", ALL)
settable = pytest.mark.parametrize("part", list(MOVES))


def on_bench(
    part: str, wrap: Callable[[int, Any], Any] = lambda number, peer: peer, **options: Any
) -> tuple[Any, World]:
    world = World(**options)
    world.wires = Wires(world.bis.sockets, wrap)
    upper = {"temperature": 350.0}.get(part, float("inf"))
    return world.part(part, upper=upper), world


async def connected(part: str, **options: Any) -> tuple[Any, World]:
    device, world = on_bench(part, **options)
    await device.connect()
    world.wires.forget()
    return device, world


@each
@in_virtual_time
async def test_it_is_connected_once_it_has_said_who_it_is(part: str) -> None:
    device, world = await connected(part)
    assert device.state == "connected"
    assert await device.identify() == "Bruker Instrument Service 2009.2.0.0 of 17-Oct-2009"
    await device.close()
    assert device.state == "disconnected"
    assert world.bis.clients == []


@settable
@in_virtual_time
async def test_it_arrives_and_tells_where_with_its_unit(part: str) -> None:
    device, _ = await connected(part)
    assert isinstance(device, Settable)
    target, _ = MOVES[part]
    await device.set(target)
    reading = await device.read()
    assert reading.value == pytest.approx(target, abs=device.arrives_within)
    assert (reading.unit, reading.name) == (UNITS[part], f"{part}_{UNITS[part].lower()}")


@settable
@in_virtual_time
async def test_a_target_beyond_the_limits_never_reaches_the_wire(part: str) -> None:
    device, world = await connected(part)
    _, beyond = MOVES[part]
    with pytest.raises(OutOfLimits, match=rf"^{part}: {beyond:g} .* is above"):
        await device.set(beyond)
    with pytest.raises(OutOfLimits):
        await device.set(float("nan"))
    assert world.wires.said == []


@in_virtual_time
async def test_the_limits_are_the_tighter_of_the_stations_and_the_instruments() -> None:
    world = World()
    chi = world.part("chi", lower=-90.0, upper=60.0)
    await chi.connect()
    assert (chi.limits.lower, chi.limits.upper) == (-10.0, 60.0)
    with pytest.raises(OutOfLimits, match=r"chi: -20 deg is below -10 deg \(the instrument's own, AXESLIMITS\)"):
        await chi.set(-20.0)
    with pytest.raises(OutOfLimits, match=r"chi: 61 deg is above 60 deg \(user limit, station\.toml:14\)"):
        await chi.set(61.0)


@in_virtual_time
async def test_a_tube_that_stands_by_is_not_woken_by_a_stop() -> None:
    kv, world = await connected("kv", standby=True)
    await kv.stop()
    await soon(lambda: not world.bis.busy)
    assert world.bis.standby


@pytest.mark.parametrize(("part", "verb", "poison"), [
    ("kv", "GENERATORSTATUS", "[GENERATORSTATUS /KV=2e9 /MA=5.0 /STANDBY=No]"),
    ("temperature", "SAMPLETEMPERATURESTATUS", "[SAMPLETEMPERATURESTATUS /TEMPC=21.85 /TEMPK=97.0]"),
])  # fmt: skip
@in_virtual_time
async def test_a_stop_does_not_stumble_over_what_was_heard_wrongly(part: str, verb: str, poison: str) -> None:
    device, world = await connected(part)
    for call in (device.stop, device.make_safe):
        device.session.heard(poison.encode())
        await call()
    assert world.wires.said


@pytest.mark.parametrize("part", ["omega", "kv"])
@in_virtual_time
async def test_a_ramp_that_bis_can_not_promise_moves_nothing(part: str) -> None:
    world = World()
    device = world.part(part, ramp=0.5)
    await device.connect()
    world.wires.forget()
    with pytest.raises(RampTooFast, match="no verb of its manual sets one"):
        await device.set(MOVES[part][0])
    assert world.wires.said == []


@in_virtual_time
async def test_a_temperature_keeps_its_ramp_and_the_ramp_is_read_back() -> None:
    world = World()
    temperature = world.part("temperature", upper=350.0, ramp=0.1)
    await temperature.connect()
    began_s = world.clock.now_s()
    await temperature.set(301.0)
    assert world.bis.per_min == pytest.approx(6.0)
    assert world.clock.now_s() - began_s == pytest.approx(60.0, abs=8.0)


@in_virtual_time
async def test_the_tubes_power_is_a_limit_too() -> None:
    world = World()
    kv, ma = world.part("kv"), world.part("ma")
    await kv.connect()
    await ma.connect()
    await kv.set(50.0)
    await ma.set(40.0)
    world.wires.forget()
    with pytest.raises(Refused, match=r"^ma: 50 kV and 50 mA are 2500 W, above the tube's 2200 W$"):
        await ma.set(50.0)
    assert not any("SetGeneratorStatus" in text for text in world.wires.said)
    assert kv.facts["max_power_w"] == 2200.0


@in_virtual_time
async def test_all_parts_are_one_client_with_one_mastership_given_back_by_the_last() -> None:
    world = World()
    parts = [world.part(part) for part in ALL]
    await asyncio.gather(*(part.connect() for part in parts))
    assert len(world.bis.clients) == 1
    assert world.bis.master is None, "a connection alone takes nothing from anybody"
    await asyncio.gather(parts[0].set(3.0), parts[1].set(4.0))
    assert world.bis.master is world.bis.clients[0]
    assert world.wires.said.count("[RestrictAccess /Lock=1]") == 1
    for part in parts[:-1]:
        await part.close()
    assert world.bis.master is not None
    await parts[-1].close()
    assert world.wires.said[-1] == "[RestrictAccess /Lock=0]"
    assert (world.bis.master, world.bis.clients) == (None, [])


@in_virtual_time
async def test_two_stations_do_not_share_a_conversation() -> None:
    world = World()
    one, other = world.part("omega"), world.part("phi", wires=Wires(world.bis.sockets))
    await one.connect()
    await other.connect()
    assert len(world.bis.clients) == 2
    await one.set(1.0)
    with pytest.raises(Refused, match="another client of BIS holds the mastership"):
        await other.set(1.0)
    await one.close()
    await other.set(1.0)


@each
@pytest.mark.parametrize("ask", ["stop", "make_safe"])
@in_virtual_time
async def test_a_stop_is_on_the_wire_at_once_though_polls_wait_for_their_answers(part: str, ask: str) -> None:
    slow = False
    device, world = on_bench(part, lambda number, peer: Late(peer, lambda: 0.4 if slow else 0.0))
    await device.connect()
    await device.readings()
    slow = True
    polls = [asyncio.ensure_future(device.readings()) for _ in range(3)]
    await asyncio.sleep(0.1)
    world.wires.forget()
    urgent = asyncio.ensure_future(getattr(device, ask)())
    await asyncio.sleep(0.01)
    assert world.wires.said[0].startswith(("[HardAbort]", "[SafetyShutter /Status=0]", "[SetGenerator", "[SetSample"))
    slow = False
    await asyncio.gather(urgent, *polls)


@in_virtual_time
async def test_a_stop_ends_a_drive_where_it_stands_and_the_move_is_told_so() -> None:
    omega, world = await connected("omega")
    moving = asyncio.ensure_future(omega.set(90.0))
    await asyncio.sleep(3.0)
    await omega.stop()
    with pytest.raises(Stopped, match="the move to 90 deg was stopped"):
        await moving
    assert (await omega.read()).value == pytest.approx(30.0, abs=0.5)
    assert world.bis.queue == type(world.bis.queue)()


@in_virtual_time
async def test_a_stop_does_not_hang_on_being_let_in_again() -> None:
    """After a question without answer the line is reopened; a stop is said on the old line before that."""
    mute = False
    omega, world = on_bench("omega", lambda number, peer: Silent(peer, lambda: mute))
    await omega.connect()
    mute = True
    with pytest.raises(LinkLost):
        await omega.read()
    world.bis.clients.extend([world.bis.clients[0]] * 20)  # whoever is out does not get in
    world.wires.forget()
    with pytest.raises(LinkLost):
        await omega.stop()
    assert world.wires.said == ["[HardAbort]"]


@in_virtual_time
async def test_the_beam_is_shut_off_though_a_scan_is_in_the_way(tmp_path: Path) -> None:
    """BIS queues what moves something: a shutter's turn may be ten minutes away, and HardAbort's is now."""
    world = World(frames_dir=str(tmp_path))
    shutter, detector = world.part("shutter"), world.part("detector", shape=SHAPE, frames_dir=str(tmp_path))
    await shutter.connect()
    await detector.connect()
    await shutter.open_shutter()
    exposing = asyncio.ensure_future(detector.expose(600.0, 1))
    await soon(lambda: world.hutch.shutter_open(world.clock.now_s()))
    began_s = world.clock.now_s()
    await shutter.make_safe()
    assert world.clock.now_s() - began_s < 1.0
    assert not world.hutch.open
    assert (await shutter.status()).shutter_closed
    await detector.stop()
    with pytest.raises(Refused, match="was stopped before it was whole"):
        await exposing


@in_virtual_time
async def test_the_generator_stands_by_though_a_scan_is_in_the_way(tmp_path: Path) -> None:
    world = World(frames_dir=str(tmp_path))
    kv, detector = world.part("kv"), world.part("detector", shape=SHAPE, frames_dir=str(tmp_path))
    await kv.connect()
    await detector.connect()
    exposing = asyncio.ensure_future(detector.expose(600.0, 1))
    await asyncio.sleep(5.0)
    await kv.make_safe()
    assert world.bis.standby
    await detector.stop()
    with pytest.raises(DeviceError):
        await exposing


@in_virtual_time
async def test_a_closed_shutter_is_made_safe_with_one_message_and_no_abort() -> None:
    shutter, world = await connected("shutter")
    await shutter.make_safe()
    assert world.wires.said == ["[SafetyShutter /Status=0]"]


@in_virtual_time
async def test_closed_is_not_believed_of_a_shutter_whose_opening_was_just_accepted(tmp_path: Path) -> None:
    """The status socket is behind: BIS has said closed and idle, and has taken an opening and a long scan since."""
    slow = False
    world = World(frames_dir=str(tmp_path))
    world.wires = Wires(
        world.bis.sockets, lambda number, peer: Late(peer, lambda: 0.3 if slow and number == 2 else 0.0)
    )
    shutter = world.part("shutter")
    await shutter.connect()
    await asyncio.sleep(1.0)
    slow = True
    await shutter.session.say("SafetyShutter", {"Status": 1}, moves=True)
    await shutter.session.say("Scan", {"Filename": "a.sfrm", "ScanTime": 600.0}, moves=True)
    await shutter.make_safe()
    assert "[HardAbort]" in world.wires.said
    assert not world.bis.safety_open
    assert world.bis._worker is None


@in_virtual_time
async def test_the_shutter_opens_closes_and_obeys_the_door() -> None:
    shutter, world = await connected("shutter")
    assert isinstance(shutter, Enclosure)
    await shutter.open_shutter()
    assert [(reading.name, reading.value) for reading in await shutter.readings()] == [
        ("shutter.shutter", 1.0),
        ("shutter.door", 1.0),
    ]
    await shutter.close_shutter()
    assert (await shutter.status()).shutter_closed
    world.hutch.set_door(world.clock.now_s(), False)
    world.wires.forget()
    with pytest.raises(Refused, match=r"^shutter: the door is open: the shutter stays closed$"):
        await shutter.open_shutter()
    assert not any("SafetyShutter" in text for text in world.wires.said)


@in_virtual_time
async def test_a_door_that_opens_closes_the_shutters_and_nobody_had_to_ask() -> None:
    shutter, world = await connected("shutter")
    await shutter.open_shutter()
    world.hutch.set_door(world.clock.now_s(), False)
    await asyncio.sleep(1.0)
    assert not world.bis.safety_open
    status = await shutter.status()
    assert (status.shutter_closed, status.door_closed) == (True, False)


@pytest.mark.parametrize(
    ("turn", "words"), [("service_key", "the service key is turned"), ("standby", "the X-rays are off")]
)
@in_virtual_time
async def test_what_keeps_the_shutter_closed_is_named(turn: str, words: str) -> None:
    shutter, world = await connected("shutter")
    setattr(world.bis, turn, True)
    with pytest.raises(Refused, match=rf"the interlock is not ready \({words}\)"):
        await shutter.open_shutter()


@in_virtual_time
async def test_both_shutters_are_opened_for_a_detector_that_bis_does_not_know() -> None:
    world = World()
    shutter = world.part("shutter", opens="all")
    await shutter.connect()
    await shutter.open_shutter()
    assert (world.bis.safety_open, world.bis.fast_open) == (True, True)
    assert world.hutch.open


@in_virtual_time
async def test_a_heater_that_is_too_hot_is_switched_off_rather_than_held() -> None:
    temperature, world = await connected("temperature")
    await temperature.set(310.0)
    await temperature.make_safe()
    assert world.heat.heating
    world.heat.heat(world.clock.now_s(), 400.0, 0.0)
    await temperature.read()
    await temperature.make_safe()
    assert not world.heat.heating


@in_virtual_time
async def test_a_drive_that_never_ends_is_not_reached() -> None:
    omega, world = await connected("omega", stuck_drive=True)
    with pytest.raises(NotReached, match=r"omega: 0 deg after 600 s, where 10 was asked for"):
        await omega.set(10.0)
    await omega.stop()
    assert world.bis._worker is None


@pytest.mark.parametrize(("mode", "word"), [(1, "manual"), (2, "optical")])
@in_virtual_time
async def test_an_instrument_left_in_another_mode_is_not_driven(mode: int, word: str) -> None:
    omega, world = await connected("omega", mode=mode)
    with pytest.raises(Refused, match=rf"^omega: the instrument is in {word} mode: switch it back to normal"):
        await omega.set(1.0)
    assert not any("Drive" in text for text in world.wires.said)


@in_virtual_time
async def test_a_refusal_comes_with_what_the_instrument_complained_of() -> None:
    omega, _ = await connected("omega")
    omega.own_limits = omega.settings.limits  # a driver that was not told
    with pytest.raises(Refused, match="its last complaint: OMEGA 500 is outside -180 to 180"):
        await omega.set(500.0)


# the link


@each
@in_virtual_time
async def test_a_box_that_falls_silent_is_a_lost_link_in_every_call_and_comes_back(part: str) -> None:
    mute = False
    device, world = on_bench(part, lambda number, peer: Silent(peer, lambda: mute))
    changes: list[str] = []
    device.on_change = lambda device, state, why: changes.append(state)
    await device.connect()
    mute = True
    for call in (device.identify, device.readings, device.stop, device.make_safe):
        with pytest.raises(LinkLost, match=f"^{part}: "):
            await call()
    assert changes == ["connected", "disconnected"]
    mute = False
    await device.connect()
    assert changes[-1] == "connected"
    if part == "omega":
        world.bis._at["OMEGA"] = 12.0
        await device.close()
        await device.connect()
        assert (await device.read()).value == 12.0, "what was known before the link was lost is not believed"


@in_virtual_time
async def test_a_lost_instrument_is_looked_for_with_less_patience_than_a_found_one_has() -> None:
    mute = False
    omega, world = on_bench("omega", lambda number, peer: Silent(peer, lambda: mute))
    await omega.connect()
    mute = True
    with pytest.raises(LinkLost):
        await omega.read()
    began_s = world.clock.now_s()
    with pytest.raises(LinkLost):
        await omega.reconnect()
    assert world.clock.now_s() - began_s == pytest.approx(0.5, abs=0.01)
    mute = False
    await omega.reconnect()
    assert omega.session.link.deadline_s == 3.0


@in_virtual_time
async def test_what_was_said_in_an_older_conversation_identifies_nobody() -> None:
    omega, world = await connected("omega")
    await omega.close()
    world.bis.mute_status = True
    with pytest.raises(LinkLost, match="no BISVERSION from BIS within 3 s"):
        await omega.connect()


@pytest.mark.parametrize("number", [0, 1, 2])
@in_virtual_time
async def test_a_socket_that_is_closed_is_told_at_once_and_all_three_are_made_anew(number: int) -> None:
    sends: list[Callable[[bytes], None]] = []

    class Kept:
        def __init__(self, peer: Any) -> None:
            self._peer = peer

        def accept(self, send: Callable[[bytes], None]) -> Any:
            sends.append(send)
            return self._peer.accept(send)

    omega, world = on_bench("omega", lambda at, peer: Kept(peer) if at == number else peer)
    await omega.connect()
    sends[0](b"")  # what a socket reads when the other side is gone
    await asyncio.sleep(0.01)
    with pytest.raises(LinkLost, match=rf"^omega: connection {number + 1} of 3 was closed by the other side"):
        await omega.read()
    await omega.connect()
    assert len(sends) == 2
    await omega.set(5.0)
    assert len(world.bis.clients) == 1


@in_virtual_time
async def test_a_status_socket_that_falls_silent_is_a_lost_link_for_what_needs_it() -> None:
    kv, world = await connected("kv")
    world.bis.mute_status = True
    with pytest.raises(LinkLost, match=r"^kv: no result of \[GetGeneratorStatus /CID=2\] within 3 s"):
        await kv.read()
    assert kv.state == "disconnected"
    world.bis.mute_status = False
    await kv.connect()
    assert (await kv.read()).value == 20.0


@in_virtual_time
async def test_days_of_status_that_nobody_asked_for_fill_nothing_up() -> None:
    omega, world = await connected("omega")
    for number in range(20_000):
        world.bis.broadcast(f"[MESSAGE /NOTE=nothing happened {number} /LEVEL=Debug]")
        if number % 1000 == 0:
            await asyncio.sleep(0.01)
    await asyncio.sleep(1.0)
    assert sum(len(data) for data in world.wires.lines[2]._arrived) == 0
    assert omega.session.said["MESSAGE"].arguments["NOTE"] == "nothing happened 19999"
    assert (await omega.read()).value == 0.0


@in_virtual_time
async def test_rubbish_among_the_status_is_passed_over() -> None:
    omega, world = await connected("omega")
    for client in world.bis.clients:
        client.status(b"\xff\xfe garbage\n[ANGLESTATUS /ANG\n[[[\n[ANGLESTATUS /ANGLES=1 2 3 4]\n")
    await asyncio.sleep(0.1)
    assert omega.session.said["ANGLESTATUS"].numbers("ANGLES", 4) == (1.0, 2.0, 3.0, 4.0)
    assert (await omega.read()).value == 0.0, "what is asked again is told again"


@each
@in_virtual_time
async def test_garbage_for_an_answer_is_a_device_error_and_nothing_else(part: str) -> None:
    for garbage in (b"\0\0\r\n", b"\xff" * 20 + b"\n", b"[]\n", b"[NOOPERATION\n", b"[DRIVE_YES]", b"[A /B=1 /B=2]\n"):
        rubbish = False

        class Noisy:
            def __init__(self, peer: Any) -> None:
                self.peer = peer

            def accept(self, send: Callable[[bytes], None]) -> Any:
                return self.peer.accept(lambda data: send(garbage if rubbish else data))  # noqa: B023

        device, _ = on_bench(part, lambda number, peer: Noisy(peer) if number == 0 else peer)
        await device.connect()
        rubbish = True
        for call in (device.readings, device.stop, device.make_safe):
            with pytest.raises(DeviceError):
                await call()


@in_virtual_time
async def test_numbers_that_are_none_are_garbled_and_not_believed() -> None:
    omega, world = await connected("omega")
    for told in ("[ANGLESTATUS /ANGLES=1 nan 3 4]", "[ANGLESTATUS /ANGLES=1 2]", "[ANGLESTATUS /ANGLES=1 two 3 4]"):
        world.bis._positions = lambda told=told: [told]  # type: ignore[method-assign, misc]
        with pytest.raises(GarbledReply, match=r"^omega: "):
            await omega.read()


@in_virtual_time
async def test_a_late_answer_is_never_taken_for_the_next_ones() -> None:
    late = False
    kv, world = on_bench("kv", lambda number, peer: Late(peer, lambda: 4.0 if late else 0.0))
    await kv.connect()
    late = True
    with pytest.raises(LinkLost):
        await kv.read()
    late = False
    world.bis.kv = 33.0
    assert (await kv.read()).value == 33.0
    await asyncio.sleep(5.0)
    assert (await kv.read()).value == 33.0


@pytest.mark.parametrize("seed", range(10))
@in_virtual_time
async def test_a_late_result_is_never_taken_for_the_next_ones_with_a_stop_in_between(seed: int) -> None:
    """Each socket is late on its own; the voltage is another one at each reading, so that a stale one would show."""
    chance = Chance(seed).stream("late")
    world = World(seed=seed)
    delays_s = [0.0] * 100 + [0.5, 2.9, 3.1, 6.0]
    world.wires = Wires(world.bis.sockets, lambda number, peer: Late(peer, lambda: float(chance.choice(delays_s))))
    kv, shutter = world.part("kv"), world.part("shutter")

    async def interfere() -> None:
        await asyncio.sleep(float(chance.choice([0.0, 0.01, 1.0, 4.0])))
        await (shutter.make_safe() if shutter.state == "connected" else shutter.connect())

    read = 0
    for number in range(60):
        world.bis.kv = world.bis.kv_wanted = 20.0 + number / 10
        other = asyncio.ensure_future(interfere())
        try:
            if kv.state == "disconnected":
                await kv.connect()
            assert (await kv.read()).value == pytest.approx(20.0 + number / 10)
            read += 1
        except DeviceError:
            pass
        await asyncio.wait([other])
        assert other.exception() is None or isinstance(other.exception(), DeviceError)
    assert read > 10


@in_virtual_time
async def test_whoever_takes_the_mastership_away_is_noticed_at_the_next_move() -> None:
    omega, world = await connected("omega")
    await omega.set(1.0)
    person = Client(world.bis)
    assert person.say("[RestrictAccess /Lock=1 /Override=1]") == "[RESTRICTACCESS_YES]"
    with pytest.raises(Refused, match="another client of BIS took the mastership"):
        await omega.set(2.0)
    await omega.stop()
    await omega.set(2.0)


@in_virtual_time
async def test_override_in_the_station_file_takes_the_mastership_at_once() -> None:
    world = World()
    person = Client(world.bis)
    person.say("[RestrictAccess /Lock=1]")
    omega = world.part("omega", override=True)
    await omega.connect()
    await omega.set(1.0)
    assert world.wires.said.count("[RestrictAccess /Lock=1 /Override=1]") == 1


# what it is made of


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"part": "kappa"}, "omega: options.part is 'kappa'; it is one of 2theta, omega, phi"),
        ({}, r"omega: options.part is 'missing'.*\(station.toml:12\)"),
        ({"part": "shutter", "opens": "door"}, 'opens is "safety" or "all", not \'door\''),
        ({"part": "temperature", "safe": "hot"}, 'safe is "hold" or "off"'),
        ({"part": "ma", "safe": "hot"}, 'safe is "standby" or "stay"'),
        ({"part": "detector"}, "must say shape = .*options.frames_dir"),
    ],
)
@in_virtual_time
async def test_a_station_file_that_asks_for_what_is_not_there_is_refused(options: dict[str, Any], words: str) -> None:
    part = options.pop("part", "")
    with pytest.raises(ValueError, match=words):
        BrukerBis("omega", settings_of(part, **options), Wires([]), clock())


def test_one_driver_makes_every_kind() -> None:
    from rocksalt_drivers.bruker_bis.parts import PARTS

    assert set(ALL) | {"detector"} == set(PARTS)
    assert issubclass(PARTS["detector"], Detector)
    for kind in PARTS.values():
        assert issubclass(kind, BrukerBis)


def test_its_folder_tells_the_facts_and_driver_and_simulator_know_nothing_of_each_other() -> None:
    folder = Path(rocksalt_drivers.bruker_bis.__file__).parent
    text = (folder / "README.md").read_text()
    for chapter in ("## Facts", "## Wiring", "## Station file", "## Quirks", "## Never tried on hardware"):
        assert chapter in text
    for file in folder.glob("*.py"):
        imported = {
            name
            for node in ast.walk(ast.parse(file.read_text()))
            for name in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            )
        }  # fmt: skip
        own = {name.rpartition(".")[2] for name in imported if name.startswith("rocksalt_drivers")}
        is_simulator = file.stem.startswith("simulator")
        assert all(name.startswith("simulator") == is_simulator for name in own), f"{file.name} imports {own}"
        core = {name for name in imported if name.startswith("rocksalt.")}
        assert core <= ({"rocksalt.time"} if is_simulator else {"rocksalt.devices", "rocksalt.values"})
