"""What the figures are drawn from: lines of cells, the load's line, the sigmoid's width, times of holding, words."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.by_hand import Pen, estimate, turn
from rocksalt.analysis import events, words
from rocksalt.analysis.figures import course_figure, logistic_width
from rocksalt.analysis.load_fit import Loaded, fit_load, loaded, prior_fit
from rocksalt.analysis.patterns import NoPatterns, height_of, level, read_patterns, rebinned, scaled
from rocksalt.analysis.waterfall import strong_lines
from rocksalt.config.station import LoadCurvePrior
from rocksalt.storage.journal import Entry
from rocksalt.storage.reduced import ReducedFile
from rocksalt.storage.run_folder import RunFolder
from rocksalt.values import Measured, Pattern, PhaseEstimate

PRIOR = LoadCurvePrior(gpa_per_bar=0.055, gpa_per_bar_sigma=0.02, offset_gpa=0.0, offset_sigma_gpa=0.15)


def test_ticks_stand_where_braggs_law_puts_them() -> None:
    cell = PhaseEstimate("KBr", "B1", 1.0, 0.0, "volume", 6.6, 1e-3, 0.0, 0.01, "", 300.0)
    lines = {line.label: line.two_theta_deg for line in strong_lines(cell, 0.4133, 20.0)}
    assert lines["200"] == pytest.approx(2.0 * math.degrees(math.asin(0.4133 / 6.6)))
    assert lines["220"] == pytest.approx(2.0 * math.degrees(math.asin(0.4133 * math.sqrt(8.0) / (2.0 * 6.6))))


def test_a_cell_that_no_table_knows_has_no_ticks() -> None:
    cell = PhaseEstimate("NaAt", "B1", 1.0, 0.0, "volume", 6.6, 1e-3, None, None, "", None)
    assert strong_lines(cell, 0.4133, 20.0) == []


def test_the_loads_line_is_the_station_files_before_any_measurement() -> None:
    fit, prior = fit_load(PRIOR, []), prior_fit(PRIOR)
    np.testing.assert_allclose(fit.mean, prior.mean)
    np.testing.assert_allclose(fit.cov, prior.cov)


@given(slope=st.floats(0.03, 0.08), loss=st.floats(0.05, 0.4))
def test_slope_and_loss_of_a_cell_are_found_within_three_sigma(slope: float, loss: float) -> None:
    rng = np.random.default_rng(5)
    bars = np.linspace(2.0, 60.0, 20)
    fractions = 1.0 / (1.0 + np.exp(-(bars - 40.0) / 3.0))
    seen = [
        Loaded(float(bar), Measured(float(slope * bar - loss * part + 0.02 * noise), 0.01), float(part))
        for bar, part, noise in zip(bars, fractions, rng.standard_normal(20), strict=True)
    ]
    fit = fit_load(PRIOR, seen)
    assert abs(fit.slope.value - slope) < 3.0 * fit.slope.sigma
    assert abs(fit.loss.value - loss) < 3.0 * fit.loss.sigma
    assert fit.slope.sigma < 0.1 * PRIOR.gpa_per_bar_sigma


def test_measurements_that_scatter_more_than_they_say_widen_the_line() -> None:
    calm = [Loaded(bar, Measured(0.05 * bar, 0.01), 0.0) for bar in (5.0, 10.0, 15.0, 20.0, 25.0)]
    wild = [
        Loaded(one.bar, Measured(one.pressure_gpa.value + 0.3 * (-1) ** i, 0.01), 0.0) for i, one in enumerate(calm)
    ]
    assert fit_load(PRIOR, wild).slope.sigma > 2.0 * fit_load(PRIOR, calm).slope.sigma


def test_late_and_unknown_measurements_are_not_on_the_load_curve(night: Pen) -> None:
    assert len(loaded(night.history.points)) == 16  # of eighteen


@pytest.mark.parametrize("width", [0.02, 0.05, 0.12])
def test_the_width_of_a_sigmoid_is_found(width: float) -> None:
    pressures = np.linspace(1.5, 2.5, 25)
    seen = [estimate(i, p, 1.0 / (1.0 + math.exp(-(p - 2.0) / width))) for i, p in enumerate(pressures)]
    assert logistic_width(seen, 2.0) == pytest.approx(width, rel=0.3)


def test_the_nights_sample_loses_pressure_while_it_turns() -> None:
    before, after = turn(1.85), turn(2.05)
    assert after[0] - before[0] < 0.2 * (2.05 - 1.85) + 1e-9
    assert before[1] < 0.15 < 0.85 < after[1]


def test_a_patterns_height_is_its_salts_and_not_that_of_a_diamond_spot() -> None:
    x = np.linspace(4.0, 14.0, 900)
    lines = [(6.0, 0.4), (7.5, 1.0), (10.0, 0.6)]
    background = 300.0 * np.exp(-x / 6.0)
    salt = sum(80.0 * strength * np.exp(-0.5 * ((x - place) / 0.05) ** 2) for place, strength in lines)
    spot = 4e4 * np.exp(-0.5 * ((x - 10.0) / 0.1) ** 2)
    net = level(x, background + salt + spot)
    assert height_of(x, net, lines) == pytest.approx(80.0, rel=0.15)
    assert float(scaled(net, height_of(x, net, lines))[np.argmin(abs(x - 7.5))]) == pytest.approx(1.0, abs=0.2)


def test_lines_off_the_detector_give_no_height() -> None:
    x = np.linspace(4.0, 6.0, 100)
    assert height_of(x, np.ones(100), [(7.5, 1.0)]) == 0.0


def test_noise_without_a_line_stays_small() -> None:
    x = np.linspace(4.0, 14.0, 800)
    noise = np.random.default_rng(2).normal(100.0, 10.0, 800)
    assert float(np.ptp(scaled(level(x, noise), 0.0))) < 0.4


def test_averaging_neighbours_keeps_the_area_and_the_gaps() -> None:
    angles, rows = np.linspace(1.0, 10.0, 1000), np.ones((2, 1000))
    rows[1, 300:310] = np.nan
    fewer, averaged = rebinned(angles, rows, 250)
    assert fewer.size == 250
    assert averaged.shape == (2, 250)
    assert np.isnan(averaged[1]).sum() == 2  # groups that are wholly in the gap; those at its ends know a part
    np.testing.assert_allclose(averaged[0], 1.0)


def test_the_last_pattern_of_a_measurement_is_shown(night_folder: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    file = ReducedFile(folder.reduced, poni="")
    angles = np.linspace(1.0, 2.0, 10)
    for number, counts in ((1, 5.0), (0, 1.0), (1, 7.0)):
        file.append(number, Pattern(angles, np.full(10, counts), np.ones(10), 0.4133))
    file.close()
    patterns = read_patterns(folder.reduced)
    assert patterns.measurement == (0, 1)
    assert patterns.intensity[:, 0].tolist() == [1.0, 7.0]
    assert len(read_patterns(night_folder.reduced).measurement) == 17


def test_a_reduced_file_without_patterns_says_so(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    ReducedFile(folder.reduced, poni="").close()
    with pytest.raises(NoPatterns, match="holds no pattern"):
        read_patterns(folder.reduced)


def test_two_holds_that_overlap_are_one_time_of_holding() -> None:
    def entry(seq: int, kind: str, at_s: float, hold: str) -> Entry:
        return Entry(seq, kind, at_s, "", {"hold": hold, "why": ""})

    told = [
        entry(0, "held", 10.0, "a"), entry(1, "held", 20.0, "b"), entry(2, "released", 30.0, "a"),
        entry(3, "released", 40.0, "b"), entry(4, "held", 50.0, "a"),
    ]  # fmt: skip
    assert events.holding(told, 60.0) == [(10.0, 40.0), (50.0, 60.0)]


def test_the_course_names_the_share_of_the_budget(night: Pen) -> None:
    history = night.history
    drawing = course_figure(history, [], 4.0 * history.dose_gy, "", booked=True)
    assert "That is 25.0% of the 4.06 MGy" in drawing.caption
    assert "no flux" in course_figure(history, [], None, "", booked=False).caption


@pytest.mark.parametrize(
    ("value", "sigma", "said"),
    [
        (1.8532, 0.0171, "1.853 ± 0.017"),
        (-0.5, 0.2, "−0.50 ± 0.20"),
        (12.3, 4.2, "12.3 ± 4.2"),
        (1.0, 0.0, "1.000 ± 0.000"),
        (-0.0004, 0.015, "0.000 ± 0.015"),
    ],
)
def test_a_number_has_as_many_digits_as_its_uncertainty(value: float, sigma: float, said: str) -> None:
    assert words.plus_minus(value, sigma) == said


def test_doses_and_times_are_read_at_a_glance() -> None:
    assert words.dose(1.014e6, 2.03e5) == "1.01 ± 0.20 MGy"
    assert words.dose(0.0, 0.0) == "0 Gy"
    assert words.clock(3725.0) == "1:02:05"
    assert [words.duration(s) for s in (45.0, 700.0, 25500.0)] == ["45 s", "12 min", "7 h 05 min"]
