"""Light: counts, bands, bleaching lamp, luminescence, ruby."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from rocksalt.crystals import colour_centres
from rocksalt.crystals.gauges import ruby_pressure_gpa
from rocksalt.crystals.refraction import refractive_index
from rocksalt.time import Chance
from rocksalt.twin import departures, tiers
from rocksalt.twin.departures import OpticsDepartures
from rocksalt.twin.optics.bands import Crystal, View
from rocksalt.twin.optics.bench import Bench, view_of
from rocksalt.twin.optics.doorways import LightsWay, RubyWay, SpectrometerWay
from rocksalt.twin.optics.ruby import Ruby, thermal_width_per_cm
from rocksalt.twin.sample.beams import LIGHT_EV, MicroBeam
from rocksalt.twin.sample.defects import Defects
from rocksalt.values import Measured

RNG = np.random.default_rng
EV_NM = 1239.841984


def plain(**fixed: float) -> OpticsDepartures:
    """A bench that departs in nothing but what is said, with a lamp and a ruby that shine."""
    nothing = dict.fromkeys((field.name for field in fields(OpticsDepartures)), 0.0)
    some = {"lamp_drift_s": 3600.0, "lamp_warm_up_s": 600.0, "hot_pixels": 0, "bias_counts": 1000.0, "ruby_tail": 1.0,
            "ruby_brightness": 1.0, "read_counts": 8.0, "dark_counts_per_s": 50.0}  # fmt: skip
    return OpticsDepartures(**{**nothing, **some, **fixed})


def drawn(seed: int = 1, tier: str = "clean", **fixed: float) -> OpticsDepartures:
    return replace(departures.draw(tiers.tier(tier), Chance(seed)).optics, **fixed)


def bench(salt: str = "KBr", how: OpticsDepartures | None = None) -> Bench:
    return Bench(salt, plain() if how is None else how, Chance(1))


def view(f=0.0, m=0.0, r=0.0, n=0.0, colloid=0.0, kelvin=300.0, volume_ratio=1.0, m_per_cm3=0.0) -> View:
    """Columns per cm^2."""
    return View(np.array([f, m, r, n, colloid]), m_per_cm3, kelvin, volume_ratio)


def absorbance(one: Bench, seen: View, averages: int = 400) -> np.ndarray:
    """As an experimenter takes it: sample, reference, dark."""
    sample, reference, dark = (
        one.spectrum(0.0, 0.01, averages, mode, seen, RNG(number)).astype(float)
        for number, mode in enumerate(("sample", "reference", "dark"))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.log10((sample - dark) / (reference - dark))


# --- absorption -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("salt", ["LiF", "NaCl", "KCl", "KBr"])
def test_smakula_gives_back_the_centres_that_are_there(salt):
    """Optical density 0.5 through 1 mm, read from counts as an experimenter does."""
    one = bench(salt)
    column = 0.5 * np.log(10.0) * colour_centres.smakula_per_cm2(salt).value
    height = absorbance(one, view(column)) - absorbance(one, view())
    peak_nm = EV_NM / float(colour_centres.f_energy_ev(salt, np.asarray(300.0)))
    near = np.abs(one.wavelengths_nm - peak_nm) < 3.0
    assert np.median(height[near]) == pytest.approx(0.5, abs=0.03)
    found = colour_centres.concentration_per_cm3(salt, Measured(float(np.median(height[near])), 0.01), 1.0)
    assert found.value == pytest.approx(column / 0.1, rel=0.08)


def test_a_clear_crystal_loses_light_at_its_two_faces():
    nearly = absorbance(bench("LiF"), view())
    middle = np.abs(bench().wavelengths_nm - 550.0) < 50.0
    r = ((1.392 - 1.0) / (1.392 + 1.0)) ** 2
    assert np.median(nearly[middle]) == pytest.approx(-np.log10((1.0 - r) / (1.0 + r)), abs=0.003)
    index = float(refractive_index("CsI", np.asarray(2.0)))
    crystal = Crystal("CsI", np.array([EV_NM / 2.0]), plain())
    assert crystal.transmission(view())[0] == pytest.approx(2.0 * index / (1.0 + index**2), rel=1e-9)


def test_the_band_narrows_and_moves_in_the_cold_and_moves_under_pressure():
    one = bench("KCl")
    column = np.log(10.0) * colour_centres.smakula_per_cm2("KCl").value

    def place_and_width(seen: View) -> tuple[float, float]:
        density = one.crystal.optical_density(seen)
        ev = EV_NM / one.spectrometer.true_nm
        high = ev[density > 0.5 * density.max()]
        return float(ev[np.argmax(density)]), float(high.max() - high.min())

    warm, cold = place_and_width(view(column)), place_and_width(view(column, kelvin=10.0))
    assert cold[0] - warm[0] == pytest.approx(0.08, abs=0.02)
    assert cold[1] == pytest.approx(0.163, abs=0.01)
    assert warm[1] == pytest.approx(0.35, abs=0.01)
    pressed, _ = place_and_width(view(column, volume_ratio=0.95))
    assert pressed / warm[0] == pytest.approx(0.95 ** (-1.84 / 3.0), abs=0.002)


def test_m_and_colloids_have_bands_of_their_own():
    one = bench("KBr")
    nm = one.spectrometer.true_nm
    assert nm[np.argmax(one.crystal.optical_density(view(m=1e16)))] == pytest.approx(EV_NM / 1.35, abs=2.0)
    metal = one.crystal.optical_density(view(colloid=1e17))
    assert metal[np.argmin(np.abs(nm - EV_NM / 1.6))] > 3.0 * metal[np.argmin(np.abs(nm - 600.0))]


def test_the_k_band_is_a_shoulder_on_the_blue_side_warm_and_cold():
    column = np.log(10.0) * colour_centres.smakula_per_cm2("KCl").value
    for kelvin in (300.0, 80.0):
        with_k, without = (
            bench("KCl", plain(k_share=share)).crystal.optical_density(view(column, kelvin=kelvin))
            for share in (0.1, 0)
        )
        extra = with_k - without
        place_nm = float(bench().spectrometer.true_nm[np.argmax(extra)])
        assert extra.max() == pytest.approx(0.1 * without.max(), rel=0.05)
        assert 440.0 < place_nm < 470.0, "KCl's K band is at 457 nm"
        ev = EV_NM / bench().spectrometer.true_nm[extra > 0.5 * extra.max()]
        assert ev.max() - ev.min() == pytest.approx(0.385, abs=0.01)


def test_stray_light_ends_what_can_be_seen_near_three():
    column = 10.0 * np.log(10.0) * colour_centres.smakula_per_cm2("KBr").value
    for seed in range(4):
        one = bench("KBr", drawn(seed, lamp_warm_up=0.0))
        seen = absorbance(one, view(column))
        near = np.abs(one.wavelengths_nm - 622.0) < 20.0
        assert 2.3 < np.nanmedian(seen[near]) < 3.6


def test_this_crystals_bands_are_not_the_tables():
    column = np.log(10.0) * colour_centres.smakula_per_cm2("KBr").value
    straight = bench().crystal.optical_density(view(column))
    bent = bench(how=plain(band_skew=0.1)).crystal.optical_density(view(column))
    strong = bench(how=plain(strength_relative=0.1)).crystal.optical_density(view(column))
    assert np.abs(bent - straight).max() > 0.02
    assert strong.max() == pytest.approx(1.1 * straight.max(), rel=1e-3)


# --- the spectrometer -------------------------------------------------------------------------------------------------


def test_shot_noise_and_averages():
    one = bench()
    rate = np.full(2068, 2e6)
    single = one.spectrometer.counts(rate, 0.01, 1, RNG(1)).astype(float)
    mean = one.spectrometer.counts(rate, 0.01, 25, RNG(2)).astype(float)
    # 20,000 counts of three electrons each, and 8 counts of reading.
    expected = np.sqrt(2e4 / 3.0 + 64.0)
    assert single.std() == pytest.approx(expected, rel=0.08)
    assert mean.std() == pytest.approx(expected / 5.0, rel=0.08)
    assert mean.mean() == pytest.approx(21000.0, rel=1e-3)


def test_it_saturates_and_an_average_does_not_hide_it():
    one = bench()
    assert (one.spectrometer.counts(np.full(2068, 1e9), 0.1, 1, RNG(1)) == 65535).all()
    close = one.spectrometer.counts(np.full(2068, 64535.0 / 0.1), 0.1, 100, RNG(1)).astype(float)
    # Half of the single exposures are cut off at the top, so the mean stays below it: by sigma / sqrt(2 pi).
    assert 65535.0 - close.mean() == pytest.approx(np.sqrt(64535.0 / 3.0 + 64.0) / np.sqrt(2.0 * np.pi), rel=0.05)


def test_dark_grows_with_time_and_some_pixels_are_hot():
    one = bench(how=drawn(2, "hostile"))
    short, long = (one.spectrum(0.0, s, 1, "dark", view(), RNG(1)).astype(float) for s in (0.01, 5.0))
    assert np.median(long) > np.median(short) + 300.0
    assert (long > np.median(long) + 1500.0).sum() >= 3


def test_its_wavelengths_are_slightly_wrong():
    one = bench(how=drawn(3, "realistic"))
    off = one.spectrometer.true_nm - one.wavelengths_nm
    assert 0.001 < np.abs(off).mean() < 0.6
    assert one.wavelengths_nm[0] == pytest.approx(200.2)
    assert one.wavelengths_nm.size == 2068
    assert one.wavelengths_nm[-1] > 1090.0


@pytest.mark.parametrize(("integration_s", "averages"), [(0.001, 1), (11.0, 1), (0.1, 0)])
def test_an_exposure_that_the_instrument_does_not_know_is_refused(integration_s, averages):
    with pytest.raises(ValueError, match=r"0\.006 to 10 s"):
        bench().spectrum(0.0, integration_s, averages, "dark", view(), RNG(1))


def test_the_same_chance_gives_the_same_counts():
    one, other = bench(how=drawn(4)), bench(how=drawn(4))
    a, b = (x.spectrum(0.0, 0.01, 3, "sample", view(1e15), RNG(7)) for x in (one, other))
    assert np.array_equal(a, b)
    assert a.dtype == np.uint16


# --- the lamp ---------------------------------------------------------------------------------------------------------


def test_the_lamp_takes_its_time_to_settle_and_drifts():
    one = bench(how=plain(lamp_warm_up=0.2, lamp_warm_up_s=600.0))
    one.lights.lamp.move(100.0, True)
    levels = [one.lights.level(t) for t in (50.0, 100.0, 700.0, 20000.0)]
    assert levels == pytest.approx([0.0, 0.8, 1.0 - 0.2 / np.e, 1.0])
    drifting = bench(how=plain(lamp_drift=0.02))
    drifting.lights.lamp.move(0.0, True)
    seen = [drifting.lights.level(t) for t in np.linspace(0.0, 3600.0, 100)]
    assert 0.02 < max(seen) - min(seen) < 0.07


def test_an_exposure_sees_the_shutter_and_the_stage_as_they_stood():
    one, seen = bench(), view(1e16)
    lights = one.lights
    lights.lamp.move(0.0, True)

    def light(start_s: float) -> float:
        return float(one.expose(start_s, 0.01, 1, seen, RNG(1))[900:1000].mean()) - 1000.0

    assert abs(light(1.0)) < 10.0
    lights.shutter.move(2.0, True)
    reference = light(3.0)
    assert reference > 2e4
    lights.sample.move(4.0, True)
    assert light(6.0) < 0.9 * reference
    lights.shutter.move(6.995, False)  # half way at 7.005: half of the exposure
    assert light(7.0) == pytest.approx(0.5 * light(6.0), rel=0.05)


def test_a_pump_switched_on_half_way_gives_half_its_light():
    one = bench()
    one.lights.sample.move(0.0, True)
    one.lights.pump(10.05, 1.0)
    half, whole = (float(one.expose(t, 0.1, 1, view(), RNG(1))[525:535].mean()) - 1000.0 for t in (10.0, 11.0))
    assert whole > 1e4
    assert half == pytest.approx(0.5 * whole, rel=0.03)


def test_light_reaches_the_sample_only_while_it_stands_in_the_light():
    lights = bench().lights
    lights.lamp.move(0.0, True)
    lights.shutter.move(0.0, True)
    assert lights.photons(10.0, 11.0) is None
    lights.sample.move(20.0, True)
    probe = lights.photons(30.0, 31.0)
    assert probe is not None
    assert np.trapezoid(probe, LIGHT_EV) == pytest.approx(7e13, rel=1e-6)
    lights.pump(40.0, 10.0)
    both = lights.photons(41.0, 42.0)
    assert both is not None
    assert np.trapezoid(both - probe, LIGHT_EV) == pytest.approx(2.24e17, rel=1e-6)
    assert sorted(lights.knots(0.0, 50.0)) == pytest.approx([0.01, 20.75, 40.0])
    with pytest.raises(ValueError, match="0 to 50 mW"):
        lights.pump(60.0, 51.0)
    lights.shutter.move(70.0, False)
    lights.pump(70.0, 0.0)
    lights.room.move(80.0, True)
    room = lights.photons(90.0, 91.0)
    assert room is not None
    assert 0.0 < np.trapezoid(room, LIGHT_EV) < 7e13


# --- luminescence -----------------------------------------------------------------------------------------------------


def shine(one: Bench, seen: View, milliwatt: float = 1.0, seconds: float = 1.0) -> np.ndarray:
    light = one.spectrum(0.0, seconds, 20, "luminescence", seen, RNG(1), milliwatt).astype(float)
    return (light - one.spectrum(0.0, seconds, 20, "dark", seen, RNG(2)).astype(float)) / (milliwatt * seconds)


def test_lithium_fluoride_shines_red_and_green_and_potassium_bromide_does_not():
    seen = view(m=1e13, r=3e12, m_per_cm3=1e14)
    light = shine(bench("LiF"), seen, 0.1)
    nm = bench().wavelengths_nm
    red, green = (np.median(light[np.abs(nm - place) < 3.0]) for place in (678.0, 541.0))
    assert red > 1e3
    assert 0.1 * red < green < red
    assert np.abs(shine(bench("KBr"), seen, 0.1)[np.abs(nm - 678.0) < 3.0]).max() < 0.05 * red


def test_luminescence_is_linear_at_first_then_the_pump_is_spent_and_neighbours_quench():
    nm = bench().wavelengths_nm
    at_red = np.abs(nm - 678.0) < 3.0

    def red(m_per_cm3: float) -> float:
        return float(np.median(bench("LiF")._shining(view(m=0.1 * m_per_cm3, m_per_cm3=m_per_cm3))[at_red]))

    assert red(2e14) == pytest.approx(2.0 * red(1e14), rel=0.01)
    assert red(2e17) < 1.3 * red(1e17)
    assert red(3e19) < 0.2 * red(1e18)


def test_a_gray_is_seen_in_a_second_and_counts_grow_with_the_dose():
    def irradiated(gray: float) -> View:
        hidden = departures.draw(tiers.tier("clean"), Chance(1)).defects
        beam = MicroBeam(np.full(32, 0.01), lambda start, end: [(start, end)])
        lif = Defects("LiF", 1e-3, hidden, lambda _: 300.0, [beam])
        return view_of(lif, lif.state(100.0 * gray), 300.0)

    light = [float(shine(bench("LiF"), irradiated(gray), 50.0)[1015:1045].mean()) for gray in (1.0, 10.0)]
    assert light[0] > 0.1
    assert light[1] > 5.0 * light[0]


# --- ruby -------------------------------------------------------------------------------------------------------------


def ruby(how: OpticsDepartures | None = None) -> Ruby:
    return Ruby(plain() if how is None else how, Chance(1))


def top_nm(one: Ruby, pressure_gpa: float, kelvin: float) -> float:
    """Centre of mass of the top of the strongest line."""
    light = one.counts_per_s(pressure_gpa, kelvin)
    top = light > 0.7 * light.max()
    return float((one.spectrometer.wavelengths_nm[top] * light[top]).sum() / light[top].sum())


@pytest.mark.parametrize("pressure_gpa", [0.0, 2.0, 5.0, 15.0])
@pytest.mark.parametrize("kelvin", [300.0, 80.0])
def test_a_ruby_without_departures_reads_its_own_pressure(pressure_gpa, kelvin):
    found = ruby_pressure_gpa(Measured(top_nm(ruby(), pressure_gpa, kelvin), 0.01), Measured(kelvin, 0.1))
    assert found.value == pytest.approx(pressure_gpa, abs=0.05)


def test_each_ruby_is_off_by_its_own_offset():
    errors = []
    for seed in range(6):
        one = ruby(drawn(seed, "realistic", ruby_background=0.0))
        found = ruby_pressure_gpa(Measured(one.r1_nm(5.0, 300.0), 0.01), Measured(300.0, 0.1))
        errors.append(found.value - 5.0)
    assert 0.01 < np.std(errors) < 0.3


def lines(one: Ruby, pressure_gpa: float, kelvin: float) -> tuple[float, float]:
    """Heights at R1 and at R2."""
    light, nm = one.counts_per_s(pressure_gpa, kelvin), one.spectrometer.true_nm
    r1 = one.r1_nm(pressure_gpa, kelvin)
    r2 = r1 / (1.0 + 29.7e-7 * r1)
    return tuple(float(light[np.abs(nm - place) < 0.06].max()) for place in (r1, r2))  # type: ignore[return-value]


def test_r2_dies_in_the_cold_and_the_lines_sharpen():
    warm, cold = (lines(ruby(plain(ruby_width_cm=1.0)), 0.0, kelvin) for kelvin in (300.0, 10.0))
    assert 0.5 < warm[1] / warm[0] < 0.95
    assert cold[1] / cold[0] < 0.05
    assert cold[0] > 3.0 * warm[0]
    assert 9.0 < thermal_width_per_cm(300.0) < 15.0, "some 11 1/cm are reported (from memory)"
    assert thermal_width_per_cm(80.0) < 0.2


def test_stress_widens_the_lines_until_the_doublet_runs_together():
    soft, hard = (lines(ruby(plain(ruby_stress_gpa=stress, ruby_width_cm=1.0)), 15.0, 80.0)[0] for stress in (0.0, 1.0))
    assert hard < 0.5 * soft


def test_diamond_shines_too():
    dull = ruby(drawn(2, "hostile"))
    light = dull.counts_per_s(5.0, 300.0)
    assert light.min() > 0.05 * 3e4 * dull._hidden.ruby_background


# --- doors ------------------------------------------------------------------------------------------------------------


def test_the_doors_take_spectra_with_everything_as_it_stands():
    one, chance = bench(how=drawn(1)), Chance(1)
    lit = Defects("KBr", 1e-3, departures.draw(tiers.tier("clean"), chance).defects, lambda _: 300.0, [], [one.lights])

    def settle(at_s: float) -> float:
        lit.settle(at_s)
        return at_s

    def at(at_s: float) -> float:
        lit.advance(at_s)
        return at_s

    lights = LightsWay(one, at, settle)
    door = SpectrometerWay(one, at, lambda at_s: view_of(lit, lit.state(at_s), 300.0), chance)
    dark = door.expose(0.0, 0.01)
    lights.lamp(1.0, True)
    lights.shutter(1.0, True)
    assert lights.lamp_on(2.0)
    assert lights.shutter_open(2.0)
    bright = door.expose(600.0, 0.01, 4)
    assert bright.astype(float).mean() > dark.mean() + 5000.0
    lights.sample(601.0, True)
    assert not lights.sample_inside(601.5)
    assert lights.sample_inside(603.0)
    assert door.expose(604.0, 0.01, 4).sum() < bright.sum()
    assert not np.array_equal(door.expose(605.0, 0.01), door.expose(605.0, 0.01)), "each exposure has its own noise"
    lights.pump(606.0, 5.0)
    lights.room(607.0, True)
    assert door.seconds == (0.006, 10.0)
    assert len(door.coefficients) == 4
    assert 290.0 < door.sensor_k(610.0) < 320.0


def test_the_ruby_shines_while_its_laser_does():
    door = RubyWay(ruby(), lambda at_s: at_s, lambda _: (5.0, 300.0), Chance(1))
    off = door.expose(0.0, 0.5)
    door.laser(1.0, True)
    assert door.laser_on(1.0)
    on = door.expose(2.0, 0.5)
    assert on.max() > off.max() + 1000
    nm = np.polynomial.polynomial.polyval(np.arange(2068.0), door.coefficients)
    assert nm[np.argmax(on)] == pytest.approx(696.08, abs=0.15)
    assert door.seconds[0] == 0.006
    assert door.sensor_k(3.0) > 295.0
