"""Where does the salt turn on compression? Bracket, hazard-limited steps, hold at onset, finish the sigmoid, stop.
Knows no transition pressure of any salt: only the envelope, the load curve it learns, and what it has seen."""

from __future__ import annotations

from itertools import pairwise

from rocksalt.config.campaign import Campaign
from rocksalt.config.station import Station
from rocksalt.policy.afford import Wish, afford, at_the_top
from rocksalt.policy.contracts import History
from rocksalt.policy.crossing import moving
from rocksalt.policy.dose import DoseLedger
from rocksalt.policy.exposing import next_exposure_s
from rocksalt.policy.situation import LEAST_STEP_GPA, Situation
from rocksalt.values import Decision, Finish

_LARGEST_STEP_GPA = 0.45
_HAZARD = 0.10  # chance of jumping over the onset that a step may carry
_SLOWEST_SHARE = 0.4  # of the pace: below it, caution would cost the top of the envelope
_REEXPOSURES = 2  # of an unknown, at one load
_UNKNOWN_LOADS = 3  # in a row, each re-exposed, and the run ends
_LONGEST_HOLD = 4  # looks at one load while the sample is turning
_FINE_GPA, _COARSE_FINE_GPA = 0.05, 0.12  # steps between onset and one half
_RESERVE = 4  # measurements kept for holding and finishing when the fine steps are sized
_GAIN_GUESS, _GAIN_LEAST, _GAIN_MOST = 3.0, 1.2, 10.0  # B2 fraction per GPa of load between onset and one half
_FINISH_GPA, _FINISHED = 0.08, 0.7  # step after one half, and the fraction from which the sigmoid counts as finished
_FINISH_STEPS = 2
_PASSED_SURE = 0.95
_HOLDS_IN_DOUBT = 2
_AT_TOP_GPA = 0.10  # a load curve's 2 sigma and a step too small to be worth a measurement
_GROWTH_OF_STEP = 1.3  # in bar, over the largest step before it: friction that lets go must not leap
_SPARE = 1  # measurement kept on the way up: one doubtful look must not cost the top of the envelope
_MOVING_WORTH = 0.06  # growth at constant load worth another look


class UpwardTransition:
    """Policy of `goal = "transition"`, branch up. Holds no state: decisions are worked out from the history given."""

    def __init__(self, campaign: Campaign, station: Station, ledger: DoseLedger | None) -> None:
        self._campaign = campaign
        self._station = station
        self._ledger = ledger

    @classmethod
    def from_config(cls, campaign: Campaign, station: Station) -> UpwardTransition:
        """Raises ValueError for a station without a membrane, or a dose budget without a flux."""
        return cls(campaign, station, DoseLedger.from_config(campaign, station))

    def decide(self, history: History) -> Decision:
        """What to measure next, or why to stop. Pure; some milliseconds."""
        at = Situation.of(self._campaign, self._station, history)
        if (stop := self._must_stop(at, history)) is not None:
            return stop
        wish = self._wish(at)
        if isinstance(wish, Finish):
            return wish
        return afford(wish, at, self._ledger, history.now_s, history.dose_gy, history.dose_sigma_gy)

    def _must_stop(self, at: Situation, history: History) -> Finish | None:
        if at.above_top > 1:
            return Finish(
                "envelope", f"the sample is above the envelope's top, seen {at.above_top} times: the load is held"
            )
        alarm = at.alarm
        if alarm is not None and alarm.confirmed:
            return Finish("blow_out", f"{alarm.sentence}; seen twice: the load is held for a person to look at")
        if at.unknown_loads >= _UNKNOWN_LOADS and at.unknown_here > _REEXPOSURES:
            return Finish(
                "unknown", f"{at.unknown_loads} loads in a row stayed unknown, each exposed {_REEXPOSURES + 1} times"
            )
        if history.points and len(history.points) >= self._campaign.transition.measurements:
            return self._used_up(at)
        return None

    def _used_up(self, at: Situation) -> Finish:
        cap = self._campaign.transition.measurements
        near_top = self._campaign.envelope.pressure_gpa[1] - at.pressure_gpa < _AT_TOP_GPA
        if not at.suspected and (near_top or at.at_its_end):
            return at_the_top(at)
        if at.posterior.passed and at.posterior.passing.probability >= _PASSED_SURE:
            return Finish("goal", f"{self._result(at)}, with the last of {cap} measurements")
        return Finish("budget", f"all {cap} measurements are made; the sample is at {at.pressure_gpa:.2f} GPa")

    def _wish(self, at: Situation) -> Wish | Finish:
        last = at.last
        if last is None:
            return self._hold(
                at, "where the sample stands before anything moves", "a first step: it would leave the start unknown"
            )
        alarm = at.alarm
        if alarm is not None:
            return self._hold(
                at,
                f"a second look at the same load, for {alarm.sentence}",
                "going on: a lost gasket is not found out by more load",
            )
        if at.above_top:
            return self._hold(
                at, "a pressure above the envelope's top; a second look", "going on: the load may be too high"
            )
        if last.late:
            step = _FINE_GPA if at.suspected and not at.posterior.passed else self._pace(at)
            return self._step(
                at,
                step,
                "the model was late; the fallback plan takes its fixed step",
                "waiting for the model: beam time runs",
            )
        if not last.resolved:
            if at.unknown_here <= _REEXPOSURES:
                return self._hold(
                    at,
                    f"unknown at {at.bar:.1f} bar; exposing again, longer",
                    "stepping on: the onset may hide behind it",
                )
            step = _FINE_GPA if at.suspected else self._pace(at)
            return self._step(
                at,
                step,
                f"still unknown after {at.unknown_here} exposures; stepping on",
                "another exposure: two did not help",
            )
        if self._starts_turned(at):
            if at.holds < 1:
                return self._hold(
                    at, "B2 at the very start; a second look before that is believed", "finishing now: on one estimate"
                )
            return Finish(
                "nothing",
                f"the sample is B2 already at the start, {at.pressure_gpa:.2f} GPa: its onset lies below, and the load "
                "is never reversed",
            )
        if at.posterior.passed:
            return self._after_half(at)
        if at.suspected:
            return self._toward_half(at)
        return self._search(at)

    def _starts_turned(self, at: Situation) -> bool:
        return at.posterior.passing.before > 0.5

    def _search(self, at: Situation) -> Wish:
        """Nothing seen yet: as fast as the measurements left demand, as slow as the hazard asks."""
        here, pace = at.pressure_gpa, self._pace(at)
        step = pace
        while (
            step > max(_SLOWEST_SHARE * pace, LEAST_STEP_GPA) and at.posterior.onset_within(here, here + step) > _HAZARD
        ):
            step *= 0.8
        hazard = at.posterior.onset_within(here, here + step)
        larger = at.posterior.onset_within(here, here + 1.5 * step)
        return self._step(
            at,
            step,
            f"no B2 yet at {_short(here, at.curve.here().sigma)} GPa; a step of {step:.2f} GPa keeps the chance of "
            f"jumping over the onset at {hazard:.0%}",
            f"a step of {1.5 * step:.2f} GPa: {larger:.0%}, and {at.left} measurements reach the top without it",
        )

    def _toward_half(self, at: Situation) -> Wish:
        """B2 has set in, or may have: look twice, let it turn at constant load where it does, else small steps."""
        assert at.last is not None
        assert at.last.fraction is not None
        fraction, sigma = at.last.fraction.value, at.last.fraction.sigma
        seen = f"B2 {_short(fraction, sigma)} at {_short(at.pressure_gpa, at.curve.here().sigma)} GPa"
        gain = self._gain(at)
        missing = max(0.5 - fraction, 0.02) / gain
        step = min(
            max(missing / max(at.left - _RESERVE, 1), _FINE_GPA), max(_COARSE_FINE_GPA, missing / max(at.left - 1, 1))
        )
        if at.holds == 0 and not self._held_since_onset(at):
            return self._hold(
                at,
                f"{seen}: held to see it twice, and whether it goes on turning",
                f"a step of {step:.2f} GPa: on the word of one estimate",
            )
        growth = at.growth
        if at.left > 3 and growth is not None and at.holds < _LONGEST_HOLD and growth > _MOVING_WORTH:
            return self._hold(
                at,
                f"{seen}, {growth:.2f} more than one look ago at the same load: passing one half here needs no step",
                f"a step of {step:.2f} GPa: adds its own width to P50",
            )
        if at.left > _RESERVE and growth is None and moving(at.looks) and 0.5 - fraction < self._jump(at):
            return self._hold(
                at,
                f"{seen} and still turning: one half is within reach at this load",
                f"a step of {step:.2f} GPa: adds its own width to P50",
            )
        return self._step(
            at,
            step,
            f"{seen}: {step:.2f} GPa more, one half is about {missing:.2f} GPa of load away",
            f"{2 * step:.2f} GPa: would know P50 half as well",
        )

    def _after_half(self, at: Situation) -> Wish | Finish:
        """One half lies behind: see it twice, one or two points at the far side, then stop."""
        assert at.last is not None
        assert at.last.fraction is not None
        assert at.posterior.passing.between is not None
        after = [seen for seen in at.looks[at.posterior.passing.between[1] :] if seen.resolved]
        fraction = at.last.fraction.value
        doubtful = len(after) < 2 or at.posterior.passing.probability < _PASSED_SURE
        if doubtful and at.holds >= _HOLDS_IN_DOUBT and at.left > 0:
            return self._step(
                at,
                _FINE_GPA,
                f"B2 {fraction:.2f} and no longer turning: too near one half to tell on which side; {_FINE_GPA} more",
                "another look at this load: the last ones were alike",
            )
        if doubtful:
            return self._hold(
                at,
                f"B2 {fraction:.2f}: one half was passed; seen twice before it is believed",
                "finishing now: on one estimate",
            )
        steps = len({round(seen.bar, 1) for seen in after}) - 1
        if fraction < _FINISHED and steps < _FINISH_STEPS and at.left > 0:
            return self._step(
                at,
                _FINISH_GPA,
                f"{self._result(at)}; a point at the far side of the sigmoid",
                "finishing now: width and plateau would stay open",
            )
        low, high = at.posterior.interval95_gpa()
        wanted = self._campaign.transition.precision_gpa
        if 0.5 * (high - low) <= wanted:
            return Finish("goal", f"{self._result(at)}, within the {wanted:g} GPa asked for")
        return Finish(
            "goal",
            f"{self._result(at)}; {wanted:g} GPa were asked for, but the load is never reversed and nothing above "
            "narrows it",
        )

    def _result(self, at: Situation) -> str:
        p50, (low, high) = at.posterior.p50_gpa(), at.posterior.interval95_gpa()
        return f"P50 = {_short(p50.value, p50.sigma)} GPa, 95 % within {low:.2f} to {high:.2f}"

    def _held_since_onset(self, at: Situation) -> bool:
        between = at.posterior.onset.between
        after = at.looks[between[1] :] if between is not None else at.looks
        return any(abs(a.bar - b.bar) < 1e-6 for a, b in pairwise(after))

    def _gain(self, at: Situation) -> float:
        """B2 fraction per GPa of collapse-free load since the last look without B2, kept within reason."""
        between = at.posterior.onset.between
        if between is None:
            return _GAIN_GUESS
        first, last = at.looks[between[1]], at.looks[-1]
        load = (last.bar - first.bar) * at.curve.careful_slope()
        if load < _FINE_GPA / 2 or first.fraction is None or last.fraction is None:
            return _GAIN_GUESS
        return min(max((last.fraction.value - first.fraction.value) / load, _GAIN_LEAST), _GAIN_MOST)

    def _jump(self, at: Situation) -> float:
        """Rise of the fraction between the last two resolved looks: half as much again may come at constant load."""
        known = at.resolved
        if len(known) < 2 or known[-1].fraction is None or known[-2].fraction is None:
            return 0.0
        return 0.7 * (known[-1].fraction.value - known[-2].fraction.value)

    def _pace(self, at: Situation) -> float:
        """Step (GPa) at which the measurements left just reach the top of the envelope."""
        missing = self._campaign.envelope.pressure_gpa[1] - at.pressure_gpa
        return min(max(missing / max(at.left - _SPARE, 1), LEAST_STEP_GPA), _LARGEST_STEP_GPA)

    def _hold(self, at: Situation, reason: str, runner_up: str) -> Wish:
        seconds, why = next_exposure_s(self._campaign.exposure, at.looks, at.suspected)
        return Wish(at.bar, seconds, f"{reason}; {why}" if why else reason, runner_up)

    def _step(self, at: Situation, step_gpa: float, reason: str, runner_up: str) -> Wish:
        seconds, why = next_exposure_s(self._campaign.exposure, at.looks, at.suspected)
        moves = [b.bar - a.bar for a, b in pairwise(at.looks)]
        largest = max([step_gpa / self._station.load_curve.gpa_per_bar, *moves])
        bar = at.bar + min(step_gpa / at.curve.careful_slope(), _GROWTH_OF_STEP * largest)
        return Wish(bar, seconds, f"{reason}; {why}" if why else reason, runner_up)


def _short(value: float, sigma: float) -> str:
    """1.423 and 0.03 as 1.42(3)."""
    return f"{value:.2f}({max(round(sigma * 100), 1)})"
