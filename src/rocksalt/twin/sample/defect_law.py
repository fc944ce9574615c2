"""How this twin's crystal colours: its constants, drawn around what is typical of its salt, and its rates at a
temperature. Not the growth curves that an analysis fits: vacancies fill, pairs part or meet, loose pairs fade."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from typing import Final

from rocksalt.crystals.defect_growth import ev_per_cm3_per_gy
from rocksalt.twin.departures import DefectDepartures

_BOLTZMANN_EV: Final = 8.617333262e-5
_WARM_K: Final = 300.0
TO_M_HEAT: Final = 0.2  # of the centres that heat sets free, while they are few
TO_M_LIGHT: Final = 0.5
COLLOID_HALF_PER_CM3: Final = 5e18
F_CROWD: Final = 2.0  # M can't use up more centres than there are


@dataclass(frozen=True, slots=True)
class Typical:
    """A salt by order of magnitude, for a pure crystal, all unconfirmed (physics from memory of the literature, sizes
    so that 300 K curves come out at some 1e3 to 1e4 eV a centre and saturate where reported).

    pair_ev         energy for a stable F centre where pairs part best; vacancies: what is filled first, at vacancy_ev
    separate_ev     a pair must part; recombine_*: when warmer it meets again all the same: rate exp(-ev / kT)
    saturation      stable centres in 1/cm^3 at 300 K; more where it is cold
    bleach          share of absorbed photons that free an electron at 300 K; bleach_ev: heat it needs
    m_cm3, r_cm3    M = F (m_direct + m_cm3 F), R = F (r_direct + r_cm3 M) at 1 Gy/s; LiF's F2, F3+ begin linearly
    anneal_ev       activation of the F centre, 1e10/s in front: half gone in a 10 K/min ramp near anneal_ev / 2.4 meV
    """

    pair_ev: float
    vacancies_per_cm3: float
    vacancy_ev: float
    separate_ev: float
    separate_rate: float
    recombine_ev: float
    recombine_rate: float
    saturation_per_cm3: float
    bleach: float
    bleach_ev: float
    anneal_ev: float
    m_cm3: float
    r_cm3: float
    m_direct: float = 0.0
    r_direct: float = 0.0


_CHLORIDE: Final = (0.05, 300.0, 0.35, 3e4)
_BROMIDE: Final = (0.05, 300.0, 0.15, 3e3)
_FLUORIDE: Final = (0.04, 300.0, 0.45, 3e4)
SALTS: Final = {
    "LiF": Typical(700.0, 2e16, 500.0, *_FLUORIDE, 5e18, 0.005, 0.20, 1.68, 2e-20, 5e-20, 0.02, 0.006),
    "NaF": Typical(900.0, 3e16, 700.0, *_FLUORIDE, 3e18, 0.02, 0.18, 1.50, 4e-20, 5e-20),
    "NaCl": Typical(900.0, 5e16, 800.0, *_CHLORIDE, 2e18, 0.10, 0.12, 1.15, 3e-20, 2e-20),
    "KCl": Typical(500.0, 5e16, 600.0, *_CHLORIDE, 1.5e18, 0.15, 0.12, 1.10, 3e-20, 2e-20),
    "KBr": Typical(250.0, 4e16, 600.0, *_BROMIDE, 1e18, 0.15, 0.11, 1.07, 3e-20, 2e-20),
    "KI": Typical(300.0, 4e16, 600.0, *_BROMIDE, 5e17, 0.20, 0.10, 1.00, 3e-20, 2e-20),
    "RbCl": Typical(600.0, 5e16, 600.0, *_CHLORIDE, 1.5e18, 0.15, 0.12, 1.08, 3e-20, 2e-20),
    "CsCl": Typical(2e3, 3e16, 2e3, *_CHLORIDE, 5e17, 0.20, 0.10, 1.00, 2e-20, 1e-20),
    "CsBr": Typical(3e3, 2e16, 3e3, *_BROMIDE, 3e17, 0.20, 0.10, 0.95, 2e-20, 1e-20),
    "CsI": Typical(1e4, 1e16, 1e4, *_BROMIDE, 1e17, 0.20, 0.10, 0.90, 2e-20, 1e-20),
}


@dataclass(frozen=True, slots=True)
class Rates:
    """At one temperature. Per Gy: `made` stable and loose pairs, `filling` share of empty vacancies. Per second: the
    losses. `saturation` in 1/cm^3; bleach: share of absorbed photons."""

    made_per_gy: float
    filling_per_gy: float
    saturation: float
    fading: float
    annealing: float
    m_annealing: float
    colloid_annealing: float
    aggregating: float
    bleach: float


class Law:
    """The seed's own constants. `late_gy`: beyond it the saturation itself grows with the root of the dose, as
    interstitials gather in loops."""

    def __init__(self, salt: str, hidden: DefectDepartures) -> None:
        if salt not in SALTS:
            raise ValueError(f"[twin] sample = {salt!r}: the twin's colour centres are known in {', '.join(SALTS)}")
        typical = SALTS[salt]
        self.typical, self.hidden = typical, hidden
        per_gy = ev_per_cm3_per_gy(salt)
        self.vacancies_per_cm3 = typical.vacancies_per_cm3 * exp(hidden.vacancies_ln)
        self._pairs_per_gy = per_gy / (typical.pair_ev * exp(hidden.pair_cost_ln))
        self._filling = per_gy / (typical.vacancy_ev * exp(hidden.vacancy_cost_ln) * self.vacancies_per_cm3)
        self._saturation = typical.saturation_per_cm3 * exp(hidden.saturation_ln)
        self.late_gy = 5.0 * self._saturation / self._pairs_per_gy * exp(hidden.late_ln)
        self.m_cm3 = typical.m_cm3 * exp(hidden.aggregate_ln)
        self.r_cm3 = typical.r_cm3 * exp(hidden.aggregate_ln)
        self._memo: tuple[float, Rates] | None = None

    def efficiency(self, kelvin: float) -> float:
        """Share of pairs that stay, 0 to 1: few leave each other in the cold, many meet again in the heat."""
        typical, hidden = self.typical, self.hidden
        part = typical.separate_rate * _boltzmann(typical.separate_ev + hidden.separate_ev, kelvin)
        meet = typical.recombine_rate * _boltzmann(typical.recombine_ev + hidden.recombine_ev, kelvin)
        return (0.03 + part) / (1.0 + part) / (1.0 + meet)

    def rates(self, kelvin: float) -> Rates:
        """All rates at this temperature (K)."""
        if self._memo is not None and self._memo[0] == kelvin:
            return self._memo[1]
        typical, hidden = self.typical, self.hidden
        anneal_ev = typical.anneal_ev * (1.0 + hidden.anneal_relative)
        stay = self.efficiency(kelvin)
        freed = typical.bleach * exp(hidden.bleach_ln)
        # An excited electron leaves by heat, or falls back: the share tends to nothing in the cold.
        escape = 30.0 * _boltzmann(typical.bleach_ev, kelvin) / _boltzmann(typical.bleach_ev, _WARM_K)
        found = Rates(
            made_per_gy=self._pairs_per_gy * stay,
            filling_per_gy=self._filling * sqrt(stay),
            saturation=self._saturation * (1.0 + 3.0 / (1.0 + exp(min((kelvin - 120.0) / 20.0, 60.0)))),
            fading=_from_warm(0.3, kelvin) / (3600.0 * exp(hidden.fade_ln)),
            annealing=1e10 * _boltzmann(anneal_ev, kelvin),
            m_annealing=1e10 * _boltzmann(0.97 * anneal_ev, kelvin),
            colloid_annealing=1e10 * _boltzmann(1.35 * anneal_ev, kelvin),
            aggregating=_from_warm(0.2, kelvin) / (600.0 * exp(hidden.aggregate_s_ln)),
            bleach=freed * escape / (1.0 + escape) * 31.0 / 30.0,
        )
        self._memo = kelvin, found
        return found


def _boltzmann(ev: float, kelvin: float) -> float:
    return exp(max(-ev / (_BOLTZMANN_EV * kelvin), -300.0))


def _from_warm(ev: float, kelvin: float) -> float:
    """Arrhenius factor, 1 at 300 K."""
    return exp(min(max(-ev / _BOLTZMANN_EV * (1.0 / kelvin - 1.0 / _WARM_K), -300.0), 40.0))
