"""The gasket: it lets little of the upstream anvil's light through, and the beam's tails make its own rings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.time import Chance
from rocksalt.twin.departures import Departures
from rocksalt.twin.picture import grains, matter, strength
from rocksalt.twin.picture.geometry import Geometry, Rays
from rocksalt.values import FloatArray

Hkl = tuple[int, int, int]
_FULL_WIDTH: Final = 1.2872  # at half maximum, of 1 / (1 + x^2)^2, whose area is pi / 2


@dataclass(frozen=True, slots=True)
class Metal:
    """Edges in angstrom (c is a for cubic cells), atoms in a cubic metre, B in square angstrom near 300 K; lines are
    hkl and multiplicity. B and steel's edge are recalled, not confirmed; Re, W: `reference/physics.md`, section 6."""

    symbol: str
    lattice: str
    a: float
    c: float
    per_m3: float
    b_a2: float
    lines: tuple[tuple[Hkl, int], ...]

    def spacing(self, hkl: Hkl) -> float:
        """d in angstrom."""
        h, k, l = hkl  # noqa: E741  # the crystallographer's names
        if self.lattice == "hcp":
            return float(1.0 / np.sqrt(4.0 / 3.0 * (h * h + h * k + k * k) / self.a**2 + l * l / self.c**2))
        return float(self.a / np.sqrt(h * h + k * k + l * l))

    def relative_f2(self, hkl: Hkl) -> float:
        """|F|^2 of the cell over f^2 of an atom."""
        h, k, l = hkl  # noqa: E741
        if self.lattice == "hcp":
            return float(4.0 * np.cos(np.pi * ((h + 2 * k) / 3.0 + l / 2.0)) ** 2)
        return 4.0 if self.lattice == "bcc" else 16.0

    @property
    def volume_a3(self) -> float:
        """Of the cell."""
        return self.a**2 * self.c * (float(np.sqrt(0.75)) if self.lattice == "hcp" else 1.0)

    @property
    def atoms(self) -> matter.Atoms:
        """As attenuation wants it."""
        return ((self.symbol, self.per_m3),)


_BCC: Final = (((1, 1, 0), 12), ((2, 0, 0), 6), ((2, 1, 1), 24), ((2, 2, 0), 12), ((3, 1, 0), 24), ((2, 2, 2), 8))
_FCC: Final = (((1, 1, 1), 8), ((2, 0, 0), 6), ((2, 2, 0), 12), ((3, 1, 1), 24), ((2, 2, 2), 8), ((4, 0, 0), 6))
_HCP: Final = (
    ((1, 0, 0), 6), ((0, 0, 2), 2), ((1, 0, 1), 12), ((1, 0, 2), 12), ((1, 1, 0), 6), ((1, 0, 3), 12), ((1, 1, 2), 12),
    ((2, 0, 1), 12),
)  # fmt: skip
METALS: Final = (
    Metal("Re", "hcp", 2.761, 4.458, 6.80e28, 0.25, _HCP),
    Metal("W", "bcc", 3.165, 3.165, 6.31e28, 0.16, _BCC),
    Metal("Fe", "fcc", 3.590, 3.590, 8.65e28, 0.40, _FCC),  # austenitic steel, taken as iron
)


def visible_m(rays: Rays, hidden: Departures, energy_kev: float, upstream_m: float) -> FloatArray:
    """Length of the upstream anvil that a pixel sees: through the hole whole, through the indentation attenuated,
    through the thick rim nothing. The beam is off the hole's centre, so the shade is lopsided."""
    indented = hidden.gasket
    metal = METALS[indented.kind]
    slope = np.maximum(np.tan(np.minimum(np.radians(rays.two_theta_deg), 1.4)), 1e-6)
    aside = 1e-6 * indented.beam_off_um * np.cos(rays.azimuth_rad - indented.beam_off_rad)
    hole = np.minimum(np.maximum(1e-6 * indented.hole_um - aside, 1e-6) / slope, upstream_m)
    rim = np.minimum(np.maximum(1e-6 * indented.indented_um - aside, 1e-6) / slope, upstream_m)
    path = 1e-6 * indented.thickness_um / np.maximum(np.cos(np.radians(rays.two_theta_deg)), 0.2)
    through = np.exp(-matter.attenuation_per_m(metal.atoms, energy_kev) * path)
    return np.asarray(hole + through * np.maximum(rim - hole, 0.0))


def rings(geometry: Geometry, rays: Rays, hidden: Departures, energy_kev: float, chance: Chance) -> FloatArray:
    """Photons a steradian for each photon at the sample: a few coarse, strained grains on each ring."""
    total = np.zeros(geometry.shape)
    lit = hidden.gasket
    if lit.tails <= 0.0:
        return total
    metal = METALS[lit.kind]
    through = float(np.exp(-matter.attenuation_per_m(metal.atoms, energy_kev) * 1e-6 * lit.thickness_um))
    unit = strength.ring_per_steradian(geometry.wavelength_angstrom, lit.thickness_um) * lit.tails * through
    around = grains.bin_of(rays.azimuth_rad).astype(np.int64)
    for number, (hkl, multiplicity) in enumerate(metal.lines):
        spacing = metal.spacing(hkl) * (1.0 - lit.strain)
        sine = geometry.wavelength_angstrom / (2.0 * spacing)
        if sine >= 1.0:
            continue
        centre = 2.0 * float(np.degrees(np.arcsin(sine)))
        s = np.array(0.5 / spacing)
        f2 = metal.relative_f2(hkl) * float(
            matter.form_factor(metal.symbol, s) ** 2 * np.exp(-2.0 * metal.b_a2 * s * s)
        )
        power = multiplicity * f2 / (metal.volume_a3**2 * sine**2 * np.sqrt(1.0 - sine**2))
        width = float(np.hypot(hidden.profile.width_deg, np.degrees(4.0 * lit.microstrain * sine)))
        near = np.abs(rays.two_theta_deg - centre) < 12.0 * width
        if not near.any():
            continue
        ring = grains.Ring(
            chance.stream("grains.gasket", number), lit.grains_per_deg * multiplicity / 12.0, 0.8,
            1.5 * hidden.sample.mosaic_deg, np.ones(grains.AZIMUTH_BINS),
        )  # fmt: skip
        gamma = width / _FULL_WIDTH
        profile = 2.0 / (np.pi * gamma) / (1.0 + ((rays.two_theta_deg[near] - centre) / gamma) ** 2) ** 2
        total[near] += unit * power * profile * ring.around(1.0)[around[near]]
    return total
