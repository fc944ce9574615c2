"""How far a pattern scatters: the variance that a fit may believe, whatever unit the intensity is in.

Counts scatter as their square root. Data that were divided, averaged or smoothed do not; their scatter says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.values import FloatArray, Pattern

_MAD: Final = 1.482602  # sigma of a normal distribution over its median absolute deviation


@dataclass(frozen=True, slots=True)
class Scatter:
    """A pattern made ready to fit: even steps, finite, with a variance that its own scatter supports.

    two_theta_deg, intensity, variance, variation   (n,); variation is the azimuthal one, zeros where there is none
    measured       (n,) whether the point was measured at all
    over_stated    scatter seen over the one stated, as a ratio of variances; 1 for honest counts
    reweighted     whether the variance stated was set aside for the one seen
    """

    two_theta_deg: FloatArray
    intensity: FloatArray
    variance: FloatArray
    variation: FloatArray
    measured: np.ndarray
    over_stated: float
    reweighted: bool


def mad_sigma(values: FloatArray) -> float:
    """Standard deviation of the bulk of `values` about zero, deaf to outliers. Any shape; 0.0 for nothing."""
    return float(_MAD * np.median(np.abs(values))) if values.size else 0.0


def judge(pattern: Pattern, from_deg: float = 0.0) -> Scatter | None:
    """The pattern from `from_deg` on, on even steps, with a variance fit to weigh it by; None for under 50 points.

    Second differences pass noise and stop everything smooth; their scatter over the stated variance is 1 for counts.
    Where the pattern came from an image its stated variance is kept when the differences are *smaller*: pixel splitting
    correlates neighbours, and the differences then see too little.
    """
    x = np.asarray(pattern.two_theta_deg, dtype=float)
    y = np.asarray(pattern.intensity, dtype=float)
    v = np.asarray(pattern.variance, dtype=float)
    good = np.isfinite(x) & np.isfinite(y) & (x >= from_deg)
    if int(good.sum()) < 50:
        return None
    av = pattern.azimuthal_variation
    spots = np.zeros_like(y) if av is None else np.nan_to_num(np.asarray(av, dtype=float))
    positive = y[good & (y > 0)]
    typical = float(np.median(positive)) if positive.size else 0.0
    stated = np.where(np.isfinite(v) & (v > 0), v, np.maximum(y, 0.02 * typical))
    x, y, stated, spots, measured = _even(x, y, stated, spots, good)
    usable = measured[2:] & measured[1:-1] & measured[:-2]
    difference = y[2:] - 2.0 * y[1:-1] + y[:-2]
    expected = np.sqrt(np.maximum(stated[2:] + 4.0 * stated[1:-1] + stated[:-2], 1e-300))
    ratio = mad_sigma((difference / expected)[usable]) ** 2
    keep = 0.6 < ratio < 1.6 or (ratio <= 0.6 and (pattern.raw_counts is True or av is not None))
    factor = 1.0 if keep else max(ratio, 1e-12)
    floor = 1e-3 * float(np.median(stated[measured])) * factor + 1e-30
    return Scatter(x, y, np.maximum(stated * factor, floor), spots, measured, ratio, not keep)


def _even(
    x: FloatArray, y: FloatArray, v: FloatArray, spots: FloatArray, good: np.ndarray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, np.ndarray]:
    """The same on even steps, holes bridged and marked; copied unchanged where the steps are even already."""
    inside = np.flatnonzero(good)
    first, last = inside[0], inside[-1] + 1
    x, y, v, spots, good = x[first:last], y[first:last], v[first:last], spots[first:last], good[first:last]
    steps = np.diff(x)
    step = float(np.median(steps))
    if np.all(np.abs(steps - step) < 0.02 * step):
        grid, measured = x, good
    else:
        grid = np.arange(x[0], x[-1], step)
        nearest = np.clip(np.searchsorted(x[good], grid), 1, int(good.sum()) - 1)
        gap = np.minimum(np.abs(x[good][nearest] - grid), np.abs(grid - x[good][nearest - 1]))
        measured = gap < 2.0 * step
    bridge = [np.interp(grid, x[good], values[good]) for values in (y, v, spots)]
    return grid, bridge[0], bridge[1], bridge[2], measured
