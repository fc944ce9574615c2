"""`rocksalt run`.

Reads the files, starts the instruments if they are simulated, conducts the run, closes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rocksalt.cli.answers import Usage
from rocksalt.cli.faults import read_faults
from rocksalt.cli.files import read_both, refuse_speed, refuse_truth
from rocksalt.cli.playing import simulators
from rocksalt.config.campaign import Campaign
from rocksalt.config.source import Read
from rocksalt.config.station import Station
from rocksalt.daemon.stopping import Stopping
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
    refuse_truth(request.truth)
    read_faults(request.faults, station.value)
    now = date_now()
    name = request.name or f"{campaign.value.campaign}-{now:%Y%m%d-%H%M%S}"
    path = run_folder.refuse_taken(request.data, name)
    player: int | None = None
    with ExitStack() as held, ExitStack() as instruments:
        if mode == "real":
            held.enter_context(station_lock(station, f"the live run {path.resolve()}"))
        if mode == "simulate":  # free ports, and instruments of our own: there is nothing to lock
            urls, player = instruments.enter_context(
                simulators(
                    request.station,
                    twin_seed=request.twin_seed,
                    speed=request.speed,
                    truth=request.truth,
                    faults=request.faults,
                )
            )
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


def _virtual(plan: Plan, request: Request, listen: Callable[[Any], None], stopping: Stopping) -> Ended:
    from rocksalt.cli.simulating import in_memory, make_simulators, make_world, with_faults
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
                station, schedule = plan.station.value, read_faults(request.faults, plan.station.value)
                players = make_simulators(station, world, clock, extra_options=schedule.options)
                players = with_faults(players, schedule, station, world, clock, seed=request.twin_seed, virtual=True)
            stream = MemoryStream()
            for simulator in players.values():
                if hasattr(simulator, "stream_to"):
                    simulator.stream_to(stream.push)
            return await run_virtual_nodes(
                plan,
                peers=in_memory(players, twin),
                stream=stream,
                clock=clock,
                disk=VirtualDisk(),
                listen=listen,
                stopping=stopping,
            )
        finally:
            world.close()

    return run_virtual(play)
