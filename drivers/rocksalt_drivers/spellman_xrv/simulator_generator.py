"""What a Spellman generator does by itself: high voltage, latched faults, trips, hours, and the watchdog.

Faults latch until they are cleared. The watchdog runs on the box's own time, which is wire time.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Protocol

from rocksalt.time import Clock

ARC, WATCHDOG, OVER_POWER = 11, 21, 23
"""Places among the 27 fault flags of an XRV."""


class TubeDoor(Protocol):
    """What the generator feels of its tube. Times in experiment seconds."""

    @property
    def ratings(self) -> tuple[float, float, float]: ...

    def set_kv(self, at_s: float, kv: float) -> None: ...

    def set_ma(self, at_s: float, ma: float) -> None: ...

    def high_voltage(self, at_s: float, on: bool) -> bool: ...

    def is_on(self, at_s: float) -> bool: ...

    def imminent(self, at_s: float) -> bool: ...

    def kv(self, at_s: float) -> float: ...

    def ma(self, at_s: float) -> float: ...

    def setpoints(self, at_s: float) -> tuple[float, float]: ...

    def interlock_closed(self, at_s: float) -> bool: ...

    def fault(self, at_s: float) -> str: ...

    def clear_faults(self, at_s: float) -> None: ...


class Unwilling(Exception):
    """High voltage that may not come on."""


class GeneratorBox:
    """The box behind its tables. `watchdog_s`: off after so long without a message, 0 never.

    latched   places of fault flags; tripped: an interlock took the voltage away, which needs a reset and a new command
    obeys     whether the command for high voltage does anything: for tests
    """

    def __init__(self, door: TubeDoor, clock: Clock, *, watchdog_s: int, local: bool) -> None:
        self.door, self.clock = door, clock
        self.local, self.obeys, self.tripped = local, True, False
        self.latched: set[int] = set()
        self.watchdog_s = watchdog_s
        self._commanded = door.is_on(clock.now_s())
        self._hours_from_s = clock.now_s()
        self._lit_s = 0.0
        self._heard_s = self._wire_s()
        self._alarm: asyncio.TimerHandle | None = None

    def power_cycle(self) -> None:
        """Off and on: no voltage, no set-points, no memory of faults."""
        now_s = self.clock.now_s()
        self.door.high_voltage(now_s, False)
        self.door.clear_faults(now_s)
        self.door.set_kv(now_s, 0.0)
        self.door.set_ma(now_s, 0.0)
        self.latched.clear()
        self.tripped = self._commanded = self.local = False

    def heard(self) -> None:
        """A message came."""
        self._heard_s = self._wire_s()

    def switch(self, on: bool) -> None:
        """High voltage on or off. Raises Unwilling in local, with an interlock open, or with a fault latched."""
        now_s = self.clock.now_s()
        if on and (self.local or self.faulty() or not self.door.interlock_closed(now_s)):
            raise Unwilling
        if not self.obeys:
            return
        self._count_hours(now_s)
        obeyed = self.door.high_voltage(now_s, on)
        self._commanded = on and obeyed
        if not obeyed:
            raise Unwilling

    def clear(self) -> None:
        """Forget faults and trips; the voltage stays off."""
        self.door.clear_faults(self.clock.now_s())
        self.latched.clear()
        self.tripped = False

    def reset_hours(self) -> None:
        self._lit_s, self._hours_from_s = 0.0, self.clock.now_s()

    def faults(self) -> set[int]:
        word = self.door.fault(self.clock.now_s())
        return self.latched | {place for name, place in (("arc", ARC), ("over-power", OVER_POWER)) if name == word}

    def faulty(self) -> bool:
        return bool(self.faults()) or self.tripped

    def hours(self) -> float:
        self._count_hours(self.clock.now_s())
        return self._lit_s / 3600.0

    def _count_hours(self, now_s: float) -> None:
        if self._commanded:
            self._lit_s += now_s - self._hours_from_s
        self._hours_from_s = now_s

    # what it does by itself

    def look(self) -> None:
        """See what has happened since the last look: an interlock, an arc, a watchdog; know when to look again."""
        now_s = self.clock.now_s()
        if self._commanded and not self.door.is_on(now_s):
            self._count_hours(now_s)
            self._commanded = False
            self.tripped = self.tripped or not self.door.fault(now_s)
        if self.door.is_on(now_s) and not self._commanded:
            self._commanded, self._hours_from_s = True, now_s
        if self._commanded and self.faulty():
            self._shut(now_s)
        limit_s = self.watchdog_s
        if self._commanded and limit_s and self._wire_s() >= self._heard_s + limit_s:
            self.latched.add(WATCHDOG)
            self._shut(now_s)
        self._set_alarm(limit_s)

    def _shut(self, now_s: float) -> None:
        self._count_hours(now_s)
        self._commanded = False
        self.door.high_voltage(now_s, False)

    def _set_alarm(self, limit_s: int) -> None:
        """The watchdog needs nobody to ask it. The timer belongs to no client."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._commanded and limit_s:
            delay_s = max(self._heard_s + limit_s - self._wire_s(), 0.0) + 1e-6
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(delay_s, self.look, context=contextvars.Context())

    def _wire_s(self) -> float:
        return self.clock.now_s() / self.clock.speed
