"""The salts and their phases: one row for each, every number with where it comes from.

A row is used whole: V0, K0 and K0' of one fit belong together (they are strongly correlated) and to one pressure scale.
The rows themselves, with their sources, stand in phases.toml beside this module.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, Literal

from rocksalt.crystals.limits import CrystalError

Structure = Literal["B1", "B2"]
Form = Literal["Vinet", "BM3", "BM4"]


class UnknownPhase(CrystalError):
    """A salt or structure that the table doesn't hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase of one salt: its equation of state at 300 K, the thermal part, and how its atoms shake.

    z               formula units per cubic cell: 4 (B1), 1 (B2)
    form            which equation: Vinet 1987, or Birch-Murnaghan to third or fourth order
    v0_a3           cell volume at P = 0 and 300 K, in cubic angstrom
    k0_gpa, k0p     isothermal bulk modulus and its pressure derivative at V0
    k0pp_per_gpa    second derivative, for BM4 only; None in the other forms, which imply theirs
    *_sigma         one standard deviation
    v0_fitted       True where V0 was fitted with K0 and K0', and shares their error; False: measured or held
    range_gpa       pressures (low, high) that the source measured, at 300 K
    scale           name of the pressure scale: the gauge, and the work whose calibration of it was used
    debye_k, gamma0, q   Mie-Grueneisen-Debye model: theta(V0), gamma(V0), gamma = gamma0 (V/V0)^q
    b_cation_a2, b_anion_a2   Debye-Waller B = 8 pi^2 <u^2> at V0 and 300 K; equal where one mean is known
    unconfirmed     names of the fields above that are from memory of the literature or from a model; `note` says more
    """

    salt: str
    structure: Structure
    z: int
    form: Form
    v0_a3: float
    v0_sigma_a3: float
    k0_gpa: float
    k0_sigma_gpa: float
    k0p: float
    k0p_sigma: float
    k0pp_per_gpa: float | None = None
    v0_fitted: bool = False
    range_gpa: tuple[float, float]
    scale: str
    reference: str
    debye_k: float
    gamma0: float
    q: float
    b_cation_a2: float
    b_anion_a2: float
    unconfirmed: tuple[str, ...]
    note: str = ""

    @property
    def name(self) -> str:
        """How people call it: "KBr B1"."""
        return f"{self.salt} {self.structure}"

    @property
    def confirmed(self) -> bool:
        """True where every number of the row was read in its source."""
        return not self.unconfirmed

    @property
    def atoms(self) -> int:
        """Atoms per cell."""
        return 2 * self.z

    @property
    def v0_is_fictive(self) -> bool:
        """True where the phase doesn't exist at P = 0: its V0 is a parameter and never a cell to report."""
        return self.range_gpa[0] > 1.0


def _row(table: dict[str, Any]) -> Phase:
    """One table of the file; a key that Phase doesn't have is a TypeError at import, and so is one that is missing."""
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Phase(**{**table, **lists})


_FILE: Final = tomllib.loads(files(__package__).joinpath("phases.toml").read_text("utf-8"))
_ROWS: Final = tuple(_row(table) for table in _FILE["phase"])
_OTHER_ROWS: Final = tuple(_row(table) for table in _FILE["other"])
# LiF on the Mao 1986 ruby scale is left out: as published it misses its own table by 0.8 GPa at 37 GPa and 6 at 109.
# So is the Tateno set with K0 17.4 and gamma 1.8 that some packages hold: it belongs to another Pt scale.

PHASES: Final[Mapping[tuple[str, str], Phase]] = MappingProxyType({(row.salt, row.structure): row for row in _ROWS})
ALTERNATIVES: Final[Mapping[tuple[str, str], tuple[Phase, ...]]] = MappingProxyType(
    {key: tuple(row for row in _OTHER_ROWS if (row.salt, row.structure) == key) for key in PHASES}
)
SALTS: Final[tuple[str, ...]] = tuple(dict.fromkeys(row.salt for row in _ROWS))

# What the online model looks for. Not the whole table: with twelve salts a squeezed cell of one is the cell of another,
# and `identify` without a salt would find aliases; the model was tested with these.
MODEL_SALTS: Final = ("LiF", "NaCl", "KCl", "KBr", "CsI")
MODEL_PHASES: Final[tuple[tuple[str, str], ...]] = tuple(
    (salt, structure) for salt in MODEL_SALTS for structure in ("B1", "B2") if (salt, structure) in PHASES
)


def phase(salt: str, structure: str) -> Phase:
    """The row for `salt` ("KBr") in `structure` ("B1" or "B2"). Raises UnknownPhase, which says what there is."""
    try:
        return PHASES[salt, structure]
    except KeyError:
        known = ", ".join(row.name for row in _ROWS)
        raise UnknownPhase(f"there is no {salt} {structure} in the table of salts; it holds {known}") from None


def ions(salt: str) -> tuple[str, str]:
    """Element symbols (cation, anion) of a salt of the table: "KBr" -> ("K", "Br"). Raises UnknownPhase."""
    if salt not in SALTS:
        raise UnknownPhase(f"there is no {salt} in the table of salts; it holds {', '.join(SALTS)}")
    cation, anion = re.findall("[A-Z][a-z]?", salt)
    return cation, anion
