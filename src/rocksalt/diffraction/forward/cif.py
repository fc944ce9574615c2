"""Any crystal that a CIF describes, as lines and as a phase of a pattern: the general case, by gemmi.

Form factors of ions where the CIF states charges, else of atoms; anisotropic displacements enter by their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rocksalt.crystals.lattice_strain import gamma_hkl
from rocksalt.crystals.structure import Lines
from rocksalt.diffraction.forward.errors import ForwardError, require
from rocksalt.diffraction.forward.families import Families, padded
from rocksalt.diffraction.forward.form_factors import form_factor
from rocksalt.diffraction.forward.texture import Axis, require_axis
from rocksalt.diffraction.wavelength import LONGEST_ANGSTROM, SHORTEST_ANGSTROM
from rocksalt.values import FloatArray

if TYPE_CHECKING:
    import gemmi

_SAME_D = 1e-7  # relative: reflections of one line


@dataclass(frozen=True, slots=True)
class CifCrystal:
    """A small structure as gemmi read it. Lists its families for `pattern`."""

    name: str
    structure: gemmi.SmallStructure

    def families(self, wavelength_angstrom: float, two_theta_max_deg: float, axis: Axis = (1, 0, 0)) -> Families:
        """Families (under the Laue group) up to an angle, by falling spacing. Raises ForwardError.

        A family's |F|^2 is the mean over Friedel's pairs, which anomalous scattering parts.
        """
        import gemmi

        require("wavelength_angstrom", wavelength_angstrom, SHORTEST_ANGSTROM, LONGEST_ANGSTROM, "powder diffraction")
        require("two_theta_max_deg", two_theta_max_deg, 1e-3, 180.0, "no beam is diffracted beyond its source")
        require_axis(axis)
        cell, group = self.structure.cell, self.structure.spacegroup
        d_min = wavelength_angstrom / (2.0 * np.sin(np.radians(two_theta_max_deg) / 2.0))
        hkl = np.asarray(gemmi.make_miller_array(cell, group, d_min), dtype=np.int64).reshape(-1, 3)
        to_reciprocal = np.asarray(cell.frac.mat.tolist()).T  # rows of hkl times its transpose: 1/A in Cartesian axes
        length = np.linalg.norm(hkl @ to_reciprocal.T, axis=1)
        order = np.argsort(length, kind="stable")
        hkl, length = hkl[order], length[order]
        pole = to_reciprocal @ np.asarray(axis, dtype=np.float64)
        pole /= np.linalg.norm(pole)
        operations, multiplicity, angles = group.operations(), [], []
        for row in hkl.tolist():
            turned = {tuple(op.apply_to_hkl(row)) for op in operations.sym_ops}
            equal = np.array(sorted(turned | {(-h, -k, -m) for h, k, m in turned}), dtype=np.float64)
            vectors = equal @ to_reciprocal.T
            cos2 = np.minimum((vectors @ pole) ** 2 / (vectors**2).sum(axis=1), 1.0)
            values, counts = np.unique(np.round(cos2, 12), return_counts=True)
            multiplicity.append(len(equal))
            angles.append((values, counts / counts.sum()))
        counts_of = np.array(multiplicity, dtype=np.int64)
        f2 = self._f2(hkl, length / 2.0, wavelength_angstrom)
        cos2_of, share = padded(angles)
        gammas = gamma_hkl(hkl) if group.crystal_system() == gemmi.CrystalSystem.Cubic else None
        return Families(hkl, counts_of, 1.0 / length, counts_of * f2 / cell.volume**2, cos2_of, share, gammas)

    def _f2(self, hkl: NDArray[np.int64], s: FloatArray, wavelength: float) -> FloatArray:
        plus = np.zeros(len(hkl), dtype=np.complex128)
        minus = np.zeros(len(hkl), dtype=np.complex128)
        s2 = s * s
        for site in self.structure.get_all_unit_cell_sites():
            factor = form_factor(site.element.name, site.charge, s2, wavelength)
            u = float(np.mean([site.aniso.u11, site.aniso.u22, site.aniso.u33])) if site.aniso.nonzero() else site.u_iso
            factor = site.occ * factor * np.exp(-8.0 * np.pi**2 * max(u, 0.0) * s2)
            turn = np.exp(2j * np.pi * (hkl @ np.array(site.fract.tolist())))
            plus += factor * turn
            minus += factor * turn.conj()
        return np.asarray(0.5 * (np.abs(plus) ** 2 + np.abs(minus) ** 2))


def crystal_from_cif(path: Path) -> CifCrystal:
    """The structure of a CIF. Raises ForwardError where it has no atoms, cell or space group."""
    import gemmi

    try:
        structure = gemmi.read_small_structure(str(path))
    except (OSError, RuntimeError, ValueError) as error:
        raise ForwardError(f"{path}: gemmi cannot read this as a CIF ({error})") from error
    if not structure.sites or not structure.cell.is_crystal() or structure.spacegroup is None:
        raise ForwardError(f"{path}: a pattern needs a cell, a space group and atoms, and this CIF lacks one of them")
    return CifCrystal(structure.name or Path(path).stem, structure)


def lines_from_cif(path: Path, wavelength_angstrom: float, two_theta_max_deg: float) -> Lines:
    """The lines of a CIF's crystal up to an angle, as `crystals.structure.lines` gives a salt's. Raises ForwardError.

    Families of equal spacing are one line, named by the one of the highest multiplicity; f2 is their mean. Extinct
    ones (|F|^2 below 1e-9 of the strongest) are left out.
    """
    crystal = crystal_from_cif(path)
    found = crystal.families(wavelength_angstrom, two_theta_max_deg)
    keep = found.strength > 1e-9 * found.strength.max(initial=0.0)
    hkl, m, d, strength = found.hkl[keep], found.multiplicity[keep], found.d_angstrom[keep], found.strength[keep]
    line = np.cumsum(np.append(True, np.diff(d) < -_SAME_D * d[1:])) - 1 if d.size else np.zeros(0, dtype=np.int64)
    starts = np.unique(line, return_index=True)[1]
    richest = np.array([i + int(np.argmax(m[line == line[i]])) for i in starts], dtype=np.int64)
    total = np.bincount(line, weights=m).astype(np.int64)
    per_volume = np.bincount(line, weights=strength).astype(np.float64)
    return Lines(
        hkl=hkl[richest],
        labels=tuple(("" if np.all((row >= 0) & (row < 10)) else " ").join(map(str, row)) for row in hkl[richest]),
        multiplicity=total,
        d_angstrom=d[starts],
        two_theta_deg=2.0 * np.degrees(np.arcsin(np.minimum(wavelength_angstrom / (2.0 * d[starts]), 1.0))),
        f2=per_volume * crystal.structure.cell.volume**2 / total,
        intensity_per_volume=per_volume,
    )
