"""The cell: friction, creep, supply, and the collapse of the sample fed back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocksalt.crystals import absorption
from rocksalt.time import Chance
from rocksalt.twin import departures
from rocksalt.twin.cell.gasket import DoseRate, Drift
from rocksalt.twin.cell.medium import MEDIA, medium
from rocksalt.twin.tiers import tier
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
    hostile = tier("hostile")
    seed = next(s for s in range(200) if (departures.draw(hostile, Chance(s)).cell.blow_out_bar or 0.0) > 30.0)
    world = make(seed, tier="hostile", transition="none")
    arrives_s = world.hidden.cell.blow_out_bar / 0.5
    world.membrane.ramp(0.0, 80.0, 0.5)
    before = pressure(world, arrives_s)
    after = pressure(world, arrives_s + 40.0)
    assert world.membrane.gas_bar(arrives_s + 40.0) > world.hidden.cell.blow_out_bar
    assert after < 0.4 * before


def test_no_clean_gasket_gives_way():
    clean = tier("clean")
    assert all(departures.draw(clean, Chance(seed)).cell.blow_out_bar is None for seed in range(200))


# --- medium, gasket, heat ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pressure_gpa", "kelvin"),
    [("helium", 11.9, 297.0), ("neon", 4.8, 297.0), ("argon", 1.33, 297.0), ("methanol-ethanol", 10.0, 295.0)],
)
def test_a_medium_freezes_where_it_is_said_to(name, pressure_gpa, kelvin):
    assert medium(name).freezing_k(pressure_gpa) == pytest.approx(kelvin, rel=0.01)
    assert medium(name).solid(0.9 * pressure_gpa, kelvin) < 0.5 < medium(name).solid(1.1 * pressure_gpa, kelvin)
    assert medium(name).solid(0.0, 300.0) == 0.0
    assert medium(name).solid(1.0, 2.0) == 1.0


def test_without_a_medium_the_sample_is_its_own_solid():
    assert MEDIA["none"].solid(0.0, 600.0) == 1.0


def frozen(make, seed=3, **more):
    """Loaded to some GPa at room temperature, then down to 20 K."""
    world = make(seed, coldest_k=20.0, transition="none", **more)
    world.thermal.heat(0.0, 298.0, 0.0)
    world.membrane.ramp(0.0, 30.0, 0.5)
    world.advance(1500.0)
    return world


def test_a_frozen_medium_holds_the_piston_harder(make):
    stuck, free = frozen(make, medium="helium"), frozen(make, medium="helium")
    stuck.thermal.off(1500.0)
    before = pressure(free, 5000.0)
    cold = pressure(stuck, 5000.0)
    assert stuck.solid(5000.0) == 1.0
    assert free.solid(5000.0) == 0.0
    gain = 0.055 * free.hidden.cell.gain_relative
    extra = 1.2 * free.hidden.cell.friction_gpa / gain + free.hidden.cell.stick_slip_gpa / gain
    for world in (stuck, free):
        world.membrane.ramp(5000.0, 30.0 + extra, 0.5)
    assert pressure(free, 5300.0) > before + 0.5 * free.hidden.cell.friction_gpa
    assert pressure(stuck, 5300.0) - cold < pressure(free, 5300.0) - before


def test_gradient_and_stress_grow_where_the_medium_is_frozen(make):
    world = frozen(make, medium="helium")
    warm = world.cell.gradient(1.2, world.solid(1500.0)), world.cell.deviatoric_gpa(world.solid(1500.0))
    world.thermal.off(1500.0)
    world.advance(6000.0)
    cold = world.cell.gradient(1.2, world.solid(6000.0)), world.cell.deviatoric_gpa(world.solid(6000.0))
    assert cold[0] / warm[0] == pytest.approx(world.hidden.cell.solid_gradient)
    assert cold[1] / warm[1] == pytest.approx(world.hidden.cell.solid_stress)


def test_cooling_moves_the_pressure_by_the_cell_and_by_the_sample_once_it_is_held(make):
    """Below its freezing line the medium holds the sample: part of its thermal pressure goes."""
    world = frozen(make, medium="none")
    hidden = world.hidden.cell
    loaded, warm = pressure(world, 3000.0), world.temperature_k(3000.0)
    world.thermal.off(3000.0)
    cold = pressure(world, 12000.0)
    assert world.temperature_k(12000.0) == 20.0
    contraction = hidden.thermal_gpa_per_k * hidden.solid_thermal * (20.0 - warm)
    held = hidden.isochoric_share * world.lattices[0].thermal_gpa(20.0)
    assert -0.45 < world.lattices[0].thermal_gpa(20.0) < -0.35, "KBr loses about 0.42 GPa from 300 to 5 K"
    assert cold - loaded == pytest.approx(contraction + held, abs=2e-3)
    world.thermal.heat(12000.0, warm, 0.0)
    assert pressure(world, 15000.0) == pytest.approx(loaded, abs=1e-6)


def test_heat_moves_the_pressure_either_way_by_seed():
    signs = {np.sign(departures.draw(tier("clean"), Chance(seed)).cell.thermal_gpa_per_k) for seed in range(8)}
    assert signs == {-1.0, 1.0}


def test_nothing_pulls_at_the_sample(make):
    world = make(3, medium="none", coldest_k=5.0, tier="hostile")
    assert pressure(world, 8000.0) >= 0.0


def test_the_sample_thins_under_load(make):
    world = make(3, transition="none", thickness_um=40.0)
    assert world.thickness_um(0.0) == pytest.approx(40.0, rel=0.02)
    world.membrane.ramp(0.0, 90.0, 1.0)
    loaded = pressure(world, 300.0)
    assert world.thickness_um(300.0) == pytest.approx(40.0 / (1.0 + world.hidden.cell.thinning_per_gpa * loaded))
    assert world.thickness_um(300.0) == world.gasket.thickness_um(loaded)


def test_a_thin_crystal_gets_more_dose_for_its_mass_than_a_thick_one():
    per_um = 1e-6 * absorption.linear_attenuation_per_m("CsI", 30.0)
    for thickness_um in (5.0, 60.0):
        expected = absorption.dose_rate_gy_per_s(
            "CsI", 1e9, 30.0, beam_size_m=(3e-5, 3e-5), thickness_m=1e-6 * thickness_um
        )
        thin = absorption.dose_rate_gy_per_s("CsI", 1e9, 30.0, beam_size_m=(3e-5, 3e-5), thickness_m=1e-12)
        assert DoseRate(thin, per_um).gy_per_s(thickness_um, 1.0) == pytest.approx(expected, rel=1e-6)


def test_load_and_cold_drift_the_sample_out_of_the_beam(make):
    world = make(5, tier="hostile")
    drift = Drift(world.hidden.cell, world.ambient_k, (30.0, 30.0), 0.0)
    assert drift.hit((0.0, 0.0)) == 1.0
    assert drift.hit((world.hidden.cell.hole_um, 0.0)) == pytest.approx(0.5, abs=0.01)
    assert drift.hit((5.0 * world.hidden.cell.hole_um, 0.0)) < 1e-6
    here, cold = drift.position_um(0.0, 0.0, world.ambient_k), drift.position_um(0.0, 0.0, world.ambient_k - 200.0)
    assert np.hypot(*np.subtract(cold, here)) == pytest.approx(200.0 * world.hidden.cell.drift_um_per_k)
