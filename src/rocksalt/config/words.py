"""From what pydantic found to what a person is told. None of pydantic's own words get through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rocksalt.config import hints
from rocksalt.config.errors import Fault, Key, Problem, shown
from rocksalt.config.source import Source
from rocksalt.config.tables import FAULTS, MISSING, Table

_NUMBER: Final = "must be a number"
_RULES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "float_type": lambda _: _NUMBER,
    "float_parsing": lambda _: _NUMBER,
    "int_type": lambda _: "must be a whole number",
    "int_parsing": lambda _: "must be a whole number",
    "int_from_float": lambda _: "must be a whole number",
    "int_parsing_size": lambda _: "must be a smaller number",
    "string_type": lambda _: "must be text",
    "string_too_short": lambda _: "must not be empty",
    "finite_number": lambda _: "must be a finite number",
    "model_type": lambda _: "must be a table",
    "model_attributes_type": lambda _: "must be a table",
    "dict_type": lambda _: "must be a table",
    "greater_than": lambda ctx: f"must be above {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']:g}",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']:g}",
}
_NUMBERS: Final = frozenset({"float_type", "int_type", "float_parsing", "int_parsing"})


def problems_of(error: ValidationError, root: type[Table], data: Mapping[str, Any], source: Source) -> list[Problem]:
    """All that is wrong with `data`: what the models found, and the rules of tables that could not be built.

    A key that is missing because it was misspelt is reported once, where it was misspelt.
    """
    details = error.errors(include_url=False)
    problems: list[Problem] = []
    meant: set[Key] = set()
    faults = list(_rules_of(root, data, ()))
    for detail in details:
        if detail["type"] == "extra_forbidden":
            key = detail["loc"]
            advice = hints.for_unknown_key(root, key, detail["input"])
            problems.append(source.problem(key, "there is no such key", advice.text, _value(data, key)))
            if advice.key:
                meant.add(advice.key)
    for detail in details:
        key = detail["loc"]
        if detail["type"] == FAULTS:
            faults += (((*key, *fault.at), fault) for fault in detail["ctx"]["faults"])
        elif detail["type"] == "missing" and key not in meant:
            problems.append(_missing(root, key, source))
        elif detail["type"] not in ("missing", "extra_forbidden"):
            rule, hint = _broken(root, key, detail)
            problems.append(source.problem(key, rule, hint, _value(data, key)))
    for key, fault in faults:
        if not (key in meant and fault.rule.startswith(MISSING)):
            problems.append(source.problem(key, fault.rule, fault.hint, _value(data, key)))
    return problems


def _rules_of(table: object, data: object, at: Key) -> Iterator[tuple[Key, Fault]]:
    """The broken rules of every table in the data that has a fixed form, with the key each is about."""
    if not isinstance(data, Mapping):
        return
    if isinstance(table, type) and issubclass(table, Table):
        yield from (((*at, *fault.at), fault) for fault in table.faults(data))
    for name, inside in data.items():
        yield from _rules_of(hints.step(table, name), inside, (*at, name))


def _missing(root: type[BaseModel], key: Key, source: Source) -> Problem:
    field = hints.field_at(root, key)
    inside = hints.fields_at(root, key)
    words = f": {field.description}" if field and field.description else ""
    if inside:
        required = [name for name, each in inside.items() if each.is_required()]
        return source.problem(key, f"this table is missing{words}", f"its keys: {', '.join(required)}")
    return source.problem(key, f"{MISSING}{words}", _instance(field, str(key[-1])))


def _broken(root: type[BaseModel], key: Key, detail: ErrorDetails) -> tuple[str, str]:
    kind, given = detail["type"], detail["input"]
    field = hints.field_at(root, key)
    words = f": {field.description}" if field and field.description else ""
    if kind == "literal_error":
        choices = str(detail["ctx"]["expected"]).replace(" or ", ", ").replace("'", '"')
        names = [choice.strip('"') for choice in choices.split(", ")]
        near = hints.nearest(given, names) if isinstance(given, str) else ""
        rule = f"must be one of {choices}" if len(names) > 1 else f"must be {choices}"
        return f"{rule}{words}", f'did you mean "{near}"?' if near else ""
    rule = _RULES[kind](detail.get("ctx", {})) if kind in _RULES else "is not what belongs here"
    hint = hints.for_number_as_text(key, given) if kind in _NUMBERS and isinstance(given, str) else ""
    return f"{rule}{words}", hint or _instance(field, str(next(p for p in reversed(key) if isinstance(p, str))))


def _instance(field: FieldInfo | None, name: str) -> str:
    example = field.examples[0] if field and field.examples else None
    return "" if example is None or example == {} else f"for instance {name} = {shown(example)}"


def _value(data: Any, key: Key) -> str:
    """The value at the key as TOML text; "" where there is none, or where it is a table whose name says enough."""
    for part in key:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return ""
    return "" if isinstance(data, dict) else shown(data)
