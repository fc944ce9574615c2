"""The twin's own crystals: the table's phases with their hidden departures, where and how strongly they diffract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rocksalt.crystals import eos, structure, tables
from rocksalt.time import Chance
from rocksalt.twin.departures import Departures
from rocksalt.values import FloatArray

ANCHOR_GPA: Final = 2.0
_GRID_GPA: Final = np.linspace(-0.4, 12.0, 621)
_TEMPERATURES_K: Final = (250.0, 300.0, 350.0)
_F2_GPA: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0)
_Q_GPA: Final = (0.0, 4.0, 8.0)
_TWO_THETA_MAX_DEG: Final = 19.0

# C11, C12, C44 at zero pressure (GPa) and their pressure derivatives. B1: Brillouin and ultrasonic values of KBr, with
# derivatives recalled from the literature. B2: nobody has measured KBr B2 at these pressures; CsBr's stand in for it.
_ELASTIC: Final = {
    "B1": ((34.6, 5.7, 5.1), (12.9, 1.6, -0.33)),
    "B2": ((30.6, 8.1, 7.5), (6.5, 5.0, 3.5)),
}


@dataclass(frozen=True, slots=True)
class Reflection:
    """One line: hkl, its sum of squares, and how many reflections share the ring."""

    hkl: tuple[int, int, int]
    square: int
    multiplicity: int


class Lattice:
    """One phase: cell and line positions at a true pressure."""

    def __init__(self, salt: str, name: str, hidden: Departures, chance: Chance, wavelength_angstrom: float) -> None:
        self.name = name
        self._wavelength = wavelength_angstrom
        self._deviatoric = hidden.sample.deviatoric_gpa
        known = tables.phase(salt, "B1" if name == "B1" else "B2")
        shift = hidden.sample.k0p_b1 if name == "B1" else hidden.sample.k0p_b2
        phase = departed_phase(known, hidden.sample.eos_error_gpa(name), shift)
        self.volumes: FloatArray = np.array([eos.volume_a3(phase, _GRID_GPA, kelvin) for kelvin in _TEMPERATURES_K])
        self.cells_per_formula = 1.0 / known.z
        found = [
            structure.lines(known, float(np.cbrt(eos.volume_a3(phase, at))), wavelength_angstrom, _TWO_THETA_MAX_DEG)
            for at in _F2_GPA
        ]
        count = min(len(lines.labels) for lines in found)
        self.reflections: tuple[Reflection, ...] = tuple(
            Reflection((int(h), int(k), int(l)), int(h * h + k * k + l * l), int(multiplicity))
            for (h, k, l), multiplicity in zip(found[0].hkl[:count], found[0].multiplicity[:count], strict=True)  # noqa: E741
        )
        self._root = np.sqrt([r.square for r in self.reflections])
        self._multiplicity = np.array([r.multiplicity for r in self.reflections], dtype=np.float64)
        factors = 1.0 + hidden.sample.line_intensity * chance.stream(f"lines.{name}").uniform(-1.0, 1.0, count)
        self._f2 = np.array([lines.f2[:count] for lines in found]) * factors
        self._extra_b_a2 = hidden.sample.debye_waller_a2
        c, slope = _ELASTIC[name]
        self._q = np.array(
            [
                [_singh_per_gpa(np.add(c, pressure * np.asarray(slope)), r.hkl) for r in self.reflections]
                for pressure in _Q_GPA
            ]
        )

    def volume_a3(self, pressure_gpa: float, temperature_k: float) -> float:
        """Volume of the cubic cell."""
        return float(self._volumes(np.array([pressure_gpa]), temperature_k)[0])

    def _volumes(self, pressures_gpa: FloatArray, temperature_k: float) -> FloatArray:
        below = 0 if temperature_k < _TEMPERATURES_K[1] else 1
        cold, hot = _TEMPERATURES_K[below : below + 2]
        part = (temperature_k - cold) / (hot - cold)
        return np.asarray(
            (1.0 - part) * np.interp(pressures_gpa, _GRID_GPA, self.volumes[below])
            + part * np.interp(pressures_gpa, _GRID_GPA, self.volumes[below + 1])
        )

    def two_theta_deg(self, pressures_gpa: FloatArray, temperature_k: float) -> FloatArray:
        """Line positions, (len(pressures), reflections), stress shift included.

        Axial geometry (load along the beam), A. K. Singh et al., J. Appl. Phys. 83, 7567 (1998):
        d = d_P [1 + (1 - 3 cos^2 psi) Q], psi = 90 degrees - theta.
        """
        a = np.cbrt(self._volumes(pressures_gpa, temperature_k))[:, None]
        sine = self._wavelength * self._root / (2.0 * a)
        q = _between(float(pressures_gpa.mean()), _Q_GPA, self._q) * self._deviatoric
        sine = sine / (1.0 + (1.0 - 3.0 * sine**2) * q)
        return np.asarray(2.0 * np.degrees(np.arcsin(np.minimum(sine, 1.0))))

    def powers(self, pressure_gpa: float, temperature_k: float) -> FloatArray:
        """Intensity of each line on a flat detector's unit of solid angle and a unit of volume, without polarisation:
        m |F|^2 exp(-2 B s^2) / (V^2 sin^2(theta) cos(theta)), in a unit that is arbitrary but common to all phases."""
        volume = self.volume_a3(pressure_gpa, temperature_k)
        s = self._root / (2.0 * np.cbrt(volume))
        sine = self._wavelength * s
        lorentz = 1.0 / (sine**2 * np.sqrt(1.0 - sine**2))
        f2 = _between(pressure_gpa, _F2_GPA, self._f2) * np.exp(-2.0 * self._extra_b_a2 * s * s)
        return np.asarray(self._multiplicity * f2 * lorentz / volume**2)


class Shrinkage:
    """Volume lost by B1 to B2, relative to B1's, against pressure; on an even grid, for speed."""

    def __init__(self, b1: Lattice, b2: Lattice) -> None:
        self._low, self._spacing = -0.4, 0.05
        pressures = self._low + self._spacing * np.arange(250)
        self._strain = [
            1.0 - b2.volume_a3(p, 300.0) * b2.cells_per_formula / (b1.volume_a3(p, 300.0) * b1.cells_per_formula)
            for p in pressures.tolist()
        ]
        self._at_anchor = self.strain(ANCHOR_GPA)

    def strain(self, pressure_gpa: float) -> float:
        """(V_B1 - V_B2) / V_B1 for the same salt."""
        place = min(max((pressure_gpa - self._low) / self._spacing, 0.0), len(self._strain) - 1.001)
        index = int(place)
        return self._strain[index] + (place - index) * (self._strain[index + 1] - self._strain[index])

    def relative(self, pressure_gpa: float) -> float:
        """Strain relative to that at 2 GPa."""
        return self.strain(pressure_gpa) / self._at_anchor


def _between(at: float, grid: tuple[float, ...], rows: FloatArray) -> FloatArray:
    """Rows (len(grid), n) interpolated to `at`; the outermost row beyond the ends."""
    place = float(np.interp(at, grid, np.arange(len(grid))))
    low = min(int(place), len(grid) - 2)
    return np.asarray(rows[low] + (place - low) * (rows[low + 1] - rows[low]))


def departed_phase(known: tables.Phase, error_gpa: float, k0p_shift: float) -> tables.Phase:
    """The same phase, its pressure at the volume that the table calls 2 GPa higher by error_gpa: K0' shifts, and K0
    follows, as their strong anticorrelation has it. Pressure is proportional to K0 in every form used."""
    wide = replace(known, range_gpa=(0.0, 20.0))
    volume = eos.volume_a3(wide, ANCHOR_GPA)
    shifted = replace(wide, k0p=known.k0p + k0p_shift)
    factor = (ANCHOR_GPA + error_gpa) / eos.pressure_gpa(shifted, volume)
    return replace(shifted, k0_gpa=known.k0_gpa * factor)


def _singh_per_gpa(c: FloatArray, hkl: tuple[int, int, int]) -> float:
    """Q(hkl) for t = 1 GPa, halfway between Reuss and Voigt (alpha = 1/2)."""
    c11, c12, c44 = (float(value) for value in c)
    s11 = (c11 + c12) / ((c11 - c12) * (c11 + 2.0 * c12))
    s12 = -c12 / ((c11 - c12) * (c11 + 2.0 * c12))
    s44 = 1.0 / c44
    h, k, l = (float(i * i) for i in hkl)  # noqa: E741  # the crystallographer's names
    gamma = (h * k + k * l + l * h) / (h + k + l) ** 2
    reuss = s11 - s12 - 3.0 * (s11 - s12 - s44 / 2.0) * gamma
    voigt = 5.0 / (c11 - c12 + 3.0 * c44) / 2.0
    return (0.5 * reuss + 0.5 * voigt) / 3.0
