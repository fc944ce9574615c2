"""Wavelengths: agreement of statements, mistakes of unit, and the way from q to 2θ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.diffraction import wavelength as w


@given(wavelength=st.floats(0.1, 2.5), two_theta=st.floats(0.5, 170.0))
def test_the_way_to_q_and_back_ends_where_it_began(wavelength, two_theta):
    q = 4 * np.pi * np.sin(np.radians(two_theta) / 2) / wavelength
    assert w.two_theta_from_q(np.array([q]), wavelength)[0] == pytest.approx(two_theta, rel=1e-9)


@given(largest_q=st.floats(0.5, 60.0))
def test_a_chosen_wavelength_reaches_the_whole_pattern(largest_q):
    assert w.two_theta_from_q(np.array([largest_q]), w.wavelength_for_q(largest_q))[0] < 120.01


def test_q_out_of_reach_is_refused_with_the_reach():
    with pytest.raises(w.WavelengthError, match=r"q reaches 40 1/Å, and a wavelength of 1\.54 Å only 8\.16 1/Å"):
        w.two_theta_from_q(np.array([1.0, 40.0]), 1.54)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (0.0, "a wavelength of 0 Å is none; give it in Å"),
        (-1.54, "a wavelength of -1.54 Å is none"),
        (float("nan"), "a wavelength of nan Å is none"),
        (float("inf"), "a wavelength of inf Å is none"),
        (1.5406e-10, "looks like metres; 1.5406e-10 m are 1.5406 Å"),
        (0.0154, "shorter than powder diffraction uses .* if it is in nm, give 0.154"),
        (154.06, "if it is in pm, give 1.5406"),
        (8.0478, "if it is an energy in keV, give 1.540"),
    ],
)
def test_what_no_wavelength_in_angstrom_can_be_is_told_what_it_may_be(value, sentence):
    with pytest.raises(w.WavelengthError, match=sentence):
        w.require_possible(value)


@given(st.floats(0.05, 5.0))
def test_every_wavelength_of_powder_diffraction_is_possible(value):
    w.require_possible(value)


@pytest.mark.parametrize(
    ("value", "right"), [(0.154, "1.54"), (0.15406, "1.5406"), (0.15418, "1.5418"), (0.07107, "0.7107")]
)
def test_a_tubes_wavelength_in_nanometres_is_refused_over_a_laboratorys_range(value, right):
    with pytest.raises(w.WavelengthError, match=rf"looks like nanometres; give {right}$"):
        w.require_plausible(value, 80.0)


def test_a_beamline_may_work_at_a_tenth_of_a_tubes_wavelength():
    w.require_plausible(0.15406, 20.0)


def test_a_pattern_that_would_reach_below_any_line_is_refused():
    with pytest.raises(w.WavelengthError, match=r"would reach down to d = 0\.081 Å, where no line is left"):
        w.require_plausible(0.15, 137.0)


@pytest.mark.parametrize(
    ("value", "largest"), [(1.5406, 140.0), (0.7107, 60.0), (0.4133, 25.0), (0.3344, 24.0), (0.2, 30.0)]
)
def test_ordinary_experiments_are_plausible(value, largest):
    w.require_plausible(value, largest)


def test_statements_agree_within_the_doublet_or_are_refused():
    assert w.one_of([]) is None
    assert w.one_of([("the file", 1.5406), ("--wavelength", 1.5418)]) == (1.5406, "the file")
    with pytest.raises(w.WavelengthError, match=r"the file says 1\.5406 Å and --wavelength says 0\.7107 Å"):
        w.one_of([("the file", 1.5406), ("--wavelength", 0.7107)])
