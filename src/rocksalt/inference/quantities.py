"""From a fit's cells, scales and widths to what they say of the sample: pressure, fraction of B2, microstrain.

Each with a sigma that holds what the fit can't know: geometry, stress, the lines' asymmetry, few grains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from rocksalt.crystals import eos, tables
from rocksalt.inference.case import Case
from rocksalt.inference.evidence import Account, Verdict
from rocksalt.inference.refine import FittedPhase
from rocksalt.values import Measured, PhaseEstimate

_GEOMETRY: Final = 3e-4  # relative: wavelength and distance of a calibrated station that says nothing of them
_UNIAXIAL_GPA: Final = 0.03  # what a uniaxial stress of 0.05 GPa takes from the pressure of a soft salt (Singh 1998)
_STRETCH: Final = 0.4  # of the stretch laid to stress: elastic constants, and whether grains share stress or strain
_TUBE_GEOMETRY: Final = 3e-5  # relative: a goniometer's, once displacement is refined
_SKEW: Final = 0.015  # of a line's width: how far asymmetry may move its centre
_UNTRIED: Final = 0.15  # sigma of a fraction of 0 or 1 where the other structure could not be tried
_GRAINS: Final = 0.015  # relative error of a whole powder's intensity: few grains; a share f of it has f times as many
_FALSE: Final = 0.001  # of the sample: what gasket, spots and background leave under the lines of a weak phase


def phases(case: Case, account: Account, verdicts: Sequence[Verdict]) -> tuple[PhaseEstimate, ...]:
    """The phases of `verdicts` (salts alone), strongest first."""
    scales = [v.phase.scale for v in verdicts]
    total = sum(scales)
    tube = account.fit.radiation.tube is not None
    stated = case.observation.pattern.calibration_sigma
    result = []
    for v in verdicts:
        rest_sigma = float(np.sqrt(sum(w.phase.scale_sigma**2 for w in verdicts if w is not v)))
        share = _share(Measured(v.phase.scale, v.phase.scale_sigma), Measured(total - v.phase.scale, rest_sigma))
        geometry = (_TUBE_GEOMETRY if tube else stated if stated is not None else _GEOMETRY) * v.phase.a
        stretch = _STRETCH * v.phase.stretch * v.phase.a
        a_sigma = float(np.sqrt(v.phase.a_sigma**2 + geometry**2 + (_skew(v.phase) * v.phase.a) ** 2 + stretch**2))
        row = tables.phase(v.phase.template.salt, v.phase.template.structure)
        pressure = pressure_of(row, v.phase.a, a_sigma, case.temperature_k, follow=case.salt is not None)
        if pressure is not None and not tube and account.fit.stress is None:
            pressure = Measured(pressure.value, float(np.hypot(pressure.sigma, _UNIAXIAL_GPA)))
        result.append(
            PhaseEstimate(
                row.salt, row.structure, share.value, min(share.sigma, 0.5) if len(verdicts) > 1 else 0.0, "volume",
                v.phase.a, a_sigma,
                None if pressure is None else pressure.value, None if pressure is None else pressure.sigma, row.scale,
                case.temperature_k,
            )
        )  # fmt: skip
    return tuple(sorted(result, key=lambda p: -p.fraction))


def pressure_of(
    row: tables.Phase, a: float, a_sigma: float, temperature_k: float, *, follow: bool = False
) -> Measured | None:
    """Pressure (GPa) of a cell (angstrom) by the phase's equation of state; None where that does not reach.

    `follow` it beyond its data, as far as `eos.extrapolated` does, with a sigma that grows with the distance.
    """
    reached = eos.extrapolated(row) if follow else row
    try:
        value = eos.pressure_from_cell_gpa(reached, a, temperature_k)
        own = eos.extrapolation_sigma_gpa(row, a**3) if follow else eos.pressure_sigma_gpa(row, a**3)
        slope = 3.0 * eos.bulk_modulus_gpa(reached, a**3, temperature_k) / a
    except eos.OutOfRange:
        return None
    return Measured(float(value), float(np.hypot(own, slope * a_sigma)))


def beyond_gpa(phase: PhaseEstimate) -> float:
    """How far (GPa) a phase's pressure lies above the highest that its equation of state was measured at; else 0."""
    if phase.pressure_gpa is None:
        return 0.0
    return max(phase.pressure_gpa - tables.phase(phase.salt, phase.structure).range_gpa[1], 0.0)


def sample_pressure(estimates: Sequence[PhaseEstimate]) -> Measured | None:
    """Of the sample: phases weighted by their share of the volume and by how well they know, widened where they differ.

    Geometry, wavelength and stress err alike for all phases, so that two of them do not know more than one.
    """
    told = [
        (p.pressure_gpa, p.pressure_sigma, p.fraction)
        for p in estimates
        if p.pressure_gpa is not None and p.pressure_sigma
    ]
    if not told:
        return None
    values, sigmas, shares = np.array(told, dtype=float).T
    weight = shares / sigmas**2
    mean = float((weight * values).sum() / weight.sum())
    between = float(np.sqrt((weight * (values - mean) ** 2).sum() / weight.sum()))
    return Measured(mean, max(float((weight * sigmas).sum() / weight.sum()), between))


def fraction_b2(estimates: Sequence[PhaseEstimate], minor: Measured | None) -> Measured | None:
    """Volume fraction of B2 in one salt. `minor` is what a fit with both structures gave where only one was found."""
    if len(estimates) == 1 and minor is not None:
        return minor
    if not estimates:
        return None
    total = sum(p.fraction for p in estimates)
    share = sum(p.fraction for p in estimates if p.structure == "B2") / total
    sigma = max(p.fraction_sigma for p in estimates) / total if len(estimates) > 1 else _UNTRIED
    return Measured(float(share), float(sigma))


def minor_b2(account: Account) -> Measured | None:
    """B2 over B1 + B2 in volume, from a fit whose first and last phases are the two structures; None for no intensity.

    Its sigma is never below what `_share` says of a phase that is hardly there.
    """
    one, two = account.fit.phases[0], account.fit.phases[-1]
    if one.scale + two.scale <= 0.0:
        return None
    b2, b1 = (one, two) if one.template.structure == "B2" else (two, one)
    share = _share(Measured(b2.scale, b2.scale_sigma), Measured(b1.scale, b1.scale_sigma))
    return Measured(share.value, min(share.sigma, 0.3))


def _share(one: Measured, other: Measured) -> Measured:
    """one / (one + other), by the fit's sigmas, and in quadrature what the fit can't know.

    Two things: a phase of few grains diffracts unevenly, the more the smaller its share; and something of gasket, spots
    and background always ends up under the lines of a phase that is looked for.
    """
    total = one.value + other.value
    if total <= 0.0:
        return Measured(0.0, 1.0)
    share = one.value / total
    fitted = float(np.hypot(other.value * one.sigma, one.value * other.sigma)) / total**2
    less = min(share, 1.0 - share)
    grains = share * (1.0 - share) * _GRAINS / np.sqrt(max(less, _FALSE))
    return Measured(share, float(np.sqrt(fitted**2 + grains**2 + _FALSE**2)))


def microstrain(verdicts: Sequence[Verdict]) -> Measured | None:
    """Of the strongest phase: the width that grows as tan(theta), FWHM = 4 e tan(theta), instrument included."""
    if not verdicts:
        return None
    phase = max(verdicts, key=lambda v: v.phase.scale).phase
    unit = np.radians(1.0) / 4.0
    return Measured(float(phase.strain_fwhm * unit), float(phase.strain_sigma * unit))


def _skew(phase: FittedPhase) -> float:
    """Relative error of the cell from lines that are not as symmetric as the fit's."""
    seen = phase.area > 4.0 * phase.sigma
    if not seen.any():
        return 0.0
    shift = _SKEW * np.radians(phase.fwhm[seen]) / (2.0 * np.tan(np.radians(phase.angle[seen] / 2.0)))
    return float(np.sqrt(1.0 / np.mean(1.0 / shift**2)))
