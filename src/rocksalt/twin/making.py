"""What a world is made of, from a seed's departures and a station's numbers: phases, law of change, dose."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isfinite
from typing import Final

from rocksalt.crystals import absorption
from rocksalt.time import Chance
from rocksalt.twin.cell.gasket import DoseRate
from rocksalt.twin.cell.piston import STIFFENING_BAR
from rocksalt.twin.departures import Departures
from rocksalt.twin.picture.geometry import Geometry, departed, rays
from rocksalt.twin.sample import transformation
from rocksalt.twin.sample.lattice import Lattice
from rocksalt.twin.sample.salt import Salt

KEV_ANGSTROM: Final = 12.398419843
_GAINS: Final = 1.8  # times the station's prior: no tier's cell gives more
_LEAST_TOP_GPA: Final = 20.0
_SLOW_GPA_PER_MIN: Final = 0.1


def phases(
    salt: Salt, hidden: Departures, chance: Chance, nominal: Geometry, gpa_per_bar: float
) -> tuple[Lattice, Lattice]:
    """B1 and B2, followed to what the membrane can give, with every line that falls on the detector; the same one
    twice where the table has one."""
    real = departed(nominal, hidden)
    top_gpa = max(_LEAST_TOP_GPA, 3.0 * salt.anchor_gpa, _GAINS * gpa_per_bar * STIFFENING_BAR)
    made = [
        Lattice(
            salt.name, structure, hidden.sample, chance, real.wavelength_angstrom,
            anchor_gpa=salt.anchor_gpa, top_gpa=top_gpa, two_theta_max_deg=_farthest_deg(real),
        )
        for structure in salt.structures
    ]  # fmt: skip
    return made[0], made[-1]


def law(
    salt: Salt, hidden: Departures, shares: transformation.Spread, ambient_k: float, *, transforms: bool
) -> transformation.Law:
    """The law of change with which a slow ramp at room temperature (0.1 GPa/min, for KBr) crosses half B2 where it was
    drawn; one that never moves, if it is not to transform."""
    sample = hidden.sample
    never = transformation.Law(
        inf, -inf, sample.tau0_s, sample.p0_gpa, sample.avrami, sample.activation_ev, sample.slope_gpa_per_k,
        sample.closing_k,
    )  # fmt: skip
    if not transforms:
        return never
    forward = transformation.forward_for_p50(
        never, shares, salt.drawn_p50_gpa(sample.p50_place), hidden.cell.collapse_gpa,
        rate_gpa_per_min=_SLOW_GPA_PER_MIN * salt.transition, temperature_k=ambient_k, embedded_gpa=salt.embedded_gpa,
    )  # fmt: skip
    return replace(never, forward_gpa=forward, reverse_gpa=forward - sample.dead_band_gpa)


def dose_rate(
    salt: Salt, flux_ph_per_s: float, wavelength_angstrom: float, size_m: tuple[float, float], thickness_um: float
) -> DoseRate:
    """The dose rate of this beam in this salt, for any thickness."""
    energy_kev = KEV_ANGSTROM / wavelength_angstrom
    per_um = 1e-6 * absorption.linear_attenuation_per_m(salt.name, energy_kev)
    rate = absorption.dose_rate_gy_per_s(
        salt.name, flux_ph_per_s, energy_kev, beam_size_m=size_m, thickness_m=1e-6 * thickness_um
    )
    return DoseRate(rate / DoseRate(1.0, per_um).gy_per_s(thickness_um, 1.0), per_um)


def check_beam(flux_ph_per_s: float, size_m: tuple[float, float], polarisation: float) -> None:
    """Raises ValueError for a beam that nobody has, naming the key of [beam] and what is allowed."""
    if not (isfinite(flux_ph_per_s) and flux_ph_per_s >= 0.0):
        raise ValueError(f"[beam] flux_ph_per_s = {flux_ph_per_s}: a finite number, not below 0, is needed")
    if not all(isfinite(width) and width > 0.0 for width in size_m):
        raise ValueError(f"[beam] size of {size_m[0]} by {size_m[1]} m: two finite numbers above 0 are needed")
    if not -1.0 <= polarisation <= 1.0:
        raise ValueError(f"[beam] polarisation = {polarisation}: -1 to 1 is allowed")


def _farthest_deg(geometry: Geometry) -> float:
    """The largest scattering angle on the detector: it stands at one of the four corners."""
    rows, columns = geometry.shape
    corners = [(row, column) for row in (0, rows - 1) for column in (0, columns - 1)]
    seen = (
        replace(
            geometry, shape=(1, 1), poni1_m=geometry.poni1_m - row * geometry.pixel_m,
            poni2_m=geometry.poni2_m - column * geometry.pixel_m,
        )
        for row, column in corners
    )  # fmt: skip
    return max(float(rays(corner).two_theta_deg[0, 0]) for corner in seen)
