"""The numbers a real and a rendered frame are compared by: each finds what was put in, and nothing where it wasn't."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rocksalt.twin.picture.geometry import Geometry, rays

SHAPE = (400, 420)
LEVEL = 4000.0
WHERE = rays(Geometry(0.12, 200 * 172e-6, 210 * 172e-6, 0.0, 0.0, 0.0, 172e-6, 0.4133, SHAPE))
STEP_DEG = float(np.degrees(172e-6 / 0.12))


@pytest.fixture(scope="module")
def fs() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "frame_statistics.py"
    spec = importlib.util.spec_from_file_location("frame_statistics", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["frame_statistics"] = module
    spec.loader.exec_module(module)
    return module


def seen(fs: ModuleType, mean: np.ndarray, seed: int = 0, mask: np.ndarray | None = None):
    counts = np.random.default_rng(seed).poisson(mean).astype(float)
    nowhere = np.zeros(SHAPE, dtype=bool)
    return fs.Seen(counts, nowhere if mask is None else mask, WHERE.two_theta_deg, WHERE.azimuth_rad)


def flat() -> np.ndarray:
    return LEVEL * (1.0 + 0.3 * np.sin(np.radians(8.0 * WHERE.two_theta_deg)))


def test_a_smooth_frame_has_its_level_and_no_ring_no_spot_and_no_variance(fs):
    found = fs.statistics(seen(fs, flat()), STEP_DEG)
    expected = LEVEL * (1.0 + 0.3 * np.sin(np.radians(8.0 * np.array(fs.LEVELS_DEG))))
    known = np.isfinite(found.levels)
    assert known.sum() >= 10
    assert found.levels[known] == pytest.approx(expected[known], rel=0.02)
    assert found.rings == ()
    assert found.spots.per_megapixel == 0.0
    assert abs(found.azimuthal_variance) < 1e-4
    assert np.isnan(found.ring_contrast)


@pytest.mark.parametrize("contrast", [0.03, 0.10, 1.0])
def test_a_ring_is_found_with_its_contrast(fs, contrast):
    ring = contrast * np.exp(-0.5 * ((WHERE.two_theta_deg - 8.0) / 0.1) ** 2)
    (found,) = fs.rings(seen(fs, flat() * (1.0 + ring)), STEP_DEG)
    assert found.two_theta_deg == pytest.approx(8.0, abs=0.06)
    assert found.contrast == pytest.approx(contrast, rel=0.2)


def test_spots_are_counted_and_hot_pixels_are_not(fs):
    mean, rng = flat(), np.random.default_rng(1)
    for row, column in rng.integers(10, 150, (12, 2)):
        mean[row : row + 2, column : column + 2] += 20.0 * LEVEL
    mean[300:390:10, 300] += 20.0 * LEVEL  # single pixels
    found = fs.spots(seen(fs, mean), saturation=30.0 * LEVEL)
    assert found.per_megapixel == pytest.approx(12e6 / np.prod(SHAPE), rel=0.2)
    assert found.saturated_share == 0.0
    assert fs.spots(seen(fs, mean), saturation=10.0 * LEVEL).saturated_share > 0.9


def test_what_is_masked_is_not_looked_at(fs):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[100:140, 50:90] = True
    broken = np.where(mask, 1e6, flat())
    assert fs.spots(seen(fs, broken, mask=mask)).per_megapixel == 0.0
    assert fs.levels(seen(fs, broken, mask=mask)) == pytest.approx(fs.levels(seen(fs, flat())), rel=0.02, nan_ok=True)


@pytest.mark.parametrize("strength", [0.05, 0.2])
def test_azimuthal_variance_is_that_of_the_means_around_the_ring(fs, strength):
    """1 + s cos(2 phi) has a relative variance of s^2 / 2."""
    lopsided = flat() * (1.0 + strength * np.cos(2.0 * WHERE.azimuth_rad))
    assert fs.azimuthal_variance(seen(fs, lopsided)) == pytest.approx(0.5 * strength**2, rel=0.15)
