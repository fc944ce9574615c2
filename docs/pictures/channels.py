"""What each channel can see of F centres against their concentration, salt by salt; what it can't is hatched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rocksalt.analysis.style import INK, draw
from rocksalt.crystals.channels import Window, windows
from rocksalt.crystals.tables import MODEL_SALTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOW, _HIGH = 1e12, 1e21
_PLATES_MM = (1.0, 0.02)  # a plate as it is cleaved, and a thin slice of it
# Okabe and Ito, by what is measured: X-rays, light through, light out.
_COLOURS = {"diffraction": "#0072b2", "absorption": "#009e73", "luminescence": "#d55e00", "micrograph": "#cc79a7"}


def rows(salt: str) -> list[tuple[str, Window]]:
    """(label, window) from the top: what depends on the plate's thickness stands twice."""
    thick, thin = (windows(salt, plate) for plate in _PLATES_MM)
    found = []
    for first, second in zip(thick, thin, strict=True):
        if first == second:
            found.append((first.channel, first))
        else:
            found += [
                (f"{one.channel}, {plate:g} mm", one) for one, plate in zip((first, second), _PLATES_MM, strict=True)
            ]
    return found


def gap(salt: str) -> list[tuple[float, float]]:
    """Concentrations that no channel sees in a plate of the first thickness, from the lowest window's start on."""
    spans = sorted(
        (window.low_per_cm3, window.high_per_cm3)
        for window in windows(salt, _PLATES_MM[0])
        if window.low_per_cm3 is not None and window.high_per_cm3 is not None
    )
    found, seen = [], spans[0][1]
    for low, high in spans[1:]:
        if low > seen:
            found.append((seen, low))
        seen = max(seen, high)
    return found


def draw_channels() -> bytes:
    """A panel a salt, a bar a channel."""
    heights = [len(rows(salt)) for salt in MODEL_SALTS]

    def paint(figure: Figure) -> None:
        panels = figure.subplots(len(MODEL_SALTS), 1, sharex=True, height_ratios=heights)
        for axes, salt in zip(panels, MODEL_SALTS, strict=True):
            _panel(axes, salt)
        panels[-1].set_xlabel("F centres per cm³")

    return draw(0.9 + 0.235 * sum(heights) + 0.25 * len(heights), paint)


def _panel(axes: Axes, salt: str) -> None:
    axes.set_xscale("log")
    axes.set_xlim(_LOW, _HIGH)
    found = rows(salt)
    for place, (_, window) in enumerate(found):
        _bar(axes, -place, window)
    for low, high in gap(salt):
        axes.axvspan(low, high, facecolor="none", edgecolor=INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=4)
        axes.text((low * high) ** 0.5, 0.62, "nothing sees these in 1 mm", ha="center", fontsize=7.5, color=INK)
    axes.set_yticks([-place for place in range(len(found))], [label for label, _ in found], fontsize=8.0)
    axes.set_ylim(0.55 - len(found), 0.55)
    axes.tick_params(axis="y", length=0.0)
    axes.spines["left"].set_visible(False)
    axes.set_title(salt, loc="left", fontweight="bold", pad=11.0 if gap(salt) else 4.0)


def _bar(axes: Axes, place: float, window: Window) -> None:
    axes.barh(
        place, _HIGH - _LOW, left=_LOW, height=0.62, facecolor="#f4f4f4", edgecolor="#bdbdbd", hatch="////",
        linewidth=0.0, zorder=1,
    )  # fmt: skip
    if window.low_per_cm3 is None or window.high_per_cm3 is None:
        axes.text(
            1e17, place, f"blind: {window.below}", ha="center", va="center", fontsize=7.0, color=INK, zorder=3,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
        return
    low, high = window.low_per_cm3, window.high_per_cm3
    colour = _COLOURS[window.channel.split(":")[0]]
    axes.barh(place, high - low, left=low, height=0.62, color=colour, linewidth=0.0, zorder=2)
    for at, side, offset in ((low, "right", -3), (high, "left", 3)):
        axes.annotate(
            f"{at:.0e}".replace("e+", "e"), (at, place), (offset, 0), textcoords="offset points", ha=side, va="center",
            fontsize=7.0, color=INK, zorder=3, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
