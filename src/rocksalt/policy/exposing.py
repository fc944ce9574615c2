"""How long to expose next: longer while confidence is short, shorter when pixels come near saturation.
Seconds of one frame; the campaign's bounds always hold."""

from __future__ import annotations

from collections.abc import Sequence

from rocksalt.config.campaign import ExposureRules
from rocksalt.policy.seen import Seen

_SATURATED = 1e-3  # share of live pixels at the cutoff; a few diamond spots are below this, rings are above
_STEP_BACK = 0.7
_UNKNOWN_FACTOR = 3.0
_POOR_SIGMA = 0.06  # of the fraction: no onset can be told apart from noise
_FAIR_SIGMA = 0.03  # good enough on the way, not at a decision
_GOOD_SIGMA = 0.015
_MOST_FACTOR = 3.0


def next_exposure_s(rules: ExposureRules, looks: Sequence[Seen], at_a_decision: bool) -> tuple[float, str]:
    """Seconds of each frame of the next measurement, and why when it is not as it was ("" when it is)."""
    if not looks:
        return rules.seconds, ""
    last = looks[-1]
    before = last.exposure_s if last.exposure_s > 0 else rules.seconds
    saturating = [seen.exposure_s for seen in looks if seen.saturated > _SATURATED and seen.exposure_s > 0]
    most = max(min([rules.longest_s, *(_STEP_BACK * seconds for seconds in saturating)]), rules.shortest_s)
    wanted, why = before, ""
    if last.saturated > _SATURATED:
        wanted, why = before * 0.5, f"{last.saturated:.1%} of the pixels were saturated"
    elif last.late:
        pass
    elif last.fraction is None:
        wanted, why = before * _UNKNOWN_FACTOR, "the last answer was unknown"
    elif last.fraction.sigma > _POOR_SIGMA or (at_a_decision and last.fraction.sigma > _FAIR_SIGMA):
        factor = min((last.fraction.sigma / (0.7 * _FAIR_SIGMA)) ** 2, _MOST_FACTOR)
        wanted, why = before * factor, f"the fraction was only known to {last.fraction.sigma:.2f}"
    elif before > rules.seconds and last.fraction.sigma < _GOOD_SIGMA:
        wanted, why = max(0.5 * before, rules.seconds), "the fraction is known well enough"
    seconds = min(max(wanted, rules.shortest_s), most)
    if abs(seconds - before) < 1e-9 * before:
        return seconds, ""
    return seconds, f"exposure {before:.3g} -> {seconds:.3g} s: {why or 'within the bounds'}"
