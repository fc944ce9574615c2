"""How every figure of a report looks, and how it becomes bytes: SVG, the same bytes for the same numbers.

Colours are Okabe and Ito's, which people with any colour vision tell apart; marker shapes say the same once more.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rocksalt.values import Label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

B1_COLOUR: Final = "#0072b2"
B2_COLOUR: Final = "#d55e00"
BOTH_COLOUR: Final = "#8a5fa8"
UNKNOWN_COLOUR: Final = "#6b6b6b"
LEARNED_COLOUR: Final = "#00735a"
INK: Final = "#222222"
FAINT: Final = "#9a9a9a"
BAND: Final = "#ece7d8"
INNER_BAND: Final = "#d3c9a2"

MARKS: Final[dict[Label, tuple[str, str]]] = {
    "B1": ("o", B1_COLOUR),
    "mixture": ("D", BOTH_COLOUR),
    "B2": ("s", B2_COLOUR),
    "unknown": ("X", UNKNOWN_COLOUR),
}
"""Marker and colour of each label."""

_STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.0,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "errorbar.capsize": 0.0,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",  # the page looks alike on machines without the font
    "svg.hashsalt": "rocksalt",  # else the names inside the SVG are drawn by chance
    "path.simplify_threshold": 0.2,
}
_WIDE_IN: Final = 7.4


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure that is drawn: its bytes, its caption, and what it shows for those who can't see it (alt)."""

    name: str
    title: str
    svg: bytes
    alt: str
    caption: str


def draw(height_in: float, paint: Callable[[Figure], None]) -> bytes:
    """SVG of a figure as wide as the page, painted by `paint`; no date, no address, no state of pyplot's."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    sink = io.BytesIO()
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDE_IN, height_in))
        paint(figure)
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return _bare(sink.getvalue())


def _bare(svg: bytes) -> bytes:
    """Without the document type and the metadata, whose addresses nobody needs to open the picture."""
    svg = re.sub(rb"<!DOCTYPE.*?>", b"", svg, count=1, flags=re.DOTALL)
    return re.sub(rb"<metadata>.*?</metadata>", b"", svg, count=1, flags=re.DOTALL)


def scatter(axes: Axes, x: float, y: float, label: Label, x_sigma: float = 0.0, y_sigma: float = 0.0) -> None:
    """One measurement with its error bars, marked by its label."""
    marker, colour = MARKS[label]
    axes.errorbar(
        x, y, xerr=x_sigma or None, yerr=y_sigma or None, fmt=marker, color=colour, markersize=5.0,
        markeredgecolor="white", markeredgewidth=0.6, elinewidth=0.9, zorder=4,
    )  # fmt: skip


def label_legend(axes: Axes, labels: set[Label], **place: Any) -> None:
    """A legend of the labels that occur, with whatever else the axes hold."""
    from matplotlib.lines import Line2D

    handles, names = axes.get_legend_handles_labels()
    for label, (marker, colour) in MARKS.items():
        if label in labels:
            handles.append(
                Line2D([], [], linestyle="", marker=marker, color=colour, markersize=5.0, markeredgecolor="white")
            )
            names.append(label)
    if handles:
        axes.legend(handles, names, **place)
