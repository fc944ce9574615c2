"""The salts and their phases: one row for each, every number with where it comes from.

A row is used whole: V0, K0 and K0' of one fit belong together (they are strongly correlated) and to one pressure scale.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Structure = Literal["B1", "B2"]
Form = Literal["Vinet", "BM3", "BM4"]


class UnknownPhase(ValueError):
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
    confirmed       False where a number of the row is from memory of the literature; `note` says which
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
    confirmed: bool
    note: str = ""

    @property
    def name(self) -> str:
        """How people call it: "KBr B1"."""
        return f"{self.salt} {self.structure}"

    @property
    def atoms(self) -> int:
        """Atoms per cell."""
        return 2 * self.z

    @property
    def v0_is_fictive(self) -> bool:
        """True where the phase doesn't exist at P = 0: its V0 is a parameter and never a cell to report."""
        return self.range_gpa[0] > 1.0


# Sigmas where the source prints none, and how they were reckoned.
# - V0 of a B1 row is the measured ambient cell: sources differ by 1-3e-4 in a, so 5e-4 in V.
# - KCl and KBr B1 (Dewaele 2012): the source's rows scatter by 0.055 and 0.043 GPa (rms, 30 rows each) about the curve.
#   A fit of K0 and K0' to 30 rows evenly over 0.16-2.5 GPa with that scatter, V0 held, gives K0 +- 0.52 and 0.35 GPa,
#   K0' +- 0.69 and 0.49, correlation -0.98.
# - KCl and KBr B2 (the same source): 60 rows evenly over 2-165 GPa, each good to the larger of 0.05 GPa and 1 %, with
#   V0 fitted too, give V0 +- 0.3 %, K0 +- 0.35 GPa, K0' +- 0.04. The same for LiF is within twice its refit's sigmas.
# - NaCl B2: V0 was held by both sources; 0.1 % stands for that choice.
# - CsI: half the spread of the values recalled.
# Grueneisen q = 1 (gamma/V constant) where nobody measured it: usual for the halides, from memory.
# Debye-Waller B of the B2 phases is taken over from B1 (CsI apart), for want of anything better.

# fmt: off
_ROWS: Final = (
    Phase(
        salt="LiF", structure="B1", z=4, form="Vinet", v0_a3=65.574, v0_sigma_a3=0.075, k0_gpa=62.15, k0_sigma_gpa=0.74,
        k0p=5.011, k0p_sigma=0.034, v0_fitted=True, range_gpa=(0.7, 109.0),
        scale="ruby, Dewaele 2019", reference="refit of all 60 rows of Dewaele, Minerals 9, 684 (2019)",
        debye_k=680.0, gamma0=1.6, q=1.0, b_cation_a2=0.97, b_anion_a2=0.71, confirmed=False,
        note="Debye temperature (620-735 K) and q from memory; gamma Yates 1963; B from calculated phonons",
    ),
    Phase(
        salt="NaCl", structure="B1", z=4, form="Vinet", v0_a3=179.41, v0_sigma_a3=0.09, k0_gpa=23.5, k0_sigma_gpa=0.3,
        k0p=5.23, k0p_sigma=0.06, range_gpa=(0.0, 31.0),
        scale="Cu, Shen-Smith 2026", reference="Shen and Smith, Phys. Rev. B 113, 144113 (2026)",
        debye_k=279.0, gamma0=1.56, q=0.96, b_cation_a2=1.6, b_anion_a2=1.4, confirmed=False,
        note="thermal part Matsui 2012; measured B from memory, calculated phonons give 1.93 and 1.63",
    ),
    Phase(
        salt="NaCl", structure="B2", z=1, form="Vinet", v0_a3=41.35, v0_sigma_a3=0.04, k0_gpa=24.92, k0_sigma_gpa=0.11,
        k0p=5.63, k0p_sigma=0.02, range_gpa=(33.0, 108.0),
        scale="Cu, Shen-Smith 2026", reference="Shen and Smith, Phys. Rev. B 113, 144113 (2026)",
        debye_k=290.0, gamma0=1.7, q=0.5, b_cation_a2=1.6, b_anion_a2=1.4, confirmed=False,
        note="thermal part Fei 2007; B as for B1",
    ),
    Phase(
        salt="KCl", structure="B1", z=4, form="Vinet", v0_a3=249.44, v0_sigma_a3=0.12, k0_gpa=17.1, k0_sigma_gpa=0.52,
        k0p=5.5, k0p_sigma=0.69, range_gpa=(0.16, 2.56),
        scale="ruby, Dewaele 2012", reference="Dewaele et al., Phys. Rev. B 85, 214105 (2012)",
        debye_k=230.0, gamma0=1.46, q=1.0, b_cation_a2=1.97, b_anion_a2=1.97, confirmed=False,
        note="Debye temperature (220-235 K), gamma and q from memory; mean B of a Debye model, measured about 2.1",
    ),
    Phase(
        salt="KCl", structure="B2", z=1, form="Vinet", v0_a3=54.5, v0_sigma_a3=0.16, k0_gpa=17.2, k0_sigma_gpa=0.35,
        k0p=5.89, k0p_sigma=0.04, v0_fitted=True, range_gpa=(2.6, 165.0),
        scale="ruby, Dewaele 2012", reference="Dewaele et al., Phys. Rev. B 85, 214105 (2012)",
        debye_k=235.0, gamma0=1.47, q=1.0, b_cation_a2=1.97, b_anion_a2=1.97, confirmed=True,
        note="gamma from alpha K = 0.00224 GPa/K of the same source; Debye temperature Tateno 2019; B as for B1",
    ),
    Phase(
        salt="KBr", structure="B1", z=4, form="Vinet", v0_a3=287.56, v0_sigma_a3=0.14, k0_gpa=14.2, k0_sigma_gpa=0.35,
        k0p=5.5, k0p_sigma=0.49, range_gpa=(0.16, 2.5),
        scale="ruby, Dewaele 2012", reference="Dewaele et al., Phys. Rev. B 85, 214105 (2012)",
        debye_k=170.0, gamma0=1.48, q=1.0, b_cation_a2=2.35, b_anion_a2=2.35, confirmed=False,
        note="Debye temperature (160-174 K), gamma, q and measured mean B from memory; calculated phonons give B 2.74",
    ),
    Phase(
        salt="KBr", structure="B2", z=1, form="Vinet", v0_a3=63.4, v0_sigma_a3=0.19, k0_gpa=14.9, k0_sigma_gpa=0.35,
        k0p=5.81, k0p_sigma=0.04, v0_fitted=True, range_gpa=(2.2, 165.0),
        scale="ruby, Dewaele 2012", reference="Dewaele et al., Phys. Rev. B 85, 214105 (2012)",
        debye_k=170.0, gamma0=1.7, q=1.0, b_cation_a2=2.35, b_anion_a2=2.35, confirmed=False,
        note="gamma from alpha K = 0.00222 GPa/K of the same source; Debye temperature and B as for B1",
    ),
    Phase(
        salt="CsI", structure="B2", z=1, form="Vinet", v0_a3=95.3, v0_sigma_a3=0.1, k0_gpa=11.9, k0_sigma_gpa=0.5,
        k0p=5.8, k0p_sigma=0.3, range_gpa=(0.0, 15.0),
        scale="not stated", reference="from memory; KS 12.6 GPa of the CRC elastic constants agrees",
        debye_k=120.0, gamma0=2.0, q=1.0, b_cation_a2=2.42, b_anion_a2=2.42, confirmed=False,
        note="the whole row is from memory; above about 15 GPa the cell distorts; mean B of a Debye model",
    ),
)

# Other published sets for the same phases: what a pressure would have been on another scale.
_OTHER_ROWS: Final = (
    Phase(
        salt="NaCl", structure="B1", z=4, form="BM4", v0_a3=179.43, v0_sigma_a3=0.09, k0_gpa=23.7, k0_sigma_gpa=0.3,
        k0p=5.14, k0p_sigma=0.06, k0pp_per_gpa=-0.392, range_gpa=(0.0, 30.0),
        scale="Matsui 2012", reference="Matsui et al., Am. Mineral. 97, 1670 (2012)",
        debye_k=279.0, gamma0=1.56, q=0.96, b_cation_a2=1.6, b_anion_a2=1.4, confirmed=False,
        note="sigmas as for Shen-Smith 2026; range and page from memory",
    ),
    Phase(
        salt="NaCl", structure="B1", z=4, form="BM4", v0_a3=179.43, v0_sigma_a3=0.09, k0_gpa=23.7, k0_sigma_gpa=0.3,
        k0p=4.91, k0p_sigma=0.06, k0pp_per_gpa=-0.267, range_gpa=(0.0, 30.0),
        scale="Decker 1971", reference="Decker, J. Appl. Phys. 42, 3239 (1971), in BM4 form",
        debye_k=279.0, gamma0=1.59, q=0.93, b_cation_a2=1.6, b_anion_a2=1.4, confirmed=False,
        note="V0 and Debye temperature as for Matsui 2012, sigmas as for Shen-Smith 2026; range and page from memory",
    ),
    Phase(
        salt="NaCl", structure="B2", z=1, form="Vinet", v0_a3=41.35, v0_sigma_a3=0.04, k0_gpa=26.86, k0_sigma_gpa=2.9,
        k0p=5.25, k0p_sigma=0.26, range_gpa=(33.0, 108.0),
        scale="Fei 2007", reference="Fei et al., Proc. Natl. Acad. Sci. 104, 9182 (2007)",
        debye_k=290.0, gamma0=1.7, q=0.5, b_cation_a2=1.6, b_anion_a2=1.4, confirmed=False,
        note="range as for Shen-Smith 2026; page from memory; B as for B1",
    ),
    Phase(
        salt="KCl", structure="B1", z=4, form="BM3", v0_a3=249.08, v0_sigma_a3=0.12, k0_gpa=17.7, k0_sigma_gpa=0.52,
        k0p=5.0, k0p_sigma=0.69, range_gpa=(0.0, 2.5),
        scale="Walker 2002", reference="Walker et al., Am. Mineral. 87, 805 (2002)",
        debye_k=230.0, gamma0=1.46, q=1.0, b_cation_a2=1.97, b_anion_a2=1.97, confirmed=False,
        note="gamma agrees with its alpha K = 0.00195 GPa/K; sigmas as for Dewaele 2012; range and page from memory",
    ),
    Phase(
        salt="KCl", structure="B2", z=1, form="Vinet", v0_a3=54.5, v0_sigma_a3=0.16, k0_gpa=18.3, k0_sigma_gpa=0.3,
        k0p=5.6, k0p_sigma=0.03, v0_fitted=True, range_gpa=(2.6, 165.0),
        scale="Tateno 2019", reference="Tateno et al., Am. Mineral. 104, 718 (2019)",
        debye_k=235.0, gamma0=2.3, q=0.8, b_cation_a2=1.97, b_anion_a2=1.97, confirmed=False,
        note="the final paper's set; range as for Dewaele 2012; page from memory; B as for B1",
    ),
)
# LiF on the Mao 1986 ruby scale is left out: as published it misses its own table by 0.8 GPa at 37 GPa and 6 at 109.
# So is the Tateno set with K0 17.4 and gamma 1.8 that some packages hold: it belongs to another Pt scale.
# fmt: on

PHASES: Final[Mapping[tuple[str, str], Phase]] = MappingProxyType({(row.salt, row.structure): row for row in _ROWS})
ALTERNATIVES: Final[Mapping[tuple[str, str], tuple[Phase, ...]]] = MappingProxyType(
    {key: tuple(row for row in _OTHER_ROWS if (row.salt, row.structure) == key) for key in PHASES}
)
SALTS: Final[tuple[str, ...]] = tuple(dict.fromkeys(row.salt for row in _ROWS))


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
