"""What a finished run states of its transition: all fields, a scale with its sigma, nothing that was not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from policy.stand_in import Cell, History, Night, Point
from rocksalt.analysis.transition import DEFINITION, always, fit_transition, membrane_times_constant, scale_sigma_gpa
from rocksalt.config.campaign import Campaign
from rocksalt.config.station import Station
from rocksalt.policy.upward import UpwardTransition
from rocksalt.values import Reading


@pytest.fixture
def night(campaign: Campaign, station: Station, spend_the_night: Callable[..., Night]) -> Night:
    rng = np.random.default_rng(21)
    return spend_the_night(UpwardTransition.from_config(campaign, station), Cell(rng, 1.9))


def warmed(history: History, kelvin: float) -> list[Point]:
    """The points as a station with a thermometer, and a model that names its scale, would have made them."""
    made = []
    for point in history.points:
        assert point.estimate is not None
        read = {**point.readings, "temperature_k": Reading("temperature_k", kelvin, "K", point.done_s, 0.05)}
        made.append(replace(point, readings=read, estimate=replace(point.estimate, pressure_scale="a named scale")))
    return made


def test_a_found_transition_has_every_field_of_the_summary(night: Night, station: Station) -> None:
    (found,) = fit_transition(warmed(night.history, 300.4), station.load_curve, salt="KBr")
    assert list(found) == [
        "salt", "branch", "definition", "pressure_gpa", "sigma_stat", "sigma_scale", "scale", "gauge", "temperature_k",
        "rate_gpa_per_min", "onset_gpa",
    ]  # fmt: skip
    assert (found["salt"], found["branch"], found["gauge"]) == ("KBr", "up", None)
    assert found["definition"] == DEFINITION
    assert found["scale"] == "a named scale"
    assert found["temperature_k"] == pytest.approx(300.4)
    assert found["onset_gpa"] < found["pressure_gpa"] + 0.1
    assert 0.0 < found["sigma_stat"] < 0.1
    assert 0.0 < found["sigma_scale"] < 0.1


def test_the_rate_is_the_load_over_the_minutes_of_the_change(night: Night, station: Station) -> None:
    (found,) = fit_transition(night.history.points, station.load_curve, salt="KBr")
    bars = [point.measurement.setpoints["membrane_bar"] for point in night.history.points]
    steps = [b - a for a, b in pairwise(bars)]
    fastest = max(steps) * 0.055 * 1.4 / 1.2
    assert 0.005 < found["rate_gpa_per_min"] < fastest


def test_a_run_cut_before_one_half_states_nothing(night: Night, station: Station) -> None:
    (found,) = fit_transition(night.history.points, station.load_curve, salt="KBr")
    fractions = [p.estimate.fraction_b2.value for p in night.history.points if p.estimate and p.estimate.fraction_b2]
    before = next(i for i, fraction in enumerate(fractions) if fraction > 0.5)
    assert found
    assert fit_transition(night.history.points[:before], station.load_curve, salt="KBr") == []
    assert fit_transition([], station.load_curve, salt="KBr") == []


def test_b2_seen_only_once_is_no_transition(night: Night, station: Station) -> None:
    points = night.history.points
    quiet = [p for p in points if p.estimate and p.estimate.fraction_b2 and p.estimate.fraction_b2.value < 0.1]
    loud = next(p for p in points if p.estimate and p.estimate.fraction_b2 and p.estimate.fraction_b2.value > 0.6)
    assert fit_transition([*quiet, loud], station.load_curve, salt="KBr") == []


def test_the_sigma_of_the_scale_grows_with_pressure_and_knows_no_transition() -> None:
    assert 0.0 < scale_sigma_gpa("KBr", 1.0, 300.0) < scale_sigma_gpa("KBr", 2.4, 300.0) < 0.25
    assert scale_sigma_gpa("no salt", 2.0, None) == pytest.approx(0.1)


def test_the_baselines_are_what_their_names_say(night: Night, station: Station) -> None:
    points, prior = night.history.points, station.load_curve
    assert always(1.8)(points) == 1.8
    assert membrane_times_constant(points[:3], prior) is None
    said = membrane_times_constant(points, prior)
    bars = [point.measurement.setpoints["membrane_bar"] for point in points]
    assert said is not None
    assert prior.gpa_per_bar * min(bars) < said <= prior.gpa_per_bar * max(bars)
