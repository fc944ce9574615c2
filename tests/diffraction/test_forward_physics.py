"""The parts of the forward model, each against a formula or a sum that is written out here.

Singh's stress, Stephens' strain, polarisation, absorption, edges and axial divergence; and what is refused.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.crystals.elasticity import constants_gpa, elastic
from rocksalt.crystals.eos import cell_angstrom
from rocksalt.crystals.lattice_strain import axial_spacing_factor, singh_q
from rocksalt.crystals.structure import lines
from rocksalt.crystals.tables import phase
from rocksalt.diffraction.forward.errors import ForwardError
from rocksalt.diffraction.forward.fast import Evaluator
from rocksalt.diffraction.forward.instrument import Continuum, Emission, Instrument
from rocksalt.diffraction.forward.pattern import Powder, pattern, shapes_of
from rocksalt.diffraction.forward.strain import Deviatoric, Stiffness, stephens, strain_of_gamma
from rocksalt.values import FloatArray

CU, SHORT = 1.540598, 0.4133
TUBE = Instrument(emissions=(Emission(CU),), w=1e-3)
RING = Instrument(emissions=(Emission(SHORT),), geometry="ring", w=1e-3)
NACL = Powder(crystal=phase("NaCl", "B1"), a_angstrom=5.5)
SOFT = Stiffness(33.7, 6.1, 5.1)


def area(x: FloatArray, instrument: Instrument, powder: Powder = NACL) -> float:
    return float(np.trapezoid(pattern(x, [powder], instrument), x))


def around(degrees: float, half: float) -> FloatArray:
    return np.linspace(degrees - half, degrees + half, 6001)


# --- stress and strain


def test_stress_takes_the_constants_of_the_table_at_the_pressure_of_the_cell() -> None:
    salt = phase("NaCl", "B1")
    a = float(cell_angstrom(salt, 4.0, 250.0))
    powder = Powder(crystal=salt, a_angstrom=a, temperature_k=250.0, deviatoric=Deviatoric(0.2, alpha=0.7))
    families, _, moved = shapes_of(powder, RING, 0, 25.0)
    _, _, still = shapes_of(replace(powder, deviatoric=None), RING, 0, 25.0)
    q = singh_q(constants_gpa(elastic("NaCl", "B1"), 4.0, 250.0), families.hkl, 0.2, 0.7)
    ratio = np.sin(np.radians(still.true_deg / 2.0)) / np.sin(np.radians(moved.true_deg / 2.0))
    np.testing.assert_allclose(ratio, axial_spacing_factor(q, still.true_deg), rtol=1e-9)


@pytest.mark.parametrize(
    ("salt", "structure", "a", "says"),
    [
        ("KBr", "B2", 3.80, "no elastic constants of KBr B2.*Stiffness of your own"),
        ("NaCl", "B1", 5.0, "NaCl B1: .* GPa is outside -1 to 11.75 GPa.*Stiffness of your own"),
        ("CsBr", "B2", 4.2, "zero pressure only.*Stiffness of your own"),
    ],
)
def test_where_the_table_has_no_constants_the_error_says_so(salt: str, structure: str, a: float, says: str) -> None:
    powder = Powder(crystal=phase(salt, structure), a_angstrom=a, deviatoric=Deviatoric(0.1))
    with pytest.raises(ForwardError, match=says):
        pattern(np.linspace(5.0, 20.0, 100), [powder], RING)
    own = replace(powder, deviatoric=Deviatoric(0.1, SOFT))
    assert np.isfinite(pattern(np.linspace(5.0, 20.0, 100), [own], RING)).all()


def test_stress_that_differs_from_grain_to_grain_widens_each_line_by_its_own_q() -> None:
    sigma = 0.15
    wide = replace(NACL, deviatoric=Deviatoric(0.0, SOFT, t_sigma_gpa=sigma))
    families, _, found = shapes_of(wide, RING, 0, 25.0)
    _, _, plain = shapes_of(NACL, RING, 0, 25.0)
    np.testing.assert_array_equal(found.true_deg, plain.true_deg)
    # By the definition: the spread of 2 theta over stresses drawn from the distribution's 16 and 84 % points.
    ends = [
        shapes_of(replace(NACL, deviatoric=Deviatoric(t, SOFT)), RING, 0, 25.0)[2].true_deg for t in (-sigma, sigma)
    ]
    fwhm = 2.354820045 * 0.5 * np.abs(ends[1] - ends[0])
    np.testing.assert_allclose(found.fwhm_deg**2 - plain.fwhm_deg**2, fwhm**2, rtol=2e-3)
    assert np.ptp(fwhm / np.tan(np.radians(plain.true_deg / 2.0))) > 0.5 * fwhm.min()  # hkl counts, not angle alone
    assert len(families.hkl) > 8


@given(st.floats(0.0, 5e-3), st.floats(0.0, 5e-3))
def test_the_two_strains_are_stephens_quartic_form(h00: float, hhh: float) -> None:
    a = 5.64
    s400, s220 = stephens(a, h00, hhh)
    hkl = np.array([[2, 0, 0], [1, 1, 1], [2, 2, 0], [3, 1, 1], [4, 2, 0], [5, 3, 1]], dtype=np.float64)
    h2, k2, l2 = (hkl**2).T
    variance = s400 * (h2**2 + k2**2 + l2**2) + 3.0 * s220 * (h2 * k2 + k2 * l2 + l2 * h2)  # of M = 1/d^2
    m = (h2 + k2 + l2) / a**2
    gammas = (h2 * k2 + k2 * l2 + l2 * h2) / (h2 + k2 + l2) ** 2
    expected = np.sqrt(np.maximum(variance, 0.0)) / (2.0 * m)
    np.testing.assert_allclose(strain_of_gamma(np.array(h00), np.array(hhh), gammas), expected, rtol=1e-9, atol=1e-10)


def test_strain_of_h00_and_hhh_widens_lines_between_them_by_gamma() -> None:
    bent = replace(NACL, microstrain=1e-3, microstrain_hhh=3e-3)
    families, _, found = shapes_of(bent, TUBE, 0, 80.0)
    _, _, plain = shapes_of(NACL, TUBE, 0, 80.0)
    tangent = np.tan(np.radians(plain.true_deg / 2.0))
    strain = np.radians(np.sqrt(found.fwhm_deg**2 - plain.fwhm_deg**2)) / (4.0 * tangent)
    hkl = [tuple(row) for row in families.hkl.tolist()]
    assert strain[hkl.index((2, 0, 0))] == pytest.approx(1e-3, rel=1e-6)
    assert strain[hkl.index((2, 2, 2))] == pytest.approx(3e-3, rel=1e-6)
    assert strain[hkl.index((2, 2, 0))] ** 2 == pytest.approx(1e-6 + 0.75 * 8e-6, rel=1e-6)


# --- intensities


@pytest.mark.parametrize("polarisation", [None, 0.0, 0.3, 0.97, 1.0])
def test_a_laboratory_beam_is_polarised_as_its_two_components_say(polarisation: float | None) -> None:
    p = 0.0 if polarisation is None else polarisation
    instrument = replace(TUBE, polarisation=polarisation)
    listed = lines(phase("NaCl", "B1"), 5.5, CU, 100.0)
    for i in (0, 4, 8):
        two_theta = np.radians(listed.two_theta_deg[i])
        across, along = 0.5 * (1.0 + p), 0.5 * (1.0 - p) * np.cos(two_theta) ** 2
        lorentz = 1.0 / (np.sin(two_theta / 2.0) * np.sin(two_theta))
        # The factor's constant is free: the model's is 4 times Lorentz times polarisation here.
        expected = listed.intensity_per_volume[i] * 4.0 * lorentz * (across + along)
        got = area(around(float(listed.two_theta_deg[i]), 0.8), instrument)
        assert got == pytest.approx(float(expected), rel=5e-3)


def test_a_ring_is_the_azimuthal_mean_of_a_synchrotron_s_polarised_light() -> None:
    two_theta, azimuth = np.radians(24.0), np.linspace(0.0, 2.0 * np.pi, 3601)[:-1]
    p = 0.95
    # Intensity at azimuth phi from the plane of the electric field: 1 - sin^2 2th cos^2 phi for each component.
    horizontal = (1.0 - np.sin(two_theta) ** 2 * np.cos(azimuth) ** 2).mean()
    vertical = (1.0 - np.sin(two_theta) ** 2 * np.sin(azimuth) ** 2).mean()
    mean = 0.5 * (1.0 + p) * horizontal + 0.5 * (1.0 - p) * vertical
    factor = replace(RING, polarisation=0.0).lorentz_polarisation(np.array([24.0]))[0]
    assert factor == pytest.approx(mean / (np.sin(two_theta) * np.sin(two_theta / 2.0)), rel=1e-9)
    one = replace(RING, polarisation=1.0).lorentz_polarisation(np.array([24.0]))[0]
    assert one == pytest.approx(1.0 / (np.sin(two_theta) * np.sin(two_theta / 2.0)), rel=1e-12)
    assert replace(RING, polarisation=None).lorentz_polarisation(np.array([24.0]))[0] == pytest.approx(one, rel=1e-12)


def test_a_thin_plate_in_reflection_loses_what_goes_through_it() -> None:
    depth = np.linspace(0.0, 0.3, 20001)
    for degrees in (20.0, 90.0):
        there_and_back = np.exp(-2.0 * depth / np.sin(np.radians(degrees / 2.0)))
        whole = np.sin(np.radians(degrees / 2.0)) / 2.0
        expected = np.trapezoid(there_and_back, depth) / whole
        found = replace(TUBE, plate_mu_t=0.3).absorption(np.array([degrees]))[0]
        assert found == pytest.approx(expected, rel=1e-6)


def test_anomalous_scattering_changes_a_ratio_across_the_edge_of_bromine() -> None:
    import gemmi

    ratios = []
    for wavelength in (0.915, 0.922):  # Br K edge 13.474 keV, 0.9202 A
        instrument = Instrument(emissions=(Emission(wavelength),), w=1e-4)
        salt = phase("KBr", "B1")
        listed = lines(salt, 6.5, wavelength, 20.0)
        first, second = (area(around(float(t), 0.25), instrument, Powder(crystal=salt, a_angstrom=6.5))
                         for t in listed.two_theta_deg[:2])  # fmt: skip
        half = np.radians(listed.two_theta_deg[:2]) / 2.0
        lp = (1.0 + np.cos(2.0 * half) ** 2) / (np.sin(half) ** 2 * np.cos(half))
        ratios.append((first / lp[0] / 8.0) / (second / lp[1] / 6.0))
    f1, f2 = zip(*(gemmi.cromer_liberman(35, gemmi.hc / w) for w in (0.915, 0.922)), strict=True)
    assert f2[0] > 3.0 > 1.0 > f2[1]
    assert abs(f1[0] - f1[1]) > 0.5
    # (111) goes as |f+ - f-|^2 and takes f'' of the edge's short side whole: it is stronger there.
    assert ratios[0] > 1.02 * ratios[1]


def test_a_filter_that_leaks_lowers_the_step_at_its_edge() -> None:
    x = np.linspace(25.0, 31.5, 2001)
    steps = []
    for leak in (0.0, 0.4):
        trail = pattern(x, [NACL], replace(TUBE, continuum=Continuum(0.5, leak=leak))) - pattern(x, [NACL], TUBE)
        edge = 2.0 * np.degrees(np.arcsin(1.48814 / 5.5))
        steps.append(np.interp(edge + 0.3, x, trail) - np.interp(edge - 0.3, x, trail))
    assert steps[1] == pytest.approx(0.6 * steps[0], rel=0.05)


# --- axial divergence


def test_axial_rays_keep_the_area_and_trail_to_small_angles_in_front_and_large_ones_behind() -> None:
    trailed = replace(TUBE, axial=0.03)
    listed = lines(phase("NaCl", "B1"), 5.5, CU, 150.0)
    for place, side in ((0, -1.0), (-1, 1.0)):
        x = around(float(listed.two_theta_deg[place]), 0.9)
        y, z = pattern(x, [NACL], TUBE), pattern(x, [NACL], trailed)
        assert np.trapezoid(z, x) == pytest.approx(np.trapezoid(y, x), rel=5e-3)
        assert side * (x @ z / z.sum() - x @ y / y.sum()) > 2e-3


def test_the_mean_shift_by_axial_rays_is_the_mean_over_rays_drawn_one_by_one() -> None:
    height, powder = 0.02, replace(NACL, scale=1e4)
    two_theta = float(lines(phase("NaCl", "B1"), 5.5, CU, 40.0).two_theta_deg[0])
    # Every pair of a point of the sample and a point of the slit: they are h apart over the radius.
    ends = (np.arange(400) + 0.5) / 400.0 * 2.0 * height - height
    h = np.abs(ends[:, None] - ends[None, :])
    cosine = np.cos(np.radians(two_theta)) * np.sqrt(1.0 + h * h)
    weight = 1.0 / ((1.0 + h * h) * np.sqrt(1.0 - cosine**2))
    expected = float((np.degrees(np.arccos(cosine)) * weight).sum() / weight.sum()) - two_theta
    narrow = replace(TUBE, w=1e-4)
    x = around(two_theta, 0.5)
    y, z = pattern(x, [powder], narrow), pattern(x, [powder], replace(narrow, axial=height))
    assert x @ z / z.sum() - x @ y / y.sum() == pytest.approx(expected, rel=0.01)


def test_axial_rays_carry_the_step_of_the_filter_to_smaller_angles() -> None:
    x = np.linspace(25.0, 31.5, 2001)
    middles = []
    for axial in (0.0, 0.03):
        plain = replace(TUBE, axial=axial)
        trail = pattern(x, [NACL], replace(plain, continuum=Continuum(0.5))) - pattern(x, [NACL], plain)
        edge = (x > 30.2) & (x < 31.4)
        rise = np.maximum(np.gradient(trail[edge], x[edge]), 0.0)
        middles.append(x[edge] @ rise / rise.sum())
    # The mean of (sqrt(1 + h^2) - 1) cot 2th over h from 0 to 2 H with weight 2 H - h: H^2 / 3 cot 2th.
    shift = np.degrees(0.03**2 / 3.0 / np.tan(np.radians(middles[0])))
    assert middles[0] - middles[1] == pytest.approx(shift, rel=0.25)


def test_a_pattern_without_lines_is_its_background_with_axial_divergence_too() -> None:
    x = np.linspace(2.0, 8.0, 50)
    np.testing.assert_allclose(pattern(x, [NACL], replace(TUBE, axial=0.03), [7.0]), 7.0)


# --- the fast way


KBR = (
    Powder(crystal=phase("KBr", "B1"), a_angstrom=6.35, microstrain_hhh=0.0, microstrain_lorentz_hhh=0.0,
           deviatoric=Deviatoric(0.1)),
    Powder(crystal=phase("KBr", "B2"), a_angstrom=3.80, microstrain_hhh=0.0, microstrain_lorentz_hhh=0.0,
           deviatoric=Deviatoric(0.1, SOFT), pressure_spread_gpa=0.1),
)  # fmt: skip
GRID = np.linspace(5.0, 25.0, 500)
FAST = Evaluator(GRID, KBR, RING, [5.0, 1.0])
PLAIN = (
    Powder(crystal=phase("KBr", "B1"), a_angstrom=6.35, size_angstrom=300.0),
    Powder(crystal=phase("KBr", "B2"), a_angstrom=3.80),
)
FAST_PLAIN = Evaluator(GRID, PLAIN, RING)


@given(
    shift=st.floats(-0.003, 0.03), strain=st.floats(0.0, 5e-3), hhh=st.floats(0.0, 5e-3), t=st.floats(-0.3, 0.3),
    sigma=st.floats(0.0, 0.2), r=st.floats(0.3, 2.0),
)  # fmt: skip
def test_the_fast_way_follows_stress_of_the_table_and_strain_by_hkl(
    shift: float, strain: float, hhh: float, t: float, sigma: float, r: float
) -> None:
    cells = np.array([6.35, 3.80]) * (1.0 + shift)
    found = FAST(
        a_angstrom=cells, microstrain=np.full(2, strain), microstrain_hhh=np.full(2, hhh),
        microstrain_lorentz=np.full(2, hhh), microstrain_lorentz_hhh=np.full(2, strain), t_gpa=np.full(2, t),
        t_sigma_gpa=np.full(2, sigma), march_r=np.full(2, r),
    )  # fmt: skip
    assert KBR[0].deviatoric is not None
    powders = []
    for powder, a in zip(KBR, cells.tolist(), strict=True):
        assert powder.deviatoric is not None
        stress = replace(powder.deviatoric, t_gpa=t, t_sigma_gpa=sigma)
        powders.append(
            replace(
                powder, a_angstrom=a, microstrain=strain, microstrain_hhh=hhh, microstrain_lorentz=hhh,
                microstrain_lorentz_hhh=strain, deviatoric=stress, march_r=r,
            )
        )  # fmt: skip
    slow = pattern(GRID, powders, RING, [5.0, 1.0])
    assert np.abs(found - slow).max() <= 1e-6 * slow.max()


@given(st.floats(-0.035, 0.035), st.floats(0.4, 2.0))
def test_coinciding_families_drawn_as_one_line_make_the_same_pattern(shift: float, r: float) -> None:
    cells = np.array([6.35, 3.8]) * (1.0 + shift)
    textured = [replace(p, a_angstrom=a, march_r=r) for p, a in zip(PLAIN, cells.tolist(), strict=True)]
    slow = pattern(GRID, textured, RING)
    found = FAST_PLAIN(a_angstrom=cells, march_r=np.full(2, r))
    assert np.abs(found - slow).max() <= 1e-6 * slow.max()


def test_the_window_of_cells_ends_where_the_constants_end() -> None:
    # KBr B1 at 6.35 A is just below 2.5 GPa, where its data and so its constants end: long before 4 % of its cell.
    FAST(a_angstrom=np.array([6.335, 3.80]))
    with pytest.raises(ForwardError, match="elastic constants end before"):
        FAST(a_angstrom=np.array([6.32, 3.80]))


def test_cells_of_any_number_of_axes_keep_their_shape() -> None:
    cells = np.array([6.35, 3.80]) * np.linspace(0.999, 1.001, 6).reshape(3, 2, 1)
    assert FAST(a_angstrom=cells, scale=np.array([1.0, 0.5])).shape == (6, GRID.size)


# --- what is refused


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Emission(0.0), "wavelength_angstrom is 0; it must lie in 0.05 to 5"),
        (lambda: Emission(-1.5), "0.05 to 5"),
        (lambda: Emission(float("inf")), "0.05 to 5"),
        (lambda: Emission(1.5, float("nan")), "weight is nan"),
        (lambda: replace(TUBE, emissions=()), "no emission"),
        (lambda: replace(TUBE, plate_mu_t=-0.1), "plate_mu_t is -0.1; .*absorption has no gain"),
        (lambda: replace(TUBE, plate_mu_t=float("nan")), "plate_mu_t is nan"),
        (lambda: replace(RING, plate_mu_t=1.0).absorption(np.array([95.0])), "up to 2 theta of 90"),
        (lambda: replace(TUBE, polarisation=1.2), "-1 to 1"),
        (lambda: replace(TUBE, axial=-0.01), "0 to 0.1"),
        (lambda: replace(TUBE, zero_deg=float("nan")), "zero_deg is nan"),
        (lambda: replace(TUBE, displacement=0.5), "tenth of the radius"),
        (lambda: Continuum(-1.0), "negative density"),
        (lambda: Continuum(1.0, edge_angstrom=0.0), "edge"),
        (lambda: replace(NACL, size_angstrom=0.0), "grain smaller than a cell"),
        (lambda: replace(NACL, microstrain_hhh=0.5), "microstrain_hhh is 0.5; it must lie in 0 to 0.1"),
        (lambda: replace(NACL, pressure_spread_gpa=-1.0), "width is not negative"),
        (lambda: Deviatoric(float("nan")), "t_gpa is nan"),
        (lambda: Deviatoric(0.1, SOFT, t_sigma_gpa=-0.1), "t_sigma_gpa is -0.1; .*not negative"),
        (lambda: Deviatoric(0.1, SOFT, alpha=1.5), "Reuss"),
        (lambda: Stiffness(float("nan"), 1.0, 1.0), "Born"),
        (lambda: pattern(np.array([0.0, 10.0]), [NACL], TUBE), "between 0 and 180"),
        (lambda: pattern(np.array([10.0]), [NACL], TUBE), "two points"),
        (lambda: pattern(np.array([20.0, 10.0]), [NACL], TUBE), "ascend"),
        (lambda: pattern(around(30.0, 5.0), [replace(NACL, a_angstrom=56.4)], TUBE), "cubic cell in angstrom"),
        (lambda: replace(NACL, temperature_k=-4.0), "temperature_k is -4; it must lie in 1 to 900"),
        (lambda: Evaluator(GRID, KBR, replace(RING, axial=0.02)), "no axial divergence"),
        (lambda: Evaluator(GRID, [NACL], RING)(t_gpa=np.zeros(1)), "t_gpa can't be varied"),
        (lambda: Evaluator(GRID, [NACL], RING)(microstrain_hhh=np.zeros(1)), "microstrain_hhh can't be varied"),
        (lambda: FAST(t_sigma_gpa=np.array([-1.0, 0.0])), "t_sigma_gpa has values outside 0 to 5"),
        (lambda: FAST(scale=np.array([np.nan, 0.0])), "scale has values outside"),
    ],
)  # fmt: skip
def test_what_no_diffractometer_or_crystal_has_is_refused_with_its_range(make: object, says: str) -> None:
    with pytest.raises(ForwardError, match=says):
        make()  # type: ignore[operator]
