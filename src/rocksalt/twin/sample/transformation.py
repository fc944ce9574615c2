"""B1 to B2 and back: how much of the illuminated volume has transformed, bin by bin of local pressure.

Kolmogorov-Johnson-Mehl-Avrami growth with a time constant that falls exponentially with overpressure and with heat, and
a dead band between the two directions in which nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, expm1, inf
from typing import Final

import numpy as np

from rocksalt.values import FloatArray

BINS: Final = 31
_DONE: Final = 1e-9
_STEEPEST: Final = 12.0
_REFERENCE_K: Final = 300.0
_BOLTZMANN_EV: Final = 8.617333262e-5  # eV per K, SI 2019
_HALF: Final = 0.5
_FAR_GPA: Final = 1e6
_FROZEN: Final = 600.0  # exponent of tau beyond which nothing moves in any experiment
_EMBEDDED_GPA: Final = 1.5


@dataclass(frozen=True, slots=True)
class Law:
    """tau(P) = tau0_s exp(-(overpressure)/p0_gpa); overpressure counts from forward_gpa upwards, or from reverse_gpa
    downwards. `avrami` is the exponent of growth, 1 - exp(-(t/tau)^avrami). An infinite forward_gpa: never.

    All of it at 300 K. Heat makes tau shorter by Arrhenius (activation_ev), moves both bands (slope_gpa_per_k), and
    above 300 K closes the dead band around its middle, to 1/e every closing_k: KBr and KI are sluggish at room
    temperature and +-0.003 GPa wide above 50 C (Pistorius 1965).
    """

    forward_gpa: float
    reverse_gpa: float
    tau0_s: float
    p0_gpa: float
    avrami: float
    activation_ev: float = 0.0
    slope_gpa_per_k: float = 0.0
    closing_k: float = inf

    def at(self, temperature_k: float) -> tuple[float, float, float]:
        """(forward_gpa, reverse_gpa, tau0_s) at this temperature."""
        heat = self.activation_ev / _BOLTZMANN_EV * (1.0 / temperature_k - 1.0 / _REFERENCE_K)
        tau0_s = self.tau0_s * exp(min(heat, _FROZEN))
        if self.forward_gpa == inf:
            return inf, -inf, tau0_s
        moved = self.slope_gpa_per_k * (temperature_k - _REFERENCE_K)
        warm_k = max(temperature_k - _REFERENCE_K, 0.0)
        if warm_k == 0.0:
            return self.forward_gpa + moved, self.reverse_gpa + moved, tau0_s
        closed = -0.5 * (self.forward_gpa - self.reverse_gpa) * expm1(-warm_k / self.closing_k)
        return self.forward_gpa + moved - closed, self.reverse_gpa + moved + closed, tau0_s


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
    """Transformed share (molar) of each bin, and how it moves. `share` is their mean."""

    def __init__(self, law: Law, spread: Spread, *, from_the_start: bool = False) -> None:
        self.law = law
        self.spread = spread
        self.transformed: FloatArray = np.ones(BINS) if from_the_start else np.zeros(BINS)
        self.share = float(from_the_start)
        self._gradient_reach = float(np.abs(spread.gradient_gpa).max())
        self._barrier_reach = float(np.abs(spread.barrier_gpa).max())
        self._kelvin, self._now = _REFERENCE_K, law.at(_REFERENCE_K)

    def reach_gpa(self, gradient: float) -> float:
        """How far the transition of the outermost share can lie from the mean's."""
        return gradient * self._gradient_reach + self._barrier_reach

    def step(
        self, pressure_gpa: float, seconds: float, temperature_k: float = _REFERENCE_K, gradient: float | None = None
    ) -> bool:
        """Hold the mean pressure for `seconds`, with the spread's pressures times `gradient` (None: `gradient_scale`).
        Exact at constant pressure and temperature. Returns whether anything moved."""
        if temperature_k != self._kelvin:
            self._kelvin, self._now = temperature_k, self.law.at(temperature_k)
        forward, reverse, tau0_s = self._now
        wide = gradient_scale(pressure_gpa) if gradient is None else gradient
        reach = self.reach_gpa(wide)
        may_grow = pressure_gpa > forward - reach and self.share < 1.0
        may_shrink = pressure_gpa < reverse + reach and self.share > 0.0
        if not (may_grow or may_shrink):
            return False
        x = self.transformed
        local = pressure_gpa + wide * self.spread.gradient_gpa - self.spread.barrier_gpa
        grown = self._grown(x, local - forward, seconds / tau0_s)
        shrunk = 1.0 - self._grown(1.0 - grown, reverse - local, seconds / tau0_s)
        if np.array_equal(shrunk, x):
            return False
        self.transformed = np.asarray(shrunk)
        self.share = float(shrunk.sum()) / BINS
        return True

    def _grown(self, x: FloatArray, over_gpa: FloatArray, ages: float) -> FloatArray:
        """Avrami growth of `x` while `ages` of tau0 pass: the extended age (-ln(1-x))^(1/n) goes on by dt/tau."""
        moving = (over_gpa > 0.0) & (x < 1.0)
        if not moving.any():
            return x
        n = self.law.avrami
        old = x[moving]
        ageing = ages * np.exp(np.minimum(over_gpa[moving] / self.law.p0_gpa, _STEEPEST))
        age = (-np.log1p(-old)) ** (1.0 / n) + ageing
        new = -np.expm1(-(age**n))
        result = x.copy()
        result[moving] = np.where(new > 1.0 - _DONE, 1.0, new)
        return result


def gradient_scale(pressure_gpa: float, embedded_gpa: float = _EMBEDDED_GPA) -> float:
    """The pressure gradient grows with the load until the sample is embedded: at 1.5 GPa in a cell that gives 0.055
    GPa a bar, in proportion in another."""
    return min(max(pressure_gpa / embedded_gpa, 0.1), 1.0)


def forward_for_p50(
    law: Law, spread: Spread, p50_gpa: float, collapse_gpa: float, *,
    rate_gpa_per_min: float = 0.1, temperature_k: float = _REFERENCE_K, embedded_gpa: float = _EMBEDDED_GPA,
) -> float:  # fmt: skip
    """The forward_gpa with which a ramp of the load of this rate crosses half B2 at p50_gpa (sample pressure, GPa).

    Found by running the ramp once, with the collapse fed back: the answer only shifts with forward_gpa.
    """
    moved = p50_gpa - law.slope_gpa_per_k * (temperature_k - _REFERENCE_K)
    trial = Transformation(replace(law, forward_gpa=moved, reverse_gpa=-_FAR_GPA, closing_k=inf), spread)
    seconds = 0.5
    load = p50_gpa - trial.reach_gpa(1.0)
    pressure, share = load, 0.0
    while share < _HALF:
        before, share_before = pressure, share
        load += rate_gpa_per_min / 60.0 * seconds
        held = load - collapse_gpa * share
        trial.step(held, seconds, temperature_k, gradient_scale(held, embedded_gpa))
        share = trial.share
        pressure = load - collapse_gpa * share
    crossing = before + (pressure - before) * (_HALF - share_before) / (share - share_before)
    return moved + p50_gpa - crossing
