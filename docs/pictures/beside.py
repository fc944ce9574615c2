"""A real diamond-anvil frame beside the twin's: drawn where the real one is to be had, else a picture that says so."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def draw_beside(path: Path) -> None:
    """Into `path`. The real frame is never kept in the repository."""
    sys.path.insert(0, str(ROOT))
    from benchmarks import dac_frame

    if dac_frame.there():
        dac_frame.picture(path)
    else:
        _absent(path)


def _absent(path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 1.2))
    figure.text(
        0.5, 0.5, "The folder of real measurements was not there when this page was built (ROCKSALT_DATA).",
        ha="center", va="center",
    )  # fmt: skip
    figure.savefig(path, dpi=90)
