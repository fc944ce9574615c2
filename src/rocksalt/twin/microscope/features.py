"""What stands at the points: colloids that take light away, and dislocation loops strung with specks of the same kind.

Single colour centres are never seen: only metal that has gathered in tens of nanometres and more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from rocksalt.twin.departures import MicroscopeDepartures
from rocksalt.twin.microscope import mie
from rocksalt.twin.microscope.arrangements import Arrangement, HardCore, Points, Poisson, Thomas
from rocksalt.values import FloatArray

Kind = Literal["colloid", "loop"]
LARGEST_COLLOID_UM: Final = 0.4  # half of what the lens resolves: above it a colloid would show its shape
LARGEST_LOOP_UM: Final = 12.0
_GOLDEN: Final = 0.6180339887498949
_SPECKS_SIGMA_LN: Final = 0.35
# Normals of the planes that a loop lies on, z along the line of sight, x and y along the cube's edges: the crystal was
# cleaved on {100} and is looked at through the cleavage.
_100: Final = np.eye(3)
_110: Final = np.array([(1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)]) / np.sqrt(2.0)


@dataclass(frozen=True, slots=True)
class Specks:
    """n absorbing points: place_um (n, 3), cross-section (n,), and the number (n,) of the feature they belong to."""

    place_um: FloatArray
    area_um2: FloatArray
    owner: NDArray[np.int64]


class Optics:
    """What absorption there is at one wavelength in one medium: Mie cross-sections, tabulated over radius."""

    def __init__(self, wavelength_um: float, index: float) -> None:
        self._ln = np.linspace(np.log(0.002), np.log(LARGEST_COLLOID_UM), 160)
        metal = mie.potassium_index(wavelength_um)
        self._ln_area = np.log(mie.extinction_um2(np.exp(self._ln), wavelength_um, index, metal))

    def area_um2(self, radius_um: FloatArray) -> FloatArray:
        """Extinction cross-section of colloids (n,), radii 0.002 to 0.4 um."""
        return np.asarray(np.exp(np.interp(np.log(radius_um), self._ln, self._ln_area)))


def arrangement_of(kind: Kind, hidden: MicroscopeDepartures) -> Arrangement:
    """How this twin's colloids or loops are arranged."""
    loops = kind == "loop"
    number = hidden.loop_arrangement if loops else hidden.colloid_arrangement
    if number == 0:
        return Poisson()
    if number == 1:
        ratio = hidden.loop_cluster_ratio if loops else 1.0
        return Thomas(hidden.cluster_per_um3 / ratio**3, hidden.cluster_um * ratio)
    return HardCore(hidden.loop_core_um if loops else hidden.colloid_core_um)


def radii_um(kind: Kind, points: Points, hidden: MicroscopeDepartures) -> FloatArray:
    """Radius of each point's feature, (n,), log-normal, cut off at the largest. A feature keeps it for life."""
    from scipy.special import ndtri

    median, sigma, most = (
        (hidden.loop_radius_um, hidden.loop_sigma_ln, LARGEST_LOOP_UM)
        if kind == "loop"
        else (hidden.colloid_radius_um, hidden.colloid_sigma_ln, LARGEST_COLLOID_UM)
    )
    return np.asarray(np.clip(median * np.exp(sigma * ndtri(points.luck[:, 0])), 0.005, most))


def colloid_specks(points: Points, radius_um: FloatArray, optics: Optics) -> Specks:
    """A colloid is smaller than what the lens resolves: one absorbing point."""
    return Specks(points.place_um, optics.area_um2(radius_um), np.arange(len(radius_um)))


def loop_specks(points: Points, radius_um: FloatArray, optics: Optics, hidden: MicroscopeDepartures) -> Specks:
    """Circles on {100} or {110} planes, with a speck of metal every speck_apart_um or so.

    Specks along dislocations in salts coloured with their metal: S. Amelinckx, Phil. Mag. 1, 269 (1956); how far apart
    they stand, and that loops decorate as lines do, is unconfirmed. Specks have log-normal radii too.
    """
    from scipy.special import ndtri

    if len(radius_um) == 0:
        return Specks(np.empty((0, 3)), np.empty(0), np.empty(0, dtype=np.int64))
    number = np.maximum(np.rint(2.0 * np.pi * radius_um / hidden.speck_apart_um).astype(np.int64), 6)
    owner = np.repeat(np.arange(len(number)), number)
    step = np.arange(owner.size) - np.repeat(np.cumsum(number) - number, number)
    # Golden-ratio sequences started by the loop's own luck: even enough and irregular, and no stream for each loop.
    jitter = (points.luck[owner, 1] + step * _GOLDEN) % 1.0
    size = (points.luck[owner, 2] + step * _GOLDEN**2 * 7.0) % 1.0
    angle = 2.0 * np.pi * (step + 1.7 * jitter) / number[owner] + 2.0 * np.pi * points.luck[owner, 3]
    first, second = _axes(normals(points, hidden))
    arm = np.cos(angle)[:, None] * first[owner] + np.sin(angle)[:, None] * second[owner]
    place = points.place_um[owner] + radius_um[owner, None] * arm
    speck = hidden.speck_radius_um * np.exp(_SPECKS_SIGMA_LN * ndtri(np.clip(size, 1e-3, 1.0 - 1e-3)))
    return Specks(place, optics.area_um2(speck), owner)


def normals(points: Points, hidden: MicroscopeDepartures) -> FloatArray:
    """Unit normal of each loop's plane, (n, 3)."""
    on_110 = points.luck[:, 4] < hidden.loop_110_share
    cubic = _100[(points.luck[:, 5] * 3.0).astype(np.int64)]
    return np.where(on_110[:, None], _110[(points.luck[:, 5] * 6.0).astype(np.int64)], cubic)


def _axes(normal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors across each normal and each other."""
    helper = np.where(np.abs(normal[:, 2:]) > 0.9, np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    first = np.cross(helper, normal)
    first /= np.linalg.norm(first, axis=1)[:, None]
    return first, np.cross(normal, first)
