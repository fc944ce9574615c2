"""The twin's own crystals: the table's phases with their hidden departures, where and how strongly they diffract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from rocksalt.crystals import eos, lattice_strain, structure, tables
from rocksalt.time import Chance
from rocksalt.twin.departures import SampleDepartures
from rocksalt.twin.sample import stiffness
from rocksalt.twin.sample.salt import followed, highest_gpa
from rocksalt.values import FloatArray

KELVIN: Final = (2.0, 600.0)
# Thermal expansion is strongly curved when cold: a row every kelvin there, fewer above, good to 3e-6 of
# the volume between two. Each is made when it is wanted.
_NODES_K: Final = np.concatenate([np.arange(2.0, 50.0), np.arange(50.0, 150.0, 2.5), np.arange(150.0, 605.0, 5.0)])
_VOLUMES: Final = 1500
_TENSION_GPA: Final = 0.95
_ALPHA: Final = 0.5  # halfway between Reuss and Voigt
_REACH_PER_ANGSTROM: Final = 1.9  # of sin(theta) / lambda: the form factors end at 2
_ROOM_K: Final = 300.0


@dataclass(frozen=True, slots=True)
class Reflection:
    """One line: hkl, its sum of squares, and how many reflections share the ring."""

    hkl: tuple[int, int, int]
    square: int
    multiplicity: int


class Lattice:
    """One phase: cell and line positions at a true pressure (GPa) and temperature (K).

    Lines reach to two_theta_max_deg of an unloaded hot cell, where most of them fit; under load the outermost leave the
    detector. Beyond top_gpa, and in tension beyond about 1 GPa, the cell stays what it is there; so beyond 2 to 600 K.
    """

    def __init__(
        self, salt: str, name: tables.Structure, hidden: SampleDepartures, chance: Chance, wavelength_angstrom: float,
        *, anchor_gpa: float = 2.0, top_gpa: float = 20.0, two_theta_max_deg: float = 19.0,
    ) -> None:  # fmt: skip
        self.name: str = name
        self.wavelength_angstrom = wavelength_angstrom
        self._hidden = hidden
        self._known = tables.phase(salt, name)
        self.phase = departed_phase(self._known, hidden, anchor_gpa, top_gpa)
        self.cells_per_formula = 1.0 / self._known.z
        ends = eos.volume_a3(self.phase, np.array([-_TENSION_GPA, highest_gpa(self.phase)]))
        self._ladder = np.geomspace(ends[0], ends[1], _VOLUMES)
        self._rows: dict[int, FloatArray] = {}
        edge = np.cbrt(self.volume_a3(0.0, KELVIN[1]))
        widest = np.degrees(2.0 * np.arcsin(min(_REACH_PER_ANGSTROM * wavelength_angstrom, 1.0)))
        found = structure.lines(self._known, float(edge), wavelength_angstrom, min(two_theta_max_deg, float(widest)))
        if not found.labels:
            raise ValueError(
                f"no line of {self._known.name} falls on the detector: it ends at {two_theta_max_deg:.3g} degrees, at "
                f"{wavelength_angstrom:.4g} A; [geometry] and [beam] must let one in"
            )
        self.reflections: tuple[Reflection, ...] = tuple(
            Reflection((int(h), int(k), int(l)), int(h * h + k * k + l * l), int(multiplicity))
            for (h, k, l), multiplicity in zip(found.hkl, found.multiplicity, strict=True)  # noqa: E741
        )
        self._hkl = found.hkl
        self._root = np.sqrt([r.square for r in self.reflections])
        self._multiplicity = np.array([r.multiplicity for r in self.reflections], dtype=np.float64)
        count = len(self.reflections)
        self._factors = 1.0 + hidden.line_intensity * chance.stream(f"lines.{name}").uniform(-1.0, 1.0, count)

    def volume_a3(self, pressure_gpa: float, temperature_k: float) -> float:
        """Volume of the cubic cell."""
        return float(self._volumes(np.array([pressure_gpa]), temperature_k)[0])

    def room_volume_a3(self, pressure_gpa: float) -> float:
        """Volume of the cubic cell at 300 K."""
        return float(np.interp(pressure_gpa, self._moduli[0], self._ladder))

    def thermal_gpa(self, temperature_k: float) -> float:
        """Pressure (GPa) of the uncompressed cell held at its 300 K volume: the isochoric part of a change of heat."""
        place = min(max(temperature_k, KELVIN[0]), KELVIN[1])
        return float(np.interp(place, _NODES_K, self._thermal_gpa))

    def constants_gpa(self, pressure_gpa: float, temperature_k: float) -> FloatArray:
        """(C11, C12, C44) in GPa, shape (3,): the table's or a stand-in's (`rocksalt.twin.sample.stiffness`)."""
        end = stiffness.derivatives_end_gpa(self._known)
        here, zero, last = np.interp([pressure_gpa, 0.0, end], *self._moduli)
        return stiffness.constants_gpa(self._known, pressure_gpa, temperature_k, float(here), np.array([zero, last]))

    def two_theta_deg(
        self, pressures_gpa: FloatArray, temperature_k: float, deviatoric_gpa: float | None = None
    ) -> FloatArray:
        """Line positions, (len(pressures), reflections), shifted by the deviatoric stress (None: the twin's own in a
        fluid medium), in axial geometry (`rocksalt.crystals.lattice_strain`); 180 where there is no line."""
        t_gpa = self._hidden.deviatoric_gpa if deviatoric_gpa is None else deviatoric_gpa
        a = np.cbrt(self._volumes(pressures_gpa, temperature_k))[:, None]
        sine = self.wavelength_angstrom * self._root / (2.0 * a)
        constants = self.constants_gpa(float(pressures_gpa.mean()), temperature_k)
        q = lattice_strain.singh_q(constants, self._hkl, t_gpa, _ALPHA) * (1.0 + self._hidden.elastic_relative)
        ideal = 2.0 * np.degrees(np.arcsin(np.minimum(sine, 1.0)))
        sine = sine / lattice_strain.axial_spacing_factor(q, ideal)
        return np.asarray(2.0 * np.degrees(np.arcsin(np.minimum(sine, 1.0))))

    def powers(self, pressure_gpa: float, temperature_k: float) -> FloatArray:
        """Intensity of each line on a flat detector's unit of solid angle and a unit of volume, without polarisation:
        m |F|^2 exp(-2 B s^2) / (V^2 sin^2(theta) cos(theta)), in a unit that is arbitrary but common to all phases.
        The ions shake as the table's Debye model has it at this volume and temperature, and a hidden B more."""
        volume = self.volume_a3(pressure_gpa, temperature_k)
        edge = float(np.cbrt(volume))
        s = self._root / (2.0 * edge)
        sine = self.wavelength_angstrom * s
        here = sine < 1.0
        last = 2.0 * np.degrees(np.arcsin(sine[here][-1])) if here.any() else 1.0
        kelvin = min(max(temperature_k, KELVIN[0]), KELVIN[1])
        lines = structure.lines(
            self._known, edge, self.wavelength_angstrom, min(float(last) * (1.0 + 1e-9), 179.9), kelvin
        )
        f2 = np.zeros(sine.size)
        count = min(lines.f2.size, sine.size)
        f2[:count] = lines.f2[:count]
        f2 = f2 * self._factors * np.exp(-2.0 * self._hidden.debye_waller_a2 * s * s)
        lorentz = np.where(here, 1.0 / (sine**2 * np.sqrt(np.maximum(1.0 - sine**2, 1e-12))), 0.0)
        return np.asarray(self._multiplicity * f2 * lorentz / volume**2)

    def _volumes(self, pressures_gpa: FloatArray, temperature_k: float) -> FloatArray:
        kelvin = min(max(temperature_k, KELVIN[0]), KELVIN[1])
        above = int(np.searchsorted(_NODES_K, kelvin))
        hot = np.interp(pressures_gpa, self._row(above), self._ladder)
        if _NODES_K[above] == kelvin:
            return np.asarray(hot)
        part = (kelvin - _NODES_K[above - 1]) / (_NODES_K[above] - _NODES_K[above - 1])
        return np.asarray((1.0 - part) * np.interp(pressures_gpa, self._row(above - 1), self._ladder) + part * hot)

    def _row(self, node: int) -> FloatArray:
        """Pressures of the ladder of volumes at a node's temperature, ascending."""
        if node not in self._rows:
            self._rows[node] = eos.pressure_gpa(self.phase, self._ladder, float(_NODES_K[node]))
        return self._rows[node]

    @cached_property
    def _thermal_gpa(self) -> FloatArray:
        return eos.pressure_gpa(self.phase, self.phase.v0_a3, _NODES_K)

    @cached_property
    def _moduli(self) -> tuple[FloatArray, FloatArray]:
        """Pressures (ascending) and bulk moduli on the 300 K isotherm."""
        row = self._row(int(np.searchsorted(_NODES_K, _ROOM_K)))
        return row, eos.bulk_modulus_gpa(self.phase, self._ladder)


class Shrinkage:
    """Volume lost by B1 to B2, relative to B1's, against pressure at 300 K; on an even grid, for speed. A salt with
    one phase loses nothing."""

    def __init__(self, b1: Lattice, b2: Lattice, anchor_gpa: float, top_gpa: float) -> None:
        self._low = -0.4
        pressures = np.linspace(self._low, top_gpa, 401)
        self._spacing = float(pressures[1] - pressures[0])
        if b1 is b2:
            self._strain: list[float] = [0.0] * pressures.size
            self._at_anchor = 1.0
            return
        large = b1._volumes(pressures, _ROOM_K) * b1.cells_per_formula
        small = b2._volumes(pressures, _ROOM_K) * b2.cells_per_formula
        self._strain = (1.0 - small / large).tolist()
        self._at_anchor = max(self.strain(anchor_gpa), 1e-3)

    def strain(self, pressure_gpa: float) -> float:
        """(V_B1 - V_B2) / V_B1 for the same salt."""
        place = min(max((pressure_gpa - self._low) / self._spacing, 0.0), len(self._strain) - 1.001)
        index = int(place)
        return self._strain[index] + (place - index) * (self._strain[index + 1] - self._strain[index])

    def relative(self, pressure_gpa: float) -> float:
        """Strain relative to that at the anchor."""
        return self.strain(pressure_gpa) / self._at_anchor


def departed_phase(known: tables.Phase, hidden: SampleDepartures, anchor_gpa: float, top_gpa: float) -> tables.Phase:
    """The equation of state that this twin's phase really has, followed to top_gpa.

    Where other sets were published, some seeds have one of them, whole. Else the pressure at the volume that the table
    calls anchor_gpa is higher by the drawn error: K0' shifts, and K0 follows, as their strong anticorrelation has it.
    Pressure is proportional to K0 in every form used (with K0 K0'' held in BM4).
    """
    wide = followed(known, top_gpa)
    others = tables.ALTERNATIVES[known.salt, known.structure]
    if others and hidden.eos_other_luck < hidden.eos_other_share:
        return followed(others[int(hidden.eos_other_luck / hidden.eos_other_share * len(others))], top_gpa)
    volume = eos.volume_a3(wide, anchor_gpa)
    shift = hidden.k0p_b1 if known.structure == "B1" else hidden.k0p_b2
    shifted = replace(wide, k0p=known.k0p + shift)
    factor = (anchor_gpa + hidden.eos_error_gpa(known.structure)) / eos.pressure_gpa(shifted, volume)
    bend = None if known.k0pp_per_gpa is None else known.k0pp_per_gpa / factor
    return followed(replace(shifted, k0_gpa=known.k0_gpa * factor, k0pp_per_gpa=bend), top_gpa)
