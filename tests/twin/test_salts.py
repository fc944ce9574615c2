"""Every salt of the table has a world: its phases, its lines hot and cold, its gigapascals, its stray structure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rocksalt.crystals import elasticity, eos, lattice_strain, structure, tables
from rocksalt.crystals.transition import TRANSITIONS
from rocksalt.time import Chance
from rocksalt.twin import departures, tiers
from rocksalt.twin.picture.geometry import departed, rays
from rocksalt.twin.sample.lattice import Lattice, departed_phase
from rocksalt.twin.sample.salt import salt

BOTH = [name for name in tables.SALTS if {(name, "B1"), (name, "B2")} <= tables.PHASES.keys() and name in TRANSITIONS]
ONE = [name for name in tables.SALTS if name not in BOTH]


def plain(seed=1):
    """Departures with every error of lattice and lines at nought."""
    drawn = departures.draw(tiers.tier("clean"), Chance(seed)).sample
    return replace(
        drawn, eos_common_gpa=0.0, eos_own_b1_gpa=0.0, eos_own_b2_gpa=0.0, k0p_b1=0.0, k0p_b2=0.0, eos_other_luck=1.0,
        line_intensity=0.0, debye_waller_a2=0.0, deviatoric_gpa=0.1, elastic_relative=0.0,
    )  # fmt: skip


@pytest.mark.parametrize("name", BOTH)
def test_a_salt_with_both_phases_transforms_where_it_was_drawn_and_comes_back(make, station, name):
    world = make(2, sample=name)
    low, high = world.salt.p50_gpa
    known = TRANSITIONS[name]
    assert low <= 0.75 * known.equilibrium_gpa
    assert high > known.forward_gpa[1]
    assert low < world.p50_gpa < high
    assert world.hidden.sample.p0_gpa == pytest.approx(
        departures.draw(tiers.tier("clean"), Chance(2)).sample.p0_gpa * known.equilibrium_gpa / 1.77
    )


def test_a_salt_that_transforms_at_thirty_gigapascals_does_so_in_a_cell_that_gets_there(make_with, tmp_path):
    world = make_with(0.4, 3, sample="NaCl")
    rate = 0.1 * world.salt.transition / 60.0 / (0.4 * world.hidden.cell.gain_relative)
    world.membrane.ramp(0.0, 140.0, rate)
    while world.transition_gpa[1] is None and world.now_s < 4000.0:
        world.advance(world.now_s + 60.0)
    onset, p50 = world.transition_gpa
    assert p50 == pytest.approx(world.p50_gpa, rel=0.03)
    assert 0.85 * p50 < onset < p50


@pytest.mark.parametrize("name", ONE)
def test_a_salt_with_one_phase_stays_what_it_is(make, name):
    world = make(2, sample=name)
    world.membrane.ramp(0.0, 140.0, 1.0)
    world.advance(400.0)
    pressure, transformed = world.state(400.0)
    assert pressure > 3.0
    only = world.salt.structures
    assert len(only) == 1
    assert world.fraction_b2(pressure, transformed) == (1.0 if only == ("B2",) else 0.0)
    assert world.transition_gpa == (None, None)
    with pytest.raises(ValueError, match="no B1 to B2 transition"):
        assert world.p50_gpa


@pytest.mark.parametrize("name", ["LiF", "CsI"])
def test_a_salt_with_one_phase_is_seen_where_its_lines_stand(make, name):
    world = make(2, sample=name)
    world.enclosure.request_shutter(0.0, True)
    image = world.camera.expose(1.0, 2.0)
    lattice = world.lattices[0]
    pressure, _ = world.state(1.0)
    strongest = int(np.argmax(lattice.powers(pressure, 298.0)))
    line = lattice.two_theta_deg(np.array([pressure]), 298.0)[0][strongest]
    angle = rays(departed(world.nominal, world.hidden)).two_theta_deg
    good = ~world.camera.mask & (image < 5000)
    on, beside = np.abs(angle - line) < 0.02, np.abs(np.abs(angle - line) - 0.4) < 0.05
    assert image[good & on].mean() > 1.3 * image[good & beside].mean()


def test_kbr_in_its_cell_is_what_the_tiers_say():
    kbr, hidden = salt("KBr", 0.055), departures.draw(tiers.tier("hostile"), Chance(4))
    assert kbr.p50_gpa == (1.3, 2.6)
    assert kbr.suited(hidden) == hidden


def test_a_stiffer_salt_has_the_same_strain_from_its_departures():
    hidden = departures.draw(tiers.tier("clean"), Chance(4))
    for name in tables.SALTS:
        one = salt(name, 0.055)
        row = tables.phase(name, one.structures[0])
        wide = replace(row, range_gpa=(0.0, 1.2 * one.anchor_gpa))
        modulus = eos.bulk_modulus_gpa(wide, eos.volume_a3(wide, one.anchor_gpa))
        kbr = tables.phase("KBr", "B1")
        assert one.suited(hidden).sample.deviatoric_gpa / modulus == pytest.approx(
            hidden.sample.deviatoric_gpa / eos.bulk_modulus_gpa(kbr, eos.volume_a3(kbr, 2.0)), rel=1e-6
        )


@pytest.mark.parametrize(("name", "form"), sorted(tables.PHASES))
def test_without_departures_cells_are_the_tables_hot_and_cold(name, form):
    known = tables.phase(name, form)
    low = max(known.range_gpa[0], 0.1)
    pressures = np.linspace(low, max(min(known.range_gpa[1], 1.2 * low + 12.0), 1.1 * low), 5)
    top = 1.5 * float(pressures[-1])
    lattice = Lattice(name, form, plain(), Chance(1), 0.4133, anchor_gpa=1.2 * low, top_gpa=top)
    for kelvin in (5.0, 13.7, 77.0, 211.3, 300.0, 450.0):
        expected = eos.volume_a3(replace(known, range_gpa=(0.0, top)), pressures, kelvin)
        found = [lattice.volume_a3(pressure, kelvin) for pressure in pressures.tolist()]
        assert found == pytest.approx(expected, rel=3e-6)


def test_lines_stand_and_shine_as_the_table_has_them_at_any_temperature():
    known = tables.phase("NaCl", "B1")
    lattice = Lattice("NaCl", "B1", plain(), Chance(1), 0.4133, two_theta_max_deg=19.0)
    for pressure, kelvin in ((0.5, 5.0), (0.5, 300.0), (4.0, 77.0), (4.0, 550.0)):
        a = eos.cell_angstrom(known, pressure, kelvin)
        lines = structure.lines(known, a, 0.4133, 19.0, kelvin)
        q = lattice_strain.singh_q(
            elasticity.constants_gpa(elasticity.elastic("NaCl", "B1"), pressure, kelvin), lines.hkl, 0.1, 0.5
        )
        expected = lines.d_angstrom * lattice_strain.axial_spacing_factor(q, lines.two_theta_deg)
        found = lattice.two_theta_deg(np.array([pressure]), kelvin)[0][: len(lines.labels)]
        assert 0.4133 / (2.0 * np.sin(np.radians(found) / 2.0)) == pytest.approx(expected, rel=3e-6)
        powers = lattice.powers(pressure, kelvin)[: len(lines.labels)]
        ratio = powers / (lines.intensity_per_volume / (np.sin(np.radians(lines.two_theta_deg) / 2.0) ** 2))
        assert ratio / ratio[0] == pytest.approx(1.0 / np.cos(np.radians(lines.two_theta_deg) / 2.0), rel=0.01)
    assert lattice.powers(1.0, 5.0)[-1] > 1.2 * lattice.powers(1.0, 300.0)[-1], "cold ions shake less"


def test_a_stand_in_has_its_relatives_ratios_and_its_own_stiffness():
    assert all((phase.salt, "B1") in elasticity.ELASTIC for phase in tables.PHASES.values() if phase.structure == "B1")
    own = Lattice("KBr", "B2", plain(), Chance(1), 0.4133)
    relative = elasticity.constants_gpa(elasticity.elastic("CsBr", "B2"))
    found = own.constants_gpa(3.0, 300.0)
    assert found / found[0] == pytest.approx(relative / relative[0], rel=1e-9)
    modulus = eos.bulk_modulus_gpa(tables.phase("KBr", "B2"), eos.volume_a3(tables.phase("KBr", "B2"), 3.0))
    assert found[0] == pytest.approx(relative[0] * modulus / tables.phase("CsBr", "B2").k0_gpa, rel=0.02)


def test_some_seeds_have_another_published_equation_of_state():
    known, hidden = tables.phase("NaCl", "B1"), departures.draw(tiers.tier("clean"), Chance(1)).sample
    chosen = [
        departed_phase(known, replace(hidden, eos_other_luck=luck, eos_other_share=0.25), 30.0, 60.0).scale
        for luck in (0.0, 0.2, 0.25, 0.9)
    ]
    assert chosen == ["Matsui 2012", "Decker 1971", "Cu, Shen-Smith 2026", "Cu, Shen-Smith 2026"]
    kbr = tables.phase("KBr", "B1")
    assert departed_phase(kbr, replace(hidden, eos_other_luck=0.0), 2.0, 20.0).scale == kbr.scale


def test_a_shift_moves_the_pressure_at_the_anchor_by_what_was_drawn():
    for key, anchor in ((("NaF", "B1"), 5.0), (("KBr", "B2"), 2.0), (("RbCl", "B1"), 0.5)):
        known = tables.phase(*key)
        hidden = replace(plain(), eos_common_gpa=0.02, k0p_b1=0.1, k0p_b2=0.1)
        volume = eos.volume_a3(replace(known, range_gpa=(0.0, 20.0)), anchor)
        moved = departed_phase(known, hidden, anchor, 20.0)
        assert eos.pressure_gpa(moved, volume) - anchor == pytest.approx(hidden.eos_error_gpa(key[1]), abs=1e-9)


def test_stray_lines_come_and_go_with_the_change_in_the_salts_that_show_them(make):
    kcl, kbr = make(3, sample="KCl"), make(3)
    half = np.full(31, 0.5)
    most = kcl.hidden.sample.stray_share
    assert kcl.stray_share(2.0, half) == pytest.approx(most, rel=0.1)
    assert kcl.stray_share(2.0, np.zeros(31)) == kcl.stray_share(2.0, np.ones(31)) == 0.0
    assert 0.0 < kcl.stray_share(2.0, np.repeat([0.0, 0.5, 1.0], [15, 1, 15])) < most / 10.0
    assert kbr.stray_share(2.0, half) == 0.0
    assert make(3, sample="KCl", transition="none").stray_share(2.0, half) == 0.0


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"gpa_per_bar": float("nan")}, "gpa_per_bar = nan"),
        ({"gpa_per_bar": 0.0}, "0.0001 to 10"),
        ({"flux_ph_per_s": -1.0}, "flux_ph_per_s = -1"),
        ({"size_m": (0.0, 1e-5)}, "two finite numbers above 0"),
        ({"polarisation": 2.0}, "-1 to 1"),
        ({"thickness_m": float("inf")}, "thickness_um = inf"),
    ],
)
def test_a_world_of_absurd_numbers_is_refused(make, what, says):
    from rocksalt.twin.world import World

    with pytest.raises(ValueError, match=says):
        World("KBr", tiers.tier("clean"), 1, nominal=make(1).nominal, **what)


def test_a_glimpse_tells_what_frozen_medium_load_and_drift_do(make):
    world = make(3, sample="KCl", medium="none")
    world.enclosure.request_shutter(0.0, True)
    world.membrane.ramp(0.0, 100.0, 0.3)
    while world.transition_gpa[1] is None:
        world.advance(world.now_s + 0.5)
    seen = world.glimpses(world.now_s - 0.5, world.now_s)[-1]
    assert 0.0 < seen.stray < world.hidden.sample.stray_share
    assert seen.gradient == pytest.approx(world.hidden.cell.solid_gradient)
    assert seen.deviatoric_gpa == world.hidden.sample.deviatoric_gpa * world.hidden.cell.solid_stress
    assert seen.thickness_um == pytest.approx(world.thickness_um(world.now_s), rel=1e-3)
    assert 0.99 < seen.hit <= 1.0
