"""A night told by hand, as fixtures."""

from __future__ import annotations

import pytest

from analysis.by_hand import Pen, spend_the_night, write_patterns
from rocksalt.storage.run_folder import RunFolder


@pytest.fixture
def pen() -> Pen:
    """An empty journal, and the hand that writes it."""
    return Pen()


@pytest.fixture(scope="session")
def night() -> Pen:
    """A whole night that found a transition."""
    pen = Pen()
    spend_the_night(pen)
    return pen


@pytest.fixture(scope="session")
def night_folder(night: Pen, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The night on disk, with its patterns."""
    folder = night.keep(tmp_path_factory.mktemp("nights") / "kbr-night")
    write_patterns(folder, night.history)
    return folder
