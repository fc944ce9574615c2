"""Whole nights: the upward policy on a stand-in cell, found transitions against the truth that the cell kept."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from time import process_time

import numpy as np
import pytest

from policy.stand_in import Cell, Night, estimate
from rocksalt.analysis.transition import always, fit_transition, membrane_times_constant
from rocksalt.config.campaign import Campaign
from rocksalt.config.station import Station
from rocksalt.policy.upward import UpwardTransition
from rocksalt.values import Measure, Measured

Run = Callable[..., Night]


@pytest.fixture
def policy(campaign: Campaign, station: Station) -> UpwardTransition:
    return UpwardTransition.from_config(campaign, station)


def loading(seed: int, noise: float = 1.0, *, turns: bool = True) -> Cell:
    rng = np.random.default_rng(seed)
    turns_at = float(rng.uniform(1.3, 2.6))
    return Cell(rng, turns_at if turns else None, noise)


def error_gpa(night: Night, station: Station) -> float:
    """Fitted P50 less the truth; a transition that was missed is an error without bound."""
    found = fit_transition(night.history.points, station.load_curve, salt="KBr")
    if len(found) != 1 or night.cell.p50_gpa is None:
        return float("inf")
    return float(found[0]["pressure_gpa"] - night.cell.p50_gpa)


@pytest.mark.parametrize("first", [0, 10, 20, 30])
def test_the_transition_is_found_within_a_tenth_of_a_gpa_and_25_measurements(
    first: int, policy: UpwardTransition, station: Station, spend_the_night: Run
) -> None:
    for seed in range(first, first + 10):
        night = spend_the_night(policy, loading(seed))
        assert night.finish.why == "goal", (seed, night.finish)
        assert abs(error_gpa(night, station)) <= 0.10, seed
        assert len(night.history.points) <= 25, seed


@pytest.mark.parametrize(("noise", "bar_gpa"), [(0.5, 0.08), (2.0, 0.12)])
def test_the_margin_holds_at_half_and_at_twice_the_noise(
    noise: float, bar_gpa: float, policy: UpwardTransition, station: Station, spend_the_night: Run
) -> None:
    nights = [spend_the_night(policy, loading(seed, noise)) for seed in range(200, 215)]
    assert max(abs(error_gpa(night, station)) for night in nights) <= bar_gpa
    assert max(len(night.history.points) for night in nights) <= 25


def test_most_stated_intervals_hold_the_truth(policy: UpwardTransition, station: Station, spend_the_night: Run) -> None:
    inside = 0
    for seed in range(300, 320):
        night = spend_the_night(policy, loading(seed))
        found = fit_transition(night.history.points, station.load_curve, salt="KBr")[0]
        inside += abs(found["pressure_gpa"] - (night.cell.p50_gpa or 0.0)) <= 1.96 * found["sigma_stat"]
    assert inside >= 17


def test_no_transition_is_invented_where_there_is_none(
    policy: UpwardTransition, station: Station, spend_the_night: Run
) -> None:
    for seed in range(10):
        night = spend_the_night(policy, loading(seed, turns=False))
        assert fit_transition(night.history.points, station.load_curve, salt="KBr") == [], seed
        assert night.finish.why == "envelope", (seed, night.finish)
        assert night.cell.highest_gpa <= 5.01, seed
        assert night.cell.highest_gpa >= 4.85 or night.cell.bar == pytest.approx(150.0), seed
        assert len(night.history.points) <= 25, seed


def test_it_beats_the_literature_and_the_membrane_gauge(
    policy: UpwardTransition, station: Station, spend_the_night: Run
) -> None:
    ours, literature, membrane = [], [], []
    for seed in range(40, 50):
        night = spend_the_night(policy, loading(seed))
        truth = night.cell.p50_gpa
        assert truth is not None
        ours.append(abs(error_gpa(night, station)))
        literature.append(abs((always(1.8)(night.history.points) or 0.0) - truth))
        membrane.append(abs((membrane_times_constant(night.history.points, station.load_curve) or 0.0) - truth))
    assert 3 * np.mean(ours) < min(np.mean(literature), np.mean(membrane))


def test_the_load_only_rises_and_every_decision_says_why(policy: UpwardTransition, spend_the_night: Run) -> None:
    night = spend_the_night(policy, loading(3))
    moves = [d for d in night.decisions if isinstance(d, Measure)]
    bars = [move.measurement.setpoints["membrane_bar"] for move in moves]
    assert all(a <= b for a, b in pairwise(bars))
    assert [move.measurement.number for move in moves] == list(range(len(moves)))
    assert all(len(move.reason) > 20 and move.runner_up for move in moves)
    assert "chance of jumping over the onset at" in moves[4].reason


def test_deciding_is_a_fold_that_repeats_itself(
    policy: UpwardTransition, campaign: Campaign, station: Station, spend_the_night: Run
) -> None:
    night = spend_the_night(policy, loading(5))
    again = UpwardTransition.from_config(campaign, station)
    assert again.decide(night.history) == night.decisions[-1]
    assert repr(again.decide(night.history)) == repr(policy.decide(night.history))


def test_a_decision_takes_less_than_ten_milliseconds(policy: UpwardTransition, spend_the_night: Run) -> None:
    night = spend_the_night(policy, loading(1, turns=False))
    night.history.points.pop()
    took = []
    for _ in range(15):
        begun = process_time()
        policy.decide(night.history)
        took.append(process_time() - begun)
    assert sorted(took)[7] < 0.010


def test_unknowns_in_the_middle_of_the_change_cost_measurements_not_the_answer(
    policy: UpwardTransition, station: Station, spend_the_night: Run
) -> None:
    for seed in range(400, 408):
        chance = np.random.default_rng(seed)

        def see(cell: Cell, wanted: object, chance: np.random.Generator = chance) -> object:
            seen = cell.look(0, wanted.exposures[0].seconds)  # type: ignore[attr-defined]
            return estimate(0, None, None) if 0.05 < cell.turned < 0.95 and chance.random() < 0.25 else seen

        night = spend_the_night(policy, loading(seed), see=see)
        assert abs(error_gpa(night, station)) <= 0.10, seed


def test_unknown_is_exposed_again_longer_twice_and_three_such_loads_end_the_run(
    policy: UpwardTransition, spend_the_night: Run
) -> None:
    night = spend_the_night(policy, loading(2), see=lambda cell, wanted: estimate(0, None, None))
    moves = [d.measurement for d in night.decisions if isinstance(d, Measure)]
    assert night.finish.why == "unknown"
    assert len(moves) == 9
    assert len({move.setpoints["membrane_bar"] for move in moves}) == 3
    assert [move.exposures[0].seconds for move in moves[:3]] == [1.0, 3.0, 9.0]


def test_a_late_model_does_not_stop_the_ramp(policy: UpwardTransition, spend_the_night: Run) -> None:
    night = spend_the_night(policy, loading(2), see=lambda cell, wanted: None)
    moves = [d for d in night.decisions if isinstance(d, Measure)]
    bars = [move.measurement.setpoints["membrane_bar"] for move in moves]
    assert all(a < b for a, b in pairwise(bars))
    assert "late" in moves[3].reason
    assert night.finish.why in {"envelope", "budget"}


def test_a_gasket_that_blows_out_is_looked_at_twice_and_then_the_load_is_held(
    policy: UpwardTransition, spend_the_night: Run
) -> None:
    def see(cell: Cell, wanted: object) -> object:
        seen = cell.look(0, 1.0)
        assert seen.pressure_gpa is not None
        lost = 0.5 if cell.bar > 15.0 else 0.0
        return estimate(0, Measured(seen.pressure_gpa.value - lost, 0.015), Measured(0.0, 0.03))

    night = spend_the_night(policy, loading(6, turns=False), see=see)
    last, before = night.history.points[-1], night.history.points[-2]
    assert night.finish.why == "blow_out"
    assert last.measurement.setpoints == before.measurement.setpoints
    assert "the pressure fell by" in night.finish.reason


def test_a_membrane_that_rises_without_effect_is_found_out(policy: UpwardTransition, spend_the_night: Run) -> None:
    def see(cell: Cell, wanted: object) -> object:
        seen = cell.look(0, 1.0)
        assert seen.pressure_gpa is not None
        return estimate(0, Measured(min(seen.pressure_gpa.value, 0.8), 0.015), Measured(0.0, 0.03))

    night = spend_the_night(policy, loading(6, turns=False), see=see)
    assert night.finish.why == "blow_out"
    assert "the membrane rose" in night.finish.reason
    assert len(night.history.points) <= 12


def test_one_wrong_estimate_is_no_blow_out(policy: UpwardTransition, spend_the_night: Run) -> None:
    def see(cell: Cell, wanted: object) -> object:
        seen = cell.look(0, 1.0)
        assert seen.pressure_gpa is not None
        number = wanted.number  # type: ignore[attr-defined]
        wrong = 0.5 if number == 5 else 0.0
        return estimate(0, Measured(seen.pressure_gpa.value + wrong, 0.015), Measured(0.0, 0.03))

    assert spend_the_night(policy, loading(7, turns=False), see=see).finish.why == "envelope"


def test_a_sample_that_is_b2_from_the_start_is_said_to_be(policy: UpwardTransition, spend_the_night: Run) -> None:
    night = spend_the_night(
        policy,
        loading(8),
        see=lambda cell, wanted: estimate(0, Measured(cell.pressure_gpa, 0.01), Measured(0.97, 0.02)),
    )
    assert night.finish.why == "nothing"
    assert len(night.history.points) == 2
    assert night.cell.bar == 0.0


def test_a_slow_envelope_makes_the_ramp_slower(campaign: Campaign, station: Station, spend_the_night: Run) -> None:
    slow = campaign.model_copy(
        update={"envelope": campaign.envelope.model_copy(update={"ramp_gpa_per_min": 0.05, "minutes": 6000.0})}
    )
    night = spend_the_night(UpwardTransition.from_config(slow, station), loading(9))
    for a, b in pairwise(night.history.points):
        if a.estimate is not None and b.estimate is not None and a.estimate.pressure_gpa and b.estimate.pressure_gpa:
            rise = b.estimate.pressure_gpa.value - a.estimate.pressure_gpa.value
            assert rise - 0.05 <= 0.05 * (b.done_s - a.done_s) / 60.0
        # Never faster on the way either: the ramp, by the cell's true slope there, keeps to the envelope.
        there = 1.0 + night.cell.bend * a.measurement.setpoints["membrane_bar"] / 50.0
        ramp = a.measurement.ramps["membrane_bar"]
        assert ramp * night.cell.gpa_per_bar * there * 60.0 <= 0.05 * 1.15


def test_a_pressure_above_the_envelope_is_looked_at_again_and_then_the_load_is_held(
    policy: UpwardTransition, spend_the_night: Run
) -> None:
    def see(cell: Cell, wanted: object) -> object:
        leapt = 4.5 if cell.bar > 15.0 else 0.0
        return estimate(0, Measured(cell.pressure_gpa + leapt, 0.01), Measured(0.0, 0.02))

    night = spend_the_night(policy, loading(10, turns=False), see=see)
    last, before = night.history.points[-1], night.history.points[-2]
    assert night.finish.why == "envelope"
    assert "seen 2 times" in night.finish.reason
    assert last.measurement.setpoints == before.measurement.setpoints


def test_one_pressure_above_the_envelope_that_was_a_wrong_fit_does_not_end_the_run(
    policy: UpwardTransition, spend_the_night: Run
) -> None:
    def see(cell: Cell, wanted: object) -> object:
        wrong = 5.5 if wanted.number == 6 else 0.0  # type: ignore[attr-defined]
        return estimate(0, Measured(cell.pressure_gpa + wrong, 0.01), Measured(0.0, 0.02))

    night = spend_the_night(policy, loading(10, turns=False), see=see)
    assert night.cell.highest_gpa > 4.8


def test_friction_that_lets_go_is_no_leap(policy: UpwardTransition, station: Station, spend_the_night: Run) -> None:
    cell = loading(11)
    cell.dead_bar = 7.0
    night = spend_the_night(policy, cell)
    bars = [point.measurement.setpoints["membrane_bar"] for point in night.history.points]
    steps = [b - a for a, b in pairwise(bars[:8])]
    first = 0.25 / station.load_curve.gpa_per_bar  # a step as the prior would have it, with the pace risen a little
    assert all(step <= 1.31 * max([first, *steps[:number]]) for number, step in enumerate(steps))
    assert abs(error_gpa(night, station)) <= 0.10
