"""What every instrument is to the rest of the program. A driver fills in the hooks; the guards are here, once.

Hooks begin with an underscore and speak the protocol (`_identify`, `_read`, `_set`, `_stop`, `_make_safe`…). The public
methods around them add limits, ramp guard, read-back, deadlines and safe state, and can't be passed by.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Literal

from rocksalt.devices.errors import (
    DeviceError,
    GarbledReply,
    LinkLost,
    Preempted,
    Stopped,
    WrongInstrument,
)
from rocksalt.devices.links import ByteLink, HttpLink, Wires
from rocksalt.devices.settings import Settings
from rocksalt.time import Clock
from rocksalt.values import Reading

State = Literal["disconnected", "connected"]


class Device:
    """An instrument: connected and identified, or disconnected. `on_change` hears when that changes, and why."""

    identity: ClassVar[re.Pattern[str]]
    """What the instrument's own identification must look like."""

    def __init__(self, name: str, settings: Settings, wires: Wires, clock: Clock) -> None:
        self.name, self.settings, self.clock = name, settings, clock
        self.state: State = "disconnected"
        self.identified = ""
        self.facts: dict[str, str | float] = {}
        """What the instrument says of itself beside its identity, units in the names: for the records of the run."""
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
            self.identified = self._as_expected(await self._identify())
            await self._prepare()
            await self._learn()
        except DeviceError as error:
            await self._close()
            self._becomes("disconnected", str(error))
            raise
        self._becomes("connected", self.identified)

    async def reconnect(self) -> None:
        """As `connect`, for one that was lost: it will be tried again soon, so no attempt waits long for an answer."""
        await self.connect()

    async def close(self) -> None:
        """Let go of the instrument. It stays as it is."""
        await self._close()
        self._becomes("disconnected", "closed")

    async def identify(self) -> str:
        """What the instrument says it is. Raises LinkLost, GarbledReply, WrongInstrument."""
        return self._as_expected(await self._noticing(self._identify))

    def _as_expected(self, identity: str) -> str:
        if self.identity.search(identity):
            return identity
        raise WrongInstrument(
            self.name,
            f"{identity!r} answers at {self.settings.link}, where the station file "
            f"({self.settings.where}) expects one like {self.identity.pattern!r}",
        )

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


class ByteDevice(Device):
    """A device on one line of bytes. `deadline_s` and `spacing_s` are wire time.

    spacing_s         what a serial line wants between messages; `options.spacing_s` in the station file goes before it
    probe_s           how long a lost instrument's answer is waited for at each try; a slow one's driver says more
    serial_defaults   what the instrument's serial port is set to, unless the station's link says otherwise
    """

    deadline_s: ClassVar[float] = 2.0
    probe_s: ClassVar[float] = 0.25
    terminator: ClassVar[bytes] = b"\n"
    spacing_s: ClassVar[float] = 0.0
    serial_defaults: ClassVar[Mapping[str, str]] = {}

    def _wire(self, wires: Wires) -> None:
        self.link: ByteLink = wires.byte(
            self.name, self.settings.link, deadline_s=self.deadline_s, serial=self.serial_defaults
        )
        if self.settings.link.is_serial:
            self.link.spacing_s = float(self.settings.options.get("spacing_s", self.spacing_s))
        self.link.terminator = str(self.settings.options.get("terminator", self.terminator.decode())).encode()

    async def _open(self) -> None:
        await self.link.open()

    async def _close(self) -> None:
        self.link.close()

    async def reconnect(self) -> None:
        patience_s = self.link.deadline_s
        self.link.deadline_s = min(patience_s, self.probe_s)
        try:
            await self.connect()
        finally:
            self.link.deadline_s = patience_s


class HttpDevice(Device):
    """A device behind HTTP."""

    deadline_s: ClassVar[float] = 5.0

    def _wire(self, wires: Wires) -> None:
        self.http: HttpLink = wires.http(self.name, self.settings.link, deadline_s=self.deadline_s)

    async def _open(self) -> None:
        await self.http.open()

    async def _close(self) -> None:
        await self.http.close()
