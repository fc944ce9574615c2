"""The sample's stage: a heater in the room, or one above a running cold head. Its temperature is a function of time.

Only commands change it, each begins a new leg, and every leg has a closed form: past times can be asked as well.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import exp, isfinite, log
from typing import Final

HOTTEST_K: Final = 600.0
COLDEST_K: Final = (2.0, 290.0)
_REST_K: Final = 1e-6
_LAG_S: Final = 15.0
_ROOM_S: Final = 300.0
_HEAD_S: Final = 400.0
_ROOM_FULL_POWER_K: Final = 60.0
_HEAD_FULL_POWER_K: Final = 400.0
_WARM_K: Final = 300.0
# What is left of a lag when it is cold: heat capacities fall faster than conductances. Unconfirmed.
_COLD_SHARE: Final = 0.15
_KEPT_LEGS: Final = 4000
_MOST_LEGS: Final = 8000


@dataclass(frozen=True, slots=True)
class Leg:
    """From one command to the next: the set-point goes straight from from_k to to_k within moving_s, the sample follows
    with lag_s, and from rest_s after the start (when it is a microkelvin off) it stands at to_k exactly."""

    since_s: float
    start_k: float
    from_k: float
    to_k: float
    moving_s: float
    lag_s: float
    rest_s: float
    heated: bool

    def kelvin(self, at_s: float) -> float:
        """T' = (set-point - T) / lag, in closed form."""
        elapsed = at_s - self.since_s
        if elapsed >= self.rest_s:
            return self.to_k
        if elapsed < self.moving_s:
            return self._following(elapsed)
        return self.to_k + (self._following(self.moving_s) - self.to_k) * exp(-(elapsed - self.moving_s) / self.lag_s)

    def _following(self, elapsed: float) -> float:
        slope = 0.0 if self.moving_s == 0.0 else (self.to_k - self.from_k) / self.moving_s
        behind = (self.start_k - self.from_k + slope * self.lag_s) * exp(-elapsed / self.lag_s)
        return self.from_k + slope * (elapsed - self.lag_s) + behind


class Stage:
    """coldest_k None: a stage in the room, heated only. Else a cryostat: its cold head runs from the start, the sample
    falls towards coldest_k, and the heater regulates above it.

    A lag is that of the leg's mean temperature: short when cold. The cold head pulls slowly, the heater pushes fast.
    """

    def __init__(self, ambient_k: float, coldest_k: float | None = None, lag_relative: float = 1.0) -> None:
        self._cold = coldest_k is not None
        self.base_k = ambient_k if coldest_k is None else coldest_k
        self._lag_relative = lag_relative
        self._full_power_k = _HEAD_FULL_POWER_K if self._cold else _ROOM_FULL_POWER_K
        self._starts: list[float] = []
        self._legs: list[Leg] = []
        self._begin(0.0, ambient_k, self.base_k, self.base_k, 0.0, heated=False)

    def sample_k(self, at_s: float) -> float:
        """Temperature of the sample, K, at any time."""
        return self._leg(at_s).kelvin(at_s)

    def still(self, at_s: float) -> bool:
        """Whether the temperature stays what it is at at_s, unless a command comes."""
        last = self._legs[-1]
        return at_s - last.since_s >= last.rest_s

    def heat(self, at_s: float, setpoint_k: float, rate_k_per_min: float) -> None:
        """Move the set-point from where the sample is. The heater works upwards from the room or the cold head, which
        is the lowest; 600 K is the highest. Raises ValueError for numbers that aren't finite."""
        if not isfinite(setpoint_k) or not isfinite(rate_k_per_min):
            raise ValueError(f"heat to {setpoint_k} K at {rate_k_per_min} K/min: finite numbers are needed")
        start = self.sample_k(at_s)
        target = min(max(setpoint_k, self.base_k), max(HOTTEST_K, self.base_k))
        rate = max(rate_k_per_min, 0.0) / 60.0
        moving_s = abs(target - start) / rate if rate > 0.0 else 0.0
        self._begin(at_s, start, start if moving_s > 0.0 else target, target, moving_s, heated=True)

    def off(self, at_s: float) -> None:
        """Heater off: back to the room, or down to the cold head."""
        self._begin(at_s, self.sample_k(at_s), self.base_k, self.base_k, 0.0, heated=False)

    def heater_percent(self, at_s: float) -> float:
        """Power in percent: what holds the sample above room or cold head, and what drives it."""
        leg = self._leg(at_s)
        if not leg.heated:
            return 0.0
        here, soon = leg.kelvin(at_s), leg.kelvin(at_s + 0.1)
        needed = (here - self.base_k) + (soon - here) / 0.1 * leg.lag_s
        return min(max(100.0 * needed / self._full_power_k, 0.0), 100.0)

    def _leg(self, at_s: float) -> Leg:
        return self._legs[max(bisect_right(self._starts, at_s) - 1, 0)]

    def _begin(self, at_s: float, start_k: float, from_k: float, to_k: float, moving_s: float, *, heated: bool) -> None:
        pushed = _LAG_S if heated and (to_k >= start_k or not self._cold) else _HEAD_S if self._cold else _ROOM_S
        lag_s = pushed * self._lag_relative
        if self._cold:
            lag_s *= _COLD_SHARE + (1.0 - _COLD_SHARE) * min(0.5 * (start_k + to_k) / _WARM_K, 1.0)
        leg = Leg(at_s, start_k, from_k, to_k, moving_s, lag_s, float("inf"), heated)
        off_k = abs(leg.kelvin(at_s + moving_s) - to_k)
        rest_s = moving_s + (lag_s * log(off_k / _REST_K) if off_k > _REST_K else 0.0)
        self._starts.append(at_s)
        self._legs.append(Leg(at_s, start_k, from_k, to_k, moving_s, lag_s, rest_s, heated))
        # Nobody looks back further than the legs of half an hour; a controller that is told anew every second is kept
        # in bounds.
        if len(self._legs) > _MOST_LEGS:
            del self._legs[:-_KEPT_LEGS], self._starts[:-_KEPT_LEGS]
