"""Gas behind the membrane, and the bottle that feeds it: functions of time that only commands change."""

from __future__ import annotations

from math import exp, isfinite


class Gas:
    """Gas pressure (bar) as a function of time, straight between commands, decaying while trapped."""

    def __init__(self, supply_bar: float, leak_bar_per_min: float) -> None:
        self._supply = supply_bar
        self._leak = leak_bar_per_min / 60.0
        self._since_s, self._from_bar = 0.0, 0.0
        self._target, self._rate = 0.0, 1.0
        self._trapped = False

    def bar(self, at_s: float) -> float:
        """Pressure at a time not before the last command."""
        elapsed = at_s - self._since_s
        if self._trapped:
            # The leak is proportional to the pressure; its rate is stated at 50 bar.
            return self._from_bar * exp(-elapsed * self._leak / 50.0)
        way = self._target - self._from_bar
        if abs(way) <= self._rate * elapsed:
            return self._target
        return self._from_bar + (self._rate * elapsed if way > 0 else -self._rate * elapsed)

    def supply_bar(self, at_s: float) -> float:
        """The bottle: what it held, less a little with the days."""
        return self._supply * exp(-at_s / 3.0e7)

    def ramp(self, at_s: float, target_bar: float, rate_bar_per_s: float) -> None:
        """Towards the target, or as far as the supply goes."""
        if not isfinite(target_bar) or not isfinite(rate_bar_per_s) or rate_bar_per_s <= 0.0:
            raise ValueError(
                f"ramp to {target_bar} bar at {rate_bar_per_s} bar/s: finite numbers and a positive rate are needed"
            )
        reachable = min(max(target_bar, 0.0), self.supply_bar(at_s))
        self._set(at_s, max(reachable, 0.0), rate_bar_per_s, trapped=False)

    def hold(self, at_s: float) -> None:
        """Trapped where it stands."""
        self._set(at_s, 0.0, 1.0, trapped=True)

    def _set(self, at_s: float, target: float, rate: float, *, trapped: bool) -> None:
        self._from_bar, self._since_s = self.bar(at_s), at_s
        self._target, self._rate, self._trapped = target, rate, trapped
