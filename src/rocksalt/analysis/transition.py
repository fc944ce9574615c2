"""The transition of a finished run, as summary.json states it: where, how well known, on which scale, and how fast.
Nothing is stated that was not bracketed: no passing of one half between two looks, no transition."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from rocksalt.config.station import LoadCurvePrior
from rocksalt.policy.contracts import Point
from rocksalt.policy.crossing import Crossing, first_passing
from rocksalt.policy.load_curve import LoadCurve
from rocksalt.policy.seen import Seen, look_all

DEFINITION: Final = "mean sample pressure at which the B2 volume fraction first passes 0.5"
_HALF = 0.5
_SURE = 0.95
_SIGNIFICANT = 3.0  # sigma, and a fraction of
_PRESENT = 0.03
_LEAST_POINTS = 2
_ANY_SCALE = 0.05  # relative: scales differ by 1 to 5 %, stated where no equation of state reaches


def fit_transition(
    points: Sequence[Point],
    prior: LoadCurvePrior,
    *,
    salt: str,
    branch: str = "up",
    gauge: str | None = None,
) -> list[dict[str, Any]]:
    """Transitions found on one branch: at most one, none unless B2 was seen twice and one half was bracketed.

    Each is {salt, branch, definition, pressure_gpa, sigma_stat, sigma_scale, scale, gauge, temperature_k,
    rate_gpa_per_min, onset_gpa}, pressures and sigmas in GPa; temperature_k, rate and onset are None where unknown.
    sigma_stat holds noise and the gap between the looks on either side; sigma_scale is what the scale may be off by.
    """
    looks = look_all(points)
    curve = LoadCurve.learn(prior, looks)
    half = first_passing(curve, looks, _HALF)
    present = [seen for seen in looks if seen.fraction is not None and _present(seen)]
    if half.where is None or half.between is None or half.probability < _SURE or len(present) < _LEAST_POINTS:
        return []
    onset = first_passing(curve, looks, 0.05)
    p50 = half.where.measured()
    temperature_k = _temperature_k(points)
    return [
        {
            "salt": salt,
            "branch": branch,
            "definition": DEFINITION,
            "pressure_gpa": p50.value,
            "sigma_stat": p50.sigma,
            "sigma_scale": scale_sigma_gpa(salt, p50.value, temperature_k),
            "scale": _scale(points),
            "gauge": gauge,
            "temperature_k": temperature_k,
            "rate_gpa_per_min": _rate_gpa_per_min(curve, looks, onset, half),
            "onset_gpa": onset.where.measured().value
            if onset.where is not None and onset.probability > _HALF
            else None,
        }
    ]


def scale_sigma_gpa(salt: str, pressure_gpa: float, temperature_k: float | None) -> float:
    """How far the pressure scale may be off at `pressure_gpa` (GPa, one sigma), read off the sample's own B1 cell.

    The row's covariance and the spread of other published rows at the same volume, in quadrature. Where no equation of
    state reaches, 5 % of the pressure: the largest difference between scales in use.
    """
    from rocksalt.crystals import eos
    from rocksalt.crystals.tables import ALTERNATIVES, PHASES

    row = PHASES.get((salt, "B1"))
    if row is None:
        return _ANY_SCALE * abs(pressure_gpa)
    at_k = 300.0 if temperature_k is None else temperature_k
    try:
        volume = float(eos.volume_a3(row, pressure_gpa, at_k))
        own = float(eos.pressure_sigma_gpa(row, volume))
        others = [float(eos.pressure_gpa(other, volume, at_k)) for other in ALTERNATIVES[salt, "B1"]]
    except eos.OutOfRange:
        return _ANY_SCALE * abs(pressure_gpa)
    between = math.sqrt(sum((other - pressure_gpa) ** 2 for other in others) / len(others)) if others else 0.0
    return math.hypot(own, between)


def always(pressure_gpa: float) -> Callable[[Sequence[Point]], float | None]:
    """Baseline: the literature's number, whatever was measured."""
    return lambda points: pressure_gpa


def membrane_times_constant(points: Sequence[Point], prior: LoadCurvePrior) -> float | None:
    """Baseline: the station file's line at the membrane pressure midway between the last look below one half and the
    first above it (GPa); None where one half was never passed."""
    known = [(seen.bar, seen.fraction.value) for seen in look_all(points) if seen.fraction is not None]
    for i, (bar, fraction) in enumerate(known):
        if fraction >= _HALF:
            middle = 0.5 * (known[i - 1][0] + bar) if i else bar
            return prior.offset_gpa + prior.gpa_per_bar * middle
    return None


def _present(seen: Seen) -> bool:
    assert seen.fraction is not None
    return seen.fraction.value > max(_SIGNIFICANT * seen.fraction.sigma, _PRESENT)


def _temperature_k(points: Sequence[Point]) -> float | None:
    readings = [point.readings["temperature_k"].value for point in points if "temperature_k" in point.readings]
    finite = [value for value in readings if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None


def _scale(points: Sequence[Point]) -> str:
    named = Counter(
        point.estimate.pressure_scale for point in points if point.estimate and point.estimate.pressure_scale
    )
    return named.most_common(1)[0][0] if named else ""


def _rate_gpa_per_min(curve: LoadCurve, looks: Sequence[Seen], onset: Crossing, half: Crossing) -> float | None:
    """Mean rise of the load (without the collapse) from the last look below the onset to the first above one half."""
    if half.between is None:
        return None
    first = onset.between[0] if onset.between is not None else half.between[0]
    last = half.between[1]
    minutes = (looks[last].done_s - looks[first].done_s) / 60.0
    if minutes <= 0:
        return None
    return sum(rise.value for rise in curve.rises[first + 1 : last + 1]) / minutes
