"""One device as a RunEngine expects it: read, described, set, stopped. Limits, ramps and errors stay its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rocksalt.bluesky.status import Status
from rocksalt.devices import Device, Readable, Settable, Stopped
from rocksalt.time import Clock
from rocksalt.values import Reading

if TYPE_CHECKING:
    from event_model.documents.event_descriptor import DataKey, Limits, LimitsRange

D = TypeVar("D", bound=Device)
Values = dict[str, dict[str, Any]]
"""key -> {"value": …, "timestamp": seconds since 1970}: what `read` gives."""


def since_1970_s(clock: Clock, at_s: float | None = None) -> float:
    """The date of experiment time `at_s` (now, if None) in seconds since 1970, by the clock that was handed in."""
    now_s = datetime.fromisoformat(clock.wall()).timestamp()
    return now_s if at_s is None else now_s - (clock.now_s() - at_s) / clock.speed


def key_of(name: str) -> str:
    """A name as a document's key: event-model allows no dot and no slash in one."""
    return name.replace(".", "_").replace("/", "_")


class Wrapped(Generic[D]):
    """What every wrapped device has: name, hints, and its identity and facts as configuration."""

    parent = None

    def __init__(self, device: D) -> None:
        self.device = device

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def hints(self) -> dict[str, Any]:
        return {}

    def configuration(self) -> dict[str, tuple[str | float, str]]:
        """What a run's documents keep of the device: key -> (value, unit)."""
        facts: Mapping[str, str | float] = {"identity": self.device.identified, **self.device.facts}
        return {key_of(f"{self.name}_{fact}"): (value, "") for fact, value in facts.items()}

    async def read_configuration(self) -> Values:
        now_s = since_1970_s(self.device.clock)
        return {key: {"value": value, "timestamp": now_s} for key, (value, _) in self.configuration().items()}

    async def describe_configuration(self) -> dict[str, DataKey]:
        keys: dict[str, DataKey] = {}
        for key, (value, unit) in self.configuration().items():
            dtype = "string" if isinstance(value, str) else "number"
            keys[key] = {"source": self.source(key), "dtype": dtype, "shape": []}  # type: ignore[typeddict-item]
            if unit:
                keys[key]["units"] = unit
        return keys

    def source(self, what: str) -> str:
        """Where a value comes from: the device's address and the value's name."""
        return f"{self.device.settings.link}#{what}"

    async def end(self) -> None:
        """Nothing that was begun through this wrapper goes on; the device's link stays open."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}, {self.device.state}>"


R = TypeVar("R", bound=Readable)


class WrappedReadable(Wrapped[R]):
    """A device that is read: keys are the readings' names, with the unit, as in "membrane_bar"."""

    @property
    def hints(self) -> dict[str, Any]:
        return {"fields": [key_of(self.device.reading_name)]}

    async def read(self) -> Values:
        """Raises LinkLost, GarbledReply."""
        return told(await self.device.readings(), self.device.clock)

    async def describe(self) -> dict[str, DataKey]:
        """Names and units of what it tells; the device is asked once for it. Raises LinkLost, GarbledReply."""
        return {
            key_of(reading.name): {
                "source": self.source(reading.name), "dtype": "number", "shape": [], "dtype_numpy": "<f8",
                "units": reading.unit,
            }
            for reading in await self.device.readings()
        }  # fmt: skip


def told(readings: tuple[Reading, ...], clock: Clock) -> Values:
    """Readings as a RunEngine takes them."""
    return {
        key_of(reading.name): {"value": reading.value, "timestamp": since_1970_s(clock, reading.at_s)}
        for reading in readings
    }


class WrappedSettable(WrappedReadable[Settable]):
    """A device that is told where to go. A set outside the limits fails with OutOfLimits, before the wire."""

    def __init__(self, device: Settable) -> None:
        super().__init__(device)
        self._move: Status | None = None
        self._as_planned = False
        self._target: float | None = None

    async def describe(self) -> dict[str, DataKey]:
        keys = await super().describe()
        limits: Limits = {"control": _range(self.device.limits.lower, self.device.limits.upper)}
        keys[key_of(self.device.reading_name)]["limits"] = limits
        return keys

    def configuration(self) -> dict[str, tuple[str | float, str]]:
        found = super().configuration()
        if self.device.settings.ramp is not None:
            found[key_of(f"{self.name}_ramp")] = (self.device.settings.ramp, f"{self.device.unit}/s")
        return found

    def check_value(self, value: float) -> None:
        """Raises OutOfLimits, as `set` would; nothing is said to the instrument."""
        self.device.settings.limits.check(self.name, value, self.device.unit)
        self.device.own_limits.check(self.name, value, self.device.unit)

    def set(self, value: float) -> Status:
        """Move there, within limits and ramp; the status is done on arrival. Its error is the device's own."""
        self._as_planned = False
        self._move = Status(self._go(value), f"{self.name}: the move to {value} {self.device.unit}")
        return self._move

    async def _go(self, value: float) -> None:
        self.check_value(value)
        self._target = float(value)
        try:
            await self.device.set(value)
        except Stopped:
            if not self._as_planned:
                raise

    async def locate(self) -> dict[str, float]:
        """Where it was sent by the last move, and where it is."""
        here = (await self.device.read()).value
        return {"setpoint": here if self._target is None else self._target, "readback": here}

    async def stop(self, success: bool = True) -> None:
        """End a move that is under way, and hold. An instrument that has arrived goes on holding its set-point.

        A RunEngine stops whatever a plan has moved when it pauses and when it ends: as planned (success), so the move
        counts as done. If something went wrong (not success), the instrument is made safe whether it moves or not.
        """
        moving = self._move is not None and not self._move.done
        self._as_planned = success
        if moving and self._move is not None:
            await self._move.begun()
        if not success:
            await self.device.make_safe()
        elif moving and self._move is not None:
            await self.device.stop()
            await self._move.wait()

    async def end(self) -> None:
        await self.stop()


def _range(lower: float, upper: float) -> LimitsRange:
    """JSON has no infinity: a side without a limit is None."""
    return {"low": lower if math.isfinite(lower) else None, "high": upper if math.isfinite(upper) else None}
