"""The heater at the cell and the room around it. Temperature is a function of time that only commands change."""

from __future__ import annotations

from math import exp
from typing import Final

_LAG_S: Final = 15.0
_FULL_POWER_K: Final = 60.0
_FOLLOWS_ROOM_S: Final = 300.0


class Oven:
    """Sample temperature: follows the regulated set-point with a lag, and the room when the heater is off."""

    def __init__(self, ambient_k: float) -> None:
        self._ambient = ambient_k
        self.since_s, self._start_k = 0.0, ambient_k
        self._setpoint_from, self._setpoint_to, self._rate_k_per_s = ambient_k, ambient_k, 0.0
        self._on = False

    def sample_k(self, at_s: float) -> float:
        """Temperature at a time not before the last command: T' = (set-point - T) / lag, in closed form."""
        elapsed = at_s - self.since_s
        if not self._on:
            return self._ambient + (self._start_k - self._ambient) * exp(-elapsed / _FOLLOWS_ROOM_S)
        moving_s = self._moving_s()
        ramp = min(elapsed, moving_s)
        slope = 0.0 if moving_s == 0.0 else (self._setpoint_to - self._setpoint_from) / moving_s
        behind = (self._start_k - self._setpoint_from + slope * _LAG_S) * exp(-ramp / _LAG_S)
        kelvin = self._setpoint_from + slope * (ramp - _LAG_S) + behind
        if elapsed <= moving_s:
            return kelvin
        return self._setpoint_to + (kelvin - self._setpoint_to) * exp(-(elapsed - moving_s) / _LAG_S)

    def heat(self, at_s: float, setpoint_k: float, rate_k_per_min: float) -> None:
        """Move the set-point from where the sample is. The room can only be heated from, so it is also the lowest."""
        start = self.sample_k(at_s)
        self.since_s, self._start_k, self._on = at_s, start, True
        self._setpoint_to = max(setpoint_k, self._ambient)
        self._rate_k_per_s = max(rate_k_per_min, 0.0) / 60.0
        self._setpoint_from = start if self._rate_k_per_s > 0.0 else self._setpoint_to

    def off(self, at_s: float) -> None:
        """Heater off."""
        self._start_k, self.since_s, self._on = self.sample_k(at_s), at_s, False

    def heater_percent(self, at_s: float) -> float:
        """Power in percent: what holds the sample above the room, and what drives it."""
        if not self._on:
            return 0.0
        here, soon = self.sample_k(at_s), self.sample_k(at_s + 0.1)
        needed = (here - self._ambient) / _FULL_POWER_K + (soon - here) / 0.1 * _LAG_S / _FULL_POWER_K
        return min(max(100.0 * needed, 0.0), 100.0)

    def _moving_s(self) -> float:
        return abs(self._setpoint_to - self._setpoint_from) / self._rate_k_per_s if self._rate_k_per_s > 0.0 else 0.0
