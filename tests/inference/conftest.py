"""What the tests of inference share: the model, an observation of a pattern, the folder of real measurements."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from inference.synthetic import ROOM
from rocksalt.inference.model import PhysicsModel
from rocksalt.values import Observation, Pattern


@pytest.fixture
def see() -> Callable[[Pattern], Observation]:
    """An observation of a pattern at room temperature."""
    return lambda pattern: Observation(0, pattern, {}, ROOM)


@pytest.fixture(scope="session")
def model() -> PhysicsModel:
    return PhysicsModel()


@pytest.fixture(scope="session")
def measured() -> Path:
    """The folder of real measurements, or a skip that says so."""
    root = Path(os.environ.get("ROCKSALT_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    folder = root / "measured"
    if not folder.is_dir():
        pytest.skip(f"no real measurements at {folder} (set ROCKSALT_DATA)")
    return folder
