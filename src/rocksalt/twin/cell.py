"""The diamond-anvil cell: gas behind a membrane, friction, stick-slip, creep, and the sample's answer.

The gas is a function of time that only commands change; the mechanics go forward on a grid of their own (`advance`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite
from typing import Final

from rocksalt.time import Chance
from rocksalt.twin.departures import Departures
from rocksalt.twin.transformation import Transformation

_REST_GPA: Final = 1e-7
_SLIPS: Final = 1024
_BLOW_OUT_S: Final = 8.0
_RUIN: Final = 0.15
STIFFENING_BAR: Final = 150.0


class Gas:
    """Gas pressure (bar) as a function of time, straight between commands, decaying while trapped."""

    def __init__(self, supply_bar: float, leak_bar_per_min: float) -> None:
        self._supply = supply_bar
        self._leak = leak_bar_per_min / 60.0
        self._since_s, self._from_bar = 0.0, 0.0
        self._target, self._rate = 0.0, 1.0
        self._trapped = False

    def bar(self, at_s: float) -> float:
        """Pressure at a time not before the last command."""
        elapsed = at_s - self._since_s
        if self._trapped:
            # The leak is proportional to the pressure; its rate is stated at 50 bar.
            return self._from_bar * exp(-elapsed * self._leak / 50.0)
        way = self._target - self._from_bar
        if abs(way) <= self._rate * elapsed:
            return self._target
        return self._from_bar + (self._rate * elapsed if way > 0 else -self._rate * elapsed)

    def supply_bar(self, at_s: float) -> float:
        """The bottle: what it held, less a little with the days."""
        return self._supply * exp(-at_s / 3.0e7)

    def ramp(self, at_s: float, target_bar: float, rate_bar_per_s: float) -> None:
        """Towards the target, or as far as the supply goes."""
        if not isfinite(target_bar) or not isfinite(rate_bar_per_s) or rate_bar_per_s <= 0.0:
            raise ValueError(
                f"ramp to {target_bar} bar at {rate_bar_per_s} bar/s: finite numbers and a positive rate are needed"
            )
        reachable = min(max(target_bar, 0.0), self.supply_bar(at_s))
        self._set(at_s, max(reachable, 0.0), rate_bar_per_s, trapped=False)

    def hold(self, at_s: float) -> None:
        """Trapped where it stands."""
        self._set(at_s, 0.0, 1.0, trapped=True)

    def _set(self, at_s: float, target: float, rate: float, *, trapped: bool) -> None:
        self._from_bar, self._since_s = self.bar(at_s), at_s
        self._target, self._rate, self._trapped = target, rate, trapped


@dataclass(slots=True)
class CellState:
    """pushed_gpa is what the piston gives after friction, creeping_gpa what of it hasn't arrived yet; `sound`
    falls from 1 once the gasket has given way."""

    pushed_gpa: float
    creeping_gpa: float
    pressure_gpa: float
    slips: int = 0
    blown: bool = False
    sound: float = 1.0


class Cell:
    """From gas to the sample's mean pressure."""

    def __init__(self, hidden: Departures, gpa_per_bar: float, chance: Chance, transformation: Transformation) -> None:
        self._hidden = hidden
        self._gain = gpa_per_bar * hidden.gain_relative
        self._slips = chance.stream("cell.stick_slip").uniform(0.0, hidden.stick_slip_gpa, _SLIPS).tolist()
        self.transformation = transformation
        start = max(hidden.offset_gpa, 0.0)
        self.state = CellState(start, 0.0, start)

    def load_gpa(self, gas_bar: float) -> float:
        """What the membrane would give without friction. The gasket stiffens: the gain falls as it thins."""
        softness = 1.0 - self._hidden.stiffening * gas_bar / STIFFENING_BAR
        return self._hidden.offset_gpa + self._gain * gas_bar * softness

    def advance(self, gas_bar: float, seconds: float, collapse: float) -> bool:
        """One step of the grid: `collapse` is the volume lost by B1 to B2 here, relative to that at 2 GPa.

        Returns whether anything moved. Friction holds the piston within a band around the load (wider on the way back:
        the gasket has flowed); beyond it the piston slips, a little late, and part of each slip arrives slowly. The
        volume collapse of what has transformed is given back by the cell as lost pressure.
        """
        hidden, state = self._hidden, self.state
        pushed = self._slipped(gas_bar)
        moved = pushed != state.pushed_gpa
        if moved:
            state.slips += 1
        creeping = state.creeping_gpa + hidden.creep_share * (pushed - state.pushed_gpa)
        creeping *= exp(-seconds / hidden.creep_s)
        if abs(creeping) < _REST_GPA:
            creeping = 0.0
        moved = moved or creeping != state.creeping_gpa
        state.pushed_gpa, state.creeping_gpa = pushed, creeping
        if self._gives_way(gas_bar) or state.blown:
            state.blown = True
            sound = _RUIN + (state.sound - _RUIN) * exp(-seconds / _BLOW_OUT_S)
            sound = _RUIN if sound - _RUIN < _REST_GPA else sound
            moved = moved or sound != state.sound
            state.sound = sound
        given = (pushed - creeping) * state.sound
        lost = hidden.collapse_gpa * collapse
        transformed = self.transformation
        before = float(transformed.transformed.mean())
        if transformed.step(given - lost * before, seconds):
            moved = True
        state.pressure_gpa = given - lost * float(transformed.transformed.mean())
        return moved

    def holds(self, gas_bar: float) -> bool:
        """Whether friction holds the piston where it is at this gas pressure, and so at any on the way there."""
        return self._slipped(gas_bar) == self.state.pushed_gpa and not self._gives_way(gas_bar)

    def _gives_way(self, gas_bar: float) -> bool:
        limit = self._hidden.blow_out_bar
        return limit is not None and gas_bar > limit and not self.state.blown

    def _slipped(self, gas_bar: float) -> float:
        """Where the piston comes to rest with this gas behind the membrane."""
        hidden, pushed = self._hidden, self.state.pushed_gpa
        load, slack = self.load_gpa(gas_bar), self._slips[self.state.slips % _SLIPS]
        up = load - hidden.friction_gpa
        down = max(load + hidden.friction_gpa + hidden.grip * pushed, 0.0)
        if up - pushed > slack:
            return up
        return down if pushed - down > slack else pushed
