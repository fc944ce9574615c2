"""What this twin hides: how its sample, cell, beam and detector differ from the tables and files that the model reads.

All is drawn from the twin seed at the beginning, each number from a stream of its own, and told in the truth file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from rocksalt.time import Chance
from rocksalt.twin.tiers import Range, Tier

TRANSITION_GPA: Final[Range] = (1.3, 2.6)
"""The drawn P50 is uniform over this range. KBr's own is 1.75-1.8 (Pistorius 1965): a model that only remembers the
literature must not pass."""

BLOW_OUT_BAR: Final[Range] = (15.0, 80.0)


@dataclass(frozen=True, slots=True)
class Departures:
    """One draw. GPa at the sample, angstrom, metre, radian, pixels, as the names say.

    eos_b1_gpa, eos_b2_gpa   by how much the true pressure of the volume that the table calls 2 GPa is higher
    k0p_b1, k0p_b2           shift of K0', anticorrelated with K0 through the condition above
    blow_out_bar             gas pressure at which the gasket gives way; None where it never does
    p50_gpa                  what a slow ramp (0.1 GPa/min) crosses half B2 at; None where the salt never transforms
    fibre                    March-Dollase parameter of a (100) fibre along the load axis; in_plane its lopsidedness
    line_intensity           half-width of the factors on each line's intensity, which have streams of their own
    """

    p50_gpa: float | None
    gain_relative: float
    stiffening: float
    offset_gpa: float
    friction_gpa: float
    grip: float
    stick_slip_gpa: float
    creep_share: float
    creep_s: float
    collapse_gpa: float
    supply_bar: float
    blow_out_bar: float | None
    leak_bar_per_min: float
    gradient_gpa: float
    gradient_skew: float
    barrier_gpa: float
    p0_gpa: float
    tau0_s: float
    avrami: float
    dead_band_gpa: float
    deviatoric_gpa: float
    eos_b1_gpa: float
    eos_b2_gpa: float
    k0p_b1: float
    k0p_b2: float
    grains_per_deg: float
    grain_sigma_ln: float
    mosaic_deg: float
    fibre_b1: float
    fibre_b2: float
    in_plane: float
    in_plane_axis_rad: float
    line_intensity: float
    flux_relative: float
    wavelength_relative: float
    distance_relative: float
    centre_row_px: float
    centre_column_px: float
    tilt1_rad: float
    tilt2_rad: float
    debye_waller_a2: float
    width_deg: float
    tail: float
    asymmetry: float
    crystallite_a: float
    microstrain: float
    gain_pixel: float
    contrast: float
    background_per_s: float
    compton_centre_deg: float
    air: float
    gasket: float
    gasket_grains_per_deg: float
    gasket_strain: float
    diamond_spots: int
    beam_ripple: float
    beam_ripple_s: float
    ambient_k: float
    dead_pixels: int
    hot_unmasked: int

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, for the truth file."""
        return asdict(self)


def draw(tier: Tier, chance: Chance, transition: str) -> Departures:
    """The departures of this seed in this tier; transition is "draw" or "none"."""

    def stream(name: str) -> np.random.Generator:
        # One stream a name, so that a departure that is added later leaves the others where they were.
        return chance.stream(f"departure.{name}")

    def uniform(name: str, span: Range) -> float:
        return float(stream(name).uniform(*span))

    def normal(name: str, sigma: float) -> float:
        return float(np.clip(stream(name).standard_normal(), -2.0, 2.0)) * sigma

    def whole(name: str, span: tuple[int, int]) -> int:
        return int(stream(name).integers(span[0], span[1] + 1))

    # The two equations of state come from the same laboratory and marker: half of the error is common.
    common = normal("eos", tier.eos_sigma_gpa)
    own_b1, own_b2 = normal("eos.b1", tier.eos_sigma_gpa), normal("eos.b2", tier.eos_sigma_gpa)
    limit = tier.eos_limit_gpa
    return Departures(
        p50_gpa=uniform("p50", TRANSITION_GPA) if transition == "draw" else None,
        gain_relative=uniform("gain", tier.gain_relative),
        stiffening=uniform("stiffening", (0.0, 0.15)),
        offset_gpa=uniform("offset", tier.offset_gpa),
        friction_gpa=uniform("friction", tier.friction_gpa),
        grip=uniform("grip", (0.05, 0.15)),
        stick_slip_gpa=tier.stick_slip_gpa,
        creep_share=uniform("creep_share", tier.creep_share),
        creep_s=uniform("creep", tier.creep_s),
        collapse_gpa=uniform("collapse", tier.collapse_gpa),
        supply_bar=uniform("supply", tier.supply_bar),
        blow_out_bar=uniform("blow_out.at", BLOW_OUT_BAR) if uniform("blow_out", (0.0, 1.0)) < tier.blow_out else None,
        leak_bar_per_min=uniform("leak", (0.002, 0.02)),
        gradient_gpa=uniform("gradient", tier.gradient_gpa),
        gradient_skew=uniform("gradient_skew", (-0.5, 0.5)),
        barrier_gpa=uniform("barrier", tier.barrier_gpa),
        p0_gpa=uniform("p0", tier.p0_gpa),
        tau0_s=uniform("tau0", tier.tau0_s),
        avrami=uniform("avrami", (1.5, 2.5)),
        dead_band_gpa=uniform("dead_band", tier.dead_band_gpa),
        deviatoric_gpa=uniform("deviatoric", tier.deviatoric_gpa),
        eos_b1_gpa=float(np.clip(0.5**0.5 * (common + own_b1), -limit, limit)),
        eos_b2_gpa=float(np.clip(0.5**0.5 * (common + own_b2), -limit, limit)),
        k0p_b1=normal("k0p.b1", 0.12),
        k0p_b2=normal("k0p.b2", 0.08),
        grains_per_deg=uniform("grains", tier.grains_per_deg),
        grain_sigma_ln=uniform("grain_sigma", tier.grain_sigma_ln),
        mosaic_deg=uniform("mosaic", tier.mosaic_deg),
        fibre_b1=uniform("fibre.b1", tier.fibre),
        fibre_b2=uniform("fibre.b2", tier.fibre),
        in_plane=uniform("in_plane", tier.in_plane),
        in_plane_axis_rad=uniform("in_plane_axis", (0.0, float(np.pi))),
        line_intensity=tier.line_intensity,
        flux_relative=uniform("flux", tier.flux_relative),
        wavelength_relative=normal("wavelength", tier.wavelength_relative),
        distance_relative=normal("distance", tier.distance_relative),
        centre_row_px=normal("centre.row", tier.centre_px),
        centre_column_px=normal("centre.column", tier.centre_px),
        tilt1_rad=normal("tilt.1", tier.tilt_rad),
        tilt2_rad=normal("tilt.2", tier.tilt_rad),
        debye_waller_a2=normal("debye_waller", tier.debye_waller_a2),
        width_deg=uniform("width", tier.width_deg),
        tail=uniform("tail", tier.tail),
        asymmetry=uniform("asymmetry", tier.asymmetry),
        crystallite_a=uniform("crystallite", (700.0, 2500.0)),
        microstrain=uniform("microstrain", (1e-4, 6e-4)),
        gain_pixel=tier.gain_pixel,
        contrast=uniform("contrast", tier.contrast),
        background_per_s=uniform("background", tier.background_per_s),
        compton_centre_deg=uniform("compton_centre", (12.0, 15.0)),
        air=uniform("air", (0.5, 1.5)),
        gasket=uniform("gasket", tier.gasket),
        gasket_grains_per_deg=uniform("gasket_grains", tier.gasket_grains_per_deg),
        gasket_strain=uniform("gasket_strain", (0.0, 4e-3)),
        diamond_spots=whole("diamond_spots", tier.diamond_spots),
        beam_ripple=uniform("beam_ripple", tier.beam_ripple),
        beam_ripple_s=uniform("beam_ripple_period", (20.0, 120.0)),
        ambient_k=298.0 + normal("ambient", 0.7),
        dead_pixels=whole("dead_pixels", tier.dead_pixels),
        hot_unmasked=whole("hot_unmasked", tier.hot_unmasked),
    )
