"""Debye functions D1 and D3, vectorised, to about 1e-15: the heat of a lattice and the shaking of its atoms.

Dn(y) = n / y^n times the integral of t^n / (e^t - 1) from 0 to y.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rocksalt.crystals.limits import within
from rocksalt.values import FloatArray

# Below this argument the Bernoulli series (it converges to 2 pi), above it the sum of exponentials.
_SWITCH: Final = 2.0
_ORDERS: Final = np.arange(1, 18)
_TERMS: Final = np.arange(1, 21)[:, None]


def _bernoulli_over_factorial() -> FloatArray:
    """B_2n / (2n)! for n = 1... = 2 (-1)^(n+1) zeta(2n) / (2 pi)^(2n)."""
    steps = np.arange(1.0, 2001.0)
    zeta = np.array([np.pi**2 / 6.0, np.pi**4 / 90.0, *(np.sum(steps**-p) for p in 2.0 * _ORDERS[2:])])
    return np.asarray(2.0 * (-1.0) ** (_ORDERS + 1) * zeta / (2.0 * np.pi) ** (2.0 * _ORDERS))


_SERIES: Final = _bernoulli_over_factorial()


def debye3(y: FloatArray) -> FloatArray:
    """D3(y) for y > 0, any shape: energy per mode over kT without zero-point motion; towards 1 when hot.

    Raises limits.CrystalError for anything that isn't above zero.
    """
    return _debye(y, 3)


def debye1(y: FloatArray) -> FloatArray:
    """D1(y) for y > 0, any shape: mean square displacement goes as (D1(y)/y + 1/4) / theta.

    Raises limits.CrystalError for anything that isn't above zero.
    """
    return _debye(y, 1)


def _debye(y: FloatArray, n: int) -> FloatArray:
    y = np.asarray(y, dtype=np.float64)
    if not ((y > 0.0) & (y < np.inf)).all():
        within(
            "theta/T of a Debye function", y, 0.0, np.inf, "Debye 1912: both temperatures are above zero", open_low=True
        )
    flat = y.ravel()
    result = np.empty_like(flat)
    low = flat < _SWITCH
    if low.any():
        result[low] = _hot(flat[low], n)
    if not low.all():
        result[~low] = _cold(flat[~low], n)
    return result.reshape(y.shape)


def _hot(y: FloatArray, n: int) -> FloatArray:
    coefficients = np.concatenate([[0.0], n * _SERIES / (2 * _ORDERS + n)])
    return np.asarray(1.0 - n * y / (2.0 * (n + 1)) + np.polynomial.polynomial.polyval(y * y, coefficients))


def _cold(y: FloatArray, n: int) -> FloatArray:
    """The full integral minus its tail; the tail is a sum over k of e^(-k y) times a polynomial in y."""
    decay = np.exp(-y * _TERMS)
    if n == 1:
        full, tail = np.pi**2 / 6.0, (decay * (y / _TERMS + 1.0 / _TERMS**2)).sum(axis=0)
    else:
        k = _TERMS.astype(np.float64)
        sums = np.concatenate([1.0 / k, 3.0 / k**2, 6.0 / k**3, 6.0 / k**4], axis=1).T @ decay
        full, tail = np.pi**4 / 15.0, ((sums[0] * y + sums[1]) * y + sums[2]) * y + sums[3]
    return np.asarray(n * (full - tail) / y**n)
