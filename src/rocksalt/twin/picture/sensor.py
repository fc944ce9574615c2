"""The sensor: photons on pixels become counts, or don't; gaps, dead and hot pixels, uneven gain, zingers, saturation.

It knows nothing of the sample: a mean for each pixel goes in, an image comes out.

Left out: charge sharing and the threshold's own scatter (a photon counts in one pixel or nowhere), fluorescence of
the sensor, wider pixels at the edges of chips, what CdTe keeps of bright light, and temperature. A pixel meets its
light evenly over the exposure, though the shutter may have been open for a part of it; all pixels have one dead time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.time import Chance
from rocksalt.twin.departures import SensorDepartures
from rocksalt.twin.picture.counting import DeadTime
from rocksalt.values import FloatArray

Float32 = NDArray[np.float32]

MASKED: Final = np.uint32(2**32 - 1)
CUTOFF_PER_S: Final = 4.0e6
"""Rate above which the instrument reports its cutoff. Unconfirmed: of the order of what DECTRIS gives for CdTe."""

GAP, DEAD, NOISY = np.uint32(1 << 0), np.uint32(1 << 1), np.uint32(1 << 4)
"""Bits of the pixel mask as SIMPLON defines them."""

_PIXELS_OF_TIERS: Final = 514 * 1030
_AT_ONCE: Final = 1 << 15  # so that what is drawn stays in the cache
_MOST: Final = 1e15  # photons on a pixel: numpy draws no larger numbers safely
_FARTHEST_PX: Final = 40.0
_BRIGHTEST_LN: Final = 9.2  # a zinger's pixel counts 10,000 at most
_NO_LAYOUT_CHIP: Final = (256, 256)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a detector has no pixels, as (first, behind the last) of rows and columns; the size of a readout chip; and
    whether its pixels retrigger while a pulse stands."""

    gap_rows: tuple[tuple[int, int], ...] = ()
    gap_columns: tuple[tuple[int, int], ...] = ()
    chip: tuple[int, int] = _NO_LAYOUT_CHIP
    retrigger: bool = False


# EIGER modules are 514 x 1030 pixels with 37 rows between them, EIGER2 ones 512 x 1028 with 38 (DECTRIS's shapes of 1M
# and 16M detectors agree); their CdTe sensors come in two halves, four columns apart (width unconfirmed). PILATUS:
# modules of 195 x 487, 17 rows and 7 columns between them, as the -1 of real frames show.
LAYOUTS: Final[dict[tuple[int, int], Layout]] = {
    (514, 1030): Layout((), ((513, 517),), retrigger=True),
    (512, 1028): Layout((), ((512, 516),), retrigger=True),
    (1065, 1030): Layout(((514, 551),), ((513, 517),), retrigger=True),
    (1062, 1028): Layout(((512, 550),), ((512, 516),), retrigger=True),
    (1043, 981): Layout(tuple((first, first + 17) for first in (195, 407, 619, 831)), ((487, 494),), (97, 60)),
}
"""By (rows, columns). A shape that is not here has no gaps."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Zingers of one frame: places in the flat image, each once, and what they add."""

    places: NDArray[np.int64]
    counts: NDArray[np.int64]


class Sensor:
    """One detector's sensor.

    flags       bits of the instrument's pixel mask, uint32: what it knows. mask is True where any is set
    gain        multiplies the photons on a pixel; 0 where it is masked
    dark_per_s  mean counts without any beam: background radiation and hot pixels
    flickering  flat places of pixels whose rate of flicker_per_s comes and goes from frame to frame
    All but the last are (rows, columns).
    """

    def __init__(self, shape: tuple[int, int], hidden: SensorDepartures, chance: Chance) -> None:
        self.shape = shape
        self.layout = LAYOUTS.get(shape, Layout())
        self._hidden = hidden
        self._relative_size = shape[0] * shape[1] / _PIXELS_OF_TIERS
        self.dead_time = DeadTime(1e-9 * hidden.dead_time_ns, self.layout.retrigger)
        self.flags = self._flags(chance.stream("sensor.dead"))
        self.mask: NDArray[np.bool_] = self.flags != 0
        self.gain: Float32 = np.where(self.mask, 0.0, self._gain(chance)).astype(np.float32)
        hot, noisy = chance.stream("sensor.hot"), chance.stream("sensor.noisy")
        dark = np.full(shape[0] * shape[1], hidden.background_per_hour / 3600.0)
        places = self._unknown(hidden.hot_unmasked, hot)
        dark[places] += 10.0 ** hot.uniform(1.5, 5.0, places.size)
        self.dark_per_s: Float32 = np.where(self.mask, 0.0, dark.reshape(shape)).astype(np.float32)
        self.flickering = self._unknown(hidden.noisy_unmasked, noisy)
        self.flicker_per_s: FloatArray = 10.0 ** noisy.uniform(0.5, 2.5, self.flickering.size)

    @staticmethod
    def cutoff_counts(seconds: float) -> int:
        """Highest count that a pixel reports in an exposure of so many seconds."""
        return int(min(CUTOFF_PER_S * seconds, float(MASKED - 1)))

    def counts(self, mean: FloatArray | Float32, seconds: float, rng: np.random.Generator) -> NDArray[np.uint32]:
        """Counts, (rows, columns), of an exposure in which `mean` (rows * columns,) photons were to be expected: noise,
        zingers, lost and corrected counts, saturation at the cutoff, MASKED where the instrument knows of no pixel.

        The zingers are the first that is drawn from rng, so `zingers(seconds, rng)` from the same beginning says which
        pixels were hit.
        """
        hits = self.zingers(seconds, rng)
        # The stream that is handed in is counter-based, and slow: a frame's million draws come from a quick one that it
        # is the key of.
        quick = np.random.Generator(np.random.SFC64(rng.integers(0, 2**63, 4).tolist()))
        wanting = np.flatnonzero(mean > self.dead_time.harmless_per_s * seconds)
        counts = np.empty(mean.size, dtype=np.int64)
        for start in range(0, mean.size, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            counts[part] = quick.poisson(np.minimum(mean[part], _MOST))
        if wanting.size:
            counts[wanting] = self.dead_time.draw(np.asarray(mean[wanting], dtype=np.float64), seconds, quick)
        flicker = self.flicker_per_s * seconds * quick.standard_gamma(0.5, self.flickering.size) / 0.5
        counts[self.flickering] += quick.poisson(flicker)
        counts[hits.places] += hits.counts
        image = np.minimum(counts, self.cutoff_counts(seconds)).astype(np.uint32).reshape(self.shape)
        image[self.mask] = MASKED
        return image

    def zingers(self, seconds: float, rng: np.random.Generator) -> Hits:
        """Cosmic rays and radioactive decays that free much charge at once: a Poisson number in the exposure, whatever
        the shutter; each a short straight track (most are one or two pixels) of log-normal counts."""
        often = self._hidden.zingers_per_min / 60.0 * self._relative_size
        number = int(rng.poisson(often * seconds))
        rows, columns = self.shape
        row, column = rng.uniform(0.0, rows, number), rng.uniform(0.0, columns, number)
        towards = rng.uniform(0.0, 2.0 * np.pi, number)
        length = np.minimum(rng.exponential(self._hidden.zinger_px, number), _FARTHEST_PX)
        steps = np.arange(int(2.0 * _FARTHEST_PX)) / 2.0
        on_track = steps[None, :] <= length[:, None]
        r = np.floor(row[:, None] + np.sin(towards)[:, None] * steps).astype(np.int64)
        c = np.floor(column[:, None] + np.cos(towards)[:, None] * steps).astype(np.int64)
        on_track &= (r >= 0) & (r < rows) & (c >= 0) & (c < columns)
        places = np.unique((r * columns + c)[on_track])
        size = np.log(self._hidden.zinger_counts) + self._hidden.zinger_sigma_ln * rng.standard_normal(places.size)
        return Hits(places, np.ceil(np.exp(np.minimum(size, _BRIGHTEST_LN))).astype(np.int64))

    def _number(self, of_tiers: int) -> int:
        """The tiers' numbers are for a 500K detector."""
        return round(of_tiers * self._relative_size)

    def _places(self, of_tiers: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        number = self._number(of_tiers)
        return rng.integers(0, self.shape[0], number), rng.integers(0, self.shape[1], number)

    def _unknown(self, of_tiers: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Flat places of so many pixels that the instrument takes for good ones."""
        good = np.flatnonzero(~self.mask.ravel())
        number = self._number(of_tiers) if good.size else 0
        return np.unique(good[rng.integers(0, max(good.size, 1), number)]).astype(np.int64)

    def _flags(self, rng: np.random.Generator) -> NDArray[np.uint32]:
        flags = np.zeros(self.shape, dtype=np.uint32)
        for first, behind in self.layout.gap_rows:
            flags[first:behind] |= GAP
        for first, behind in self.layout.gap_columns:
            flags[:, first:behind] |= GAP
        flags[self._places(self._hidden.dead_pixels, rng)] |= DEAD
        # A speck where the bumps did not bond, on each 500K.
        for row, column in zip(*self._places(1, rng), strict=True):
            flags[row : row + 3, column : column + 2] |= DEAD
        flags[self._places(self._hidden.hot_masked, rng)] |= NOISY
        return flags

    def _gain(self, chance: Chance) -> FloatArray:
        """What the flat field left: scatter from pixel to pixel, and from chip to chip."""
        high, wide = self.layout.chip
        chips = chance.stream("sensor.chips").standard_normal((self.shape[0] // high + 1, self.shape[1] // wide + 1))
        rows, columns = np.arange(self.shape[0]) // high, np.arange(self.shape[1]) // wide
        single = chance.stream("sensor.gain").standard_normal(self.shape)
        return 1.0 + self._hidden.gain_pixel * single + self._hidden.gain_chip * chips[rows][:, columns]
