"""The smooth background: Compton and thermal diffuse scattering of anvils and salt, air, fluorescence, the halo.

All in photons a steradian for each photon at the sample, before polarisation and the sensor. Photons scatter once.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rocksalt.twin.departures import Departures
from rocksalt.twin.picture import gasket, matter
from rocksalt.twin.picture.geometry import Rays
from rocksalt.values import FloatArray

DIAMOND: Final[matter.Atoms] = (("C", 1.7627e29),)
"""8 atoms in a cell of 3.567 A."""
DIAMOND_B_A2: Final = 0.14
"""Debye model with 2230 K at 300 K; measured values are 0.14 to 0.2 (recalled, unconfirmed)."""
_SALT_B_A2: Final = 2.4  # KBr near 300 K, both ions; a smooth background needs no better

# Dry air at 295 K and 1013 hPa: molecules a cubic metre, bond length in angstrom.
_MOLECULES_PER_M3: Final = 2.487e25
_AIR: Final = (("N", 0.781, 1.098), ("O", 0.209, 1.207))
_AIR_SLABS: Final = 8

# K edge and K alpha of what salts consist of, in keV, and fluorescence photons for each photon absorbed above the edge:
# yield times the K shell's share (recalled, unconfirmed). Na, Cl and K are never counted, F and Li still less.
_FLUORESCENCE: Final = {
    "Br": (13.474, 11.92, 0.53), "Rb": (15.200, 13.39, 0.57), "I": (33.169, 28.61, 0.74), "Cs": (35.985, 30.97, 0.75),
}  # fmt: skip
_THRESHOLD: Final = 0.5
"""The sensor counts photons above half of the beam's energy."""
_STEP_DEG: Final = 0.02


def transmitted(path_m: float, atoms: matter.Atoms, energy_kev: float, two_theta_deg: FloatArray) -> FloatArray:
    """What gets out of a plate after the sample, at an angle to its normal."""
    along = np.maximum(np.cos(np.radians(two_theta_deg)), 0.05)
    return np.asarray(np.exp(-matter.attenuation_per_m(atoms, energy_kev) * path_m / along))


def smooth(
    rays: Rays, hidden: Departures, energy_kev: float, distance_m: float, salt: matter.Atoms, salt_m: float
) -> FloatArray:
    """Everything but Bragg scattering, shape of the rays: photons a steradian for each at the sample."""
    angles = np.arange(0.0, float(rays.two_theta_deg.max()) + _STEP_DEG, _STEP_DEG)
    anvils, scene = hidden.anvils, hidden.scene
    mu = matter.attenuation_per_m(DIAMOND, energy_kev)
    down_m = 1e-3 * anvils.downstream_mm
    out = transmitted(down_m, DIAMOND, energy_kev, angles)
    # Half of the light of the downstream anvil comes from behind its middle: straight in, slantwise out.
    halfway = np.sqrt(np.exp(-mu * down_m) * out)
    per_metre = diamond_per_metre(angles, energy_kev)
    downstream = per_metre * down_m * halfway
    within = (
        of_salt(angles, energy_kev, salt, salt_m) * out
        + fluorescence(angles, energy_kev, salt, salt_m, down_m)
        + air(angles, energy_kev, 1e-3 * scene.air_mm, distance_m) * np.exp(-mu * down_m)
        + scene.halo_per_sr / np.maximum(angles, 0.5) ** 3
    )
    upstream_m = gasket.visible_m(rays, hidden, energy_kev, 1e-3 * anvils.upstream_mm)
    return np.asarray(
        np.interp(rays.two_theta_deg, angles, downstream + within)
        + np.interp(rays.two_theta_deg, angles, per_metre * out) * upstream_m
    ) * (1.0 + scene.diffuse_relative)


def diamond_per_metre(two_theta_deg: FloatArray, energy_kev: float) -> FloatArray:
    """Compton and half of the thermal diffuse scattering; the other half is drawn around the reflections."""
    ((symbol, per_m3),) = DIAMOND
    compton = matter.compton_m2_per_sr(symbol, two_theta_deg, energy_kev)
    thermal = matter.diffuse_m2_per_sr(symbol, two_theta_deg, energy_kev, DIAMOND_B_A2)
    return np.asarray(per_m3 * (compton + 0.5 * thermal))


def of_salt(two_theta_deg: FloatArray, energy_kev: float, salt: matter.Atoms, salt_m: float) -> FloatArray:
    """Compton and thermal diffuse scattering of the salt itself."""
    total = np.zeros_like(two_theta_deg)
    for symbol, per_m3 in salt:
        total += per_m3 * matter.compton_m2_per_sr(symbol, two_theta_deg, energy_kev)
        total += per_m3 * matter.diffuse_m2_per_sr(symbol, two_theta_deg, energy_kev, _SALT_B_A2)
    return total * salt_m


def fluorescence(
    two_theta_deg: FloatArray, energy_kev: float, salt: matter.Atoms, salt_m: float, down_m: float
) -> FloatArray:
    """K fluorescence, the same in all directions, where the beam is above an edge and the line above the threshold: Br
    at 11.9 keV and Rb at 13.4 keV are cut for every beam above 23.8 and 26.8 keV, I and Cs are counted."""
    total = np.zeros_like(two_theta_deg)
    for symbol, per_m3 in salt:
        edge, line, photons = _FLUORESCENCE.get(symbol, (np.inf, 0.0, 0.0))
        if energy_kev <= edge or line <= _THRESHOLD * energy_kev:
            continue
        absorbed = -np.expm1(-matter.attenuation_per_m(((symbol, per_m3),), energy_kev) * salt_m)
        total += absorbed * photons / (4.0 * np.pi) * transmitted(down_m, DIAMOND, line, two_theta_deg)
    return total


def air(two_theta_deg: FloatArray, energy_kev: float, path_m: float, distance_m: float) -> FloatArray:
    """Air between the cell and where the beam ends. Air nearer to the detector sends its photons into the same pixel at
    a larger angle and from a shorter distance; two atoms of a molecule scatter together (Debye 1915)."""
    inner = np.minimum(two_theta_deg, 75.0)
    flat = np.tan(np.radians(inner))
    total = np.zeros_like(two_theta_deg)
    for slab in range(_AIR_SLABS):
        left_m = distance_m - min((slab + 0.5) / _AIR_SLABS * path_m, 0.9 * distance_m)
        angle = np.degrees(np.arctan(distance_m / left_m * flat))
        nearer = (
            (distance_m * np.cos(np.radians(angle))) ** 3 / distance_m / (left_m**2 * np.cos(np.radians(inner)) ** 3)
        )
        q = 4.0 * np.pi * np.sin(np.radians(angle) / 2.0) * energy_kev / matter.KEV_ANGSTROM
        of_all = np.zeros_like(angle)
        for symbol, share, bond in _AIR:
            together = 2.0 * (1.0 + np.sinc(q * bond / np.pi))
            elastic = matter.ELECTRON_RADIUS2_M2 * matter.form_factor(symbol, q / (4.0 * np.pi)) ** 2 * together
            of_all += share * (elastic + 2.0 * matter.compton_m2_per_sr(symbol, angle, energy_kev))
        total += _MOLECULES_PER_M3 * of_all * nearer * path_m / _AIR_SLABS
    return total
