"""What each channel can see of F centres: from which concentration to which, and why it is blind beside that.

A window is where a channel's signal stands above three sigma of its noise and below what it can still tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.crystals import eos
from rocksalt.crystals.colour_centres import ColourCentreError, bands, smakula_per_cm2, swelling
from rocksalt.crystals.defect_growth import typical_growth
from rocksalt.crystals.limits import within
from rocksalt.crystals.luminescence import SATURATION_GY
from rocksalt.crystals.tables import PHASES

_SIGMAS: Final = 3.0
_REFERENCE_K: Final = 300.0
# Line widths: point defects make none; loops and clusters do beyond some 1e19 per cm^3 (1e8 Gy), and microstrain ends
# near 1e-3 whatever comes: orders of magnitude, from memory of the literature, as in colour_centres.microstrain.
_LOOPS_PER_CM3: Final = 1e19
# Beyond a hundredth of the anion sites centres are neighbours, and neither swelling nor Smakula's equation means them.
CROWDED_SHARE: Final = 0.01
# A silicon camera behind a microscope of glass sees from 1.1 to 3.5 eV: usual, from memory.
_CAMERA_EV: Final = (1.1, 3.5)
_SHOWN_BY_GY: Final = 1.0  # the lowest dose of the linear law of LiF's light: 6 MV X-rays, SIF 2016 talk 460


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What the station reaches; the defaults are a good laboratory's.

    cell_share          one sigma of a fitted cell's edge, relative: 1 to 2e-5 (real NaCl: 5.64140(7))
    temperature_sigma_k how well the temperature is known: heat makes the cell grow too
    od_noise, od_top    one sigma of an optical density, and the highest that stray light lets through
    camera_noise        one sigma of a micrograph's grey value over full scale; camera_top: the highest optical density
    """

    cell_share: float = 1.5e-5
    temperature_sigma_k: float = 0.1
    od_noise: float = 0.002
    od_top: float = 2.5
    camera_noise: float = 0.01
    camera_top: float = 1.5

    def __post_init__(self) -> None:
        for name in ("cell_share", "od_noise", "camera_noise"):
            within(name, getattr(self, name), 0.0, 1.0, "a noise", open_low=True, error=ColourCentreError)
        for name in ("od_top", "camera_top"):
            within(name, getattr(self, name), 0.0, 8.0, "an optical density", open_low=True, error=ColourCentreError)
        within("temperature_sigma_k", self.temperature_sigma_k, 0.0, 100.0, "kelvin", error=ColourCentreError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """F centres per cm^3 that a channel sees, from `low` to `high`; both None where it is blind altogether.

    below, above   why it sees no fewer, and no more
    confirmed      False where an order of magnitude from memory sets an end of it
    """

    channel: str
    low_per_cm3: float | None
    high_per_cm3: float | None
    below: str
    above: str
    confirmed: bool


def windows(salt: str, thickness_mm: float = 1.0, station: Channel | None = None) -> tuple[Window, ...]:
    """The windows of every channel for a plate of `thickness_mm`, at room temperature, centres spread evenly.

    Diffraction by the cell (swelling against fit and temperature) and by line widths, absorption in the F band
    (Smakula), luminescence (LiF only; the concentration at a dose is `typical_growth`'s, an order of magnitude), and a
    micrograph in light of the F band. Raises UnknownPhase, and ColourCentreError for a thickness that isn't positive.
    """
    within("thickness (mm)", thickness_mm, 0.0, np.inf, "a length", open_low=True, error=ColourCentreError)
    reach = Channel() if station is None else station
    crowded = CROWDED_SHARE * anion_sites_per_cm3(salt)
    found = [_cell(salt, reach, crowded), _width(crowded), _absorption(salt, thickness_mm, reach, crowded)]
    if salt == "LiF":
        found.append(_light())
    found.append(_micrograph(salt, thickness_mm, reach, crowded))
    return tuple(found)


def anion_sites_per_cm3(salt: str) -> float:
    """Sites that an F centre can take (1/cm^3), at ambient conditions. Raises UnknownPhase."""
    row = next(row for row in PHASES.values() if row.salt == bands(salt).salt)
    return row.z / row.v0_a3 * 1e24


def expansion_per_k(salt: str) -> float:
    """Relative growth of the cell's edge (1/K) at 300 K and no pressure, of the phase's own equation of state."""
    row = next(row for row in PHASES.values() if row.salt == bands(salt).salt)
    cells = eos.cell_angstrom(row, 0.0, np.array([_REFERENCE_K - 1.0, _REFERENCE_K + 1.0]))
    return float((cells[1] - cells[0]) / 2.0 / cells.mean())


def _cell(salt: str, reach: Channel, crowded: float) -> Window:
    heat = expansion_per_k(salt) * reach.temperature_sigma_k
    least = _SIGMAS * float(np.hypot(reach.cell_share, heat))
    return Window(
        channel="diffraction: cell", low_per_cm3=least / float(swelling(salt, np.asarray(1.0))), high_per_cm3=crowded,
        below=f"the cell is known to {reach.cell_share:.1e}, its heat to {heat:.1e}",
        above="centres are neighbours: swelling is no longer one volume each", confirmed=False,
    )  # fmt: skip


def _width(crowded: float) -> Window:
    return Window(
        channel="diffraction: line width", low_per_cm3=_LOOPS_PER_CM3, high_per_cm3=crowded,
        below="point defects widen no line", above="microstrain ends near 1e-3", confirmed=False,
    )  # fmt: skip


def _absorption(salt: str, thickness_mm: float, reach: Channel, crowded: float) -> Window:
    least, most = _thin_and_dark(salt, thickness_mm, _SIGMAS * reach.od_noise, reach.od_top)
    return Window(
        channel="absorption: F band", low_per_cm3=least, high_per_cm3=min(most, crowded),
        below=f"optical density {_SIGMAS * reach.od_noise:g} is noise",
        above=f"optical density {reach.od_top:g}: only stray light comes through", confirmed=False,
    )  # fmt: skip


def _light() -> Window:
    law = typical_growth("LiF")
    low, high = law.per_cm3(np.array([_SHOWN_BY_GY, _SIGMAS * SATURATION_GY]))
    return Window(
        channel="luminescence: F2, F3+", low_per_cm3=float(low), high_per_cm3=float(high),
        below=f"below {_SHOWN_BY_GY:g} Gy", above=f"saturated beyond {_SIGMAS * SATURATION_GY:.0e} Gy", confirmed=False,
    )  # fmt: skip


def _micrograph(salt: str, thickness_mm: float, reach: Channel, crowded: float) -> Window:
    energy = bands(salt).f_ev
    if not _CAMERA_EV[0] <= energy <= _CAMERA_EV[1]:
        why = f"the F band at {energy:g} eV lies outside a camera's {_CAMERA_EV[0]:g} to {_CAMERA_EV[1]:g} eV"
        return Window(channel="micrograph", low_per_cm3=None, high_per_cm3=None, below=why, above=why, confirmed=False)
    least, most = _thin_and_dark(
        salt, thickness_mm, _SIGMAS * reach.camera_noise / float(np.log(10.0)), reach.camera_top
    )
    return Window(
        channel="micrograph", low_per_cm3=least, high_per_cm3=min(most, crowded),
        below=f"{100 * _SIGMAS * reach.camera_noise:g} % of grey is noise",
        above=f"optical density {reach.camera_top:g}: black", confirmed=False,
    )  # fmt: skip


def _thin_and_dark(salt: str, thickness_mm: float, least_od: float, most_od: float) -> tuple[float, float]:
    """Concentrations whose peaks have these optical densities through the plate."""
    per_od = smakula_per_cm2(salt).value * float(np.log(10.0)) / (thickness_mm / 10.0)
    return least_od * per_od, most_od * per_od
