"""Figure: the patterns of a run above one another in the order of measurement, with the lines of the fitted cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rocksalt.analysis import words
from rocksalt.analysis.patterns import Patterns, height_of, level, rebinned, scaled
from rocksalt.analysis.style import B1_COLOUR, B2_COLOUR, FAINT, INK, MARKS, Drawing, draw
from rocksalt.crystals import structure, tables
from rocksalt.storage.history import Point
from rocksalt.values import Estimate, FloatArray, PhaseEstimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_ROWS: Final = 30  # more can't be told apart on a page
_MOST_POINTS: Final = 900  # across: two for each dot of a printed page would show no more
_STEP: Final = 0.62  # between neighbours, in heights of a strongest line
_CUT: Final = 1.25  # in heights of a strongest line: higher ones are cut off
_FOOT: Final = 0.15
_FLANK: Final = 15  # points
_WEAK: Final = 0.03  # of the strongest line; weaker ones are not marked
_ROOM: Final = 0.034  # of the width, for the indices of one line
_GUESSES: Final = 2  # of an unknown pattern
_GUESSED: Final = 0.35  # how strongly their ticks are drawn
_COLOURS: Final = {"B1": B1_COLOUR, "B2": B2_COLOUR}


def waterfall(patterns: Patterns, points: list[Point]) -> Drawing:
    """The patterns bottom to top as they were measured. Every k-th where there are more than a page shows."""
    estimates = {point.measurement.number: point.estimate for point in points}
    every = -(-len(patterns.measurement) // _MOST_ROWS)
    shown = list(range(len(patterns.measurement)))[::every]
    numbers = [patterns.measurement[row] for row in shown]
    last_deg = float(patterns.two_theta_deg[-1])
    seen = [_Seen.of(estimates.get(number), patterns.wavelength_angstrom, last_deg) for number in numbers]
    places = [line.two_theta_deg for one in seen for _, lines in one.phases for line in lines]
    first_deg = max(float(patterns.two_theta_deg[0]), 0.75 * min(places, default=0.0))
    use = patterns.two_theta_deg >= first_deg
    angles, rows = rebinned(patterns.two_theta_deg[use], patterns.intensity[shown][:, use], _MOST_POINTS)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for at, (number, row, one) in enumerate(zip(numbers, rows, seen, strict=True)):
            _one(axes, at * _STEP, number, angles, row, one)
        _name_lines(axes, seen, first_deg, last_deg)
        axes.set_xlim(first_deg, last_deg)
        axes.set_ylim(-0.35, (len(numbers) - 1) * _STEP + _CUT + 0.2)
        axes.set_xlabel(f"2θ (degrees), λ = {patterns.wavelength_angstrom:.4f} Å")
        axes.set_ylabel("intensity without what is broad, each to its own strongest line")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)

    left_out = "" if every == 1 else f" One pattern in {every} is shown."
    return Drawing(
        "waterfall",
        "Patterns",
        draw(min(2.2 + 0.27 * len(numbers), 9.4), paint),
        f"{len(numbers)} diffraction patterns above one another, measurement {numbers[0]} at the bottom to "
        f"{numbers[-1]} at the top, with ticks where the fitted B1 and B2 cells have their lines.",
        "Reduced patterns in the order of measurement, the first at the bottom; at the right the measurement's "
        "number, the sample's pressure and the label. Ticks below a pattern mark where the cells fitted to it have "
        "their lines, blue B1, orange B2; a sample or a detector that is a little displaced moves a pattern beside its "
        "ticks. Pale ticks below an unknown pattern are guesses that were refused. "
        "Grey and cut off: what is higher than the salt's strongest line, such as spots of the diamonds."
        f"{left_out}",
    )


def _one(axes: Axes, base: float, number: int, angles: FloatArray, row: FloatArray, seen: _Seen) -> None:
    """A pattern, its ticks, and at its right end what it is. What is higher than any line of the salt is cut off."""
    net = level(angles, row)
    heights = [
        height_of(angles, net, [(line.two_theta_deg, line.strength) for line in lines]) for _, lines in seen.phases
    ]
    curve = scaled(net, max(heights, default=0.0))
    high = curve > _CUT
    for _ in range(_FLANK):  # what stands on the flank of such a line belongs to it
        high |= (np.roll(high, 1) | np.roll(high, -1)) & (curve > _FOOT)
    beside = high | np.roll(high, 1) | np.roll(high, -1)
    axes.plot(
        angles, base + np.where(beside, np.minimum(curve, _CUT), np.nan), color="#c4c4c4", linewidth=0.5, zorder=2
    )
    axes.plot(angles, base + np.where(high, np.nan, curve), color=INK, linewidth=0.55, zorder=3)
    for phase, lines in seen.phases:
        places = [line.two_theta_deg for line in lines if line.two_theta_deg >= angles[0]]
        axes.vlines(
            places, base - 0.13, base - 0.02, color=_COLOURS[phase.structure], linewidth=1.0, zorder=4,
            alpha=_GUESSED if seen.guessed else 1.0,
        )  # fmt: skip
    axes.annotate(
        f"#{number}  {seen.words}", (1.0, base), xycoords=("axes fraction", "data"), xytext=(4, 0),
        textcoords="offset points", va="bottom", fontsize=7, color=seen.colour, annotation_clip=False,
    )  # fmt: skip


def _name_lines(axes: Axes, seen: list[_Seen], first_deg: float, last_deg: float) -> None:
    """Indices of the lines: of B1 below the first pattern that shows it, of B2 above the last one."""
    levels = list(enumerate(seen))
    for name, order in (("B1", levels), ("B2", levels[::-1])):
        sure = ((at, pair) for at, one in order for pair in one.phases if not one.guessed)
        found = next(((at, lines) for at, (phase, lines) in sure if phase.structure == name), None)
        if found is None:
            continue
        at, lines = found
        above = name == "B2"
        height = at * _STEP + (_CUT + 0.03 if above else -0.17)
        placed: list[float] = []
        for line in sorted(lines, key=lambda line: -line.strength):
            angle = line.two_theta_deg
            if angle < first_deg or any(abs(angle - other) < _ROOM * (last_deg - first_deg) for other in placed):
                continue  # the stronger of two that would be written over one another
            placed.append(angle)
            axes.text(
                angle, height, line.label, color=_COLOURS[name], fontsize=6.5, ha="center",
                va="bottom" if above else "top",
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the model said of one pattern: each phase with its lines, the words at the right end, their colour.

    guessed   the phases are what an unknown pattern might be, and no more
    """

    phases: tuple[tuple[PhaseEstimate, list[Line]], ...]
    words: str
    colour: str
    guessed: bool = False

    @classmethod
    def of(cls, estimate: Estimate | None, wavelength_angstrom: float, last_deg: float) -> _Seen:
        if estimate is None:
            return cls((), "model late", FAINT)
        pressure = "" if estimate.pressure_gpa is None else f"{words.fixed(estimate.pressure_gpa.value, 2)} GPa  "
        shown = estimate.phases or estimate.candidates[:_GUESSES]
        phases = tuple((phase, strong_lines(phase, wavelength_angstrom, last_deg)) for phase in shown)
        return cls(phases, f"{pressure}{estimate.label}", MARKS[estimate.label][1], not estimate.phases)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a fitted cell: 2 theta in degrees, hkl, and its strength among the phase's lines (1: the strongest)."""

    two_theta_deg: float
    label: str
    strength: float


def strong_lines(phase: PhaseEstimate, wavelength_angstrom: float, last_deg: float) -> list[Line]:
    """The lines of a fitted cell that a powder would show, by angle; weak ones are left out."""
    try:
        row = tables.phase(phase.salt, phase.structure)
        lines = structure.lines(row, phase.a_angstrom, wavelength_angstrom, min(last_deg, 170.0))
    except ValueError:  # a cell that no table knows: the estimate stands in the table of decisions, without ticks
        return []
    if not lines.two_theta_deg.size:
        return []
    strength = lines.intensity_per_volume * structure.lorentz_area_detector(lines.two_theta_deg)
    strength = strength / strength.max()
    return [
        Line(float(angle), label, float(share))
        for angle, label, share in zip(lines.two_theta_deg, lines.labels, strength, strict=True)
        if share >= _WEAK
    ]
