"""A run in real time: real links, writer and model as processes, the loop's own clock."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

from rocksalt.daemon.processes import child, socket_folder
from rocksalt.daemon.run import Ended, Plan, Run, detector_class
from rocksalt.daemon.station_lock import station_lock
from rocksalt.devices.links import RealWires
from rocksalt.storage.disk import RealDisk
from rocksalt.storage.journal import Entry
from rocksalt.storage.run_folder import write_aside
from rocksalt.time import ExperimentClock

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


async def run_real(plan: Plan, *, speed: float, listen: Callable[[Entry], None]) -> Ended:
    """Conduct a run on whoever listens at the station's addresses.

    Raises StationBusy when a live run uses the station, ChildFailed when a process of the run does not come up.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(station_lock(plan.station.value, plan.folder.name))
        sockets = await stack.enter_async_context(socket_folder())
        clock = ExperimentClock(asyncio.get_running_loop(), speed)
        folder, logs = plan.folder.path, plan.folder.path / "logs"
        detector = next(device for device in plan.station.value.devices.values() if device.stream is not None)
        assert detector.shape is not None
        writer = await stack.enter_async_context(
            child(
                "writer",
                "rocksalt.storage.writer",
                [
                    "--stream", str(detector.stream), "--folder", str(folder),
                    "--decoder", detector_class(plan, detector.driver).stream_decoder,
                    "--stream-version", str(detector.stream_version),
                    "--shape", *map(str, detector.shape), "--speed", str(speed),
                ],
                sockets,
                logs,
            )
        )  # fmt: skip
        model = await stack.enter_async_context(
            child("model", "rocksalt.daemon.model_node", ["--folder", str(folder)], sockets, logs)
        )
        pids = {"daemon": os.getpid(), "writer": writer.pid, "model": model.pid, "guardian": None, "monitor": None}
        write_aside(plan.folder.path / "logs" / "processes.json", json.dumps(pids).encode())
        run = Run(
            plan,
            wires=RealWires(),
            writer=writer.channel,
            model=model.channel,
            disk=RealDisk(),
            clock=clock,
            listen=listen,
        )
        loop = asyncio.get_running_loop()
        for number, word in SIGNALS.items():
            loop.add_signal_handler(number, run.stop, f"stopped by {word}")
        try:
            return await run.conduct()
        finally:
            # The handlers stay: a signal while the last files are closed changes nothing either.
            run.stop("over")
