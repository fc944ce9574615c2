"""Where a phase's lines stand and how strong they are: structure factors of B1 and B2, with ions that shake.

Cation at the origin, anion at (1/2 1/2 1/2): B1 F = 4 (f+ +- f-) for all even / all odd hkl; B2 F = f+ +- f- for h+k+l
even / odd. f = (f0(s) + f' + i f'') exp(-B s^2) with s = sin(theta) / lambda.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.crystals.debye import debye1
from rocksalt.crystals.eos import debye_temperature_k
from rocksalt.crystals.limits import CrystalError, within
from rocksalt.crystals.tables import Phase, Structure, ions
from rocksalt.values import FloatArray

_REFERENCE_K: Final = 300.0
_BACKSCATTER_DEG: Final = 180.0
# Cells outside these shares of the uncompressed edge are a mistake of unit or structure, never a crystal.
_SMALLEST: Final = 0.5
_LARGEST: Final = 1.5
_S_MAX_PER_A: Final = 2.0
gemmi_flag = threading.Lock()


class LinesError(CrystalError):
    """A cell, wavelength, angle or temperature that no powder pattern has, or not a number."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one phase at one cell and wavelength, by ascending angle. All arrays have length n.

    hkl                    (n, 3), h >= k >= l >= 0; of coinciding sets the one with the highest multiplicity stands
    labels                 "200"; "10 0 0" where an index has two digits
    multiplicity           reflections on the ring, coinciding sets added up (333 and 511: 32)
    d_angstrom, two_theta_deg   spacing and angle
    f2                     |F|^2 of the cell in electrons squared, with Debye-Waller and anomalous terms
    intensity_per_volume   multiplicity f2 / V^2 in e^2/A^6: scattering of a unit volume of powder without Lorentz and
                           polarisation, so that observed areas over this (and over the Lorentz factor) are as volumes
    """

    hkl: NDArray[np.int64]
    labels: tuple[str, ...]
    multiplicity: NDArray[np.int64]
    d_angstrom: FloatArray
    two_theta_deg: FloatArray
    f2: FloatArray
    intensity_per_volume: FloatArray


def lines(
    phase: Phase,
    a_angstrom: float,
    wavelength_angstrom: float,
    two_theta_max_deg: float,
    temperature_k: float = _REFERENCE_K,
) -> Lines:
    """Allowed lines up to `two_theta_max_deg` for a cubic cell of edge `a_angstrom`; intensities of an ideal powder.

    The form factors (four Gaussians) are good to s = 2 per angstrom, d > 0.25 A. Raises LinesError for a cell,
    wavelength or angle that no crystal can have.
    """
    edge = np.cbrt(phase.v0_a3)
    if not _SMALLEST * edge <= a_angstrom <= _LARGEST * edge:
        raise LinesError(
            f"{phase.name}: a cell of {a_angstrom:g} A is outside {_SMALLEST:g} to {_LARGEST:g} of {edge:.4g} A "
            f"({phase.reference}); give the edge of the cubic cell in angstrom"
        )
    if not 0.0 < wavelength_angstrom < np.inf:
        raise LinesError(f"{phase.name}: the wavelength is {wavelength_angstrom:g} A; it must be positive and finite "
                         "(Bragg 1913)")  # fmt: skip
    if not 0.0 < two_theta_max_deg < _BACKSCATTER_DEG:
        raise LinesError(f"{phase.name}: two_theta_max_deg is {two_theta_max_deg:g}; it must lie between 0 and 180 "
                         "(an angle of scattering)")  # fmt: skip
    s_max = np.sin(np.radians(two_theta_max_deg) / 2.0) / wavelength_angstrom
    norm_max = (2.0 * a_angstrom * s_max) ** 2
    # The next power of two above, so that a cell that creeps from frame to frame finds its list made.
    reach = 1 << max(2, int(np.ceil(np.log2(max(norm_max, 1.0)))))
    hkl, norm, multiplicity, labels = _reflections(phase.structure, reach)
    count = int(np.searchsorted(norm, norm_max, side="right"))
    hkl, norm, multiplicity = hkl[:count], norm[:count], multiplicity[:count]
    s = np.sqrt(norm) / (2.0 * a_angstrom)
    f2 = _structure_factor_squared(phase, hkl, a_angstrom, wavelength_angstrom, temperature_k)
    return Lines(
        hkl=hkl,
        labels=labels[:count],
        multiplicity=multiplicity,
        d_angstrom=np.asarray(0.5 / s),
        two_theta_deg=np.asarray(2.0 * np.degrees(np.arcsin(np.minimum(wavelength_angstrom * s, 1.0)))),
        f2=f2,
        intensity_per_volume=np.asarray(multiplicity * f2 / a_angstrom**6),
    )


def debye_waller_b_a2(phase: Phase, volume_a3: float, temperature_k: float = _REFERENCE_K) -> tuple[float, float]:
    """B (A^2) of cation and anion: the row's 300 K values carried to this volume and temperature by the Debye model.

    B is proportional to (D1(y)/y + 1/4) / theta, y = theta(V)/T (James, Optical Principles, 1948). Raises LinesError
    for a temperature that isn't above zero.
    """
    if not 0.0 < temperature_k < np.inf:
        raise LinesError(f"{phase.name}: the temperature is {temperature_k:g} K; it must be above zero and finite "
                         "(Debye 1912)")  # fmt: skip
    theta = np.append(debye_temperature_k(phase, np.asarray(volume_a3)), phase.debye_k)
    y = theta / np.array([temperature_k, _REFERENCE_K])
    shaking = (debye1(y) / y + 0.25) / theta
    ratio = float(shaking[0] / shaking[1])
    return phase.b_cation_a2 * ratio, phase.b_anion_a2 * ratio


def lorentz_polarisation_powder(two_theta_deg: FloatArray, polarisation: float | None = None) -> FloatArray:
    """Lorentz and polarisation for a Bragg-Brentano pattern, area in 2 theta: (1 + cos^2 2th) / (sin^2 th cos th).

    `polarisation` is (I_s - I_p) / (I_s + I_p) of the beam, s across the plane of diffraction: None or 0 a bare tube,
    (1 - c) / (1 + c) with c = cos^2 2th_m behind a monochromator in that plane, 1 a synchrotron with a vertical circle.
    The factor then is (1 + p) + (1 - p) cos^2 2th. Any shape. Raises LinesError for a polarisation beyond 1 and for
    angles outside 0 to 180, both excluded.
    """
    share = 0.0 if polarisation is None else polarisation
    if not -1.0 <= share <= 1.0:
        raise LinesError(f"polarisation is {share:g}; it must lie between -1 and 1 (all p and all s)")
    theta = np.radians(_angles(two_theta_deg)) / 2.0
    light = (1.0 + share) + (1.0 - share) * np.cos(2.0 * theta) ** 2
    return np.asarray(light / (np.sin(theta) ** 2 * np.cos(theta)))


def lorentz_area_detector(two_theta_deg: FloatArray) -> FloatArray:
    """Lorentz factor 1 / (sin 2th sin th) for the area, in 2 theta, of a line in an azimuthal average. Any shape.

    The power in a whole Debye cone of a powder in a parallel beam, polarisation apart, is
    P = I0 r_e^2 lambda^3 (m |F|^2 / V^2) v / (4 sin th): the share of crystallites that reflect goes as cos th and the
    integrated reflectivity of each as 1 / sin 2th (Warren, X-ray Diffraction, chapter 4). pyFAI divides a pixel by its
    solid angle, so a bin holds dP/dOmega averaged over azimuth. The cone at 2 th covers
    dOmega = 2 pi sin 2th d(2th), so the area of the line over 2 theta (radians) is P / (2 pi sin 2th), which goes as
    1 / (sin th sin 2th). The polarisation is taken out before, by pyFAI; without solid-angle correction another
    cos^3 2th remains on a flat detector across the beam. Over q instead of 2 theta (dq = 2 pi / lambda cos th d 2th)
    the area has one cos th more: 1 / (2 sin^2 th). Raises LinesError for angles outside 0 to 180, both excluded.
    """
    two_theta = np.radians(_angles(two_theta_deg))
    return np.asarray(1.0 / (np.sin(two_theta) * np.sin(two_theta / 2.0)))


def _angles(two_theta_deg: FloatArray) -> FloatArray:
    """Scattering angles strictly between 0 and 180 degrees, where Lorentz's factor is finite."""
    angles = np.asarray(two_theta_deg, dtype=np.float64)
    inside = (angles > 0.0) & (angles < _BACKSCATTER_DEG)
    if not inside.all():
        raise LinesError(f"2 theta is {angles[~inside].ravel()[0]:g} degrees; it must lie between 0 and 180 (where "
                         "Lorentz's factor is finite)")  # fmt: skip
    return angles


def _structure_factor_squared(
    phase: Phase, hkl: NDArray[np.int64], a: float, wavelength: float, temperature_k: float
) -> FloatArray:
    cation, anion = _form_factors(phase.salt, wavelength)
    shaking = debye_waller_b_a2(phase, a**3, temperature_k)
    s2 = (hkl**2).sum(axis=1) / (4.0 * a * a)
    plus, minus = (ion(s2) * np.exp(-b * s2) for ion, b in zip((cation, anion), shaking, strict=True))
    # All indices of a B1 line have one parity, so h alone would do there; their sum has it too.
    sign = np.where(hkl.sum(axis=1) % 2 == 0, 1.0, -1.0)
    return np.asarray(np.abs(phase.z * (plus + sign * minus)) ** 2)


def ionic_form_factors(
    salt: str, s2: FloatArray, wavelength_angstrom: float
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """f0 + f' + i f'' of cation and anion at s^2 = (sin theta / lambda)^2 (n,), ions at rest.

    Raises UnknownPhase, and LinesError for a wavelength that isn't positive or s beyond the tables' 2 per angstrom.
    """
    if not 0.0 < wavelength_angstrom < np.inf:
        raise LinesError(f"{salt}: the wavelength is {wavelength_angstrom:g} A; it must be positive (Bragg 1913)")
    within("s^2 (1/A^2)", s2, 0.0, _S_MAX_PER_A**2, "International Tables C 6.1.1.4: s to 2 per A", error=LinesError)
    cation, anion = _form_factors(salt, wavelength_angstrom)
    return cation(s2), anion(s2)


@dataclass(frozen=True, slots=True)
class _FormFactor:
    """f0 + f' + i f'' of one ion at one wavelength: four Gaussians in s^2 and a constant, and the anomalous term."""

    heights: FloatArray
    widths: FloatArray
    constant: complex

    def __call__(self, s2: FloatArray) -> NDArray[np.complex128]:
        return np.asarray(np.exp(-np.multiply.outer(s2, self.widths)) @ self.heights + self.constant)


@lru_cache(maxsize=64)
def _form_factors(salt: str, wavelength: float) -> tuple[_FormFactor, _FormFactor]:
    """Ionic f0 of International Tables C 6.1.1.4 (1992), f' and f'' by Cromer and Liberman, as gemmi holds them."""
    import gemmi

    def ion(symbol: str, charge: int) -> _FormFactor:
        element = gemmi.Element(symbol)
        with gemmi_flag:  # the flag is the whole process's: put back as found
            before = gemmi.IT92_get_ignore_charge()
            gemmi.IT92_set_ignore_charge(False)
            try:
                found = gemmi.IT92_get_exact(element, charge)
            finally:
                gemmi.IT92_set_ignore_charge(before)
        if found is None:
            raise LinesError(
                f"{salt}: the International Tables have no form factor of {symbol} with charge {charge:+d}"
            )
        numbers = np.asarray(found.get_coefs(), dtype=np.float64)
        real, imaginary = gemmi.cromer_liberman(element.atomic_number, gemmi.hc / wavelength)
        return _FormFactor(numbers[:4], numbers[4:8], complex(numbers[8] + real, imaginary))

    cation, anion = ions(salt)
    return ion(cation, 1), ion(anion, -1)


@lru_cache(maxsize=32)
def _reflections(
    structure: Structure, reach: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
    """hkl, h^2 + k^2 + l^2 (ascending, up to `reach`), multiplicity and label of every line that isn't extinct."""
    top = int(np.sqrt(reach))
    h, k, m = (axis.ravel() for axis in np.indices((top + 1,) * 3))
    keep = (h >= k) & (k >= m) & (h > 0) & (h * h + k * k + m * m <= reach)
    if structure == "B1":
        keep &= (h % 2 == k % 2) & (k % 2 == m % 2)
    hkl = np.stack([h, k, m], axis=1)[keep].astype(np.int64)
    distinct = 1 + (hkl[:, 0] != hkl[:, 1]).astype(np.int64) + (hkl[:, 1] != hkl[:, 2])
    orders = np.array([0, 1, 3, 6])[distinct]
    count = orders * 2 ** (hkl > 0).sum(axis=1)
    norm = (hkl**2).sum(axis=1)
    # By norm, then the richest set first, then the largest h: the first of each norm names the line.
    order = np.lexsort((-hkl[:, 0], -count, norm))
    hkl, count, norm = hkl[order], count[order], norm[order]
    unique, first = np.unique(norm, return_index=True)
    total = np.add.reduceat(count, first)
    hkl = hkl[first]
    labels = tuple(("" if max(row) < len("0123456789") else " ").join(map(str, row)) for row in hkl.tolist())
    for array in (hkl, unique, total):
        array.setflags(write=False)
    return hkl, unique, total, labels
