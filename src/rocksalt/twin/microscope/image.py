"""From light to numbers: the lamp's field, the camera's electrons, its noise and its 12 bits.

A picture is the lamp's field times exp(-attenuation); electrons are Poisson, the amplifier adds Gaussian noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.time import Chance
from rocksalt.twin.departures import MicroscopeDepartures
from rocksalt.twin.microscope import nuisance

Float32 = NDArray[np.float32]
BITS: Final = 12
# A 5 megapixel CMOS camera with 3.45 um pixels: 10 500 electrons fill a pixel. Of the right size, from memory.
FULL_WELL_E: Final = 10_500.0
E_PER_COUNT: Final = 2.55  # the 12 bits end a little below a full pixel
BLACK_COUNTS: Final = 64.0
_LAMP_E_PER_S: Final = 6.0e5  # half full in 10 ms
_HOT_E_PER_S: Final = 2.0e5
_PLENTY_E: Final = 50.0


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera and the field it looks at. field (rows, columns): electrons a second and pixel where nothing stands in
    the light, with the pixels' own gains; hot (rows, columns), dark electrons a second; read noise in electrons."""

    field_e_per_s: Float32
    hot_e_per_s: Float32
    read_noise_e: float

    @property
    def most_counts(self) -> int:
        """What a saturated pixel reports."""
        return int(2**BITS - 1)

    def mean_e(self, attenuation: Float32, exposure_s: float, lamp: float) -> Float32:
        """Expected electrons (rows, columns) behind an attenuation (natural logarithm), with the lamp so bright."""
        mean = np.exp(-attenuation)
        mean *= self.field_e_per_s
        mean *= np.float32(exposure_s * lamp)
        mean += self.hot_e_per_s * np.float32(exposure_s)
        return np.asarray(mean)

    def counts(self, mean_e: Float32, rng: np.random.Generator) -> NDArray[np.uint16]:
        """One picture from expected electrons: variance (mean + read^2) / E_PER_COUNT^2 + 1/12 counts^2 below
        saturation.

        Where every pixel expects 50 electrons or more the Poisson number is taken as a Gaussian of its mean and
        variance: six times faster, and never further than 0.01 from its distribution function (Berry-Esseen's order,
        skewness / 6 sqrt(2 pi))."""
        noise = rng.standard_normal(mean_e.shape, dtype=np.float32)
        if float(mean_e.min()) >= _PLENTY_E:
            noise *= np.sqrt(mean_e + np.float32(self.read_noise_e**2))
            noise += np.minimum(mean_e, np.float32(2.0 * FULL_WELL_E))
        else:
            noise *= np.float32(self.read_noise_e)
            noise += rng.poisson(np.minimum(mean_e, 2.0 * FULL_WELL_E)).astype(np.float32)
        np.minimum(noise, np.float32(FULL_WELL_E), out=noise)
        noise *= np.float32(1.0 / E_PER_COUNT)
        noise += np.float32(BLACK_COUNTS)
        return np.asarray(np.clip(np.rint(noise), 0.0, float(self.most_counts)).astype(np.uint16))


def build(shape: tuple[int, int], um_per_px: float, hidden: MicroscopeDepartures, chance: Chance) -> Camera:
    """The camera of this seed: vignetting falls with the square of the distance from the middle of the light, which is
    not quite the middle of the picture; dust on the sensor's window is out of focus and stays where it is."""
    rng = chance.stream("microscope.field")
    down = np.linspace(-1.0, 1.0, shape[0], dtype=np.float32)[:, None]
    along = np.linspace(-1.0, 1.0, shape[1], dtype=np.float32)[None, :]
    row, column = rng.normal(0.0, 0.15, 2)
    direction = rng.uniform(0.0, 2.0 * np.pi)
    field = 1.0 - hidden.vignetting * ((down - row) ** 2 + (along - column) ** 2) / 2.0
    field = field * (1.0 + 0.5 * hidden.uneven * (np.cos(direction) * down + np.sin(direction) * along))
    dust: Float32 = np.zeros(shape, dtype=np.float32)
    for number in range(hidden.sensor_dust):
        own = chance.stream("microscope.sensor_dust", number)
        blob = nuisance.Blob(
            np.zeros(3), float(own.uniform(1.0, 4.0)), float(own.uniform(0.05, 0.25)), False, np.zeros((1, 2))
        )
        nuisance.stamp_blob(
            dust, blob, own.uniform(0, shape[0]), own.uniform(0, shape[1]), own.uniform(2.0, 6.0), um_per_px, 0.5
        )
    gain = 1.0 + hidden.gain_pixel * rng.standard_normal(shape, dtype=np.float32)
    hot: Float32 = np.zeros(shape, dtype=np.float32)
    where = rng.integers(0, shape[0] * shape[1], hidden.hot_pixels)
    hot.ravel()[where] = (_HOT_E_PER_S * rng.exponential(1.0, hidden.hot_pixels)).astype(np.float32)
    seen = _LAMP_E_PER_S * hidden.lamp_relative * np.maximum(field, 0.05) * np.exp(-dust) * np.maximum(gain, 0.0)
    return Camera(seen.astype(np.float32), hot, hidden.read_noise_e)
