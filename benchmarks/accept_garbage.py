"""`make accept-garbage`: replies spoilt in every way, and a driver that is never misled by one it could have known.

N seeded replies a driver, one call of the driver each, in virtual time. Only DeviceErrors may leave a driver; nothing
may hang; and a value that is returned is the one that `garbage_grammars` reads from the same bytes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from functools import partial
from importlib.metadata import entry_points
from typing import Any, Final

from benchmarks.acceptance import Row, arguments, closed, told
from benchmarks.fault_rigs import NOT_APPLICABLE, RIGS, rigs_of, stand_of
from benchmarks.garbage_grammars import JUDGES, complaint
from benchmarks.garbage_spoiling import DERIVED, NOISE, Spoiler
from rocksalt.devices import DeviceError
from rocksalt.time import Chance, run_virtual

TRUE_SHARE, DERIVED_SHARE = 0.1, 0.8
HANG_S: Final = 900.0
"""Virtual seconds: longer than any deadline that a driver has (initialize, 180 s)."""
SHOWN: Final = 20
BATCH: Final = 2000
"""Replies to one life of driver and simulator."""


def main() -> int:
    """N replies a driver, or a part of an instrument that has several rows. Exit 0 only if none misled, crashed or hung
    one. --only takes names of drivers."""
    parser = arguments(main.__doc__, n=100_000)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    rows: list[Row] = []
    for driver in sorted(point.name for point in entry_points(group="rocksalt.drivers")):
        if driver in NOT_APPLICABLE or (given.only and driver not in given.only):
            continue
        names = [rig.name for rig in rigs_of(driver)] or [driver]
        rows += [told(answered(name, given.first, given.n)) for name in names]
    return closed("garbage", rows, len(rows))


def answered(driver: str, first: int, count: int) -> Row:
    """`count` replies for one row of the tables: how the driver took them."""
    if driver not in JUDGES or driver not in RIGS:
        return {"driver": driver, "pass": False, "why": "untested: no grammar in garbage_grammars.py, or no rig"}
    began_s = time.process_time()
    tally: Counter[str] = Counter()
    complaints: list[Row] = []
    done, life = 0, 0
    while done < count:
        part = min(BATCH, count - done)
        try:
            run_virtual(partial(_lived, driver, Chance(first).stream("garbage", life), part, tally, complaints, life))
        except Exception as error:
            complaints.append({"life": life, "why": f"the life ended: {type(error).__name__}: {error}"})
        done, life = done + part, life + 1
    derived = sum(tally[f"how {how}"] for how in DERIVED)
    spoilt = derived + sum(tally[f"how {how}"] for how in NOISE)
    good = not complaints and derived >= count / 2
    return {
        "driver": driver, "seed": first, "pass": good, "replies": count, "spoilt": spoilt, "derived": derived,
        "complaints": len(complaints), "shown": complaints[:SHOWN], "returned": tally["returned"],
        "raised": {key[7:]: number for key, number in sorted(tally.items()) if key.startswith("raised ")},
        "true_and_taken": tally["true taken"], "true": tally["how true"],
        "cpu_s": round(time.process_time() - began_s, 1),
    }  # fmt: skip


async def _lived(driver: str, chance: Any, count: int, tally: Counter[str], complaints: list[Row], life: int) -> None:
    """One driver and one simulator, `count` spoilt replies long."""
    judge = JUDGES[driver]
    spoilers: list[Spoiler] = []

    def between(simulator: Any) -> Spoiler:
        spoilers.append(Spoiler(simulator, chance, binary=judge.binary, number=judge.number, values=judge.values))
        return spoilers[-1]

    async with stand_of(RIGS[driver], "memory", [], between=between, options=judge.options) as stand:
        device, (spoiler,) = stand.device, spoilers
        await device.connect()
        names = [name for name, (weight, _) in judge.calls.items() for _ in range(weight)]
        typical: dict[str, int] = {}
        for name in judge.calls:
            typical[name] = await _count(device, judge, name, spoiler)
        done = 0
        while done < count:
            name = names[int(chance.integers(len(names)))]
            how = _drawn(chance)
            if driver == "dectris_simplon" and name != "connect":
                await _put_right(device, spoiler)
            if device.state != "connected":
                await _put_right(device, spoiler)
            if name == "connect":
                await device.close()
            if how == "true":  # a value that was well-formed and wrong may have moved the world
                RIGS[driver].reset(stand)
            spoiler.spoil(1 + int(chance.integers(max(typical[name], 1))), how)
            why = ""
            try:
                async with asyncio.timeout(HANG_S):
                    returned = await judge.calls[name][1](device)
                tally["returned"] += 1
                why = complaint(judge, name, spoiler.log, returned)
                if how == "true":
                    tally["true taken"] += 1
            except DeviceError as error:
                tally[f"raised {type(error).__name__}"] += 1
                if how == "true":
                    why = f"true replies, and {name} raised {error}"
            except TimeoutError:
                why = f"{name} hung for {HANG_S:g} s"
            except Exception as error:
                why = f"{name} crashed: {type(error).__name__}: {error}"
            met = any(one.how for one in spoiler.log)
            spoiler.calm()
            if name == "connect":  # what it learned may be well-formed and wrong: the next case begins afresh
                await device.close()
            if why:
                complaints.append({"life": life, "call": name, "how": how, "why": why[:600]})
            if met:
                done += 1
                tally[f"how {how}"] += 1
            elif how == "true" and not why:
                tally["true taken"] -= 1


def _drawn(chance: Any) -> str:
    share = chance.random()
    if share < TRUE_SHARE:
        return "true"
    kinds = DERIVED if share < TRUE_SHARE + DERIVED_SHARE else NOISE
    return kinds[int(chance.integers(len(kinds)))]


async def _count(device: Any, judge: Any, name: str, spoiler: Spoiler) -> int:
    """How many replies a call takes when all is well."""
    if name == "connect":
        await device.close()
    spoiler.spoil(0, "")
    await judge.calls[name][1](device)
    if hasattr(device, "disarm"):
        count = len(spoiler.log)
        await device.stop()
        return count
    return len(spoiler.log)


async def _put_right(device: Any, spoiler: Spoiler) -> None:
    """Connected and at rest, whatever the case before left; nothing is spoilt meanwhile."""
    spoiler.calm()
    if device.state != "connected":
        await device.connect()
    if hasattr(device, "disarm"):
        await device.stop()


if __name__ == "__main__":
    began = time.monotonic()
    status = main()
    print(json.dumps({"seconds": round(time.monotonic() - began)}))
    sys.exit(status)
