"""Thousands of patterns a second: same phases, grid and instrument, other cells, widths, textures and stresses.

What depends on the cell alone is tabulated once (`forward.tabulated`); a call looks it up and draws the lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from rocksalt.diffraction.forward.errors import ForwardError, require_angles
from rocksalt.diffraction.forward.instrument import Instrument
from rocksalt.diffraction.forward.lineshape import Shape, line_shapes, reach_deg
from rocksalt.diffraction.forward.pattern import SIZE_RANGE_ANGSTROM, STRAIN_RANGE, Powder, chebyshev_background
from rocksalt.diffraction.forward.profile import GAUSS, REACH
from rocksalt.diffraction.forward.strain import T_RANGE_GPA, T_SIGMA_RANGE_GPA, strain_of_gamma
from rocksalt.diffraction.forward.tabulated import Group, basis, tabulate, window
from rocksalt.diffraction.forward.texture import R_RANGE
from rocksalt.values import FloatArray

_CHUNK: Final = 64  # patterns at once: their arrays stay in the cache
_LN2: Final = float(np.log(2.0))
_LARGEST: Final = float(np.finfo(np.float64).max)
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "scale": (0.0, _LARGEST),
    "microstrain": STRAIN_RANGE,
    "microstrain_lorentz": STRAIN_RANGE,
    "microstrain_hhh": STRAIN_RANGE,
    "microstrain_lorentz_hhh": STRAIN_RANGE,
    "size_angstrom": SIZE_RANGE_ANGSTROM,
    "march_r": R_RANGE,
    "t_gpa": T_RANGE_GPA,
    "t_sigma_gpa": T_SIGMA_RANGE_GPA,
}
_ROWS: Final = {name: row for row, name in enumerate(("a_angstrom", *_RANGES))}
_A, _SCALE, _GAUSS, _LORENTZ, _GAUSS_HHH, _LORENTZ_HHH, _SIZE, _R, _T, _T_SIGMA = range(len(_ROWS))


class Evaluator:
    """Patterns of salts of the table on one grid; temperature and texture axes are those of `phases`.

    `phases` are p Powders as for `pattern`; each call overrides what it names. Stress and hkl-dependent strain can be
    varied where every Powder has them: a Deviatoric, `microstrain_hhh`, `microstrain_lorentz_hhh`. A continuum and
    axial divergence aren't computed here: an instrument with them is refused. The result equals `pattern`'s within 1e-6
    of the highest point.
    """

    def __init__(
        self,
        two_theta_deg: FloatArray,
        phases: Sequence[Powder],
        instrument: Instrument,
        background: Sequence[float] = (),
    ) -> None:
        """Raises ForwardError for a crystal that isn't in the table, a continuum, axial divergence or no phase, and
        what `pattern` raises."""
        self._x = require_angles(two_theta_deg)
        if not phases:
            raise ForwardError("an evaluator needs one phase or more")
        if instrument.continuum is not None or instrument.axial:
            raise ForwardError(
                "the fast evaluator has no continuum and no axial divergence; leave them out, or use `pattern`"
            )
        self._instrument, self._limit = instrument, reach_deg(self._x)
        self._background = chebyshev_background(self._x, background)
        self._start = np.stack([_values(powder) for powder in phases], axis=1)
        self._missing = {
            name
            for name, absent in (
                ("microstrain_hhh", any(p.microstrain_hhh is None for p in phases)),
                ("microstrain_lorentz_hhh", any(p.microstrain_lorentz_hhh is None for p in phases)),
                ("t_gpa", any(p.deviatoric is None for p in phases)),
                ("t_sigma_gpa", any(p.deviatoric is None for p in phases)),
            )
            if absent
        }
        self._hhh = np.array([[p.microstrain_hhh is not None, p.microstrain_lorentz_hhh is not None] for p in phases]).T
        self._bent = bool(self._hhh.any())
        self._low, self._high = np.array([window(powder) for powder in phases]).T
        self._groups = tuple(
            tabulate(phases, line, self._limit, self._low, self._high) for line in instrument.emissions
        )
        self._textures = tuple(group.texture(self._start[None, _R]) for group in self._groups)
        self._middle = 0.5 * float(self._x[0] + self._x[-1])
        u = self._x - self._middle
        self._powers = np.stack([u * u, u, np.ones_like(u)])
        far = np.full(self._x.size, 1e6)
        self._long_x = np.concatenate([self._x, far])  # windows that run off the end find nothing there

    def __call__(
        self,
        *,
        a_angstrom: FloatArray | None = None,
        scale: FloatArray | None = None,
        microstrain: FloatArray | None = None,
        microstrain_lorentz: FloatArray | None = None,
        microstrain_hhh: FloatArray | None = None,
        microstrain_lorentz_hhh: FloatArray | None = None,
        size_angstrom: FloatArray | None = None,
        march_r: FloatArray | None = None,
        t_gpa: FloatArray | None = None,
        t_sigma_gpa: FloatArray | None = None,
    ) -> FloatArray:
        """Patterns (b, n), or (n,) where all that is given has shape (p,); else (b, p) or whatever broadcasts to it.

        None: as in the Powder. Raises ForwardError for a value out of range, or a cell outside the evaluator's window:
        4 % about its start, less where the equation of state or the elastic constants in use end before.
        """
        given = (
            ("a_angstrom", a_angstrom), ("scale", scale), ("microstrain", microstrain),
            ("microstrain_lorentz", microstrain_lorentz), ("microstrain_hhh", microstrain_hhh),
            ("microstrain_lorentz_hhh", microstrain_lorentz_hhh), ("size_angstrom", size_angstrom),
            ("march_r", march_r), ("t_gpa", t_gpa), ("t_sigma_gpa", t_sigma_gpa),
        )  # fmt: skip
        arrays = [(_ROWS[name], self._checked(name, value)) for name, value in given if value is not None]
        own, textured = (self._start.shape[1],), march_r is not None
        if all(array.shape == own for _, array in arrays):  # one pattern, the quick way
            one = self._start.copy()
            for row, array in arrays:
                one[row] = array
            return np.asarray(self._patterns(one[:, None, :], textured)[0])
        shape = np.broadcast_shapes(own, *(array.shape for _, array in arrays))
        values = np.empty((len(_ROWS), *shape))
        values[...] = self._start.reshape(len(_ROWS), *(1,) * (len(shape) - 1), shape[-1])
        for row, array in arrays:
            values[row] = array
        if len(shape) == 1:
            return np.asarray(self._patterns(values[:, None, :], textured)[0])
        flat = values.reshape(len(_ROWS), -1, shape[-1])
        out = np.empty((flat.shape[1], self._x.size))
        for i in range(0, len(out), _CHUNK):
            out[i : i + _CHUNK] = self._patterns(flat[:, i : i + _CHUNK], textured)
        return out

    def _patterns(self, values: FloatArray, textured: bool) -> FloatArray:
        """Patterns (b, n) of values (rows, b, p); `textured`: the textures aren't those of the Powders."""
        polynomials = basis(values[_A], self._low, self._high)
        out = np.repeat(self._background[None, :], values.shape[1], axis=0)
        for group, texture in zip(self._groups, self._textures, strict=True):
            lines = self._lines(group, group.texture(values[_R]) if textured else texture, values, polynomials)
            height = lines.area / lines.fwhm_deg
            lorentz = height * lines.mixing
            self._add_lorentz(out, lines.centre_deg, lines.fwhm_deg, (2.0 / np.pi) * lorentz)
            self._add_gauss(out, lines.centre_deg, lines.fwhm_deg, GAUSS * (height - lorentz))
        return out

    def _lines(self, group: Group, texture: FloatArray, values: FloatArray, polynomials: FloatArray) -> Shape:
        """Lines (b, m) of one emission."""
        strength, spread, q = group.look_up(polynomials)
        strength = strength * texture
        of = values @ group.phase_of_line  # one row a quantity, one column a line
        gauss, lorentz = of[_GAUSS], of[_LORENTZ]
        if self._bent:
            gauss_hhh, lorentz_hhh = self._hhh @ group.phase_of_line
            gauss = strain_of_gamma(gauss, np.where(gauss_hhh, of[_GAUSS_HHH], gauss), group.gammas)
            lorentz = strain_of_gamma(lorentz, np.where(lorentz_hhh, of[_LORENTZ_HHH], lorentz), group.gammas)
        gauss = 2.0 * gauss
        return line_shapes(
            self._instrument, group.emission, self._limit, of[_A] * group.d_over_a,
            np.add.reduceat(of[_SCALE][:, group.line] * strength, group.first, axis=-1),
            gauss if spread is None else np.hypot(gauss, spread), 2.0 * lorentz, of[_SIZE],
            None if q is None else of[_T] * q, None if q is None else of[_T_SIGMA] * q,
        )  # fmt: skip

    def _add_lorentz(self, out: FloatArray, centre: FloatArray, fwhm: FloatArray, height: FloatArray) -> None:
        """height / (1 + (2 (x - c) / w)^2) = height (w/2)^2 / (x^2 - 2 c x + c^2 + (w/2)^2): rank three."""
        c, half2 = centre - self._middle, 0.25 * fwhm * fwhm
        weight = height * half2
        if not weight.all():  # a pure Gaussian has no Lorentzian
            seen = weight.any(axis=0)
            c, half2, weight = c[:, seen], half2[:, seen], weight[:, seen]
        rows = np.empty((*c.shape, 3))
        rows[..., 0] = 1.0
        np.multiply(c, -2.0, out=rows[..., 1])
        np.add(c * c, half2, out=rows[..., 2])
        below = np.empty((c.shape[1], self._x.size))
        for i in range(len(out)):
            np.matmul(rows[i], self._powers, out=below)
            np.reciprocal(below, out=below)
            out[i] += weight[i] @ below

    def _add_gauss(self, out: FloatArray, centre: FloatArray, fwhm: FloatArray, height: FloatArray) -> None:
        n, away = self._x.size, REACH * fwhm
        first = self._x.searchsorted(centre - away)
        count = int((self._x.searchsorted(centre + away) - first).max(initial=0))
        if not count:
            return
        columns = first[..., None] + np.arange(count)
        u = self._long_x[columns]
        u -= centre[..., None]
        u *= u
        u *= (-4.0 * _LN2 / (fwhm * fwhm))[..., None]
        np.exp(u, out=u)
        u *= height[..., None]
        if len(out) > 1:
            columns += (2 * n * np.arange(len(out)))[:, None, None]
        added = np.bincount(columns.ravel(), u.ravel(), minlength=2 * n * len(out))
        out += added.reshape(-1, 2 * n)[:, :n]

    def _checked(self, name: str, value: FloatArray) -> FloatArray:
        """The row of `name` that a call gives, as `_patterns` takes it. Raises ForwardError."""
        if name in self._missing:
            raise ForwardError(
                f"{name} can't be varied: not every Powder of the evaluator has its own; give each a Deviatoric for a "
                "stress, microstrain_hhh or microstrain_lorentz_hhh for a strain that depends on hkl"
            )
        array = np.asarray(value, dtype=np.float64)
        if name == "a_angstrom":
            if not ((array >= self._low) & (array <= self._high)).all():
                about = ", ".join(f"{low:.5g} to {high:.5g}" for low, high in zip(self._low, self._high, strict=True))
                raise ForwardError(
                    f"a_angstrom has values outside {about} A, or NaN: the window that this evaluator tabulated, 4 % "
                    "about its cells, less where an equation of state or elastic constants end before"
                )
            return array
        low, high = _RANGES[name]
        if not ((array >= low) & (array <= high)).all():
            raise ForwardError(
                f"{name} has values outside {low:g} to {high:g}, or NaN: the range that `pattern` allows too"
            )
        return 1.0 / array if name == "size_angstrom" else array


def _values(powder: Powder) -> FloatArray:
    """What a Powder says of everything that a call may vary, in the order of `_ROWS`; the size by its inverse."""
    if powder.a_angstrom is None:
        raise ForwardError(f"{powder.crystal.name}: the fast evaluator serves the phases of the table; use `pattern`")
    stress = powder.deviatoric
    return np.array([
        powder.a_angstrom, powder.scale, powder.microstrain, powder.microstrain_lorentz,
        powder.microstrain_hhh or 0.0, powder.microstrain_lorentz_hhh or 0.0, 1.0 / powder.size_angstrom,
        powder.march_r, 0.0 if stress is None else stress.t_gpa, 0.0 if stress is None else stress.t_sigma_gpa,
    ])  # fmt: skip
