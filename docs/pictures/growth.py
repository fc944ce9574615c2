"""Growth of F centres in KCl and KBr at three temperatures, by the rate form, and the efficiency behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rocksalt.analysis.style import INK, draw
from rocksalt.crystals.defect_growth import PairRates, advance_pairs, ev_per_cm3_per_gy, pair_rates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Temperature (K), colour (Okabe and Ito), dashes.
TEMPERATURES = ((77.0, "#0072b2", (0, (5, 1.5))), (175.0, "#009e73", (0, (1, 1))), (300.0, "#d55e00", "-"))
_SALTS = ("KCl", "KBr")
# A laboratory beam, and an energy for each primary pair of the right order (some 1e2 eV in the best case), from memory.
DOSE_RATE_GY_PER_S = 1.0
EV_PER_PAIR = 100.0
_DOSES_GY = np.geomspace(1.0, 1e7, 36)


def draw_growth() -> bytes:
    """Two panels of concentration against dose, one of efficiency against temperature."""

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, 3, width_ratios=(3, 3, 2.6))
        for axes, salt in zip(panels[:2], _SALTS, strict=True):
            _growth(axes, salt)
        panels[1].sharey(panels[0])
        panels[0].set_ylabel("F centres per cm³")
        _efficiency(panels[2])

    return draw(3.4, paint)


def grown(salt: str, kelvin: float) -> np.ndarray:
    """F centres per cm^3 at the doses, from a fresh crystal, step by step."""
    rates = pair_rates(salt)
    pairs = ev_per_cm3_per_gy(salt) * DOSE_RATE_GY_PER_S / EV_PER_PAIR
    f = h = before = 0.0
    found = []
    for dose in _DOSES_GY:
        f, h = advance_pairs(rates, f, h, pairs, kelvin, (dose - before) / DOSE_RATE_GY_PER_S)
        before = dose
        found.append(f)
    return np.array(found)


def _growth(axes: Axes, salt: str) -> None:
    for kelvin, colour, dashes in TEMPERATURES:
        curve = grown(salt, kelvin)
        axes.plot(_DOSES_GY, curve, color=colour, linestyle=dashes)
        axes.annotate(
            f"{kelvin:g} K", (_DOSES_GY[-1], curve[-1]), (4, 0), textcoords="offset points", color=colour, va="center",
            fontsize=8.0, annotation_clip=False,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(_DOSES_GY[0], _DOSES_GY[-1])
    axes.set_xticks([1e0, 1e2, 1e4, 1e6])
    axes.set_title(salt, loc="left", fontweight="bold")
    axes.set_xlabel(f"dose (Gy), at {DOSE_RATE_GY_PER_S:g} Gy/s")


def _efficiency(axes: Axes) -> None:
    kelvin = np.linspace(5.0, 400.0, 200)
    for salt, dashes, place in (("KCl", "-", 330.0), ("KBr", (0, (4, 1.5)), 262.0)):
        rates: PairRates = pair_rates(salt)
        curve = rates.efficiency(kelvin)
        axes.plot(kelvin, curve, color=INK, linestyle=dashes, linewidth=1.1)
        at = int(np.argmin(np.abs(kelvin - place)))
        axes.annotate(salt, (kelvin[at], curve[at]), (6, 3), textcoords="offset points", fontsize=8.0, color=INK)
        for one, colour, _ in TEMPERATURES:
            axes.plot(one, float(rates.efficiency(np.asarray(one))), "o", color=colour, markersize=4.5, zorder=4)
    axes.set_xlim(0.0, 400.0)
    axes.set_ylim(0.0, 1.0)
    axes.set_xlabel("temperature (K)")
    axes.set_ylabel("share of pairs that part")
    axes.set_title("efficiency", loc="left", fontweight="bold")
