"""The chamber's side of its doors. `advance` takes the world to a time and gives back the present; `settle` does so
and lets the crystal take note, because something is about to change; `tell` writes the truth of that moment."""

from __future__ import annotations

from collections.abc import Callable

from rocksalt.twin.chamber.tube import Tube

Advance = Callable[[float], float]
Tell = Callable[[float], None]


class TubeWay:
    """See `rocksalt.twin.chamber.doors.TubeDoor`."""

    def __init__(self, tube: Tube, advance: Advance, settle: Advance, tell: Tell) -> None:
        self._tube, self._generator, self._advance, self._settle = tube, tube.generator, advance, settle
        self._tell = tell

    @property
    def ratings(self) -> tuple[float, float, float]:
        rating = self._generator.rating
        return rating.max_kv, rating.max_ma, rating.max_kw

    def set_kv(self, at_s: float, kv: float) -> None:
        self._generator.set(self._settle(at_s), kv=kv)

    def set_ma(self, at_s: float, ma: float) -> None:
        self._generator.set(self._settle(at_s), ma=ma)

    def setpoints(self, at_s: float) -> tuple[float, float]:
        self._now(at_s)
        return self._generator.kv_setpoint, self._generator.ma_setpoint

    def high_voltage(self, at_s: float, on: bool) -> bool:
        now = self._settle(at_s)
        obeyed = self._tube.switch(now, on)
        self._tell(now)
        return obeyed

    def is_on(self, at_s: float) -> bool:
        self._now(at_s)
        return self._generator.on

    def imminent(self, at_s: float) -> bool:
        return self._generator.imminent(self._now(at_s))

    def kv(self, at_s: float) -> float:
        return self._generator.at(self._now(at_s))[0]

    def ma(self, at_s: float) -> float:
        return self._generator.at(self._now(at_s))[1]

    def interlock_closed(self, at_s: float) -> bool:
        self._now(at_s)
        return self._generator.interlock_closed and self._generator.permitted

    def set_interlock(self, at_s: float, closed: bool) -> None:
        now = self._settle(at_s)
        self._generator.interlock(now, closed)
        self._tell(now)

    def permit(self, at_s: float, on: bool) -> None:
        now = self._settle(at_s)
        self._generator.permit(now, on)
        self._tell(now)

    def fault(self, at_s: float) -> str:
        self._now(at_s)
        return self._generator.fault

    def arc_count(self, at_s: float) -> int:
        self._now(at_s)
        return self._generator.arcs

    def clear_faults(self, at_s: float) -> None:
        self._generator.clear(self._settle(at_s))

    def _now(self, at_s: float) -> float:
        now = self._advance(at_s)
        self._generator.go_to(now)
        return now


class TubeShutterWay:
    """See `rocksalt.twin.chamber.doors.TubeShutterDoor`."""

    def __init__(self, tube: Tube, advance: Advance, settle: Advance, tell: Tell) -> None:
        self._shutter, self._advance, self._settle, self._tell = tube.shutter, advance, settle, tell

    def request(self, at_s: float, open: bool) -> None:
        now = self._settle(at_s)
        self._shutter.move(now, open)
        self._tell(now)

    def switches(self, at_s: float) -> tuple[bool, bool]:
        position = self._shutter.position(self._advance(at_s))
        return position >= 1.0, position <= 0.0
