"""Independent gauges of pressure: the R1 line of ruby, with its temperature, and the cells of gold and of MgO.

A gauge's pressure is on the scale that its calibration names; scales.py carries it to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from rocksalt.crystals.debye import debye3
from rocksalt.crystals.limits import CrystalError, within
from rocksalt.crystals.scales import SCALES, ScaleError
from rocksalt.values import FloatArray, Measured

RUBY_REFERENCE_NM: Final = 694.25  # R1 at 298 K and no pressure: Shen et al. 2020
_RUBY_REFERENCE_K: Final = 298.0
# Wavenumber of R1 (1/cm) at T (K), no pressure: Ragan, Gustavsen and Schiferl, J. Appl. Phys. 72, 5539 (1992), 15 to
# 600 K; the numbers as three public programs print them. Below some 50 K it is flat.
_RAGAN: Final = (14423.0, 4.49e-2, -4.81e-4, 3.71e-7)
RUBY_TEMPERATURE_K: Final = (15.0, 600.0)
_BOLTZMANN_GPA_A3: Final = 1.380649e-2  # GPa A3 per K, SI 2019
_REFERENCE_K: Final = 300.0


class GaugeError(CrystalError):
    """A reading that the gauge can't give, or a temperature outside its calibration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A cubic marker powder: Vinet at 300 K and Mie-Grueneisen-Debye heat, gamma = gamma0 [1 + a ((V/V0)^b - 1)].

    atoms per cell; a = 1 and b = q is the usual power law. Sigmas are one standard deviation; 0 where V0 was held.
    """

    name: str
    scale: str
    v0_a3: float
    v0_sigma_a3: float
    k0_gpa: float
    k0_sigma_gpa: float
    k0p: float
    k0p_sigma: float
    atoms: int
    debye_k: float
    gamma0: float
    a: float
    b: float
    range_gpa: tuple[float, float]
    temperature_k: tuple[float, float]
    reference: str
    unconfirmed: tuple[str, ...] = ()


# Read in peritheos 0.17.1 (MIT), whose records name the papers. Below 300 K the Debye model is continued.
MARKERS: Final[Mapping[str, Marker]] = MappingProxyType(
    {
        "Au": Marker(
            name="Au", scale="ruby, Dewaele 2004", v0_a3=67.848, v0_sigma_a3=0.004, k0_gpa=167.0, k0_sigma_gpa=0.3,
            k0p=6.0, k0p_sigma=0.02, atoms=4, debye_k=170.0, gamma0=2.97, a=1.0, b=0.6, range_gpa=(0.0, 117.9),
            temperature_k=(5.0, 900.0), unconfirmed=("k0_sigma_gpa",),
            reference="Dewaele et al., Phys. Rev. B 70, 094112 (2004); heat: Fei et al., PNAS 104, 9182 (2007)",
        ),
        "MgO": Marker(
            name="MgO", scale="MgO, Tange 2009", v0_a3=74.698, v0_sigma_a3=0.016, k0_gpa=160.63, k0_sigma_gpa=0.18,
            k0p=4.367, k0p_sigma=0.013, atoms=8, debye_k=761.0, gamma0=1.442, a=0.138, b=5.4, range_gpa=(0.0, 196.0),
            temperature_k=(5.0, 900.0), reference="Tange et al., J. Geophys. Res. 114, B03208 (2009)",
        ),
    }
)  # fmt: skip


def ruby_line_nm(temperature_k: float) -> float:
    """Wavelength (nm) of R1 without pressure at `temperature_k`, 694.25 at 298 K. Flat below 50 K. Raises
    GaugeError."""
    low, high = RUBY_TEMPERATURE_K
    if not low <= temperature_k <= high:
        raise GaugeError(
            f"ruby at {temperature_k:g} K is outside {low:g} to {high:g} K, where its line was followed (Ragan 1992)"
        )

    def wavenumber(kelvin: float) -> float:
        return float(np.polynomial.polynomial.polyval(max(kelvin, 50.0), _RAGAN))

    return RUBY_REFERENCE_NM * wavenumber(_RUBY_REFERENCE_K) / wavenumber(temperature_k)


def ruby_pressure_gpa(
    wavelength_nm: Measured,
    temperature_k: Measured,
    *,
    scale: str = "ruby, Ruby2020",
    unloaded_nm: float | None = None,
) -> Measured:
    """Pressure (GPa, on `scale`) of a ruby whose R1 stands at `wavelength_nm`, and one sigma.

    `unloaded_nm` is this spectrometer's R1 of an unloaded ruby at 298 K; 694.25 where None. The line moves with
    temperature (Ragan 1992) and with pressure; the two are taken as independent. Sigma: of the wavelength, of the
    temperature, and of the calibration where it prints one. Raises GaugeError for
    readings that no ruby gives, ScaleError for a scale that isn't ruby's or a pressure outside it.
    """
    if scale not in SCALES or SCALES[scale].gauge != "ruby":
        known = ", ".join(name for name, row in SCALES.items() if row.gauge == "ruby")
        raise ScaleError(f"{scale!r} is no ruby scale; there are {known}")
    row = SCALES[scale]
    _sigmas(wavelength_nm, temperature_k)
    reference = RUBY_REFERENCE_NM if unloaded_nm is None else unloaded_nm
    if not (600.0 < wavelength_nm.value < 1000.0 and 600.0 < reference < 800.0):
        raise GaugeError(
            f"R1 at {wavelength_nm.value:g} nm, unloaded {reference:g} nm: it must lie in 600 to 1000 nm, unloaded in "
            "600 to 800; ruby shines at 690 to 800 (Shen et al., High Press. Res. 40, 299, 2020)"
        )

    def ratio(nm: float, kelvin: float) -> FloatArray:
        return np.asarray(nm / (reference / RUBY_REFERENCE_NM * ruby_line_nm(kelvin)))

    x = ratio(wavelength_nm.value, temperature_k.value)
    pressure = float(row.pressure_gpa(x))
    low, high = row.range_gpa
    if not low - 1.0 <= pressure <= high:
        raise ScaleError(
            f"{pressure:g} GPa is outside {low:g} to {high:g} GPa, which the scale {scale} was calibrated over "
            f"({row.reference})"
        )
    step = 1e-3
    by_line = (float(row.pressure_gpa(x * (1.0 + step / reference))) - pressure) / step
    inside = min(temperature_k.value + 1.0, RUBY_TEMPERATURE_K[1])
    by_heat = (float(row.pressure_gpa(ratio(wavelength_nm.value, inside))) - float(
        row.pressure_gpa(ratio(wavelength_nm.value, inside - 1.0))
    ))  # fmt: skip
    own = row.sigma_gpa(x)
    sigma = np.sqrt(
        (by_line * wavelength_nm.sigma) ** 2
        + (by_heat * temperature_k.sigma) ** 2
        + (0.0 if own is None else float(own)) ** 2
    )
    return Measured(pressure, float(sigma))


def marker_pressure_gpa(marker: str, a_angstrom: Measured, temperature_k: float = _REFERENCE_K) -> Measured:
    """Pressure (GPa, on the marker's scale) of gold or MgO with a cubic cell of this edge, and one sigma.

    Sigma: of the cell and of the calibration (V0, K0, K0' taken as independent: an upper bound, they are
    anticorrelated). Raises GaugeError for an unknown marker, an impossible cell, or a temperature or pressure outside
    the source's.
    """
    row = _marker(marker)
    _sigmas(a_angstrom)
    low, high = row.temperature_k
    if not low <= temperature_k <= high:
        raise GaugeError(f"{marker} at {temperature_k:g} K is outside {low:g} to {high:g} K ({row.reference})")
    edge = row.v0_a3 ** (1.0 / 3.0)
    if not 0.75 * edge < a_angstrom.value < 1.05 * edge:
        raise GaugeError(
            f"{marker}: a cell of {a_angstrom.value:g} A is outside 0.75 to 1.05 of {edge:.4f} A, its unloaded one "
            f"({row.reference})"
        )

    def at(a: float, v0: float, k0: float, k0p: float) -> float:
        x = a / v0 ** (1.0 / 3.0)
        cold = 3.0 * k0 * (1.0 - x) / x**2 * np.exp(1.5 * (k0p - 1.0) * (1.0 - x))
        return float(cold + _heat_gpa(row, a**3, temperature_k))

    best = (a_angstrom.value, row.v0_a3, row.k0_gpa, row.k0p)
    pressure = at(*best)
    if not row.range_gpa[0] - 2.0 <= pressure <= row.range_gpa[1]:
        raise GaugeError(
            f"{marker}: {pressure:g} GPa is outside {row.range_gpa[0]:g} to {row.range_gpa[1]:g} GPa ({row.reference})"
        )
    sigmas = (a_angstrom.sigma, row.v0_sigma_a3, row.k0_sigma_gpa, row.k0p_sigma)
    moves = [
        at(*(value + (1e-6 * value if other == place else 0.0) for other, value in enumerate(best))) - pressure
        for place in range(len(best))
    ]
    parts = [move / (1e-6 * value) * sigma for move, value, sigma in zip(moves, best, sigmas, strict=True)]
    return Measured(pressure, float(np.linalg.norm(parts)))


def _sigmas(*readings: Measured) -> None:
    for reading in readings:
        within("sigma of a reading", reading.sigma, 0.0, np.inf, "a standard deviation", error=GaugeError)


def _marker(name: str) -> Marker:
    if name not in MARKERS:
        raise GaugeError(f"there is no marker {name!r}; there are {', '.join(MARKERS)}")
    return MARKERS[name]


def _heat_gpa(row: Marker, volume_a3: float, temperature_k: float) -> float:
    relative = volume_a3 / row.v0_a3
    gamma = row.gamma0 * (1.0 + row.a * (relative**row.b - 1.0))
    theta = row.debye_k * relative ** (-(1.0 - row.a) * row.gamma0) * np.exp((row.gamma0 - gamma) / row.b)

    def energy(kelvin: float) -> float:
        return float(3.0 * row.atoms * _BOLTZMANN_GPA_A3 * kelvin * debye3(np.asarray(theta / kelvin)))

    return float(gamma / volume_a3 * (energy(temperature_k) - energy(_REFERENCE_K)))
