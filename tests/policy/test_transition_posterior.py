"""Where one half was passed: interval evidence, holds, jumps, wrong estimates, and what is known before."""

from __future__ import annotations

import numpy as np
import pytest

from policy.test_load_curve import seen
from rocksalt.config.station import Station
from rocksalt.policy.crossing import first_passing
from rocksalt.policy.load_curve import LoadCurve
from rocksalt.policy.seen import Seen
from rocksalt.policy.transition_posterior import TransitionPosterior
from rocksalt.values import Measured

ENVELOPE = (0.0, 5.0)


def climb(to_bar: float, step: float = 4.0) -> list[Seen]:
    """A quiet climb at 0.05 GPa per bar, all B1."""
    return [seen(float(bar), 0.05 * float(bar)) for bar in np.arange(0.0, to_bar + 1e-9, step)]


def posterior(station: Station, looks: list[Seen]) -> TransitionPosterior:
    return TransitionPosterior.of(LoadCurve.learn(station.load_curve, looks), looks, ENVELOPE)


def p50(station: Station, looks: list[Seen]) -> Measured:
    where = first_passing(LoadCurve.learn(station.load_curve, looks), looks).where
    assert where is not None
    return where.measured()


def test_before_anything_is_seen_the_prior_is_flat_and_the_hazard_grows_with_the_step(station: Station) -> None:
    quiet = posterior(station, climb(20.0))
    assert not quiet.passed
    assert quiet.p50_gpa().value == pytest.approx(3.0, abs=0.15)
    small, large = quiet.onset_within(1.0, 1.1), quiet.onset_within(1.0, 1.4)
    assert 0.005 < small < large < 0.2
    assert large == pytest.approx(4 * small, rel=0.35)


def test_what_was_seen_to_be_b1_is_no_place_for_the_onset(station: Station) -> None:
    assert posterior(station, climb(40.0)).onset_within(0.5, 1.2) < 0.01


def test_a_hold_that_passes_one_half_gives_the_pressure_directly(station: Station) -> None:
    looks = [*climb(36.0), seen(40.0, 1.95, 0.25), seen(40.0, 1.85, 0.75)]
    found = p50(station, looks)
    assert found.value == pytest.approx(1.90, abs=0.01)
    assert found.sigma < 0.015


def test_a_jump_is_an_interval_bounded_by_the_load_without_collapse(station: Station) -> None:
    looks = [*climb(36.0), seen(40.0, 1.75, 0.98), seen(40.0, 1.75, 0.98)]
    found = posterior(station, looks)
    low, high = found.interval95_gpa()
    assert found.passed
    assert 1.70 < low < 1.85
    assert high < 2.0 + 0.05
    assert found.p50_gpa().value > 1.78


def test_smaller_steps_give_a_narrower_answer(station: Station) -> None:
    coarse = [*climb(36.0), seen(40.0, 1.90, 0.7), seen(40.0, 1.90, 0.7)]
    fine = [*climb(36.0), seen(38.0, 1.84, 0.3), seen(39.0, 1.87, 0.45), seen(40.0, 1.90, 0.6), seen(40.0, 1.9, 0.6)]
    assert p50(station, fine).sigma < 0.8 * p50(station, coarse).sigma


def test_pressure_that_falls_back_after_the_passing_does_not_pull_p50_along(station: Station) -> None:
    looks = [
        *climb(36.0),
        seen(38.0, 1.88, 0.2),
        seen(39.0, 1.86, 0.45),
        seen(40.0, 1.84, 0.65),
        seen(40.0, 1.72, 0.99),
    ]
    assert p50(station, looks).value == pytest.approx(1.86, abs=0.03)


def test_one_wrong_estimate_is_no_transition(station: Station) -> None:
    looks = climb(40.0)
    looks[5] = seen(looks[5].bar, 0.05 * looks[5].bar, 0.9)
    found = posterior(station, looks)
    assert not found.passed
    assert found.onset_gpa() is None


def test_a_sample_that_was_b2_before_the_first_look_has_no_passing(station: Station) -> None:
    looks = [seen(0.0, 1.0, 0.95), seen(0.0, 1.0, 0.96)]
    passing = first_passing(LoadCurve.learn(station.load_curve, looks), looks)
    assert passing.before > 0.9
    assert passing.probability < 0.1


def test_unknowns_between_two_looks_widen_the_answer_to_every_stop(station: Station) -> None:
    direct = [*climb(36.0), seen(40.0, 1.85, 0.8), seen(40.0, 1.85, 0.8)]
    blind = [*climb(32.0), seen(36.0, None, None), seen(40.0, 1.85, 0.8), seen(40.0, 1.85, 0.8)]
    assert p50(station, blind).sigma > 1.5 * p50(station, direct).sigma


def test_nothing_known_is_nothing_said(station: Station) -> None:
    looks = [seen(0.0, None, None), seen(4.0, None, None)]
    passing = first_passing(LoadCurve.learn(station.load_curve, looks), looks)
    assert (passing.probability, passing.where) == (0.0, None)


def test_one_estimate_alone_is_never_certain(station: Station) -> None:
    once = posterior(station, [*climb(36.0), seen(40.0, 1.8, 0.99)])
    twice = posterior(station, [*climb(36.0), seen(40.0, 1.8, 0.99), seen(40.0, 1.8, 0.99)])
    assert 0.9 < once.passing.probability < 0.985
    assert twice.passing.probability > 0.995
