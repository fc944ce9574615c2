"""The stray intermediate: a weak set of lines that comes and goes while KCl and NaBr transform.

Drawn like a third phase, by the renderer's own interface of a phase; its cell goes with that of B1.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from rocksalt.crystals import intermediate, structure, tables
from rocksalt.crystals.transition import TRANSITIONS
from rocksalt.time import Chance
from rocksalt.twin.departures import SampleDepartures
from rocksalt.twin.sample.lattice import Reflection
from rocksalt.values import FloatArray

_REFERENCE_K: Final = 300.0
_REACH_PER_ANGSTROM: Final = 1.9  # of sin(theta) / lambda: the form factors end at 2
_WEAKEST: Final = 0.01  # of the strongest; what is below drowns


class Cubic(Protocol):
    """A cubic phase that knows its volume."""

    def volume_a3(self, pressure_gpa: float, temperature_k: float) -> float: ...


class Stray:
    """B33 on the way from this B1, with lines up to two_theta_max_deg. Raises ValueError for a salt in which it was not
    seen."""

    name: Final = "B33"

    def __init__(
        self, salt: str, b1: Cubic, hidden: SampleDepartures, chance: Chance, wavelength_angstrom: float,
        two_theta_max_deg: float = 19.0,
    ) -> None:  # fmt: skip
        if not known(salt):
            raise ValueError(f"B33 was not seen in {salt}: it has no stray intermediate to draw")
        phase = tables.phase(salt, "B1")
        self._b1, self._wavelength = b1, wavelength_angstrom
        # Structure factors are those of the pressure at which it was seen.
        self._volume = b1.volume_a3(TRANSITIONS[salt].equilibrium_gpa, _REFERENCE_K)
        edge = float(np.cbrt(self._volume))
        highest = min(np.sin(np.radians(two_theta_max_deg) / 2.0) / wavelength_angstrom, _REACH_PER_ANGSTROM)
        lines = intermediate.stray_lines(phase, edge, wavelength_angstrom, float(0.5 / highest))
        s = 0.5 / lines.d_angstrom
        # Nobody measured its vibrations: those of B1, both ions alike.
        b_a2 = float(np.mean(structure.debye_waller_b_a2(phase, self._volume))) + hidden.debye_waller_a2
        bright = lines.intensity_per_volume * np.exp(-2.0 * b_a2 * s * s)
        shown = bright * self._lorentz(s) > _WEAKEST * float((bright * self._lorentz(s)).max())
        factors = 1.0 + hidden.line_intensity * chance.stream("lines.B33").uniform(-1.0, 1.0, int(shown.sum()))
        self._bright = bright[shown] * factors
        self._edge_over_d = edge / lines.d_angstrom[shown]  # the cell keeps its shape
        self.reflections: tuple[Reflection, ...] = tuple(
            Reflection((h, k, l), h * h + k * k + l * l, 2 ** ((h > 0) + (k > 0) + (l > 0)))
            for h, k, l in lines.hkl[shown].tolist()  # noqa: E741  # the crystallographer's names
        )

    def two_theta_deg(
        self, pressures_gpa: FloatArray, temperature_k: float, deviatoric_gpa: float | None = None
    ) -> FloatArray:
        """Line positions, (len(pressures), reflections), without stress shifts, elasticity being unknown; 180 where
        there is no line."""
        edges = np.cbrt([self._b1.volume_a3(float(pressure), temperature_k) for pressure in pressures_gpa])
        sine = self._wavelength * self._edge_over_d / (2.0 * edges[:, None])
        return np.asarray(2.0 * np.degrees(np.arcsin(np.minimum(sine, 1.0))))

    def powers(self, pressure_gpa: float, temperature_k: float) -> FloatArray:
        """As `Lattice.powers`, in the same unit."""
        volume = self._b1.volume_a3(pressure_gpa, temperature_k)
        s = self._edge_over_d / (2.0 * np.cbrt(volume))
        return np.asarray(self._bright * (self._volume / volume) ** 2 * self._lorentz(s))

    def _lorentz(self, s_per_angstrom: FloatArray) -> FloatArray:
        sine = self._wavelength * s_per_angstrom
        cosine = np.sqrt(np.maximum(1.0 - sine**2, 0.0))
        return np.divide(1.0, sine**2 * cosine, out=np.zeros_like(sine), where=cosine > 0.0)


def known(salt: str) -> bool:
    """Whether the intermediate was seen in this salt."""
    return salt in TRANSITIONS and TRANSITIONS[salt].intermediate == "B33"
