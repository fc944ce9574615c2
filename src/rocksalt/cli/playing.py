"""Simulated instruments as a process: `rocksalt simulate`, and how a run with --simulate starts one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rocksalt.cli.faults import read_faults
from rocksalt.cli.files import geometry_problems, refuse_speed, refuse_truth
from rocksalt.config.errors import ConfigError
from rocksalt.config.reading import read_station
from rocksalt.daemon.stopping import Stopping, deaf_children


@contextmanager
def simulators(
    station: Path, *, twin_seed: int, speed: float, truth: Path | None, faults: Path | None
) -> Iterator[tuple[dict[str, dict[str, str]], int]]:
    """`rocksalt simulate` as a process of its own; it ends with us, whatever ends us. Yields URLs and pid."""
    command = [
        sys.executable, "-m", "rocksalt", "simulate", str(station), "--any-port", "--until-eof",
        "--twin-seed", str(twin_seed), "--speed", str(speed),
    ]  # fmt: skip
    for option, path in (("--truth", truth), ("--faults", faults)):
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
    from rocksalt.cli.simulating import host, make_simulators, make_world, until, with_faults
    from rocksalt.time import ExperimentClock

    refuse_speed(speed)
    refuse_truth(truth)
    station = read_station(station_file)
    if problems := geometry_problems(station):
        raise ConfigError(problems)
    schedule = read_faults(faults, station.value)

    async def play() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        stopping.obeyed_by(lambda why: loop.call_soon_threadsafe(stop.set))
        if until_eof:
            loop.add_reader(sys.stdin.fileno(), _at_eof(stop))
        clock = ExperimentClock(loop, speed)
        world = make_world(station, twin_seed=twin_seed, truth=truth)
        try:
            simulators = make_simulators(station.value, world, clock, only=only, extra_options=schedule.options)
            simulators = with_faults(simulators, schedule, station.value, world, clock, seed=twin_seed)
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
