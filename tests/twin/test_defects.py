"""Colour centres in depth: growth, fading, heat, light; and that nothing depends on when anybody looked."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocksalt.crystals import colour_centres
from rocksalt.time import Chance
from rocksalt.twin import departures, tiers
from rocksalt.twin.chamber.tube import Tube
from rocksalt.twin.departures import DefectDepartures
from rocksalt.twin.optics.lamp import Lights
from rocksalt.twin.sample import defects as module
from rocksalt.twin.sample.beams import LIGHT_EV, MicroBeam
from rocksalt.twin.sample.defect_law import SALTS, Law
from rocksalt.twin.sample.defects import Defects, State, layer_edges_m

LAYERS = 32


def typical(**fixed: float) -> DefectDepartures:
    """A crystal that departs in nothing but what is said; loose pairs and the rate exponent must be something."""
    plain = dict.fromkeys((field.name for field in fields(DefectDepartures)), 0.0)
    some = {
        "loose_share": 0.1,
        "aggregate_exponent": -0.25,
        "pair_swells": 1.0,
        "loose_swells": 1.3,
        "loop_strain": 1.0,
    }
    return DefectDepartures(**{**plain, **some, **fixed})


def evenly(gy_per_s: float, until_s: float = np.inf) -> MicroBeam:
    """A beam as strong in all layers, from 0 to until_s."""

    def lit(start: float, end: float) -> list[tuple[float, float]]:
        return [(start, min(end, until_s))] if start < until_s else []

    return MicroBeam(np.full(LAYERS, gy_per_s), lit)


def crystal(salt="KBr", gy_per_s=1.0, until_s=np.inf, kelvin=300.0, how=None, lights=()) -> Defects:
    temperature = kelvin if callable(kelvin) else lambda _: kelvin
    return Defects(salt, 1e-3, how or typical(), temperature, [evenly(gy_per_s, until_s)], lights)


# --- one step against many -------------------------------------------------------------------------------------------


class Heater:
    """Relaxes towards its set-point; forgets what was before its last command, as the twin's oven does."""

    def __init__(self) -> None:
        self.since_s, self.from_k, self.to_k = 0.0, 300.0, 300.0

    def kelvin(self, at_s: float) -> float:
        assert at_s >= self.since_s - 1e-9, "asked for a past that the heater has forgotten"
        return self.to_k + (self.from_k - self.to_k) * float(np.exp(-(at_s - self.since_s) / 40.0))

    def heat(self, at_s: float, to_k: float) -> None:
        self.since_s, self.from_k, self.to_k = at_s, self.kelvin(at_s), to_k


class Rig:
    """Tube, heater, lamp and crystal, commanded by name: as the world will own them."""

    def __init__(self, salt: str, tier: str, seed: int) -> None:
        hidden = departures.draw(tiers.tier(tier), Chance(seed))
        self.tube = Tube(salt, layer_edges_m(1e-3), replace(hidden.tube, arcs_per_hour=40.0), Chance(seed))
        self.lights = Lights(LIGHT_EV, hidden.optics, Chance(seed))
        self.heater = Heater()
        self.crystal = Defects(salt, 1e-3, hidden.defects, self.heater.kelvin, [self.tube], [self.lights])

    def do(self, at_s: float, name: str, value: float) -> None:
        self.crystal.settle(at_s)
        match name:
            case "kv":
                self.tube.generator.set(at_s, kv=20.0 + 100.0 * value, ma=20.0 * value)
            case "hv":
                self.tube.generator.clear(at_s)
                self.tube.switch(at_s, value > 0.3)
            case "shutter":
                self.tube.shutter.move(at_s, value > 0.3)
            case "heat":
                self.heater.heat(at_s, 250.0 + 250.0 * value)
            case "lamp":
                self.lights.lamp.move(at_s, value > 0.3)
                self.lights.shutter.move(at_s, True)
                self.lights.sample.move(at_s, True)
            case "pump":
                self.lights.pump(at_s, 50.0 * value)


commands = st.lists(
    st.tuples(
        st.floats(0.0, 900.0), st.sampled_from(["kv", "hv", "shutter", "heat", "lamp", "pump"]), st.floats(0.0, 1.0)
    ),
    max_size=12,
)


@given(plan=commands, looks=st.lists(st.floats(0.0, 1000.0), max_size=30), salt=st.sampled_from(["KBr", "LiF"]))
@settings(max_examples=12, deadline=None)
def test_one_step_is_as_good_as_a_thousand(plan, looks, salt):
    start = [(0.0, "kv", 0.5), (0.0, "hv", 1.0), (3.0, "shutter", 1.0)]
    whole = [*start, *sorted(plan, key=lambda command: command[0])]
    asked, unasked = Rig(salt, "hostile", 5), Rig(salt, "hostile", 5)
    often = sorted([*looks, *np.linspace(0.0, 1000.0, 60).tolist()])
    for at_s, name, value in [(max(at_s, 3.0 if number > 2 else at_s), name, value)
                              for number, (at_s, name, value) in enumerate(whole)]:  # fmt: skip
        while often and often[0] < at_s:
            asked.crystal.state(often.pop(0))
        for rig in (asked, unasked):
            rig.do(at_s, name, value)
    for look in often:
        asked.crystal.state(look)
    one, thousand = unasked.crystal.state(1000.0).values, asked.crystal.state(1000.0).values
    assert thousand == pytest.approx(one, rel=1e-9, abs=1e-300)
    assert one.any() or not any(unasked.tube.gy_per_s(t).any() for t in np.linspace(0.0, 1000.0, 50))


def test_a_thousand_steps_through_a_ramp_a_shutter_and_a_heater():
    asked, unasked = Rig("KBr", "realistic", 2), Rig("KBr", "realistic", 2)
    plan = ((0.0, "kv", 0.3), (0.0, "hv", 1.0), (2.0, "shutter", 1.0), (333.3, "kv", 0.9), (340.0, "heat", 0.9),
            (700.1, "shutter", 0.0), (1000.7, "lamp", 1.0), (1150.2, "shutter", 1.0))  # fmt: skip
    looks = np.linspace(0.0, 1300.0, 1000).tolist()
    for at_s, name, value in plan:
        while looks[0] < at_s:
            asked.crystal.state(looks.pop(0))
        for rig in (asked, unasked):
            rig.do(at_s, name, value)
    for look in looks:
        seen = asked.crystal.state(look)
    alone = unasked.crystal.state(1300.0)
    assert seen.values == pytest.approx(alone.values, rel=1e-9)
    assert (alone.dose_gy > 0.0).all()
    assert (alone.f > 0.0).all()


def test_a_look_right_after_a_look_is_no_trouble():
    one = crystal()
    for at_s in (0.0, 5e-324, 1e-12, 32.0, np.nextafter(32.0, 33.0), 40.0, 40.0):
        assert np.isfinite(one.state(at_s).values).all()
    assert one.state(40.0).values == pytest.approx(crystal().state(40.0).values, rel=1e-12)


def test_the_past_is_remembered_and_the_present_is_a_trial():
    one = crystal()
    now = one.state(100.0)
    later = one.state(200.0)
    assert (later.f > now.f).all()
    assert one.state(100.0).f == pytest.approx(now.f, rel=0.01)


@pytest.mark.parametrize(
    ("gy_per_s", "seconds", "k_per_s"),
    [(20.0, 1200.0, 0.0), (1e4, 60.0, 0.0), (1.0, 1200.0, 0.12), (0.0, 1200.0, 0.12)],
)
def test_the_steps_are_short_enough(monkeypatch, gy_per_s, seconds, k_per_s):
    """At ten times the dose rate of the strongest tube, in a focused beam, and heated through the best of annealing."""

    def made() -> State:
        heated = crystal(until_s=300.0, kelvin=lambda t: 300.0 + k_per_s * t)
        heated.beams.append(evenly(gy_per_s))
        return heated.state(seconds)

    coarse = made()
    monkeypatch.setattr(module, "CELL_S", 0.25)
    monkeypatch.setattr(module, "LIT_S", 0.25)
    monkeypatch.setattr(module, "STRONG_S", 0.25)
    fine = made()
    assert (coarse.values != fine.values).any()
    assert coarse.f == pytest.approx(fine.f, rel=2e-4)
    assert coarse.m == pytest.approx(fine.m, rel=2e-3)


# --- growth ----------------------------------------------------------------------------------------------------------


def test_the_dose_is_what_arrived():
    one = crystal(gy_per_s=0.7, until_s=1000.0)
    assert one.state(5000.0).dose_gy == pytest.approx(np.full(LAYERS, 700.0), rel=1e-12)


def test_vacancies_that_were_there_fill_along_a_saturating_exponential():
    law = Law("KCl", typical())
    grown = [crystal("KCl").state(t).filled[0] for t in (300.0, 1000.0, 3000.0)]
    rate = law.rates(300.0)
    expected = law.vacancies_per_cm3 * -np.expm1(-rate.filling_per_gy * np.array([300.0, 1000.0, 3000.0]))
    assert grown == pytest.approx(expected.tolist(), rel=1e-4)


def test_a_centre_costs_some_hundred_to_some_ten_thousand_ev_at_room_temperature():
    for salt, ev_per_gy in (("LiF", 1.65e16), ("NaCl", 1.35e16), ("KCl", 1.24e16), ("KBr", 1.72e16)):
        f = crystal(salt).state(1e4).f[0]
        assert 200.0 < 1e4 * ev_per_gy / f < 1e4, salt


def test_growth_bends_and_never_quite_stops():
    one = crystal("NaCl", gy_per_s=200.0)
    f = np.array([one.state(t).f[0] for t in (50.0, 100.0, 1e3, 2e3, 1e4, 2e4)])
    early, late = (f[1] - f[0]) / 50.0, (f[5] - f[4]) / 1e4
    assert late < 0.1 * early
    assert f[5] > 1.1 * f[4]
    assert 1e18 < f[5] < 1e19


def test_bromide_colours_best_in_the_cold_and_chloride_near_room_temperature():
    stable = {(salt, kelvin): crystal(salt, kelvin=kelvin).state(2000.0).f[0]
              for salt in ("KBr", "NaCl") for kelvin in (15.0, 80.0, 160.0, 300.0)}  # fmt: skip
    assert stable["KBr", 160.0] > 3.0 * stable["KBr", 300.0]
    assert stable["KBr", 160.0] > stable["KBr", 80.0] > stable["KBr", 15.0]
    assert stable["NaCl", 300.0] > stable["NaCl", 80.0] > stable["NaCl", 15.0]


def test_the_surface_of_kbr_is_coloured_more_than_its_back():
    rig = Rig("KBr", "clean", 1)
    for command in ((0.0, "kv", 0.3), (0.0, "hv", 1.0), (1.0, "shutter", 1.0)):
        rig.do(*command)
    f = rig.crystal.state(7200.0).f
    assert (np.diff(f) < 0.0).all()
    assert f[-1] < 0.3 * f[0]
    by_eye, by_diffraction = (
        rig.crystal.seen(f), rig.crystal.seen(f, rig.crystal.diffraction_weight(8.05, theta_deg=15.0, through=False))
    )  # fmt: skip
    assert by_diffraction > 1.3 * by_eye


def test_m_goes_with_f_squared_and_less_at_a_high_dose_rate():
    slow, fast = crystal("KCl", gy_per_s=1.0).state(2e4), crystal("KCl", gy_per_s=16.0).state(1250.0)
    assert slow.dose_gy == pytest.approx(fast.dose_gy)
    assert (slow.m / slow.f**2)[0] > 1.5 * (fast.m / fast.f**2)[0]
    half = crystal("KCl", gy_per_s=1.0).state(1e4)
    steepness = np.log(slow.m[0] / half.m[0]) / np.log(slow.f[0] / half.f[0])
    assert 1.8 < steepness < 2.6


def test_the_f2_of_lithium_fluoride_begin_linearly_in_the_dose():
    low, high = (crystal("LiF", gy_per_s=0.05).state(t) for t in (4e3, 4e4))
    slope = np.log10(high.m[0] / low.m[0])
    assert 0.8 < slope < 1.2
    assert low.r[0] < 0.5 * low.m[0]


def test_the_first_colour_swells_nothing_and_then_each_centre_its_volume():
    """Lin (1956) saw a delay: vacancies that were there take electrons without a change of size."""
    one = crystal("KCl", gy_per_s=10.0, how=typical(loose_share=0.0))
    early, late = one.state(20.0), one.state(2e4)
    full = [colour_centres.swelling("KCl", state.f)[0] for state in (early, late)]
    assert one.swelling(early)[0] < 0.6 * full[0]
    assert 0.9 * full[1] < one.swelling(late)[0] < 1.15 * full[1]


def test_a_pair_of_centres_swells_as_two():
    values = np.zeros((7, LAYERS))
    values[4] = 1e17
    one = crystal("KCl")
    assert one.swelling(State(values, "KCl")) == pytest.approx(colour_centres.swelling("KCl", np.full(LAYERS, 2e17)))


# --- dark, heat, light -----------------------------------------------------------------------------------------------


def test_in_the_dark_loose_pairs_fade_and_the_rest_stays():
    one = crystal("KBr", until_s=2000.0)
    lit, dark = one.state(2000.0), one.state(2000.0 + 3600.0)
    assert dark.loose == pytest.approx(lit.loose * np.exp(-1.0), rel=1e-3)
    assert dark.stable == pytest.approx(lit.stable, rel=1e-4)
    assert dark.m == pytest.approx(lit.m, rel=1e-2)


@pytest.mark.parametrize(("salt", "half_k"), [("KBr", (400.0, 500.0)), ("LiF", (600.0, 800.0))])
def test_heat_takes_the_colour_away(salt, half_k):
    """10 K a minute from 300 K: KBr loses its F centres at 400 to 500 K, LiF keeps them beyond 600 K."""
    one = crystal(salt, until_s=1000.0, kelvin=lambda t: 300.0 + max(t - 1000.0, 0.0) / 6.0)
    before = one.state(1000.0).f[0]
    temperatures = np.arange(320.0, 900.0, 10.0)
    left = np.array([one.state(1000.0 + 6.0 * (kelvin - 300.0)).f[0] for kelvin in temperatures])
    at_half = temperatures[np.argmax(left < 0.5 * before)]
    assert half_k[0] < at_half < half_k[1]
    assert left[-1] < 1e-3 * before


def test_heavily_coloured_salt_makes_colloids_when_warmed_and_pale_salt_does_not():
    def warmed(gy_per_s: float) -> State:
        one = crystal("NaCl", gy_per_s, until_s=1e4, kelvin=lambda t: 300.0 if t < 1e4 else 480.0)
        one.settle(1e4)
        return one.state(1.2e4)

    heavy, pale = warmed(300.0), warmed(0.3)
    assert heavy.colloid[0] > 1e17
    assert pale.colloid[0] < 0.01 * heavy.colloid[0]


def lamp_on(salt: str, kelvin: float, lit: bool) -> State:
    lights = Lights(LIGHT_EV, departures.draw(tiers.tier("clean"), Chance(1)).optics, Chance(1))
    one = crystal(salt, until_s=5000.0, kelvin=kelvin, lights=[lights])
    one.settle(5000.0)
    if lit:
        lights.lamp.move(5000.0, True)
        lights.shutter.move(5000.0, True)
        lights.sample.move(5000.0, True)
    return one.state(5600.0)


def test_the_lamp_bleaches_and_makes_m_but_not_in_the_cold():
    lit, dark = lamp_on("KBr", 300.0, True), lamp_on("KBr", 300.0, False)
    lost = 1.0 - lit.f / dark.f
    assert 0.005 < lost[0] < 0.5
    assert (lit.m > dark.m).all()
    assert lost[-1] < lost[0], "the layers in front shade those behind"
    cold = 1.0 - lamp_on("KBr", 40.0, True).f / lamp_on("KBr", 40.0, False).f
    assert cold[0] < 1e-3 * lost[0]


def test_a_beam_behind_a_shutter_counts_its_spells():
    spells = [(10.0, 20.5), (100.0, 101.0)]

    def lit(start: float, end: float) -> list[tuple[float, float]]:
        return [(max(a, start), min(b, end)) for a, b in spells if min(b, end) > max(a, start)]

    one = Defects("KBr", 30e-6, typical(), lambda _: 300.0, [MicroBeam(np.full(LAYERS, 1e4), lit)])
    assert one.state(200.0).dose_gy == pytest.approx(np.full(LAYERS, 11.5e4))
    assert one.state(50.0).dose_gy == pytest.approx(np.full(LAYERS, 10.5e4))
    assert 2e17 < one.state(200.0).f[0] < 3e18
    assert one.microstrain(one.state(200.0))[0] == 0.0


def test_a_microscope_finds_all_metal_in_its_colloids_and_more_loops_with_dose():
    values = np.zeros((7, LAYERS))
    values[6] = 1e17
    colloids, loops = crystal("KBr").features_per_um3(State(values, "KBr"), 0.1, 3.0)
    # 0.1 um: 4.19e-15 cm^3 with 1.33e22 atoms in each, 5.57e7 atoms.
    assert colloids == pytest.approx(np.full(LAYERS, 1e5 / 5.57e7), rel=1e-3)
    assert not loops.any()
    one = crystal("NaCl", gy_per_s=1000.0)
    few, many = (one.features_per_um3(one.state(t), 0.1, 3.0)[1] for t in (1e2, 1e4))
    assert (many > 10.0 * few).all()
    assert 1e-4 < many[0] < 0.1


@pytest.mark.parametrize("salt", sorted(SALTS))
@pytest.mark.parametrize("tier", tiers.TIERS)
def test_every_salt_stays_within_nature_in_every_tier(salt, tier):
    one = crystal(salt, 50.0, how=departures.draw(tiers.tier(tier), Chance(9)).defects)
    values = one.state(8000.0).values
    assert np.isfinite(values).all()
    assert (values >= 0.0).all()
    assert values[1:].sum(axis=0).max() < 2e19


def test_a_salt_without_colour_centres_is_refused():
    with pytest.raises(ValueError, match="known in LiF"):
        crystal("MgO")
    with pytest.raises(ValueError, match="must be positive"):
        layer_edges_m(0.0)
