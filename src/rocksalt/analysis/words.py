"""Numbers and times as a person reads them: digits by their uncertainty, dose in Gy, kGy or MGy, time as h:mm:ss.

Used by summary and report, so that both say a number in the same way.
"""

from __future__ import annotations

import math
from typing import Final

from rocksalt.values import Measured

_PREFIXES: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_MOST_DECIMALS: Final = 6


def decimals(sigma: float) -> int:
    """Decimals that show two digits of an uncertainty: 0.0123 -> 3, 4.2 -> 1; 3 where there is none."""
    if not math.isfinite(sigma) or sigma <= 0.0:
        return 3
    return min(max(1 - math.floor(math.log10(sigma)), 0), _MOST_DECIMALS)


def plus_minus(value: float, sigma: float, *, most: int = _MOST_DECIMALS) -> str:
    """Value and one sigma to two digits of the sigma, at most `most` decimals: "1.843 ± 0.021"."""
    places = min(decimals(sigma), most)
    return f"{fixed(value, places)} ± {fixed(sigma, places)}"


def fixed(value: float, places: int) -> str:
    """A number with so many decimals, a true minus sign, and no minus before a zero."""
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", "\N{MINUS SIGN}")


def measured(value: Measured | None, *, most: int = _MOST_DECIMALS) -> str:
    """A measured number with its sigma; an en dash where there is none."""
    return "–" if value is None else plus_minus(value.value, value.sigma, most=most)


def dose(gray: float, sigma_gray: float | None = None) -> str:
    """Dose with a prefix: "1.05 ± 0.21 MGy"."""
    size = max(abs(gray), sigma_gray or 0.0)
    scale, prefix = next((pair for pair in _PREFIXES if size >= pair[0]), _PREFIXES[-1])
    if not sigma_gray:
        return f"{gray / scale:.3g} {prefix}Gy"
    return f"{plus_minus(gray / scale, sigma_gray / scale)} {prefix}Gy"


def clock(seconds: float) -> str:
    """Experiment time: "0:07:05", "31:02:00"."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def duration(seconds: float) -> str:
    """How long something took: "45 s", "12 min", "7 h 05 min"."""
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60.0)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def many(count: int, one: str, more: str = "") -> str:
    """ "1 frame", "2 frames"."""
    return f"{count} {one if count == 1 else more or one + 's'}"
