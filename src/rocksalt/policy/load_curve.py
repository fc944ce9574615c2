"""Membrane bar to sample GPa, learned while the load rises: a Kalman filter over level, local slope and collapse drop.
Friction and a thinning gasket change the slope, a denser phase lowers the level: both are states, not noise."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from rocksalt.config.station import LoadCurvePrior
from rocksalt.policy.seen import Seen, same_bar
from rocksalt.values import FloatArray, Measured

# The widths below are judgements about membrane cells, wide enough for any: none of them names a salt or a pressure.
_DROP_PRIOR_GPA = Measured(0.20, 0.15)  # pressure lost when the whole sample has turned dense
_CREEP_GPA = 0.006  # level wandering at one membrane pressure, per look
_STICK_GPA = 0.010  # stick-slip of one move
_STICK_OF_RISE = 0.10  # stick-slip of one move, as a share of the expected rise
_SLOPE_WALK = 0.035  # relative slope change over _WALK_BAR: gasket thinning, friction building up
_WALK_BAR = 4.0
_GATE = 4.0  # innovations beyond this many sigma are down-weighted: one wrong fit must not bend the curve
_NOISE_WEIGHT = 8.0  # looks that the prior noise counts for, against innovations seen


@dataclass(frozen=True, slots=True, eq=False)
class LoadCurve:
    """The curve as known after the looks so far. State: [level GPa without collapse, slope GPa/bar, drop GPa].

    bar, fraction   where the last look was; `rises` are the rises expected of each look's move before it was seen.
    """

    mean: FloatArray
    cov: FloatArray
    bar: float
    fraction: float
    noise: float = 1.0
    looks: int = 0
    rises: tuple[Measured, ...] = field(default=())

    @classmethod
    def prior(cls, prior: LoadCurvePrior) -> LoadCurve:
        """The station file's word, at zero bar, before any look."""
        mean = np.array([prior.offset_gpa, prior.gpa_per_bar, _DROP_PRIOR_GPA.value])
        cov = np.diag([prior.offset_sigma_gpa**2, prior.gpa_per_bar_sigma**2, _DROP_PRIOR_GPA.sigma**2])
        return cls(mean, cov, 0.0, 0.0)

    @classmethod
    def learn(cls, prior: LoadCurvePrior, looks: Iterable[Seen]) -> LoadCurve:
        """Fold all looks, in order, into the prior."""
        curve = cls.prior(prior)
        for seen in looks:
            curve = curve.after(seen)
        return curve

    def after(self, seen: Seen) -> LoadCurve:
        """The curve after one more look; a look without a pressure only moves the membrane."""
        rise = self.rise(seen.bar)
        mean, cov = self._moved(seen.bar)
        fraction = self.fraction if seen.fraction is None else min(max(seen.fraction.value, 0.0), 1.0)
        if seen.pressure_gpa is None:
            return LoadCurve(mean, cov, seen.bar, fraction, self.noise, self.looks, (*self.rises, rise))
        fraction_sigma = 0.3 if seen.fraction is None else seen.fraction.sigma
        see = np.array([1.0, 0.0, -fraction])
        of_look = seen.pressure_gpa.sigma**2 + (mean[2] * fraction_sigma) ** 2
        spread = see @ cov @ see * self.noise + of_look
        surprise = seen.pressure_gpa.value - see @ mean
        z = float(abs(surprise) / math.sqrt(spread))
        if z > _GATE:
            of_look += spread * ((z / _GATE) ** 2 - 1.0)
        gain = cov @ see / (see @ cov @ see + of_look)
        keep = np.eye(3) - np.outer(gain, see)
        cov = keep @ cov @ keep.T + np.outer(gain, gain) * of_look
        weight = _NOISE_WEIGHT + self.looks
        noise = self.noise * (weight + min(z, _GATE) ** 2) / (weight + 1.0)
        return LoadCurve(
            mean + gain * surprise,
            cov,
            seen.bar,
            fraction,
            min(max(noise, 0.6), 6.0),
            self.looks + 1,
            (*self.rises, rise),
        )

    def predict(self, bar: float) -> Measured:
        """Sample pressure (GPa) expected at a membrane pressure (bar) if no more of the sample turns."""
        mean, cov = self._moved(bar)
        see = np.array([1.0, 0.0, -self.fraction])
        return Measured(float(see @ mean), math.sqrt(float(see @ cov @ see) * self.noise))

    def rise(self, bar: float) -> Measured:
        """Rise of the collapse-free level (GPa) that a move from here to `bar` is expected to give."""
        move = bar - self.bar
        sigma = math.sqrt(float(self.cov[1, 1]) * move**2 + self._stick(bar) ** 2)
        return Measured(float(self.mean[1]) * move, sigma * math.sqrt(self.noise))

    def slope(self) -> Measured:
        """Local slope, GPa per bar."""
        return Measured(float(self.mean[1]), math.sqrt(float(self.cov[1, 1]) * self.noise))

    def drop(self) -> Measured:
        """Pressure (GPa) lost when all of the sample turns, at constant membrane."""
        return Measured(float(self.mean[2]), math.sqrt(float(self.cov[2, 2]) * self.noise))

    def here(self) -> Measured:
        """Sample pressure (GPa) at the last look, smoothed by the curve."""
        see = np.array([1.0, 0.0, -self.fraction])
        return Measured(float(see @ self.mean), math.sqrt(float(see @ self.cov @ see) * self.noise))

    def bar_for(self, pressure_gpa: float) -> tuple[float, Measured]:
        """Membrane bar that is expected to bring the sample to `pressure_gpa`, and what is expected there.

        Upward only: for a pressure below the present one it is the present bar.
        """
        wanted = pressure_gpa - self.here().value
        bar = self.bar + max(wanted, 0.0) / self.careful_slope()
        return bar, self.predict(bar)

    def careful_slope(self) -> float:
        """Slope to plan with (GPa/bar): never so small, after friction, that the plan asks for a leap."""
        slope = self.slope()
        return float(max(slope.value, slope.sigma, 1e-3))

    def highest_bar(self, top_gpa: float, limit_bar: float, sigmas: float = 2.0) -> float:
        """Largest membrane pressure (bar) whose prediction + `sigmas` sigma stays within `top_gpa`; at least here."""
        low, high = self.bar, max(limit_bar, self.bar)
        for _ in range(40):
            middle = 0.5 * (low + high)
            expected = self.predict(middle)
            if expected.value + sigmas * expected.sigma <= top_gpa:
                low = middle
            else:
                high = middle
        return low

    def _stick(self, bar: float) -> float:
        if same_bar(bar, self.bar):
            return _CREEP_GPA
        return math.hypot(_STICK_GPA, _STICK_OF_RISE * float(self.mean[1]) * (bar - self.bar))

    def _moved(self, bar: float) -> tuple[FloatArray, FloatArray]:
        move = bar - self.bar
        step = np.array([[1.0, move, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        cov = step @ self.cov @ step.T
        walk = (_SLOPE_WALK * self.mean[1]) ** 2 * abs(move) / _WALK_BAR
        cov[0, 0] += self._stick(bar) ** 2 + walk * move**2 / 3.0
        cov[1, 1] += walk
        return step @ self.mean, cov
