"""How many colour centres there are: growth with dose, recombination, aggregates, annealing, bleaching and fading.

Forms are the literature's; most of their constants were never measured for all salts, so they are arguments, with
orders of magnitude as defaults, every one of them unconfirmed. Concentrations per cubic centimetre, doses in gray.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.crystals.absorption import density_kg_per_m3
from rocksalt.crystals.colour_centres import ColourCentreError, optical_density
from rocksalt.crystals.tables import PHASES, ions
from rocksalt.values import FloatArray

_BOLTZMANN_EV: Final = 8.617333262e-5  # eV per K, SI 2019
_ELECTRON_VOLT_J: Final = 1.602176634e-19  # SI 2019


def ev_per_cm3_per_gy(salt: str) -> float:
    """Energy density (eV/cm^3) that 1 Gy leaves in the salt at ambient conditions: its density, in other units."""
    ions(salt)
    row = next(row for row in PHASES.values() if row.salt == salt)
    return density_kg_per_m3(row) * 1e-6 / _ELECTRON_VOLT_J


@dataclass(frozen=True, slots=True)
class Growth:
    """n_F(D) = a1 (1 - exp(-D/d1)) + a2 (1 - exp(-D/d2)) + s D: filling of vacancies that were there, a slow stage, a
    late one.

    a1, a2 in 1/cm^3, d1, d2 in Gy, s in 1/cm^3 per Gy. Room-temperature KCl curves have this form.
    """

    a1: float
    d1_gy: float
    a2: float
    d2_gy: float
    s: float

    def __post_init__(self) -> None:
        if not (min(self.a1, self.a2, self.s) >= 0.0 and min(self.d1_gy, self.d2_gy) > 0.0):
            raise ColourCentreError(f"{self}: amplitudes and slope must not be negative, the two doses positive")

    def per_cm3(self, dose_gy: FloatArray) -> FloatArray:
        """F centres at doses (Gy, any shape). Raises ColourCentreError for a negative dose or NaN."""
        dose = _checked("dose_gy", dose_gy)
        first, second = (-np.expm1(-dose / scale) for scale in (self.d1_gy, self.d2_gy))
        return np.asarray(self.a1 * first + self.a2 * second + self.s * dose)


def typical_growth(salt: str, *, ev_per_centre: float = 1e3, vacancies_per_cm3: float = 5e16) -> Growth:
    """A pure crystal at room temperature, by order of magnitude: some 1e3 eV a centre at first, ten times that
    later."""
    per_gy = ev_per_cm3_per_gy(salt)
    slow = 5e17
    return Growth(
        vacancies_per_cm3, vacancies_per_cm3 * ev_per_centre / per_gy, slow, slow * 3.0 * ev_per_centre / per_gy,
        per_gy / (10.0 * ev_per_centre),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRates:
    """Rate form: dF/dt = eta G (1 - v F) - k F H, dH/dt = eta G - k F H - trapped H; G pairs per cm^3 s at eta = 1.

    eta(T) = (leak + A)/(1 + A) / (1 + B), A = separate_rate exp(-separate_ev/kT): a pair must part before it recombines
    by tunnelling; B = recombine_rate exp(-recombine_ev/kT): when hot it recombines all the same. So there is a best T.
    """

    overlap_cm3: float = 1e-19
    recombination_cm3_per_s: float = 1e-19
    trapping_per_s: float = 1e-2
    leak: float = 0.02
    separate_ev: float = 0.05
    separate_rate: float = 300.0
    recombine_ev: float = 0.15
    recombine_rate: float = 3e3

    def efficiency(self, temperature_k: FloatArray) -> FloatArray:
        """eta (0 to 1) at temperatures (K, any shape). Raises ColourCentreError for one that isn't above zero."""
        kelvin = _checked("temperature_k", temperature_k)
        if not (kelvin > 0.0).all():
            raise ColourCentreError("temperature_k must be above zero")
        part = self.separate_rate * np.exp(-self.separate_ev / (_BOLTZMANN_EV * kelvin))
        meet = self.recombine_rate * np.exp(-self.recombine_ev / (_BOLTZMANN_EV * kelvin))
        return np.asarray((self.leak + part) / (1.0 + part) / (1.0 + meet))


# Chlorides (and what nobody measured) do best near room temperature; bromides and iodides between 150 and 200 K.
CHLORIDE: Final = PairRates(recombine_ev=0.35, recombine_rate=3e4)
BROMIDE: Final = PairRates()


def pair_rates(salt: str) -> PairRates:
    """The set for a salt, by its anion: KBr and KI fall from 200 to 250 K, the chlorides don't. Raises UnknownPhase."""
    return BROMIDE if ions(salt)[1] in ("Br", "I") else CHLORIDE


def advance_pairs(
    rates: PairRates,
    f_per_cm3: float,
    h_per_cm3: float,
    pairs_per_cm3_s: float,
    temperature_k: float,
    duration_s: float,
) -> tuple[float, float]:
    """(F, H) after `duration_s` of irradiation at constant rate and temperature; stiff integration to 1e-10.

    Raises ColourCentreError for anything negative or NaN.
    """
    from scipy.integrate import solve_ivp

    for name, value in (("f_per_cm3", f_per_cm3), ("h_per_cm3", h_per_cm3), ("pairs_per_cm3_s", pairs_per_cm3_s),
                        ("duration_s", duration_s)):  # fmt: skip
        _checked(name, value)
    made = float(rates.efficiency(np.asarray(temperature_k))) * pairs_per_cm3_s
    unit = 1e17

    def slope(_: float, state: FloatArray) -> list[float]:
        f, h = state * unit
        met = rates.recombination_cm3_per_s * f * h
        grown = made * (1.0 - rates.overlap_cm3 * f) - met
        return [grown / unit, (made - met - rates.trapping_per_s * h) / unit]

    if duration_s == 0.0:
        return f_per_cm3, h_per_cm3
    start = [f_per_cm3 / unit, h_per_cm3 / unit]
    found = solve_ivp(slope, (0.0, duration_s), start, method="LSODA", rtol=1e-10, atol=1e-14)
    f, h = np.maximum(found.y[:, -1], 0.0) * unit
    return float(f), float(h)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregates:
    """M = km F^2, R = kr F M, N = kn F R in dynamic equilibrium at the present dose rate: no memory of the dose.

    km in cm^3 at `reference_gy_per_s`; it goes as (rate / reference)^exponent. tau_s: how fast M follows.
    """

    km_cm3: float = 3e-20
    kr_cm3: float = 1e-20
    kn_cm3: float = 1e-20
    reference_gy_per_s: float = 1.0
    exponent: float = -0.25
    tau_s: float = 600.0

    def equilibrium_per_cm3(
        self, f_per_cm3: FloatArray, dose_rate_gy_per_s: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(M, R, N) per cm^3 that belong to F at this dose rate (Gy/s, above zero)."""
        f = _checked("f_per_cm3", f_per_cm3)
        if not dose_rate_gy_per_s > 0.0:
            raise ColourCentreError(f"dose rate {dose_rate_gy_per_s:g} Gy/s: aggregates follow a rate above zero")
        m = self.km_cm3 * (dose_rate_gy_per_s / self.reference_gy_per_s) ** self.exponent * f**2
        r = self.kr_cm3 * f * m
        return np.asarray(m), np.asarray(r), np.asarray(self.kn_cm3 * f * r)

    def advance_m(
        self, m_per_cm3: FloatArray, f_per_cm3: FloatArray, dose_rate_gy_per_s: float, duration_s: float
    ) -> FloatArray:
        """M after `duration_s` (s) at constant F and dose rate: exponential towards equilibrium. In the dark M
        stays."""
        start = _checked("m_per_cm3", m_per_cm3)
        _checked("duration_s", duration_s)
        if dose_rate_gy_per_s == 0.0:
            return start
        goal = self.equilibrium_per_cm3(f_per_cm3, dose_rate_gy_per_s)[0]
        return np.asarray(goal + (start - goal) * np.exp(-duration_s / self.tau_s))


def annealed_share(
    temperatures_k: FloatArray, times_s: FloatArray, *, activation_ev: float, frequency_per_s: float
) -> float:
    """Share of centres left after a temperature history, n' = -n s exp(-E/kT), T linear between its points (n,), (n,).

    Simpson's rule on 65 points a segment. KCl, KBr F centres go at 400-500 K, LiF's stay beyond 600 K. Raises
    ColourCentreError for fewer than two points, times that don't rise, or temperatures not above zero.
    """
    kelvin, seconds = _checked("temperatures_k", temperatures_k), _checked("times_s", times_s)
    if not (kelvin.ndim == 1 and kelvin.shape == seconds.shape and len(kelvin) > 1 and (np.diff(seconds) > 0.0).all()
            and (kelvin > 0.0).all()):  # fmt: skip
        raise ColourCentreError("a temperature history needs two or more points, times that rise, kelvin above zero")
    place = np.linspace(0.0, 1.0, 65)
    weights = np.array([1.0, *([4.0, 2.0] * 31), 4.0, 1.0]) / (3.0 * 64)
    path = kelvin[:-1, None] + np.diff(kelvin)[:, None] * place
    rate = frequency_per_s * np.exp(-activation_ev / (_BOLTZMANN_EV * path))
    return float(np.exp(-np.sum(np.diff(seconds)[:, None] * rate * weights)))


def bleached(
    salt: str, f_per_cm3: float, photon_ev: float, photons_per_cm2: float, *, yield_: float = 0.1, to_m: float = 0.5,
    temperature_k: float = 300.0,
) -> tuple[float, float]:  # fmt: skip
    """(F left, M made) per cm^3 in a thin crystal after light of `photon_ev` (eV) and fluence `photons_per_cm2`.

    First order with the band's own cross-section alpha/n_F: light beside the band does nothing. `to_m` is the share of
    lost F that pairs up (two to an M); yield and share are unconfirmed. Raises ColourCentreError for anything negative.
    """
    for name, value in (("f_per_cm3", f_per_cm3), ("photons_per_cm2", photons_per_cm2), ("photon_ev", photon_ev)):
        _checked(name, value)
    if not (0.0 <= yield_ <= 1.0 and 0.0 <= to_m <= 1.0):
        raise ColourCentreError(f"yield {yield_:g} and share {to_m:g} must lie in 0 to 1")
    unit = 1e16
    density = float(optical_density(salt, np.asarray(unit), 10.0, np.asarray(photon_ev), temperature_k))
    cross_section_cm2 = density * np.log(10.0) / unit
    left = f_per_cm3 * float(np.exp(-yield_ * cross_section_cm2 * photons_per_cm2))
    return left, to_m * (f_per_cm3 - left) / 2.0


def faded(f_per_cm3: FloatArray, dark_s: FloatArray, *, share: float = 0.2, tau_s: float = 3600.0) -> FloatArray:
    """F centres after time in the dark (s): a share of loose pairs recombines with one time constant, the rest
    stays."""
    start, dark = _checked("f_per_cm3", f_per_cm3), _checked("dark_s", dark_s)
    if not (0.0 <= share <= 1.0 and tau_s > 0.0):
        raise ColourCentreError(f"share {share:g} must lie in 0 to 1 and tau {tau_s:g} s be positive")
    return np.asarray(start * (1.0 - share + share * np.exp(-dark / tau_s)))


def _checked(name: str, value: FloatArray | float) -> FloatArray:
    values = np.asarray(value, dtype=np.float64)
    if not (np.isfinite(values).all() and (values >= 0.0).all()):
        raise ColourCentreError(f"{name} is {value}: it must be a number that is not negative")
    return values
