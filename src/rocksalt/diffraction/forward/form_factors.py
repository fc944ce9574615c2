"""What an atom or ion scatters: f0 of the International Tables, f' and f'' by Cromer and Liberman, as gemmi has them.

For crystals that aren't in the table of salts: those of a CIF, and the frames of molecular dynamics.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rocksalt.crystals.structure import gemmi_flag
from rocksalt.diffraction.forward.errors import ForwardError
from rocksalt.values import FloatArray


def form_factor(symbol: str, charge: int, s2: FloatArray, wavelength_angstrom: float) -> NDArray[np.complex128]:
    """f0 + f' + i f'' (n,) of an element at rest, at s^2 = (sin theta / lambda)^2 (n,).

    f0 by four Gaussians and a constant (International Tables C 6.1.1.4, good to s = 2 per angstrom): the ion's, or the
    atom's where the Tables lack the ion. Raises ForwardError for an element that they lack.
    """
    import gemmi

    element = gemmi.Element(symbol)
    if element.name == "X" or not 0 < element.atomic_number < 93:  # Cromer and Liberman end with uranium
        raise ForwardError(f"{symbol!r} is no element that has form factors; give a chemical symbol such as Na")
    found: Any = None
    with gemmi_flag:  # the flag is the whole process's: put back as found
        before = gemmi.IT92_get_ignore_charge()
        gemmi.IT92_set_ignore_charge(False)
        try:
            for state in (charge, 0):
                found = gemmi.IT92_get_exact(element, state) if found is None else found
        finally:
            gemmi.IT92_set_ignore_charge(before)
    if found is None:
        raise ForwardError(f"the International Tables have no form factor of {symbol}")
    numbers = np.asarray(found.get_coefs(), dtype=np.float64)
    real, imaginary = gemmi.cromer_liberman(element.atomic_number, gemmi.hc / wavelength_angstrom)
    still = np.exp(-np.multiply.outer(s2, numbers[4:8])) @ numbers[:4] + numbers[8]
    return np.asarray(still + complex(real, imaginary))
