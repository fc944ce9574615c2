"""A run in real time: real links, writer and model as processes, the loop's own clock."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

from rocksalt.daemon.living import tell_processes
from rocksalt.daemon.processes import child
from rocksalt.daemon.run import Ended, Plan, Run, detector_class
from rocksalt.daemon.stopping import Stopping
from rocksalt.devices.links import RealWires
from rocksalt.storage.disk import RealDisk
from rocksalt.storage.journal import Entry
from rocksalt.time import ExperimentClock


async def run_real(
    plan: Plan,
    *,
    speed: float,
    listen: Callable[[Entry], None],
    stopping: Stopping,
    simulators: int | None = None,
) -> Ended:
    """Conduct a run on whoever listens at the station's addresses. The caller holds the station's lock.

    simulators   pid of the process that plays the instruments; it can't come back, so the run fails when it ends

    Raises ChildFailed when a process of the run does not come up; the journal has not begun then.
    """
    loop = asyncio.get_running_loop()
    clock = ExperimentClock(loop, speed)
    folder, logs = plan.folder.path, plan.folder.path / "logs"
    detector = next(device for device in plan.station.value.devices.values() if device.stream is not None)
    assert detector.shape is not None
    async with AsyncExitStack() as stack:
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
                logs,
            )
        )  # fmt: skip
        model = await stack.enter_async_context(
            child("model", "rocksalt.daemon.model_node", ["--folder", str(folder)], logs)
        )
        tell_processes(folder, {"daemon": os.getpid(), "writer": writer.pid, "model": model.pid})
        run = Run(
            plan,
            wires=RealWires(),
            writer=writer.channel,
            model=model.channel,
            disk=RealDisk(),
            clock=clock,
            listen=listen,
        )
        # A wish that is older than the run stops it as it begins: it leaves a journal and a summary like any other.
        stopping.obeyed_by(lambda why: loop.call_soon_threadsafe(run.stop, why))
        if simulators is not None:
            stack.enter_context(_watched(simulators, lambda: run.fail("the simulated instruments ended")))
        try:
            return await run.conduct()
        finally:
            stopping.obeyed_by(None)


@contextmanager
def _watched(pid: int, ended: Callable[[], None]) -> Iterator[None]:
    """Call `ended` when the process ends."""
    loop = asyncio.get_running_loop()
    handle = os.pidfd_open(pid)

    def gone() -> None:
        loop.remove_reader(handle)
        ended()

    loop.add_reader(handle, gone)
    try:
        yield
    finally:
        loop.remove_reader(handle)
        os.close(handle)
