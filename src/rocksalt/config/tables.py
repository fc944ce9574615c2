"""What the tables of both files have in common: frozen, no unknown keys, strict finite numbers, faults of our own.

`describe` belongs to every field: its words and its example are what a person reads when the key is missing or wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from rocksalt.config.errors import Fault
from rocksalt.config.names import NameRefused, run_name

FAULTS: Final = "rocksalt_faults"
_PAIR: Final = 2
_ABSURD: Final = 1e100
MISSING: Final = "this key is missing"


class Table(BaseModel):
    """A table of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> list[Fault]:
        """The rules between this table's keys, asked of plain data that may be wrong in any other way.

        The table asks them of itself once it is built; whoever reads a file asks them also where it could not be built.
        """
        return []

    @model_validator(mode="after")
    def _keeps_its_rules(self) -> Self:
        refuse(self.faults(self.model_dump()))
        return self


def number_in(data: object, key: str) -> float | None:
    """The number at the key of a table, None if there is no finite one."""
    value = data.get(key) if isinstance(data, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_ABSURD < value < _ABSURD:
        return None
    return float(value)


def refuse(faults: Iterable[Fault]) -> None:
    """Raise one validation error that carries all the faults, their `at` relative to the table; none: no error."""
    if found := tuple(faults):
        words = "; ".join(fault.rule for fault in found).replace("{", "(").replace("}", ")")
        raise PydanticCustomError(FAULTS, "{words}", {"faults": found, "words": words})


def describe(words: str, example: object, **rules: Any) -> Any:
    """A required field: what it is, in words, and an example of its value. Rules (gt, ge, le) go to pydantic."""
    return Field(description=words, examples=[example], **rules)


def _two(of: str) -> Callable[[object], object]:
    def check(value: object) -> object:
        if not isinstance(value, list | tuple) or len(value) != _PAIR:
            refuse([Fault((), f"must be a list of two: {of}")])
        return tuple(value)  # type: ignore[arg-type]

    return check


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    low, high = pair
    if low > high:
        refuse([Fault((), "the lower end comes first", f"did you mean [{high!r}, {low!r}]?")])
    if low == high:
        refuse([Fault((), "the lower end must be below the upper end: a range of no width leaves nothing to choose")])
    return pair


def _name(text: str) -> str:
    try:
        return run_name(text)
    except NameRefused as refused:
        refuse([Fault((), str(refused))])
        raise


Text = Annotated[str, Field(strict=True, min_length=1)]
Name = Annotated[str, Field(strict=True), AfterValidator(_name)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
NotNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)]
Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
_LOW_HIGH: Final = _two("[low, high]")
PressureRange = Annotated[tuple[NotNegative, NotNegative], AfterValidator(_rising), BeforeValidator(_LOW_HIGH)]
TemperatureRange = Annotated[tuple[Positive, Positive], AfterValidator(_rising), BeforeValidator(_LOW_HIGH)]
BeamSize = Annotated[tuple[Positive, Positive], BeforeValidator(_two("[horizontal, vertical]"))]
Shape = Annotated[tuple[Count, Count], BeforeValidator(_two("[rows, columns]"))]
