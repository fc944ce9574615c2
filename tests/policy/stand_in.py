"""A cell with a sample that turns, written for these tests alone: it shares nothing with the policy.

Membrane with dead zone, stick-slip and curvature; grains that turn in minutes; a collapse that takes pressure away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rocksalt.config.station import Station
from rocksalt.values import Decision, Estimate, Finish, Measure, Measured, Measurement, Reading

OVERHEAD_S = 5.0


@dataclass(frozen=True)
class Point:
    measurement: Measurement
    estimate: Estimate | None
    readings: Mapping[str, Reading]
    started_s: float
    done_s: float
    dose_gy: float
    dose_sigma_gy: float


@dataclass
class History:
    points: list[Point] = field(default_factory=list)
    now_s: float = 0.0
    dose_gy: float = 0.0
    dose_sigma_gy: float = 0.0
    set_points: dict[str, float] = field(default_factory=lambda: {"membrane_bar": 0.0})


def estimate(number: int, pressure: Measured | None, fraction: Measured | None, **more: Any) -> Estimate:
    """An estimate with just what the policy reads; the label follows the fraction."""
    if pressure is None or fraction is None:
        label = "unknown"
    else:
        label = "B1" if fraction.value < 0.05 else "B2" if fraction.value > 0.95 else "mixture"
    odds = {name: float(name == label) for name in ("B1", "B2", "mixture", "unknown")}
    return Estimate(number, label, odds, (), (), pressure, fraction, None, False, (), "stand-in", **more)  # type: ignore[arg-type]


@dataclass
class Cell:
    """One loading. `turns_at` is the mean critical pressure of its grains, None for a sample that never turns.

    p50_gpa is the truth: the mean pressure when half of the grains' volume had first turned.
    """

    rng: np.random.Generator
    turns_at: float | None
    noise: float = 1.0
    bar: float = 0.0
    turned: float = 0.0
    p50_gpa: float | None = None
    highest_gpa: float = 0.0

    def __post_init__(self) -> None:
        draw = self.rng.uniform
        self.gpa_per_bar = 0.055 * draw(0.7, 1.3)
        self.bend = draw(-0.25, 0.25)  # slope changes by this share over 50 bar
        self.dead_bar = draw(0.0, 1.5)
        self.drop = draw(0.1, 0.4)
        self.tau_s = 10.0 ** draw(1.2, 2.5)
        self.soft = draw(0.03, 0.10)
        self.sigma_gpa = draw(0.01, 0.02) * self.noise
        self.spread = draw(0.05, 0.25)
        self.level = draw(0.0, 0.05)
        self.grains = np.zeros(40)
        self.slip = 1.0

    @property
    def pressure_gpa(self) -> float:
        return self.level - self.drop * self.turned

    def go(self, bar: float, ramp: float) -> float:
        """Move the membrane; seconds that took."""
        seconds = abs(bar - self.bar) / ramp
        self.slip = 1.0 + 0.06 * self.rng.standard_normal()
        while self.bar < bar - 1e-9:
            step = min(ramp, bar - self.bar)
            self.bar += step
            if self.bar > self.dead_bar:
                self.level += max(self.gpa_per_bar * (1.0 + self.bend * self.bar / 50.0), 0.01) * step * self.slip
            self.wait(step / ramp)
        return seconds

    def wait(self, seconds: float) -> None:
        while seconds > 1e-9:
            step = min(1.0, seconds)
            seconds -= step
            before, fraction = self.pressure_gpa, self.turned
            self.highest_gpa = max(self.highest_gpa, before)
            if self.turns_at is None or before < self.turns_at - 0.3:
                continue
            critical = self.turns_at + self.spread * (np.arange(40) / 39.0 - 0.5)
            rate = np.clip(np.expm1(np.clip((before - critical) / self.soft, 0.0, 5.0)) / self.tau_s, 0.0, 0.2)
            self.grains += (1.0 - self.grains) * (1.0 - np.exp(-rate * step))
            self.turned = float(self.grains.mean())
            if fraction < 0.5 <= self.turned:
                part = (0.5 - fraction) / (self.turned - fraction)
                self.p50_gpa = before + part * (self.pressure_gpa - before)

    def look(self, number: int, seconds: float) -> Estimate:
        sigma = max(0.03 * self.noise / np.sqrt(seconds), 0.008)
        fraction = float(np.clip(self.turned + sigma * self.rng.standard_normal(), 0.0, 1.0))
        pressure = self.pressure_gpa + self.sigma_gpa * self.rng.standard_normal()
        return estimate(number, Measured(float(pressure), self.sigma_gpa), Measured(fraction, sigma))


@dataclass
class Night:
    """A run to its end: what was decided, and the truth."""

    history: History
    decisions: list[Decision]
    cell: Cell

    @property
    def finish(self) -> Finish:
        assert isinstance(self.decisions[-1], Finish)
        return self.decisions[-1]


def one_measurement(
    history: History, decision: Measure, cell: Cell, station: Station, gy_per_s: float, see: Any
) -> None:
    """Do what a loop would do, and book it."""
    wanted, started = decision.measurement, history.now_s
    ramp = wanted.ramps["membrane_bar"]
    assert ramp <= (station.devices["membrane"].ramp or 1.0)
    seconds = cell.go(wanted.setpoints["membrane_bar"], ramp)
    exposed = sum(exposure.seconds * exposure.count for exposure in wanted.exposures)
    cell.wait(wanted.settle_s + exposed / 2)
    answer = see(cell, wanted)
    cell.wait(exposed / 2 + OVERHEAD_S)
    history.now_s = started + seconds + wanted.settle_s + exposed + OVERHEAD_S
    bar = Reading("membrane_bar", cell.bar + 0.003 * cell.rng.standard_normal(), "bar", history.now_s)
    dose = gy_per_s * exposed
    history.dose_gy += dose
    history.dose_sigma_gy += 0.2 * dose
    history.set_points["membrane_bar"] = wanted.setpoints["membrane_bar"]
    history.points.append(Point(wanted, answer, {"membrane_bar": bar}, started, history.now_s, dose, 0.2 * dose))
