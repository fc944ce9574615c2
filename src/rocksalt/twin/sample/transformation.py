"""B1 to B2 and back: how much of the illuminated volume has transformed, bin by bin of local pressure.

Kolmogorov-Johnson-Mehl-Avrami growth with a time constant that falls exponentially with overpressure, and a dead band
between the two directions in which nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.values import FloatArray

BINS: Final = 31
_DONE: Final = 1e-9
_STEEPEST: Final = 12.0


@dataclass(frozen=True, slots=True)
class Law:
    """tau(P) = tau0_s exp(-(overpressure)/p0_gpa); overpressure counts from forward_gpa upwards, or from reverse_gpa
    downwards. `avrami` is the exponent of growth, 1 - exp(-(t/tau)^avrami). An infinite forward_gpa: never."""

    forward_gpa: float
    reverse_gpa: float
    tau0_s: float
    p0_gpa: float
    avrami: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Equal shares of the illuminated volume: their pressure above the mean, and their own delay of the transition.

    gradient_gpa is ascending with mean 0; barrier_gpa takes its values in an order that has nothing to do with that.
    """

    gradient_gpa: FloatArray
    barrier_gpa: FloatArray


def spread(gradient_gpa: float, skew: float, barrier_gpa: float) -> Spread:
    """BINS equal shares: normal quantiles of these standard deviations; `skew` leans the pressures (the
    middle of a cell is pressed more than its edge). Shapes (BINS,)."""
    shares = (np.arange(BINS) + 0.5) / BINS
    normal = _normal_quantile(shares)
    leaning = normal + skew * 0.5 * (normal**2 - 1.0)
    leaning = np.sort((leaning - leaning.mean()) / leaning.std())
    # Multiples of the golden ratio fill the interval evenly in a shuffled order.
    shuffled = _normal_quantile((np.argsort(np.argsort((np.arange(BINS) * 0.6180339887498949) % 1.0)) + 0.5) / BINS)
    return Spread(gradient_gpa * leaning, barrier_gpa * (shuffled - shuffled.mean()))


def _normal_quantile(shares: FloatArray) -> FloatArray:
    """Inverse of the normal distribution function, by Newton on erf; exact enough (1e-12) for shares off 0 and 1."""
    from math import erf, exp, pi, sqrt

    values = []
    for share in shares:
        x = 0.0
        for _ in range(60):
            x -= (0.5 * (1.0 + erf(x / sqrt(2.0))) - share) / (exp(-0.5 * x * x) / sqrt(2.0 * pi) + 1e-300)
            x = min(max(x, -6.0), 6.0)
        values.append(x)
    return np.array(values)


class Transformation:
    """Transformed share (molar) of each bin, and how it moves."""

    def __init__(self, law: Law, spread: Spread) -> None:
        self.law = law
        self.spread = spread
        self.transformed: FloatArray = np.zeros(BINS)
        self._reach = float(np.abs(spread.gradient_gpa).max() + np.abs(spread.barrier_gpa).max())

    def step(self, pressure_gpa: float, seconds: float) -> bool:
        """Hold the mean pressure for `seconds`. Exact at constant pressure. Returns whether anything moved."""
        law, x = self.law, self.transformed
        may_grow = pressure_gpa > law.forward_gpa - self._reach and bool((x < 1.0).any())
        may_shrink = pressure_gpa < law.reverse_gpa + self._reach and bool(x.any())
        if not (may_grow or may_shrink):
            return False
        local = pressure_gpa + gradient_scale(pressure_gpa) * self.spread.gradient_gpa - self.spread.barrier_gpa
        grown = self._grown(x, local - law.forward_gpa, seconds)
        shrunk = 1.0 - self._grown(1.0 - grown, law.reverse_gpa - local, seconds)
        self.transformed = np.asarray(shrunk)
        return not np.array_equal(shrunk, x)

    def _grown(self, x: FloatArray, over_gpa: FloatArray, seconds: float) -> FloatArray:
        """Avrami growth of `x` over `seconds`: the extended age (-ln(1-x))^(1/n) goes on by seconds/tau."""
        moving = (over_gpa > 0.0) & (x < 1.0)
        if not moving.any():
            return x
        n = self.law.avrami
        old = x[moving]
        ageing = seconds / self.law.tau0_s * np.exp(np.minimum(over_gpa[moving] / self.law.p0_gpa, _STEEPEST))
        age = (-np.log1p(-old)) ** (1.0 / n) + ageing
        new = -np.expm1(-(age**n))
        result = x.copy()
        result[moving] = np.where(new > 1.0 - _DONE, 1.0, new)
        return result


def gradient_scale(pressure_gpa: float) -> float:
    """The pressure gradient grows with the load until the sample is embedded, at 1.5 GPa."""
    return min(max(pressure_gpa / 1.5, 0.1), 1.0)


def forward_for_p50(
    law: Law, spread: Spread, p50_gpa: float, collapse_gpa: float, rate_gpa_per_min: float = 0.1
) -> float:
    """The forward_gpa with which a ramp of the load of this rate crosses half B2 at p50_gpa (sample pressure, GPa).

    Found by running the ramp once, with the collapse fed back: the answer only shifts with forward_gpa.
    """
    trial = Transformation(Law(p50_gpa, -np.inf, law.tau0_s, law.p0_gpa, law.avrami), spread)
    seconds = 0.5
    load = p50_gpa - trial._reach
    pressure, share = load, 0.0
    while share < 0.5:
        before, share_before = pressure, share
        load += rate_gpa_per_min / 60.0 * seconds
        trial.step(load - collapse_gpa * share, seconds)
        share = float(trial.transformed.mean())
        pressure = load - collapse_gpa * share
    crossing = before + (pressure - before) * (0.5 - share_before) / (share - share_before)
    return 2.0 * p50_gpa - crossing
