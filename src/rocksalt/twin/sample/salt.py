"""What a salt makes of the tiers' gigapascals: where it transforms, which phases it has, and how stiff it is.

The tiers are written for KBr near 2 GPa in a cell that gives 0.055 GPa a bar. For another salt or cell each number is
multiplied by the ratio that its physics asks for; for KBr in that cell every ratio is exactly 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import Final

from rocksalt.crystals import eos, tables
from rocksalt.crystals.transition import TRANSITIONS
from rocksalt.twin.departures import Departures

KBR_P50_GPA: Final = (1.3, 2.6)
"""KBr's drawn P50 is uniform over this range. Its own is 1.75-1.8 (Pistorius 1965): a model that only remembers the
literature must not pass."""
KBR_GPA_PER_BAR: Final = 0.055
_KBR_ANCHOR_GPA: Final = 2.0
# From three quarters of where B2 is first reported (or of the equilibrium) to a twentieth above where B1 is last
# reported, or 1.4 times the equilibrium. For KBr this gives 1.31 to 2.63: the range above, rounded.
_BELOW, _ABOVE, _ABOVE_EQUILIBRIUM = 0.75, 1.05, 1.4


@dataclass(frozen=True, slots=True)
class Salt:
    """One salt in one cell.

    structures        ("B1", "B2"), or the only one that the table has
    p50_gpa           (low, high) of the drawn P50; None where nothing transforms
    anchor_gpa        where the errors of its equations of state are stated: KBr's 2 GPa over its equilibrium pressure
                      (over K0 where nothing transforms)
    cell              GPa that the cell gives, relative to 0.055 GPa a bar
    transition        equilibrium pressure, relative to KBr's
    stiffness         bulk modulus at the anchor, relative to KBr's: what makes the same strain
    collapse          K |dV/V| at the anchor, relative to KBr's: what a whole transformation can cost
    """

    name: str
    structures: tuple[tables.Structure, ...]
    p50_gpa: tuple[float, float] | None
    anchor_gpa: float
    cell: float
    transition: float
    stiffness: float
    collapse: float

    @property
    def embedded_gpa(self) -> float:
        """Load at which the gradient stops growing: 1.5 GPa in KBr's cell."""
        return 1.5 * self.cell

    def drawn_p50_gpa(self, place: float) -> float:
        """The P50 at this place (0 to 1) of its range. Raises ValueError where nothing transforms."""
        if self.p50_gpa is None:
            raise ValueError(f"{self.name} has no B1 to B2 transition that the twin could play")
        low, high = self.p50_gpa
        return low + place * (high - low)

    def suited(self, hidden: Departures) -> Departures:
        """The departures of a seed, their gigapascals made this salt's and this cell's."""
        drawn, sample = hidden.cell, hidden.sample
        return replace(
            hidden,
            cell=replace(
                drawn,
                offset_gpa=drawn.offset_gpa * self.cell,
                friction_gpa=drawn.friction_gpa * self.cell,
                stick_slip_gpa=drawn.stick_slip_gpa * self.cell,
                gradient_gpa=drawn.gradient_gpa * self.cell,
                thermal_gpa_per_k=drawn.thermal_gpa_per_k * self.cell,
                thinning_per_gpa=drawn.thinning_per_gpa / self.cell,
                drift_um_per_gpa=drawn.drift_um_per_gpa / self.cell,
                collapse_gpa=drawn.collapse_gpa * self.collapse,
            ),
            sample=replace(
                sample,
                barrier_gpa=sample.barrier_gpa * self.transition,
                p0_gpa=sample.p0_gpa * self.transition,
                dead_band_gpa=sample.dead_band_gpa * self.transition,
                slope_gpa_per_k=sample.slope_gpa_per_k * self.transition,
                deviatoric_gpa=sample.deviatoric_gpa * self.stiffness,
                eos_common_gpa=sample.eos_common_gpa * self.stiffness,
                eos_own_b1_gpa=sample.eos_own_b1_gpa * self.stiffness,
                eos_own_b2_gpa=sample.eos_own_b2_gpa * self.stiffness,
                eos_limit_gpa=sample.eos_limit_gpa * self.stiffness,
            ),
        )


def salt(name: str, gpa_per_bar: float) -> Salt:
    """A salt of the table in a cell that gives so many GPa a bar. Raises ValueError for a salt that isn't in it, and a
    cell that no membrane makes."""
    if name not in tables.SALTS:
        raise ValueError(
            f"[twin] sample = {name!r}: there is no such salt in the table; take one of {', '.join(tables.SALTS)}"
        )
    if not (isfinite(gpa_per_bar) and 1e-4 <= gpa_per_bar <= 10.0):
        raise ValueError(f"[load_curve] gpa_per_bar = {gpa_per_bar}: no membrane does that; 0.0001 to 10 is allowed")
    both: tuple[tables.Structure, ...] = ("B1", "B2")
    structures = tuple(structure for structure in both if (name, structure) in tables.PHASES)
    transforms = len(structures) > 1 and name in TRANSITIONS
    first = tables.phase(name, structures[0])
    kbr, kbr_equilibrium = tables.phase("KBr", "B1"), TRANSITIONS["KBr"].equilibrium_gpa
    kbr_stiffness = _modulus_gpa(kbr, _KBR_ANCHOR_GPA)
    if not transforms:
        ratio = first.k0_gpa / kbr.k0_gpa
        anchor = _KBR_ANCHOR_GPA * ratio
        stiffness = _modulus_gpa(first, anchor) / kbr_stiffness
        return Salt(name, structures[:1], None, anchor, gpa_per_bar / KBR_GPA_PER_BAR, ratio, stiffness, 1.0)
    known = TRANSITIONS[name]
    ratio = known.equilibrium_gpa / kbr_equilibrium
    anchor = _KBR_ANCHOR_GPA * ratio
    stiffness = _modulus_gpa(first, anchor) / kbr_stiffness
    step = known.volume_step / TRANSITIONS["KBr"].volume_step
    return Salt(
        name, structures, _p50_gpa(name), anchor, gpa_per_bar / KBR_GPA_PER_BAR, ratio, stiffness, stiffness * step
    )


def _p50_gpa(name: str) -> tuple[float, float]:
    if name == "KBr":
        return KBR_P50_GPA
    known = TRANSITIONS[name]
    first, last = known.forward_gpa
    return (
        _BELOW * min(first, known.equilibrium_gpa), max(_ABOVE * last, _ABOVE_EQUILIBRIUM * known.equilibrium_gpa)
    )  # fmt: skip


def _modulus_gpa(phase: tables.Phase, pressure_gpa: float) -> float:
    wide = followed(phase, pressure_gpa)
    return eos.bulk_modulus_gpa(wide, eos.volume_a3(wide, pressure_gpa))


def followed(phase: tables.Phase, top_gpa: float) -> tables.Phase:
    """The row with its isotherm followed from zero to top_gpa, or as far as its form goes (NaF's turns over)."""
    top = top_gpa
    while True:
        wide = replace(phase, range_gpa=(0.0, top))
        try:
            eos.volume_a3(wide, highest_gpa(wide))
        except eos.OutOfRange:
            top *= 0.95
        else:
            return wide


def highest_gpa(phase: tables.Phase) -> float:
    """How far `eos` follows a row's 300 K isotherm, a little less: a cold cell needs it to reach the row's own top."""
    return 1.09 * phase.range_gpa[1] + 0.49
