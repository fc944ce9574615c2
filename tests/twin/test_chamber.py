"""The irradiation chamber: spectrum, dose in depth, high voltage, arcs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from rocksalt.crystals import dose_profile
from rocksalt.time import Chance
from rocksalt.twin import departures, tiers
from rocksalt.twin.chamber import spectrum
from rocksalt.twin.chamber.blade import Blade
from rocksalt.twin.chamber.doorways import TubeShutterWay, TubeWay
from rocksalt.twin.chamber.generator import Generator, Rating
from rocksalt.twin.chamber.tube import Tube
from rocksalt.twin.departures import TubeDepartures
from rocksalt.twin.sample.defects import layer_edges_m

EDGES = layer_edges_m(1e-3)


def hidden(seed: int = 1, tier: str = "clean", **fixed: float) -> TubeDepartures:
    return replace(departures.draw(tiers.tier(tier), Chance(seed)).tube, **fixed)


def plain(**fixed: float) -> TubeDepartures:
    """A tube that departs in nothing but what is said."""
    nothing = dict.fromkeys(("kv_relative", "ma_relative", "filter_relative", "drift", "warm_up", "arcs_per_hour"), 0.0)
    return hidden(**{**nothing, "output_relative": 1.0, **fixed})


def tube(salt: str = "KBr", how: TubeDepartures | None = None, **more) -> Tube:
    return Tube(salt, EDGES, plain() if how is None else how, Chance(1), **more)


def burning(kv: float = 50.0, ma: float = 1.0, open_s: float = 50.0, **more) -> Tube:
    """Switched on at 0 s: at its set-points from 100 s on, shutter open."""
    one = tube(**more)
    one.generator.set(0.0, kv=kv, ma=ma)
    assert one.switch(0.0, True)
    one.shutter.move(open_s, True)
    return one


def doses(one: Tube, start_s: float, end_s: float, step_s: float = 0.5) -> np.ndarray:
    """Added up from knot to knot in steps, as the crystal does it."""
    marks = sorted({start_s, end_s, *one.knots(start_s, end_s), *np.arange(start_s, end_s, step_s).tolist()})
    parts = [one.dose_gy(low, high) for low, high in pairwise(marks)]
    return sum((part for part in parts if part is not None), np.zeros(len(EDGES) - 1))


# --- spectrum and depth -----------------------------------------------------------------------------------------------


def test_air_kerma_at_a_metre_is_what_tubes_of_tungsten_give():
    """80 kV behind 2.5 mm Al: 50 to 100 uGy per mA s at 1 m is what hospitals measure (order of magnitude)."""
    energy, photons = spectrum.photons_per_ma_s_sr("W", 80.0)
    behind = photons * spectrum.passed("Al", 2500.0, energy)
    per_kg = sum(
        share * (spectrum._element(element, energy) + spectrum._scattered(element, energy)[1])
        for element, share in (("N", 0.755), ("O", 0.232), ("Ar", 0.013))
    )
    kerma_gy = (behind * energy * 1.602176634e-16 * per_kg).sum()
    assert 50e-6 < kerma_gy < 100e-6
    assert 42.0 < (behind * energy).sum() / behind.sum() < 46.0


def test_klein_and_nishina_give_thomsons_cross_section_to_soft_photons():
    total, kept = spectrum._scattered("Al", np.array([1.0, 100.0]))
    thomson = 0.6652458732e-28 * 13 * 6.02214076e23 / 26.9815385e-3
    assert total[0] == pytest.approx(thomson, rel=0.005)
    assert kept[0] < 0.003 * total[0]
    # At 100 keV electrons keep 13.8 % of the scattered energy (tables of Klein and Nishina: 0.138).
    assert kept[1] / total[1] == pytest.approx(0.138, abs=0.002)


def test_one_energy_without_scattering_agrees_with_the_models_own_profile():
    """At 20 keV in KBr photo-absorption is nearly all: the two codes must meet there."""
    flux, area = 1e9, 1e-6
    mine = spectrum.layer_dose_gy("KBr", np.array([20.0]), np.array([flux / area]), EDGES)
    middle = 0.5 * (EDGES[1:] + EDGES[:-1])
    theirs = dose_profile.dose_rate_profile_gy_per_s("KBr", dose_profile.monochromatic(20.0, flux), area, middle)
    assert mine[:16] == pytest.approx(theirs[:16], rel=0.02)


def test_all_energy_that_is_absorbed_arrives_in_some_layer():
    energy, thick = np.array([15.0]), layer_edges_m(0.05, 400)
    dose = spectrum.layer_dose_gy("KBr", energy, np.array([1e12]), thick)
    joule_per_m2 = (dose * np.diff(thick)).sum() * 2750.0
    assert joule_per_m2 == pytest.approx(1e12 * 15.0 * 1.602176634e-16, rel=0.01)


def test_kbr_takes_its_dose_at_the_surface_and_lif_all_through():
    surface, back = burning().gy_per_s(100.0)[[0, -1]]
    assert 0.05 < surface < 0.5, "W, 50 kV, 1 mA, 1 mm Al, 20 cm: tenths of a gray a second"
    assert back < 0.1 * surface
    surface, back = burning(salt="LiF").gy_per_s(100.0)[[0, -1]]
    assert back > 0.7 * surface
    assert surface < 0.005


def test_more_filter_is_a_harder_beam():
    thin, thick = (burning(filters=(("Al", um),)).gy_per_s(100.0) for um in (500.0, 3000.0))
    assert (thick < thin).all()
    assert thick[-1] / thick[0] > 2.0 * thin[-1] / thin[0]


def test_distance_counts_squared_and_current_once():
    one = burning().gy_per_s(100.0)
    assert burning(distance_m=0.4).gy_per_s(100.0) == pytest.approx(one / 4.0, rel=1e-6)
    assert burning(ma=3.0).gy_per_s(100.0) == pytest.approx(3.0 * one, rel=1e-6)
    higher = burning(kv=100.0).gy_per_s(100.0) / one
    assert higher[0] > 1.5, "soft photons, which stop at the surface, go with the voltage"
    assert higher[-1] > 8.0, "hard ones with more than its cube"


def test_the_true_tube_is_not_the_displayed_one():
    crooked = burning(how=plain(output_relative=1.2, ma_relative=0.01))
    assert crooked.gy_per_s(100.0) == pytest.approx(1.212 * burning().gy_per_s(100.0), rel=1e-6)
    assert crooked.generator.at(100.0) == (50.0, 1.0)
    high = burning(how=plain(kv_relative=0.03)).gy_per_s(100.0)
    assert (high > 1.04 * burning().gy_per_s(100.0)).all()
    assert high[-1] > 1.12 * burning().gy_per_s(100.0)[-1]


@pytest.mark.parametrize(
    ("more", "says"),
    [({"anode": "Fe"}, "the twin has Cu, Mo, Ag, W"), ({"filters": (("Pb", 10.0),)}, "filter of 10 um of Pb"),
     ({"distance_m": 0.0}, "must be positive")],
)  # fmt: skip
def test_a_tube_that_nobody_can_build_is_refused(more, says):
    with pytest.raises(ValueError, match=says):
        tube(**more)


# --- high voltage -----------------------------------------------------------------------------------------------------


def generator(arcs_per_hour: float = 0.0, trips: float = 0.0, seed: int = 1) -> Generator:
    return Generator(Rating(), Chance(seed).stream("arcs"), arcs_per_hour, trips)


def test_it_warns_and_then_ramps_at_its_own_rates():
    one = generator()
    one.set(0.0, kv=80.0, ma=10.0)
    assert one.at(1.0) == (0.0, 0.0)
    assert one.switch(1.0, True)
    assert one.imminent(5.9)
    assert one.at(6.0) == (0.0, 0.0)
    assert one.at(7.0) == pytest.approx((8.0, 2.0))
    assert one.at(13.0) == pytest.approx((56.0, 10.0))
    assert one.at(16.0) == (80.0, 10.0)
    one.set(20.0, kv=40.0)
    assert one.at(22.5) == pytest.approx((60.0, 10.0))


def test_a_set_point_changed_half_way_bends_the_ramp():
    one = generator()
    one.set(0.0, kv=80.0, ma=1.0)
    one.switch(0.0, True)
    one.set(10.0, kv=20.0)
    assert one.at(10.0)[0] == pytest.approx(40.0)
    assert one.at(9.0)[0] == pytest.approx(32.0), "the past stays"
    assert one.at(11.0)[0] == pytest.approx(32.0)
    assert one.at(13.0) == (20.0, 1.0)


@pytest.mark.parametrize("how", ["interlock", "permit"])
def test_an_open_interlock_takes_the_voltage_away_and_a_closed_one_brings_nothing_back(how):
    one = generator()
    one.set(0.0, kv=100.0, ma=5.0)
    one.switch(0.0, True)
    change = getattr(one, how)
    change(60.0, False)
    assert not one.on
    assert one.at(60.5) == (0.0, 0.0)
    assert not one.switch(61.0, True)
    change(62.0, True)
    assert one.at(80.0) == (0.0, 0.0)
    assert one.switch(80.0, True)
    assert one.at(110.0) == (100.0, 5.0)


def test_beyond_the_rating_is_refused_and_too_much_power_is_a_fault():
    one = generator()
    with pytest.raises(ValueError, match="0 to 160 kV"):
        one.set(0.0, kv=161.0)
    one.set(0.0, kv=150.0, ma=5.0)
    one.switch(0.0, True)
    one.set(60.0, ma=30.0)
    assert (one.fault, one.on) == ("over-power", False)
    assert one.at(61.0) == (0.0, 0.0)
    assert not one.switch(62.0, True)
    one.set(62.0, ma=5.0)
    one.clear(63.0)
    assert one.switch(64.0, True)


def test_arcs_come_at_the_same_moments_whoever_looks():
    watched, alone = generator(30.0), generator(30.0)
    for one in (watched, alone):
        one.set(0.0, kv=60.0, ma=2.0)
        one.switch(0.0, True)
    for second in range(3600):
        watched.go_to(second + 0.5)
    for one in (watched, alone):
        one.go_to(3600.0)
        one.set(3600.0, kv=50.0)
        one.go_to(7200.0)
    assert 20 < watched.arcs < 110
    assert watched.arcs == alone.arcs
    assert watched.knots(0.0, 7200.0) == alone.knots(0.0, 7200.0)


def test_an_arc_costs_some_seconds_of_beam_or_trips():
    one = generator(30.0)
    one.set(0.0, kv=60.0, ma=2.0)
    one.switch(0.0, True)
    one.go_to(3600.0)
    low = [t for t in one.knots(20.0, 3600.0) if one.at(t)[0] == 0.0]
    assert low
    assert one.at(low[0] - 0.02)[0] == pytest.approx(60.0)
    assert one.at(low[0] + 9.0)[0] == pytest.approx(60.0)
    assert one.on
    tripping = generator(30.0, trips=1.0)
    tripping.set(0.0, kv=60.0, ma=2.0)
    tripping.switch(0.0, True)
    tripping.go_to(3600.0)
    assert (tripping.fault, tripping.on, tripping.arcs) == ("arc", False, 1)
    assert tripping.at(3600.0) == (0.0, 0.0)


def test_without_voltage_there_are_no_arcs_and_a_clean_tube_has_none():
    one = generator(1000.0)
    one.go_to(1e5)
    assert one.arcs == 0
    assert hidden(3, "clean").arcs_per_hour == 0.0
    assert hidden(3, "hostile").arcs_per_hour > 0.2


# --- dose in time -----------------------------------------------------------------------------------------------------


def test_a_ramp_leaves_the_dose_of_its_voltages():
    one = burning(open_s=0.0)
    fine = sum(one.gy_per_s(t) * 0.01 for t in np.arange(5.005, 15.0, 0.01))
    assert (fine > 0.0).all()
    assert doses(one, 5.0, 15.0) == pytest.approx(fine, rel=1e-3)


def test_a_shutter_lets_light_through_from_half_way_to_half_way():
    one = burning()
    steady = one.gy_per_s(100.0)
    one.shutter.move(200.0, False)
    one.shutter.move(210.0, True)
    assert doses(one, 190.0, 220.0) == pytest.approx(20.0 * steady, rel=1e-9)
    assert one.dose_gy(201.0, 209.0) is None
    assert not one.beam(205.0)
    assert one.beam(215.0)


def test_a_new_tube_warms_up_and_drifts():
    one = burning(how=plain(warm_up=0.1, warm_up_s=300.0))
    late = one.gy_per_s(20000.0)
    assert one.gy_per_s(300.0) == pytest.approx(late * (1.0 + 0.1 / np.e), rel=1e-6)
    waving = burning(how=plain(drift=0.05, drift_s=3600.0))
    seen = [waving.gy_per_s(t)[0] / burning().gy_per_s(t)[0] for t in np.linspace(100.0, 3700.0, 60)]
    assert max(seen) == pytest.approx(1.05, abs=0.002)
    assert min(seen) == pytest.approx(0.95, abs=0.002)


def test_a_blade_turned_round_half_way_passes_no_light():
    blade = Blade(0.25)
    blade.move(1.0, True)
    blade.move(1.1, False)
    assert blade.lit_s(0.0, 10.0) == 0.0
    blade.move(2.0, True)
    blade.move(5.0, False)
    assert blade.lit_s(0.0, 10.0) == pytest.approx(3.0)
    assert blade.lit_s(3.0, 4.0) == 1.0
    assert blade.edges(0.0, 10.0) == pytest.approx([2.125, 5.125])


# --- doors ------------------------------------------------------------------------------------------------------------


def test_the_doors_show_what_a_panel_shows():
    one, settled = tube(how=plain(kv_relative=0.03)), []

    def settle(at_s: float) -> float:
        settled.append(at_s)
        return at_s

    told: list[float] = []
    panel = TubeWay(one, lambda at_s: at_s, settle, told.append)
    blades = TubeShutterWay(one, lambda at_s: at_s, settle, told.append)
    assert panel.ratings == (160.0, 30.0, 3.0)
    panel.set_kv(0.0, 50.0)
    panel.set_ma(0.0, 2.0)
    assert panel.setpoints(0.5) == (50.0, 2.0)
    assert panel.high_voltage(1.0, True)
    assert panel.imminent(2.0)
    assert panel.is_on(2.0)
    assert (panel.kv(60.0), panel.ma(60.0)) == (50.0, 2.0)
    blades.request(61.0, True)
    assert blades.switches(61.1) == (False, False)
    assert blades.switches(62.0) == (True, False)
    panel.set_interlock(70.0, False)
    assert not panel.interlock_closed(70.0)
    assert panel.kv(71.0) == 0.0
    assert not panel.high_voltage(72.0, True)
    panel.set_interlock(73.0, True)
    panel.permit(74.0, False)
    assert not panel.high_voltage(75.0, True)
    panel.permit(76.0, True)
    assert panel.fault(77.0) == ""
    panel.clear_faults(78.0)
    assert panel.arc_count(79.0) == 0
    assert settled == sorted(settled)
    assert len(settled) == 11, "every command, and nothing else, is a change"
