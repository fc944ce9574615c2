"""What load does to lines: Singh's shift of each hkl under deviatoric stress, and strain under hydrostatic pressure.

sigma = P + diag(-t/3, -t/3, 2t/3); d(hkl, psi) = d_P [1 + (1 - 3 cos^2 psi) Q(hkl)]. Singh et al., J. Appl. Phys. 83,
7567 (1998). In the usual axial geometry diffraction sees t and Reuss's share alpha only as their product.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rocksalt.crystals import eos
from rocksalt.crystals.elasticity import bulk_modulus_gpa, compliances_per_gpa, shear_moduli_gpa
from rocksalt.crystals.limits import CrystalError, within
from rocksalt.crystals.tables import Phase
from rocksalt.values import FloatArray, Measured

_SINGH: Final = "Singh et al., J. Appl. Phys. 83, 7567 (1998), to first order in t/G"
_BRACKET: Final = 3  # indices of a reflection


class StrainError(CrystalError):
    """An angle, stress, index or cell for which lattice strain means nothing, or not a number."""


def gamma_hkl(hkl: ArrayLike) -> FloatArray:
    """(h2k2 + k2l2 + l2h2) / (h2 + k2 + l2)^2 of reflections (..., 3): 0 for h00, 1/4 for hh0, 1/3 for hhh.

    Raises StrainError for 000 and for anything that isn't three numbers.
    """
    squares = np.asarray(hkl, dtype=np.float64) ** 2
    if (
        squares.shape[-1:] != (_BRACKET,)
        or not ((squares.sum(axis=-1) > 0.0) & np.isfinite(squares).all(axis=-1)).all()
    ):
        raise StrainError(
            f"reflections must be (..., 3) indices, none of them 000 (it is no plane); these are "
            f"{np.asarray(hkl).tolist()}"
        )
    h, k, m = np.moveaxis(squares, -1, 0)
    return np.asarray((h * k + k * m + m * h) / (h + k + m) ** 2)


def singh_q(constants: FloatArray, hkl: ArrayLike, t_gpa: float, alpha: float = 1.0) -> FloatArray:
    """Q(hkl), shape (...,), of reflections (..., 3) at differential stress `t_gpa` (GPa, positive: axial load larger).

    Q = (t/3) [alpha / (2 G_R) + (1 - alpha) / (2 G_V)], 1/(2 G_R) = S11 - S12 - 3 S Gamma, S = S11 - S12 - S44/2.
    alpha is 1 where all grains bear the same stress, 0 where all have the same strain. Raises StrainError for an alpha
    outside 0 to 1, for NaN, and for constants that no stable crystal has.
    """
    within("alpha", alpha, 0.0, 1.0, "Singh 1998: from equal strain to equal stress", error=StrainError)
    # A linear theory: where t nears the shear modulus it says nothing, and the crystal has yielded long before.
    hardest = shear_moduli_gpa(constants)[1]
    within("differential stress t (GPa)", t_gpa, -hardest, hardest, _SINGH, error=StrainError)
    s11, s12, s44 = compliances_per_gpa(constants)
    reuss = s11 - s12 - 3.0 * (s11 - s12 - s44 / 2.0) * gamma_hkl(hkl)
    voigt = 0.5 / shear_moduli_gpa(constants)[1]
    return np.asarray(t_gpa / 3.0 * (alpha * reuss + (1.0 - alpha) * voigt))


def spacing_factor(q: FloatArray, psi_deg: FloatArray) -> FloatArray:
    """d / d_P for a plane whose normal is `psi_deg` (degrees) off the load axis; any shapes that broadcast.

    Raises StrainError for an angle beyond 180 degrees, a Q beyond 1, and NaN.
    """
    psi = within("psi (degrees)", psi_deg, -180.0, 180.0, "an angle to the load axis", error=StrainError)
    share = within("Q", q, -1.0, 1.0, _SINGH, error=StrainError)
    return np.asarray(1.0 + (1.0 - 3.0 * np.cos(np.radians(psi)) ** 2) * share)


def axial_spacing_factor(q: FloatArray, two_theta_deg: FloatArray) -> FloatArray:
    """d / d_P where the beam runs along the load axis: psi = 90 deg - theta, so 1 + (1 - 3 sin^2 theta) Q.

    Raises StrainError for an angle outside 0 to 180 degrees.
    """
    two_theta = within("2 theta (degrees)", two_theta_deg, 0.0, 180.0, "a scattering angle", error=StrainError)
    return spacing_factor(q, 90.0 - two_theta / 2.0)


def pressure_bias_gpa(constants: FloatArray, q: FloatArray) -> FloatArray:
    """By how much a single line at small angle reads the pressure wrong (GPa): -3 K Q. Negative: it reads too low."""
    share = within("Q", q, -1.0, 1.0, _SINGH, error=StrainError)
    return np.asarray(-3.0 * bulk_modulus_gpa(constants) * share)


@dataclass(frozen=True, slots=True)
class LatticeStrain:
    """A fit of d_P and alpha t to lines: the cell without deviatoric stress (A) and the product (GPa), both with
    sigma."""

    a_angstrom: Measured
    alpha_t_gpa: Measured


def fit_axial(
    constants: FloatArray,
    hkl: NDArray[np.int64],
    a_angstrom: FloatArray,
    sigma_angstrom: FloatArray,
    theta_deg: FloatArray,
) -> LatticeStrain:
    """Cell and alpha t from the cells a(hkl) (n,) that single lines of one axial pattern give; least squares.

    a(hkl) = a_P [1 + (1 - 3 sin^2 theta) Q(hkl)], linear in a_P and a_P alpha t up to Voigt's part, which is the same
    for every line and is read as pressure: what isn't hkl-dependent can't be told from it. `hkl` (n, 3), `theta_deg`
    (n,). Raises StrainError for fewer than two lines, for lines that all have one Gamma, and for cells, sigmas and
    angles that no line has.
    """
    within("cell of a line (A)", a_angstrom, 0.0, np.inf, "a length", open_low=True, error=StrainError)
    within("sigma of a cell (A)", sigma_angstrom, 0.0, np.inf, "a standard deviation", open_low=True, error=StrainError)
    within("theta (degrees)", theta_deg, 0.0, 90.0, "half a scattering angle", error=StrainError)
    shape = (1.0 - 3.0 * np.sin(np.radians(theta_deg)) ** 2) * singh_q(constants, hkl, 1.0)
    design = np.column_stack([np.ones_like(shape), shape]) / sigma_angstrom[:, None]
    if len(shape) < 2 or np.linalg.matrix_rank(design) < 2:  # two unknowns
        raise StrainError(
            "alpha t needs at least two lines that deviatoric stress moves differently, such as 200 and 222: all that "
            "is alike in them is read as pressure (Singh 1998)"
        )
    covariance = np.linalg.inv(design.T @ design)
    cell, product = covariance @ design.T @ (a_angstrom / sigma_angstrom)
    sigma = np.sqrt(np.diag(covariance))
    return LatticeStrain(
        Measured(float(cell), float(sigma[0])),
        Measured(float(product / cell), float(sigma[1] / cell)),
    )


def hydrostatic_strain(phase: Phase, pressure_gpa: FloatArray, temperature_k: float = 300.0) -> FloatArray:
    """Linear strain 1 - a(P, T) / a(0, T) at pressures (GPa, any shape), against the cell of the same temperature.

    Raises eos.OutOfRange; StrainError for a phase that doesn't exist at zero pressure, whose V0 is no cell to compare
    with.
    """
    if phase.v0_is_fictive:
        raise StrainError(
            f"{phase.name} does not exist at zero pressure: its V0 is a parameter, and a strain against it means "
            f"nothing ({phase.reference})"
        )
    loaded = eos.cell_angstrom(phase, np.asarray(pressure_gpa, dtype=np.float64), temperature_k)
    return np.asarray(1.0 - loaded / eos.cell_angstrom(phase, 0.0, temperature_k))


def hydrostatic_strain_sigma(phase: Phase, pressure_gpa: FloatArray, temperature_k: float = 300.0) -> FloatArray:
    """One sigma that the row leaves on `hydrostatic_strain`: of K0 and K0', with their correlation. V0 cancels.

    The heat's own error isn't in it, as in eos.volume_sigma_a3. Raises as `hydrostatic_strain` does.
    """
    strain = hydrostatic_strain(phase, pressure_gpa, temperature_k)
    volume = np.asarray(eos.volume_a3(phase, np.asarray(pressure_gpa, dtype=np.float64), temperature_k))
    held = replace(phase, v0_sigma_a3=0.0)
    return np.asarray((1.0 - strain) / 3.0 * np.asarray(eos.volume_sigma_a3(held, volume, temperature_k)) / volume)
