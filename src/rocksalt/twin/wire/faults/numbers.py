"""Numbers inside replies, changed where they stand: in text, in JSON, or by a simulator that knows its own bytes.

Only quantities are touched: numbers written with a decimal point or an exponent. Whole numbers are states and counts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final, Protocol, runtime_checkable

from rocksalt.twin.wire.faults.plan import Active

How = Callable[[float], float]
"""What becomes of a number; NaN and infinity stand for "no number" and "too large"."""
NO_NUMBER: Final = "NaN"
TOO_LARGE: Final = "9.9E37"
"""What SCPI (volume 1, 1999, section 7.2.1) writes for infinity."""
QUANTITY: Final = re.compile(rb"(?<![\w.])([+-]?)(\d+)\.(\d+)(?:([eE])([+-]?\d+))?(?![\w.])")


@runtime_checkable
class KnowsItsBytes(Protocol):
    """What a simulator with a binary protocol may offer, so that faults can speak of its questions and its numbers."""

    def question(self, request: bytes) -> str:
        """What the request asks, in words, without what differs from one time to the next."""
        ...

    def altered(self, reply: bytes, how: How) -> bytes:
        """The reply with each quantity in it changed; what the wire can't say becomes what it says instead."""
        ...

    def renewed(self, reply: bytes, request: bytes) -> bytes:
        """An old reply as the answer to this request: the same words under the new request's number."""
        ...


def change(active: Active, now_s: float) -> How:
    """What the fault does to a number now."""
    fault = active.fault
    match fault.kind:
        case "nan":
            return lambda value: math.nan
        case "overflow":
            return lambda value: math.inf
        case "drift":
            return lambda value: value + fault.per_s * (now_s - active.began_s)
        case "wrong_unit":
            return lambda value: value * fault.factor
    raise ValueError(f"{fault.kind} does nothing to numbers")


def in_text(reply: bytes, how: How, writes: str = "") -> bytes:
    """Text with each quantity changed, in the form and to the digits that it had."""

    def changed(found: re.Match[bytes]) -> bytes:
        value = how(float(found[0]))
        if not math.isfinite(value):
            return (writes or (NO_NUMBER if math.isnan(value) else TOO_LARGE)).encode()
        sign = "+" if found[1] == b"+" else ""
        decimals = len(found[3])
        if found[4]:
            return f"{value:{sign}.{decimals}{found[4].decode()}}".encode()
        width = len(found[1]) + len(found[2]) + 1 + decimals
        zeros = "0" if len(found[2]) > 1 and found[2].startswith(b"0") else ""
        return f"{value:{sign}{zeros}{width if zeros else ''}.{decimals}f}".encode()

    return QUANTITY.sub(changed, reply)


def in_json(body: bytes, how: How) -> bytes:
    """JSON with each quantity changed. NaN and infinity come out as Python writes them, which JSON forbids."""
    try:
        content = json.loads(body)
    except ValueError:
        return body
    return json.dumps(_walked(content, how)).encode()


def _walked(content: Any, how: How) -> Any:
    match content:
        case float():
            return how(content)
        case dict():
            return {key: _walked(value, how) for key, value in content.items()}
        case list():
            return [_walked(value, how) for value in content]
    return content
