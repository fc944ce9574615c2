"""Sphinx reads the Markdown of this folder. No web fonts, no scripts from elsewhere."""

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "Rocksalt"
extensions = ["myst_parser"]
html_theme = "alabaster"
html_theme_options = {"description": "Diffraction of alkali halides, by itself", "github_button": False}
root_doc = "contents"
exclude_patterns = ["_build", "_pictures"]
myst_heading_anchors = 3


def draw_pictures(_: Any) -> None:
    """Before anything is read, the pictures are drawn from the program's own functions."""
    from pictures import draw_all

    draw_all(HERE / "_pictures")


def setup(app: Any) -> None:
    app.connect("builder-inited", draw_pictures)
