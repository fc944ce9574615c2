"""The ruby chip beside the sample: its R doublet, as a fine spectrometer counts it."""

from __future__ import annotations

from functools import lru_cache
from math import exp
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.crystals.gauges import RUBY_TEMPERATURE_K, ruby_line_nm
from rocksalt.crystals.scales import SCALES, reading
from rocksalt.time import Chance
from rocksalt.twin.chamber.blade import Blade
from rocksalt.twin.departures import OpticsDepartures
from rocksalt.twin.optics.bands import voigt_width, wavenumber_width_nm
from rocksalt.twin.optics.spectrometer import RUBY, Spectrometer
from rocksalt.values import FloatArray

SCALE: Final = "ruby, Ruby2020"
_SPLITTING_PER_CM: Final = 29.7  # R2 above R1; hardly moved by pressure. From memory of the literature, unconfirmed.
_BOLTZMANN_PER_CM_K: Final = 0.695034800  # k / hc, SI 2019
_R2_STRENGTH: Final = 0.75  # so that R2/R1 is some 0.65 at 300 K (unconfirmed)
# Width by Raman scattering of phonons (McCumber and Sturge 1963): a (T/theta)^7 I(theta/T), I = int x^6 e^x/(e^x-1)^2;
# a and theta for R1, from memory, unconfirmed: some 11 1/cm at 300 K.
_RAMAN: Final = (560.0, 760.0)
_NM_PER_GPA_STRESS: Final = 0.35  # width for each GPa of uniaxial stress (order of magnitude, unconfirmed)
_GPA_PER_GPA_STRESS: Final = 0.15  # R1 leans with the stress: pressure it then seems to show (unconfirmed)
_AREA_COUNTS: Final = 3e4  # counts nm a second in both lines together, brightness 1
_SIDEBAND: Final = 0.004  # height of the vibronic foot against R1's at 300 K


class Ruby:
    """One chip and its spectrometer. `laser` is the switch of its light."""

    def __init__(self, hidden: OpticsDepartures, chance: Chance, ambient_k: float = 298.0) -> None:
        self.laser = Blade()
        self.spectrometer = Spectrometer(RUBY, hidden, chance, ambient_k)
        self._hidden = hidden

    def r1_nm(self, pressure_gpa: float, kelvin: float) -> float:
        """True wavelength of R1 under this pressure on the twin's own scale."""
        hidden = self._hidden
        stress = self._stress_gpa(pressure_gpa)
        shown = pressure_gpa * (1.0 + hidden.ruby_scale_relative) + _GPA_PER_GPA_STRESS * stress
        low, high = RUBY_TEMPERATURE_K
        unloaded = ruby_line_nm(min(max(kelvin, low), high)) + hidden.ruby_offset_nm
        return unloaded * float(reading(SCALES[SCALE], np.asarray(max(shown, -0.9))))

    def widths_nm(self, pressure_gpa: float, kelvin: float, r1_nm: float) -> tuple[float, float]:
        """(Lorentzian, Gaussian) full widths: the crystal's own, that of the stress and the slit."""
        own = wavenumber_width_nm(self._hidden.ruby_width_cm + thermal_width_per_cm(kelvin), r1_nm)
        spread = _NM_PER_GPA_STRESS * self._stress_gpa(pressure_gpa)
        return own, float(np.hypot(spread, self.spectrometer.model.slit_nm))

    def counts_per_s(self, pressure_gpa: float, kelvin: float) -> FloatArray:
        """Mean rate at each pixel with the laser on."""
        hidden = self._hidden
        nm = self.spectrometer.true_nm
        r1 = self.r1_nm(pressure_gpa, kelvin)
        r2 = r1 / (1.0 + _SPLITTING_PER_CM * 1e-7 * r1)
        lorentz, gauss = self.widths_nm(pressure_gpa, kelvin, r1)
        width = voigt_width(lorentz, gauss)
        tail = hidden.ruby_tail * lorentz / width
        ratio = _R2_STRENGTH * exp(-_SPLITTING_PER_CM / (_BOLTZMANN_PER_CM_K * max(kelvin, 1.0)))
        height = 1.0 / (width * (tail * np.pi / 2.0 + (1.0 - tail) * 1.0645))
        lines = (_profile(nm - r1, width, tail) + ratio * _profile(nm - r2, width, tail)) * height / (1.0 + ratio)
        area = _AREA_COUNTS * hidden.ruby_brightness
        foot = _SIDEBAND * (1.0 + 0.3 * np.sin((nm - 690.0) / 4.0))
        # Diamond's own light falls slowly towards the red; it doesn't know the ruby's brightness.
        diamond = _AREA_COUNTS * hidden.ruby_background * np.exp(-(nm - 694.0) / 60.0)
        return np.asarray((area * (lines + foot) + diamond) * self.spectrometer.response)

    def expose(
        self, start_s: float, integration_s: float, averages: int, pressure_gpa: float, kelvin: float,
        rng: np.random.Generator,
    ) -> NDArray[np.uint16]:  # fmt: skip
        """Counts (pixels,) of an exposure that is over, the laser as it stood, the chip as in the middle of it."""
        whole = integration_s * averages
        part = self.laser.lit_s(start_s, start_s + whole) / whole
        light = part * self.counts_per_s(pressure_gpa, kelvin) if part else np.zeros(self.spectrometer.true_nm.size)
        return self.spectrometer.counts(light, integration_s, averages, rng)

    def _stress_gpa(self, pressure_gpa: float) -> float:
        return self._hidden.ruby_stress_gpa * max(pressure_gpa, 0.0) / 10.0


@lru_cache(maxsize=64)
def thermal_width_per_cm(kelvin: float) -> float:
    """Width of R1 by phonons, 1/cm."""
    strength, theta = _RAMAN
    x = np.linspace(1e-3, theta / max(kelvin, 5.0), 400)
    shape = x**6 * np.exp(-x) / np.expm1(-x) ** 2
    return float(strength * (max(kelvin, 5.0) / theta) ** 7 * np.trapezoid(shape, x))


def _profile(away_nm: FloatArray, width: float, tail: float) -> FloatArray:
    """Lorentzian and Gaussian of one width, heights 1."""
    square = (2.0 * away_nm / width) ** 2
    return np.asarray(tail / (1.0 + square) + (1.0 - tail) * np.exp(-0.6931472 * square))
