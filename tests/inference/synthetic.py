"""Powder patterns that share nothing with the fit but the crystals: skewed shapes, wrong intensities, background."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rocksalt.crystals import eos, structure, tables
from rocksalt.values import Measured, Pattern

WAVELENGTH = 0.4133
ROOM = Measured(300.0, 1.0)
# Lines of metals around a sample: d in angstrom and relative strength.
RHENIUM = ((2.391, 30), (2.229, 34), (2.107, 100), (1.630, 11), (1.3805, 22), (1.262, 16), (1.174, 20), (1.1535, 15))


def skewed(x: np.ndarray, centre: float, fwhm: float, skew: float, tail: float) -> np.ndarray:
    """Pearson VII of unit area with unlike sides: `skew` in their widths, exponent `tail` (1 is Lorentz)."""
    side = np.where(x < centre, 1.0 + skew, 1.0 - skew) * fwhm
    shape = (1.0 + (2.0 ** (1.0 / tail) - 1.0) * (2.0 * (x - centre) / side) ** 2) ** -tail
    return shape / (shape.sum() * (x[1] - x[0]))


@dataclass(frozen=True)
class Cell:
    """What lies in the beam: pressure, and for each (salt, structure) its volume fraction."""

    pressure_gpa: float
    fractions: Mapping[tuple[str, str], float]


def diamond_cell_pattern(
    rng: np.random.Generator,
    cell: Cell,
    *,
    contrast: float = 0.05,
    counts: float = 3e5,
    line_error: float = 0.15,
    gasket: float = 0.0,
    spikes: int = 0,
    gradient_gpa: float = 0.1,
    points: int = 2000,
    strain: Callable[[str, float], float] | None = None,
) -> Pattern:
    """A pattern as from a diamond cell: `contrast` is the highest line over the background under it.

    counts       detected in one bin at the background's maximum, so that intensity scatters by its square root
    line_error   relative spread of each line's intensity; gasket: height of rhenium over the highest sample line
    spikes       diamond spots that leak through, each a narrow spike with the azimuthal variation of a spot
    strain       relative change of the spacing of a line, by its label and its theta in radians
    """
    x = np.linspace(2.0, 16.0, points)
    level = 0.25 + 0.6 * np.exp(-((x - 2.0) / 2.5)) + 0.5 * np.exp(-0.5 * ((x - 11.0) / 3.5) ** 2)
    level = level / level.max()
    stretch, skew = 1.0 + rng.normal(0.0, 1e-4), rng.normal(0.0, 0.08)
    lines = np.zeros_like(x)
    for (salt, kind), fraction in cell.fractions.items():
        row = eos.extrapolated(tables.phase(salt, kind))
        a = float(eos.cell_angstrom(row, cell.pressure_gpa)) * stretch
        bulk = float(eos.bulk_modulus_gpa(row, a**3))
        found = structure.lines(row, a, WAVELENGTH, 18.0)
        theta = np.radians(found.two_theta_deg / 2.0)
        strength = found.intensity_per_volume / (np.sin(theta) * np.sin(2.0 * theta)) * fraction
        strength = strength * np.exp(rng.normal(0.0, line_error, strength.size))
        stretched = np.array([strain(*line) for line in zip(found.labels, theta, strict=True)]) if strain else 0.0
        centres = np.degrees(2.0 * np.arcsin(np.sin(theta) / (1.0 + stretched)))
        for at, s in zip(centres, strength, strict=True):
            smear = np.degrees(2.0 * np.tan(np.radians(at / 2.0))) * gradient_gpa / (3.0 * bulk)
            lines += s * skewed(x, at, float(np.hypot(0.055, 2.35 * smear)), skew, 1.25)
    highest = lines.max() if lines.max() > 0.0 else 1.0
    lines = lines / highest
    metal = np.zeros_like(x)
    for d, strength in RHENIUM if gasket else ():
        at = float(np.degrees(2.0 * np.arcsin(WAVELENGTH / (2.0 * d * (1.0 + 0.001)))))
        metal += strength * np.exp(rng.normal(0.0, 0.3)) * skewed(x, at, 0.08, 0.05, 1.5)
    if gasket:
        lines = lines + gasket * metal / metal.max()
    variation = np.full(x.size, 0.02) + rng.uniform(0.0, 0.01, x.size)
    for _ in range(spikes):
        at = rng.uniform(3.0, 15.5)
        spot = np.exp(-0.5 * ((x - at) / rng.uniform(0.01, 0.03)) ** 2) * rng.uniform(0.3, 3.0)
        lines = lines + spot
        variation = variation + 20.0 * contrast * spot
    expected = counts * (level + contrast * lines)
    drawn = rng.poisson(expected).astype(float)
    per_pixel = 300.0
    return Pattern(
        x, drawn / per_pixel, np.maximum(drawn, 1.0) / per_pixel**2, WAVELENGTH, False, "synthetic", variation
    )
