"""How fast one phase becomes the other: Kolmogorov, Johnson, Mehl and Avrami with a dead band, and what coexists.

The rate is 1/tau, tau = tau0 exp(-(|P - Peq| - dP) / p0) outside the dead band of half-width dP, and zero inside it;
heat makes it faster by Arrhenius, and moves the bands where a slope is given (KBr and KI: almost none, Pistorius 1965).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.crystals import eos
from rocksalt.crystals.limits import CrystalError, within
from rocksalt.crystals.tables import phase
from rocksalt.crystals.transition import TRANSITIONS, Transition
from rocksalt.values import FloatArray

_REFERENCE_K: Final = 300.0
PRESSURE_GPA: Final = (-5.0, 200.0)  # no salt of the table was squeezed farther, and none bears more tension
_WHERE: Final = "the highest that a source of the table of salts reached is 165 GPa, Dewaele 2012"
_BOLTZMANN_EV: Final = 8.617333262e-5  # eV per K, SI 2019
_STEEPEST: Final = 10.0  # Avrami exponents: 1 to 4 by geometry, more where nucleation accelerates
_WHOLE: Final = 1.0 - 1e-15  # a fraction beyond this counts as complete: ln(1 - X) would be infinite


class KineticsError(CrystalError):
    """A fraction, duration, pressure, spread or temperature that no sample has, or not a number."""


class NoTransition(CrystalError):
    """A salt for which no B1 -> B2 transition is in the table, or an impossible rate law."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinetics:
    """Rate law of one sample. Nobody measured tau0 and p0 for most salts: they are the twin's to draw.

    equilibrium_gpa     Peq; forward_gpa, reverse_gpa: where each branch begins (Peq + dP and Peq - dP')
    p0_gpa, tau0_s      tau at the band's edge, and the overpressure that makes it e times shorter
    activation_ev       of the rate, about 300 K; slope_gpa_per_k: of Peq and both bands
    avrami              n: 1 (growth of what is there) to 4 (steady nucleation, growth in three dimensions)
    """

    equilibrium_gpa: float
    forward_gpa: float
    reverse_gpa: float
    p0_gpa: float
    tau0_s: float
    avrami: float
    activation_ev: float = 0.0
    slope_gpa_per_k: float = 0.0

    def __post_init__(self) -> None:
        bands = self.reverse_gpa <= self.equilibrium_gpa <= self.forward_gpa
        finite = np.isfinite((self.forward_gpa, self.reverse_gpa, self.p0_gpa, self.tau0_s, self.slope_gpa_per_k)).all()
        rates = self.p0_gpa > 0.0 and self.tau0_s > 0.0 and 0.0 < self.avrami <= _STEEPEST
        if not (bands and finite and rates and 0.0 <= self.activation_ev < np.inf):
            raise NoTransition(
                f"reverse {self.reverse_gpa:g} <= equilibrium {self.equilibrium_gpa:g} <= forward {self.forward_gpa:g} "
                f"GPa, p0 {self.p0_gpa:g} GPa > 0, tau0 {self.tau0_s:g} s > 0 and Avrami {self.avrami:g} in 0 to "
                f"{_STEEPEST:g} must hold (Kolmogorov 1937, Avrami 1939), all finite, and activation "
                f"{self.activation_ev:g} eV not be negative"
            )


def transition(salt: str) -> Transition:
    """The salt's transition. Raises NoTransition, which says for which salts one is known."""
    if salt not in TRANSITIONS:
        raise NoTransition(
            f"there is no B1 to B2 transition of {salt} in the table; there is one of {', '.join(TRANSITIONS)}"
        )
    return TRANSITIONS[salt]


def kinetics(salt: str, *, p0_gpa: float = 0.1, tau0_s: float = 600.0, avrami: float = 2.0) -> Kinetics:
    """A rate law with the salt's tabled bands: forward begins at the low end of its band, reverse at the high end of
    its.

    p0, tau0 and n are not in the literature that was read: the defaults are orders of magnitude. Raises NoTransition.
    """
    row = transition(salt)
    return Kinetics(
        equilibrium_gpa=row.equilibrium_gpa,
        forward_gpa=max(row.forward_gpa[0], row.equilibrium_gpa),
        reverse_gpa=min(row.reverse_gpa[1], row.equilibrium_gpa),
        p0_gpa=p0_gpa,
        tau0_s=tau0_s,
        avrami=avrami,
    )


def rates_per_s(
    law: Kinetics, pressure_gpa: FloatArray, temperature_k: float = _REFERENCE_K
) -> tuple[FloatArray, FloatArray]:
    """(1/tau forward, 1/tau reverse) in 1/s at pressures (GPa, any shape); at least one of them is zero everywhere.

    Raises KineticsError for a temperature that isn't above zero, and for NaN.
    """
    within("temperature (K)", temperature_k, 0.0, np.inf, "Arrhenius' law", open_low=True, error=KineticsError)
    pressure = within("pressure (GPa)", pressure_gpa, *PRESSURE_GPA, _WHERE, error=KineticsError)
    moved = pressure - law.slope_gpa_per_k * (temperature_k - _REFERENCE_K)
    over, under = (moved - law.forward_gpa) / law.p0_gpa, (law.reverse_gpa - moved) / law.p0_gpa
    heat = float(np.exp(law.activation_ev / _BOLTZMANN_EV * (1.0 / _REFERENCE_K - 1.0 / temperature_k)))
    return tuple(  # type: ignore[return-value]  # two of them
        np.where(drive > 0.0, np.exp(np.minimum(drive, 60.0)) * heat / law.tau0_s, 0.0) for drive in (over, under)
    )


def advance(
    law: Kinetics,
    fraction_b2: FloatArray,
    pressure_gpa: FloatArray,
    duration_s: float,
    temperature_k: float = _REFERENCE_K,
) -> FloatArray:
    """Fraction of B2 after `duration_s` at constant pressure; fraction (0 to 1) and pressure (GPa) broadcast.

    Exact: X = 1 - exp(-y^n) with y growing by dt/tau, so two half steps are one whole one. The same law runs backwards
    on 1 - X. Raises KineticsError for a fraction outside 0 to 1, a negative duration or NaN.
    """
    start = within("fraction of B2", fraction_b2, 0.0, 1.0, "a share of the sample", error=KineticsError)
    within("duration (s)", duration_s, 0.0, np.inf, "time goes forward", error=KineticsError)
    forward, backward = rates_per_s(law, pressure_gpa, temperature_k)
    grown = _grow(start, forward * duration_s, law.avrami)
    shrunk = 1.0 - _grow(1.0 - start, backward * duration_s, law.avrami)
    return np.asarray(np.where(forward > 0.0, grown, np.where(backward > 0.0, shrunk, start)))


def _grow(fraction: FloatArray, progress: FloatArray, avrami: float) -> FloatArray:
    done = fraction > _WHOLE
    y = (-np.log1p(-np.where(done, 0.0, fraction))) ** (1.0 / avrami)
    return np.asarray(np.where(done, 1.0, -np.expm1(-((y + progress) ** avrami))))


def coexisting_fraction(threshold_gpa: float, mean_gpa: FloatArray, spread_gpa: FloatArray) -> FloatArray:
    """Fraction of a sample beyond `threshold_gpa` whose pressure is spread as a normal distribution (GPa, any shapes).

    What a gradient alone makes coexist once everything had its time: coexistence over 0.1-1.5 GPa is normal in a
    diamond cell. Raises KineticsError for a spread that isn't positive, and for NaN.
    """
    from scipy.special import ndtr

    spread = within(
        "spread of pressure (GPa)", spread_gpa, 0.0, np.inf, "a standard deviation", open_low=True, error=KineticsError
    )
    threshold = within("threshold (GPa)", threshold_gpa, *PRESSURE_GPA, _WHERE, error=KineticsError)
    mean = within("mean pressure (GPa)", mean_gpa, *PRESSURE_GPA, _WHERE, error=KineticsError)
    return np.asarray(ndtr((mean - threshold) / spread))


def volume_collapse(salt: str, pressure_gpa: float, temperature_k: float = 300.0) -> tuple[float, float]:
    """(V_B2 - V_B1) / V_B1 per formula unit from the two equations of state, and one sigma of it.

    B1 is followed beyond its data where the pressure asks for it (eos.extrapolated). Raises UnknownPhase where B2 has
    no row (TRANSITIONS has the reported step then) and OutOfRange.
    """
    b1, b2 = phase(salt, "B1"), phase(salt, "B2")
    wide = eos.extrapolated(b1)
    large, small = eos.volume_a3(wide, pressure_gpa, temperature_k), eos.volume_a3(b2, pressure_gpa, temperature_k)
    ratio = small / b2.z / (large / b1.z)
    sigma_large = eos.extrapolation_sigma_gpa(b1, large) / eos.bulk_modulus_gpa(wide, large, temperature_k)
    sigma_small = eos.pressure_sigma_gpa(b2, small) / eos.bulk_modulus_gpa(b2, small, temperature_k)
    return ratio - 1.0, ratio * float(np.hypot(sigma_large, sigma_small))
