"""The families of reflections of a crystal, each by itself: stress and texture part coinciding ones (333 and 511).

Spacings and structure factors of the salts come from `crystals.structure.lines`; any other crystal from a CIF.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rocksalt.crystals.lattice_strain import gamma_hkl
from rocksalt.crystals.structure import lines
from rocksalt.crystals.tables import Phase, Structure
from rocksalt.diffraction.forward.texture import Axis, cubic_cos2, cubic_equivalents
from rocksalt.values import FloatArray


@dataclass(frozen=True, slots=True)
class Families:
    """m families of one crystal at one wavelength, by falling spacing.

    hkl (m, 3); multiplicity (m,); d_angstrom (m,); strength (m,) = multiplicity |F|^2 / V^2 in e^2/A^6;
    cos2 (m, k) and share (m, k): cos^2 of the angles between the texture's axis and the family's poles, and the share
    of poles at each (padded with share 0); gammas (m,) Singh's Gamma, None where the crystal isn't cubic.
    """

    hkl: NDArray[np.int64]
    multiplicity: NDArray[np.int64]
    d_angstrom: FloatArray
    strength: FloatArray
    cos2: FloatArray
    share: FloatArray
    gammas: FloatArray | None


class Crystal(Protocol):
    """What isn't in the table: anything that can list its families (`forward.cif` and `forward.md` make them)."""

    @property
    def name(self) -> str: ...
    def families(self, wavelength_angstrom: float, two_theta_max_deg: float, axis: Axis) -> Families: ...


@dataclass(frozen=True, slots=True)
class CubicIndex:
    """The part of a salt's families that no cell and no wavelength changes. `line` (m,) is the line of
    `crystals.structure.lines` that a family belongs to, `part` (m,) its share of that line's multiplicity.
    """

    hkl: NDArray[np.int64]
    multiplicity: NDArray[np.int64]
    line: NDArray[np.int64]
    part: FloatArray
    cos2: FloatArray
    share: FloatArray
    gammas: FloatArray


def families_of_salt(
    phase: Phase, a_angstrom: float, temperature_k: float, wavelength: float, two_theta_max_deg: float, axis: Axis
) -> Families:
    """Families of a phase of the table up to an angle. Raises what `lines` raises, all of it ValueError."""
    found = lines(phase, a_angstrom, wavelength, two_theta_max_deg, temperature_k)
    norms = tuple((found.hkl**2).sum(axis=1).tolist())
    index = cubic_index(phase.structure, norms, axis)
    strength = found.intensity_per_volume[index.line] * index.part
    return Families(
        index.hkl, index.multiplicity, found.d_angstrom[index.line], strength, index.cos2, index.share, index.gammas
    )


@lru_cache(maxsize=64)
def cubic_index(structure: Structure, norms: tuple[int, ...], axis: Axis) -> CubicIndex:
    """All families h >= k >= l >= 0 with h^2 + k^2 + l^2 among `norms` (ascending), sorted by norm."""
    top = int(np.sqrt(max(norms, default=0)))
    place = {norm: i for i, norm in enumerate(norms)}
    rows = [
        (place[h * h + k * k + m * m], (h, k, m))
        for h in range(1, top + 1)
        for k in range(h + 1)
        for m in range(k + 1)
        if h * h + k * k + m * m in place and (structure == "B2" or h % 2 == k % 2 == m % 2)
    ]
    rows.sort()
    line = np.array([i for i, _ in rows], dtype=np.int64)
    hkl = np.array([indices for _, indices in rows], dtype=np.int64).reshape(-1, 3)
    multiplicity = np.array([len(cubic_equivalents(indices)) for _, indices in rows], dtype=np.int64)
    total = np.bincount(line, weights=multiplicity, minlength=len(norms))
    cos2, share = padded([cubic_cos2(indices, axis) for _, indices in rows])
    return CubicIndex(hkl, multiplicity, line, np.asarray(multiplicity / total[line]), cos2, share, gamma_hkl(hkl))


def padded(angles: list[tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """Lists of different lengths as two arrays (m, k), filled up with cos^2 0 at share 0."""
    longest = max((len(values) for values, _ in angles), default=1)
    cos2, share = np.zeros((len(angles), longest)), np.zeros((len(angles), longest))
    for row, (values, shares) in enumerate(angles):
        cos2[row, : len(values)] = values
        share[row, : len(shares)] = shares
    return cos2, share
