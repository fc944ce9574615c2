"""The cell: friction, creep, supply, and the collapse of the sample fed back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocksalt.twin.world import World


def pressure(world: World, at_s: float) -> float:
    return world.state(world.advance(at_s))[0]


def fraction(world: World, at_s: float) -> float:
    return world.fraction_b2(*world.state(world.advance(at_s)))


@given(cuts=st.lists(st.floats(0.0, 900.0), max_size=40), seed=st.integers(0, 3))
@settings(max_examples=12, deadline=None)
def test_nothing_depends_on_when_anybody_looked(make, cuts, seed):
    asked, unasked = make(seed), make(seed)
    for at_s, bar in ((3.1, 25.0), (160.03, 38.0), (400.4, 44.0), (700.2, 20.0)):
        for cut in sorted(cuts):
            if cut < at_s:
                asked.camera.shape, asked.membrane.gas_bar(cut), asked.enclosure.shutter_switches(cut)
        for world in (asked, unasked):
            world.membrane.ramp(at_s, bar, 0.5)
            world.enclosure.request_shutter(at_s + 1.0, at_s < 500.0)
    for cut in sorted(cuts):
        asked.thermal.sample_k(cut)
    assert pressure(asked, 900.0) == pressure(unasked, 900.0)
    assert fraction(asked, 900.0) == fraction(unasked, 900.0)
    assert asked.dose_gy(900.0) == pytest.approx(unasked.dose_gy(900.0), rel=1e-9)


def test_a_time_before_now_means_now(make):
    world = make(1)
    world.membrane.ramp(100.0, 20.0, 0.5)
    assert world.membrane.gas_bar(110.0) == pytest.approx(5.0)
    assert world.membrane.gas_bar(50.0) == pytest.approx(5.0)
    world.membrane.hold(20.0)
    assert world.membrane.gas_bar(111.0) == pytest.approx(5.0, abs=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_the_sample_does_not_follow_until_friction_is_overcome(make, seed):
    world = make(seed, transition="none")
    world.membrane.ramp(0.0, 20.0, 0.5)
    before = pressure(world, 600.0)
    gain = 0.055 * world.hidden.cell.gain_relative
    world.membrane.ramp(600.0, 20.0 - world.hidden.cell.friction_gpa / gain, 0.5)
    assert pressure(world, 900.0) == pytest.approx(before, abs=1e-4)
    world.membrane.ramp(900.0, 20.0, 0.5)
    assert pressure(world, 1200.0) == pytest.approx(before, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_at_the_same_gas_the_sample_is_higher_on_the_way_back(make, seed):
    world = make(seed, transition="none")
    world.membrane.ramp(0.0, 20.0, 0.5)
    up = pressure(world, 600.0)
    world.membrane.ramp(600.0, 40.0, 0.5)
    world.membrane.ramp(1200.0, 20.0, 0.5)
    assert pressure(world, 1800.0) > up + 2.0 * world.hidden.cell.friction_gpa
    world.membrane.vent(1800.0, 1.0)
    assert pressure(world, 2400.0) > 0.0


def test_the_load_arrives_late_so_that_settling_shows_in_the_sample_and_not_in_the_gas(make):
    world = make(2, transition="none")
    world.membrane.ramp(0.0, 20.0, 1.0)
    world.advance(20.5)
    assert world.membrane.gas_bar(20.5) == world.membrane.gas_bar(200.0) == 20.0
    arrived, settled = world.state(20.5)[0], pressure(world, 320.0)
    assert settled - arrived > 0.5 * world.hidden.cell.creep_share * 0.5
    assert pressure(world, 321.0) == pytest.approx(settled, abs=1e-3)


def test_the_supply_is_the_end(make):
    world = make(3)
    world.membrane.ramp(0.0, 500.0, 5.0)
    assert world.membrane.gas_bar(600.0) == pytest.approx(world.membrane.supply_bar(0.0), rel=1e-3)
    assert world.membrane.supply_bar(600.0) < 150.0


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_ramp_needs_a_rate(make, rate):
    with pytest.raises(ValueError, match="positive rate"):
        make(1).membrane.ramp(0.0, 10.0, rate)


def test_trapped_gas_leaks_slowly(make):
    world = make(1)
    world.membrane.ramp(0.0, 50.0, 1.0)
    world.membrane.hold(60.0)
    assert 48.0 < world.membrane.gas_bar(3660.0) < 50.0


@pytest.mark.parametrize("seed", range(6))
def test_the_collapse_takes_pressure_from_the_cell(make, seed):
    """The same seed with and without a transition differs by the collapse alone."""
    turning, staying = make(seed), make(seed, transition="none")
    for world in (turning, staying):
        world.membrane.ramp(0.0, 90.0, 0.2)
        world.advance(700.0)
    assert fraction(turning, 700.0) == pytest.approx(1.0)
    assert fraction(staying, 700.0) == 0.0
    lost = staying.state(700.0)[0] - turning.state(700.0)[0]
    assert 0.05 < lost < 0.45
    assert lost == pytest.approx(turning.hidden.cell.collapse_gpa, rel=0.4)


def test_a_gasket_that_gives_way_loses_pressure_while_the_gas_rises(make):
    seed = next(s for s in range(200) if (make(s, tier="hostile").hidden.cell.blow_out_bar or 0.0) > 30.0)
    world = make(seed, tier="hostile", transition="none")
    arrives_s = world.hidden.cell.blow_out_bar / 0.5
    world.membrane.ramp(0.0, 80.0, 0.5)
    before = pressure(world, arrives_s)
    after = pressure(world, arrives_s + 40.0)
    assert world.membrane.gas_bar(arrives_s + 40.0) > world.hidden.cell.blow_out_bar
    assert after < 0.4 * before


def test_no_clean_gasket_gives_way(make):
    assert all(make(seed).hidden.cell.blow_out_bar is None for seed in range(20))
