"""From the state of the sample to counts: rings by lookup, the rest from the scene, and the sensor makes counts of it.

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
from rocksalt.twin.picture import grains, scene
from rocksalt.twin.picture.geometry import Geometry, departed, rays
from rocksalt.twin.picture.sensor import Sensor
from rocksalt.twin.sample.lattice import Lattice
from rocksalt.twin.sample.transformation import Spread, gradient_scale
from rocksalt.values import FloatArray

_STEP_DEG: Final = 0.002
_REACH_DEG: Final = 0.7
_GROUPS: Final = 7
_AREA_STEPS: Final = 700
_ANCHOR_GPA: Final = 1.0
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
        polarisation: float, thickness_um: float, chance: Chance,
    ) -> None:  # fmt: skip
        real = departed(nominal, hidden)
        self.geometry = real
        self._hidden, self.lattices, self._spread = hidden, lattices, spread
        seen_by = rays(real)
        parts = scene.build(real, nominal, seen_by, hidden, polarisation, chance)
        self.sensor = Sensor(real.shape, hidden.sensor, chance)
        self.mask = self.sensor.mask
        self._hot = self.sensor.hot_per_s.ravel()
        self._hot_somewhere = bool(self._hot.any())
        two_theta = seen_by.two_theta_deg.ravel()
        self._order = np.argsort(two_theta, kind="stable")
        ascending = two_theta[self._order]
        self._ascending = ascending
        self._place = np.rint(ascending / _STEP_DEG).astype(np.int32)
        self._azimuth_bin = grains.bin_of(seen_by.azimuth_rad.ravel()[self._order]).astype(np.int16)
        self._seen: Float32 = (parts.seen * self.sensor.gain).ravel()[self._order].astype(np.float32)
        self._static: FloatArray = (parts.rate_per_s * self.sensor.gain).ravel()[self._order]
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
        # The strongest line of B1 stands `contrast` times above its background, for 30 um of salt.
        b1 = lattices[0]
        power = b1.powers(_ANCHOR_GPA, 300.0)
        strongest = int(np.argmax(power))
        angle = b1.two_theta_deg(np.array([_ANCHOR_GPA]), 300.0)[0][strongest : strongest + 1]
        height = float(self._profile(angle, angle, np.ones(1))[0])
        wanted = hidden.scene.contrast * float(scene.background(angle, hidden)[0])
        self._scale = wanted / (power[strongest] * height) * thickness_um / 30.0

    @staticmethod
    def cutoff_counts(seconds: float) -> int:
        """Highest count that a pixel reports in an exposure of so many seconds."""
        return Sensor.cutoff_counts(seconds)

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
        return self.sensor.counts(self.expected(glimpses, seconds), seconds, rng)

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
