"""Elastic constants of the twin's phases at any pressure and temperature, and what stands in where nobody measured.

The table's rows are used where there are any: it has every B1. A B2 without one has CsBr's constants, times the ratio
of their bulk moduli.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rocksalt.crystals import elasticity, tables
from rocksalt.values import FloatArray

_RELATIVE: Final = "CsBr"
_LOWEST_GPA: Final = -1.0
_KELVIN: Final = (1.0, 600.0)


def source(phase: tables.Phase) -> elasticity.Elastic:
    """The row of constants that serves a phase: its own, or the stand-in's."""
    own = elasticity.ELASTIC.get((phase.salt, phase.structure))
    return elasticity.elastic(_RELATIVE, "B2") if own is None else own


def constants_gpa(
    phase: tables.Phase, pressure_gpa: float, temperature_k: float, modulus_gpa: float, modulus_at_gpa: FloatArray
) -> FloatArray:
    """(C11, C12, C44) in GPa, shape (3,).

    modulus_gpa is the phase's bulk modulus here; modulus_at_gpa its values at (0, the pressure where the row's own
    derivatives end). Beyond that end, and where there are no derivatives or only a stand-in, the constants grow as the
    bulk modulus does.
    """
    row = source(phase)
    kelvin = min(max(temperature_k, _KELVIN[0]), _KELVIN[1]) if row.cold_gpa is not None else 300.0
    if (row.salt, row.structure) != (phase.salt, phase.structure):
        relative = elasticity.constants_gpa(row, 0.0, kelvin)
        return np.asarray(relative * modulus_gpa / tables.phase(row.salt, row.structure).k0_gpa)
    if row.per_gpa is None:
        return np.asarray(elasticity.constants_gpa(row, 0.0, kelvin) * modulus_gpa / modulus_at_gpa[0])
    end = derivatives_end_gpa(phase)
    inside = min(max(pressure_gpa, _LOWEST_GPA), end)
    beyond = modulus_gpa / modulus_at_gpa[1] if pressure_gpa > end else 1.0
    return np.asarray(elasticity.constants_gpa(row, inside, kelvin) * beyond)


def derivatives_end_gpa(phase: tables.Phase) -> float:
    """How far the table follows the linear pressure derivatives of a phase's own row."""
    known = tables.phase(phase.salt, phase.structure)
    return min(elasticity.PRESSURE_SHARE_OF_K * known.k0_gpa, known.range_gpa[1])
