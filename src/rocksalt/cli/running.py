"""`rocksalt run` and `rocksalt simulate`.

Reads the files, starts the instruments if they are simulated, conducts the run, closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from rocksalt.cli.answers import Usage
from rocksalt.config.campaign import Campaign
from rocksalt.config.check import check
from rocksalt.config.errors import ConfigError, Problem
from rocksalt.config.reading import read_campaign, read_station
from rocksalt.config.source import Read
from rocksalt.config.station import Station
from rocksalt.time import date_now

READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    campaign: Path
    station: Path
    data: Path
    name: str
    simulate: bool
    virtual: bool
    seed: int
    twin_seed: int
    truth: Path | None
    speed: float
    faults: Path | None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the run ended."""

    summary: dict[str, Any]
    exit: int


def read_both(campaign: Path, station: Path, *, simulated: bool) -> tuple[Read[Campaign], Read[Station]]:
    """Both files, read and checked against one another. Raises ConfigError with every problem of both."""
    from rocksalt.crystals.tables import SALTS

    problems: list[Problem] = []
    found: list[Any] = []
    for read, path in ((read_campaign, campaign), (read_station, station)):
        try:
            found.append(read(path))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    drivers = [point.name for point in entry_points(group="rocksalt.drivers")]
    if problems := check(found[0], found[1], SALTS, drivers, simulated=simulated):
        raise ConfigError(problems)
    return found[0], found[1]


def run_campaign(request: Request) -> Outcome:
    """Run a campaign from its files to its report. Raises what the command line turns into answers."""
    from rocksalt.daemon.run import Plan
    from rocksalt.monitor.closing import close_run, open_run
    from rocksalt.monitor.terminal import Terminal
    from rocksalt.policy.parts import parts_for
    from rocksalt.storage import run_folder

    _refuse_contradictions(request)
    campaign, station = read_both(request.campaign, request.station, simulated=request.simulate or request.virtual)
    now = date_now()
    name = request.name or f"{campaign.value.campaign}-{now:%Y%m%d-%H%M%S}"
    from rocksalt.cli.simulating import poni_text

    poni = poni_text(station)
    mode: Literal["real", "simulate", "virtual"] = (
        "virtual" if request.virtual else "simulate" if request.simulate else "real"
    )
    folder = run_folder.make(request.data, name)
    policy, envelope, ledger = parts_for(campaign.value, station.value)
    plan = Plan(
        campaign=campaign,
        station=station,
        folder=folder,
        seed=request.seed,
        mode=mode,
        drivers={point.name: point.load() for point in entry_points(group="rocksalt.drivers")
                 if point.name in {device.driver for device in station.value.devices.values()}},
        policy=policy,
        envelope=envelope,
        ledger=ledger,
        poni=poni,
    )  # fmt: skip
    with Terminal(campaign.value, speed=request.speed, quiet=request.quiet, folder=folder.path) as terminal:
        open_run(plan, f"{now:%Y-%m-%dT%H:%M:%SZ}")
        if mode == "virtual":
            ended = _virtual(plan, request, terminal.listen)
        elif mode == "simulate":
            with _simulators(request) as urls:
                at = Read(station.value.at(urls), station.source)
                ended = _real(replace(plan, station=at), request.speed, terminal.listen)
        else:
            ended = _real(plan, 1.0, terminal.listen)
        closed = close_run(folder.path)
        terminal.ended(ended, closed)
    return Outcome(closed.summary, ended.exit)


def _refuse_contradictions(request: Request) -> None:
    if request.simulate and request.virtual:
        raise Usage("--simulate and --virtual: simulated instruments run on real sockets or in virtual time, not both")
    if not (math.isfinite(request.speed) and request.speed > 0):
        raise Usage(f"--speed {request.speed}: a positive number of experiment seconds a second is needed")
    if request.speed != 1.0 and not request.simulate:
        raise Usage("--speed goes with --simulate: real instruments run at their own speed, virtual time has none")
    simulated = request.simulate or request.virtual
    for option, given in (("--truth", request.truth), ("--faults", request.faults)):
        if given is not None and not simulated:
            raise Usage(f"{option} is for simulated instruments: add --simulate or --virtual")


def _real(plan: Any, speed: float, listen: Callable[[Any], None]) -> Any:
    from rocksalt.daemon.real import run_real

    return asyncio.run(run_real(plan, speed=speed, listen=listen))


def _virtual(plan: Any, request: Request, listen: Callable[[Any], None]) -> Any:
    from rocksalt.cli.simulating import in_memory, make_simulators, make_world
    from rocksalt.daemon.virtual import run_virtual_nodes
    from rocksalt.devices.links.stream import MemoryStream
    from rocksalt.storage.disk import VirtualDisk
    from rocksalt.time import ExperimentClock, JumpingLoop, Node, run_virtual

    async def play() -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        clock = ExperimentClock(loop, wall_now=loop.wall_now)
        world = make_world(plan.station, twin_seed=request.twin_seed, truth=request.truth)
        try:
            twin = Node("twin")
            with twin:
                simulators = make_simulators(
                    plan.station.value, world, clock, extra_options=read_faults(request.faults)
                )
            stream = MemoryStream()
            for simulator in simulators.values():
                if hasattr(simulator, "stream_to"):
                    simulator.stream_to(stream.push)
            return await run_virtual_nodes(
                plan, peers=in_memory(simulators, twin), stream=stream, clock=clock, disk=VirtualDisk(), listen=listen
            )
        finally:
            world.close()

    return run_virtual(play)


def read_faults(path: Path | None) -> Mapping[str, Mapping[str, Any]] | None:
    """A faults file: TOML, a table of simulator options for each device."""
    if path is None:
        return None
    import tomllib

    with path.open("rb") as file:
        return tomllib.load(file)


@contextmanager
def _simulators(request: Request) -> Iterator[dict[str, dict[str, str]]]:
    """`rocksalt simulate` as a process of its own; it ends with us, however we end. Yields the addresses as URLs."""
    command = [
        sys.executable, "-m", "rocksalt", "simulate", str(request.station), "--any-port", "--until-eof",
        "--twin-seed", str(request.twin_seed), "--speed", str(request.speed),
    ]  # fmt: skip
    for option, path in (("--truth", request.truth), ("--faults", request.faults)):
        if path is not None:
            command += [option, str(path)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C at the terminal is the daemon's; the instruments go last
        env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise Usage("the simulated instruments did not start: see above")
        from rocksalt.cli.simulating import Hosted

        yield Hosted(json.loads(line)["devices"]).urls()
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def serve_simulators(
    station_file: Path,
    only: list[str],
    *,
    twin_seed: int,
    speed: float,
    faults: Path | None,
    truth: Path | None,
    any_port: bool,
    until_eof: bool,
) -> None:
    """Play a station's instruments until SIGTERM (or, with until_eof, until standard input closes)."""
    from rocksalt.cli.simulating import host, make_simulators, make_world, until
    from rocksalt.time import ExperimentClock

    station = read_station(station_file)

    async def play() -> None:
        loop = asyncio.get_running_loop()
        clock = ExperimentClock(loop, speed)
        world = make_world(station, twin_seed=twin_seed, truth=truth)
        simulators = make_simulators(station.value, world, clock, only=only, extra_options=read_faults(faults))
        hosted = await host(station.value, simulators, any_port=any_port)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if until_eof:
            loop.add_reader(sys.stdin.fileno(), _at_eof(stop))
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"ready": True, "devices": hosted.addresses}), flush=True)
        await until(stop, hosted, world)

    asyncio.run(play())


def _at_eof(stop: asyncio.Event) -> Callable[[], None]:
    """What to do when standard input has something: nothing, unless it is its end."""

    def look() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            stop.set()

    return look
