"""Where a line of the spectrum falls, how wide it is and how much lies under it: shared by the slow and the fast way.

All arrays broadcast; the last axis is the families'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.diffraction.forward.errors import ForwardError
from rocksalt.diffraction.forward.instrument import Emission, Instrument
from rocksalt.diffraction.forward.profile import mix
from rocksalt.diffraction.forward.strain import FWHM_OF_SIGMA
from rocksalt.values import FloatArray

BEYOND_DEG: Final = 2.0
"""Lines up to this far above the last angle lend the pattern their tails."""
HIGHEST_DEG: Final = 179.0
SCHERRER: Final = 0.94
"""Scherrer's constant for the FWHM of cubic grains (Patterson, Phys. Rev. 56, 978, 1939: 0.89 to 0.94)."""
_PER_RADIAN: Final = 180.0 / np.pi


@dataclass(frozen=True, slots=True)
class Shape:
    """true_deg: 2 theta without offsets; centre_deg: with them; fwhm_deg, mixing; area: degrees times intensity."""

    true_deg: FloatArray
    centre_deg: FloatArray
    fwhm_deg: FloatArray
    mixing: FloatArray
    area: FloatArray


def reach_deg(two_theta_deg: FloatArray) -> float:
    """The angle up to which lines are taken along."""
    return min(float(two_theta_deg[-1]) + BEYOND_DEG, HIGHEST_DEG)


def line_shapes(
    instrument: Instrument,
    emission: Emission,
    limit_deg: float,
    d_angstrom: FloatArray,
    strength: FloatArray,
    gauss_strain: FloatArray,
    lorentz_strain: FloatArray,
    inverse_size: FloatArray,
    stress_q: FloatArray | None = None,
    stress_q_sigma: FloatArray | None = None,
) -> Shape:
    """Lines of one emission. `strength` has scale and texture in it; the strains are the FWHM of d over d (Gaussian,
    Lorentzian), `inverse_size` is 1 / size (1/A). `stress_q` is Singh's Q and `stress_q_sigma` its standard deviation
    over the grains, None for no stress. Lines above `limit_deg` have area 0.
    """
    wavelength = emission.wavelength_angstrom
    sine = 0.5 * wavelength / d_angstrom
    outside = sine > math.sin(0.5 * limit_deg / _PER_RADIAN) * (1.0 + 1e-12)
    cut = bool(outside.any())
    if cut:
        # Lines that the limit or the wavelength cuts off keep a harmless angle, so that one array serves every cell.
        sine = np.where(outside, 0.5, sine)
    if stress_q is not None:
        # d / dP - 1 for a beam along the stress axis, psi = 90 deg - th: `crystals.lattice_strain`'s axial factor
        axial = 1.0 - 3.0 * sine * sine
        sine = np.minimum(sine / (1.0 + axial * stress_q), 1.0 - 1e-9)
        if stress_q_sigma is not None:
            gauss_strain = np.hypot(gauss_strain, FWHM_OF_SIGMA * axial * stress_q_sigma)
    theta = np.arcsin(sine)
    cosine = np.sqrt(1.0 - sine * sine)
    tangent = sine / cosine
    true_deg = 2.0 * _PER_RADIAN * theta
    # d(2 theta) = 2 tan(theta) dd/d
    stretched = 2.0 * _PER_RADIAN * tangent
    gauss = np.sqrt(instrument.caglioti(tangent) + (stretched * gauss_strain) ** 2)
    # What goes as tan th, and what goes as 1 / cos th.
    lorentz = (instrument.lorentz_tan_deg + 2.0 * _PER_RADIAN * lorentz_strain) * tangent
    lorentz += (instrument.lorentz_sec_deg + _PER_RADIAN * SCHERRER * wavelength * inverse_size) / cosine
    if not instrument.always_wide and gauss.size and not float((gauss + lorentz).min()) > 0.0:
        raise ForwardError("the lines have no width: u, v, w, Lorentzian widths, size and strain are all zero; set w")
    fwhm, mixing = mix(gauss, lorentz)
    factor = instrument.lorentz_polarisation(true_deg)
    if instrument.plate_mu_t is not None:
        factor = factor * instrument.absorption(true_deg)
    area = emission.weight * strength * factor
    if cut:
        area[outside] = 0.0
    return Shape(true_deg, true_deg + instrument.offset_deg(true_deg), fwhm, mixing, area)
