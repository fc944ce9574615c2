"""A pattern made ready to be judged: its noise, its baseline, the width of its lines and the peaks that stand out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.inference import background, noise, radiation, response
from rocksalt.inference.columns import Data
from rocksalt.inference.response import Peak, Response
from rocksalt.values import FloatArray, Observation

BoolArray = NDArray[np.bool_]

_PEAK: Final = 5.0  # sigma from which something stands above noise
_ROOM: Final = 0.6  # of the lowest line's angle: what is below is none of our business
_LONE: Final = 1.3  # spread over sectors relative to the mean, from which a peak is one spot
_MARGIN_DEG: Final = 0.02


@dataclass(frozen=True, slots=True)
class Sight:
    """A pattern prepared: what all hypotheses are fitted to and judged by.

    over_stated, reweighted   `noise.Scatter`'s
    stressed                  whether to fit a uniaxial stress: where the salt is known, in a monochromatic beam
    """

    data: Data
    response: Response
    peaks: tuple[Peak, ...]
    radiations: tuple[radiation.Radiation, ...]
    width: float
    narrow: float
    over_stated: float
    reweighted: bool
    stressed: bool = False

    @property
    def step(self) -> float:
        """Distance of two points, degrees."""
        return float(self.data.two_theta[1] - self.data.two_theta[0])

    @property
    def strongest(self) -> float:
        """Area of the strongest peak; 0 where there is none."""
        return self.peaks[0].area if self.peaks else 0.0


def prepare(observation: Observation, lowest_angstrom_inverse: float = 0.0) -> Sight | str:
    """Noise, baseline, width and peaks of the pattern; a sentence where there is nothing to look at.

    `lowest_angstrom_inverse` is 1/d of the lowest line that anybody will look for: the shadow and the glare around the
    beam stop, well below it, are left out.
    """
    pattern = observation.pattern
    readings = radiation.readings_of(pattern.wavelength_angstrom)
    scatter = noise.judge(pattern, _ROOM * _angle(lowest_angstrom_inverse, pattern.wavelength_angstrom))
    if scatter is None:
        return "fewer than 50 points of the pattern were measured"
    x, y = scatter.two_theta_deg, scatter.intensity
    if float(np.ptp(y[scatter.measured])) <= 1e-9 * max(1.0, float(np.abs(y).max())):
        return "nothing diffracts: the intensity is the same everywhere"
    step, span = float(x[1] - x[0]), float(x[-1] - x[0])
    reach = int(min(1.5, 0.04 * span) / step)
    lone = lone_spots(scatter, y - background.under_peaks(y, reach, 2), step)
    measured = scatter.measured & ~lone
    if int(measured.sum()) < max(50, x.size // 4):
        return "spots of single crystals cover most of the pattern"
    y = np.interp(x, x[measured], y[measured])
    base = background.under_peaks(y, reach, 2)
    width, narrow = response.best_width(y - base, scatter.variance, step, span)
    base = background.under_peaks(y, max(8, int(6.0 * width / step)), max(1, int(0.2 * width / step)))
    net = np.where(measured, y - base, 0.0)
    answer = response.matched(net, np.where(measured, scatter.variance, response.MASKED), step, width)
    found = tuple(response.peaks(answer, x, _PEAK))
    if not found:
        return "nothing diffracts: no peak stands five sigma above the scatter of the pattern"
    variance = np.where(measured, scatter.variance * min(answer.excess**2, 4.0), response.MASKED)
    data = Data(x, net, variance, background.splines(x.size, 15.0 * width / step))
    return Sight(data, answer, found, readings, width, narrow, scatter.over_stated, scatter.reweighted)


def lone_spots(scatter: noise.Scatter, net: FloatArray, step: float) -> BoolArray:
    """Points where the ring is one spot: its spread over the sectors of azimuth is more than its own mean. (n,).

    With n sectors one spot alone spreads by sqrt(n) times its mean, two by sqrt(n / 2), a powder by much less than one.
    """
    if not scatter.variation.any():
        return np.zeros(net.size, dtype=bool)
    spread = scatter.variation * np.maximum(scatter.intensity, 0.0)
    usual = float(np.median(spread)) + 3.0 * np.sqrt(scatter.variance)
    seed = (spread > _LONE * np.maximum(net, 0.0)) & (spread > 6.0 * usual)
    # the skirt: as long as the ring is less even than a powder's
    skirt = (spread > 0.7 * np.maximum(net, 0.0)) & (spread > 2.0 * usual)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], skirt | seed, [False])).astype(int)))
    lone = np.zeros(net.size, dtype=bool)
    margin = max(1, round(_MARGIN_DEG / step))
    for low, high in zip(edges[::2], edges[1::2], strict=True):
        if seed[low:high].any():
            lone[max(0, low - margin) : high + margin] = True
    return lone


def _angle(inverse: float, wavelength: float) -> float:
    return float(np.degrees(2.0 * np.arcsin(min(0.5 * wavelength * inverse, 1.0))))
