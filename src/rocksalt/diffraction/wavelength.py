"""Wavelengths as people state them: one out of several statements, and the mistakes of unit among them.

Also the way from q and d to 2θ, which needs one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from rocksalt.values import FloatArray

AGREE: Final = 1e-3
"""Relative: the weighted mean of Cu Kα stands 8e-4 above Kα1, and both are called "the" wavelength."""

SHORTEST_ANGSTROM: Final = 0.05  # 248 keV: beyond any powder beamline
LONGEST_ANGSTROM: Final = 5.0  # 2.5 keV: absorbed by air
_SMALLEST_D: Final = 0.25  # angstrom; total scattering reaches 2*pi/25 = 0.25, no phase of a salt is read beyond it
_LAB_RANGE_DEG: Final = 25.0  # at tube wavelength / 10 every line of a salt lies below this

# Kα1, Kα2 and weighted mean, angstrom: International Tables for Crystallography C (2004), table 4.2.2.4.
TUBES: Final[dict[str, tuple[float, float, float]]] = {
    "Cr": (2.289726, 2.293651, 2.291035),
    "Fe": (1.936041, 1.939973, 1.937352),
    "Co": (1.788996, 1.792835, 1.790276),
    "Cu": (1.540593, 1.544427, 1.541871),
    "Mo": (0.709317, 0.713607, 0.710747),
    "Ag": (0.559422, 0.563813, 0.560886),
}


class WavelengthError(ValueError):
    """A wavelength that is missing, impossible, or contradicted; `str()` says what would be right."""


def require_possible(wavelength_angstrom: float) -> None:
    """Refuse what no unit of Å can be. Raises WavelengthError that names the unit it may have been in."""
    value = wavelength_angstrom
    if not math.isfinite(value) or value <= 0.0:
        raise WavelengthError(f"a wavelength of {value:g} Å is none; give it in Å, as 1.5406 for Cu Kα1")
    if value < 1e-7:
        raise WavelengthError(f"a wavelength of {value:g} Å looks like metres; {value:g} m are {value * 1e10:.5g} Å")
    if value < SHORTEST_ANGSTROM:
        raise WavelengthError(
            f"a wavelength of {value:g} Å is shorter than powder diffraction uses ({SHORTEST_ANGSTROM} Å); "
            f"if it is in nm, give {value * 10:.5g}"
        )
    if value > LONGEST_ANGSTROM:
        as_energy = f"; if it is an energy in keV, give {12.398420 / value:.5g}" if value < 250.0 else ""
        as_length = f"; if it is in pm, give {value / 100:.5g}" if value >= 20.0 else ""
        raise WavelengthError(
            f"a wavelength of {value:g} Å is longer than powder diffraction uses ({LONGEST_ANGSTROM:g} Å)"
            f"{as_length}{as_energy}"
        )


def require_plausible(wavelength_angstrom: float, largest_two_theta_deg: float) -> None:
    """Refuse a wavelength that its pattern's own range contradicts: nanometres given for Å. Raises WavelengthError."""
    value = wavelength_angstrom
    for target, lines in TUBES.items():
        if largest_two_theta_deg > _LAB_RANGE_DEG and any(abs(value * 10.0 / line - 1.0) < AGREE for line in lines):
            raise WavelengthError(
                f"a wavelength of {value:g} Å is a tenth of {target} Kα, and the pattern reaches "
                f"{largest_two_theta_deg:.0f} deg: it looks like nanometres; give {value * 10:.6g}"
            )
    smallest = value / (2.0 * math.sin(math.radians(largest_two_theta_deg) / 2.0))
    if smallest < _SMALLEST_D:
        raise WavelengthError(
            f"at a wavelength of {value:g} Å the pattern would reach down to d = {smallest:.2g} Å, where no line is "
            f"left (limit {_SMALLEST_D} Å); if it is in nm, give {value * 10:.6g}"
        )


def one_of(stated: Sequence[tuple[str, float]]) -> tuple[float, str] | None:
    """The wavelength that all statements (who, Å) agree on within 1e-3, and who said it first; None without any.

    Raises WavelengthError where two disagree.
    """
    if not stated:
        return None
    first, value = stated[0]
    for other, differing in stated[1:]:
        if abs(differing - value) > AGREE * value:
            raise WavelengthError(
                f"{first} says {value:.6g} Å and {other} says {differing:.6g} Å, which differ by more than 0.1 %; "
                "leave the wrong one out"
            )
    return value, first


def two_theta_from_q(q_per_angstrom: FloatArray, wavelength_angstrom: float) -> FloatArray:
    """2θ in degrees of q = 4π sin(θ)/λ, any shape. Raises WavelengthError where q is out of this wavelength's reach."""
    sine = np.asarray(q_per_angstrom, dtype=np.float64) * wavelength_angstrom / (4.0 * np.pi)
    if np.any(sine >= 1.0):
        largest, reach = float(np.max(q_per_angstrom)), 4.0 * math.pi / wavelength_angstrom
        raise WavelengthError(
            f"q reaches {largest:.4g} 1/Å, and a wavelength of {wavelength_angstrom:g} Å only {reach:.4g} 1/Å (4π/λ); "
            "is q in 1/nm, or the wavelength another?"
        )
    return np.degrees(2.0 * np.arcsin(sine))


def wavelength_for_q(largest_q_per_angstrom: float) -> float:
    """A wavelength, Å, for a pattern over q or d that states none: 0.5, or less where q would leave 2θ < 120 deg."""
    return min(0.5, 4.0 * math.pi * math.sin(math.radians(60.0)) / largest_q_per_angstrom)
