"""Strain against hydrostatic pressure at 300 K and 5 K, for four salts, from their equations of state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rocksalt.analysis.style import FAINT, INK, draw
from rocksalt.crystals.lattice_strain import hydrostatic_strain, hydrostatic_strain_sigma
from rocksalt.crystals.tables import phase
from rocksalt.crystals.transition import TRANSITIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WARM, COLD = "#d55e00", "#0072b2"  # Okabe and Ito
# Salt, structure, and the pressure (GPa) at which the two curves are compared.
_SALTS = (("NaCl", "B1", 20.0), ("LiF", "B1", 20.0), ("KBr", "B1", 1.5), ("CsI", "B2", 10.0))
_TOP_GPA = 31.0


def draw_strain() -> bytes:
    """Four panels, each over its own row's range (LiF cut at NaCl's)."""

    def paint(figure: Figure) -> None:
        panels = figure.subplots(2, 2)
        for axes, (salt, structure, at) in zip(panels.ravel(), _SALTS, strict=True):
            _panel(axes, salt, structure, at)
        for axes in panels[:, 0]:
            axes.set_ylabel("linear strain (%)")
        for axes in panels[1]:
            axes.set_xlabel("pressure (GPa)")

    return draw(5.6, paint)


def _panel(axes: Axes, salt: str, structure: str, compared_gpa: float) -> None:
    row = phase(salt, structure)
    top = min(row.range_gpa[1], _TOP_GPA)
    loads = np.linspace(0.0, top, 121)
    ends = {}
    at = int(np.argmin(np.abs(loads - compared_gpa)))
    for kelvin, colour, dashes in ((300.0, WARM, "-"), (5.0, COLD, (0, (5, 1.5)))):
        strain = 100.0 * hydrostatic_strain(row, loads, kelvin)
        sigma = 100.0 * hydrostatic_strain_sigma(row, loads, kelvin)
        axes.fill_between(loads, strain - sigma, strain + sigma, color=colour, alpha=0.18, linewidth=0.0)
        axes.plot(loads, strain, color=colour, linestyle=dashes)
        ends[kelvin] = strain
    axes.annotate("300 K", (loads[at], ends[300.0][at]), (-6, 7), textcoords="offset points", color=WARM, ha="right")
    axes.annotate("5 K", (loads[at], ends[5.0][at]), (6, -9), textcoords="offset points", color=COLD, va="top")
    fact = TRANSITIONS.get(salt)
    shaded = None
    if fact is not None and fact.forward_gpa[0] < top:
        shaded = (fact.forward_gpa[0], min(fact.forward_gpa[1], top))
    edge = 0.97 if shaded is None else shaded[0] / top - 0.02
    warm, cold = (float(hydrostatic_strain(row, np.asarray(compared_gpa), kelvin)) for kelvin in (300.0, 5.0))
    known = 100.0 * float(hydrostatic_strain_sigma(row, np.asarray(compared_gpa)))
    said = f"at {compared_gpa:g} GPa: {100 * warm:.2f} ± {known:.2f} %\nand {100 * (1 - cold / warm):.0f} % less at 5 K"
    axes.text(
        edge, 0.06, said, transform=axes.transAxes, ha="right", linespacing=1.4, va="bottom", fontsize=8.0, color=INK,
    )  # fmt: skip
    if shaded is not None:
        axes.axvspan(*shaded, color=FAINT, alpha=0.22, linewidth=0.0, zorder=0)
        axes.text(
            0.5 * sum(shaded), 0.30 * axes.get_ylim()[1], "B2 appears\non loading", ha="center", fontsize=7.5,
            color=INK,
        )  # fmt: skip
    axes.set_title(f"{row.name}", loc="left", fontweight="bold")
    scale = "scale not stated" if row.scale == "not stated" else row.scale
    axes.set_title(scale, loc="right", fontsize=7.5, color="#555555")
    axes.set_xlim(0.0, top)
    axes.set_ylim(0.0, None)
