"""How many colour centres there are: growth with dose, recombination, aggregates, annealing, bleaching and fading.

Forms are the literature's; most of their constants were never measured for all salts, so they are arguments, with
orders of magnitude as defaults, every one of them unconfirmed. Concentrations per cubic centimetre, doses in gray.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from rocksalt.crystals.absorption import density_kg_per_m3
from rocksalt.crystals.colour_centres import ColourCentreError, optical_density
from rocksalt.crystals.limits import within
from rocksalt.crystals.tables import PHASES, ions
from rocksalt.values import FloatArray

_BOLTZMANN_EV: Final = 8.617333262e-5  # eV per K, SI 2019
_REFERENCE_K: Final = 300.0
_LAWS: Final = "the growth and rate laws hold for nothing else"
_ELECTRON_VOLT_J: Final = 1.602176634e-19  # SI 2019


def _checked(name: str, value: FloatArray | float) -> FloatArray:
    return within(name, value, 0.0, np.inf, _LAWS, error=ColourCentreError)


def _above_zero(name: str, value: FloatArray | float) -> FloatArray:
    return within(name, value, 0.0, np.inf, _LAWS, open_low=True, error=ColourCentreError)


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
        for name, value in (("a1", self.a1), ("a2", self.a2), ("s", self.s)):
            _checked(f"{name} of the growth law", value)
        for name, value in (("d1 (Gy)", self.d1_gy), ("d2 (Gy)", self.d2_gy)):
            _above_zero(f"{name} of the growth law", value)

    def per_cm3(self, dose_gy: FloatArray) -> FloatArray:
        """F centres at doses (Gy, any shape). Raises ColourCentreError for a negative dose or NaN."""
        dose = _checked("dose (Gy)", dose_gy)
        first, second = (-np.expm1(-dose / scale) for scale in (self.d1_gy, self.d2_gy))
        return np.asarray(self.a1 * first + self.a2 * second + self.s * dose)


def typical_growth(salt: str, *, ev_per_centre: float = 1e3, vacancies_per_cm3: float = 5e16) -> Growth:
    """A pure crystal at room temperature, by order of magnitude: some 1e3 eV a centre at first, ten times that
    later.

    Raises UnknownPhase, and ColourCentreError for a cost or a number of vacancies that isn't positive.
    """
    _above_zero("cost of a centre (eV)", ev_per_centre)
    _above_zero("vacancies per cm3", vacancies_per_cm3)
    per_gy = ev_per_cm3_per_gy(salt)
    slow = 5e17
    return Growth(
        vacancies_per_cm3, vacancies_per_cm3 * ev_per_centre / per_gy, slow, slow * 3.0 * ev_per_centre / per_gy,
        per_gy / (10.0 * ev_per_centre),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRates:
    """Rate form: dF/dt = eta G (1 - v F) - k F H, dH/dt = eta G - k F H - trapped H; G pairs per cm^3 s at eta = 1.

    v is the volume in which a new pair is lost to an F centre that is there: tunnelling, and all that saturates a cold
    crystal (beyond 1e19 per cm^3 in liquid helium). k is the recombination of mobile H at 300 K; `mobile_ev` is by how
    much it outruns trapping as the crystal warms, k(T) = k exp(-mobile_ev/k_B (1/T - 1/300 K)): so rate and saturation
    both depend on temperature, as in KCl and NaCl between 10 and 325 K.

    eta(T) = (leak + A)/(1 + A) / (1 + B), A = separate_rate exp(-separate_ev/kT): a pair must part before it recombines
    by tunnelling; B = recombine_rate exp(-recombine_ev/kT): when hot it recombines all the same. So there is a best T.
    """

    overlap_cm3: float = 1e-19
    recombination_cm3_per_s: float = 1e-19
    trapping_per_s: float = 1e-2
    mobile_ev: float = 0.05
    leak: float = 0.02
    separate_ev: float = 0.05
    separate_rate: float = 300.0
    recombine_ev: float = 0.15
    recombine_rate: float = 3e3

    def __post_init__(self) -> None:
        for field in fields(self):
            _checked(f"{field.name} of the pair rates", getattr(self, field.name))
        within("leak of the pair rates", self.leak, 0.0, 1.0, "a share of pairs", error=ColourCentreError)

    def efficiency(self, temperature_k: FloatArray) -> FloatArray:
        """eta (0 to 1) at temperatures (K, any shape). Raises ColourCentreError for one that isn't above zero."""
        kelvin = _above_zero("temperature (K)", temperature_k)
        part = self.separate_rate * np.exp(-self.separate_ev / (_BOLTZMANN_EV * kelvin))
        meet = self.recombine_rate * np.exp(-self.recombine_ev / (_BOLTZMANN_EV * kelvin))
        return np.asarray((self.leak + part) / (1.0 + part) / (1.0 + meet))

    def recombination(self, temperature_k: float) -> float:
        """k (cm^3/s) at a temperature (K). Raises ColourCentreError for one that isn't above zero."""
        kelvin = float(_above_zero("temperature (K)", temperature_k))
        cold = 1.0 / kelvin - 1.0 / _REFERENCE_K
        return self.recombination_cm3_per_s * float(np.exp(-self.mobile_ev / _BOLTZMANN_EV * cold))


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

    for name, value in (("F per cm3", f_per_cm3), ("H per cm3", h_per_cm3), ("pairs per cm3 s", pairs_per_cm3_s),
                        ("duration (s)", duration_s)):  # fmt: skip
        _checked(name, value)
    made = float(rates.efficiency(np.asarray(temperature_k))) * pairs_per_cm3_s
    recombination = rates.recombination(temperature_k)
    unit = 1e17

    def slope(_: float, state: FloatArray) -> list[float]:
        f, h = state * unit
        met = recombination * f * h
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

    def __post_init__(self) -> None:
        for name, value in (("km (cm3)", self.km_cm3), ("kr (cm3)", self.kr_cm3), ("kn (cm3)", self.kn_cm3)):
            _checked(f"{name} of the aggregates", value)
        _above_zero("reference dose rate of the aggregates (Gy/s)", self.reference_gy_per_s)
        _above_zero("tau of the aggregates (s)", self.tau_s)
        within("exponent of the aggregates", self.exponent, -5.0, 5.0, "a power of the dose rate",
               error=ColourCentreError)  # fmt: skip

    def equilibrium_per_cm3(
        self, f_per_cm3: FloatArray, dose_rate_gy_per_s: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(M, R, N) per cm^3 that belong to F at this dose rate (Gy/s, above zero)."""
        f = _checked("F per cm3", f_per_cm3)
        _above_zero("dose rate (Gy/s), which aggregates follow,", dose_rate_gy_per_s)
        m = self.km_cm3 * (dose_rate_gy_per_s / self.reference_gy_per_s) ** self.exponent * f**2
        r = self.kr_cm3 * f * m
        return np.asarray(m), np.asarray(r), np.asarray(self.kn_cm3 * f * r)

    def advance_m(
        self, m_per_cm3: FloatArray, f_per_cm3: FloatArray, dose_rate_gy_per_s: float, duration_s: float
    ) -> FloatArray:
        """M after `duration_s` (s) at constant F and dose rate: exponential towards equilibrium. In the dark M
        stays."""
        start = _checked("M per cm3", m_per_cm3)
        _checked("duration (s)", duration_s)
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
    kelvin, seconds = _above_zero("temperature (K)", temperatures_k), _checked("time (s)", times_s)
    if not (kelvin.ndim == 1 and kelvin.shape == seconds.shape and len(kelvin) > 1 and (np.diff(seconds) > 0.0).all()):
        raise ColourCentreError("a temperature history needs two or more points and times that rise: the rate law goes "
                                "forward in time")  # fmt: skip
    _checked("activation energy (eV)", activation_ev)
    _checked("frequency factor (1/s)", frequency_per_s)
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
    for name, value in (("F per cm3", f_per_cm3), ("photons per cm2", photons_per_cm2), ("photon (eV)", photon_ev)):
        _checked(name, value)
    for name, share in (("yield of bleaching", yield_), ("share that pairs up", to_m)):
        within(name, share, 0.0, 1.0, "a share", error=ColourCentreError)
    unit = 1e16
    density = float(optical_density(salt, np.asarray(unit), 10.0, np.asarray(photon_ev), temperature_k))
    cross_section_cm2 = density * np.log(10.0) / unit
    left = f_per_cm3 * float(np.exp(-yield_ * cross_section_cm2 * photons_per_cm2))
    return left, to_m * (f_per_cm3 - left) / 2.0


def faded(f_per_cm3: FloatArray, dark_s: FloatArray, *, share: float = 0.2, tau_s: float = 3600.0) -> FloatArray:
    """F centres after time in the dark (s): a share of loose pairs recombines with one time constant, the rest
    stays."""
    start, dark = _checked("F per cm3", f_per_cm3), _checked("time in the dark (s)", dark_s)
    within("share that fades", share, 0.0, 1.0, "a share", error=ColourCentreError)
    _above_zero("tau of fading (s)", tau_s)
    return np.asarray(start * (1.0 - share + share * np.exp(-dark / tau_s)))
