"""B1 to B2: facts against equations of state, and a rate law that steps exactly."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.crystals import eos, intermediate, kinetics
from rocksalt.crystals.kinetics import (
    Kinetics,
    KineticsError,
    NoTransition,
    advance,
    coexisting_fraction,
    volume_collapse,
)
from rocksalt.crystals.tables import PHASES, UnknownPhase, phase
from rocksalt.crystals.transition import TRANSITIONS, Transition

BOTH = [fact for fact in TRANSITIONS.values() if (fact.salt, "B2") in PHASES]
LAW = kinetics.kinetics("KBr", p0_gpa=0.05, tau0_s=300.0, avrami=2.5)


@pytest.mark.parametrize("fact", BOTH, ids=lambda fact: fact.salt)
def test_a_transition_fits_the_equations_of_state(fact: Transition) -> None:
    step, sigma = volume_collapse(fact.salt, fact.equilibrium_gpa)
    assert step == pytest.approx(fact.volume_step, abs=0.012)
    assert 0.0 < sigma < 0.02


@pytest.mark.parametrize("fact", TRANSITIONS.values(), ids=lambda fact: fact.salt)
def test_bands_lie_about_the_equilibrium(fact: Transition) -> None:
    assert fact.reverse_gpa[0] <= fact.reverse_gpa[1] <= fact.forward_gpa[1]
    assert fact.reverse_gpa[0] < fact.equilibrium_gpa <= fact.forward_gpa[1]
    assert fact.sources
    assert not fact.confirmed
    assert kinetics.kinetics(fact.salt).forward_gpa >= fact.equilibrium_gpa


@given(
    fraction=st.floats(0.0, 1.0), pressure=st.floats(1.0, 2.6), seconds=st.floats(0.0, 1e5), split=st.floats(0.0, 1.0)
)
def test_two_steps_are_one(fraction: float, pressure: float, seconds: float, split: float) -> None:
    x, p = np.asarray(fraction), np.asarray(pressure)
    whole = advance(LAW, x, p, seconds)
    parts = advance(LAW, advance(LAW, x, p, split * seconds), p, (1.0 - split) * seconds)
    assert float(parts) == pytest.approx(float(whole), rel=1e-9, abs=1e-9)
    assert 0.0 <= float(whole) <= 1.0


def test_nothing_happens_in_the_dead_band_and_each_branch_goes_its_way() -> None:
    band = np.linspace(LAW.reverse_gpa, LAW.forward_gpa, 5)
    np.testing.assert_array_equal(advance(LAW, np.full(5, 0.4), band, 1e6), 0.4)
    assert float(advance(LAW, np.asarray(0.0), np.asarray(LAW.forward_gpa + 0.1), 300.0)) > 0.5
    assert float(advance(LAW, np.asarray(1.0), np.asarray(LAW.reverse_gpa - 0.1), 300.0)) < 0.5
    # p0 of overpressure makes it e times faster
    at_edge, beyond = kinetics.rates_per_s(LAW, LAW.forward_gpa + np.array([1e-9, LAW.p0_gpa]))[0]
    assert beyond / at_edge == pytest.approx(np.e, rel=1e-6)


def test_heat_makes_it_faster_and_a_slope_moves_the_bands() -> None:
    warm = replace(LAW, activation_ev=0.5, slope_gpa_per_k=-1e-3)
    at = np.asarray(LAW.forward_gpa + 0.05)
    same = kinetics.rates_per_s(warm, at)[0]
    np.testing.assert_allclose(same, kinetics.rates_per_s(LAW, at)[0])
    hot = kinetics.rates_per_s(replace(LAW, activation_ev=0.5), at, 350.0)[0]
    assert float(hot / same) == pytest.approx(np.exp(0.5 / 8.617333262e-5 * (1 / 300 - 1 / 350)))
    inside = np.asarray(LAW.forward_gpa - 0.02)
    assert float(kinetics.rates_per_s(warm, inside)[0]) == 0.0 < float(kinetics.rates_per_s(warm, inside, 350.0)[0])
    assert float(advance(warm, np.asarray(0.2), inside, 600.0, 350.0)) > 0.2
    with pytest.raises(ValueError, match=r"temperature \(K\) is 0: it must be above 0"):
        kinetics.rates_per_s(LAW, at, 0.0)


def test_a_pressure_gradient_makes_phases_coexist() -> None:
    share = coexisting_fraction(1.8, np.array([1.5, 1.8, 2.1]), np.asarray(0.1))
    np.testing.assert_allclose(share, [0.00135, 0.5, 0.99865], atol=1e-5)
    with pytest.raises(ValueError, match="must be above 0"):
        coexisting_fraction(1.8, np.asarray(1.8), np.asarray(0.0))


def test_the_stray_intermediate_is_seen_in_two_salts_and_has_lines_of_its_own() -> None:
    assert {fact.salt for fact in TRANSITIONS.values() if fact.intermediate} == {"KCl", "NaBr"}
    row = phase("KCl", "B1")
    a = eos.cell_angstrom(row, 2.0)
    found = intermediate.stray_lines(row, a, 0.4, 1.4)
    assert np.all(np.diff(found.d_angstrom) <= 0.0)
    assert np.all((found.hkl[:, 0] + found.hkl[:, 1]) % 2 == 0)
    strongest = found.d_angstrom[np.argmax(found.intensity_per_volume)]
    assert np.abs(strongest - a / np.sqrt([3.0, 4.0, 8.0])).min() > 0.02
    volume = intermediate.B33.volume
    assert 1.0 - 0.125 < volume < 1.0
    with pytest.raises(ValueError, match=r"not seen in KBr B1; it was in KCl, NaBr"):
        intermediate.stray_lines(phase("KBr", "B1"), 6.6, 0.4, 1.4)
    with pytest.raises(ValueError, match="must be positive"):
        intermediate.stray_lines(row, a, 0.0, 1.4)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(NoTransition, match="no B1 to B2 transition of CsI in the table; there is one of NaCl"):
        kinetics.kinetics("CsI")
    with pytest.raises(NoTransition, match="must hold"):
        Kinetics(equilibrium_gpa=2.0, forward_gpa=1.0, reverse_gpa=0.5, p0_gpa=0.1, tau0_s=1.0, avrami=1.0)
    with pytest.raises(UnknownPhase, match="no NaBr B2"):
        volume_collapse("NaBr", 30.0)
    for fraction, pressure, seconds, limit in (
        (1.2, 2.0, 1.0, "1.2: it must lie in 0 to 1"),
        (0.5, float("nan"), 1.0, "nan: it must lie in -5 to 200"),
        (0.5, 2.0, -1.0, "-1: it must be 0 or more"),
    ):
        with pytest.raises(KineticsError, match=limit):
            advance(LAW, np.asarray(fraction), np.asarray(pressure), seconds)
