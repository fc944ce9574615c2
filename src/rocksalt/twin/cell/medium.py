"""What surrounds the sample in its hole, and where it freezes: below that line stress stays, and friction grows.

Freezing lines have Simon and Glatzel's form, P = a ((T/T0)^c - 1); a glass is treated as if it froze.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_SOFTENS_OVER: Final = 0.03
"""Width of the freezing, relative to its temperature: part of the hole freezes first. Unconfirmed."""


@dataclass(frozen=True, slots=True)
class Medium:
    """A pressure medium.

    zero_k           where it freezes at no pressure; infinite: it is a solid everywhere
    simon_gpa, exponent   a and c of the freezing line
    confirmed        whether a and c were read in the source that `source` names
    """

    name: str
    zero_k: float
    simon_gpa: float
    exponent: float
    source: str
    confirmed: bool

    def freezing_k(self, pressure_gpa: float) -> float:
        """Temperature at which it freezes at this pressure (below zero pressure: as at zero)."""
        if self.zero_k == inf:
            return inf
        return float(self.zero_k * (1.0 + max(pressure_gpa, 0.0) / self.simon_gpa) ** (1.0 / self.exponent))

    def solid(self, pressure_gpa: float, temperature_k: float) -> float:
        """How much of it is frozen: 0 fluid, 1 solid, a straight slope of 3 % of the temperature between."""
        freezing = self.freezing_k(pressure_gpa)
        if freezing == inf:
            return 1.0
        return min(max((freezing - temperature_k) / (_SOFTENS_OVER * freezing) + 0.5, 0.0), 1.0)


_ROWS: Final = (
    Medium("helium", 1.0, 1.6067e-3, 1.565,
           "Datchi, Loubeyre and LeToullec, Phys. Rev. B 61, 6535 (2000): P = 1.6067e-3 GPa T^1.565", True),
    Medium("neon", 24.556, 0.196, 1.0 / 0.77,
           "triple point of ITS-90, exponent of Santamaria-Perez et al. (2010); a so that it freezes at 4.8 GPa and "
           "297 K, from memory", False),
    Medium("argon", 83.806, 0.234, 1.5,
           "triple point of ITS-90; a and c through 1.00 GPa at 254 K and 1.33 at 297 K of Tegeler, Span and Wagner "
           "(1999), the second extrapolated", False),
    Medium("methanol-ethanol", 110.0, 1.6, 2.0,
           "4:1 by volume, a glass: 110 K at no pressure, and about 10 GPa at 295 K; both from memory", False),
    Medium("silicone oil", 150.0, 1.05, 2.0,
           "a glass: 150 K at no pressure, about 3 GPa at 295 K; both from memory, oils differ", False),
    Medium("none", inf, inf, 1.0, "a sample that fills its hole is its own medium, and a solid", True),
)  # fmt: skip
MEDIA: Final[Mapping[str, Medium]] = MappingProxyType({row.name: row for row in _ROWS})


def medium(name: str) -> Medium:
    """The medium of this name. Raises ValueError, which says which there are."""
    try:
        return MEDIA[name]
    except KeyError:
        raise ValueError(
            f"[twin] medium = {name!r}: there is no such pressure medium; take one of {', '.join(MEDIA)}"
        ) from None
