"""From a wish to a measurement: what envelope, membrane, ramp, minutes and dose allow of it, before anything moves.
A wish may be made smaller here, never larger; where nothing is left of it the run finishes."""

from __future__ import annotations

from dataclasses import dataclass

from rocksalt.policy.dose import DoseLedger
from rocksalt.policy.seen import same_bar
from rocksalt.policy.situation import LEAST_STEP_GPA, Situation
from rocksalt.values import Conditions, Decision, Exposure, Finish, Measure, Measured, Measurement

_SIGMAS = 2.0
_SHUTTER_S = 0.5  # open beyond the frames, until the run has shown its own


@dataclass(frozen=True, slots=True)
class Wish:
    """Where to go (bar), how long to expose (seconds of one frame), why, and what came second."""

    bar: float
    seconds: float
    reason: str
    runner_up: str


def afford(
    wish: Wish, at: Situation, ledger: DoseLedger | None, now_s: float, dose_gy: float, dose_sigma_gy: float
) -> Decision:
    """The measurement that the budgets allow of a wish, or the Finish that says which one is used up."""
    campaign, rules = at.campaign, at.campaign.exposure
    top = campaign.envelope.pressure_gpa[1]
    bar = wish.bar
    if not same_bar(bar, at.bar):
        bar = min(bar, at.curve.highest_bar(top, at.membrane.upper_bar, _SIGMAS), at.membrane.upper_bar)
        if bar <= at.bar or (bar < wish.bar and (bar - at.bar) * at.curve.careful_slope() < LEAST_STEP_GPA):
            return at_the_top(at)
    else:
        bar = at.bar
    expected = at.curve.predict(bar)
    if expected.value + _SIGMAS * expected.sigma > top:
        return at_the_top(at)
    seconds = wish.seconds
    booked = dose_gy + _SIGMAS * dose_sigma_gy
    if ledger is not None and campaign.envelope.dose_gy is not None:
        rest = campaign.envelope.dose_gy - booked
        open_s = rest / max(ledger.at_most(1.0, _SIGMAS), 1e-300) - _shutter_s(at, ledger)
        seconds = min(seconds, open_s / rules.frames * (1.0 - 1e-9))
        if seconds < rules.shortest_s:
            return Finish(
                "budget",
                f"the dose may already be {booked:.3g} Gy (2 sigma), and the shortest exposure would bring it above "
                f"{campaign.envelope.dose_gy:.3g} Gy",
                wish.reason,
            )
    settle_s, ramp = campaign.transition.settle_s, at.ramp_bar_per_s
    takes_s = abs(bar - at.bar) / ramp + settle_s + rules.frames * seconds + at.overhead_s
    budget_s = campaign.envelope.minutes * 60.0
    if now_s + takes_s > budget_s:
        return Finish(
            "budget",
            f"the next measurement would take {takes_s / 60:.1f} min, and {max(budget_s - now_s, 0.0) / 60:.1f} of "
            f"{campaign.envelope.minutes:g} min are left",
            wish.reason,
        )
    dose = None
    if ledger is not None:
        of_this = ledger.of(rules.frames * seconds + _shutter_s(at, ledger))
        dose = Measured(dose_gy + of_this.gray, dose_sigma_gy + of_this.sigma_gray)
    shorter = f"; {seconds:.3g} s is what the dose allows" if seconds < wish.seconds else ""
    return Measure(
        Measurement(
            number=at.number,
            setpoints={"membrane_bar": bar},
            exposures=(Exposure("detector", seconds, rules.frames),),
            settle_s=settle_s,
            ramps={"membrane_bar": ramp},
            expects=Conditions(pressure_gpa=expected, dose_gy=dose, pressure_scale="load curve"),
        ),
        wish.reason + shorter,
        wish.runner_up,
    )


def _shutter_s(at: Situation, ledger: DoseLedger) -> float:
    """Seconds that the shutter stands open beyond the frames, repeats included: the longest that the run has shown."""
    return max([_SHUTTER_S, *(ledger.seconds_of(dose) - exposed for dose, exposed in at.light)])


def at_the_top(at: Situation) -> Finish:
    """The run ends because the load may not, or can not, go higher."""
    top, here = at.campaign.envelope.pressure_gpa[1], at.curve.here()
    ahead = "" if at.suspected else "; no transition was found on the way"
    if at.at_its_end and here.value < top - 2 * LEAST_STEP_GPA:
        return Finish(
            "envelope",
            f"the membrane is at {at.bar:.1f} of {at.membrane.upper_bar:g} bar and the sample at "
            f"{here.value:.2f}({here.sigma:.2f}) GPa, below the envelope's {top:g}: "
            f"this cell goes no further{ahead}",
        )
    return Finish(
        "envelope", f"the sample is at {here.value:.2f}({here.sigma:.2f}) GPa, the envelope ends at {top:g} GPa{ahead}"
    )
