"""What the physics leg says of synthetic patterns whose shapes, intensities and background are not its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from inference.synthetic import Cell, diamond_cell_pattern
from rocksalt.crystals import eos, tables
from rocksalt.inference.model import PhysicsModel
from rocksalt.values import LABELS, Estimate, Measured, Observation, Pattern

See = Callable[[Pattern], Observation]


def kbr(rng: np.random.Generator, pressure_gpa: float, fraction_b2: float) -> Pattern:
    shares = {("KBr", "B1"): 1.0 - fraction_b2, ("KBr", "B2"): fraction_b2}
    return diamond_cell_pattern(
        rng, Cell(pressure_gpa, {k: v for k, v in shares.items() if v}), contrast=0.08, counts=5e5
    )


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_potassium_bromide_is_read_through_its_transition(model: PhysicsModel, see: See, fraction: float) -> None:
    right = 0
    for seed in range(4):
        rng = np.random.default_rng([seed, round(100 * fraction)])
        pressure = float(rng.uniform(0.05, 3.0))
        estimate = model.estimate(see(kbr(rng, pressure, fraction)), salt="KBr")
        truth = "B1" if fraction == 0.0 else "B2" if fraction == 1.0 else "mixture"
        right += estimate.label == truth
        # a twentieth of B2 may hide; what must not be is B2 where there is none, or certainty that it is absent
        assert estimate.label in ({truth, "unknown"} if fraction in (0.0, 1.0) else {truth, "unknown", "B1", "B2"})
        assert estimate.fraction_b2 is not None
        assert estimate.fraction_b2.value == pytest.approx(fraction, abs=0.1)
        assert abs(estimate.fraction_b2.value - fraction) < 5.0 * estimate.fraction_b2.sigma
        assert estimate.pressure_gpa is not None
        assert estimate.pressure_gpa.value == pytest.approx(pressure, abs=0.06)
        assert abs(estimate.pressure_gpa.value - pressure) < 4.0 * estimate.pressure_gpa.sigma
        for phase in estimate.phases:
            if phase.fraction > 0.2:
                cell = eos.cell_angstrom(tables.phase(phase.salt, phase.structure), pressure)
                assert phase.a_angstrom == pytest.approx(cell, rel=8e-4)
    assert right >= (3 if fraction in (0.05, 0.9) else 4)


@pytest.mark.parametrize(
    ("salt", "structure", "pressure"),
    [
        ("LiF", "B1", 0.5), ("NaCl", "B1", 0.1), ("NaCl", "B1", 12.0), ("NaCl", "B1", 28.0), ("KCl", "B1", 0.0),
        ("KCl", "B1", 1.9), ("KBr", "B1", 0.0), ("KBr", "B2", 3.0), ("CsI", "B2", 0.0), ("CsI", "B2", 8.0),
    ],
)  # fmt: skip
def test_each_salt_is_told_from_the_others_without_being_named(
    model: PhysicsModel, see: See, salt: str, structure: str, pressure: float
) -> None:
    rng = np.random.default_rng([len(salt), round(10 * pressure)])
    pattern = diamond_cell_pattern(rng, Cell(pressure, {(salt, structure): 1.0}), contrast=0.15, counts=1e6)
    for asked in (None, salt):
        estimate = model.estimate(see(pattern), salt=asked)
        assert estimate.label == structure, estimate.reasons
        assert [(p.salt, p.structure) for p in estimate.phases] == [(salt, structure)]


def test_a_pressure_that_is_known_speaks_for_or_against_two_lines(model: PhysicsModel, see: See) -> None:
    """Up to 16 degrees the B2 structure of KCl has two lines worth the name."""
    rng = np.random.default_rng(3)
    pattern = diamond_cell_pattern(rng, Cell(3.5, {("KCl", "B2"): 1.0}), contrast=0.15, counts=1e6)
    near = model.estimate(see(pattern), prior_pressure_gpa=Measured(3.4, 0.2))
    far = model.estimate(see(pattern), prior_pressure_gpa=Measured(0.1, 0.1))
    assert [(p.salt, p.structure) for p in near.phases] == [("KCl", "B2")]
    assert far.probabilities["B2"] < near.probabilities["B2"]


def surroundings_only(rng: np.random.Generator, gasket: float, spikes: int) -> Pattern:
    return diamond_cell_pattern(rng, Cell(1.0, {}), contrast=0.1, counts=5e5, gasket=gasket, spikes=spikes)


@pytest.mark.parametrize(("gasket", "spikes"), [(0.0, 0), (1.0, 0), (0.0, 8), (1.0, 5)])
def test_gasket_and_diamond_alone_are_never_taken_for_a_salt(
    model: PhysicsModel, see: See, gasket: float, spikes: int
) -> None:
    for seed in range(4):
        pattern = surroundings_only(np.random.default_rng([seed, spikes]), gasket, spikes)
        for salt in ("KBr", None):
            assert model.estimate(see(pattern), salt=salt).label == "unknown"


def test_gasket_and_spikes_beside_the_sample_change_neither_label_nor_pressure(model: PhysicsModel, see: See) -> None:
    for seed in range(4):
        rng = np.random.default_rng([seed, 5])
        pattern = diamond_cell_pattern(
            rng, Cell(1.9, {("KBr", "B1"): 0.6, ("KBr", "B2"): 0.4}), contrast=0.1, counts=1e6, gasket=0.5, spikes=3
        )
        estimate = model.estimate(see(pattern), salt="KBr")
        assert estimate.label == "mixture"
        assert estimate.pressure_gpa is not None
        assert estimate.pressure_gpa.value == pytest.approx(1.9, abs=0.05)


NOISES: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "counts": lambda rng, x: rng.poisson(100.0, x.size).astype(float),
    "few counts": lambda rng, x: rng.poisson(2.0, x.size).astype(float),
    "scaled": lambda rng, x: rng.normal(1.0, 0.01, x.size),
    "a hump": lambda rng, x: rng.poisson(
        100.0 + 1000.0 * np.exp(-0.5 * ((x - x.mean()) / 0.2 / np.ptp(x)) ** 2)
    ).astype(float),
}


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize(("start", "end", "points", "wavelength"), [(2, 16, 2000, 0.4133), (20, 137, 9000, 1.540598)])
def test_noise_is_unknown(
    model: PhysicsModel, kind: str, start: float, end: float, points: int, wavelength: float
) -> None:
    x = np.linspace(start, end, points)
    for seed in range(6):
        y = NOISES[kind](np.random.default_rng(seed), x)
        estimate = model.estimate(Observation(0, Pattern(x, y, np.maximum(y, 0.0), wavelength)))
        assert estimate.label == "unknown"
        assert estimate.reasons


@pytest.mark.parametrize("level", [0.0, 7.0])
def test_a_pattern_without_any_change_diffracts_nothing(model: PhysicsModel, level: float) -> None:
    x = np.linspace(2.0, 16.0, 2000)
    estimate = model.estimate(Observation(0, Pattern(x, np.full(2000, level), np.full(2000, level), 0.4133)))
    assert estimate.label == "unknown"
    assert "nothing diffracts" in estimate.reasons[0]


def test_a_pattern_of_nothing_but_gaps_is_unknown(model: PhysicsModel) -> None:
    x = np.linspace(2.0, 16.0, 2000)
    nothing = np.full(2000, np.nan)
    assert model.estimate(Observation(0, Pattern(x, nothing, nothing, 0.4133))).label == "unknown"


def test_gaps_in_the_pattern_leave_the_answer_alone(model: PhysicsModel, see: See) -> None:
    pattern = kbr(np.random.default_rng(8), 1.0, 0.0)
    holes = pattern.intensity.copy()
    holes[300:360], holes[900:930] = np.nan, np.nan
    whole = model.estimate(see(pattern), salt="KBr")
    holed = model.estimate(
        see(Pattern(pattern.two_theta_deg, holes, pattern.variance, pattern.wavelength_angstrom, False)), salt="KBr"
    )
    assert whole.label == holed.label == "B1"
    assert holed.phases[0].a_angstrom == pytest.approx(whole.phases[0].a_angstrom, rel=5e-4)


def test_the_unit_of_the_intensity_does_not_matter(model: PhysicsModel, see: See) -> None:
    pattern = kbr(np.random.default_rng(9), 1.8, 0.4)
    scaled = Pattern(
        pattern.two_theta_deg, 1e-6 * pattern.intensity, 1e-12 * pattern.variance, pattern.wavelength_angstrom, False,
        azimuthal_variation=pattern.azimuthal_variation,
    )  # fmt: skip
    one, two = model.estimate(see(pattern), salt="KBr"), model.estimate(see(scaled), salt="KBr")
    assert one.label == two.label == "mixture"
    assert one.fraction_b2 is not None
    assert two.fraction_b2 is not None
    assert one.fraction_b2.value == pytest.approx(two.fraction_b2.value, abs=1e-3)


def test_two_structures_at_unlike_pressures_are_not_one_sample(model: PhysicsModel, see: See) -> None:
    rng = np.random.default_rng(10)
    soft = diamond_cell_pattern(rng, Cell(0.2, {("KBr", "B1"): 1.0}), contrast=0.08, counts=5e5)
    hard = diamond_cell_pattern(rng, Cell(4.0, {("KBr", "B2"): 1.0}), contrast=0.08, counts=5e5)
    both = Pattern(
        soft.two_theta_deg,
        soft.intensity + hard.intensity,
        soft.variance + hard.variance,
        soft.wavelength_angstrom,
        False,
    )
    estimate = model.estimate(see(both), salt="KBr")
    assert estimate.label == "unknown"
    assert any("GPa apart" in reason for reason in estimate.reasons)


def test_another_salt_than_the_one_asked_for_is_not_found(model: PhysicsModel, see: See) -> None:
    pattern = diamond_cell_pattern(np.random.default_rng(11), Cell(0.0, {("LiF", "B1"): 1.0}), contrast=0.1, counts=1e6)
    assert model.estimate(see(pattern), salt="KBr").label == "unknown"


def test_a_gauge_far_from_the_reading_makes_it_unknown_and_is_named(model: PhysicsModel) -> None:
    pattern = kbr(np.random.default_rng(12), 0.5, 0.0)
    near = model.estimate(Observation(0, pattern, {}, Measured(300.0, 1.0), Measured(0.6, 0.1)), salt="KBr")
    far = model.estimate(Observation(0, pattern, {}, Measured(300.0, 1.0), Measured(3.0, 0.1)), salt="KBr")
    assert near.label == "B1"
    assert far.label == "unknown"
    assert any("gauge says 3.00" in reason for reason in far.reasons)


def assert_sound(estimate: Estimate) -> None:
    assert tuple(estimate.probabilities) == LABELS
    assert sum(estimate.probabilities.values()) == pytest.approx(1.0)
    assert all(0.0 < p < 1.0 for p in estimate.probabilities.values())
    assert estimate.reasons
    assert (estimate.phases == ()) == (estimate.label == "unknown")
    assert max(estimate.probabilities, key=lambda k: estimate.probabilities[k]) == estimate.label


def test_every_estimate_is_sound_and_comes_out_the_same_twice(model: PhysicsModel, see: See) -> None:
    patterns = [kbr(np.random.default_rng(1), 1.8, f) for f in (0.0, 0.4, 1.0)]
    patterns.append(surroundings_only(np.random.default_rng(2), 1.0, 4))
    for pattern in patterns:
        estimate = model.estimate(see(pattern), salt="KBr")
        assert_sound(estimate)
        assert model.estimate(see(pattern), salt="KBr") == estimate


def test_a_salt_outside_the_table_is_refused_with_what_there_is(model: PhysicsModel, see: See) -> None:
    with pytest.raises(tables.UnknownPhase, match="KBr"):
        model.estimate(see(kbr(np.random.default_rng(1), 1.0, 0.0)), salt="PbTe")
    with pytest.raises(tables.UnknownPhase, match="KBr"):
        PhysicsModel(["PbTe"])


def test_an_impossible_wavelength_is_refused(model: PhysicsModel) -> None:
    x = np.linspace(2.0, 16.0, 500)
    with pytest.raises(ValueError, match="angstrom"):
        model.estimate(Observation(0, Pattern(x, x, x, 0.0)))
