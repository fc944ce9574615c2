"""A run in virtual time: the same objects as in a real one, as nodes of one process, joined by the same messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from rocksalt.daemon.model_node import ModelNode, seeded_delay
from rocksalt.daemon.run import Ended, Plan, Run, detector_class
from rocksalt.daemon.stopping import Stopping
from rocksalt.devices.links import MemoryWires
from rocksalt.devices.links.stream import MemoryStream
from rocksalt.messages import pair
from rocksalt.storage.disk import VirtualDisk
from rocksalt.storage.journal import Entry
from rocksalt.storage.writer import Writer, load_decoder, serve
from rocksalt.time import Chance, Clock, Node


async def run_virtual_nodes(
    plan: Plan,
    *,
    peers: Mapping[str, Any],
    stream: MemoryStream,
    clock: Clock,
    disk: VirtualDisk,
    listen: Callable[[Entry], None] = lambda entry: None,
    stopping: Stopping | None = None,
) -> Ended:
    """Conduct a run on simulators in memory. `peers` are the simulators' memory doors by device name."""
    loop = asyncio.get_running_loop()
    to_writer, at_writer = pair()
    to_model, at_model = pair()
    daemon, writer, model = Node("daemon"), Node("writer"), Node("model")
    detector = next(d for d in plan.station.value.devices.values() if d.stream is not None)
    assert detector.shape is not None
    decoder = load_decoder(
        detector_class(plan, detector.driver).stream_decoder, detector.stream_version, detector.shape
    )
    with writer:
        writing = writer.spawn(
            serve(Writer(plan.folder.path, decoder, at_writer.send, clock), stream, at_writer), "serve"
        )
    with model:
        modelling = model.spawn(
            ModelNode(plan.folder.path, at_model, seeded_delay(Chance(plan.seed), clock)).serve(), "serve"
        )
    with daemon:
        run = Run(
            plan,
            wires=MemoryWires(peers),
            writer=to_writer,
            model=to_model,
            disk=disk,
            clock=clock,
            listen=listen,
        )
    if stopping is not None:  # a person's Ctrl-C comes from outside of virtual time
        stopping.obeyed_by(lambda why: loop.call_soon_threadsafe(run.stop, why))
    ended = await daemon.spawn(run.conduct(), "conduct")
    if stopping is not None:
        stopping.obeyed_by(None)
    to_writer.close()
    to_model.close()
    await asyncio.wait([writing, modelling])
    return ended
