"""How strongly a salt absorbs X-rays, and the dose that follows: the price of every exposure.

Photo-absorption only, from the imaginary form factor: sigma = 2 r_e lambda f''.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from rocksalt.crystals.limits import CrystalError, within
from rocksalt.crystals.tables import PHASES, Phase, ions

_ELECTRON_RADIUS_M: Final = 2.8179403205e-15  # CODATA 2022
_AVOGADRO: Final = 6.02214076e23  # SI 2019
_JOULE_PER_KEV: Final = 1.602176634e-16  # SI 2019
_ENERGY_KEV: Final = (2.0, 150.0)
_TABLES: Final = "Cromer and Liberman's f'' as gemmi holds it, compared with Elam's from 3 to 90 keV"


class AbsorptionError(CrystalError):
    """An energy outside the tables, an unknown element, or a size or flux that no beam has."""


@lru_cache(maxsize=256)
def element_mass_absorption_m2_per_kg(symbol: str, energy_kev: float) -> float:
    """Photo-absorption cross section over mass (m^2/kg; times 10 for cm^2/g) of an element at `energy_kev`.

    f'' by Cromer and Liberman as gemmi holds it. Against the Elam tables at eleven energies from 3 to 90 keV it is
    within 4 % for F, Na, Cl, K, Br, Cs, I (mostly 1-3 % low) and 4-11 % low for Li, which absorbs little of what LiF
    does; K at 3 keV, next to its edge, is 4 % low. Raises AbsorptionError outside 2 to 150 keV and for an unknown name.
    """
    import gemmi

    within(f"energy for the absorption of {symbol} (keV)", energy_kev, *_ENERGY_KEV, _TABLES, error=AbsorptionError)
    element = gemmi.Element(symbol)
    if element.atomic_number == 0:
        raise AbsorptionError(f"there is no element {symbol!r} in the table of Cromer and Liberman")
    energy_ev = 1000.0 * energy_kev
    wavelength_m = gemmi.hc / energy_ev * 1e-10
    _, imaginary = gemmi.cromer_liberman(element.atomic_number, energy_ev)
    atoms_per_kg = _AVOGADRO / (element.weight * 1e-3)
    return float(2.0 * _ELECTRON_RADIUS_M * wavelength_m * imaginary * atoms_per_kg)


def mass_absorption_m2_per_kg(salt: str, energy_kev: float) -> float:
    """Photo-absorption over mass (m^2/kg) of a salt: its elements by weight. Raises UnknownPhase and
    AbsorptionError."""
    masses = _ion_masses_kg(salt)
    absorbed = (mass * element_mass_absorption_m2_per_kg(symbol, energy_kev) for symbol, mass in masses)
    return sum(absorbed) / sum(mass for _, mass in masses)


def density_kg_per_m3(phase: Phase, volume_a3: float | None = None) -> float:
    """Density (kg/m^3) of a cell of `volume_a3` (cubic angstrom); of V0 where none is given.

    Raises AbsorptionError for a volume that isn't above zero.
    """
    if volume_a3 is not None:
        within(f"volume of a cell of {phase.name} (A3)", volume_a3, 0.0, np.inf, phase.reference, open_low=True,
               error=AbsorptionError)  # fmt: skip
    volume_m3 = (phase.v0_a3 if volume_a3 is None else volume_a3) * 1e-30
    return phase.z * sum(mass for _, mass in _ion_masses_kg(phase.salt)) / volume_m3


def linear_attenuation_per_m(salt: str, energy_kev: float) -> float:
    """Photo-absorption coefficient mu (1/m) of the salt at ambient conditions. Raises UnknownPhase and
    AbsorptionError."""
    return mass_absorption_m2_per_kg(salt, energy_kev) * density_kg_per_m3(_ambient(salt))


def dose_rate_gy_per_s(
    salt: str, flux_ph_per_s: float, energy_kev: float, *, beam_size_m: tuple[float, float], thickness_m: float
) -> float:
    """Dose rate (Gy/s) in the illuminated volume, mean over the thickness: an upper bound, all absorbed energy stays.

    D = flux E (1 - exp(-mu t)) / (rho h v t), with mu the photo-absorption coefficient, t `thickness_m` along the beam,
    and a uniform beam (h, v) wide. It tends to flux E (mu/rho) / (h v) for a thin crystal. Fluorescence that leaves
    (above the edges of Br, I, Cs) makes the true dose smaller; so do photoelectrons that leave a crystal of some tens
    of micrometres. Density is the ambient one. Raises AbsorptionError for sizes that aren't positive, a negative flux,
    or an energy outside the table; UnknownPhase.
    """
    wide, high = beam_size_m
    for name, size in (("width of the beam", wide), ("height of the beam", high), ("thickness", thickness_m)):
        within(f"{name} for the dose in {salt} (m)", size, 0.0, np.inf, "a length", open_low=True,
               error=AbsorptionError)  # fmt: skip
    within("flux (photons/s)", flux_ph_per_s, 0.0, np.inf, "a number of photons", error=AbsorptionError)
    mu_per_m = linear_attenuation_per_m(salt, energy_kev)
    density = density_kg_per_m3(_ambient(salt))
    power_w = flux_ph_per_s * energy_kev * _JOULE_PER_KEV
    absorbed_w = -power_w * float(np.expm1(-mu_per_m * thickness_m))
    return absorbed_w / (density * wide * high * thickness_m)


def _ambient(salt: str) -> Phase:
    """The phase that stands at ambient conditions: the salt's first in the table."""
    ions(salt)
    return next(row for row in PHASES.values() if row.salt == salt)


@lru_cache(maxsize=16)
def _ion_masses_kg(salt: str) -> tuple[tuple[str, float], ...]:
    """(symbol, mass of one atom in kg) of cation and anion."""
    import gemmi

    return tuple((symbol, gemmi.Element(symbol).weight * 1e-3 / _AVOGADRO) for symbol in ions(salt))
