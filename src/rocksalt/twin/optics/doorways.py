"""The optics' side of their doors. `advance` takes the world to a time and gives back the present; `settle` does so and
lets the crystal take note, because something is about to change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rocksalt.time import Chance
from rocksalt.twin.optics.bands import View
from rocksalt.twin.optics.bench import Bench
from rocksalt.twin.optics.ruby import Ruby
from rocksalt.twin.optics.spectrometer import SECONDS

Advance = Callable[[float], float]


class SpectrometerWay:
    """See `rocksalt.twin.optics.doors.SpectrometerDoor`. `view` is the sample at a time (the present, or just past)."""

    def __init__(self, bench: Bench, advance: Advance, view: Callable[[float], View], chance: Chance) -> None:
        self._bench, self._advance, self._view, self._chance = bench, advance, view, chance
        self._exposed = 0

    @property
    def coefficients(self) -> tuple[float, ...]:
        return self._bench.spectrometer.coefficients

    @property
    def seconds(self) -> tuple[float, float]:
        return SECONDS

    def sensor_k(self, at_s: float) -> float:
        self._advance(at_s)
        return self._bench.spectrometer.sensor_k

    def expose(self, start_s: float, integration_s: float, averages: int = 1) -> NDArray[np.uint16]:
        whole = integration_s * averages
        self._advance(start_s + whole)
        rng = self._chance.stream("spectrometer.noise", self._exposed)
        self._exposed += 1
        return self._bench.expose(start_s, integration_s, averages, self._view(start_s + 0.5 * whole), rng)


class LightsWay:
    """See `rocksalt.twin.optics.doors.LightsDoor`."""

    def __init__(self, bench: Bench, advance: Advance, settle: Advance) -> None:
        self._lights, self._advance, self._settle = bench.lights, advance, settle

    def lamp(self, at_s: float, on: bool) -> None:
        self._lights.lamp.move(self._settle(at_s), on)

    def lamp_on(self, at_s: float) -> bool:
        return self._lights.lamp.passes(self._advance(at_s))

    def shutter(self, at_s: float, open: bool) -> None:
        self._lights.shutter.move(self._settle(at_s), open)

    def shutter_open(self, at_s: float) -> bool:
        return self._lights.shutter.position(self._advance(at_s)) >= 1.0

    def sample(self, at_s: float, inside: bool) -> None:
        self._lights.sample.move(self._settle(at_s), inside)

    def sample_inside(self, at_s: float) -> bool:
        return self._lights.sample.position(self._advance(at_s)) >= 1.0

    def pump(self, at_s: float, milliwatt: float) -> None:
        self._lights.pump(self._settle(at_s), milliwatt)

    def room(self, at_s: float, on: bool) -> None:
        self._lights.room.move(self._settle(at_s), on)


class RubyWay:
    """See `rocksalt.twin.optics.doors.RubyDoor`. `felt` is pressure (GPa) and temperature (K) of the chip at a time."""

    def __init__(
        self, ruby: Ruby, advance: Advance, felt: Callable[[float], tuple[float, float]], chance: Chance
    ) -> None:
        self._ruby, self._advance, self._felt, self._chance = ruby, advance, felt, chance
        self._exposed = 0

    @property
    def coefficients(self) -> tuple[float, ...]:
        return self._ruby.spectrometer.coefficients

    @property
    def seconds(self) -> tuple[float, float]:
        return SECONDS

    def sensor_k(self, at_s: float) -> float:
        self._advance(at_s)
        return self._ruby.spectrometer.sensor_k

    def laser(self, at_s: float, on: bool) -> None:
        self._ruby.laser.move(self._advance(at_s), on)

    def laser_on(self, at_s: float) -> bool:
        return self._ruby.laser.passes(self._advance(at_s))

    def expose(self, start_s: float, integration_s: float, averages: int = 1) -> NDArray[np.uint16]:
        whole = integration_s * averages
        self._advance(start_s + whole)
        rng = self._chance.stream("ruby.noise", self._exposed)
        self._exposed += 1
        pressure, kelvin = self._felt(start_s + 0.5 * whole)
        return self._ruby.expose(start_s, integration_s, averages, pressure, kelvin, rng)
