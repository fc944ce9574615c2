"""Each salt through its transition: volume of a formula unit against pressure, B1, B2, and the bands between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rocksalt.analysis.style import B1_COLOUR, B2_COLOUR, INK, draw
from rocksalt.crystals import eos
from rocksalt.crystals.tables import PHASES, SALTS, Phase
from rocksalt.crystals.transition import TRANSITIONS, Transition
from rocksalt.values import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 161
_LABELLED = ("KBr",)  # where there is room to say what the bands are: they mean the same in every panel
# What is shown of a salt without a transition in the table (GPa), and what is known of it instead.
_ALONE = {
    "LiF": (40.0, "B1 alone: no transition\nin static work to 109 GPa"),
    "CsCl": (28.7, "B2 from zero pressure on"),
    "CsBr": (20.0, "B2 from zero pressure on"),
    "CsI": (15.0, "B2; distorts continuously\nabove 15 to 20 GPa"),
}


def draw_transitions() -> bytes:
    """Twelve panels, three to a row."""

    def paint(figure: Figure) -> None:
        panels = figure.subplots(4, 3)
        for axes, salt in zip(panels.ravel(), SALTS, strict=True):
            _panel(axes, salt)
        figure.supylabel("volume of a formula unit / that of the crystal without pressure", fontsize=9.0, color=INK)
        figure.supxlabel("pressure (GPa), 300 K", fontsize=9.0, color=INK)

    return draw(9.0, paint)


def _panel(axes: Axes, salt: str) -> None:
    known = next(row for row in PHASES.values() if row.salt == salt)
    unit = known.v0_a3 / known.z
    axes.set_title(salt, loc="left", fontweight="bold", pad=3.0)
    fact = TRANSITIONS.get(salt)
    if fact is None:
        top, said = _ALONE[salt]
        colour = B1_COLOUR if known.structure == "B1" else B2_COLOUR
        _branch(axes, known, unit, colour, 0.0, top)
        axes.text(0.96, 0.93, said, transform=axes.transAxes, ha="right", va="top", fontsize=7.5, color=INK)
        axes.set_xlim(0.0, top)
        return
    top = 1.55 * fact.equilibrium_gpa
    for (low, high), colour in ((fact.reverse_gpa, B1_COLOUR), (fact.forward_gpa, B2_COLOUR)):
        axes.axvspan(low, min(high, top), color=colour, alpha=0.13, linewidth=0.0, zorder=0)
        if salt in _LABELLED:
            name = "B1\ngrows" if colour == B1_COLOUR else "B2\ngrows"
            axes.text(0.5 * (low + min(high, top)), 0.97, name, transform=axes.get_xaxis_transform(), ha="center",
                      va="top", fontsize=7.5, color=colour)  # fmt: skip
    axes.axvline(fact.equilibrium_gpa, color=INK, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
    _branch(axes, known, unit, B1_COLOUR, 0.0, min(fact.forward_gpa[1], top), name="B1")
    axes.set_xlim(0.0, top)
    if (salt, "B2") in PHASES:
        _branch(axes, PHASES[salt, "B2"], unit, B2_COLOUR, max(fact.reverse_gpa[0], 0.0), top, name="B2")
        _arrows(axes, fact, known, PHASES[salt, "B2"], unit)
    else:
        _without_b2(axes, fact, known, unit)
    axes.set_title(_step(fact), loc="right", fontsize=7.5, color="#555555", pad=3.0)


def _step(fact: Transition) -> str:
    derived = (fact.salt, "B2") in PHASES and "derived" in PHASES[fact.salt, "B2"].reference
    return f"step {100 * fact.volume_step:.3g} %".replace("-", "−") + (", B2 derived" if derived else "")


def _branch(
    axes: Axes, row: Phase, unit: float, colour: str, low: float, high: float, *, name: str = ""
) -> None:  # fmt: skip
    """Solid where its source measured (or a row was derived for), dashed where it is followed beyond; one sigma."""
    wide = eos.extrapolated(row)
    loads = np.linspace(low, high, _POINTS)
    cells = np.asarray(eos.volume_a3(wide, loads))
    share = np.asarray(eos.extrapolation_sigma_gpa(row, cells)) / np.asarray(eos.bulk_modulus_gpa(wide, cells))
    relative = cells / row.z / unit
    axes.fill_between(
        loads, relative * (1.0 - share), relative * (1.0 + share), color=colour, alpha=0.22, linewidth=0.0, zorder=2
    )
    # The phase of ambient conditions is known from zero pressure on, whatever its source's first row under load.
    ambient = next(other for other in PHASES.values() if other.salt == row.salt)
    start = 0.0 if row == ambient else row.range_gpa[0]
    inside = (loads >= start - 1e-9) & (loads <= row.range_gpa[1] + 1e-9)
    axes.plot(loads, relative, color=colour, linewidth=1.0, linestyle=(0, (3, 1.5)), zorder=3)
    axes.plot(np.where(inside, loads, np.nan), relative, color=colour, linewidth=1.8, zorder=3)
    if name:
        _name(axes, loads, relative, name, colour)


def _name(axes: Axes, loads: FloatArray, relative: FloatArray, name: str, colour: str) -> None:
    at = _POINTS // 3 if name == "B1" else _POINTS - 30
    offset, ha = ((5, 4), "left") if name == "B1" else ((0, 6), "center")
    axes.annotate(
        name, (loads[at], relative[at]), offset, textcoords="offset points", color=colour, ha=ha, fontweight="bold"
    )


def _arrows(axes: Axes, fact: Transition, b1: Phase, b2: Phase, unit: float) -> None:
    """Down where B2 grows on loading, up where B1 grows on unloading."""
    for band, colour, down in ((fact.forward_gpa, B2_COLOUR, True), (fact.reverse_gpa, B1_COLOUR, False)):
        at = 0.5 * (band[0] + band[1])
        high = float(eos.volume_a3(eos.extrapolated(b1), at)) / b1.z / unit
        low = float(eos.volume_a3(b2, at)) / b2.z / unit
        start, end = (high, low) if down else (low, high)
        axes.annotate(
            "", (at, end), (at, start), zorder=5,
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.0, "shrinkA": 1.0, "shrinkB": 1.0},
        )  # fmt: skip


def _without_b2(axes: Axes, fact: Transition, b1: Phase, unit: float) -> None:
    """The reported step alone, at the equilibrium pressure."""
    at = fact.equilibrium_gpa
    high = float(eos.volume_a3(eos.extrapolated(b1), at)) / b1.z / unit
    low = high * (1.0 + fact.volume_step)
    axes.plot([at, 1.08 * at], [low, low], color=B2_COLOUR, linewidth=1.8, linestyle=(0, (1, 1)), zorder=3)
    axes.text(
        0.96, 0.93, f"step as reported, by {fact.intermediate};\nno equation of state of B2", transform=axes.transAxes,
        ha="right", va="top", fontsize=7.5, color=INK,
    )  # fmt: skip
