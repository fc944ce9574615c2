"""The pictures of the pages: drawn from the program, the same every time, all of them shown, and honest about gaps."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from rocksalt.crystals.channels import windows
from rocksalt.crystals.tables import MODEL_SALTS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(name="pictures", scope="module")
def _pictures() -> ModuleType:
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module("pictures")
    finally:
        sys.path.remove(str(DOCS))


def test_every_picture_is_drawn_twice_alike_and_is_shown_on_a_page(pictures: ModuleType) -> None:
    shown = set()
    for page in (DOCS / "explanation").glob("*.md"):
        shown |= set(re.findall(r"\{figure\} \.\./_pictures/(\S+)", page.read_text("utf-8")))
    assert shown == set(pictures.DRAWN) | {"dac-frame.png"}, "the frame beside a real one is drawn where there is one"
    first = pictures.DRAWN["strain.svg"]()
    assert first.startswith(b"<?xml")
    assert first == pictures.DRAWN["strain.svg"]()


@pytest.mark.parametrize("name", ["transitions.svg", "growth.svg", "channels.svg"])
def test_the_other_pictures_can_be_drawn(pictures: ModuleType, name: str) -> None:
    assert b"</svg>" in pictures.DRAWN[name]()


@pytest.mark.parametrize("salt", MODEL_SALTS)
def test_the_gap_of_a_thick_plate_is_what_no_window_covers(pictures: ModuleType, salt: str) -> None:
    ((low, high),) = pictures.channels.gap(salt)
    assert low < high
    middle = (low * high) ** 0.5
    seeing = [
        w for w in windows(salt, 1.0) if w.low_per_cm3 and w.high_per_cm3 and w.low_per_cm3 < middle < w.high_per_cm3
    ]
    assert not seeing
    assert any(w.low_per_cm3 and w.low_per_cm3 < middle < (w.high_per_cm3 or 0.0) for w in windows(salt, 0.02))
