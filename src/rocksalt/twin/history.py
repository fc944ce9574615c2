"""What the sample went through: its state after every step of the grid that changed it, and the dose up to there.

Entries depend on what happened alone, never on who asked: the dose is a sum over them, and a closed form since.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Final, NamedTuple

from rocksalt.values import FloatArray

STEP_S: Final = 0.25
REMEMBERED_S: Final = 1800.0
_MOST: Final = int(4 * REMEMBERED_S / STEP_S)


class Moment(NamedTuple):
    """Mean pressure, transformed share of each bin (BINS,), frozen share of the medium, and the dose rate with light;
    dose_gy up to here."""

    pressure_gpa: float
    transformed: FloatArray
    solid: float
    gy_per_s: float
    dose_gy: float


class History:
    """The moments of one world; quiet times take no room, and half an hour at least is remembered.

    light_s: seconds of light between two times that are past.
    """

    def __init__(self, first: Moment, light_s: Callable[[float, float], float]) -> None:
        self._steps: list[int] = [0]
        self._moments: list[Moment] = [first]
        self._light_s = light_s

    @property
    def last(self) -> Moment:
        """The latest."""
        return self._moments[-1]

    def keep(self, step: int, pressure_gpa: float, transformed: FloatArray, solid: float, gy_per_s: float) -> None:
        """The state after a step that changed it."""
        before, since = self._moments[-1], self._steps[-1]
        dose = before.dose_gy + before.gy_per_s * self._light_s(since * STEP_S, step * STEP_S)
        self._steps.append(step)
        self._moments.append(Moment(pressure_gpa, transformed, solid, gy_per_s, dose))
        if len(self._moments) > _MOST:
            forget = bisect_right(self._steps, step - int(REMEMBERED_S / STEP_S)) - 1
            del self._moments[:forget], self._steps[:forget]

    def state(self, at_s: float) -> tuple[float, FloatArray, float]:
        """(pressure, transformed, solid) at a past time: straight between two steps of the grid, one step late, so that
        it never waits for a command that hasn't been given."""
        step = int(at_s // STEP_S)
        part = at_s / STEP_S - step
        p0, x0, s0, _, _ = self._after(step - 1)
        p1, x1, s1, _, _ = self._after(step)
        return p0 + part * (p1 - p0), x0 if x0 is x1 else x0 + part * (x1 - x0), s0 + part * (s1 - s0)

    def dose_gy(self, at_s: float) -> float:
        """Dose since the start at a past time; what the sample is goes from step to step."""
        index = max(bisect_right(self._steps, at_s / STEP_S) - 1, 0)
        moment, since = self._moments[index], self._steps[index] * STEP_S
        return moment.dose_gy + moment.gy_per_s * self._light_s(since, max(at_s, since))

    def _after(self, step: int) -> Moment:
        return self._moments[max(bisect_right(self._steps, step) - 1, 0)]
