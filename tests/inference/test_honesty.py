"""Whether the model knows how well it knows: sigmas against errors, what it could not see, how far it is followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from inference.synthetic import ROOM, Cell, diamond_cell_pattern
from rocksalt.inference import quantities, stress
from rocksalt.inference.model import PhysicsModel
from rocksalt.values import Estimate, Observation, Pattern, PhaseEstimate

See = Callable[[Pattern], Observation]


def mixed(rng: np.random.Generator, pressure_gpa: float, fraction_b2: float, salt: str = "KBr") -> Pattern:
    shares = {(salt, "B1"): 1.0 - fraction_b2, (salt, "B2"): fraction_b2}
    cell = Cell(pressure_gpa, {key: share for key, share in shares.items() if share})
    return diamond_cell_pattern(rng, cell, contrast=0.5, counts=1e6)


def rms(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.05), (0.05, 0.2), (0.3, 0.7), (0.8, 0.95), (0.95, 0.98)])
def test_a_fraction_of_b2_is_off_by_about_what_its_sigma_says(
    model: PhysicsModel, see: See, low: float, high: float
) -> None:
    off = []
    for seed in range(16):
        rng = np.random.default_rng([seed, round(1000 * low)])
        fraction = float(rng.uniform(low, high))
        estimate = model.estimate(see(mixed(rng, float(rng.uniform(1.6, 2.3)), fraction)), salt="KBr")
        assert estimate.fraction_b2 is not None
        off.append((estimate.fraction_b2.value - fraction) / estimate.fraction_b2.sigma)
    assert 0.4 < rms(off) < 1.8


def test_a_pressure_is_off_by_no_more_than_its_sigma_says(model: PhysicsModel, see: See) -> None:
    off = []
    for seed in range(16):
        rng = np.random.default_rng([seed, 77])
        pressure = float(rng.uniform(0.3, 2.5))
        estimate = model.estimate(see(mixed(rng, pressure, (0.0, 0.5)[seed % 2])), salt="KBr")
        assert estimate.pressure_gpa is not None
        off.append((estimate.pressure_gpa.value - pressure) / estimate.pressure_gpa.sigma)
    assert rms(off) < 1.3


def test_a_calibration_that_is_known_less_well_widens_the_pressure_by_what_it_moves(
    model: PhysicsModel, see: See
) -> None:
    pattern = mixed(np.random.default_rng(3), 1.0, 0.0)
    told = {
        sigma: model.estimate(see(replace(pattern, calibration_sigma=sigma)), salt="KBr").pressure_gpa
        for sigma in (1e-5, 1e-3)
    }
    assert told[1e-5] is not None
    assert told[1e-3] is not None
    assert told[1e-5].value == pytest.approx(told[1e-3].value, rel=1e-9)
    # dP = 3 K da/a, with K of about 19.5 GPa at 1 GPa.
    assert np.sqrt(told[1e-3].sigma ** 2 - told[1e-5].sigma ** 2) == pytest.approx(3.0 * 19.5 * 1e-3, rel=0.05)


def phase(structure: str, pressure_gpa: float, sigma_gpa: float, fraction: float) -> PhaseEstimate:
    kind = "B1" if structure == "B1" else "B2"
    return PhaseEstimate(
        "KBr", kind, fraction, 0.01, "volume", 6.3, 1e-3, pressure_gpa, sigma_gpa, "ruby, Dewaele 2012", 300.0
    )


def test_two_structures_on_one_detector_know_the_pressure_no_better_than_the_better_one() -> None:
    together = quantities.sample_pressure([phase("B1", 2.0, 0.03, 0.5), phase("B2", 2.01, 0.03, 0.5)])
    assert together is not None
    assert together.value == pytest.approx(2.005)
    assert together.sigma == pytest.approx(0.03)


def test_a_trace_that_says_another_pressure_does_not_move_the_samples() -> None:
    together = quantities.sample_pressure([phase("B2", 3.48, 0.057, 0.998), phase("B1", 2.92, 0.064, 0.002)])
    assert together is not None
    assert together.value == pytest.approx(3.48, abs=0.005)


def unseen_percent(estimate: Estimate) -> float:
    (sentence,) = (reason for reason in estimate.reasons if "would not be seen in this pattern" in reason)
    return float(sentence.split()[2])


def test_a_pure_pattern_says_how_little_of_the_other_structure_would_have_been_seen(
    model: PhysicsModel, see: See
) -> None:
    def one(counts: float) -> Estimate:
        cell = Cell(1.8, {("KBr", "B1"): 1.0})
        return model.estimate(
            see(diamond_cell_pattern(np.random.default_rng(5), cell, contrast=0.5, counts=counts)), salt="KBr"
        )

    few, many = one(3e4), one(3e6)
    assert few.label == many.label == "B1"
    assert 0.05 < unseen_percent(many) < unseen_percent(few) < 20.0


def test_what_it_says_would_be_seen_is_seen(model: PhysicsModel, see: See) -> None:
    pure = model.estimate(see(mixed(np.random.default_rng(6), 1.8, 0.0)), salt="KBr")
    fraction = 2.0 * unseen_percent(pure) / 100.0
    for seed in range(6):
        estimate = model.estimate(see(mixed(np.random.default_rng([seed, 8]), 1.8, fraction)), salt="KBr")
        assert estimate.label == "mixture", estimate.reasons


def test_a_barely_visible_second_structure_is_called_with_less_certainty_than_a_clear_one(
    model: PhysicsModel, see: See
) -> None:
    sure = {}
    for fraction in (0.012, 0.3):
        estimates = [
            model.estimate(see(mixed(np.random.default_rng([seed, 9]), 1.8, fraction)), salt="KBr") for seed in range(4)
        ]
        sure[fraction] = max(e.probabilities["mixture"] for e in estimates)
        assert any(e.label == "mixture" for e in estimates)
    assert sure[0.012] < 0.985 < sure[0.3]


@pytest.mark.parametrize("salt", ["KBr", "KCl"])
def test_a_salt_that_is_known_is_followed_beyond_its_data_with_less_and_less_certainty(
    model: PhysicsModel, see: See, salt: str
) -> None:
    sigmas = []
    for pressure in (2.3, 3.6, 4.8):
        estimate = model.estimate(see(mixed(np.random.default_rng(3), pressure, 0.0, salt)), salt=salt)
        assert estimate.label == "B1", estimate.reasons
        assert estimate.pressure_gpa is not None
        assert abs(estimate.pressure_gpa.value - pressure) < 3.0 * estimate.pressure_gpa.sigma
        sigmas.append(estimate.pressure_gpa.sigma)
        told = [reason for reason in estimate.reasons if "GPa beyond the data of its equation of state" in reason]
        assert len(told) == (pressure > 3.0)
    assert sigmas[0] < 0.7 * sigmas[1] < 0.7 * sigmas[2]
    assert f"{salt} B1 is 2." in told[0]


def test_a_salt_that_is_not_known_is_given_no_pressure_beyond_its_data(model: PhysicsModel, see: See) -> None:
    estimate = model.estimate(see(mixed(np.random.default_rng(3), 4.8, 0.0)))
    found = [p for p in (*estimate.phases, *estimate.candidates) if (p.salt, p.structure) == ("KBr", "B1")]
    assert all(p.pressure_gpa is None for p in found)
    assert not any("extrapolated" in reason for reason in estimate.reasons)


def test_data_that_are_no_counts_are_said_to_be_weighted_by_their_scatter(model: PhysicsModel) -> None:
    pattern = mixed(np.random.default_rng(4), 1.0, 0.0)
    honest = model.estimate(Observation(0, pattern, {}, ROOM), salt="KBr")
    wrong = Pattern(
        pattern.two_theta_deg, pattern.intensity, 1e-4 * pattern.variance, pattern.wavelength_angstrom, None
    )
    told = model.estimate(Observation(0, wrong, {}, ROOM), salt="KBr")
    assert not any("scatter" in reason for reason in honest.reasons)
    (sentence,) = (reason for reason in told.reasons if "scatter" in reason)
    assert sentence.startswith("the data are no raw counts: they were weighted by their scatter, ")
    assert float(sentence.split(", ")[1].split()[0]) == pytest.approx(100.0, rel=0.3)


# Relative strain of the spacings in 1e-4 at t = 0.1 GPa and equal stress in all grains, worked out elsewhere.
REUSS = [("NaCl", 9.1, 12.0, 13.0), ("KCl", 9.9, 22.3, 26.5), ("KBr", 11.5, 27.4, 32.7), ("LiF", 5.1, 3.2, 2.6)]


@pytest.mark.parametrize(("salt", "cube", "face", "corner"), REUSS)
def test_strain_by_stress_is_what_was_worked_out_elsewhere(
    monkeypatch: pytest.MonkeyPatch, salt: str, cube: float, face: float, corner: float
) -> None:
    monkeypatch.setattr(stress, "_HALFWAY", 1.0)
    a = {"NaCl": 5.6402, "KCl": 6.294, "KBr": 6.6005, "LiF": 4.0325}[salt]
    found = 1e3 * stress.strain_per_gpa(salt, "B1", ("200", "220", "111", "10 0 0"), a)
    np.testing.assert_allclose(found, [cube, face, corner, cube], rtol=0.06)


def test_a_phase_of_unknown_elasticity_is_taken_to_bear_no_stress() -> None:
    np.testing.assert_array_equal(stress.strain_per_gpa("NaCl", "B2", ("100", "110"), 2.95), [0.0, 0.0])


def test_a_uniaxial_stress_is_taken_out_of_the_pressure_where_the_salt_is_known(model: PhysicsModel, see: See) -> None:
    """Equal stress in all grains, where the model assumes something between that and equal strain."""

    def strain(label: str, theta: float) -> float:
        h, k, index = (int(i) ** 2 for i in label)
        gamma = (h * k + k * index + index * h) / (h + k + index) ** 2
        return 0.6 * (11.5 + 3.0 * (32.7 - 11.5) * gamma) * 1e-4 * (1.0 - 3.0 * float(np.sin(theta)) ** 2)

    blind: list[float] = []
    corrected: list[float] = []
    unstressed = PhysicsModel(["KBr"])
    for seed in range(6):
        pattern = diamond_cell_pattern(
            np.random.default_rng([seed, 2]), Cell(0.5, {("KBr", "B1"): 1.0}), contrast=1.0, counts=1e6, strain=strain
        )
        for who, salt, errors in ((unstressed, None, blind), (model, "KBr", corrected)):
            estimate = who.estimate(see(pattern), salt=salt)
            assert estimate.pressure_gpa is not None
            errors.append(estimate.pressure_gpa.value - 0.5)
    assert np.mean(blind) < -0.04
    assert abs(np.mean(corrected)) < 0.5 * abs(np.mean(blind))


@pytest.mark.parametrize("seed", [3, 9, 11, 19])
def test_looking_for_a_stress_never_hides_a_structure_however_many_counts_there_are(
    model: PhysicsModel, see: See, seed: int
) -> None:
    """With one structure still missing from the fit, a stress could bend the other's lines into its place."""
    rng = np.random.default_rng([seed, 500, 5000000])
    fraction, pressure = float(rng.uniform(0.5, 0.8)), float(rng.uniform(1.6, 2.3))
    cell = Cell(pressure, {("KBr", "B1"): 1.0 - fraction, ("KBr", "B2"): fraction})
    estimate = model.estimate(see(diamond_cell_pattern(rng, cell, contrast=0.5, counts=5e6)), salt="KBr")
    assert estimate.label == "mixture", estimate.reasons
    assert estimate.pressure_gpa is not None
    assert estimate.pressure_gpa.value == pytest.approx(pressure, abs=0.1)
