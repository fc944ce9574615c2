"""The table [twin] of a station file: which keys it knows, what they may say, and how a wrong one is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any

from rocksalt.crystals import tables
from rocksalt.twin.cell.medium import medium
from rocksalt.twin.chamber.spectrum import ANODES, FILTERS
from rocksalt.twin.surroundings.stage import COLDEST_K
from rocksalt.twin.tiers import tier

TRANSITIONS = ("draw", "none")
THICKNESS_UM = (1.0, 1000.0)
FILTER_UM = (0.0, 20_000.0)
DISTANCE_MM = (20.0, 5000.0)
NUMBERS = frozenset({"thickness_um", "coldest_k", "filter_um", "distance_mm"})


@dataclass(frozen=True, slots=True)
class TubeTable:
    """The irradiation tube as [twin.tube] describes it: one filter, and how far the sample is from the focal spot."""

    anode: str = "W"
    filter: str = "Al"
    filter_um: float = 1000.0
    distance_mm: float = 200.0

    def __post_init__(self) -> None:
        _one_of("tube.anode", self.anode, ANODES)
        _one_of("tube.filter", self.filter, FILTERS)
        _between("tube.filter_um", self.filter_um, FILTER_UM, "um")
        _between("tube.distance_mm", self.distance_mm, DISTANCE_MM, "mm")


@dataclass(frozen=True, slots=True)
class TwinTable:
    """What a station file asks of its twin. Raises ValueError, key by key, for what no twin has.

    sample         a salt of the table
    tier           how unkind (`rocksalt.twin.tiers`)
    transition     "draw", or "none": B1 to the end; a salt with one phase never transforms either way
    thickness_um   of the sample along the beam, at no load
    medium         what surrounds the sample (`rocksalt.twin.cell.medium`)
    coldest_k      how cold the stage's cold head is; None for a stage in the room
    tube           the irradiation tube
    """

    sample: str = "KBr"
    tier: str = "clean"
    transition: str = "draw"
    thickness_um: float = 30.0
    medium: str = "methanol-ethanol"
    coldest_k: float | None = None
    tube: TubeTable = field(default_factory=TubeTable)

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
    tube = table.get("tube", {})
    if not isinstance(tube, Mapping):
        raise ValueError(f"[twin] tube = {tube!r}: a table [twin.tube] is needed")
    _check(TubeTable, tube, "tube.")
    rest = {key: value for key, value in table.items() if key != "tube"}
    _check(TwinTable, rest, "")
    return TwinTable(**rest, tube=TubeTable(**tube))


def _check(kind: type[Any], table: Mapping[str, Any], prefix: str) -> None:
    known = [field.name for field in fields(kind)]
    if unknown := [key for key in table if key not in known]:
        raise ValueError(f"[twin] {prefix}{unknown[0]}: there is no such key; the twin knows {', '.join(known)}")
    for key, value in table.items():
        number = key in NUMBERS
        if number and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"[twin] {prefix}{key} = {value!r}: a number is needed")
        if not number and not isinstance(value, str):
            raise ValueError(f"[twin] {prefix}{key} = {value!r}: a text in quotes is needed")


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"[twin] {key} = {value!r}: take one of {', '.join(allowed)}")


def _between(key: str, value: float, span: tuple[float, float], unit: str) -> None:
    low, high = span
    if not (isfinite(value) and low <= value <= high):
        raise ValueError(f"[twin] {key} = {value:g}: {low:g} to {high:g} {unit} is allowed")
