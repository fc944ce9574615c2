"""The patterns of a run, read back from reduced.h5 for drawing; a file that is missing or torn gives a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from rocksalt.values import FloatArray

_WINDOW: Final = 3  # points: a hot pixel is one
_LEAST_SIGMAS: Final = 25.0  # a line lower than this is drawn lower than the others
_BROAD_DEG: Final = 1.5  # wider than any line, narrower than air and Compton scattering
_NEAR_DEG: Final = 0.06  # of a line's place: within its width
_STRONG: Final = 0.1  # of the strongest line; those below say little about its height


class NoPatterns(Exception):
    """There is nothing to draw; the message is for the report's reader."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """two_theta_deg (n,); intensity (m, n), NaN where nothing was measured; measurement: the m numbers, ascending."""

    two_theta_deg: FloatArray
    intensity: FloatArray
    measurement: tuple[int, ...]
    wavelength_angstrom: float


def read_patterns(path: Path) -> Patterns:
    """All patterns, of each measurement the last one. Raises NoPatterns, with a sentence for a person."""
    if not path.is_file():
        raise NoPatterns(f"{path.name} is missing: no pattern was reduced, or the file was moved away.")
    try:
        return _read(path)
    except (OSError, KeyError, ValueError, TypeError) as error:
        why = f"{path.name} can't be read ({type(error).__name__}): it may be torn, or still be written."
        raise NoPatterns(why) from error


def _read(path: Path) -> Patterns:
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        if "measurement" not in file or not file["measurement"].shape[0]:
            raise NoPatterns(f"{path.name} holds no pattern: no measurement came so far.")
        numbers = np.asarray(file["measurement"][()], dtype=np.int64)
        last = {int(number): row for row, number in enumerate(numbers)}
        measurement = tuple(sorted(last))
        rows = np.asarray(file["intensity"][()], dtype=np.float64)
        two_theta = np.asarray(file["two_theta_deg"][()], dtype=np.float64)
        if rows.ndim != 2 or rows.shape != (numbers.size, two_theta.size) or two_theta.size < 2:
            raise ValueError("shapes do not fit")
        wavelength = float(file["wavelength_angstrom"][()])
        return Patterns(two_theta, rows[[last[number] for number in measurement]], measurement, wavelength)


def rebinned(two_theta_deg: FloatArray, intensity: FloatArray, most: int) -> tuple[FloatArray, FloatArray]:
    """Neighbouring points averaged until at most `most` are left: (k,) and (m, k). All-NaN groups stay NaN."""
    group = -(-two_theta_deg.size // most)
    if group <= 1:
        return two_theta_deg, intensity
    size = two_theta_deg.size // group * group
    angles = two_theta_deg[:size].reshape(-1, group).mean(axis=1)
    blocks = intensity[:, :size].reshape(intensity.shape[0], -1, group)
    known = np.isfinite(blocks)
    count = known.sum(axis=2)
    total = np.where(known, blocks, 0.0).sum(axis=2)
    return angles, np.where(count > 0, total / np.maximum(count, 1), np.nan)


def level(two_theta_deg: FloatArray, intensity: FloatArray) -> FloatArray:
    """One pattern (n,) without what is broad: the lowest fifth of each window, joined up, is taken off."""
    span = float(two_theta_deg[-1] - two_theta_deg[0])
    windows = np.array_split(np.arange(two_theta_deg.size), max(1, min(round(span / _BROAD_DEG), two_theta_deg.size)))
    known = [window[np.isfinite(intensity[window])] for window in windows]
    places = [(float(two_theta_deg[w].mean()), float(np.quantile(intensity[w], 0.2))) for w in known if w.size]
    if not places:
        return intensity
    x, floor = np.array(places).T
    return np.asarray(intensity - np.interp(two_theta_deg, x, floor))


def height_of(two_theta_deg: FloatArray, net: FloatArray, lines: Sequence[tuple[float, float]]) -> float:
    """How high a phase's strongest line stands, from its lines (2 theta, relative strength) together.

    Texture makes a line stronger or weaker than a powder's, and a diamond spot may lie on one or two: the lower middle
    of what the lines say minds neither. 0 where none of them is on the detector.
    """
    heights = []
    for place, strength in lines:
        near = net[np.abs(two_theta_deg - place) < _NEAR_DEG]
        near = near[np.isfinite(near)]
        if strength >= _STRONG and near.size:
            heights.append(float(near.max()) / strength)
    return float(np.quantile(heights, 0.4, method="lower")) if heights else 0.0


def scaled(net: FloatArray, height: float) -> FloatArray:
    """A levelled pattern (n,) with `height` as 1; without one (0), its own. Where it is all noise, it stays small."""
    known = net[np.isfinite(net)]
    if known.size < _WINDOW:
        return net
    noise = 1.05 * float(np.median(np.abs(np.diff(known))))  # sigma of a difference of two, by its median
    if height <= 0.0:
        height = float(np.median(np.lib.stride_tricks.sliding_window_view(known, _WINDOW), axis=1).max())
    return np.asarray(net / max(height, _LEAST_SIGMAS * noise, 1e-300))
