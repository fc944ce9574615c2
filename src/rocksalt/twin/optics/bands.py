"""What a coloured crystal does to white light: bands, reflection at its faces, scattering. The bands' places come from
the tables, shifted and bent as this twin hides."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Final

import numpy as np

from rocksalt.crystals import colour_centres
from rocksalt.crystals.refraction import refractive_index
from rocksalt.twin.departures import OpticsDepartures
from rocksalt.values import FloatArray

EV_NM: Final = 1239.841984
# Smakula's constant for a Gaussian and for a Lorentzian, 1/cm^3 per 1/cm and eV (as in crystals.colour_centres).
_GAUSSIAN, _LORENTZIAN = 0.87e17, 1.29e17
# Places of the lesser bands against the F band's (energy), from ratios of wavelengths that hold for KCl and KBr; LiF's
# own are 313 and 380 nm. Widths against the F band's, strengths a centre. All from memory of the literature,
# unconfirmed.
_K_PLACE, _K_WIDTH = 1.22, 1.1
_R_PLACES, _R_WIDTH, _R_STRENGTH = (1.0 / 1.175, 1.0 / 1.28), 0.4, 0.2
_LIF_F3_PLUS: Final = (2.77, 0.29, 0.3)
_M_WIDTH, _M_STRENGTH = 0.42, 0.3
_N_PLACE, _N_WIDTH, _N_STRENGTH = 0.83, 0.35, 0.15
_M_PRESSURE: Final = 1.56 / 3.0
# Colloids of the metal (eV): Na in NaCl 2.15, K in KCl 1.70 and KBr 1.60, Li in LiF 2.70; else 0.75 of the F band.
_COLLOID_EV: Final = {"NaCl": 2.15, "KCl": 1.70, "KBr": 1.60, "LiF": 2.70}
_COLLOID_WIDTH, _COLLOID_STRENGTH = 0.45, 0.5
_INDEX_EV: Final = (0.9, 4.9)  # where Li's sums hold for all the salts: beyond, the end's index


@dataclass(frozen=True, slots=True)
class View:
    """The crystal as light meets it.

    columns_per_cm2   F, M, R (F3+ in LiF), N centres and colloidal atoms in its way, (5,)
    m_per_cm3         mean density of M, for quenching
    volume_ratio      V / V(no pressure, same temperature)
    cracks            scattering by cracks against the tier's, 1 for this crystal as it came
    """

    columns_per_cm2: FloatArray
    m_per_cm3: float
    kelvin: float
    volume_ratio: float = 1.0
    cracks: float = 1.0


class Crystal:
    """One salt in one spectrometer: wavelengths in nm, (pixels,), true ones."""

    def __init__(self, salt: str, wavelength_nm: FloatArray, hidden: OpticsDepartures) -> None:
        self.salt, self._hidden = salt, hidden
        self._row = colour_centres.bands(salt)
        self._nm = wavelength_nm
        self._ev = EV_NM / wavelength_nm
        index = refractive_index(salt, np.clip(self._ev, *_INDEX_EV))
        self._reflects = ((index - 1.0) / (index + 1.0)) ** 2

    def transmission(self, view: View) -> FloatArray:
        """Share of light that passes a plate: two faces with reflections to and fro, absorption, scattering."""
        inner = np.exp(-log(10.0) * self.optical_density(view))
        r = self._reflects
        return np.asarray((1.0 - r) ** 2 * inner / (1.0 - (r * inner) ** 2))

    def optical_density(self, view: View) -> FloatArray:
        """Of the inside (log10): all bands and scattering."""
        hidden = self._hidden
        f, m, r, n, colloid = (float(column) for column in view.columns_per_cm2)
        scattering = hidden.scatter * view.cracks * (500.0 / self._nm) ** 1.5
        density = scattering + 0.3 * min(colloid / 1e17, 10.0) * (500.0 / self._nm) ** 4
        for part in (self._f(view, f), self.m_density(view, m), self.r_density(view, r)):
            density = density + part
        if n > 0.0:
            place, width = self._place(view)
            m_ev = (self._row.m_ev or 0.68 * self._row.f_ev) * place / self._row.f_ev
            density = density + self._band(n, _N_PLACE * m_ev, _N_WIDTH * width, _N_STRENGTH)
        if colloid > 0.0:
            ev = _COLLOID_EV.get(self.salt, 0.75 * self._row.f_ev)
            shape = 1.0 / (1.0 + (2.0 * (self._ev - ev) / _COLLOID_WIDTH) ** 2)
            per = self._smakula(ev, _COLLOID_WIDTH, _COLLOID_STRENGTH, _LORENTZIAN)
            density = density + colloid / (per * log(10.0)) * shape
        return np.asarray(density)

    def m_density(self, view: View, column: float, energy_ev: FloatArray | None = None) -> FloatArray:
        """Optical density of M (F2) at the pixels, or at these energies."""
        _, width = self._place(view)
        ev = (self._row.m_ev or 0.68 * self._row.f_ev) * view.volume_ratio**-_M_PRESSURE + self._hidden.band_shift_ev
        scale = width / self._row.f_width_ev
        m_width = _M_WIDTH * width if self._row.m_width_ev is None else self._row.m_width_ev * scale
        return self._band(column, ev, m_width, _M_STRENGTH, energy_ev)

    def r_density(self, view: View, column: float, energy_ev: FloatArray | None = None) -> FloatArray:
        """Optical density of R1 and R2, of F3+ in LiF."""
        place, width = self._place(view)
        if self.salt == "LiF":
            ev, own, strength = _LIF_F3_PLUS
            return self._band(column, ev, own * width / self._row.f_width_ev, strength, energy_ev)
        one, other = (
            self._band(column, place * ratio, _R_WIDTH * width, _R_STRENGTH, energy_ev) for ratio in _R_PLACES
        )
        return one + other

    def _f(self, view: View, column: float) -> FloatArray:
        """The F band with its K shoulder, which stays broad in the cold: it is several bands."""
        place, width = self._place(view)
        f = self._band(column, place, width, self._row.f)
        shoulder = self._shape(self._ev, _K_PLACE * place, _K_WIDTH * self._row.f_width_ev)
        height = column / (self._smakula(place, width, self._row.f, _GAUSSIAN) * log(10.0))
        return np.asarray(f + self._hidden.k_share * height * shoulder)

    def _place(self, view: View) -> tuple[float, float]:
        """Energy and width of this crystal's F band (eV)."""
        kelvin = np.asarray(max(view.kelvin, 1.0))
        place = float(colour_centres.f_energy_ev(self.salt, kelvin, view.volume_ratio)) + self._hidden.band_shift_ev
        return place, float(colour_centres.f_width_ev(self.salt, kelvin)) * (1.0 + self._hidden.band_width_relative)

    def _band(
        self, column: float, ev: float, width: float, strength: float, energy_ev: FloatArray | None = None
    ) -> FloatArray:
        at = self._ev if energy_ev is None else energy_ev
        if column <= 0.0:
            return np.zeros_like(at)
        height = column / (self._smakula(ev, width, strength, _GAUSSIAN) * log(10.0))
        return np.asarray(height * self._shape(at, ev, width))

    def _shape(self, at_ev: FloatArray, ev: float, width: float) -> FloatArray:
        """A Gaussian that is wider towards high energies, full width at half maximum as given."""
        skew = self._hidden.band_skew
        away = (at_ev - ev) / np.where(at_ev > ev, width * (1.0 + skew), width * (1.0 - skew))
        return np.asarray(np.exp(-4.0 * log(2.0) * away**2))

    def _smakula(self, ev: float, width: float, strength: float, constant: float) -> float:
        """Centres per cm^3 for each 1/cm at the peak (so per cm^2)."""
        index = float(refractive_index(self.salt, np.asarray(min(max(ev, _INDEX_EV[0]), _INDEX_EV[1]))))
        true_strength = strength * (1.0 + self._hidden.strength_relative)
        return constant * index / (index * index + 2.0) ** 2 * width / true_strength


def wavenumber_width_nm(width_per_cm: float, wavelength_nm: float) -> float:
    """A width in 1/cm as one in nm."""
    return width_per_cm * 1e-7 * wavelength_nm**2


def voigt_width(lorentz: float, gauss: float) -> float:
    """Full width of a Voigt line (Whiting 1968, 0.02 %)."""
    return 0.5346 * lorentz + sqrt(0.2166 * lorentz**2 + gauss**2)
