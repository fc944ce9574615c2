"""What a stress that isn't the same in all directions, or not the same everywhere, does to a line.

Singh, J. Appl. Phys. 73, 4278 (1993): lattice strain of cubic crystals under a uniaxial stress t, seen along its axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rocksalt.diffraction.forward.errors import ForwardError, require
from rocksalt.values import FloatArray

_T_SOURCE = "salts yield below that (0.05 to 0.3 GPa under 20 GPa, 1.6 GPa NaCl B2 at 56 GPa)"


@dataclass(frozen=True, slots=True)
class Stiffness:
    """Elastic constants of a cubic crystal in GPa, at the pressure and temperature of the pattern."""

    c11_gpa: float
    c12_gpa: float
    c44_gpa: float

    def __post_init__(self) -> None:
        c11, c12, c44 = self.c11_gpa, self.c12_gpa, self.c44_gpa
        if not (c11 > abs(c12) and c11 + 2.0 * c12 > 0.0 and c44 > 0.0 and np.isfinite([c11, c12, c44]).all()):
            raise ForwardError(
                f"C11 {c11:g}, C12 {c12:g}, C44 {c44:g} GPa: no crystal with them is stable (Born: C11 > |C12|, "
                "C11 + 2 C12 > 0, C44 > 0)"
            )


@dataclass(frozen=True, slots=True)
class Deviatoric:
    """A uniaxial stress `t_gpa` (axial less radial) along the beam; `alpha` 1: stress continuous (Reuss), 0: strain
    (Voigt). Only the product of t and the bracket shows, so t and alpha are never found together.
    """

    t_gpa: float
    stiffness: Stiffness
    alpha: float = 1.0

    def __post_init__(self) -> None:
        require("deviatoric stress t_gpa", self.t_gpa, -5.0, 5.0, _T_SOURCE)
        require("alpha", self.alpha, 0.0, 1.0, "it weighs Reuss (1) against Voigt (0)")


def gamma(hkl: FloatArray) -> FloatArray:
    """Singh's Gamma = (h2k2 + k2l2 + l2h2) / (h2 + k2 + l2)^2 of indices (m, 3): 0 for h00, 1/4 hh0, 1/3 hhh."""
    squares = np.asarray(hkl, dtype=np.float64) ** 2
    h, k, m = squares[..., 0], squares[..., 1], squares[..., 2]
    return np.asarray((h * k + k * m + m * h) / squares.sum(axis=-1) ** 2)


def q_per_gpa(stiffness: Stiffness, alpha: float, gammas: FloatArray) -> FloatArray:
    """Singh's Q(hkl) for t = 1 GPa (1/GPa, the shape of `gammas`): (1/3) [alpha / 2GR(hkl) + (1 - alpha) / 2GV]."""
    c11, c12, c44 = stiffness.c11_gpa, stiffness.c12_gpa, stiffness.c44_gpa
    s11_less_s12 = 1.0 / (c11 - c12)
    anisotropy = s11_less_s12 - 0.5 / c44
    reuss = s11_less_s12 - 3.0 * anisotropy * gammas
    voigt = 0.5 / ((c11 - c12 + 3.0 * c44) / 5.0)
    return np.asarray((alpha * reuss + (1.0 - alpha) * voigt) / 3.0)


def axial_shift(two_theta_deg: FloatArray, q: FloatArray) -> FloatArray:
    """d / dP - 1 = (1 - 3 sin^2 th) Q for a beam along the stress axis (psi = 90 deg - th). Shapes broadcast."""
    return np.asarray((1.0 - 3.0 * np.sin(np.radians(two_theta_deg) / 2.0) ** 2) * q)
