"""Absorbance, its sigma, and a lamp that drifts: on the twin's bench, and on light of which all is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.inference import optical
from rocksalt.inference.optical import OpticalError, absorbance, drift_per_s, light, reference_at
from rocksalt.inference.sensor_noise import SensorNoise, from_pairs, from_roughness
from rocksalt.time import Chance
from rocksalt.twin import departures, tiers
from rocksalt.twin.optics.bands import View
from rocksalt.twin.optics.bench import Bench
from rocksalt.values import Spectrum

NM = np.linspace(300.0, 800.0, 1000)
NOISE = SensorNoise(8.0, 1.0 / 3.0)
BRIGHT = 20000.0 * np.exp(-(((NM - 550.0) / 150.0) ** 2)) + 500.0


def spectrum(counts: Any, at_s: float = 0.0, seconds: float = 0.1, averages: int = 1, lamp: Any = "on") -> Spectrum:
    counts = np.asarray(counts, dtype=float)
    return Spectrum(NM, counts, counts >= 65535, seconds, averages, at_s, at_s, light=lamp)


def counted(mean: Any, seed: int, averages: int = 1, **more: Any) -> Spectrum:
    sigma = np.sqrt(NOISE.variance(np.asarray(mean), averages))
    drawn = np.random.default_rng(seed).normal(mean, sigma)
    return spectrum(drawn + 1000.0, averages=averages, **more)


def dark(seed: int, averages: int = 1) -> Spectrum:
    return counted(np.zeros(NM.size), seed, averages, lamp="off")


@given(st.floats(0.0, 2.0))
def test_without_noise_absorbance_is_what_was_absorbed(density: float) -> None:
    none = spectrum(np.full(NM.size, 1000.0), lamp="off")
    reference = light(spectrum(1000.0 + BRIGHT), none, SensorNoise(0.01, 1e-6))
    sample = light(spectrum(1000.0 + BRIGHT * 10.0**-density), none, SensorNoise(0.01, 1e-6))
    found = absorbance(sample, reference)
    assert found.usable.all()
    np.testing.assert_allclose(found.density, density, atol=1e-9)
    assert found.shared_sigma == 0.0


@pytest.mark.parametrize("one_dark", [True, False])
def test_the_variance_is_the_scatter(one_dark: bool) -> None:
    band = 1.2 * np.exp(-(((NM - 560.0) / 40.0) ** 2))
    pulls = []
    for seed in range(40):
        first = dark(3 * seed)
        second = first if one_dark else dark(3 * seed + 10_000)
        reference = light(counted(BRIGHT, 3 * seed + 1), first, NOISE)
        sample = light(counted(BRIGHT * 10.0**-band, 3 * seed + 2), second, NOISE)
        found = absorbance(sample, reference)
        pulls.append(((found.density - band) / np.sqrt(found.variance))[found.usable])
    assert np.sqrt(np.mean(np.concatenate(pulls) ** 2)) == pytest.approx(1.0, abs=0.03)
    assert np.mean(np.concatenate(pulls)) == pytest.approx(0.0, abs=0.1)


def test_where_nothing_comes_through_only_a_least_density_is_told() -> None:
    band = np.where(np.abs(NM - 560.0) < 20.0, 6.0, 0.0)
    sample = light(counted(BRIGHT * 10.0**-band, 1, 100), dark(2, 100), NOISE)
    found = absorbance(sample, light(counted(BRIGHT, 3, 100), dark(2, 100), NOISE))
    black = band > 0.0
    assert not found.usable[black].any()
    assert np.isnan(found.density[black]).all()
    assert (found.at_least[black] > 2.0).all()
    assert (found.at_least[black] < 6.0).all()
    assert np.isneginf(found.at_least[~black & found.usable]).all()


def test_a_pixel_at_full_scale_has_no_density() -> None:
    over = counted(BRIGHT, 1)
    mask = over.saturated.copy()
    mask[500] = True
    reference = light(counted(BRIGHT, 2), dark(3), NOISE)
    found = absorbance(light(replace(over, saturated=mask), dark(3), NOISE), reference)
    assert not found.usable[500]
    assert np.isnan(found.density[500])
    assert found.usable.sum() == NM.size - 1


def test_darks_that_do_not_fit_are_refused_in_a_sentence() -> None:
    with pytest.raises(OpticalError, match=r"a dark spectrum of 0\.2 s is none for one of 0\.1 s"):
        light(counted(BRIGHT, 1), replace(dark(2), integration_s=0.2), NOISE)
    with pytest.raises(OpticalError, match="with the light on"):
        light(counted(BRIGHT, 1), counted(BRIGHT, 2), NOISE)
    with pytest.raises(OpticalError, match="two instruments"):
        light(counted(BRIGHT, 1), replace(dark(2), wavelength_nm=NM + 1.0), NOISE)


def lamp(at_s: float, level: float, seed: int) -> optical.Light:
    return replace(light(counted(BRIGHT * level, seed, 100), dark(seed + 1, 100), NOISE), at_s=at_s)


def test_between_references_the_lamp_is_followed_in_time() -> None:
    references = [lamp(at_s, 1.0 + 0.01 * at_s / 600.0, seed) for seed, at_s in enumerate((0.0, 600.0, 1200.0))]
    found = absorbance(lamp(300.0, 1.005, 50), reference_at(references, 300.0))
    stale = absorbance(lamp(300.0, 1.005, 50), references[0])
    assert abs(np.median(found.density[found.usable])) < 2e-4
    assert abs(np.median(stale.density[stale.usable])) > 1.8e-3


def test_what_a_wandering_lamp_may_have_done_is_in_the_shared_sigma() -> None:
    """A lamp that walks at random, references every 10 minutes, samples between: the pull of each sample's offset."""
    pulls = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        walk = np.concatenate([[0.0], np.cumsum(rng.normal(0.0, 0.004, 12))])  # a step each five minutes
        references = [lamp(600.0 * i, float(np.exp(walk[2 * i])), 1000 * seed + i) for i in range(7)]
        for i in (1, 5, 9):
            sample = lamp(300.0 * i, float(np.exp(walk[i])), 1000 * seed + 100 + i)
            found = absorbance(sample, reference_at(references, 300.0 * i))
            pulls.append(np.median(found.density[found.usable]) / found.shared_sigma)
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1.0, abs=0.3)


def test_outside_the_references_the_doubt_grows() -> None:
    references = [lamp(0.0, 1.0, 1), lamp(600.0, 1.01, 2)]
    near, far = reference_at(references, 700.0), reference_at(references, 4000.0)
    assert 0.0 < near.lamp_variance < far.lamp_variance
    assert reference_at(references, 600.0).lamp_variance == 0.0


def test_one_reference_can_not_tell_a_drift() -> None:
    with pytest.raises(OpticalError, match="take another one, after the sample"):
        drift_per_s([lamp(0.0, 1.0, 1)])
    with pytest.raises(OpticalError, match="at the same time"):
        drift_per_s([lamp(0.0, 1.0, 1), lamp(0.0, 1.1, 2)])
    with pytest.raises(OpticalError, match="is the lamp on"):
        drift_per_s([replace(lamp(0.0, 1.0, 1), usable=np.zeros(NM.size, bool)), lamp(9.0, 1.0, 2)])


def test_the_noise_of_a_sensor_is_learned_from_two_spectra_of_one_light() -> None:
    first, second = counted(BRIGHT, 1, 4), counted(BRIGHT, 2, 4)
    found = from_pairs((first, second), (dark(3, 4), dark(4, 4)))
    level = np.array([100.0, 5000.0, 20000.0])
    np.testing.assert_allclose(found.variance(level), NOISE.variance(level), rtol=0.35)
    with pytest.raises(ValueError, match="are the same"):
        from_pairs((first, replace(second, averages=1)), (dark(3, 4), dark(4, 4)))


def test_the_noise_of_one_spectrum_is_its_roughness_and_no_slow_misfit() -> None:
    slow = 300.0 * np.sin(NM / 20.0)
    residual = np.random.default_rng(1).normal(0.0, np.sqrt(NOISE.variance(BRIGHT))) + slow
    found = from_roughness(BRIGHT, residual)
    level = np.array([600.0, 5000.0, 20000.0])
    np.testing.assert_allclose(found.variance(level), NOISE.variance(level), rtol=0.5)


def test_on_the_twins_bench_a_band_is_read_through_a_drifting_lamp() -> None:
    """References before and after; the twin's own stray light and bent scale are no part of any sigma here."""
    hidden = departures.draw(tiers.tier("clean"), Chance(4)).optics
    bench = Bench("KBr", replace(hidden, stray=0.0, nonlinear=0.0, lamp_drift=0.02), Chance(4))
    bench.lights.lamp.move(0.0, True)
    view = View(np.array([4e15, 0.0, 0.0, 0.0, 0.0]), 0.0, 300.0, 1.0)
    rng = np.random.default_rng(4)
    nm = bench.wavelengths_nm

    def taken(at_s: float, mode: Any) -> Spectrum:
        counts = bench.spectrum(at_s, 0.01, 100, mode, view, rng).astype(float)
        lit = "off" if mode == "dark" else "on"
        return Spectrum(nm, counts, counts >= 65535, 0.01, 100, at_s, at_s + 1.0, light=lit)

    nothing = taken(5000.0, "dark")
    lit_pair = (taken(5001.0, "reference"), taken(5002.0, "reference"))
    noise = from_pairs(lit_pair, (nothing, taken(5003.0, "dark")))
    references = [light(taken(5000.0 + 300.0 * i, "reference"), nothing, noise) for i in range(5)]
    sample = light(taken(5450.0, "sample"), nothing, noise)
    found = absorbance(sample, reference_at(references, sample.at_s))
    truth = -np.log10(bench.crystal.transmission(view))
    lit = found.usable & (truth < 2.0)
    off = (found.density - truth)[lit] / np.sqrt(found.variance[lit] + found.shared_sigma**2)
    assert truth[lit].max() > 0.3
    assert lit.sum() > 1000
    assert np.sqrt(np.mean(off**2)) < 2.0
