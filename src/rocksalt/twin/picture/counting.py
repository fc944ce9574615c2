"""How a pixel loses counts at high rates, and what the instrument's own correction makes of it.

Two laws, from rectangular pulses of one length. A photon that comes while a pulse stands is not seen apart from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.values import FloatArray

_TABLE_X: Final = np.linspace(0.0, 4.0, 8001)
_TABLE_X_PARALYSABLE: Final = np.linspace(0.0, 1.0, 4001)
_NEGLIGIBLE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class DeadTime:
    """seconds: length of a pulse. Rates below are per second, x = photons a second times `seconds`.

    retrigger False: paralysable, counted x exp(-x): W. R. Leo, "Techniques for Nuclear and Particle Physics
    Experiments", section 5.7; the mode of older detectors and of EIGER2's counting_mode "normal".
    retrigger True: DECTRIS's Instant Retrigger: so long as the pulse stands, another count after each dead time (EIGER2
    User Manual v1.8.2, section 3.2.4, which calls it non-paralysable). With a retrigger time equal to the pulse's
    length, each next count comes after one dead time with probability 1 - exp(-x), and otherwise waits for a photon
    as well: x / (x + exp(-x)) are counted, a loss of second order. (This form is derived here; P. Zambon & C. Amato,
    Front. Phys. 11, 1205638 (2023) treat the general case.)
    """

    seconds: float
    retrigger: bool

    def counted_per_s(self, photons_per_s: FloatArray) -> FloatArray:
        """Mean rate that the pixel's counter sees."""
        x = photons_per_s * self.seconds
        return np.asarray(photons_per_s / (x + np.exp(-x)) if self.retrigger else photons_per_s * np.exp(-x))

    def corrected_per_s(self, counted_per_s: FloatArray) -> FloatArray:
        """What the instrument takes a counted rate for: the lower of the rates that are counted so, from a table that
        ends at the most which a paralysable pixel counts, or at 4 photons a dead time with retrigger."""
        table = _TABLE_X if self.retrigger else _TABLE_X_PARALYSABLE
        rates = table / self.seconds
        return np.asarray(np.interp(counted_per_s, self.counted_per_s(rates), rates))

    def regularity(self, photons_per_s: FloatArray) -> FloatArray:
        """1 - variance / mean of the counts: dead time makes them more even than Poisson's. For exposures much longer
        than the dead time, by renewal theory (D. R. Cox, "Renewal Theory", 1962: variance over squared mean of the
        waiting times)."""
        x = photons_per_s * self.seconds
        gone = np.exp(-x)
        if self.retrigger:
            return np.asarray(1.0 - (2.0 - gone) * gone / (x + gone) ** 2)
        return np.asarray(2.0 * x * gone)

    @property
    def harmless_per_s(self) -> float:
        """Rate up to which corrected counts have Poisson's variance within one thousandth: 1 + x for the paralysable
        law, 1 + x^2 / 2 with retrigger, to lowest order."""
        return float((np.sqrt(2.0 * _NEGLIGIBLE) if self.retrigger else _NEGLIGIBLE) / self.seconds)

    def draw(self, photons: FloatArray, seconds: float, rng: np.random.Generator) -> FloatArray:
        """Corrected counts (whole numbers) for these mean numbers of photons in an exposure of `seconds`.

        What the counter sees is drawn from the binomial distribution that has the right mean and variance. Corrected
        counts are rounded up as often as their fraction says: rounded to the nearest, few counts would lose theirs."""
        rates = photons / seconds
        seen = self.counted_per_s(rates) * seconds
        even = self.regularity(rates)
        trials = np.maximum(np.rint(seen / np.maximum(even, 1e-9)), np.ceil(seen))
        raw = rng.binomial(trials.astype(np.int64), np.minimum(seen / np.maximum(trials, 1.0), 1.0))
        corrected = self.corrected_per_s(raw / seconds) * seconds
        return np.asarray(np.floor(corrected + rng.random(corrected.shape)))
