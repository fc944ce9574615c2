"""What a file of one pattern says, and the rules that hold in every format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from rocksalt.formats.errors import FormatError
from rocksalt.formats.header import AxisKind
from rocksalt.values import FloatArray

MIN_POINTS: Final = 3


@dataclass(frozen=True, slots=True)
class PatternFile:
    """What a file of one pattern says, and nothing that it does not say.

    axis                    (n,) strictly ascending: degrees of 2θ, 1/Å of q, or Å of d
    axis_kind               None where the file does not name its axis
    intensity               (n,) finite
    sigma                   (n,) standard uncertainty of intensity, or None
    wavelength_angstrom     None where the file does not state it; the Kα1 of a doublet
    k_alpha2_angstrom       of a doublet, with its intensity k_alpha2_ratio relative to Kα1; None otherwise
    counts                  whether intensity is raw counts; None where the file does not say
    header                  comment and heading lines, verbatim and in order (the calibration may stand there)
    notes                   sentences on choices made while reading, such as which of several scans was taken
    """

    path: Path
    axis: FloatArray
    axis_kind: AxisKind | None
    intensity: FloatArray
    sigma: FloatArray | None
    wavelength_angstrom: float | None
    k_alpha2_angstrom: float | None = None
    k_alpha2_ratio: float | None = None
    counts: bool | None = None
    header: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def ascending(axis: FloatArray, path: Path, line_of: Callable[[int], int | None]) -> bool:
    """True for a strictly ascending axis, False for a strictly descending one; else a FormatError at its line."""
    steps = np.diff(axis)
    upward = bool(np.sum(steps > 0) >= np.sum(steps < 0))
    wrong = np.flatnonzero(steps <= 0 if upward else steps >= 0)
    if len(wrong):
        at = int(wrong[0]) + 1
        here, before = axis[at], axis[at - 1]
        if here == before:
            rule = f"the angle {here:g} comes twice in a row; each angle may stand once"
        else:
            direction = "falls" if upward else "rises"
            rule = (
                f"the angle {direction} from {before:g} to {here:g} where the others go the other way; "
                "if the file holds several scans one after another, make a file of each"
            )
        raise FormatError(path, rule, line=line_of(at))
    return upward
