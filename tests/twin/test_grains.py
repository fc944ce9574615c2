"""Rings of grains: how coarse they are, how spots stand off the circle, and what other phases add to the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rocksalt.crystals import eos, structure, tables
from rocksalt.twin.picture import grains
from rocksalt.twin.picture.geometry import rays
from rocksalt.twin.picture.render import Glimpse, Renderer
from rocksalt.twin.picture.stray import Stray
from rocksalt.twin.sample import transformation
from rocksalt.twin.sample.lattice import Reflection

EVEN = np.ones(grains.AZIMUTH_BINS)


def ring(grains_per_deg, strain=5e-4, mosaic_deg=0.4, seed=0):
    return grains.Ring(np.random.default_rng(seed), grains_per_deg, 0.6, mosaic_deg, EVEN, strain)


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_a_ring_is_as_bright_as_its_phase_is_big(share):
    means = [ring(20.0, seed=seed).around(share).mean() for seed in range(20)]
    assert np.mean(means) == pytest.approx(share, rel=0.02)


def test_fewer_grains_make_a_spottier_ring():
    def relative(around):
        return around.std() / around.mean()

    rough = [relative(ring(per_deg).around(1.0)) for per_deg in (0.5, 5.0, 50.0)]
    assert rough[0] > 2.0 * rough[1] > 4.0 * rough[2]
    assert relative(ring(5.0).around(0.1)) > 1.5 * relative(ring(5.0).around(1.0))


def test_grains_that_have_appeared_stay_as_more_appear():
    one = ring(2.0)
    few, more = one.around(3.0 / grains.GENERATIONS), one.around(7.0 / grains.GENERATIONS)
    assert (more >= few - 1e-15).all()
    assert more.mean() > few.mean()


@pytest.mark.parametrize("grains_per_deg", [0.3, 3.0, 30.0, 300.0])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_the_strain_of_all_grains_is_what_moves_spots_and_what_widens_them(grains_per_deg, share):
    found = ring(grains_per_deg).strained(share)
    along = np.average(found.strain**2, weights=found.intensity)
    assert along + found.scatter**2 == pytest.approx((5e-4) ** 2, rel=1e-9) or found.scatter == 0.0
    assert np.array_equal(found.intensity, ring(grains_per_deg).around(share))


def test_coarse_grains_move_their_spots_and_fine_ones_widen_the_ring():
    coarse, fine = ring(0.3).strained(1.0), ring(300.0).strained(1.0)
    assert np.average(coarse.strain**2, weights=coarse.intensity) > 0.5 * (5e-4) ** 2
    assert fine.scatter > 0.97 * 5e-4
    assert np.abs(np.average(fine.strain, weights=fine.intensity)) < 2e-5


def test_a_spot_moves_as_a_whole_and_its_neighbours_on_their_own():
    """Within the mosaic's width of 2 degrees strains agree, ten degrees on they have nothing to do with each other."""
    strain = ring(2.0, mosaic_deg=2.0).strained(1.0).strain

    def likeness(degrees):
        return float(np.corrcoef(strain, np.roll(strain, round(degrees / grains.BIN_DEG)))[0, 1])

    assert likeness(0.5) > 0.8
    assert abs(likeness(10.0)) < 0.3


def test_without_strain_nothing_moves():
    found = ring(1.0, strain=0.0).strained(1.0)
    assert not found.strain.any()
    assert found.scatter == 0.0


@pytest.fixture(scope="module")
def world(make):
    return make(3)


@pytest.fixture(scope="module")
def draw(world):
    """draw(lattices=None, **departures of the sample) -> Renderer, otherwise as the world would make it."""
    shares = transformation.spread(0.01, 0.0, 0.05)
    as_the_world = world._make_renderer.keywords

    def drawn(lattices=None, *, salt="KBr", **sample):
        hidden = replace(world.hidden, sample=replace(world.hidden.sample, **sample))
        phases = lattices or world.renderer.lattices
        told = {**as_the_world, "salt": salt}
        return Renderer(world.nominal, hidden, phases, shares, 0.98, 30.0, world.chance, **told)

    return drawn


def glimpse(pressure_gpa=1.0, share=0.0, light_s=1.0, stray=0.0):
    transformed = np.clip(share * transformation.BINS - np.arange(transformation.BINS)[::-1], 0.0, 1.0)
    return Glimpse(light_s, pressure_gpa, transformed, share, 300.0, stray)


def rings(renderer, *seen):
    """Mean counts of the sample's rings alone, (rows * columns,): what a sample of no thickness lacks."""
    bare = [replace(one, thickness_um=0.0) for one in seen]
    return renderer.expected(seen, 0.0) - renderer.expected(bare, 0.0)


def spot_angles(renderer, line, pressure_gpa=1.0):
    """Centre of one B1 ring in sectors of a degree, where it is bright enough, in degrees of two theta."""
    where = rays(renderer.geometry)
    angle = renderer.lattices[0].two_theta_deg(np.array([pressure_gpa]), 300.0)[0][line]
    alone = rings(renderer, glimpse(pressure_gpa, light_s=1e3))
    alone = alone / np.where(renderer.sensor.gain.ravel() > 0.0, renderer.sensor.gain.ravel(), np.inf)
    near = (np.abs(where.two_theta_deg - angle) < 0.06).ravel() & ~renderer.mask.ravel()
    sector = np.floor(np.degrees(where.azimuth_rad.ravel()[near])).astype(int)
    sector -= sector.min()
    light, two_theta = np.maximum(alone[near], 0.0), where.two_theta_deg.ravel()[near]
    total = np.bincount(sector, light)
    centres = np.bincount(sector, light * two_theta) / np.where(total > 0.0, total, np.inf)
    return centres[(np.bincount(sector) > 35) & (total > 0.2 * np.median(total))], float(angle)


def test_spots_of_strained_grains_stand_off_their_circle(draw):
    scatter = []
    for strain in (0.0, 4e-4, 1e-3):
        centres, angle = spot_angles(draw(grains_per_deg=1.0, grain_strain=strain, mosaic_deg=0.5), 1)
        scatter.append(centres.std())
        assert centres.mean() == pytest.approx(angle, abs=0.003)
    expected = 2.0 * np.degrees(np.tan(np.radians(angle / 2.0))) * 1e-3
    assert scatter[0] < 0.25 * expected  # pixels are coarse
    assert scatter[1] == pytest.approx(0.4 * expected, rel=0.6)
    assert 0.35 * expected < scatter[2] < 1.2 * expected
    assert scatter[2] > 1.7 * scatter[1]


def test_what_is_expected_is_linear_in_light(world):
    renderer = world.renderer
    dark, once, thrice = (renderer.expected([glimpse(1.3, 0.4, light)], 2.0) for light in (0.0, 1.0, 3.0))
    assert np.allclose(thrice - dark, 3.0 * (once - dark), rtol=1e-4, atol=1e-3)
    assert (once >= dark).all()
    assert not once[renderer.mask.ravel()].any()


@pytest.mark.parametrize("share", [0.0, 0.37, 1.0])
def test_an_exposure_shows_the_sum_of_what_it_saw(world, share):
    """The glimpses of a move are drawn together; one by one they come to the same."""
    seen = [glimpse(1.7 + 0.004 * step, share, 200.0 + 100.0 * step) for step in range(5)]
    apart = sum(rings(world.renderer, one) for one in seen)
    assert np.allclose(rings(world.renderer, *seen), apart, rtol=2e-3, atol=2e-3 * np.percentile(apart, 99.0))


def test_an_exposure_shows_the_sum_of_what_it_saw_while_the_sample_transforms(world):
    seen = [glimpse(1.8, share, 1e3) for share in (0.1, 0.11, 0.125, 0.6, 0.62, 0.64, 1.0)]
    apart, together = sum(rings(world.renderer, one) for one in seen), rings(world.renderer, *seen)
    # Close fractions share their grains: a few hundredths of what is there, and the whole is the same.
    assert np.abs(together - apart).sum() < 0.03 * apart.sum()
    assert together.sum() == pytest.approx(apart.sum(), rel=1e-3)


def test_a_sample_of_one_phase_is_that_phase_whatever_the_fraction(draw, world):
    for lattice in world.renderer.lattices:
        alone = draw((lattice,))
        assert np.array_equal(alone.expected([glimpse(share=0.0)], 1.0), alone.expected([glimpse(share=1.0)], 1.0))
    b1, both = draw((world.renderer.lattices[0],)), draw()
    assert np.allclose(b1.expected([glimpse(share=0.3)], 1.0), both.expected([glimpse(share=0.0)], 1.0), rtol=1e-6)


class Tabulated:
    """A phase straight from the tables, with nothing hidden, as the renderer needs one."""

    def __init__(self, salt, name, angstrom):
        self.name, self._phase, self._angstrom = name, tables.phase(salt, name), angstrom
        edge = eos.cell_angstrom(self._phase, 2.0)
        self._lines = structure.lines(self._phase, edge, angstrom, 16.0)
        self._edge_over_d = edge / self._lines.d_angstrom
        self.reflections = tuple(
            Reflection(tuple(hkl), sum(i * i for i in hkl), int(count))
            for hkl, count in zip(self._lines.hkl.tolist(), self._lines.multiplicity, strict=True)
        )

    def volume_a3(self, pressure_gpa, temperature_k):
        return float(eos.volume_a3(self._phase, pressure_gpa))

    def two_theta_deg(self, pressures_gpa, temperature_k, deviatoric_gpa=None):
        edges = np.cbrt([self.volume_a3(pressure, temperature_k) for pressure in pressures_gpa])[:, None]
        return 2.0 * np.degrees(np.arcsin(self._angstrom * self._edge_over_d / (2.0 * edges)))

    def powers(self, pressure_gpa, temperature_k):
        sine = self._angstrom / (2.0 * self._lines.d_angstrom)
        return self._lines.intensity_per_volume / (sine**2 * np.sqrt(1.0 - sine**2))


def test_the_stray_intermediate_of_kcl_shows_its_lines_and_takes_from_the_others(world, draw):
    angstrom = world.renderer.geometry.wavelength_angstrom
    lattices = tuple(Tabulated("KCl", name, angstrom) for name in ("B1", "B2"))
    renderer = draw(lattices, salt="KCl")
    without, faint = (renderer.expected([glimpse(2.0, 0.3, stray=part)], 1.0) for part in (0.0, 0.1))
    change = (faint - without).reshape(world.nominal.shape)
    where = rays(renderer.geometry).two_theta_deg
    # B33 (111) of the cell that goes with KCl at 2 GPa: a, b, c = 0.665, 1.88, 0.7625 of the B1 edge.
    edge = eos.cell_angstrom(tables.phase("KCl", "B1"), 2.0)
    inverse = np.sqrt(0.665**-2 + 1.88**-2 + 0.7625**-2) / edge
    peak = 2.0 * np.degrees(np.arcsin(angstrom * inverse / 2.0))
    near = (np.abs(where - peak) < 0.01) & ~renderer.mask
    beside = (np.abs(np.abs(where - peak) - 0.15) < 0.02) & ~renderer.mask
    assert change[near].mean() > 10.0 * abs(change[beside].mean()) > 0.0
    for lattice, number in ((lattices[0], 1), (lattices[1], 1)):
        angle = lattice.two_theta_deg(np.array([2.0]), 300.0)[0][number]
        assert change[(np.abs(where - angle) < 0.01) & ~renderer.mask].mean() < 0.0


def test_there_is_no_stray_intermediate_of_kbr(world):
    with pytest.raises(ValueError, match="B33 was not seen in KBr"):
        Stray("KBr", world.renderer.lattices[0], world.hidden.sample, world.chance, 0.4133)
    plain, strayed = (world.renderer.expected([glimpse(1.8, 0.5, stray=part)], 1.0) for part in (0.0, 0.1))
    assert np.array_equal(plain, strayed)


def test_a_thinner_sample_and_a_beam_on_the_gaskets_rim_diffract_less(world):
    whole = rings(world.renderer, replace(glimpse(light_s=1e3), thickness_um=30.0))
    assert whole.max() > 0.0
    for less in ({"thickness_um": 15.0}, {"thickness_um": 30.0, "hit": 0.5}):
        half = rings(world.renderer, replace(glimpse(light_s=1e3), **less))
        assert np.allclose(half, 0.5 * whole, rtol=1e-3, atol=1e-4 * whole.max())


def test_a_wider_spread_of_pressures_widens_the_rings(draw, world):
    lattice = world.renderer.lattices[0]
    alone = draw((lattice, lattice))  # as a world hands in a salt of one phase
    angle = lattice.two_theta_deg(np.array([1.0]), 300.0)[0][1]
    ring = (np.abs(rays(alone.geometry).two_theta_deg - angle) < 0.008).ravel() & ~alone.mask.ravel()
    narrow, wide = (rings(alone, replace(glimpse(light_s=1e3), gradient=by))[ring].mean() for by in (0.0, 20.0))
    assert narrow > 1.1 * wide > 0.0
