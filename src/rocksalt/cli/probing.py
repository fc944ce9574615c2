"""`rocksalt devices` and `rocksalt device`: talk to the instruments of a station, one command at a time.

Outside a run, through the same drivers, limits and writer.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from rocksalt.cli.answers import Usage
from rocksalt.cli.files import refuse_speed
from rocksalt.config.errors import ConfigError, Problem, shown
from rocksalt.config.hints import did_you_mean
from rocksalt.config.reading import read_station
from rocksalt.config.source import Read
from rocksalt.config.station import Station
from rocksalt.daemon.processes import ChildFailed
from rocksalt.daemon.run import make_devices
from rocksalt.daemon.station_lock import StationBusy, station_lock
from rocksalt.daemon.stopping import Stopping
from rocksalt.devices import Detector, Device, DeviceError, Enclosure, LinkLost, Readable, Settable
from rocksalt.devices.links import RealWires
from rocksalt.messages import Channel, ChannelClosed
from rocksalt.time import Clock, ExperimentClock
from rocksalt.values import Reading

Result = dict[str, Any]
T = TypeVar("T")


def probe(station_file: Path, stopping: Stopping) -> tuple[list[Result], int]:
    """Connect to every instrument, one after the other. Returns what each said, and the exit status."""
    station = read_station(station_file)

    async def work() -> list[Result]:
        results: list[Result] = []
        for device in _devices(station, ExperimentClock(asyncio.get_running_loop())).values():
            result: Result = {"device": device.name}
            try:
                with station_lock(station, "rocksalt devices", only=(device.name,)):
                    await _connect(device, station)
                    result["identity"] = device.identified
            except (DeviceError, StationBusy, NoAnswer) as error:
                result["error"] = str(error)
            finally:
                await device.close()
            results.append(result)
        return results

    results = asyncio.run(_stoppable(work(), stopping))
    return results, 1 if any("error" in result for result in results) else 0


def do(
    station_file: Path,
    name: str,
    verb: str,
    *,
    value: str | None,
    frames: int,
    exposure_s: float,
    out: Path | None,
    speed: float,
    stopping: Stopping,
) -> tuple[Result, int]:
    """One command to one instrument. Returns what is printed, and the exit status.

    `stop` and `safe` are for everybody at any time; the other verbs ask for an instrument that no run is using.
    Raises Usage, ConfigError, StationBusy, DeviceError, Interrupted.
    """
    refuse_speed(speed)
    if value is not None and verb != "set":
        raise Usage(f"{verb} takes no value, and {value!r} was given")
    if not (math.isfinite(exposure_s) and exposure_s > 0):
        raise Usage(f"--exposure-s {exposure_s:g}: a frame is exposed for a positive number of seconds")
    station = read_station(station_file)
    if name not in station.value.devices:
        hint = did_you_mean(name, station.value.devices)
        raise ConfigError([station.source.problem("devices", f"this station has no device {shown(name)}", hint)])

    async def work() -> tuple[Result, int]:
        clock = ExperimentClock(asyncio.get_running_loop(), speed)
        device = _devices(station, clock)[name]
        with _held(station, name, verb):
            try:
                if verb == "expose":
                    return await _expose(device, station, clock, frames=frames, exposure_s=exposure_s, out=out)
                if verb == "set":
                    return await _set(device, station, value), 0
                await _connect(device, station)
                return await _VERBS[verb](device), 0
            finally:
                await device.close()

    return asyncio.run(_stoppable(work(), stopping))


def _held(station: Read[Station], name: str, verb: str) -> AbstractContextManager[None]:
    if verb in ("stop", "safe"):
        return nullcontext()
    return station_lock(station, f"rocksalt device {name} {verb}", only=(name,))


class Interrupted(RuntimeError):
    """A person broke the command off; what moved was stopped."""


async def _stoppable(work: Coroutine[Any, Any, T], stopping: Stopping) -> T:
    """Await `work`, and cancel it when a person wishes to stop."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    stopping.obeyed_by(lambda why: loop.call_soon_threadsafe(task.cancel))
    try:
        return await task
    except asyncio.CancelledError:
        if not stopping.why:
            raise
        raise Interrupted(stopping.why) from None
    finally:
        stopping.obeyed_by(None)


def _devices(station: Read[Station], clock: Clock) -> dict[str, Device]:
    wanted = {device.driver for device in station.value.devices.values()}
    drivers = {point.name: point.load() for point in entry_points(group="rocksalt.drivers") if point.name in wanted}
    if unknown := [
        _no_driver(station, name) for name, device in station.value.devices.items() if device.driver not in drivers
    ]:
        raise ConfigError(unknown)
    return make_devices(station, drivers, RealWires(), clock)


def _no_driver(station: Read[Station], name: str) -> Problem:
    driver = station.value.devices[name].driver
    known = [point.name for point in entry_points(group="rocksalt.drivers")]
    return station.source.problem(
        ("devices", name, "driver"), "no driver of this name is installed", did_you_mean(driver, known), shown(driver)
    )


class NoAnswer(RuntimeError):
    """An instrument that can't be reached, with the place of its address."""


async def _connect(device: Device, station: Read[Station]) -> None:
    try:
        await device.connect()
    except LinkLost as error:
        link = station.value.devices[device.name].link
        problem = station.source.problem(
            ("devices", device.name, "link"),
            str(error),
            "is it switched on, and is this its address? simulated instruments are started by rocksalt simulate",
            shown(str(link)),
        )
        raise NoAnswer(str(problem)) from error


async def _identify(device: Device) -> Result:
    return {"device": device.name, "identity": device.identified}


async def _read(device: Device) -> Result:
    if not isinstance(device, Readable | Enclosure):
        raise Usage(f"{device.name} has nothing to read")
    readings = await device.readings()
    if isinstance(device, Readable):
        return _told(device, readings[0])
    return {"device": device.name, **{reading.name: reading.value for reading in readings}, "state": device.state}


async def _set(device: Device, station: Read[Station], value: str | None) -> Result:
    """What can be refused is refused before the instrument hears of it; a move that is broken off is stopped."""
    if isinstance(device, Enclosure):
        if value not in ("open", "closed"):
            raise Usage(f"{device.name} can be set to open or closed, not to {value!r}")
        await _connect(device, station)
        await (device.open_shutter() if value == "open" else device.close_shutter())
        return await _read(device)
    if not isinstance(device, Settable):
        raise Usage(f"{device.name} can't be set")
    try:
        target = float(value or "")
    except ValueError:
        what = "nothing" if value is None else repr(value)
        raise Usage(f"set {device.name} to a number in {device.unit}; {what} was given") from None
    device.settings.limits.check(device.name, target, device.unit)
    await _connect(device, station)
    try:
        await device.set(target)
    except asyncio.CancelledError:
        await device.stop()
        raise
    return _told(device, await device.read())


async def _stop(device: Device) -> Result:
    await device.stop()
    return {"device": device.name, "state": "stopped"}


async def _safe(device: Device) -> Result:
    await device.make_safe()
    return {"device": device.name, "state": "safe"}


_VERBS: dict[str, Callable[[Device], Awaitable[Result]]] = {
    "identify": _identify,
    "read": _read,
    "stop": _stop,
    "safe": _safe,
}


def _told(device: Device, reading: Reading) -> Result:
    return {
        "device": device.name,
        "value": reading.value,
        "unit": reading.unit,
        "state": device.state,
        "at_s": round(reading.at_s, 6),
    }


async def _expose(
    device: Device, station: Read[Station], clock: Clock, *, frames: int, exposure_s: float, out: Path | None
) -> tuple[Result, int]:
    """Expose through the same writer that a run has: its own process, every frame counted."""
    from rocksalt.daemon.processes import child

    if not isinstance(device, Detector):
        raise Usage(f"{device.name} is no detector: only a detector can expose")
    if out is None:
        raise Usage("expose needs --out, the folder for the frames")
    folder = out.resolve()
    config = station.value.devices[device.name]
    assert config.shape is not None
    await _connect(device, station)  # before anything is made
    made = [folder / name for name in ("frames", "logs")]
    try:
        for inside in made:
            inside.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Usage(f"--out {out}: no folder can be made there ({error.strerror}); choose another") from None
    arguments = [
        "--stream", str(config.stream), "--folder", str(folder), "--decoder", type(device).stream_decoder,
        "--stream-version", str(config.stream_version), "--shape", *map(str, config.shape),
        "--speed", str(clock.speed),
    ]  # fmt: skip
    async with child("writer", "rocksalt.storage.writer", arguments, folder / "logs") as writer:
        armed = await device.arm(exposure_s, frames)
        try:
            await writer.channel.send(
                {"kind": "series", "series": armed.series, "measurement": 0, "first_number": 0, "count": frames,
                 "exposure_s": exposure_s}
            )  # fmt: skip
            await device.trigger(exposure_s, frames)
            counted = await _counted(writer.channel, armed.series, exposure_s * frames / clock.speed + 10.0)
        except asyncio.CancelledError:
            await device.make_safe()
            raise
        except ChannelClosed:
            raise ChildFailed(f"the writer process is gone; its last words: {folder / 'logs' / 'writer.log'}") from None
    missing: list[int] = counted["missing"]
    result: Result = {
        "device": device.name,
        "frames": counted["written"],
        "lost": counted["taken"] - counted["written"],
    }
    if missing:
        result["missing"] = missing
    result["files"] = [str(folder / file) for file in counted["files"]]
    if counted["troubles"]:
        result["troubles"] = counted["troubles"]
    return result, 1 if missing else 0


async def _counted(channel: Channel, series: int, timeout_s: float) -> dict[str, Any]:
    """What the writer counted of a series, its files closed. Raises ChannelClosed."""
    files: list[str] = []
    troubles: list[str] = []
    count: dict[str, Any] | None = None
    while True:
        try:
            async with asyncio.timeout(timeout_s):
                message = await channel.receive()
        except TimeoutError:  # the end of the series was lost on its way: the writer counts what it has
            await channel.send({"kind": "series_timeout", "series": series})
            continue
        match message["kind"]:
            case "frame" if message["file"] not in files:
                files.append(message["file"])
            case "trouble":
                troubles.append(message["what"])
            case "series_end" if message["series"] == series:
                count = message
                await channel.send({"kind": "finish"})
            case "finished" if count is not None:
                return {**count, "files": files, "troubles": troubles}
