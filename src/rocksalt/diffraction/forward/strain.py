"""What strain does to a line: a uniaxial stress shifts it, what differs from grain to grain widens it.

Singh's lattice strain and the elastic constants are those of `rocksalt.crystals`; here is what a pattern asks of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from rocksalt.crystals.elasticity import compliances_per_gpa, constants_gpa, elastic
from rocksalt.crystals.eos import pressure_from_cell_gpa
from rocksalt.crystals.lattice_strain import singh_q
from rocksalt.crystals.tables import Phase
from rocksalt.diffraction.forward.errors import ForwardError, require
from rocksalt.values import FloatArray

T_RANGE_GPA: Final = (-5.0, 5.0)
T_SIGMA_RANGE_GPA: Final = (0.0, 5.0)
FWHM_OF_SIGMA: Final = 2.0 * float(np.sqrt(2.0 * np.log(2.0)))
_T_SOURCE = "salts yield below that (0.05 to 0.3 GPa under 20 GPa, 1.6 GPa NaCl B2 at 56 GPa)"


@dataclass(frozen=True, slots=True)
class Stiffness:
    """Elastic constants of a cubic crystal in GPa, at the pressure and temperature of the pattern."""

    c11_gpa: float
    c12_gpa: float
    c44_gpa: float

    def __post_init__(self) -> None:
        try:
            compliances_per_gpa(self.constants_gpa())
        except ValueError as error:
            raise ForwardError(str(error)) from error

    def constants_gpa(self) -> FloatArray:
        """(C11, C12, C44), shape (3,), as `crystals.elasticity` has them."""
        return np.array([self.c11_gpa, self.c12_gpa, self.c44_gpa])


@dataclass(frozen=True, slots=True)
class Deviatoric:
    """A uniaxial stress `t_gpa` (axial less radial) along the beam.

    stiffness     None: the crystals' table at the pressure that the cell's equation of state gives, and the powder's
                  temperature. Give the constants yourself where the table has none (KBr B2, for one)
    alpha         1: stress continuous (Reuss), 0: strain (Voigt). Lines show only t times the bracket of Singh's Q, so
                  t and alpha are never found together
    t_sigma_gpa   standard deviation of t over the grains, normally distributed: widens each line by its own Q
    """

    t_gpa: float
    stiffness: Stiffness | None = None
    alpha: float = 1.0
    t_sigma_gpa: float = 0.0

    def __post_init__(self) -> None:
        require("deviatoric stress t_gpa", self.t_gpa, *T_RANGE_GPA, _T_SOURCE)
        require("alpha", self.alpha, 0.0, 1.0, "it weighs Reuss (1) against Voigt (0)")
        require("t_sigma_gpa", self.t_sigma_gpa, *T_SIGMA_RANGE_GPA, f"a spread is not negative, and {_T_SOURCE}")

    def q_per_gpa(self, phase: Phase, a_angstrom: float, temperature_k: float, hkl: ArrayLike) -> FloatArray:
        """Singh's Q of reflections (..., 3) for t = 1 GPa, in 1/GPa: `crystals.lattice_strain.singh_q`.

        Raises ForwardError where the constants come from the table and it has none at that pressure and temperature.
        """
        if self.stiffness is not None:
            return singh_q(self.stiffness.constants_gpa(), hkl, 1.0, self.alpha)
        try:
            pressure = pressure_from_cell_gpa(phase, a_angstrom, temperature_k)
            constants = constants_gpa(elastic(phase.salt, phase.structure), pressure, temperature_k)
            return singh_q(constants, hkl, 1.0, self.alpha)
        except ValueError as error:
            raise ForwardError(
                f"deviatoric stress in {phase.name}, cell {a_angstrom:g} A at {temperature_k:g} K: {error}; give "
                "Deviatoric a Stiffness of your own"
            ) from error


def strain_of_gamma(h00: FloatArray, hhh: FloatArray, gammas: FloatArray) -> FloatArray:
    """Microstrain of lines with Singh's Gamma, from those of h00 (Gamma 0) and hhh (Gamma 1/3). Shapes broadcast.

    e^2 = e_h00^2 + 3 Gamma (e_hhh^2 - e_h00^2). That is Stephens' quartic form for a cubic crystal, J. Appl. Cryst. 32,
    281 (1999), by its two ends instead of S400 and S220 (`stephens` gives those); no choice of the ends is negative.
    """
    square = h00 * h00
    return np.asarray(np.sqrt(square + 3.0 * gammas * (hhh * hhh - square)))


def stephens(a_angstrom: float, h00: float, hhh: float) -> tuple[float, float]:
    """Stephens' S400 and S220 (1/A^4) of a cubic crystal whose d spacings scatter by `h00` and `hhh` (dd/d).

    With M = 1/d^2 and var(M) = S400 (h^4 + k^4 + l^4) + 3 S220 (h^2k^2 + k^2l^2 + l^2h^2), dd/d = dM / 2M makes
    e^2 = a^4 / 4 [S400 + (3 S220 - 2 S400) Gamma]; the two ends of Gamma, 0 and 1/3, are h00 and hhh.
    """
    s400 = 4.0 * h00**2 / a_angstrom**4
    # At Gamma = 1/3 the bracket is S400 / 3 + S220.
    return s400, 4.0 * hhh**2 / a_angstrom**4 - s400 / 3.0
