"""A run's name is a name, not a path: it becomes a folder, appears in shells, pages and file names.

The same rule holds for the names that station and campaign files give themselves.
"""

from __future__ import annotations

import re
from typing import Final

from rocksalt.config.errors import shown

LONGEST_NAME: Final = 100
_ALLOWED: Final = re.compile(r"[A-Za-z0-9._-]")
DEVICE_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class NameRefused(ValueError):
    """A name that can't be used; the message names the rule."""


def run_name(text: str) -> str:
    """The name itself if it may be one; raises NameRefused with the rule it breaks."""
    if rule := _broken_rule(text):
        raise NameRefused(f"{shown(text)} can't be a name: {rule}")
    return text


def _broken_rule(text: str) -> str:
    """The first rule that the text breaks, "" if it breaks none."""
    strange = next((c for c in text if not _ALLOWED.fullmatch(c)), "")
    rules = (
        (not text, "a name has at least one character"),
        (text in (".", ".."), "it means a folder that is there already"),
        ("/" in text or "\\" in text, "a name is not a path, so it has no slash"),
        ("\0" in text, "a name has no NUL character"),
        (text.startswith("-"), 'it starts with "-", which commands take for an option'),
        (len(text) > LONGEST_NAME, f"it has {len(text)} characters, and a name has at most {LONGEST_NAME}"),
        (bool(strange), f"{shown(strange)} is not one of A-Z a-z 0-9 . _ -"),
    )
    return next((rule for broken, rule in rules if broken), "")
