"""Around the rings: sectors of azimuth, how unlike they are, and which pixels are no powder.

A powder of many grains is alike in all sectors, a powder of few grains is spotty in many of them, and a diamond's
reflection or a cosmic ray stands in one or two.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.values import FloatArray

SECTORS: Final = 24
_HOT_SIGMA: Final = 10.0  # above the ring's median sector: no count fluctuates so far
_HOT_TIMES: Final = (
    3.0  # and above it by so many times itself: the first grains of a new phase are bright, not blinding
)
_RIM_SIGMA: Final = 4.0  # the skirt of a spot is cut off where it is lost in the ring
_FEW: Final = 2  # spots in a ring up to which they are strangers; each may lie on the border of two sectors
_OWN: Final = 0.9  # share of a ring's excess that lies in one spot's sectors where the spot is not of the ring
_LIVE: Final = 8  # sectors that must speak for a ring to be judged
_WIDEST: Final = 40  # pixels that the skirt of a spot is followed outwards
_NEAR: Final = 6  # bins to either side that count as the same ring: four pixels, a line and its flanks
_MIN_PIXELS: Final = 4  # for the mean of a cell to speak


@dataclass(frozen=True, slots=True)
class Sectors:
    """Sums over the cells of (sector, bin), each (SECTORS, bins): counts, their normalisation, number of pixels."""

    counts: FloatArray
    norm: FloatArray
    pixels: FloatArray

    def mean(self) -> FloatArray:
        """(SECTORS, bins) normalised intensity; NaN where too few pixels speak."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.pixels >= _MIN_PIXELS, self.counts / self.norm, np.nan)

    def variation(self) -> FloatArray:
        """(bins,) standard deviation over sectors relative to their mean, less what counting explains; 0: unknown."""
        spread2, mean = self._spread2(self.mean())
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = np.sqrt(np.maximum(spread2, 0.0)) / mean
        return np.where(np.isfinite(relative), relative, 0.0)

    def disagreement(self) -> float:
        """How unlike the sectors are: mean relative distance from the median sector, 1 a cell at most; inf: no ring."""
        mean = self.mean()
        enough = np.isfinite(mean).sum(axis=0) >= _LIVE
        if not enough.any():
            return float("inf")
        middle = np.nanmedian(mean[:, enough], axis=0)
        away = np.abs(mean[:, enough] - middle) / np.maximum(middle, 1e-9)
        return float(np.nanmean(np.minimum(away, 1.0)))

    def _spread2(self, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # columns without a live sector: NaN is their answer
            poisson = np.nanmean(np.where(np.isfinite(mean), self.counts / self.norm**2, np.nan), axis=0)
            return np.nanvar(mean, axis=0, ddof=1) - poisson, np.nanmean(mean, axis=0)


class Rings:
    """Which cell of (sector, bin) every pixel falls into, computed once."""

    def __init__(
        self,
        two_theta_deg: FloatArray,
        azimuth_rad: FloatArray,
        norm: NDArray[np.float32],
        mask: NDArray[np.bool_],
        centres_deg: FloatArray,
    ) -> None:
        """Arrays are (rows, columns); centres_deg (bins,), evenly spaced. Pixels outside the bins join the nearest."""
        self.shape = two_theta_deg.shape
        self.bins = len(centres_deg)
        step = (centres_deg[-1] - centres_deg[0]) / (self.bins - 1)
        ring = np.clip(np.rint((two_theta_deg - centres_deg[0]) / step), 0, self.bins - 1).astype(np.int64)
        self._ring = ring.reshape(-1)
        self._cell = _sector(self._ring, azimuth_rad.reshape(-1), self.bins) * self.bins + self._ring
        self._norm = norm.reshape(-1).astype(np.float64)
        live = ~mask.reshape(-1)
        self._live_norm = self._bincount(self._cell[live], self._norm[live])
        self._live_pixels = self._bincount(self._cell[live])
        self._always = mask.reshape(-1)

    def sectors(self, signal: NDArray[np.float32], unmeasured: NDArray[np.bool_]) -> Sectors:
        """Cell sums of a frame; signal is 0 where unmeasured. Both (rows, columns)."""
        lost = np.flatnonzero(unmeasured.reshape(-1) & ~self._always)
        cells = self._cell[lost]
        return Sectors(
            counts=self._bincount(self._cell, signal.reshape(-1)),
            norm=self._live_norm - self._bincount(cells, self._norm[lost]),
            pixels=self._live_pixels - self._bincount(cells),
        )

    def without(self, sectors: Sectors, signal: NDArray[np.float32], pixels: NDArray[np.int64]) -> Sectors:
        """The same sums less these pixels (flat indices)."""
        cells = self._cell[pixels]
        return Sectors(
            counts=sectors.counts - self._bincount(cells, signal.reshape(-1)[pixels]),
            norm=sectors.norm - self._bincount(cells, self._norm[pixels]),
            pixels=sectors.pixels - self._bincount(cells),
        )

    def spikes(
        self, signal: NDArray[np.float32], sectors: Sectors, saturated: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """Flat indices of pixels that are no powder: saturated spots with their skirts, and spots that stand alone.

        A spot is 10 sigma, and three times itself, above the median of its ring's sectors. It stands alone where
        such pixels, within 6 bins, gather in at most 2 places of at most 2 of the 24 sectors each, or where it and
        the sector beside it hold nine tenths of what the ring has above its median. A spotty powder has spots in
        more sectors, and keeps them all. Skirts are followed outwards until they are lost in the ring. A ring of which
        too little is on the detector to have a median, as in its corners, is held to the nearest one that has, and all
        its spots are strangers.

        Measured on 30 simulated rings each, log-normal grains (sigma 0.5 and 1), radii spread by 3 bins sigma: of 12
        grains 0.4 % of the intensity is lost, of 20 or more below 0.2 %, of 8 3 %, of 5 6 %, of 3 a quarter; with radii
        spread by 7 bins 12 grains lose 5 %.
        """
        mean = sectors.mean()
        live = np.isfinite(mean).sum(axis=0)
        judged = live >= _LIVE
        level = _everywhere(_median(mean), judged)
        sigma = np.sqrt(np.maximum(level, 1.0))
        flat = signal.reshape(-1)
        threshold = (level + np.maximum(_HOT_SIGMA * sigma, _HOT_TIMES * level)).astype(np.float32)
        rim = (level + _RIM_SIGMA * sigma).astype(np.float32)
        hot = np.flatnonzero(flat > threshold[self._ring])
        found = np.zeros(0, dtype=np.int64)
        if len(hot):
            alone = self._few_spots(hot) | ~judged
            centres = hot[alone[self._ring[hot]] | _dominant(mean, level).reshape(-1)[self._cell[hot]]]
            found = self._with_skirts(centres, flat, rim)
        if saturated is not None and saturated.any():
            burnt = self._neighbours(np.flatnonzero(saturated.reshape(-1)))
            found = np.union1d(found, self._with_skirts(burnt, flat, rim))
        return found

    def _with_skirts(
        self, centres: NDArray[np.int64], flat: NDArray[np.float32], rim: NDArray[np.float32]
    ) -> NDArray[np.int64]:
        """The pixels and what hangs together with them above the rim, at most _WIDEST pixels outwards."""
        inside = np.zeros(flat.shape, dtype=bool)
        inside[centres] = True
        edge = centres
        for _ in range(_WIDEST):
            edge = self._neighbours(edge)
            edge = edge[~inside[edge]]
            edge = edge[flat[edge] > rim[self._ring[edge]]]
            if not len(edge):
                break
            inside[edge] = True
        return np.flatnonzero(inside)

    def _few_spots(self, hot: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(bins,) whether hot pixels within _NEAR bins of a ring gather in so few places that they are no powder's."""
        seen = np.zeros((SECTORS, self.bins + 2 * _NEAR), dtype=bool)
        cells = self._cell[hot]
        for shift in range(2 * _NEAR + 1):
            seen[cells // self.bins, cells % self.bins + shift] = True
        seen = seen[:, _NEAR : _NEAR + self.bins]
        places = (seen & ~np.roll(seen, 1, axis=0)).sum(axis=0)
        return np.asarray((places <= _FEW) & (seen.sum(axis=0) <= 2 * _FEW))

    def _neighbours(self, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The pixels and the eight around each, inside the frame."""
        rows, columns = self.shape
        row, column = np.divmod(pixels, columns)
        near = [
            np.clip(row + down, 0, rows - 1) * columns + np.clip(column + right, 0, columns - 1)
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
        ]
        return np.unique(np.concatenate(near)) if len(pixels) else pixels

    def _bincount(self, cells: NDArray[np.int64], weights: NDArray[np.floating] | None = None) -> FloatArray:
        sums = np.bincount(cells, weights=weights, minlength=SECTORS * self.bins)
        return sums.reshape(SECTORS, self.bins).astype(np.float64)


def _sector(ring: NDArray[np.int64], azimuth_rad: FloatArray, bins: int) -> NDArray[np.int64]:
    """Sector of each pixel, all flat: what the detector sees of a ring, cut into SECTORS parts of as many pixels each.

    Of a ring that is all on the detector these are equal angles; of one that is seen in part, equal parts of that part.
    """
    order = np.lexsort((azimuth_rad, ring))
    number = np.bincount(ring, minlength=bins)
    start = np.concatenate(([0], np.cumsum(number)[:-1]))
    place = np.arange(len(ring)) - start[ring[order]]
    sector = np.empty(len(ring), dtype=np.int64)
    sector[order] = place * SECTORS // np.maximum(number[ring[order]], 1)
    return sector


def _dominant(mean: FloatArray, level: FloatArray) -> NDArray[np.bool_]:
    """(SECTORS, bins) True for the two sectors (a spot may lie on their border) that outshine the rest of a ring."""
    excess = np.maximum(np.nan_to_num(mean) - np.where(np.isfinite(level), level, np.inf), 0.0)
    excess = _box(excess, _NEAR)
    pair = excess + np.roll(excess, -1, axis=0)
    first = np.argmax(pair, axis=0)
    ring = np.arange(mean.shape[1])
    own = pair[first, ring] > _OWN * excess.sum(axis=0)
    result = np.zeros(mean.shape, dtype=bool)
    result[first, ring] = own
    result[(first + 1) % SECTORS, ring] = own
    return result


def _box(values: FloatArray, reach: int) -> FloatArray:
    """Running sums over `reach` bins to either side, along the last axis."""
    sums = np.cumsum(np.pad(values, ((0, 0), (reach + 1, reach))), axis=1)
    return np.asarray(sums[:, 2 * reach + 1 :] - sums[:, : -2 * reach - 1])


def _everywhere(level: FloatArray, judged: NDArray[np.bool_]) -> FloatArray:
    """(bins,) the level where it was judged, and between and beyond these the nearest ones'; inf where none was."""
    ring = np.flatnonzero(judged)
    return np.interp(np.arange(len(level)), ring, level[ring]) if len(ring) else np.full(len(level), np.inf)


def _median(mean: FloatArray) -> FloatArray:
    """Median over the sectors that are not NaN, (bins,): np.nanmedian without its price (NaN sorts last)."""
    ordered = np.sort(mean, axis=0)
    number = np.isfinite(mean).sum(axis=0)
    pick = np.arange(mean.shape[1])
    low, high = np.maximum((number - 1) // 2, 0), np.minimum(number // 2, mean.shape[0] - 1)
    return np.asarray(0.5 * (ordered[low, pick] + ordered[high, pick]))
