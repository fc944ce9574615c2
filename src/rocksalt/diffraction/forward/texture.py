"""Preferred orientation: March and Dollase's one-parameter fibre texture, averaged over a line's equivalents.

Dollase, J. Appl. Cryst. 19, 267 (1986). Salts cleave on (100), so ground powder lies flat.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from rocksalt.diffraction.forward.errors import ForwardError, require
from rocksalt.values import FloatArray

Axis = tuple[int, int, int]
R_RANGE = (0.05, 20.0)


def march_dollase(cos2: FloatArray, r: float) -> FloatArray:
    """(r^2 cos^2 a + sin^2 a / r)^(-3/2), any shape: pole density at angle a from the axis, mean over the sphere 1.

    `cos2` is cos^2 a; r < 1 platelets (poles along the axis), r > 1 needles, 1 no texture. Raises ForwardError.
    """
    require("March-Dollase r", r, *R_RANGE, "beyond, a single crystal is the better model (Dollase 1986 has 0.2 to 2)")
    return np.asarray((r * r * cos2 + (1.0 - cos2) / r) ** -1.5)


def cubic_equivalents(hkl: tuple[int, int, int]) -> NDArray[np.int64]:
    """All reflections (m, 3) of the cubic family of `hkl` (m-3m): its permutations with all signs."""
    family = {
        tuple(s * i for s, i in zip(signs, order, strict=True))
        for order in permutations(hkl)
        for signs in product((1, -1), repeat=3)
    }
    return np.array(sorted(family), dtype=np.int64)


def cubic_cos2(hkl: tuple[int, int, int], axis: Axis) -> tuple[FloatArray, FloatArray]:
    """Distinct cos^2 (k,) between the family of `hkl` and `axis`, and the share (k,) of the family at each."""
    require_axis(axis)
    all_of = cubic_equivalents(hkl).astype(np.float64)
    direction = np.asarray(axis, dtype=np.float64)
    cos2 = (all_of @ direction) ** 2 / ((all_of**2).sum(axis=1) * (direction @ direction))
    values, counts = np.unique(np.round(cos2, 12), return_counts=True)
    return values, counts / counts.sum()


def require_axis(axis: Axis) -> None:
    """Raise ForwardError for an axis that is no direction."""
    if not any(axis) or not np.isfinite(axis).all():
        raise ForwardError(f"the texture axis is {axis}; give three indices that aren't all zero, as (1, 0, 0)")
