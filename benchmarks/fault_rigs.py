"""What the fault tables need of each driver: its simulator on a small world, a value to ask for, something to do.

A driver that the entry-point group `rocksalt.drivers` names and that has no rig here is untested, which is failed.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from tests.drivers.doors import Beam, Gas, Heat, Hutch, Optics
from tests.drivers.tube import Tube

from rocksalt.config.links import parse_link
from rocksalt.devices import ByteLink, Limits, Settings
from rocksalt.devices.links import MemoryWires, RealWires
from rocksalt.devices.links.memory import MemoryTransport
from rocksalt.time import Chance, ExperimentClock
from rocksalt.twin.chamber.generator import Rating
from rocksalt.twin.wire.faults import Fault, Faults, FaultyLine, FaultyRequests
from rocksalt.twin.wire.hosting import ServedPty, serve_http, serve_tcp_in_a_row

Wire = Literal["memory", "tcp", "serial", "http"]
SHAPE: Final = (32, 40)
ALL_IN_ONE: Final = {"early_reply": True, "initialize_s": 0.0}
NOT_APPLICABLE: Final = {"replay": "it reads files, and there is no instrument that could answer wrongly"}
"""Drivers without a wire, each with its reason."""


class Camera:
    """A sensor of 32 x 40 pixels that sees noise, so that a chunk is most of its message."""

    shape = SHAPE
    mask = np.zeros(SHAPE, bool)

    def __init__(self) -> None:
        self.truth: dict[int, str] = {}

    def cutoff_counts(self, seconds: float) -> int:
        return int(1e7 * seconds)

    def expose(self, start_s: float, seconds: float) -> np.ndarray[Any, Any]:
        return Chance(round(1e6 * start_s)).stream("pixels").integers(0, 1_000_000, SHAPE).astype(np.uint32)

    def sent(self, frame: int, sha256: str, chunk_sha256: str, series: int, image: int) -> None:
        self.truth[image] = chunk_sha256


@dataclass
class Stand:
    """A driver and its simulator, joined by a wire with faults; `told` is what the truth file would say."""

    device: Any
    simulator: Any
    door: Any
    clock: ExperimentClock
    line: Any
    told: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    """How often the driver's question was asked since it was last set to 0."""

    _within: bool = False

    def suffer(self, faults: Sequence[Fault], seed: int) -> None:
        """From now on these faults; each of several sockets has them, and the first tells of them."""
        for number, line in enumerate(self.line if isinstance(self.line, tuple) else (self.line,)):
            tell = _nobody if number else self.told.append
            line.suffer(Faults(list(enumerate(faults)), self.clock, Chance(seed), tell))

    def hurry(self, deadline_s: float) -> None:
        """From now on the driver waits so long for an answer, wire seconds."""
        line_of(self.device).deadline_s = deadline_s

    def count(self) -> None:
        """Count what the driver asks from now on."""
        self.asked = 0
        for name in ("_read", "_identify", "_status"):
            if hasattr(self.device, name):
                setattr(self.device, name, self._counted(getattr(type(self.device), name)))

    def _counted(self, hook: Callable[[Any], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        @functools.wraps(hook)
        async def ask() -> Any:
            if self._within:  # one hook may be made of another: that is one question
                return await hook(self.device)
            self.asked, self._within = self.asked + 1, True
            try:
                return await hook(self.device)
            finally:
                self._within = False

        return ask


def _nobody(line: dict[str, Any]) -> None: ...


def line_of(device: Any) -> Any:
    """The link that a driver waits on, wherever it keeps it."""
    if hasattr(device, "http"):
        return device.http
    return device.session.link if hasattr(device, "session") else device.link


@dataclass(frozen=True)
class Rig:
    """One driver's row of the tables; a driver whose devices are parts of one instrument has a row for several.

    part     which part of the instrument; "" where there is one

    wires    the real wires that it can be on; the first is what it usually is on
    value    asks for a value, and truth says what it must be
    act      does something that lasts about a second of experiment time and is watched by reading
    acted    whether it is done, asked of the world; ready sets the world up before
    number   asks for something that has a quantity in its answer; factor is another unit's
    shift    lets the world move on, so that an old value is a wrong one
    reset    brings world and simulator back to where it began, whatever a misled driver did to it
    lead_s   how long before its middle an act begins
    stuck_s  how long the fault "stuck" lasts
    margin_s what the driver grants a move beyond its ramp
    """

    driver: str
    wires: tuple[Wire, ...]
    door: Callable[[], Any]
    value: Callable[[Any], Awaitable[Any]]
    truth: Callable[[Stand], Any]
    act: Callable[[Any], Awaitable[Any]]
    acted: Callable[[Stand], bool]
    number: Callable[[Any], Awaitable[Any]]
    factor: float
    shift: Callable[[Any], None]
    lead_s: float = 0.4
    reset: Callable[[Stand], None] = lambda stand: None
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    part: str = ""
    stuck_s: float = 30.0
    margin_s: float = 0.3

    @property
    def name(self) -> str:
        """Its row of the tables."""
        return f"{self.driver} {self.part}".strip()


async def _reading(device: Any) -> float:
    return round((await device.read()).value, 3)


async def _exposure(device: Any) -> None:
    await device.arm(0.2, 5)
    await device.trigger(0.2, 5)


async def _armed(device: Any) -> None:
    await device.arm(0.2, 1)
    await device.disarm()


async def _to_and_fro(device: Any) -> None:
    """A shutter that is quick is moved for about a second."""
    for _ in range(10):
        await device.open_shutter()
        await device.clock.sleep(0.05)
        await device.close_shutter()
        await device.clock.sleep(0.05)


def _bruker(begin: Callable[[Any], None]) -> dict[str, Any]:
    """What the parts of one Bruker have in common; its replies end in a line end, so that each spoilt one is known
    as one (`accept_garbage` leaves some out)."""
    return {"wires": ("tcp",), "door": lambda: {"camera": Camera(), "enclosure": Hutch(), "thermal": Heat()},
            "reset": lambda stand: begin(stand.simulator), "options": {"omit_lf": 0.0}, "stuck_s": 1.0,
            "margin_s": 8.0}  # fmt: skip


def _at(bis: Any, omega: float) -> None:
    bis._do_hardabort(None, {})
    bis._at["OMEGA"] = omega


def _tube_at(bis: Any, kv: float) -> None:
    bis._do_hardabort(None, {})  # nothing that was queued before goes on
    bis.kv = bis.kv_wanted = kv
    bis.standby = False


async def _current(device: Any) -> float:
    return float((await device.read()).value)


async def _watched(device: Any) -> None:
    """Readings for a second: what a picoammeter does that lasts."""
    for _ in range(10):
        await device.read()
        await device.clock.sleep(0.1)


RIGS: Final = {
    rig.name: rig
    for rig in (
        Rig(
            "bruker_bis", value=_reading, truth=lambda stand: round(stand.simulator._at["OMEGA"], 3),
            act=lambda device: device.set(15.0), acted=lambda stand: stand.simulator._at["OMEGA"] == 15.0,
            number=_reading, factor=57.29578, shift=lambda door: None,
            settings={"limits": Limits(-30.0, 60.0), "options": {"part": "omega"}}, part="omega",
            **_bruker(lambda bis: _at(bis, 5.0)),
        ),
        Rig(
            "bruker_bis", value=_reading, truth=lambda stand: round(stand.simulator.kv, 3),
            act=lambda device: device.set(32.0), acted=lambda stand: stand.simulator.kv == 32.0,
            number=_reading, factor=1000.0, shift=lambda door: None,
            settings={"limits": Limits(20.0, 50.0), "options": {"part": "kv"}}, part="kv",
            **_bruker(lambda bis: _tube_at(bis, 30.0)),
        ),
        Rig(
            "bruker_bis", value=_reading,
            truth=lambda stand: round(stand.door["thermal"].sample_k(stand.clock.now_s()), 2),
            act=lambda device: device.set(297.0), acted=lambda stand: stand.simulator.set_k == 297.0,
            number=_reading, factor=1.8, shift=lambda door: door["thermal"].heat(0.0, 296.5, 0.0),
            settings={"limits": Limits(290.0, 320.0), "ramp": 1.5, "options": {"part": "temperature"}},
            part="temperature", **_bruker(lambda bis: bis.thermal.heat(0.0, 295.0, 0.0)),
        ),
        Rig(
            "bruker_bis", value=lambda device: device.status(), truth=lambda stand: _cabinet(stand),
            act=_to_and_fro, acted=lambda stand: not stand.simulator.safety_open,
            number=lambda device: device.status(), factor=1000.0,
            shift=lambda door: door["enclosure"].set_door(0.0, False),
            settings={"options": {"part": "shutter"}}, part="shutter",
            **_bruker(lambda bis: bis.enclosure.set_door(0.0, True)),
        ),
        Rig(
            "druck_pace", ("tcp", "serial"), lambda: Gas(start_bar=10.0, target_bar=10.0), _reading,
            lambda stand: round(stand.door.gas_bar(stand.clock.now_s()), 3),
            lambda device: device.set(11.0), lambda stand: stand.simulator.setpoint_bar == 11.0, _reading, 1000.0,
            lambda door: door.ramp(0.0, 12.5, 1e9), reset=lambda stand: stand.door.ramp(0.0, 10.0, 1e9),
            settings={"limits": Limits(0.0, 150.0), "ramp": 1.0},
        ),
        Rig(
            "lakeshore_336", ("serial", "tcp"), Heat, _reading,
            lambda stand: round(stand.door.sample_k(stand.clock.now_s()), 3),
            lambda device: device.set(297.0), lambda stand: stand.simulator.setpoint_k == 297.0, _reading, 1.8,
            lambda door: door.heat(0.0, 296.5, 0.0), reset=lambda stand: _warm_again(stand),
            settings={"limits": Limits(290.0, 320.0), "ramp": 1.5},
        ),
        Rig(
            "modbus_interlock", ("tcp",), lambda: Hutch(), lambda device: device.status(),
            lambda stand: _hutch(stand), lambda device: device.open_shutter(),
            lambda stand: bool(stand.simulator.coils[0]), lambda device: device.status(), 1000.0,
            lambda door: None, 0.05,            options={"watchdog_ms": 0}, settings={"options": {"watchdog_ms": 0}},
        ),
        Rig(
            "dectris_simplon", ("http",), Camera, lambda device: device.identify(),
            lambda stand: "Dectris EIGER2 CdTe 500K E-02-0500 1.8.0", _exposure,
            lambda stand: stand.simulator.frames >= 5, _armed, 1000.0, lambda door: None, options=ALL_IN_ONE,
            settings={"shape": SHAPE},
        ),
        Rig(
            "keithley_6487", ("serial", "tcp"), Beam, lambda device: _current(device),
            lambda stand: float(f"{stand.door.ampere:.6E}"), lambda device: _watched(device), lambda stand: True,
            lambda device: _current(device), 1000.0, lambda door: setattr(door, "ampere", 1.5e-6),
            reset=lambda stand: setattr(stand.door, "ampere", 1.04e-6),
            options={"noise_a": 0.0, "offset_a": 0.0}, settings={"options": {"range_a": 2e-6, "nplc": 0.1}},
        ),
        Rig(
            "spellman_xrv", ("serial", "tcp"), lambda: Tube(Rating(warning_s=0.2, ramp_kv_per_s=400.0), on_kv=40.0),
            _reading, lambda stand: _tube_kv(stand), lambda device: device.set(41.0),
            lambda stand: round(stand.door.setpoints(0.0)[0]) == 41, _reading, 1000.0,
            lambda door: setattr(door, "shift_kv", 5.0), reset=lambda stand: _lit_again(stand),
            settings={"limits": Limits(20.0, 100.0), "ramp": 1.0,
                      # A reconnect on a serial line is ten messages: with the manual's 150 ms between them, 1.5 s.
                      "options": {"ma": 10.0, "spacing_s": 0.02, "arrives_within_kv": 0.2, "warning_s": 1.0}},
        ),
        Rig(
            "ocean_hdx", ("tcp",), Optics, _reading, lambda stand: round(stand.door.kelvin, 3),
            lambda device: device.expose(0.25, 4), lambda stand: stand.simulator.exposures >= 5, _reading, 1.8,
            lambda door: door.warm(1.0), settings={"limits": Limits(0.006, 10.0), "options": {"lamp": "line"}},
        ),
    )
}  # fmt: skip


class _SerialLine(MemoryTransport):
    """Memory that behaves as a serial line: closing and opening it leaves late answers where they are."""

    reopening_cleans = False

    async def open(self) -> None:
        if self._session is None:
            await super().open()

    def close(self) -> None:
        pass


class _SerialLike:
    """Makes one such line."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer

    def byte(self, device: str, link: object, *, deadline_s: float = 2.0, serial: object = None) -> ByteLink:
        return ByteLink(_SerialLine(self._peer), device=device, address=f"memory:{device}", deadline_s=deadline_s)


def _warm_again(stand: Stand) -> None:
    stand.simulator.ramp_on, stand.simulator.setpoint_k = False, 295.0
    stand.door.heat(0.0, 295.0, 0.0)


def _hutch(stand: Stand) -> Any:
    from rocksalt.devices import EnclosureStatus

    is_open, is_closed = stand.door.shutter_switches(stand.clock.now_s())
    return EnclosureStatus(is_open, is_closed, stand.door.closed, True)


def _cabinet(stand: Stand) -> Any:
    from rocksalt.devices import EnclosureStatus

    is_open = stand.simulator.safety_open
    return EnclosureStatus(is_open, not is_open, stand.door["enclosure"].closed, True)


def rigs_of(driver: str) -> list[Rig]:
    """The rows of a driver; [] where it has none, which is failed."""
    return [rig for rig in RIGS.values() if rig.driver == driver]


ADDRESSES: Final = {"memory": "tcp://127.0.0.1:1", "tcp": "tcp://{}", "serial": "serial://{}", "http": "http://{}"}


@asynccontextmanager
async def stand_of(
    rig: Rig,
    wire: Wire,
    faults: Sequence[Fault],
    *,
    door: Any = None,
    seed: int = 0,
    like_serial: bool = False,
    between: Callable[[Any], Any] = lambda simulator: simulator,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> AsyncIterator[Stand]:
    """The rig's driver, not yet connected, on this wire; faults' times count from now.

    like_serial   in memory: a line that can't be made anew, as a serial one can't
    between       what else stands between simulator and faults
    options       of the simulator, over the rig's own
    """
    found = {group: {point.name: point for point in entry_points(group=f"rocksalt.{group}")} for group in
             ("drivers", "simulators")}  # fmt: skip
    loop: Any = asyncio.get_running_loop()
    clock = ExperimentClock(loop)
    begins = door is None
    door = rig.door() if door is None else door
    simulator = found["simulators"][rig.driver].load()(door, clock, options={**rig.options, **options})
    told: list[dict[str, Any]] = []
    plan = list(enumerate(faults))
    behind = between(simulator)
    line: Any
    if hasattr(simulator, "sockets"):
        line = tuple(FaultyLine(socket, Faults(plan, clock, Chance(seed), _nobody if number else told.append))
                     for number, socket in enumerate(behind.sockets))  # fmt: skip
    elif hasattr(simulator, "handle"):
        line = FaultyRequests(behind, Faults(plan, clock, Chance(seed), told.append))
    else:
        serial = wire == "serial" or like_serial
        line = FaultyLine(behind, Faults(plan, clock, Chance(seed), told.append), serial=serial)
    closers: list[Callable[[], None]] = []
    place = ""
    if wire == "tcp":
        servers, place = await serve_tcp_in_a_row(line if isinstance(line, tuple) else (line,))
        closers = [server.close for server in servers]
    elif wire == "http":
        server, place = await serve_http(line)
        closers = [server.close]
    elif wire == "serial":
        pty = ServedPty(line)
        place, closers = pty.path, [pty.close]
    link = "http://127.0.0.1:1" if wire == "memory" and "http" in rig.wires else ADDRESSES[wire].format(place)
    settings = Settings(parse_link(link), where="station.toml:1", **rig.settings)
    wires: Any = RealWires()
    if wire == "memory":
        wires = MemoryWires({rig.driver: line})
    if like_serial:
        wires = _SerialLike(line)
    device = found["drivers"][rig.driver].load()(rig.driver, settings, wires, clock)
    if hasattr(device, "margin_s"):
        device.margin_s, device.poll_s = rig.margin_s, 0.05
    stand = Stand(device, simulator, door, clock, line, told)
    if begins:
        rig.reset(stand)
    try:
        yield stand
    finally:
        await device.close()
        for close in closers:
            close()
        if wire != "memory":
            await asyncio.sleep(0.02)  # the server's tasks see that their clients are gone


def _tube_kv(stand: Stand) -> float:
    """What 12 bits over 1.2 times full scale make of the voltage."""
    bit_kv = 1.2 * 160.0 / 4095
    return round(round(stand.door.kv(stand.clock.now_s()) / bit_kv) * bit_kv, 3)


def _lit_again(stand: Stand) -> None:
    stand.door.restart()
    stand.simulator.latched.clear()
    stand.simulator.tripped = stand.simulator.local = False
