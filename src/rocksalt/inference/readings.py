"""One account read: which label it gives, what its phases are, and what the rest of our knowledge says against it.

A reading that something speaks against is never found; it is kept, to say why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.crystals import tables
from rocksalt.inference import quantities
from rocksalt.inference.case import Case
from rocksalt.inference.evidence import Account, Verdict
from rocksalt.values import Label, Measured, PhaseEstimate

_SURPRISE: Final = 4.0  # nats that an unlikely pressure takes at most from a pattern that speaks for itself
_OFF_GAUGE: Final = 5.0  # sigma between a phase and the gauge beyond which one of them is not what it seems
_AGREE_GPA: Final = 0.40  # two phases of one sample: scale error and the pressure gradient over the beam
_FOREIGN: Final = 0.45  # share of line intensity that nothing explains, beyond which the pattern is somebody else's
_OBJECTION: Final = 8.0  # nats that each thing said against a reading takes from it
_UNREACHED: Final = 6.0  # nats against a cell that no equation of state reaches


@dataclass(frozen=True, slots=True)
class Reading:
    """One account read: its label, what its phases are, what speaks against it, and its weight in nats.

    nats    against other readings: a pressure far from the likely one counts in full
    alone   against there being nothing of the kind: the pattern's own evidence, to which an unlikely pressure says less
    """

    account: Account
    label: Label
    phases: tuple[PhaseEstimate, ...]
    against: tuple[str, ...]
    nats: float
    alone: float

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of the salts; the surroundings have theirs in the account."""
        return salts_of(self.account)

    @property
    def names(self) -> str:
        """As "KBr B1 + KBr B2"."""
        return " + ".join(f"{p.salt} {p.structure}" for p in self.phases)


def salts_of(account: Account) -> tuple[Verdict, ...]:
    """Verdicts on salts."""
    return tuple(v for v in account.verdicts if not v.phase.template.nuisance)


def read(case: Case, account: Account) -> Reading | None:
    """None where no salt is in the account."""
    verdicts = salts_of(account)
    if not verdicts:
        return None
    phases = quantities.phases(case, account, verdicts)
    names = " and ".join(v.phase.template.name for v in verdicts)
    against = [why for v in verdicts for why in v.against]
    if account.left_share > _FOREIGN:
        against.append(f"{account.left_share:.0%} of the line intensity belongs to no line of {names}")
    against += _disagreement(phases)
    against += _off_gauge(case, phases)
    label = _label(case, phases)
    if label == "unknown":
        against.append(f"{names}: two salts of different structure have no common label")
    far = sum(_far(case, p) for p in phases)
    few = case.salt is None and min(v.seen for v in verdicts) < 3
    surprise = far if few or case.known_gpa is not None else min(far, _SURPRISE)
    objections = _OBJECTION * len(against)
    return Reading(
        account, label, phases, tuple(against), account.nats - far - objections, account.nats - surprise - objections
    )


def _label(case: Case, phases: Sequence[PhaseEstimate]) -> Label:
    """Mixture where any salt has both structures; unknown where salts of unlike structure lie together."""
    by_salt = {p.salt: {q.structure for q in phases if q.salt == p.salt} for p in phases}
    if any(len(kinds) == 2 for kinds in by_salt.values()):
        return "mixture"
    structures = {p.structure for p in phases if case.salt is None or p.salt == case.salt}
    if structures == {"B1"}:
        return "B1"
    return "B2" if structures == {"B2"} else "unknown"


def _far(case: Case, phase: PhaseEstimate) -> float:
    """Nats against a phase for standing far from the pressure that is known, or from ambient where nothing is."""
    if phase.pressure_gpa is None:
        return _UNREACHED
    known = case.known_gpa
    if known is not None:
        off = _off(phase.pressure_gpa, known)
        return float(min(0.5 * max(off - 1.0, 0.0) ** 2, 40.0))
    if case.salt is not None:
        return 0.0
    away = float(3.0 * np.log1p(max(abs(phase.pressure_gpa - 0.1) - 0.4, 0.0) / 0.4))
    if tables.phase(phase.salt, phase.structure).v0_is_fictive:  # it does not exist at ambient pressure
        away = max(away, 5.0) + (5.0 if phase.pressure_gpa < 0.3 else 0.0)
    return away


def _off(pressure_gpa: float, known: Measured) -> float:
    """Distance in sigma; scales and the gradient between gauge and sample add 0.15 GPa and 3 %."""
    return float(abs(pressure_gpa - known.value) / np.hypot(known.sigma, 0.15 + 0.03 * abs(known.value)))


def _off_gauge(case: Case, phases: Sequence[PhaseEstimate]) -> list[str]:
    gauge = case.observation.gauge_gpa
    if gauge is None:
        return []
    return [
        f"{p.salt} {p.structure} says {p.pressure_gpa:.2f} GPa and the gauge says {gauge.value:.2f} GPa"
        for p in phases
        if p.pressure_gpa is not None and _off(p.pressure_gpa, gauge) > _OFF_GAUGE
    ]


def _disagreement(phases: Sequence[PhaseEstimate]) -> list[str]:
    """P(B1) against P(B2) of one salt."""
    result = []
    for one in phases:
        for two in phases:
            if one.salt != two.salt or (one.structure, two.structure) != ("B1", "B2"):
                continue
            if one.pressure_gpa is None or two.pressure_gpa is None:
                continue
            sigma = float(np.hypot(one.pressure_sigma or 0.0, two.pressure_sigma or 0.0))
            allowed = _AGREE_GPA + 0.05 * abs(one.pressure_gpa) + min(sigma, 0.3)
            if abs(one.pressure_gpa - two.pressure_gpa) > allowed:
                result.append(
                    f"{one.salt} B1 says {one.pressure_gpa:.2f} GPa and B2 says {two.pressure_gpa:.2f} GPa: "
                    f"more than {allowed:.2f} GPa apart, so they are not one sample"
                )
    return result
