"""Colour centres as light and diffraction see them: bands, Smakula's equation, swelling. Their numbers: defect_growth.

Concentrations are per cubic centimetre and absorption coefficients per centimetre, as the field writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from rocksalt.crystals import eos
from rocksalt.crystals.limits import CrystalError, within
from rocksalt.crystals.refraction import refractive_index
from rocksalt.crystals.tables import PHASES, Phase, UnknownPhase
from rocksalt.values import FloatArray, Measured

_BOLTZMANN_EV: Final = 8.617333262e-5  # eV per K, SI 2019
_WARM_K: Final = 300.0
_COLD_K: Final = 5.0
TEMPERATURE_K: Final = (1.0, 600.0)
# Smakula's constant, 1/cm^3 per 1/cm and eV: N f = 9 n/(n^2+2)^2 (2 eps0 m c / pi e^2) times the band's area over
# angular frequency: (1/2) sqrt(pi/ln 2) = 1.064 peaks times widths for a Gaussian, pi/2 for a Lorentzian. CODATA
# 2018 in eps0, m, c, e, hbar; comes to the literature's 0.87e17 and 1.29e17.
_ABSORBER: Final = 18.0 * 8.8541878128e-12 * 9.1093837015e-31 * 299792458.0 / (np.pi * 1.602176634e-19**2)
_PER_CM_EV: Final = _ABSORBER * 1e2 * 1e-6 * 1.602176634e-19 / 1.054571817e-34
_GAUSSIAN: Final = 0.5 * float(np.sqrt(np.pi / np.log(2.0))) * _PER_CM_EV
_LORENTZIAN: Final = 0.5 * float(np.pi) * _PER_CM_EV
# Mollwo-Ivey: E = 17.7 d^-1.84 eV with d the distance of nearest neighbours in angstrom (not the cell's edge).
_IVEY: Final = (17.7, -1.84)
# The same for the M band, exponent only: Ivey, Phys. Rev. 72, 341 (1947), from memory of the literature.
_IVEY_M: Final = -1.56
SWELLING_SHARE: Final = (
    0.1  # one sigma over the value: LiF's cell and length agree within 6 %, Lin's slopes scatter more
)
# Phonon of the band over k theta_D where no cold width is known: mean over LiF, NaCl, KCl, KBr (0.58 to 0.77).
_PHONON_OF_DEBYE: Final = 0.65


class ColourCentreError(CrystalError):
    """A negative dose, thickness or concentration, a temperature outside the bands' range, or not a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """The F band of a salt, and its M (F2) band, at 300 K and about 5 K, no pressure. Energies and full widths in eV.

    energy_sigma_ev, width_share   one sigma of every energy (eV), and of every width over the width
    f, f_sigma   oscillator strength of the F band; sigma None where none is printed
    unconfirmed  fields from memory of the literature
    """

    salt: str
    f_ev: float
    f_width_ev: float
    f_cold_ev: float
    f_cold_width_ev: float | None
    m_ev: float | None
    m_width_ev: float | None
    f: float
    f_sigma: float | None
    energy_sigma_ev: float
    width_share: float
    source: str
    unconfirmed: tuple[str, ...]


def _bands(
    salt: str, warm: tuple[float, float], cold: tuple[float, float | None], m: tuple[float | None, float | None],
    f: tuple[float, float | None], source: str, *unconfirmed: str,
) -> Bands:  # fmt: skip
    # The lists differ by 0.01 to 0.03 eV (KCl 2.20-2.23, KBr 1.98-2.00); from memory alone, twice that and a little.
    # Widths are read off curves to some 5 %; where not even the cold one is recalled, 10 %.
    return Bands(
        energy_sigma_ev=0.05 if "f_ev" in unconfirmed else 0.02, width_share=0.10 if cold[1] is None else 0.05,
        salt=salt, f_ev=warm[0], f_width_ev=warm[1], f_cold_ev=cold[0], f_cold_width_ev=cold[1], m_ev=m[0],
        m_width_ev=m[1], f=f[0], f_sigma=f[1], source=source, unconfirmed=unconfirmed,
    )  # fmt: skip


_BOSI: Final = "f: Bosi 1975"
_LISTS: Final = "energies: two lists of F bands, second hand (Fowler 1968)"
_WIDTHS: Final = ("f_width_ev", "f_cold_width_ev", "m_ev", "m_width_ev")
_ROWS: Final = (
    _bands("LiF", (5.08, 0.76), (5.10, 0.58), (2.79, 0.16), (0.82, 0.1), "energy: Chernov 2002", "f_cold_ev",
           "f", *_WIDTHS),
    _bands("NaF", (3.65, 0.62), (3.70, 0.41), (2.45, None), (0.7, None), _LISTS, "f", *_WIDTHS),
    _bands("NaCl", (2.67, 0.47), (2.76, 0.255), (1.72, None), (0.64, 0.02), f"{_LISTS}; {_BOSI}", *_WIDTHS),
    _bands("NaBr", (2.30, 0.50), (2.35, None), (1.50, None), (0.7, None), _LISTS, "f_cold_ev", "f", *_WIDTHS),
    _bands("KF", (2.74, 0.41), (2.85, None), (1.95, None), (0.7, None), "memory of the literature", "f_ev", "f_cold_ev",
           "f", *_WIDTHS),
    _bands("KCl", (2.22, 0.35), (2.30, 0.163), (1.51, None), (0.68, 0.02), f"{_LISTS}; {_BOSI}", *_WIDTHS),
    _bands("KBr", (1.99, 0.345), (2.06, 0.16), (1.35, None), (0.72, 0.02), f"{_LISTS}; {_BOSI}", *_WIDTHS),
    _bands("KI", (1.82, 0.35), (1.87, 0.155), (1.20, None), (0.7, None), _LISTS, "f", *_WIDTHS),
    _bands("RbCl", (2.00, 0.31), (2.05, None), (1.43, None), (0.51, 0.05), f"{_LISTS}; {_BOSI}", *_WIDTHS),
    _bands("CsCl", (2.05, 0.33), (2.17, None), (None, None), (0.8, None), "memory of the literature", "f_ev",
           "f_cold_ev", "f", *_WIDTHS),
    _bands("CsBr", (1.85, 0.33), (1.93, None), (None, None), (0.8, None),
           "cold energy: 642 nm at 77 K, Phys. Rev. 127 1537", "f_ev", "f", *_WIDTHS),
    _bands("CsI", (1.58, 0.33), (1.68, None), (None, None), (0.8, None), "memory of the literature", "f_ev",
           "f_cold_ev", "f", *_WIDTHS),
)  # fmt: skip
BANDS: Final[Mapping[str, Bands]] = MappingProxyType({row.salt: row for row in _ROWS})


def bands(salt: str) -> Bands:
    """The row of a salt. Raises UnknownPhase."""
    if salt not in BANDS:
        raise UnknownPhase(f"there are no colour-centre bands of {salt}; there are of {', '.join(BANDS)}")
    return BANDS[salt]


def phonon_ev(salt: str) -> float:
    """Energy (eV) of the phonon that widens the F band: from the widths at 5 and 300 K, else 0.65 k theta_D."""
    row = bands(salt)
    if row.f_cold_width_ev is None:
        return _PHONON_OF_DEBYE * _BOLTZMANN_EV * _ambient(salt).debye_k
    return float(2.0 * _BOLTZMANN_EV * _WARM_K * np.arctanh((row.f_cold_width_ev / row.f_width_ev) ** 2))


def f_width_ev(salt: str, temperature_k: FloatArray) -> FloatArray:
    """Full width at half maximum (eV) of the F band: W0 sqrt(coth(hw / 2kT)), through the measured 300 K width."""
    return np.asarray(bands(salt).f_width_ev * np.sqrt(_coth(salt, temperature_k) / _coth(salt, np.asarray(_WARM_K))))


def f_energy_ev(salt: str, temperature_k: FloatArray, volume_ratio: FloatArray | float = 1.0) -> FloatArray:
    """Peak (eV) of the F band at a temperature (K) and at V/V(no pressure, same temperature); shapes broadcast.

    Temperature: between the measured 5 K and 300 K values with the phonon's occupation. Pressure: Mollwo-Ivey,
    E ~ d^-1.84, about 0.6 % for each 1 % of volume. Raises ColourCentreError outside 1 to 600 K or for a ratio that no
    crystal has.
    """
    row = bands(salt)
    ratio = np.asarray(volume_ratio, dtype=np.float64)
    within(f"V/V0 for the F band of {salt}", ratio, 0.3, 1.2, "no salt of the table was squeezed farther",
           error=ColourCentreError)  # fmt: skip
    cold, warm = (_coth(salt, np.asarray(kelvin)) for kelvin in (_COLD_K, _WARM_K))
    share = (_coth(salt, temperature_k) - cold) / (warm - cold)
    return np.asarray((row.f_cold_ev + (row.f_ev - row.f_cold_ev) * share) * ratio ** (_IVEY[1] / 3.0))


def band_ev(
    salt: str, pressure_gpa: FloatArray | float, temperature_k: float = _WARM_K, *, band: Literal["F", "M"] = "F"
) -> FloatArray:
    """Peak (eV) of the F or M band of the loaded crystal at pressures (GPa, any shape) and a temperature (K).

    The volume is that of the phase which stands at ambient conditions, over its volume without pressure at the same
    temperature; Mollwo and Ivey's exponents do the rest (-1.84 for F, -1.56 for M, in the distance). How M moves with
    temperature was not found: it doesn't here. Raises eos.OutOfRange beyond the phase's pressures, ColourCentreError
    outside 1 to 600 K, UnknownPhase for a salt without the band.
    """
    row, known = _ambient(salt), bands(salt)
    kelvin = np.asarray(within(f"temperature of the bands of {salt} (K)", temperature_k, *TEMPERATURE_K, known.source,
                               error=ColourCentreError))  # fmt: skip
    loads = np.asarray(pressure_gpa, dtype=np.float64)
    ratio = np.asarray(eos.volume_a3(row, loads, temperature_k)) / eos.volume_a3(row, 0.0, temperature_k)
    if band == "F":
        return f_energy_ev(salt, kelvin, ratio)
    if known.m_ev is None:
        raise UnknownPhase(f"there is no M band of {salt} in the table; there is one of "
                           f"{', '.join(name for name, other in BANDS.items() if other.m_ev is not None)}")  # fmt: skip
    return np.asarray(known.m_ev * ratio ** (_IVEY_M / 3.0))


def mollwo_ivey_ev(neighbour_angstrom: FloatArray) -> FloatArray:
    """F band (eV) that the rule gives for a distance of nearest neighbours (A). Fails for the B2 caesium salts.

    Raises ColourCentreError outside 1 to 5 A.
    """
    distance = within("distance of nearest neighbours (A)", neighbour_angstrom, 1.0, 5.0, "Ivey 1947: LiF to RbI",
                      error=ColourCentreError)  # fmt: skip
    return np.asarray(_IVEY[0] * distance ** _IVEY[1])


def smakula_per_cm2(salt: str, temperature_k: float = _WARM_K, *, lorentzian: bool = False) -> Measured:
    """F centres per cm^3 for each 1/cm of peak absorption (so per cm^2), and one sigma: of f (15 % where none is
    printed) and of the width.

    n_F = 0.873e17 n/(n^2+2)^2 alpha_max W / f (Gaussian; 1.288e17 Lorentzian), with n at the peak (Li
    1976, 297 K) and W at this temperature. Raises UnknownPhase, and ColourCentreError outside 1 to 600 K.
    """
    row = bands(salt)
    peak = f_energy_ev(salt, np.asarray(temperature_k))
    n = float(refractive_index(salt, peak))
    width = float(f_width_ev(salt, np.asarray(temperature_k)))
    value = (_LORENTZIAN if lorentzian else _GAUSSIAN) * n / (n * n + 2.0) ** 2 * width / row.f
    share = 0.15 if row.f_sigma is None else row.f_sigma / row.f
    return Measured(value, value * float(np.hypot(share, row.width_share)))


def concentration_per_cm3(
    salt: str, optical_density: Measured, thickness_mm: float, temperature_k: float = _WARM_K
) -> Measured:
    """F centres per cm^3 from the peak's optical density (log10, background off) through `thickness_mm`, and one
    sigma."""
    _positive("thickness (mm)", thickness_mm)
    _not_negative("optical density", optical_density.value)
    _not_negative("sigma of the optical density", optical_density.sigma)
    per = smakula_per_cm2(salt, temperature_k)
    alpha = optical_density.value * np.log(10.0) / (thickness_mm / 10.0)
    alpha_sigma = optical_density.sigma * np.log(10.0) / (thickness_mm / 10.0)
    return Measured(alpha * per.value, float(np.hypot(alpha_sigma * per.value, alpha * per.sigma)))


def optical_density(
    salt: str, f_per_cm3: FloatArray, thickness_mm: float, energy_ev: FloatArray, temperature_k: float = _WARM_K,
    volume_ratio: float = 1.0,
) -> FloatArray:  # fmt: skip
    """Optical density (log10) of the F band, Gaussian, at photon energies (eV); concentrations and energies
    broadcast."""
    _positive("thickness (mm)", thickness_mm)
    _not_negative("F per cm3", f_per_cm3)
    _not_negative("photon energy (eV)", energy_ev)
    peak = f_energy_ev(salt, np.asarray(temperature_k), volume_ratio)
    width = f_width_ev(salt, np.asarray(temperature_k))
    alpha = np.asarray(f_per_cm3) / smakula_per_cm2(salt, temperature_k).value
    shape = np.exp(-4.0 * np.log(2.0) * ((np.asarray(energy_ev) - peak) / width) ** 2)
    return np.asarray(alpha * shape * (thickness_mm / 10.0) / np.log(10.0))


def swelling(salt: str, f_per_cm3: FloatArray) -> FloatArray:
    """Relative growth of the cell's edge by F centres (any shape): one formula volume each, n_F V_fu / 3.

    KCl and NaCl under weak X-rays: Lin, Phys. Rev. 102, 968 (1956); LiF within 6 %. At low temperature isolated F-H
    pairs expand the lattice more than this. One sigma is SWELLING_SHARE of it. Raises UnknownPhase, ColourCentreError.
    """
    _not_negative("F per cm3", f_per_cm3)
    row = _ambient(bands(salt).salt)
    return np.asarray(np.asarray(f_per_cm3) * (row.v0_a3 / row.z) * 1e-24 / 3.0)


def microstrain(dose_gy: FloatArray) -> FloatArray:
    """Microstrain of loops and clusters at a dose (Gy): none from point defects, 1e-4 at 1e8 Gy, rising to 1e-3.

    Order of magnitude, from memory of the literature; square root of the dose between.
    """
    _not_negative("dose (Gy)", dose_gy)
    dose = np.asarray(dose_gy, dtype=np.float64)
    return np.asarray(np.where(dose < 1e8, 0.0, np.minimum(1e-4 * np.sqrt(dose / 1e8), 1e-3)))


def _coth(salt: str, temperature_k: FloatArray) -> FloatArray:
    kelvin = np.asarray(temperature_k, dtype=np.float64)
    low, high = TEMPERATURE_K
    if not ((kelvin >= low) & (kelvin <= high)).all():
        raise ColourCentreError(
            f"bands of {salt}: {temperature_k} K is outside {low:g} to {high:g} K, where a phonon's occupation "
            f"describes them ({bands(salt).source})"
        )
    return np.asarray(1.0 / np.tanh(phonon_ev(salt) / (2.0 * _BOLTZMANN_EV * kelvin)))


def _ambient(salt: str) -> Phase:
    """The phase that stands at ambient conditions: the salt's first in the table."""
    return next(row for row in PHASES.values() if row.salt == bands(salt).salt)


def _not_negative(name: str, value: FloatArray | float) -> None:
    within(name, value, 0.0, np.inf, "nothing less exists", error=ColourCentreError)


def _positive(name: str, value: float) -> None:
    within(name, value, 0.0, np.inf, "a length", open_low=True, error=ColourCentreError)
