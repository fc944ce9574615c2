"""Sphinx reads the Markdown of this folder. No web fonts, no scripts from elsewhere."""

project = "Rocksalt"
extensions = ["myst_parser"]
html_theme = "alabaster"
html_theme_options = {"description": "Diffraction of alkali halides, by itself", "github_button": False}
root_doc = "contents"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
