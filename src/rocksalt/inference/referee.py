"""From judged fits to a label, its probability and the reasons: refuses rather than guesses.

Tests can only lower confidence or say `unknown`; each one that fires says so in a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erf, exp, sqrt
from typing import Final

import numpy as np

from rocksalt.inference import quantities, reasons
from rocksalt.inference.case import Case
from rocksalt.inference.evidence import Account
from rocksalt.inference.readings import Reading, read
from rocksalt.inference.sight import Sight
from rocksalt.values import LABELS, Estimate, Label, PhaseEstimate

_TEMPER: Final = 0.35  # nats of a line are not independent facts: shape, background and texture bind them
_DOUBT: Final = 6.0  # nats that a hypothesis must have before it is as likely as none
_RIVAL: Final = 0.15  # weight relative to the best from which a reading is worth naming
_WORTH_NAMING: Final = 15.0  # nats below the best reading within which a phase is a candidate
_STRANGE: Final = 0.1  # share of line intensity left over, from which a refused reading leaves strangers behind
_MOST_DOUBT: Final = 0.4  # between pure and mixed: the tests have spoken, and their word is the label
_CHANCE: Final = 2.0  # sigma of a weak phase's fraction at which it is as likely something else: gasket, spot, hump


def nothing(case: Case, why: str) -> Estimate:
    """The estimate where there is nothing to read."""
    return _unknown(case, (), (why,), 0.97)


def decide(case: Case, sight: Sight, accounts: Sequence[Account]) -> Estimate:
    """Label, probabilities, phases and reasons from `accounts`, the hypotheses that were fitted, in any order."""
    strangers = reasons.strangers(case, sight.peaks)
    readings = [reading for account in accounts if (reading := read(case, account)) is not None]
    if not readings:
        return _unknown(case, (), (strangers,), 0.95)
    readings.sort(key=lambda reading: -reading.nats)
    best = readings[0]
    weights = np.array([np.exp(_TEMPER * min(r.nats - best.nats, 0.0)) for r in readings])
    probabilities = _probabilities(readings, weights)
    candidates = _candidates(readings)
    if best.against:
        why = (strangers, *best.against) if _is_strange(best) else best.against
        return _unknown(case, (*best.phases, *candidates), why, max(0.8, probabilities["unknown"]))
    if probabilities[best.label] < 0.5:
        rivals = sorted({r.names for r, weight in zip(readings, weights, strict=True) if weight > _RIVAL})
        thin = f"the evidence for {best.names} is thin"
        doubt = f"the pattern fits {' and '.join(rivals)} about equally well" if len(rivals) > 1 else thin
        return _unknown(case, (*best.phases, *candidates), (doubt,), max(0.5, 1.0 - probabilities[best.label]))
    mine = [p for p in best.phases if case.salt is None or p.salt == case.salt]
    if len({p.salt for p in mine}) > 1:
        mine = mine[:1]
    return Estimate(
        case.observation.measurement, best.label, probabilities, best.phases, candidates,
        quantities.sample_pressure(mine), quantities.fraction_b2(mine, best.account.minor),
        quantities.microstrain(best.verdicts), reasons.is_textured(best),
        reasons.for_found(case, sight, best, candidates), case.model, mine[0].pressure_scale if mine else "",
        saturated_fraction=case.observation.pattern.saturated_fraction,
    )  # fmt: skip


def _probabilities(readings: Sequence[Reading], weights: np.ndarray) -> dict[str, float]:
    """Of the four labels: readings by their weights, the unknown by how little the best one says for itself, and pure
    against mixed by what the fit with both structures says of the weaker one."""
    best = readings[0]
    belief = 1.0 / (1.0 + np.exp(-_TEMPER * (best.alone - _DOUBT)))
    sure: dict[Label, float] = dict.fromkeys(LABELS, 0.0)
    for reading, weight in zip(readings, weights / weights.sum(), strict=True):
        sure[reading.label] += float(weight) * belief
    if best.label in ("B1", "B2"):
        _move(sure, best.label, "mixture", min(_hidden(best), _MOST_DOUBT))
    elif best.label == "mixture":
        stronger, weaker = _mixed(best)
        _move(sure, "mixture", stronger.structure, min(_mistaken(weaker), _MOST_DOUBT))
    return _closed(sure)


def _hidden(reading: Reading) -> float:
    """Chance that there is more of the other structure than the least that would have been seen, though it was not."""
    minor, least = reading.account.minor, reading.account.least
    if minor is None or least is None:
        return 0.0
    other = minor.value if reading.label == "B1" else 1.0 - minor.value
    return 0.5 * (1.0 + erf((other - least) / (minor.sigma * sqrt(2.0))))


def _mixed(reading: Reading) -> tuple[PhaseEstimate, PhaseEstimate]:
    """The two structures of the salt that has both, stronger first."""
    pairs = ((p, q) for i, p in enumerate(reading.phases) for q in reading.phases[i + 1 :] if p.salt == q.salt)
    return next(pairs)


def _mistaken(weaker: PhaseEstimate) -> float:
    """Chance that the weaker of two structures is none: its tail is longer than a normal distribution's."""
    clear = weaker.fraction / max(weaker.fraction_sigma, 1e-6)
    return 1.0 / (1.0 + exp(min(clear - _CHANCE, 50.0)))


def _move(sure: dict[Label, float], giver: Label, taker: Label, share: float) -> None:
    sure[taker] += share * sure[giver]
    sure[giver] *= 1.0 - share


def _closed(sure: dict[Label, float]) -> dict[str, float]:
    """Adds the unknown, keeps every label between 0.003 and 0.99, and sums to one."""
    total = sum(sure.values())
    full = {label: sure[label] + (1.0 - total if label == "unknown" else 0.0) for label in LABELS}
    held = {label: float(np.clip(value, 0.003, 0.99)) for label, value in full.items()}
    whole = sum(held.values())
    return {label: value / whole for label, value in held.items()}


def _candidates(readings: Sequence[Reading]) -> tuple[PhaseEstimate, ...]:
    """Phases of other readings than the first that no test refused and that come near it."""
    best = readings[0]
    have = {(p.salt, p.structure) for p in best.phases}
    result = []
    for reading in readings[1:]:
        if reading.against or reading.nats < best.nats - _WORTH_NAMING:
            continue
        for phase in reading.phases:
            if (phase.salt, phase.structure) not in have:
                have.add((phase.salt, phase.structure))
                result.append(phase)
    return tuple(result)


def _unknown(case: Case, guesses: tuple[PhaseEstimate, ...], why: tuple[str, ...], how: float) -> Estimate:
    rest = (1.0 - how) / 3.0
    probabilities: dict[str, float] = {label: how if label == "unknown" else rest for label in LABELS}
    return Estimate(
        case.observation.measurement, "unknown", probabilities, (), guesses, None, None, None, False, why, case.model,
        saturated_fraction=case.observation.pattern.saturated_fraction,
    )  # fmt: skip


def _is_strange(reading: Reading) -> bool:
    """Whether what refuses the reading says that the lines are another crystal's."""
    strange = any("times" in why or "nothing is there" in why for why in reading.against)
    return strange or (bool(reading.against) and reading.account.left_share > _STRANGE)
