"""Pressure, volume and stiffness of a phase: the 300 K isotherm of its row plus Mie-Grueneisen-Debye heat.

P(V, T) = P300(V) + Pth(V, T) - Pth(V, 300 K), with Pth = gamma(V) E(theta(V)/T) / V. Zero-point motion cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, wraps
from typing import Final, Protocol, overload

import numpy as np

from rocksalt.crystals.debye import debye3
from rocksalt.crystals.limits import CrystalError, within
from rocksalt.crystals.tables import Phase
from rocksalt.values import FloatArray

# How far an isotherm is followed into tension: 1 GPa, or a seventeenth of K0 where that is more. Estimates of an
# uncompressed cell scatter around zero, and a hot cell at zero pressure is larger than V0 (LiF at 600 K: 2.1 GPa).
_TENSION_GPA: Final = 1.0
_TENSION_OF_K0: Final = 1.0 / 17.0
TEMPERATURE_K: Final = (1.0, 900.0)
_REFERENCE_K: Final = 300.0
_BOLTZMANN_GPA_A3: Final = 1.380649e-23 * 1e30 * 1e-9  # GPa A3 per K, SI 2019
EXTRAPOLATED: Final = 2.0  # times the highest pressure that was measured, as far as `extrapolated` follows an isotherm
_CONVERGED: Final = 1e-8  # of ln V: Newton is quadratic, so the step that is this small leaves about 1e-15
# Correlations (V0-K0, K0-K0', V0-K0') of a fit with all three free, and of one with V0 held. They come from the normal
# equations of the rows that phases.toml speaks of (LiF: -0.88, -0.95, 0.74; KBr B2: -0.97, -0.97, 0.90).
_FITTED: Final = (-0.9, -0.95, 0.8)
_HELD: Final = (0.0, -0.97, 0.0)


class OutOfRange(CrystalError):
    """A pressure, volume, cell or temperature outside what the phase's source supports, or not a number."""


class Elementwise(Protocol):
    """f(phase, quantity, temperature_k=300): floats in, float out; arrays in (they broadcast), float64 array out."""

    @overload
    def __call__(self, phase: Phase, quantity: float, /, temperature_k: float = 300.0) -> float: ...
    @overload
    def __call__(
        self, phase: Phase, quantity: FloatArray, /, temperature_k: float | FloatArray = 300.0
    ) -> FloatArray: ...
    @overload
    def __call__(self, phase: Phase, quantity: float, /, temperature_k: FloatArray) -> FloatArray: ...


def _elementwise(function: Callable[[Phase, FloatArray, FloatArray], FloatArray]) -> Elementwise:
    """Broadcast, refuse NaN and temperatures outside the model, and give a float back for floats."""

    @wraps(function)
    def call(
        phase: Phase, quantity: float | FloatArray, /, temperature_k: float | FloatArray = 300.0
    ) -> float | FloatArray:
        values, temperatures = np.asarray(quantity, dtype=np.float64), np.asarray(temperature_k, dtype=np.float64)
        if np.isnan(values).any():
            raise OutOfRange(
                f"{function.__name__} of {phase.name} was asked for NaN; leave missing values out: it must be a "
                f"number, and {_source(phase)}"
            )
        low, high = TEMPERATURE_K
        if not ((temperatures >= low) & (temperatures <= high)).all():
            raise OutOfRange(
                f"{phase.name}: {_extreme(temperatures, low, high):g} K is outside {low:g} to {high:g} K, where the "
                "Mie-Grueneisen-Debye model of its heat is followed (checked against measured expansion at 300 K)"
            )
        result = function(phase, values, temperatures)
        return float(result) if result.ndim == 0 else result

    return call  # type: ignore[return-value]  # the overloads say which of float and array comes back


@_elementwise
def pressure_gpa(phase: Phase, volume_a3: FloatArray, temperature_k: FloatArray) -> FloatArray:
    """Pressure (GPa) of a cell of `volume_a3` (cubic angstrom) at `temperature_k`, on the row's pressure scale.

    The row's 300 K isotherm is followed from 1 GPa of tension (or K0/17 if more) to a tenth plus 0.5 GPa above its
    measured range; a volume outside raises OutOfRange. Forms: Vinet 1987; Birch 1947 to third and fourth order.
    """
    _check_volume(phase, volume_a3)
    return _pressure_and_modulus(phase, volume_a3, temperature_k)[0]


@_elementwise
def bulk_modulus_gpa(phase: Phase, volume_a3: FloatArray, temperature_k: FloatArray) -> FloatArray:
    """Isothermal bulk modulus -V dP/dV (GPa) at `volume_a3` (cubic angstrom), heat included. Raises OutOfRange."""
    _check_volume(phase, volume_a3)
    return _pressure_and_modulus(phase, volume_a3, temperature_k)[1]


@_elementwise
def volume_a3(phase: Phase, pressure_gpa: FloatArray, temperature_k: FloatArray) -> FloatArray:
    """Cell volume (cubic angstrom) at `pressure_gpa` (GPa): the inverse of `pressure_gpa`. Raises OutOfRange."""
    small, large = _volume_window(phase)
    highest = _pressure_and_modulus(phase, np.asarray(small), temperature_k)[0]
    lowest = _pressure_and_modulus(phase, np.asarray(large), temperature_k)[0]
    # One part in 1e12 of slack, so that the pressure of the outermost allowed volume is itself allowed.
    slack = 1e-12 * phase.k0_gpa
    if not ((pressure_gpa >= lowest - slack) & (pressure_gpa <= highest + slack)).all():
        worst = _extreme(pressure_gpa, float(np.max(lowest)), float(np.min(highest)))
        raise OutOfRange(
            f"{phase.name}: {worst:g} GPa is outside {np.max(lowest):.4g} to {np.min(highest):.4g} GPa; "
            f"{_source(phase)}"
        )
    # Newton in ln V inside the window, where P falls monotonically; Murnaghan's equation gives the start.
    heat = _thermal(phase, np.asarray(phase.v0_a3), temperature_k)[0]
    base = 1.0 + phase.k0p * (pressure_gpa - heat) / phase.k0_gpa
    volume = np.clip(phase.v0_a3 * np.maximum(base, 0.1) ** (-1.0 / phase.k0p), small, large)
    for _ in range(60):
        pressure, modulus = _pressure_and_modulus(phase, volume, temperature_k)
        step = (pressure - pressure_gpa) / modulus
        volume = np.clip(volume * np.exp(np.clip(step, -0.2, 0.2)), small, large)
        if not step.size or np.abs(step).max() < _CONVERGED:
            break
    return np.asarray(volume)


@_elementwise
def cell_angstrom(phase: Phase, pressure_gpa: FloatArray, temperature_k: FloatArray) -> FloatArray:
    """Edge of the cubic cell (angstrom) at `pressure_gpa` (GPa). Raises OutOfRange."""
    return np.asarray(np.cbrt(volume_a3(phase, pressure_gpa, temperature_k)))


@_elementwise
def pressure_from_cell_gpa(phase: Phase, a_angstrom: FloatArray, temperature_k: FloatArray) -> FloatArray:
    """Pressure (GPa) of a cubic cell of edge `a_angstrom` (angstrom). Raises OutOfRange."""
    return np.asarray(pressure_gpa(phase, a_angstrom**3, temperature_k))


@overload
def pressure_sigma_gpa(phase: Phase, volume_a3: float) -> float: ...
@overload
def pressure_sigma_gpa(phase: Phase, volume_a3: FloatArray) -> FloatArray: ...
def pressure_sigma_gpa(phase: Phase, volume_a3: float | FloatArray) -> float | FloatArray:
    """One sigma (GPa) of the 300 K pressure at `volume_a3` that comes from the row itself, by linear propagation.

    var P = J C J^T with J = dP/d(V0, K0, K0') and C from the row's sigmas. K0 and K0' are anticorrelated:
    -0.97 where V0 was measured apart or held, -0.95 where it was fitted with them (then -0.9 to K0, 0.8 to K0'). The
    difference between pressure scales, 1 to 5 %, isn't in it, nor is the sigma of the volume. Raises OutOfRange.
    """
    volume = np.asarray(volume_a3, dtype=np.float64)
    pressure, modulus = pressure_gpa(phase, volume), np.asarray(bulk_modulus_gpa(phase, volume))
    # P depends on V/V0 and is proportional to K0 (in BM4 at fixed K0 K0''): two derivatives are P and K themselves.
    by_v0 = modulus / phase.v0_a3 * phase.v0_sigma_a3
    by_k0 = np.asarray(pressure) / phase.k0_gpa * phase.k0_sigma_gpa
    by_k0p = _derivative_k0p(phase, volume) * phase.k0p_sigma
    v0_k0, k0_k0p, v0_k0p = _FITTED if phase.v0_fitted else _HELD
    together = v0_k0 * by_v0 * by_k0 + k0_k0p * by_k0 * by_k0p + v0_k0p * by_v0 * by_k0p
    sigma = np.sqrt(by_v0**2 + by_k0**2 + by_k0p**2 + 2.0 * together)
    return float(sigma) if sigma.ndim == 0 else sigma


@overload
def volume_sigma_a3(phase: Phase, volume_a3: float, temperature_k: float = ...) -> float: ...
@overload
def volume_sigma_a3(phase: Phase, volume_a3: FloatArray, temperature_k: float = ...) -> FloatArray: ...
def volume_sigma_a3(
    phase: Phase, volume_a3: float | FloatArray, temperature_k: float = _REFERENCE_K
) -> float | FloatArray:
    """One sigma (cubic angstrom) that the row leaves on the volume at a given pressure: sigma_P V / K at that volume.

    The thermal model's own error isn't in it: nobody printed one for most rows. Raises OutOfRange.
    """
    volume = np.asarray(volume_a3, dtype=np.float64)
    modulus = np.asarray(bulk_modulus_gpa(phase, volume, temperature_k))
    sigma = np.asarray(pressure_sigma_gpa(phase, volume)) * volume / modulus
    return float(sigma) if sigma.ndim == 0 else sigma


@overload
def bulk_modulus_sigma_gpa(phase: Phase, volume_a3: float) -> float: ...
@overload
def bulk_modulus_sigma_gpa(phase: Phase, volume_a3: FloatArray) -> FloatArray: ...
def bulk_modulus_sigma_gpa(phase: Phase, volume_a3: float | FloatArray) -> float | FloatArray:
    """One sigma (GPa) that the row leaves on the 300 K bulk modulus at `volume_a3`, with the correlations that
    `pressure_sigma_gpa` uses; derivatives by differences of 1e-5. Raises OutOfRange."""
    volume, reference = np.asarray(volume_a3, dtype=np.float64), np.asarray(_REFERENCE_K)
    here = np.asarray(bulk_modulus_gpa(phase, volume))

    def moved(by: float, **changed: float) -> FloatArray:
        there = _pressure_and_modulus(replace(phase, **changed), volume, reference)[1]  # type: ignore[arg-type]
        return np.asarray((there - here) / by)

    v0, k0, k0p = phase.v0_a3 * 1e-5, phase.k0_gpa * 1e-5, phase.k0p * 1e-5
    by_v0 = moved(v0, v0_a3=phase.v0_a3 + v0) * phase.v0_sigma_a3
    by_k0 = moved(k0, k0_gpa=phase.k0_gpa + k0) * phase.k0_sigma_gpa
    by_k0p = moved(k0p, k0p=phase.k0p + k0p) * phase.k0p_sigma
    v0_k0, k0_k0p, v0_k0p = _FITTED if phase.v0_fitted else _HELD
    together = v0_k0 * by_v0 * by_k0 + k0_k0p * by_k0 * by_k0p + v0_k0p * by_v0 * by_k0p
    sigma = np.sqrt(by_v0**2 + by_k0**2 + by_k0p**2 + 2.0 * together)
    return float(sigma) if sigma.ndim == 0 else sigma


def extrapolated(phase: Phase) -> Phase:
    """The same row, its isotherm followed to twice the highest pressure that its source measured, and its reference
    saying so: for a phase that is met metastably beyond its data (KBr B1 above 2.5 GPa). The row's own forms and
    sigmas are continued, so judge what comes out by `extrapolation_sigma_gpa`.
    """
    low, high = phase.range_gpa
    reference = f"{phase.reference}, extrapolated beyond {high:g} GPa"
    return replace(phase, range_gpa=(low, EXTRAPOLATED * high), reference=reference)


@overload
def extrapolation_sigma_gpa(phase: Phase, volume_a3: float) -> float: ...
@overload
def extrapolation_sigma_gpa(phase: Phase, volume_a3: FloatArray) -> FloatArray: ...
def extrapolation_sigma_gpa(phase: Phase, volume_a3: float | FloatArray) -> float | FloatArray:
    """One sigma (GPa) of the 300 K pressure of `extrapolated(phase)` at `volume_a3`, where `phase` is the table's row.

    `pressure_sigma_gpa`, and beyond the data in quadrature what another form makes of the same V0, K0 and K0': the
    data could not choose between Vinet and Birch there. Both grow with the distance. Raises OutOfRange.
    """
    volume, wide = np.asarray(volume_a3, dtype=np.float64), extrapolated(phase)
    own, pressure = np.asarray(pressure_sigma_gpa(wide, volume)), np.asarray(pressure_gpa(wide, volume))
    other = replace(wide, form="BM3" if phase.form == "Vinet" else "Vinet", k0pp_per_gpa=None)

    def apart(at: FloatArray) -> FloatArray:
        reference = np.asarray(_REFERENCE_K)
        difference = _pressure_and_modulus(other, at, reference)[0] - _pressure_and_modulus(wide, at, reference)[0]
        return np.asarray(difference)

    edge = np.asarray(_edge_a3(phase))
    form = np.where(pressure > phase.range_gpa[1], apart(volume) - apart(edge), 0.0)
    sigma = np.hypot(own, form)
    return float(sigma) if sigma.ndim == 0 else sigma


def debye_temperature_k(phase: Phase, volume_a3: FloatArray) -> FloatArray:
    """Debye temperature (K) of cells of `volume_a3` (cubic angstrom, any shape): theta0 exp((gamma0 - gamma) / q).

    Raises OutOfRange for a volume that isn't above zero.
    """
    if not ((volume_a3 > 0.0) & (volume_a3 < np.inf)).all():
        within(f"volume of a cell of {phase.name} (A3)", volume_a3, 0.0, np.inf, phase.reference, open_low=True,
               error=OutOfRange)  # fmt: skip
    growth = np.log(volume_a3 / phase.v0_a3)
    if phase.q != 0.0:
        growth = np.expm1(phase.q * growth) / phase.q
    return np.asarray(phase.debye_k * np.exp(-phase.gamma0 * growth))


def _pressure_and_modulus(phase: Phase, volume: FloatArray, temperature_k: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P and -V dP/dV in GPa, unchecked; `volume` and `temperature_k` broadcast."""
    pressure, modulus = _vinet(phase, volume) if phase.form == "Vinet" else _birch(phase, volume)
    heat, heat_modulus = _thermal(phase, volume, temperature_k)
    return np.asarray(pressure + heat), np.asarray(modulus + heat_modulus)


def _vinet(phase: Phase, volume: FloatArray) -> tuple[FloatArray, FloatArray]:
    x = np.cbrt(volume / phase.v0_a3)
    eta = 1.5 * (phase.k0p - 1.0)
    rise = phase.k0_gpa * np.exp(eta * (1.0 - x)) / (x * x)
    return 3.0 * (1.0 - x) * rise, rise * (2.0 - x + eta * x * (1.0 - x))


def _birch(phase: Phase, volume: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Third order, and fourth where the row has K0''."""
    strain = 0.5 * (np.cbrt(phase.v0_a3 / volume) ** 2 - 1.0)
    stretch = 1.0 + 2.0 * strain
    third, fourth = 1.5 * (phase.k0p - 4.0), 0.0
    if phase.k0pp_per_gpa is not None:
        fourth = 1.5 * (phase.k0_gpa * phase.k0pp_per_gpa + (phase.k0p - 4.0) * (phase.k0p - 3.0) + 35.0 / 9.0)
    front = 3.0 * phase.k0_gpa * stretch**2.5
    pressure = front * strain * (1.0 + third * strain + fourth * strain**2)
    # -V d/dV = (1 + 2f)/3 d/df
    slope = front * (1.0 + 2.0 * third * strain + 3.0 * fourth * strain**2)
    return pressure, stretch * slope / 3.0 + 5.0 / 3.0 * pressure


def _thermal(phase: Phase, volume: FloatArray, temperature_k: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Pth(V, T) - Pth(V, 300 K) and its -V d/dV, in GPa; E = 3 N k T D3(theta/T), theta' = -gamma theta / V."""
    if (temperature_k == _REFERENCE_K).all():
        nothing = np.zeros(np.broadcast_shapes(volume.shape, temperature_k.shape))
        return nothing, nothing
    relative = volume / phase.v0_a3
    gamma = phase.gamma0 * relative**phase.q
    theta = debye_temperature_k(phase, volume)
    hot, hot_slope = _energy(phase, theta, temperature_k)
    cold, cold_slope = _energy(phase, theta, np.asarray(_REFERENCE_K))
    heat = gamma / volume * (hot - cold)
    return heat, heat * (1.0 - phase.q) + gamma**2 / volume * (hot_slope - cold_slope)


def _energy(phase: Phase, theta: FloatArray, temperature_k: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Debye energy of the cell without zero-point motion, and its d/d ln theta, in GPa A3."""
    y = theta / temperature_k
    unit = 3.0 * phase.atoms * _BOLTZMANN_GPA_A3 * temperature_k
    value = debye3(y)
    # y dD3/dy = 3 y/(e^y - 1) - 3 D3
    return unit * value, unit * (3.0 * y * np.exp(-y) / -np.expm1(-y) - 3.0 * value)


def _derivative_k0p(phase: Phase, volume: FloatArray) -> FloatArray:
    """dP/dK0' (GPa) on the 300 K isotherm."""
    if phase.form == "Vinet":
        return np.asarray(1.5 * (1.0 - np.cbrt(volume / phase.v0_a3)) * _vinet(phase, volume)[0])
    strain = 0.5 * (np.cbrt(phase.v0_a3 / volume) ** 2 - 1.0)
    bracket = 1.5 * strain
    if phase.form == "BM4":
        bracket = bracket + 1.5 * (2.0 * phase.k0p - 7.0) * strain**2
    return np.asarray(3.0 * phase.k0_gpa * strain * (1.0 + 2.0 * strain) ** 2.5 * bracket)


@lru_cache(maxsize=64)
def _edge_a3(phase: Phase) -> float:
    """Volume at the highest pressure that was measured."""
    return volume_a3(phase, phase.range_gpa[1])


@lru_cache(maxsize=64)
def _volume_window(phase: Phase) -> tuple[float, float]:
    """Volumes (small, large) between which the 300 K isotherm is followed, as `pressure_gpa` says."""

    def at(target: float) -> float:
        inner, outer = 0.2 * phase.v0_a3, 1.2 * phase.v0_a3
        # Between the spinodal, and the turnover of a form whose K'' is too negative (NaF: 56 GPa), P falls with V.
        grid = np.linspace(inner, outer, 4001)
        rising = _pressure_and_modulus(phase, grid, np.asarray(_REFERENCE_K))[1] <= 0.0
        if rising[grid > phase.v0_a3].any():
            outer = float(grid[(grid > phase.v0_a3) & rising][0])
        if rising[grid < phase.v0_a3].any():
            inner = float(grid[(grid < phase.v0_a3) & rising][-1])
        for _ in range(200):
            middle = 0.5 * (inner + outer)
            if float(_pressure_and_modulus(phase, np.asarray(middle), np.asarray(_REFERENCE_K))[0]) > target:
                inner = middle
            else:
                outer = middle
        return 0.5 * (inner + outer)

    return at(1.1 * phase.range_gpa[1] + 0.5), at(-_tension_gpa(phase))


def _tension_gpa(phase: Phase) -> float:
    return max(_TENSION_GPA, _TENSION_OF_K0 * phase.k0_gpa)


def _check_volume(phase: Phase, volume: FloatArray) -> None:
    small, large = _volume_window(phase)
    if not ((volume >= small * (1.0 - 1e-12)) & (volume <= large * (1.0 + 1e-12))).all():
        raise OutOfRange(
            f"{phase.name}: a cell of {_extreme(volume, small, large):.6g} A3 is outside {small:.6g} to {large:.6g} "
            f"A3; {_source(phase)}"
        )


def _extreme(values: FloatArray, low: float, high: float) -> float:
    """The value farthest outside low..high, for the error's sentence."""
    flat = values.ravel()
    return float(flat[np.argmax(np.maximum(low - flat, flat - high))])


def _source(phase: Phase) -> str:
    low, high = phase.range_gpa
    return (
        f"its equation of state holds from {low:g} to {high:g} GPa ({phase.reference}) "
        f"and is followed a tenth and 0.5 GPa above that and {_tension_gpa(phase):.3g} GPa into tension at 300 K"
    )
