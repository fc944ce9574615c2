"""What a fit says for and against each of its phases: the tests that a phase must pass before it is called found.

Everything is judged on lines, so that every verdict can name the line that it rests on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.inference.columns import Data
from rocksalt.inference.refine import Fit, FittedPhase
from rocksalt.inference.response import Peak, matched, peaks
from rocksalt.inference.search import weigh
from rocksalt.values import FloatArray, Measured

_LINES: Final = 3  # seen lines of its own that a phase must show
_TIED: Final = (4.5, 2.0)  # sigma that a phase in its narrow place must stand out: with, and without its strongest line
_TIED_ALONE: Final = 6.0  # sigma from which its strongest line may speak alone, if the others would not show anyway
_POWER: Final = 1.645  # sigma above a threshold that a signal must stand to pass it 95 times in a hundred
_TWO: Final = 8.0  # sigma of all lines together from which two seen ones may do
_THIRD: Final = 2.0  # sigma of all further lines together, where only two are seen
_SEEN: Final = 4.0  # sigma of a line's area from which it is seen
_PARITY: Final = float(np.log(2.5))  # texture moves single lines; it doesn't move all odd ones against all even ones
_WILD: Final = 0.95  # relative spread of intensities beyond which they are no longer those of the phase
_POWDER: Final = 0.2  # relative spread of intensities that says nothing against a phase
_SMALL: Final = 0.02  # of the strongest peak: what shape, escape and tails leave behind and nobody should worry about


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests say of one phase: nats for it, lines of its own that are seen, and why it is refused, if it is."""

    phase: FittedPhase
    nats: float
    line_nats: FloatArray
    seen: int
    own: np.ndarray
    against: tuple[str, ...]

    @property
    def stands(self) -> bool:
        """Whether no test refused it."""
        return not self.against


@dataclass(frozen=True, slots=True)
class Account:
    """A whole fit judged: verdicts in the order of its phases, peaks that nothing explains, and the balance in nats.

    minor   B2 fraction from a fit with both structures of the salt, where one was too weak to be called found
    least   volume fraction from which that structure would have been found with 95 % probability
    """

    fit: Fit
    verdicts: tuple[Verdict, ...]
    left: tuple[Peak, ...]
    left_share: float
    nats: float
    minor: Measured | None = None
    least: float | None = None


def account(fit: Fit, data: Data, strongest: float, tied: frozenset[str] = frozenset()) -> Account:
    """Judge `fit`; `strongest` is the area of the pattern's strongest peak.

    `tied` names phases that were looked for only where another phase of the same salt says they must stand: so narrow a
    place asks for less evidence.
    """
    verdicts = tuple(_verdict(fit, p, phase.template.name in tied) for p, phase in enumerate(fit.phases))
    left = leftovers(fit, data, strongest)
    explained = sum(float(v.phase.area.sum()) for v in verdicts if not v.phase.template.nuisance)
    foreign = sum(peak.area for peak in left)
    share = foreign / max(foreign + explained, 1e-300)
    nats = sum(v.nats for v in verdicts) - sum(float(np.log1p(0.5 * peak.significance**2)) for peak in left)
    return Account(fit, verdicts, left, share, nats)


def leftovers(fit: Fit, data: Data, strongest: float) -> tuple[Peak, ...]:
    """Peaks of the rest that no line explains, strongest first: above noise, model error and the lines' own misfit."""
    rest = data.net - fit.lines - fit.foreign - fit.background
    x = data.two_theta
    step = float(x[1] - x[0])
    widths = [float(np.median(p.fwhm)) for p in fit.phases if p.fwhm.size]
    response = matched(rest, fit.variance, step, float(np.median(widths)) if widths else fit.width_deg)
    found = []
    for peak in peaks(response, x, 5.0):
        if peak.area < _SMALL * strongest:
            continue
        own = 0.0
        for phase in fit.phases:
            near = np.abs(phase.angle + fit.shift_deg - peak.two_theta_deg) < 2.0 * phase.fwhm
            own = max(own, float(phase.area[near].max(initial=0.0)))
        if peak.area > 0.2 * own:
            found.append(peak)
    return tuple(found)


def _verdict(fit: Fit, p: int, tied: bool) -> Verdict:
    phase = fit.phases[p]
    name = phase.template.name
    own = _own(fit, p)
    if phase.area.size == 0 or phase.scale <= 0.0 or not own.any():
        why = f"{name} has no line of its own on the pattern"
        return Verdict(phase, 0.0, np.zeros(phase.area.size), 0, own, (why,))
    nats, _ = weigh(phase.area, phase.sigma, phase.strength)
    z = phase.area / np.maximum(phase.sigma, 1e-300)
    seen = own & (z > _SEEN)
    total = float(nats[own].sum())
    against = []
    if tied:
        whole, rest, _ = together(phase, own)
        alone = whole > _TIED_ALONE and rest > 0.3 * min(_promised(phase, own) - 2.0, 10.0)
        if whole < _TIED[0] or (rest < _TIED[1] and not alone):
            against.append(f"{name} stands only {whole:.1f} sigma out, {rest:.1f} without its strongest line")
        total = max(total, min(0.5 * whole**2, 12.0))
    else:
        available = int((own & (phase.strength > 0.02 * phase.strength.max())).sum())
        whole, _, third = together(phase, own)
        count = int(seen.sum())
        two_will_do = count == 2 and whole > _TWO and third > _THIRD
        if count < min(_LINES, max(available, 2)) and not two_will_do:
            against.append(f"{name} shows only {count} line(s) of its own")
    # intensities as the phase has them are a fact of their own: each line loses by a spread wider than a powder's
    total -= float(seen.sum()) * max(float(np.log(phase.slack / _POWDER)), 0.0)
    against += _missing(phase, own, z)
    against += _parity(phase, own)
    if phase.slack > _WILD:
        against.append(f"intensities of {name} depart from the calculated ones by a factor {np.exp(phase.slack):.1f}")
    return Verdict(phase, total, np.where(own, nats, 0.0), int(seen.sum()), own, tuple(against))


def together(phase: FittedPhase, own: np.ndarray) -> tuple[float, float, float]:
    """Significance of all lines in `own` together, and without the one, and the two, that say most."""
    sigma = np.maximum(phase.sigma, 1e-300)
    signal = np.where(own, phase.area * phase.strength / sigma**2, 0.0)
    power = np.where(own, (phase.strength / sigma) ** 2, 0.0)
    order = np.argsort(-signal)
    result = []
    for without in range(3):
        rest = order[without:]
        result.append(float(signal[rest].sum() / np.sqrt(max(power[rest].sum(), 1e-300))))
    return result[0], result[1], result[2]


def least_scale(verdict: Verdict) -> float | None:
    """Scale from which a phase in its narrow place passes the tests with 95 % probability; None without own lines."""
    phase, own = verdict.phase, verdict.own
    if not own.any():
        return None
    power = np.where(own, phase.strength / np.maximum(phase.sigma, 1e-300), 0.0)
    whole = float(np.sqrt((power**2).sum()))
    power[int(np.argmax(power))] = 0.0
    rest = max(float(np.sqrt((power**2).sum())), 1e-300)
    return max((_TIED[0] + _POWER) / whole, min((_TIED[1] + _POWER) / rest, (_TIED_ALONE + _POWER) / whole))


def _promised(phase: FittedPhase, own: np.ndarray) -> float:
    """Significance that all own lines but the strongest would have together at the calculated intensities."""
    z = np.where(own, phase.scale * phase.strength / np.maximum(phase.sigma, 1e-300), 0.0)
    z[int(np.argmax(z))] = 0.0
    return float(np.sqrt((z**2).sum()))


def _own(fit: Fit, p: int) -> np.ndarray:
    """Lines of phase p that no larger line of another phase stands on."""
    phase = fit.phases[p]
    own = np.ones(phase.angle.size, dtype=bool)
    for q, other in enumerate(fit.phases):
        if q == p or not other.angle.size:
            continue
        near = np.abs(phase.angle[:, None] - other.angle[None, :]) < 0.8 * phase.fwhm[:, None]
        larger = np.maximum(other.area, other.scale * other.strength)[None, :] > 0.5 * phase.area[:, None]
        own &= ~(near & larger).any(axis=1)
    return own


def _missing(phase: FittedPhase, own: np.ndarray, z: FloatArray) -> list[str]:
    """Of the strongest lines on the pattern none but one may be absent: they are what a phase cannot hide."""
    expected = phase.scale * phase.strength
    must = [int(i) for i in np.argsort(-phase.strength)[:5] if own[i] and expected[i] > 6.0 * phase.sigma[i]]
    absent = [i for i in must if phase.area[i] < 0.12 * expected[i]]
    if len(absent) >= 2 or (must and absent and absent[0] == must[0]):
        lines = ", ".join(f"{phase.labels[i]} at {phase.angle[i]:.2f} deg" for i in absent)
        return [f"{phase.template.name} ought to show {lines}, and nothing is there"]
    return []


def _parity(phase: FittedPhase, own: np.ndarray) -> list[str]:
    """Odd lines against even ones: what tells a salt from another crystal of the same lattice."""
    if phase.template.nuisance:
        return []
    odd = np.array([int(label.replace(" ", "")[0]) % 2 == 1 for label in phase.labels])
    if phase.template.structure == "B2":
        odd = np.array([sum(map(int, label.replace(" ", ""))) % 2 == 1 for label in phase.labels])
    logs, sigmas = [], []
    for group in (odd, ~odd):
        use = group & own & (phase.strength > 0.015 * phase.strength.max())
        if not use.any():
            return []
        observed, expected = phase.area[use], phase.strength[use]
        spread = np.hypot(phase.sigma[use] / np.maximum(observed, phase.sigma[use]), 0.5)
        weight = 1.0 / spread**2
        logs.append(float((weight * np.log(np.maximum(observed, phase.sigma[use]) / expected)).sum() / weight.sum()))
        sigmas.append(float(1.0 / np.sqrt(weight.sum())))
    gap = logs[0] - logs[1]
    if abs(gap) > _PARITY + float(np.hypot(sigmas[0], sigmas[1])):
        kind = "stronger" if gap > 0 else "weaker"
        return [f"lines of odd index are {np.exp(abs(gap)):.1f} times {kind} than {phase.template.name} has them"]
    return []
