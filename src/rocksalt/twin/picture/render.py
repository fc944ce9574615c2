"""From the state of the sample to counts on the sensor: rings by lookup, everything else from the scene, noise last.

Pixels are sorted by scattering angle once; each line then touches one contiguous run of them, with a profile over the
angle times an intensity around the ring. A 514 x 1030 frame takes some tens of milliseconds, most of it Poisson.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.time import Chance
from rocksalt.twin.departures import Departures
from rocksalt.twin.picture import grains, scene, strength
from rocksalt.twin.picture.geometry import Geometry, departed, rays
from rocksalt.twin.sample.lattice import Lattice
from rocksalt.twin.sample.transformation import Spread, gradient_scale
from rocksalt.values import FloatArray

MASKED: Final = np.uint32(2**32 - 1)
CUTOFF_PER_S: Final = 4.0e6
_STEP_DEG: Final = 0.002
_REACH_DEG: Final = 0.7
_GROUPS: Final = 7
_AREA_STEPS: Final = 700
Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The sample during part of an exposure. light_s is open time weighted with the beam's intensity; transformed the
    molar share of each pressure bin that is B2, (BINS,); fraction_b2 the volume fraction of all of them."""

    light_s: float
    pressure_gpa: float
    transformed: FloatArray
    fraction_b2: float
    temperature_k: float


class Renderer:
    """One sample, one detector."""

    def __init__(
        self, nominal: Geometry, hidden: Departures, lattices: tuple[Lattice, Lattice], spread: Spread,
        polarisation: float, thickness_um: float, chance: Chance, *, flux_ph_per_s: float, salt: str = "KBr",
    ) -> None:  # fmt: skip
        """flux_ph_per_s is what the station file says; the true flux departs from it."""
        real = departed(nominal, hidden)
        flux = flux_ph_per_s * hidden.beam.flux_relative
        self.geometry = real
        self._hidden, self.lattices, self._spread = hidden, lattices, spread
        seen_by = rays(real)
        parts = scene.build(
            real, nominal, seen_by, hidden, polarisation, chance,
            flux_ph_per_s=flux, thickness_um=thickness_um, salt=salt,
        )  # fmt: skip
        self.mask = parts.mask
        self._hot = parts.hot_per_s.ravel()
        self._hot_somewhere = bool(self._hot.any())
        two_theta = seen_by.two_theta_deg.ravel()
        self._order = np.argsort(two_theta, kind="stable")
        ascending = two_theta[self._order]
        self._ascending = ascending
        self._place = np.rint(ascending / _STEP_DEG).astype(np.int32)
        self._azimuth_bin = grains.bin_of(seen_by.azimuth_rad.ravel()[self._order]).astype(np.int16)
        self._seen: Float32 = parts.seen.ravel()[self._order].astype(np.float32)
        self._static: FloatArray = parts.rate_per_s.ravel()[self._order]
        grained = hidden.sample
        self._rings = {
            (phase.name, number): grains.Ring(
                chance.stream(f"grains.{phase.name}", number),
                grained.grains_per_deg * line.multiplicity / 12.0, grained.grain_sigma_ln, grained.mosaic_deg,
                grains.in_plane_texture(grained.in_plane, grained.in_plane_axis_rad + 0.4 * number),
            )
            for phase in lattices
            for number, line in enumerate(phase.reflections)
        }  # fmt: skip
        self._fibre = {
            phase.name: np.array(
                [
                    grains.fibre_factor(line.hkl, ratio, np.pi / 2.0 - np.radians(angle / 2.0))
                    for line, angle in zip(
                        phase.reflections, phase.two_theta_deg(np.array([2.0]), 300.0)[0], strict=True
                    )
                ]
            )
            for phase, ratio in zip(lattices, (hidden.sample.fibre_b1, hidden.sample.fibre_b2), strict=True)
        }
        # Powers become photons a second into a pixel that looks at the sample squarely.
        self._scale = flux * strength.pixel_steradian(real) * strength.ring_per_steradian(
            real.wavelength_angstrom, thickness_um * hidden.scene.filling
        )  # fmt: skip

    @staticmethod
    def cutoff_counts(seconds: float) -> int:
        """Highest count that a pixel reports in an exposure of so many seconds."""
        return int(min(CUTOFF_PER_S * seconds, float(MASKED - 1)))

    def expected(self, glimpses: Sequence[Glimpse], seconds: float) -> FloatArray:
        """Mean counts of every pixel, (rows * columns,), for these glimpses within an exposure of `seconds`."""
        light = sum(glimpse.light_s for glimpse in glimpses)
        rings: Float32 = np.zeros(self._seen.size, dtype=np.float32)
        for glimpse in glimpses:
            self._draw(rings, glimpse)
        rings *= self._seen
        mean = np.empty(rings.size)
        mean[self._order] = self._static * light + rings
        if self._hot_somewhere:
            mean += self._hot * seconds
        return mean

    def frame(self, glimpses: Sequence[Glimpse], seconds: float, rng: np.random.Generator) -> NDArray[np.uint32]:
        """Counts, (rows, columns): Poisson noise, saturation at the cutoff, MASKED where the sensor is dead."""
        mean = self.expected(glimpses, seconds)
        limit = self.cutoff_counts(seconds)
        # Far above the cutoff the draw would be thrown away.
        counts = np.minimum(rng.poisson(np.minimum(mean, 2.0 * limit + 100.0)), limit).astype(np.uint32)
        image = counts.reshape(self.geometry.shape)
        image[self.mask] = MASKED
        return image

    def _draw(self, rings: Float32, glimpse: Glimpse) -> None:
        pressure, kelvin = glimpse.pressure_gpa, glimpse.temperature_k
        # A thinner sample under load diffracts less.
        amount = self._scale * glimpse.light_s / (1.0 + 0.06 * max(pressure, 0.0))
        local = pressure + gradient_scale(pressure) * self._spread.gradient_gpa
        shares = (1.0 - glimpse.fraction_b2, glimpse.fraction_b2)
        for phase, share, weights in zip(
            self.lattices, shares, (1.0 - glimpse.transformed, glimpse.transformed), strict=True
        ):
            if share < 1e-6:
                continue
            pressures, parts = _grouped(local, weights)
            positions = phase.two_theta_deg(pressures, kelvin)
            powers = phase.powers(pressure, kelvin) * self._fibre[phase.name]
            for number in range(len(phase.reflections)):
                around = (self._rings[phase.name, number].around(share) * (amount * powers[number])).astype(np.float32)
                self._add(rings, positions[:, number], parts, around)

    def _add(self, rings: Float32, centres: FloatArray, parts: FloatArray, around: Float32) -> None:
        """One line: profiles at these centres, in these parts, times the intensity around the ring."""
        low, high = float(centres.min()) - _REACH_DEG, float(centres.max()) + _REACH_DEG
        first, last = np.searchsorted(self._ascending, (low, high))
        if last <= first:
            return
        bottom, top = int(self._place[first]), int(self._place[last - 1])
        angles = np.arange(bottom, top + 1, dtype=np.float64) * _STEP_DEG
        line = self._profile(np.asarray(angles), centres, parts).astype(np.float32)
        rings[first:last] += line[self._place[first:last] - bottom] * around[self._azimuth_bin[first:last]]

    def _profile(self, angles_deg: FloatArray, centres_deg: FloatArray, parts: FloatArray) -> FloatArray:
        """Pearson VII of unit area (per degree), lopsided, its exponent between Lorentzian and Gaussian: not what fits
        use; summed over these centres in these parts.

        Width: instrument, crystallites (Scherrer) and microstrain, added in squares."""
        hidden = self._hidden
        theta = np.radians(float(centres_deg.mean()) / 2.0)
        size = np.degrees(0.9 * self.geometry.wavelength_angstrom / (hidden.sample.crystallite_a * np.cos(theta)))
        strain = np.degrees(4.0 * hidden.sample.microstrain * np.tan(theta))
        width = float(np.sqrt(hidden.profile.width_deg**2 + size**2 + strain**2))
        exponent = 1.0 / max(hidden.profile.tail, 0.05)
        sharp = 4.0 * (2.0 ** (1.0 / exponent) - 1.0) / width**2
        # The wings end where the line's window ends.
        wing = float((1.0 + sharp * _REACH_DEG**2) ** -exponent)
        half = (np.arange(_AREA_STEPS) + 0.5) / _AREA_STEPS * _REACH_DEG
        area = 2.0 * float(np.mean((1.0 + sharp * half**2) ** -exponent - wing)) * _REACH_DEG
        total = np.zeros(angles_deg.size)
        for centre, part in zip(centres_deg, parts, strict=True):
            offset = angles_deg - centre
            skewed = offset / np.where(offset > 0.0, 1.0 + hidden.profile.asymmetry, 1.0 - hidden.profile.asymmetry)
            total += part / area * np.maximum((1.0 + sharp * skewed * skewed) ** -exponent - wing, 0.0)
        return total


def _grouped(local_gpa: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ascending pressures and their weights, gathered into at most _GROUPS: (pressures, shares summing to 1)."""
    edges = np.linspace(0, local_gpa.size, _GROUPS + 1).astype(np.int64)[:-1]
    sums = np.add.reduceat(weights, edges)
    firsts = np.add.reduceat(weights * local_gpa, edges)
    kept = sums > 1e-9
    if not kept.any():
        return np.array([float(local_gpa.mean())]), np.array([1.0])
    return firsts[kept] / sums[kept], sums[kept] / sums[kept].sum()
