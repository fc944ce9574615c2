"""Whatever is in the light or out of it: a shutter that travels, a switch that doesn't. Only commands change it.

It remembers all its edges, so that light can be added up afterwards; a future edge may be revoked by a later command.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Blade:
    """Position 0 (closed, off) to 1 (open, on), in a straight line of `travel_s` from end to end; 0 makes a switch.

    Light passes from the moment at which the blade is half way.
    """

    def __init__(self, travel_s: float = 0.0) -> None:
        self._travel_s = travel_s
        self._start_s, self._from = 0.0, 0.0
        self._end_s, self._to = 0.0, 0.0
        self._edges: list[float] = []

    def move(self, at_s: float, to_open: bool) -> None:
        """Start travelling at a time not before the last command."""
        here, to = self.position(at_s), 1.0 if to_open else 0.0
        while self._edges and self._edges[-1] > at_s:
            self._edges.pop()
        self._start_s, self._from, self._to = at_s, here, to
        self._end_s = at_s + self._travel_s * abs(to - here)
        if (len(self._edges) % 2 == 1) != to_open:
            self._edges.append(at_s + self._travel_s * abs(0.5 - here))

    def position(self, at_s: float) -> float:
        """Where it stands, at a time not before the last command."""
        if at_s >= self._end_s:
            return self._to
        return self._from + (self._to - self._from) * (at_s - self._start_s) / (self._end_s - self._start_s)

    def passes(self, at_s: float) -> bool:
        """Whether light passes; any time."""
        return bisect_right(self._edges, at_s) % 2 == 1

    def edges(self, start_s: float, end_s: float) -> list[float]:
        """Times strictly between at which light begins or stops, ascending."""
        return self._edges[bisect_right(self._edges, start_s) : bisect_left(self._edges, end_s)]

    def last_edge(self, at_s: float) -> float:
        """The latest time, not after at_s, at which light began or stopped; 0 where it never did."""
        place = bisect_right(self._edges, at_s)
        return self._edges[place - 1] if place else 0.0

    def lit_s(self, start_s: float, end_s: float) -> float:
        """Seconds of light within [start_s, end_s]."""
        bounds = [start_s, *self.edges(start_s, end_s), end_s]
        first = 0 if self.passes(start_s) else 1
        return sum(bounds[i + 1] - bounds[i] for i in range(first, len(bounds) - 1, 2))
