"""What load does to lines: Singh's shift of each hkl under deviatoric stress, and strain under hydrostatic pressure.

sigma = P + diag(-t/3, -t/3, 2t/3); d(hkl, psi) = d_P [1 + (1 - 3 cos^2 psi) Q(hkl)]. Singh et al., J. Appl. Phys. 83,
7567 (1998). In the usual axial geometry diffraction sees t and Reuss's share alpha only as their product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rocksalt.crystals import eos
from rocksalt.crystals.elasticity import bulk_modulus_gpa, compliances_per_gpa, shear_moduli_gpa
from rocksalt.crystals.tables import Phase
from rocksalt.values import FloatArray, Measured

_BRACKET: Final = 3  # indices of a reflection


def gamma_hkl(hkl: ArrayLike) -> FloatArray:
    """(h2k2 + k2l2 + l2h2) / (h2 + k2 + l2)^2 of reflections (..., 3): 0 for h00, 1/4 for hh0, 1/3 for hhh."""
    squares = np.asarray(hkl, dtype=np.float64) ** 2
    if squares.shape[-1:] != (_BRACKET,) or not (squares.sum(axis=-1) > 0.0).all():
        raise ValueError(
            f"reflections must be (..., 3) indices, none of them 000; these are {np.asarray(hkl).tolist()}"
        )
    h, k, m = np.moveaxis(squares, -1, 0)
    return np.asarray((h * k + k * m + m * h) / (h + k + m) ** 2)


def singh_q(constants: FloatArray, hkl: ArrayLike, t_gpa: float, alpha: float = 1.0) -> FloatArray:
    """Q(hkl), shape (...,), of reflections (..., 3) at differential stress `t_gpa` (GPa, positive: axial load larger).

    Q = (t/3) [alpha / (2 G_R) + (1 - alpha) / (2 G_V)], 1/(2 G_R) = S11 - S12 - 3 S Gamma, S = S11 - S12 - S44/2.
    alpha is 1 where all grains bear the same stress, 0 where all have the same strain. Raises ValueError for an alpha
    outside 0 to 1, for NaN, and for constants that no stable crystal has.
    """
    if not 0.0 <= alpha <= 1.0 or not np.isfinite(t_gpa):
        raise ValueError(
            f"alpha is {alpha:g} and t {t_gpa:g} GPa: alpha must lie in 0 to 1, t must be finite (Singh 1998)"
        )
    s11, s12, s44 = compliances_per_gpa(constants)
    reuss = s11 - s12 - 3.0 * (s11 - s12 - s44 / 2.0) * gamma_hkl(hkl)
    voigt = 0.5 / shear_moduli_gpa(constants)[1]
    return np.asarray(t_gpa / 3.0 * (alpha * reuss + (1.0 - alpha) * voigt))


def spacing_factor(q: FloatArray, psi_deg: FloatArray) -> FloatArray:
    """d / d_P for a plane whose normal is `psi_deg` (degrees) off the load axis; any shapes that broadcast."""
    return np.asarray(1.0 + (1.0 - 3.0 * np.cos(np.radians(psi_deg)) ** 2) * q)


def axial_spacing_factor(q: FloatArray, two_theta_deg: FloatArray) -> FloatArray:
    """d / d_P where the beam runs along the load axis: psi = 90 deg - theta, so 1 + (1 - 3 sin^2 theta) Q."""
    return spacing_factor(q, 90.0 - np.asarray(two_theta_deg) / 2.0)


def pressure_bias_gpa(constants: FloatArray, q: FloatArray) -> FloatArray:
    """By how much a single line at small angle reads the pressure wrong (GPa): -3 K Q. Negative: it reads too low."""
    return np.asarray(-3.0 * bulk_modulus_gpa(constants) * q)


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
    (n,). Raises ValueError for fewer than two lines, or for lines that all have one Gamma.
    """
    shape = (1.0 - 3.0 * np.sin(np.radians(theta_deg)) ** 2) * singh_q(constants, hkl, 1.0)
    design = np.column_stack([np.ones_like(shape), shape]) / sigma_angstrom[:, None]
    if len(shape) < 2 or np.linalg.matrix_rank(design) < 2:  # two unknowns
        raise ValueError(
            "alpha t needs at least two lines that deviatoric stress moves differently, such as 200 and 222"
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

    Raises eos.OutOfRange; ValueError for a phase that doesn't exist at zero pressure, whose V0 is no cell to compare
    with.
    """
    if phase.v0_is_fictive:
        raise ValueError(
            f"{phase.name} does not exist at zero pressure: its V0 is a parameter, and a strain against it means "
            f"nothing ({phase.reference})"
        )
    loaded = eos.cell_angstrom(phase, np.asarray(pressure_gpa, dtype=np.float64), temperature_k)
    return np.asarray(1.0 - loaded / eos.cell_angstrom(phase, 0.0, temperature_k))
