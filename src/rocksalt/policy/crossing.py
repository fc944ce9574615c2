"""At what sample pressure the B2 fraction first passed a level: interval evidence from the looks before and after.
A collapse lowers the pressure while the fraction rises, so the passing lies on a path that no look has seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rocksalt.policy.load_curve import LoadCurve
from rocksalt.policy.seen import Seen, same_bar
from rocksalt.values import FloatArray, Measured

_OUTLIER = 0.02  # chance that one estimate is simply wrong
_SIGMAS_MOVING = 2.5
_NODES = 5  # normals that stand for "anywhere between"
# How much of the move was over when the level was passed. "Slow": all of it; a membrane ramps in seconds and then the
# sample has a minute. "Quick": the sample kept up with the ramp. Between them, anything. Growth on holds shifts these.
_SLOW_QUICK = {None: (0.65, 0.10), True: (0.85, 0.03), False: (0.40, 0.25)}


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """A one-dimensional posterior as weighted normals (GPa)."""

    weights: FloatArray
    means: FloatArray
    sigmas: FloatArray

    def measured(self) -> Measured:
        mean = float(self.weights @ self.means)
        return Measured(mean, math.sqrt(float(self.weights @ (self.sigmas**2 + (self.means - mean) ** 2))))

    def density(self, x: FloatArray) -> FloatArray:
        """Probability density (1/GPa) at pressures x, shape (n,)."""
        z = (x[:, None] - self.means) / self.sigmas
        return np.asarray(np.exp(-0.5 * z**2) @ (self.weights / (self.sigmas * math.sqrt(2.0 * math.pi))))

    def interval(self, content: float = 0.95) -> tuple[float, float]:
        """Central interval that holds `content` of the posterior."""
        x = np.linspace(float(np.min(self.means - 5 * self.sigmas)), float(np.max(self.means + 5 * self.sigmas)), 1201)
        below = np.cumsum(self.density(x))
        below /= below[-1]
        tail = 0.5 * (1.0 - content)
        return float(np.interp(tail, below, x)), float(np.interp(1.0 - tail, below, x))


@dataclass(frozen=True, slots=True)
class Crossing:
    """The passing of `level`: chance that it was between two looks, or before the first; where, and between which."""

    level: float
    probability: float
    before: float
    where: Blend | None
    between: tuple[int, int] | None


def moving(looks: Sequence[Seen]) -> bool | None:
    """Whether the sample was seen to go on turning at one membrane pressure; None where no hold can tell."""
    told: bool | None = None
    for a, b in _pairs(looks):
        if a.fraction is None or b.fraction is None or not same_bar(a.bar, b.bar) or not 0.03 < a.fraction.value < 0.9:
            continue
        growth = b.fraction.value - a.fraction.value
        if growth > _SIGMAS_MOVING * math.hypot(a.fraction.sigma, b.fraction.sigma):
            return True
        told = False
    return told


def first_passing(curve: LoadCurve, looks: Sequence[Seen], level: float = 0.5) -> Crossing:
    """Posterior of the pressure (GPa) at which the fraction first passed `level`, over all places where it may have.

    `curve` has learned these looks; those without pressure and fraction are passed over. On an upward branch the
    fraction only grows, so the chance that the passing lies between looks j and j+1 is prod(below, k <= j) x
    prod(above, k > j), with room for an error.
    """
    known = [i for i, seen in enumerate(looks) if seen.resolved]
    if not known:
        return Crossing(level, 0.0, 0.0, None, None)
    below = np.array([_below(looks[i], level) for i in known])
    below = _OUTLIER + (1.0 - 2.0 * _OUTLIER) * below
    log_below = np.concatenate([[0.0], np.cumsum(np.log(below))])
    log_above = np.concatenate([np.cumsum(np.log(1.0 - below)[::-1])[::-1], [0.0]])
    chance = log_below + log_above  # entry j: the first j looks lie below
    chance = np.exp(chance - chance.max())
    chance /= chance.sum()
    before, inside = float(chance[0]), chance[1:-1]
    passed = float(inside.sum())
    if passed < 1e-3:
        return Crossing(level, passed, before, None, None)
    slow_quick = _SLOW_QUICK[moving(looks)]
    parts = []
    for j, weight in enumerate(inside):
        if weight > 1e-3 * inside.sum():
            rises = curve.rises[known[j] + 1 : known[j + 1] + 1]
            found = _between(looks[known[j]], looks[known[j + 1]], level, rises, curve.drop(), slow_quick)
            parts += [(float(weight) * w, m, s) for w, m, s in found]
    table = np.array(parts)
    best = int(np.argmax(inside))
    blend = Blend(table[:, 0] / table[:, 0].sum(), table[:, 1], table[:, 2])
    return Crossing(level, passed, before, blend, (known[best], known[best + 1]))


def _between(
    a: Seen, b: Seen, level: float, rises: Sequence[Measured], drop: Measured, slow_quick: tuple[float, float]
) -> list[tuple[float, float, float]]:
    """Where the level was passed if it was between looks a and b, as (weight, mean, sigma).

    In load terms P = L - D f. Slow: the membrane arrived first, so P = P_b + D (f_b - level), and also
    P = P_a + rise - D (level - f_a); a hold is this case exactly. Quick: the line from (f_a, P_a) to (f_b, P_b).
    Where the membrane stopped between a and b and nothing was learned there (a late model, an unknown), the level may
    have been passed at each of the stops.
    """
    assert a.pressure_gpa is not None
    assert b.pressure_gpa is not None
    assert a.fraction is not None
    assert b.fraction is not None
    totals = np.cumsum([rise.value for rise in rises])
    spreads = np.sqrt(np.cumsum([rise.sigma**2 for rise in rises]))
    fa, fb = min(a.fraction.value, level), max(b.fraction.value, level)
    from_b = b.pressure_gpa.value + drop.value * (fb - level)
    sigma_b = math.hypot(b.pressure_gpa.sigma, drop.sigma * (fb - level), drop.value * b.fraction.sigma)
    start = a.pressure_gpa.value - drop.value * (level - fa)
    start_sigma = math.hypot(a.pressure_gpa.sigma, drop.sigma * (level - fa), drop.value * a.fraction.sigma)
    slow, slow_sigma = _mean((from_b, sigma_b), (start + float(totals[-1]), math.hypot(start_sigma, spreads[-1])))
    share = (level - fa) / (fb - fa) if fb - fa > 1e-6 else 0.5
    share_sigma = min(math.hypot(a.fraction.sigma, b.fraction.sigma) / max(fb - fa, 1e-3), 0.3)
    span = b.pressure_gpa.value - a.pressure_gpa.value
    line = a.pressure_gpa.value + share * span
    line_sigma = math.hypot((1 - share) * a.pressure_gpa.sigma, share * b.pressure_gpa.sigma, share_sigma * span)
    if same_bar(a.bar, b.bar):
        mean, sigma = _mean((line, line_sigma), (slow, slow_sigma))
        return [(1.0, mean, max(min(line_sigma, slow_sigma), sigma))]
    w_slow, w_quick = slow_quick
    stops = [(start + float(t), math.hypot(start_sigma, s)) for t, s in zip(totals[:-1], spreads[:-1], strict=True)]
    parts = [(w_slow / len(rises), mean, sigma) for mean, sigma in [*stops, (slow, slow_sigma)]]
    # A line from none to all says little about where on the move it happened; from some to some it says a lot.
    bent = (0.3 if fa < 0.05 * level + 0.02 and fb > 0.95 else 0.2) * float(totals[-1])
    parts.append((w_quick, line, math.hypot(line_sigma, bent)))
    sigma = math.hypot(max(line_sigma, slow_sigma), abs(slow - line) / (2.0 * _NODES))
    weight = (1.0 - w_slow - w_quick) / _NODES
    return parts + [(weight, line + (slow - line) * (k + 0.5) / _NODES, sigma) for k in range(_NODES)]


def _mean(one: tuple[float, float], two: tuple[float, float]) -> tuple[float, float]:
    """Weighted mean of two (value, sigma)."""
    weight = 1.0 / (1.0 + (one[1] / two[1]) ** 2)
    return weight * one[0] + (1.0 - weight) * two[0], 1.0 / math.hypot(1.0 / one[1], 1.0 / two[1])


def _below(seen: Seen, level: float) -> float:
    assert seen.fraction is not None
    return 0.5 * math.erfc((seen.fraction.value - level) / (seen.fraction.sigma * math.sqrt(2.0)))


def _pairs(looks: Sequence[Seen]) -> list[tuple[Seen, Seen]]:
    known = [seen for seen in looks if seen.resolved]
    return list(pairwise(known))
