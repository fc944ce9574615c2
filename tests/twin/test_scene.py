"""What isn't the sample, and how bright the sample is beside it: photons as physics has them, in any geometry."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from rocksalt.crystals import structure, tables
from rocksalt.time import Chance
from rocksalt.twin import departures
from rocksalt.twin.picture import anvils, background, gasket, matter, scene, strength
from rocksalt.twin.picture.geometry import Geometry, departed, rays
from rocksalt.twin.picture.render import Glimpse, Renderer
from rocksalt.twin.picture.stop import past_the_stop
from rocksalt.twin.sample import transformation
from rocksalt.twin.sample.lattice import Lattice
from rocksalt.twin.tiers import TIERS, tier

SMALL = Geometry(0.10, 150 * 172e-6, 150 * 172e-6, 0.0, 0.0, 0.0, 172e-6, 0.4133, (300, 300))
PILATUS = Geometry(0.2846, 0.0872, 0.0834, -0.00025, 0.0006, 0.0, 172e-6, 0.3344, (1043, 981))
FLUX = 2.0e9


def drawn(seed: int, name: str = "clean") -> departures.Departures:
    return departures.draw(tier(name), Chance(seed))


def built(geometry: Geometry, hidden: departures.Departures, seed: int = 1, flux: float = FLUX, salt: str = "KBr"):
    real = departed(geometry, hidden)
    return scene.build(
        real, geometry, rays(real), hidden, 0.98, Chance(seed), flux_ph_per_s=flux, thickness_um=30.0, salt=salt
    )


def bare(seed: int = 3) -> departures.Departures:
    """No departure that changes how bright a ring is, and nothing in the light's way."""
    hidden = drawn(seed)
    zero = {"line_intensity": 0.0, "debye_waller_a2": 0.0, "eos_limit_gpa": 0.0, "k0p_b1": 0.0, "deviatoric_gpa": 0.0}
    return replace(
        hidden,
        sample=replace(hidden.sample, fibre_b1=1.0, in_plane=0.0, grains_per_deg=1e6, **zero),
        beam=replace(hidden.beam, flux_relative=1.0, wavelength_relative=0.0),
        scene=replace(hidden.scene, stop_radius_mm=0.5, stop_soft_mm=0.0, arm_transmission=1.0, filling=1.0),
        anvils=replace(hidden.anvils, downstream_mm=1e-6, kossel_depth=0.0, spots=0),
        sensor=replace(hidden.sensor, gain_pixel=0.0),
        cell=replace(hidden.cell, gradient_gpa=0.0),
    )


def renderer(hidden: departures.Departures, flux: float = FLUX, thickness_um: float = 30.0) -> Renderer:
    chance = Chance(3)
    lattices = tuple(Lattice("KBr", name, hidden.sample, chance, 0.4133) for name in ("B1", "B2"))
    spread = transformation.spread(hidden.cell.gradient_gpa, 0.0, 0.05)
    return Renderer(SMALL, hidden, lattices, spread, 0.98, thickness_um, chance, flux_ph_per_s=flux)  # type: ignore[arg-type]


def lit(light_s: float) -> list[Glimpse]:
    return [Glimpse(light_s, 1.0, np.zeros(transformation.BINS), 0.0, 300.0)]


def of_rings(hidden: departures.Departures, **more: float) -> np.ndarray:
    """Counts a second of the rings alone: what filling alone adds, background of the salt aside."""
    here = renderer(hidden, **more)
    parts = here.expected(lit(1.0), 1.0)
    static = scene.build(
        here.geometry, SMALL, rays(here.geometry), hidden, 0.98, Chance(3),
        flux_ph_per_s=more.get("flux", FLUX) * hidden.beam.flux_relative, thickness_um=more.get("thickness_um", 30.0),
        salt="KBr",
    ).rate_per_s.ravel()  # fmt: skip
    return (parts - static).reshape(SMALL.shape)


def test_a_whole_ring_holds_the_photons_that_warren_gives_it():
    """Power of a powder ring, flux t r_e^2 lambda^3 m |F|^2 / (4 V^2 sin theta), with the table's structure factors."""
    hidden = bare()
    seen = of_rings(hidden)
    phase = tables.phase("KBr", "B1")
    lattice = Lattice("KBr", "B1", hidden.sample, Chance(3), 0.4133)
    a = float(np.cbrt(lattice.volume_a3(1.0, 300.0)))
    lines = structure.lines(phase, a, 0.4133, 10.6)
    number = lines.labels.index("220")
    sine = np.sin(np.radians(lines.two_theta_deg[number] / 2.0))
    volume = 30e4 * 2.8179403e-5**2 * 0.4133**3 / (4.0 * sine)
    expected = FLUX * volume * lines.intensity_per_volume[number]
    two_theta = rays(departed(SMALL, hidden)).two_theta_deg
    near = np.abs(two_theta - lines.two_theta_deg[number]) < 0.65
    through = np.exp(-matter.attenuation_per_m(strength.salt_atoms("KBr"), 30.0) * 30e-6)
    polarised = 0.5 * (1.0 + np.cos(2.0 * np.arcsin(sine)) ** 2)  # around the whole ring
    # Neighbouring lines' feet and the wings beyond 0.65 degrees: a few per cent.
    assert seen[near].sum() == pytest.approx(expected * through * polarised, rel=0.05)


def test_rings_go_with_flux_and_thickness_and_filling():
    hidden = bare()
    half = replace(hidden, scene=replace(hidden.scene, filling=0.5))
    one = of_rings(hidden).sum()
    assert of_rings(hidden, flux=3.0 * FLUX).sum() == pytest.approx(3.0 * one, rel=1e-4)
    # Twice the salt absorbs some per cent of its own light.
    assert of_rings(hidden, thickness_um=60.0).sum() == pytest.approx(2.0 * one, rel=0.12)
    assert of_rings(half).sum() == pytest.approx(0.5 * one, rel=0.06)


def test_carbon_scatters_and_absorbs_as_the_tables_say():
    """Elam, Ravel and Sieber, Radiat. Phys. Chem. 63, 121 (2002), carbon at 30 keV: 0.0571 cm2/g photo-absorption,
    0.1655 Compton."""
    per_m = matter.attenuation_per_m(background.DIAMOND, 30.0)
    assert per_m == pytest.approx(100.0 * 3.515 * (0.0571 + 0.1655), rel=0.03)


def test_compton_rises_from_nothing_with_the_angle_and_every_electron_takes_part_in_the_end():
    s = np.array([0.0, 0.1, 0.3, 1.0, 3.0])
    for symbol, number in (("C", 6), ("N", 7), ("O", 8), ("K", 19), ("Br", 35)):
        electrons = matter.incoherent(symbol, s)
        assert electrons[0] == pytest.approx(0.0, abs=0.03)
        assert (np.diff(electrons) > 0.0).all()
        assert electrons[-1] == pytest.approx(number, rel=0.1)


def test_the_background_of_a_clean_day_is_what_two_anvils_scatter():
    """By hand at 13 degrees, 30 keV: 1.763e29 atoms/m3, r_e^2 = 7.94e-30 m2, 3.6 of 6 electrons incoherent, pixel
    (75 um / 0.25 m)^2, 2e9 photons a second. Of the upstream anvil the gasket leaves some; air adds some."""
    geometry = Geometry(0.25, 0.0195, 0.0027, 0.0, 0.0, 0.0, 75e-6, 0.4133, (514, 1030))
    for seed in range(2):
        hidden = drawn(seed)
        where = rays(departed(geometry, hidden))
        rate = built(geometry, hidden, seed).rate_per_s
        near = np.abs(where.two_theta_deg - 13.0) < 0.1
        one_mm = FLUX * (75e-6 / 0.25) ** 2 * 1.763e29 * 1e-3 * 7.94e-30 * 3.6 * 0.97 * 0.93
        low, high = hidden.anvils.downstream_mm, hidden.anvils.downstream_mm + hidden.anvils.upstream_mm
        assert 0.7 * low * one_mm < np.median(rate[near]) < 1.1 * high * one_mm


def test_flux_brightens_everything_and_nothing_else_changes():
    hidden = drawn(5, "realistic")
    dim, bright = built(SMALL, hidden), built(SMALL, hidden, flux=10.0 * FLUX)
    assert np.allclose(bright.rate_per_s, 10.0 * dim.rate_per_s)
    assert np.array_equal(bright.seen, dim.seen)


@pytest.mark.parametrize(
    ("salt", "energy_kev", "shines"),
    [("KBr", 30.0, False), ("KBr", 20.0, True), ("RbCl", 30.0, False), ("RbCl", 20.0, True), ("KI", 30.0, False),
     ("KI", 37.0, True), ("CsI", 34.0, True), ("KBr", 12.0, False)],
)  # fmt: skip
def test_fluorescence_needs_an_edge_below_the_beam_and_a_line_above_half_of_it(salt, energy_kev, shines):
    found = background.fluorescence(np.array([5.0, 15.0]), energy_kev, strength.salt_atoms(salt), 30e-6, 2e-3)
    assert (found > 0.0).all() == shines
    assert (found > 0.0).any() == shines


def test_air_near_the_detector_counts_for_more_and_no_air_for_nothing():
    angle = np.array([2.0, 8.0])
    assert (background.air(angle, 30.0, 0.0, 0.25) == 0.0).all()
    short, long = (background.air(angle, 30.0, path, 0.25) for path in (0.05, 0.10))
    assert (long > 1.5 * short).all()
    assert short[0] > short[1]


def test_kossel_lines_are_dark_where_a_photon_meets_a_diamond_plane_at_its_bragg_angle():
    hidden = drawn(1, "hostile").anvils
    where = rays(SMALL)
    _, downstream = anvils.pair(hidden)
    change = anvils.kossel(downstream, anvils.Tiles(where), 30.0, hidden, 172e-6 / 0.10)
    assert -0.2 < change.min() < -0.3 * hidden.kossel_depth
    assert abs(change.mean()) < 0.01
    assert (np.abs(change) < 1e-4).mean() > 0.5  # lines, not areas
    angle = np.radians(where.two_theta_deg)
    k = 2.0 * np.pi / 0.4133 * np.stack(
        [np.sin(angle) * np.sin(where.azimuth_rad), np.sin(angle) * np.cos(where.azimuth_rad), np.cos(angle)], axis=-1
    )  # fmt: skip
    _, vectors = downstream.vectors(16)
    for row, column in np.argwhere(change < 0.5 * change.min())[::7]:
        away = np.linalg.norm(k[row, column] - vectors, axis=1)
        # Elastic: |k - G| = |k|, to within a pixel's angle times G.
        assert np.abs(away - np.linalg.norm(k[row, column])).min() < 8.0 * 172e-6 / 0.10


def test_thermal_clouds_surround_reflections_of_diamond():
    where = rays(PILATUS)
    tiles = anvils.Tiles(where)
    k0 = 2.0 * np.pi / 0.3344
    for seed in range(4):
        _, downstream = anvils.pair(drawn(seed, "hostile").anvils)
        cloud = anvils.clouds(downstream, tiles, matter.KEV_ANGSTROM / 0.3344)
        row, column = np.unravel_index(np.argmax(cloud), cloud.shape)
        angle, azimuth = np.radians(where.two_theta_deg[row, column]), where.azimuth_rad[row, column]
        sine = np.sin(angle)
        q = k0 * np.array([sine * np.sin(azimuth), sine * np.cos(azimuth), np.cos(angle) - 1.0])
        assert np.linalg.norm(downstream.vectors(24)[1] - q, axis=1).min() < 1.0


def test_diamond_has_its_own_rules_of_extinction():
    hkl = {tuple(sorted(np.abs(row).tolist(), reverse=True)) for row in anvils.reflections(16)}
    assert hkl == {(1, 1, 1), (2, 2, 0), (3, 1, 1), (4, 0, 0)}


def test_as_many_diamond_spots_as_drawn_fall_on_a_detector():
    hidden = drawn(2)
    found = anvils.spots(PILATUS, rays(PILATUS), replace(hidden.anvils, spots=5), 37.08, Chance(2))
    assert found.max() > 1e-9
    nothing = anvils.spots(PILATUS, rays(PILATUS), replace(hidden.anvils, spots=0), 37.08, Chance(2))
    assert nothing.max() == 0.0


def test_the_gasket_hides_more_of_the_upstream_anvil_the_wider_the_angle():
    hidden = drawn(0)
    where = rays(PILATUS)
    seen = gasket.visible_m(where, hidden, 37.08, 2e-3)
    middle = [float(np.median(seen[np.abs(where.two_theta_deg - angle) < 0.2])) for angle in (1.0, 5.0, 10.0, 20.0)]
    assert middle == sorted(middle, reverse=True)
    assert 0.0 < middle[-1] < 0.5 * middle[0] <= 2e-3


def test_the_seat_shades_what_lies_beyond_its_cone_more_on_one_side():
    hidden = replace(
        drawn(0).anvils,
        seat_opening_deg=12.0,
        seat_ramp_deg=5.0,
        seat_transmission=0.6,
        seat_off_deg=2.0,
        seat_off_rad=0.0,
    )
    where = rays(PILATUS)
    through = anvils.behind_the_seat(where, hidden)
    assert (through[where.two_theta_deg < 10.0] == 1.0).all()
    assert through[where.two_theta_deg > 19.0] == pytest.approx(0.6)
    middle = np.abs(where.two_theta_deg - 14.0) < 0.1
    towards, away = (middle & (np.cos(where.azimuth_rad) * sign > 0.9) for sign in (1.0, -1.0))
    assert through[towards].min() > through[away].max()


@pytest.mark.parametrize("kind", range(len(gasket.METALS)))
def test_gasket_rings_stand_where_their_metal_puts_them(kind):
    hidden = drawn(0, "hostile")
    steady = replace(hidden.gasket, kind=kind, strain=0.0, grains_per_deg=1e5, tails=1e-3)
    where = rays(PILATUS)
    found = gasket.rings(PILATUS, where, replace(hidden, gasket=steady), 37.08, Chance(0))
    metal = gasket.METALS[kind]
    hkl, _ = metal.lines[0]
    expected = 2.0 * np.degrees(np.arcsin(0.3344 / (2.0 * metal.spacing(hkl))))
    near = np.abs(where.two_theta_deg - expected) < 0.3
    assert np.average(where.two_theta_deg[near], weights=found[near]) == pytest.approx(expected, abs=0.02)
    assert metal.spacing((1, 1, 0)) == pytest.approx({"Re": 1.3805, "W": 2.238, "Fe": 2.5385}[metal.symbol], abs=1e-3)
    # As dense as the metal: atoms a cell over its volume.
    cell = {"hcp": 2, "bcc": 2, "fcc": 4}[metal.lattice]
    assert 1e30 * cell / metal.volume_a3 == pytest.approx(metal.per_m3, rel=0.01)
    assert (
        gasket.rings(PILATUS, where, replace(hidden, gasket=replace(steady, tails=0.0)), 37.08, Chance(0)).max() == 0.0
    )


def test_the_stop_stands_on_the_nominal_centre_and_its_arm_reaches_an_edge():
    hidden = drawn(0)
    through = past_the_stop(PILATUS, hidden)
    row, column = round(0.0872 / 172e-6), round(0.0834 / 172e-6)
    assert through[row, column] == pytest.approx(hidden.scene.stop_leak)
    assert through[row, column + 40] == pytest.approx(1.0)
    along = np.arange(30, 400)
    at = hidden.scene.arm_azimuth_rad
    arm = through[row + np.rint(along * np.sin(at)).astype(int), column + np.rint(along * np.cos(at)).astype(int)]
    assert arm.max() < 0.2 + hidden.scene.stop_leak
    assert through.min() >= 0.0


@pytest.mark.parametrize("name", TIERS)
@pytest.mark.parametrize(
    "geometry",
    [
        replace(SMALL, shape=(61, 1030)),
        replace(SMALL, rot1_rad=0.6, rot2_rad=-0.4, shape=(200, 530)),
        replace(PILATUS, wavelength_angstrom=0.7107, distance_m=0.12),
    ],
)
def test_any_geometry_gives_counts_that_are_finite_and_not_negative(name, geometry):
    for seed in (0, 1):
        parts = built(geometry, drawn(seed, name), seed)
        assert parts.rate_per_s.shape == parts.seen.shape == geometry.shape
        assert np.isfinite(parts.rate_per_s).all()
        assert parts.rate_per_s.min() >= 0.0
        assert np.isfinite(parts.seen).all()
        assert parts.seen.min() >= 0.0


def test_a_scene_is_worked_out_within_its_time():
    began = time.process_time()
    built(PILATUS, drawn(0, "hostile"))
    assert time.process_time() - began < 3.0
