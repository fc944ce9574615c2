"""What every instrument is to the rest of the program. A driver fills in the hooks; the guards are here, once.

Hooks begin with an underscore and speak the protocol (`_identify`, `_read`, `_set`, `_stop`, `_make_safe`…). The public
methods around them add limits, ramp guard, read-back, deadlines, logging and safe state, and can't be passed by.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

from rocksalt.config.links import Link
from rocksalt.devices.errors import (
    DeviceError,
    GarbledReply,
    LinkLost,
    NotReached,
    OutOfLimits,
    Preempted,
    RampTooFast,
    Refused,
    Stopped,
    WrongInstrument,
)
from rocksalt.devices.links import ByteLink, HttpLink, Wires
from rocksalt.time import Clock
from rocksalt.values import Reading

State = Literal["disconnected", "connected"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a set-point may be. `where` says whose rule it is, for the message."""

    lower: float
    upper: float
    where: str = ""

    def check(self, device: str, target: float, unit: str) -> None:
        """Raises OutOfLimits, naming the rule; NaN is outside every limit."""
        rule = f"({self.where})" if self.where else "(limit)"
        if math.isinf(target):
            raise OutOfLimits(device, f"{target:g} {unit} is no place to go to {rule}")
        if not target >= self.lower:
            raise OutOfLimits(device, f"{target:g} {unit} is below {self.lower:g} {unit} {rule}")
        if not target <= self.upper:
            raise OutOfLimits(device, f"{target:g} {unit} is above {self.upper:g} {unit} {rule}")

    def within(self, other: Limits) -> Limits:
        """The tighter of both on either side, with the rule that is the tighter."""
        lower = self if self.lower >= other.lower else other
        upper = self if self.upper <= other.upper else other
        where = lower.where if lower is upper else f"{lower.where}; {upper.where}"
        return Limits(lower.lower, upper.upper, where)


ANYWHERE = Limits(float("-inf"), float("inf"), "no limit set")


@dataclass(frozen=True, slots=True)
class Settings:
    """One device's part of the station file, in plain values.

    ramp        in the device's unit per second; None: no ramp asked for, and none is set
    where       where in which file the device is described, for messages
    """

    link: Link
    limits: Limits = ANYWHERE
    ramp: float | None = None
    stream: Link | None = None
    stream_version: int = 2
    shape: tuple[int, int] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""


class Device:
    """An instrument: connected and identified, or disconnected. `on_change` hears when that changes, and why."""

    identity: ClassVar[re.Pattern[str]]
    """What the instrument's own identification must look like."""

    def __init__(self, name: str, settings: Settings, wires: Wires, clock: Clock) -> None:
        self.name, self.settings, self.clock = name, settings, clock
        self.state: State = "disconnected"
        self.identified = ""
        self.on_change: Callable[[Device, State, str], None] = lambda device, state, why: None
        self._stops = 0
        self._moves: list[asyncio.Task[Any]] = []
        self._wire(wires)

    # hooks

    def _wire(self, wires: Wires) -> None:
        """Make the links."""
        raise NotImplementedError

    async def _open(self) -> None:
        """Open the links. Raises LinkLost."""
        raise NotImplementedError

    async def _close(self) -> None:
        raise NotImplementedError

    async def _identify(self) -> str:
        raise NotImplementedError

    async def _prepare(self) -> None:
        """Put the instrument into a known configuration, whatever its front panel was left in."""

    async def _learn(self) -> None:
        """Ask the instrument what the guards need to know of it; the last step of connecting."""

    async def _stop(self) -> None:
        """Stop what moves, hold where it stands. Goes before everything that waits for the line."""

    async def _make_safe(self) -> None:
        """The instrument's own safe state, in one exchange, nothing read first."""

    # what the program calls

    async def connect(self) -> None:
        """Open, identify, prepare. Raises LinkLost, WrongInstrument, Refused."""
        try:
            await self._open()
            self.identified = await self._identify()
            if not self.identity.search(self.identified):
                raise WrongInstrument(
                    self.name,
                    f"{self.identified!r} answers at {self.settings.link}, where the station file "
                    f"({self.settings.where}) expects one like {self.identity.pattern!r}",
                )
            await self._prepare()
            await self._learn()
        except DeviceError as error:
            await self._close()
            self._becomes("disconnected", str(error))
            raise
        self._becomes("connected", self.identified)

    async def close(self) -> None:
        """Let go of the instrument. It stays as it is."""
        await self._close()
        self._becomes("disconnected", "closed")

    async def identify(self) -> str:
        """What the instrument says it is."""
        text: str = await self._noticing(self._identify)
        return text

    async def stop(self) -> None:
        """Stop moving and hold; whoever waits in `set` gets Stopped. Works while the line is busy."""
        self._end_moves()
        await self._noticing(self._stop)

    async def make_safe(self) -> None:
        """Safe state. Raises LinkLost when the instrument can't be told."""
        self._end_moves()
        await self._noticing(self._make_safe)

    def _end_moves(self) -> None:
        self._stops += 1
        for move in self._moves:
            move.cancel()

    async def _moving(self, move: Coroutine[Any, Any, None], what: str) -> None:
        """Await a move as a task that `stop` and `make_safe` cancel before they speak: once one of them was called, no
        byte of the move reaches the wire. Raises Stopped."""
        stops = self._stops
        task = asyncio.get_running_loop().create_task(move, name=f"{self.name}:{what}")
        self._moves.append(task)
        try:
            await task
        except (asyncio.CancelledError, Preempted):
            me = asyncio.current_task()
            if self._stops == stops or (me is not None and me.cancelling()):
                raise
            raise Stopped(self.name, f"{what} was stopped") from None
        finally:
            self._moves.remove(task)

    async def _noticing(self, hook: Callable[..., Any], *arguments: Any) -> Any:
        """Call a hook; a lost link makes the device disconnected. A question that was answered with a garbled reply, or
        broken off by a stop, is asked once more."""
        try:
            try:
                return await hook(*arguments)
            except (GarbledReply, Preempted):
                if hook.__name__ not in ("_read", "_identify", "_status"):
                    raise
                return await hook(*arguments)
        except LinkLost as error:
            self._becomes("disconnected", str(error))
            raise

    def _becomes(self, state: State, why: str) -> None:
        if state != self.state:
            self.state = state
            self.on_change(self, state, why)


class Readable(Device):
    """An instrument that gives a value in `unit`; `reading_name` is the device and the unit, as in "membrane_bar"."""

    unit: ClassVar[str]

    @property
    def reading_name(self) -> str:
        return f"{self.name}_{self.unit.lower()}"

    async def _read(self) -> float:
        raise NotImplementedError

    async def read(self) -> Reading:
        """The value now. Raises LinkLost, GarbledReply."""
        value: float = await self._noticing(self._read)
        return Reading(self.reading_name, value, self.unit, self.clock.now_s())

    async def readings(self) -> tuple[Reading, ...]:
        """Everything that this device tells at once; `read()` first."""
        return (await self.read(),)


class Settable(Readable):
    """An instrument that can be told where to go, within limits and ramp.

    arrives_within   how near, in the unit, counts as there
    margin_s         experiment time granted beyond the ramp's own
    poll_s           experiment time between looks while it moves
    """

    arrives_within: float = 0.1
    margin_s: float = 60.0
    poll_s: float = 1.0
    quickest: ClassVar[float] = 1e-6
    """A ramp below this, in unit per second, would never arrive."""

    async def _limits(self) -> Limits:
        """The instrument's own limits."""
        return ANYWHERE

    async def _set_ramp(self, per_s: float) -> float:
        """Set the ramp (unit per second), return what the instrument then reports."""
        raise NotImplementedError

    async def _set(self, target: float) -> None:
        raise NotImplementedError

    own_limits: Limits = ANYWHERE
    """The instrument's own limits, once it is connected."""

    @property
    def limits(self) -> Limits:
        """What a target must be within: the station's limits and the instrument's own."""
        return self.settings.limits.within(self.own_limits)

    async def _learn(self) -> None:
        self.own_limits = await self._limits()

    async def set(self, target: float) -> None:
        """Move to target (in `unit`) within limits and ramp; returns when there.

        Raises OutOfLimits before anything reaches the wire; RampTooFast; Refused; LinkLost (no answer by an I/O
        deadline); NotReached (experiment time); Stopped.
        """
        self.settings.limits.check(self.name, target, self.unit)
        self.own_limits.check(self.name, target, self.unit)
        await self._moving(self._go(float(target)), f"the move to {target:g} {self.unit}")

    async def _go(self, target: float) -> None:
        ramp = await self._agree_on_ramp()
        start: float = await self._noticing(self._read)
        await self._noticing(self._set, target)
        travel_s = abs(target - start) / ramp if ramp else 0.0
        await self._arrive(target, within_s=1.1 * travel_s + self.margin_s)

    async def _agree_on_ramp(self) -> float | None:
        wanted = self.settings.ramp
        if wanted is None:
            return None
        reported: float = await self._noticing(self._set_ramp, wanted)
        if not 0 < reported <= wanted * 1.001:
            raise RampTooFast(
                self.name,
                f"the instrument reports a ramp of {reported:g} {self.unit}/s after it was told "
                f"{wanted:g} ({self.settings.where}): nothing was moved",
            )
        return max(reported, self.quickest)

    async def _arrive(self, target: float, *, within_s: float) -> None:
        until_s = self.clock.now_s() + within_s
        while True:
            here: float = await self._noticing(self._read)
            if abs(here - target) <= self.arrives_within:
                return
            if self.clock.now_s() > until_s:
                raise NotReached(
                    self.name,
                    f"{here:g} {self.unit} after {within_s:.0f} s, where {target:g} was asked for: "
                    "is the supply high enough, is something stuck?",
                )
            await self.clock.sleep(self.poll_s)


@dataclass(frozen=True, slots=True)
class EnclosureStatus:
    """Shutter and door as the switches tell. A shutter in between is neither open nor closed."""

    shutter_open: bool
    shutter_closed: bool
    door_closed: bool
    ready: bool
    fault: str = ""


class Enclosure(Device):
    """Shutter, door and interlock chain of the hutch or the cabinet."""

    travel_s: float = 2.0
    """Experiment time that the shutter may take from one switch to the other."""
    poll_s: float = 0.1

    async def _status(self) -> EnclosureStatus:
        raise NotImplementedError

    async def _shutter(self, *, open: bool) -> None:
        raise NotImplementedError

    async def _beat(self) -> None:
        """Refresh the hardware's watchdog, where it has one."""

    async def beat(self) -> None:
        """Tell the hardware that somebody watches. Called twice a second of wire time while a run lives."""
        await self._noticing(self._beat)

    async def status(self) -> EnclosureStatus:
        """The switches now. Raises LinkLost, GarbledReply."""
        status: EnclosureStatus = await self._noticing(self._status)
        return status

    async def readings(self) -> tuple[Reading, ...]:
        status = await self.status()
        at_s = self.clock.now_s()
        return (
            Reading(f"{self.name}.shutter", float(status.shutter_open), "", at_s),
            Reading(f"{self.name}.door", float(status.door_closed), "", at_s),
        )

    async def open_shutter(self) -> None:
        """Open, and return when the switch says so. Raises Refused with the door open or the chain not ready."""
        status = await self.status()
        if not status.door_closed:
            raise Refused(self.name, "the door is open: the shutter stays closed")
        if not status.ready:
            raise Refused(self.name, f"the interlock is not ready{f' ({status.fault})' if status.fault else ''}")
        await self._moving(self._drive_shutter(open=True), "opening the shutter")

    async def close_shutter(self) -> None:
        """Close, and return when the switch says so. Raises NotReached if it does not."""
        await self._moving(self._drive_shutter(open=False), "closing the shutter")

    async def _drive_shutter(self, *, open: bool) -> None:
        await self._noticing(self._command_shutter, open)
        await self._until_switch("open" if open else "closed")

    async def _command_shutter(self, open: bool) -> None:
        await self._shutter(open=open)

    async def _until_switch(self, which: Literal["open", "closed"]) -> None:
        until_s = self.clock.now_s() + self.travel_s
        while True:
            status = await self.status()
            if status.shutter_open if which == "open" else status.shutter_closed:
                return
            if self.clock.now_s() > until_s:
                raise NotReached(
                    self.name,
                    f"the shutter was told to be {which}, and its switch does not say so after "
                    f"{self.travel_s:g} s{f' ({status.fault})' if status.fault else ''}",
                )
            await self.clock.sleep(self.poll_s)


@dataclass(frozen=True, slots=True)
class Armed:
    """A detector that waits for its trigger: the series that its frames will carry."""

    series: int


class Detector(Device):
    """An area detector that streams its frames past the daemon to the writer."""

    stream_decoder: ClassVar[str]
    """"module:function", called by the writer with (stream version, (rows, columns)); it needs no more of the driver."""

    async def _arm(self, exposure_s: float, count: int) -> Armed:
        raise NotImplementedError

    async def _trigger(self, wire_s: float) -> None:
        """Trigger; return when the series is done, whenever the detector's answer comes. wire_s: its I/O deadline."""
        raise NotImplementedError

    async def _disarm(self) -> None:
        raise NotImplementedError

    async def arm(self, exposure_s: float, count: int) -> Armed:
        """Make ready for `count` frames of `exposure_s`. Raises Refused, LinkLost."""
        if not (exposure_s > 0 and count >= 1):
            raise Refused(self.name, f"{count} frames of {exposure_s:g} s is no exposure")
        armed: Armed = await self._noticing(self._arm, exposure_s, count)
        return armed

    async def trigger(self, exposure_s: float, count: int) -> None:
        """Expose; returns when the detector has taken the series."""
        wire_s = 1.5 * exposure_s * count / self.clock.speed + 10.0
        await self._noticing(self._trigger, wire_s)

    async def disarm(self) -> None:
        """End the series, if it has not ended by itself."""
        await self._noticing(self._disarm)


class ByteDevice(Device):
    """A device on one line of bytes. `deadline_s` and `spacing_s` are wire time.

    spacing_s         what a serial line wants between messages; `options.spacing_s` in the station file goes before it
    serial_defaults   what the instrument's serial port is set to, unless the station's link says otherwise
    """

    deadline_s: ClassVar[float] = 2.0
    terminator: ClassVar[bytes] = b"\n"
    spacing_s: ClassVar[float] = 0.0
    serial_defaults: ClassVar[Mapping[str, str]] = {}

    def _wire(self, wires: Wires) -> None:
        self.link: ByteLink = wires.byte(
            self.name, self.settings.link, deadline_s=self.deadline_s, serial=self.serial_defaults
        )
        if self.settings.link.scheme == "serial":
            self.link.spacing_s = float(self.settings.options.get("spacing_s", self.spacing_s))
        self.link.terminator = str(self.settings.options.get("terminator", self.terminator.decode())).encode()

    async def _open(self) -> None:
        await self.link.open()

    async def _close(self) -> None:
        self.link.close()


class HttpDevice(Device):
    """A device behind HTTP."""

    deadline_s: ClassVar[float] = 5.0

    def _wire(self, wires: Wires) -> None:
        self.http: HttpLink = wires.http(self.name, self.settings.link, deadline_s=self.deadline_s)

    async def _open(self) -> None:
        await self.http.open()

    async def _close(self) -> None:
        await self.http.close()


async def shielded(work: Any) -> Any:
    """Await `work` to its end even if we are cancelled meanwhile; then be cancelled. For what must not be half done."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
