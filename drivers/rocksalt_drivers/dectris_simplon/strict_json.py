"""JSON from a wire, read strictly: bounded in size and depth, no key twice, no NaN.

Whatever is wrong with the bytes comes out as one ValueError, in words.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 12  # the deepest of the interface: status, value, critical values
LONGEST: Final = 1 << 18  # bytes of a header, of the whole configuration, of an answer without an array


def loads(data: bytes, *, longest: int = LONGEST) -> Any:
    """The value that `data` writes. Raises ValueError, in words, for whatever else the bytes are."""
    if len(data) > longest:
        raise ValueError(f"{len(data)} bytes of JSON, where at most {longest} can be")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number, parse_float=_float
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {str(error)[:120]}") from None
    _check_depth(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)[:40]!r} stands there twice")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is beyond every number")
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inside
            for outer in level
            if isinstance(outer, dict | list)
            for inside in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inside, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"more than {MAX_DEPTH} lists and objects within each other")
