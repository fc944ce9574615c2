"""The anvils are two single crystals: Bragg spots, thermal diffuse clouds around reflections, and Kossel lines.

Each has its table nearly along (100), tilted and turned as the day's mounting left it. Reciprocal vectors are 2 pi / d.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.time import Chance
from rocksalt.twin.departures import AnvilDepartures
from rocksalt.twin.picture import matter
from rocksalt.twin.picture.background import DIAMOND, DIAMOND_B_A2
from rocksalt.twin.picture.geometry import Geometry, Rays
from rocksalt.values import FloatArray

_EDGE_ANGSTROM: Final = 3.567
_TILE: Final = 16
_SQUARES: Final = {1: 24, 2: 35, 3: 64}
"""Highest h^2 + k^2 + l^2 looked at, for the beam and its harmonics."""
_KOSSEL_SQUARE: Final = 16  # 111, 220, 311, 400
_CLOUD_PER_ANGSTROM: Final = 1.0
_RESOLUTION_PER_ANGSTROM: Final = 0.012
# kT / (m v^2) at 300 K: one phonon of an isotropic crystal; v from C11 = 1079, C12 = 124, C44 = 578 GPa (recalled,
# unconfirmed) as 1/v^2 = (1/v_l^2 + 2/v_t^2) / 3, 13.9 km/s.
_THERMAL: Final = 4.142e-21 / (1.9945e-26 * 13.9e3**2)
_SPOT_REACH: Final = 90
_SPOT_MM: Final = (0.07, 0.35)
"""One sigma of a spot's core on the detector; a few pixels in the real frame of `benchmarks/dac_frame.py`."""
_HALO: Final = 6e-4
_ALONG_THE_RING: Final = 0.7
_COARSE: Final = 8
Float32 = NDArray[np.float32]


class Tiles:
    """The detector in squares of _TILE pixels, so that what covers little of it costs little."""

    def __init__(self, rays: Rays) -> None:
        rows, columns = self.shape = rays.two_theta_deg.shape
        self._down, self._across = -(-rows // _TILE), -(-columns // _TILE)
        angle = np.radians(rays.two_theta_deg)
        sine = np.sin(angle)
        unit = np.stack([sine * np.sin(rays.azimuth_rad), sine * np.cos(rays.azimuth_rad), np.cos(angle)])
        self.directions: Float32 = np.stack([self._cut(part.astype(np.float32)) for part in unit], axis=-1)
        self.middles: FloatArray = self.directions.astype(np.float64).mean(axis=1)
        self.middles /= np.linalg.norm(self.middles, axis=1, keepdims=True)
        corners = self.directions[:, [0, _TILE - 1, -_TILE, -1]].astype(np.float64)
        self.radii: FloatArray = np.arccos(np.clip(np.einsum("tci,ti->tc", corners, self.middles), -1, 1)).max(axis=1)

    def _cut(self, image: Float32) -> Float32:
        rows, columns = self.shape
        padded = np.pad(image, ((0, self._down * _TILE - rows), (0, self._across * _TILE - columns)), mode="edge")
        parts = padded.reshape(self._down, _TILE, self._across, _TILE).swapaxes(1, 2)
        return np.ascontiguousarray(parts.reshape(-1, _TILE * _TILE))

    def empty(self) -> Float32:
        """(tiles, pixels of a tile), zero."""
        return np.zeros(self.directions.shape[:2], dtype=np.float32)

    def whole(self, tiles: Float32) -> FloatArray:
        """Back to (rows, columns)."""
        parts = tiles.reshape(self._down, self._across, _TILE, _TILE).swapaxes(1, 2)
        full = parts.reshape(self._down * _TILE, self._across * _TILE)
        return np.asarray(full[: self.shape[0], : self.shape[1]], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Anvil:
    """thickness_m, and `turn`: columns are the crystal's axes in the laboratory (slow, fast, along the beam)."""

    thickness_m: float
    turn: FloatArray

    def vectors(self, square: int) -> tuple[NDArray[np.int64], FloatArray]:
        """hkl (n, 3) up to this h^2 + k^2 + l^2, and their vectors in the laboratory, 1/angstrom."""
        hkl = reflections(square)
        return hkl, np.asarray(2.0 * np.pi / _EDGE_ANGSTROM * hkl @ self.turn.T)


def pair(hidden: AnvilDepartures) -> tuple[Anvil, Anvil]:
    """Upstream and downstream anvil."""
    up = turned(hidden.upstream_spin_rad, hidden.upstream_tilt1_rad, hidden.upstream_tilt2_rad)
    down = turned(hidden.downstream_spin_rad, hidden.downstream_tilt1_rad, hidden.downstream_tilt2_rad)
    return Anvil(1e-3 * hidden.upstream_mm, up), Anvil(1e-3 * hidden.downstream_mm, down)


def turned(spin_rad: float, tilt1_rad: float, tilt2_rad: float) -> FloatArray:
    """Rotation: about the beam first, with (001) along it, then about the slow and the fast axis."""
    (c, s), (c1, s1), (c2, s2) = ((np.cos(angle), np.sin(angle)) for angle in (spin_rad, tilt1_rad, tilt2_rad))
    about_beam = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    about_slow = np.array([[1.0, 0.0, 0.0], [0.0, c1, -s1], [0.0, s1, c1]])
    about_fast = np.array([[c2, 0.0, s2], [0.0, 1.0, 0.0], [-s2, 0.0, c2]])
    return np.asarray(about_fast @ about_slow @ about_beam)


@cache
def reflections(square: int) -> NDArray[np.int64]:
    """All allowed hkl of diamond up to this sum of squares: unmixed, and all even only with a sum of 4n."""
    top = int(np.sqrt(square))
    hkl = np.stack(np.meshgrid(*[np.arange(-top, top + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    norm, odd = (hkl**2).sum(axis=1), hkl % 2
    unmixed = (odd[:, 0] == odd[:, 1]) & (odd[:, 1] == odd[:, 2])
    allowed = unmixed & ((odd[:, 0] == 1) | (hkl.sum(axis=1) % 4 == 0))
    return np.asarray(hkl[allowed & (norm > 0) & (norm <= square)], dtype=np.int64)


def clouds(anvil: Anvil, tiles: Tiles, energy_kev: float) -> FloatArray:
    """One-phonon scattering around the reflections that the Ewald sphere passes by, (rows, columns): photons a
    steradian and a metre of diamond for each photon. What looks like fuzzy spots, bright where it passes close.

    B. E. Warren, X-ray Diffraction, 1969, chapter 11, for waves of one speed: an atom scatters
    r_e^2 f^2 exp(-2 M) g (kT / m v^2) G^2 / q^2 at a distance q from the reflection G; g is 1 for even
    hkl, 1/2 for odd. Only up to 1 / angstrom from it: the smooth half of the Debye-Waller loss stands for the rest.
    """
    wavenumber = 2.0 * np.pi * energy_kev / matter.KEV_ANGSTROM
    ((symbol, per_m3),) = DIAMOND
    total = tiles.empty()
    beam = np.array([0.0, 0.0, wavenumber])
    for hkl, vector in zip(*anvil.vectors(_SQUARES[1]), strict=True):
        towards = beam + vector
        length = float(np.linalg.norm(towards))
        if abs(length - wavenumber) > _CLOUD_PER_ANGSTROM or towards[2] <= 0.0:
            continue
        nearest = tiles.middles @ (towards / length)
        chosen = np.flatnonzero(nearest > np.cos(_CLOUD_PER_ANGSTROM / wavenumber + tiles.radii))
        if chosen.size == 0:
            continue
        q = wavenumber * tiles.directions[chosen] - towards.astype(np.float32)
        q2 = np.einsum("tpi,tpi->tp", q, q)
        g2 = float(vector @ vector)
        s = np.array(np.sqrt(g2) / (4.0 * np.pi))
        scattering = matter.ELECTRON_RADIUS2_M2 * float(
            matter.form_factor(symbol, s) ** 2 * np.exp(-2 * DIAMOND_B_A2 * s * s)
        )
        strength = per_m3 * scattering * (0.5 if hkl[0] % 2 else 1.0) * _THERMAL * g2
        edge = np.float32(1.0 / _CLOUD_PER_ANGSTROM**2)
        total[chosen] += strength * np.maximum(1.0 / (q2 + _RESOLUTION_PER_ANGSTROM**2) - edge, 0.0)
    return tiles.whole(total)


def behind_the_seat(rays: Rays, hidden: AnvilDepartures) -> FloatArray:
    """Transmission of the downstream anvil's seat, (rows, columns): its cone opens to seat_opening_deg, off the beam by
    seat_off_deg; beyond it the path through it (cubic boron nitride, mostly) grows over some degrees."""
    aside = hidden.seat_off_deg * np.cos(rays.azimuth_rad - hidden.seat_off_rad)
    into = np.clip((rays.two_theta_deg - aside - hidden.seat_opening_deg) / hidden.seat_ramp_deg, 0.0, 1.0)
    return np.asarray(np.power(hidden.seat_transmission, into))


def kossel(anvil: Anvil, tiles: Tiles, energy_kev: float, hidden: AnvilDepartures, pixel_rad: float) -> FloatArray:
    """Relative change of all light that crosses this anvil, (rows, columns): thin conics, dark with a bright side.

    A photon on its way out along k is reflected away where k . G = G^2 / 2 (W. Kossel, Ann. Phys. 23, 677, 1935); what
    other directions lose arrives beside it. `kossel_depth` is the dip of 111, as a pixel sees it; others have it times
    |F| / sin 2 theta relative to 111, as the width of a perfect crystal's reflection goes.
    """
    wavenumber = 2.0 * np.pi * energy_kev / matter.KEV_ANGSTROM
    ((symbol, _),) = DIAMOND
    total = tiles.empty()
    sigma = float(np.hypot(np.radians(hidden.kossel_width_deg), pixel_rad / np.sqrt(12.0)))

    def width(square: float) -> float:
        s = np.sqrt(square) / (2.0 * _EDGE_ANGSTROM)
        sine = 2.0 * np.pi * s / wavenumber
        amplitude = float(matter.form_factor(symbol, np.array(s)) * np.exp(-DIAMOND_B_A2 * s * s))
        return float(amplitude * (np.sqrt(0.5) if square % 8 else 1.0) / (2.0 * sine * np.sqrt(1.0 - sine**2)))

    for hkl, vector in zip(*anvil.vectors(_KOSSEL_SQUARE), strict=True):
        length = float(np.linalg.norm(vector))
        sine = length / (2.0 * wavenumber)
        if sine >= 1.0:
            continue
        normal = vector / length
        cosine = np.sqrt(1.0 - sine**2)
        chosen = np.flatnonzero(
            np.abs(tiles.middles @ normal - sine) < cosine * (tiles.radii + 6.0 * sigma) + tiles.radii**2
        )
        if chosen.size == 0:
            continue
        off = (tiles.directions[chosen] @ normal.astype(np.float32) - np.float32(sine)) / np.float32(cosine * sigma)
        dip = hidden.kossel_depth * width(float((hkl**2).sum())) / width(3.0)
        total[chosen] -= dip * (np.exp(-0.5 * off**2) - hidden.kossel_bright * np.exp(-0.5 * (off + 2.0) ** 2))
    return tiles.whole(total)


def spots(geometry: Geometry, rays: Rays, hidden: AnvilDepartures, energy_kev: float, chance: Chance) -> FloatArray:
    """Bragg spots, (rows, columns): photons into a pixel for each photon at the sample, polarisation and all included.

    A stressed diamond reflects a little beside its Bragg angle, and every monochromator lets some harmonics through: of
    all reflections of both anvils for the beam and its second and third harmonic that fall on the detector, those that
    miss Bragg's condition by least are seen. How bright is luck, between `spot_faint` and `spot_bright` (decades: share
    of the flux in the spot's core; on a clean day somebody has turned the cell away from the worst); many are drawn out
    by the bent crystal, along the ring or across it.
    """
    rng = chance.stream("diamond")
    found = []
    for anvil in pair(hidden):
        for order, square in _SQUARES.items():
            wavenumber = 2.0 * np.pi * order * energy_kev / matter.KEV_ANGSTROM
            _, vectors = anvil.vectors(square)
            towards = vectors + np.array([0.0, 0.0, wavenumber])
            length = np.linalg.norm(towards, axis=1)
            missed = np.abs(length - wavenumber) / np.linalg.norm(vectors, axis=1)
            forward = towards[:, 2] > np.cos(np.radians(40.0)) * length
            found += [
                (float(m), order, t / n) for m, t, n, f in zip(missed, towards, length, forward, strict=True) if f
            ]
    found.sort(key=lambda each: each[0])
    total = np.zeros(geometry.shape)
    seen = 0
    for _, order, direction in found:
        if seen == hidden.spots:
            break
        if (place := _place(geometry, rays, direction)) is None:
            continue
        seen += 1
        share = 10.0 ** rng.uniform(hidden.spot_faint, hidden.spot_bright) / order
        size_px = 1e-3 * rng.uniform(*_SPOT_MM) / geometry.pixel_m
        streak_px = 1e-3 * hidden.spot_streak_mm * rng.exponential() / geometry.pixel_m
        # Most bent crystals draw their spots out along the ring.
        lean = rng.normal(0.0, 0.3) + (0.5 * np.pi if rng.uniform() < _ALONG_THE_RING else 0.0)
        turn = float(np.arctan2(direction[0], direction[1]) + lean)
        _add_spot(total, place, share, size_px, streak_px, turn, rng)
    return total


def _place(geometry: Geometry, rays: Rays, direction: FloatArray) -> tuple[int, int] | None:
    """Row and column of the pixel that looks in this direction; None where the detector ends before."""
    azimuth, angle = np.arctan2(direction[0], direction[1]), np.arccos(direction[2])

    def away(part: tuple[slice, slice]) -> FloatArray:
        turn = np.angle(np.exp(1j * (rays.azimuth_rad[part] - azimuth)))
        return np.asarray(np.hypot(np.radians(rays.two_theta_deg[part]) - angle, turn * np.sin(angle)))

    coarse = away(np.s_[::_COARSE, ::_COARSE])
    if coarse.min() > 1.5 * _COARSE * geometry.pixel_m / geometry.distance_m:
        return None
    row, column = (_COARSE * int(i) for i in np.unravel_index(np.argmin(coarse), coarse.shape))
    top, left = max(row - _COARSE, 0), max(column - _COARSE, 0)
    fine = away(np.s_[top : row + _COARSE + 1, left : column + _COARSE + 1])
    down, across = np.unravel_index(np.argmin(fine), fine.shape)
    return top + int(down), left + int(across)


def _add_spot(
    total: FloatArray, place: tuple[int, int], share: float, size_px: float, streak_px: float, turn_rad: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Cores of a few domains strewn along a streak, and the halo that every diamond spot wears."""
    rows, columns = total.shape
    top, left = max(place[0] - _SPOT_REACH, 0), max(place[1] - _SPOT_REACH, 0)
    window = np.s_[top : min(place[0] + _SPOT_REACH, rows), left : min(place[1] + _SPOT_REACH, columns)]
    dr = np.arange(window[0].start, window[0].stop)[:, None] - place[0]
    dc = np.arange(window[1].start, window[1].stop)[None, :] - place[1]
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    across, along = dr * c - dc * s, dr * s + dc * c
    piece = np.zeros(across.shape)
    for domain in range(1 + int(rng.poisson(min(streak_px / size_px, 6.0)))):
        at = rng.normal(0.0, streak_px) if domain else 0.0
        off = rng.normal(0.0, 0.5 * size_px) if domain else 0.0
        longer = 1.0 + min(streak_px / size_px, 3.0) * rng.uniform()
        brightness = rng.uniform(0.1, 0.7) if domain else 1.0
        r2 = ((across - off) / size_px) ** 2 + ((along - at) / (size_px * longer)) ** 2
        piece += brightness * (np.exp(-0.5 * r2) + _HALO / (1.0 + r2 / 5.0) ** 1.6)
    total[window] += share / (2.0 * np.pi * size_px**2) * piece
