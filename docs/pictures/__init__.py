"""The pictures of the pages on crystals, drawn from rocksalt's own functions when the documentation is built.

No picture is kept in the repository: `make docs` draws them into `_pictures`, the same bytes for the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pictures import beside, channels, growth, strain, transitions

DRAWN: dict[str, Callable[[], bytes]] = {
    "strain.svg": strain.draw_strain,
    "transitions.svg": transitions.draw_transitions,
    "growth.svg": growth.draw_growth,
    "channels.svg": channels.draw_channels,
}


def draw_all(folder: Path) -> None:
    """Every picture into `folder`; one that is already there as it should be is not written again."""
    folder.mkdir(exist_ok=True)
    for name, drawing in DRAWN.items():
        svg = drawing()
        path = folder / name
        if not path.exists() or path.read_bytes() != svg:
            path.write_bytes(svg)
    beside.draw_beside(folder / "dac-frame.png")
