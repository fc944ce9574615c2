"""The flux monitor: a thin silicon diode behind the shutter, before the sample, and the current it gives over a gate.

A function of the gate alone: spells of light, the source's ripple and the noise of that gate, whoever asks and when.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, expm1, isfinite, pi, sqrt
from typing import Final

from rocksalt.crystals.absorption import element_mass_absorption_m2_per_kg
from rocksalt.time import Chance
from rocksalt.twin.departures import BeamDepartures, MonitorDepartures

ELEMENTARY_C: Final = 1.602176634e-19  # SI 2019
_BOLTZMANN_J_PER_K: Final = 1.380649e-23  # SI 2019
PAIR_EV: Final = 3.66
"""Energy for one electron-hole pair in silicon: read in CHESS's diode flux calculator; F. Scholze, H. Rabus and G. Ulm,
Appl. Phys. Lett. 69, 2974 (1996) measured 3.66(3) eV (cited from memory)."""
SILICON_KG_PER_M3: Final = 2329.0  # from its lattice constant, 5.431 A, at room temperature
THICKNESS_M: Final = 300e-6
"""A common wafer; a choice of ours, as is the place before the sample."""
_MANY: Final = 1e12
"""From so many photons on a Poisson distribution is a normal one, to six digits of its width."""

Spells = Callable[[float, float], list[tuple[float, float]]]


def absorbed_share(energy_kev: float) -> float:
    """Share of the photons that the diode absorbs (0 to 1): photo-absorption alone, Compton electrons left out.

    A diode absorbs 1 - exp(-mu t): R. L. Owen et al., J. Synchrotron Rad. 16, 143 (2009). Raises AbsorptionError
    outside 2 to 150 keV.
    """
    return -expm1(-SILICON_KG_PER_M3 * THICKNESS_M * element_mass_absorption_m2_per_kg("Si", energy_kev))


def coulomb_per_photon(energy_kev: float) -> float:
    """Charge in the diode for each photon that arrives at the sample, C: the current in A for one photon a second.

    E / 3.66 eV pairs for each photon absorbed; of those that meet the diode the sample gets what it lets through.
    """
    share = absorbed_share(energy_kev)
    return ELEMENTARY_C * 1e3 * energy_kev / PAIR_EV * share / (1.0 - share)


def rippled_s(low_s: float, high_s: float, beam: BeamDepartures, phase: float) -> float:
    """Integral of 1 + ripple sin(2 pi t / ripple_s + phase) over [low_s, high_s], in closed form: seconds of mean
    light."""
    turn = 2.0 * pi / beam.ripple_s
    waves = cos(turn * low_s + phase) - cos(turn * high_s + phase)
    return high_s - low_s + beam.ripple * waves / turn


class Diode:
    """The monitor in a beam of flux_ph_per_s (true mean flux at the sample, shutter open).

    lit_s   spells of light within a gate, as `Hutch.lit_s` has them
    """

    def __init__(
        self,
        hidden: MonitorDepartures,
        beam: BeamDepartures,
        phase: float,
        flux_ph_per_s: float,
        energy_kev: float,
        lit_s: Spells,
        chance: Chance,
        ambient_k: float,
    ) -> None:
        self._hidden, self._beam, self._phase = hidden, beam, phase
        self._lit_s, self._chance, self._ambient_k = lit_s, chance, ambient_k
        share = absorbed_share(energy_kev)
        self._absorbed_per_s = flux_ph_per_s * share / (1.0 - share)
        self._photon_c = ELEMENTARY_C * 1e3 * energy_kev / PAIR_EV * (1.0 + hidden.responsivity_relative)

    def mean_a(self, start_s: float, seconds: float) -> float:
        """Current over the gate, A, as it would be without noise."""
        return self._photon_c * self._photons(start_s, seconds) / seconds + self._hidden.dark_a

    def current_a(self, start_s: float, seconds: float) -> float:
        """Current over the gate, A, with the noise that belongs to this gate.

        Photons arrive as Poisson has it. Dark current and shunt resistance add the charges of shot noise, 2 e I, and
        of Johnson noise, 4 k T / R, in the bandwidth 1 / (2 seconds) of a mean. Raises ValueError for seconds that are
        not positive.
        """
        if not (seconds > 0.0 and isfinite(seconds) and isfinite(start_s)):
            raise ValueError(f"a gate of {seconds} s from {start_s} s: finite numbers and a positive length are needed")
        # To the microsecond: clocks that add up the same times in another order mean the same gate.
        name = f"monitor.noise {round(1e6 * seconds)}"
        rng = self._chance.stream(name, max(round(1e6 * start_s), 0))
        mean = self._photons(start_s, seconds)
        photons = rng.poisson(mean) if mean < _MANY else mean + sqrt(mean) * rng.standard_normal()
        dark = ELEMENTARY_C * abs(self._hidden.dark_a) / seconds
        johnson = 2.0 * _BOLTZMANN_J_PER_K * self._ambient_k / (self._hidden.shunt_ohm * seconds)
        noise_a = sqrt(dark + johnson) * float(rng.standard_normal())
        return self._photon_c * float(photons) / seconds + self._hidden.dark_a + noise_a

    def _photons(self, start_s: float, seconds: float) -> float:
        """Expected number of photons absorbed in the gate."""
        spells = self._lit_s(start_s, start_s + seconds)
        return self._absorbed_per_s * sum(rippled_s(low, high, self._beam, self._phase) for low, high in spells)
