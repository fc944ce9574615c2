"""The spectrometer: pixels and their wavelengths, light to counts, with all that a cheap sensor adds of its own."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.time import Chance
from rocksalt.twin.departures import OpticsDepartures
from rocksalt.values import FloatArray

FULL_SCALE: Final = 65535
PIXELS: Final = 2068
_ELECTRONS_PER_COUNT: Final = 3.0  # a full well of 2e5 electrons on 16 bits (order of magnitude, unconfirmed)
_SELF_HEATING_K, _ROOM_K, _DOUBLES_K = 6.0, 298.0, 7.0  # dark current doubles with every 7 K (unconfirmed)
_HOT_COUNTS_PER_S: Final = (500.0, 2e4)
# Offsets of the calibration are drawn for this dispersion; a finer instrument is off by as many pixels.
_DRAWN_FOR_NM: Final = 0.44
_NEAR_FULL: Final = 60000.0
SECONDS: Final = (0.006, 10.0)


@dataclass(frozen=True, slots=True)
class Model:
    """An instrument: wavelength = sum of coefficients times pixel^i (nm), slit width (nm, full at half maximum)."""

    name: str
    coefficients: tuple[float, ...]
    slit_nm: float


# 2068 pixels, 16 bit, 6 ms to 10 s: as the OBP clients know the HDX; ranges of our own choosing.
HDX: Final = Model("HDX", (200.2, 0.4705, -1.62e-5, 0.0), 1.1)
RUBY: Final = Model("ruby", (682.0, 0.0196, -2.0e-7, 0.0), 0.06)


class Spectrometer:
    """One sensor. `coefficients`, `wavelengths_nm` are what the instrument says; `true_nm` is hidden."""

    def __init__(self, model: Model, hidden: OpticsDepartures, chance: Chance, ambient_k: float = 298.0) -> None:
        self.model = model
        self.coefficients = model.coefficients
        pixel = np.arange(PIXELS, dtype=np.float64)
        self.wavelengths_nm: FloatArray = np.asarray(
            np.polynomial.polynomial.polyval(pixel, model.coefficients), dtype=np.float64
        )
        self.sensor_k = ambient_k + _SELF_HEATING_K
        dispersion = float(np.diff(self.wavelengths_nm).mean())
        offset = hidden.wavelength_offset_nm * dispersion / _DRAWN_FOR_NM
        middle = float(self.wavelengths_nm.mean())
        self.true_nm: FloatArray = (
            self.wavelengths_nm + offset + hidden.wavelength_relative * (self.wavelengths_nm - middle)
        )
        self._hidden = hidden
        rng = chance.stream(f"spectrometer.{model.name}")
        self._gain = 1.0 + hidden.pixel_gain * rng.standard_normal(PIXELS)
        warm = 2.0 ** ((ambient_k - _ROOM_K) / _DOUBLES_K)
        self._dark = warm * hidden.dark_counts_per_s * np.exp(0.2 * rng.standard_normal(PIXELS))
        hot = rng.choice(PIXELS, hidden.hot_pixels, replace=False)
        self._dark[hot] += np.exp(rng.uniform(log(_HOT_COUNTS_PER_S[0]), log(_HOT_COUNTS_PER_S[1]), hidden.hot_pixels))
        # The sensor's own response: silicon behind a grating blazed at 550 nm; 1 at its best.
        self.response: FloatArray = np.exp(-(((self.true_nm - 550.0) / 330.0) ** 2))

    def counts(
        self, counts_per_s: FloatArray, integration_s: float, averages: int, rng: np.random.Generator
    ) -> NDArray[np.uint16]:
        """(pixels,) for a mean rate of light at each pixel (counts a second, response included): the mean of `averages`
        exposures, rounded, each cut off at 65535.

        Raises ValueError outside 6 ms to 10 s and for fewer than one exposure.
        """
        low, high = SECONDS
        if not (low <= integration_s <= high and averages >= 1):
            raise ValueError(
                f"an integration of {integration_s:g} s, {averages} times: it must lie in {low:g} to {high:g} s, once "
                "or more"
            )
        hidden = self._hidden
        light = (counts_per_s + hidden.stray * counts_per_s.mean()) * self._gain
        mean = (light + self._dark) * integration_s

        def read(expected: FloatArray, times: int) -> FloatArray:
            electrons = rng.poisson(np.minimum(expected * times * _ELECTRONS_PER_COUNT, 1e15))
            found = electrons / (_ELECTRONS_PER_COUNT * times)
            bent = found / (1.0 + hidden.nonlinear * found / FULL_SCALE)
            noise = hidden.read_counts / sqrt(times) * rng.standard_normal(expected.shape)
            return np.asarray(bent + hidden.bias_counts + noise)

        total = read(mean, averages)
        if averages > 1 and (near := np.flatnonzero(total > _NEAR_FULL)).size:
            single = read(np.broadcast_to(mean[near], (averages, near.size)).copy(), 1)
            total[near] = np.minimum(single, FULL_SCALE).mean(axis=0)
        return np.asarray(np.clip(np.rint(total), 0, FULL_SCALE), dtype=np.uint16)
