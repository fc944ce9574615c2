"""What a device is told of itself: where it listens, how far it may go, and whose rule that is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rocksalt.config.links import Link
from rocksalt.devices.errors import OutOfLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """What a set-point may be. `where` says whose rule it is, for the message."""

    lower: float
    upper: float
    where: str = ""

    def check(self, device: str, target: float, unit: str) -> None:
        """Raises OutOfLimits, naming the rule; NaN is outside every limit."""
        rule = f"({self.where})" if self.where else "(limit)"
        if math.isinf(target):
            raise OutOfLimits(device, f"{target:g} {unit} is no place to go to {rule}")
        if not target >= self.lower:
            raise OutOfLimits(device, f"{target:g} {unit} is below {self.lower:g} {unit} {rule}")
        if not target <= self.upper:
            raise OutOfLimits(device, f"{target:g} {unit} is above {self.upper:g} {unit} {rule}")

    def within(self, other: Limits) -> Limits:
        """The tighter of both on either side, with the rule that is the tighter."""
        lower = self if self.lower >= other.lower else other
        upper = self if self.upper <= other.upper else other
        where = lower.where if lower is upper else f"{lower.where}; {upper.where}"
        return Limits(lower.lower, upper.upper, where)


ANYWHERE = Limits(float("-inf"), float("inf"), "no limit set")


@dataclass(frozen=True, slots=True)
class Settings:
    """One device's part of the station file, in plain values.

    ramp        in the device's unit per second; None: no ramp asked for, and none is set
    where       where in which file the device is described, for messages
    """

    link: Link
    limits: Limits = ANYWHERE
    ramp: float | None = None
    stream: Link | None = None
    stream_version: int = 2
    shape: tuple[int, int] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
