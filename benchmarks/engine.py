"""What a point costs: one `set` through limits and ramp guard, two reads, intent and outcome journalled.

Beside it Bluesky's RunEngine. Both sides move one device and read two, with devices that answer at once and in the
same process. Rocksalt's side has its journal on (written line by line, committed at the end); Bluesky's has a
subscriber that throws documents away.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rocksalt.config.links import Link
from rocksalt.devices import Limits, Readable, Settable, Settings
from rocksalt.devices.links import Wires
from rocksalt.storage.disk import RealDisk
from rocksalt.storage.journal import Journal
from rocksalt.storage.records import plain
from rocksalt.time import ExperimentClock
from rocksalt.values import Exposure, Measure, Measurement

POINTS = 2000


class Soft:
    """An instrument that is a number."""

    identity = re.compile("soft")
    unit = "bar"
    value = 0.0

    def _wire(self, wires: Wires) -> None: ...
    async def _open(self) -> None: ...
    async def _close(self) -> None: ...
    async def _identify(self) -> str:
        return "soft"

    async def _read(self) -> float:
        return self.value


class SoftMembrane(Soft, Settable):  # type: ignore[misc]
    async def _set_ramp(self, per_s: float) -> float:
        return per_s

    async def _set(self, target: float) -> None:
        self.value = target


class SoftGauge(Soft, Readable):  # type: ignore[misc]
    pass


def variants() -> dict[str, Callable[[], float]]:
    """CPU milliseconds a point."""
    found: dict[str, Callable[[], float]] = {"rocksalt: set, 2 reads, intent and outcome journalled": rocksalt_ms}
    try:
        import bluesky  # noqa: F401
    except ImportError:
        print("bluesky is not installed (make bench installs it): its side is left out")
    else:
        found["bluesky RunEngine: mv, read of 2, event"] = bluesky_ms
    return found


def judge(medians: dict[str, float]) -> list[str]:
    """No bar in figures: the ratio is what is told."""
    ours, theirs = medians.get(next(iter(medians))), medians.get("bluesky RunEngine: mv, read of 2, event")
    if ours is None or theirs is None:
        return ["no comparison: one side is missing"]
    return [f"ratio bluesky / rocksalt: {theirs / ours:.1f}"]


def rocksalt_ms() -> float:
    """Points through the devices' guards and the journal."""
    return asyncio.run(_rocksalt_ms())


async def _rocksalt_ms() -> float:
    clock = ExperimentClock(asyncio.get_running_loop())
    nowhere: Any = None
    settings = Settings(Link("tcp"), Limits(0.0, float(POINTS), "bench"), ramp=1e9)
    membrane, gauge = SoftMembrane("membrane", settings, nowhere, clock), SoftGauge("gauge", settings, nowhere, clock)
    await membrane.connect()
    await gauge.connect()
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.jsonl", RealDisk(), clock)
        start = time.process_time()
        for number in range(POINTS):
            target = float(number)
            measurement = Measurement(number, {"membrane_bar": target}, (Exposure("gauge", 1.0),))
            journal.append("intend", **plain(Measure(measurement, "bench")))
            await membrane.set(target)
            journal.append("reached", setpoint="membrane_bar", target=target)
            for device in (membrane, gauge):
                journal.append("reading", **plain(await device.read()))
            journal.append("done", measurement=number)
        await journal.commit()
        took = time.process_time() - start
        journal.close()
    return 1e3 * took / POINTS


def bluesky_ms() -> float:
    """The same points through a RunEngine."""
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp
    from bluesky import RunEngine

    motor, gauge = _Motor("membrane"), _Detector("gauge")
    engine = RunEngine({}, context_managers=[])
    engine.subscribe(lambda name, document: None)

    @bpp.run_decorator()  # type: ignore[untyped-decorator]
    def plan() -> Any:
        for number in range(POINTS):
            yield from bps.mv(motor, float(number))
            yield from bps.trigger_and_read([motor, gauge])

    start = time.process_time()
    engine(plan())
    return 1e3 * (time.process_time() - start) / POINTS


class _Done:
    done = success = True

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)

    def exception(self, timeout: float | None = None) -> None:
        return None


class _Detector:
    parent = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.value = 0.0

    def trigger(self) -> _Done:
        return _Done()

    def read(self) -> dict[str, Any]:
        return {self.name: {"value": self.value, "timestamp": 0.0}}

    def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "soft", "dtype": "number", "shape": []}}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


class _Motor(_Detector):
    @property
    def position(self) -> float:
        return self.value

    def set(self, value: float) -> _Done:
        self.value = value
        return _Done()
