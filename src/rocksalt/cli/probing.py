"""`rocksalt devices` and `rocksalt device`: talk to the instruments of a station, one command at a time.

Outside a run, through the same drivers, limits and writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from rocksalt.cli.answers import Usage
from rocksalt.config.reading import read_station
from rocksalt.config.source import Read
from rocksalt.config.station import Station
from rocksalt.daemon.run import make_devices
from rocksalt.devices import Detector, Device, DeviceError, Enclosure, Readable, Settable
from rocksalt.devices.links import RealWires
from rocksalt.time import Clock, ExperimentClock
from rocksalt.values import Reading

Result = dict[str, Any]


def probe(station_file: Path) -> tuple[list[Result], int]:
    """Connect to every instrument, one after the other. Returns what each said, and the exit status."""
    station = read_station(station_file)

    async def work() -> list[Result]:
        results: list[Result] = []
        for device in _devices(station, ExperimentClock(asyncio.get_running_loop())).values():
            result: Result = {"device": device.name}
            try:
                await device.connect()
                result["identity"] = device.identified
            except DeviceError as error:
                result["error"] = str(error)
            finally:
                await device.close()
            results.append(result)
        return results

    results = asyncio.run(work())
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
) -> tuple[Result, int]:
    """One command to one instrument. Returns what is printed, and the exit status.

    Raises Usage, ConfigError, DeviceError.
    """
    station = read_station(station_file)
    if name not in station.value.devices:
        raise Usage(f"{station_file} has no device {name!r}; it has {', '.join(station.value.devices)}")

    async def work() -> tuple[Result, int]:
        clock = ExperimentClock(asyncio.get_running_loop(), speed)
        device = _devices(station, clock)[name]
        try:
            if verb != "expose":
                await device.connect()
                return await _VERBS[verb](device, value), 0
            if not isinstance(device, Detector):
                raise Usage(f"{name} is no detector: only a detector can expose")
            return await _expose(device, station, clock, frames=frames, exposure_s=exposure_s, out=out)
        finally:
            await device.close()

    return asyncio.run(work())


def _devices(station: Read[Station], clock: Clock) -> dict[str, Device]:
    wanted = {device.driver for device in station.value.devices.values()}
    drivers = {point.name: point.load() for point in entry_points(group="rocksalt.drivers") if point.name in wanted}
    if unknown := wanted - set(drivers):
        raise Usage(f"no driver {', '.join(sorted(unknown))} is installed")
    return make_devices(station, drivers, RealWires(), clock)


async def _identify(device: Device, value: str | None) -> Result:
    return {"device": device.name, "identity": device.identified}


async def _read(device: Device, value: str | None) -> Result:
    if not isinstance(device, Readable | Enclosure):
        raise Usage(f"{device.name} has nothing to read")
    readings = await device.readings()
    if isinstance(device, Readable):
        return _told(device, readings[0])
    return {"device": device.name, **{reading.name: reading.value for reading in readings}, "state": device.state}


async def _set(device: Device, value: str | None) -> Result:
    if isinstance(device, Enclosure) and value in ("open", "closed"):
        await (device.open_shutter() if value == "open" else device.close_shutter())
        return await _read(device, None)
    if not isinstance(device, Settable):
        raise Usage(
            f"{device.name} can't be set" + (" to anything but open or closed" if isinstance(device, Enclosure) else "")
        )
    try:
        target = float(value or "")
    except ValueError:
        raise Usage(f"{value!r} is no number: set {device.name} to a value in {device.unit}") from None
    await device.set(target)
    return _told(device, await device.read())


async def _stop(device: Device, value: str | None) -> Result:
    await device.stop()
    return {"device": device.name, "state": "stopped"}


async def _safe(device: Device, value: str | None) -> Result:
    await device.make_safe()
    return {"device": device.name, "state": "safe"}


_VERBS: dict[str, Callable[[Device, str | None], Awaitable[Result]]] = {
    "identify": _identify,
    "read": _read,
    "set": _set,
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
    device: Detector, station: Read[Station], clock: Clock, *, frames: int, exposure_s: float, out: Path | None
) -> tuple[Result, int]:
    """Expose through the same writer that a run has: its own process, every frame counted."""
    from rocksalt.daemon.processes import child, socket_folder

    if out is None:
        raise Usage("expose needs --out, the folder for the frames")
    folder = out.resolve()
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    config = station.value.devices[device.name]
    assert config.shape is not None
    async with AsyncExitStack() as stack:
        sockets = await stack.enter_async_context(socket_folder())
        arguments = [
            "--stream", str(config.stream), "--folder", str(folder), "--decoder", type(device).stream_decoder,
            "--stream-version", str(config.stream_version), "--shape", *map(str, config.shape),
            "--speed", str(clock.speed),
        ]  # fmt: skip
        writer = await stack.enter_async_context(
            child("writer", "rocksalt.storage.writer", arguments, sockets, folder / "logs")
        )
        await device.connect()
        armed = await device.arm(exposure_s, frames)
        await writer.channel.send(
            {"kind": "series", "series": armed.series, "measurement": 0, "first_number": 0, "count": frames,
             "exposure_s": exposure_s}
        )  # fmt: skip
        await device.trigger(exposure_s, frames)
        files: list[str] = []
        timeout_s = exposure_s * frames / clock.speed + 10.0
        missing: list[int] | None = None
        while missing is None:
            try:
                async with asyncio.timeout(timeout_s):
                    message = await writer.channel.receive()
            except TimeoutError:
                await writer.channel.send({"kind": "series_timeout", "series": armed.series})
                continue
            if message["kind"] == "frame" and message["file"] not in files:
                files.append(message["file"])
            elif message["kind"] == "series_end" and message["series"] == armed.series:
                missing = message["missing"]
        await writer.channel.send({"kind": "finish"})
        while (await writer.channel.receive())["kind"] != "finished":
            pass
    result: Result = {"device": device.name, "frames": frames - len(missing), "lost": len(missing)}
    if missing:
        result["missing"] = missing
    result["files"] = [str(folder / file) for file in files]
    return result, 1 if missing else 0
