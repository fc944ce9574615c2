"""The piston of the diamond-anvil cell: friction, stick-slip, creep, and the sample's answer.

The mechanics go forward on a grid of their own (`advance`), so that nothing depends on when anybody asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Final

from rocksalt.time import Chance
from rocksalt.twin.departures import Departures
from rocksalt.twin.sample.transformation import Transformation

_REST_GPA: Final = 1e-7
_SLIPS: Final = 1024
_BLOW_OUT_S: Final = 8.0
_RUIN: Final = 0.15
STIFFENING_BAR: Final = 150.0


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
        self._gain = gpa_per_bar * hidden.cell.gain_relative
        self._slips = chance.stream("cell.stick_slip").uniform(0.0, hidden.cell.stick_slip_gpa, _SLIPS).tolist()
        self.transformation = transformation
        start = max(hidden.cell.offset_gpa, 0.0)
        self.state = CellState(start, 0.0, start)

    def load_gpa(self, gas_bar: float) -> float:
        """What the membrane would give without friction. The gasket stiffens: the gain falls as it thins."""
        softness = 1.0 - self._hidden.cell.stiffening * gas_bar / STIFFENING_BAR
        return self._hidden.cell.offset_gpa + self._gain * gas_bar * softness

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
        creeping = state.creeping_gpa + hidden.cell.creep_share * (pushed - state.pushed_gpa)
        creeping *= exp(-seconds / hidden.cell.creep_s)
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
        lost = hidden.cell.collapse_gpa * collapse
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
        limit = self._hidden.cell.blow_out_bar
        return limit is not None and gas_bar > limit and not self.state.blown

    def _slipped(self, gas_bar: float) -> float:
        """Where the piston comes to rest with this gas behind the membrane."""
        hidden, pushed = self._hidden, self.state.pushed_gpa
        load, slack = self.load_gpa(gas_bar), self._slips[self.state.slips % _SLIPS]
        up = load - hidden.cell.friction_gpa
        down = max(load + hidden.cell.friction_gpa + hidden.cell.grip * pushed, 0.0)
        if up - pushed > slack:
            return up
        return down if pushed - down > slack else pushed
