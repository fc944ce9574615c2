"""The ruby's doublet in the twin's spectra: a pressure within its sigma, and never a number where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rocksalt.crystals.scales import convert_gpa
from rocksalt.inference.doublet import expected_ratio
from rocksalt.inference.ruby import RubyFit, fit_ruby, unloaded
from rocksalt.time import Chance
from rocksalt.twin import departures, tiers
from rocksalt.twin.optics.ruby import Ruby
from rocksalt.values import Measured, Spectrum

ROOM = Measured(298.0, 0.1)


def a_ruby(seed: int, tier: str = "clean", **fixed: float) -> Ruby:
    hidden = replace(departures.draw(tiers.tier(tier), Chance(seed)).optics, **fixed)
    return Ruby(hidden, Chance(seed))


def spectrum_of(one: Ruby, counts: Any, seconds: float) -> Spectrum:
    counts = np.asarray(counts, dtype=float)
    return Spectrum(one.spectrometer.wavelengths_nm, counts, counts >= 65535, seconds, 4, 0.0, 4 * seconds)


def taken(one: Ruby, gpa: float, kelvin: float, seed: int, seconds: float | None = None) -> tuple[Spectrum, Spectrum]:
    """A spectrum and its dark; shorter and shorter until nothing at the lines is at full scale, as a person does it."""
    one.laser.move(0.0, True)
    rng = np.random.default_rng(seed)
    exposure = 0.5 if seconds is None else seconds
    while True:
        lit = spectrum_of(one, one.expose(1.0, exposure, 4, gpa, kelvin, rng), exposure)
        if seconds is not None or exposure < 0.012 or not lit.saturated[lit.wavelength_nm > 692.0].any():
            nothing = np.zeros(one.spectrometer.true_nm.size)
            return lit, spectrum_of(one, one.spectrometer.counts(nothing, exposure, 4, rng), exposure)
        exposure /= 2.0


def read(one: Ruby, gpa: float, kelvin: float, seed: int, line: Measured | None) -> RubyFit:
    lit, dark = taken(one, gpa, kelvin, seed)
    told = Measured(kelvin + 0.1 * float(np.random.default_rng(seed).standard_normal()), 0.1)
    return fit_ruby(lit, told, dark=dark, unloaded_nm=line)


def calibrated(one: Ruby, seed: int) -> Measured:
    return unloaded(read(one, 0.0, 298.0, seed, None))


def test_pressures_on_the_clean_tier_are_as_sure_as_they_say() -> None:
    """12 rubies, each calibrated without load, at four loads and four temperatures. One ruby's errors go together (its
    scale), so the rms is known to some 20 %."""
    pulls, lines = [], []
    for seed in range(12):
        one = a_ruby(seed)
        line = calibrated(one, seed)
        for number, (gpa, kelvin) in enumerate([(0.5, 300.0), (2.0, 80.0), (5.0, 450.0), (15.0, 25.0)]):
            found = read(one, gpa, kelvin, 100 * seed + number, line)
            assert found.flag == "ok", (seed, gpa, kelvin, found.reason)
            assert found.pressure_gpa is not None
            assert found.r1_nm is not None
            pulls.append((found.pressure_gpa.value - gpa) / found.pressure_gpa.sigma)
            place = np.interp(one.r1_nm(gpa, kelvin), one.spectrometer.true_nm, one.spectrometer.wavelengths_nm)
            lines.append((found.r1_nm.value - place) / found.r1_nm.sigma)
    assert 0.55 < np.sqrt(np.mean(np.square(pulls))) < 1.35
    assert 0.6 < np.sqrt(np.mean(np.square(lines))) < 1.5
    assert np.max(np.abs(pulls)) < 4.0


@pytest.mark.parametrize(("tier", "least"), [("realistic", 0.9), ("hostile", 0.6)])
def test_on_unkind_days_a_pressure_is_near_or_there_is_none(tier: str, least: float) -> None:
    """Uniaxial stress at the chip leans the line (to 0.12 of the load on a hostile day): no fit of it can see that."""
    good = 0
    for seed in range(10):
        one = a_ruby(seed, tier, ruby_stress_gpa=0.0)
        first = read(one, 0.0, 298.0, seed, None)
        if first.flag != "ok":
            assert first.pressure_gpa is None
            continue
        for gpa in (2.0, 8.0):
            found = read(one, gpa, 300.0, seed + 50, unloaded(first))
            if found.pressure_gpa is None:
                assert found.flag in ("weak", "shape", "saturated")
                continue
            good += 1
            assert abs(found.pressure_gpa.value - gpa) < 5.0 * max(found.pressure_gpa.sigma, 0.02 * gpa)
    assert good >= least * 20


def test_cold_enough_r2_is_gone_and_r1_is_read_alone() -> None:
    one = a_ruby(3, ruby_brightness=0.03)
    line = calibrated(one, 3)
    lit, dark = taken(one, 2.0, 16.0, 4, seconds=0.05)
    dim = fit_ruby(lit, Measured(16.0, 0.1), dark=dark, unloaded_nm=line)
    assert (dim.flag, dim.r2_nm) == ("cold", None)
    assert dim.pressure_gpa is not None
    assert dim.pressure_gpa.value == pytest.approx(2.0, abs=5.0 * dim.pressure_gpa.sigma)


def test_below_fifteen_kelvin_the_lines_own_way_with_temperature_is_unknown_and_no_pressure_is_given() -> None:
    lit, dark = taken(a_ruby(3), 2.0, 20.0, 4)
    found = fit_ruby(lit, Measured(8.0, 0.1), dark=dark)
    assert found.pressure_gpa is None
    assert "15" in found.reason or found.flag == "shape"


def test_a_saturated_line_is_said_to_be_one() -> None:
    lit, dark = taken(a_ruby(2), 2.0, 80.0, 1, seconds=5.0)
    found = fit_ruby(lit, Measured(80.0, 0.1), dark=dark)
    assert (found.flag, found.pressure_gpa, found.r1_nm) == ("saturated", None, None)
    assert "expose more shortly" in found.reason


def test_saturated_pixels_far_from_the_lines_do_no_harm() -> None:
    one = a_ruby(2)
    lit, dark = taken(one, 2.0, 300.0, 1)
    hot = lit.saturated.copy()
    hot[[10, 1900]] = True
    assert fit_ruby(replace(lit, saturated=hot), ROOM, dark=dark).flag == "ok"


def test_an_unloaded_line_that_nobody_measured_widens_the_sigma() -> None:
    lit, dark = taken(a_ruby(5), 2.0, 298.0, 1)
    alone = fit_ruby(lit, ROOM, dark=dark)
    known = fit_ruby(lit, ROOM, dark=dark, unloaded_nm=Measured(694.25, 0.001))
    assert alone.pressure_gpa is not None
    assert known.pressure_gpa is not None
    assert alone.pressure_gpa.sigma > 5.0 * known.pressure_gpa.sigma
    assert "no unloaded ruby was measured" in alone.reason
    assert known.scale == "ruby, Ruby2020"


def test_the_scale_is_the_one_that_was_asked_for() -> None:
    lit, dark = taken(a_ruby(5), 15.0, 298.0, 1)
    one = fit_ruby(lit, ROOM, dark=dark)
    other = fit_ruby(lit, ROOM, dark=dark, scale="ruby, Mao 1986")
    assert other.scale == "ruby, Mao 1986"
    assert one.pressure_gpa is not None
    assert other.pressure_gpa is not None
    carried = convert_gpa(one.pressure_gpa.value, one.scale, other.scale)
    assert other.pressure_gpa.value == pytest.approx(carried, abs=1e-6)


# --- no ruby


def ground(nm: Any) -> Any:
    return 1200.0 + 3000.0 * np.exp(-(nm - 680.0) / 60.0)


def line_at(place: float, width: float, height: float) -> Callable[[Any], Any]:
    return lambda nm: height / (1.0 + (2.0 * (nm - place) / width) ** 2)


NOT_RUBIES: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda nm: 0.0 * nm,
    "a laser's line": line_at(696.0, 0.08, 20000.0),
    "one broad line": line_at(697.0, 0.9, 12000.0),
    "a hump": line_at(700.0, 12.0, 20000.0),
    "two lines too near": lambda nm: line_at(697.0, 0.3, 9000.0)(nm) + line_at(696.4, 0.3, 6000.0)(nm),
    "two lines too far": lambda nm: line_at(699.0, 0.3, 9000.0)(nm) + line_at(696.5, 0.3, 6000.0)(nm),
    "neon lamp": lambda nm: line_at(692.95, 0.1, 15000.0)(nm) + line_at(703.24, 0.1, 20000.0)(nm),
    "an edge": lambda nm: 8000.0 / (1.0 + np.exp(-(nm - 698.0) / 0.3)),
    "three lines": lambda nm: sum(line_at(place, 0.3, 9000.0)(nm) for place in (695.0, 696.4, 697.8)),
    "three faint lines": lambda nm: sum(line_at(place, 0.3, 700.0)(nm) for place in (695.0, 696.4, 697.8)),
}


@pytest.mark.parametrize("what", NOT_RUBIES)
def test_what_is_no_ruby_gets_a_flag_and_never_a_number(what: str) -> None:
    nm = a_ruby(1).spectrometer.wavelengths_nm
    for seed in range(2):
        rng = np.random.default_rng(seed)
        mean = ground(nm) + NOT_RUBIES[what](nm)
        counts = np.clip(rng.normal(mean, np.sqrt(64.0 + mean / 3.0)), 0.0, 65535.0)
        found = fit_ruby(Spectrum(nm, counts, counts >= 65535, 0.5, 1, 0.0, 0.5), ROOM)
        assert found.flag in ("weak", "shape"), (seed, found)
        assert (found.r1_nm, found.pressure_gpa) == (None, None)
        assert found.reason


def test_a_sensor_full_of_hot_pixels_is_no_ruby() -> None:
    one = a_ruby(1, "hostile", hot_pixels=60)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        counts = one.spectrometer.counts(np.zeros(2068), 2.0, 1, rng)
        found = fit_ruby(spectrum_of(one, counts, 2.0), ROOM)
        assert found.flag in ("weak", "shape")
        assert found.pressure_gpa is None


def test_two_darks_of_other_times_are_told_apart() -> None:
    lit, dark = taken(a_ruby(1), 1.0, 300.0, 1)
    with pytest.raises(ValueError, match="take it anew"):
        fit_ruby(lit, ROOM, dark=replace(dark, integration_s=3.0))


def test_an_unloaded_line_can_not_be_had_from_nothing() -> None:
    with pytest.raises(ValueError, match="no line stands above"):
        unloaded(RubyFit("weak", "no line stands above the noise"))


def test_r2_freezes_out_by_boltzmann() -> None:
    assert expected_ratio(300.0) == pytest.approx(0.65)
    assert expected_ratio(20.0) / expected_ratio(40.0) == pytest.approx(np.exp(-29.7 / 0.695035 * (1 / 20 - 1 / 40)))
