"""Rings are made of grains: how intensity is spread around a ring, the same from frame to frame.

A ring's azimuth is cut into bins; the grains that diffract there are a compound Poisson (gamma) number, drawn once for
each ring and each generation of grains, and smeared by their mosaic. Generations appear and vanish one after the other.
Grains are strained each in its own way, so that the spots of a coarse ring stand a little off their circle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.values import FloatArray

AZIMUTH_BINS: Final = 1440
BIN_DEG: Final = 360.0 / AZIMUTH_BINS
GENERATIONS: Final = 12


@dataclass(frozen=True, slots=True)
class Around:
    """One ring in some share of its phase: relative intensity and mean strain of the grains in each azimuth bin, both
    (AZIMUTH_BINS,), and one sigma of the strains within the bins, which only broadens the line."""

    intensity: FloatArray
    strain: FloatArray
    scatter: float


class Ring:
    """One hkl of one phase: relative intensity around the ring, for any share of the phase."""

    def __init__(
        self, rng: np.random.Generator, grains_per_deg: float, sigma_ln: float, mosaic_deg: float, texture: FloatArray,
        strain: float = 0.0,
    ) -> None:  # fmt: skip
        """grains_per_deg of the whole phase on this ring; sigma_ln of the grains' diffracting power; texture is the
        expected relative intensity at each of the AZIMUTH_BINS; strain one sigma of the grains' own lattice strains."""
        effective = grains_per_deg * BIN_DEG / GENERATIONS * texture / np.exp(sigma_ln**2)
        raw = rng.standard_gamma(np.broadcast_to(effective, (GENERATIONS, AZIMUTH_BINS))) / effective * texture
        # A bin in which several grains diffract shows their mean.
        strains = strain / np.sqrt(1.0 + effective) * rng.standard_normal((GENERATIONS, AZIMUTH_BINS))
        self._strain = strain
        self._generations: FloatArray = _smeared(raw, mosaic_deg)
        self._moments: FloatArray = _smeared(raw * strains, mosaic_deg)

    def around(self, share: float) -> FloatArray:
        """Relative intensity in each azimuth bin, (AZIMUTH_BINS,), when the phase fills `share` of the volume; its mean
        is about `share`. A small share consists of the first generations alone: fewer grains, a spottier ring."""
        return np.asarray(self._weights(share) @ self._generations)

    def strained(self, share: float) -> Around:
        """`around`, and how the grains that make it up are strained: what varies along the ring and what is left within
        its bins add up in squares to the strain of all grains."""
        intensity = self.around(share)
        moment = self._weights(share) @ self._moments
        mean = np.divide(moment, intensity, out=np.zeros_like(moment), where=intensity > 0.0)
        total = float(intensity.sum())
        along = float(moment @ mean) / total if total > 0.0 else 0.0
        return Around(intensity, mean, float(np.sqrt(max(self._strain**2 - along, 0.0))))

    @staticmethod
    def _weights(share: float) -> FloatArray:
        return np.asarray(np.clip(share * GENERATIONS - np.arange(GENERATIONS), 0.0, 1.0) / GENERATIONS)


def bin_of(azimuth_rad: FloatArray) -> FloatArray:
    """Azimuth bin of each angle (any real number), as floats that are whole."""
    return np.asarray(np.floor(np.degrees(azimuth_rad) / BIN_DEG) % AZIMUTH_BINS)


def in_plane_texture(strength: float, axis_rad: float) -> FloatArray:
    """Two-fold lopsidedness around the ring, mean 1: the sample was pressed or cleaved along some direction."""
    azimuth = np.radians((np.arange(AZIMUTH_BINS) + 0.5) * BIN_DEG)
    return np.asarray(1.0 + strength * np.cos(2.0 * (azimuth - axis_rad)))


def fibre_factor(hkl: tuple[int, int, int], ratio: float, tilt_rad: float) -> float:
    """Relative intensity of `hkl` for a March-Dollase (100) fibre of parameter `ratio`, seen with the scattering vector
    at tilt_rad from the fibre axis (in axial geometry 90 degrees - theta).

    W. A. Dollase, J. Appl. Cryst. 19, 267 (1986): density (r^2 cos^2 a + sin^2 a / r)^(-3/2) at angle a between the
    fibre axis and (100), averaged here over the crystal's rotation about the scattering vector and over the three axes.
    """
    turns = (np.arange(360) + 0.5) * np.pi / 180.0
    length = float(np.sqrt(sum(i * i for i in hkl)))
    densities = []
    for index in hkl:
        cos_between = abs(index) / length
        sin_between = np.sqrt(max(1.0 - cos_between**2, 0.0))
        cosine = cos_between * np.cos(tilt_rad) + sin_between * np.sin(tilt_rad) * np.cos(turns)
        densities.append(np.mean((ratio**2 * cosine**2 + (1.0 - cosine**2) / ratio) ** -1.5))
    return float(np.mean(densities))


def _smeared(fields: FloatArray, mosaic_deg: float) -> FloatArray:
    """Rows (…, AZIMUTH_BINS) convolved around the circle with a Gaussian of this full width at half maximum."""
    sigma = mosaic_deg / 2.3548 / BIN_DEG
    reach = int(np.ceil(4.0 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    smeared = np.zeros_like(fields)
    for shift, weight in zip(range(-reach, reach + 1), kernel, strict=True):
        smeared += weight * np.roll(fields, shift, axis=-1)
    return smeared
