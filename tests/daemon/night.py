"""A short night in virtual time, with a hand in it: the shipped station and a campaign of a few measurements."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from rocksalt.cli.simulating import in_memory, make_simulators, make_world
from rocksalt.config.reading import read_campaign, read_station
from rocksalt.daemon.run import Ended, Plan
from rocksalt.daemon.virtual import run_virtual_nodes
from rocksalt.devices.links.stream import MemoryStream
from rocksalt.policy.parts import parts_for
from rocksalt.storage import run_folder
from rocksalt.storage.disk import VirtualDisk
from rocksalt.storage.history import History, fold
from rocksalt.storage.journal import Entry, read
from rocksalt.time import ExperimentClock, JumpingLoop, Node, run_virtual

CONFIG = Path(__file__).parents[2] / "config"


@dataclass
class Hand:
    """What a test may lay hands on while the night goes on."""

    world: Any
    doors: dict[str, Any]
    clock: ExperimentClock
    entries: list[Entry] = field(default_factory=list)

    async def until(self, kind: str, count: int = 1, **fields: Any) -> Entry:
        """Wait until the journal has `count` entries of this kind with these fields; the last of them."""
        while True:
            found = [
                entry
                for entry in self.entries
                if entry.kind == kind and all(entry.data.get(key) == value for key, value in fields.items())
            ]
            if len(found) >= count:
                return found[count - 1]
            await self.clock.sleep(0.05)


@dataclass(frozen=True)
class Night:
    """What was left of it in the morning."""

    ended: Ended
    folder: Path
    truth: list[dict[str, Any]]

    @property
    def entries(self) -> tuple[Entry, ...]:
        return read(self.folder / "journal.jsonl").entries

    @property
    def history(self) -> History:
        return fold(self.entries)

    def kinds(self, *wanted: str) -> list[str]:
        return [entry.kind for entry in self.entries if entry.kind in wanted]


class Silent:
    """A door that can be shut: whoever connects meets silence, as behind a pulled cable."""

    def __init__(self, door: Any) -> None:
        self._door = door
        self.pulled = False

    def accept(self, send: Callable[[bytes], None]) -> Any:
        session = self._door.accept(lambda data: None if self.pulled else send(data))
        pulled = self

        class Wire:
            def receive(self, data: bytes) -> None:
                if not pulled.pulled:
                    session.receive(data)

            def closed(self) -> None:
                session.closed()

        return Wire()

    async def handle(self, request: Any) -> Any:
        if self.pulled:
            await asyncio.Event().wait()
        return await self._door.handle(request)


def night(
    place: Path,
    *,
    measurements: int = 3,
    changes: Mapping[str, str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    during: Callable[[Hand], Awaitable[None]] | None = None,
    twin_seed: int = 3,
) -> Night:
    """Spend it. `changes` are replacements in the campaign file, `options` of simulators, `during` runs beside."""
    text = (CONFIG / "campaigns/kbr-transition.toml").read_text()
    changes = {
        "measurements = 25": f"measurements = {measurements}",
        "pressure_gpa = [0.0, 5.0]": "pressure_gpa = [0.0, 1.0]",
        "settle_s = 60.0": "settle_s = 5.0",
        **(changes or {}),
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    (place / "campaign.toml").write_text(text)
    campaign, station = read_campaign(place / "campaign.toml"), read_station(CONFIG / "stations/simulated-dac.toml")
    folder = run_folder.make(place, "night")
    policy, envelope, ledger = parts_for(campaign.value, station.value)
    drivers = {point.name: point.load() for point in entry_points(group="rocksalt.drivers")}
    poni = (CONFIG / "stations" / station.value.geometry.poni).read_text()
    plan = Plan(campaign, station, folder, 1, "virtual", drivers, policy, envelope, ledger, poni)
    truth = place / "truth.jsonl"

    async def spend() -> Ended:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        clock = ExperimentClock(loop, wall_now=loop.wall_now)
        world = make_world(station, twin_seed=twin_seed, truth=truth)
        twin = Node("twin")
        with twin:
            simulators = make_simulators(station.value, world, clock, extra_options=options)
        stream = MemoryStream()
        simulators["detector"].stream_to(stream.push)
        doors = {name: Silent(door) for name, door in in_memory(simulators, twin).items()}
        hand = Hand(world, doors, clock)
        running = asyncio.ensure_future(
            run_virtual_nodes(
                plan, peers=doors, stream=stream, clock=clock, disk=VirtualDisk(), listen=hand.entries.append
            )
        )
        beside = asyncio.ensure_future(during(hand)) if during is not None else None
        try:
            if beside is not None:  # a hand that fails, or has seen enough, ends the night
                await asyncio.wait([running, beside], return_when=asyncio.FIRST_EXCEPTION)
                if beside.done() and not beside.cancelled() and (failure := beside.exception()) is not None:
                    raise failure
                beside.cancel()
            return await running
        finally:
            world.close()

    ended = run_virtual(spend)
    return Night(ended, folder.path, [json.loads(line) for line in truth.read_text().splitlines()])
