"""The coloured crystal in the world: tube, optics and microscope share one history with cell and beam."""

from __future__ import annotations

import json

import numpy as np
import pytest

HOUR_S = 3600.0


def irradiate(world, start_s=10.0, hours=1.0, kv=80.0, ma=10.0):
    """The tube on the sample for so long; the time at which the voltage went off."""
    world.tube.set_kv(start_s, kv)
    world.tube.set_ma(start_s, ma)
    assert world.tube.high_voltage(start_s, True)
    world.tube_shutter.request(start_s, True)
    end_s = start_s + hours * HOUR_S
    world.tube.high_voltage(end_s, False)
    return end_s


def absorbance(world, at_s):
    """Dark, reference and sample one after the other, as an instrument would."""
    door, lights = world.spectrometer, world.lights
    lights.sample(at_s, False)
    lights.lamp(at_s, True)
    at_s += 1800.0
    dark = door.expose(at_s, 0.02, 20).astype(float)
    lights.shutter(at_s + 1.0, True)
    reference = door.expose(at_s + 3.0, 0.02, 20).astype(float)
    lights.sample(at_s + 5.0, True)
    sample = door.expose(at_s + 8.0, 0.02, 20).astype(float)
    lights.shutter(at_s + 9.0, False)
    nm = sum(c * np.arange(dark.size) ** power for power, c in enumerate(door.coefficients))
    with np.errstate(invalid="ignore", divide="ignore"):
        return nm, -np.log10((sample - dark) / (reference - dark))


def test_an_irradiated_crystal_takes_the_light_of_its_f_band(make):
    world = make(3, thickness_um=500.0)
    nm, before = absorbance(world, 10.0)
    _, after = absorbance(world, irradiate(world, world.now_s + 10.0, hours=4.0))
    band, aside = (np.abs(nm - 625.0) < 10.0), (np.abs(nm - 850.0) < 10.0)
    assert np.nanmedian(after[band]) > np.nanmedian(before[band]) + 0.05
    assert np.nanmedian(after[band]) - np.nanmedian(after[aside]) > 0.05


def test_the_synchrotrons_beam_colours_and_swells_the_crystal_too(make):
    world = make(3)
    world.enclosure.request_shutter(0.0, True)
    world.advance(600.0)
    colour = world.colour
    assert colour is not None
    state = colour.defects.state(600.0)
    assert colour.defects.seen(state.dose_gy) == pytest.approx(world.dose_gy(600.0), rel=0.15)
    assert 1e-6 < colour.swelling(600.0) < 1e-3
    (glimpse, *_) = world.glimpses(590.0, 591.0)
    assert glimpse.swelling == colour.swelling(590.5)


def test_an_open_door_takes_the_voltage_away_and_the_truth_tells(make, tmp_path):
    path = tmp_path / "truth.jsonl"
    world = make(1, path)
    world.tube.set_kv(0.0, 40.0)
    world.tube.set_ma(0.0, 5.0)
    world.tube.high_voltage(1.0, True)
    world.tube_shutter.request(1.0, True)
    world.advance(60.0)
    assert world.tube.kv(60.0) == pytest.approx(40.0)
    world.enclosure.set_door(61.0, False)
    assert world.tube.kv(63.0) == 0.0
    assert not world.tube.is_on(63.0)
    world.enclosure.set_door(64.0, True)
    assert not world.tube.is_on(65.0), "closing the door must not bring the voltage back"
    world.close()
    told = [json.loads(line) for line in path.read_text().splitlines()]
    states = [line for line in told if "t_s" in line]
    assert [line["t_s"] for line in states] == sorted(line["t_s"] for line in states)
    lit = [line["t_s"] for line in states if line["beam"]]
    assert 1.0 < lit[0] < 10.0
    assert lit[-1] <= 61.2
    assert {line["hv"] for line in states if 2.0 < line["t_s"] < 61.0} == {True}
    assert {line["hv"] for line in states if line["t_s"] > 61.0} == {False}
    assert states[-1]["dose_gy"] > 0.0


@pytest.mark.parametrize("tier", ["clean", "hostile"])
def test_the_crystal_is_the_same_whoever_looked_meanwhile(make, tier):
    patient, nosy = (make(5, tier=tier, thickness_um=200.0) for _ in range(2))
    ends = [irradiate(world, hours=0.5) for world in (patient, nosy) if world is patient]
    rng = np.random.default_rng(4)
    nosy.tube.set_kv(10.0, 80.0)
    nosy.tube.set_ma(10.0, 10.0)
    nosy.tube.high_voltage(10.0, True)
    nosy.tube_shutter.request(10.0, True)
    for at_s in np.sort(rng.uniform(10.0, ends[0], 300)).tolist():
        (nosy.tube.kv, nosy.thermal.sample_k, nosy.membrane.gas_bar, nosy.tube.arc_count)[int(rng.integers(4))](at_s)
        nosy.colour.swelling(nosy.now_s)
    nosy.tube.high_voltage(ends[0], False)
    for world in (patient, nosy):
        world.advance(ends[0] + 700.0)
    one, other = (world.colour.defects.state(ends[0] + 700.0).values for world in (patient, nosy))
    assert one.max() > 0.0
    assert np.array_equal(one, other)


def test_the_ruby_shows_the_pressure(make):
    world = make(2, transition="none")
    world.ruby.laser(0.0, True)
    low = world.ruby.expose(1.0, 0.5, 4).astype(float)
    world.membrane.ramp(5.0, 60.0, 1.0)
    pressure = world.state(world.advance(600.0))[0]
    high = world.ruby.expose(600.0, 0.5, 4).astype(float)
    nm = sum(c * np.arange(low.size) ** power for power, c in enumerate(world.ruby.coefficients))
    shift = nm[high.argmax()] - nm[low.argmax()]
    assert shift / 0.365 == pytest.approx(pressure - world.state(0.0)[0], abs=0.6)


def test_the_microscope_sees_more_in_a_crystal_that_had_more(make, tmp_path):
    path = tmp_path / "truth.jsonl"
    world = make(2, path, thickness_um=60.0)
    fresh = world.microscope.expose(0.0, 0.02)
    world.enclosure.request_shutter(1.0, True)
    world.advance(100.0)
    coloured = world.microscope.expose(100.0, 0.02)
    world.close()
    pictures = [line for line in map(json.loads, path.read_text().splitlines()) if "picture" in line]
    assert [line["picture"] for line in pictures] == [0, 1]
    assert len(pictures[0]["features"]) == 0
    assert pictures[1]["loops_per_um3"] > 0.0
    assert fresh.shape == coloured.shape == world.microscope.shape
    assert np.median(coloured) < np.median(fresh)


@pytest.mark.parametrize("door", ["tube", "lights", "spectrometer", "ruby", "microscope"])
def test_a_salt_without_known_colour_says_so(make, door):
    with pytest.raises(ValueError, match=r"sample = 'NaBr': the .* needs a salt whose colour centres are known: LiF"):
        getattr(make(1, sample="NaBr"), door)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"anode": "Pb"}, r"tube.anode = 'Pb': take one of"),
        ({"filter_um": -1.0}, r"tube.filter_um = -1: 0 to 20000 um"),
        ({"distance_cm": 3.0}, r"tube.distance_cm: there is no such key"),
        ({"distance_mm": "far"}, r"tube.distance_mm = 'far': a number is needed"),
        (3, r"tube = 3: a table \[twin.tube\] is needed"),
    ],
)
def test_a_tube_that_makes_no_sense_is_refused(make, table, says):
    with pytest.raises(ValueError, match=says):
        make(1, tube=table)
