"""Where lines stand out: the matched filter of a pattern, and the peaks in it.

A kernel that is blind to level, slope and curvature keeps what is left of the background from speaking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.inference.background import smoothed
from rocksalt.values import FloatArray

MASKED: Final = 1e100  # variance from which on a point was not measured
_BLIND: Final = 400.0  # of the usual variance, where the filter bridges what was not measured
_SHOULDER: Final = 0.03  # share of a strong line's area that its imperfect shape may fake within its reach


@dataclass(frozen=True, slots=True)
class Response:
    """Area of the line that the data would have at each point, with its sigma.

    area, sigma   (n,) intensity times degrees; sigma holds noise, what the filter scatters by where nothing stands, and
                  the shoulders of strong neighbours
    fwhm_deg      width of the line that the filter looks for
    excess        scatter of the filtered data over the expected one; 1 for white noise on a smooth background
    """

    area: FloatArray
    sigma: FloatArray
    fwhm_deg: float
    excess: float


@dataclass(frozen=True, slots=True)
class Peak:
    """A local maximum of the response: where (index, degrees), its area and how many sigma it stands out."""

    index: int
    two_theta_deg: float
    area: float
    significance: float


def matched(net: FloatArray, variance: FloatArray, step: float, fwhm: float) -> Response:
    """Matched filter of `net` (n,) for lines of `fwhm` degrees on points `step` degrees apart; see MASKED."""
    kernel, gain = _kernel(step, fwhm)
    masked = variance >= MASKED
    if masked.any():
        net = np.where(masked, 0.0, net)
        variance = np.where(masked, _BLIND * np.median(variance[~masked]), variance)
    area = np.convolve(net, kernel, mode="same") / gain
    noise = np.sqrt(np.maximum(np.convolve(variance, kernel**2, mode="same"), 1e-300)) / gain
    edge = kernel.size // 2
    area[:edge] = 0.0
    area[-edge:] = 0.0
    quiet = np.abs(area[edge:-edge] / noise[edge:-edge])
    # 0.385 is the 30 % quantile of |normal|: deaf to peaks that fill up to half of the pattern
    excess = max(1.0, float(np.quantile(quiet, 0.3)) / 0.385) if quiet.size else 1.0
    shoulder = _SHOULDER * _highest(np.maximum(area, 0.0), max(1, round(3.0 * fwhm / step)))
    near = _highest(np.maximum(area, 0.0), max(1, round(0.6 * fwhm / step)))
    foreign = np.where(near * _SHOULDER < shoulder * 0.999, shoulder, 0.0)
    return Response(area, np.hypot(noise * excess, foreign), fwhm, excess)


def best_width(net: FloatArray, variance: FloatArray, step: float, span: float) -> tuple[float, float]:
    """FWHM in degrees of the lines that stand out most (median, narrow ones); a middling one where nothing does."""
    narrowest, widest = 2.5 * step, max(4.0 * step, min(0.8, span / 60.0))
    ladder = np.geomspace(narrowest, widest, 9)
    best, width = 0.0, float(np.sqrt(narrowest * widest))
    for fwhm in ladder:
        kernel, _ = _kernel(step, float(fwhm))
        edge = kernel.size // 2
        area = np.convolve(net, kernel, mode="same")[edge:-edge]
        noise = np.sqrt(np.maximum(np.convolve(variance, kernel**2, mode="same"), 1e-300))[edge:-edge]
        if area.size < 20:
            break
        standing = area / noise
        score = 0.0
        for _ in range(4):  # the four strongest, each counted once
            at = int(np.argmax(standing))
            score += max(float(standing[at]), 0.0)
            standing[max(0, at - 2 * edge) : at + 2 * edge] = 0.0
        if score > best * 1.02:
            best, width = score, float(fwhm)
    if best <= 20.0:
        middling = float(np.sqrt(narrowest * widest))
        return middling, middling
    guess, _ = measured_width(net, variance, step, width, narrowest)
    return measured_width(net, variance, step, guess, narrowest)


def measured_width(
    net: FloatArray, variance: FloatArray, step: float, guess: float, least: float
) -> tuple[float, float]:
    """FWHM (degrees) of the six strongest peaks 12 sigma out: their median, and their lowest fifth; else `guess`."""
    fine = smoothed(net, max(0, round(0.07 * guess / step)))
    left = fine.copy()
    widths = []
    span = max(4, round(2.5 * guess / step))
    for _ in range(6):
        at = int(np.argmax(left))
        low, high = max(0, at - span), min(net.size, at + span + 1)
        outer = max(1, span // 3)
        level = min(float(np.median(fine[low : low + outer])), float(np.median(fine[high - outer : high])))
        top = float(fine[at]) - level
        if top < 12.0 * np.sqrt(variance[at]) / np.sqrt(max(1.0, 0.14 * guess / step)):
            break
        below = fine[low:high] < level + 0.5 * top
        before, after = np.flatnonzero(below[: at - low]), np.flatnonzero(below[at - low :])
        if before.size and after.size:
            widths.append(step * (after[0] + at - low - before[-1] - 1))
        left[low:high] = -np.inf
    if not widths:
        return guess, guess
    return max(float(np.median(widths)), least), max(float(np.quantile(widths, 0.2)), least)


def peaks(response: Response, two_theta: FloatArray, least: float) -> list[Peak]:
    """Peaks of at least `least` sigma, strongest area first; a peak within 0.7 FWHM of a larger one is its shoulder."""
    step = float(two_theta[1] - two_theta[0])
    z = response.area / response.sigma
    reach = max(1, round(0.7 * response.fwhm_deg / step))
    top = _highest(response.area, reach)
    at = np.flatnonzero((response.area >= top) & (z > least))
    found = [Peak(int(i), float(two_theta[i]), float(response.area[i]), float(z[i])) for i in at]
    return sorted(found, key=lambda peak: -peak.area)


def highest_within(values: FloatArray, reach: int) -> FloatArray:
    """Running maximum over 2 * reach + 1 points. (n,) -> (n,)."""
    return _highest(values, reach)


def _highest(values: FloatArray, reach: int) -> FloatArray:
    from scipy.ndimage import maximum_filter1d

    return np.asarray(maximum_filter1d(values, 2 * reach + 1, mode="nearest"))


def _kernel(step: float, fwhm: float) -> tuple[FloatArray, float]:
    """A Gaussian less the parabola that fits it best over 2.6 FWHM to either side; its answer to unit area."""
    half = max(4, int(np.ceil(2.6 * fwhm / step)))
    x = np.arange(-half, half + 1) * (step / fwhm)
    shape = np.exp(-4.0 * np.log(2.0) * x * x)
    line = shape / (shape.sum() * step)
    bowl = x * x - (x * x).mean()
    kernel = shape - shape.mean()
    kernel = kernel - (kernel @ bowl) / (bowl @ bowl) * bowl
    return kernel, float(kernel @ line)
