"""Late replies among a poller and a stop: is a reply that comes after its deadline ever taken for the next one's?

The value rises with time, so that each answer tells when its question was put. One seed is one interleaving.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from tests.drivers.doors import Gas, Heat

from benchmarks.acceptance import Row
from benchmarks.fault_rigs import RIGS, Wire, stand_of
from rocksalt.devices import DeviceError, LinkLost
from rocksalt.time import Chance, run_virtual
from rocksalt.twin.wire.faults import Fault

LINES: Final[tuple[tuple[str, Wire], ...]] = (
    ("druck_pace", "memory"),
    ("druck_pace", "serial"),
    ("lakeshore_336", "serial"),
    ("lakeshore_336", "memory"),
)
"""Drivers and wires in turn; a "serial" line is memory that can't be made anew, as a serial line can't."""
REPLIES, LATE_SHARE, DEADLINE_S = 60, 0.35, 0.5
READS, PER_S = 12, 0.1
TRIES: Final = 200
RESOLUTION: Final = {"druck_pace": 1e-6, "lakeshore_336": 1e-3}


class NotBack(Exception):
    """A line that never finds its beat again."""


@dataclass
class RisingGas(Gas):
    """Whatever it is told, it rises: 0.1 bar a second from 1 bar on."""

    def gas_bar(self, at_s: float) -> float:
        return 1.0 + PER_S * at_s


@dataclass
class RisingHeat(Heat):
    """Whatever it is told, it rises: 0.1 K a second from 291 K on."""

    def sample_k(self, at_s: float) -> float:
        return 291.0 + PER_S * at_s


def interleaved(seed: int) -> Row:
    """One interleaving: `readings` got through, `late` replies came after their deadline, `wrong` were believed."""
    driver, wire = LINES[seed % len(LINES)]
    found: Row = run_virtual(lambda: _one(driver, wire, seed))
    return {"case": "late replies", "driver": driver, "wire": wire, "seed": seed, **found,
            "pass": not found["wrong"]}  # fmt: skip


async def _one(driver: str, wire: Wire, seed: int) -> Row:
    chance = Chance(seed).stream("late replies")
    held_up = [Fault(driver, "delay", reply=20 + number, delay_s=float(chance.exponential(1.5 * DEADLINE_S)))
               for number in range(REPLIES) if chance.random() < LATE_SHARE]  # fmt: skip
    door: Any = RisingGas() if driver == "druck_pace" else RisingHeat()
    truth = door.gas_bar if driver == "druck_pace" else door.sample_k
    wrong: list[str] = []
    readings = 0
    late = sum(fault.delay_s > DEADLINE_S for fault in held_up)
    async with stand_of(RIGS[driver], "memory", held_up, door=door, seed=seed,
                        like_serial=wire == "serial") as stand:  # fmt: skip
        device, clock = stand.device, stand.clock
        stand.hurry(DEADLINE_S)
        await device.connect()

        async def poll() -> None:
            nonlocal readings
            for pause_s in chance.exponential(0.3, READS).tolist():
                await asyncio.sleep(pause_s)
                asked_s = clock.now_s()
                try:
                    value = (await device.read()).value
                except LinkLost:
                    await _again(device)
                    continue
                except DeviceError:
                    continue
                readings += 1
                low, high = truth(asked_s), truth(clock.now_s())
                if not low - RESOLUTION[driver] <= value <= high + RESOLUTION[driver]:
                    wrong.append(f"{value} read from {asked_s:.3f} s on, where {low:.6f} to {high:.6f} were true")

        async def stop() -> None:
            for pause_s in chance.exponential(2.0, 2).tolist():
                await asyncio.sleep(pause_s)
                try:
                    await device.stop()
                except LinkLost:
                    await _again(device)
                except DeviceError:
                    continue

        try:
            await asyncio.gather(poll(), stop())
        except NotBack as error:
            wrong.append(str(error))
        return {"readings": readings, "late": late, "wrong": wrong}


async def _again(device: Any) -> None:
    """Connect as a supervisor would. Raises NotBack after more tries than there are late replies."""
    for _ in range(TRIES):
        if device.state == "connected":
            return
        await asyncio.sleep(0.2)
        try:
            await device.connect()
        except DeviceError:
            continue
    raise NotBack(f"{TRIES} tries, and the line is still out of step")
