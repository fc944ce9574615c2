"""`rocksalt crystal`: what the tables make of one phase at one pressure or volume, with the source of every number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rocksalt.cli.answers import Usage

if TYPE_CHECKING:
    from rocksalt.crystals.tables import Phase

_TWO_THETA_MAX_DEG: Final = 90.0
_SCATTER_GPA: Final = 0.02  # an unloaded cell written with four digits may come out at a little tension
_MAX_LINES: Final = 24
_SHOWN: Final = 1e-3  # of the strongest: weaker lines are left out
_NAMES: Final = {
    "v0_a3": "V0", "k0_gpa": "K0", "k0p": "K0'", "range_gpa": "the range", "scale": "the pressure scale",
    "debye_k": "the Debye temperature", "gamma0": "gamma", "q": "q", "b_cation_a2": "B of the cation",
    "b_anion_a2": "B of the anion", "warm_gpa": "the constants at 300 K", "cold_gpa": "the constants at 4 K",
    "per_gpa": "their pressure derivatives", "f_ev": "the energy at 300 K", "f_width_ev": "the width at 300 K",
    "f_cold_ev": "the energy when cold", "f_cold_width_ev": "the width when cold", "m_ev": "the M band",
    "m_width_ev": "the M band's width", "f": "the oscillator strength",
}  # fmt: skip


def crystal_answer(
    salt: str,
    phase: str,
    *,
    pressure_gpa: float | None,
    volume_a3: float | None,
    temperature_k: float = 300.0,
    wavelength_angstrom: float | None = None,
) -> dict[str, Any]:
    """Cell, volume, bulk modulus, strain, elastic constants, F band, lines, scale, source and sigmas; JSON-ready.

    One of pressure (GPa, on the row's scale) and volume (cubic angstrom per cell). Raises Usage for both or neither and
    for numbers that make no sense, tables.UnknownPhase, eos.OutOfRange with the range and the source of the limit.
    """
    from rocksalt.crystals import eos
    from rocksalt.crystals.tables import phase as row_of

    if (pressure_gpa is None) == (volume_a3 is None):
        raise Usage("say either --pressure-gpa or --volume-a3: one of them follows from the other")
    if wavelength_angstrom is not None and not 0.0 < wavelength_angstrom < np.inf:
        raise Usage(f"--wavelength is {wavelength_angstrom:g} Å; it must be positive")
    row = row_of(salt, phase)
    if volume_a3 is None:
        assert pressure_gpa is not None
        volume = eos.volume_a3(row, pressure_gpa, temperature_k)
        pressure = pressure_gpa
    else:
        volume = volume_a3
        pressure = eos.pressure_gpa(row, volume, temperature_k)
    _within_its_own_range(row, pressure)
    a = float(np.cbrt(volume))
    # At the temperature's own volume: the row's sigma belongs to the 300 K isotherm, which is what was fitted.
    pressure_sigma = eos.pressure_sigma_gpa(row, volume)
    volume_sigma = eos.volume_sigma_a3(row, volume, temperature_k)
    low, high = row.range_gpa
    answer: dict[str, Any] = {
        "salt": salt,
        "structure": phase,
        "pressure_gpa": pressure,
        "pressure_sigma": pressure_sigma,
        "pressure_scale": row.scale,
        "temperature_k": temperature_k,
        "a_angstrom": a,
        "a_sigma": a * volume_sigma / volume / 3.0,
        "volume_a3": volume,
        "volume_sigma": volume_sigma,
        "formula_units": row.z,
        "bulk_modulus_gpa": eos.bulk_modulus_gpa(row, volume, temperature_k),
        "bulk_modulus_sigma": eos.bulk_modulus_sigma_gpa(row, volume),
        "strain": None,
        "elastic": _elastic(row, pressure, temperature_k),
        "f_band": _f_band(row, pressure, temperature_k),
        "lines": None,
        "range_gpa": [low, high],
        "form": row.form,
        "thermal_model": {"name": "Mie-Grueneisen-Debye", "debye_k": row.debye_k, "gamma0": row.gamma0, "q": row.q},
        "source": row.reference,
        "confirmed": row.confirmed,
        "unconfirmed": [_NAMES.get(name, name) for name in row.unconfirmed],
        "note": row.note,
    }
    if not row.v0_is_fictive:
        unloaded = eos.cell_angstrom(row, 0.0, temperature_k)
        answer["strain"] = {"linear": 1.0 - a / unloaded, "volume": 1.0 - (a / unloaded) ** 3, "a0_angstrom": unloaded}
    if wavelength_angstrom is not None:
        answer["wavelength_angstrom"] = wavelength_angstrom
        answer["lines"] = _lines(row, a, wavelength_angstrom, temperature_k)
    return answer


def _within_its_own_range(row: Phase, pressure_gpa: float) -> None:
    """Only what was measured is answered, and the unloaded cell of a phase that exists without pressure."""
    from rocksalt.crystals.eos import OutOfRange

    low, high = row.range_gpa
    lowest = low if row.v0_is_fictive else min(low, 0.0)
    if not lowest - _SCATTER_GPA <= pressure_gpa <= high + _SCATTER_GPA:
        why = "; it does not exist without pressure" if row.v0_is_fictive else ""
        raise OutOfRange(
            f"{row.name}: {pressure_gpa:.4g} GPa is outside {lowest:g} to {high:g} GPa, the range of its equation of "
            f"state ({row.reference}){why}"
        )


def _elastic(row: Phase, pressure_gpa: float, temperature_k: float) -> dict[str, Any] | None:
    """Elastic constants here; None where none are known for this phase, this far, or at this temperature."""
    from rocksalt.crystals.elasticity import constants_gpa, constants_sigma_gpa, elastic
    from rocksalt.crystals.limits import CrystalError

    try:
        known = elastic(row.salt, row.structure)
        values = constants_gpa(known, pressure_gpa, temperature_k)
        sigmas = constants_sigma_gpa(known, pressure_gpa, temperature_k)
    except CrystalError:
        return None
    return {
        "c11_c12_c44_gpa": values.tolist(),
        "sigma": sigmas.tolist(),
        "source": known.reference,
        "unconfirmed": [_NAMES[name] for name in known.unconfirmed],
    }


def _f_band(row: Phase, pressure_gpa: float, temperature_k: float) -> dict[str, Any] | None:
    """Energy and width of the F band of the phase that stands at ambient conditions; None for the others and beyond."""
    from rocksalt.crystals import colour_centres
    from rocksalt.crystals.limits import CrystalError

    if row.v0_is_fictive or (row.salt.startswith("Cs") != (row.structure == "B2")):
        return None
    known = colour_centres.bands(row.salt)
    try:
        energy = float(colour_centres.band_ev(row.salt, pressure_gpa, temperature_k))
        width = float(colour_centres.f_width_ev(row.salt, np.asarray(temperature_k)))
    except CrystalError:
        return None
    return {
        "energy_ev": energy,
        "energy_sigma": known.energy_sigma_ev,
        "width_ev": width,
        "width_sigma": width * known.width_share,
        "source": known.source,
        "unconfirmed": [_NAMES[name] for name in known.unconfirmed if not name.startswith("m_")],
    }


def _lines(row: Phase, a: float, wavelength: float, temperature_k: float) -> list[dict[str, Any]]:
    """The first lines of a powder without texture, to 90 degrees; with Lorentz factor and polarisation of a tube."""
    from rocksalt.crystals import structure

    found = structure.lines(row, a, wavelength, _TWO_THETA_MAX_DEG, temperature_k)
    areas = found.intensity_per_volume * structure.lorentz_polarisation_powder(found.two_theta_deg)
    relative = 100.0 * areas / areas.max() if len(areas) else areas
    shown = [index for index in range(len(relative)) if relative[index] > 100.0 * _SHOWN][:_MAX_LINES]
    return [
        {
            "hkl": found.labels[index],
            "d_angstrom": float(found.d_angstrom[index]),
            "two_theta_deg": float(found.two_theta_deg[index]),
            "multiplicity": int(found.multiplicity[index]),
            "intensity": float(relative[index]),
        }
        for index in shown
    ]


def render(answer: dict[str, Any]) -> str:
    """The same for a person."""
    rows = [
        f"{answer['salt']} {answer['structure']} at {answer['pressure_gpa']:.4g} ± {answer['pressure_sigma']:.2g} GPa "
        f"({answer['pressure_scale']}), {answer['temperature_k']:g} K",
        f"  a = {answer['a_angstrom']:.4f} ± {answer['a_sigma']:.4f} Å, "
        f"V = {answer['volume_a3']:.3f} ± {answer['volume_sigma']:.3f} Å³ ({answer['formula_units']} formula units)",
        f"  K = {answer['bulk_modulus_gpa']:.2f} ± {answer['bulk_modulus_sigma']:.2f} GPa",
    ]
    strain = answer["strain"]
    if strain is None:
        rows.append("  no strain: this phase does not exist at zero pressure")
    else:
        rows.append(
            f"  strain {100.0 * strain['linear']:.3f} % along each edge, {100.0 * strain['volume']:.3f} % in volume, "
            f"against a = {strain['a0_angstrom']:.4f} Å without pressure"
        )
    low, high = answer["range_gpa"]
    rows.append(f"  source: {answer['source']}; it holds from {low:g} to {high:g} GPa")
    if answer["unconfirmed"]:
        rows.append(f"  unconfirmed (from memory or from a model): {', '.join(answer['unconfirmed'])}")
    if answer["note"]:
        rows.append(f"  {answer['note']}")
    rows.extend(_companions(answer))
    if answer["lines"] is not None:
        rows.append(f"  lines at {answer['wavelength_angstrom']:g} Å, powder without texture:")
        rows.append("    hkl     2θ (°)     d (Å)  intensity")
        rows.extend(
            f"    {line['hkl']:<6}{line['two_theta_deg']:>8.3f}{line['d_angstrom']:>10.4f}{line['intensity']:>11.1f}"
            for line in answer["lines"]
        )
    return "\n".join(rows)


def _companions(answer: dict[str, Any]) -> list[str]:
    """Elastic constants and F band, each with what is unconfirmed in it."""
    rows = []
    if (elastic := answer["elastic"]) is not None:
        values = zip(("C11", "C12", "C44"), elastic["c11_c12_c44_gpa"], elastic["sigma"], strict=True)
        said = ", ".join(f"{name} {value:.2f} ± {sigma:.2f}" for name, value, sigma in values)
        rows += [f"  {said} GPa ({elastic['source']})", *_doubt(elastic)]
    if (band := answer["f_band"]) is not None:
        rows += [
            f"  F band {band['energy_ev']:.3f} ± {band['energy_sigma']:.2f} eV, "
            f"width {band['width_ev']:.2f} ± {band['width_sigma']:.2f} eV ({band['source']})",
            *_doubt(band),
        ]
    return rows


def _doubt(part: dict[str, Any]) -> list[str]:
    return [f"    unconfirmed: {', '.join(part['unconfirmed'])}"] if part["unconfirmed"] else []
