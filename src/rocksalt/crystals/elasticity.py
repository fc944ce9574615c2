"""Elastic constants of the salts, with temperature and pressure, and what follows from them: moduli and anisotropy.

Between 4 K and 300 K the constants are carried by the heat of the lattice (Debye energy), as Varshni's rule has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from rocksalt.crystals import eos
from rocksalt.crystals.debye import debye3
from rocksalt.crystals.tables import UnknownPhase, phase
from rocksalt.values import FloatArray

_WARM_K: Final = 300.0
_COLD_K: Final = 4.0
# Linear pressure derivatives are followed to here; beyond it C44 of KCl and KBr would be an invention.
PRESSURE_SHARE_OF_K: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Elastic:
    """One phase's constants in GPa: (C11, C12, C44).

    warm_gpa, cold_gpa   at 294 to 300 K and at 0 to 4 K; cold None where none is known
    per_gpa              dC/dP at 300 K; None where none is known
    warm_sigma_gpa       one sigma of the 300 K values where a source prints it or two sources differ, else None
    adiabatic            True: as ultrasound measures them; C44 is the same either way
    unconfirmed          which of the fields are from memory of the literature
    """

    salt: str
    structure: str
    warm_gpa: tuple[float, float, float]
    cold_gpa: tuple[float, float, float] | None
    per_gpa: tuple[float, float, float] | None
    warm_sigma_gpa: tuple[float, float, float] | None = None
    adiabatic: bool = True
    reference: str
    unconfirmed: tuple[str, ...]


_CRC: Final = "CRC Handbook of Chemistry and Physics, 82nd edition (2001), p. 12-37"
_ROWS: Final = (
    Elastic(salt="LiF", structure="B1", warm_gpa=(113.0, 47.0, 63.5), cold_gpa=(124.6, 42.4, 64.9),
            per_gpa=(10.0, 2.7, 1.4), warm_sigma_gpa=(1.5, 3.0, 0.3), reference="memory of the literature",
            unconfirmed=("warm_gpa", "cold_gpa", "per_gpa")),
    Elastic(salt="NaCl", structure="B1", warm_gpa=(49.67, 13.18, 12.78), cold_gpa=(57.50, 11.2, 13.27),
            per_gpa=(11.8, 2.1, 0.37), warm_sigma_gpa=(0.37, 0.44, 0.02),
            reference="Yamamoto et al., J. Phys. Soc. Jpn 56 (1987), 294 K; Overton and Swim, Phys. Rev. 84, 758 (1951)"
            ", 0 K, C12 of later work",
            unconfirmed=("cold_gpa", "per_gpa")),
    Elastic(salt="KCl", structure="B1", warm_gpa=(40.5, 6.9, 6.3), cold_gpa=(48.3, 5.4, 6.6),
            per_gpa=(12.8, 1.6, -0.39), reference="memory of the literature",
            unconfirmed=("warm_gpa", "cold_gpa", "per_gpa")),
    Elastic(salt="KBr", structure="B1", warm_gpa=(34.6, 5.7, 5.1), cold_gpa=(41.8, 5.6, 5.2),
            per_gpa=(12.9, 1.6, -0.33), warm_sigma_gpa=(0.9, 0.4, 0.05),
            reference="ultrasound, from memory; Brillouin scattering gives 33.7, 6.1, 5.1 (Bull. Chem. Soc. Jpn "
            "46, 3031, 1973)",
            unconfirmed=("warm_gpa", "cold_gpa", "per_gpa")),
    Elastic(salt="CsCl", structure="B2", warm_gpa=(36.44, 8.82, 8.04), cold_gpa=None, per_gpa=None, reference=_CRC,
            unconfirmed=()),
    Elastic(salt="CsBr", structure="B2", warm_gpa=(30.63, 8.07, 7.50), cold_gpa=None, per_gpa=None, reference=_CRC,
            unconfirmed=()),
    Elastic(salt="CsI", structure="B2", warm_gpa=(24.46, 6.61, 6.29), cold_gpa=(27.4, 7.9, 8.3),
            per_gpa=(6.8, 5.1, 3.5), reference=_CRC, unconfirmed=("cold_gpa", "per_gpa")),
)  # fmt: skip
ELASTIC: Final[Mapping[tuple[str, str], Elastic]] = MappingProxyType({(row.salt, row.structure): row for row in _ROWS})


def elastic(salt: str, structure: str) -> Elastic:
    """The row of a phase. Raises UnknownPhase, which says for which phases constants are known."""
    try:
        return ELASTIC[salt, structure]
    except KeyError:
        known = ", ".join(" ".join(key) for key in ELASTIC)
        raise UnknownPhase(f"there are no elastic constants of {salt} {structure}; there are for {known}") from None


def constants_gpa(row: Elastic, pressure_gpa: float = 0.0, temperature_k: float = _WARM_K) -> FloatArray:
    """(C11, C12, C44) in GPa, shape (3,), at a pressure (GPa) and temperature (K).

    Temperature: C(T) = C(4 K) - s U(theta/T) with U the Debye energy and s from the two measured temperatures
    (Varshni, Phys. Rev. B 2, 3952, 1970); to 600 K, an extrapolation above 300. Pressure: the linear derivatives of
    300 K, up to half of K0 or the end of the phase's range, whichever is first. Raises eos.OutOfRange outside, or where
    the row has no constants at another temperature or pressure.
    """
    known = phase(row.salt, row.structure)
    name = known.name
    # LiF's range ends at 109 GPa: linear derivatives stop long before.
    top = min(PRESSURE_SHARE_OF_K * known.k0_gpa, known.range_gpa[1])
    if not -1.0 <= pressure_gpa <= top:
        raise eos.OutOfRange(
            f"elastic constants of {name}: {pressure_gpa:g} GPa is outside -1 to {top:g} GPa, where linear pressure "
            f"derivatives ({row.reference}) and the phase's own range allow them"
        )
    if not 1.0 <= temperature_k <= 600.0:
        raise eos.OutOfRange(
            f"elastic constants of {name}: {temperature_k:g} K is outside 1 to 600 K ({row.reference})"
        )
    values = np.array(row.warm_gpa)
    if temperature_k != _WARM_K:
        if row.cold_gpa is None:
            raise eos.OutOfRange(f"elastic constants of {name} are known at 298 K only ({row.reference})")
        cold = np.array(row.cold_gpa)
        share = _energy(known.debye_k, temperature_k) - _energy(known.debye_k, _COLD_K)
        whole = _energy(known.debye_k, _WARM_K) - _energy(known.debye_k, _COLD_K)
        values = cold + (values - cold) * share / whole
    if pressure_gpa != 0.0:
        if row.per_gpa is None:
            raise eos.OutOfRange(f"elastic constants of {name} are known at zero pressure only ({row.reference})")
        values = values + pressure_gpa * np.array(row.per_gpa)
    return np.asarray(values)


def _energy(debye_k: float, temperature_k: float) -> float:
    return temperature_k * float(debye3(np.asarray(debye_k / temperature_k)))


def bulk_modulus_gpa(constants: FloatArray) -> float:
    """(C11 + 2 C12) / 3 in GPa; adiabatic if the constants are."""
    c11, c12, _ = _stable(constants)
    return (c11 + 2.0 * c12) / 3.0


def anisotropy(constants: FloatArray) -> float:
    """Zener's 2 C44 / (C11 - C12): 1 for an isotropic crystal."""
    c11, c12, c44 = _stable(constants)
    return 2.0 * c44 / (c11 - c12)


def shear_moduli_gpa(constants: FloatArray) -> tuple[float, float]:
    """Shear modulus of a random aggregate (GPa) after Reuss (same stress) and Voigt (same strain), in this order."""
    c11, c12, c44 = _stable(constants)
    reuss = 5.0 * (c11 - c12) * c44 / (4.0 * c44 + 3.0 * (c11 - c12))
    return reuss, (c11 - c12 + 3.0 * c44) / 5.0


def compliances_per_gpa(constants: FloatArray) -> tuple[float, float, float]:
    """(S11, S12, S44) in 1/GPa of a cubic crystal."""
    c11, c12, c44 = _stable(constants)
    both = (c11 - c12) * (c11 + 2.0 * c12)
    return (c11 + c12) / both, -c12 / both, 1.0 / c44


def _stable(constants: FloatArray) -> tuple[float, float, float]:
    """The three numbers, or ValueError where Born's conditions fail: no crystal stands there."""
    c11, c12, c44 = (float(value) for value in constants)
    if not (c44 > 0.0 and c11 > abs(c12) and c11 + 2.0 * c12 > 0.0):
        raise ValueError(
            f"C11 {c11:g}, C12 {c12:g}, C44 {c44:g} GPa: no cubic crystal is stable with these (Born's conditions: "
            "C44 > 0, C11 > |C12|, C11 + 2 C12 > 0)"
        )
    return c11, c12, c44
