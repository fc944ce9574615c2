"""The physics leg: reads phases, cells and pressure off a pattern, and says unknown where it should.

Search, fit, judge, grow: phases are added as long as the pattern asks for them; the referee reads the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from rocksalt.crystals import tables
from rocksalt.inference import grow, referee, search, templates
from rocksalt.inference.case import Case
from rocksalt.inference.evidence import Account
from rocksalt.inference.refine import Start
from rocksalt.inference.sight import Sight, prepare
from rocksalt.inference.templates import Template
from rocksalt.values import Estimate, Measured, Observation

NAME: Final = "physics-1"
_ZEROS_DEG: Final = (0.0, -0.06, 0.06)  # of an area detector whose centre is up to a few pixels off
_ZERO_COST: Final = 30.0  # nats a degree
_SAME: Final = 0.02  # relative: cells that are one place found with two zeros
_NEAR: Final = 3.0  # nats below a phase's best cell within which its second best is tried too


class PhysicsModel:
    """Observation in, estimate out; holds nothing between calls but the templates that it made.

    salts   which salts to look for where the caller knows none; all of tables.MODEL_SALTS if None
    """

    name = NAME

    def __init__(self, salts: Sequence[str] | None = None) -> None:
        for salt in salts or ():
            if salt not in tables.MODEL_SALTS:
                raise _not_known(salt)
        self._salts = tuple(salts) if salts is not None else tables.MODEL_SALTS

    def estimate(
        self, observation: Observation, *, salt: str | None = None, prior_pressure_gpa: Measured | None = None
    ) -> Estimate:
        """Label, phases, pressure and how sure. `salt`: the campaign's, if known; fraction_b2 and pressure are for it.

        `prior_pressure_gpa` is what is known of the pressure beside the pattern. Raises tables.UnknownPhase for a salt
        outside tables.MODEL_SALTS and ValueError for an impossible wavelength; a bad pattern is no error but an
        `unknown`.
        """
        salts = self._salts if salt is None else (salt,)
        keys = tuple(key for key in tables.MODEL_PHASES if key[0] in salts)
        if not keys:
            raise _not_known(salt)
        case = Case(observation, salt, prior_pressure_gpa, self.name)
        rows = [tables.phase(*key) for key in keys]
        lowest = min(templates.first_line(row) for row in rows)
        sight = prepare(observation, lowest)
        if isinstance(sight, str):
            return referee.nothing(case, sight)
        beam = sight.radiations[0]
        sight = replace(sight, stressed=salt is not None and beam.tube is None)
        known = templates.for_salts(beam, float(sight.data.two_theta[-1]), keys)
        others = () if beam.tube else templates.surroundings()
        accounts = _hypotheses(sight, known, others, case)
        return referee.decide(case, sight, accounts)


def _not_known(salt: str | None) -> tables.UnknownPhase:
    known = ", ".join(tables.MODEL_SALTS)
    return tables.UnknownPhase(f"there is no salt {salt} in the table of the model; it holds {known}")


def _hypotheses(sight: Sight, known: tuple[Template, ...], others: tuple[Template, ...], case: Case) -> list[Account]:
    """Fits worth comparing: every phase alone where it may be, and the best of them grown."""
    beam = sight.radiations[0]
    found = []
    # a second salt would be found through a wrong zero; where the salt is known, the zero may be looked for
    zeros = _ZEROS_DEG if len({template.salt for template in known}) == 1 and beam.tube is None else (0.0,)
    off = grow.tolerance(sight, beam)
    for template in known:
        places = [
            place
            for zero in zeros
            for place in search.places(
                template, sight.response, sight.data.two_theta, beam.main, off, 2, shift_deg=zero
            )
        ]
        places.sort(key=lambda place: abs(place.shift_deg) * _ZERO_COST - place.evidence)
        distinct = [p for k, p in enumerate(places) if all(abs(p.a / q.a - 1.0) > _SAME for q in places[:k])]
        found += [p for p in distinct[:2] if p.evidence > max(grow.PLACE, places[0].evidence - _NEAR)]
    found.sort(key=lambda place: -place.evidence)
    starts = [Start(place.template, place.a, shift_deg=place.shift_deg) for place in found[:4]]
    singles = [grow.fitted(sight, beam, (start,)) for start in starts]
    singles.sort(key=lambda account: -account.nats)
    if not singles:
        return []
    for rival in sight.radiations[1:]:
        if grow.fitted(sight, rival, grow.starts_of(singles[0])).fit.chi2 < singles[0].fit.chi2:
            singles = [grow.fitted(sight, rival, grow.starts_of(account)) for account in singles]
            singles.sort(key=lambda account: -account.nats)
    grown = [grow.grown(sight, singles[0], known, others, case)]
    second = next((account for account in singles[1:] if not _within(account, grown[0])), None)
    if second is not None and second.nats > 0.5 * grown[0].nats:
        grown.append(grow.grown(sight, second, known, others, case))
    return [*grown, *(account for account in singles if not any(_within(account, other) for other in grown))]


def _within(account: Account, other: Account) -> bool:
    """Whether all phases of `account` are in `other` at the same cells."""
    return all(
        any(p.template is q.template and abs(p.a / q.a - 1.0) < 3e-3 for q in other.fit.phases)
        for p in account.fit.phases
    )
