"""Refractive index of the salts at room temperature: Sellmeier sums of Li (1976), which Smakula's equation asks for."""

from __future__ import annotations

from typing import Final

import numpy as np

from rocksalt.crystals.limits import CrystalError
from rocksalt.crystals.tables import UnknownPhase
from rocksalt.values import FloatArray

_EV_UM: Final = 1.239841984  # h c in eV um, SI 2019
# Range (um), then n^2 - 1 = c + sum of a L^2 / (L^2 - b^2), L in um: (c, a, b, a, b, ...), at 297 K. H. H. Li, J. Phys.
# Chem. Ref. Data 5, 329 (1976), read in the refractiveindex.info database (CC0).
_LI_1976: Final = {
    "LiF": ((0.10, 11.0), (0.0, 0.92549, 0.07376, 6.96747, 32.790)),
    "NaF": ((0.15, 17.0), (0.41572, 0.32785, 0.117, 3.18248, 40.57)),
    "NaCl": ((0.20, 30.0), (0.00055, 0.19800, 0.050, 0.48398, 0.100, 0.38696, 0.128, 0.25998, 0.158, 0.08796, 40.50,
                            3.17064, 60.98, 0.30038, 120.34)),
    "NaBr": ((0.21, 34.0), (0.06728, 1.10463, 0.125, 0.18816, 0.145, 0.00243, 0.176, 0.24454, 0.188, 3.7960, 74.63)),
    "KF": ((0.15, 22.0), (0.55083, 0.29162, 0.126, 3.60001, 51.55)),
    "KCl": ((0.18, 35.0), (0.26486, 0.30523, 0.100, 0.41620, 0.131, 0.18870, 0.162, 2.6200, 70.42)),
    "KBr": ((0.20, 42.0), (0.39408, 0.79221, 0.146, 0.01981, 0.173, 0.15587, 0.187, 0.17673, 60.61, 2.06217, 87.72)),
    "KI": ((0.25, 50.0), (0.47285, 0.16512, 0.129, 0.41222, 0.175, 0.44163, 0.187, 0.16076, 0.219, 0.33571, 69.44,
                          1.92474, 98.04)),
    "RbCl": ((0.18, 40.0), (0.47558, 0.5600, 0.138, 0.14493, 0.166, 2.74000, 85.84)),
    "CsCl": ((0.18, 40.0), (0.33013, 0.98369, 0.119, 0.00009, 0.137, 0.00018, 0.145, 0.30914, 0.162, 4.320, 100.50)),
    "CsBr": ((0.21, 55.0), (0.14600, 1.26628, 0.120, 0.01137, 0.146, 0.00975, 0.160, 0.00672, 0.173, 0.34557, 0.187,
                            3.76339, 136.05)),
    "CsI": ((0.25, 67.0), (0.27587, 0.68689, 0.130, 0.26090, 0.147, 0.06256, 0.163, 0.06527, 0.177, 0.14991, 0.185,
                           0.51818, 0.206, 0.01918, 0.218, 3.38229, 161.29)),
}  # fmt: skip


class RefractionError(CrystalError):
    """A photon energy at which the salt's refractive index is not known."""


def refractive_index(salt: str, energy_ev: FloatArray) -> FloatArray:
    """n at photon energies (eV, any shape), 297 K and no pressure. Raises UnknownPhase, and RefractionError outside
    the range."""
    if salt not in _LI_1976:
        raise UnknownPhase(f"there is no refractive index of {salt}; there is one of {', '.join(_LI_1976)}")
    (low, high), (constant, *pairs) = _LI_1976[salt]
    energy = np.asarray(energy_ev, dtype=np.float64)
    with np.errstate(divide="ignore"):
        wavelength = _EV_UM / energy
    known = np.asarray((wavelength >= low) & (wavelength <= high))
    if not known.all():
        raise RefractionError(
            f"{salt}: {energy[~known].ravel()[0]:g} eV is outside {_EV_UM / high:.3g} to {_EV_UM / low:.3g} eV, where "
            "its refractive index is known (Li, J. Phys. Chem. Ref. Data 5, 329, 1976)"
        )
    square = np.full_like(energy, 1.0 + constant)
    for strength, resonance in zip(pairs[::2], pairs[1::2], strict=True):
        square = square + strength * wavelength**2 / (wavelength**2 - resonance**2)
    return np.asarray(np.sqrt(square))
