"""Colour centres: figures computed elsewhere, laws that hold at every dose, and refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.crystals import colour_centres as cc
from rocksalt.crystals import defect_growth as growth
from rocksalt.crystals import eos, luminescence
from rocksalt.crystals.colour_centres import BANDS, ColourCentreError
from rocksalt.crystals.refraction import refractive_index
from rocksalt.crystals.tables import PHASES, SALTS, UnknownPhase, phase
from rocksalt.values import Measured

BAND = st.sampled_from(sorted(BANDS))


@pytest.mark.parametrize(
    ("salt", "per_cm2"), [("LiF", 7.1e15), ("NaCl", 5.1e15), ("KCl", 3.7e15), ("KBr", 3.3e15), ("CsI", 2.4e15)]
)
def test_smakulas_figure_for_one_reciprocal_centimetre(salt: str, per_cm2: float) -> None:
    assert cc.smakula_per_cm2(salt).value == pytest.approx(per_cm2, rel=0.05)
    assert cc.smakula_per_cm2(salt, lorentzian=True).value == pytest.approx(per_cm2 * 1.29 / 0.87, rel=0.05)


@pytest.mark.parametrize(("salt", "mev"), [("LiF", 34.0), ("NaCl", 16.0), ("KCl", 11.4), ("KBr", 11.3)])
def test_the_phonon_of_a_band_follows_from_its_widths(salt: str, mev: float) -> None:
    assert 1e3 * cc.phonon_ev(salt) == pytest.approx(mev, rel=0.05)


@pytest.mark.parametrize(
    ("salt", "ev"),
    [("LiF", 4.88), ("NaF", 3.77), ("NaCl", 2.63), ("KCl", 2.15), ("KBr", 1.97), ("KI", 1.74), ("CsI", 1.41)],
)
def test_mollwo_ivey_with_nearest_neighbours(salt: str, ev: float) -> None:
    row = next(row for row in PHASES.values() if row.salt == salt)
    neighbour = row.v0_a3 ** (1 / 3) * (0.5 if row.structure == "B1" else np.sqrt(3.0) / 2.0)
    assert float(cc.mollwo_ivey_ev(np.asarray(neighbour))) == pytest.approx(ev, rel=0.05)


@pytest.mark.parametrize(("salt", "share"), [("LiF", 0.5e-5), ("NaCl", 1.5e-5), ("KCl", 2.1e-5), ("KBr", 2.4e-5)])
def test_swelling_by_1e18_centres(salt: str, share: float) -> None:
    assert float(cc.swelling(salt, np.asarray(1e18))) == pytest.approx(share, rel=0.1)


@pytest.mark.parametrize(
    ("salt", "ev"), [("LiF", 1.65e16), ("NaCl", 1.35e16), ("KCl", 1.24e16), ("KBr", 1.72e16), ("CsI", 2.8e16)]
)
def test_the_energy_of_a_gray(salt: str, ev: float) -> None:
    assert growth.ev_per_cm3_per_gy(salt) == pytest.approx(ev, rel=0.01)


def test_every_salt_has_bands_and_an_index() -> None:
    assert set(BANDS) == set(SALTS)
    # The D line: 1.3915 LiF, 1.5441 NaCl, 1.5600 KBr, 1.7873 CsI
    for salt, n in (("LiF", 1.3915), ("NaCl", 1.5441), ("KBr", 1.5600), ("CsI", 1.7873)):
        assert float(refractive_index(salt, np.asarray(2.104))) == pytest.approx(n, abs=0.003)


@given(salt=BAND)
def test_bands_pass_through_both_measured_temperatures_and_narrow_when_cold(salt: str) -> None:
    row = BANDS[salt]
    np.testing.assert_allclose(cc.f_energy_ev(salt, np.array([5.0, 300.0])), [row.f_cold_ev, row.f_ev])
    widths = cc.f_width_ev(salt, np.array([5.0, 77.0, 300.0, 500.0]))
    assert np.all(np.diff(widths) > 0.0)
    assert widths[2] == pytest.approx(row.f_width_ev)
    if row.f_cold_width_ev is not None:
        assert widths[0] == pytest.approx(row.f_cold_width_ev, rel=1e-6)


def test_pressure_moves_the_band_up_by_six_tenths_of_a_per_cent_for_each_per_cent_of_volume() -> None:
    here, there = cc.f_energy_ev("NaCl", np.asarray(300.0), np.array([1.0, 0.99]))
    assert there / here - 1.0 == pytest.approx(0.0062, abs=2e-4)
    row = phase("KCl", "B1")
    squeezed = eos.volume_a3(row, 1.5) / eos.volume_a3(row, 0.0)
    assert float(cc.f_energy_ev("KCl", np.asarray(300.0), squeezed)) > BANDS["KCl"].f_ev


def test_pressure_itself_moves_both_bands_to_the_blue_and_the_m_band_less() -> None:
    loads = np.linspace(0.0, 2.5, 6)
    f, m = (cc.band_ev("KCl", loads, band=band) for band in ("F", "M"))
    assert f[0] == pytest.approx(2.22)
    assert m[0] == pytest.approx(1.51)
    assert np.all(np.diff(f) > 0.0)
    # K0 17.1 GPa: the first 0.5 GPa take 2.7 % of the volume, and 0.61 % of the energy for each
    assert f[1] / f[0] - 1.0 == pytest.approx(0.0168, abs=0.001)
    assert np.all(f[1:] / f[0] > m[1:] / m[0])
    assert float(cc.band_ev("KCl", 1.0, 5.0)) > float(cc.band_ev("KCl", 1.0, 300.0))
    with pytest.raises(eos.OutOfRange, match="KCl B1: 9 GPa is outside"):
        cc.band_ev("KCl", 9.0)
    with pytest.raises(UnknownPhase, match="no M band of CsI in the table; there is one of LiF"):
        cc.band_ev("CsI", 1.0, band="M")


@given(salt=BAND, n=st.floats(1e14, 1e19), thickness=st.floats(0.01, 10.0), kelvin=st.floats(5.0, 500.0))
def test_the_concentration_comes_back_out_of_its_optical_density(
    salt: str, n: float, thickness: float, kelvin: float
) -> None:
    peak = cc.f_energy_ev(salt, np.asarray(kelvin))
    density = float(cc.optical_density(salt, np.asarray(n), thickness, peak, kelvin))
    found = cc.concentration_per_cm3(salt, Measured(density, 0.01 * density), thickness, kelvin)
    assert found.value == pytest.approx(n, rel=1e-9)
    assert found.sigma > 0.01 * n


def test_growth_begins_steep_saturates_twice_and_goes_on() -> None:
    law = growth.Growth(5e16, 50.0, 5e17, 5e4, 1e11)
    assert float(law.per_cm3(np.asarray(0.0))) == 0.0
    assert float(law.per_cm3(np.asarray(1e-3))) == pytest.approx(1e-3 * (5e16 / 50.0 + 5e17 / 5e4 + 1e11), rel=1e-4)
    late = law.per_cm3(np.array([1e6, 2e6]))
    assert late[1] - late[0] == pytest.approx(1e17, rel=1e-3)
    assert float(growth.typical_growth("LiF").per_cm3(np.asarray(1e4))) == pytest.approx(1.6e17, rel=0.5)


@given(st.lists(st.floats(0.0, 1e8), min_size=2, max_size=6))
def test_more_dose_never_means_fewer_centres(doses: list[float]) -> None:
    found = growth.typical_growth("KCl").per_cm3(np.sort(doses))
    assert np.all(np.diff(found) >= 0.0)


def test_there_is_a_best_temperature_and_bromides_have_it_colder() -> None:
    kelvin = np.linspace(10.0, 500.0, 200)
    best = {salt: kelvin[np.argmax(growth.pair_rates(salt).efficiency(kelvin))] for salt in ("KBr", "KCl")}
    assert 130.0 < best["KBr"] < 220.0 < best["KCl"]
    bromide = growth.pair_rates("KBr").efficiency(np.array([80.0, 150.0, 200.0, 250.0]))
    assert bromide[0] < bromide[1]
    assert bromide[2] > bromide[3]


def test_the_rate_form_saturates_and_its_steps_add_up() -> None:
    rates = growth.pair_rates("KCl")
    whole = growth.advance_pairs(rates, 0.0, 0.0, 1e14, 300.0, 2e4)
    half = growth.advance_pairs(rates, *growth.advance_pairs(rates, 0.0, 0.0, 1e14, 300.0, 1e4), 1e14, 300.0, 1e4)
    assert half == pytest.approx(whole, rel=1e-6)
    assert growth.advance_pairs(rates, 1e17, 1e15, 0.0, 300.0, 0.0) == (1e17, 1e15)
    late = [growth.advance_pairs(rates, 0.0, 0.0, 1e14, 300.0, hours)[0] for hours in (1e3, 1e5, 2e5)]
    assert late[0] < late[1]
    assert late[2] - late[1] < 0.5 * late[1]


def test_m_goes_as_f_squared_at_the_present_dose_rate_and_forgets_the_past() -> None:
    law = growth.Aggregates()
    m, r, n2 = law.equilibrium_per_cm3(np.array([1e17, 2e17]), 1.0)
    assert m[1] / m[0] == pytest.approx(4.0)
    assert r[1] / r[0] == pytest.approx(8.0)
    assert n2[1] / n2[0] == pytest.approx(16.0)
    fast = law.equilibrium_per_cm3(np.asarray(1e17), 10.0)[0]
    assert float(law.advance_m(np.asarray(5e16), np.asarray(1e17), 10.0, 1e5)) == pytest.approx(float(fast))
    assert float(law.advance_m(np.asarray(5e14), np.asarray(1e17), 0.0, 1e5)) == 5e14


def test_annealing_at_one_temperature_is_exponential_and_a_ramp_bleaches_in_between() -> None:
    held = growth.annealed_share(
        np.array([450.0, 450.0]), np.array([0.0, 60.0]), activation_ev=1.2, frequency_per_s=1e12
    )
    assert held == pytest.approx(np.exp(-60.0 * 1e12 * np.exp(-1.2 / (8.617333262e-5 * 450.0))), rel=1e-9)
    ramp = growth.annealed_share(
        np.array([300.0, 500.0]), np.array([0.0, 1200.0]), activation_ev=1.2, frequency_per_s=1e12
    )
    two = growth.annealed_share(
        np.array([300.0, 400.0]), np.array([0.0, 600.0]), activation_ev=1.2, frequency_per_s=1e12
    )
    rest = growth.annealed_share(
        np.array([400.0, 500.0]), np.array([0.0, 600.0]), activation_ev=1.2, frequency_per_s=1e12
    )
    assert ramp == pytest.approx(two * rest, rel=1e-4, abs=1e-12)
    with pytest.raises(ColourCentreError, match="two or more points"):
        growth.annealed_share(np.array([300.0]), np.array([0.0]), activation_ev=1.2, frequency_per_s=1e12)


def test_light_bleaches_in_the_band_and_makes_m_and_beside_it_does_nothing() -> None:
    left, made = growth.bleached("KCl", 1e17, 2.22, 1e18)
    assert left < 1e17
    assert made == pytest.approx((1e17 - left) / 4.0)
    assert growth.bleached("KCl", 1e17, 4.0, 1e18)[0] == pytest.approx(1e17, rel=1e-6)
    weak = growth.bleached("KCl", 1e17, 2.22, 1e12)[0]
    # cross-section at the peak: 1 / (3.7e15 per cm2)
    assert 1.0 - weak / 1e17 == pytest.approx(0.1 * 1e12 / 3.7e15, rel=0.05)


def test_what_fades_in_the_dark_is_the_loose_share() -> None:
    found = growth.faded(np.asarray(1e17), np.array([0.0, 3600.0, 1e9]))
    np.testing.assert_allclose(found, 1e17 * np.array([1.0, 0.8 + 0.2 / np.e, 0.8]))


def test_diffraction_widens_only_at_heavy_dose() -> None:
    np.testing.assert_allclose(cc.microstrain(np.array([0.0, 1e7, 1e8, 1e12])), [0.0, 0.0, 1e-4, 1e-3])


def test_lithium_fluoride_glows_red_and_green_linearly_at_first() -> None:
    energy = np.linspace(1.0, 3.2, 4001)
    both = luminescence.spectrum(energy, 2.0, 1.0)
    assert float(np.trapezoid(both, energy)) == pytest.approx(3.0, rel=1e-3)
    assert 1239.84 / energy[np.argmax(luminescence.spectrum(energy, 1.0, 0.0))] == pytest.approx(678.0, abs=1.0)
    assert 1239.84 / energy[np.argmax(luminescence.spectrum(energy, 0.0, 1.0))] == pytest.approx(541.0, abs=1.0)
    doses = np.array([1.0, 10.0, 100.0])
    np.testing.assert_allclose(luminescence.signal(doses) / doses, 1e-5, rtol=1e-3)
    assert float(luminescence.signal(np.asarray(1e6))) == pytest.approx(1.0, abs=1e-4)
    assert float(luminescence.signal(np.asarray(1e6), pump_density=1.0)) == pytest.approx(0.9 / np.log(10.0), rel=1e-3)
    assert float(luminescence.signal(np.asarray(1e6), quenching_gy=1e6)) == pytest.approx(0.5, rel=1e-3)


def test_what_makes_no_sense_is_refused_with_its_range() -> None:
    nan = float("nan")
    for ask in (
        lambda: growth.typical_growth("KCl").per_cm3(np.array([1.0, -1.0])),
        lambda: growth.typical_growth("KCl").per_cm3(np.asarray(nan)),
        lambda: growth.Growth(1.0, 0.0, 1.0, 1.0, 1.0),
        lambda: cc.concentration_per_cm3("KCl", Measured(1.0, 0.0), 0.0),
        lambda: cc.concentration_per_cm3("KCl", Measured(-1.0, 0.0), 1.0),
        lambda: cc.optical_density("KCl", np.asarray(-1.0), 1.0, np.asarray(2.0)),
        lambda: cc.f_energy_ev("KCl", np.asarray(900.0)),
        lambda: cc.f_energy_ev("KCl", np.asarray(300.0), nan),
        lambda: cc.swelling("KCl", np.asarray(nan)),
        lambda: cc.microstrain(np.asarray(-1.0)),
        lambda: cc.mollwo_ivey_ev(np.asarray(0.0)),
        lambda: growth.faded(np.asarray(1.0), np.asarray(-1.0)),
        lambda: growth.faded(np.asarray(1.0), np.asarray(1.0), share=2.0),
        lambda: growth.bleached("KCl", 1e17, 2.2, -1.0),
        lambda: growth.bleached("KCl", 1e17, 2.2, 1.0, yield_=2.0),
        lambda: growth.advance_pairs(growth.pair_rates("KCl"), 0.0, 0.0, nan, 300.0, 1.0),
        lambda: growth.pair_rates("KCl").efficiency(np.asarray(0.0)),
        lambda: growth.Aggregates().equilibrium_per_cm3(np.asarray(1e17), 0.0),
        lambda: luminescence.signal(np.asarray(-1.0)),
        lambda: luminescence.spectrum(np.asarray(2.0), -1.0, 0.0),
    ):
        with pytest.raises(ColourCentreError):
            ask()
    with pytest.raises(UnknownPhase, match="bands of NaI; there are of LiF"):
        cc.f_energy_ev("NaI", np.asarray(300.0))
    with pytest.raises(UnknownPhase, match="index of NaI"):
        refractive_index("NaI", np.asarray(2.0))
    with pytest.raises(ValueError, match=r"KCl: 40 eV is outside .*\(Li, J\. Phys\. Chem"):
        refractive_index("KCl", np.asarray(40.0))
