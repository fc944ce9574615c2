"""How much light a small metal sphere takes away: Mie's series, for colloids of potassium in its bromide."""

from __future__ import annotations

from typing import Final

import numpy as np

from rocksalt.values import FloatArray

# Wavelength (um), n, k of potassium: N. V. Smith, Phys. Rev. 183, 634 (1969), read in the refractiveindex.info database
# (CC0). Monin & Boutry, Phys. Rev. B 9, 1309 (1974), have 0.035 + 1.466i at 0.546 um and 195 K.
_POTASSIUM: Final = np.array([
    (0.404648, 0.040668, 0.799158), (0.420001, 0.041221, 0.897607), (0.439972, 0.042618, 1.020694),
    (0.469993, 0.042573, 1.139216), (0.505027, 0.045694, 1.280269), (0.545945, 0.049210, 1.432628),
    (0.599827, 0.053102, 1.619512), (0.661955, 0.050023, 1.839158), (0.750056, 0.044219, 2.193617),
    (0.859807, 0.040076, 2.557656),
])  # fmt: skip


def potassium_index(wavelength_um: float) -> complex:
    """n + ik of potassium, straight between the table's rows. Raises ValueError outside 0.405 to 0.86 um."""
    table = _POTASSIUM
    if not table[0, 0] <= wavelength_um <= table[-1, 0]:
        raise ValueError(
            f"{wavelength_um} um: potassium is known here from {table[0, 0]} to {table[-1, 0]} um (Smith 1969)"
        )
    real, imaginary = (float(np.interp(wavelength_um, table[:, 0], table[:, part])) for part in (1, 2))
    return complex(real, imaginary)


def extinction_um2(radius_um: FloatArray, wavelength_um: float, medium: float, particle: complex) -> FloatArray:
    """Extinction cross-section of spheres (n,), um^2, absorbed and scattered light together.

    2 pi / k^2 times the sum over orders n of (2 n + 1) Re(a_n + b_n): Bohren & Huffman, "Absorption and Scattering of
    Light by Small Particles" (1983), equations 4.53 and 4.62. `wavelength_um` is in vacuum, k in the medium.
    """
    from scipy.special import spherical_jn, spherical_yn

    k = 2.0 * np.pi * medium / wavelength_um
    x = k * np.asarray(radius_um, dtype=np.float64)[:, None]
    m = particle / medium
    most = float(x.max(initial=0.1))
    n = np.arange(1, int(most + 4.0 * most ** (1.0 / 3.0) + 2.0) + 1)
    inner = m * x.astype(np.complex128)
    j, j_inner, y = spherical_jn(n, x), spherical_jn(n, inner), spherical_yn(n, x)
    psi, psi_inner, xi = x * j, inner * j_inner, x * (j + 1j * y)
    psi_slope = j + x * spherical_jn(n, x, derivative=True)
    inner_slope = j_inner + inner * spherical_jn(n, inner, derivative=True)
    xi_slope = psi_slope + 1j * (y + x * spherical_yn(n, x, derivative=True))
    a = (m * psi_inner * psi_slope - psi * inner_slope) / (m * psi_inner * xi_slope - xi * inner_slope)
    b = (psi_inner * psi_slope - m * psi * inner_slope) / (psi_inner * xi_slope - m * xi * inner_slope)
    return np.asarray(2.0 * np.pi / k**2 * ((2 * n + 1) * (a + b).real).sum(axis=1))
