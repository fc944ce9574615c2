"""The shape of a line: a pseudo-Voigt of unit area, whose width and mixing come from its Gaussian and Lorentzian parts.

Thompson, Cox and Hastings, J. Appl. Cryst. 20, 79 (1987).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rocksalt.values import FloatArray

_LN2: Final = float(np.log(2.0))
GAUSS: Final = 2.0 * float(np.sqrt(_LN2 / np.pi))
"""Height of a Gaussian of unit area and unit FWHM."""
FAR: Final = 18.0
"""Exponent at which a Gaussian counts as nothing: 2e-8 of its height."""
REACH: Final = float(np.sqrt(FAR / _LN2)) / 2.0
"""The same in units of the FWHM from the centre (2.5)."""


def mix(gauss_deg: FloatArray, lorentz_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """FWHM and mixing (0 Gauss, 1 Lorentz) of the pseudo-Voigt nearest to the convolution. Any one shape.

    `gauss_deg` and `lorentz_deg` are the FWHM of the parts, not both zero. Good to 1 % of the FWHM (1987 paper).
    """
    g, w = gauss_deg, lorentz_deg
    g2, w2 = g * g, w * w
    fifth = g2 * (g2 * (g + 2.69269 * w) + w2 * (2.42843 * g + 4.47163 * w)) + w2 * w2 * (0.07842 * g + w)
    fwhm = fifth**0.2
    q = w / fwhm
    return np.asarray(fwhm), np.asarray(q * (1.36603 + q * (0.11116 * q - 0.47719)))


def pseudo_voigt(x_deg: FloatArray, centre_deg: FloatArray, fwhm_deg: FloatArray, mixing: FloatArray) -> FloatArray:
    """Lines of unit area (per degree), (m, n): m centres, widths and mixings on n points."""
    u2 = (2.0 * (x_deg[None, :] - centre_deg[:, None]) / fwhm_deg[:, None]) ** 2
    gauss = GAUSS * np.exp(-_LN2 * u2)
    lorentz = (2.0 / np.pi) / (1.0 + u2)
    return np.asarray((mixing[:, None] * lorentz + (1.0 - mixing[:, None]) * gauss) / fwhm_deg[:, None])
