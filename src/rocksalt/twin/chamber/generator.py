"""The high voltage: set-points, pre-warning, ramps, interlocks, faults and arcs. Only commands, and arcs, change it.

Voltage and current are straight between knots in time. The past stays, so that dose can be added up afterwards.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np

_COLLAPSE_S: Final = 0.01
_QUENCH_S: Final = 0.3
_DECAY_KV_PER_S: Final = 400.0
_DECAY_MA_PER_S: Final = 200.0


@dataclass(frozen=True, slots=True)
class Rating:
    """What a generator can do. Ramps in units a second; `warning_s` passes between the command and the first kilovolt.

    The defaults are of the size that makers of 160 kV units print; none of them is a certain model's (unconfirmed).
    """

    max_kv: float = 160.0
    max_ma: float = 30.0
    max_kw: float = 3.0
    ramp_kv_per_s: float = 8.0
    ramp_ma_per_s: float = 2.0
    warning_s: float = 5.0


class Generator:
    """Volts and current in the generator's own reading. Arcs come with the age under voltage, from `rng`."""

    def __init__(self, rating: Rating, rng: np.random.Generator, arcs_per_hour: float, arc_trips: float) -> None:
        self.rating = rating
        self.kv_setpoint, self.ma_setpoint = 0.0, 0.0
        self.interlock_closed, self.permitted = True, True
        self.fault = ""
        self.arcs = 0
        self._rng, self._arcs_per_hour, self._arc_trips = rng, arcs_per_hour, arc_trips
        self._on = False
        self._switched_s: list[float] = []
        self._live_s = inf  # from when the voltage rises: the command and the warning
        self._age_s, self._aged_from_s = 0.0, inf
        self._arc_age_s = self._next_arc()
        self._knots: list[float] = [-inf]
        self._values: list[tuple[float, float]] = [(0.0, 0.0)]

    # --- commands: at_s is not before any earlier command -----------------------------------------------------------

    def set(self, at_s: float, kv: float | None = None, ma: float | None = None) -> None:
        """New set-points. Raises ValueError beyond the rating, without effect."""
        self.go_to(at_s)
        kilovolt, current = self.kv_setpoint if kv is None else kv, self.ma_setpoint if ma is None else ma
        limits = self.rating
        if not (0.0 <= kilovolt <= limits.max_kv and 0.0 <= current <= limits.max_ma):
            raise ValueError(
                f"the generator gives 0 to {limits.max_kv:g} kV and 0 to {limits.max_ma:g} mA, not {kilovolt:g} kV, "
                f"{current:g} mA"
            )
        self.kv_setpoint, self.ma_setpoint = kilovolt, current
        self._check_power(at_s)
        self._plan(at_s)

    def switch(self, at_s: float, on: bool) -> bool:
        """High voltage on or off; whether it obeyed. Refused with an interlock open, without permit, or in a fault."""
        self.go_to(at_s)
        if on and (self.fault or not (self.interlock_closed and self.permitted)):
            return False
        if on != self._on:
            self._turn(at_s, on)
            self._live_s = at_s + self.rating.warning_s if on else inf
            self._check_power(at_s)
            self._plan(at_s)
        return on == self._on

    def interlock(self, at_s: float, closed: bool) -> None:
        """The door's contact. Opening it takes the voltage away at once; closing it brings nothing back."""
        self.interlock_closed = closed
        if not closed:
            self.switch(at_s, False)

    def permit(self, at_s: float, on: bool) -> None:
        """The permit of the personnel safety system, with the same effect."""
        self.permitted = on
        if not on:
            self.switch(at_s, False)

    def clear(self, at_s: float) -> None:
        """Forget the fault; the voltage stays off."""
        self.go_to(at_s)
        self.fault = ""

    # --- questions --------------------------------------------------------------------------------------------------

    def go_to(self, at_s: float) -> None:
        """Let happen what happens by itself until at_s: arcs."""
        while self._on:
            arc_s = self._aged_from_s + self._arc_age_s - self._age_s
            if not arc_s <= at_s:
                return
            self.arcs += 1
            self._arc_age_s += self._next_arc()
            if self._rng.random() < self._arc_trips:
                self._trip(arc_s, "arc")
            else:
                self._age_s += arc_s - self._aged_from_s
                self._cut(arc_s)
                self._add(arc_s + _COLLAPSE_S, (0.0, 0.0))
                self._live_s = arc_s + _COLLAPSE_S + _QUENCH_S
                self._rise()

    @property
    def on(self) -> bool:
        """Whether high voltage is commanded, the warning included."""
        return self._on

    def was_on(self, at_s: float) -> bool:
        """The same at any time up to the last `go_to`."""
        return bisect_right(self._switched_s, at_s) % 2 == 1

    def imminent(self, at_s: float) -> bool:
        """Whether the warning is running."""
        return self._on and at_s < self._live_s

    def at(self, at_s: float) -> tuple[float, float]:
        """(kV, mA) as the generator itself would read them without noise; any time up to the last `go_to`."""
        place = bisect_right(self._knots, at_s)
        if place == len(self._knots) or self._knots[place - 1] == -inf:
            return self._values[place - 1]
        (t0, t1), (one, other) = self._knots[place - 1 : place + 1], self._values[place - 1 : place + 1]
        part = (at_s - t0) / (t1 - t0)
        return one[0] + part * (other[0] - one[0]), one[1] + part * (other[1] - one[1])

    def knots(self, start_s: float, end_s: float) -> list[float]:
        """Times strictly between at which a slope changes."""
        return self._knots[bisect_right(self._knots, start_s) : bisect_left(self._knots, end_s)]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _plan(self, at_s: float) -> None:
        """Forget the future from here and lay it out anew."""
        if self._aged_from_s < at_s:
            self._age_s += at_s - self._aged_from_s
        self._cut(at_s)
        if not self._on:
            self._aged_from_s = inf
            kv, ma = self._values[-1]
            for seconds in sorted({kv / _DECAY_KV_PER_S, ma / _DECAY_MA_PER_S} - {0.0}):
                left = max(kv - seconds * _DECAY_KV_PER_S, 0.0), max(ma - seconds * _DECAY_MA_PER_S, 0.0)
                self._add(at_s + seconds, left)
        else:
            self._rise()

    def _rise(self) -> None:
        """From the last knot, or the end of the warning, in straight lines to the set-points."""
        start_s = max(self._knots[-1], self._live_s)
        self._aged_from_s = start_s
        self._add(start_s, self._values[-1])
        (kv, ma), rating = self._values[-1], self.rating
        needs = abs(self.kv_setpoint - kv) / rating.ramp_kv_per_s, abs(self.ma_setpoint - ma) / rating.ramp_ma_per_s
        for seconds in sorted(set(needs) - {0.0}):
            parts = [min(seconds / need, 1.0) if need else 1.0 for need in needs]
            self._add(
                start_s + seconds,
                (kv + parts[0] * (self.kv_setpoint - kv), ma + parts[1] * (self.ma_setpoint - ma)),
            )

    def _cut(self, at_s: float) -> None:
        here = self.at(at_s)
        while self._knots[-1] >= at_s:
            self._knots.pop()
            self._values.pop()
        self._add(at_s, here)

    def _add(self, at_s: float, value: tuple[float, float]) -> None:
        if at_s > self._knots[-1]:
            self._knots.append(at_s)
            self._values.append(value)

    def _trip(self, at_s: float, fault: str) -> None:
        self.fault, self._live_s = fault, inf
        self._turn(at_s, False)
        self._plan(at_s)

    def _turn(self, at_s: float, on: bool) -> None:
        if on != self._on:
            self._on = on
            self._switched_s.append(at_s)

    def _check_power(self, at_s: float) -> None:
        if self._on and self.kv_setpoint * self.ma_setpoint > 1e3 * self.rating.max_kw:
            self.fault, self._live_s = "over-power", inf
            self._turn(at_s, False)

    def _next_arc(self) -> float:
        return float(self._rng.exponential(3600.0 / self._arcs_per_hour)) if self._arcs_per_hour > 0.0 else inf
