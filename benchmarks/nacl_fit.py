"""A least-squares fit of a real laboratory pattern of ground NaCl by the forward model: 25 parameters, nothing else.

The pattern's intensities are no raw counts; its scatter says what they weigh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rocksalt.crystals.tables import phase
from rocksalt.diffraction.forward.instrument import COPPER_K_BETA_ANGSTROM, Continuum, Emission, Instrument
from rocksalt.diffraction.forward.pattern import Powder, chebyshev_background, pattern
from rocksalt.values import FloatArray

K_ALPHA1, K_ALPHA2 = 1.540598, 1.544426
BACKGROUND_TERMS = 10
# name, start, low, high, the size of a step that matters. Zero stays 0: beside the displacement, with one salt and no
# standard, the two trade against each other and the cell. Caglioti's u and v stay 0: strain has the tan^2.
_PARAMETERS = (
    ("scale", 80.0, 1.0, 1e4, 10.0),
    ("a_angstrom", 5.6414, 5.63, 5.65, 1e-3),
    ("displacement", 0.0, -0.01, 0.01, 1e-4),
    ("march_r", 0.55, 0.1, 1.5, 0.05),
    ("b_factor", 1.0, 0.3, 3.0, 0.1),
    ("k_alpha2", 0.5, 0.3, 0.7, 0.02),
    ("k_beta", 0.005, 0.0, 0.05, 1e-3),
    ("white", 0.05, 0.0, 5.0, 0.02),
    ("white_decay", 5.0, -30.0, 50.0, 3.0),
    ("w", 0.004, 1e-5, 0.1, 1e-3),
    ("axial", 0.03, 0.0, 0.06, 2e-3),
    ("microstrain", 7e-4, 0.0, 5e-3, 1e-4),
    ("microstrain_hhh", 7e-4, 0.0, 5e-3, 1e-4),
    ("microstrain_lorentz", 3e-4, 0.0, 5e-3, 1e-4),
    ("microstrain_lorentz_hhh", 7e-4, 0.0, 5e-3, 1e-4),
)


@dataclass(frozen=True, slots=True)
class Fit:
    """What came out. rwp: weighed by all intensity; rwp_no_background: by what is above; gof: sqrt(chi^2/dof)."""

    two_theta_deg: FloatArray
    measured: FloatArray
    calculated: FloatArray
    background: FloatArray
    values: dict[str, float]
    parameters: int
    variance_over_mean: float
    rwp: float
    rwp_no_background: float
    gof: float


def fit_nacl(path: Path) -> Fit:
    """Fit `path` (two columns: 2 theta in degrees, intensity)."""
    from scipy.optimize import least_squares

    x, y = np.loadtxt(path).T
    share = scatter(y)
    sigma = np.sqrt(share * np.maximum(y, 1.0))
    start, low, high, step = (np.array(column) for column in zip(*(row[1:] for row in _PARAMETERS), strict=True))
    terms = np.polynomial.chebyshev.chebvander(np.linspace(-1.0, 1.0, x.size), BACKGROUND_TERMS - 1)
    flat = np.median(y)
    begin = np.concatenate([start, [flat], np.zeros(BACKGROUND_TERMS - 1)])
    scales = np.concatenate([step, np.full(BACKGROUND_TERMS, 0.1 * flat)])
    wide = np.full(BACKGROUND_TERMS, np.inf)

    def misfit(values: FloatArray) -> FloatArray:
        return np.asarray((model(x, values) - y) / sigma)

    def slope(values: FloatArray) -> FloatArray:
        at = misfit(values)
        columns = []
        for i in range(len(_PARAMETERS)):
            h = 1e-3 * step[i] if values[i] + 1e-3 * step[i] <= high[i] else -1e-3 * step[i]
            moved = values.copy()
            moved[i] += h
            columns.append((misfit(moved) - at) / h)
        return np.column_stack([*columns, terms / sigma[:, None]])

    bounds = (np.concatenate([low, -wide]), np.concatenate([high, wide]))
    found = least_squares(misfit, begin, slope, bounds, x_scale=scales, max_nfev=60, ftol=1e-7)
    calculated, background = model(x, found.x), chebyshev_background(x, found.x[len(_PARAMETERS) :])
    chi2 = float((((y - calculated) / sigma) ** 2).sum())
    names = [row[0] for row in _PARAMETERS]
    return Fit(
        two_theta_deg=x,
        measured=y,
        calculated=calculated,
        background=background,
        values=dict(zip(names, found.x.tolist(), strict=False)),
        parameters=found.x.size,
        variance_over_mean=share,
        rwp=float(np.sqrt(chi2 / ((y / sigma) ** 2).sum())),
        rwp_no_background=float(np.sqrt(chi2 / (((y - background) / sigma) ** 2).sum())),
        gof=float(np.sqrt(chi2 / (x.size - found.x.size))),
    )


def model(x: FloatArray, values: FloatArray) -> FloatArray:
    """The pattern of a row of parameters."""
    p = dict(zip((row[0] for row in _PARAMETERS), values.tolist(), strict=False))
    salt = phase("NaCl", "B1")
    salt = replace(salt, b_cation_a2=p["b_factor"] * salt.b_cation_a2, b_anion_a2=p["b_factor"] * salt.b_anion_a2)
    powder = Powder(
        crystal=salt,
        a_angstrom=p["a_angstrom"],
        scale=p["scale"],
        march_r=p["march_r"],
        microstrain=p["microstrain"],
        microstrain_hhh=p["microstrain_hhh"],
        microstrain_lorentz=p["microstrain_lorentz"],
        microstrain_lorentz_hhh=p["microstrain_lorentz_hhh"],
    )
    instrument = Instrument(
        emissions=(
            Emission(K_ALPHA1),
            Emission(K_ALPHA2, p["k_alpha2"]),
            Emission(COPPER_K_BETA_ANGSTROM, p["k_beta"]),
        ),
        w=p["w"],
        axial=p["axial"],
        displacement=p["displacement"],
        continuum=Continuum(p["white"], p["white_decay"]),
    )
    return pattern(x, [powder], instrument, values[len(_PARAMETERS) :])


def scatter(y: FloatArray) -> float:
    """Variance over mean of neighbouring points, from second differences where the pattern is flat (lower half)."""
    second = (y[2:] - 2.0 * y[1:-1] + y[:-2]) ** 2 / 6.0
    quiet = y[1:-1] < np.median(y)
    return float(second[quiet].mean() / y[1:-1][quiet].mean())
