"""The stray intermediate: a weak set of lines that comes and goes while KCl and NaBr transform.

Drawn like a third phase, by the renderer's own interface of a phase; its cell goes with that of B1.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rocksalt.crystals import intermediate, structure, tables
from rocksalt.time import Chance
from rocksalt.twin.departures import Departures
from rocksalt.twin.sample.lattice import ANCHOR_GPA, Lattice, Reflection
from rocksalt.values import FloatArray

_REFERENCE_K: Final = 300.0
_TWO_THETA_MAX_DEG: Final = 19.0
_WEAKEST: Final = 0.01  # of the strongest; what is below drowns


class Stray:
    """B33 on the way from this B1. Raises ValueError for a salt in which it was not seen."""

    name: Final = "B33"

    def __init__(self, salt: str, b1: Lattice, hidden: Departures, chance: Chance, wavelength_angstrom: float) -> None:
        phase = tables.phase(salt, "B1")
        self._b1, self._wavelength = b1, wavelength_angstrom
        volume = b1.volume_a3(ANCHOR_GPA, _REFERENCE_K)
        edge = float(np.cbrt(volume))
        d_min = wavelength_angstrom / (2.0 * np.sin(np.radians(_TWO_THETA_MAX_DEG) / 2.0))
        lines = intermediate.stray_lines(phase, edge, wavelength_angstrom, d_min)
        inverse = 0.5 / lines.d_angstrom
        # Nobody measured its vibrations: those of B1, both ions alike.
        b_a2 = float(np.mean(structure.debye_waller_b_a2(phase, volume))) + hidden.sample.debye_waller_a2
        power = lines.intensity_per_volume * np.exp(-2.0 * b_a2 * inverse**2) * self._lorentz(inverse)
        shown = power > _WEAKEST * power.max()
        self._inverse_d = 2.0 * inverse[shown] * edge  # a(B1) / d: the cell keeps its shape
        factors = 1.0 + hidden.sample.line_intensity * chance.stream("lines.B33").uniform(-1.0, 1.0, int(shown.sum()))
        self._power, self._volume = power[shown] * factors, volume
        self.reflections: tuple[Reflection, ...] = tuple(
            Reflection((int(h), int(k), int(l)), int(h * h + k * k + l * l), int(2 ** ((h > 0) + (k > 0) + (l > 0))))
            for h, k, l in lines.hkl[shown].tolist()  # noqa: E741  # the crystallographer's names
        )

    def two_theta_deg(self, pressures_gpa: FloatArray, temperature_k: float) -> FloatArray:
        """Line positions, (len(pressures), reflections), without stress shifts: its elasticity is unknown."""
        edges = np.cbrt([self._b1.volume_a3(float(p), temperature_k) for p in pressures_gpa])
        sine = self._wavelength * self._inverse_d / (2.0 * edges[:, None])
        return np.asarray(2.0 * np.degrees(np.arcsin(np.minimum(sine, 1.0))))

    def powers(self, pressure_gpa: float, temperature_k: float) -> FloatArray:
        """As `Lattice.powers`; form factors and Lorentz factor as at 2 GPa."""
        return np.asarray(self._power * (self._volume / self._b1.volume_a3(pressure_gpa, temperature_k)) ** 2)

    def _lorentz(self, s_per_angstrom: FloatArray) -> FloatArray:
        sine = self._wavelength * s_per_angstrom
        return np.asarray(1.0 / (sine**2 * np.sqrt(1.0 - sine**2)))
