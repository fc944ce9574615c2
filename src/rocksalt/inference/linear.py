"""One linear step of the whole-pattern fit: areas, scales, background and small moves of the shape, all at once.

Normal equations with ridges for what is believed before the data speak, and areas that can't go below zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.inference.columns import Data, Drawing, Shape
from rocksalt.inference.radiation import Radiation
from rocksalt.inference.response import MASKED
from rocksalt.values import FloatArray

_TUBE_SHIFT_DEG: Final = 0.06  # spread of a laboratory sample's displacement: 2 s / R, s = 0.1 mm
_STRESS_GPA: Final = 0.05  # spread of the uniaxial stress that a soft salt bears between diamonds
_BEAM_SHIFT_DEG: Final = 0.03  # of an area detector's zero: two pixels of its centre; its distance hides in the cell


@dataclass(frozen=True, slots=True)
class Solved:
    """One linear step: areas and scales with sigmas, the moves with theirs, and the pattern in its parts."""

    areas: list[FloatArray]
    area_sigmas: list[FloatArray]
    scales: FloatArray
    scale_sigmas: FloatArray
    step: FloatArray
    step_sigmas: FloatArray
    lines: FloatArray
    foreign: FloatArray
    background: FloatArray

    @classmethod
    def nothing(cls, phases: int, points: int) -> Solved:
        """Before the first step."""
        none, flat = np.zeros(phases), np.zeros(points)
        return cls([], [], none, none, np.zeros(2 * phases + 4), np.zeros(2 * phases + 4), flat, flat, flat)


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed of the moving parameters before the data speak."""

    shape: Shape
    width: float
    radiation: Radiation

    def rows(self) -> tuple[FloatArray, FloatArray]:
        """Wanted steps and their spreads, in the order of `Drawing.moves`."""
        count = self.shape.log_a.size
        shift = _TUBE_SHIFT_DEG if self.radiation.tube else _BEAM_SHIFT_DEG
        wanted = np.concatenate(
            (
                np.zeros(count),
                -0.5 * self.shape.strain,
                [0.0, 0.5 - self.shape.mixing, -self.shape.shift, -self.shape.stress_gpa],
            )
        )
        spread = np.concatenate(
            (
                np.full(count, 4e-3),
                np.full(count, self.width),
                [0.5 * self.width, 0.25, shift, _STRESS_GPA],
            )
        )
        return wanted, spread


def solve(
    data: Data,
    drawing: Drawing,
    here: list[FloatArray],
    variance: FloatArray,
    scales: FloatArray,
    ties: list[FloatArray],
    tie: Belief | None,
) -> Solved:
    """One linear step: background, spare peaks, parasites, areas, scales and, with `tie`, the moves."""
    weight = np.where(variance < MASKED, 1.0 / variance, 0.0)
    blocks = [data.splines, drawing.spare, drawing.parasites, *(d.columns for d in drawing.phases)]
    if tie is not None and drawing.moves is not None:
        blocks.append(drawing.moves)
    design = np.concatenate(blocks)
    ends = np.cumsum([b.shape[0] for b in blocks])
    n_phases, n_design = len(here), design.shape[0]
    size = n_design + n_phases
    weighted = design * weight
    gram = np.zeros((size, size))
    gram[:n_design, :n_design] = weighted @ design.T
    right = np.zeros(size)
    right[:n_design] = weighted @ data.net
    diagonal = gram.diagonal().copy()
    line_slices = [slice(int(ends[2 + p]), int(ends[3 + p])) for p in range(n_phases)]
    for p, (at, strength) in enumerate(zip(line_slices, here, strict=True)):
        # tie: (A - S I) / (slack S0 I), S0 never below what noise alone would give the strongest line
        noise = 1.0 / np.sqrt(np.maximum(diagonal[at], 1e-300))
        least = float(np.min(noise / np.maximum(strength, 1e-12 * strength.max()))) if strength.size else 1.0
        spread = ties[p] * max(float(scales[p]), 0.5 * least) * np.maximum(strength, 1e-4 * strength.max())
        tight = 1.0 / spread**2
        index = np.arange(at.start, at.stop)
        gram[index, index] += tight
        gram[index, n_design + p] -= tight * strength
        gram[n_design + p, index] -= tight * strength
        gram[n_design + p, n_design + p] += float((tight * strength**2).sum())
    if tie is not None:
        wanted, spread = tie.rows()
        index = np.arange(int(ends[-2]), int(ends[-1]))
        gram[index, index] += 1.0 / spread**2
        right[index] += wanted / spread**2
    n_back = data.splines.shape[0]
    positive = np.zeros(size, dtype=bool)
    positive[n_back : int(ends[2 + n_phases])] = True
    positive[n_design:] = True
    x, covariance = _positive_solution(gram, right, positive)
    sigma = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
    moves = slice(int(ends[-2]), int(ends[-1])) if tie is not None else slice(0, 0)
    areas = [x[at] for at in line_slices]
    lines = np.zeros_like(data.net)
    for area, d in zip(areas, drawing.phases, strict=True):
        lines += area @ d.columns
    foreign = x[n_back : int(ends[2])] @ design[n_back : int(ends[2])]
    return Solved(
        areas, [sigma[at] for at in line_slices], x[n_design:], sigma[n_design:], x[moves], sigma[moves],
        lines, foreign, x[:n_back] @ data.splines,
    )  # fmt: skip


def _positive_solution(gram: FloatArray, right: FloatArray, positive: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Solves gram x = right with x >= 0 where `positive`, clearing what goes negative; and the inverse of gram."""
    diagonal = gram.diagonal()
    scale = np.where(diagonal > 1e-200, 1.0 / np.sqrt(np.maximum(diagonal, 1e-200)), 0.0)  # 0: a column of nothing
    normal = gram * scale[:, None] * scale[None, :]
    normal[np.diag_indices_from(normal)] += 1e-10
    inverse = np.linalg.inv(normal)
    target = right * scale
    solution = inverse @ target
    active = np.ones(right.size, dtype=bool)
    for _ in range(6):
        negative = positive & active & (solution < 0.0)
        if not negative.any():
            break
        active &= ~negative
        solution = np.zeros(right.size)
        solution[active] = np.linalg.solve(normal[np.ix_(active, active)], target[active])
    solution[positive] = np.maximum(solution[positive], 0.0)
    return np.asarray(solution * scale), np.asarray(inverse * scale[:, None] * scale[None, :])
