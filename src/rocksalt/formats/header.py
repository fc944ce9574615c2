"""What a header says in words: the axis and the wavelength, as pyFAI, Dioptas, Fit2D and people write them.

Nothing is guessed here: what a header does not say comes back as None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

AxisKind = Literal["2theta", "q", "d"]

_NUM: Final = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_WAVELENGTH: Final = re.compile(
    rf"""(?:wave\s?length|lambda|λ)["']?\s*(?:\(\s*(?P<before>[^)]{{1,12}})\))?\s*[:=]?\s*(?P<value>{_NUM[1:-1]})\s*(?P<unit>[^\s,;\]}})"']*)""",
    re.IGNORECASE,
)
_TO_ANGSTROM: Final = {
    "m": 1e10, "nm": 10.0, "pm": 0.01, "a": 1.0, "å": 1.0, "å.": 1.0, "ang": 1.0, "ang.": 1.0, "angstrom": 1.0,
    "angstroms": 1.0, "ångström": 1.0, "aa": 1.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Axis:
    """kind, and the factor that brings the file's unit to degrees, 1/Å or Å."""

    kind: AxisKind
    factor: float = 1.0


def wavelength_of(header: Sequence[str]) -> float | None:
    """Wavelength in Å that the header states, or None.

    A value without a unit is metres where it is below 1e-8 (as Dioptas writes), and Å between 0.05 and 5; a header
    that states two different wavelengths states none.
    """
    found: list[float] = []
    for line in header:
        for match in _WAVELENGTH.finditer(line):
            unit = (match["unit"] or match["before"] or "").lower().rstrip(".")
            value = float(match["value"])
            if unit in _TO_ANGSTROM:
                value *= _TO_ANGSTROM[unit]
            elif 1e-13 < value < 1e-8:
                value *= 1e10
            if math.isfinite(value) and 0.01 < value < 100.0:
                found.append(value)
    if not found or max(found) - min(found) > 1e-3 * min(found):
        return None
    return found[-1]


_AXES: Final = (
    (
        re.compile(r"\b(?:2th|2theta|tth)_rad\b|2-?\s?theta[^a-z]*\(?rad", re.IGNORECASE),
        Axis("2theta", math.degrees(1.0)),
    ),
    (re.compile(r"\bq_nm\^-1|\bq\b.*\b(?:nm\^?-1|1/nm|inverse nano)", re.IGNORECASE), Axis("q", 0.1)),
    (re.compile(r"\bq_A\^-1|\bq\b.*(?:[AÅ]\^?-1|1/[AÅ]|inverse ang)", re.IGNORECASE), Axis("q")),
    (re.compile(r"\bd_A\b|\bd_[AÅ]|\bd-?spacing|\bd\s*[\[(]\s*(?:A|Å|ang)", re.IGNORECASE), Axis("d")),
    (re.compile(r"\b2th_deg\b|\b(?:2|two)[-_ ]?(?:theta|th|θ)|\btth\b|2θ|2ϑ", re.IGNORECASE), Axis("2theta")),
)
_RADIUS: Final = re.compile(r"\br_mm\b|\bradius\b.*\bmm\b|\br_m\b", re.IGNORECASE)


def axis_of(header: Sequence[str]) -> Axis | Literal["radius"] | None:
    """What the last heading that speaks of an axis says: an Axis, "radius" (a distance on the detector), or None.

    The last one counts, because the titles of the columns stand right above the numbers.
    """
    for line in reversed(header):
        if _RADIUS.search(line):
            return "radius"
        for pattern, axis in _AXES:
            if pattern.search(line):
                return axis
    return None
