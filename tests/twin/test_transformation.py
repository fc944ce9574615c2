"""B1 to B2: where, how fast, back again, and never where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from rocksalt.time import Chance
from rocksalt.twin import departures, tiers
from rocksalt.twin.sample.salt import salt
from rocksalt.twin.sample.transformation import BINS, Law, Transformation, spread


def slow_ramp(world, gpa_per_min=0.1, until_s=3000.0):
    """A ramp of the load at this rate; gives back the world when half has transformed."""
    rate = gpa_per_min / 60.0 / (0.055 * world.hidden.cell.gain_relative)
    world.membrane.ramp(0.0, 138.0, rate)
    at_s = 0.0
    while world.transition_gpa[1] is None and at_s < until_s:
        at_s += 60.0
        world.advance(at_s)
    return world


@pytest.mark.parametrize("seed", range(12))
def test_a_slow_ramp_crosses_half_where_it_was_drawn(make, seed):
    world = slow_ramp(make(seed))
    onset, p50 = world.transition_gpa
    assert p50 == pytest.approx(world.p50_gpa, abs=0.05)
    assert p50 - 0.25 < onset < p50


def test_the_drawn_pressures_are_spread_over_the_range():
    kbr, clean = salt("KBr", 0.055), tiers.tier("clean")
    places = [departures.draw(clean, Chance(seed)).sample.p50_place for seed in range(400)]
    drawn = np.sort([kbr.drawn_p50_gpa(place) for place in places])
    expected = 1.3 + 1.3 * (np.arange(400) + 0.5) / 400
    # Kolmogorov-Smirnov at 1 % for n = 400: 1.63 / sqrt(400) of the range.
    assert np.abs(drawn - expected).max() < 1.3 * 1.63 / 20.0


def test_without_a_transition_b1_stays_to_the_end(make):
    world = make(5, transition="none")
    world.membrane.ramp(0.0, 140.0, 1.0)
    world.advance(1500.0)
    pressure, transformed = world.state(1500.0)
    assert pressure > 3.5
    assert not transformed.any()
    assert world.transition_gpa == (None, None)


def test_both_phases_are_seen_together_at_realistic_steps(make):
    for seed in range(4):
        world = make(seed)
        at_s, bar, seen = 0.0, 0.0, []
        step = 0.1 / (0.055 * world.hidden.cell.gain_relative)
        while not seen or seen[-1] < 0.98:
            bar += step
            world.membrane.ramp(at_s, bar, 0.5)
            at_s += step / 0.5 + 60.0
            world.advance(at_s)
            seen.append(world.fraction_b2(*world.state(at_s)))
        assert sum(0.05 < fraction < 0.95 for fraction in seen) >= 2


def test_b2_comes_back_at_a_lower_pressure_than_it_went(make):
    world = slow_ramp(make(4))
    world.membrane.ramp(world.now_s, 80.0, 0.5)
    world.membrane.vent(world.now_s + 300.0, 0.05)
    forward = world.transition_gpa[1]
    fraction, pressure = 1.0, 9.0
    while fraction > 0.5 and world.now_s < 6000.0:
        world.advance(world.now_s + 1.0)
        pressure, transformed = world.state(world.now_s)
        fraction = world.fraction_b2(pressure, transformed)
    assert fraction <= 0.5
    assert forward - 0.4 < pressure < forward - 0.05


def test_nothing_moves_in_the_dead_band():
    law = Law(forward_gpa=2.0, reverse_gpa=1.8, tau0_s=10.0, p0_gpa=0.03, avrami=2.0)
    sample = Transformation(law, spread(0.0, 0.0, 0.0))
    sample.step(2.05, 5.0)
    half_way = sample.transformed.copy()
    assert 0.0 < half_way.mean() < 1.0
    assert not sample.step(1.9, 1e4)
    assert np.array_equal(sample.transformed, half_way)
    assert sample.step(1.75, 1e4)
    assert sample.transformed.mean() == pytest.approx(0.0, abs=1e-9)


def test_growth_at_constant_pressure_is_avramis_in_one_step_or_in_many():
    law = Law(forward_gpa=2.0, reverse_gpa=1.8, tau0_s=10.0, p0_gpa=0.03, avrami=2.0)
    at_once, bit_by_bit = (Transformation(law, spread(0.0, 0.0, 0.0)) for _ in range(2))
    at_once.step(2.03, 3.0)
    for _ in range(300):
        bit_by_bit.step(2.03, 0.01)
    age = 3.0 / 10.0 * np.e
    assert at_once.transformed == pytest.approx(np.full(BINS, 1.0 - np.exp(-(age**2))), rel=1e-12)
    assert bit_by_bit.transformed == pytest.approx(at_once.transformed, rel=1e-9)


@pytest.mark.parametrize("tier", tiers.TIERS)
def test_departures_stay_in_their_tier_and_are_the_seeds_own(tier):
    wanted = tiers.tier(tier)
    first = departures.draw(wanted, Chance(7))
    assert first == departures.draw(wanted, Chance(7))
    assert first != departures.draw(wanted, Chance(8))
    for section, spans in wanted.sections.items():
        for name, span in spans.items():
            low, high = span if isinstance(span, tuple) else (-2.0 * span, 2.0 * span)
            assert low <= getattr(getattr(first, section), name) <= high, (section, name)
    for structure in ("B1", "B2"):
        assert abs(first.sample.eos_error_gpa(structure)) <= first.sample.eos_limit_gpa


def test_heat_makes_the_change_faster_and_closes_the_dead_band():
    law = Law(2.0, 1.8, 10.0, 0.03, 2.0, activation_ev=0.1, slope_gpa_per_k=1e-4, closing_k=10.0)
    forward, reverse, tau = law.at(300.0)
    assert (forward, reverse, tau) == (2.0, 1.8, pytest.approx(10.0))
    hot_forward, hot_reverse, hot_tau = law.at(330.0)
    assert hot_tau < tau < law.at(270.0)[2]
    assert hot_forward - hot_reverse == pytest.approx(0.2 * np.exp(-3.0))
    assert 0.5 * (hot_forward + hot_reverse) == pytest.approx(1.9 + 30.0 * 1e-4)
    cold = Transformation(law, spread(0.0, 0.0, 0.0))
    assert not cold.step(2.03, 3600.0, 5.0), "at 5 K nothing has the heat to move"
    assert cold.step(2.03, 3600.0, 300.0)


def test_the_law_is_the_tables_at_any_temperature():
    from rocksalt.crystals import kinetics

    law = Law(2.0, 1.8, 10.0, 0.03, 2.0, activation_ev=0.08, slope_gpa_per_k=2e-4)
    same = kinetics.Kinetics(
        equilibrium_gpa=1.9, forward_gpa=2.0, reverse_gpa=1.8, p0_gpa=0.03, tau0_s=10.0, avrami=2.0, activation_ev=0.08,
        slope_gpa_per_k=2e-4,
    )  # fmt: skip
    for kelvin in (200.0, 298.0, 350.0):
        mine, x = Transformation(law, spread(0.0, 0.0, 0.0)), np.zeros(BINS)
        for pressure, seconds in ((2.04, 4.0), (1.9, 50.0), (2.02, 2.0), (1.77, 1.5)):
            mine.step(pressure, seconds, kelvin)
            x = kinetics.advance(same, x, np.full(BINS, pressure), seconds, kelvin)
            assert mine.transformed == pytest.approx(x, rel=1e-9, abs=1e-12)
