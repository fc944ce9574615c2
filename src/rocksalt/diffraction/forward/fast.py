"""Thousands of patterns a second: same phases, grid and instrument, other cells, widths, textures and pressures.

Structure factors and stiffness are tabulated over the cell once; Lorentzians are one matrix product and one reciprocal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rocksalt.crystals.eos import bulk_modulus_gpa
from rocksalt.crystals.tables import Phase
from rocksalt.diffraction.forward.errors import ForwardError, require_angles
from rocksalt.diffraction.forward.instrument import Emission, Instrument
from rocksalt.diffraction.forward.lineshape import line_shapes, reach_deg
from rocksalt.diffraction.forward.pattern import SIZE_RANGE_ANGSTROM, STRAIN_RANGE, Powder, chebyshev_background
from rocksalt.diffraction.forward.profile import FAR, GAUSS, REACH
from rocksalt.diffraction.forward.strain import q_per_gpa
from rocksalt.diffraction.forward.texture import R_RANGE
from rocksalt.values import FloatArray

WINDOW: Final = 0.04
"""How far, relative, a cell may move from the one its evaluator was made for."""
_ORDER: Final = 11
_CHUNK: Final = 64  # patterns at once: their arrays stay in the cache
_LN2: Final = float(np.log(2.0))
_SCALE_LIMITS: Final = (0.0, float(np.finfo(np.float64).max))


@dataclass(frozen=True, slots=True)
class _Group:
    """All families of all phases for one emission: (m,) each, `table` (order, m) Chebyshev coefficients of strength."""

    emission: Emission
    phase: np.ndarray[tuple[int], np.dtype[np.int64]]
    d_over_a: FloatArray
    table: FloatArray
    cos2: FloatArray
    share: FloatArray
    q: FloatArray


class Evaluator:
    """Patterns of salts of the table on one grid; temperature, texture axes and stresses are those of `phases`.

    `phases` are p Powders as for `pattern`; each call overrides what it names. A continuum isn't computed here: an
    instrument with one is refused. The result equals `pattern`'s within 1e-6 of the highest point.
    """

    def __init__(
        self,
        two_theta_deg: FloatArray,
        phases: Sequence[Powder],
        instrument: Instrument,
        background: Sequence[float] = (),
    ) -> None:
        """Raises ForwardError for a crystal from a CIF, a continuum or no phase, and what `pattern` raises."""
        self._x = require_angles(two_theta_deg)
        if not phases:
            raise ForwardError("an evaluator needs one phase or more")
        if instrument.continuum is not None:
            raise ForwardError("the fast evaluator has no continuum; use `pattern`, or leave the continuum out")
        self._instrument, self._limit = instrument, reach_deg(self._x)
        self._background = chebyshev_background(self._x, background)
        self._start = tuple(phases)
        self._a0 = np.array([_cell(powder) for powder in phases])
        nodes = np.cos(np.pi * (np.arange(_ORDER) + 0.5) / _ORDER)
        self._fit = np.linalg.inv(np.polynomial.chebyshev.chebvander(nodes, _ORDER - 1))
        edges = 1.0 + WINDOW * nodes
        self._groups = tuple(self._group(emission, edges) for emission in instrument.emissions)
        self._softness = np.zeros((_ORDER, len(phases)))
        for column, powder in enumerate(phases):
            if powder.pressure_spread_gpa and isinstance(powder.crystal, Phase):
                volumes = (self._a0[column] * edges) ** 3
                stiff = bulk_modulus_gpa(powder.crystal, volumes, powder.temperature_k)
                self._softness[:, column] = self._fit @ (powder.pressure_spread_gpa / (3.0 * stiff))
        middle = 0.5 * (self._x[0] + self._x[-1])
        u = self._x - middle
        self._middle, self._powers = float(middle), np.stack([u * u, u, np.ones_like(u)])
        far = np.full(self._x.size, self._x[-1] + 1e3)
        self._long_x = np.concatenate([self._x, far])  # windows that run off the end find nothing there

    def __call__(
        self,
        *,
        a_angstrom: FloatArray | None = None,
        scale: FloatArray | None = None,
        microstrain: FloatArray | None = None,
        microstrain_lorentz: FloatArray | None = None,
        size_angstrom: FloatArray | None = None,
        march_r: FloatArray | None = None,
        t_gpa: FloatArray | None = None,
    ) -> FloatArray:
        """Patterns (b, n), or (n,) where all that is given has shape (p,); else (b, p) or whatever broadcasts to it.

        None: as in the Powder. Raises ForwardError for a value out of range, or a cell more than 4 % off its start.
        """
        first = self._start
        stress = [0.0 if p.deviatoric is None else p.deviatoric.t_gpa for p in first]
        if t_gpa is not None and any(p.deviatoric is None for p in first):
            raise ForwardError("t_gpa needs a Deviatoric, with its stiffness, in every Powder of the evaluator")
        a = self._given("a_angstrom", a_angstrom, self._a0, self._a0 * (1 - WINDOW), self._a0 * (1 + WINDOW))
        volume = self._given("scale", scale, [p.scale for p in first], *_SCALE_LIMITS)
        gauss = self._given("microstrain", microstrain, [p.microstrain for p in first], *STRAIN_RANGE)
        lorentz = self._given(
            "microstrain_lorentz", microstrain_lorentz, [p.microstrain_lorentz for p in first], *STRAIN_RANGE
        )
        size = self._given("size_angstrom", size_angstrom, [p.size_angstrom for p in first], *SIZE_RANGE_ANGSTROM)
        r = self._given("march_r", march_r, [p.march_r for p in first], *R_RANGE)
        t = self._given("t_gpa", t_gpa, stress, -5.0, 5.0)
        shape = np.broadcast_shapes(*(v.shape for v in (a, volume, gauss, lorentz, size, r, t)), (len(first),))
        flat = [np.broadcast_to(v, shape).reshape(-1, len(first)) for v in (a, volume, gauss, lorentz, size, r, t)]
        parts = [self._patterns(*(v[i : i + _CHUNK] for v in flat)) for i in range(0, len(flat[0]), _CHUNK)]
        result = np.concatenate(parts) if parts else np.empty((0, self._x.size))
        return result[0] if len(shape) == 1 else result

    def _patterns(
        self,
        a: FloatArray,
        scale: FloatArray,
        gauss: FloatArray,
        lorentz: FloatArray,
        size: FloatArray,
        r: FloatArray,
        t: FloatArray,
    ) -> FloatArray:
        unit = np.clip((a / self._a0 - 1.0) / WINDOW, -1.0, 1.0)
        # T_k(x) = cos(k arccos x): the Chebyshev polynomials, (order, b, p).
        basis = np.cos(np.arange(_ORDER)[:, None, None] * np.arccos(unit))
        spread = np.einsum("kbp,kp->bp", basis, self._softness)
        widths = np.hypot(2.0 * gauss, spread)
        out = np.repeat(self._background[None, :], len(a), axis=0)
        for group in self._groups:
            of = group.phase
            strength = scale[:, of] * np.einsum("kbm,km->bm", basis[:, :, of], group.table)
            if (r != 1.0).any():
                rm = r[:, of, None]
                density = (rm * rm * group.cos2 + (1.0 - group.cos2) / rm) ** -1.5
                strength = strength * (density * group.share).sum(axis=-1)
            lines = line_shapes(
                self._instrument, group.emission, self._limit, a[:, of] * group.d_over_a, strength, t[:, of] * group.q,
                widths[:, of], 2.0 * lorentz[:, of], (1.0 / size)[:, of],
            )  # fmt: skip
            height = lines.area / lines.fwhm_deg
            self._add_lorentz(out, lines.centre_deg, lines.fwhm_deg, height * lines.mixing * (2.0 / np.pi))
            self._add_gauss(out, lines.centre_deg, lines.fwhm_deg, height * (1.0 - lines.mixing) * GAUSS)
        return out

    def _add_lorentz(self, out: FloatArray, centre: FloatArray, fwhm: FloatArray, height: FloatArray) -> None:
        """height / (1 + (2 (x - c) / w)^2) = height (w/2)^2 / (x^2 - 2 c x + c^2 + (w/2)^2): rank three."""
        c, half2 = centre - self._middle, 0.25 * fwhm * fwhm
        weight = height * half2
        rows = np.stack([np.ones_like(c), -2.0 * c, c * c + half2], axis=-1)
        below = np.empty((c.shape[1], self._x.size))
        for i in range(len(out)):
            np.matmul(rows[i], self._powers, out=below)
            np.reciprocal(below, out=below)
            out[i] += weight[i] @ below

    def _add_gauss(self, out: FloatArray, centre: FloatArray, fwhm: FloatArray, height: FloatArray) -> None:
        n, away = self._x.size, REACH * fwhm
        first = np.searchsorted(self._x, centre - away)
        count = int((np.searchsorted(self._x, centre + away) - first).max())
        if not count:
            return
        columns = first[..., None] + np.arange(count)
        u = (self._long_x[columns] - centre[..., None]) * (2.0 / fwhm)[..., None]
        value = height[..., None] * np.exp(np.maximum(-_LN2 * u * u, -2.0 * FAR))
        columns += (2 * n * np.arange(len(out)))[:, None, None]
        out += np.bincount(columns.ravel(), value.ravel(), minlength=2 * n * len(out)).reshape(-1, 2 * n)[:, :n]

    def _group(self, emission: Emission, edges: FloatArray) -> _Group:
        """Tabulate one emission's families, at the largest cell's reach, so that none is missed at any cell."""
        parts = []
        for number, powder in enumerate(self._start):
            largest = replace(powder, a_angstrom=self._a0[number] * (1.0 + WINDOW))
            full = largest.families(emission.wavelength_angstrom, self._limit)
            count = len(full.hkl)
            table = np.zeros((len(edges), count))
            for row, edge in enumerate(edges):
                # sin(theta) goes as 1/a: at a smaller cell the same lines reach farther, as far as there is an angle.
                table[row] = self._strengths(powder, self._a0[number] * edge, emission, count)
            d_over_a = 1.0 / np.sqrt((full.hkl**2).sum(axis=1))
            stress = powder.deviatoric
            q = np.zeros(count) if stress is None else q_per_gpa(stress.stiffness, stress.alpha, full.gammas)
            parts.append((np.full(count, number), d_over_a, self._fit @ table, full.cos2, full.share, q))
        k = max(part[3].shape[1] for part in parts)
        wide = [[np.pad(part[i], ((0, 0), (0, k - part[i].shape[1]))) for part in parts] for i in (3, 4)]
        return _Group(
            emission,
            np.concatenate([part[0] for part in parts]).astype(np.int64),
            np.concatenate([part[1] for part in parts]),
            np.concatenate([part[2] for part in parts], axis=1),
            np.concatenate(wide[0]),
            np.concatenate(wide[1]),
            np.concatenate([part[5] for part in parts]),
        )

    @staticmethod
    def _strengths(powder: Powder, a: float, emission: Emission, count: int) -> FloatArray:
        """Strengths of the first `count` families at cell a. Raises ForwardError where some have no angle there."""
        found = replace(powder, a_angstrom=a).families(emission.wavelength_angstrom, 179.99).strength
        if len(found) < count:
            raise ForwardError(
                "lines near backscattering leave the sphere of reflection as the cell shrinks by 4 %: the fast "
                "evaluator needs a pattern that ends some degrees earlier (about 145 deg); `pattern` has no such limit"
            )
        return found[:count]

    def _given(
        self,
        name: str,
        value: FloatArray | None,
        default: Sequence[float] | FloatArray,
        low: float | FloatArray,
        high: float | FloatArray,
    ) -> FloatArray:
        if value is None:
            return np.asarray(default, dtype=np.float64)
        array = np.asarray(value, dtype=np.float64)
        if not ((array >= low) & (array <= high)).all():
            raise ForwardError(
                f"{name} has values outside {np.min(low):g} to {np.max(high):g}, or NaN: the range that "
                + ("this evaluator tabulated, 4 % about its cells" if name == "a_angstrom" else "`pattern` allows too")
            )
        return array


def _cell(powder: Powder) -> float:
    if powder.a_angstrom is None:
        raise ForwardError(f"{powder.crystal.name}: the fast evaluator serves the phases of the table; use `pattern`")
    return powder.a_angstrom
