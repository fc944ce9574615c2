"""One phase after another.

The other structure where the first one's pressure puts it, then whatever explains what is left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from rocksalt.crystals import eos
from rocksalt.inference import evidence, quantities, response, search
from rocksalt.inference.case import Case
from rocksalt.inference.evidence import Account
from rocksalt.inference.radiation import Radiation
from rocksalt.inference.refine import Start, refine
from rocksalt.inference.sight import Sight
from rocksalt.inference.templates import Template
from rocksalt.values import FloatArray

PLACE: Final = 5.0  # nats from which a cell is worth a fit
_TUBE_TOLERANCE_DEG: Final = 0.04  # a displaced sample
_GROWTH: Final = 4.0  # nats that one more phase must bring
_TOGETHER_GPA: Final = 0.35  # how far apart two structures of one salt may stand in one sample
_SPARE: Final = 12
_MOST_STRESS_GPA: Final = 0.3  # what a soft salt bears below 20 GPa; more is not stress but a wrong picture
_NO_WORSE: Final = 1.05  # of chi2


def tolerance(sight: Sight, beam: Radiation) -> float:
    """How far (degrees) a line may stand off its place in the search."""
    return _TUBE_TOLERANCE_DEG if beam.tube else 0.4 * sight.width


def fitted(
    sight: Sight,
    beam: Radiation,
    starts: tuple[Start, ...],
    spare: tuple[float, ...] = (),
    tied: frozenset[str] = frozenset(),
    *,
    stressed: bool = False,
) -> Account:
    """Fit and judge `starts`; `spare` degrees get a free line each, and with `stressed` the lines a uniaxial stress."""
    data = replace(sight.data, spare=spare) if spare else sight.data
    fit = refine(data, beam, starts, sight.narrow, stressed=stressed)
    return evidence.account(fit, data, sight.strongest, tied)


def starts_of(account: Account) -> tuple[Start, ...]:
    """Where an account's phases ended, to start from again."""
    shift = account.fit.shift_deg
    return tuple(Start(phase.template, phase.a, shift_deg=shift) for phase in account.fit.phases)


def grown(
    sight: Sight, account: Account, known: tuple[Template, ...], others: tuple[Template, ...], case: Case
) -> Account:
    """`account` with every further phase that the pattern asks for: up to three of salts, two of the surroundings."""
    tied: frozenset[str] = frozenset()
    account, tied = _with_sibling(sight, account, known, case, tied)
    for _ in range(4):
        if not account.left:
            break
        richer = _one_more(sight, account, known, others, tied)
        if richer is None:
            break
        account = richer
    alone = len([p for p in account.fit.phases if not p.template.nuisance]) == 1
    if alone and len(account.fit.phases) > 1:  # what the surroundings explain no longer hides the other structure
        account, tied = _with_sibling(sight, account, known, case, tied)
    return _finished(sight, account, tied)


def _finished(sight: Sight, account: Account, tied: frozenset[str]) -> Account:
    """The last fit: peaks left over get lines of their own, and the stress is looked for. The balance stays as it was.

    Not earlier: where a phase is still missing, a stress bends the lines of the others into its place.
    """
    spare = tuple(peak.two_theta_deg for peak in account.left[:_SPARE])
    last = account
    if spare:
        last = fitted(sight, account.fit.radiation, starts_of(account), spare, tied)
    if sight.stressed:
        bent = fitted(sight, account.fit.radiation, starts_of(account), spare, tied, stressed=True)
        if _is_believable(bent, last):
            last = bent
    return replace(
        last, left=account.left, left_share=account.left_share, nats=account.nats, minor=account.minor,
        least=account.least,
    )  # fmt: skip


def _is_believable(bent: Account, straight: Account) -> bool:
    """Whether a fit with stress is no worse, refuses no phase that stood without, and found no more than salts bear."""
    stress = bent.fit.stress
    return (
        stress is not None
        and abs(stress.value) < _MOST_STRESS_GPA
        and bent.fit.chi2 < _NO_WORSE * straight.fit.chi2
        and all(
            after.stands or not before.stands for after, before in zip(bent.verdicts, straight.verdicts, strict=True)
        )
    )


def _one_more(
    sight: Sight, account: Account, known: tuple[Template, ...], others: tuple[Template, ...], tied: frozenset[str]
) -> Account | None:
    fit = account.fit
    answer = response.matched(_rest(sight, account), fit.variance, sight.step, sight.width)
    used = {phase.template.name for phase in fit.phases}
    room = 3 - sum(not phase.template.nuisance for phase in fit.phases)
    aside = 2 - sum(phase.template.nuisance for phase in fit.phases)
    pool = [t for t in (*(known if room > 0 else ()), *(others if aside > 0 else ())) if t.name not in used]
    off = tolerance(sight, fit.radiation)
    found = [
        place
        for template in pool
        for place in search.places(
            template, answer, sight.data.two_theta, fit.radiation.main, off, 1, None, fit.shift_deg
        )
        if place.evidence > PLACE
    ]
    found.sort(key=lambda place: -place.evidence)
    for place in found[:2]:
        richer = fitted(sight, fit.radiation, (*starts_of(account), Start(place.template, place.a)), tied=tied)
        if richer.nats > account.nats + _GROWTH and all(v.stands for v in richer.verdicts):
            return replace(richer, minor=account.minor, least=account.least)
    return None


def _with_sibling(
    sight: Sight, account: Account, known: tuple[Template, ...], case: Case, tied: frozenset[str]
) -> tuple[Account, frozenset[str]]:
    """Looks for the other structure of the account's salt within the cells that the first one's pressure allows."""
    first = account.fit.phases[0]
    other = next((t for t in known if t.salt == first.template.salt and t.structure != first.template.structure), None)
    window = None if other is None else _window(first.template, first.a, other, case)
    if other is None or window is None:
        return account, tied
    beam = account.fit.radiation
    answer = response.matched(_rest(sight, account), account.fit.variance, sight.step, sight.width)
    zero = account.fit.shift_deg
    places = search.places(other, answer, sight.data.two_theta, beam.main, 0.4 * sight.width, 1, window, zero)
    a = places[0].a if places and places[0].evidence > 0.5 else float(np.sqrt(window[0] * window[1]))
    both = frozenset({other.name})
    start = Start(other, a, 0.5 * float(np.log(window[1] / window[0])))
    richer = fitted(sight, beam, (*starts_of(account), start), tied=both)
    if all(v.stands for v in richer.verdicts):
        return richer, both
    return replace(account, minor=quantities.minor_b2(richer), least=_least(richer)), tied


def _window(template: Template, a: float, other: Template, case: Case) -> tuple[float, float] | None:
    """Cells of `other` at the pressure of `template`'s cell, give or take; None where that is unknown."""
    here = case.isotherm(template.salt, template.structure)
    there, kelvin = case.isotherm(other.salt, other.structure), case.temperature_k
    try:
        pressure = eos.pressure_from_cell_gpa(here, a, kelvin)
    except eos.OutOfRange:
        return None
    give = _TOGETHER_GPA + 0.04 * abs(pressure)
    edges = []
    for at, stop in ((pressure + give, other.a_low), (pressure - give, other.a_high)):
        try:
            edges.append(eos.cell_angstrom(there, at, kelvin))
        except eos.OutOfRange:
            edges.append(stop)
    return (edges[0], edges[1]) if edges[0] < edges[1] else None


def _least(richer: Account) -> float | None:
    """Share from which the last phase of `richer` would have been called found."""
    scale = evidence.least_scale(richer.verdicts[-1])
    return None if scale is None else scale / max(richer.fit.phases[0].scale + scale, 1e-300)


def _rest(sight: Sight, account: Account) -> FloatArray:
    fit = account.fit
    return np.asarray(sight.data.net - fit.lines - fit.background - fit.foreign)
