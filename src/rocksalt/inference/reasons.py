"""Why the model says what it says, in sentences for a person, strongest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from rocksalt.inference import quantities
from rocksalt.inference.case import ROOM_K, Case
from rocksalt.inference.evidence import Verdict
from rocksalt.inference.readings import Reading
from rocksalt.inference.response import Peak
from rocksalt.inference.sight import Sight
from rocksalt.values import PhaseEstimate

_TEXTURE: Final = float(np.log(1.5))
_BEYOND_GPA: Final = 0.05  # beyond an equation's data from which it is worth saying


def for_found(case: Case, sight: Sight, best: Reading, candidates: Sequence[PhaseEstimate]) -> tuple[str, ...]:
    """What speaks for `best`, and all that a reader of the estimate ought to know."""
    reasons = [_support(v) for v in best.verdicts]
    reasons += _unseen(best)
    reasons += _extrapolated(best)
    if is_textured(best):
        reasons.append("intensities depart from a powder's by more than a factor 1.5: the sample is textured or grainy")
    reasons += [f"{v.phase.template.name} is in the beam" for v in best.account.verdicts if v.phase.template.nuisance]
    if best.account.left:
        lines = ", ".join(f"{peak.two_theta_deg:.2f}" for peak in best.account.left[:4])
        reasons.append(f"lines at {lines} deg are left over ({best.account.left_share:.0%} of the line intensity)")
    reasons += [_alias(c) for c in candidates[:2]]
    if case.observation.temperature_k is None:
        reasons.append(f"the temperature was not told: {ROOM_K:.0f} K is assumed for the pressure")
    return (*reasons, *weighting(case, sight))


def strangers(case: Case, peaks: Sequence[Peak]) -> str:
    """The strongest lines belong to nothing that was looked for."""
    where = ", ".join(f"{peak.two_theta_deg:.2f}" for peak in sorted(peaks[:3], key=lambda p: p.two_theta_deg))
    sought = "salt in the table" if case.salt is None else f"phase of {case.salt}"
    return f"the strongest lines at {where} deg fit no {sought} at any pressure"


def weighting(case: Case, sight: Sight) -> tuple[str, ...]:
    """How the points were weighted, where that was not by the variance that came with them."""
    if not sight.reweighted:
        return ()
    times = float(np.sqrt(sight.over_stated))
    if case.observation.pattern.raw_counts is True:
        return (f"the counts scatter {times:.2g} times as much as counts do, and were weighted by that scatter",)
    return (f"the data are no raw counts: they were weighted by their scatter, {times:.2g} times the stated sigma",)


def is_textured(reading: Reading) -> bool:
    """Any phase with two lines or more off by a factor 1.5, each by 2 sigma more than that."""
    return any(_is_textured(v) for v in reading.verdicts)


def _is_textured(verdict: Verdict) -> bool:
    phase = verdict.phase
    expected = phase.scale * phase.strength
    use = (phase.area > 4.0 * phase.sigma) & (phase.strength > 0.01 * phase.strength.max()) & (verdict.line_nats != 0.0)
    if int(use.sum()) < 3 or phase.scale <= 0:
        return False
    logs = np.log(phase.area[use] / expected[use])
    return int((np.abs(logs - np.median(logs)) > _TEXTURE + 2.0 * phase.sigma[use] / phase.area[use]).sum()) >= 2


def _support(verdict: Verdict) -> str:
    phase = verdict.phase
    top = [int(i) for i in np.argsort(-verdict.line_nats)[:3] if verdict.line_nats[i] > 0]
    lines = ", ".join(f"{phase.labels[i]} at {phase.angle[i]:.2f} deg (+{verdict.line_nats[i]:.1f})" for i in top)
    return f"{phase.template.name}: {verdict.seen} lines of its own, {verdict.nats:.0f} nats, most from {lines}"


def _unseen(best: Reading) -> list[str]:
    """How little of the other structure would have been seen, where none was."""
    least = best.account.least
    if least is None or best.label not in ("B1", "B2"):
        return []
    other = "B2" if best.label == "B1" else "B1"
    return [f"less than {max(100.0 * least, 0.1):.2g} % of {other} would not be seen in this pattern"]


def _extrapolated(best: Reading) -> list[str]:
    return [
        f"{p.salt} {p.structure} is {quantities.beyond_gpa(p):.1f} GPa beyond the data of its equation of state: "
        "the pressure is extrapolated"
        for p in best.phases
        if quantities.beyond_gpa(p) >= _BEYOND_GPA
    ]


def _alias(candidate: PhaseEstimate) -> str:
    name = f"{candidate.salt} {candidate.structure}"
    if candidate.pressure_gpa is None:
        return f"{name} would fit too, at a pressure beyond its equation of state"
    return f"{name} at {candidate.pressure_gpa:.2f} GPa would fit too"
