"""What a detector image of a diamond-anvil cell looks like, in numbers: level, rings, spots, unevenness.

Pure functions of an image, what is masked, and where each pixel looks. The same for a real frame and a rendered one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVELS_DEG: Final = tuple(float(angle) for angle in range(4, 22))
SPOT_SIGMA: Final = 6.0
SPOT_CONTRAST: Final = 0.35
"""A spot is at least so much above its surroundings, relative to them: six sigma of the real frame's uneven pixels. A
sensor with evener pixels is not to count what that one would hide."""
SPOT_PIXELS: Final = 3
"""Smallest number of pixels that touch: a grain or a diamond is wider than a pixel, a hot pixel or a zinger isn't."""
_SECTOR_DEG: Final = 5.0
_ANNULUS_DEG: Final = 0.25
_RANGE_DEG: Final = (4.0, 20.0)
_RING_SIGMA: Final = 5.0
_RING_REACH_DEG: Final = 0.6


@dataclass(frozen=True, slots=True)
class Seen:
    """An image with what is needed to judge it: counts, True where not to look, 2 theta (deg) and azimuth (rad) of each
    pixel. All (rows, columns)."""

    counts: FloatArray
    mask: Mask
    two_theta_deg: FloatArray
    azimuth_rad: FloatArray


@dataclass(frozen=True, slots=True)
class Ring:
    """A ring found in the azimuthal profile: height over its surroundings relative to them."""

    two_theta_deg: float
    contrast: float


def levels(seen: Seen, angles_deg: tuple[float, ...] = LEVELS_DEG) -> FloatArray:
    """Median counts within half a degree of each angle, (len(angles),); NaN where too few pixels look."""
    found = np.full(len(angles_deg), np.nan)
    for number, angle in enumerate(angles_deg):
        near = (np.abs(seen.two_theta_deg - angle) < 0.5) & ~seen.mask
        if near.sum() > 500:
            found[number] = float(np.median(seen.counts[near]))
    return found


def profile(seen: Seen, step_deg: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Angles, azimuthal mean and its sigma on a grid; of each annulus the lowest and highest 2 % of the pixels are left
    out, so that a diamond spot makes no ring and a spotty ring keeps most of its grains."""
    use = ~seen.mask & (seen.two_theta_deg > _RANGE_DEG[0]) & (seen.two_theta_deg < _RANGE_DEG[1])
    angle, counts = seen.two_theta_deg[use], seen.counts[use]
    place = ((angle - _RANGE_DEG[0]) / step_deg).astype(np.int64)
    order = np.lexsort((counts, place))
    edges = np.searchsorted(place[order], np.arange(place.max() + 2))
    mean: FloatArray = np.full(edges.size - 1, np.nan)
    sigma: FloatArray = np.full(edges.size - 1, np.nan)
    for number, (first, last) in enumerate(itertools.pairwise(edges.tolist())):
        if last - first < 200:
            continue
        cut = (last - first) // 50
        inner = counts[order[first + cut : last - cut]]
        mean[number], sigma[number] = inner.mean(), inner.std() / np.sqrt(inner.size)
    angles: FloatArray = np.asarray(_RANGE_DEG[0] + (np.arange(mean.size) + 0.5) * step_deg, dtype=np.float64)
    return angles, mean, sigma


def rings(seen: Seen, step_deg: float) -> list[Ring]:
    """Rings that stand out of a straight line between their surroundings by five sigma; step_deg is about a pixel."""
    angle, mean, sigma = profile(seen, step_deg)
    reach = round(_RING_REACH_DEG / step_deg)
    excess, error = np.full(mean.size, np.nan), np.full(mean.size, np.nan)
    for number in range(reach, mean.size - reach):
        window = mean[number - reach : number + reach + 1]
        if np.isnan(window).any():
            continue
        # The lower half of the surroundings is background, whatever else is near.
        x = np.arange(-reach, reach + 1, dtype=np.float64)
        low = np.ones(x.size, dtype=np.bool_)
        for _ in range(4):
            line = np.polyval(np.polyfit(x[low], window[low], 1), x)
            scatter = 1.4826 * float(np.median(np.abs(window[low] - line[low])))
            low = window < line + max(scatter, 1e-12)
        excess[number] = (mean[number] - line[reach]) / line[reach]
        error[number] = np.hypot(sigma[number], scatter) / line[reach]
    found: list[Ring] = []
    half = max(reach // 3, 1)
    for number in range(half, mean.size - half):
        near = excess[number - half : number + half + 1]
        if not np.isnan(near).any() and excess[number] == near.max() and excess[number] > _RING_SIGMA * error[number]:
            found.append(Ring(float(angle[number]), float(excess[number])))
    return found


def _sectors(seen: Seen, annulus_deg: float) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    """Annulus and sector of each pixel, and how many there are."""
    around = round(360.0 / _SECTOR_DEG)
    annulus = (seen.two_theta_deg / annulus_deg).astype(np.int64)
    sector = ((np.degrees(seen.azimuth_rad) % 360.0) / _SECTOR_DEG).astype(np.int64) % around
    return annulus, sector, int(annulus.max()) + 1, around


def _medians(values: FloatArray, group: NDArray[np.int64], groups: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Median, robust sigma and number of the values of each group; NaN for groups of fewer than 20."""
    order = np.lexsort((values, group))
    ranked, owner = values[order], group[order]
    first = np.searchsorted(owner, np.arange(groups + 1))
    number = np.diff(first).astype(np.float64)
    enough = number >= 20
    start = first[:-1][enough]
    size = number[enough].astype(np.int64)
    middle, sigma = np.full(groups, np.nan), np.full(groups, np.nan)
    middle[enough] = ranked[start + size // 2]
    # From the 16th percentile to the middle: the upper side is the spots'.
    sigma[enough] = ranked[start + size // 2] - ranked[start + (size * 0.1587).astype(np.int64)]
    return middle, sigma, number


@dataclass(frozen=True, slots=True)
class Spots:
    """Groups of touching bright pixels a megapixel looked at, the share of all pixels in them, and the share of these
    at or above saturation."""

    per_megapixel: float
    pixel_share: float
    saturated_share: float


def spots(seen: Seen, saturation: float = np.inf) -> Spots:
    """Pixels more than SPOT_SIGMA and SPOT_CONTRAST above the median of their piece of annulus, in groups of at least
    SPOT_PIXELS."""
    from scipy import ndimage

    annulus, sector, many, around = _sectors(seen, _ANNULUS_DEG)
    look = ~seen.mask & (seen.two_theta_deg > _RANGE_DEG[0])
    group = annulus * around + sector
    middle, sigma, _ = _medians(seen.counts[look], group[look], many * around)
    level, spread = middle[group], np.maximum(sigma[group], np.sqrt(np.maximum(middle[group], 1.0)))
    bright = look & (seen.counts > level + np.maximum(SPOT_SIGMA * spread, SPOT_CONTRAST * level))
    label, _ = ndimage.label(bright, structure=np.ones((3, 3)))
    size = np.bincount(label.ravel())
    size[0] = 0
    kept = bright & (size[label] >= SPOT_PIXELS)
    pixels = int(kept.sum())
    saturated = int((seen.counts[kept] >= saturation).sum())
    return Spots(
        1e6 * float((size >= SPOT_PIXELS).sum()) / float(look.sum()),
        pixels / float(look.sum()),
        saturated / max(pixels, 1),
    )


def azimuthal_variance(seen: Seen) -> float:
    """Variance around the ring, relative to the square of its mean, beyond Poisson. Taken over medians of sectors of 5
    degrees; the median over annuli from 4 to 20 degrees is returned. Texture, shadows, a lopsided background; not
    single spots and pixels."""
    annulus, sector, many, around = _sectors(seen, _ANNULUS_DEG)
    look = ~seen.mask & (seen.two_theta_deg > _RANGE_DEG[0]) & (seen.two_theta_deg < _RANGE_DEG[1])
    group = annulus[look] * around + sector[look]
    middle, sigma, number = _medians(seen.counts[look], group, many * around)
    table, error = middle.reshape(many, around), (sigma**2 / np.maximum(number, 1.0)).reshape(many, around)
    found = []
    for row, noise in zip(table, error, strict=True):
        good = np.isfinite(row)
        if good.sum() >= around // 4:
            # A median's variance is pi / 2 times a mean's.
            found.append((row[good].var() - 0.5 * np.pi * noise[good].mean()) / row[good].mean() ** 2)
    return float(np.median(found)) if found else float("nan")


@dataclass(frozen=True, slots=True)
class Statistics:
    """All of them for one image."""

    levels: FloatArray
    rings: tuple[Ring, ...]
    spots: Spots
    azimuthal_variance: float

    @property
    def ring_contrast(self) -> float:
        """Median over the rings found; NaN where there are none."""
        return float(np.median([ring.contrast for ring in self.rings])) if self.rings else float("nan")


def statistics(seen: Seen, step_deg: float, saturation: float = np.inf) -> Statistics:
    """Everything above; step_deg is what a pixel subtends."""
    return Statistics(levels(seen), tuple(rings(seen, step_deg)), spots(seen, saturation), azimuthal_variance(seen))
