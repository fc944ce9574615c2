"""What of a salt's lines depends on the cell alone, as Chebyshev series in the cell: strength, softness, Singh's Q.

Made once for an evaluator; looking all of it up is one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.crystals.tables import Phase
from rocksalt.diffraction.forward.errors import ForwardError
from rocksalt.diffraction.forward.instrument import Emission
from rocksalt.diffraction.forward.pattern import Powder
from rocksalt.values import FloatArray

WINDOW: Final = 0.04
"""How far, relative, a cell may move from the one its evaluator was made for."""
_ORDER: Final = 11
_NODES: Final = np.cos(np.pi * (np.arange(_ORDER) + 0.5) / _ORDER)
_FIT: Final = np.linalg.inv(np.polynomial.chebyshev.chebvander(_NODES, _ORDER - 1))
_DEGREES: Final = np.arange(_ORDER, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Group:
    """All families of all p phases for one emission: m families, on l lines where families coincide, else l = m.

    `table` (p order, m + l or more) gives strengths (m,), then the FWHM of dd/d by pressure's spread (l,) and Singh's Q
    for 1 GPa (l,) where `spreads` and `stressed`. `phase_of_family` (m,), `phase_of_line` (p, l) of zeros and ones;
    `line` (m,), and `first` (l,) a line's first family; `gammas` (l,).
    """

    emission: Emission
    table: FloatArray
    spreads: bool
    stressed: bool
    phase_of_family: NDArray[np.int64]
    phase_of_line: FloatArray
    line: NDArray[np.int64]
    first: NDArray[np.int64]
    d_over_a: FloatArray
    gammas: FloatArray
    cos2: FloatArray
    share: FloatArray

    def look_up(self, polynomials: FloatArray) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
        """Strengths (b, m), widths by pressure (b, l) and Q (b, l) from what `basis` gave."""
        found = polynomials @ self.table
        m, count = len(self.line), len(self.first)
        spread = found[:, m : m + count] if self.spreads else None
        return found[:, :m], spread, found[:, -count:] if self.stressed else None

    def texture(self, march_r: FloatArray) -> FloatArray:
        """What March-Dollase textures (b, p) make of the strengths: factors (b, m)."""
        r = march_r[:, self.phase_of_family, None]
        density = (r * r - 1.0 / r) * self.cos2 + 1.0 / r
        return np.asarray((self.share / (density * np.sqrt(density))).sum(axis=-1))


def basis(a_angstrom: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Chebyshev polynomials (b, p order) of cells (b, p) in windows (p,): T_k(u) = cos(k arccos u)."""
    unit = ((a_angstrom - low) + (a_angstrom - high)) / (high - low)
    angle = np.arccos(np.minimum(np.maximum(unit, -1.0), 1.0))
    return np.asarray(np.cos(angle[..., None] * _DEGREES).reshape(len(a_angstrom), -1))


def window(powder: Powder) -> tuple[float, float]:
    """Cells (A) that can be tabulated: 4 % about the powder's, less where its equation of state or its elastic
    constants are asked for and end before. Raises ForwardError, or what the table raises, where its own cell is out."""
    assert powder.a_angstrom is not None
    start = powder.a_angstrom
    _of_the_cell(powder, start)
    ends = []
    for end in (start * (1.0 - WINDOW), start * (1.0 + WINDOW)):
        inner, outer = start, end
        if not _known(powder, end):
            for _ in range(40):
                middle = 0.5 * (inner + outer)
                inner, outer = (middle, outer) if _known(powder, middle) else (inner, middle)
            end = inner
        ends.append(end)
    if not ends[1] - ends[0] > 1e-6 * start:
        raise ForwardError(
            f"{powder.crystal.name}: its cell of {start:g} A lies at the very end of what its equation of state and "
            "elastic constants cover; start the evaluator inside"
        )
    return ends[0], ends[1]


def tabulate(
    phases: Sequence[Powder], emission: Emission, limit_deg: float, low: FloatArray, high: FloatArray
) -> Group:
    """One emission's families, at the largest cell's reach, so that none is missed at any cell. Raises ForwardError."""
    # Stress, and strain that depends on hkl, part families of one spacing (333 and 511); else they are one line.
    parted = any(p.deviatoric or p.microstrain_hhh is not None or p.microstrain_lorentz_hhh is not None for p in phases)
    spreads, stressed = any(p.pressure_spread_gpa for p in phases), any(p.deviatoric for p in phases)
    blocks: list[list[FloatArray]] = []
    families, first, gammas = [], [], []
    for powder, smallest, largest in zip(phases, low.tolist(), high.tolist(), strict=True):
        full = replace(powder, a_angstrom=largest).families(emission.wavelength_angstrom, limit_deg)
        norm = (full.hkl**2).sum(axis=1)
        starts = np.arange(len(norm)) if parted else np.unique(norm, return_index=True)[1]
        cells = 0.5 * (smallest + largest) + 0.5 * (largest - smallest) * _NODES
        parts = [np.stack([_strengths(powder, a, emission, len(norm)) for a in cells.tolist()])]
        known = [_of_the_cell(powder, a, full.hkl[starts]) for a in cells.tolist()]
        if spreads:
            parts.append(np.stack([np.full(len(starts), spread) for spread, _ in known]))
        if stressed:
            parts.append(np.stack([q for _, q in known]))
        assert full.gammas is not None
        blocks.append([_FIT @ part for part in parts])
        families.append(full)
        first.append(starts)
        gammas.append(full.gammas[starts])
    table = np.concatenate([_diagonal([block[i] for block in blocks]) for i in range(len(blocks[0]))], axis=1)
    counts, lines = np.array([len(f.hkl) for f in families]), np.array([len(f) for f in first])
    begin = np.concatenate([starts + before for starts, before in zip(first, np.cumsum(counts) - counts, strict=True)])
    k = max(f.cos2.shape[1] for f in families)
    norms = np.concatenate([(f.hkl[s] ** 2).sum(axis=1) for f, s in zip(families, first, strict=True)])
    return Group(
        emission,
        table,
        spreads,
        stressed,
        np.repeat(np.arange(len(phases)), counts),
        np.repeat(np.eye(len(phases)), lines, axis=1),
        np.repeat(np.arange(len(begin)), np.diff(begin, append=counts.sum())),
        begin,
        1.0 / np.sqrt(norms),
        np.concatenate(gammas),
        np.concatenate([np.pad(f.cos2, ((0, 0), (0, k - f.cos2.shape[1]))) for f in families]),
        np.concatenate([np.pad(f.share, ((0, 0), (0, k - f.share.shape[1]))) for f in families]),
    )


def _of_the_cell(
    powder: Powder, a: float, hkl: NDArray[np.int64] | tuple[tuple[int, int, int], ...] = ((2, 0, 0),)
) -> tuple[float, FloatArray]:
    """FWHM of dd/d by the spread of pressure, and Q for 1 GPa (0 without stress), at cell a. Raises what they raise."""
    assert isinstance(powder.crystal, Phase)
    stress, spread = powder.deviatoric, replace(powder, a_angstrom=a).pressure_strain()
    if stress is None:
        return spread, np.zeros(len(hkl))
    return spread, stress.q_per_gpa(powder.crystal, a, powder.temperature_k, hkl)


def _known(powder: Powder, a: float) -> bool:
    try:
        _of_the_cell(powder, a)
    except ValueError:
        return False
    return True


def _diagonal(blocks: Sequence[FloatArray]) -> FloatArray:
    """Blocks (order, m_i) as one array (sum of orders, sum of m_i), zero off the diagonal."""
    out = np.zeros((sum(len(block) for block in blocks), sum(block.shape[1] for block in blocks)))
    row = column = 0
    for block in blocks:
        out[row : row + len(block), column : column + block.shape[1]] = block
        row, column = row + len(block), column + block.shape[1]
    return out


def _strengths(powder: Powder, a: float, emission: Emission, count: int) -> FloatArray:
    """Strengths of the first `count` families at cell a. Raises ForwardError where some have no angle there."""
    # sin(theta) goes as 1/a: at a smaller cell the same lines reach farther, as far as there is an angle.
    found = replace(powder, a_angstrom=a).families(emission.wavelength_angstrom, 179.99).strength
    if len(found) < count:
        raise ForwardError(
            "lines near backscattering leave the sphere of reflection as the cell shrinks by 4 %: the fast "
            "evaluator needs a pattern that ends some degrees earlier (about 145 deg); `pattern` has no such limit"
        )
    return found[:count]
