"""What an optical sensor's counts scatter by: read-out, electrons, and a gain that differs from pixel to pixel.

The instrument does not say; two spectra of one light, or the roughness that a smooth curve leaves, do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.values import FloatArray, Spectrum

_MEDIAN_OF_CHI2: Final = 0.4549364  # of one degree of freedom
_ROUNDING: Final = 1.0 / 12.0  # variance of a count that was rounded
_BINS, _LEAST_IN_BIN = 24, 12


@dataclass(frozen=True, slots=True)
class SensorNoise:
    """Variance of one exposure's counts, `light` counts above the dark: read^2 + light * per_count + (gain light)^2.

    read_counts   one sigma without light; per_count: counts^2 for each count (one over the electrons in a count)
    gain          relative sigma of the pixels' gain: the same in every spectrum, so averaging leaves it as it is
    """

    read_counts: float
    per_count: float
    gain: float = 0.0

    def variance(self, light: FloatArray, averages: int = 1) -> FloatArray:
        """Of the mean of `averages` exposures, (n,) counts^2 for (n,) counts of light."""
        lit = np.maximum(light, 0.0)
        once = self.read_counts**2 + self.per_count * lit + _ROUNDING
        return np.asarray(once / averages + (self.gain * lit) ** 2)


def from_pairs(lit: tuple[Spectrum, Spectrum], dark: tuple[Spectrum, Spectrum]) -> SensorNoise:
    """From two spectra of one light and two dark ones, all with the same settings. Pixel gains cancel: gain is 0.

    Raises ValueError for spectra that were taken differently.
    """
    first, second = lit
    if len({(one.integration_s, one.averages) for one in (*lit, *dark)}) != 1:
        raise ValueError("spectra tell their noise only if integration and averages are the same in all of them")
    usable = ~(first.saturated | second.saturated | dark[0].saturated | dark[1].saturated)
    light = (0.5 * (first.counts + second.counts - dark[0].counts - dark[1].counts))[usable]
    difference = (first.counts - second.counts)[usable]
    # A lamp that flickers changes all pixels in proportion: that is no pixel's noise.
    bright = light >= np.quantile(light, 0.9)
    flicker = float(difference[bright].sum() / max(float(light[bright].sum()), 1.0))
    square = np.concatenate([difference - flicker * light, (dark[0].counts - dark[1].counts)[usable]]) ** 2
    level = np.concatenate([light, np.zeros_like(light)])
    constant, linear, _ = _fitted(level, 0.5 * square * first.averages, quadratic=False)
    return SensorNoise(float(np.sqrt(constant)), linear)


def from_roughness(light: FloatArray, residual: FloatArray, *, usable: NDArray[np.bool_] | None = None) -> SensorNoise:
    """From what a smooth curve leaves, pixel by pixel in their order: second differences see noise, and no misfit that
    is wider than a few pixels. `light` is the curve, above the dark. Everything counts as one exposure."""
    rough = (residual[:-2] - 2.0 * residual[1:-1] + residual[2:]) ** 2 / 6.0
    keep = np.ones(rough.size, bool) if usable is None else _inner(usable)
    constant, linear, quadratic = _fitted(light[1:-1][keep], rough[keep], quadratic=True)
    return SensorNoise(float(np.sqrt(constant)), linear, float(np.sqrt(quadratic)))


def _inner(usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(usable[:-2] & usable[1:-1] & usable[2:])


def _fitted(light: FloatArray, square: FloatArray, *, quadratic: bool) -> tuple[float, float, float]:
    """Non-negative constant, linear and quadratic part of a variance against light, from medians of bins of light."""
    from scipy.optimize import nnls

    order = np.argsort(light)
    bins = np.array_split(order, max(min(_BINS, light.size // _LEAST_IN_BIN), 1))
    level = np.maximum([float(np.mean(light[part])) for part in bins], 0.0)
    found = np.array([float(np.median(square[part])) for part in bins]) / _MEDIAN_OF_CHI2 - _ROUNDING
    top = max(float(level.max()), 1.0)
    scaled = level / top
    columns = np.stack([np.ones_like(scaled), scaled, scaled**2 if quadratic else np.zeros_like(scaled)], axis=1)
    weight = 1.0 / np.maximum(found, _ROUNDING)  # a variance is known in proportion to itself
    parts, _ = nnls(columns * weight[:, None], np.maximum(found, _ROUNDING) * weight)
    return float(parts[0]), float(parts[1]) / top, float(parts[2]) / top**2
