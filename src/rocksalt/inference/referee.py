"""From judged fits to a label, its probability and the reasons: refuses rather than guesses.

Tests can only lower confidence or say `unknown`; each one that fires says so in a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, sqrt
from typing import Final

import numpy as np

from rocksalt.crystals import eos, tables
from rocksalt.inference.evidence import Account, Verdict
from rocksalt.inference.refine import FittedPhase
from rocksalt.inference.response import Peak
from rocksalt.values import LABELS, Estimate, Label, Measured, Observation, PhaseEstimate

ROOM_K: Final = 300.0
_GEOMETRY: Final = 3e-4  # relative: wavelength and distance of a calibrated station
_UNIAXIAL_GPA: Final = 0.03  # what a uniaxial stress of 0.05 GPa takes from the pressure of a soft salt (Singh 1998)
_TUBE_GEOMETRY: Final = 3e-5  # relative: a goniometer's, once displacement is refined
_TEMPER: Final = 0.35  # nats of a line are not independent facts: shape, background and texture bind them
_DOUBT: Final = 6.0  # nats that a hypothesis must have before it is as likely as none
_SURPRISE: Final = 4.0  # nats that an unlikely pressure takes at most from a pattern that speaks for itself
_OFF_GAUGE: Final = 5.0  # sigma between a phase and the gauge beyond which one of them is not what it seems
_AGREE_GPA: Final = 0.40  # two phases of one sample: scale error and the pressure gradient over the beam
_FOREIGN: Final = 0.45  # share of line intensity that nothing explains, beyond which the pattern is somebody else's
_RIVAL: Final = 0.15  # weight relative to the best from which a reading is worth naming
_SKEW: Final = 0.015  # of a line's width: how far asymmetry may move its centre
_UNTRIED: Final = 0.15  # sigma of a fraction of 0 or 1 where the other structure could not be tried
_TRACE: Final = 0.04  # volume fraction from which a phase is worth a label
_TEXTURE: Final = float(np.log(1.5))


@dataclass(frozen=True, slots=True)
class Case:
    """What the referee is asked: observation, the campaign's salt and pressure where they are known, and by whom."""

    observation: Observation
    salt: str | None
    prior_gpa: Measured | None
    model: str

    @property
    def known_gpa(self) -> Measured | None:
        """What is known of the pressure beside the pattern: the caller's word before the gauge's."""
        return self.prior_gpa or self.observation.gauge_gpa

    @property
    def temperature_k(self) -> float:
        """Of the sample; room where it was not told (and the estimate then says so)."""
        told = self.observation.temperature_k
        return told.value if told is not None else ROOM_K


@dataclass(frozen=True, slots=True)
class _Reading:
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


def nothing(case: Case, why: str) -> Estimate:
    """The estimate where there is nothing to read."""
    return _unknown(case, (), (why,), 0.97)


def decide(case: Case, peaks: Sequence[Peak], accounts: Sequence[Account]) -> Estimate:
    """Label, probabilities, phases and reasons from `accounts`, the hypotheses that were fitted, in any order."""
    where = ", ".join(f"{peak.two_theta_deg:.2f}" for peak in sorted(peaks[:3], key=lambda p: p.two_theta_deg))
    strangers = f"the strongest lines at {where} deg fit no {_sought(case)} at any pressure"
    readings = [reading for account in accounts if (reading := _read(case, account)) is not None]
    if not readings:
        return _unknown(case, (), (strangers,), 0.95)
    readings.sort(key=lambda reading: -reading.nats)
    weights = np.array([np.exp(_TEMPER * min(r.nats - readings[0].nats, 0.0)) for r in readings])
    belief = 1.0 / (1.0 + np.exp(-_TEMPER * (readings[0].alone - _DOUBT)))
    sure: dict[Label, float] = dict.fromkeys(LABELS, 0.0)
    for reading, weight in zip(readings, weights / weights.sum(), strict=True):
        sure[reading.label] += float(weight) * belief
    best = readings[0]
    same = [r for r in readings if r.label == best.label]
    best = same[0]
    hidden = _hidden(best)
    if hidden > 0.0 and best.label in ("B1", "B2"):
        sure["mixture"] += hidden * sure[best.label]
        sure[best.label] *= 1.0 - hidden
    probabilities = _closed(sure)
    candidates = _candidates(readings, best)
    if best.against:
        guesses = (*best.phases, *candidates)
        reasons = (*best.against,) if not _foreign(best) else (strangers, *best.against)
        return _unknown(case, guesses, reasons, max(0.8, probabilities["unknown"]))
    if probabilities[best.label] < 0.5:
        rivals = sorted({_names(r) for r, weight in zip(readings, weights, strict=True) if weight > _RIVAL})
        thin = f"the evidence for {_names(best)} is thin"
        why = f"the pattern fits {' and '.join(rivals)} about equally well" if len(rivals) > 1 else thin
        return _unknown(case, (*best.phases, *candidates), (why,), max(0.5, 1.0 - probabilities[best.label]))
    return _found(case, best, probabilities, candidates)


def _found(
    case: Case, best: _Reading, probabilities: dict[str, float], candidates: tuple[PhaseEstimate, ...]
) -> Estimate:
    reasons = [_support(v) for v in best.account.verdicts if not v.phase.template.nuisance]
    textured = any(_is_textured(v) for v in best.account.verdicts if not v.phase.template.nuisance)
    if textured:
        reasons.append("intensities depart from a powder's by more than a factor 1.5: the sample is textured or grainy")
    reasons += [f"{v.phase.template.name} is in the beam" for v in best.account.verdicts if v.phase.template.nuisance]
    if best.account.left:
        lines = ", ".join(f"{peak.two_theta_deg:.2f}" for peak in best.account.left[:4])
        reasons.append(f"lines at {lines} deg are left over ({best.account.left_share:.0%} of the line intensity)")
    reasons += _aliases(best, candidates)
    reasons += _temperature(case)
    mine = [p for p in best.phases if case.salt is None or p.salt == case.salt]
    if len({p.salt for p in mine}) > 1:
        mine = mine[:1]
    return Estimate(
        case.observation.measurement, best.label, probabilities, best.phases, candidates, _pressure(mine),
        _fraction(mine, best.account.minor),
        _microstrain(best), textured, tuple(reasons), case.model, mine[0].pressure_scale if mine else "",
        saturated_fraction=case.observation.pattern.saturated_fraction,
    )  # fmt: skip


def _read(case: Case, account: Account) -> _Reading | None:
    """None where no salt is in the account."""
    verdicts = [v for v in account.verdicts if not v.phase.template.nuisance]
    if not verdicts:
        return None
    phases = _phases(case, account, verdicts)
    against = [why for v in verdicts for why in v.against]
    nats = account.nats
    if account.left_share > _FOREIGN:
        against.append(f"{account.left_share:.0%} of the line intensity belongs to no line of {_joined(verdicts)}")
    against += _disagreement(phases)
    far = sum(_far(case, p) for p in phases)
    few = case.salt is None and min(v.seen for v in verdicts) < 3
    alone = nats - (far if few or case.known_gpa is not None else min(far, _SURPRISE))
    against += _off_gauge(case, phases)
    nats -= far
    structures = {p.structure for p in phases if case.salt is None or p.salt == case.salt}
    by_salt = {p.salt: {q.structure for q in phases if q.salt == p.salt} for p in phases}
    label: Label
    if any(len(kinds) == 2 for kinds in by_salt.values()):
        label = "mixture"
    elif structures == {"B1"}:
        label = "B1"
    elif structures == {"B2"}:
        label = "B2"
    else:
        label = "unknown"
        against.append(f"{_joined(verdicts)}: two salts of different structure have no common label")
    return _Reading(account, label, phases, tuple(against), nats - 8.0 * len(against), alone - 8.0 * len(against))


def _hidden(reading: _Reading) -> float:
    """Chance that the other structure is there all the same, too weak to be called: by its fitted fraction."""
    minor = reading.account.minor
    if minor is None or reading.label not in ("B1", "B2"):
        return 0.0
    other = minor.value if reading.label == "B1" else 1.0 - minor.value
    return 0.5 * 0.5 * (1.0 + erf((other - _TRACE) / (minor.sigma * sqrt(2.0))))


def _phases(case: Case, account: Account, verdicts: Sequence[Verdict]) -> tuple[PhaseEstimate, ...]:
    total = sum(v.phase.scale for v in verdicts)
    geometry = _TUBE_GEOMETRY if account.fit.radiation.tube else _GEOMETRY
    result = []
    for v in verdicts:
        share = v.phase.scale / max(total, 1e-300)
        others = total - v.phase.scale
        rest_sigma = np.sqrt(sum(w.phase.scale_sigma**2 for w in verdicts if w is not v))
        sigma = np.hypot(others * v.phase.scale_sigma, v.phase.scale * rest_sigma) / max(total**2, 1e-200)
        a_sigma = float(np.sqrt(v.phase.a_sigma**2 + (geometry * v.phase.a) ** 2 + (_skew(v.phase) * v.phase.a) ** 2))
        row = tables.phase(v.phase.template.salt, v.phase.template.structure)
        pressure = pressure_of(row, v.phase.a, a_sigma, case.temperature_k)
        if pressure is not None and account.fit.radiation.tube is None:
            pressure = Measured(pressure.value, float(np.hypot(pressure.sigma, _UNIAXIAL_GPA)))
        structure = v.phase.template.structure
        assert structure != ""
        result.append(
            PhaseEstimate(
                row.salt, structure, share, float(min(max(sigma, 0.0), 0.5)), "volume", v.phase.a, a_sigma,
                None if pressure is None else pressure.value, None if pressure is None else pressure.sigma, row.scale,
                case.temperature_k,
            )
        )  # fmt: skip
    return tuple(sorted(result, key=lambda p: -p.fraction))


def _skew(phase: FittedPhase) -> float:
    """Relative error of the cell from lines that are not as symmetric as the fit's: a fiftieth of the width."""
    seen = phase.area > 4.0 * phase.sigma
    if not seen.any():
        return 0.0
    shift = _SKEW * np.radians(phase.fwhm[seen]) / (2.0 * np.tan(np.radians(phase.angle[seen] / 2.0)))
    return float(np.sqrt(1.0 / np.mean(1.0 / shift**2)))


def pressure_of(row: tables.Phase, a: float, a_sigma: float, temperature_k: float) -> Measured | None:
    """Pressure (GPa) of a cell (angstrom) by the phase's equation of state; None where that does not reach."""
    try:
        value = eos.pressure_from_cell_gpa(row, a, temperature_k)
        own = eos.pressure_sigma_gpa(row, a**3)
        slope = 3.0 * eos.bulk_modulus_gpa(row, a**3, temperature_k) / a
    except eos.OutOfRange:
        return None
    return Measured(float(value), float(np.hypot(own, slope * a_sigma)))


def _far(case: Case, phase: PhaseEstimate) -> float:
    """Nats against a phase for standing far from the pressure that is known, or from ambient where nothing is."""
    if phase.pressure_gpa is None:
        return 6.0
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


def _pressure(phases: Sequence[PhaseEstimate]) -> Measured | None:
    """Of the sample: the phases weighted by how well each knows it, widened where they differ."""
    told = [(p.pressure_gpa, p.pressure_sigma) for p in phases if p.pressure_gpa is not None and p.pressure_sigma]
    if not told:
        return None
    values, sigmas = np.array([t[0] for t in told], dtype=float), np.array([t[1] for t in told], dtype=float)
    weight = 1.0 / sigmas**2
    mean = float((weight * values).sum() / weight.sum())
    spread = float((weight * (values - mean) ** 2).sum() / max(len(told) - 1, 1))
    return Measured(mean, float(np.sqrt(max(1.0, spread) / weight.sum())))


def _fraction(phases: Sequence[PhaseEstimate], minor: Measured | None) -> Measured | None:
    if len(phases) == 1 and minor is not None:
        return minor
    if not phases:
        return None
    total = sum(p.fraction for p in phases)
    share = sum(p.fraction for p in phases if p.structure == "B2") / total
    return Measured(float(share), float(max(p.fraction_sigma for p in phases) / total) if len(phases) > 1 else _UNTRIED)


def _microstrain(best: _Reading) -> Measured | None:
    """Of the strongest phase: the width that grows as tan(theta), FWHM = 4 e tan(theta), instrument included."""
    verdicts = [v for v in best.account.verdicts if not v.phase.template.nuisance]
    if not verdicts:
        return None
    phase = max(verdicts, key=lambda v: v.phase.scale).phase
    unit = np.radians(1.0) / 4.0
    return Measured(float(phase.strain_fwhm * unit), float(phase.strain_sigma * unit))


def _is_textured(verdict: Verdict) -> bool:
    """Two lines or more off by a factor 1.5, each by 4 sigma."""
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


def _aliases(best: _Reading, candidates: Sequence[PhaseEstimate]) -> list[str]:
    return [
        f"{c.salt} {c.structure} at {c.pressure_gpa:.2f} GPa would fit too" if c.pressure_gpa is not None
        else f"{c.salt} {c.structure} would fit too, at a pressure beyond its equation of state"
        for c in candidates[:2]
    ]  # fmt: skip


def _temperature(case: Case) -> list[str]:
    if case.observation.temperature_k is not None:
        return []
    return [f"the temperature was not told: {ROOM_K:.0f} K is assumed for the pressure"]


def _candidates(readings: Sequence[_Reading], best: _Reading) -> tuple[PhaseEstimate, ...]:
    """Phases of other readings that no test refused and that come near the best one."""
    have = {(p.salt, p.structure) for p in best.phases}
    result = []
    for reading in readings:
        if reading is best or reading.against or reading.nats < best.nats - 15.0:
            continue
        for phase in reading.phases:
            if (phase.salt, phase.structure) not in have:
                have.add((phase.salt, phase.structure))
                result.append(phase)
    return tuple(result)


def _unknown(case: Case, guesses: tuple[PhaseEstimate, ...], reasons: tuple[str, ...], how: float) -> Estimate:
    rest = (1.0 - how) / 3.0
    probabilities: dict[str, float] = {label: how if label == "unknown" else rest for label in LABELS}
    return Estimate(
        case.observation.measurement, "unknown", probabilities, (), guesses, None, None, None, False, reasons,
        case.model,
        saturated_fraction=case.observation.pattern.saturated_fraction,
    )  # fmt: skip


def _closed(sure: dict[Label, float]) -> dict[str, float]:
    """Adds the unknown, keeps every label between 0.003 and 0.99, and sums to one."""
    total = sum(sure.values())
    full = {label: sure[label] + (1.0 - total if label == "unknown" else 0.0) for label in LABELS}
    held = {label: float(np.clip(value, 0.003, 0.99)) for label, value in full.items()}
    whole = sum(held.values())
    return {label: value / whole for label, value in held.items()}


def _foreign(reading: _Reading) -> bool:
    strange = any("times" in why or "nothing is there" in why for why in reading.against)
    return strange or (bool(reading.against) and reading.account.left_share > 0.1)


def _names(reading: _Reading) -> str:
    return " + ".join(f"{p.salt} {p.structure}" for p in reading.phases)


def _joined(verdicts: Sequence[Verdict]) -> str:
    return " and ".join(v.phase.template.name for v in verdicts)


def _sought(case: Case) -> str:
    return "salt in the table" if case.salt is None else f"phase of {case.salt}"
