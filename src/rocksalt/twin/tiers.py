"""How unkind a twin is: the ranges that its hidden departures are drawn from, one table for each tier.

`clean` is a good day at the beamline; `realistic` an ordinary one; `hostile` the one that people remember.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

TierName = Literal["clean", "realistic", "hostile"]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Tier:
    """Ranges are (lowest, highest) of a uniform draw; a `_sigma` is one standard deviation, cut off at two.

    Cell: friction and stick-slip in GPa at the sample; gain relative to the station's prior; creep as share of a step;
    collapse_gpa the pressure lost to a whole transformation; blow_out the share of gaskets that will fail.
    Sample: gradient and barrier are the spread (one sigma) of local pressure and local transition pressure, deviatoric
    the uniaxial stress t of Singh (1998), grains the number of diffracting grains a degree of ring at multiplicity 12,
    mosaic their width around the ring. Beam and detector: relative errors unless a unit is named. Scene: intensities
    relative to the background next to them.
    """

    gain_relative: Range
    offset_gpa: Range
    friction_gpa: Range
    stick_slip_gpa: float
    creep_share: Range
    creep_s: Range
    collapse_gpa: Range
    supply_bar: Range
    blow_out: float

    gradient_gpa: Range
    barrier_gpa: Range
    p0_gpa: Range
    tau0_s: Range
    dead_band_gpa: Range
    deviatoric_gpa: Range
    eos_sigma_gpa: float
    eos_limit_gpa: float
    grains_per_deg: Range
    grain_sigma_ln: Range
    mosaic_deg: Range
    fibre: Range
    in_plane: Range

    line_intensity: float
    flux_relative: Range
    wavelength_relative: float
    distance_relative: float
    centre_px: float
    tilt_rad: float
    debye_waller_a2: float
    width_deg: Range
    tail: Range
    asymmetry: Range
    gain_pixel: float

    contrast: Range
    background_per_s: Range
    gasket: Range
    gasket_grains_per_deg: Range
    diamond_spots: tuple[int, int]
    beam_ripple: Range
    dead_pixels: tuple[int, int]
    hot_unmasked: tuple[int, int]


CLEAN: Final = Tier(
    gain_relative=(0.70, 1.30),
    offset_gpa=(0.00, 0.15),
    friction_gpa=(0.010, 0.030),
    stick_slip_gpa=0.03,
    creep_share=(0.15, 0.35),
    creep_s=(20.0, 45.0),
    collapse_gpa=(0.10, 0.20),
    supply_bar=(138.0, 145.0),
    blow_out=0.0,
    gradient_gpa=(0.010, 0.040),
    barrier_gpa=(0.04, 0.07),
    p0_gpa=(0.02, 0.04),
    tau0_s=(6.0, 15.0),
    dead_band_gpa=(0.08, 0.15),
    deviatoric_gpa=(0.000, 0.015),
    eos_sigma_gpa=0.015,
    eos_limit_gpa=0.030,
    grains_per_deg=(25.0, 60.0),
    grain_sigma_ln=(0.3, 0.6),
    mosaic_deg=(0.25, 0.5),
    fibre=(0.88, 1.12),
    in_plane=(0.0, 0.10),
    line_intensity=0.15,
    flux_relative=(0.80, 1.20),
    wavelength_relative=1e-4,
    distance_relative=2e-4,
    centre_px=0.3,
    tilt_rad=5e-4,
    debye_waller_a2=0.25,
    width_deg=(0.040, 0.055),
    tail=(0.35, 0.65),
    asymmetry=(-0.06, 0.06),
    gain_pixel=0.003,
    contrast=(1.0, 1.7),
    background_per_s=(100.0, 180.0),
    gasket=(0.00, 0.06),
    gasket_grains_per_deg=(0.3, 1.5),
    diamond_spots=(3, 6),
    beam_ripple=(0.0, 0.01),
    dead_pixels=(80, 200),
    hot_unmasked=(0, 0),
)

REALISTIC: Final = Tier(
    gain_relative=(0.60, 1.40),
    offset_gpa=(-0.10, 0.30),
    friction_gpa=(0.02, 0.08),
    stick_slip_gpa=0.06,
    creep_share=(0.08, 0.25),
    creep_s=(20.0, 120.0),
    collapse_gpa=(0.10, 0.45),
    supply_bar=(110.0, 145.0),
    blow_out=0.05,
    gradient_gpa=(0.03, 0.12),
    barrier_gpa=(0.03, 0.10),
    p0_gpa=(0.04, 0.10),
    tau0_s=(25.0, 120.0),
    dead_band_gpa=(0.08, 0.25),
    deviatoric_gpa=(0.00, 0.06),
    eos_sigma_gpa=0.025,
    eos_limit_gpa=0.060,
    grains_per_deg=(5.0, 30.0),
    grain_sigma_ln=(0.5, 1.0),
    mosaic_deg=(0.2, 0.6),
    fibre=(0.65, 1.35),
    in_plane=(0.0, 0.4),
    line_intensity=0.20,
    flux_relative=(0.75, 1.25),
    wavelength_relative=2e-4,
    distance_relative=5e-4,
    centre_px=0.6,
    tilt_rad=1.5e-3,
    debye_waller_a2=0.5,
    width_deg=(0.040, 0.080),
    tail=(0.2, 0.9),
    asymmetry=(-0.15, 0.15),
    gain_pixel=0.008,
    contrast=(0.3, 1.2),
    background_per_s=(100.0, 350.0),
    gasket=(0.0, 0.4),
    gasket_grains_per_deg=(0.1, 0.8),
    diamond_spots=(4, 12),
    beam_ripple=(0.005, 0.03),
    dead_pixels=(150, 400),
    hot_unmasked=(1, 6),
)

HOSTILE: Final = Tier(
    gain_relative=(0.45, 1.70),
    offset_gpa=(-0.20, 0.50),
    friction_gpa=(0.05, 0.20),
    stick_slip_gpa=0.15,
    creep_share=(0.1, 0.4),
    creep_s=(30.0, 300.0),
    collapse_gpa=(0.10, 0.60),
    supply_bar=(80.0, 145.0),
    blow_out=0.3,
    gradient_gpa=(0.05, 0.25),
    barrier_gpa=(0.05, 0.20),
    p0_gpa=(0.05, 0.20),
    tau0_s=(30.0, 400.0),
    dead_band_gpa=(0.10, 0.40),
    deviatoric_gpa=(0.02, 0.15),
    eos_sigma_gpa=0.04,
    eos_limit_gpa=0.10,
    grains_per_deg=(0.5, 6.0),
    grain_sigma_ln=(0.7, 1.3),
    mosaic_deg=(0.15, 0.8),
    fibre=(0.4, 1.6),
    in_plane=(0.2, 0.8),
    line_intensity=0.30,
    flux_relative=(0.60, 1.40),
    wavelength_relative=5e-4,
    distance_relative=1.5e-3,
    centre_px=1.5,
    tilt_rad=4e-3,
    debye_waller_a2=1.0,
    width_deg=(0.040, 0.14),
    tail=(0.0, 1.2),
    asymmetry=(-0.3, 0.3),
    gain_pixel=0.02,
    contrast=(0.05, 0.4),
    background_per_s=(100.0, 400.0),
    gasket=(0.2, 1.5),
    gasket_grains_per_deg=(0.05, 0.5),
    diamond_spots=(8, 25),
    beam_ripple=(0.01, 0.15),
    dead_pixels=(300, 1500),
    hot_unmasked=(5, 40),
)

TIERS: Final[dict[str, Tier]] = {"clean": CLEAN, "realistic": REALISTIC, "hostile": HOSTILE}


def tier(name: str) -> Tier:
    """The tier of this name. Raises ValueError naming the three."""
    if name not in TIERS:
        raise ValueError(f"[twin] tier = {name!r}: there is no such tier; take one of {', '.join(TIERS)}")
    return TIERS[name]
