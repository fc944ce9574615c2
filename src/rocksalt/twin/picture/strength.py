"""How many photons a second a ring has, in absolute units, and how many of the photons that arrive are counted."""

from __future__ import annotations

from typing import Final

import numpy as np

from rocksalt.crystals.absorption import density_kg_per_m3
from rocksalt.crystals.tables import PHASES, ions
from rocksalt.twin.picture import matter
from rocksalt.twin.picture.geometry import Geometry
from rocksalt.values import FloatArray

SENSOR_M: Final = 0.75e-3
"""Thickness of the CdTe sensor: EIGER2 and PILATUS3 CdTe are sold with 0.75 and 1 mm (unconfirmed); both stop all."""

# Density 5.85 g/cm3 (recalled, unconfirmed) over 240.01 g/mol.
_CDTE: Final = (("Cd", 1.468e28), ("Te", 1.468e28))


def ring_per_steradian(wavelength_angstrom: float, thickness_um: float) -> float:
    """Factor from `Lattice.powers` (m |F|^2 / (V^2 sin^2 th cos th), e^2/A^6) to photons, for each incoming one, in a
    steradian around a line, integrated over 2 theta in degrees; polarisation and absorption apart.

    A whole ring holds r_e^2 lambda^3 t m |F|^2 / (4 V^2 sin th) of the beam (B. E. Warren, X-ray Diffraction, 1969,
    chapter 4: integrated power of a powder in a parallel beam). Its cone covers 2 pi sin 2th d(2th): hence
    r_e^2 lambda^3 t / (16 pi) times the power above.
    """
    thickness_angstrom = 1e4 * thickness_um
    per_radian = matter.ELECTRON_RADIUS_ANGSTROM**2 * wavelength_angstrom**3 * thickness_angstrom / (16.0 * np.pi)
    return float(per_radian * 180.0 / np.pi)


def pixel_steradian(geometry: Geometry) -> float:
    """Solid angle of the pixel that the sample looks at squarely; others have cos^3 of the incidence of it."""
    return (geometry.pixel_m / geometry.distance_m) ** 2


def counted(energy_kev: float, cos_incidence: FloatArray) -> FloatArray:
    """Share of the photons that the CdTe sensor stops. Escape of its own fluorescence (K edges 26.7 and 31.8 keV),
    which costs some per cent just above them, is left out; so are charges shared below the threshold."""
    return np.asarray(-np.expm1(-matter.attenuation_per_m(_CDTE, energy_kev) * SENSOR_M / cos_incidence))


def polarised(two_theta_deg: FloatArray, azimuth_rad: FloatArray, polarisation: float) -> FloatArray:
    """Thomson's factor for a beam of this degree of horizontal polarisation; 1 straight ahead."""
    angle = np.radians(two_theta_deg)
    twist = polarisation * np.cos(2.0 * azimuth_rad)
    return np.asarray(0.5 * (1.0 + np.cos(angle) ** 2 - twist * np.sin(angle) ** 2))


def salt_atoms(salt: str) -> matter.Atoms:
    """The salt at ambient conditions, for its attenuation and its own background. Raises UnknownPhase."""
    cation, anion = ions(salt)
    phase = next(row for row in PHASES.values() if row.salt == salt)
    formulas = density_kg_per_m3(phase) / (matter.weight_kg(cation) + matter.weight_kg(anion))
    return ((cation, formulas), (anion, formulas))
