"""What the forward model refuses, and the two checks that say so in a sentence.

Every number that enters a pattern passes one of them, so that NaN never comes out as an empty plot.
"""

from __future__ import annotations

import math

import numpy as np

from rocksalt.values import FloatArray


class ForwardError(ValueError):
    """A number no powder pattern can be computed from; `str()` names it, its range, and where the range comes from."""


def require(name: str, value: float, low: float, high: float, source: str) -> None:
    """Raise ForwardError unless low <= value <= high (so never for NaN); `source` says why these limits."""
    if math.isnan(value) or not low <= value <= high:
        raise ForwardError(f"{name} is {value:g}; it must lie in {low:g} to {high:g}: {source}")


def require_angles(two_theta_deg: FloatArray) -> FloatArray:
    """The angles (n,) as float64, ascending and inside 0 to 180 deg. Raises ForwardError."""
    angles = np.asarray(two_theta_deg, dtype=np.float64)
    if angles.ndim != 1 or angles.size < 2:
        raise ForwardError(f"two_theta_deg has shape {angles.shape}; a pattern needs two points or more in one row")
    if not np.isfinite(angles).all() or angles[0] <= 0.0 or angles[-1] >= 180.0 or not (np.diff(angles) > 0.0).all():
        raise ForwardError(
            "two_theta_deg must ascend and lie between 0 and 180, without NaN: no beam is diffracted beyond its source"
        )
    return angles
