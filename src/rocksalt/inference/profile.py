"""The shape of a line: a pseudo-Voigt of unit area, with the derivatives that a Gauss-Newton step needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.values import FloatArray

_LN2: Final = float(np.log(2.0))
_FAR: Final = 60.0  # (2 (x - centre) / FWHM)^2 beyond which the Gaussian stays at 1e-18: no denormal numbers


@dataclass(frozen=True, slots=True)
class Lines:
    """Profiles of m lines on n points, and their derivatives by centre, by width (FWHM) and by mixing; each (m, n)."""

    value: FloatArray
    by_centre: FloatArray
    by_width: FloatArray
    by_mixing: FloatArray


def pseudo_voigt(x: FloatArray, centres: FloatArray, widths: FloatArray, mixing: float) -> Lines:
    """Lines of unit area at `centres` (m,) with FWHM `widths` (m,), in the unit of x; mixing 0 is Gauss, 1 Lorentz.

    x is (n,), or (m, n) with a row of points for each line.
    """
    w = widths[:, None]
    u = 2.0 * ((x if x.ndim == 2 else x[None, :]) - centres[:, None]) / w
    square = u * u
    gauss = (2.0 * np.sqrt(_LN2 / np.pi)) / w * np.exp(-_LN2 * np.minimum(square, _FAR))
    lorentz = (2.0 / np.pi) / w / (1.0 + square)
    value = mixing * lorentz + (1.0 - mixing) * gauss
    # by u: gauss' = -2 ln2 u gauss, lorentz' = -2u/(1+u^2) lorentz; du/dcentre = -2/w, du/dw = -u/w
    slope = -2.0 * u * (mixing * lorentz / (1.0 + square) + (1.0 - mixing) * _LN2 * gauss)
    return Lines(value, slope * (-2.0 / w), -(value + u * slope) / w, lorentz - gauss)
