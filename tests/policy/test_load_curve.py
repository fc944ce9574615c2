"""The load curve: learned from looks, local, upward only, and honest about what it has not seen."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from rocksalt.config.station import LoadCurvePrior, Station
from rocksalt.policy.load_curve import LoadCurve
from rocksalt.policy.load_watch import watch
from rocksalt.policy.seen import Seen
from rocksalt.values import Measured


def seen(bar: float, pressure: float | None, fraction: float | None = 0.0, sigma: float = 0.01) -> Seen:
    return Seen(
        bar=bar,
        pressure_gpa=None if pressure is None else Measured(pressure, sigma),
        fraction=None if fraction is None else Measured(fraction, 0.02),
        started_s=0.0,
        done_s=60.0,
        exposure_s=1.0,
        frames=2,
        late=False,
        saturated=0.0,
    )


@pytest.fixture
def prior(station: Station) -> LoadCurvePrior:
    return station.load_curve


def test_before_any_look_it_says_what_the_station_file_says(prior: LoadCurvePrior) -> None:
    curve = LoadCurve.prior(prior)
    expected = curve.predict(20.0)
    assert expected.value == pytest.approx(prior.offset_gpa + 20.0 * prior.gpa_per_bar)
    assert expected.sigma > math.hypot(prior.offset_sigma_gpa, 20.0 * prior.gpa_per_bar_sigma)
    assert curve.slope().value == prior.gpa_per_bar


def test_a_gain_that_is_off_by_a_third_is_learned_in_a_few_looks(prior: LoadCurvePrior) -> None:
    gain = prior.gpa_per_bar * 1.33
    curve = LoadCurve.learn(prior, [seen(bar, gain * bar) for bar in (0.0, 4.0, 8.0, 12.0)])
    assert curve.slope().value == pytest.approx(gain, rel=0.05)
    assert abs(curve.predict(16.0).value - gain * 16.0) < 2 * curve.predict(16.0).sigma


def test_the_local_slope_counts_more_than_the_global_one(prior: LoadCurvePrior) -> None:
    bars = np.arange(0.0, 80.0, 4.0)
    pressures = np.where(bars < 40.0, 0.06 * bars, 2.4 + 0.03 * (bars - 40.0))
    curve = LoadCurve.learn(prior, [seen(float(b), float(p)) for b, p in zip(bars, pressures, strict=True)])
    overall = pressures[-1] / bars[-1]
    assert curve.slope().value < 0.8 * overall
    assert curve.slope().value == pytest.approx(0.03, abs=2 * curve.slope().sigma + 0.003)


def test_a_collapse_is_a_drop_and_not_a_change_of_slope(prior: LoadCurvePrior) -> None:
    looks = [seen(bar, 0.05 * bar) for bar in (0.0, 4.0, 8.0, 12.0, 16.0, 20.0)]
    looks += [seen(24.0, 1.2 - 0.3 * 0.5, 0.5), seen(28.0, 1.4 - 0.3, 1.0), seen(32.0, 1.6 - 0.3, 1.0)]
    curve = LoadCurve.learn(prior, looks)
    assert curve.drop().value == pytest.approx(0.3, abs=0.05)
    assert curve.slope().value == pytest.approx(0.05, rel=0.1)


def test_one_wrong_fit_does_not_bend_the_curve(prior: LoadCurvePrior) -> None:
    looks = [seen(bar, 0.05 * bar) for bar in np.arange(0.0, 40.0, 4.0)]
    looks[6] = seen(looks[6].bar, 2.5)
    assert LoadCurve.learn(prior, looks).predict(40.0).value == pytest.approx(2.0, abs=0.08)


def test_bar_for_a_pressure_that_is_already_passed_is_where_the_membrane_stands(prior: LoadCurvePrior) -> None:
    curve = LoadCurve.learn(prior, [seen(0.0, 0.0), seen(10.0, 0.5), seen(20.0, 1.0)])
    assert curve.bar_for(0.4)[0] == 20.0
    bar, expected = curve.bar_for(1.25)
    assert bar == pytest.approx(25.0, abs=0.5)
    assert expected.value == pytest.approx(1.25, abs=0.01)


@given(
    rises=st.lists(st.floats(-0.2, 0.5), max_size=12),
    top=st.floats(0.2, 6.0),
    sigma=st.floats(0.004, 0.3),
)
def test_the_highest_bar_keeps_the_upper_bound_inside(
    rises: list[float], top: float, sigma: float, station: Station
) -> None:
    looks, pressure = [], 0.0
    for number, rise in enumerate(rises):
        pressure += rise
        looks.append(seen(4.0 * number, pressure, sigma=sigma))
    curve = LoadCurve.learn(station.load_curve, looks)
    bar = curve.highest_bar(top, 150.0)
    expected = curve.predict(bar)
    assert bar == curve.bar or expected.value + 2 * expected.sigma <= top + 1e-9


def test_without_a_pressure_the_uncertainty_grows(prior: LoadCurvePrior) -> None:
    known = LoadCurve.learn(prior, [seen(0.0, 0.0), seen(10.0, 0.5)])
    blind = LoadCurve.learn(prior, [seen(0.0, 0.0), seen(10.0, 0.5), seen(15.0, None, None), seen(20.0, None, None)])
    assert blind.here().sigma > 2 * known.here().sigma


def test_stuck_and_burst_are_suspected_once_and_confirmed_by_a_second_look(prior: LoadCurvePrior) -> None:
    good = [seen(bar, 0.05 * bar) for bar in (0.0, 5.0, 10.0, 15.0, 20.0)]
    assert watch(prior, good) is None
    burst = watch(prior, [*good, seen(25.0, 0.7)])
    assert burst is not None
    assert (burst.kind, burst.confirmed) == ("blow_out", False)
    again = watch(prior, [*good, seen(25.0, 0.7), seen(25.0, 0.7)])
    assert again is not None
    assert again.confirmed
    stuck = watch(prior, [*good, seen(25.0, 1.0), seen(30.0, 1.0)])
    assert stuck is not None
    assert stuck.kind == "no_effect"


def test_a_transformation_in_progress_is_no_blow_out(prior: LoadCurvePrior) -> None:
    good = [seen(bar, 0.05 * bar) for bar in (0.0, 5.0, 10.0, 15.0, 20.0)]
    assert watch(prior, [*good, seen(21.0, 0.85, 0.7)]) is None
    assert watch(prior, [*good, seen(21.0, 0.85, 0.0)]) is not None
