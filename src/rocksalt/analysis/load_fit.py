"""Membrane bar against sample GPa over a whole run: one straight line with the loss by the collapse, for the report.

The policy has a filter of its own, whose slope may change on the way; this is what the finished run says all together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from rocksalt.config.station import LoadCurvePrior
from rocksalt.storage.history import Point
from rocksalt.values import FloatArray, Measured

SETPOINT: Final = "membrane_bar"
_LOSS_SIGMA_GPA: Final = 0.5  # prior of the loss when all of the sample turns: wider than any cell would show
_STICK_GPA: Final = 0.02  # scatter of a membrane cell beside the estimate's own sigma: friction, stick-slip


@dataclass(frozen=True, slots=True)
class Loaded:
    """One measurement on the load curve: membrane (bar), sample pressure (GPa), B2 fraction (0 where unknown)."""

    bar: float
    pressure_gpa: Measured
    fraction: float


@dataclass(frozen=True, slots=True, eq=False)
class LoadFit:
    """P = offset + slope bar - loss fraction. mean (3,), cov (3, 3) in GPa, GPa/bar, GPa."""

    mean: FloatArray
    cov: FloatArray

    @property
    def slope(self) -> Measured:
        """GPa per bar."""
        return Measured(float(self.mean[1]), math.sqrt(float(self.cov[1, 1])))

    @property
    def loss(self) -> Measured:
        """Pressure (GPa) that is lost at constant membrane when all of the sample turns."""
        return Measured(float(self.mean[2]), math.sqrt(float(self.cov[2, 2])))

    def at(self, bar: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pressure and its sigma (GPa) at membrane pressures (n,) with nothing turned."""
        see = np.stack([np.ones_like(bar), bar, np.zeros_like(bar)], axis=1)
        return see @ self.mean, np.sqrt(np.einsum("ni,ij,nj->n", see, self.cov, see))


def prior_of(begun: Mapping[str, Any]) -> LoadCurvePrior | None:
    """The station file's load curve, None where the journal holds none that can be read."""
    station = begun.get("station")
    try:
        return LoadCurvePrior.model_validate(station["load_curve"] if isinstance(station, Mapping) else None)
    except (ValidationError, KeyError):
        return None


def prior_fit(prior: LoadCurvePrior) -> LoadFit:
    """What was expected before the first measurement."""
    mean = np.array([prior.offset_gpa, prior.gpa_per_bar, 0.0])
    return LoadFit(mean, np.diag([prior.offset_sigma_gpa**2, prior.gpa_per_bar_sigma**2, _LOSS_SIGMA_GPA**2]))


def loaded(points: Sequence[Point]) -> list[Loaded]:
    """The measurements whose membrane and pressure are known; the membrane's reading before its set-point."""
    found = []
    for point in points:
        estimate = point.estimate
        reading = point.readings.get(SETPOINT)
        bar = reading.value if reading is not None else point.measurement.setpoints.get(SETPOINT, math.nan)
        if estimate is None or estimate.pressure_gpa is None:
            continue
        if math.isfinite(bar) and math.isfinite(estimate.pressure_gpa.value):
            fraction = estimate.fraction_b2.value if estimate.fraction_b2 is not None else 0.0
            found.append(Loaded(bar, estimate.pressure_gpa, fraction))
    return found


def fit_load(prior: LoadCurvePrior, seen: Sequence[Loaded]) -> LoadFit:
    """Prior and measurements by linear least squares; where they scatter more than they say, sigmas grow by it."""
    start = prior_fit(prior)
    see = np.array([[1.0, one.bar, -one.fraction] for one in seen]).reshape(-1, 3)
    pressure = np.array([one.pressure_gpa.value for one in seen])
    weight = np.array([1.0 / (one.pressure_gpa.sigma**2 + _STICK_GPA**2) for one in seen])
    known = np.linalg.inv(start.cov)

    def solve(excess: float) -> LoadFit:
        cov = np.linalg.inv(known + (see.T * (weight / excess)) @ see)
        return LoadFit(cov @ (known @ start.mean + see.T @ (weight / excess * pressure)), cov)

    first = solve(1.0)
    left = len(seen) - first.mean.size
    if left < 1:
        return first
    return solve(max(1.0, float(weight @ (pressure - see @ first.mean) ** 2) / left))
