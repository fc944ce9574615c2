"""Small worlds behind the simulators' doors: gas, heat, a hutch, light. They do what they are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rocksalt.time import Chance


@dataclass
class Gas:
    """Gas behind a membrane: goes straight to where it is driven, stops at the supply, stays when it is held."""

    supply: float = 200.0
    start_bar: float = 0.0
    target_bar: float = 0.0
    rate: float = 0.0
    start_s: float = 0.0

    def gas_bar(self, at_s: float) -> float:
        way = min(self.target_bar, self.supply) - self.start_bar
        gone = self.rate * max(at_s - self.start_s, 0.0)
        return self.start_bar + (way if gone >= abs(way) else gone if way > 0 else -gone)

    def supply_bar(self, at_s: float) -> float:
        return self.supply

    def ramp(self, at_s: float, target_bar: float, rate_bar_per_s: float) -> None:
        self.start_bar, self.start_s = self.gas_bar(at_s), at_s
        self.target_bar, self.rate = target_bar, rate_bar_per_s

    def hold(self, at_s: float) -> None:
        self.ramp(at_s, self.gas_bar(at_s), 0.0)

    def vent(self, at_s: float, rate_bar_per_s: float) -> None:
        self.ramp(at_s, 0.0, rate_bar_per_s)


@dataclass
class Heat:
    """A sample that is as warm as the set-point says, at once or along its ramp; it stays when the heater is off."""

    start_k: float = 295.0
    target_k: float = 295.0
    k_per_min: float = 0.0
    start_s: float = 0.0
    heating: bool = False

    def sample_k(self, at_s: float) -> float:
        way = self.target_k - self.start_k
        gone = self.k_per_min / 60 * max(at_s - self.start_s, 0.0) if self.k_per_min > 0 else abs(way)
        return self.start_k + (way if gone >= abs(way) else gone if way > 0 else -gone)

    def heat(self, at_s: float, setpoint_k: float, rate_k_per_min: float) -> None:
        self.start_k, self.start_s = self.sample_k(at_s), at_s
        self.target_k, self.k_per_min, self.heating = setpoint_k, rate_k_per_min, True

    def off(self, at_s: float) -> None:
        self.start_k, self.start_s = self.sample_k(at_s), at_s
        self.target_k, self.heating = self.start_k, False

    def heater_percent(self, at_s: float) -> float:
        return 42.0 if self.heating else 0.0


@dataclass
class Hutch:
    """A shutter that takes 0.1 s, a door, a permit. `stuck` shutters do not move."""

    closed: bool = True
    on: bool = False
    open: bool = False
    since_s: float = -1.0
    stuck: bool = False

    def request_shutter(self, at_s: float, open: bool) -> None:
        open = open and self.on and self.closed
        if open != self.open and not self.stuck:
            self.open, self.since_s = open, at_s

    def shutter_open(self, at_s: float) -> bool:
        return self.shutter_switches(at_s)[0]

    def shutter_switches(self, at_s: float) -> tuple[bool, bool]:
        there = at_s - self.since_s >= 0.1 - 1e-9
        return (there and self.open, there and not self.open)

    def door_closed(self, at_s: float) -> bool:
        return self.closed

    def set_door(self, at_s: float, closed: bool) -> None:
        self.closed = closed
        if not closed:
            self.request_shutter(at_s, False)

    def permit(self, at_s: float, on: bool) -> None:
        self.on = on
        if not on:
            self.request_shutter(at_s, False)


@dataclass
class Beam:
    """A flux monitor's current: steady, without noise; it rises by `a_per_s`."""

    ampere: float = 1.04e-6
    a_per_s: float = 0.0

    def current_a(self, start_s: float, seconds: float) -> float:
        return self.ampere + self.a_per_s * (start_s + seconds / 2.0)


@dataclass
class Optics:
    """A sensor whose counts are a bias, noise of its own for each exposure, and a hump where light falls; and the hands
    on its lights. It is both rooms of the sample's doors, and the ruby's one."""

    coefficients: tuple[float, ...] = (200.0, 0.5, 0.0, 0.0)
    pixels: int = 2068
    kelvin: float = 300.0
    rate: float = 1e5
    told: list[tuple[str, float, bool]] = field(default_factory=list)
    exposed: list[tuple[float, float, int]] = field(default_factory=list)

    def sensor_k(self, at_s: float) -> float:
        return self.kelvin

    def warm(self, kelvin: float) -> None:
        self.kelvin += kelvin

    def expose(self, start_s: float, integration_s: float, averages: int = 1) -> np.ndarray[Any, np.dtype[np.uint16]]:
        self.exposed.append((start_s, integration_s, averages))
        noise = Chance(len(self.exposed)).stream("optics").normal(0.0, 5.0, self.pixels)
        hump = np.exp(-(((np.arange(self.pixels) - 1000.0) / 200.0) ** 2))
        lit = self._lit_s(start_s, start_s + integration_s * averages) / averages
        return np.clip(np.rint(1000.0 + noise + self.rate * lit * hump), 0, 65535).astype(np.uint16)

    def _lit_s(self, start_s: float, end_s: float) -> float:
        edges = [(at_s, on) for what, at_s, on in self.told if what == "light"]
        total, on, since_s = 0.0, False, start_s
        for at_s, now_on in [*edges, (end_s, False)]:
            if on:
                total += max(min(at_s, end_s) - max(since_s, start_s), 0.0)
            on, since_s = now_on, at_s
        return total

    def laser(self, at_s: float, on: bool) -> None:
        self.told.append(("light", at_s, on))

    shutter = laser

    def lamp(self, at_s: float, on: bool) -> None:
        self.told.append(("lamp", at_s, on))

    def sample(self, at_s: float, inside: bool) -> None:
        self.told.append(("sample", at_s, inside))
