"""The stray structure between B1 and B2: B33 (TlI type, Cmcm), a weak set of lines while KCl and NaBr transform.

Its cell follows from B1 by sheets that slip; what was measured of it is that it is there (KCl: Z. Krist. 219, 345;
NaBr: Z. Anorg. Allg. Chem. 2011). Cell ratios and coordinates are those of TlI, from memory: treat the lines as unknown
ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.crystals.limits import CrystalError, within
from rocksalt.crystals.structure import ionic_form_factors
from rocksalt.crystals.tables import Phase
from rocksalt.crystals.transition import TRANSITIONS
from rocksalt.values import FloatArray


class IntermediateError(CrystalError):
    """A salt in which B33 was not seen, or a cell or spacing that it can't have."""


@dataclass(frozen=True, slots=True)
class Intermediate:
    """B33 relative to the B1 cell it comes from. Orthorhombic Cmcm, both ions on 4c (0, y, 1/4), four formula units.

    a, b, c         edges over those of the B1 cell at the same pressure; ideal slip gives 1/sqrt 2, 2, 1/sqrt 2
    volume          over that of B1: between the phases
    y_cation, y_anion   coordinates along b
    largest_fraction    of the sample that has been seen in it, by order of magnitude
    """

    a: float = 0.665
    b: float = 1.88
    c: float = 0.7625
    y_cation: float = 0.392
    y_anion: float = 0.133
    largest_fraction: float = 0.1
    unconfirmed: tuple[str, ...] = ("a", "b", "c", "y_cation", "y_anion", "largest_fraction")

    @property
    def volume(self) -> float:
        """Cell volume over that of B1."""
        return self.a * self.b * self.c


B33: Final = Intermediate()


@dataclass(frozen=True, slots=True)
class StrayLines:
    """Lines of B33, length n, by falling spacing: indices (n, 3), spacing (A), m |F|^2 / V^2 as in structure.Lines."""

    hkl: NDArray[np.int64]
    d_angstrom: FloatArray
    intensity_per_volume: FloatArray


def stray_lines(phase_b1: Phase, a_b1_angstrom: float, wavelength_angstrom: float, d_min_angstrom: float) -> StrayLines:
    """Lines of B33 down to `d_min_angstrom`, from the B1 cell at the same pressure. Without Debye-Waller factor.

    Raises IntermediateError for a salt in which B33 was not seen, and for cell, wavelength or spacing outside.
    """
    fact = TRANSITIONS.get(phase_b1.salt)
    if phase_b1.structure != "B1" or fact is None or fact.intermediate != "B33":
        seen = ", ".join(salt for salt, row in TRANSITIONS.items() if row.intermediate == "B33")
        raise IntermediateError(f"B33 was not seen in {phase_b1.name}; it was in {seen} on the way from B1")
    edge = float(np.cbrt(phase_b1.v0_a3))
    within("cell of B1 (A)", a_b1_angstrom, 0.5 * edge, 1.5 * edge, phase_b1.reference, error=IntermediateError)
    within("smallest spacing (A)", d_min_angstrom, 0.25, np.inf, "International Tables C 6.1.1.4, s to 2 per A",
           error=IntermediateError)  # fmt: skip
    edges = a_b1_angstrom * np.array([B33.a, B33.b, B33.c])
    tops = (edges / d_min_angstrom).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(top + 1) for top in tops), indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[(grid.sum(axis=1) > 0) & ((grid[:, 0] + grid[:, 1]) % 2 == 0)]
    inverse2 = ((grid / edges) ** 2).sum(axis=1)
    keep = inverse2 <= d_min_angstrom**-2
    grid, inverse2 = grid[keep].astype(np.int64), inverse2[keep]
    cation, anion = ionic_form_factors(phase_b1.salt, inverse2 / 4.0, wavelength_angstrom)

    def wave(y: float) -> FloatArray:
        return np.asarray(4.0 * np.cos(2.0 * np.pi * (grid[:, 1] * y + grid[:, 2] / 4.0)))

    f2 = np.abs(cation * wave(B33.y_cation) + anion * wave(B33.y_anion)) ** 2
    multiplicity = 2 ** (grid > 0).sum(axis=1)
    strength = multiplicity * f2 / float(np.prod(edges)) ** 2
    shown = strength > 1e-6 * strength.max()
    order = np.argsort(inverse2[shown], kind="stable")
    return StrayLines(
        grid[shown][order], np.asarray(inverse2[shown][order] ** -0.5), np.asarray(strength[shown][order])
    )
