"""What is known of the transition so far: a grid posterior over P50 and width, and the passing of one half once seen.
Before the passing a sigmoid over all looks says where it may lie; after it, the passing itself is the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rocksalt.policy.crossing import Blend, Crossing, first_passing
from rocksalt.policy.load_curve import LoadCurve
from rocksalt.policy.seen import Seen
from rocksalt.values import FloatArray, Measured

_STEP_GPA = 0.01
_WIDTHS_GPA = np.array([0.02, 0.05, 0.10, 0.17, 0.27, 0.40])  # from 0.1 to 0.9 of the fraction, log-flat, roughly
_TEN_NINETY = 2.0 * math.log(9.0)  # a logistic goes from 0.1 to 0.9 over this many of its scale
_ONSET_AT = math.log(0.05 / 0.95)  # and passes 0.05 this many scales from its middle
_NONE_PRIOR = 0.5  # even odds that there is nothing to find in the envelope
_WRONG = 0.02  # share of estimates that say nothing


@dataclass(frozen=True, slots=True, eq=False)
class TransitionPosterior:
    """Posterior on a grid: p50 (n,) GPa by widths (m,) GPa, probability (n, m); `none` is "not in the envelope"."""

    p50: FloatArray
    widths: FloatArray
    probability: FloatArray
    none: float
    passing: Crossing
    onset: Crossing

    @classmethod
    def of(cls, curve: LoadCurve, looks: Sequence[Seen], envelope_gpa: tuple[float, float]) -> TransitionPosterior:
        """Posterior after these looks (which `curve` has learned), prior flat over the envelope (GPa)."""
        low, high = envelope_gpa
        p50 = np.linspace(low, high, max(round((high - low) / _STEP_GPA), 1) + 1)
        log = np.zeros((p50.size, _WIDTHS_GPA.size))
        log_none = 0.0
        passing = first_passing(curve, looks, 0.5)
        known = [seen for seen in looks if seen.resolved]
        for seen in known if passing.probability < 0.5 else ():
            assert seen.pressure_gpa is not None
            assert seen.fraction is not None
            pressure, fraction = seen.pressure_gpa, seen.fraction
            scale = _WIDTHS_GPA / _TEN_NINETY
            z = np.clip((pressure.value - p50[:, None]) / scale, -40.0, 40.0)
            expected = 1.0 / (1.0 + np.exp(-z))
            steep = expected * (1.0 - expected) / scale
            variance = fraction.sigma**2 + np.minimum(steep * pressure.sigma, 0.3) ** 2
            log += np.log(_likely(fraction.value - expected, variance))
            log_none += float(np.log(_likely(np.array([fraction.value]), np.array([fraction.sigma**2])))[0])
        if passing.probability >= 0.5 and passing.where is not None:
            density = passing.where.density(p50) + 1e-12
            probability = density[:, None] * np.full((1, _WIDTHS_GPA.size), 1.0 / _WIDTHS_GPA.size)
            probability /= probability.sum()
            none = 1.0 - passing.probability
        else:
            top = max(float(log.max()), log_none)
            probability = np.exp(log - top) * (1.0 - _NONE_PRIOR) / log.size
            rest = math.exp(log_none - top) * _NONE_PRIOR
            total = float(probability.sum()) + rest
            probability, none = probability / total, rest / total
        inside = float(probability.sum())
        probability = probability * ((1.0 - none) / inside)
        return cls(p50, _WIDTHS_GPA, probability, none, passing, first_passing(curve, looks, 0.05))

    def p50_gpa(self) -> Measured:
        """Mean and sigma of P50, given that there is one."""
        if self.passed and self.passing.where is not None:
            return self.passing.where.measured()
        weight = self.probability.sum(axis=1) / self.probability.sum()
        mean = float(weight @ self.p50)
        return Measured(mean, math.sqrt(float(weight @ (self.p50 - mean) ** 2)))

    def interval95_gpa(self) -> tuple[float, float]:
        """Central 95 % interval of P50, given that there is one."""
        if self.passed and self.passing.where is not None:
            return self.passing.where.interval()
        below = np.cumsum(self.probability.sum(axis=1))
        below /= below[-1]
        return float(np.interp(0.025, below, self.p50)), float(np.interp(0.975, below, self.p50))

    def onset_gpa(self) -> Measured | None:
        """Where the fraction passed 0.05; None before it did."""
        where: Blend | None = self.onset.where
        return where.measured() if where is not None and self.onset.probability > 0.5 else None

    def onset_within(self, low_gpa: float, high_gpa: float) -> float:
        """Probability that the fraction first passes 0.05 between two pressures (GPa), given that it has not below."""
        onset = self.p50[:, None] + _ONSET_AT * self.widths / _TEN_NINETY
        ahead = float(self.probability[onset > low_gpa].sum()) + self.none
        return float(self.probability[(onset > low_gpa) & (onset <= high_gpa)].sum()) / max(ahead, 1e-12)

    @property
    def passed(self) -> bool:
        """Whether one half lies behind us, more likely than not."""
        return self.passing.probability >= 0.5 and self.passing.where is not None


def _likely(residual: FloatArray, variance: FloatArray) -> FloatArray:
    """Normal likelihood with a floor for estimates that are simply wrong (uniform over the fractions 0..1)."""
    normal = np.exp(-0.5 * residual**2 / variance) / np.sqrt(2.0 * math.pi * variance)
    return np.asarray((1.0 - _WRONG) * normal + _WRONG)
