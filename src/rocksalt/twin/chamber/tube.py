"""The irradiation tube as the sample feels it: generator, anode, filters, shutter, and how its output departs."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, pi, sin, sqrt
from typing import Final

import numpy as np

from rocksalt.time import Chance
from rocksalt.twin.chamber.blade import Blade
from rocksalt.twin.chamber.generator import Generator, Rating
from rocksalt.twin.chamber.spectrum import DoseTable
from rocksalt.twin.departures import TubeDepartures
from rocksalt.values import FloatArray

SHUTTER_TRAVEL_S: Final = 0.25
_GAUSS: Final = 0.5 / sqrt(3.0)


class Tube:
    """A beam for `rocksalt.twin.sample.defects.Defects`, and what a generator's terminals show.

    edges_m     boundaries (n + 1,) of the crystal's layers below the lit surface
    filters     (element, micrometres) that the station file believes; the true ones depart together
    distance_m  from the focal spot to the sample
    """

    def __init__(
        self,
        salt: str,
        edges_m: FloatArray,
        hidden: TubeDepartures,
        chance: Chance,
        *,
        anode: str = "W",
        filters: Sequence[tuple[str, float]] = (("Al", 1000.0),),
        distance_m: float = 0.2,
        rating: Rating | None = None,
    ) -> None:
        thick = [(element, um * (1.0 + hidden.filter_relative)) for element, um in filters]
        self._table = DoseTable(salt, edges_m, anode=anode, filters=thick, distance_m=distance_m)
        self._hidden = hidden
        self._layers = len(edges_m) - 1
        self._phase = float(chance.stream("tube.drift").uniform(0.0, 2.0 * pi))
        self.generator = Generator(
            rating or Rating(), chance.stream("tube.arcs"), hidden.arcs_per_hour, hidden.arc_trips
        )
        self.shutter = Blade(SHUTTER_TRAVEL_S)
        # Switch-on times of the tube, to know how warm it is.
        self._started_s: list[float] = []

    # --- a beam: see sample.beams.Beam ----------------------------------------------------------------------------

    def knots(self, start_s: float, end_s: float) -> list[float]:
        """Times strictly between at which the dose rate turns a corner."""
        self.generator.go_to(end_s)
        return self.generator.knots(start_s, end_s) + self.shutter.edges(start_s, end_s)

    def moving(self, start_s: float, end_s: float) -> bool:
        """Whether the dose rate changes on its way from start_s to end_s, between two knots."""
        return self.generator.at(start_s) != self.generator.at(end_s) and self.shutter.passes(0.5 * (start_s + end_s))

    def dose_gy(self, start_s: float, end_s: float) -> FloatArray | None:
        """Dose (layers,) in a stretch without knots inside; None where it is dark. Keep it short while
        `moving`."""
        middle, seconds = 0.5 * (start_s + end_s), end_s - start_s
        if not self.moving(start_s, end_s):
            rate = self._rate(middle)
            return None if rate is None else rate * seconds
        # Gauss's two points: exact to the third power of the voltage's way.
        parts = [rate for side in (-1, 1) if (rate := self._rate(middle + side * _GAUSS * seconds)) is not None]
        return np.asarray(sum(parts, np.zeros(self._layers)) * (0.5 * seconds)) if parts else None

    def gy_per_s(self, at_s: float) -> FloatArray:
        """Dose rate (layers,) at this moment; zeros where it is dark."""
        self.generator.go_to(at_s)
        rate = self._rate(at_s)
        return np.zeros(self._layers) if rate is None else rate

    def beam(self, at_s: float) -> bool:
        """Whether X-rays reach the sample."""
        self.generator.go_to(at_s)
        return self.shutter.passes(at_s) and min(self.generator.at(at_s)) > 0.0

    @property
    def used(self) -> bool:
        """Whether its voltage was ever on."""
        return bool(self._started_s)

    # --- commands ---------------------------------------------------------------------------------------------------

    def switch(self, at_s: float, on: bool) -> bool:
        """High voltage on or off; whether it obeyed."""
        was = self.generator.on
        obeyed = self.generator.switch(at_s, on)
        if self.generator.on and not was:
            self._started_s.append(at_s)
        return obeyed

    def _rate(self, at_s: float) -> FloatArray | None:
        kv, ma = self.generator.at(at_s)
        if kv <= 0.0 or ma <= 0.0 or not self.shutter.passes(at_s):
            return None
        true_kv = kv * (1.0 + self._hidden.kv_relative)
        true_ma = ma * (1.0 + self._hidden.ma_relative)
        return np.asarray(self._table.gy_per_ma_s(true_kv) * (true_ma * self._output(at_s)))

    def _output(self, at_s: float) -> float:
        hidden = self._hidden
        since = next((at_s - start for start in reversed(self._started_s) if start <= at_s), 0.0)
        warm = 1.0 + hidden.warm_up * exp(-since / hidden.warm_up_s)
        return (
            hidden.output_relative * warm * (1.0 + hidden.drift * sin(2.0 * pi * at_s / hidden.drift_s + self._phase))
        )
