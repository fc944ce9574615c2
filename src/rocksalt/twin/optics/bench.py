"""The bench for absorption and luminescence: lights, sample on its stage, spectrometer. Exposure in, counts out."""

from __future__ import annotations

from itertools import pairwise
from math import exp, log, sqrt
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from rocksalt.crystals import luminescence
from rocksalt.time import Chance
from rocksalt.twin.departures import OpticsDepartures
from rocksalt.twin.optics.bands import EV_NM, Crystal, View
from rocksalt.twin.optics.lamp import PUMP_NM, Lights, white
from rocksalt.twin.optics.spectrometer import HDX, Spectrometer
from rocksalt.twin.sample.beams import LIGHT_EV
from rocksalt.twin.sample.defects import Defects, State
from rocksalt.values import FloatArray

Mode = Literal["dark", "reference", "sample", "luminescence"]
_LAMP_COUNTS_PER_S: Final = 3.5e6  # at the brightest pixel: 35,000 counts in 10 ms
_FLICKER_S: Final = 0.1
# All counts a second that 1 mW of pump gives when all of it is absorbed by centres that shine. Order of magnitude: 1 Gy
# in 1 mm of LiF is seen in a second with 50 mW.
_LIGHT_PER_MW: Final = 2e9
_GLOW_PER_MW: Final = 2e5
_PUMP_LEAK: Final = 3e5  # of the pump itself, through its blocking filter
_GLOW_EV: Final = (2.2, 0.6)
_QUENCH_PER_CM3: Final = 3e18


class Bench:
    """One optical bench with a salt on it. Give its `lights` to the crystal's `Defects`: they bleach."""

    def __init__(self, salt: str, hidden: OpticsDepartures, chance: Chance, ambient_k: float = 298.0) -> None:
        self.lights = Lights(LIGHT_EV, hidden, chance)
        self.spectrometer = Spectrometer(HDX, hidden, chance, ambient_k)
        self._hidden = hidden
        nm = self.spectrometer.true_nm
        self.crystal = Crystal(salt, nm, hidden)
        bright = white(nm, self.spectrometer.model.slit_nm) * self.spectrometer.response
        self._lamp = bright * (_LAMP_COUNTS_PER_S / float(bright.max()))
        self._ev = EV_NM / nm
        self._per_nm = EV_NM / nm**2 * float(np.diff(nm).mean()) * self.spectrometer.response
        self._leak = _PUMP_LEAK * np.exp(-2.7726 * ((nm - PUMP_NM) / 3.0) ** 2)

    @property
    def wavelengths_nm(self) -> FloatArray:
        """(pixels,) as the instrument's own coefficients have them."""
        return self.spectrometer.wavelengths_nm

    def expose(
        self, start_s: float, integration_s: float, averages: int, view: View, rng: np.random.Generator
    ) -> NDArray[np.uint16]:
        """Counts (pixels,) of an exposure that is over, with lamp, shutter, stage and pump as they stood; `view` is the
        sample in its middle. Raises ValueError as the spectrometer does."""
        end_s = start_s + integration_s * averages
        marks = [start_s, *sorted(set(self.lights.knots(start_s, end_s))), end_s]
        lamp, pump = np.zeros((2, self._lamp.size))
        for low, high in pairwise(marks):
            middle, part = 0.5 * (low + high), (high - low) / (end_s - start_s)
            inside = self.lights.sample.passes(middle)
            if self.lights.shutter.passes(middle) and (level := self.lights.level(middle)):
                lamp = lamp + part * level * self._through(view if inside else None)
            if power := self.lights.pump_mw(middle):
                pump = pump + part * power * self._shining(view if inside else None)
        return self._counted(lamp, pump, integration_s, averages, rng)

    def spectrum(
        self, at_s: float, integration_s: float, averages: int, mode: Mode, view: View, rng: np.random.Generator,
        pump_mw: float = 1.0,
    ) -> NDArray[np.uint16]:  # fmt: skip
        """Counts (pixels,) as if everything stood as the mode needs it, the lamp as warm as it is at at_s; one that
        is off is taken as warm. For pictures and tests: instruments use `expose`."""
        lamp, pump = np.zeros((2, self._lamp.size))
        if mode in ("reference", "sample"):
            lamp = (self.lights.level(at_s) or 1.0) * self._through(view if mode == "sample" else None)
        elif mode == "luminescence":
            pump = pump_mw * self._shining(view)
        return self._counted(lamp, pump, integration_s, averages, rng)

    def _counted(
        self, lamp: FloatArray, pump: FloatArray, integration_s: float, averages: int, rng: np.random.Generator
    ) -> NDArray[np.uint16]:
        flicker = self._hidden.flicker * sqrt(_FLICKER_S / max(integration_s * averages, 1e-3))
        rate = lamp * (1.0 + flicker * float(rng.standard_normal())) + pump
        return self.spectrometer.counts(rate, integration_s, averages, rng)

    def _through(self, view: View | None) -> FloatArray:
        return self._lamp if view is None else self._lamp * self.crystal.transmission(view)

    def _shining(self, view: View | None) -> FloatArray:
        """Counts a second for 1 mW of pump: F2 and F3+ of LiF, unspecific glow, and the pump's own rest.

        The pump is spent on the way through; what M and R take of it shines, M less where it is dense.
        """
        if view is None:
            return self._leak
        hidden = self._hidden
        at = np.array([EV_NM / PUMP_NM])
        _, m, r, *_ = (float(column) for column in view.columns_per_cm2)
        m_density = float(self.crystal.m_density(view, m, at)[0])
        r_density = float(self.crystal.r_density(view, r, at)[0])
        shape = np.exp(-2.7726 * ((self._ev - _GLOW_EV[0]) / _GLOW_EV[1]) ** 2)
        light = self._leak + hidden.glow * _GLOW_PER_MW * shape * self._per_nm
        whole = m_density + r_density
        if self.crystal.salt != "LiF" or whole <= 0.0:
            return np.asarray(light)
        spent = -float(np.expm1(-log(10.0) * whole)) / whole
        quenched = 1.0 / (1.0 + view.m_per_cm3 / (_QUENCH_PER_CM3 * exp(hidden.quench_ln)))
        emitted = luminescence.spectrum(
            self._ev - hidden.emission_shift_ev, spent * m_density * quenched, 0.8 * spent * r_density * quenched
        )
        return np.asarray(light + _LIGHT_PER_MW * emitted * self._per_nm)


def view_of(defects: Defects, state: State, kelvin: float, volume_ratio: float = 1.0) -> View:
    """What light meets in a crystal in this state."""
    return View(defects.columns_per_cm2(state), defects.seen(state.m), kelvin, volume_ratio)
