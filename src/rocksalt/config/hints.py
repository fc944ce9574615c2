"""The way out of a wrong key or value: the nearest valid name, the right unit, the right table.

Works on the models' own fields, so that a new key needs no entry here.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rocksalt.config.errors import Key, dotted, shown
from rocksalt.config.units import convert, quantity, split_key, unit_named

# What people call a quantity, and where this program keeps it.
_ALSO_CALLED: Final[Mapping[str, Key]] = {
    "exposure": ("exposure", "seconds"),
    "exposure_time": ("exposure", "seconds"),
    "energy": ("beam", "wavelength_angstrom"),
    "photon_energy": ("beam", "wavelength_angstrom"),
    "duration": ("envelope", "minutes"),
    "time": ("envelope", "minutes"),
    "dose_budget": ("envelope", "dose_gy"),
    "intensity": ("beam", "flux_ph_per_s"),
    "polarization": ("beam", "polarisation"),
}
_MEMBRANE: Final = (
    'the membrane counts in bar ("membrane_bar"): a station states its limits and its ramp in [devices.membrane], '
    "a campaign states the sample's pressure_gpa"
)


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence for a person, and the key it leads to, if it is one key."""

    text: str
    key: Key | None = None


def nearest(word: str, known: Collection[str]) -> str:
    """The known word that was probably meant, "" if none is near. Upper and lower case count as the same."""
    folded = {name.lower(): name for name in sorted(known, reverse=True)}
    near = difflib.get_close_matches(word.lower(), folded, 1, 0.6)
    return folded[near[0]] if near else ""


def did_you_mean(word: str, known: Collection[str]) -> str:
    """`did you mean X?`, or else the whole list of what is known."""
    if name := nearest(word, known):
        return f"did you mean {name}?"
    return f"known: {', '.join(sorted(known))}" if known else ""


def for_unknown_key(root: type[BaseModel], key: Key, value: object) -> Advice:
    """What to do about a key that the table does not have."""
    table, name = key[:-1], str(key[-1])
    here = fields_at(root, table) or {}
    stem, unit = split_key(name)
    if stem == "membrane" and "membrane" not in table:
        return Advice(_MEMBRANE)
    for target in _same_quantity(root, table, here, stem):
        if target != key:
            return Advice(_meant(target, table, value, unit), target)
    if name in here or not (near := nearest(name, here)):
        if near_table := next((path for path, _ in all_keys(root) if path[-1] == name), None):
            place = dotted(near_table[:-1])
            return Advice(f"{name} belongs to [{place}]" if place else f"its table is [{name}]", near_table)
        listed = f"valid here: {', '.join(here)}"
        return Advice(f"{listed}; what only the driver understands stands in options" if "options" in here else listed)
    return Advice(f"did you mean {near}?", (*table, near))


def for_number_as_text(key: Key, text: str) -> str:
    """The way out of `upper = "41 bar"`: the number alone, in the unit that the key names."""
    if not (found := quantity(text)):
        return ""
    number, unit = found
    if not unit:
        return f"write {number}, without the quotes"
    name = next((part for part in reversed(key) if isinstance(part, str)), "")
    wanted = split_key(name)[1]
    if not wanted:
        own = "in the instrument's own unit" if "devices" in key else "without a unit"
        return f"write {number} without quotes, {own}"
    converted = convert(float(number), unit, wanted)
    if not converted:
        return f"write a number without quotes, in {_spoken(wanted)}"
    if unit_named(unit) == unit_named(wanted):
        return f"write {number} without quotes: the key says the unit already"
    return f"write {converted} without quotes: the key is in {_spoken(wanted)}"


def fields_at(root: type[BaseModel], key: Key) -> dict[str, FieldInfo] | None:
    """The fields of the table at `key`; None where there is no table of a fixed form."""
    found: object = root
    for part in key:
        found = step(found, part)
    return dict(found.model_fields) if isinstance(found, type) and issubclass(found, BaseModel) else None


def field_at(root: type[BaseModel], key: Key) -> FieldInfo | None:
    """The field that a key, or an item of its list, belongs to."""
    names = key
    while names and isinstance(names[-1], int):
        names = names[:-1]
    table = fields_at(root, names[:-1]) if names else None
    return table.get(str(names[-1])) if table else None


def all_keys(root: type[BaseModel], at: Key = ()) -> Iterator[tuple[Key, FieldInfo]]:
    """Every key of the file's fixed tables; tables that a person names (devices) are not entered."""
    for name, field in (fields_at(root, at) or {}).items():
        yield (*at, name), field
        if get_origin(field.annotation) is not dict:
            yield from all_keys(root, (*at, name))


def _same_quantity(root: type[BaseModel], table: Key, here: Mapping[str, Any], stem: str) -> Iterator[Key]:
    if not stem:
        return
    yield from ((*table, name) for name in here if split_key(name)[0] == stem)
    everywhere = [path for path, _ in all_keys(root)]
    if _ALSO_CALLED.get(stem) in everywhere:
        yield _ALSO_CALLED[stem]
    yield from (path for path in everywhere if len(path) > 1 and split_key(str(path[-1]))[0] == stem)


def _meant(target: Key, table: Key, value: object, unit: str) -> str:
    name = str(target[-1])
    place = "" if target[:-1] == table else f" in [{dotted(target[:-1])}]"
    wanted = split_key(name)[1]
    if not unit and isinstance(value, str) and (written := quantity(value)) and written[1]:
        unit, value = written[1], float(written[0])
    if unit and wanted and (converted := convert(value, unit, wanted)):
        given = f"{shown(value)} {_spoken(unit)}"
        return f"did you mean {name}{place}? {given} is {name} = {converted}"
    if wanted:
        return f"did you mean {name}{place}? keys name their unit, here {_spoken(wanted)}"
    return f"did you mean {name}{place}?" + (" it is in the instrument's own unit" if unit else "")


_SPOKEN: Final[Mapping[str, str]] = {
    "gpa": "GPa", "mpa": "MPa", "kpa": "kPa", "hpa": "hPa", "pa": "Pa", "angstrom": "Å", "um": "µm", "k": "K",
    "gy": "Gy", "kgy": "kGy", "mgy": "MGy", "kev": "keV", "ev": "eV", "c": "°C", "degc": "°C", "celsius": "°C",
    "us": "µs", "ph": "photons",
}  # fmt: skip


def _spoken(unit: str) -> str:
    top, per, under = unit.partition("_per_")
    return _SPOKEN.get(top, top) + (f" per {_SPOKEN.get(under, under)}" if per else "")


def step(table: object, name: str | int) -> object:
    """What stands at `name` inside a table (a model, or the type of a field); None if that has no fixed form."""
    if isinstance(table, type) and issubclass(table, BaseModel):
        field = table.model_fields.get(str(name))
        return _bare(field.annotation) if field else None
    return get_args(table)[1] if get_origin(table) is dict else None


def _bare(annotation: object) -> object:
    """The table in `Table | None`; anything else as it is."""
    tables = [arg for arg in get_args(annotation) if isinstance(arg, type) and issubclass(arg, BaseModel)]
    return tables[0] if tables and get_origin(annotation) is not dict else annotation
