"""A small bench for each installed driver: what the conformance tests need to know of it, a few lines a driver.

A driver that the entry-point group `rocksalt.drivers` names and that has no bench here fails the first of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import numpy as np

from drivers.bench import settings
from drivers.doors import Beam, Gas, Heat, Hutch, Optics
from drivers.tube import Tube
from rocksalt.devices import DeviceError, GarbledReply, Settings, WrongInstrument
from rocksalt.devices.links import MemoryWires
from rocksalt.time import ExperimentClock
from rocksalt.twin.chamber.generator import Rating

NO_BENCH: Final = {"replay": "it reads files, and there is no instrument"}
"""Drivers without one, each with its reason."""


class Camera:
    """A sensor of 32 x 40 pixels in the dark."""

    shape = (32, 40)
    mask = np.zeros(shape, bool)

    def cutoff_counts(self, seconds: float) -> int:
        return 1_000_000

    def expose(self, start_s: float, seconds: float) -> np.ndarray[Any, Any]:
        return np.zeros(self.shape, np.uint32)

    def sent(self, *arguments: Any) -> None: ...


class Between:
    """What stands between a simulator and its driver, on bytes, on several sockets or on requests.

    sent      messages that the driver sent (on the first socket)
    silent    swallow every answer; delay_s: hold it up; alter: change it
    """

    def __init__(self, simulator: Any) -> None:
        self._simulator = simulator
        self.sent: list[Any] = []
        self.silent, self.delay_s = False, 0.0
        self.alter: Callable[[bytes], bytes] = lambda data: data

    @property
    def peer(self) -> Any:
        if hasattr(self._simulator, "sockets"):
            return tuple(_Peer(self, socket, number) for number, socket in enumerate(self._simulator.sockets))
        return self if hasattr(self._simulator, "handle") else _Peer(self, self._simulator, 0)

    async def handle(self, request: Any) -> Any:
        self.sent.append(request)
        if self.silent:
            await asyncio.Event().wait()
        answer = await self._simulator.handle(request)
        await asyncio.sleep(self.delay_s)
        return replace(answer, body=self.alter(answer.body))


class _Peer:
    """One line or socket."""

    def __init__(self, between: Between, simulator: Any, number: int) -> None:
        self._between, self._simulator, self._number = between, simulator, number

    def accept(self, send: Callable[[bytes], None]) -> Any:
        between, number = self._between, self._number
        loop = asyncio.get_running_loop()
        free_s = 0.0

        def answer(data: bytes) -> None:
            nonlocal free_s
            if between.silent:
                return
            free_s = max(free_s + 1e-6, loop.time() + between.delay_s)  # timers of one time have no order
            loop.call_at(free_s, send, between.alter(data))

        session = self._simulator.accept(answer)

        class Wire:
            def receive(self, data: bytes) -> None:
                if number == 0:
                    between.sent.append(data)
                session.receive(data)

            def closed(self) -> None:
                session.closed()

        return Wire()


@dataclass(frozen=True)
class Bench:
    """One driver, or one part of an instrument of many.

    door       the small world behind the simulator; options: the simulator's
    settings   the device's, as a station file would have them
    inside, beyond   Settable: a target to go to, and one outside the limits
    shift      lets the world move while the link is lost; shifted: the first of what the device then reads
    disorder   leaves the front panel as somebody else would; in_order: whether connecting put it right
    named      instead of in_order where only a person may put it right: a call that must be Refused
    stranger   what another instrument would answer, made of a true answer; refused_as: how that is refused
    """

    driver: str
    door: Callable[[], Any]
    settings: Callable[[], Settings] = settings
    part: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    inside: float = 0.0
    beyond: float = 0.0
    shift: Callable[[Any], Any] = lambda simulator: None
    shifted: tuple[float, ...] = ()
    disorder: Callable[[Any], Any] | None = None
    in_order: Callable[[Any], bool] = lambda simulator: True
    named: Callable[[Any], Any] | None = None
    stranger: Callable[[bytes], bytes] = lambda data: data
    refused_as: type[DeviceError] = WrongInstrument

    @property
    def name(self) -> str:
        return f"{self.driver} {self.part}".strip()

    @property
    def kind(self) -> type[Any]:
        """The driver's class, of this part."""
        return type(self.on(None)[0])

    def on(self, loop: Any) -> tuple[Any, Between, Any]:
        """Device, not yet connected; what stands between; simulator."""
        found = {group: {point.name: point for point in entry_points(group=f"rocksalt.{group}")} for group in
                 ("drivers", "simulators")}  # fmt: skip
        clock: Any = ExperimentClock(loop, wall_now=loop.wall_now) if loop else _Standing()
        simulator = found["simulators"][self.driver].load()(self.door(), clock, options=dict(self.options))
        between = Between(simulator)
        wires = MemoryWires({self.driver: between.peer})
        return found["drivers"][self.driver].load()(self.driver, self.settings(), wires, clock), between, simulator


class _Standing:
    """A clock for a device that is made to be looked at."""

    speed = 1.0

    def now_s(self) -> float:
        return 0.0


def _words(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new)


def _leave(simulator: Any, **state: Any) -> None:
    for name, value in state.items():
        setattr(simulator, name, value)


def _another_map(data: bytes) -> bytes:
    """Modbus has no identity: another instrument's registers are no state of the map."""
    return data[:9] + b"\0\x09" + data[11:] if data[7] == 4 else data


def _another_product(data: bytes) -> bytes:
    """The product's number, where a reply of the spectrometer holds it."""
    return data[:24] + b"\x05" + data[25:] if data[8:12] == b"\x01\x0e\0\0" else data


def _detector_keys(simulator: Any, **keys: Any) -> None:
    for name, value in keys.items():
        simulator._detector[name].value = value


def _bruker(part: str, shift: Callable[[Any], Any], shifted: tuple[float, ...], **more: Any) -> Bench:
    setting = {"lower": float("-inf"), "upper": float("inf"), "ramp": None, "link": "tcp://127.0.0.1:49153",
               **more.pop("setting", {})}  # fmt: skip
    shape = Camera.shape if part == "detector" else None
    return Bench(
        "bruker_bis", lambda: {"camera": Camera(), "enclosure": Hutch(), "thermal": Heat()},
        lambda: replace(settings(part=part, **setting), shape=shape), part, shift=shift, shifted=shifted,
        stranger=_words(b"[", b"<"), **more,
    )  # fmt: skip


BENCHES: Final = [
    Bench(
        "druck_pace", Gas, inside=10.0, beyond=500.0,
        shift=lambda pace: pace.door.ramp(0.0, 12.5, 1e9), shifted=(12.5,),
        disorder=lambda pace: _leave(pace, unit="PSI", mode="MAX", overshoot=True),
        in_order=lambda pace: (pace.unit, pace.mode[:3], pace.overshoot) == ("BAR", "LIN", False),
        stranger=_words(b"GE Druck,Pace5000", b"Mensor,CPC6000"),
    ),
    Bench(
        "lakeshore_336", Heat, lambda: settings(320.0, lower=290.0), inside=300.0, beyond=500.0,
        shift=lambda box: box.door.heat(0.0, 296.5, 0.0), shifted=(296.5,),
        disorder=lambda box: box.mode.update({"1": [3, 2, 1]}), in_order=lambda box: box.mode["1"] == [1, 1, 0],
        stranger=_words(b"LSCI,MODEL336", b"Cryo-con,24C"),
    ),
    Bench(
        "modbus_interlock", Hutch, shift=lambda box: box.door.set_door(0.0, False), shifted=(0.0, 0.0),
        disorder=lambda box: box.holdings.__setitem__(1, 0), in_order=lambda box: box.holdings[1] == 2000,
        stranger=_another_map, refused_as=GarbledReply,
    ),
    Bench(
        "dectris_simplon", Camera, lambda: replace(settings(link="http://127.0.0.1:1"), shape=Camera.shape),
        shift=lambda dcu: dcu.power_cycle(),
        disorder=lambda dcu: _detector_keys(dcu, trigger_mode="exts", roi_mode="4M", test_image_mode="value"),
        in_order=lambda dcu: dcu._detector["trigger_mode"].value == "ints"
        and dcu._detector["roi_mode"].value == "disabled" and dcu._detector["test_image_mode"].value == "",
        stranger=_words(b"EIGER2", b"MARCCD"), options={"early_reply": True, "initialize_s": 0.0},
    ),
    Bench(
        "keithley_6487", Beam, lambda: settings(range_a=2e-6, nplc=0.1),
        options={"noise_a": 0.0, "offset_a": 0.0},
        shift=lambda meter: _leave(meter.door, ampere=1.5e-6), shifted=(1.5e-6,),
        disorder=lambda meter: _leave(meter, zero_check=True, null_a=1e-6, elements=("UNIT",)),
        in_order=lambda meter: not meter.zero_check and meter.elements == ("READ", "UNIT", "TIME", "STAT"),
        stranger=_words(b"MODEL 6487", b"MODEL 2400"),
    ),
    Bench(
        "spellman_xrv", lambda: Tube(Rating(warning_s=0.2, ramp_kv_per_s=400.0), on_kv=40.0),
        lambda: settings(100.0, lower=20.0, ramp=1.0, ma=10.0, arrives_within_kv=0.2, warning_s=1.0, identity="XRV160"),
        inside=45.0, beyond=500.0, shift=lambda box: _leave(box.door, shift_kv=5.0), shifted=(45.0,),
        disorder=lambda box: _leave(box, local=True), in_order=lambda box: not box.local,
        stranger=_words(b"XRV160", b"DXM100"),
    ),
    Bench(
        "ocean_hdx", Optics, lambda: settings(10.0), shift=lambda box: box.sensor.warm(1.0), shifted=(301.0,),
        disorder=lambda box: _leave(box, trigger=3, averages=7, boxcar=2),
        in_order=lambda box: (box.trigger, box.averages, box.boxcar) == (0, 1, 0), stranger=_another_product,
    ),
    _bruker("omega", lambda bis: bis._at.update(OMEGA=7.0), (7.0,), inside=5.0, beyond=500.0,
            setting={"upper": 60.0, "lower": -30.0},
            disorder=lambda bis: _leave(bis, mode=1), named=lambda device: device.set(5.0)),
    _bruker("kv", lambda bis: _leave(bis, kv=42.0), (42.0,), inside=40.0, beyond=60.0,
            setting={"upper": 45.0, "lower": 20.0, "safe": "stay"}),
    _bruker("temperature", lambda bis: bis.thermal.heat(0.0, 296.5, 0.0), (296.5,), inside=310.0, beyond=500.0,
            setting={"upper": 350.0, "lower": 90.0}),
    _bruker("shutter", lambda bis: bis.enclosure.set_door(0.0, False), (0.0, 0.0)),
    _bruker("detector", lambda bis: None, (), setting={"frames_dir": str(Path(__file__).parent)},
            disorder=lambda bis: _leave(bis, mode=2), named=lambda device: device.arm(1.0, 1)),
]  # fmt: skip
"""One driver, one entry; a part of an instrument of many has its own."""
