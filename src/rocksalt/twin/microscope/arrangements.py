"""Where features stand: Poisson, Thomas (clustered) and hard-core points in a box, which appear one by one.

Every point has a birth, the density at which it appears: what is there at one density is there at every larger one.
The density axis is cut into generations, each with a stream of chance of its own, so there is no state and no end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, floor, inf, log, pi
from typing import ClassVar, Final, Protocol

import numpy as np

from rocksalt.time import Chance
from rocksalt.values import FloatArray

LUCK: Final = 6
_PER_GENERATION: Final = 128.0
_REACH: Final = 5.0  # standard deviations: an offspring further from its parent is one in 10^5
_CROWDED: Final = 0.95  # of the closest that Matern's model comes to; its proposals grow without end on the way there


@dataclass(frozen=True, slots=True)
class Points:
    """n points of a box. place_um (n, dimensions) from its corner; birth (n,), the density at which each appeared;
    luck (n, LUCK), uniform numbers of its own, for whatever else is to be drawn about it."""

    place_um: FloatArray
    birth: FloatArray
    luck: FloatArray


class Arrangement(Protocol):
    """A stationary point process, of which a box shows a part: what lies beyond the edges was there when it formed."""

    @property
    def name(self) -> str:
        """What it is called: Poisson, Thomas or hard core."""
        ...

    def densest(self, dimensions: int) -> float:
        """The largest mean density it has, per um to the power of its dimensions; infinity where there is none."""
        ...

    def points(self, chance: Chance, purpose: str, box_um: tuple[float, ...], density: float) -> Points:
        """The points of a box with these sides (2 or 3) at a mean density per um^2 or um^3.

        The same chance, purpose and box give nested points at all densities. Raises ValueError for a density that is
        negative, not finite or above `densest`, and for a box that isn't one."""
        ...

    def pair_correlation(self, r_um: FloatArray, density: float, dimensions: int) -> FloatArray:
        """g(r) in theory at distances r_um (any shape, > 0): pairs at that distance, relative to a Poisson process."""
        ...


@dataclass(frozen=True, slots=True)
class Poisson:
    """Complete chance: no point knows of another. g(r) = 1."""

    name: ClassVar[str] = "Poisson"

    def densest(self, dimensions: int) -> float:
        return inf

    def points(self, chance: Chance, purpose: str, box_um: tuple[float, ...], density: float) -> Points:
        box = _checked(self, box_um, density)
        found = []
        for rng, low, high in _generations(chance, purpose, float(box.prod()), density):
            number = int(rng.poisson((high - low) * box.prod()))
            birth = rng.uniform(low, high, number)
            found.append(Points(rng.random((number, box.size)) * box, birth, rng.random((number, LUCK))))
        return _kept(found, box, density)

    def pair_correlation(self, r_um: FloatArray, density: float, dimensions: int) -> FloatArray:
        return np.ones_like(np.asarray(r_um, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Thomas:
    """Clusters: parents (not seen) are a Poisson process of parents_per_um, per um^2 or um^3; offspring stand around
    them with a Gaussian of standard deviation spread_um along each axis, their number Poisson too.

    Parents are there from the beginning and get more offspring as the density grows, so that g(r) doesn't change:
    g(r) = 1 + exp(-r^2 / 4 s^2) / (kappa (4 pi s^2)^(d/2)), M. Thomas, Biometrika 36, 18 (1949); as a pair correlation
    in Illian, Penttinen, Stoyan, Stoyan, "Statistical Analysis and Modelling of Spatial Point Patterns" (2008), from
    memory; it is the density of the difference of two offspring of one parent, over kappa.
    """

    parents_per_um: float
    spread_um: float
    name: ClassVar[str] = "Thomas"

    def __post_init__(self) -> None:
        _positive(self, parents_per_um=self.parents_per_um, spread_um=self.spread_um)

    def densest(self, dimensions: int) -> float:
        return inf

    def points(self, chance: Chance, purpose: str, box_um: tuple[float, ...], density: float) -> Points:
        box = _checked(self, box_um, density)
        margin = _REACH * self.spread_um
        wide = box + 2.0 * margin
        volume = float(wide.prod())
        rng = chance.stream(f"{purpose}.parents")
        parents = rng.random((int(rng.poisson(self.parents_per_um * volume)), box.size)) * wide - margin
        found = []
        for rng, low, high in _generations(chance, purpose, volume, density):
            # So many a parent: their sum over parents, each offspring then with a parent drawn at random.
            number = int(rng.poisson((high - low) / self.parents_per_um * len(parents)))
            birth = rng.uniform(low, high, number)
            parent = parents[rng.integers(len(parents), size=number)] if number else np.empty((0, box.size))
            place = parent + rng.normal(0.0, self.spread_um, (number, box.size))
            found.append(Points(place, birth, rng.random((number, LUCK))))
        return _kept(found, box, density)

    def pair_correlation(self, r_um: FloatArray, density: float, dimensions: int) -> FloatArray:
        square = np.asarray(r_um, dtype=np.float64) ** 2
        wide = 4.0 * self.spread_um**2
        return np.asarray(1.0 + np.exp(-square / wide) / (self.parents_per_um * (pi * wide) ** (dimensions / 2.0)))


@dataclass(frozen=True, slots=True)
class HardCore:
    """No two within distance_um: Matern's second model. Proposals come as a Poisson process; one stays if no earlier
    one, whether it stayed or not, stands within the distance.

    B. Matern, "Spatial Variation" (1960); density (1 - exp(-rho V)) / V of proposals rho, with V the ball of radius
    distance_um (disc in two dimensions). Pair correlation: Chiu, Stoyan, Kendall, Mecke, "Stochastic Geometry and its
    Applications" (2013), chapter 5, from memory; the tests derive it again from the arrival times.
    """

    distance_um: float
    name: ClassVar[str] = "hard core"

    def __post_init__(self) -> None:
        _positive(self, distance_um=self.distance_um)

    def densest(self, dimensions: int) -> float:
        return _CROWDED / _ball(self.distance_um, dimensions)

    def points(self, chance: Chance, purpose: str, box_um: tuple[float, ...], density: float) -> Points:
        from scipy.spatial import cKDTree

        box = _checked(self, box_um, density)
        ball = _ball(self.distance_um, box.size)
        margin = self.distance_um
        wide = box + 2.0 * margin
        proposals = -log(1.0 - density * ball) / ball
        found = []
        for rng, low, high in _generations(chance, purpose, float(wide.prod()), proposals):
            number = int(rng.poisson((high - low) * wide.prod()))
            arrived = rng.uniform(low, high, number)
            found.append(Points(rng.random((number, box.size)) * wide - margin, arrived, rng.random((number, LUCK))))
        if not found:
            return _kept(found, box, density)
        place, arrived = np.concatenate([part.place_um for part in found]), np.concatenate([p.birth for p in found])
        pairs = cKDTree(place).query_pairs(self.distance_um, output_type="ndarray")
        first, second = pairs[:, 0], pairs[:, 1]
        stays = np.ones(len(place), dtype=np.bool_)
        stays[np.where(arrived[first] > arrived[second], first, second)] = False
        birth = np.where(stays, -np.expm1(-arrived * ball) / ball, inf)
        return _kept([Points(place, birth, np.concatenate([part.luck for part in found]))], box, density)

    def pair_correlation(self, r_um: FloatArray, density: float, dimensions: int) -> FloatArray:
        r = np.asarray(r_um, dtype=np.float64)
        ball, both = _ball(self.distance_um, dimensions), _two_balls(r, self.distance_um, dimensions)
        rho = -log(1.0 - density * ball) / ball
        apart = np.where(r > self.distance_um, both, 2.0 * ball)
        product = 2.0 * apart * (1.0 - exp(-rho * ball)) - 2.0 * ball * -np.expm1(-rho * apart)
        return np.asarray(np.where(r > self.distance_um, product / (ball * apart * (apart - ball)) / density**2, 0.0))


def projected(law: Arrangement, r_um: FloatArray, density: float, thickness_um: float) -> FloatArray:
    """g(r) of a slab's points seen along its thickness, at distances r_um (n,) in the image, in theory: the mean of the
    three-dimensional one over depths t between two points, which are triangular, 2 (1 - t/T) / T."""
    depth = (np.arange(2000) + 0.5) * thickness_um / 2000
    weight = 2.0 * (1.0 - depth / thickness_um) / 2000
    r = np.hypot(np.asarray(r_um, dtype=np.float64)[:, None], depth)
    return np.asarray(law.pair_correlation(r, density, 3) @ weight)


def _generations(
    chance: Chance, purpose: str, volume: float, density: float
) -> Iterator[tuple[np.random.Generator, float, float]]:
    """(stream, from, to) of each generation that begins below this density. The last is drawn whole."""
    if density <= 0.0:
        return
    step = _PER_GENERATION / volume
    for number in range(floor(density / step) + 1):
        yield chance.stream(purpose, number), number * step, (number + 1) * step


def _kept(found: list[Points], box: FloatArray, density: float) -> Points:
    """Those within the box that are born, in the order of their birth."""
    if not found:
        return Points(np.empty((0, box.size)), np.empty(0), np.empty((0, LUCK)))
    place = np.concatenate([part.place_um for part in found])
    birth = np.concatenate([part.birth for part in found])
    inside = np.flatnonzero(((place >= 0.0) & (place < box)).all(axis=1) & (birth <= density))
    inside = inside[np.argsort(birth[inside], kind="stable")]
    return Points(place[inside], birth[inside], np.concatenate([part.luck for part in found])[inside])


def _ball(radius: float, dimensions: int) -> float:
    return pi * radius**2 if dimensions == 2 else 4.0 / 3.0 * pi * radius**3


def _two_balls(r: FloatArray, radius: float, dimensions: int) -> FloatArray:
    """Area or volume of two discs or balls together, their centres r apart."""
    half = np.minimum(r / (2.0 * radius), 1.0)
    if dimensions == 2:
        common = 2.0 * radius**2 * (np.arccos(half) - half * np.sqrt(1.0 - half**2))
    else:
        common = 2.0 / 3.0 * pi * radius**3 * (1.0 - half) ** 2 * (2.0 + half)
    return np.asarray(2.0 * _ball(radius, dimensions) - common)


def _checked(law: Arrangement, box_um: tuple[float, ...], density: float) -> FloatArray:
    box = np.asarray(box_um, dtype=np.float64)
    if box.size not in (2, 3) or not ((box > 0.0) & (box < inf)).all():
        raise ValueError(f"a box of {box_um} um: it needs two or three sides, all positive and finite")
    if not 0.0 <= density < inf:
        raise ValueError(f"a density of {density} per um^{box.size}: it must be finite and not negative")
    if density > (most := law.densest(box.size)):
        raise ValueError(
            f"a density of {density:g} per um^{box.size}: a {law.name} arrangement has at most {most:.4g}; "
            "take a smaller distance"
        )
    return box


def _positive(law: Arrangement, **numbers: float) -> None:
    for name, value in numbers.items():
        if not 0.0 < value < inf:
            raise ValueError(f"{law.name} arrangement: {name} is {value}; it must be positive and finite")
