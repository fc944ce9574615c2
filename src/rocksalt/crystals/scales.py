"""Pressure scales: what a pressure means, and the same load on another scale. Scales are converted, never mixed.

A scale turns something measured (the shift of a ruby line, the cell of gold) into GPa. Two scales that read the same
thing convert exactly into each other; those that don't, convert through a gauge that was calibrated on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Literal, overload

import numpy as np

from rocksalt.crystals.limits import CrystalError, within
from rocksalt.values import FloatArray

_STEPS: Final = 80  # halvings: a bracket of 100 GPa ends far below 1e-15 of it


class ScaleError(CrystalError):
    """A scale that nobody knows here, or a pressure outside the range that it was calibrated over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """One calibration. `gauge` is what is measured; two scales with the same gauge share that axis.

    gauge       "ruby": x = lambda/lambda0 of R1 at the same temperature; "Au": x = (V0/V)^(1/3) at 300 K
    form        "power": P = a/b (x^b - 1); "quadratic": P = a d (1 + b d), d = x - 1; "Vinet": a = K0, b = K0'
    a_sigma, b_sigma   one standard deviation where the source prints one, else None
    range_gpa   what it was calibrated over
    confirmed   True where the numbers were read in a library's record of the source
    """

    name: str
    gauge: Literal["ruby", "Au"]
    form: Literal["power", "quadratic", "Vinet"]
    a_gpa: float
    b: float
    a_sigma_gpa: float | None = None
    b_sigma: float | None = None
    range_gpa: tuple[float, float]
    reference: str
    confirmed: bool = True

    def pressure_gpa(self, x: FloatArray) -> FloatArray:
        """P (GPa) at the measured ratio x, any shape, beyond the calibrated range too. Raises ScaleError for an x that
        no gauge reads."""
        x = within(f"reading of {self.gauge}, a ratio", x, 0.5, 2.0, self.reference, error=ScaleError)
        if self.form == "power":
            return np.asarray(self.a_gpa / self.b * np.expm1(self.b * np.log(x)))
        if self.form == "quadratic":
            return np.asarray(self.a_gpa * (x - 1.0) * (1.0 + self.b * (x - 1.0)))
        length = 1.0 / x
        return np.asarray(3.0 * self.a_gpa * (1.0 - length) / length**2 * np.exp(1.5 * (self.b - 1.0) * (1.0 - length)))

    def sigma_gpa(self, x: FloatArray) -> FloatArray | None:
        """One sigma (GPa) that the calibration leaves at x, a and b taken as independent; None where none is
        printed."""
        if self.a_sigma_gpa is None or self.b_sigma is None:
            return None
        by_a = self.pressure_gpa(x) / self.a_gpa * self.a_sigma_gpa
        shift = 1e-6 * self.b
        by_b = (replace(self, b=self.b + shift).pressure_gpa(x) - self.pressure_gpa(x)) / shift * self.b_sigma
        return np.asarray(np.hypot(by_a, by_b))


# Read in peritheos 0.17.1 (MIT), whose records name the papers.
_ROWS: Final = (
    Scale(name="ruby, Mao 1978", gauge="ruby", form="power", a_gpa=1904.0, b=5.0, range_gpa=(0.0, 100.0),
          reference="Mao et al., J. Appl. Phys. 49, 3276 (1978)"),
    Scale(name="ruby, Mao 1986", gauge="ruby", form="power", a_gpa=1904.0, b=7.665, range_gpa=(0.0, 80.0),
          reference="Mao, Xu and Bell, J. Geophys. Res. 91, 4673 (1986)"),
    Scale(name="ruby, Dewaele 2004", gauge="ruby", form="power", a_gpa=1904.0, b=9.5, range_gpa=(0.0, 153.0),
          reference="Dewaele, Loubeyre and Mezouar, Phys. Rev. B 70, 094112 (2004)"),
    Scale(name="ruby, Dorogokupets-Oganov 2007", gauge="ruby", form="quadratic", a_gpa=1884.0, b=5.5,
          range_gpa=(0.0, 300.0), reference="Dorogokupets and Oganov, Phys. Rev. B 75, 024115 (2007)"),
    Scale(name="ruby, Dewaele 2008", gauge="ruby", form="power", a_gpa=1920.0, b=9.61, range_gpa=(0.0, 153.0),
          reference="Dewaele et al., Phys. Rev. B 78, 104102 (2008)"),
    Scale(name="ruby, Ruby2020", gauge="ruby", form="quadratic", a_gpa=1870.0, b=5.63, a_sigma_gpa=10.0, b_sigma=0.03,
          range_gpa=(0.0, 150.0), reference="Shen et al., High Press. Res. 40, 299 (2020)"),
    Scale(name="Au, Dewaele 2004", gauge="Au", form="Vinet", a_gpa=167.0, b=6.0, range_gpa=(0.0, 93.6),
          reference="Dewaele, Loubeyre and Mezouar, Phys. Rev. B 70, 094112 (2004)"),
    Scale(name="Au, Takemura-Dewaele 2008", gauge="Au", form="Vinet", a_gpa=167.0, b=5.9, range_gpa=(0.0, 130.8),
          reference="Takemura and Dewaele, Phys. Rev. B 78, 104119 (2008)"),
    Scale(name="Au, Fratanduono 2021", gauge="Au", form="Vinet", a_gpa=170.9, b=5.88, a_sigma_gpa=0.24, b_sigma=0.005,
          range_gpa=(0.0, 1000.0), reference="Fratanduono et al., Science 372, 1063 (2021)"),
    Scale(name="Au, Shen-Smith 2026", gauge="Au", form="Vinet", a_gpa=167.5, b=5.85, a_sigma_gpa=0.3, b_sigma=0.01,
          range_gpa=(0.0, 140.0), reference="Shen and Smith, Phys. Rev. B 113, 144113 (2026)"),
)  # fmt: skip
SCALES: Final[Mapping[str, Scale]] = MappingProxyType({row.name: row for row in _ROWS})

# Pressures that are the same by construction: the gold row was fitted to pressures of the other name.
_SAME_PRESSURE: Final = (
    ("Au, Dewaele 2004", "ruby, Dewaele 2004"),
    ("Au, Takemura-Dewaele 2008", "ruby, Dorogokupets-Oganov 2007"),
    ("Au, Shen-Smith 2026", "Cu, Shen-Smith 2026"),
)
# What the rows of the table of phases call their scale, where that is a calibration under another name.
_ALIASES: Final[Mapping[str, str]] = MappingProxyType({"ruby, Dewaele 2012": "ruby, Dorogokupets-Oganov 2007"})


def known_scales() -> tuple[str, ...]:
    """Names that `convert_gpa` takes."""
    return (*SCALES, "Cu, Shen-Smith 2026", *_ALIASES)


@overload
def convert_gpa(pressure_gpa: float, from_scale: str, to_scale: str) -> float: ...
@overload
def convert_gpa(pressure_gpa: FloatArray, from_scale: str, to_scale: str) -> FloatArray: ...
def convert_gpa(pressure_gpa: float | FloatArray, from_scale: str, to_scale: str) -> float | FloatArray:
    """The same load, read on another scale (GPa, any shape), near room temperature.

    Two scales of one gauge convert through its reading (exactly); others through gold, which was calibrated on ruby
    (2004, 2008) and on copper (2026): the scatter of those fits, about 1 %, is in the answer. Raises ScaleError for an
    unknown scale ("not stated" among them), for NaN, and outside the range of any calibration on the way.
    """
    values = np.asarray(pressure_gpa, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ScaleError(f"pressures to convert from {from_scale} must be finite numbers (no calibration has others); "
                         "leave missing values out")  # fmt: skip
    path = _path(_known(from_scale), _known(to_scale))
    for here, there in pairwise(path):
        if _equal(here, there):
            continue
        source, target = SCALES[here], SCALES[there]
        values = target.pressure_gpa(reading(source, values))
        _check_range(target, values)
    return float(values) if values.ndim == 0 else values


def reading(scale: Scale, pressure_gpa: FloatArray) -> FloatArray:
    """What the gauge reads (x, as in Scale) at pressures of this scale, by halving. Raises ScaleError outside."""
    values = np.asarray(pressure_gpa, dtype=np.float64)
    _check_range(scale, values)
    low, high = np.full(values.shape, 0.95), np.full(values.shape, 1.6)
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        above = scale.pressure_gpa(middle) > values
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray(0.5 * (low + high))


def _check_range(scale: Scale, values: FloatArray) -> None:
    low, high = scale.range_gpa
    # A gauge at ambient scatters around zero; 0.1 % above its end is the other scale's way of saying the same end.
    outside = (values < low - 1.0) | (values > 1.001 * high)
    if outside.any() or np.isnan(values).any():
        raise ScaleError(
            f"{values[outside].ravel()[0] if outside.any() else np.nan:g} GPa is outside {low:g} to {high:g} GPa, "
            f"which the scale {scale.name} was calibrated over ({scale.reference})"
        )


def _known(name: str) -> str:
    name = _ALIASES.get(name, name)
    if name not in known_scales():
        raise ScaleError(
            f"there is no calibration for the scale {name!r}; there is one for {'; '.join(known_scales())}"
        )
    return name


def _equal(one: str, other: str) -> bool:
    return (one, other) in _SAME_PRESSURE or (other, one) in _SAME_PRESSURE


def _path(start: str, end: str) -> list[str]:
    """The shortest way: scales of one gauge are neighbours, and so are two names of one pressure. Breadth first."""
    names = [name for name in known_scales() if name not in _ALIASES]
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop(0)
        here = way[-1]
        if here == end:
            return way
        for there in names:
            linked = _equal(here, there) or (
                here in SCALES and there in SCALES and SCALES[here].gauge == SCALES[there].gauge
            )
            if linked and there not in seen:
                seen.add(there)
                ways.append([*way, there])
    raise ScaleError(f"nothing was calibrated on both {start} and {end}")
