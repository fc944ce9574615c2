"""The one error of this room, and the check that says a limit the same way everywhere: what, the rule, its source.

Every error that the functions of rocksalt.crystals raise for bad input is a CrystalError, so a ValueError too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rocksalt.values import FloatArray


class CrystalError(ValueError):
    """Something was asked of a salt that nothing known here answers; the sentence says the limit and its source."""


def within(
    what: str,
    values: ArrayLike,
    low: float,
    high: float,
    source: str,
    *,
    open_low: bool = False,
    error: type[CrystalError] = CrystalError,
) -> FloatArray:
    """`values` as float64, if every one lies in low..high (above low where `open_low`); NaN and infinity never do.

    `what` carries the unit in brackets ("depth (m)"), `source` says where the limit is from. Raises `error` with the
    value that is farthest outside.
    """
    found = np.asarray(values, dtype=np.float64)
    inside = (found > low if open_low else found >= low) & (found <= high) & np.isfinite(found)
    if not inside.all():
        outside = found[~inside].ravel()
        with np.errstate(invalid="ignore"):  # infinity beyond an infinite limit
            distance = np.nan_to_num(np.maximum(low - outside, outside - high), nan=np.inf)
        worst = outside[int(np.argmax(distance))]
        if np.isfinite(high):
            rule = f"must lie in {low:g} to {high:g}" + (f", {low:g} itself excluded" if open_low else "")
        else:
            rule = f"must be above {low:g}" if open_low else f"must be {low:g} or more"
            rule += " and finite"
        raise error(f"{what} is {worst:g}: it {rule} ({source})")
    return found
