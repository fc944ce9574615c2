"""Where the run stands, worked out once for a decision: looks, load curve, posterior, and what the last looks said.
A pure function of history and the two files; the rules in `upward` read it and add nothing to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from rocksalt.config.campaign import Campaign
from rocksalt.config.station import Station
from rocksalt.policy.contracts import History
from rocksalt.policy.envelope import Membrane, too_high
from rocksalt.policy.load_curve import LoadCurve
from rocksalt.policy.load_watch import Alarm, watch
from rocksalt.policy.seen import Seen, exposed_s, look_all, same_bar
from rocksalt.policy.transition_posterior import TransitionPosterior

_SUSPECTED = 0.8  # probability that B2 passed 0.05 from which the policy looks twice
LEAST_STEP_GPA = 0.03  # a smaller step says nothing that a pressure noise of 0.02 does not hide
_OVERHEAD_S = 10.0  # of a measurement beyond moving, settling, exposing, until the run has shown its own
_MOVING_SIGMAS = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """bar is where the membrane was last sent; left is how many measurements count and minutes still allow;
    light is (Gy booked, seconds asked for) of each measurement; expected_slope is the station file's, GPa per bar.
    """

    looks: tuple[Seen, ...]
    curve: LoadCurve
    posterior: TransitionPosterior
    membrane: Membrane
    bar: float
    number: int
    left: int
    overhead_s: float
    campaign: Campaign
    light: tuple[tuple[float, float], ...]
    alarm: Alarm | None
    expected_slope: float

    @classmethod
    def of(cls, campaign: Campaign, station: Station, history: History) -> Situation:
        membrane = Membrane.of(station)
        looks = look_all(history.points)
        curve = LoadCurve.learn(station.load_curve, looks)
        overhead = _overhead_s(history, looks, membrane, campaign)
        cycle = campaign.transition.settle_s + campaign.exposure.frames * campaign.exposure.seconds + overhead
        in_time = max(campaign.envelope.minutes * 60.0 - history.now_s, 0.0) / max(cycle, 1e-9)
        sent = [
            bar
            for point in history.points
            if math.isfinite(bar := point.measurement.setpoints.get("membrane_bar", math.nan))
        ]
        started = history.set_points.get("membrane_bar", membrane.lower_bar)
        bar = max([*sent, started if math.isfinite(started) else membrane.lower_bar])
        return cls(
            looks=looks,
            curve=curve,
            posterior=TransitionPosterior.of(curve, looks, campaign.envelope.pressure_gpa),
            membrane=membrane,
            bar=min(max(bar, membrane.lower_bar), membrane.upper_bar),
            number=len(history.points),
            left=min(campaign.transition.measurements - len(history.points), math.floor(in_time)),
            overhead_s=overhead,
            campaign=campaign,
            alarm=watch(station.load_curve, looks),
            expected_slope=station.load_curve.gpa_per_bar,
            light=tuple((point.dose_gy, exposed_s(point.measurement)) for point in history.points),
        )

    @property
    def last(self) -> Seen | None:
        return self.looks[-1] if self.looks else None

    @property
    def resolved(self) -> tuple[Seen, ...]:
        return tuple(seen for seen in self.looks if seen.resolved)

    @property
    def ramp_bar_per_s(self) -> float:
        """The membrane's ramp: the station's, or slower where the sample would rise faster than the envelope allows.

        The sample may follow the gas at once, so it is the ramp itself that is bounded and not its mean over a
        measurement; at the steeper of what was learned and what the station file expects, since a sample that is
        turning makes the load curve look flatter than it is.
        """
        steepest = max(self.curve.careful_slope(), self.expected_slope)
        return min(self.membrane.ramp_bar_per_s, self.campaign.envelope.ramp_gpa_per_min / 60.0 / steepest)

    @property
    def pressure_gpa(self) -> float:
        return self.curve.here().value

    @property
    def _onset(self) -> float:
        return self.posterior.onset.probability + self.posterior.onset.before

    @property
    def at_its_end(self) -> bool:
        """Whether the membrane has no step left that is worth a measurement."""
        return (self.membrane.upper_bar - self.bar) * self.curve.careful_slope() < LEAST_STEP_GPA

    @property
    def suspected(self) -> bool:
        """B2 may have set in: worth a second look."""
        return self._onset >= _SUSPECTED

    @property
    def holds(self) -> int:
        """How many looks the present membrane pressure has had beyond the first."""
        count = 0
        for a, b in zip(self.looks[-2::-1], self.looks[:0:-1], strict=False):
            if not same_bar(a.bar, b.bar):
                break
            count += 1
        return count

    @property
    def above_top(self) -> int:
        """Looks in a row, up to the last, with a pressure above the envelope."""
        count = 0
        for seen in reversed(self.looks):
            if seen.pressure_gpa is None or not too_high(seen.pressure_gpa, self.campaign):
                break
            count += 1
        return count

    @property
    def unknown_here(self) -> int:
        """Looks in a row, at the present membrane pressure, that the model answered with unknown."""
        count = 0
        for seen in reversed(self.looks):
            if seen.resolved or seen.late or not same_bar(seen.bar, self.looks[-1].bar):
                break
            count += 1
        return count

    @property
    def unknown_loads(self) -> int:
        """Set-points in a row at which nothing but unknown was seen."""
        bars: list[float] = []
        for seen in reversed(self.looks):
            if seen.resolved or seen.late:
                break
            if not bars or not same_bar(seen.bar, bars[-1]):
                bars.append(seen.bar)
        return len(bars)

    @property
    def growth(self) -> float | None:
        """Rise of the B2 fraction between the last two looks when both were at one load; 0 when not significant."""
        if len(self.looks) < 2:
            return None
        a, b = self.looks[-2:]
        if a.fraction is None or b.fraction is None or not same_bar(a.bar, b.bar):
            return None
        rise = b.fraction.value - a.fraction.value
        return rise if rise > _MOVING_SIGMAS * math.hypot(a.fraction.sigma, b.fraction.sigma) else 0.0


def _overhead_s(history: History, looks: tuple[Seen, ...], membrane: Membrane, campaign: Campaign) -> float:
    """What the last measurements took beyond moving, settling and exposing: the median of five."""
    taken = []
    before: float | None = None
    for point in history.points:
        bar = point.measurement.setpoints.get("membrane_bar", math.nan)
        ramp = point.measurement.ramps.get("membrane_bar", membrane.ramp_bar_per_s)
        move_s = abs(bar - before) / ramp if before is not None else 0.0
        known = move_s + point.measurement.settle_s + exposed_s(point.measurement)
        if math.isfinite(known):
            taken.append(max(point.done_s - point.started_s - known, 0.0))
            before = bar
    return median(taken[-5:]) if taken else _OVERHEAD_S
