"""`make accept-faults`: every kind of fault on every driver does what `fault_table` said beforehand, and no late reply
is ever taken for the next one's.

Each cell runs in virtual time and on the driver's real wires (TCP, pseudo-terminal, HTTP) with a short deadline.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from benchmarks.acceptance import Row, arguments, closed, told
from benchmarks.fault_late import interleaved
from benchmarks.fault_rigs import NOT_APPLICABLE, RIGS, SHAPE, Rig, Stand, Wire, rigs_of, stand_of
from benchmarks.fault_table import TABLE
from rocksalt.devices import DeviceError, GarbledReply, LinkLost, NotReached, Refused
from rocksalt.devices.supervision import Supervisor
from rocksalt.time import Chance, run_virtual
from rocksalt.twin.wire.faults import LINK_KINDS, NUMBER_KINDS, REPLY_KINDS, STREAM_KINDS, Fault

LEAD_S, LASTS_S = 0.5, 1.0
REAL_DEADLINE_S = 0.4
BACK_WITHIN_S = 1.0
SLACK_S: Final = {True: 0.3, False: 0.02}
"""By whether the wire is real: what a busy machine may add."""
SLOW: Final = {("dectris_simplon", "stuck")}
"""Cells whose deadline is the series' own, 18 s: in virtual time alone."""
OUTAGES, REAL_OUTAGES = 50, 3
"""Outages on each line, in virtual time and in real time."""
OUTAGE_KINDS: Final = ("silence", "dropped", "half_open", "reboot")
NAMES: Final = {LinkLost: "lost", GarbledReply: "garbled", Refused: "refused", NotReached: "unmoved"}


def main() -> int:
    """Every cell of the table, then N interleavings of late replies. Exit 0 only if every one passed. --only takes
    names of drivers, for their rows of the table."""
    parser = arguments(main.__doc__, n=10_000)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    rows = [told(row) for row in matrix(given.first, only=given.only)]
    rows += [told(row) for row in reconnects(given.first, only=given.only)]
    late = [interleaved(seed) for seed in range(given.first, given.first + given.n)]
    for row in late:
        if not row["pass"]:
            told(row)
    print(json.dumps({"late": f"{sum(row['pass'] for row in late)}/{len(late)}",
                      "late_replies": sum(row["late"] for row in late),
                      "readings": sum(row["readings"] for row in late)}))  # fmt: skip
    print_table([row for row in rows if "case" not in row])
    back = [row for row in rows if row.get("case") == "reconnect"]
    print(json.dumps({"reconnects": f"{sum(row['pass'] for row in back)}/{len(back)}",
                      "slowest_s": max((row.get("back_s", 0.0) for row in back), default=0)}))  # fmt: skip
    return closed("faults", [*rows, *late], len(rows) + given.n)


def matrix(seed: int, *, real: bool = True, only: Sequence[str] = ()) -> Iterator[Row]:
    """Every driver that is installed, every kind that its wires can have, on memory and on each real wire."""
    for driver in sorted(point.name for point in entry_points(group="rocksalt.drivers")):
        if only and driver not in only:
            continue
        if driver in NOT_APPLICABLE:
            yield {"driver": driver, "kind": "all", "pass": True, "why": f"not applicable: {NOT_APPLICABLE[driver]}"}
        elif not rigs_of(driver):
            yield {"driver": driver, "kind": "all", "pass": False, "why": "untested: it has no rig in fault_rigs.py"}
        for rig in rigs_of(driver):
            for kind in kinds_of(rig):
                yield cell(rig, kind, "memory", seed)
                for wire in rig.wires if real and (driver, kind) not in SLOW and kind not in STREAM_KINDS else ():
                    yield cell(rig, kind, wire, seed)


def reconnects(first: int, count: int = OUTAGES, *, real: bool = True, only: Sequence[str] = ()) -> Iterator[Row]:
    """Outages of seeded kind and length on each serial and TCP line: how long after the link was back is the value?"""
    for rig in RIGS.values():
        for wire in rig.wires if "http" not in rig.wires and (not only or rig.driver in only) else ():
            for seed in range(first, first + count):
                yield outage(rig, wire, seed, real=False)
            for seed in range(first, first + REAL_OUTAGES if real else first):
                yield outage(rig, wire, seed, real=True)


def outage(rig: Rig, wire: Wire, seed: int, *, real: bool) -> Row:
    chance = Chance(seed).stream(f"outage of {rig.name} on {wire}")
    kind = OUTAGE_KINDS[int(chance.integers(len(OUTAGE_KINDS)))]
    lasts_s = float(chance.uniform(0.3, 3.0 if real else 60.0))
    row: Row = {"case": "reconnect", "driver": rig.name, "wire": wire, "real": real, "kind": kind, "seed": seed,
                "lasts_s": round(lasts_s, 3), "bar_s": BACK_WITHIN_S}  # fmt: skip
    try:
        work = partial(_back, rig, wire, seed, kind, lasts_s, real=real)
        back_s, value, truth = asyncio.run(work()) if real else run_virtual(work)
    except Exception as error:
        return row | {"pass": False, "why": f"{type(error).__name__}: {error}"}
    return row | {"back_s": round(back_s, 3), "pass": value == truth and back_s <= BACK_WITHIN_S,
                  **({} if value == truth else {"why": f"{value!r}, and the truth is {truth!r}"})}  # fmt: skip


async def _back(rig: Rig, wire: Wire, seed: int, kind: str, lasts_s: float, *, real: bool) -> tuple[float, Any, Any]:
    """Seconds from the link's return to the value, the value, and the truth, which moved on meanwhile.

    An outage that is over before its deadline has named it counts from there.
    """
    like_serial = wire == "serial" and not real
    async with stand_of(rig, wire if real else "memory", [], like_serial=like_serial) as stand:
        device, clock, back = stand.device, stand.clock, asyncio.Event()
        await device.connect()
        begins_s = clock.now_s() + 0.1
        stand.suffer([Fault(rig.driver, kind, at_s=begins_s, for_s=lasts_s)], seed)
        supervisor = Supervisor([device], lambda device, why: None, lambda device, readings: back.set())
        supervisor.start()
        await clock.sleep(begins_s + 0.01 - clock.now_s())
        try:
            await rig.value(device)
        except LinkLost:
            pass
        else:
            raise AssertionError("the link was not lost")
        returns_s = max(begins_s + lasts_s, clock.now_s())
        rig.shift(stand.door)
        async with asyncio.timeout(lasts_s + 30.0):
            await back.wait()
        value = await rig.value(device)
        supervisor.stop()
        return clock.now_s() - returns_s, value, rig.truth(stand)


def kinds_of(rig: Rig) -> tuple[str, ...]:
    streams = STREAM_KINDS if "shape" in rig.settings else ()
    return (*REPLY_KINDS, *NUMBER_KINDS, *LINK_KINDS, *streams)


def cell(rig: Rig, kind: str, wire: Wire, seed: int) -> Row:
    """One cell on one wire: what was seen, beside what was expected."""
    row: Row = {"driver": rig.name, "kind": kind, "wire": wire, "seed": seed,
                "expected": TABLE.get(rig.name, {}).get(kind, "nothing: the cell is missing")}  # fmt: skip
    work = streamed if kind in STREAM_KINDS else seen
    try:
        if wire == "memory":
            found = run_virtual(lambda: work(rig, kind, wire, seed, row["expected"]))
        else:
            found = asyncio.run(work(rig, kind, wire, seed, row["expected"]))
    except Exception as error:  # whatever leaves a driver that is no DeviceError is what this table looks for
        found = {"measured": f"{type(error).__name__}: {error}"}
    row |= found
    row["pass"] = row["measured"] == row["expected"] and not row.get("why")
    return row


def faults_for(rig: Rig, kind: str, deadline_s: float, begins_s: float) -> list[Fault]:
    """The schedule of a cell. `lost` kinds last a second or hit one reply; what goes on being wrong lasts longer."""
    common: dict[str, Any] = {"device": rig.driver, "kind": kind, "at_s": begins_s}
    match kind:
        case "stale" if "shape" in rig.settings:  # a state is known when seen: this is the answer that is believed
            return [Fault(**common, replies=1, matching="detector_number")]
        case "garbage" | "truncated" | "stale" | "doubled":
            return [Fault(**common, replies=1)]
        case "delay":
            return [Fault(**common, replies=1, delay_s=1.5 * deadline_s)]
        case "refused":
            return [Fault(**(common | {"kind": "dropped"})), Fault(**common, for_s=LASTS_S)]
        case "drift":
            return [Fault(**common, for_s=LASTS_S, per_s=5.0)]
        case "wrong_unit":
            return [Fault(**common, for_s=LASTS_S, factor=rig.factor)]
        case "stuck":
            return [Fault(**common, for_s=rig.stuck_s, matching="(status/state|^(?!PUT))")]
    return [Fault(**common, for_s=LASTS_S)]


async def seen(rig: Rig, kind: str, wire: Wire, seed: int, expected: str) -> Row:
    """What the driver makes of the fault, and whether it is well afterwards."""
    real = wire != "memory"
    loop = asyncio.get_running_loop()
    limit_s = REAL_DEADLINE_S if real else 2.0
    async with stand_of(rig, wire, []) as stand:
        device, clock = stand.device, stand.clock
        await device.connect()
        await device.identify()
        stand.hurry(limit_s)
        begins_s = clock.now_s() + LEAD_S
        stand.suffer(faults_for(rig, kind, limit_s, begins_s), seed)
        back = asyncio.Event()
        supervisor = Supervisor([device], lambda device, why: None, lambda device, readings: back.set())
        supervisor.start()
        acting = kind in ("stuck", "reboot")
        await clock.sleep(begins_s + (-rig.lead_s if acting and not early(rig, kind) else 0.03) - clock.now_s())
        call = rig.act if acting else rig.number if kind in NUMBER_KINDS else rig.value
        began_s = max(loop.time(), loop.time() + begins_s - clock.now_s())
        truth = rig.truth(stand)
        stand.count()
        try:
            value = await call(device)
            measured = judged(rig, kind, stand, value, truth)
        except DeviceError as error:
            measured = NAMES.get(type(error), type(error).__name__)
        lasted_s = loop.time() - began_s
        row: Row = {"measured": measured, "after_s": round(lasted_s, 3)}
        if not [line for line in stand.told if line["fault"] == kind]:
            row["why"] = "the fault never happened"
        if measured == "lost":
            if kind != "stuck" and lasted_s > limit_s + SLACK_S[real] + (0.1 if acting else 0.0):
                row["why"] = f"named after {lasted_s:.2f} s, and the deadline is {limit_s:g} s"
            returns_s = (
                began_s if kind in ("delay", "truncated") else began_s + begins_s + LASTS_S - clock_at(stand, began_s)
            )
            returns_s = max(returns_s, loop.time())
            async with asyncio.timeout(10.0):
                await back.wait()
            value = await rig.value(device)
            row["back_s"] = round(loop.time() - returns_s, 3)
            if value != rig.truth(stand):
                row["why"] = f"back with {value!r}, and the truth is {rig.truth(stand)!r}"
            elif row["back_s"] > BACK_WITHIN_S:
                row["why"] = f"back {row['back_s']} s after the link was"
        else:
            if device.state != "connected":
                row["why"] = "the device is disconnected, and no link was lost"
            ends_s = begins_s + (rig.stuck_s if kind == "stuck" else LASTS_S)
            if not (real and kind == "stuck"):
                await clock.sleep(ends_s + 0.05 - clock.now_s())
                rig.shift(stand.door)
                for _ in range(2):
                    if (value := await rig.value(device)) != rig.truth(stand):
                        row["why"] = f"afterwards {value!r}, and the truth is {rig.truth(stand)!r}"
        supervisor.stop()
        return row


def early(rig: Rig, kind: str) -> bool:
    """Whether an act is too short to be met in its middle: it begins with the fault."""
    return kind == "stuck" and rig.lead_s < 0.1


def clock_at(stand: Stand, loop_s: float) -> float:
    """Experiment time at a loop time (the tables run at speed 1)."""
    return stand.clock.now_s() - (asyncio.get_running_loop().time() - loop_s)


def judged(rig: Rig, kind: str, stand: Stand, value: Any, truth: Any) -> str:
    """What a call that raised nothing comes to."""
    if kind in ("stuck", "reboot"):
        return "right" if rig.acted(stand) else "as told"
    if kind in NUMBER_KINDS and value is None:
        return "right"
    if value != truth:
        return "as told"
    return "again" if stand.asked > 1 else "right"


async def streamed(rig: Rig, kind: str, wire: Wire, seed: int, expected: str) -> Row:
    """What comes of a series of five images whose stream has the fault, on disk."""
    from rocksalt.storage.writer import Writer, load_decoder

    image = 3  # of the messages the first is the start, so this is image 1
    fault = Fault(rig.driver, kind, at_s=0.0, replies=1) if kind.endswith("_end") else Fault(
        rig.driver, kind, reply=image, replies=1, delay_s=0.5)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        async with stand_of(rig, wire, [fault], seed=seed) as stand:
            said: list[Row] = []
            messages: list[bytes] = []
            decoder = load_decoder(type(stand.device).stream_decoder, 2, SHAPE)
            writer = Writer(Path(folder), decoder, said.append, stand.clock, reserve_bytes=0)
            stand.line.stream_to(lambda message: messages.append(message) is None)
            await stand.device.connect()
            armed = await stand.device.arm(0.2, 5)
            await writer.command({"kind": "series", "series": armed.series, "measurement": 0, "first_number": 0,
                                  "count": 5, "exposure_s": 0.2})  # fmt: skip
            await stand.device.trigger(0.2, 5)
            await stand.device.disarm()
            await stand.clock.sleep(1.0)
            for message in messages:
                await writer.message(message)
            await writer.command({"kind": "series_timeout", "series": armed.series})
            await writer.command({"kind": "finish"})
    ends = [line for line in said if line["kind"] == "series_end"]
    hashes = {line["image"]: line["sha256"] for line in said if line["kind"] == "frame"}
    differ = [number for number, sha256 in stand.door.truth.items() if hashes.get(number) not in (None, sha256)]
    missing = ends[0]["missing"] if ends else None
    measured = {"([], [])": "complete", "([1], [])": "missing", "([], [1])": "kept"}.get(str((missing, differ)), "?")
    row: Row = {"measured": measured, "missing": missing, "differ": differ}
    if len(ends) != 1 or not stand.told:
        row["why"] = f"the series was closed {len(ends)} times, and the fault happened {len(stand.told)} times"
    return row


def print_table(rows: list[Row]) -> None:
    """The matrix as measured, for a person: kinds down, drivers across; the slowest return of the lost ones."""
    drivers = sorted({row["driver"] for row in rows})
    for kind in dict.fromkeys(row["kind"] for row in rows):
        cells = []
        for driver in drivers:
            mine = [row for row in rows if (row["driver"], row["kind"]) == (driver, kind)]
            back = max((row.get("back_s", 0.0) for row in mine), default=0.0)
            words = "/".join(dict.fromkeys(str(row.get("measured", "")) for row in mine))
            cells.append(f"{words}{f' {back:.2f} s' if back else ''}{'' if all(row['pass'] for row in mine) else ' !'}")
        print(f"{kind:<22}" + "".join(f"{text:<24}" for text in cells))
    print(" " * 22 + "".join(f"{driver:<24}" for driver in drivers))


if __name__ == "__main__":
    began = time.monotonic()
    status = main()
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(status)
