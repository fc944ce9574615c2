"""The campaign file: what to find out, on what sample, within which envelope and budgets.

Read one with `reading.read_campaign`; whether a station can do it is asked in `check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field

from rocksalt.config.errors import Fault
from rocksalt.config.tables import (
    Count,
    Name,
    NotNegative,
    Positive,
    PressureRange,
    Table,
    TemperatureRange,
    Text,
    describe,
    number_in,
)

_SECONDS_A_MINUTE: Final = 60.0


class Sample(Table):
    """What is in the cell."""

    salt: Text = describe("the salt, by its formula", "KBr")
    thickness_um: Positive = describe("how thick the sample is along the beam, in µm", 30.0)


class Envelope(Table):
    """The limits a person sets; the model only chooses inside them. Minutes and dose are budgets of the whole run."""

    pressure_gpa: PressureRange = describe("the sample's pressure, [low, high] in GPa", [0.0, 5.0])
    ramp_gpa_per_min: Positive = describe("the fastest change of the sample's pressure, in GPa per minute", 1.0)
    temperature_k: TemperatureRange = describe("the sample's temperature, [low, high] in K", [295.0, 305.0])
    minutes: Positive = describe("how long the run may take, in minutes", 600.0)
    dose_gy: Positive | None = Field(None, description="the largest dose on one spot, in Gy", examples=[2.0e7])


class ExposureRules(Table):
    """One frame's counting time, which the policy moves between two bounds, and how many frames make a measurement."""

    seconds: Positive = describe("the counting time of one frame, in seconds", 1.0)
    shortest_s: Positive = describe("the shortest counting time the policy may choose, in seconds", 0.1)
    longest_s: Positive = describe("the longest counting time the policy may choose, in seconds", 10.0)
    frames: Count = describe("frames of a measurement; two show whether the sample still moves", 2)

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> list[Fault]:
        seconds, shortest, longest = (number_in(data, key) for key in ("seconds", "shortest_s", "longest_s"))
        if shortest is None or longest is None:
            return []
        if shortest > longest:
            rule = f"the shortest exposure ({shortest:g} s) is longer than the longest ({longest:g} s)"
            return [Fault(("shortest_s",), rule, f"write at most {longest:g}, or raise longest_s")]
        if seconds is None or shortest <= seconds <= longest:
            return []
        rule = f"must lie between shortest_s ({shortest:g}) and longest_s ({longest:g})"
        nearest = shortest if seconds < shortest else longest
        return [Fault(("seconds",), rule, f"the nearest allowed value is {nearest:g}")]


class TransitionGoal(Table):
    """Locate the pressure at which B2 holds half of the volume, on one branch."""

    branch: Literal["up"] = describe("the branch of the load; up means on compression", "up")
    precision_gpa: Positive = describe("how narrow the 95 % interval of P50 must be, either way, in GPa", 0.05)
    measurements: Count = describe("the largest number of measurements", 25)
    settle_s: NotNegative = describe("the wait once the membrane has arrived, in seconds", 60.0)


class Deadlines(Table):
    """How late an answer may be."""

    decide_within_s: Positive = describe("how long to wait for the model before the fallback plan goes on, in s", 60.0)


class Campaign(Table):
    """A campaign file."""

    campaign: Name = describe("the campaign's name", "kbr-transition")
    goal: Literal["transition"] = describe("what to find out", "transition")
    sample: Sample = describe("what is in the cell", {})
    envelope: Envelope = describe("the limits inside which the model chooses", {})
    exposure: ExposureRules = describe("how long and how often to expose", {})
    transition: TransitionGoal = describe("when the transition counts as found", {})
    deadlines: Deadlines = describe("how late an answer may be", {})

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> list[Fault]:
        return _time_faults(data)


def _time_faults(data: Mapping[str, Any]) -> list[Fault]:
    """One measurement, settling and its longest exposures together, has to fit into the minutes of the envelope."""
    minutes = number_in(data.get("envelope"), "minutes")
    frames = number_in(data.get("exposure"), "frames")
    if minutes is None or frames is None or minutes <= 0 or frames < 1:
        return []
    budget_s = minutes * _SECONDS_A_MINUTE
    settle_s = max(number_in(data.get("transition"), "settle_s") or 0.0, 0.0)
    faults = []
    if settle_s >= budget_s:
        rule = f"settling takes {settle_s:g} s, and the whole run may take {minutes:g} minutes ({budget_s:g} s)"
        return [Fault(("transition", "settle_s"), rule, "settle for less, or raise envelope.minutes")]
    for key in ("seconds", "longest_s"):
        exposure_s = number_in(data.get("exposure"), key)
        if exposure_s is not None and settle_s + frames * exposure_s > budget_s:
            after = f" after {settle_s:g} s of settling" if settle_s else ""
            rule = (
                f"{frames:g} frames of {exposure_s:g} s{after} "
                f"are longer than the time of the whole run, {minutes:g} minutes ({budget_s:g} s)"
            )
            most = (budget_s - settle_s) / frames
            faults.append(Fault(("exposure", key), rule, f"write at most {most:.6g}, or raise envelope.minutes"))
    return faults
