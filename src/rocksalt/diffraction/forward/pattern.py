"""A powder pattern with everything in it: crystals as they are, an instrument, a background.

Sum over phases, emission lines and families of area times pseudo-Voigt, without cutting any tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rocksalt.crystals.eos import TEMPERATURE_K, bulk_modulus_gpa
from rocksalt.crystals.tables import Phase
from rocksalt.diffraction.forward.axial import rays, trailing
from rocksalt.diffraction.forward.errors import ForwardError, require, require_angles
from rocksalt.diffraction.forward.families import Crystal, Families, families_of_salt
from rocksalt.diffraction.forward.instrument import Continuum, Instrument
from rocksalt.diffraction.forward.lineshape import HIGHEST_DEG, Shape, line_shapes, reach_deg
from rocksalt.diffraction.forward.profile import pseudo_voigt
from rocksalt.diffraction.forward.strain import Deviatoric, strain_of_gamma
from rocksalt.diffraction.forward.texture import R_RANGE, Axis, march_dollase, require_axis
from rocksalt.values import FloatArray

STRAIN_RANGE = (0.0, 0.1)
SIZE_RANGE_ANGSTROM = (5.0, np.inf)
_STRAIN_SOURCE = "the share of d by which grains differ; a tenth is no crystal any more"
_SIZE_SOURCE = "a grain smaller than a cell has no lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Powder:
    """One phase in the beam.

    crystal              a phase of the table, or a crystal made from a CIF
    a_angstrom           edge of the salt's cell; None for a crystal from a CIF, which has its own
    scale                proportional to the illuminated volume
    temperature_k        for the Debye-Waller factors of a salt (a CIF states its own)
    microstrain, microstrain_lorentz   e of FWHM = 4 e tan th, Gaussian and Lorentzian part
    microstrain_hhh, microstrain_lorentz_hhh   the same for hhh lines, where those above are for h00 and every line has
                 its own (Stephens' form, cubic crystals only); None: the same for all lines
    size_angstrom        of Scherrer's formula, Lorentzian
    march_r, march_axis  March-Dollase texture about one axis (indices of a reflection)
    deviatoric           uniaxial stress along the beam, cubic crystals only
    pressure_spread_gpa  FWHM of the pressures in the beam: widens by dd/d = dP / 3K; phases of the table only
    """

    crystal: Phase | Crystal
    a_angstrom: float | None = None
    scale: float = 1.0
    temperature_k: float = 300.0
    microstrain: float = 0.0
    microstrain_lorentz: float = 0.0
    microstrain_hhh: float | None = None
    microstrain_lorentz_hhh: float | None = None
    size_angstrom: float = np.inf
    march_r: float = 1.0
    march_axis: Axis = (1, 0, 0)
    deviatoric: Deviatoric | None = None
    pressure_spread_gpa: float = 0.0

    def __post_init__(self) -> None:
        require("scale", self.scale, 0.0, np.finfo(float).max, "a volume is not negative")
        require("microstrain", self.microstrain, *STRAIN_RANGE, _STRAIN_SOURCE)
        require("microstrain_lorentz", self.microstrain_lorentz, *STRAIN_RANGE, _STRAIN_SOURCE)
        for name, value in (("_hhh", self.microstrain_hhh), ("_lorentz_hhh", self.microstrain_lorentz_hhh)):
            if value is not None:
                require(f"microstrain{name}", value, *STRAIN_RANGE, _STRAIN_SOURCE)
        require("size_angstrom", self.size_angstrom, *SIZE_RANGE_ANGSTROM, _SIZE_SOURCE)
        require("March-Dollase r", self.march_r, *R_RANGE, "beyond, a single crystal is the better model")
        require_axis(self.march_axis)
        require(
            "temperature_k", self.temperature_k, *TEMPERATURE_K, "where the Debye model of the crystals' table holds"
        )
        require("pressure_spread_gpa", self.pressure_spread_gpa, 0.0, 50.0, "a width is not negative")
        salt = isinstance(self.crystal, Phase)
        if salt and (self.a_angstrom is None or not np.isfinite(self.a_angstrom)):
            raise ForwardError(f"{self.crystal.name} has no a_angstrom; give the edge of its cell in angstrom")
        if not salt and (self.a_angstrom is not None or self.deviatoric is not None or self.pressure_spread_gpa):
            raise ForwardError(
                f"{self.crystal.name} comes with its own cell and no elasticity: a_angstrom, deviatoric and "
                "pressure_spread_gpa are for the phases of the table"
            )

    def families(self, wavelength_angstrom: float, two_theta_max_deg: float) -> Families:
        """This phase's families up to an angle. Raises ForwardError."""
        if isinstance(self.crystal, Phase):
            a = self.a_angstrom
            assert a is not None  # checked when made
            try:
                return families_of_salt(
                    self.crystal, a, self.temperature_k, wavelength_angstrom, two_theta_max_deg, self.march_axis
                )
            except ForwardError:
                raise
            except ValueError as error:  # the table's own sentence
                raise ForwardError(str(error)) from error
        return self.crystal.families(wavelength_angstrom, two_theta_max_deg, self.march_axis)

    def pressure_strain(self) -> float:
        """dd/d (FWHM) that the pressure's spread makes: dP / 3K at this cell and temperature."""
        if not self.pressure_spread_gpa or not isinstance(self.crystal, Phase) or self.a_angstrom is None:
            return 0.0
        return self.pressure_spread_gpa / (3.0 * bulk_modulus_gpa(self.crystal, self.a_angstrom**3, self.temperature_k))


def pattern(
    two_theta_deg: FloatArray, phases: Sequence[Powder], instrument: Instrument, background: Sequence[float] = ()
) -> FloatArray:
    """Intensity (n,) on the angles (n,) in degrees, per degree of 2 theta times `scale`.

    `background` are Chebyshev coefficients over the pattern's own range. Raises ForwardError, or the ValueError of the
    table that a cell or temperature lies outside of.
    """
    x = require_angles(two_theta_deg)
    total = chebyshev_background(x, background)
    for powder in phases:
        for number in range(len(instrument.emissions)):
            families, strength, shape = shapes_of(powder, instrument, number, reach_deg(x))
            drawn = trailing(shape, instrument.axial) if instrument.axial else shape
            total += drawn.area @ pseudo_voigt(x, drawn.centre_deg, drawn.fwhm_deg, drawn.mixing)
            if number == 0 and instrument.continuum is not None:
                total += _trail(x, instrument, instrument.continuum, families.d_angstrom, shape.fwhm_deg, strength)
    return total


def shapes_of(
    powder: Powder, instrument: Instrument, emission: int, limit_deg: float = HIGHEST_DEG
) -> tuple[Families, FloatArray, Shape]:
    """Families of one phase for one emission line, their strengths with scale and texture, and the lines they make."""
    line = instrument.emissions[emission]
    families = powder.families(line.wavelength_angstrom, limit_deg)
    strength = powder.scale * families.strength
    if powder.march_r != 1.0:
        strength = strength * (march_dollase(families.cos2, powder.march_r) * families.share).sum(axis=1)
    stress, q, q_sigma = powder.deviatoric, None, None
    if stress is not None and isinstance(powder.crystal, Phase) and powder.a_angstrom is not None:
        per_gpa = stress.q_per_gpa(powder.crystal, powder.a_angstrom, powder.temperature_k, families.hkl)
        q, q_sigma = stress.t_gpa * per_gpa, stress.t_sigma_gpa * per_gpa
    gauss = np.hypot(
        2.0 * _strain(powder, powder.microstrain, powder.microstrain_hhh, families), powder.pressure_strain()
    )
    lorentz = 2.0 * _strain(powder, powder.microstrain_lorentz, powder.microstrain_lorentz_hhh, families)
    shape = line_shapes(
        instrument, line, limit_deg, families.d_angstrom, strength,
        gauss, lorentz, np.asarray(1.0 / powder.size_angstrom), q, q_sigma,
    )  # fmt: skip
    return families, strength, shape


def _trail(
    x: FloatArray, instrument: Instrument, continuum: Continuum, d_angstrom: FloatArray, fwhm: FloatArray,
    strength: FloatArray,
) -> FloatArray:  # fmt: skip
    """What white radiation adds, (n,)."""
    offset = instrument.offset_deg(x)
    true = x - offset
    if instrument.axial:
        # The ray that reaches x started from an angle that is off by its own shift; the shift varies slowly.
        trail = np.zeros_like(x)
        for moved, share in zip(*rays(true, instrument.axial), strict=True):
            trail += share * (strength @ continuum.profile(x, d_angstrom, fwhm, offset + moved))
    else:
        trail = strength @ continuum.profile(x, d_angstrom, fwhm, offset)
    return np.asarray(instrument.lorentz_polarisation(true) * instrument.absorption(true) * trail)


def _strain(powder: Powder, h00: float, hhh: float | None, families: Families) -> FloatArray:
    if hhh is None:
        return np.asarray(h00)
    if families.gammas is None:
        raise ForwardError(f"{powder.crystal.name} is not cubic: microstrain_hhh has a meaning in cubic crystals only")
    return strain_of_gamma(np.asarray(h00), np.asarray(hhh), families.gammas)


def chebyshev_background(two_theta_deg: FloatArray, coefficients: Sequence[float] | FloatArray) -> FloatArray:
    """Chebyshev series (n,) over the range of `two_theta_deg`; nothing for no coefficients. Raises ForwardError."""
    values = np.asarray(coefficients, dtype=np.float64)
    if not values.size:
        return np.zeros_like(two_theta_deg)
    if not np.isfinite(values).all():
        raise ForwardError("a background coefficient is NaN or infinite; leave unused ones out")
    first, last = two_theta_deg[0], two_theta_deg[-1]
    unit = (2.0 * two_theta_deg - first - last) / (last - first)
    return np.asarray(np.polynomial.chebyshev.chebval(unit, values))
