"""The gasket: how thick it leaves the sample under load, and where in its hole the beam hits."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, erfc, exp, expm1, hypot, pi, sin, sqrt
from typing import Final

from rocksalt.twin.departures import CellDepartures

_FWHM_OVER_SIGMA: Final = 2.3548200450309493


@dataclass(frozen=True, slots=True)
class Gasket:
    """start_um: the sample's thickness along the beam at no load. It thins as 1 / (1 + thinning P), a law without a
    source whose slope is drawn; it comes back when the load goes, which real gaskets do in part."""

    start_um: float
    thinning_per_gpa: float

    def thickness_um(self, pressure_gpa: float) -> float:
        """Thickness of the sample along the beam (um) at this pressure of the sample (GPa)."""
        return self.start_um / (1.0 + self.thinning_per_gpa * max(pressure_gpa, 0.0))


@dataclass(frozen=True, slots=True)
class DoseRate:
    """Dose rate in the illuminated volume, mean over the thickness.

    thin_gy_per_s   of an infinitely thin crystal; attenuation_per_um at ambient density
    """

    thin_gy_per_s: float
    attenuation_per_um: float

    def gy_per_s(self, thickness_um: float, density_relative: float) -> float:
        """At this thickness and density (relative to ambient): the front of a thick crystal shades its back.

        thin (1 - exp(-x)) / x with x = mu t rho / rho0: what `rocksalt.crystals.absorption` says of one thickness.
        """
        depth = self.attenuation_per_um * thickness_um * density_relative
        return self.thin_gy_per_s * (-expm1(-depth) / depth if depth > 0.0 else 1.0)


class Drift:
    """Where the sample stands against the beam (um, horizontal and vertical): load and heat move the cell, and the
    mount wanders. Functions of load, temperature and time alone."""

    def __init__(self, hidden: CellDepartures, ambient_k: float, beam_um: tuple[float, float], phase: float) -> None:
        self._hidden, self._ambient, self._phase = hidden, ambient_k, phase
        self._sigma_um = sqrt(beam_um[0] * beam_um[1]) / _FWHM_OVER_SIGMA

    def position_um(self, at_s: float, pressure_gpa: float, temperature_k: float) -> tuple[float, float]:
        """Offset of the hole's middle from the beam."""
        hidden = self._hidden
        load = hidden.drift_um_per_gpa * pressure_gpa
        heat = hidden.drift_um_per_k * (temperature_k - self._ambient)
        turn = 2.0 * pi * at_s / hidden.wander_s + self._phase
        return (
            load * cos(hidden.drift_load_rad) + heat * cos(hidden.drift_heat_rad) + hidden.wander_um * sin(turn),
            load * sin(hidden.drift_load_rad) + heat * sin(hidden.drift_heat_rad) + hidden.wander_um * cos(0.7 * turn),
        )

    def hit(self, position_um: tuple[float, float]) -> float:
        """Share of the beam that goes through the hole, relative to a beam in its middle (0 to 1): a Gaussian beam cut
        by an edge, as a hole wider than the beam is seen from its rim."""
        scale = sqrt(2.0) * self._sigma_um
        radius = self._hidden.hole_um
        return erfc((hypot(*position_um) - radius) / scale) / erfc(-radius / scale)


def decayed(value: float, rest: float, seconds: float, time_constant_s: float) -> float:
    """`value` on its way to `rest`, exponentially."""
    return rest + (value - rest) * exp(-seconds / time_constant_s)
