"""Where a phase may be: its comb of lines is slid over the matched filter's response, through all cells it may have.

Evidence grows with the logarithm of a line's significance, so that one huge line never speaks for a phase; it falls for
lines that ought to be there and are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.inference.response import Response, highest_within
from rocksalt.inference.templates import Template
from rocksalt.values import FloatArray

_SEEN: Final = 3.0  # sigma from which a line counts as seen
_SLACK: Final = 0.7  # spread of ln(observed / calculated) that texture is granted before intensities speak against
_LOST: Final = 8.0  # the most that one absent line can
_CAP: Final = 4.5  # the most that one line's intensity can speak against


@dataclass(frozen=True, slots=True)
class Place:
    """A cell (angstrom) that a phase may have, with the evidence for it in nats, and the zero it was found with."""

    template: Template
    a: float
    evidence: float
    shift_deg: float = 0.0


def weigh(area: FloatArray, sigma: FloatArray, strength: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Evidence of each line and the scale, for areas (..., m) with sigmas, against calculated strengths (..., m).

    Lines outside the pattern are NaN and say nothing. Returns (..., m) nats and (...,) scale.
    """
    there = np.isfinite(area)
    z = np.where(there, area / sigma, 0.0)
    seen = np.where(there, np.maximum(area, sigma), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(seen / strength)
        share = np.where(there, np.sqrt(strength / np.nanmax(strength, axis=-1, keepdims=True)), 0.0)
    scale = np.exp(_weighted_median(logs, share))
    expected = scale[..., None] * strength
    expected_z = np.where(there, expected / np.where(there, sigma, 1.0), 0.0)
    heard = np.minimum(np.maximum(z, 0.0), 4.0 * expected_z)  # more than that belongs to somebody else
    gain = np.where(z > 1.5, np.log1p(0.5 * heard**2), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.log(np.maximum(heard, 1e-3) / np.maximum(expected_z, 1e-3)) / _SLACK
    against = np.where(z >= _SEEN, np.minimum(0.5 * off**2, _CAP), 0.0)
    short = np.clip(1.0 - np.maximum(z, 0.0) / np.maximum(0.3 * expected_z, 1e-9), 0.0, 1.0)
    missing = np.where(
        z < np.maximum(_SEEN, 0.15 * expected_z), short * np.minimum(0.5 * (0.5 * expected_z) ** 2, _LOST), 0.0
    )
    return np.where(there, gain - against - missing, 0.0), scale


def places(
    template: Template,
    response: Response,
    two_theta: FloatArray,
    wavelength: float,
    tolerance_deg: float,
    keep: int,
    window: tuple[float, float] | None = None,
    shift_deg: float = 0.0,
) -> list[Place]:
    """The `keep` best cells of one phase, best first.

    Lines may stand `tolerance_deg` off their place (zero, displacement, doublet), all of them shifted by `shift_deg`.
    `window` narrows the cells (angstrom).
    """
    low, high = (template.a_low, template.a_high) if window is None else window
    top = float(two_theta[-1])
    step = float(two_theta[1] - two_theta[0])
    # at the last line that counts, a step of the cell moves it by a third of its width
    reach = 2.0 * np.degrees(np.tan(np.radians(min(top, 100.0) / 2.0)))
    grid = np.exp(np.arange(np.log(low), np.log(high), max(0.33 * response.fwhm_deg, 0.5 * tolerance_deg) / reach))
    if grid.size == 0:
        grid = np.array([np.sqrt(low * high)])
    angle = template.two_theta(grid, wavelength) + shift_deg
    edge = 2.5 * response.fwhm_deg
    inside = (angle > two_theta[0] + edge) & (angle < top - edge)
    index = np.clip(np.rint((np.nan_to_num(angle) - two_theta[0]) / step).astype(int), 0, two_theta.size - 1)
    area = highest_within(response.area, max(0, round(tolerance_deg / step)))
    found = np.where(inside, area[index], np.nan)
    sigma = response.sigma[index]
    usable = inside.sum(axis=1) >= 2
    if not usable.any():
        return []
    strength = np.array([template.strengths(float(a)) for a in grid[:: max(1, grid.size // 8)]])
    rows = np.minimum(np.arange(grid.size) // max(1, grid.size // 8), strength.shape[0] - 1)
    # the filter sees areas on a scale of degrees; calculated strengths share it, as the lines' widths are about equal
    evidence, _ = weigh(found, sigma, strength[rows])
    total = np.where(usable, evidence.sum(axis=1), -np.inf)
    result: list[Place] = []
    apart = max(1, round(2.0 * response.fwhm_deg / (max(0.33 * response.fwhm_deg, 0.5 * tolerance_deg))))
    for _ in range(keep):
        best = int(np.argmax(total))
        if not np.isfinite(total[best]):
            break
        result.append(Place(template, float(grid[best]), float(total[best]), shift_deg))
        total[max(0, best - apart) : best + apart + 1] = -np.inf
    return result


def _weighted_median(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Along the last axis; NaN values have no weight. (..., m) -> (...,)."""
    filled = np.where(np.isfinite(values), values, 1e9)
    weights = np.where(np.isfinite(values), weights, 0.0)
    order = np.argsort(filled, axis=-1)
    running = np.cumsum(np.take_along_axis(weights, order, axis=-1), axis=-1)
    middle = (running >= 0.5 * running[..., -1:]).argmax(axis=-1)
    chosen = np.take_along_axis(filled, np.take_along_axis(order, middle[..., None], axis=-1), axis=-1)[..., 0]
    return np.asarray(np.where(chosen > 1e8, 0.0, chosen))
