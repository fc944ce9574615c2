"""Units in keys and values: enough to tell a person what `pressure_kbar = 12` or "41 bar" should have been.

Nothing is ever converted silently; the numbers made here only appear in hints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# hc, exact by the definition of the SI: 12.398419843320026 keV Å
KEV_ANGSTROM: Final = 12.398419843320026
_ABSURD: Final = 1e100


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of `dimension`: value in the base unit = scale * value + offset."""

    dimension: str
    scale: float
    offset: float = 0.0


_FAMILIES: Final[Mapping[str, Mapping[str, float]]] = {
    "pressure": {
        "pa": 1.0, "hpa": 1e2, "kpa": 1e3, "mpa": 1e6, "gpa": 1e9, "mbar": 1e2, "bar": 1e5, "kbar": 1e8, "mbars": 1e2,
        "bars": 1e5, "psi": 6894.757293168, "atm": 101325.0, "torr": 101325.0 / 760.0,
    },
    "time": {
        "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
        "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "hours": 3600.0,
    },
    "length": {
        "pm": 1e-12, "angstrom": 1e-10, "angstroms": 1e-10, "å": 1e-10, "nm": 1e-9, "um": 1e-6, "µm": 1e-6,
        "micron": 1e-6, "microns": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0,
    },
    "dose": {"gy": 1.0, "kgy": 1e3, "mgy": 1e6, "rad": 1e-2, "krad": 10.0, "mrad": 1e4},
    "energy": {"ev": 1.0, "kev": 1e3},
    "temperature": {"k": 1.0, "kelvin": 1.0, "mk": 1e-3},
    "photons": {"ph": 1.0, "photons": 1.0},
}  # fmt: skip
_UNITS: Final[Mapping[str, Unit]] = {
    name: Unit(dimension, scale) for dimension, family in _FAMILIES.items() for name, scale in family.items()
} | {name: Unit("temperature", 1.0, 273.15) for name in ("c", "degc", "celsius", "°c")}
_QUANTITY: Final = re.compile(r"\s*([+-]?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)\s*([A-Za-zµμåÅ°/ _]*?)\s*")


def unit_named(name: str) -> Unit | None:
    """The unit that a key's ending or a person's writing means: "gpa", "GPa", "gpa_per_min", "bar/s"."""
    text = name.strip().replace("μ", "µ")
    if text == "mGy":  # in a key, which is all small letters, mgy is taken for the megagray of radiation damage
        return Unit("dose", 1e-3)
    over, per, under = text.lower().replace("/", "_per_").replace(" ", "").partition("_per_")
    top = _UNITS.get(over)
    if not per or top is None:
        return top
    bottom = _UNITS.get(under)
    return None if bottom is None else Unit(f"{top.dimension}/{bottom.dimension}", top.scale / bottom.scale)


def split_key(key: str) -> tuple[str, str]:
    """A key's stem and the unit it ends in: ("pressure", "gpa"); ("flux", "") where it names none; ("", "minutes")."""
    parts = key.split("_")
    for cut in range(len(parts)):
        if unit_named(ending := "_".join(parts[cut:])):
            return "_".join(parts[:cut]), ending
    return key, ""


def convert(value: object, given: str, wanted: str) -> str:
    """The value (a number or a list of numbers) in `wanted` as TOML text, "" where that can't be done."""
    if isinstance(value, list):
        inner = [convert(item, given, wanted) for item in value]
        return f"[{', '.join(inner)}]" if inner and all(inner) else ""
    source, target = unit_named(given), unit_named(wanted)
    if source is None or target is None or isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if not -_ABSURD < value < _ABSURD:
        return ""
    if (source.dimension, target.dimension) == ("energy", "length"):
        photon_kev = value * source.scale / 1e3
        return f"{KEV_ANGSTROM / photon_kev * 1e-10 / target.scale:.6g}" if photon_kev > 0 else ""
    if source.dimension != target.dimension:
        return ""
    return f"{(value * source.scale + source.offset - target.offset) / target.scale:.10g}"


def quantity(text: str) -> tuple[str, str] | None:
    """A number that was written as text, with the unit behind it: "41 bar" -> ("41", "bar"), "41" -> ("41", "")."""
    match = _QUANTITY.fullmatch(text)
    return (match[1].replace("_", ""), match[2]) if match else None
