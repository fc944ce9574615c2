"""Two lines of one ruby on a smooth ground, fitted: the shape alone, without a word on what it means.

Places and widths are found by least squares; heights and ground follow from them linearly at every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.crystals.gauges import ruby_line_nm
from rocksalt.inference.background import smoothed, under_peaks
from rocksalt.inference.sensor_noise import SensorNoise, from_roughness
from rocksalt.values import FloatArray, Measured, Spectrum

_SPLITTING_PER_CM: Final = 29.7  # R1 to R2, hardly moved by pressure: from memory of the literature, unconfirmed
_SPLITTING_WITHIN: Final = 6.0  # 1/cm: uniaxial stress moves it (a judgement)
_BOLTZMANN_PER_CM_K: Final = 0.6950348  # k/hc, SI 2019
_WARM_RATIO: Final = (0.65, 300.0)  # height of R2 over R1 at 300 K: from memory of the literature, unconfirmed
_WIDTHS_NM: Final = (0.03, 2.5)
_REACH_NM: Final = 6.0
_LEAST_PIXELS: Final = 40
_GROUND: Final = 4  # coefficients of the ground
_SEARCH_NM: Final = (-1.0, 60.0)  # about the unloaded R1: down to -3 GPa, up to 150
_SEEN: Final = 5.0  # sigmas of the smoothed spectrum at which a line is worth fitting
_ROUNDS: Final = 3
_PIXEL_SHARE: Final = 0.02
"""Share of a pixel below which no line's place is known: gains and slits differ inside a pixel too (a judgement)."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: the strongest line, its rough width, and how many pixels near it are at full scale."""

    nm: float
    width_nm: float
    saturated: int


@dataclass(frozen=True, slots=True)
class Doublet:
    """The fitted lines. misfit: rms of what is left, smoothed over a third of a width, over R1's height; chi2_slow:
    the same against what noise would leave of it."""

    r1_nm: Measured
    r2_nm: Measured
    width_nm: Measured
    splitting_per_cm: float
    ratio: float
    ratio_sigma: float
    signal: float
    chi2: float
    chi2_slow: float
    misfit: float
    at_bound: bool
    noise: SensorNoise


def expected_ratio(kelvin: float) -> float:
    """Height of R2 over R1: the upper level's population (Boltzmann over 29.7 1/cm), scaled to 300 K."""
    warm, at_k = _WARM_RATIO
    return warm * exp(-_SPLITTING_PER_CM / _BOLTZMANN_PER_CM_K * (1.0 / max(kelvin, 1.0) - 1.0 / at_k))


def strongest_line(spectrum: Spectrum, dark: Spectrum | None, kelvin: float) -> Start | None:
    """The strongest line where a ruby's could be, or None."""
    nm = spectrum.wavelength_nm
    light, usable = _light(spectrum, dark, with_saturated=True)
    home = ruby_line_nm(kelvin)
    inside = (nm > home + _SEARCH_NM[0]) & (nm < home + _SEARCH_NM[1])
    if inside.sum() < _LEAST_PIXELS:
        return None
    step = float(np.diff(nm).mean())
    filled = _bridged(light, usable)
    ground = under_peaks(filled, max(round(3.0 / step), 4), max(round(0.5 / step), 1))
    best: tuple[float, int, float] | None = None
    for width_nm in (0.06, 0.2, 0.6):
        half = max(round(0.5 * width_nm / step), 0)
        curve = smoothed(filled - ground, half)
        if half == 0:
            curve = filled - ground
        lag = 2 * half + 1
        differences = curve[2 * lag :] - 2.0 * curve[lag:-lag] + curve[: -2 * lag]
        sigma = 1.4826 * float(np.median(np.abs(differences - np.median(differences)))) / np.sqrt(6.0)
        place = int(np.argmax(np.where(inside, curve, -np.inf)))
        seen = (float(curve[place]) - float(np.median(curve[inside]))) / max(sigma, 1e-9)
        if best is None or seen > 1.2 * best[0]:
            best = (seen, place, float(curve[place]))
    assert best is not None
    seen, place, height = best
    if seen < _SEEN:
        return None
    above = smoothed(filled - ground, max(round(0.03 / step), 0)) > 0.5 * height
    low = high = place
    while low > 0 and above[low - 1]:
        low -= 1
    while high < nm.size - 1 and above[high + 1]:
        high += 1
    width = float(np.clip(nm[high] - nm[low], 0.06, 1.2))
    near = (nm > nm[place] - 1.6 - width) & (nm < nm[place] + width)
    return Start(float(nm[place]), width, int((spectrum.saturated & near).sum()))


def fit_doublet(spectrum: Spectrum, dark: Spectrum | None, start: Start, kelvin: float) -> Doublet | None:
    """The doublet whose stronger line is near `start`. None where no fit can be had."""
    nm = spectrum.wavelength_nm
    light, usable = _light(spectrum, dark)
    inside = (nm > start.nm - 1.5 - _REACH_NM) & (nm < start.nm + _REACH_NM)
    if (inside & usable).sum() < _LEAST_PIXELS:
        return None
    fit = _Fit(nm[inside], light[inside], usable[inside], start)
    free = fit.best(single=False)
    if free is None:
        return None
    if free.ratio < 3.0 * free.ratio_sigma:  # nothing tells where a line that can't be seen stands, and how wide it is
        return fit.best(single=True) or free
    return free


class _Fit:
    """One window. Parameters: R1 in nm, splitting in 1/cm, ln of R1's width, ln of R2's over R1's, Lorentzian share."""

    def __init__(self, nm: FloatArray, light: FloatArray, usable: NDArray[np.bool_], start: Start) -> None:
        self.nm, self.light, self.usable, self.start = nm, light, usable, start
        x = (nm - nm.mean()) / (np.ptp(nm) / 2.0)
        self.ground = np.stack([x**power for power in range(_GROUND)], axis=1)
        self.variance = np.ones_like(nm)

    def best(self, *, single: bool) -> Doublet | None:
        from scipy.optimize import least_squares

        start = self.start
        tight = 1e-6
        split = tight if single else _SPLITTING_WITHIN
        apart = tight if single else 0.5
        narrow, wide = np.log(_WIDTHS_NM)
        lower = np.array([start.nm - 0.8, _SPLITTING_PER_CM - split, narrow, -apart, 0.0])
        upper = np.array([start.nm + 0.8, _SPLITTING_PER_CM + split, wide, apart, 1.0])
        at = np.array([start.nm, _SPLITTING_PER_CM, np.log(start.width_nm), 0.0, 0.7])
        noise = SensorNoise(1.0, 0.0)
        for _ in range(_ROUNDS):
            found = least_squares(self._residual, at, bounds=(lower, upper), x_scale=[0.02, 1.0, 0.1, 0.1, 0.2])
            at = np.clip(found.x, lower + 1e-9, upper - 1e-9)
            columns, heights = self._solved(at)
            model = columns @ heights
            above = np.maximum(model - model.min(), 0.0)
            noise = from_roughness(above, self.light - model, usable=self.usable)
            self.variance = np.maximum(noise.variance(above), 1e-3)
            left = (self.light - model) / np.sqrt(self.variance)
            self.usable = self.usable & ~_spikes(left)
        return self._told(at, noise, lower, upper, single=single)

    def _told(
        self, at: FloatArray, noise: SensorNoise, lower: FloatArray, upper: FloatArray, *, single: bool
    ) -> Doublet | None:
        columns, heights = self._solved(at)
        keep, sigma = self.usable, np.sqrt(self.variance)
        left = (self.light - columns @ heights)[keep] / sigma[keep]
        free = [0, 2, 4] if single else [0, 1, 2, 3, 4]
        degrees = max(int(keep.sum()) - len(free) - heights.size, 1)
        chi2 = float(left @ left) / degrees
        slopes = []
        for place in free:
            step = 1e-5
            moved = at.copy()
            moved[place] += step
            slopes.append((self._columns(moved) - self._columns(at)) @ heights / step)
        jacobian = np.concatenate([np.stack(slopes, axis=1), columns], axis=1)[keep] / sigma[keep, None]
        # Where a bound holds a parameter, the others' errors are those of a fit that leaves it free: never too small.
        covariance = np.linalg.pinv(jacobian.T @ jacobian, rcond=1e-14) * max(chi2, 1.0)
        errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        errors[0] = np.hypot(errors[0], _PIXEL_SHARE * float(np.diff(self.nm).mean()))
        first, second = len(free), len(free) + 1
        if not (np.all(np.isfinite(errors)) and heights[0] > 0.0):
            return None
        ratio = float(heights[1] / heights[0])
        ratio_sigma = float(errors[second] / heights[0])
        per_cm = float(at[1])
        r2 = 1.0 / (1.0 / at[0] + 1e-7 * per_cm)
        r2_sigma = float(errors[0] if single else np.hypot(errors[0], errors[1] * 1e-7 * at[0] ** 2))
        width, width_at = float(np.exp(at[2])), free.index(2)
        rough = max(round(0.15 * width / float(np.diff(self.nm).mean())), 1)
        smooth = smoothed(np.where(keep, self.light - columns @ heights, 0.0), rough)
        near = np.abs(self.nm - 0.5 * (at[0] + r2)) < 2.2 + width
        # What is left is looked at over a line's width too: a misfit that no single pixel shows.
        slow = smoothed(np.where(keep, (self.light - columns @ heights) / sigma, 0.0), rough)[near]
        chi2_slow = float(np.mean(slow**2)) * (2 * rough + 1)
        misfit = float(np.sqrt(np.mean(smooth[near] ** 2)) / heights[0])
        away = min(float(at[1] - lower[1]), float(upper[1] - at[1]))
        return Doublet(
            Measured(float(at[0]), float(errors[0])), Measured(float(r2), r2_sigma),
            Measured(width, width * float(errors[width_at])), per_cm, ratio, ratio_sigma,
            float(heights[0] / max(errors[first], 1e-12)), chi2, chi2_slow, misfit,
            not single and away < 0.02, noise,
        )  # fmt: skip

    def _columns(self, at: FloatArray) -> FloatArray:
        r1, per_cm, log_width, log_ratio, share = at
        r2 = 1.0 / (1.0 / r1 + 1e-7 * per_cm)
        width = np.exp(log_width)
        lines = [_line(self.nm - r1, width, share), _line(self.nm - r2, width * np.exp(log_ratio), share)]
        return np.concatenate([np.stack(lines, axis=1), self.ground], axis=1)

    def _solved(self, at: FloatArray) -> tuple[FloatArray, FloatArray]:
        columns = self._columns(at)
        weight = self.usable / np.sqrt(self.variance)
        heights, *_ = np.linalg.lstsq(columns * weight[:, None], self.light * weight, rcond=None)
        return columns, np.asarray(heights)

    def _residual(self, at: FloatArray) -> FloatArray:
        columns, heights = self._solved(at)
        return np.asarray((self.light - columns @ heights) * self.usable / np.sqrt(self.variance))


def _line(away_nm: FloatArray, width_nm: float, share: float) -> FloatArray:
    """Pseudo-Voigt of height 1: Lorentzian and Gaussian of one full width at half maximum, `share` Lorentzian."""
    square = (2.0 * away_nm / width_nm) ** 2
    return np.asarray(share / (1.0 + square) + (1.0 - share) * np.exp(-np.log(2.0) * square))


def _light(
    spectrum: Spectrum, dark: Spectrum | None, *, with_saturated: bool = False
) -> tuple[FloatArray, NDArray[np.bool_]]:  # fmt: skip
    """Counts above the dark, and which pixels are to be believed."""
    light = spectrum.counts - (0.0 if dark is None else dark.counts)
    usable = np.isfinite(light)
    if not with_saturated:
        usable &= ~spectrum.saturated
    differences = np.diff(light, 2)
    sigma = 1.4826 * float(np.median(np.abs(differences))) / np.sqrt(6.0)
    return light, usable & ~_spikes((light - _median(light)) / max(sigma, 1e-9))


def _spikes(left: FloatArray) -> NDArray[np.bool_]:
    """Pixels that stand out alone, up or down, by 8 sigma: hot ones. A line's neighbours stand out with it."""
    beside = np.maximum(np.abs(np.roll(left, 1)), np.abs(np.roll(left, -1)))
    return np.asarray((np.abs(left) > 8.0) & (beside < 0.3 * np.abs(left)))


def _median(values: FloatArray) -> FloatArray:
    padded = np.pad(values, 3, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 7), axis=1))


def _bridged(light: FloatArray, usable: NDArray[np.bool_]) -> FloatArray:
    if usable.all() or not usable.any():
        return light
    pixel = np.arange(light.size)
    return np.asarray(np.interp(pixel, pixel[usable], light[usable]))
