"""The microscope: points stand as theory says and stay where they are; pictures have the lens, the light, the noise."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import asdict, replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from rocksalt.time import Chance
from rocksalt.twin import departures, tiers
from rocksalt.twin.microscope import features, image, mie
from rocksalt.twin.microscope.arrangements import HardCore, Poisson, Thomas, projected
from rocksalt.twin.microscope.instrument import Microscope
from rocksalt.twin.microscope.spread import Spread

PLANE, BLOCK = (120.0, 100.0), (60.0, 50.0, 40.0)
# Each with its dimensions, box, density and the farthest distance looked at.
CASES = {
    "Poisson 2": (Poisson(), PLANE, 0.05, 6.0),
    "Poisson 3": (Poisson(), BLOCK, 0.01, 6.0),
    "Thomas 2": (Thomas(0.004, 1.5), PLANE, 0.05, 8.0),
    "Thomas 3": (Thomas(0.0006, 2.0), BLOCK, 0.01, 8.0),
    "hard core 2": (HardCore(2.0), PLANE, 0.05, 6.0),
    "hard core 3": (HardCore(2.5), BLOCK, 0.01, 6.0),
}


def shells(place, box, edges):
    """Pairs (one well inside the box, any other) at distances between the edges, and the volume of the inside: border
    correction, which asks nothing of the process."""
    margin = edges[-1]
    inside = ((place > margin) & (place < np.array(box) - margin)).all(axis=1)
    counted = cKDTree(place[inside]).count_neighbors(cKDTree(place), edges)
    return np.diff(counted), float(np.prod(np.array(box) - 2.0 * margin))


def ball(r, dimensions):
    return np.pi * r**2 if dimensions == 2 else 4.0 / 3.0 * np.pi * r**3


def in_shells(law, density, edges, dimensions):
    """Mean of the theoretical g over each shell."""
    fine = np.array([np.linspace(low, high, 400) for low, high in pairwise(edges)])
    weight = fine ** (dimensions - 1)
    return (law.pair_correlation(fine, density, dimensions) * weight).sum(axis=1) / weight.sum(axis=1)


@pytest.mark.parametrize("case", CASES)
def test_drawn_points_have_the_density_and_pair_correlation_of_theory(case):
    law, box, density, farthest = CASES[case]
    edges = np.linspace(0.0, farthest, 13)
    edges[0] = 1e-6
    found, numbers = [], []
    for seed in range(40):
        place = law.points(Chance(seed), "test", box, density).place_um
        pairs, inner = shells(place, box, edges)
        found.append(pairs / (density**2 * inner * np.diff(ball(edges, len(box)))))
        numbers.append(len(place))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(40)
    theory = in_shells(law, density, edges, len(box))
    expected = density * np.prod(box)
    assert np.mean(numbers) == pytest.approx(expected, abs=4.0 * np.std(numbers, ddof=1) / np.sqrt(40))
    # Shells are correlated; 4.5 standard errors in twelve of them, errors themselves known to a tenth.
    assert (np.abs(mean - theory) <= 4.5 * error + 1e-12).all()
    # And these errors are small against what tells the arrangements apart.
    if case.startswith("Thomas"):
        assert theory[0] - 1.0 > 10.0 * error[0]
    if case.startswith("hard core"):
        assert (mean[edges[1:] <= law.distance_um] == 0.0).all()
        assert 1.0 - theory[0] > 10.0 * error[-1]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_excess_of_a_thomas_process_is_one_parents_other_offspring(dimensions):
    """Whatever its formula: g - 1 times the parents' density is the density of the way from one offspring to another,
    so its integral is 1, and its mean square 2 d s^2."""
    law = Thomas(0.004, 1.5)
    r = np.linspace(1e-6, 20.0, 20_001)
    shell = (2.0 * np.pi * r if dimensions == 2 else 4.0 * np.pi * r**2) * (r[1] - r[0])
    way = 0.004 * (law.pair_correlation(r, 0.1, dimensions) - 1.0) * shell
    assert way.sum() == pytest.approx(1.0, rel=1e-4)
    assert (way * r**2).sum() == pytest.approx(2.0 * dimensions * 1.5**2, rel=1e-4)


def test_counts_of_a_poisson_arrangement_scatter_as_poisson_numbers_and_clusters_more():
    thomas = Thomas(0.004, 1.5)
    spread = []
    for law in (Poisson(), thomas):
        numbers = [len(law.points(Chance(seed), "count", (40.0, 40.0), 0.02).birth) for seed in range(300)]
        spread.append(np.var(numbers, ddof=1) / np.mean(numbers))
    # The variance of a variance from 300 draws: 8 %. Clusters of 5 that fit into the box: 1 + 5.
    assert spread[0] == pytest.approx(1.0, abs=0.33)
    assert spread[1] > 3.0


def test_no_two_points_of_a_hard_core_arrangement_come_closer_even_across_generations():
    law = HardCore(3.0)
    place = law.points(Chance(2), "core", (80.0, 80.0, 60.0), law.densest(3)).place_um
    distance, _ = cKDTree(place).query(place, k=2)
    assert distance[:, 1].min() >= 3.0
    assert len(place) == pytest.approx(law.densest(3) * 80 * 80 * 60, rel=0.05)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_hard_cores_pair_correlation_follows_from_arrival_times(dimensions):
    """Derived anew: two proposals at times s < t both stay when nothing came before s in either ball, nor between s
    and t in the later one's."""
    law = HardCore(2.0)
    density = 0.7 * law.densest(dimensions)
    volume = ball(2.0, dimensions)
    rho = -np.log(1.0 - density * volume) / volume
    middle = (np.arange(600) + 0.5) / 600
    early, late = np.minimum.outer(middle, middle), np.maximum.outer(middle, middle)
    rng = np.random.default_rng(5)
    cloud = rng.uniform(-1.0, 1.0, (200_000, dimensions)) * 2.0
    for r in (2.02, 2.7, 3.5, 4.5):
        within = (cloud**2).sum(axis=1) < 4.0
        other = ((cloud - np.eye(dimensions)[0] * r) ** 2).sum(axis=1) < 4.0
        both = 2.0 * volume - float((within & other).mean()) * 4.0**dimensions
        stay = np.exp(-rho * (early * both + (late - early) * volume)).mean() * rho**2
        assert float(law.pair_correlation(np.array(r), density, dimensions)) == pytest.approx(
            stay / density**2, rel=0.01
        )


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(CASES)), st.integers(0, 2**32), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_point_that_is_there_stays_there_as_the_density_grows(case, seed, first, second):
    law, box, density, _ = CASES[case]
    low, high = sorted((first * density, second * density))
    before, after = (law.points(Chance(seed), "grow", box, value) for value in (low, high))
    kept = after.birth <= low
    assert np.array_equal(before.place_um, after.place_um[kept])
    assert np.array_equal(before.luck, after.luck[kept])
    assert (after.birth <= high).all()
    assert (np.diff(after.birth) >= 0.0).all()


@pytest.mark.parametrize("case", ["Thomas 3", "hard core 3"])
def test_edges_of_the_box_are_like_its_middle(case):
    law, box, density, _ = CASES[case]
    size = np.array(box)
    near = []
    for seed in range(60):
        place = law.points(Chance(seed), "edge", box, density).place_um
        near.append(int((np.minimum(place, size - place) < 2.0).any(axis=1).sum()))
    share = float(np.prod(size) - np.prod(size - 4.0))
    error = np.std(near, ddof=1) / np.sqrt(60)
    assert np.mean(near) == pytest.approx(density * share, abs=4.0 * error)
    assert error < 0.04 * density * share


@pytest.mark.parametrize("case", ["Thomas 3", "hard core 3"])
def test_a_slab_seen_through_its_thickness_has_the_projected_pair_correlation(case):
    law, box, density, _ = CASES[case]
    edges = np.linspace(0.5, 6.5, 7)
    found = []
    for seed in range(40):
        place = law.points(Chance(seed), "slab", box, density).place_um[:, :2]
        pairs, inner = shells(place, box[:2], edges)
        found.append(pairs / ((density * box[2]) ** 2 * inner * np.diff(ball(edges, 2))))
    theory = projected(law, 0.5 * (edges[1:] + edges[:-1]), density, box[2])
    error = np.std(found, axis=0, ddof=1) / np.sqrt(40)
    assert (np.abs(np.mean(found, axis=0) - theory) < 4.5 * error).all()
    assert abs(theory[0] - 1.0) > 3.0 * error[0]


def test_densities_and_boxes_that_make_no_sense_are_refused():
    law = HardCore(2.0)
    with pytest.raises(ValueError, match=r"hard core arrangement has at most 0\.07"):
        law.points(Chance(1), "no", PLANE, 1.01 * law.densest(2))
    with pytest.raises(ValueError, match="finite and not negative"):
        Poisson().points(Chance(1), "no", PLANE, -0.1)
    with pytest.raises(ValueError, match="two or three sides"):
        Poisson().points(Chance(1), "no", (1.0,), 0.1)
    with pytest.raises(ValueError, match="spread_um is 0"):
        Thomas(0.1, 0.0)
    assert len(law.points(Chance(1), "none", PLANE, 0.0).birth) == 0


# --- light ----------------------------------------------------------------------------------------------------------


def test_small_spheres_extinguish_as_dipoles_do_and_large_ones_twice_their_shadow():
    medium, metal = 1.564, mie.potassium_index(0.546)
    small = np.array([0.002, 0.004])
    k = 2.0 * np.pi * medium / 0.546
    ratio = (metal / medium) ** 2
    dipole = 4.0 * np.pi * small**3 * (ratio - 1.0) / (ratio + 2.0)
    rayleigh = k * dipole.imag + k**4 / (6.0 * np.pi) * np.abs(dipole) ** 2
    assert mie.extinction_um2(small, 0.546, medium, metal) == pytest.approx(rayleigh, rel=0.02)
    large = np.array([8.0])
    assert mie.extinction_um2(large, 0.546, medium, metal)[0] / (np.pi * 64.0) == pytest.approx(2.0, abs=0.15)


def test_clear_spheres_scatter_as_van_de_hulst_says():
    """Anomalous diffraction, a theory without a series: good where the indices nearly agree."""
    radius = np.array([1.0, 2.0, 3.0])
    rho = 2.0 * (2.0 * np.pi * radius / 0.5) * 0.02
    expected = 2.0 - 4.0 / rho * np.sin(rho) + 4.0 / rho**2 * (1.0 - np.cos(rho))
    found = mie.extinction_um2(radius, 0.5, 1.0, 1.02 + 0.0j) / (np.pi * radius**2)
    assert found == pytest.approx(expected, rel=0.05)


@cache
def lens():
    return Spread(0.4, 0.546, 1.564)


def spot(defocus, row=100.3, column=99.6, size=201, scale=0.1725):
    canvas = np.zeros((size, size), dtype=np.float32)
    one = np.array([1.0])
    lens().stamp(canvas, one * row, one * column, one * defocus, one, scale)
    return canvas * scale**2


def test_a_point_in_focus_is_an_airy_pattern():
    h = spot(0.0, 100.0, 100.0)[100, 100:] / 0.1725**2
    r = np.arange(101) * 0.1725
    # Softly cut at the third dark ring, what lies beyond is given to the rest: 6 %.
    assert h[0] == pytest.approx(np.pi * (0.4 / 0.546) ** 2, rel=0.08)
    from scipy.special import j1

    v = 2.0 * np.pi * 0.4 / 0.546 * r[1:9]
    assert h[1:9] / h[0] == pytest.approx((2.0 * j1(v) / v) ** 2, abs=0.02)
    dark = round(0.61 * 0.546 / 0.4 / 0.1725)
    assert h[dark] < 0.005 * h[0]
    assert h[dark + 2] > h[dark]


@pytest.mark.parametrize("defocus", [0.0, 4.0, -17.0, 33.0])
def test_no_light_is_lost_out_of_focus_and_the_spot_stays_where_it_is(defocus):
    picture = spot(defocus)
    assert picture.sum() == pytest.approx(1.0, rel=0.02)
    rows, columns = np.indices(picture.shape)
    assert (rows * picture).sum() / picture.sum() == pytest.approx(100.3, abs=0.05)
    assert (columns * picture).sum() / picture.sum() == pytest.approx(99.6, abs=0.05)


def test_far_out_of_focus_a_spot_is_the_cone_of_light():
    for defocus in (20.0, 40.0):
        picture = spot(defocus)
        rows, columns = np.indices(picture.shape)
        square = ((rows - 100.3) ** 2 + (columns - 99.6) ** 2) * 0.1725**2
        # An even disc of radius R has a mean square of R^2 / 2; its tangent is that of the aperture's angle in salt.
        radius = np.sqrt(2.0 * (square * picture).sum() / picture.sum())
        assert radius == pytest.approx(defocus * np.tan(np.arcsin(0.4 / 1.564)), rel=0.1)


def test_what_is_too_far_out_of_focus_is_counted_into_the_veil_and_not_drawn():
    canvas = np.zeros((50, 50), dtype=np.float32)
    veil = lens().stamp(
        canvas, np.array([10.0, 10.0, 80.0]), np.array([10.0, 20.0, 10.0]), np.array([200.0, -200.0, 200.0]),
        np.array([0.5, 0.25, 1.0]), 0.2,
    )  # fmt: skip
    assert veil == 0.75
    assert not canvas.any()


# --- features -------------------------------------------------------------------------------------------------------


def hidden(seed=3, tier="clean", **changes):
    whole = departures.draw(tiers.tier(tier), Chance(seed))
    return replace(whole, microscope=replace(whole.microscope, **changes))


QUIET = {
    "crystal_dust": 0, "bubbles": 0, "scratches": 0, "steps": 0, "sensor_dust": 0, "hot_pixels": 0, "gain_pixel": 0.0,
    "uneven": 0.0, "vignetting": 0.0, "focus_error_um": 0.0, "focus_wander_um": 0.0, "stage_wander_um": 0.0,
    "lamp_ripple": 0.0, "lamp_relative": 1.0,
}  # fmt: skip


def test_loops_are_circles_on_the_planes_of_the_crystal():
    own = hidden().microscope
    points = Poisson().points(Chance(1), "loops", (200.0, 200.0, 60.0), 2e-5)
    radius = features.radii_um("loop", points, own)
    specks = features.loop_specks(points, radius, features.Optics(0.546, 1.564), own)
    arm = specks.place_um - points.place_um[specks.owner]
    assert np.linalg.norm(arm, axis=1) == pytest.approx(radius[specks.owner], rel=1e-9)
    normal = features.normals(points, own)
    assert np.abs((arm * normal[specks.owner]).sum(axis=1)).max() < 1e-9
    kinds = np.sort(np.abs(normal), axis=1)
    on_110 = np.isclose(kinds[:, 1], np.sqrt(0.5))
    on_100 = np.isclose(kinds[:, 2], 1.0)
    assert (on_110 ^ on_100).all()
    # 48 loops or so: a binomial share.
    assert on_110.mean() == pytest.approx(own.loop_110_share, abs=4.0 * np.sqrt(0.25 / len(radius)))


def test_a_loop_ends_at_the_faces_of_the_plate():
    """Loops as tall as the plate is thick, seen edge-on too: nothing dark can be brought into focus outside of it."""
    whole = hidden(**QUIET, loop_radius_um=10.0, loop_sigma_ln=0.1, loop_arrangement=0)
    optic = Microscope(whole, Chance(3), shape=(512, 640), thickness_um=8.0)
    peaks = [float(optic.attenuation(0.0, depth / optic.index, 0.0, 3e-4).max()) for depth in (4.0, -10.0, 18.0)]
    assert peaks[1] < 0.4 * peaks[0]
    assert peaks[2] < 0.4 * peaks[0]


def test_radii_are_log_normal_about_the_median_and_never_larger_than_a_point():
    own = hidden(tier="hostile").microscope
    points = Poisson().points(Chance(4), "sizes", (100.0, 100.0, 100.0), 4e-3)
    logs = np.log(features.radii_um("colloid", points, own) / own.colloid_radius_um)
    error = own.colloid_sigma_ln / np.sqrt(len(logs))
    assert np.median(logs) == pytest.approx(0.0, abs=5.0 * error)
    assert logs.std() == pytest.approx(own.colloid_sigma_ln, rel=0.05)
    assert features.radii_um("colloid", points, own).max() <= features.LARGEST_COLLOID_UM


@pytest.mark.parametrize("tier", tiers.TIERS)
def test_every_tier_draws_arrangements_of_all_three_kinds_that_make_pictures(tier):
    names = set()
    for seed in range(12):
        own = departures.draw(tiers.tier(tier), Chance(seed)).microscope
        names |= {features.arrangement_of(kind, own).name for kind in ("colloid", "loop")}
    assert names == {"Poisson", "Thomas", "hard core"}
    scope = Microscope(hidden(5, tier), Chance(5), shape=(128, 160))
    picture = scope.image(50.0, 0.01, 5.0, 2e-4, 2e-5, Chance(5).stream("noise"))
    assert picture.shape == (128, 160)
    assert picture.dtype == np.uint16
    assert 200 < np.median(picture) < 4000


def test_dirt_is_drawn_and_follows_the_focus():
    dirty = Microscope(hidden(6, "hostile", **{**QUIET, "crystal_dust": 12, "bubbles": 5, "scratches": 5, "steps": 4}),
                       Chance(6), shape=(512, 640))  # fmt: skip
    near, far = (dirty.attenuation(0.0, focus, 0.0, 0.0) for focus in (0.0, 25.0))
    assert near.max() > 0.2
    slope = [float(np.abs(np.diff(canvas, axis=0)).max()) for canvas in (near, far)]
    assert slope[0] > 1.5 * slope[1]
    clean = Microscope(hidden(6, **QUIET), Chance(6), shape=(512, 640))
    assert not clean.attenuation(0.0, 0.0, 0.0, 0.0).any()


# --- pictures -------------------------------------------------------------------------------------------------------


@cache
def scope(**changes):
    return Microscope(hidden(**{**QUIET, "colloid_arrangement": 0, **changes}), Chance(3), shape=(512, 640))


def noise(number=0):
    return Chance(77).stream("noise", number)


def test_every_resolvable_colloid_is_a_dark_spot_where_the_truth_says():
    optic = scope()
    canvas = optic.attenuation(0.0, 10.0, 3e-4, 0.0)
    sharp = [
        f for f in optic.truth(0.0, 0.01, 10.0, 3e-4, 0.0)
        if f.resolvable and abs(f.depth_um - optic.index * 10.0) < 2.0 and 9 < f.row_px < 502 and 9 < f.column_px < 630
    ]  # fmt: skip
    assert len(sharp) > 10
    for feature in sharp:
        row, column = round(feature.row_px), round(feature.column_px)
        around = canvas[row - 4 : row + 5, column - 4 : column + 5]
        top, left = np.unravel_index(np.argmax(around), (9, 9))
        assert np.hypot(row - 4 + top - feature.row_px, column - 4 + left - feature.column_px) < 0.9
        assert -np.expm1(-around.max()) == pytest.approx(feature.contrast, abs=0.04)


def test_a_colloid_is_sharpest_where_the_focus_stands_above_its_depth_by_the_refractive_index():
    optic = scope()
    told = optic.truth(0.0, 0.01, 10.0, 4e-5, 0.0)
    chosen = max(
        (f for f in told if 8.0 < f.depth_um < 50.0 and 40 < f.row_px < 470 and 40 < f.column_px < 600),
        key=lambda feature: feature.radius_um,
    )
    row, column = round(chosen.row_px), round(chosen.column_px)
    focus = np.arange(2.0, 40.0, 0.5)
    peak = [float(optic.attenuation(0.0, float(f), 4e-5, 0.0)[row, column]) for f in focus[::2]]
    best = float(focus[::2][int(np.argmax(peak))])
    assert best * optic.index == pytest.approx(chosen.depth_um, abs=1.5)
    assert optic.index == pytest.approx(1.564, abs=0.003)


def test_a_growing_sample_shows_the_same_places():
    optic = scope(loop_arrangement=2)
    before, after = (optic.truth(0.0, 0.01, 10.0, c, n) for c, n in ((5e-5, 2e-5), (1.5e-4, 5e-5)))
    places = {(f.kind, f.row_px, f.column_px, f.radius_um) for f in after}
    assert {(f.kind, f.row_px, f.column_px, f.radius_um) for f in before} <= places
    assert len(after) > 2 * len(before) > 20
    assert {f.kind for f in before} == {"colloid", "loop"}


def test_repeated_pictures_scatter_by_shot_and_read_noise():
    optic = scope(read_noise_e=12.0)
    stack = np.array([optic.image(0.0, 0.004, 10.0, 1e-4, 2e-5, noise(n)) for n in range(24)], dtype=np.float64)
    electrons = (stack.mean(axis=0) - image.BLACK_COUNTS) * image.E_PER_COUNT
    stated = (electrons + 12.0**2) / image.E_PER_COUNT**2 + 1.0 / 12.0
    # 24 pictures of 3e5 pixels: the mean ratio is known to 0.05 %.
    assert (stack.var(axis=0, ddof=1) / stated).mean() == pytest.approx(1.0, abs=0.005)
    # Also where a feature took light away; these are few.
    dark = electrons < 0.95 * np.median(electrons)
    assert dark.sum() > 300
    assert (stack.var(axis=0, ddof=1) / stated)[dark].mean() == pytest.approx(
        1.0, abs=4.0 * np.sqrt(2.0 / 23.0 / dark.sum())
    )


def test_a_dim_picture_has_true_poisson_numbers():
    optic = scope(read_noise_e=2.5)
    stack = np.array([optic.image(0.0, 2e-5, 10.0, 0.0, 0.0, noise(n)) for n in range(8)], dtype=np.float64)
    # 12 electrons: too few for a Gaussian, which would have no skewness.
    electrons = image.E_PER_COUNT * (stack - image.BLACK_COUNTS)
    assert electrons.mean() == pytest.approx(12.0, abs=0.1)
    assert electrons.var() == pytest.approx(12.0 + 2.5**2 + image.E_PER_COUNT**2 / 12.0, rel=0.02)
    third = ((electrons - electrons.mean()) ** 3).mean()
    assert third == pytest.approx(12.0, rel=0.15)


def test_successive_pictures_share_no_noise():
    optic = scope()
    mean = optic.camera.mean_e(optic.attenuation(0.0, 10.0, 1e-4, 1e-5), 0.01, 1.0) / image.E_PER_COUNT
    first, second = (optic.image(0.0, 0.01, 10.0, 1e-4, 1e-5, noise(n)) - mean for n in (1, 2))
    # 3e5 pixels: a standard deviation of 0.0018.
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(first[:, 1:].ravel(), first[:, :-1].ravel())[0, 1]) < 0.01


def test_a_long_exposure_saturates_and_a_hot_pixel_glows_in_the_dark():
    optic = scope(hot_pixels=20)
    bright = optic.image(0.0, 0.1, 10.0, 0.0, 0.0, noise())
    assert (bright == optic.camera.most_counts).mean() > 0.99
    dim = optic.image(0.0, 0.05, 10.0, 0.0, 0.0, noise(), optical_density=5.0)
    assert np.median(dim) == pytest.approx(image.BLACK_COUNTS, abs=1.0)
    assert 10 <= (dim > 200).sum() <= 20


def test_the_crystals_colour_takes_its_optical_density_away():
    optic = scope()
    clear, coloured = (optic.image(0.0, 0.01, 10.0, 0.0, 0.0, noise(), optical_density=d) for d in (0.0, 0.5))
    ratio = (coloured.mean() - image.BLACK_COUNTS) / (clear.mean() - image.BLACK_COUNTS)
    assert ratio == pytest.approx(10.0**-0.5, rel=0.005)


def test_the_stage_wanders_with_time_and_takes_the_whole_picture_along():
    optic = scope(stage_wander_um=3.0, focus_wander_um=2.0)
    places = [
        np.array([(f.row_px, f.column_px) for f in optic.truth(t, 0.01, 10.0, 1e-5, 0.0)][:3]) for t in (0.0, 900)
    ]
    moved = (places[1] - places[0]) * optic.true_um_per_px
    assert 0.05 < np.abs(moved).max() < 6.0
    assert np.ptp(moved, axis=0).max() < 1e-6


def test_the_scale_and_the_angle_of_the_picture_are_not_quite_the_calibrations():
    straight, other = scope(rotation_deg=0.0, magnification_relative=0.0), scope(
        rotation_deg=4.0, magnification_relative=0.02
    )  # fmt: skip
    for optic, scale, angle in ((straight, 1.0, 0.0), (other, 1.02, 4.0)):
        told = optic.truth(0.0, 0.01, 10.0, 5e-5, 0.0)
        first, last = told[0], told[-1]
        pixels = complex(last.column_px - first.column_px, last.row_px - first.row_px)
        um = complex(last.x_um - first.x_um, last.y_um - first.y_um)
        if angle == 0.0:
            # The middle of the picture shows the middle of the box; pixel (0, 0) has its centre at 0, 0.
            assert first.column_px == pytest.approx(first.x_um / optic.um_per_px + 319.5, abs=1e-6)
            assert first.row_px == pytest.approx(first.y_um / optic.um_per_px + 255.5, abs=1e-6)
        assert abs(um / pixels) == pytest.approx(scale * optic.um_per_px, rel=1e-9)
        assert np.degrees(np.angle(pixels / um)) == pytest.approx(angle, abs=1e-9)


def test_single_centres_and_few_nanometres_of_metal_are_never_seen():
    optic = scope(colloid_radius_um=0.012, colloid_sigma_ln=0.1)
    told = optic.truth(0.0, 0.015, 10.0, 5e-4, 0.0)
    assert len(told) > 100
    assert not any(feature.resolvable for feature in told)
    assert max(feature.contrast for feature in told) < 1e-3


def test_the_signal_that_is_told_is_what_a_matched_filter_finds_in_the_picture():
    optic = scope(colloid_radius_um=0.05, colloid_sigma_ln=0.1)
    told = optic.truth(0.0, 0.01, 10.0, 6e-5, 0.0)
    missing = 1.0 - np.exp(-optic.attenuation(0.0, 10.0, 6e-5, 0.0).astype(np.float64))
    electrons = float(np.median(optic.camera.field_e_per_s)) * 0.01
    noise = electrons + optic.camera.read_noise_e**2
    tested = 0
    for feature in told:
        row, column = round(feature.row_px), round(feature.column_px)
        # Alone, not at an edge, and within 6 um of the plane in focus, where a stamp of 25 pixels holds it.
        alone = sum(abs(f.row_px - row) < 40 and abs(f.column_px - column) < 40 for f in told) == 1
        near = abs(feature.depth_um - optic.index * 10.0) < 6.0
        if alone and near and 60 < row < 450 and 60 < column < 580:
            stamp = missing[row - 25 : row + 26, column - 25 : column + 26] * electrons
            assert np.sqrt((stamp**2).sum() / noise) == pytest.approx(feature.signal_to_noise, rel=0.1)
            tested += 1
    assert tested >= 3


def test_neighbours_nearer_than_rayleighs_distance_are_not_resolved():
    optic = scope()
    told = optic.truth(0.0, 0.01, 10.0, 1e-3, 0.0)
    clear = [f for f in told if f.signal_to_noise >= 5.0]
    place = np.array([(f.row_px, f.column_px) for f in clear]) * optic.true_um_per_px
    distance = cKDTree(place).query(place, k=2)[0][:, 1]
    close = distance < 0.61 * 0.546 / 0.4
    assert close.sum() > 5
    assert not any(f.resolvable for f, near in zip(clear, close, strict=True) if near)
    assert any(f.resolvable for f in clear)


def test_a_crowded_hard_core_crystal_takes_no_more_features():
    optic = scope(colloid_arrangement=2, colloid_core_um=6.0)
    full = optic.arrangements["colloid"].densest(3)
    assert optic.truth(0.0, 0.01, 10.0, full, 0.0) == optic.truth(0.0, 0.01, 10.0, 10.0 * full, 0.0)


def test_a_feature_is_told_in_plain_numbers():
    import json

    optic = scope()
    lines = [json.dumps(asdict(f), allow_nan=False) for f in optic.truth(0.0, 0.01, 10.0, 3e-5, 3e-5)]
    assert {json.loads(line)["kind"] for line in lines} == {"colloid", "loop"}


PROGRAM = """
import hashlib
from rocksalt.time import Chance
from rocksalt.twin import departures, tiers
from rocksalt.twin.microscope.instrument import Microscope
optic = Microscope(departures.draw(tiers.tier("hostile"), Chance(8)), Chance(8), shape=(256, 320))
for number in range(2):
    picture = optic.image(30.0, 0.01, 9.0, 1e-4, 2e-5, Chance(8).stream("noise", number))
    print(hashlib.sha256(picture.tobytes()).hexdigest())
"""


def test_the_same_seed_gives_the_same_picture_in_any_process():
    environment = {**os.environ, "PYTHONHASHSEED": "99"}
    elsewhere = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment, timeout=60
    ).stdout.split()
    optic = Microscope(departures.draw(tiers.tier("hostile"), Chance(8)), Chance(8), shape=(256, 320))
    here = []
    # Asked in another order, with other questions between.
    for number in (1, 0):
        optic.truth(0.0, 0.01, 3.0, 3e-4, 0.0)
        picture = optic.image(30.0, 0.01, 9.0, 1e-4, 2e-5, Chance(8).stream("noise", number))
        here.append(hashlib.sha256(picture.tobytes()).hexdigest())
    assert here[::-1] == elsewhere
    assert here[0] != here[1]


def test_what_no_microscope_can_do_is_refused():
    optic = scope()
    with pytest.raises(ValueError, match="exposure must be positive"):
        optic.image(0.0, 0.0, 10.0, 0.0, 0.0, noise())
    with pytest.raises(ValueError, match="finite and not negative"):
        optic.image(0.0, 0.01, 10.0, -1e-5, 0.0, noise())
    with pytest.raises(ValueError, match="KBr only"):
        Microscope(hidden(), Chance(1), salt="LiF")
    with pytest.raises(ValueError, match="aperture below 1"):
        Microscope(hidden(), Chance(1), aperture=1.3)
    with pytest.raises(ValueError, match="potassium is known"):
        mie.potassium_index(1.2)
