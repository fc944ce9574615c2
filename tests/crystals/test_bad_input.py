"""Every public function of the room, every number it takes: nonsense is refused with the rule and its source.

The walk finds the functions by itself, so that a new one without a good call here fails.
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

import rocksalt.crystals
from rocksalt.crystals import defect_growth, dose_profile, kinetics
from rocksalt.crystals.elasticity import elastic
from rocksalt.crystals.limits import CrystalError
from rocksalt.crystals.scales import SCALES
from rocksalt.crystals.tables import phase
from rocksalt.values import Measured

KBR, NACL = phase("KBr", "B1"), elastic("NaCl", "B1")
C = np.array([49.67, 13.18, 12.78])
DEPTH = np.linspace(0.0, 1e-4, 5)
BEAM = dose_profile.monochromatic(17.4, 1e8)
AT = {"phase": KBR, "quantity": 1.0, "temperature_k": 300.0}
V = {"phase": KBR, "quantity": 280.0, "temperature_k": 300.0}

# A call that works, for every public function that takes a number.
GOOD: dict[str, dict[str, Any]] = {
    "absorption.element_mass_absorption_m2_per_kg": {"symbol": "K", "energy_kev": 17.4},
    "absorption.mass_absorption_m2_per_kg": {"salt": "KBr", "energy_kev": 17.4},
    "absorption.density_kg_per_m3": {"phase": KBR, "volume_a3": 280.0},
    "absorption.linear_attenuation_per_m": {"salt": "KBr", "energy_kev": 17.4},
    "absorption.dose_rate_gy_per_s": {
        "salt": "KBr", "flux_ph_per_s": 1e8, "energy_kev": 17.4, "beam_size_m": (1e-4, 1e-4), "thickness_m": 1e-4,
    },
    "channels.windows": {"salt": "KBr", "thickness_mm": 1.0},
    "channels.Channel": {
        "cell_share": 1e-5, "temperature_sigma_k": 0.1, "od_noise": 0.01, "od_top": 2.0, "camera_noise": 0.01,
        "camera_top": 1.0,
    },
    "colour_centres.f_width_ev": {"salt": "KBr", "temperature_k": 300.0},
    "colour_centres.f_energy_ev": {"salt": "KBr", "temperature_k": 300.0, "volume_ratio": 0.9},
    "colour_centres.band_ev": {"salt": "KBr", "pressure_gpa": 1.0, "temperature_k": 300.0},
    "colour_centres.mollwo_ivey_ev": {"neighbour_angstrom": 3.3},
    "colour_centres.smakula_per_cm2": {"salt": "KBr", "temperature_k": 300.0},
    "colour_centres.concentration_per_cm3": {
        "salt": "KBr", "optical_density": Measured(0.5, 0.01), "thickness_mm": 1.0, "temperature_k": 300.0,
    },
    "colour_centres.optical_density": {
        "salt": "KBr", "f_per_cm3": 1e16, "thickness_mm": 1.0, "energy_ev": 2.0, "temperature_k": 300.0,
        "volume_ratio": 1.0,
    },
    "colour_centres.swelling": {"salt": "KBr", "f_per_cm3": 1e16},
    "colour_centres.microstrain": {"dose_gy": 1e9},
    "debye.debye1": {"y": 1.0},
    "debye.debye3": {"y": 1.0},
    "defect_growth.Growth": {"a1": 1e16, "d1_gy": 1e3, "a2": 1e17, "d2_gy": 1e4, "s": 1e12},
    "defect_growth.Growth.per_cm3": {"self": defect_growth.typical_growth("KBr"), "dose_gy": 1e3},
    "defect_growth.typical_growth": {"salt": "KBr", "ev_per_centre": 1e3, "vacancies_per_cm3": 1e16},
    "defect_growth.PairRates": {field.name: field.default for field in fields(defect_growth.PairRates)},
    "defect_growth.PairRates.efficiency": {"self": defect_growth.CHLORIDE, "temperature_k": 300.0},
    "defect_growth.PairRates.recombination": {"self": defect_growth.CHLORIDE, "temperature_k": 300.0},
    "defect_growth.advance_pairs": {
        "rates": defect_growth.BROMIDE, "f_per_cm3": 1e15, "h_per_cm3": 1e14, "pairs_per_cm3_s": 1e13,
        "temperature_k": 300.0, "duration_s": 10.0,
    },
    "defect_growth.Aggregates": {field.name: field.default for field in fields(defect_growth.Aggregates)},
    "defect_growth.Aggregates.equilibrium_per_cm3": {
        "self": defect_growth.Aggregates(), "f_per_cm3": 1e16, "dose_rate_gy_per_s": 1.0,
    },
    "defect_growth.Aggregates.advance_m": {
        "self": defect_growth.Aggregates(), "m_per_cm3": 1e13, "f_per_cm3": 1e16, "dose_rate_gy_per_s": 1.0,
        "duration_s": 10.0,
    },
    "defect_growth.annealed_share": {
        "temperatures_k": np.array([300.0, 500.0]), "times_s": np.array([0.0, 600.0]), "activation_ev": 1.0,
        "frequency_per_s": 1e10,
    },
    "defect_growth.bleached": {
        "salt": "KBr", "f_per_cm3": 1e16, "photon_ev": 2.0, "photons_per_cm2": 1e16, "yield_": 0.1, "to_m": 0.5,
        "temperature_k": 300.0,
    },
    "defect_growth.faded": {"f_per_cm3": 1e16, "dark_s": 100.0, "share": 0.2, "tau_s": 3600.0},
    "dose_profile.Spectrum": {"energy_kev": np.array([8.0, 17.4]), "photons_per_s": np.array([1e6, 1e8])},
    "dose_profile.monochromatic": {"energy_kev": 17.4, "photons_per_s": 1e8},
    "dose_profile.tube_spectrum": {
        "anode": "Mo", "kilovolt": 50.0, "photons_per_s": 1e8, "characteristic_share": 0.6,
    },
    "dose_profile.transmission": {"element": "Al", "thickness_um": 10.0, "energy_kev": np.array([17.4])},
    "dose_profile.depth_grid": {"thickness_m": 1e-4, "points": 11},
    "dose_profile.dose_rate_profile_gy_per_s": {
        "salt": "KBr", "beam": BEAM, "area_m2": 1e-6, "depth_m": DEPTH, "incidence_deg": 90.0,
    },
    "dose_profile.diffraction_weight": {
        "salt": "KBr", "energy_kev": 17.4, "depth_m": DEPTH, "theta_deg": 10.0, "thickness_m": 1e-4,
    },
    "dose_profile.absorption_weight": {"depth_m": DEPTH},
    "dose_profile.micrograph_weight": {"depth_m": DEPTH, "focus_m": 1e-5, "depth_of_field_m": 1e-6},
    "dose_profile.seen": {"quantity": np.ones(5), "weight": np.ones(5), "depth_m": DEPTH},
    "elasticity.constants_gpa": {"row": NACL, "pressure_gpa": 1.0, "temperature_k": 300.0},
    "elasticity.constants_sigma_gpa": {"row": NACL, "pressure_gpa": 1.0, "temperature_k": 300.0},
    "elasticity.bulk_modulus_gpa": {"constants": C},
    "elasticity.anisotropy": {"constants": C},
    "elasticity.shear_moduli_gpa": {"constants": C},
    "elasticity.compliances_per_gpa": {"constants": C},
    "eos.pressure_gpa": V,
    "eos.bulk_modulus_gpa": V,
    "eos.volume_a3": AT,
    "eos.cell_angstrom": AT,
    "eos.pressure_from_cell_gpa": {"phase": KBR, "quantity": 6.5, "temperature_k": 300.0},
    "eos.pressure_sigma_gpa": {"phase": KBR, "volume_a3": 280.0},
    "eos.volume_sigma_a3": {"phase": KBR, "volume_a3": 280.0, "temperature_k": 300.0},
    "eos.bulk_modulus_sigma_gpa": {"phase": KBR, "volume_a3": 280.0},
    "eos.extrapolation_sigma_gpa": {"phase": KBR, "volume_a3": 250.0},
    "eos.debye_temperature_k": {"phase": KBR, "volume_a3": np.array(280.0)},
    "gauges.ruby_line_nm": {"temperature_k": 300.0},
    "gauges.ruby_pressure_gpa": {
        "wavelength_nm": Measured(695.0, 0.01), "temperature_k": Measured(300.0, 1.0), "unloaded_nm": 694.25,
    },
    "gauges.marker_pressure_gpa": {"marker": "Au", "a_angstrom": Measured(4.05, 0.001), "temperature_k": 300.0},
    "intermediate.stray_lines": {
        "phase_b1": phase("KCl", "B1"), "a_b1_angstrom": 6.0, "wavelength_angstrom": 0.4, "d_min_angstrom": 1.0,
    },
    "kinetics.Kinetics": {
        "equilibrium_gpa": 1.8, "forward_gpa": 1.9, "reverse_gpa": 1.6, "p0_gpa": 0.1, "tau0_s": 600.0, "avrami": 2.0,
        "activation_ev": 0.1, "slope_gpa_per_k": 0.001,
    },
    "kinetics.kinetics": {"salt": "KBr", "p0_gpa": 0.1, "tau0_s": 600.0, "avrami": 2.0},
    "kinetics.rates_per_s": {"law": kinetics.kinetics("KBr"), "pressure_gpa": 2.0, "temperature_k": 300.0},
    "kinetics.advance": {
        "law": kinetics.kinetics("KBr"), "fraction_b2": 0.5, "pressure_gpa": 2.0, "duration_s": 10.0,
        "temperature_k": 300.0,
    },
    "kinetics.coexisting_fraction": {"threshold_gpa": 1.8, "mean_gpa": 1.9, "spread_gpa": 0.1},
    "kinetics.volume_collapse": {"salt": "KBr", "pressure_gpa": 1.8, "temperature_k": 300.0},
    "lattice_strain.gamma_hkl": {"hkl": np.array([1.0, 1.0, 1.0])},
    "lattice_strain.singh_q": {"constants": C, "hkl": np.array([2.0, 0.0, 0.0]), "t_gpa": 0.1, "alpha": 1.0},
    "lattice_strain.spacing_factor": {"q": 1e-3, "psi_deg": 80.0},
    "lattice_strain.axial_spacing_factor": {"q": 1e-3, "two_theta_deg": 10.0},
    "lattice_strain.pressure_bias_gpa": {"constants": C, "q": 1e-3},
    "lattice_strain.fit_axial": {
        "constants": C, "hkl": np.array([[2, 0, 0], [2, 2, 2]]), "a_angstrom": np.array([5.6, 5.601]),
        "sigma_angstrom": np.array([1e-4, 1e-4]), "theta_deg": np.array([4.0, 7.0]),
    },
    "lattice_strain.hydrostatic_strain": {"phase": KBR, "pressure_gpa": 1.0, "temperature_k": 300.0},
    "lattice_strain.hydrostatic_strain_sigma": {"phase": KBR, "pressure_gpa": 1.0, "temperature_k": 300.0},
    "luminescence.spectrum": {"energy_ev": 2.0, "f2_light": 1.0, "f3_plus_light": 1.0},
    "luminescence.signal": {"dose_gy": 10.0, "saturation_gy": 1e5, "pump_density": 0.1, "quenching_gy": 1e6},
    "refraction.refractive_index": {"salt": "KBr", "energy_ev": 2.0},
    "scales.Scale.pressure_gpa": {"self": SCALES["ruby, Ruby2020"], "x": np.array(1.001)},
    "scales.Scale.sigma_gpa": {"self": SCALES["ruby, Ruby2020"], "x": np.array(1.001)},
    "scales.convert_gpa": {"pressure_gpa": 2.0, "from_scale": "ruby, Ruby2020", "to_scale": "ruby, Mao 1986"},
    "scales.reading": {"scale": SCALES["ruby, Ruby2020"], "pressure_gpa": np.array(2.0)},
    "structure.lines": {
        "phase": KBR, "a_angstrom": 6.6, "wavelength_angstrom": 0.4, "two_theta_max_deg": 20.0, "temperature_k": 300.0,
    },
    "structure.debye_waller_b_a2": {"phase": KBR, "volume_a3": 280.0, "temperature_k": 300.0},
    "structure.lorentz_polarisation_powder": {"two_theta_deg": np.array([20.0]), "polarisation": 0.5},
    "structure.lorentz_area_detector": {"two_theta_deg": np.array([20.0])},
    "structure.ionic_form_factors": {"salt": "KBr", "s2": np.array([0.1]), "wavelength_angstrom": 0.4},
}  # fmt: skip

# Take no number, or build a value that checks nothing because the tables alone make it.
WITHOUT_NUMBERS = {
    "absorption.AbsorptionError", "channels.anion_sites_per_cm3", "channels.expansion_per_k", "colour_centres.bands",
    "colour_centres.phonon_ev", "defect_growth.ev_per_cm3_per_gy", "defect_growth.pair_rates", "elasticity.elastic",
    "eos.extrapolated", "kinetics.transition", "limits.within", "scales.known_scales", "tables.ions", "tables.phase",
}  # fmt: skip
UNLIMITED = {("luminescence.signal", "quenching_gy")}  # infinity: no quenching

POSITIVE = re.compile(
    r"wavelength_(nm|angstrom)$|thickness_mm?$|^temperatures?_k$|volume|a_angstrom$|^a_b1_angstrom$|area|energy_kev|kilovolt|beam_size|tau|depth_of_field"
    r"|spread|sigma_angstrom|^y$|^x$|neighbour|d_min|d[12]_gy|ev_per_centre|od_top|theta_max"
)
NOT_NEGATIVE = re.compile(
    r"dose|duration|per_cm3|photons|flux|depth|energy_ev|share|yield|light|dark|_noise|density|^a[12]$|^s2?$"
)


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions, methods of public classes, and classes that check what they are made of."""
    for module in pkgutil.iter_modules(rocksalt.crystals.__path__):
        room = importlib.import_module(f"rocksalt.crystals.{module.name}")
        for name, found in vars(room).items():
            if name.startswith("_") or getattr(found, "__module__", None) != room.__name__:
                continue
            if inspect.isclass(found):
                if is_dataclass(found) and hasattr(found, "__post_init__"):
                    yield f"{module.name}.{name}", found
                for method, inside in vars(found).items():
                    if not method.startswith("_") and inspect.isfunction(inside):
                        yield f"{module.name}.{name}.{method}", inside
            elif callable(found) and hasattr(found, "__name__"):
                yield f"{module.name}.{name}", found


FOUND = dict(public())


def numbers(good: dict[str, Any]) -> Iterator[tuple[str, Callable[[float], dict[str, Any]]]]:
    """(argument, a maker of the same call with a bad number in its place)."""
    for name, value in good.items():
        if isinstance(value, bool | str) or name == "self":
            continue
        if isinstance(value, Measured):
            yield name, lambda bad, name=name, value=value: {**good, name: Measured(bad, value.sigma)}
            yield f"{name}.sigma", lambda bad, name=name, value=value: {**good, name: Measured(value.value, bad)}
        elif isinstance(value, np.ndarray) and value.dtype.kind in "fi":

            def spoilt(bad: float, name: str = name, value: Any = value) -> dict[str, Any]:
                changed = np.array(value, dtype=np.float64)
                changed.flat[0] = bad
                return {**good, name: changed}

            yield name, spoilt
        elif isinstance(value, tuple):
            yield name, lambda bad, name=name, value=value: {**good, name: (bad, *value[1:])}
        elif isinstance(value, float | int):
            yield name, lambda bad, name=name: {**good, name: bad}


CASES = [
    pytest.param(name, argument, make, id=f"{name}({argument})")
    for name, good in GOOD.items()
    for argument, make in numbers(good)
]


def ask(name: str, call: dict[str, Any]) -> Any:
    """The call; what a signature takes by position only goes by position."""
    function = FOUND[name]
    first = [key for key in ("self", "phase", "quantity") if key in call and ("quantity" in call or key == "self")]
    return function(*(call[key] for key in first), **{key: value for key, value in call.items() if key not in first})


def test_the_walk_knows_a_good_call_of_every_public_function() -> None:
    assert set(FOUND) - set(GOOD) - WITHOUT_NUMBERS == set()
    assert set(GOOD) <= set(FOUND)


@pytest.mark.parametrize("name", GOOD)
def test_the_good_call_is_good(name: str) -> None:
    ask(name, GOOD[name])


@pytest.mark.parametrize(("name", "argument", "make"), CASES)
def test_what_makes_no_sense_is_refused_with_rule_and_source(
    name: str, argument: str, make: Callable[[float], dict[str, Any]]
) -> None:
    bad = [math.nan, -math.inf, *([] if (name, argument) in UNLIMITED else [math.inf])]
    if POSITIVE.search(argument):
        bad += [0.0, -1.0]
    elif NOT_NEGATIVE.search(argument) or argument.endswith(".sigma"):
        bad += [-1.0]
    for value in bad:
        with pytest.raises(CrystalError) as refused:
            ask(name, make(value))
        sentence = str(refused.value)
        assert re.search(r"must|outside|there is no|none of them|needs", sentence), sentence
        assert re.search(r"\([^()]{6,}", sentence), f"no source: {sentence}"


@pytest.mark.parametrize(
    ("name", "argument", "value", "sentence"),
    [
        ("eos.volume_a3", "quantity", 9.0, r"9 GPa is outside .* from 0\.16 to 2\.5 GPa \(Dewaele et al\., Phys\. Rev"),
        ("eos.volume_a3", "temperature_k", 5000.0, r"5000 K is outside 1 to 900 K"),
        ("elasticity.constants_gpa", "pressure_gpa", 20.0, r"20 GPa is outside -1 to 11\.75 GPa.*Yamamoto"),
        ("absorption.linear_attenuation_per_m", "energy_kev", 200.0, r"200: it must lie in 2 to 150 \(Cromer"),
        ("scales.convert_gpa", "pressure_gpa", 400.0, r"400 GPa is outside 0 to 150 GPa.*\(Shen et al"),
        ("refraction.refractive_index", "energy_ev", 40.0, r"40 eV is outside .*\(Li, J\. Phys\. Chem"),
        ("kinetics.volume_collapse", "pressure_gpa", 50.0, r"50 GPa is outside"),
        ("colour_centres.f_width_ev", "temperature_k", 700.0, r"700.* outside 1 to 600 K.*\(energies"),
        ("gauges.ruby_line_nm", "temperature_k", 700.0, r"15 to 600 K, .*\(Ragan 1992\)"),
        ("gauges.marker_pressure_gpa", "temperature_k", 2000.0, r"outside 5 to 900 K \(Dewaele"),
    ],
)  # fmt: skip
def test_beyond_a_tables_range_the_range_and_its_source_are_said(
    name: str, argument: str, value: float, sentence: str
) -> None:
    with pytest.raises(CrystalError, match=sentence):
        ask(name, {**GOOD[name], argument: value})
