"""The sensor: photons on pixels become counts, or don't; gaps, dead and hot pixels, uneven gain, saturation.

It knows nothing of the sample: a mean for each pixel goes in, an image comes out.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.time import Chance
from rocksalt.twin.departures import SensorDepartures
from rocksalt.values import FloatArray

MASKED: Final = np.uint32(2**32 - 1)
CUTOFF_PER_S: Final = 4.0e6
_SENSOR_GAP_COLUMNS: Final = (513, 517)


class Sensor:
    """One detector's sensor. `mask` is what it knows to be dead, `gain` multiplies what falls on a pixel, `hot_per_s`
    comes without any beam. All (rows, columns)."""

    def __init__(self, shape: tuple[int, int], hidden: SensorDepartures, chance: Chance) -> None:
        self.shape = shape
        self.gain: FloatArray = 1.0 + hidden.gain_pixel * chance.stream("sensor.gain").standard_normal(shape)
        rng = chance.stream("sensor.dead")
        rows, columns = shape
        mask = np.zeros(shape, dtype=np.bool_)
        first, last = _SENSOR_GAP_COLUMNS
        mask[:, first:last] = True
        mask[rng.integers(0, rows, hidden.dead_pixels), rng.integers(0, columns, hidden.dead_pixels)] = True
        row, column = int(rng.integers(5, rows - 5)), int(rng.integers(5, columns - 5))
        mask[row : row + 3, column : column + 2] = True
        hot = np.zeros(shape)
        places = rng.integers(0, rows, hidden.hot_unmasked), rng.integers(0, columns, hidden.hot_unmasked)
        hot[places] = 10.0 ** rng.uniform(1.5, 5.0, hidden.hot_unmasked)
        self.mask: NDArray[np.bool_] = mask
        self.hot_per_s: FloatArray = hot

    @staticmethod
    def cutoff_counts(seconds: float) -> int:
        """Highest count that a pixel reports in an exposure of so many seconds."""
        return int(min(CUTOFF_PER_S * seconds, float(MASKED - 1)))

    def counts(self, mean: FloatArray, seconds: float, rng: np.random.Generator) -> NDArray[np.uint32]:
        """Counts, (rows, columns), of an exposure in which `mean` (rows * columns,) were to be expected: Poisson noise,
        saturation at the cutoff, MASKED where the sensor is dead."""
        limit = self.cutoff_counts(seconds)
        # Far above the cutoff the draw would be thrown away.
        counts = np.minimum(rng.poisson(np.minimum(mean, 2.0 * limit + 100.0)), limit).astype(np.uint32)
        image = counts.reshape(self.shape)
        image[self.mask] = MASKED
        return image
