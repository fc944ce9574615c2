"""The table [twin] of a station file: which keys it knows, what they may say, and how a wrong one is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from rocksalt.crystals import tables
from rocksalt.twin.cell.medium import medium
from rocksalt.twin.surroundings.stage import COLDEST_K
from rocksalt.twin.tiers import tier

TRANSITIONS = ("draw", "none")
THICKNESS_UM = (1.0, 1000.0)


@dataclass(frozen=True, slots=True)
class TwinTable:
    """What a station file asks of its twin. Raises ValueError, key by key, for what no twin has.

    sample         a salt of the table
    tier           how unkind (`rocksalt.twin.tiers`)
    transition     "draw", or "none": B1 to the end; a salt with one phase never transforms either way
    thickness_um   of the sample along the beam, at no load
    medium         what surrounds the sample (`rocksalt.twin.cell.medium`)
    coldest_k      how cold the stage's cold head is; None for a stage in the room
    """

    sample: str = "KBr"
    tier: str = "clean"
    transition: str = "draw"
    thickness_um: float = 30.0
    medium: str = "methanol-ethanol"
    coldest_k: float | None = None

    def __post_init__(self) -> None:
        if self.sample not in tables.SALTS:
            raise ValueError(
                f"[twin] sample = {self.sample!r}: there is no such salt in the table; take one of "
                f"{', '.join(tables.SALTS)}"
            )
        tier(self.tier)
        if self.transition not in TRANSITIONS:
            raise ValueError(f"[twin] transition = {self.transition!r}: it is {' or '.join(TRANSITIONS)}")
        _between("thickness_um", self.thickness_um, THICKNESS_UM, "um")
        medium(self.medium)
        if self.coldest_k is not None:
            _between("coldest_k", self.coldest_k, COLDEST_K, "K")


def read(table: Mapping[str, Any]) -> TwinTable:
    """The table as TOML gives it. Raises ValueError for a key that no twin knows, and for a value of another kind."""
    known = [field.name for field in fields(TwinTable)]
    if unknown := [key for key in table if key not in known]:
        raise ValueError(f"[twin] {unknown[0]}: there is no such key; the twin knows {', '.join(known)}")
    for key, value in table.items():
        number = key in ("thickness_um", "coldest_k")
        if number and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"[twin] {key} = {value!r}: a number is needed")
        if not number and not isinstance(value, str):
            raise ValueError(f"[twin] {key} = {value!r}: a text in quotes is needed")
    return TwinTable(**table)


def _between(key: str, value: float, span: tuple[float, float], unit: str) -> None:
    low, high = span
    if not (isfinite(value) and low <= value <= high):
        raise ValueError(f"[twin] {key} = {value:g}: {low:g} to {high:g} {unit} is allowed")
