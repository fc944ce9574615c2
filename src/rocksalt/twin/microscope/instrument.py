"""The microscope as the world holds it: densities and a time in, a picture out, and on the side what was in it.

It has no state: the crystal, its dirt and the camera follow from the seed, wandering from the time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, log, radians
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.crystals.refraction import refractive_index
from rocksalt.time import Chance
from rocksalt.twin.departures import Departures
from rocksalt.twin.microscope import features, image, nuisance
from rocksalt.twin.microscope.arrangements import Points
from rocksalt.twin.microscope.features import Kind, Specks
from rocksalt.twin.microscope.spread import Spread
from rocksalt.values import FloatArray

Float32 = NDArray[np.float32]
SHAPE: Final = (1024, 1280)
UM_PER_PX: Final = 3.45 / 20.0  # pixels of 3.45 um behind a 20x objective
APERTURE: Final = 0.4
WAVELENGTH_UM: Final = 0.546
_EV_UM: Final = 1.239841984  # h c in eV um, SI 2019
ROSE: Final = 5.0
"""A feature is seen at a signal of five times the noise (A. Rose, J. Opt. Soc. Am. 38, 196, 1948), matched filter."""
MOST_FEATURES: Final = 20_000
"""Of each kind in the box: with more, they lie on one another, and nothing new is to be seen."""
_WAVES: Final = 3
_KINDS: Final[tuple[Kind, Kind]] = ("colloid", "loop")


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a picture, for the truth file.

    x_um, y_um, depth_um   centre, from the middle of the box and from the upper face of the crystal
    row_px, column_px      where it is in the picture; pixel (0, 0) has its centre at 0, 0
    birth_per_um3          the density at which it appeared
    contrast               share of light missing at its darkest
    signal_to_noise        of a matched filter, in a picture of this exposure
    resolvable             signal_to_noise of 5 or more (Rose), and by the Rayleigh criterion apart from whatever else
                           has that much: farther than 0.61 lambda / NA or its own blur, whichever is larger. A
                           colloid must be so far from colloids and specks, the centre of a loop from those of other
                           loops and from its own ring
    normal                 of a loop's plane, in the crystal's axes; None for a colloid
    """

    kind: Kind
    x_um: float
    y_um: float
    depth_um: float
    row_px: float
    column_px: float
    radius_um: float
    birth_per_um3: float
    contrast: float
    signal_to_noise: float
    resolvable: bool
    normal: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class _Pose:
    """Where everything stands at one time: plane in focus (um deep), stage (x, y, um), brightness of the lamp."""

    plane_um: float
    stage_um: FloatArray
    lamp: float


class Microscope:
    """One crystal plate under one bright-field microscope. Another shape, scale or thickness is another crystal.

    hidden, chance   the twin's departures and its chance
    thickness_um     of the plate
    shape            of the camera; um_per_px and aperture as the experimenter believes them
    wavelength_um    of the green filter before the lamp, 0.405 to 0.86
    """

    def __init__(
        self, hidden: Departures, chance: Chance, *, salt: str = "KBr", thickness_um: float = 60.0,
        shape: tuple[int, int] = SHAPE, um_per_px: float = UM_PER_PX, aperture: float = APERTURE,
        wavelength_um: float = WAVELENGTH_UM,
    ) -> None:  # fmt: skip
        if salt != "KBr":
            raise ValueError(f"a microscope on {salt}: colloids are known here in KBr only, so far")
        if not (0.0 < thickness_um < inf and 0.0 < um_per_px < inf and 0.0 < aperture < 1.0 and min(shape) > 0):
            raise ValueError(
                f"a plate {thickness_um} um thick, {um_per_px} um a pixel, aperture {aperture}, {shape} pixels: all "
                "must be positive, the aperture below 1 (there is no immersion oil on a salt)"
            )
        own = hidden.microscope
        self._hidden, self._chance = own, chance
        self.shape, self.um_per_px, self.thickness_um = shape, um_per_px, thickness_um
        self.true_um_per_px = um_per_px * (1.0 + own.magnification_relative)
        self.index = float(refractive_index(salt, np.array(_EV_UM / wavelength_um)))
        self.spread = Spread(aperture, wavelength_um, self.index)
        self.optics = features.Optics(wavelength_um, self.index)
        self.camera = image.build(shape, self.true_um_per_px, own, chance)
        self._typical_e_per_s = float(np.median(self.camera.field_e_per_s))
        turn = radians(own.rotation_deg)
        self._turn = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        # The box reaches beyond the picture by rotation, wandering and what a blurred or large feature needs.
        wide = np.array([shape[1], shape[0]]) * self.true_um_per_px
        beyond = 3.0 * own.stage_wander_um + features.LARGEST_LOOP_UM + float(self.spread.reach_um.max())
        self.box_um = (*(float(side) for side in np.abs(self._turn) @ wide + 2.0 * beyond), thickness_um)
        self.arrangements = {kind: features.arrangement_of(kind, own) for kind in _KINDS}
        self._nuisances = nuisance.draw(own, chance, np.array(self.box_um))
        rng = chance.stream("microscope.wander")
        self._period_s = np.exp(rng.uniform(log(600.0), log(20_000.0), (4, _WAVES)))
        self._phase = rng.uniform(0.0, 2.0 * np.pi, (4, _WAVES))

    def image(
        self, at_s: float, exposure_s: float, focus_um: float, colloids_per_um3: float, loops_per_um3: float,
        rng: np.random.Generator, *, optical_density: float = 0.0,
    ) -> NDArray[np.uint16]:  # fmt: skip
        """One picture, (rows, columns), 12 bit: how the crystal looks at at_s with so many features in it.

        focus_um is the drive's travel below the upper face: the plane in focus is refractive index times deeper.
        optical_density is what the crystal's colour takes away at the microscope's wavelength, decadic. A hard-core
        arrangement takes no more features than find room, and none more than MOST_FEATURES. Raises ValueError for an
        exposure that isn't positive, a
        density or an optical density that is negative, and for numbers that aren't finite."""
        _check(at_s, exposure_s, focus_um, optical_density)
        pose = self._pose(at_s, focus_um)
        attenuation = self.attenuation(at_s, focus_um, colloids_per_um3, loops_per_um3)
        attenuation += np.float32(log(10.0) * optical_density)
        return self.camera.counts(self.camera.mean_e(attenuation, exposure_s, pose.lamp), rng)

    def attenuation(self, at_s: float, focus_um: float, colloids_per_um3: float, loops_per_um3: float) -> Float32:
        """Natural logarithm of what features and dirt take away, (rows, columns): the picture without lamp and noise.

        Attenuations of features add up after each is blurred, as they do for faint ones."""
        pose = self._pose(at_s, focus_um)
        canvas: Float32 = np.zeros(self.shape, dtype=np.float32)
        scale = self.true_um_per_px
        area_um2 = self.shape[0] * self.shape[1] * scale**2
        for kind, density in zip(_KINDS, (colloids_per_um3, loops_per_um3), strict=True):
            specks = self._specks(kind, *self._grown(kind, density))
            row, column = self._pixel(specks.place_um, pose)
            defocus = specks.place_um[:, 2] - pose.plane_um
            veil = self.spread.stamp(canvas, row, column, defocus, specks.area_um2, scale)
            canvas += np.float32(veil / area_um2)
        for blob in self._nuisances.blobs:
            row, column = self._pixel(blob.place_um[None, :], pose)
            defocus_um = float(blob.place_um[2]) - pose.plane_um
            nuisance.stamp_blob(canvas, blob, float(row[0]), float(column[0]), defocus_um, scale, self.spread.slope)
        for line in self._nuisances.lines:
            row, column = self._pixel(np.array([line.start_um, line.end_um]), pose)
            ends = np.stack([row, column], axis=1)
            nuisance.stamp_line(canvas, line, ends[0], ends[1], -pose.plane_um, scale, self.spread.slope)
        return canvas

    def truth(
        self, at_s: float, exposure_s: float, focus_um: float, colloids_per_um3: float, loops_per_um3: float, *,
        optical_density: float = 0.0,
    ) -> list[Feature]:  # fmt: skip
        """The features whose centres are within the picture that `image` gives for the same arguments: colloids, then
        loops, each in the order in which they appeared. Dirt isn't told."""
        _check(at_s, exposure_s, focus_um, optical_density)
        pose = self._pose(at_s, focus_um)
        electrons = self._typical_e_per_s * exposure_s * pose.lamp * 10.0**-optical_density
        colloids, dots = self._told("colloid", colloids_per_um3, pose, electrons)
        loops, specks = self._told("loop", loops_per_um3, pose, electrons)
        scale = self.true_um_per_px
        colloids = _apart(colloids, self._limits_um(colloids, pose), np.concatenate([dots, specks]), scale)
        centres = np.array([(loop.row_px, loop.column_px) for loop in loops if loop.resolvable]).reshape(-1, 2)
        loops = _apart(loops, self._limits_um(loops, pose), centres, scale)
        return colloids + loops

    # --- inside -------------------------------------------------------------------------------------------------------

    def _grown(self, kind: Kind, density: float) -> tuple[Points, FloatArray]:
        law = self.arrangements[kind]
        most = min(law.densest(3), MOST_FEATURES / float(np.prod(self.box_um)))
        points = law.points(self._chance, f"microscope.{kind}", self.box_um, min(density, most))
        return points, features.radii_um(kind, points, self._hidden)

    def _specks(self, kind: Kind, points: Points, radius: FloatArray) -> Specks:
        if kind == "colloid":
            return features.colloid_specks(points, radius, self.optics)
        # A loop that meets a face of the plate ends there.
        specks = features.loop_specks(points, radius, self.optics, self._hidden)
        within = (specks.place_um[:, 2] >= 0.0) & (specks.place_um[:, 2] <= self.thickness_um)
        return Specks(specks.place_um[within], specks.area_um2[within], specks.owner[within])

    def _pose(self, at_s: float, focus_um: float) -> _Pose:
        wander = np.sin(2.0 * np.pi * at_s / self._period_s + self._phase).mean(axis=1)
        own = self._hidden
        plane = self.index * (focus_um + own.focus_error_um + own.focus_wander_um * float(wander[0]))
        return _Pose(plane, own.stage_wander_um * wander[1:3], 1.0 + own.lamp_ripple * float(wander[3]))

    def _pixel(self, place_um: FloatArray, pose: _Pose) -> tuple[FloatArray, FloatArray]:
        """(row, column) of places (n, 2 or 3) in the box."""
        centred = place_um[:, :2] - 0.5 * np.array(self.box_um[:2]) + pose.stage_um
        turned = centred @ self._turn.T / self.true_um_per_px
        return turned[:, 1] + 0.5 * (self.shape[0] - 1), turned[:, 0] + 0.5 * (self.shape[1] - 1)

    def _told(
        self, kind: Kind, density: float, pose: _Pose, electrons: float
    ) -> tuple[list[Feature], FloatArray]:  # fmt: skip
        """The features of one kind in the picture, resolvable so far as there is signal; and (row, column) of all
        absorbing points of those that have it, (n, 2), beyond the picture's edge too."""
        points, radius = self._grown(kind, density)
        if len(radius) == 0:
            return [], np.empty((0, 2))
        specks = self._specks(kind, points, radius)
        defocus = specks.place_um[:, 2] - pose.plane_um
        near = np.abs(defocus) <= self.spread.farthest_um
        # A matched filter's signal over noise: the square of the contrast summed over pixels, times electrons, with
        # the read noise beside them. Specks of a loop are taken one by one, as if they didn't overlap.
        sharpness = self.spread.sharpness_per_um2[self.spread.plane(defocus)]
        square = specks.area_um2**2 * sharpness / self.true_um_per_px**2 * near
        quiet = electrons**2 / (electrons + self._hidden.read_noise_e**2)
        signal = np.sqrt(np.bincount(specks.owner, square, len(radius)) * quiet)
        darkest = np.zeros(len(radius))
        np.maximum.at(darkest, specks.owner, specks.area_um2 * self.spread.peak_per_um2(defocus) * near)
        row, column = self._pixel(points.place_um, pose)
        x, y, depth = (points.place_um - 0.5 * np.array([*self.box_um[:2], 0.0])).T
        planes = features.normals(points, self._hidden).tolist() if kind == "loop" else None
        inside = (row > -0.5) & (row < self.shape[0] - 0.5) & (column > -0.5) & (column < self.shape[1] - 0.5)
        found = [
            Feature(
                kind, float(x[i]), float(y[i]), float(depth[i]), float(row[i]), float(column[i]), float(radius[i]),
                float(points.birth[i]), float(-np.expm1(-darkest[i])), float(signal[i]), bool(signal[i] >= ROSE),
                None if planes is None else tuple(planes[i]),
            )
            for i in np.flatnonzero(inside)
        ]  # fmt: skip
        clear = signal[specks.owner] >= ROSE
        return found, np.stack(self._pixel(specks.place_um[clear], pose), axis=1)

    def _limits_um(self, found: list[Feature], pose: _Pose) -> FloatArray:
        """How near another may be to each of these: Rayleigh's distance, or the radius of its blur."""
        blur = np.array([self.spread.slope * abs(feature.depth_um - pose.plane_um) for feature in found])
        return np.asarray(np.maximum(self.spread.rayleigh_um, blur))


def _apart(found: list[Feature], limit_um: FloatArray, others_px: FloatArray, um_per_px: float) -> list[Feature]:
    """The same features, with `resolvable` withdrawn from those that something else is too near to. They are among the
    others themselves, so the second nearest counts."""
    from scipy.spatial import cKDTree

    if len(others_px) == 0:
        return found
    place = np.array([(feature.row_px, feature.column_px) for feature in found]).reshape(-1, 2) * um_per_px
    distance, _ = cKDTree(others_px * um_per_px).query(place, k=2)
    told = []
    for feature, limit, second in zip(found, limit_um, distance[:, 1], strict=True):
        wide = feature.kind == "colloid" or feature.radius_um > float(limit)
        told.append(replace(feature, resolvable=feature.resolvable and float(second) > float(limit) and wide))
    return told


def _check(at_s: float, exposure_s: float, focus_um: float, optical_density: float) -> None:
    if not (0.0 < exposure_s < inf and -inf < focus_um < inf and -inf < at_s < inf and 0.0 <= optical_density < inf):
        raise ValueError(
            f"a picture at {at_s} s of {exposure_s} s with the focus at {focus_um} um through an optical density of "
            f"{optical_density}: the exposure must be positive, the density not negative, and all finite"
        )
