"""What the model looks for: the lines of each phase as multiples of its cell, and the range that the cell may have.

In log d a cubic pattern only shifts when the cell changes; intensities are kept on a few cells and interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from rocksalt.crystals import eos, structure, tables
from rocksalt.inference.radiation import Radiation
from rocksalt.values import FloatArray

_LOWEST_GPA: Final = -0.35  # scatter of an uncompressed cell, and of its temperature
_HIGHEST_GPA: Final = {"NaCl": 40.0, "LiF": 40.0}
_HIGHEST_OTHER_GPA: Final = 20.0
_BEYOND: Final = 0.97  # of the smallest cell that an equation of state reaches: metastable phases are met beyond
_WEAKEST: Final = 2e-3  # of the strongest line: weaker ones are not looked for


@dataclass(frozen=True, slots=True)
class Template:
    """A phase as the search sees it.

    salt, structure   empty for a nuisance (gasket, diamond), whose lines are explained and otherwise ignored
    ratio             (m,) spacing d over the cell edge a
    labels            (m,) Miller indices
    a_low, a_high     angstrom
    nodes, strength   (k,) ln a ascending and (k, m) intensity in a powder pattern per volume of the phase
    """

    name: str
    salt: str
    structure: Literal["B1", "B2", ""]
    ratio: FloatArray
    labels: tuple[str, ...]
    a_low: float
    a_high: float
    nodes: FloatArray
    strength: FloatArray

    @property
    def nuisance(self) -> bool:
        """Whether this is no salt."""
        return not self.salt

    def strengths(self, a: float) -> FloatArray:
        """Intensity of each line per volume of the phase at cell `a` (angstrom). (m,)."""
        at = float(np.clip(np.log(a), self.nodes[0], self.nodes[-1]))
        if self.nodes.size == 1:
            return np.asarray(self.strength[0])
        k = int(np.clip(np.searchsorted(self.nodes, at) - 1, 0, self.nodes.size - 2))
        t = (at - self.nodes[k]) / (self.nodes[k + 1] - self.nodes[k])
        return np.asarray((1.0 - t) * self.strength[k] + t * self.strength[k + 1])

    def two_theta(self, a: FloatArray | float, wavelength: float) -> FloatArray:
        """Positions in degrees, NaN where there is none. a (...) -> (..., m)."""
        sine = wavelength / (2.0 * np.asarray(a)[..., None] * self.ratio)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.degrees(2.0 * np.arcsin(np.where(sine < 1.0, sine, np.nan))))


@lru_cache(maxsize=32)
def for_salts(radiation: Radiation, two_theta_max: float, keys: tuple[tuple[str, str], ...]) -> tuple[Template, ...]:
    """Templates of the phases `keys` = ((salt, structure), ...) for this beam up to `two_theta_max` degrees."""
    return tuple(_salt(tables.phase(*key), radiation, two_theta_max) for key in keys)


def _salt(phase: tables.Phase, radiation: Radiation, two_theta_max: float) -> Template:
    low, high = cell_range(phase)
    nodes = np.linspace(np.log(low), np.log(high), 5)
    kinds: dict[float, str] = {}
    rows: list[dict[float, float]] = []
    for node in nodes:
        a = float(np.exp(node))
        found = structure.lines(phase, a, radiation.main, min(two_theta_max + 1.0, 178.0))
        angle = np.asarray(found.two_theta_deg, dtype=float)
        lp = (structure.lorentz_polarisation_powder if radiation.tube else structure.lorentz_area_detector)(angle)
        spacing = radiation.main / (2.0 * np.sin(np.radians(angle / 2.0)))
        row: dict[float, float] = {}
        for d, label, strength in zip(spacing, found.labels, np.asarray(found.intensity_per_volume) * lp, strict=True):
            key = round((a / float(d)) ** 2, 3)
            kinds.setdefault(key, str(label))
            row[key] = float(strength)
        rows.append(row)
    keys = sorted(kinds)
    strength = np.array([[row.get(key, 0.0) for key in keys] for row in rows])
    kept = strength.max(axis=0) > _WEAKEST * strength.max()
    ratio = 1.0 / np.sqrt(np.array(keys)[kept])
    labels = tuple(kinds[key] for key, keep in zip(keys, kept, strict=True) if keep)
    return Template(phase.name, phase.salt, phase.structure, ratio, labels, low, high, nodes, strength[:, kept])


@lru_cache(maxsize=32)
def cell_range(phase: tables.Phase) -> tuple[float, float]:
    """Smallest and largest cell (angstrom) that the phase is looked for at, temperatures of 5 to 400 K within."""
    highest = _HIGHEST_GPA.get(phase.salt, _HIGHEST_OTHER_GPA)
    try:
        low = eos.cell_angstrom(phase, highest)
    except eos.OutOfRange:
        low = _BEYOND * eos.cell_angstrom(phase, 1.1 * phase.range_gpa[1])
    return low, eos.cell_angstrom(phase, _LOWEST_GPA)


def first_line(phase: tables.Phase) -> float:
    """1/d (per angstrom) of the lowest line of the phase at its largest cell: 111 in B1, 100 in B2."""
    return float(np.sqrt(3.0 if phase.structure == "B1" else 1.0)) / cell_range(phase)[1]


# Lattices that stand in a diamond cell beside the sample: (name, kind, a, c/a); cells after Wyckoff, Crystal Structures
# (1963), lines as (h, k, l, relative intensity of a powder) from the structure factor and multiplicity alone.
_HCP: Final = (
    (1, 0, 0, 30),
    (0, 0, 2, 34),
    (1, 0, 1, 100),
    (1, 0, 2, 11),
    (1, 1, 0, 22),
    (1, 0, 3, 16),
    (1, 1, 2, 20),
    (2, 0, 1, 15),
)
_BCC: Final = ((1, 1, 0, 100), (2, 0, 0, 15), (2, 1, 1, 25), (2, 2, 0, 7), (3, 1, 0, 9))
_FCC: Final = ((1, 1, 1, 100), (2, 0, 0, 45), (2, 2, 0, 22), (3, 1, 1, 22), (2, 2, 2, 6))
_DIAMOND: Final = ((1, 1, 1, 100), (2, 2, 0, 25), (3, 1, 1, 16))
_SURROUNDINGS: Final = (
    ("rhenium gasket", _HCP, 2.761, 4.458 / 2.761),
    ("tungsten gasket", _BCC, 3.165, 1.0),
    ("austenitic steel gasket", _FCC, 3.59, 1.0),
    ("ferritic steel gasket", _BCC, 2.867, 1.0),
    ("diamond", _DIAMOND, 3.567, 1.0),
)


@lru_cache(maxsize=8)
def surroundings() -> tuple[Template, ...]:
    """Gasket metals and diamond: nuisances in a diamond cell. A gasket is squeezed by a few per cent at most."""
    return tuple(_nuisance(*row) for row in _SURROUNDINGS)


def _nuisance(name: str, lines: Sequence[tuple[int, int, int, int]], a: float, axial: float) -> Template:
    hexagonal = axial != 1.0
    ratio = [
        1.0 / np.sqrt((4.0 / 3.0) * (h * h + h * k + k * k) + (index / axial) ** 2) if hexagonal
        else 1.0 / np.sqrt(h * h + k * k + index * index)
        for h, k, index, _ in lines
    ]  # fmt: skip
    order = np.argsort(ratio)[::-1]
    labels = tuple("".join(map(str, lines[i][:3])) for i in order)
    strength = np.array([[float(lines[i][3]) for i in order]])
    return Template(name, "", "", np.array(ratio)[order], labels, 0.975 * a, 1.006 * a, np.array([np.log(a)]), strength)
