"""What a picoammeter's answer to `READ?` says: current, time stamp, status word, and the source's voltage if asked for.

Form alone is judged here; whether the reading can be believed, the status says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PLAIN = re.compile(r"[+-]\d\.\d{6}E[+-]\d{2}", re.ASCII)
"""A number in a reading: one that lost a digit on its way is refused."""
_SOURCE = re.compile(r"[+-]\d{1,3}\.\d{4}|[+-]\d\.\d{6}E[+-]\d{2}", re.ASCII)
"""The manual's figure prints the source's voltage one way, every other number the other way."""
_WRAPS_S = 100_000.0
_WORD = 0xFFFF
_OVERFLOW_A, _NO_NUMBER_A = 9.9e37, 9.91e37
_WRONG = {1: "overflow", 4: "math is on", 8: "a relative value is subtracted", 128: "overvoltage at the input",
          512: "zero check is on: its input is shorted"}  # fmt: skip
_LIMIT_TEST, _LIMIT_FAILED, _ZERO_CORRECTED = 16, 96, 1024
SOURCE_LIMITED_V = -999.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One reading. at_s: since the instrument's clock was reset; volts: None where the source was not asked about."""

    current_a: float
    at_s: float
    status: int
    volts: float | None

    @property
    def zero_corrected(self) -> bool:
        return bool(self.status & _ZERO_CORRECTED)

    @property
    def failed_a_limit(self) -> bool:
        return bool(self.status & _LIMIT_TEST and self.status & _LIMIT_FAILED)

    def why_not(self) -> str:
        """Why the instrument itself says that this is no reading; "" where it does not."""
        if self.current_a == _NO_NUMBER_A:
            return "it has no number to give (+9.91E37)"
        if wrong := [text for bit, text in _WRONG.items() if self.status & bit]:
            return f"the reading can't be believed, status {self.status}: {', '.join(wrong)}"
        if abs(self.current_a) >= _OVERFLOW_A:
            return "the current is above the range (overflow)"
        return ""


def parse(answer: str, *, with_source: bool) -> Answer:
    """The reading of `READ,UNIT,TIME,STAT` or, with_source, `READ,UNIT,TIME,STAT,VSO`. Raises ValueError with what is
    wrong with it."""
    reading, *rest = (part.strip(" ") for part in answer.split(","))
    if len(rest) != 2 + with_source or not reading.endswith("A"):
        raise ValueError("a current in A, time and status were expected")
    current_a, at_s, bits = (_plain(text) for text in (reading[:-1], *rest[:2]))
    if not (0 <= at_s <= _WRAPS_S and 0 <= bits <= _WORD and bits == int(bits)):
        raise ValueError("its time or its status can't be")
    if not with_source:
        return Answer(current_a, at_s, int(bits), None)
    if _SOURCE.fullmatch(rest[2]) is None:
        raise ValueError("its last part is no voltage")
    return Answer(current_a, at_s, int(bits), float(rest[2]))


def _plain(text: str) -> float:
    if _PLAIN.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no number as it writes them")
    return float(text)
