"""From the state of the sample to counts: rings by lookup, the rest from the scene, and the sensor makes counts of it.

Pixels are sorted by scattering angle once; each line then touches one contiguous run of them, with a profile over the
angle times an intensity around the ring. Most of a frame's time goes into its Poisson numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from rocksalt.time import Chance
from rocksalt.twin.departures import Departures
from rocksalt.twin.picture import grains, scene, stray, strength
from rocksalt.twin.picture.geometry import Geometry, departed, rays
from rocksalt.twin.picture.sensor import Sensor
from rocksalt.twin.sample.lattice import Lattice, Reflection
from rocksalt.twin.sample.transformation import Spread
from rocksalt.values import FloatArray

_STEP_DEG: Final = 0.002
_REACH_DEG: Final = 0.7
_REACH_STEPS: Final = round(_REACH_DEG / _STEP_DEG)
_GROUPS: Final = 7
_AREA_STEPS: Final = 700
_LEAST_SHARE: Final = 1e-6
_MOST_SHEETS: Final = 3
_SAME_GRAINS: Final = 0.5 / grains.GENERATIONS
Float32 = NDArray[np.float32]
Places = NDArray[np.intp]


class Diffracting(Protocol):
    """A phase as the renderer needs it: see `rocksalt.twin.sample.lattice.Lattice`, and `stray.Stray`."""

    @property
    def name(self) -> str: ...
    @property
    def reflections(self) -> tuple[Reflection, ...]: ...
    def two_theta_deg(
        self, pressures_gpa: FloatArray, temperature_k: float, deviatoric_gpa: float | None = None
    ) -> FloatArray: ...
    def powers(self, pressure_gpa: float, temperature_k: float) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The sample during part of an exposure.

    light_s        open time weighted with the beam's intensity
    transformed    molar share of each pressure bin that is B2, (BINS,)
    stray          volume fraction of the stray intermediate, where the salt has one; fraction_b2 that of B2 in the
                   rest. A sample of one phase is that phase, whatever these say
    gradient       what the spread of local pressures is multiplied with
    thickness_um   of the sample along the beam; None: as it was loaded
    deviatoric_gpa the uniaxial stress t of Singh (1998); None: the twin's own in a fluid medium
    hit            share of the light that meets the sample and not the gasket's rim
    swelling       by how much the cells' edges have grown with defects, relative
    """

    light_s: float
    pressure_gpa: float
    transformed: FloatArray
    fraction_b2: float
    temperature_k: float
    stray: float = 0.0
    gradient: float = 1.0
    thickness_um: float | None = None
    deviatoric_gpa: float | None = None
    hit: float = 1.0
    swelling: float = 0.0


class Renderer:
    """One sample, one detector. Not for two threads at once: it keeps room for its sums."""

    def __init__(
        self, nominal: Geometry, hidden: Departures, lattices: Sequence[Lattice], spread: Spread,
        polarisation: float, thickness_um: float, chance: Chance, *, flux_ph_per_s: float, salt: str = "KBr",
    ) -> None:  # fmt: skip
        """flux_ph_per_s is what the station file says; the true flux departs from it."""
        real = departed(nominal, hidden)
        flux = flux_ph_per_s * hidden.beam.flux_relative
        self.geometry = real
        self._hidden, self._spread, self._thickness_um = hidden, spread, thickness_um
        # A salt of one structure may come as the same phase twice.
        self.lattices = tuple({lattice.name: lattice for lattice in lattices}.values())
        seen_by = rays(real)
        parts = scene.build(
            real, nominal, seen_by, hidden, polarisation, chance,
            flux_ph_per_s=flux, thickness_um=thickness_um, salt=salt,
        )  # fmt: skip
        self.sensor = Sensor(real.shape, hidden.sensor, chance)
        self.mask = self.sensor.mask
        # Pixels that count, by ascending angle; all that follows has one number for each of them.
        alive = np.flatnonzero(~self.mask.ravel())
        two_theta = seen_by.two_theta_deg.ravel()[alive]
        self._pixels = alive[np.argsort(two_theta, kind="stable")]
        self._place: Places = np.rint(seen_by.two_theta_deg.ravel()[self._pixels] / _STEP_DEG).astype(np.intp)
        self._azimuth_bin: Places = grains.bin_of(seen_by.azimuth_rad.ravel()[self._pixels]).astype(np.intp)

        def sorted32(image: FloatArray | Float32) -> Float32:
            return image.ravel()[self._pixels].astype(np.float32)

        self._seen = sorted32(parts.seen * self.sensor.gain)
        self._static = sorted32(parts.rate_per_s * self.sensor.gain)
        self._dark = sorted32(self.sensor.dark_per_s)
        self._mean: Float32 = np.zeros(two_theta.size, dtype=np.float32)
        self._one: Float32 = np.empty(two_theta.size, dtype=np.float32)
        self._other: Float32 = np.empty(two_theta.size, dtype=np.float32)
        self._index: Places = np.empty(two_theta.size, dtype=np.intp)
        self._image: Float32 = np.zeros(real.shape[0] * real.shape[1], dtype=np.float32)

        grained = hidden.sample
        self._phases: tuple[Diffracting, ...] = self.lattices
        if len(self.lattices) > 1 and stray.known(salt):
            widest = float(two_theta.max())
            third = stray.Stray(salt, self.lattices[0], grained, chance, real.wavelength_angstrom, widest)
            self._phases = (*self.lattices, third)
        self._rings = {
            (phase.name, number): grains.Ring(
                chance.stream(f"grains.{phase.name}", number),
                grained.grains_per_deg * line.multiplicity / 12.0, grained.grain_sigma_ln, grained.mosaic_deg,
                grains.in_plane_texture(grained.in_plane, grained.in_plane_axis_rad + 0.4 * number),
                grained.grain_strain,
            )
            for phase in self._phases
            for number, line in enumerate(phase.reflections)
        }  # fmt: skip
        ratios = {"B1": grained.fibre_b1, "B2": grained.fibre_b2}
        self._fibre = {
            phase.name: np.array(
                [
                    grains.fibre_factor(line.hkl, ratios[phase.name], np.pi / 2.0 - np.radians(angle / 2.0))
                    for line, angle in zip(
                        phase.reflections, phase.two_theta_deg(np.array([2.0]), 300.0)[0], strict=True
                    )
                ]
                if phase.name in ratios
                else 1.0
            )
            for phase in self._phases
        }
        # Powers become photons a second into a pixel that looks at the sample squarely.
        self._scale = flux * strength.pixel_steradian(real) * strength.ring_per_steradian(
            real.wavelength_angstrom, thickness_um * hidden.scene.filling
        )  # fmt: skip

    @staticmethod
    def cutoff_counts(seconds: float) -> int:
        """Highest count that a pixel reports in an exposure of so many seconds."""
        return Sensor.cutoff_counts(seconds)

    def expected(self, glimpses: Sequence[Glimpse], seconds: float) -> FloatArray:
        """Mean counts of every pixel, (rows * columns,), for these glimpses within an exposure of `seconds`: light, and
        what the sensor counts in the dark, without zingers; 0 where it is masked."""
        return self._expected(glimpses, seconds).astype(np.float64)

    def frame(self, glimpses: Sequence[Glimpse], seconds: float, rng: np.random.Generator) -> NDArray[np.uint32]:
        """Counts, (rows, columns): what `Sensor.counts` makes of the expected ones."""
        return self.sensor.counts(self._expected(glimpses, seconds), seconds, rng)

    def _expected(self, glimpses: Sequence[Glimpse], seconds: float) -> Float32:
        """As `expected`, in single precision, in an array that the next call writes to."""
        mean = self._mean
        mean.fill(0.0)
        for together in _of_same_grains([glimpse for glimpse in glimpses if glimpse.light_s > 0.0]):
            self._draw(mean, together)
        mean *= self._seen
        mean += np.multiply(self._static, np.float32(sum(glimpse.light_s for glimpse in glimpses)), out=self._one)
        mean += np.multiply(self._dark, np.float32(seconds), out=self._one)
        self._image[self._pixels] = mean
        return self._image

    def _shares(self, glimpse: Glimpse) -> dict[str, tuple[float, FloatArray]]:
        """Volume fraction of each phase, and how it is spread over the bins of pressure."""
        if len(self.lattices) == 1:
            return {self.lattices[0].name: (1.0, np.ones_like(glimpse.transformed))}
        rest = 1.0 - glimpse.stray if len(self._phases) > len(self.lattices) else 1.0
        return {
            "B1": (rest * (1.0 - glimpse.fraction_b2), 1.0 - glimpse.transformed),
            "B2": (rest * glimpse.fraction_b2, glimpse.transformed),
            # An interface between the two: it is where both are.
            "B33": (glimpse.stray, glimpse.transformed * (1.0 - glimpse.transformed)),
        }

    def _draw(self, mean: Float32, glimpses: Sequence[Glimpse]) -> None:
        """The rings of glimpses that show the same grains."""
        shares = [self._shares(glimpse) for glimpse in glimpses]
        for phase in self._phases:
            positions, strengths, volume, light = [], [], 0.0, 0.0
            for glimpse, (share, weights) in zip(glimpses, (found[phase.name] for found in shares), strict=True):
                volume, light = volume + share * glimpse.light_s, light + glimpse.light_s
                if share < _LEAST_SHARE:
                    continue
                pressure, kelvin = glimpse.pressure_gpa, glimpse.temperature_k
                pressures, parts = _grouped(pressure + glimpse.gradient * self._spread.gradient_gpa, weights)
                amount = self._scale * glimpse.light_s * glimpse.hit * share * self._thinned(glimpse)
                powers = amount * phase.powers(pressure, kelvin) * self._fibre[phase.name]
                angles = phase.two_theta_deg(pressures, kelvin, glimpse.deviatoric_gpa)
                positions.append(_swollen(angles, glimpse.swelling))
                strengths.append(parts[:, None] * powers[None, :])
            if positions:
                where, how_much = np.concatenate(positions), np.concatenate(strengths)
                for number in range(len(phase.reflections)):
                    around = self._rings[phase.name, number].strained(volume / light)
                    self._add(mean, where[:, number], how_much[:, number] * light / volume, around)

    def _thinned(self, glimpse: Glimpse) -> float:
        """Thickness relative to the one that the scale was made for."""
        if glimpse.thickness_um is None:
            return 1.0
        return glimpse.thickness_um / self._thickness_um

    def _add(self, mean: Float32, centres: FloatArray, strengths: FloatArray, around: grains.Around) -> None:
        """One line: profiles at these centres, of these strengths, times the intensity around the ring, moved by the
        strain of its grains."""
        within = (centres < (self._place[-1] + _REACH_STEPS) * _STEP_DEG) & (strengths > 0.0)
        centres, strengths = centres[within], strengths[within]
        if not centres.size:
            return
        per_strain_deg = -2.0 * np.degrees(np.tan(np.radians(float(centres.mean()) / 2.0)))
        moved = np.rint(around.strain * per_strain_deg / _STEP_DEG).astype(np.intp)
        farthest = int(np.abs(moved).max())
        line, bottom = self._line(centres, strengths, abs(per_strain_deg) * around.scatter, farthest)
        # Behind both ends of the line is room for the farthest that a grain moves it.
        first, last = np.searchsorted(self._place, (bottom + farthest, bottom + line.size - farthest))
        if last <= first:
            return
        n = int(last - first)
        bins, index, one, other = self._azimuth_bin[first:last], self._index[:n], self._one[:n], self._other[:n]
        # Every index lies in its table; "clip" only spares numpy the copy that "raise" makes.
        if farthest:
            np.take(moved, bins, out=index, mode="clip")
            np.subtract(self._place[first:last], index, out=index)
            index -= bottom
        else:
            np.subtract(self._place[first:last], bottom, out=index)
        np.take(line, index, out=one, mode="clip")
        np.take(around.intensity.astype(np.float32), bins, out=other, mode="clip")
        one *= other
        mean[first:last] += one

    def _line(self, centres: FloatArray, strengths: FloatArray, broader_deg: float, room: int) -> tuple[Float32, int]:
        """Sum of profiles on the grid of angles, and the step at which it begins; with 2 * `room` empty steps at each
        end. Each centre is shared out between the two steps around it."""
        middle = np.array([float(np.average(centres, weights=strengths))])
        offsets = np.arange(-_REACH_STEPS, _REACH_STEPS + 1) * _STEP_DEG
        profile = self._profile(middle + offsets, middle, np.ones(1), broader_deg)
        at = centres / _STEP_DEG
        below = np.floor(at).astype(np.int64)
        lowest = int(below.min())
        behind = np.bincount(below - lowest, strengths * (1.0 - (at - below)), int(below.max()) - lowest + 2)
        above = np.bincount(below - lowest + 1, strengths * (at - below), behind.size)
        line = np.convolve(behind + above, profile)
        return np.pad(line, 2 * room).astype(np.float32), lowest - _REACH_STEPS - 2 * room

    def _profile(
        self, angles_deg: FloatArray, centres_deg: FloatArray, parts: FloatArray, broader_deg: float = 0.0
    ) -> FloatArray:
        """Pearson VII of unit area (per degree), lopsided, its exponent between Lorentzian and Gaussian: not what fits
        use; summed over these centres in these parts.

        Width: instrument, crystallites (Scherrer) and microstrain, added in squares, and broader_deg (one sigma)."""
        hidden = self._hidden
        theta = np.radians(float(centres_deg.mean()) / 2.0)
        size = np.degrees(0.9 * self.geometry.wavelength_angstrom / (hidden.sample.crystallite_a * np.cos(theta)))
        strain = np.degrees(4.0 * hidden.sample.microstrain * np.tan(theta))
        width = float(np.sqrt(hidden.profile.width_deg**2 + size**2 + strain**2 + (2.3548 * broader_deg) ** 2))
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


def _swollen(two_theta_deg: FloatArray, swelling: float) -> FloatArray:
    """Where lines stand once every spacing has grown by this share: from Bragg's law, for a small one."""
    return two_theta_deg - np.degrees(2.0 * swelling * np.tan(np.radians(0.5 * two_theta_deg)))


def _grouped(local_gpa: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ascending pressures and their weights, gathered into at most _GROUPS: (pressures, shares summing to 1)."""
    edges = np.linspace(0, local_gpa.size, _GROUPS + 1).astype(np.int64)[:-1]
    sums = np.add.reduceat(weights, edges)
    firsts = np.add.reduceat(weights * local_gpa, edges)
    kept = sums > 1e-9
    if not kept.any():
        return np.array([float(local_gpa.mean())]), np.array([1.0])
    return firsts[kept] / sums[kept], sums[kept] / sums[kept].sum()


def _of_same_grains(glimpses: Sequence[Glimpse]) -> Iterator[list[Glimpse]]:
    """Glimpses that follow each other, as long as their fractions lie so close together that their mean will do to say
    which grains diffract; what they differ in otherwise, pressure above all, is drawn for each. Close is half a
    generation of grains, or a quarter of what the exposure saw of the transformation."""
    together: list[Glimpse] = []
    fractions = [glimpse.fraction_b2 for glimpse in glimpses] or [0.0]
    close = max(_SAME_GRAINS, (max(fractions) - min(fractions)) / _MOST_SHEETS)
    for glimpse in glimpses:
        if together and max(
            abs(glimpse.fraction_b2 - together[0].fraction_b2), abs(glimpse.stray - together[0].stray)
        ) > close:  # fmt: skip
            yield together
            together = []
        together.append(glimpse)
    if together:
        yield together
