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
from rocksalt.crystals.limits import CrystalError
from rocksalt.crystals.tables import UnknownPhase, phase
from rocksalt.values import FloatArray

_WARM_K: Final = 300.0
_COLD_K: Final = 4.0
# Linear pressure derivatives are followed to here; beyond it C44 of KCl and KBr would be an invention.
PRESSURE_SHARE_OF_K: Final = 0.5


class Unstable(CrystalError):
    """Elastic constants that no crystal has: Born's conditions fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elastic:
    """One phase's constants in GPa: (C11, C12, C44).

    warm_gpa, cold_gpa   at 294 to 300 K and at 0 to 4 K; cold None where none is known
    per_gpa              dC/dP at 300 K; None where none is known
    warm_sigma_gpa, cold_sigma_gpa, per_sigma   one sigma of each
    adiabatic            True: as ultrasound measures them; C44 is the same either way
    unconfirmed          which of the fields are from memory of the literature
    """

    salt: str
    structure: str
    warm_gpa: tuple[float, float, float]
    cold_gpa: tuple[float, float, float] | None
    per_gpa: tuple[float, float, float] | None
    warm_sigma_gpa: tuple[float, float, float]
    cold_sigma_gpa: tuple[float, float, float] | None = None
    per_sigma: tuple[float, float, float] | None = None
    adiabatic: bool = True
    reference: str
    unconfirmed: tuple[str, ...]


_CRC: Final = "CRC Handbook of Chemistry and Physics, 82nd edition (2001), p. 12-37"
_MEMORY: Final = "memory of the literature"
_ALL: Final = ("warm_gpa", "cold_gpa", "per_gpa")
# Sigmas. NaCl's at 294 K are printed; LiF's and KBr's at 300 K are half of what sources differ by. Elsewhere: CRC 1 %
# of C11 and C44 and 0.3 GPa in C12 (four digits, no error); from memory 2 % and 0.7 GPa, at 4 K 3 % and 1 GPa (RbCl
# more); derivatives 1, 0.5 and 0.15. C11 + 2 C12 of the rows agrees with K0 of their phases (KS/KT is 1.04 to 1.08,
# LiF's 1.11), and so does the sum of the derivatives with K0', within 0.45.
_PER: Final = (1.0, 0.5, 0.15)
_ROWS: Final = (
    Elastic(salt="LiF", structure="B1", warm_gpa=(113.0, 47.0, 63.5), cold_gpa=(124.6, 42.4, 64.9),
            per_gpa=(10.0, 2.7, 1.4), warm_sigma_gpa=(1.5, 3.0, 0.3), cold_sigma_gpa=(3.7, 3.0, 1.9), per_sigma=_PER,
            reference=_MEMORY, unconfirmed=_ALL),
    Elastic(salt="NaF", structure="B1", warm_gpa=(97.0, 24.2, 28.1), cold_gpa=(108.5, 22.9, 29.0),
            per_gpa=(11.9, 2.0, 0.2), warm_sigma_gpa=(1.9, 0.7, 0.6), cold_sigma_gpa=(3.3, 1.0, 0.9), per_sigma=_PER,
            reference=_MEMORY, unconfirmed=_ALL),
    Elastic(salt="NaCl", structure="B1", warm_gpa=(49.67, 13.18, 12.78), cold_gpa=(57.50, 11.2, 13.27),
            per_gpa=(11.8, 2.1, 0.37), warm_sigma_gpa=(0.37, 0.44, 0.02), cold_sigma_gpa=(0.6, 1.0, 0.13),
            per_sigma=(0.3, 0.3, 0.05),
            reference="Yamamoto et al., J. Phys. Soc. Jpn 56 (1987), 294 K; Overton and Swim, Phys. Rev. 84, 758 (1951)"
            ", 0 K, C12 of later work",
            unconfirmed=("cold_gpa", "per_gpa")),
    Elastic(salt="NaBr", structure="B1", warm_gpa=(40.1, 10.9, 9.9), cold_gpa=(48.0, 9.9, 10.7),
            per_gpa=(11.6, 2.1, 0.45), warm_sigma_gpa=(0.8, 0.7, 0.2), cold_sigma_gpa=(1.4, 1.0, 0.3), per_sigma=_PER,
            reference=_MEMORY, unconfirmed=_ALL),
    Elastic(salt="KF", structure="B1", warm_gpa=(65.6, 14.6, 12.5), cold_gpa=(75.7, 13.4, 13.4),
            per_gpa=(12.1, 1.7, -0.43), warm_sigma_gpa=(1.3, 0.7, 0.3), cold_sigma_gpa=(2.3, 1.0, 0.4), per_sigma=_PER,
            reference=_MEMORY, unconfirmed=_ALL),
    Elastic(salt="KCl", structure="B1", warm_gpa=(40.5, 6.9, 6.3), cold_gpa=(48.3, 5.4, 6.6),
            per_gpa=(12.8, 1.6, -0.39), warm_sigma_gpa=(0.8, 0.7, 0.13), cold_sigma_gpa=(1.4, 1.0, 0.2), per_sigma=_PER,
            reference=_MEMORY, unconfirmed=_ALL),
    Elastic(salt="KBr", structure="B1", warm_gpa=(34.6, 5.7, 5.1), cold_gpa=(41.8, 5.6, 5.2),
            per_gpa=(12.9, 1.6, -0.33), warm_sigma_gpa=(0.9, 0.4, 0.05), cold_sigma_gpa=(1.3, 1.0, 0.16),
            per_sigma=_PER,
            reference="ultrasound, from memory; Brillouin scattering gives 33.7, 6.1, 5.1 (Bull. Chem. Soc. Jpn "
            "46, 3031, 1973)",
            unconfirmed=_ALL),
    Elastic(salt="KI", structure="B1", warm_gpa=(27.5, 4.5, 3.7), cold_gpa=(33.8, 2.2, 3.7),
            per_gpa=(13.0, 1.7, -0.24), warm_sigma_gpa=(0.6, 0.7, 0.1), cold_sigma_gpa=(1.0, 1.0, 0.1), per_sigma=_PER,
            reference=_MEMORY, unconfirmed=_ALL),
    Elastic(salt="RbCl", structure="B1", warm_gpa=(36.4, 6.2, 4.7), cold_gpa=(43.0, 6.5, 4.9),
            per_gpa=(13.4, 1.4, -0.6), warm_sigma_gpa=(0.7, 0.7, 0.1), cold_sigma_gpa=(2.0, 1.5, 0.2), per_sigma=_PER,
            reference=_MEMORY, unconfirmed=_ALL),
    Elastic(salt="CsCl", structure="B2", warm_gpa=(36.44, 8.82, 8.04), cold_gpa=None, per_gpa=None,
            warm_sigma_gpa=(0.36, 0.3, 0.08), reference=_CRC, unconfirmed=()),
    Elastic(salt="CsBr", structure="B2", warm_gpa=(30.63, 8.07, 7.50), cold_gpa=None, per_gpa=None,
            warm_sigma_gpa=(0.31, 0.3, 0.08), reference=_CRC, unconfirmed=()),
    Elastic(salt="CsI", structure="B2", warm_gpa=(24.46, 6.61, 6.29), cold_gpa=(27.4, 7.9, 8.3),
            per_gpa=(6.8, 5.1, 3.5), warm_sigma_gpa=(0.24, 0.3, 0.06), cold_sigma_gpa=(0.8, 1.0, 0.3), per_sigma=_PER,
            reference=_CRC, unconfirmed=("cold_gpa", "per_gpa")),
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


def constants_sigma_gpa(row: Elastic, pressure_gpa: float = 0.0, temperature_k: float = _WARM_K) -> FloatArray:
    """One sigma (GPa, shape (3,)) of `constants_gpa` at the same place: of the 300 K and 4 K values, weighed as they
    are, and of the pressure derivatives, all taken as independent. Raises as `constants_gpa` does."""
    constants_gpa(row, pressure_gpa, temperature_k)
    warm = 1.0
    if temperature_k != _WARM_K:
        debye_k = phase(row.salt, row.structure).debye_k
        cold = _energy(debye_k, _COLD_K)
        warm = (_energy(debye_k, temperature_k) - cold) / (_energy(debye_k, _WARM_K) - cold)
    squared = (warm * np.array(row.warm_sigma_gpa)) ** 2
    if row.cold_sigma_gpa is not None:
        squared = squared + ((1.0 - warm) * np.array(row.cold_sigma_gpa)) ** 2
    if row.per_sigma is not None:
        squared = squared + (pressure_gpa * np.array(row.per_sigma)) ** 2
    return np.asarray(np.sqrt(squared))


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
    """The three numbers, or Unstable where Born's conditions fail: no crystal stands there."""
    c11, c12, c44 = (float(value) for value in constants)
    if not (np.inf > c44 > 0.0 and np.inf > c11 > abs(c12) and c11 + 2.0 * c12 > 0.0):
        raise Unstable(
            f"C11 {c11:g}, C12 {c12:g}, C44 {c44:g} GPa must meet Born's conditions (Born and Huang 1954): "
            "C44 > 0, C11 > |C12|, C11 + 2 C12 > 0; no cubic crystal stands otherwise"
        )
    return c11, c12, c44
