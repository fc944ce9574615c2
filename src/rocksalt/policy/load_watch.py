"""Two ways in which a load goes wrong: the membrane rises without effect, or the sample's pressure falls meanwhile.
Both are only *suspected* on one look; the policy looks again at the same load before it calls a person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rocksalt.config.station import LoadCurvePrior
from rocksalt.policy.load_curve import LoadCurve
from rocksalt.policy.seen import Seen, same_bar
from rocksalt.values import Measured

_SIGMAS = 3.5
_LARGEST_DROP_GPA = (
    0.6  # pressure that a full collapse may cost a cell: above what a 15 % volume step does to a stiff one
)
_SLACK_GPA = 0.03
_RISE_TO_JUDGE_GPA = 0.15  # smaller moves may be eaten by stick-slip altogether
_SHARE = 0.25  # of the expected rise; friction eats some of it, a stuck piston all of it


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something is wrong with the load. `confirmed` once a second look at the same membrane pressure says it too."""

    kind: Literal["blow_out", "no_effect"]
    confirmed: bool
    sentence: str


def watch(prior: LoadCurvePrior, looks: Sequence[Seen]) -> Alarm | None:
    """Look at the last moves of the membrane; None when the sample follows, or when too little is known to say.

    What was before is the load curve's word over all looks there, not one estimate's: a single wrong fit raises no
    alarm twice, since the alarm is `confirmed` only if the *best* look at the present load still says so.
    """
    known = [seen for seen in looks if seen.pressure_gpa is not None]
    fresh = [i for i, seen in enumerate(known) if i == 0 or not same_bar(seen.bar, known[i - 1].bar)]
    if len(fresh) < 2 or known[-1].bar < known[fresh[-1] - 1].bar:
        return None
    here = known[fresh[-1] :]
    return _blow_out(prior, known[: fresh[-1]], here) or _no_effect(prior, known[: fresh[-2]], here)


def _best(here: Sequence[Seen]) -> tuple[float, float, Measured | None]:
    """Highest pressure and its sigma (GPa), and the highest fraction, over the looks at one load."""
    pressure = max((seen.pressure_gpa for seen in here if seen.pressure_gpa), key=lambda p: p.value)
    fraction = max((seen.fraction for seen in here if seen.fraction), key=lambda f: f.value, default=None)
    return pressure.value, pressure.sigma, fraction


def _blow_out(prior: LoadCurvePrior, before: Sequence[Seen], here: Sequence[Seen]) -> Alarm | None:
    was, start = LoadCurve.learn(prior, before).here(), before[-1]
    now, now_sigma, fraction = _best(here)
    fall, sigma = was.value - now, math.hypot(was.sigma, now_sigma)
    allowed, turned = _LARGEST_DROP_GPA, "how much of the sample turned is not known"
    if start.fraction is not None and fraction is not None:
        more = fraction.value - start.fraction.value + 2.0 * math.hypot(fraction.sigma, start.fraction.sigma)
        allowed *= min(max(more, 0.0), 1.0)
        turned = f"B2 went from {start.fraction.value:.2f} to {fraction.value:.2f}"
    if fall <= allowed + _SIGMAS * sigma + _SLACK_GPA:
        return None
    return Alarm(
        "blow_out",
        len(here) > 1,
        f"the pressure fell by {fall:.2f} GPa, from {was.value:.2f}, while the membrane rose from {start.bar:.1f} to "
        f"{here[-1].bar:.1f} bar, and a transformation explains {allowed:.2f} GPa at most ({turned})",
    )


def _no_effect(prior: LoadCurvePrior, before: Sequence[Seen], here: Sequence[Seen]) -> Alarm | None:
    """Over the last two moves. A sample that turns holds its pressure, so the fraction must be known."""
    if not before or before[-1].fraction is None:
        return None
    curve = LoadCurve.learn(prior, before)
    was, expected = curve.here(), curve.rise(here[-1].bar)
    now, now_sigma, fraction = _best(here)
    if fraction is None or expected.value < _RISE_TO_JUDGE_GPA:
        return None
    seen = now - was.value + _LARGEST_DROP_GPA * max(fraction.value - before[-1].fraction.value, 0.0)
    sigma = math.hypot(was.sigma, now_sigma, _LARGEST_DROP_GPA * math.hypot(fraction.sigma, before[-1].fraction.sigma))
    if seen > _SHARE * expected.value or seen > expected.value - _SIGMAS * math.hypot(expected.sigma, sigma):
        return None
    return Alarm(
        "no_effect",
        len(here) > 1,
        f"the membrane rose from {before[-1].bar:.1f} to {here[-1].bar:.1f} bar, which should have given "
        f"{expected.value:.2f}({expected.sigma:.2f}) GPa, and gave {seen:.2f}",
    )
