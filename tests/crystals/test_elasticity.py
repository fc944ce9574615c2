"""Elastic constants and what stress does to lines, against numbers computed elsewhere and against the laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.crystals import elasticity, eos, lattice_strain
from rocksalt.crystals.elasticity import ELASTIC, constants_gpa, elastic
from rocksalt.crystals.tables import UnknownPhase, phase

# Q in 1e-4 at t = 0.1 GPa, alpha = 1, for 200, 220, 111.
Q_FIGURES = [
    ("LiF", "B1", (5.1, 3.2, 2.6)),
    ("NaCl", "B1", (9.1, 12.0, 13.0)),
    ("KCl", "B1", (9.9, 22.3, 26.5)),
    ("KBr", "B1", (11.5, 27.4, 32.7)),
    ("CsI", "B2", (18.7, 24.5, 26.5)),
]
LINES = [(2, 0, 0), (2, 2, 0), (1, 1, 1)]


@pytest.mark.parametrize(("salt", "structure", "figures"), Q_FIGURES)
def test_singhs_q_is_the_reference_q(salt: str, structure: str, figures: tuple[float, ...]) -> None:
    found = 1e4 * lattice_strain.singh_q(constants_gpa(elastic(salt, structure)), LINES, 0.1)
    np.testing.assert_allclose(found, figures, rtol=0.025)


@pytest.mark.parametrize(
    ("salt", "structure", "kelvin", "figure"),
    [
        ("LiF", "B1", 300.0, 1.92),
        ("NaCl", "B1", 300.0, 0.70),
        ("NaCl", "B1", 5.0, 0.57),
        ("KCl", "B1", 300.0, 0.38),
        ("KBr", "B1", 300.0, 0.35),
        ("CsI", "B2", 300.0, 0.70),
    ],
)
def test_anisotropy_is_the_reference_anisotropy(salt: str, structure: str, kelvin: float, figure: float) -> None:
    found = elasticity.anisotropy(constants_gpa(elastic(salt, structure), temperature_k=kelvin))
    assert found == pytest.approx(figure, abs=0.011)


def test_sodium_chlorides_constants_give_its_adiabatic_bulk_modulus() -> None:
    assert elasticity.bulk_modulus_gpa(constants_gpa(elastic("NaCl", "B1"))) == pytest.approx(25.35, abs=0.02)


def test_one_line_of_stressed_sodium_chloride_reads_the_pressure_low() -> None:
    constants = constants_gpa(elastic("NaCl", "B1"))
    q = lattice_strain.singh_q(constants, [(2, 0, 0)], 0.1)
    assert lattice_strain.pressure_bias_gpa(constants, q)[0] == pytest.approx(-0.065, abs=0.006)


def test_constants_meet_both_measured_temperatures_and_soften_between() -> None:
    for row in ELASTIC.values():
        if row.cold_gpa is None:
            continue
        np.testing.assert_allclose(constants_gpa(row, temperature_k=4.0), row.cold_gpa)
        np.testing.assert_allclose(constants_gpa(row), row.warm_gpa)
        c11 = [constants_gpa(row, temperature_k=kelvin)[0] for kelvin in (4.0, 50.0, 150.0, 300.0, 500.0)]
        assert np.all(np.diff(c11) < 0.0)


def test_potassium_salts_soften_in_shear_towards_b2() -> None:
    for salt in ("KCl", "KBr"):
        assert constants_gpa(elastic(salt, "B1"), 2.0)[2] < constants_gpa(elastic(salt, "B1"))[2]


@given(
    key=st.sampled_from(sorted(ELASTIC)), t=st.floats(-2.0, 2.0), alpha=st.floats(0.0, 1.0),
    hkl=st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 6)),
)  # fmt: skip
def test_a_line_at_the_magic_angle_feels_no_stress(
    key: tuple[str, str], t: float, alpha: float, hkl: tuple[int, int, int]
) -> None:
    q = lattice_strain.singh_q(constants_gpa(ELASTIC[key]), [hkl], t, alpha)
    magic = np.degrees(np.arccos(np.sqrt(1.0 / 3.0)))
    np.testing.assert_allclose(lattice_strain.spacing_factor(q, np.array([magic])), 1.0, atol=1e-12)
    if t > 1e-6:  # axial geometry: spacings too large
        assert lattice_strain.axial_spacing_factor(q, np.array([5.0]))[0] > 1.0
    assert 0.0 <= lattice_strain.gamma_hkl(hkl) <= 1.0 / 3.0 + 1e-15


def test_voigts_share_moves_every_line_alike() -> None:
    q = lattice_strain.singh_q(constants_gpa(elastic("KBr", "B1")), LINES, 0.1, alpha=0.0)
    assert np.ptp(q) == 0.0


@given(t=st.floats(0.0, 0.4), a=st.floats(6.2, 6.6))
def test_cell_and_stress_come_back_out_of_the_lines_that_they_went_into(t: float, a: float) -> None:
    constants = constants_gpa(elastic("KBr", "B1"))
    hkl = np.array([(2, 0, 0), (2, 2, 0), (2, 2, 2), (4, 2, 0)])
    theta = np.array([3.5, 5.0, 6.1, 7.9])
    cells = a * lattice_strain.axial_spacing_factor(lattice_strain.singh_q(constants, hkl, t), 2.0 * theta)
    found = lattice_strain.fit_axial(constants, hkl, cells, np.full(4, 1e-4), theta)
    assert found.a_angstrom.value == pytest.approx(a, rel=1e-9)
    assert found.alpha_t_gpa.value == pytest.approx(t, abs=1e-9)
    assert found.alpha_t_gpa.sigma > 0.0
    with pytest.raises(ValueError, match="200 and 222"):
        lattice_strain.fit_axial(constants, hkl[:1], cells[:1], np.full(1, 1e-4), theta[:1])


def test_cold_crystals_are_stiffer_under_hydrostatic_load() -> None:
    for salt in ("LiF", "NaCl", "KBr"):
        loads = np.array([0.5, 1.0, 2.0])
        warm, cold = (lattice_strain.hydrostatic_strain(phase(salt, "B1"), loads, kelvin) for kelvin in (300.0, 5.0))
        assert np.all(cold < warm)
    assert lattice_strain.hydrostatic_strain(phase("NaCl", "B1"), np.array([5.0]), 5.0)[0] == pytest.approx(
        0.0436, abs=3e-4
    )
    with pytest.raises(ValueError, match="KBr B2 does not exist at zero pressure"):
        lattice_strain.hydrostatic_strain(phase("KBr", "B2"), np.array([3.0]))


@pytest.mark.parametrize("row", elasticity.ELASTIC.values(), ids=lambda row: row.salt)
def test_constants_agree_with_the_phases_equation_of_state(row: elasticity.Elastic) -> None:
    known = phase(row.salt, row.structure)
    # adiabatic over isothermal is 1 + alpha gamma T with a volume expansion of 1.0e-4 to 1.5e-4 per kelvin
    ratio = elasticity.bulk_modulus_gpa(np.array(row.warm_gpa)) / known.k0_gpa
    assert 1.03 <= ratio <= 1.115
    if row.per_gpa is not None:
        assert (row.per_gpa[0] + 2.0 * row.per_gpa[1]) / 3.0 == pytest.approx(known.k0p, abs=0.45)


def test_constants_know_their_sigma_and_know_less_under_load_and_between_the_temperatures() -> None:
    row = elastic("KCl", "B1")
    np.testing.assert_allclose(elasticity.constants_sigma_gpa(row), row.warm_sigma_gpa)
    np.testing.assert_allclose(elasticity.constants_sigma_gpa(row, 0.0, 4.0), row.cold_sigma_gpa)
    loaded = elasticity.constants_sigma_gpa(row, 2.0)
    np.testing.assert_allclose(loaded, np.hypot(row.warm_sigma_gpa, 2.0 * np.array(row.per_sigma)))
    between = elasticity.constants_sigma_gpa(row, 0.0, 150.0)
    assert np.all(between < np.maximum(row.warm_sigma_gpa, row.cold_sigma_gpa))
    with pytest.raises(eos.OutOfRange, match="298 K only"):
        elasticity.constants_sigma_gpa(elastic("CsCl", "B2"), temperature_k=5.0)


@pytest.mark.parametrize(
    ("kelvin", "c11", "c12", "c44"),
    [(338.0, 48.04, 13.32, 12.68), (449.0, 44.08, 13.50, 12.26), (596.0, 38.81, 13.20, 11.73)],
)
def test_warm_sodium_chloride_follows_its_measured_constants(kelvin: float, c11: float, c12: float, c44: float) -> None:
    """Yamamoto et al. 1987, table 2, as read in peritheos: what the rule of 4 to 300 K makes of higher temperatures."""
    row = elastic("NaCl", "B1")
    found, sigma = constants_gpa(row, 0.0, kelvin), elasticity.constants_sigma_gpa(row, 0.0, kelvin)
    assert found[0] == pytest.approx(c11, rel=0.01)
    assert found[2] == pytest.approx(c44, rel=0.04)
    assert abs(found[1] - c12) < 2.0 * sigma[1]


def test_what_is_not_known_is_refused_with_the_range_and_the_source() -> None:
    with pytest.raises(UnknownPhase, match="KF B2; there are for LiF B1"):
        elastic("KF", "B2")
    with pytest.raises(eos.OutOfRange, match=r"NaCl B1: 20 GPa is outside -1 to 11\.75 GPa"):
        constants_gpa(elastic("NaCl", "B1"), 20.0)
    with pytest.raises(eos.OutOfRange, match="700 K is outside 1 to 600 K"):
        constants_gpa(elastic("NaCl", "B1"), temperature_k=700.0)
    with pytest.raises(eos.OutOfRange, match="298 K only"):
        constants_gpa(elastic("CsBr", "B2"), temperature_k=5.0)
    with pytest.raises(eos.OutOfRange, match="zero pressure only"):
        constants_gpa(elastic("CsBr", "B2"), 1.0)
    with pytest.raises(eos.OutOfRange):
        constants_gpa(elastic("NaCl", "B1"), float("nan"))
    with pytest.raises(ValueError, match="Born's conditions"):
        elasticity.anisotropy(np.array([10.0, 12.0, 3.0]))
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        lattice_strain.singh_q(constants_gpa(elastic("NaCl", "B1")), LINES, 0.1, 1.5)
    with pytest.raises(ValueError, match="none of them 000"):
        lattice_strain.gamma_hkl([(0, 0, 0)])
