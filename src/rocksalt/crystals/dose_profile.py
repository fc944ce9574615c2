"""Dose against depth, from any X-ray beam in any salt, and what each channel of measurement averages over it.

Photo-absorption only, all absorbed energy stays where it is absorbed: an upper bound, as in absorption.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.crystals import absorption
from rocksalt.crystals.limits import CrystalError, within
from rocksalt.crystals.tables import PHASES, ions
from rocksalt.values import FloatArray

_JOULE_PER_KEV: Final = 1.602176634e-16  # SI 2019
_LOWEST_KEV: Final = 2.0  # below it the absorption tables end; such photons don't leave a tube's window anyway
# Kalpha1, Kalpha2, Kbeta1 in keV, and photons of Kalpha1, Kalpha2 and all Kbeta (Kalpha1 = 1): read in xraydb 4.5.8
# (Elam). Confirmed.
_LINES_KEV: Final = {
    "Cu": (8.0463, 8.0267, 8.9039),
    "Mo": (17.4800, 17.3750, 19.6060),
    "Ag": (22.1630, 21.9900, 24.9410),
}
_LINE_PHOTONS: Final = {"Cu": (1.0, 0.510, 0.222), "Mo": (1.0, 0.524, 0.290), "Ag": (1.0, 0.531, 0.311)}
# Foils: xraydb's densities; "C" is diamond, 3.515 g/cm3.
_KG_PER_M3: Final = {"Be": 1848.0, "C": 3515.0, "Al": 2699.0, "Ni": 8908.0, "Zr": 6520.0, "Rh": 12410.0, "Pd": 12020.0}
FILTERS: Final = tuple(_KG_PER_M3)


class DoseError(CrystalError):
    """A negative dose, flux or thickness, an angle or an energy that no beam has, or not a number."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """A beam: photons a second (n,) at energies in keV (n,). A monochromatic one has n = 1."""

    energy_kev: FloatArray
    photons_per_s: FloatArray

    def __post_init__(self) -> None:
        energy, photons = np.atleast_1d(self.energy_kev), np.atleast_1d(self.photons_per_s)
        if not (energy.shape == photons.shape and energy.ndim == 1):
            raise DoseError("a spectrum needs as many numbers of photons as energies, each a row of them")
        within("energy (keV)", energy, 0.0, np.inf, "a photon's energy", open_low=True, error=DoseError)
        within("photons a second", photons, 0.0, np.inf, "a number of photons", error=DoseError)


def monochromatic(energy_kev: float, photons_per_s: float) -> Spectrum:
    """A beam of one energy."""
    return Spectrum(np.array([energy_kev]), np.array([photons_per_s]))


def tube_spectrum(
    anode: str, kilovolt: float, photons_per_s: float, *, characteristic_share: float = 0.6,
    filters: tuple[tuple[str, float], ...] = (),
) -> Spectrum:  # fmt: skip
    """A tube's beam at the sample: K lines and Kramers' bremsstrahlung (photons per keV as E0/E - 1), behind filters.

    `photons_per_s` is what arrives, all energies together; `characteristic_share` is the lines' part before the filters
    (0.6 is of the right size for 30-50 kV and unconfirmed); filters are (element, thickness in um), diamond is "C".
    Bremsstrahlung begins at 2 keV. Raises DoseError for an unknown anode or filter and numbers that make no sense.
    """
    if anode not in _LINES_KEV:
        raise DoseError(f"there is no tube of {anode!r} in the table; there are {', '.join(_LINES_KEV)}")
    within(f"voltage of a tube of {anode} (kV)", kilovolt, _LINES_KEV[anode][2], 150.0,
           "it must excite the K lines, Elam's energies; absorption is known to 150 keV", error=DoseError)  # fmt: skip
    within("photons a second", photons_per_s, 0.0, np.inf, "a number of photons", error=DoseError)
    within("share of characteristic photons", characteristic_share, 0.0, 1.0, "a share", error=DoseError)
    lines = np.array(_LINE_PHOTONS[anode]) / sum(_LINE_PHOTONS[anode]) * characteristic_share
    edges = np.linspace(_LOWEST_KEV, kilovolt, 201)
    middle = 0.5 * (edges[1:] + edges[:-1])
    brems = kilovolt / middle - 1.0
    brems *= (1.0 - characteristic_share) / brems.sum()
    energy = np.concatenate([np.array(_LINES_KEV[anode]), middle])
    photons = np.concatenate([lines, brems])
    for element, um in filters:
        photons = photons * transmission(element, um, energy)
    order = np.argsort(energy)
    return Spectrum(energy[order], (photons * photons_per_s / photons.sum())[order])


def transmission(element: str, thickness_um: float, energy_kev: FloatArray) -> FloatArray:
    """Share of photons (energies in keV, (n,)) that a foil passes, photo-absorption only. Raises DoseError."""
    if element not in _KG_PER_M3:
        raise DoseError(f"there is no filter of {element!r} in the table; there are {', '.join(FILTERS)}")
    within(f"thickness of the filter of {element} (um)", thickness_um, 0.0, np.inf, "a length", error=DoseError)
    mass = [absorption.element_mass_absorption_m2_per_kg(element, float(kev)) for kev in np.atleast_1d(energy_kev)]
    return np.asarray(np.exp(-np.array(mass) * _KG_PER_M3[element] * thickness_um * 1e-6))


def depth_grid(thickness_m: float, points: int = 2001) -> FloatArray:
    """Depths (m) from the surface to the back, close together at the surface, where soft photons stop."""
    _positive("thickness (m)", thickness_m)
    within("points", points, 2, 1e7, "a grid has two ends", error=DoseError)
    return np.asarray(thickness_m * np.linspace(0.0, 1.0, points) ** 3)


def dose_rate_profile_gy_per_s(
    salt: str, beam: Spectrum, area_m2: float, depth_m: FloatArray, *, incidence_deg: float = 90.0
) -> FloatArray:
    """Dose rate (Gy/s) at depths (m, any shape) below the surface that the beam enters at `incidence_deg` to the
    surface.

    D'(z) = sum over the spectrum of flux E (mu/rho) exp(-mu z / sin i) / area; `area_m2` is the beam's own
    cross-section, uniform: a grazing beam lights a larger surface, but stops nearer to it. Density is the ambient one.
    Raises DoseError, UnknownPhase, absorption.AbsorptionError for an energy outside 2 to 150 keV.
    """
    _positive("area of the beam (m2)", area_m2)
    slant = _slant(incidence_deg)
    depth = _depths(depth_m)
    density = _density(salt)
    total = np.zeros_like(depth)
    for kev, photons in zip(beam.energy_kev, beam.photons_per_s, strict=True):
        mass = absorption.mass_absorption_m2_per_kg(salt, float(kev))
        total = total + photons * kev * mass * np.exp(-mass * density * depth / slant)
    return np.asarray(total * _JOULE_PER_KEV / area_m2)


def diffraction_weight(
    salt: str, energy_kev: float, depth_m: FloatArray, *, theta_deg: float, thickness_m: float | None = None
) -> FloatArray:
    """How much of a diffracted line comes from each depth, up to a factor.

    Reflection (`thickness_m` None): exp(-2 mu z / sin theta). Transmission through a plate across the beam: the way in
    and the way out at 2 theta, exp(-mu [z + (t - z) / cos 2 theta]).
    """
    # Just below the limit the way out of a plate is endless, and so is the way in of a reflection at zero.
    within("theta (degrees)", theta_deg, 0.0, 90.0 if thickness_m is None else 44.99,
           "half a scattering angle; a plate passes 2 theta below 90", open_low=True, error=DoseError)  # fmt: skip
    mu = absorption.linear_attenuation_per_m(salt, energy_kev)
    depth = _depths(depth_m)
    if thickness_m is None:
        return np.asarray(np.exp(-2.0 * mu * depth / np.sin(np.radians(theta_deg))))
    _positive("thickness (m)", thickness_m)
    _depths(depth, thickness_m)
    out = (thickness_m - depth) / np.cos(np.radians(2.0 * theta_deg))
    return np.asarray(np.exp(-mu * (depth + out)))


def absorption_weight(depth_m: FloatArray) -> FloatArray:
    """Light through the plate counts centres at all depths alike."""
    return np.ones_like(_depths(depth_m))


def micrograph_weight(depth_m: FloatArray, focus_m: float, depth_of_field_m: float) -> FloatArray:
    """A microscope sees one depth sharply: a Gaussian whose full width at half maximum is the depth of field (m)."""
    _positive("depth of field (m)", depth_of_field_m)
    within("focus below the surface (m)", focus_m, 0.0, np.inf, "a depth", error=DoseError)
    depth = _depths(depth_m)
    return np.asarray(np.exp(-4.0 * np.log(2.0) * ((depth - focus_m) / depth_of_field_m) ** 2))


def seen(quantity: FloatArray, weight: FloatArray, depth_m: FloatArray) -> float:
    """Mean of a quantity over depth (n,) as a channel with this weight (n,) sees it; trapezoids.

    Give it the concentration at the local dose rather than the dose where growth isn't linear: the mean of a saturating
    curve isn't the curve of the mean. Raises DoseError where the channel sees nothing or depths don't rise.
    """
    depth = _depths(depth_m)
    within("weight of a depth", weight, 0.0, np.inf, "a channel counts a depth or it does not", error=DoseError)
    within("quantity over depth", quantity, -np.inf, np.inf, "a mean of numbers", error=DoseError)
    whole = float(np.trapezoid(weight, depth))
    if not ((np.diff(depth) > 0.0).all() and whole > 0.0):
        raise DoseError("depths must rise, and the channel must see some of them: a mean over nothing is no number")
    return float(np.trapezoid(np.asarray(quantity) * weight, depth)) / whole


def _density(salt: str) -> float:
    ions(salt)
    return absorption.density_kg_per_m3(next(row for row in PHASES.values() if row.salt == salt))


def _slant(incidence_deg: float) -> float:
    within("angle of the beam to the surface (degrees)", incidence_deg, 0.0, 90.0, "90 is straight on", open_low=True,
           error=DoseError)  # fmt: skip
    return float(np.sin(np.radians(incidence_deg)))


def _positive(name: str, value: float) -> None:
    within(name, value, 0.0, np.inf, "a size", open_low=True, error=DoseError)


def _depths(depth_m: FloatArray, deepest_m: float = np.inf) -> FloatArray:
    return within("depth below the surface (m)", depth_m, 0.0, deepest_m, "the crystal", error=DoseError)
