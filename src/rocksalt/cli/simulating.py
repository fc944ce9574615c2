"""One twin, a simulator for each device of a station, each on its real wire or in memory.

Simulators are found through the entry-point group `rocksalt.simulators`, under their drivers' names.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from rocksalt.cli.faults import Schedule
from rocksalt.config.errors import ConfigError
from rocksalt.config.source import Read
from rocksalt.config.station import SHARING_DRIVERS, Device, Station
from rocksalt.time import Chance, Clock, Node
from rocksalt.twin.wire.faults import Fault, Faults, FaultyLine, FaultyRequests
from rocksalt.twin.wire.hosting import InMemory, ServedPty, ServedStream, serve_http, serve_tcp, serve_tcp_in_a_row
from rocksalt.twin.world import World, world_from_station


class NoSimulator(ValueError):
    """A device that nothing can play."""


def make_world(station: Read[Station], *, twin_seed: int, truth: Path | None) -> World:
    """The twin that the station file asks for."""
    value = station.value
    shapes = [device.shape for device in value.devices.values() if device.shape is not None]
    if value.twin is None:
        rule = "the simulators have nothing to play: this station has no table [twin]"
        raise ConfigError([station.source.problem("twin", rule, 'add one, for instance [twin] with sample = "KBr"')])
    if not shapes:
        raise NoSimulator(f"{station.source.path} has no detector with a shape: the twin has nothing to draw on")
    try:
        return world_from_station(
            dict(value.twin),
            value.beam.model_dump(),
            shapes[0],
            poni_text(station),
            value.load_curve.model_dump(),
            twin_seed,
            truth,
        )
    except ValueError as error:
        raise ConfigError([station.source.problem("twin", str(error).removeprefix("[twin] "))]) from error


def poni_text(station: Read[Station]) -> str:
    """The calibration beside the station file. Raises OSError."""
    return (Path(station.source.path).parent / station.value.geometry.poni).read_text(encoding="utf-8")


def make_simulators(
    station: Station,
    world: World,
    clock: Clock,
    *,
    only: Iterable[str] = (),
    extra_options: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """A simulator for each device, by the device's name; parts of one instrument share one. Raises NoSimulator."""
    players = {point.name: point for point in entry_points(group="rocksalt.simulators")}
    wanted = set(only) or set(station.devices)
    if unknown := wanted - set(station.devices):
        raise NoSimulator(
            f"--only {', '.join(sorted(unknown))}: there is no such device in the station; "
            f"it has {', '.join(station.devices)}"
        )
    made: dict[str, Any] = {}
    shared: dict[tuple[str, str], Any] = {}
    for name, device in station.devices.items():
        if name not in wanted:
            continue
        if device.driver not in players:
            raise NoSimulator(f"{name}: there is no simulator for the driver {device.driver}")
        player = players[device.driver].load()
        if device.driver not in SHARING_DRIVERS:
            options = _options(name, device, extra_options)
            try:
                made[name] = player(_doors(world, player.stands_at, options), clock, options=options)
            except ValueError as error:
                raise NoSimulator(f"{name}: {error}") from error
            continue
        instrument = (device.driver, str(device.link))
        if instrument not in shared:
            parts = [part for part, other in station.devices.items() if (other.driver, str(other.link)) == instrument]
            options = {
                key: value
                for part in parts
                for key, value in _options(part, station.devices[part], extra_options).items()
            }
            shared[instrument] = player(_doors(world, player.stands_at, options), clock, options=options)
        made[name] = shared[instrument]
    return made


def _options(name: str, device: Device, extra: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Any]:
    return {**device.options, **(extra or {}).get(name, {})}


def _doors(world: World, stands_at: str | tuple[str, ...] | Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Where a simulator stands, as it says itself: a laboratory's own needs no line of ours.

    One of the twin's doors by name; several, by name, for an instrument with hands in more than one room; or, where
    that depends on what it looks at, a function of the device's options that says either.
    """
    named = stands_at(options) if callable(stands_at) else stands_at
    if isinstance(named, str):
        return getattr(world, named)
    return {name: getattr(world, name) for name in named}


def in_memory(simulators: Mapping[str, Any], node: Node) -> dict[str, Any]:
    """The simulators, as peers of memory links; one with several sockets is as many peers."""
    doors: dict[int, Any] = {}  # parts of one instrument go through the same doors
    for simulator in simulators.values():
        if id(simulator) not in doors:
            sockets = getattr(simulator, "sockets", None)
            doors[id(simulator)] = (
                InMemory(simulator, node) if sockets is None else tuple(InMemory(socket, node) for socket in sockets)
            )
    return {name: doors[id(simulator)] for name, simulator in simulators.items()}


@dataclass(frozen=True, slots=True)
class Sockets:
    """An instrument with several sockets."""

    sockets: tuple[Any, ...]


def with_faults(
    simulators: Mapping[str, Any],
    schedule: Schedule,
    station: Station,
    world: World,
    clock: Clock,
    *,
    seed: int,
    virtual: bool = False,
) -> dict[str, Any]:
    """The simulators, those with faults behind them. Call it on the running loop, in the twin's node if there is one.

    seed      of what the faults leave to chance, unless the schedule has its own
    virtual   whether the links are memory: a line that is serial in the station file is made anew there like any other
    """
    chance = Chance(seed if schedule.seed is None else schedule.seed)
    faulty = dict(simulators)
    for name, simulator in simulators.items():
        parts = [part for part, other in simulators.items() if other is simulator]
        mine = [
            (number, Fault(**entry.model_dump()))
            for number, entry in enumerate(schedule.entries)
            if entry.device in parts
        ]
        if not mine or name != parts[0]:  # what happens to one part happens to the instrument
            continue
        serial = station.devices[name].link.scheme == "serial" and not virtual
        behind: Any
        if hasattr(simulator, "sockets"):  # each has the same faults, and the first tells of them
            first, *others = simulator.sockets
            lines = [FaultyLine(first, Faults(mine, clock, chance, world.truth_line))]
            lines += [FaultyLine(socket, Faults(mine, clock, chance)) for socket in others]
            behind = Sockets(tuple(lines))
        elif hasattr(simulator, "handle"):
            behind = FaultyRequests(simulator, Faults(mine, clock, chance, world.truth_line))
        else:
            behind = FaultyLine(simulator, Faults(mine, clock, chance, world.truth_line), serial=serial)
        faulty |= dict.fromkeys(parts, behind)
    return faulty


@dataclass(slots=True)
class Hosted:
    """Simulators on real wires. `addresses` is what the ready line says."""

    addresses: dict[str, dict[str, str]] = field(default_factory=dict)
    _closers: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        for close in reversed(self._closers):
            with contextlib.suppress(OSError):
                close()

    def urls(self) -> dict[str, dict[str, str]]:
        """The addresses as a station file writes them: {device: {"link": URL, "stream": URL}}."""
        schemes = {"tcp": ("link", "tcp://"), "http": ("link", "http://"), "stream": ("stream", "tcp://")}
        found: dict[str, dict[str, str]] = {}
        for name, places in self.addresses.items():
            found[name] = {}
            for kind, address in places.items():
                key, prefix = schemes.get(kind, ("link", "serial://"))
                found[name][key] = prefix + address
        return found


async def host(station: Station, simulators: Mapping[str, Any], *, any_port: bool) -> Hosted:
    """Serve each simulator as its device's link says. any_port: on free ports, whatever the station file says.

    Raises PortTaken.
    """
    hosted = Hosted()
    served: dict[int, str] = {}
    try:
        for name, simulator in simulators.items():
            device = station.devices[name]
            if id(simulator) in served:
                hosted.addresses[name] = hosted.addresses[served[id(simulator)]]
                continue
            served[id(simulator)] = name
            port = 0 if any_port or not _is_local(device.link.host) else device.link.port or 0
            places = hosted.addresses.setdefault(name, {})
            match device.link.scheme:
                case "http":
                    server, places["http"] = await serve_http(simulator, port)
                    hosted._closers.append(server.close)
                    if device.stream is not None:
                        stream = ServedStream(0 if any_port else device.stream.port or 0)
                        hosted._closers.append(stream.close)
                        simulator.stream_to(stream.push)
                        places["stream"] = stream.address
                case "serial":
                    pty = ServedPty(simulator)
                    hosted._closers.append(pty.close)
                    places["pty"] = pty.path
                case _ if hasattr(simulator, "sockets"):
                    servers, places["tcp"] = await serve_tcp_in_a_row(simulator.sockets, port)
                    hosted._closers += [server.close for server in servers]
                case _:
                    server, places["tcp"] = await serve_tcp(simulator, port)
                    hosted._closers.append(server.close)
    except BaseException:
        hosted.close()
        raise
    return hosted


def _is_local(host: str) -> bool:
    return host in ("127.0.0.1", "localhost", "::1")


async def until(stop: asyncio.Event, hosted: Hosted, world: World) -> None:
    """Play until told to stop; then the wires are let go and the truth is closed."""
    try:
        await stop.wait()
    finally:
        hosted.close()
        world.close()
