"""Dose against depth: it adds up to what is absorbed, and each channel sees its own part of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.crystals import absorption, dose_profile
from rocksalt.crystals.dose_profile import DoseError, Spectrum, monochromatic
from rocksalt.crystals.tables import SALTS, UnknownPhase


@given(salt=st.sampled_from(SALTS), kev=st.floats(8.0, 60.0), thickness=st.floats(1e-6, 2e-3))
def test_the_mean_over_a_plate_is_the_mean_dose_rate(salt: str, kev: float, thickness: float) -> None:
    depth = dose_profile.depth_grid(thickness)
    profile = dose_profile.dose_rate_profile_gy_per_s(salt, monochromatic(kev, 1e9), 1e-6, depth)
    mean = dose_profile.seen(profile, dose_profile.absorption_weight(depth), depth)
    plate = absorption.dose_rate_gy_per_s(salt, 1e9, kev, beam_size_m=(1e-3, 1e-3), thickness_m=thickness)
    assert mean == pytest.approx(plate, rel=1e-3)
    assert np.all(np.diff(profile) <= 0.0)


@pytest.mark.parametrize(("salt", "gy_per_s"), [("LiF", 0.14), ("NaCl", 1.0), ("KCl", 1.6), ("KBr", 1.4), ("CsI", 3.9)])
def test_the_surface_of_a_crystal_in_a_laboratory_beam(salt: str, gy_per_s: float) -> None:
    rate = dose_profile.dose_rate_profile_gy_per_s(salt, monochromatic(8.0478, 1e8), 1e-6, np.asarray(0.0))
    assert float(rate) == pytest.approx(gy_per_s, rel=0.2)


def test_energy_is_kept_at_any_angle() -> None:
    """Absorbed power over the illuminated column, whatever the angle: all of the beam in a thick crystal."""
    beam = monochromatic(8.0478, 1e9)
    density = absorption.density_kg_per_m3(dose_profile.PHASES["KBr", "B1"])
    depth = dose_profile.depth_grid(2e-3, 20001)
    for angle in (5.0, 30.0, 90.0):
        profile = dose_profile.dose_rate_profile_gy_per_s("KBr", beam, 1e-6, depth, incidence_deg=angle)
        footprint = 1e-6 / np.sin(np.radians(angle))
        power = float(np.trapezoid(profile, depth)) * density * footprint
        assert power == pytest.approx(1e9 * 8.0478 * 1.602176634e-16, rel=1e-3)


def test_a_tubes_soft_part_goes_into_the_surface_and_a_filter_takes_it_out() -> None:
    bare = dose_profile.tube_spectrum("Cu", 40.0, 1e9)
    filtered = dose_profile.tube_spectrum("Cu", 40.0, 1e9, filters=(("Ni", 20.0), ("Al", 100.0)))
    for beam in (bare, filtered):
        assert beam.photons_per_s.sum() == pytest.approx(1e9)
    depth = np.array([0.0, 100e-6])
    steep, flat = (dose_profile.dose_rate_profile_gy_per_s("NaCl", beam, 1e-6, depth) for beam in (bare, filtered))
    assert steep[0] / steep[1] > 1.5 * flat[0] / flat[1]
    k_beta = np.argmin(np.abs(bare.energy_kev - 8.9053))
    k_alpha = np.argmin(np.abs(bare.energy_kev - 8.0478))
    before = bare.photons_per_s[k_beta] / bare.photons_per_s[k_alpha]
    nickel = dose_profile.tube_spectrum("Cu", 40.0, 1e9, filters=(("Ni", 20.0),))
    assert nickel.photons_per_s[k_beta] / nickel.photons_per_s[k_alpha] < 0.1 * before


def test_diamonds_pass_what_the_notes_say() -> None:
    for kev, share in ((17.4793, 0.45), (22.1629, 0.59), (37.0, 0.74)):
        # Photo-absorption alone passes more than what the notes count, which have scattering too.
        assert share < float(dose_profile.transmission("C", 4000.0, np.array([kev]))[0]) < 1.0
    assert float(dose_profile.transmission("C", 4000.0, np.array([8.0478]))[0]) == pytest.approx(0.0018, abs=0.003)


def test_each_channel_averages_over_its_own_depth() -> None:
    depth = dose_profile.depth_grid(500e-6)
    profile = dose_profile.dose_rate_profile_gy_per_s("KBr", monochromatic(8.0478, 1e9), 1e-6, depth)
    reflection = dose_profile.diffraction_weight("KBr", 8.0478, depth, theta_deg=13.5)
    seen = {
        "diffraction": dose_profile.seen(profile, reflection, depth),
        "absorption": dose_profile.seen(profile, dose_profile.absorption_weight(depth), depth),
        "surface": dose_profile.seen(profile, dose_profile.micrograph_weight(depth, 0.0, 5e-6), depth),
        "deep": dose_profile.seen(profile, dose_profile.micrograph_weight(depth, 200e-6, 5e-6), depth),
    }
    assert profile[0] > seen["surface"] > seen["diffraction"] > seen["absorption"] > seen["deep"]
    # weight exp(-2 mu z / sin theta) on exp(-mu z)
    expected = profile[0] * 2.0 / (2.0 + np.sin(np.radians(13.5)))
    assert seen["diffraction"] == pytest.approx(expected, rel=1e-3)
    through = dose_profile.diffraction_weight("KBr", 37.0, depth, theta_deg=3.0, thickness_m=500e-6)
    assert np.ptp(through) / through[0] < 0.02


def test_what_makes_no_sense_is_refused() -> None:
    beam = monochromatic(8.0, 1e9)
    nan = float("nan")
    for ask in (
        lambda: monochromatic(0.0, 1.0),
        lambda: monochromatic(8.0, -1.0),
        lambda: monochromatic(nan, 1.0),
        lambda: Spectrum(np.array([8.0, 9.0]), np.array([1.0])),
        lambda: dose_profile.tube_spectrum("W", 60.0, 1e9),
        lambda: dose_profile.tube_spectrum("Mo", 15.0, 1e9),
        lambda: dose_profile.tube_spectrum("Mo", 50.0, 1e9, characteristic_share=2.0),
        lambda: dose_profile.transmission("Pb", 10.0, np.array([8.0])),
        lambda: dose_profile.transmission("Al", -1.0, np.array([8.0])),
        lambda: dose_profile.depth_grid(0.0),
        lambda: dose_profile.dose_rate_profile_gy_per_s("KBr", beam, 0.0, np.asarray(0.0)),
        lambda: dose_profile.dose_rate_profile_gy_per_s("KBr", beam, 1.0, np.asarray(-1.0)),
        lambda: dose_profile.dose_rate_profile_gy_per_s("KBr", beam, 1.0, np.asarray(nan)),
        lambda: dose_profile.dose_rate_profile_gy_per_s("KBr", beam, 1.0, np.asarray(0.0), incidence_deg=0.0),
        lambda: dose_profile.diffraction_weight("KBr", 8.0, np.asarray(0.0), theta_deg=50.0, thickness_m=1e-3),
        lambda: dose_profile.micrograph_weight(np.asarray(0.0), 0.0, 0.0),
        lambda: dose_profile.seen(np.ones(3), np.zeros(3), np.arange(3.0)),
        lambda: dose_profile.seen(np.ones(3), np.ones(3), np.array([0.0, 2.0, 1.0])),
    ):
        with pytest.raises(DoseError):
            ask()
    with pytest.raises(UnknownPhase, match="no NaI"):
        dose_profile.dose_rate_profile_gy_per_s("NaI", beam, 1.0, np.asarray(0.0))
