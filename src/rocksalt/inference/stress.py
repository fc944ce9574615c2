"""What a uniaxial stress does to each line of a salt: every spacing too large, by an amount that depends on hkl.

Compressed between two diamonds along the beam, a powder bears a stress t beside its pressure. The lines' disagreement
about the cell tells t, and with it the cell at the pressure alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from rocksalt.crystals import eos, tables
from rocksalt.values import FloatArray

# C11, C12, C44 (GPa) at ambient pressure and their pressure derivatives. LiF, KCl: recalled; NaCl: Yamamoto 1987;
# KBr: Brillouin; CsI: CRC Handbook; derivatives recalled. Nobody measured KCl B2 and KBr B2 at these pressures: CsCl
# and CsBr (CRC Handbook) stand in, with derivatives between CsI's. NaCl B2 has none: it is taken to bear no stress.
_ELASTIC: Final = {
    ("LiF", "B1"): ((113.0, 47.0, 63.5), (10.0, 2.7, 1.4)),
    ("NaCl", "B1"): ((49.67, 13.18, 12.78), (11.8, 2.1, 0.37)),
    ("KCl", "B1"): ((40.5, 6.9, 6.3), (12.8, 1.6, -0.39)),
    ("KBr", "B1"): ((33.7, 6.1, 5.1), (12.9, 1.6, -0.33)),
    ("CsI", "B2"): ((24.46, 6.61, 6.29), (6.8, 5.1, 3.5)),
    ("KCl", "B2"): ((36.44, 8.82, 8.04), (6.8, 5.1, 3.5)),
    ("KBr", "B2"): ((30.63, 8.07, 7.50), (6.8, 5.1, 3.5)),
}
_HALFWAY: Final = 0.5  # between Reuss and Voigt: grains neither share stress alone nor strain alone


def strain_per_gpa(salt: str, structure: str, labels: tuple[str, ...], a_angstrom: float) -> FloatArray:
    """Q(hkl) for t = 1 GPa at cell `a_angstrom`: d = d_P [1 + (1 - 3 sin^2 theta) t Q] with the load along the beam.

    (m,), zeros for a phase whose elastic constants are not known. A. K. Singh et al., J. Appl. Phys. 83, 7567 (1998).
    """
    known = _ELASTIC.get((salt, structure))
    if known is None:
        return np.zeros(len(labels))
    row = eos.extrapolated(tables.phase(salt, structure))
    try:
        pressure = max(eos.pressure_from_cell_gpa(row, a_angstrom), 0.0)
    except eos.OutOfRange:
        return np.zeros(len(labels))
    start, slope = known
    # recalled derivatives are good for some GPa; nobody needs them farther
    c11, c12, c44 = (c + min(pressure, 8.0) * s for c, s in zip(start, slope, strict=True))
    constant, coefficient = _q(c11, c12, c44)
    return np.asarray(constant + coefficient * _gammas(labels))


def _q(c11: float, c12: float, c44: float) -> tuple[float, float]:
    """Constant and coefficient of Q = constant + coefficient * Gamma(hkl), per GPa."""
    s11 = (c11 + c12) / ((c11 - c12) * (c11 + 2.0 * c12))
    s12 = -c12 / ((c11 - c12) * (c11 + 2.0 * c12))
    s44 = 1.0 / c44
    voigt = 2.5 / (c11 - c12 + 3.0 * c44)
    constant = _HALFWAY * (s11 - s12) + (1.0 - _HALFWAY) * voigt
    return constant / 3.0, -_HALFWAY * (s11 - s12 - 0.5 * s44)


@lru_cache(maxsize=64)
def _gammas(labels: tuple[str, ...]) -> FloatArray:
    indices = [label.split() if " " in label else list(label) for label in labels]
    h, k, index = np.array(indices, dtype=float).T ** 2
    return np.asarray((h * k + k * index + index * h) / (h + k + index) ** 2)
