"""What the physics leg says of patterns that no simulator made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rocksalt.inference.model import PhysicsModel
from rocksalt.values import Observation, Pattern

COPPER = 1.540598


def text_pattern(path: Path, wavelength: float) -> Observation:
    """Two columns and nothing known of their noise."""
    x, y = np.loadtxt(path, unpack=True)
    return Observation(0, Pattern(x, y, np.maximum(y, 1.0), wavelength, None, path.name))


@pytest.mark.parametrize("wavelength", [COPPER, 1.5406, 1.54184])
def test_ground_rock_salt_is_read_with_either_way_of_naming_the_wavelength(
    model: PhysicsModel, measured: Path, wavelength: float
) -> None:
    estimate = model.estimate(text_pattern(measured / "lab_cu" / "NaCl.asc", wavelength))
    assert estimate.label == "B1"
    assert [(p.salt, p.structure) for p in estimate.phases] == [("NaCl", "B1")]
    assert estimate.phases[0].a_angstrom == pytest.approx(5.6414, abs=0.001)
    assert abs(estimate.phases[0].a_angstrom - 5.6414) < 4.0 * estimate.phases[0].a_sigma
    assert estimate.textured
    assert estimate.microstrain is not None
    assert 4e-4 < estimate.microstrain.value < 1.2e-3
    assert any("300 K is assumed" in reason for reason in estimate.reasons)


def test_two_salts_ground_together_are_both_found(model: PhysicsModel, measured: Path) -> None:
    estimate = model.estimate(text_pattern(measured / "lab_cu" / "NaCl_KCl_mix.asc", COPPER))
    cells = {(p.salt, p.structure): p.a_angstrom for p in estimate.phases}
    assert estimate.label == "B1"
    assert set(cells) == {("NaCl", "B1"), ("KCl", "B1")}
    assert cells["NaCl", "B1"] == pytest.approx(5.640, abs=0.003)
    assert cells["KCl", "B1"] == pytest.approx(6.294, abs=0.006)
    assert sum(p.fraction for p in estimate.phases) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("file", "wavelength"),
    [("lab_cu/Si.asc", COPPER), ("dac/CeO2_Pilatus1M.xy", 0.4066), ("dac/Fe3O4C_M1_map_1_P1_E1_001.xy", 0.3344)],
)
def test_crystals_that_are_no_salt_of_the_table_are_unknown_and_it_says_why(
    model: PhysicsModel, measured: Path, file: str, wavelength: float
) -> None:
    estimate = model.estimate(text_pattern(measured / file, wavelength))
    assert estimate.label == "unknown"
    assert estimate.phases == ()
    assert estimate.probabilities["unknown"] > 0.5
    assert any("fit no salt in the table" in reason for reason in estimate.reasons)


@pytest.mark.parametrize("salt", ["NaCl", "KBr", "CsI"])
def test_silicon_is_no_salt_even_if_one_is_asked_for(model: PhysicsModel, measured: Path, salt: str) -> None:
    assert model.estimate(text_pattern(measured / "lab_cu" / "Si.asc", COPPER), salt=salt).label == "unknown"


def test_rock_salt_under_a_wavelength_that_is_wrong_is_not_called_found(model: PhysicsModel, measured: Path) -> None:
    """Read with molybdenum radiation, every spacing is less than half of what it is."""
    estimate = model.estimate(text_pattern(measured / "lab_cu" / "NaCl.asc", 0.7093))
    assert estimate.label == "unknown"
