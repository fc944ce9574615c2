"""Light of lithium fluoride's F2 and F3+ centres under blue light, and how it grows with dose: a dosimeter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.crystals.colour_centres import ColourCentreError
from rocksalt.crystals.limits import within
from rocksalt.values import FloatArray


@dataclass(frozen=True, slots=True)
class Emission:
    """A Gaussian emission band: peak and full width at half maximum in eV."""

    peak_ev: float
    width_ev: float


# Pumped at 445-458 nm. Standard values of the ENEA group, from memory of the literature (unconfirmed).
F3_PLUS: Final = Emission(2.29, 0.31)
F2: Final = Emission(1.83, 0.36)
# Doses (Gy) of the law: linear to 100 Gy (X-rays, SIF 2016 talk 460), sub-linear from 1e3 to 1e6 (Montereali 2010),
# saturated above some 1e5 (protons, 2018). The midpoint is by order of magnitude.
SATURATION_GY: Final = 1e5
_LAW: Final = "dose law of Montereali 2010 and the proton work of 2018, 1 to 1e6 Gy"


def spectrum(energy_ev: FloatArray, f2_light: float, f3_plus_light: float) -> FloatArray:
    """Emission (per eV) at photon energies (eV, any shape): two Gaussians whose areas are the two amounts of light.

    Raises ColourCentreError for anything negative, and NaN.
    """
    for name, light in (("light of F2", f2_light), ("light of F3+", f3_plus_light)):
        within(name, light, 0.0, np.inf, "an amount of light", error=ColourCentreError)
    energy = within("photon energy (eV)", energy_ev, 0.0, np.inf, "a photon's energy", error=ColourCentreError)
    total = np.zeros_like(energy)
    for band, light in ((F2, f2_light), (F3_PLUS, f3_plus_light)):
        sigma = band.width_ev / np.sqrt(8.0 * np.log(2.0))
        total = total + light * np.exp(-0.5 * ((energy - band.peak_ev) / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi))
    return np.asarray(total)


def signal(
    dose_gy: FloatArray,
    *,
    saturation_gy: float = SATURATION_GY,
    pump_density: float = 0.0,
    quenching_gy: float = np.inf,
) -> FloatArray:
    """Luminescence at doses (Gy, any shape), 1 at full saturation of the centres without losses.

    (1 - exp(-D/D0)) times self-absorption (1 - 10^-OD)/(OD ln 10), where OD, the pump's optical density, is
    `pump_density` at saturation and grows with the centres, times 1/(1 + D/`quenching_gy`) for concentration quenching.
    Raises ColourCentreError for a negative dose or density, NaN, or constants that aren't positive.
    """
    dose = within("dose (Gy)", dose_gy, 0.0, np.inf, _LAW, error=ColourCentreError)
    within("optical density of the pump", pump_density, 0.0, np.inf, "an absorption", error=ColourCentreError)
    within("saturation dose (Gy)", saturation_gy, 0.0, np.inf, _LAW, open_low=True, error=ColourCentreError)
    if quenching_gy != np.inf:  # infinite: no quenching
        within("quenching dose (Gy)", quenching_gy, 0.0, np.inf, _LAW, open_low=True, error=ColourCentreError)
    centres = -np.expm1(-dose / saturation_gy)
    depth = pump_density * centres * np.log(10.0)
    seen = np.where(depth > 1e-12, -np.expm1(-depth) / np.maximum(depth, 1e-12), 1.0)
    return np.asarray(centres * seen / (1.0 + dose / quenching_gy))
