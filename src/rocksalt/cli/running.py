"""`rocksalt run` and `rocksalt simulate`.

Reads the files, starts the instruments if they are simulated, conducts the run, closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rocksalt.cli.answers import Usage
from rocksalt.config.campaign import Campaign
from rocksalt.config.check import check
from rocksalt.config.errors import ConfigError, Problem, shown
from rocksalt.config.hints import did_you_mean
from rocksalt.config.reading import read_campaign, read_station, read_table
from rocksalt.config.source import Read
from rocksalt.config.station import Station
from rocksalt.daemon.stopping import Stopping, deaf_children
from rocksalt.time import date_now

if TYPE_CHECKING:
    from rocksalt.daemon.run import Ended, Plan
    from rocksalt.storage.run_folder import RunFolder


class NotBegun(RuntimeError):
    """A person stopped the run before there was one."""


class NotClosed(RuntimeError):
    """A run that ended, and whose summary and report could not be written."""


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
    from rocksalt.crystals.tables import MODEL_SALTS

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
    problems = check(found[0], found[1], MODEL_SALTS, drivers, simulated=simulated)
    if problems := problems or geometry_problems(found[1]):
        raise ConfigError(problems)
    return found[0], found[1]


def geometry_problems(station: Read[Station]) -> list[Problem]:
    """What keeps the station's PONI from being its detector's and its beam's."""
    from rocksalt.cli.simulating import poni_text
    from rocksalt.diffraction.geometry import Geometry, GeometryError
    from rocksalt.diffraction.wavelength import AGREE

    value, source = station.value, station.source
    name, key = shown(str(value.geometry.poni)), ("geometry", "poni")
    try:
        geometry = Geometry.from_poni(poni_text(station) + "\n")
    except GeometryError as error:
        rule = str(error).replace("PONI text", "the file")
        return [source.problem(key, rule, "", name)]
    found: list[Problem] = []
    for device_name, device in value.devices.items():
        if device.shape is None or geometry.detector_shape is None:
            continue
        rows, columns = geometry.detector_shape
        if tuple(device.shape) != (rows, columns):
            where = f"{source.path}:{source.line(('devices', device_name, 'shape'))}"
            rule = (
                f"the PONI is of a detector of {rows} x {columns} pixels (rows x columns), and {device_name}.shape "
                f"is {list(device.shape)} ({where})"
            )
            hint = f"give the PONI that was calibrated for this detector, or write shape = [{rows}, {columns}]"
            found.append(source.problem(key, rule, hint, name))
    beam = value.beam.wavelength_angstrom
    stated = geometry.wavelength_angstrom
    if stated is not None and abs(stated - beam) > AGREE * beam:
        where = f"{source.path}:{source.line('beam.wavelength_angstrom')}"
        rule = f"the PONI was calibrated at {stated:.6g} Å, and beam.wavelength_angstrom is {beam:.6g} ({where})"
        hint = "distance and wavelength are calibrated together: state the wavelength of the calibration"
        found.append(source.problem(key, rule, hint, name))
    return found


def run_campaign(request: Request, stopping: Stopping) -> Outcome:
    """Run a campaign from its files to its report. Raises what the command line turns into answers.

    Whatever is wrong before the journal begins leaves no folder.
    """
    from rocksalt.daemon.living import living
    from rocksalt.daemon.station_lock import station_lock
    from rocksalt.storage import run_folder

    _refuse_contradictions(request)
    mode: Literal["real", "simulate", "virtual"] = (
        "virtual" if request.virtual else "simulate" if request.simulate else "real"
    )
    campaign, station = read_both(request.campaign, request.station, simulated=mode != "real")
    if request.speed != 1.0 and station.value.twin is None:
        raise Usage(
            f"--speed {request.speed:g}: {station.source.path} has no table [twin], and real instruments run at their "
            "own speed"
        )
    _refuse_truth(request.truth)
    read_faults(request.faults, station.value)
    now = date_now()
    name = request.name or f"{campaign.value.campaign}-{now:%Y%m%d-%H%M%S}"
    path = run_folder.refuse_taken(request.data, name)
    player: int | None = None
    with ExitStack() as held, ExitStack() as instruments:
        if mode == "real":
            held.enter_context(station_lock(station, f"the live run {path.resolve()}"))
        if mode == "simulate":  # free ports, and instruments of our own: there is nothing to lock
            urls, player = instruments.enter_context(_simulators(request))
            station = Read(station.value.at(urls), station.source)
        if stopping.why:
            raise NotBegun(f"{stopping.why} before the run began: nothing was made")
        folder = run_folder.make(request.data, name)
        try:
            held.enter_context(living(folder.path))
            return _conduct(
                _plan(request, campaign, station, folder, mode), request, stopping, now, instruments, player
            )
        except BaseException:
            run_folder.discard_unbegun(folder)
            raise


def _plan(
    request: Request,
    campaign: Read[Campaign],
    station: Read[Station],
    folder: RunFolder,
    mode: Literal["real", "simulate", "virtual"],
) -> Plan:
    from rocksalt.cli.simulating import poni_text
    from rocksalt.daemon.run import Plan
    from rocksalt.policy.parts import parts_for

    policy, envelope, ledger = parts_for(campaign.value, station.value)
    wanted = {device.driver for device in station.value.devices.values()}
    return Plan(
        campaign=campaign,
        station=station,
        folder=folder,
        seed=request.seed,
        mode=mode,
        drivers={point.name: point.load() for point in entry_points(group="rocksalt.drivers") if point.name in wanted},
        policy=policy,
        envelope=envelope,
        ledger=ledger,
        poni=poni_text(station),
    )


def _conduct(
    plan: Plan, request: Request, stopping: Stopping, now: datetime, instruments: ExitStack, player: int | None
) -> Outcome:
    """Run, let go of the instruments, close the folder."""
    from rocksalt.daemon.real import run_real
    from rocksalt.monitor.closing import close_run, open_run
    from rocksalt.monitor.terminal import Terminal

    path = plan.folder.path
    with Terminal(plan.campaign.value, speed=request.speed, quiet=request.quiet, folder=path) as terminal:
        open_run(plan, f"{now:%Y-%m-%dT%H:%M:%SZ}")
        if plan.mode == "virtual":
            ended = _virtual(plan, request, terminal.listen, stopping)
        else:
            ended = asyncio.run(
                run_real(plan, speed=request.speed, listen=terminal.listen, stopping=stopping, simulators=player)
            )
        instruments.close()
        try:
            closed = close_run(path)
        except OSError as error:
            raise NotClosed(
                f"the run is {ended.status}: {ended.why}\n  its summary and report could not be written to {path} "
                f"({error.strerror or error}): make room, then `rocksalt report {path}`"
            ) from error
        terminal.ended(ended, closed)
    return Outcome(closed.summary, ended.exit)


def _refuse_contradictions(request: Request) -> None:
    if request.simulate and request.virtual:
        raise Usage("--simulate and --virtual: simulated instruments run on real sockets or in virtual time, not both")
    refuse_speed(request.speed)
    if request.speed != 1.0 and request.virtual:
        raise Usage("--speed and --virtual: virtual time has no speed, it jumps")
    simulated = request.simulate or request.virtual
    for option, given in (("--truth", request.truth), ("--faults", request.faults)):
        if given is not None and not simulated:
            raise Usage(f"{option} is for simulated instruments: add --simulate or --virtual")


def refuse_speed(speed: float) -> None:
    """Raises Usage for a speed that no clock can have."""
    if not (math.isfinite(speed) and speed > 0):
        raise Usage(f"--speed {speed:g}: a positive number of experiment seconds a second is needed")


def _refuse_truth(path: Path | None) -> None:
    """Before anything starts: can the truth be written? Raises Usage."""
    if path is None:
        return
    if path.is_dir():
        raise Usage(f"--truth {path}: this is a folder; name a file in it")
    if not path.parent.is_dir():
        raise Usage(f"--truth {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Usage(f"--truth {path}: this user may not write there; name another file")


def _virtual(plan: Plan, request: Request, listen: Callable[[Any], None], stopping: Stopping) -> Ended:
    from rocksalt.cli.simulating import in_memory, make_simulators, make_world
    from rocksalt.daemon.virtual import run_virtual_nodes
    from rocksalt.devices.links.stream import MemoryStream
    from rocksalt.storage.disk import VirtualDisk
    from rocksalt.time import ExperimentClock, JumpingLoop, Node, run_virtual

    async def play() -> Ended:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        clock = ExperimentClock(loop, wall_now=loop.wall_now)
        world = make_world(plan.station, twin_seed=request.twin_seed, truth=request.truth)
        try:
            twin = Node("twin")
            with twin:
                simulators = make_simulators(
                    plan.station.value, world, clock, extra_options=read_faults(request.faults, plan.station.value)
                )
            stream = MemoryStream()
            for simulator in simulators.values():
                if hasattr(simulator, "stream_to"):
                    simulator.stream_to(stream.push)
            return await run_virtual_nodes(
                plan,
                peers=in_memory(simulators, twin),
                stream=stream,
                clock=clock,
                disk=VirtualDisk(),
                listen=listen,
                stopping=stopping,
            )
        finally:
            world.close()

    return run_virtual(play)


def read_faults(path: Path | None, station: Station) -> Mapping[str, Mapping[str, Any]] | None:
    """A faults file: TOML, a table of simulator options for each device. Raises ConfigError."""
    if path is None:
        return None
    tables, source = read_table(path)
    problems = [
        source.problem(name, "there is no such device in the station", did_you_mean(name, station.devices))
        if name not in station.devices
        else source.problem(name, "a table of the simulator's options is needed", f"write [{name}]", shown(table))
        for name, table in tables.items()
        if name not in station.devices or not isinstance(table, dict)
    ]
    if problems:
        raise ConfigError(problems)
    return tables


@contextmanager
def _simulators(request: Request) -> Iterator[tuple[dict[str, dict[str, str]], int]]:
    """`rocksalt simulate` as a process of its own; it ends with us, whatever ends us. Yields URLs and pid."""
    command = [
        sys.executable, "-m", "rocksalt", "simulate", str(request.station), "--any-port", "--until-eof",
        "--twin-seed", str(request.twin_seed), "--speed", str(request.speed),
    ]  # fmt: skip
    for option, path in (("--truth", request.truth), ("--faults", request.faults)):
        if path is not None:
            command += [option, str(path)]
    with deaf_children():
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # the daemon's group is fenced as a whole; the instruments go last
            env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            status = process.wait()
            if status in (1, 2):
                raise SystemExit(status)  # what is wrong was said by the one who knows
            raise RuntimeError(f"the simulated instruments did not start: their process ended with status {status}")
        from rocksalt.cli.simulating import Hosted

        yield Hosted(json.loads(line)["devices"]).urls(), process.pid
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
    stopping: Stopping,
) -> None:
    """Play a station's instruments until SIGTERM (or, with until_eof, until standard input closes)."""
    from rocksalt.cli.simulating import host, make_simulators, make_world, until
    from rocksalt.time import ExperimentClock

    refuse_speed(speed)
    _refuse_truth(truth)
    station = read_station(station_file)
    if problems := geometry_problems(station):
        raise ConfigError(problems)
    options = read_faults(faults, station.value)

    async def play() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        stopping.obeyed_by(lambda why: loop.call_soon_threadsafe(stop.set))
        if until_eof:
            loop.add_reader(sys.stdin.fileno(), _at_eof(stop))
        clock = ExperimentClock(loop, speed)
        world = make_world(station, twin_seed=twin_seed, truth=truth)
        try:
            simulators = make_simulators(station.value, world, clock, only=only, extra_options=options)
            hosted = await host(station.value, simulators, any_port=any_port)
        except BaseException:
            world.close()
            raise
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"ready": True, "devices": hosted.addresses}), flush=True)
        await until(stop, hosted, world)
        stopping.obeyed_by(None)

    asyncio.run(play())


def _at_eof(stop: asyncio.Event) -> Callable[[], None]:
    """What to do when standard input has something: nothing, unless it is its end."""

    def look() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            stop.set()

    return look
