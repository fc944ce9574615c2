"""The tiers: how unkind a twin is. `tiers.toml` beside this file is the one place where their ranges are written."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np

Span = tuple[float, float] | float
TIERS: Final = ("clean", "realistic", "hostile")


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier: for each section of departures, what each of them is drawn from. A pair is the lowest and highest of a
    uniform draw; a single number one standard deviation of a normal one, cut off at two."""

    name: str
    sections: Mapping[str, Mapping[str, Span]]


def tier(name: str) -> Tier:
    """The tier of this name. Raises ValueError naming the three."""
    if name not in TIERS:
        raise ValueError(f"[twin] tier = {name!r}: there is no such tier; take one of {', '.join(TIERS)}")
    return Tier(name, {section: _column(rows, name) for section, rows in _table().items()})


def draw(span: Span, rng: np.random.Generator, *, whole: bool = False) -> float | int:
    """One number from a span; whole numbers include both ends."""
    if not isinstance(span, tuple):
        return float(np.clip(rng.standard_normal(), -2.0, 2.0)) * span
    low, high = span
    return int(rng.integers(int(low), int(high) + 1)) if whole else float(rng.uniform(low, high))


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("tiers.toml").read_text(encoding="utf-8"))


def _column(rows: Mapping[str, Any], name: str) -> dict[str, Span]:
    column: dict[str, Span] = {}
    for key, row in rows.items():
        value = row["all"] if "all" in row else row[name]
        column[key] = (float(value[0]), float(value[1])) if isinstance(value, list) else float(value)
    return column
