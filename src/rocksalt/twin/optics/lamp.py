"""Lights: deuterium and halogen lamp with its drift, a blue pump for luminescence, the lamps of the room."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import exp, pi, sin
from typing import Final

import numpy as np

from rocksalt.time import Chance
from rocksalt.twin.chamber.blade import Blade
from rocksalt.twin.departures import OpticsDepartures
from rocksalt.twin.optics.bands import EV_NM
from rocksalt.values import FloatArray

PUMP_NM: Final = 445.0
PUMP_MW: Final = 50.0
_HALOGEN_K: Final = 2900.0
_HC_OVER_K_NM_K: Final = 1.438777e7  # second radiation constant, SI 2019
# Deuterium: continuum falling from 210 nm, and its two visible Balmer lines (place, height, width in nm). Sizes
# unconfirmed.
_CONTINUUM: Final = (0.5, 210.0, 75.0)
_BALMER: Final = ((656.1, 0.5, 1.2), (486.0, 0.15, 1.2))
# On the sample behind a fibre: 20 uW/cm^2 of white light, some 7e13 photons per cm^2 and s. The room: 3 uW/cm^2 where
# a covered chamber lets it in. Orders of magnitude.
_PROBE_PHOTONS: Final = 7e13
_ROOM_PHOTONS: Final = 8e12
_ROOM_EV: Final = (1.65, 3.1)
_PUMP_SPOT_CM2: Final = 0.1
_SHUTTER_TRAVEL_S: Final = 0.02
_STAGE_TRAVEL_S: Final = 1.5


def white(wavelength_nm: FloatArray, slit_nm: float = 0.0) -> FloatArray:
    """Photons per nm of the lamp, 1 for the halogen's at 650 nm, as a slit (full width in nm) blurs its lines."""
    bulb = wavelength_nm**-4 / np.expm1(_HC_OVER_K_NM_K / (wavelength_nm * _HALOGEN_K))
    bulb = bulb / (650.0**-4 / np.expm1(_HC_OVER_K_NM_K / (650.0 * _HALOGEN_K)))
    height, start, fall = _CONTINUUM
    light = bulb + height * np.exp(-(wavelength_nm - start) / fall)
    for place, peak, width in _BALMER:
        blurred = float(np.hypot(width, slit_nm))
        light = light + peak * width / blurred * np.exp(-2.7726 * ((wavelength_nm - place) / blurred) ** 2)
    return np.asarray(light)


class Lights:
    """Lamp, shutter, stage and pump of an optical bench, and the light they leave on the sample (`photons`: see
    `rocksalt.twin.sample.beams.Light`)."""

    def __init__(self, energy_ev: FloatArray, hidden: OpticsDepartures, chance: Chance) -> None:
        self.lamp, self.shutter = Blade(), Blade(_SHUTTER_TRAVEL_S)
        self.sample = Blade(_STAGE_TRAVEL_S)
        self.room = Blade()
        self._pump_times: list[float] = [0.0]
        self._pump_mw: list[float] = [0.0]
        self._hidden = hidden
        self._phases = chance.stream("lamp.drift").uniform(0.0, 2.0 * pi, 2)
        per_ev = white(EV_NM / energy_ev) * EV_NM / energy_ev**2
        self._probe = per_ev * (_PROBE_PHOTONS / float(np.trapezoid(per_ev, energy_ev)))
        flat = np.where((energy_ev > _ROOM_EV[0]) & (energy_ev < _ROOM_EV[1]), 1.0, 0.0)
        self._ambient = flat * (_ROOM_PHOTONS / float(np.trapezoid(flat, energy_ev)))
        blue = np.zeros_like(energy_ev)
        blue[int(np.argmin(np.abs(energy_ev - EV_NM / PUMP_NM)))] = 1.0
        # 1 mW of 445 nm is 2.24e15 photons a second.
        self._blue = blue * (2.24e15 / _PUMP_SPOT_CM2 / float(np.trapezoid(blue, energy_ev)))

    def pump(self, at_s: float, milliwatt: float) -> None:
        """Power of the pump from now on. Raises ValueError outside 0 to 50 mW."""
        if not 0.0 <= milliwatt <= PUMP_MW:
            raise ValueError(f"the pump gives 0 to {PUMP_MW:g} mW, not {milliwatt:g}")
        self._pump_times.append(at_s)
        self._pump_mw.append(milliwatt)

    def pump_mw(self, at_s: float) -> float:
        """Power at any time."""
        return self._pump_mw[max(bisect_right(self._pump_times, at_s) - 1, 0)]

    def level(self, at_s: float) -> float:
        """Brightness of the lamp, near 1 when warm; 0 when it is off."""
        if not self.lamp.passes(at_s):
            return 0.0
        hidden = self._hidden
        warm = 1.0 - hidden.lamp_warm_up * exp(-(at_s - self.lamp.last_edge(at_s)) / hidden.lamp_warm_up_s)
        turn = 2.0 * pi * at_s / hidden.lamp_drift_s
        waves = sin(turn + self._phases[0]) + 0.5 * sin(2.6 * turn + self._phases[1])
        return warm * (1.0 + hidden.lamp_drift * waves)

    def knots(self, start_s: float, end_s: float) -> list[float]:
        """Times strictly between at which any of it changes."""
        low, high = bisect_right(self._pump_times, start_s), bisect_left(self._pump_times, end_s)
        found = self._pump_times[low:high]
        for blade in (self.lamp, self.shutter, self.sample, self.room):
            found = found + blade.edges(start_s, end_s)
        return found

    def photons(self, start_s: float, end_s: float) -> FloatArray | None:
        """Photons per cm^2, s and eV on the sample in a stretch without knots inside."""
        middle = 0.5 * (start_s + end_s)
        light: FloatArray | None = self._ambient if self.room.passes(middle) else None
        if self.sample.passes(middle):
            if self.shutter.passes(middle) and self.lamp.passes(middle):
                light = self._probe if light is None else light + self._probe
            if power := self.pump_mw(middle):
                light = power * self._blue if light is None else light + power * self._blue
        return light
