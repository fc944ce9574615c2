"""The forward model obeys Bragg, keeps areas, and does nothing where it's told to do nothing.

Everything is compared with a sum or a formula written here, not with the model's own parts.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.crystals.eos import bulk_modulus_gpa
from rocksalt.crystals.structure import lines, lorentz_polarisation_powder
from rocksalt.crystals.tables import phase
from rocksalt.diffraction.forward.cif import crystal_from_cif, lines_from_cif
from rocksalt.diffraction.forward.errors import ForwardError
from rocksalt.diffraction.forward.fast import Evaluator
from rocksalt.diffraction.forward.instrument import Continuum, Emission, Instrument
from rocksalt.diffraction.forward.pattern import Powder, pattern, shapes_of
from rocksalt.diffraction.forward.profile import mix, pseudo_voigt
from rocksalt.diffraction.forward.strain import Deviatoric, Stiffness
from rocksalt.diffraction.forward.texture import cubic_cos2, march_dollase
from rocksalt.values import FloatArray

CU = 1.540598
GAUSS_LEGENDRE = np.polynomial.legendre.leggauss(400)
TUBE = Instrument(emissions=(Emission(CU),), w=1e-3)
SYNCHROTRON = Instrument(emissions=(Emission(0.4133),), geometry="ring", w=1e-3)
NACL = Powder(crystal=phase("NaCl", "B1"), a_angstrom=5.64)
KBR = (
    Powder(crystal=phase("KBr", "B1"), a_angstrom=6.35, microstrain=1e-3, size_angstrom=900.0),
    Powder(crystal=phase("KBr", "B2"), a_angstrom=3.80, pressure_spread_gpa=0.1),
)
ROCK_SALT_CIF = """data_NaCl
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_type_symbol
_atom_type_oxidation_number
Na1+ 1
Cl1- -1
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_U_iso_or_equiv
Na Na1+ 0 0 0 {na:.8f}
Cl Cl1- 0.5 0.5 0.5 {cl:.8f}
"""


def around(centre: float, half: float, points: int = 4001) -> FloatArray:
    return np.linspace(centre - half, centre + half, points)


@pytest.mark.parametrize(("norm", "label"), [(3, "111"), (4, "200"), (8, "220"), (16, "400")])
def test_a_line_stands_where_bragg_puts_it(norm: int, label: str) -> None:
    expected = 2.0 * np.degrees(np.arcsin(CU * np.sqrt(norm) / (2.0 * 5.64)))
    x = around(expected, 0.5)
    assert x[np.argmax(pattern(x, [NACL], TUBE))] == pytest.approx(expected, abs=3e-4), label


def test_areas_are_structure_factors_times_lorentz_and_polarisation() -> None:
    for line, row in enumerate(lines(phase("NaCl", "B1"), 5.64, CU, 60.0).two_theta_deg):
        listed = lines(phase("NaCl", "B1"), 5.64, CU, 60.0)
        x = around(float(row), 0.6)
        area = np.trapezoid(pattern(x, [NACL], TUBE), x)
        expected = listed.intensity_per_volume[line] * lorentz_polarisation_powder(row)
        assert area == pytest.approx(float(expected), rel=5e-3)


@given(st.floats(0.0, 0.3), st.floats(0.0, 0.3))
def test_a_profile_has_unit_area(gauss: float, lorentz: float) -> None:
    gauss += 0.01
    fwhm, mixing = mix(np.array([gauss]), np.array([lorentz]))
    x = float(fwhm[0]) * np.sinh(np.linspace(-12.0, 12.0, 8001))
    y = pseudo_voigt(x, np.zeros(1), fwhm, mixing)[0]
    assert np.trapezoid(y, x) == pytest.approx(1.0, abs=1e-4)


def test_thompson_cox_hastings_leaves_pure_shapes_alone() -> None:
    fwhm, mixing = mix(np.array([0.1, 0.0]), np.array([0.0, 0.1]))
    np.testing.assert_allclose(fwhm, 0.1, rtol=1e-12)
    np.testing.assert_allclose(mixing, [0.0, 1.0], atol=1e-12)


@given(st.floats(0.1, 5.0))
def test_march_dollase_is_one_on_average_over_the_sphere(r: float) -> None:
    nodes, weights = GAUSS_LEGENDRE
    assert 0.5 * weights @ march_dollase(nodes**2, r) == pytest.approx(1.0, abs=1e-6)


def test_without_texture_march_dollase_does_nothing() -> None:
    assert (march_dollase(np.linspace(0.0, 1.0, 7), 1.0) == 1.0).all()


def test_texture_weighs_the_poles_of_a_family_by_their_number() -> None:
    r = 0.6
    cos2, share = cubic_cos2((2, 0, 0), (1, 0, 0))
    # Of six poles two lie along the axis and four across it.
    by_hand = (2.0 * r**-3 + 4.0 * r**1.5) / 6.0
    assert march_dollase(cos2, r) @ share == pytest.approx(by_hand, rel=1e-12)


def test_k_alpha2_has_its_share_of_the_area_and_its_place() -> None:
    two = replace(TUBE, emissions=(Emission(CU), Emission(1.544426, 0.5)))
    x = np.linspace(118.0, 122.0, 8001)
    alone, both = pattern(x, [NACL], TUBE), pattern(x, [NACL], two)
    second = both - alone
    where = 2.0 * np.degrees(np.arcsin(1.544426 * np.sqrt(40) / (2.0 * 5.64)))
    assert x[np.argmax(second)] == pytest.approx(where, abs=1e-3)
    assert np.trapezoid(second, x) / np.trapezoid(alone, x) == pytest.approx(0.5, rel=0.02)


def test_white_radiation_makes_a_step_where_the_edge_is_diffracted() -> None:
    filtered = replace(TUBE, continuum=Continuum(0.5))
    x = np.linspace(29.0, 31.5, 2001)
    trail = pattern(x, [NACL], filtered) - pattern(x, [NACL], TUBE)
    edge = 2.0 * np.degrees(np.arcsin(1.48814 / 5.64))
    assert x[np.argmax(np.gradient(trail, x))] == pytest.approx(edge, abs=0.02)


def test_heat_weakens_far_lines_more_than_near_ones() -> None:
    near, far = around(31.7, 0.4), around(119.4, 0.6)
    hot = replace(NACL, temperature_k=500.0)
    ratios = [pattern(x, [hot], TUBE).max() / pattern(x, [NACL], TUBE).max() for x in (near, far)]
    assert ratios[1] < ratios[0] < 1.0


def test_singh_shifts_hundred_and_hundred_eleven_apart_as_the_stiffness_says() -> None:
    salt = Stiffness(49.67, 13.18, 12.78)
    # Notes on NaCl at t = 0.1 GPa, alpha 1: Q of 200, 220 and 111 is 9.1, 12.0 and 13.0 times 1e-4.
    q = 0.1 * Deviatoric(0.1, salt).q_per_gpa(phase("NaCl", "B1"), 5.64, 300.0, [[2, 0, 0], [2, 2, 0], [1, 1, 1]])
    np.testing.assert_allclose(q * 1e4, [9.1, 12.0, 13.0], atol=0.07)
    stressed = replace(NACL, deviatoric=Deviatoric(0.1, salt))
    d = 5.64 / 2.0
    theta = np.arcsin(0.4133 / (2.0 * d))
    moved = d * (1.0 + (1.0 - 3.0 * np.sin(theta) ** 2) * q[0])
    _, _, shape = shapes_of(stressed, SYNCHROTRON, 0, 20.0)
    assert shape.true_deg[1] == pytest.approx(2.0 * np.degrees(np.arcsin(0.4133 / (2.0 * moved))), abs=1e-7)


def test_a_spread_of_pressure_widens_by_the_stiffness() -> None:
    spread = replace(NACL, pressure_spread_gpa=0.2)
    _, _, narrow = shapes_of(NACL, SYNCHROTRON, 0, 20.0)
    _, _, wide = shapes_of(spread, SYNCHROTRON, 0, 20.0)
    strain = 0.2 / (3.0 * bulk_modulus_gpa(phase("NaCl", "B1"), 5.64**3))
    extra = np.degrees(2.0 * np.tan(np.radians(narrow.true_deg) / 2.0) * strain)
    np.testing.assert_allclose(wide.fwhm_deg**2 - narrow.fwhm_deg**2, extra**2, rtol=1e-6)


def test_absorption_has_its_limits() -> None:
    angles = np.array([10.0, 40.0])
    thick, thin = replace(TUBE, plate_mu_t=np.inf), replace(SYNCHROTRON, plate_mu_t=0.0)
    np.testing.assert_allclose(thick.absorption(angles), 1.0)
    np.testing.assert_allclose(thin.absorption(angles), 1.0)
    depth = np.linspace(0.0, 1.0, 20001)
    through = np.exp(-2.0 * (depth + (1.0 - depth) / np.cos(np.radians(40.0))))
    seen = replace(SYNCHROTRON, plate_mu_t=2.0).absorption(angles)[1]
    assert seen == pytest.approx(np.trapezoid(through, depth), rel=1e-6)


@given(
    shift=st.floats(-0.035, 0.035), strain=st.floats(0.0, 5e-3), r=st.floats(0.3, 2.0), t=st.floats(-0.3, 0.3)
)  # fmt: skip
def test_the_fast_way_equals_the_slow_one(shift: float, strain: float, r: float, t: float) -> None:
    cells = np.array([6.35, 3.80]) * (1.0 + shift)
    found = FAST(a_angstrom=cells, microstrain=np.full(2, strain), march_r=np.full(2, r), t_gpa=np.full(2, t))
    slow = pattern(
        GRID,
        [
            replace(powder, a_angstrom=float(a), microstrain=strain, march_r=r, deviatoric=replace(STRESS, t_gpa=t))
            for powder, a in zip(KBR, cells, strict=True)
        ],
        SYNCHROTRON,
        [5.0, 1.0],
    )
    assert np.abs(found - slow).max() <= 1e-6 * slow.max()


GRID = np.linspace(5.0, 25.0, 500)
STRESS = Deviatoric(0.1, Stiffness(33.7, 6.1, 5.1))
FAST = Evaluator(GRID, [replace(powder, deviatoric=STRESS) for powder in KBR], SYNCHROTRON, [5.0, 1.0])


def test_a_batch_is_its_patterns_one_by_one() -> None:
    cells = np.array([6.35, 3.80]) * np.linspace(0.97, 1.03, 130)[:, None]
    batch = FAST(a_angstrom=cells)
    assert batch.shape == (130, GRID.size)
    for i in (0, 64, 129):
        one = FAST(a_angstrom=cells[i])
        np.testing.assert_allclose(batch[i], one, rtol=1e-9)


def test_a_cif_of_rock_salt_has_the_lines_of_the_table(tmp_path: Path) -> None:
    salt = phase("NaCl", "B1")
    listed = lines(salt, 5.64, CU, 130.0)
    path = tmp_path / "salt.cif"
    from rocksalt.crystals.structure import debye_waller_b_a2

    na, cl = (b / (8.0 * np.pi**2) for b in debye_waller_b_a2(salt, 5.64**3))
    path.write_text(ROCK_SALT_CIF.format(na=na, cl=cl))
    found = lines_from_cif(path, CU, 130.0)
    np.testing.assert_array_equal(found.multiplicity, listed.multiplicity)
    np.testing.assert_allclose(found.two_theta_deg, listed.two_theta_deg, atol=1e-9)
    np.testing.assert_allclose(found.f2, listed.f2, rtol=1e-3)
    x = np.linspace(25.0, 60.0, 3000)
    textured = replace(NACL, march_r=0.6)
    same = pattern(x, [Powder(crystal=crystal_from_cif(path), march_r=0.6)], TUBE)
    np.testing.assert_allclose(same, pattern(x, [textured], TUBE), rtol=2e-3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Emission(0.0), "0.05 to 5"),
        (lambda: Emission(float("nan")), "nan"),
        (lambda: replace(NACL, microstrain=-1e-4), "0 to 0.1"),
        (lambda: replace(NACL, scale=float("nan")), "volume"),
        (lambda: replace(NACL, a_angstrom=float("nan")), "edge"),
        (lambda: replace(NACL, march_r=0.0), "single crystal"),
        (lambda: replace(NACL, march_axis=(0, 0, 0)), "axis"),
        (lambda: Stiffness(10.0, 12.0, 5.0), "Born"),
        (lambda: pattern(np.array([10.0, np.nan]), [NACL], TUBE), "NaN"),
        (lambda: pattern(around(60.0, 5.0), [NACL], replace(TUBE, v=-0.01)), "Caglioti"),
        (lambda: pattern(around(60.0, 5.0), [NACL], replace(TUBE, w=0.0)), "no width"),
        (lambda: pattern(around(60.0, 5.0), [NACL], TUBE, [float("inf")]), "background"),
        (lambda: FAST(a_angstrom=np.array([6.9, 3.8])), "4 %"),
        (lambda: FAST(microstrain=np.array([-1e-3, 0.0])), "0 to 0.1"),
    ],
)
def test_what_makes_no_pattern_is_refused_with_its_range(make: object, says: str) -> None:
    with pytest.raises(ForwardError, match=says):
        make()  # type: ignore[operator]
