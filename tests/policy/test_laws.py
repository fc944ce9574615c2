"""Laws of deciding: whatever the model says, limits hold, dose and minutes are never exceeded, and it ends."""

from __future__ import annotations

import math

import hypothesis.strategies as st
from hypothesis import given, settings

from policy.stand_in import History, Point, estimate
from rocksalt.config.campaign import Campaign
from rocksalt.config.station import Station
from rocksalt.policy.dose import DoseLedger
from rocksalt.policy.envelope import violations
from rocksalt.policy.upward import UpwardTransition
from rocksalt.values import Estimate, Finish, Measured, Measurement, Reading

numbers = st.floats(-1.0, 8.0) | st.just(math.nan)
sigmas = st.floats(0.0, 0.5)
walks = st.tuples(st.floats(-0.3, 0.5), st.floats(0.0, 0.05), st.floats(-0.2, 0.4), st.floats(0.0, 0.2))
answers = st.one_of(
    walks,
    walks,
    st.just("late"),
    st.just("unknown"),
    st.tuples(st.just("wild"), numbers, sigmas, st.floats(-0.5, 1.5), sigmas),
)


class World:
    """Answers at random: pressure and fraction walk, or there is no answer, or a senseless one."""

    def __init__(self, script: list[object], saturated: list[float]) -> None:
        self.script, self.saturated = script, saturated
        self.pressure, self.fraction = 0.0, 0.0

    def answer(self, number: int) -> Estimate | None:
        said = self.script[number % len(self.script)]
        light = self.saturated[number % len(self.saturated)]
        if said == "late":
            return None
        if said == "unknown":
            return estimate(number, None, None, saturated_fraction=light)
        assert isinstance(said, tuple)
        if said[0] == "wild":
            _, value, sigma, fraction, spread = said
            return estimate(number, Measured(value, sigma), Measured(fraction, spread), saturated_fraction=light)
        rise, sigma, more, spread = said
        self.pressure += rise
        self.fraction = min(max(self.fraction + more, 0.0), 1.0)
        return estimate(
            number, Measured(self.pressure, sigma), Measured(self.fraction, spread), saturated_fraction=light
        )


def book(
    history: History, wanted: Measurement, answer: Estimate | None, ledger: DoseLedger, *, off_bar: float, ramp: float
) -> None:
    exposed = sum(exposure.seconds * exposure.count for exposure in wanted.exposures)
    started = history.now_s
    move_s = abs(wanted.setpoints["membrane_bar"] - history.set_points["membrane_bar"]) / ramp
    history.now_s += move_s + wanted.settle_s + exposed + 1.0
    cost = ledger.of(exposed + 0.4)
    history.dose_gy += cost.gray
    history.dose_sigma_gy += cost.sigma_gray
    history.set_points.update(wanted.setpoints)
    read = Reading("membrane_bar", wanted.setpoints["membrane_bar"] + off_bar, "bar", history.now_s)
    history.points.append(
        Point(wanted, answer, {"membrane_bar": read}, started, history.now_s, cost.gray, cost.sigma_gray)
    )


@settings(max_examples=30, deadline=None)
@given(
    script=st.lists(answers, min_size=1, max_size=25),
    saturated=st.lists(st.sampled_from([0.0, 0.0, 1e-4, 0.02]), min_size=1, max_size=4),
    dose_gy=st.sampled_from([1.0e4, 2.0e5, 1.0e6, 2.0e7]),
    minutes=st.sampled_from([5.0, 20.0, 600.0]),
    top_gpa=st.sampled_from([0.5, 2.0, 5.0]),
    off_bar=st.sampled_from([0.0, 0.003, -3.0, math.nan, 1e9]),
)
def test_whatever_the_model_says_no_limit_is_passed_and_it_ends(
    script: list[object],
    saturated: list[float],
    dose_gy: float,
    minutes: float,
    top_gpa: float,
    off_bar: float,
    campaign: Campaign,
    station: Station,
) -> None:
    envelope = campaign.envelope.model_copy(
        update={"dose_gy": dose_gy, "minutes": minutes, "pressure_gpa": (0.0, top_gpa)}
    )
    asked = campaign.model_copy(update={"envelope": envelope})
    ledger = DoseLedger.from_config(asked, station)
    assert ledger is not None
    policy, world, history = UpwardTransition(asked, station, ledger), World(script, saturated), History()
    ramp = station.devices["membrane"].ramp or 1.0
    for number in range(asked.transition.measurements + 1):
        decision = policy.decide(history)
        if isinstance(decision, Finish):
            assert decision.reason
            return
        wanted = decision.measurement
        assert violations(wanted, asked, station) == []
        assert wanted.setpoints["membrane_bar"] >= history.set_points["membrane_bar"]
        expected = wanted.expects.pressure_gpa
        assert expected is not None
        assert expected.value + 2 * expected.sigma <= top_gpa + 1e-9
        book(history, wanted, world.answer(number), ledger, off_bar=off_bar, ramp=ramp)
        assert history.dose_gy + 2 * history.dose_sigma_gy <= dose_gy
        assert history.now_s <= minutes * 60.0
    raise AssertionError("no end after all measurements")
