"""A crystal as molecular dynamics moves it: lines from the atoms of a supercell, averaged over frames.

Displacements are those of the frames, so no Debye-Waller factor of a table enters: heat, defects and disorder are in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from rocksalt.diffraction.forward.errors import ForwardError, require
from rocksalt.diffraction.forward.families import Families
from rocksalt.diffraction.forward.form_factors import form_factor
from rocksalt.diffraction.forward.texture import Axis, require_axis
from rocksalt.diffraction.wavelength import LONGEST_ANGSTROM, SHORTEST_ANGSTROM
from rocksalt.values import FloatArray

MOST_ATOMS: Final = 500_000
MOST_REFLECTIONS: Final = 2_000_000
MOST_TERMS: Final = 3e10  # atoms times reflections of a frame: about a minute of one core
MOST_LINES: Final = 5000  # what `pattern` can draw in memory
SAME_D: Final = 1e-4
"""Relative: spacings that close are one line, far below any line's width."""
_ATOMS_AT_ONCE: Final = 4096
_FLAT: Final = 1e-3  # of the product of the edges: below, three vectors in a plane and no box
_LEAST_ORDER: Final = 0.02  # of |sum of exp| over the number of atoms; a crystal has 0.1 and more, chance 1 / sqrt(n)
_ALKALI, _HALOGEN = frozenset({"Li", "Na", "K", "Rb", "Cs"}), frozenset({"F", "Cl", "Br", "I"})


class Frame(Protocol):
    """What is asked of a frame; `ase.Atoms` has it."""

    @property
    def positions(self) -> FloatArray: ...
    @property
    def cell(self) -> Any: ...
    @property
    def pbc(self) -> Any: ...
    def get_chemical_symbols(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class FramesCrystal:
    """Reflections (m,) of a supercell down to `d_min_angstrom`, one of each Friedel pair. Lists its families.

    species       (element, charge), s of them
    hkl           (m, 3), of the unit cell that `repeats` made of the box
    vectors       (m, 3) reciprocal vectors (1/A) of the mean cell, by rising length; `reciprocal` (3, 3) times the
                  indices, for a texture's axis too
    correlations  (s, s, m): mean over frames of Re(A_i A_j*) / V^2 with A_i the sum of exp(2 pi i h.r) over species i
    """

    name: str
    frames: int
    d_min_angstrom: float
    species: tuple[tuple[str, int], ...]
    reciprocal: FloatArray
    hkl: NDArray[np.int64]
    vectors: FloatArray
    correlations: FloatArray

    def families(self, wavelength_angstrom: float, two_theta_max_deg: float, axis: Axis = (1, 0, 0)) -> Families:
        """Lines up to an angle, by falling spacing. Raises ForwardError where they go below `d_min_angstrom`.

        Spacings within 1e-4 are one line, of their mean spacing. Poles count by their intensity, so that a texture is
        right where reflections of one spacing differ. The mean of Friedel's pairs is taken.
        """
        require("wavelength_angstrom", wavelength_angstrom, SHORTEST_ANGSTROM, LONGEST_ANGSTROM, "powder diffraction")
        require("two_theta_max_deg", two_theta_max_deg, 1e-3, 180.0, "no beam is diffracted beyond its source")
        require_axis(axis)
        d_min = wavelength_angstrom / (2.0 * np.sin(np.radians(two_theta_max_deg) / 2.0))
        if d_min < self.d_min_angstrom * (1.0 - 1e-9):
            raise ForwardError(
                f"{self.name}: {two_theta_max_deg:g} deg at {wavelength_angstrom:g} A reaches spacings of {d_min:.4g} "
                f"A, and its reflections were computed down to {self.d_min_angstrom:.4g} A; make it with a smaller "
                "d_min_angstrom"
            )
        length = np.linalg.norm(self.vectors, axis=1)
        count = int(np.searchsorted(length, 1.0 / d_min, side="right"))
        length, vectors = length[:count], self.vectors[:count]
        factors = [form_factor(symbol, charge, length**2 / 4.0, wavelength_angstrom) for symbol, charge in self.species]
        intensity = np.zeros(count)
        for i, one in enumerate(factors):
            for j, other in enumerate(factors):
                intensity += (one * other.conj()).real * self.correlations[i, j, :count]
        first = _starts(length)
        line = np.repeat(np.arange(len(first)), np.diff(first, append=count))
        numbers = np.bincount(line, minlength=len(first))
        pole = self.reciprocal @ np.asarray(axis, dtype=np.float64)
        cos2 = np.minimum((vectors @ (pole / np.linalg.norm(pole))) ** 2 / length**2, 1.0)
        angles, share = _poles(line, cos2, np.maximum(intensity, 0.0), len(first))
        return Families(
            self.hkl[first],
            2 * numbers,
            numbers / np.bincount(line, length, len(first)),
            2.0 * np.maximum(np.bincount(line, intensity, len(first)), 0.0),
            angles,
            share,
            None,
        )


def crystal_from_frames(
    frames: Iterable[Frame],
    *,
    d_min_angstrom: float,
    repeats: tuple[int, int, int] = (1, 1, 1),
    charges: Mapping[str, int] | None = None,
    name: str = "frames",
) -> FramesCrystal:
    """A crystal from the frames of one simulation (the same atoms in each), `ase.Atoms` or what looks like them.

    `d_min_angstrom` is the smallest spacing that a pattern will need: lambda / (2 sin th) of its end and two degrees
    beyond. `repeats` says how many unit cells the box holds along its edges: only their reflections are computed, the
    Bragg lines (with the thermal diffuse scattering at the very points of the lattice, about one part in the number of
    cells). With (1, 1, 1) all reflections of the box are lines, and the diffuse scattering between them shows.
    `charges` by element choose the form factors; None: +1 and -1 in a frame of nothing but alkali metals and halogens,
    else atoms.

    The mean over frames is of |F|^2, so that a crystal which drifts as a whole loses nothing. Direct sums over atoms,
    factored along the three indices. Raises ForwardError: no frame, no cell, one that isn't right-handed or periodic,
    positions that are no numbers, frames of different atoms, too many atoms or reflections, a box that isn't `repeats`.
    """
    require("d_min_angstrom", d_min_angstrom, 0.25, 50.0, "form factors are good to s = 2 per angstrom, d = 0.25 A")
    if np.shape(repeats) != (3,) or not all(n >= 1 and n == int(n) for n in repeats):
        raise ForwardError(f"repeats is {repeats}; give the number of unit cells along each of the box's three edges")
    count, summed, cells = 0, np.zeros(0), np.zeros((3, 3))
    first: Counter[str] = Counter()
    symbols: list[str] = []
    hkl = np.zeros((0, 3), dtype=np.int64)
    for number, frame in enumerate(frames):
        cell, here = _cell(frame, number), frame.get_chemical_symbols()
        if not 1 <= len(here) <= MOST_ATOMS:
            raise ForwardError(f"frame {number} has {len(here)} atoms; this takes 1 to {MOST_ATOMS} of them")
        if number == 0:
            first, symbols = Counter(here), sorted(set(here))
            hkl = _reflections(cell / np.array(repeats)[:, None], d_min_angstrom, len(here))
        if Counter(here) != first:
            raise ForwardError(f"frame {number} holds {_formula(here)} and frame 0 {_formula(list(first.elements()))}")
        positions = np.asarray(frame.positions, dtype=np.float64)
        if not np.isfinite(positions).all():
            raise ForwardError(f"frame {number} has a position that is NaN or infinite")
        fractions, kinds = (positions @ np.linalg.inv(cell)) * np.array(repeats), np.array(here)
        sums = np.stack([_sum(fractions[kinds == symbol], hkl) for symbol in symbols])
        squares = np.asarray(np.einsum("im,jm->ijm", sums, sums.conj()).real / np.linalg.det(cell) ** 2)
        count, summed, cells = count + 1, summed + squares if count else squares, cells + cell
    if not count:
        raise ForwardError(f"{name}: there is no frame to make a crystal from")
    mean, correlations = cells / count, summed / count
    _require_order(name, correlations * np.linalg.det(mean) ** 2, [first[s] for s in symbols], repeats)
    reciprocal = np.linalg.inv(mean / np.array(repeats)[:, None])  # columns a*, b*, c* of the unit cell
    vectors: FloatArray = hkl.astype(np.float64) @ reciprocal.T
    order = np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")
    states = _charges(symbols) if charges is None else dict(charges)
    species = tuple((symbol, states.get(symbol, 0)) for symbol in symbols)
    for symbol, charge in species:  # an unknown element is told here, not by the first pattern
        form_factor(symbol, charge, np.zeros(1), 1.0)
    crystal = FramesCrystal(
        name, count, d_min_angstrom, species, reciprocal, hkl[order], vectors[order], correlations[..., order]
    )
    lines = len(_starts(np.linalg.norm(crystal.vectors, axis=1)))
    if lines > MOST_LINES:
        raise ForwardError(
            f"{name}: {lines} lines of different spacing, and a pattern takes {MOST_LINES}; say how many unit cells "
            "the box holds (repeats), or ask for a larger d_min_angstrom"
        )
    return crystal


def _cell(frame: Frame, number: int) -> FloatArray:
    """Cell vectors (3, 3) in rows, in angstrom. Raises ForwardError."""
    cell = np.array(frame.cell[:], dtype=np.float64).reshape(3, 3)
    volume = float(np.linalg.det(cell))
    edges = float(np.prod(np.linalg.norm(cell, axis=1)))
    if not np.isfinite(volume) or abs(volume) <= _FLAT * edges:
        raise ForwardError(f"frame {number} has no cell (volume {volume:g} A3); diffraction needs a periodic box")
    if volume < 0.0:
        raise ForwardError(
            f"frame {number} has a left-handed cell (volume {volume:g} A3); exchange two of its vectors, and the "
            "coordinates with them"
        )
    if not np.all(frame.pbc):
        raise ForwardError(f"frame {number} is periodic along {frame.pbc} only; diffraction needs a periodic box")
    return cell


def _reflections(cell: FloatArray, d_min: float, atoms: int) -> NDArray[np.int64]:
    """One of each Friedel pair (m, 3) down to `d_min`. Raises ForwardError before it would take too long."""
    import gemmi

    volume = float(np.linalg.det(cell))
    count = 2.0 * np.pi / 3.0 * volume / d_min**3
    if count > MOST_REFLECTIONS or count * atoms > MOST_TERMS:
        raise ForwardError(
            f"a cell of {volume:.6g} A3 has {count:.3g} reflections down to {d_min:g} A, for {atoms} atoms; the limits "
            f"are {MOST_REFLECTIONS:g} reflections and {MOST_TERMS:g} times atoms (a minute a frame): say how many "
            "unit cells the box holds (repeats), or ask for a larger d_min_angstrom"
        )
    edges = np.linalg.norm(cell, axis=1)
    cosines = [cell[i] @ cell[j] / (edges[i] * edges[j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    unit = gemmi.UnitCell(*edges.tolist(), *np.degrees(np.arccos(cosines)).tolist())
    return np.asarray(gemmi.make_miller_array(unit, gemmi.SpaceGroup("P 1"), d_min), dtype=np.int64).reshape(-1, 3)


def _sum(fractions: FloatArray, hkl: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Sum over atoms (n, 3) of exp(2 pi i h.r) for reflections (m, 3): a matrix product for each value of l."""
    total = np.zeros(len(hkl), dtype=np.complex128)
    low, high = hkl.min(axis=0, initial=0), hkl.max(axis=0, initial=0)
    for begin in range(0, len(fractions), _ATOMS_AT_ONCE):
        part = fractions[begin : begin + _ATOMS_AT_ONCE]
        h, k, m = (np.exp(2j * np.pi * np.multiply.outer(np.arange(low[i], high[i] + 1), part[:, i])) for i in range(3))
        for value in range(low[2], high[2] + 1):
            rows = np.flatnonzero(hkl[:, 2] == value)
            if rows.size:
                of_h, of_k = hkl[rows, 0] - low[0], hkl[rows, 1] - low[1]
                some_h = slice(of_h.min(), of_h.max() + 1)
                some_k = slice(of_k.min(), of_k.max() + 1)
                plane = (h[some_h] * m[value - low[2]]) @ k[some_k].T
                total[rows] += plane[of_h - some_h.start, of_k - some_k.start]
    return total


def _starts(length: FloatArray) -> NDArray[np.int64]:
    """Where the lines begin in ascending reciprocal lengths."""
    starts, at = [], 0
    while at < len(length):
        starts.append(at)
        at = int(np.searchsorted(length, length[at] * (1.0 + SAME_D), side="right"))
    return np.array(starts, dtype=np.int64)


def _poles(line: NDArray[np.int64], cos2: FloatArray, weight: FloatArray, lines: int) -> tuple[FloatArray, FloatArray]:
    """Distinct cos^2 (to 1e-6) of each line's poles, and the share of its intensity at each: (lines, k), padded."""
    steps = 1_000_000
    keys, inverse = np.unique(line * (steps + 1) + np.rint(cos2 * steps).astype(np.int64), return_inverse=True)
    of, value = keys // (steps + 1), (keys % (steps + 1)) / steps
    place = np.arange(len(keys)) - np.searchsorted(of, of)
    # A line without intensity has no share to speak of; equal ones do no harm.
    whole = np.bincount(line, weight, lines)
    equal = 1.0 / np.maximum(np.bincount(line, minlength=lines), 1)
    share = np.where(whole[line] > 0.0, weight / np.where(whole[line] > 0.0, whole[line], 1.0), equal[line])
    wide = np.zeros((2, lines, int(place.max(initial=0)) + 1))
    wide[0, of, place], wide[1, of, place] = value, np.bincount(inverse, share, len(keys))
    return wide[0], wide[1]


def _require_order(name: str, squares: FloatArray, counts: list[int], repeats: tuple[int, int, int]) -> None:
    """A box that isn't made of `repeats` cells has no Bragg line where they would be."""
    if all(n == 1 for n in repeats):
        return
    best = max(float(np.sqrt(squares[i, i].max(initial=0.0))) / count for i, count in enumerate(counts))
    if best < max(_LEAST_ORDER, 4.0 / np.sqrt(max(counts))):
        raise ForwardError(
            f"{name}: a box of {' x '.join(map(str, repeats))} unit cells would have Bragg lines, and this one has "
            "none there: the number of cells is another, or it has melted (repeats (1, 1, 1) takes it as it is)"
        )


def _charges(symbols: list[str]) -> dict[str, int]:
    states = {symbol: 1 if symbol in _ALKALI else -1 for symbol in symbols if symbol in _ALKALI | _HALOGEN}
    salt = len(states) == len(symbols) and {1, -1} <= set(states.values())
    return states if salt else {}


def _formula(symbols: list[str]) -> str:
    return " ".join(f"{symbol}{count}" for symbol, count in sorted(Counter(symbols).items()))
