"""The hutch: shutter, door and permit. Functions of time that only commands change.

Light reaches the sample in spells; a future edge of one may be revoked by a later command.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

TRAVEL_S: Final = 0.1


class Hutch:
    """Shutter, door and permit. `changes` yields the times at which something becomes different by itself."""

    def __init__(self) -> None:
        self.door_closed = True
        self.permitted = True
        # The shutter moves in a straight line from (time, position) to (time, position); 1 is open.
        self._start_s, self._from = 0.0, 0.0
        self._end_s, self._to = 0.0, 0.0
        # Times at which light began (even index) and stopped (odd) to reach the sample. A future one may be revoked.
        self._edges: list[float] = []

    def position(self, at_s: float) -> float:
        """0 closed to 1 open, at a time not before the last command."""
        if at_s >= self._end_s:
            return self._to
        return self._from + (self._to - self._from) * (at_s - self._start_s) / (self._end_s - self._start_s)

    def request(self, at_s: float, wanted_open: bool) -> None:
        """Start travelling, unless it may not open."""
        self._travel(at_s, 1.0 if wanted_open and self.door_closed and self.permitted else 0.0)

    def set_door(self, at_s: float, closed: bool) -> None:
        """A door that opens forces the shutter closed; closing it opens nothing."""
        self.door_closed = closed
        if not closed:
            self._travel(at_s, 0.0)

    def permit(self, at_s: float, on: bool) -> None:
        """A permit that is taken forces the shutter closed; giving it opens nothing."""
        self.permitted = on
        if not on:
            self._travel(at_s, 0.0)

    def beam(self, at_s: float) -> bool:
        """Whether light passes: the blade clears the beam at half its travel."""
        return bisect_right(self._edges, at_s) % 2 == 1

    def lit_s(self, start_s: float, end_s: float) -> list[tuple[float, float]]:
        """Spells of light within [start_s, end_s], ascending."""
        spells = []
        first = max(bisect_right(self._edges, start_s) - 1, 0) & ~1
        for index in range(first, len(self._edges), 2):
            off = self._edges[index + 1] if index + 1 < len(self._edges) else end_s
            low, high = max(self._edges[index], start_s), min(off, end_s)
            if low >= end_s:
                break
            if high > low:
                spells.append((low, high))
        return spells

    def light_s(self, start_s: float, end_s: float) -> float:
        """Seconds of light within [start_s, end_s]."""
        return sum(off - on for on, off in self.lit_s(start_s, end_s))

    def changes(self, after_s: float, until_s: float) -> list[float]:
        """Times in (after_s, until_s] at which the shutter arrives or the light changes, ascending."""
        times = [edge for edge in self._edges[-2:] if after_s < edge <= until_s]
        if after_s < self._end_s <= until_s:
            times.append(self._end_s)
        return sorted(set(times))

    def _travel(self, at_s: float, to: float) -> None:
        here = self.position(at_s)
        while self._edges and self._edges[-1] > at_s:
            self._edges.pop()
        self._start_s, self._from, self._to = at_s, here, to
        self._end_s = at_s + TRAVEL_S * abs(to - here)
        light = len(self._edges) % 2 == 1
        if light != (to >= 0.5):
            self._edges.append(at_s + TRAVEL_S * abs(0.5 - here))
