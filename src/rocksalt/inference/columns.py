"""What the fit is a sum of.

One column for each line, spare peak and parasite, and one for each way in which the lines can move.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from rocksalt.inference.profile import Lines, pseudo_voigt
from rocksalt.inference.radiation import Radiation
from rocksalt.inference.templates import Template
from rocksalt.values import FloatArray

REACH: Final = 14.0  # FWHM to either side within which a line is drawn
_DEGREES: Final = 180.0 / np.pi


@dataclass(frozen=True, slots=True)
class Data:
    """What is fitted, (n,) on even steps: intensity less the first baseline, and its variance (huge where masked).

    splines   (k, n) what the background may be beyond the first baseline
    spare     degrees of foreign peaks that get a line of their own each
    """

    two_theta: FloatArray
    net: FloatArray
    variance: FloatArray
    splines: FloatArray
    spare: tuple[float, ...] = ()


@dataclass(slots=True)
class Shape:
    """The parameters that enter non-linearly: ln a and strain width (degrees) of each phase, and what all share.

    stress_gpa   uniaxial stress t; it moves lines where `pulls`, the phases' Q per GPa (m,), are given (`stress.py`)
    """

    log_a: FloatArray
    strain: FloatArray
    width: float
    mixing: float = 0.5
    shift: float = 0.0
    stress_gpa: float = 0.0
    pulls: tuple[FloatArray, ...] = ()

    def pulled(self, p: int, d: FloatArray, here: np.ndarray, wavelength: float) -> FloatArray:
        """Relative change of the spacings d (angstrom) of phase p's lines `here` by 1 GPa of stress."""
        if not self.pulls:
            return np.zeros_like(d)
        return np.asarray((1.0 - 3.0 * (wavelength / (2.0 * d)) ** 2) * self.pulls[p][here])


@dataclass(frozen=True, slots=True)
class PhaseLines:
    """One phase's lines on the pattern, as they stand now.

    here             (m,) which of the template's lines are on the pattern; the rest has one entry for each of them
    angle, fwhm      degrees, of the main wavelength
    columns          (count, n) profiles of unit area
    """

    here: np.ndarray
    angle: FloatArray
    fwhm: FloatArray
    columns: FloatArray


@dataclass(frozen=True, slots=True)
class Drawing:
    """All columns. `moves`, if any, is (2 p + 4, n): by ln a and strain of each phase, width, mixing, shift, stress."""

    phases: tuple[PhaseLines, ...]
    spare: FloatArray
    parasites: FloatArray
    moves: FloatArray | None


@dataclass(slots=True)
class _Canvas:
    """Scatters windows of profiles into rows, with margins so that lines near the ends need no special care."""

    x: FloatArray
    half: int
    padded: int = field(init=False)

    def __post_init__(self) -> None:
        self.padded = self.x.size + 2 * self.half + 2

    def windows(self, centres: FloatArray) -> tuple[np.ndarray, FloatArray]:
        """Indices into padded rows and the degrees of the points in each line's window; both (m, 2 half + 1)."""
        step = self.x[1] - self.x[0]
        middle = np.clip(np.rint((centres - self.x[0]) / step).astype(int), 0, self.x.size - 1)
        offsets = np.arange(-self.half, self.half + 1)
        index = middle[:, None] + offsets[None, :]
        return index + self.half, self.x[0] + step * index

    def cut(self, rows: FloatArray) -> FloatArray:
        return rows[..., self.half : self.half + self.x.size]


def draw(
    data: Data,
    radiation: Radiation,
    templates: tuple[Template, ...],
    shape: Shape,
    masks: list[np.ndarray],
    areas: list[FloatArray] | None,
) -> Drawing:
    """Columns at `shape` of the lines in `masks` (`on_pattern`); with `areas`, an array a phase, also how they move."""
    x = data.two_theta
    step = float(x[1] - x[0])
    tops = [shape.width + max(float(s), 0.0) * np.tan(np.radians(float(x[-1]) / 2.0)) for s in shape.strain]
    half = min(int(REACH * max([shape.width, *tops]) / step) + 1, x.size)
    canvas = _Canvas(x, half)
    count = len(templates)
    moves = np.zeros((2 * count + 4, canvas.padded)) if areas is not None else None
    parasites = np.zeros((len(radiation.parasites), canvas.padded))
    drawn = []
    for p, template in enumerate(templates):
        a = float(np.exp(shape.log_a[p]))
        here = masks[p]
        rows = np.zeros((int(here.sum()), canvas.padded))
        d = a * template.ratio[here]
        pull = shape.pulled(p, d, here, radiation.main)
        d = d * (1.0 + shape.stress_gpa * pull)
        angle = 2.0 * np.degrees(np.arcsin(np.minimum(radiation.main / (2.0 * d), 1.0)))
        for wavelength, weight in radiation.components:
            part = _Part.at(canvas, d, wavelength, shape, p, radiation.tube is not None)
            rows[np.arange(rows.shape[0])[:, None], part.index] += weight * part.lines.value
            if moves is not None and areas is not None:
                part.move(moves, p, count, weight * areas[p], pull)
        for q, wavelength in enumerate(radiation.parasites):
            if areas is not None and rows.shape[0]:
                part = _Part.at(canvas, d, wavelength, shape, p, True)
                parasites[q] += np.bincount(
                    part.index.ravel(), (areas[p][:, None] * part.lines.value).ravel(), canvas.padded
                )
        drawn.append(PhaseLines(here, angle, _widths(angle, shape, p), canvas.cut(rows)))
    spare = _spare(canvas, data.spare, shape)
    return Drawing(tuple(drawn), spare, canvas.cut(parasites), None if moves is None else canvas.cut(moves))


def on_pattern(data: Data, radiation: Radiation, template: Template, a: float, width: float) -> np.ndarray:
    """Which of the template's lines stand on the pattern, two widths (degrees) from its ends. (m,) of bool."""
    angle = np.nan_to_num(template.two_theta(a, radiation.main), nan=-1.0)
    x = data.two_theta
    return np.asarray((angle > x[0] + 2.0 * width) & (angle < x[-1] - 2.0 * width))


@dataclass(frozen=True, slots=True)
class _Part:
    """The windows of one phase's lines in one wavelength."""

    index: np.ndarray
    lines: Lines
    tangent: FloatArray
    arm: FloatArray

    @classmethod
    def at(cls, canvas: _Canvas, d: FloatArray, wavelength: float, shape: Shape, p: int, tube: bool) -> _Part:
        sine = np.minimum(wavelength / (2.0 * d), 0.9999)
        theta = np.arcsin(sine)
        tangent = np.tan(theta)
        arm = np.cos(theta) if tube else np.ones_like(theta)
        centres = 2.0 * theta * _DEGREES + shape.shift * arm
        widths = shape.width + shape.strain[p] * tangent
        index, points = canvas.windows(centres)
        return cls(index, _profiles(points, centres, widths, shape.mixing), tangent, arm)

    def move(self, moves: FloatArray, p: int, count: int, areas: FloatArray, pull: FloatArray) -> None:
        """Adds what a change of each parameter does to the sum of the lines."""
        by_centre = areas[:, None] * self.lines.by_centre
        by_width = areas[:, None] * self.lines.by_width
        flat = self.index.ravel()

        def add(row: int, values: FloatArray) -> None:
            moves[row] += np.bincount(flat, values.ravel(), moves.shape[1])

        by_spacing = by_centre * (-2.0 * self.tangent[:, None] * _DEGREES)
        add(p, by_spacing)
        add(count + p, by_width * self.tangent[:, None])
        add(2 * count, by_width)
        add(2 * count + 1, areas[:, None] * self.lines.by_mixing)
        add(2 * count + 2, by_centre * self.arm[:, None])
        add(2 * count + 3, by_spacing * pull[:, None])


def _profiles(points: FloatArray, centres: FloatArray, widths: FloatArray, mixing: float) -> Lines:
    """Profiles on windows of their own: shifting each window to its centre lets one call draw all of them."""
    return pseudo_voigt(points - centres[:, None], np.zeros_like(centres), widths, mixing)


def _widths(angle: FloatArray, shape: Shape, p: int) -> FloatArray:
    return np.asarray(shape.width + shape.strain[p] * np.tan(np.radians(angle / 2.0)))


def _spare(canvas: _Canvas, spare: tuple[float, ...], shape: Shape) -> FloatArray:
    centres = np.asarray(spare, dtype=float)
    rows = np.zeros((centres.size, canvas.padded))
    if centres.size:
        index, points = canvas.windows(centres)
        rows[np.arange(centres.size)[:, None], index] = _profiles(
            points, centres, np.full(centres.size, 1.3 * shape.width), shape.mixing
        ).value
    return canvas.cut(rows)
