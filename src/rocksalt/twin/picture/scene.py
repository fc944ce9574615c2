"""All on the image that isn't the sample: Compton and air, beam stop, gasket, diamond spots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.time import Chance
from rocksalt.twin.departures import Departures
from rocksalt.twin.picture import grains
from rocksalt.twin.picture.geometry import Geometry, Rays
from rocksalt.values import FloatArray

_DIAMOND_ANGSTROM: Final = 3.567
_RHENIUM_ANGSTROM: Final = (2.761, 4.458)
# hkil as (h, k, l), relative intensity of a random powder, multiplicity.
_RHENIUM_LINES: Final = (
    ((1, 0, 0), 0.32, 6), ((0, 0, 2), 0.34, 2), ((1, 0, 1), 1.0, 12), ((1, 0, 2), 0.12, 12), ((1, 1, 0), 0.2, 6),
)  # fmt: skip
STOP_RADIUS_PX: Final = 27.0
_ARM_PX: Final = 4.0
_THROUGH_STOP: Final = 0.004
_SPOT_WINDOW_DEG: Final = 0.02
_SPOT_REACH_PX: Final = 200


@dataclass(frozen=True, slots=True)
class Scene:
    """rate_per_s: counts a second of everything but the sample, at nominal flux. `seen` multiplies the sample's rings:
    polarisation, solid angle and beam stop. Both (rows, columns)."""

    rate_per_s: FloatArray
    seen: FloatArray


def background(two_theta_deg: FloatArray, hidden: Departures) -> FloatArray:
    """Counts a second: Compton of the anvils rising to 12-15 degrees, their thermal diffuse part, air near the beam."""
    rise = 1.0 - np.exp(-((two_theta_deg / (0.75 * hidden.scene.compton_centre_deg)) ** 2))
    fall = np.exp(-(np.maximum(two_theta_deg - hidden.scene.compton_centre_deg, 0.0) ** 2) / 120.0)
    diffuse = 0.10 * np.exp(-0.5 * ((two_theta_deg - 11.6) / 1.6) ** 2)
    air = hidden.scene.air * (1.6 * np.exp(-two_theta_deg / 1.3) + 0.35 * np.exp(-two_theta_deg / 4.5))
    return np.asarray(hidden.scene.background_per_s * (0.55 + 0.65 * rise * fall + diffuse + air))


def build(
    geometry: Geometry, nominal: Geometry, rays: Rays, hidden: Departures, polarisation: float, chance: Chance
) -> Scene:
    """The scene of this twin: `geometry` is the real one; the beam stop was aligned on the nominal one."""
    two_theta, azimuth = rays.two_theta_deg, rays.azimuth_rad
    angle = np.radians(two_theta)
    polarised = 0.5 * (1.0 + np.cos(angle) ** 2 - polarisation * np.cos(2.0 * azimuth) * np.sin(angle) ** 2)
    seen = polarised * rays.cos_incidence**3 * _past_the_stop(nominal)
    rate = background(two_theta, hidden) + _gasket(geometry, rays, hidden, chance)
    rate = rate * seen + _diamond_spots(geometry, rays, hidden, chance)
    return Scene(rate, seen)


def _past_the_stop(geometry: Geometry) -> FloatArray:
    """Transmission of a round beam stop on a thin arm that comes in from a long edge, soft by a pixel and a half."""
    rows, columns = geometry.shape
    row0 = (geometry.poni1_m + geometry.distance_m * np.tan(geometry.rot2_rad)) / geometry.pixel_m - 0.5
    column0 = (geometry.poni2_m - geometry.distance_m * np.tan(geometry.rot1_rad)) / geometry.pixel_m - 0.5
    row, column = np.arange(rows)[:, None] - row0, np.arange(columns)[None, :] - column0
    disc = np.hypot(row, column) - STOP_RADIUS_PX
    lean = 0.12
    along, across = row + lean * column, np.abs(column - lean * row)
    arm = np.where(along > 0.0, across - _ARM_PX, np.inf)
    outside = np.clip(np.minimum(disc, arm) / 1.5 + 0.5, 0.0, 1.0)
    return np.asarray(_THROUGH_STOP + (1.0 - _THROUGH_STOP) * outside)


def _gasket(geometry: Geometry, rays: Rays, hidden: Departures, chance: Chance) -> FloatArray:
    """Rhenium lit by the tails of the beam: a few coarse grains on rings of a strained hexagonal cell."""
    total = np.zeros(geometry.shape)
    if hidden.scene.gasket <= 0.0:
        return total
    a, c = (edge * (1.0 - hidden.scene.gasket_strain) for edge in _RHENIUM_ANGSTROM)
    around = grains.bin_of(rays.azimuth_rad).astype(np.int64)
    for number, ((h, k, l), strength, multiplicity) in enumerate(_RHENIUM_LINES):  # noqa: E741
        spacing = 1.0 / np.sqrt(4.0 / 3.0 * (h * h + h * k + k * k) / a**2 + l * l / c**2)
        centre = 2.0 * np.degrees(np.arcsin(geometry.wavelength_angstrom / (2.0 * spacing)))
        ring = grains.Ring(
            chance.stream("grains.gasket", number), hidden.scene.gasket_grains_per_deg * multiplicity / 12.0, 0.8,
            1.5 * hidden.sample.mosaic_deg, np.ones(grains.AZIMUTH_BINS),
        )  # fmt: skip
        profile = 1.0 / (1.0 + ((rays.two_theta_deg - centre) / (0.75 * hidden.profile.width_deg)) ** 2) ** 2
        total += hidden.scene.gasket * hidden.scene.background_per_s * strength * profile * ring.around(1.0)[around]
    return total


def _diamond_spots(geometry: Geometry, rays: Rays, hidden: Departures, chance: Chance) -> FloatArray:
    """Single-crystal reflections of the anvils: far too bright, where the mounting of the day put them.

    The fundamental reaches 111 only; the rest are 220, 311 and 400 of the beam's second and third harmonics."""
    rng = chance.stream("diamond")
    rows, columns = geometry.shape
    row, column = np.arange(rows, dtype=np.float64)[:, None], np.arange(columns, dtype=np.float64)[None, :]
    total = np.zeros(geometry.shape)
    squares = {1: (3,), 2: (8, 11, 16), 3: (8, 11, 16, 19)}
    kinds = [(square, order) for order in squares for square in squares[order]]
    for _ in range(hidden.scene.diamond_spots):
        square, order = kinds[int(rng.integers(len(kinds)))]
        sine = geometry.wavelength_angstrom / order * np.sqrt(square) / (2.0 * _DIAMOND_ANGSTROM)
        angle = 2.0 * np.degrees(np.arcsin(sine))
        brightness = 10.0 ** rng.uniform(5.0, 7.5) / order**2
        size, squeeze, lean = rng.uniform(0.9, 2.2), rng.uniform(1.0, 1.8), rng.uniform(0.0, np.pi)
        on_ring = np.flatnonzero(np.abs(rays.two_theta_deg - angle) < _SPOT_WINDOW_DEG)
        chosen = rng.uniform()
        if on_ring.size == 0:
            continue  # this one misses the detector
        nearest = np.unravel_index(on_ring[int(chosen * on_ring.size)], geometry.shape)
        top, left = max(int(nearest[0]) - _SPOT_REACH_PX, 0), max(int(nearest[1]) - _SPOT_REACH_PX, 0)
        window = np.s_[top : int(nearest[0]) + _SPOT_REACH_PX, left : int(nearest[1]) + _SPOT_REACH_PX]
        dr, dc = row[window[0]] - nearest[0], column[:, window[1]] - nearest[1]
        u = (dr * np.cos(lean) + dc * np.sin(lean)) / size
        v = (-dr * np.sin(lean) + dc * np.cos(lean)) / (size * squeeze)
        r2 = u * u + v * v
        # A core, and the thermal diffuse halo that every diamond spot wears.
        total[window] += brightness * (np.exp(-0.5 * r2) + 6e-4 / (1.0 + r2 / 5.0) ** 1.6)
    return total
