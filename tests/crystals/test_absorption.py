"""Absorption and dose against numbers computed from other tables."""

import pytest

from rocksalt.crystals import absorption
from rocksalt.crystals.tables import SALTS, UnknownPhase, phase

# Photo-absorption in m^2/kg from the Elam tables.
ELAM = {
    8.0478: {"F": 1.5213, "Na": 2.8973, "Cl": 10.4714, "K": 14.3374, "Br": 8.6433, "Cs": 31.2902, "I": 28.4097},
    37.0: {"F": 0.011987, "Na": 0.024774, "Cl": 0.11113, "K": 0.16239, "Br": 0.93761, "Cs": 2.85346, "I": 2.63806},
}


@pytest.mark.parametrize(("energy_kev", "symbol"), [(kev, symbol) for kev, row in ELAM.items() for symbol in row])
def test_mass_absorption_agrees_with_the_elam_tables(energy_kev: float, symbol: str) -> None:
    found = absorption.element_mass_absorption_m2_per_kg(symbol, energy_kev)
    assert found == pytest.approx(ELAM[energy_kev][symbol], rel=0.04)


@pytest.mark.parametrize(
    ("salt", "kev", "depth_m"),
    [("KBr", 8.0478, 34e-6), ("CsI", 8.0478, 7e-6), ("KBr", 37.0, 5e-4), ("CsI", 37.0, 79e-6)],
)
def test_absorption_depths(salt: str, kev: float, depth_m: float) -> None:
    assert 1.0 / absorption.linear_attenuation_per_m(salt, kev) == pytest.approx(depth_m, rel=0.1)


@pytest.mark.parametrize(
    ("salt", "grams"), [("LiF", 2.64), ("NaCl", 2.165), ("KCl", 1.984), ("KBr", 2.75), ("CsI", 4.51)]
)
def test_densities(salt: str, grams: float) -> None:
    row = phase(salt, "B2" if salt == "CsI" else "B1")
    assert absorption.density_kg_per_m3(row) == pytest.approx(1000.0 * grams, rel=0.006)
    assert absorption.density_kg_per_m3(row, row.v0_a3 / 2.0) == pytest.approx(2.0 * absorption.density_kg_per_m3(row))


@pytest.mark.parametrize(("salt", "gy_per_s"), [("LiF", 0.14), ("NaCl", 1.0), ("KCl", 1.6), ("KBr", 1.4), ("CsI", 3.9)])
def test_the_dose_of_a_laboratory_beam(salt: str, gy_per_s: float) -> None:
    rate = absorption.dose_rate_gy_per_s(salt, 1e8, 8.0478, beam_size_m=(1e-3, 1e-3), thickness_m=1e-7)
    assert rate == pytest.approx(gy_per_s, rel=0.2)


@pytest.mark.parametrize(("salt", "gy_per_s"), [("LiF", 2e5), ("CsI", 6e7)])
def test_the_dose_of_a_synchrotron_beam(salt: str, gy_per_s: float) -> None:
    rate = absorption.dose_rate_gy_per_s(salt, 1e11, 37.0, beam_size_m=(5e-6, 5e-6), thickness_m=1e-6)
    assert rate == pytest.approx(gy_per_s, rel=0.2)


@pytest.mark.parametrize("salt", SALTS)
def test_a_thick_crystal_absorbs_all_of_the_beam_and_no_more(salt: str) -> None:
    thickness, side, flux, kev = 0.1, 1e-3, 1e9, 8.0478
    rate = absorption.dose_rate_gy_per_s(salt, flux, kev, beam_size_m=(side, side), thickness_m=thickness)
    mass = absorption.density_kg_per_m3(phase(salt, "B2" if salt.startswith("Cs") else "B1")) * side * side * thickness
    assert rate * mass == pytest.approx(flux * kev * 1.602176634e-16, rel=1e-9)


def test_dose_refuses_what_makes_no_sense() -> None:
    good = {"beam_size_m": (1e-3, 1e-3), "thickness_m": 1e-4}
    assert absorption.dose_rate_gy_per_s("KBr", 0.0, 8.0, **good) == 0.0
    for flux, changed in ((-1.0, {}), (1.0, {"thickness_m": 0.0}), (1.0, {"beam_size_m": (0.0, 1e-3)})):
        with pytest.raises(ValueError, match=r"must be (above 0|0 or more)"):
            absorption.dose_rate_gy_per_s("KBr", flux, 8.0, **{**good, **changed})
    with pytest.raises(ValueError, match=r"\(keV\) is 0\.5: it must lie in 2 to 150 \(Cromer"):
        absorption.dose_rate_gy_per_s("KBr", 1.0, 0.5, **good)
    with pytest.raises(ValueError, match="Xx"):
        absorption.element_mass_absorption_m2_per_kg("Xx", 8.0)
    with pytest.raises(UnknownPhase, match="no NaI"):
        absorption.linear_attenuation_per_m("NaI", 8.0)
