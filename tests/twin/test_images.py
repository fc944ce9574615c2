"""What the camera sees: rings where geometry says, noise as Poisson has it, the same bytes every time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rocksalt.crystals import eos, tables
from rocksalt.twin.picture.geometry import departed, rays
from rocksalt.twin.world import world_from_station

MASKED = 2**32 - 1


@pytest.fixture(scope="module")
def lit(make):
    """A world at rest near 1 GPa with the shutter open; it stays so, whatever is exposed."""
    world = make(11)
    world.membrane.ramp(0.0, 17.0 / world.hidden.cell.gain_relative, 0.5)
    world.enclosure.request_shutter(290.0, True)
    world.advance(300.0)
    return world


def test_dead_pixels_carry_the_largest_number_and_no_others_do(lit):
    image = lit.camera.expose(lit.now_s, 1.0)
    assert image.shape == lit.camera.shape == (514, 1030)
    assert image.dtype == np.uint32
    assert (image[lit.camera.mask] == MASKED).all()
    assert image[~lit.camera.mask].max() <= lit.camera.cutoff_counts(1.0) < MASKED
    assert 0.004 < lit.camera.mask.mean() < 0.01


def test_some_diamond_spot_is_saturated_in_a_strong_beam_and_a_bad_cell(station, poni):
    seen = 0
    for seed in (5, 7):
        beam = {**station["beam"], "flux_ph_per_s": 1e11}
        twin = {**station["twin"], "tier": "hostile"}
        world = world_from_station(twin, beam, (514, 1030), poni, station["load_curve"], seed, None)
        world.enclosure.request_shutter(0.0, True)
        image = world.camera.expose(1.0, 0.5)
        seen += int((image[~world.camera.mask] == world.camera.cutoff_counts(0.5)).sum())
    assert seen > 0


def test_repeated_frames_scatter_as_counts_do(lit):
    frames = np.array([lit.camera.expose(lit.now_s, 1.0) for _ in range(12)], dtype=np.float64)
    good = ~lit.camera.mask & (frames.max(axis=0) < 1000.0)
    mean, variance = frames[:, good].mean(axis=0), frames[:, good].var(axis=0, ddof=1)
    # The beam's ripple of up to 1 % adds a little; twelve frames of 5e5 pixels fix the ratio to 0.1 %.
    assert variance.mean() / mean.mean() == pytest.approx(1.0, abs=0.03)
    assert 0.5 < np.median(mean) < 5.0  # 2e9 photons a second, two anvils, 75 um pixels at 0.25 m


def test_no_two_frames_share_their_noise(lit):
    first, second = (lit.camera.expose(lit.now_s, 0.2).astype(np.float64) for _ in range(2))
    good = ~lit.camera.mask & (first < 500.0)
    rows = np.s_[20:120, 850:950]
    a, b = first[rows][good[rows]], second[rows][good[rows]]
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.15


def test_closed_shutter_is_dark_and_half_an_exposure_is_half_the_counts(make):
    world = make(2)
    dark = world.camera.expose(0.0, 1.0)[~world.camera.mask]
    assert (dark == 0).mean() > 0.9999  # but for natural radiation, some ten counts a second
    world.enclosure.request_shutter(10.0, True)
    world.enclosure.request_shutter(15.0, False)
    half = world.camera.expose(13.0, 4.0)[~world.camera.mask]
    world.enclosure.request_shutter(30.0, True)
    whole = world.camera.expose(31.0, 4.0)[~world.camera.mask]
    dim = (half < 200) & (whole < 200)  # no diamond spot
    assert half[dim].sum() / whole[dim].sum() == pytest.approx(2.05 / 4.0, abs=0.03)


def ring_angles(world, image, low, high):
    """Independent of the renderer: two theta of every pixel by rotating its position, from departed numbers; then the
    intensity-weighted centre of the ring between two angles, its sloping background taken off."""
    hidden, nominal = world.hidden, world.nominal
    rows, columns = image.shape
    y = (np.arange(rows) + 0.5 - hidden.calibration.centre_row_px) * nominal.pixel_m - nominal.poni1_m
    x = (np.arange(columns) + 0.5 - hidden.calibration.centre_column_px) * nominal.pixel_m - nominal.poni2_m
    z = nominal.distance_m * (1.0 + hidden.calibration.distance_relative)
    grid = np.stack(np.broadcast_arrays(y[:, None], x[None, :], z), axis=-1)
    t1, t2 = nominal.rot1_rad + hidden.calibration.tilt1_rad, nominal.rot2_rad + hidden.calibration.tilt2_rad
    # First about the slow axis, which turns the fast one towards the beam, then about the fast axis.
    about_slow = np.array([[1, 0, 0], [0, np.cos(t1), np.sin(t1)], [0, -np.sin(t1), np.cos(t1)]])
    about_fast = np.array([[np.cos(t2), 0, -np.sin(t2)], [0, 1, 0], [np.sin(t2), 0, np.cos(t2)]])
    turned = grid @ (about_fast @ about_slow).T
    two_theta = np.degrees(np.arccos(turned[..., 2] / np.linalg.norm(turned, axis=-1)))
    good = ~world.camera.mask & (two_theta > low) & (two_theta < high) & (image < 2000)
    angle, counts = two_theta[good], image[good].astype(np.float64)
    edges = np.linspace(low, high, 101)
    number, _ = np.histogram(angle, edges)
    total, _ = np.histogram(angle, edges, weights=counts)
    profile, middle = total / number, 0.5 * (edges[1:] + edges[:-1])
    outside = np.abs(middle - 0.5 * (low + high)) > 0.35 * (high - low)
    profile = profile - np.polyval(np.polyfit(middle[outside], profile[outside], 1), middle)
    core = profile > 0.25 * profile.max()
    return float((middle[core] * profile[core]).sum() / profile[core].sum())


def test_rings_lie_where_the_departed_geometry_and_the_table_put_them(lit):
    image = lit.camera.expose(lit.now_s, 4.0)
    pressure = lit.state(lit.now_s)[0]
    assert 0.7 < pressure < 1.3
    a = eos.cell_angstrom(tables.phase("KBr", "B1"), pressure)
    wavelength = 0.4133 * (1.0 + lit.hidden.beam.wavelength_relative)
    for square in (4, 8):
        expected = 2.0 * np.degrees(np.arcsin(wavelength * np.sqrt(square) / (2.0 * a)))
        found = ring_angles(lit, image, expected - 0.3, expected + 0.3)
        # Errors of the equation of state and the deviatoric stress: up to 0.03 + 0.03 GPa, or 1e-3 of the angle.
        assert found == pytest.approx(expected, rel=1.2e-3)


def test_the_hidden_geometry_is_not_the_calibrations(make):
    for seed in range(5):
        world = make(seed)
        real, believed = departed(world.nominal, world.hidden), world.nominal
        assert real != believed
        assert real.distance_m == pytest.approx(believed.distance_m, rel=1e-3)
        assert real.wavelength_angstrom == pytest.approx(believed.wavelength_angstrom, rel=3e-4)


def test_an_image_does_not_depend_on_who_looked_meanwhile(make):
    patient, nosy = make(6), make(6)
    for world in (patient, nosy):
        world.enclosure.request_shutter(0.0, True)
        world.membrane.ramp(0.0, 40.0, 0.5)
    for at_s in np.arange(1.0, 61.0, 0.37):
        nosy.membrane.gas_bar(float(at_s))
    assert np.array_equal(patient.camera.expose(57.0, 2.0), nosy.camera.expose(57.0, 2.0))


def test_b2_rings_grow_where_b1_rings_fade(make):
    world = make(4)
    world.enclosure.request_shutter(0.0, True)
    seen = []
    for bar in (10.0, 90.0):
        world.membrane.ramp(world.now_s, bar, 0.5)
        world.advance(world.now_s + 300.0)
        image = world.camera.expose(world.now_s, 2.0)
        pressure = world.state(world.now_s)[0]
        heights = []
        for name, square in (("B1", 4), ("B2", 2)):
            phase = next(p for p in world.renderer.lattices if p.name == name)
            number = [r.square for r in phase.reflections].index(square)
            angle = phase.two_theta_deg(np.array([pressure]), 298.0)[0][number]
            heights.append(_height(world, image, float(angle)))
        seen.append(heights)
    (b1_before, b2_before), (b1_after, b2_after) = seen
    assert b1_before > 0.3
    assert abs(b2_before) < 0.05
    assert b2_after > 0.3
    assert abs(b1_after) < 0.05


def _height(world, image, angle):
    """Mean of the ring's core above its surroundings, relative to them."""
    two_theta = rays(world.renderer.geometry).two_theta_deg
    good = ~world.camera.mask & (image < 2000)
    near = np.abs(two_theta - angle)
    core, around = image[good & (near < 0.02)], image[good & (near > 0.2) & (near < 0.3)]
    return float(core.mean() / around.mean() - 1.0)


def test_spots_stay_where_they_are_from_frame_to_frame(lit):
    """Grains are the sample's, not the frame's: ring intensity around the azimuth repeats."""
    where = rays(lit.renderer.geometry)
    angle = lit.renderer.lattices[0].two_theta_deg(np.array([lit.state(lit.now_s)[0]]), 298.0)[0][1]
    ring = (np.abs(where.two_theta_deg - angle) < 0.03) & ~lit.camera.mask
    bins = np.floor(np.degrees(where.azimuth_rad[ring]) / 0.5).astype(int)
    bins -= bins.min()
    profiles = []
    for _ in range(2):
        image = lit.camera.expose(lit.now_s, 4.0)
        profiles.append(np.bincount(bins, image[ring]) / np.bincount(bins))
    inner = [p[5:-5] for p in profiles]
    assert np.corrcoef(*inner)[0, 1] > 0.95
    assert inner[0].std() / inner[0].mean() > 0.03


PROGRAM = """
import hashlib, sys, tomllib
from pathlib import Path
from rocksalt.twin.world import world_from_station
folder = Path(sys.argv[1])
station = tomllib.loads((folder / "simulated-dac.toml").read_text())
world = world_from_station(station["twin"], station["beam"], (514, 1030), (folder / "simulated-dac.poni").read_text(),
                           station["load_curve"], 5, sys.argv[2])
world.enclosure.request_shutter(0.0, True)
world.membrane.ramp(0.0, 30.0, 0.5)
for at_s in (50.0, 64.5):
    print(hashlib.sha256(world.camera.expose(at_s, 0.5).tobytes()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_any_process_and_wherever_the_truth_goes(make, tmp_path):
    folder = Path(__file__).parents[2] / "config" / "stations"
    environment = {**os.environ, "PYTHONHASHSEED": "4321"}
    elsewhere = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), os.devnull],
        capture_output=True, text=True, check=True, env=environment, timeout=60,
    ).stdout.split()  # fmt: skip
    world = make(5, tmp_path / "truth.jsonl")
    world.enclosure.request_shutter(0.0, True)
    world.membrane.ramp(0.0, 30.0, 0.5)
    here = [hashlib.sha256(world.camera.expose(at_s, 0.5).tobytes()).hexdigest() for at_s in (50.0, 64.5)]
    world.close()
    assert here == elsewhere
    assert here[0] != here[1]


def test_an_exposure_needs_a_time(make):
    with pytest.raises(ValueError, match="positive, finite time"):
        make(1).camera.expose(0.0, 0.0)
