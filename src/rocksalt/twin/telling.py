"""What of the world goes into its truth file: a line for each change, and the transition summed up when it happened."""

from __future__ import annotations

from math import inf
from typing import Any, Final

from rocksalt.twin.departures import Departures
from rocksalt.twin.surroundings.hutch import Hutch
from rocksalt.twin.truth import Truth

_ONSET: Final = 0.05
_HALF: Final = 0.5
_NOTICE_GPA: Final = 0.001
_NOTICE_SHARE: Final = 0.002


class Teller:
    """Writes the truth (None: nowhere), and knows onset and P50: the mean pressure (GPa) at which the fraction of B2
    first passed 0.05 and 0.5, straight between two steps of the grid."""

    def __init__(self, truth: Truth | None, hidden: Departures, *, transforms: bool) -> None:
        self._truth, self._hidden, self._transforms = truth, hidden, transforms
        self._told: tuple[float, float] = (-inf, -inf)
        self._summed_up = False
        self.onset_gpa: float | None = None
        self.p50_gpa: float | None = None

    def is_news(self, pressure_gpa: float, fraction_b2: float) -> bool:
        """Whether this is another state than the one that was told last."""
        pressure, fraction = self._told
        return abs(pressure_gpa - pressure) > _NOTICE_GPA or abs(fraction_b2 - fraction) > _NOTICE_SHARE

    def tell(
        self,
        at_s: float,
        pressure_gpa: float,
        fraction_b2: float,
        hutch: Hutch,
        *,
        hv: bool,
        beam: bool,
        dose_gy: float,
    ) -> None:
        """A line of state for this time. beam: whether X-rays reach the sample, from wherever; hv: the tube's."""
        self._told = (pressure_gpa, fraction_b2)
        position = hutch.position(at_s)
        self.line(
            {
                "t_s": round(at_s, 6),
                "sample_pressure_gpa": round(pressure_gpa, 6),
                "fraction_b2": round(fraction_b2, 6),
                "shutter": "open" if position >= 1.0 else "closed" if position <= 0.0 else "moving",
                "hv": hv,
                "door": "closed" if hutch.door_closed else "open",
                "beam": beam,
                "dose_gy": round(dose_gy, 3),
            }
        )

    def line(self, line: dict[str, Any]) -> None:
        """Any line."""
        if self._truth is not None:
            self._truth.write(line)

    def step(self, before: tuple[float, float], after: tuple[float, float]) -> None:
        """A step of the grid from one (pressure, fraction of B2) to another."""
        if not self._transforms or self.p50_gpa is not None or after[1] < _ONSET:
            return
        if self.onset_gpa is None:
            self.onset_gpa = _crossing(_ONSET, before, after)
        if after[1] >= _HALF:
            self.p50_gpa = _crossing(_HALF, before, after)
            self._sum_up()

    def close(self) -> None:
        """Sum up, with null for what never happened, and close the file."""
        self._sum_up()
        if self._truth is not None:
            self._truth.close()

    def _sum_up(self) -> None:
        if not self._summed_up:
            self._summed_up = True
            self.line(
                {"onset_gpa": self.onset_gpa, "p50_gpa": self.p50_gpa, "departures": self._hidden.as_json()}
            )  # fmt: skip


def _crossing(level: float, before: tuple[float, float], after: tuple[float, float]) -> float:
    (low_gpa, low), (high_gpa, high) = before, after
    part = 1.0 if high == low else min(max((level - low) / (high - low), 0.0), 1.0)
    return round(low_gpa + part * (high_gpa - low_gpa), 6)
