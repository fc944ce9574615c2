"""What stands around the sample: the spectrum, the geometry, the widths and the offsets of a diffractometer.

Angles and widths are 2 theta in degrees; wavelengths in angstrom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from rocksalt.crystals.structure import lorentz_area_detector, lorentz_polarisation_powder
from rocksalt.diffraction.forward.errors import ForwardError, require
from rocksalt.diffraction.wavelength import LONGEST_ANGSTROM, SHORTEST_ANGSTROM
from rocksalt.values import FloatArray

Geometry = Literal["reflection", "ring"]
NICKEL_EDGE_ANGSTROM: Final = 1.48814  # K edge 8331.5 eV: Deslattes et al., Rev. Mod. Phys. 75, 35 (2003)
COPPER_K_BETA_ANGSTROM: Final = 1.392234  # K beta 1,3: International Tables C (2004), table 4.2.2.4
_FWHM_OF_SIGMA: Final = 2.3548200450309493


@dataclass(frozen=True, slots=True)
class Emission:
    """One line of the source. `weight` multiplies what it diffracts (lambda^3 included): K alpha2 about 0.5."""

    wavelength_angstrom: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        source = "what powder diffraction uses (2.5 to 248 keV); give it in angstrom, as 1.5406 for Cu K alpha1"
        require("wavelength_angstrom", self.wavelength_angstrom, SHORTEST_ANGSTROM, LONGEST_ANGSTROM, source)
        require("weight", self.weight, 0.0, np.inf, "the share of an emission line is not negative")


@dataclass(frozen=True, slots=True)
class Continuum:
    """What a beta filter lets through beside the lines: white radiation that begins at the filter's edge.

    Its density, per angstrom and relative to a line of weight 1, is `per_angstrom` exp(-`decay_per_angstrom`
    (lambda - edge)) above the edge and `leak` times that below. Each strong line of the sample therefore trails a
    low plateau towards smaller angles, which ends in a step where the edge is diffracted.
    """

    per_angstrom: float
    decay_per_angstrom: float = 0.0
    leak: float = 0.0
    edge_angstrom: float = NICKEL_EDGE_ANGSTROM

    def __post_init__(self) -> None:
        require("per_angstrom", self.per_angstrom, 0.0, np.inf, "white radiation has no negative density")
        require("decay_per_angstrom", self.decay_per_angstrom, -50.0, 50.0, "white radiation is smooth over 0.1 A")
        require("leak", self.leak, 0.0, 1.0, "a filter passes less below its edge than above")
        require("edge_angstrom", self.edge_angstrom, SHORTEST_ANGSTROM, LONGEST_ANGSTROM, "edges of usual filters")

    def profile(
        self, two_theta_deg: FloatArray, d_angstrom: FloatArray, width_deg: FloatArray, offset_deg: FloatArray
    ) -> FloatArray:
        """Intensity per degree (m, n) that m spacings diffract out of the continuum; Lorentz factor not in it.

        The step at the edge has the FWHM `width_deg` (m,); `offset_deg` (n,) is what the instrument adds to 2 theta.
        """
        theta = np.radians(two_theta_deg - offset_deg)[None, :] / 2.0
        wavelength = 2.0 * d_angstrom[:, None] * np.sin(theta)
        edge_deg = 2.0 * np.degrees(np.arcsin(np.minimum(self.edge_angstrom / (2.0 * d_angstrom), 1.0)))
        # A logistic curve within 1 % of the integral of a Gaussian: 1.702 is its usual constant.
        away = (np.degrees(2.0 * theta) - edge_deg[:, None]) / (width_deg[:, None] / _FWHM_OF_SIGMA)
        passed = self.leak + (1.0 - self.leak) * 0.5 * (1.0 + np.tanh(0.851 * away))
        density = self.per_angstrom * np.exp(-self.decay_per_angstrom * (wavelength - self.edge_angstrom))
        # 2 sin(theta) d = lambda, so d lambda / d(2 theta) = d cos(theta), here per degree.
        return np.asarray(density * passed * d_angstrom[:, None] * np.cos(theta) * np.pi / 180.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A diffractometer.

    emissions       lines of the source, one or more
    geometry        "reflection": Bragg-Brentano or a 2 theta arm, area goes as LP of a powder; "ring": azimuthal mean
                    of an area detector, corrected for solid angle
    polarisation    (I_s - I_p) / (I_s + I_p): 0 a tube, 0.95 to 0.99 a synchrotron with a vertical circle. None: a bare
                    tube in "reflection"; in "ring", that the integration took it out. In "ring" 0 is a full-circle mean
    u, v, w         Caglioti's FWHM^2 = u tan^2 th + v tan th + w (deg^2), the Gaussian part: Nucl. Instr. 3, 223 (1958)
    lorentz_tan_deg, lorentz_sec_deg   Lorentzian FWHM going as tan th (the emission line's own width) and 1 / cos th
    axial           half-height of the sample over the radius, the slit's the same: lines trail to small angles
                    (`forward.axial`); 0 for none. Soller slits make it an effective number, about 0.01 to 0.04
    zero_deg        added to every 2 theta
    displacement    of the sample over the radius (or distance): shifts by -2 s cos th in "reflection" (sample below the
                    axis: s > 0), by -s sin 2th cos 2th in "ring" (sample farther from the detector: s < 0)
    plate_mu_t      absorption of a flat plate: mu times thickness; None: none, or thick in reflection. No cylinders.
                    In "reflection" 1 - exp(-2 mu t / sin th); in "ring" the beam falls straight on the plate
    continuum       white radiation above the beta filter's edge, None: none
    """

    emissions: tuple[Emission, ...]
    geometry: Geometry = "reflection"
    polarisation: float | None = None
    u: float = 0.0
    v: float = 0.0
    w: float = 1e-3
    lorentz_tan_deg: float = 0.0
    lorentz_sec_deg: float = 0.0
    axial: float = 0.0
    zero_deg: float = 0.0
    displacement: float = 0.0
    plate_mu_t: float | None = None
    continuum: Continuum | None = None

    def __post_init__(self) -> None:
        if not self.emissions:
            raise ForwardError("the instrument has no emission line; give one or more")
        if self.geometry not in ("reflection", "ring"):
            raise ForwardError(f"geometry is {self.geometry!r}; it is reflection or ring")
        if self.polarisation is not None:
            require("polarisation", self.polarisation, -1.0, 1.0, "by its definition")
        for name, value in (("u", self.u), ("v", self.v), ("w", self.w)):
            require(name, value, -10.0, 10.0, "deg^2: no powder line is three degrees wide by its instrument")
        for name, value in (("lorentz_tan_deg", self.lorentz_tan_deg), ("lorentz_sec_deg", self.lorentz_sec_deg)):
            require(name, value, 0.0, 10.0, "a width in degrees is not negative")
        require("axial", self.axial, 0.0, 0.1, "a tenth of the radius; a longer slit sees no line any more")
        require("zero_deg", self.zero_deg, -5.0, 5.0, "an arm that is farther off is not aligned")
        require("displacement", self.displacement, -0.1, 0.1, "a tenth of the radius")
        if self.plate_mu_t is not None:
            require("plate_mu_t", self.plate_mu_t, 0.0, np.inf, "absorption has no gain")

    @property
    def always_wide(self) -> bool:
        """True where its own width never is zero, whatever the sample."""
        return self.w > 0.0 and self.u >= 0.0 and self.v >= 0.0

    def lorentz_polarisation(self, two_theta_deg: FloatArray) -> FloatArray:
        """Lorentz and polarisation factor, any shape."""
        if self.geometry == "reflection":
            return lorentz_polarisation_powder(two_theta_deg, self.polarisation)
        lorentz = lorentz_area_detector(two_theta_deg)
        if self.polarisation is None:
            return lorentz
        light = (1.0 + self.polarisation) + (1.0 - self.polarisation) * np.cos(np.radians(two_theta_deg)) ** 2
        return np.asarray(0.5 * lorentz * light)

    def absorption(self, two_theta_deg: FloatArray) -> FloatArray:
        """Share of the scattered light that leaves the plate, any shape; see `plate_mu_t`."""
        if self.plate_mu_t is None:
            return np.ones_like(two_theta_deg)
        two_theta = np.radians(two_theta_deg)
        if self.geometry == "reflection":
            return np.asarray(-np.expm1(-2.0 * self.plate_mu_t / np.sin(two_theta / 2.0)))
        if float(np.max(two_theta, initial=0.0)) >= np.pi / 2.0:
            raise ForwardError("a plate in transmission is seen up to 2 theta of 90 deg; leave plate_mu_t out beyond")
        # Mean over depth z of exp(-mu z - mu (t - z) / cos 2th).
        more = self.plate_mu_t * (1.0 / np.cos(two_theta) - 1.0)
        mean = np.where(more > 1e-8, -np.expm1(-more) / np.where(more > 1e-8, more, 1.0), 1.0 - more / 2.0)
        return np.asarray(np.exp(-self.plate_mu_t) * mean)

    def offset_deg(self, two_theta_deg: FloatArray) -> FloatArray:
        """What zero and displacement add to the true angle, any shape."""
        if not self.displacement:
            return np.full_like(two_theta_deg, self.zero_deg)
        two_theta = np.radians(two_theta_deg)
        if self.geometry == "reflection":
            moved = -2.0 * self.displacement * np.cos(two_theta / 2.0)
        else:
            moved = -self.displacement * np.sin(two_theta) * np.cos(two_theta)
        return np.asarray(self.zero_deg + np.degrees(moved))

    def caglioti(self, tan_theta: FloatArray) -> FloatArray:
        """FWHM^2 of the Gaussian part (deg^2), any shape, or one for all. Raises ForwardError where u, v, w make it
        negative."""
        if self.u == 0.0 and self.v == 0.0 <= self.w:
            return np.asarray(self.w)
        square = (self.u * tan_theta + self.v) * tan_theta + self.w
        # Only v, or a negative u or w, can make it negative: thousands of calls a second need not look.
        if min(self.u, self.v, self.w) < 0.0 and square.size and not float(square.min()) >= 0.0:
            raise ForwardError(
                f"u = {self.u:g}, v = {self.v:g}, w = {self.w:g} deg^2 make FWHM^2 = u tan^2 + v tan + w negative "
                f"(down to {float(square.min()):.3g}) inside the pattern; v^2 <= 4 u w never does (Caglioti 1958)"
            )
        return np.asarray(square)
