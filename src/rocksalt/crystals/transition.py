"""What the literature says of B1 -> B2, salt by salt: for the twin and for documentation, and for nothing else.

Policy and inference never read this table: a daemon that knows where the transition should be would find it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Transition:
    """B1 -> B2 at room temperature. Pressures in GPa; bands are (low, high) and hold what reports differ by.

    equilibrium_gpa   midpoint between growth of B2 and growth of B1, as well as it is known
    forward_gpa       where B2 is first seen on loading
    reverse_gpa       where B1 is first seen on unloading
    volume_step       (V_B2 - V_B1) / V_B1 per formula unit at the transition: negative
    intermediate      structure that is seen on the way, None where none is; intermediate.py describes it
    sources           number by number
    confirmed         False where a number is from memory of the literature
    """

    salt: str
    equilibrium_gpa: float
    forward_gpa: tuple[float, float]
    reverse_gpa: tuple[float, float]
    volume_step: float
    sources: str
    confirmed: bool
    intermediate: str | None = None


_ROWS: Final = (
    Transition(
        salt="NaCl",
        equilibrium_gpa=29.0,
        forward_gpa=(25.0, 34.5),
        reverse_gpa=(22.0, 29.0),
        volume_step=-0.044,
        sources=(
            "forward: 25-32 in reports (Mi et al., J. Appl. Phys. 123, 135901, 2018), both phases together at 33.0-34.5"
            " on the Cu scale (Shen and Smith 2026); step: coexisting cells 113.86/4 and 27.23 A3 of that work, -0.051 "
            "from its two equations of state at 30 GPa; equilibrium and reverse: 3-5 GPa of hysteresis, from memory"
        ),
        confirmed=False,
    ),
    Transition(
        salt="KCl",
        equilibrium_gpa=1.9,
        forward_gpa=(1.9, 2.56),
        reverse_gpa=(1.6, 1.8),
        volume_step=-0.125,
        sources=(
            "forward: 1.9-2.1, both phases quoted to 2.56 in helium (Dewaele et al. 2012); step: their two equations "
            "of state at 2.0 GPa; reverse and hysteresis of 0.1-0.5 GPa: from memory, equilibrium: between the bands"
        ),
        confirmed=False,
        intermediate="B33",
    ),
    Transition(
        salt="KBr",
        equilibrium_gpa=1.77,
        forward_gpa=(1.75, 2.5),
        reverse_gpa=(1.4, 1.75),
        volume_step=-0.114,
        sources=(
            "equilibrium: 1.75-1.8, almost the same at every temperature, hysteresis +-0.003 GPa above 50 C, sluggish "
            "below (Pistorius, J. Phys. Chem. Solids 26, 1003, 1965); forward: B1 seen to 2.50, B2 from 2.2 (Dewaele "
            "et al. 2012); step: their two equations of state at 1.8 GPa; reverse at room temperature: from memory"
        ),
        confirmed=False,
    ),
    Transition(
        salt="NaF",
        equilibrium_gpa=24.0,
        forward_gpa=(23.0, 27.0),
        reverse_gpa=(18.0, 24.0),
        volume_step=-0.065,
        sources="forward 23-27 and a step of -0.05 to -0.08 from memory; reverse: hysteresis as in NaCl, a guess",
        confirmed=False,
    ),
    Transition(
        salt="NaBr",
        equilibrium_gpa=30.0,
        forward_gpa=(29.0, 35.0),
        reverse_gpa=(24.0, 30.0),
        volume_step=-0.03,
        sources=(
            "intermediate: Z. Anorg. Allg. Chem. (2011); forward 29-35, sluggish, and step from memory; reverse a guess"
        ),
        confirmed=False,
        intermediate="B33",
    ),
    Transition(
        salt="KF",
        equilibrium_gpa=2.5,
        forward_gpa=(1.8, 4.0),
        reverse_gpa=(1.0, 2.5),
        volume_step=-0.09,
        sources="forward 1.8-4 with a large hysteresis, step: from memory; reverse a guess",
        confirmed=False,
    ),
    Transition(
        salt="KI",
        equilibrium_gpa=1.77,
        forward_gpa=(1.75, 1.8),
        reverse_gpa=(1.4, 1.77),
        volume_step=-0.085,
        sources=(
            "equilibrium 1.75-1.8, almost the same at every temperature (Pistorius, J. Phys. Chem. Solids 26, 1003, "
            "1965); step and reverse from memory"
        ),
        confirmed=False,
    ),
    Transition(
        salt="RbCl",
        equilibrium_gpa=0.5,
        forward_gpa=(0.5, 0.57),
        reverse_gpa=(0.3, 0.5),
        volume_step=-0.14,
        sources=(
            "forward: first B2 row at 0.54 (Farla et al., J. Appl. Phys. 137, 115901, 2025); reverse and step "
            "from memory"
        ),
        confirmed=False,
    ),
)

TRANSITIONS: Final[Mapping[str, Transition]] = MappingProxyType({row.salt: row for row in _ROWS})
