"""What a tube sends out, and the dose it leaves in each layer of a crystal: absolute numbers, in the twin's own code.

The model knows Kramers' law with a guessed share of lines, and photo-absorption; the twin has self-absorption in the
anode, a window, and Compton scattering, which carries most of the dose in LiF above 40 keV.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from rocksalt.crystals.absorption import density_kg_per_m3, element_mass_absorption_m2_per_kg
from rocksalt.crystals.tables import PHASES, ions
from rocksalt.values import FloatArray

# Photons of all directions that an electron gives, per keV: 2.2e-6 Z (E0/E - 1), which is an efficiency of 1.1e-9 Z V
# (Kramers 1923; the constant as textbooks print it, from memory: unconfirmed).
_KRAMERS_PER_KEV: Final = 2.2e-6
# Thomson and Whiddington: E0^2 - E^2 = c rho x with c = 4e5 keV^2 cm^2/g; X-rays of E come from half that depth on
# average, and leave at 20 degrees to the anode. From memory, unconfirmed.
_WHIDDINGTON: Final = 4e5
_TAKE_OFF_SIN: Final = 0.342
# K lines: edge, (energies), (parts) in keV, and photons a steradian an electron gives at U - 1 = 1, growing with its
# power 1.63 (Green and Cosslett 1968, orders of magnitude from memory, unconfirmed). W's L lines with their own edge.
_LINES: Final = {
    "Cu": ((8.979, (8.048, 8.028, 8.905), (0.58, 0.30, 0.12), 5e-5),),
    "Mo": ((20.000, (17.479, 17.374, 19.608), (0.57, 0.30, 0.13), 4e-5),),
    "Ag": ((25.514, (22.163, 21.990, 24.942), (0.56, 0.30, 0.14), 3.3e-5),),
    "W": (
        (69.525, (59.318, 57.982, 67.244), (0.53, 0.30, 0.17), 1.2e-4),
        (10.207, (8.398, 9.672, 11.286), (0.50, 0.40, 0.10), 2.0e-5),
    ),
}
ANODES: Final = tuple(_LINES)
_NUMBER: Final = {"Cu": 29, "Mo": 42, "Ag": 47, "W": 74}
_KG_PER_M3: Final = {"Be": 1848.0, "C": 3515.0, "Al": 2699.0, "Ti": 4506.0, "Ni": 8908.0, "Cu": 8960.0, "Zr": 6520.0,
                     "Mo": 10280.0, "Sn": 7287.0}  # fmt: skip
FILTERS: Final = tuple(_KG_PER_M3)
_WINDOW: Final = ("Be", 800.0)
_ELECTRONS_PER_MA_S: Final = 1e-3 / 1.602176634e-19
_JOULE_PER_KEV: Final = 1.602176634e-16
_AVOGADRO: Final = 6.02214076e23
_ELECTRON_RADIUS_M: Final = 2.8179403205e-15
_REST_KEV: Final = 510.99895
KILOVOLT: Final = (20.0, 160.0)
_STEP_KV: Final = 2.0
# Bins of bremsstrahlung; absorption is known from 2 to 150 keV, so a tube of 160 kV loses its last and rarest photons.
_MIDDLE_KEV: Final = np.concatenate([np.arange(3.125, 30.0, 0.25), np.arange(30.25, 60.0, 0.5), np.arange(60.5, 150.0)])
_WIDTH_KEV: Final = np.concatenate([np.full(108, 0.25), np.full(60, 0.5), np.full(90, 1.0)])


def photons_per_ma_s_sr(anode: str, kilovolt: float) -> tuple[FloatArray, FloatArray]:
    """(energy in keV, photons for each mA s and steradian): bins of bremsstrahlung, then the lines, behind 0.8 mm Be.

    Raises ValueError for an anode that isn't in ANODES or a voltage below its window's use (3 keV photons).
    """
    if anode not in _LINES:
        raise ValueError(f"a tube with an anode of {anode!r}: the twin has {', '.join(ANODES)}")
    if not kilovolt > _MIDDLE_KEV[0]:
        raise ValueError(f"a tube at {kilovolt:g} kV gives no photon that leaves its window")
    brems = _KRAMERS_PER_KEV / (4.0 * np.pi) * _NUMBER[anode] * np.maximum(kilovolt / _MIDDLE_KEV - 1.0, 0.0)
    energies, photons = [_MIDDLE_KEV], [brems * _WIDTH_KEV]
    for edge, lines, parts, strength in _LINES[anode]:
        over = max(kilovolt / edge - 1.0, 0.0)
        energies.append(np.array(lines))
        photons.append(strength * over**1.63 * np.array(parts))
    energy, each = np.concatenate(energies), np.concatenate(photons)
    depth_kg_per_m2 = 10.0 * np.maximum(kilovolt**2 - energy**2, 0.0) / (2.0 * _WHIDDINGTON)
    leaves = np.exp(-_element(anode, energy) * depth_kg_per_m2 / _TAKE_OFF_SIN)
    return energy, each * _ELECTRONS_PER_MA_S * leaves * passed(*_WINDOW, energy)


def passed(element: str, thickness_um: float, energy_kev: FloatArray) -> FloatArray:
    """Share of photons that go through a foil unscattered. Raises ValueError for one that the twin doesn't have."""
    if element not in _KG_PER_M3 or not 0.0 <= thickness_um < np.inf:
        raise ValueError(f"a filter of {thickness_um:g} um of {element}: the twin has {', '.join(FILTERS)}")
    total = _element(element, energy_kev) + _scattered(element, energy_kev)[0]
    return np.asarray(np.exp(-total * _KG_PER_M3[element] * thickness_um * 1e-6))


def layer_dose_gy(salt: str, energy_kev: FloatArray, photons_per_m2: FloatArray, edges_m: FloatArray) -> FloatArray:
    """Mean dose (Gy) in each layer (edges (n + 1,) from the surface, metre) that photons (m,) or (k, m) leave in it.

    Photo-absorption and Compton recoil, absorbed where they happen; scattered photons are gone. Returns (n,), (k, n).
    """
    photo, lost, kept = np.zeros((3, len(energy_kev)))
    masses = [(symbol, _kg_per_mol(symbol)) for symbol in ions(salt)]
    for symbol, mass in masses:
        share = mass / sum(mass for _, mass in masses)
        scattered, recoil = _scattered(symbol, energy_kev)
        photo = photo + share * _element(symbol, energy_kev)
        lost, kept = lost + share * scattered, kept + share * recoil
    density = density_kg_per_m3(next(row for row in PHASES.values() if row.salt == salt))
    depth = np.exp(-np.outer((photo + lost) * density, edges_m))
    mean = (depth[:, :-1] - depth[:, 1:]) / np.outer((photo + lost) * density, np.diff(edges_m))
    return np.asarray((photons_per_m2 * energy_kev * _JOULE_PER_KEV * (photo + kept)) @ mean)


class DoseTable:
    """Dose rate in each layer for each mA, against the voltage: every 2 kV, straight between after division by kV^2."""

    def __init__(
        self, salt: str, edges_m: FloatArray, *, anode: str, filters: Sequence[tuple[str, float]], distance_m: float
    ) -> None:
        if not 0.0 < distance_m < np.inf:
            raise ValueError(f"the tube stands {distance_m:g} m from the sample; that must be positive")
        self._kv = np.arange(KILOVOLT[0] - 10.0, 1.05 * KILOVOLT[1] + _STEP_KV, _STEP_KV)
        energy, _ = photons_per_ma_s_sr(anode, float(self._kv[0]))
        behind = np.ones_like(energy)
        for element, um in filters:
            behind = behind * passed(element, um, energy)
        sent = np.array([photons_per_ma_s_sr(anode, float(kv))[1] for kv in self._kv])
        dose = layer_dose_gy(salt, energy, sent * behind / distance_m**2, edges_m)
        self._rows = dose / self._kv[:, None] ** 2

    def gy_per_ma_s(self, kilovolt: float) -> FloatArray:
        """(layers,); nothing below 10 kV."""
        place = (kilovolt - self._kv[0]) / _STEP_KV
        if place <= 0.0:
            return np.zeros(self._rows.shape[1])
        low = min(int(place), len(self._kv) - 2)
        row = self._rows[low] + (place - low) * (self._rows[low + 1] - self._rows[low])
        return np.asarray(row * kilovolt**2)


def _element(symbol: str, energy_kev: FloatArray) -> FloatArray:
    """Photo-absorption (m^2/kg)."""
    return np.array(_at_energies(symbol, tuple(energy_kev.tolist())))


@lru_cache(maxsize=64)
def _at_energies(symbol: str, energies_kev: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(element_mass_absorption_m2_per_kg(symbol, kev) for kev in energies_kev)


def _scattered(symbol: str, energy_kev: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compton (m^2/kg): photons scattered, and the share of their energy that electrons keep; Klein and Nishina 1929,
    free electrons."""
    import gemmi

    e = energy_kev / _REST_KEV
    log = np.log1p(2.0 * e)
    total = (1 + e) / e**2 * (2 * (1 + e) / (1 + 2 * e) - log / e) + log / (2 * e) - (1 + 3 * e) / (1 + 2 * e) ** 2
    scatter = (
        log / e**3
        + 2 * (1 + e) * (2 * e**2 - 2 * e - 1) / (e**2 * (1 + 2 * e) ** 2)
        + 8 * e**2 / (3 * (1 + 2 * e) ** 3)
    )
    electron = 2.0 * np.pi * _ELECTRON_RADIUS_M**2
    electrons = gemmi.Element(symbol).atomic_number / _kg_per_mol(symbol) * _AVOGADRO
    return electron * total * electrons, electron * (total - 0.5 * scatter) * electrons


def _kg_per_mol(symbol: str) -> float:
    import gemmi

    return float(gemmi.Element(symbol).weight) * 1e-3
