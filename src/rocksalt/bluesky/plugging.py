"""A station's devices on a RunEngine's loop: connected, wrapped, watched, and let go of in a safe state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rocksalt.bluesky.detector import WrappedDetector
from rocksalt.bluesky.shutter import WrappedEnclosure
from rocksalt.bluesky.wrapped import Wrapped, WrappedReadable, WrappedSettable
from rocksalt.config.errors import ConfigError, shown
from rocksalt.config.hints import did_you_mean
from rocksalt.config.reading import read_station
from rocksalt.config.source import Read
from rocksalt.config.station import Station
from rocksalt.daemon.run import BEAT_S, NotThere, make_devices
from rocksalt.daemon.station_lock import station_lock
from rocksalt.devices import Detector, Device, DeviceError, Enclosure, Readable, Settable
from rocksalt.devices.links import RealWires
from rocksalt.devices.supervision import Supervisor
from rocksalt.time import ExperimentClock
from rocksalt.values import Reading

T = TypeVar("T")
Plugged = dict[str, Any]
"""Device's name -> the wrapped device."""
log = logging.getLogger("rocksalt.bluesky")


class Engine(Protocol):
    """What is asked of a RunEngine: the loop that it runs in a thread of its own."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...


def wrap(device: Device, folder: Path | str | None = None) -> Wrapped[Any]:
    """What a RunEngine expects of this device. Its links must live on the RunEngine's loop: `station` sees to that.

    folder   a detector's frames go to FOLDER/frames; asked for with a detector, and with nothing else

    Raises TypeError for a device that nothing can be made of, ValueError where a detector has no folder.
    """
    match device:
        case Detector():
            if folder is None:
                raise ValueError(f"{device.name} is a detector: wrap(device, folder) says where its frames go")
            return WrappedDetector(device, Path(folder))
        case Enclosure():
            return WrappedEnclosure(device)
        case Settable():
            return WrappedSettable(device)
        case Readable():
            return WrappedReadable(device)
    raise TypeError(f"{device.name} ({type(device).__name__}) can neither be read nor set, nor does it take frames")


@contextmanager
def station(
    file: Path | str, engine: Engine, *, data: Path | str = "data", only: Collection[str] = (), speed: float = 1.0
) -> Iterator[Plugged]:
    """The devices of a station file, connected on the RunEngine's loop and wrapped, by name.

    data    a detector's frames go to DATA/NAME/frames
    only    names of the devices that are wanted; all of them, if none is named
    speed   experiment seconds a second, as the simulators were told; real instruments have 1

    While it lasts, the instruments' addresses are locked against other runs, the interlock's watchdog is refreshed, and
    a link that was lost is brought back. At its end, however it comes, series are broken off, writers end, moves are
    stopped and the shutter is closed; set-points are held.

    Raises ConfigError, StationBusy, NotThere (with what each device said), ValueError.
    """
    read = _chosen(read_station(Path(file)), only)
    if speed != 1.0 and read.value.twin is None:
        raise ValueError(f"speed {speed:g}: {file} has no table [twin], and real instruments run at their own speed")
    with station_lock(read, "a Bluesky session", only=list(read.value.devices)):
        session = _Session(read, Path(data), speed)
        try:
            _on(engine, session.begin())
            yield session.wrapped
        finally:
            _to_the_end(engine, session.end())


def _on(engine: Engine, work: Coroutine[Any, Any, T]) -> T:
    """Have it done on the RunEngine's loop, and wait. A Ctrl-C meanwhile breaks it off."""
    future = asyncio.run_coroutine_threadsafe(work, engine.loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _to_the_end(engine: Engine, work: Coroutine[Any, Any, None]) -> None:
    """Have it done, and wait, whatever a person types meanwhile: every exchange in it has its deadline."""
    future = asyncio.run_coroutine_threadsafe(work, engine.loop)
    impatient = False
    while True:
        try:
            future.result()
            break
        except KeyboardInterrupt:
            impatient = True
    if impatient:
        raise KeyboardInterrupt


def _chosen(station: Read[Station], only: Collection[str]) -> Read[Station]:
    """The station with the devices that are wanted. Raises ConfigError."""
    devices = station.value.devices
    for name in only:
        if name not in devices:
            hint = did_you_mean(name, devices)
            raise ConfigError([station.source.problem("devices", f"this station has no device {shown(name)}", hint)])
    wanted = {name: device for name, device in devices.items() if not only or name in only}
    return Read(station.value.model_copy(update={"devices": wanted}), station.source)


def _drivers(station: Read[Station]) -> dict[str, type[Device]]:
    points = {point.name: point for point in entry_points(group="rocksalt.drivers")}
    for name, device in station.value.devices.items():
        if device.driver not in points:
            key, rule = ("devices", name, "driver"), "no driver of this name is installed"
            hint = did_you_mean(device.driver, list(points))
            raise ConfigError([station.source.problem(key, rule, hint, shown(device.driver))])
    return {device.driver: points[device.driver].load() for device in station.value.devices.values()}


class _Session:
    """Devices between `begin` and `end`, both on the RunEngine's loop."""

    def __init__(self, station: Read[Station], data: Path, speed: float) -> None:
        self.wrapped: Plugged = {}
        self._station, self._data, self._speed = station, data, speed
        self._drivers = _drivers(station)
        self._devices: dict[str, Device] = {}
        self._supervisor: Supervisor | None = None
        self._heart: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._devices = make_devices(self._station, self._drivers, RealWires(), ExperimentClock(loop, self._speed))
        for name, device in self._devices.items():
            self.wrapped[name] = wrap(device, self._data / name if isinstance(device, Detector) else None)
        outcomes = await asyncio.gather(
            *(device.connect() for device in self._devices.values()), return_exceptions=True
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failures:
            for failure in failures:
                if not isinstance(failure, DeviceError):
                    raise failure
            raise NotThere("; ".join(str(failure) for failure in failures))
        self._supervisor = Supervisor(self._devices.values(), self._lost, self._back)
        self._supervisor.start()
        await self._beat_once()  # an interlock that nobody watched has its watchdog run out, and lets no plan open
        self._heart = loop.create_task(self._beat(), name="heartbeat to the interlock")

    async def end(self) -> None:
        """Everything is tried whatever fails; what failed is logged, since the plan's own error must not be hidden."""
        for name, wrapped in self.wrapped.items():
            if self._devices[name].state != "connected" and not isinstance(wrapped, WrappedDetector):
                continue
            try:
                await wrapped.end()
            except Exception as error:
                log.error("%s", error)
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.wait([self._heart])
        if self._supervisor is not None:
            self._supervisor.stop()
        for device in self._devices.values():
            await device.close()

    async def _beat(self) -> None:
        """Refresh the interlock's watchdog: with this program dead or hung, hardware closes the shutter by itself."""
        while True:
            await asyncio.sleep(BEAT_S)
            await self._beat_once()

    async def _beat_once(self) -> None:
        for device in self._devices.values():
            if isinstance(device, Enclosure) and device.state == "connected":
                with suppress(DeviceError):  # a lost link is the supervisor's business
                    await device.beat()

    @staticmethod
    def _lost(device: Device, why: str) -> None:
        log.warning("%s is disconnected: %s", device.name, why)

    @staticmethod
    def _back(device: Device, readings: tuple[Reading, ...]) -> None:
        values = ", ".join(f"{reading.name} {reading.value:g}" for reading in readings)
        log.warning("%s is back: %s", device.name, values or device.identified)
