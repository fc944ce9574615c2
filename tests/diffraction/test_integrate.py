"""Frame to pattern: honest noise, no stranger's spots, no powder lost, and real frames as others integrated them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rocksalt.diffraction.integrate import Geometry, GeometryError, Integrator, clearer_way_up
from rocksalt.diffraction.wavelength import WavelengthError
from rocksalt.formats import FormatError, Poni, poni_from_header, read_image, read_pattern

DATA = Path(os.environ.get("ROCKSALT_DATA", Path(__file__).parents[2] / "../shared/data")) / "measured/dac"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real measurements is absent (ROCKSALT_DATA)")

SHAPE = (300, 320)
PONI = Poni(0.10, 140 * 75e-6, 150 * 75e-6, 0.02, -0.01, 0.0, 75e-6, 75e-6, 0.4133, 3)
RINGS_DEG = (2.0, 3.5, 5.0)
WIDTH_DEG = 0.09


@pytest.fixture(scope="module")
def geometry() -> Geometry:
    return Geometry.from_poni(PONI.text())


@pytest.fixture(scope="module")
def integrator(geometry) -> Integrator:
    return Integrator(geometry, SHAPE)


@pytest.fixture(scope="module")
def angles(geometry):
    ai = geometry.integrator(SHAPE)
    return ai.center_array(SHAPE, unit="2th_deg"), ai.center_array(SHAPE, unit="chi_deg") % 360.0


@pytest.fixture(scope="module")
def response(geometry):
    """What solid angle and polarisation make of one count."""
    ai = geometry.integrator(SHAPE)
    return ai.solidAngleArray(SHAPE) * ai.polarization(SHAPE, 0.99)


def truth(two_theta):
    return 40.0 + sum(120.0 * np.exp(-0.5 * ((two_theta - ring) / WIDTH_DEG) ** 2) for ring in RINGS_DEG)


@pytest.fixture(scope="module")
def frame(angles, response):
    return np.random.default_rng(1).poisson(truth(angles[0]) * response).astype(np.uint32)


def test_a_pattern_scatters_about_the_truth_as_its_variance_says(integrator, frame):
    pattern = integrator.pattern(frame, source="simulated")
    use = pattern.two_theta_deg < 5.5
    z = ((pattern.intensity - truth(pattern.two_theta_deg)) / np.sqrt(pattern.variance))[use]
    assert 0.8 < np.mean(z**2) < 1.25
    assert abs(np.mean(z[1:] * z[:-1])) < 0.2
    assert (pattern.source, pattern.wavelength_angstrom, pattern.raw_counts) == (
        "simulated",
        pytest.approx(0.4133),
        True,
    )


def test_a_smooth_powder_is_smooth_around_the_ring_and_loses_no_pixel(integrator, geometry, frame):
    pattern = integrator.pattern(frame)
    assert np.median(pattern.azimuthal_variation) < 0.05
    assert np.array_equal(
        pattern.intensity, Integrator(geometry, SHAPE, spikes=False).pattern(frame).intensity, equal_nan=True
    )


def test_texture_shows_around_the_ring(integrator, frame, angles):
    two_theta, azimuth = angles
    arcs = np.where(abs(two_theta - 3.5) < 0.2, 1.0 + np.cos(np.radians(2 * azimuth)), 1.0)
    variation = integrator.pattern((frame * arcs).astype(np.uint32)).azimuthal_variation
    at = np.argmin(abs(integrator.two_theta_deg - 3.5))
    assert variation[at] == pytest.approx(np.sqrt(0.5), rel=0.1)
    assert np.median(variation) < 0.05


def spots(frame, angles, azimuths, ring=3.5, counts=5000):
    """The frame with a 2 x 2 pixel spot on the ring at each azimuth (degrees)."""
    result = frame.copy()
    for each in azimuths:
        distance = (angles[0] - ring) ** 2 + np.minimum(abs(angles[1] - each), 360 - abs(angles[1] - each)) ** 2 * 1e-3
        row, column = np.unravel_index(np.argmin(distance), frame.shape)
        result[row : row + 2, column : column + 2] += counts
    return result


def test_a_spotty_powder_keeps_every_grain(integrator, geometry, frame, angles):
    grains = spots(frame, angles, np.random.default_rng(2).uniform(0, 360, 12))
    plain = Integrator(geometry, SHAPE, spikes=False).pattern(grains)
    assert np.array_equal(integrator.pattern(grains).intensity, plain.intensity, equal_nan=True)
    assert plain.intensity.max() > 1.2 * np.nanmax(integrator.pattern(frame).intensity)


def test_a_pair_of_strange_spots_is_kept_out(integrator, frame, angles):
    clean, spotted = integrator.pattern(frame), integrator.pattern(spots(frame, angles, [20.0, 200.0], counts=100_000))
    assert spotted.intensity == pytest.approx(clean.intensity, rel=0.05, nan_ok=True)


def test_the_skirt_of_a_strange_spot_goes_with_it(integrator, frame):
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    skirt = 5000.0 / (1.0 + (row - 90) ** 2 + (column - 90) ** 2) ** 1.5
    spotted = integrator.pattern((frame + skirt).astype(np.uint32))
    assert np.nanmax(spotted.intensity / integrator.pattern(frame).intensity) < 1.025  # 1.038 where the skirt stays


def test_a_spot_that_outshines_a_spotty_ring_is_kept_out(integrator, frame, angles):
    grains = spots(frame, angles, np.arange(10, 360, 40), counts=2000)
    both = integrator.pattern(spots(grains, angles, [190.0], counts=1_000_000))
    assert np.nanmax(both.intensity) < 1.1 * np.nanmax(integrator.pattern(grains).intensity)


def test_saturated_pixels_and_their_neighbours_are_left_out_and_counted(integrator, frame):
    hit = frame.copy()
    hit[100, 101] = 90_000
    hit[101, 101] = 2_000  # charge that ran over
    pattern = integrator.pattern(hit, saturation=90_000)
    assert pattern.saturated_fraction == pytest.approx(1 / frame.size)
    assert pattern.intensity == pytest.approx(integrator.pattern(frame).intensity, rel=0.05, nan_ok=True)


def test_gaps_are_left_out_and_a_bin_without_pixels_is_nan(integrator, frame, angles):
    gap = frame.astype(np.int32)
    gap[:, 100:110] = -1
    pattern, whole = integrator.pattern(gap), integrator.pattern(frame)
    inside = integrator.two_theta_deg < 5.0
    assert pattern.intensity[inside] == pytest.approx(whole.intensity[inside], rel=0.25)
    hole = integrator.pattern(frame, mask=abs(angles[0] - 3.0) < 0.1)
    lost = np.isnan(hole.intensity)
    assert 0 < lost.sum() < 10
    assert np.array_equal(lost, np.isnan(hole.variance))
    assert abs(integrator.two_theta_deg[lost] - 3.0).max() < 0.1


def test_an_image_turned_over_is_the_geometry_turned_over(integrator, geometry, frame):
    turned = Integrator(geometry.turned_over(), SHAPE, bins=len(integrator.two_theta_deg))
    assert turned.pattern(frame[::-1]).intensity == pytest.approx(
        integrator.pattern(frame).intensity, rel=1e-3, nan_ok=True
    )
    assert geometry.turned_over().turned_over().orientation == geometry.orientation


def test_the_clearer_way_up_is_found_and_the_right_one_left_alone(geometry, frame):
    nothing = np.zeros(SHAPE, dtype=bool)
    assert clearer_way_up(geometry, frame, nothing) == (geometry, "")
    rings_unseen = np.random.default_rng(4).poisson(5.0, SHAPE)
    assert clearer_way_up(geometry, rings_unseen, nothing) == (geometry, "")
    found, why = clearer_way_up(geometry, frame[::-1], nothing)
    assert found == geometry.turned_over()
    assert why.startswith("the rings are clearer with the rows of the image turned over")


def test_the_poni_is_kept_word_for_word(tmp_path):
    text = "# calibrated by hand\r\n" + PONI.text()
    path = tmp_path / "a.poni"
    path.write_bytes(text.encode())
    assert Geometry.from_poni(path).poni_text == text


def test_another_shape_than_the_detectors_names_both():
    pilatus = "Detector: Pilatus1M\n" + PONI.text().split("\n", 3)[3] + "Wavelength: 4e-11\n"
    with pytest.raises(
        GeometryError, match=r"514 x 1030 pixels .* the detector of PONI text 1043 x 981; give the PONI"
    ):
        Integrator(Geometry.from_poni(pilatus), (514, 1030))


def test_a_frame_of_another_shape_than_promised_is_refused(integrator):
    with pytest.raises(
        GeometryError, match=r"the frame has shape \(10, 10\), the integrator was made for \(300, 320\)"
    ):
        integrator.pattern(np.ones((10, 10)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Distance: 0.2\nPoni1: 0\n", "PONI text states no Poni2, Rot1, Rot2, Rot3"),
        (PONI.text().replace("Distance: 0.1", "Distance: -0.1"), "a distance of -0.1 m"),
        (PONI.text().replace("Distance: 0.1", "Distance: ten"), "no PONI that pyFAI can read"),
        (PONI.text().replace("4.133e-11", "0.4133"), r"a wavelength of 0.4133 m; X-rays lie between"),
        (PONI.text().replace("Detector: Detector", "Detector: Telescope"), "no PONI that pyFAI can read"),
    ],
)
def test_a_poni_that_can_not_be_used_says_why(text, sentence):
    with pytest.raises(GeometryError, match=sentence):
        Geometry.from_poni(text)


def test_a_missing_poni_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"none\.poni: no such file"):
        Geometry.from_poni(tmp_path / "none.poni")


def test_wavelengths_must_agree_and_one_must_be_stated(geometry):
    assert Integrator(geometry, SHAPE, wavelength_angstrom=0.4134).wavelength_angstrom == pytest.approx(0.4133)
    with pytest.raises(WavelengthError, match=r"PONI text says 0\.4133 Å and the caller says 0\.5 Å"):
        Integrator(geometry, SHAPE, wavelength_angstrom=0.5)
    silent = Geometry.from_poni("\n".join(line for line in PONI.text().splitlines() if "Wavelength" not in line) + "\n")
    with pytest.raises(WavelengthError, match="PONI text states no wavelength; give --wavelength"):
        Integrator(silent, SHAPE)
    assert Integrator(silent, SHAPE, wavelength_angstrom=0.5).wavelength_angstrom == 0.5


def test_a_mask_must_fit_and_leave_something(geometry):
    with pytest.raises(GeometryError, match=r"the mask has shape \(2, 2\)"):
        Integrator(geometry, SHAPE, mask=np.zeros((2, 2), dtype=bool))
    with pytest.raises(GeometryError, match="the mask leaves no pixel"):
        Integrator(geometry, SHAPE, mask=np.ones(SHAPE, dtype=bool))


@real
@pytest.mark.parametrize("name", ["CeO2_Pilatus1M", "Fe3O4C_M1_map_1_P1_E1_001"])
def test_real_frames_integrate_to_the_pattern_that_came_with_them(name):
    """What Dioptas did, found by trying: rows turned over, pixels split by their bounding box, polarisation 0.99, solid
    angle corrected, and *nothing masked*: gaps count as -1 and -2. Floating-point numbers are taken as they are."""
    published, image = read_pattern(DATA / f"{name}.xy"), read_image(DATA / f"{name}.tif")
    geometry = Geometry.from_poni(poni_from_header("\n".join(published.header)).text())
    geometry, turned = clearer_way_up(geometry, image.counts, image.mask)
    assert turned
    settings = {"bins": len(published.axis), "splitting": "bbox", "polarisation": 0.99, "spikes": False}
    pattern = Integrator(geometry, image.counts.shape, **settings).pattern(image.counts.astype(float))
    assert pattern.two_theta_deg == pytest.approx(published.axis, abs=2e-3)
    assert np.mean(abs(pattern.intensity / published.intensity - 1.0) < 0.02) > 0.95


@real
def test_lines_of_a_real_cerium_oxide_lie_where_its_cell_puts_them():
    from scipy.optimize import curve_fit

    image = read_image(DATA / "CeO2_Pilatus1M.tif")
    geometry, _ = clearer_way_up(Geometry.from_poni(DATA / "CeO2_Pilatus1M.poni"), image.counts, image.mask)
    pattern = Integrator(geometry, image.counts.shape).pattern(image.counts, saturation=image.saturation)
    for square in (3, 4, 8, 11, 12, 16, 19, 20, 24, 27):
        centre = 2 * np.degrees(np.arcsin(0.4066 * np.sqrt(square) / (2 * 5.4117)))

        def line(x, height, at, width, share, level, slope, centre=centre):
            u = ((x - at) / width) ** 2
            return height * (share / (1 + u) + (1 - share) * np.exp(-np.log(2) * u)) + level + slope * (x - centre)

        near = abs(pattern.two_theta_deg - centre) < 0.2
        x, y = pattern.two_theta_deg[near], pattern.intensity[near]
        found, _ = curve_fit(line, x, y, (np.ptp(y), centre, 0.03, 0.5, y.min(), 0.0))
        assert found[1] == pytest.approx(centre, abs=0.01), f"h²+k²+l² = {square}"


def test_a_strangers_spot_in_a_corner_of_the_detector_is_kept_out(integrator, frame, angles):
    """There, too little of a ring is seen for its sectors to have a median of their own."""
    two_theta, _ = angles
    corner = np.unravel_index(np.argmax(two_theta), SHAPE)
    burnt = frame.copy()
    row, column = (int(np.clip(at, 2, size - 3)) for at, size in zip(corner, SHAPE, strict=True))
    burnt[row - 1 : row + 2, column - 1 : column + 2] += 40_000
    clean, spotted = integrator.pattern(frame), integrator.pattern(burnt)
    hit = spotted.two_theta_deg > 0.97 * two_theta[row, column]
    assert np.nanmax(spotted.intensity[hit]) < 2.0 * np.nanmax(clean.intensity[hit])
