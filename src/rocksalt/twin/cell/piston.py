"""The piston of the diamond-anvil cell: friction, stick-slip, creep, heat, and the sample's answer.

The mechanics go forward on a grid of their own (`advance`), so that nothing depends on when anybody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from typing import Final

from rocksalt.time import Chance
from rocksalt.twin.cell.gasket import decayed
from rocksalt.twin.cell.medium import Medium
from rocksalt.twin.departures import Departures
from rocksalt.twin.sample.transformation import Transformation, gradient_scale

_REST_GPA: Final = 1e-7
_SLIPS: Final = 1024
_BLOW_OUT_S: Final = 8.0
_RUIN: Final = 0.15
STIFFENING_BAR: Final = 150.0


@dataclass(slots=True)
class CellState:
    """pushed_gpa is what the piston gives after friction, creeping_gpa what of it hasn't arrived yet; thermal_gpa what
    heating and cooling have added; `solid` how much of the medium is frozen; `sound` falls from 1 once the gasket has
    given way."""

    pushed_gpa: float
    creeping_gpa: float
    pressure_gpa: float
    kelvin: float
    solid: float
    thermal_gpa: float = 0.0
    slips: int = 0
    blown: bool = False
    sound: float = 1.0


class Cell:
    """From gas and temperature to the sample's mean pressure.

    gpa_per_bar        the station's prior; embedded_gpa: where the gradient stops growing with the load
    isochoric_gpa      thermal pressure (GPa) of the sample at constant volume against temperature (K)
    """

    def __init__(
        self, hidden: Departures, gpa_per_bar: float, chance: Chance, transformation: Transformation, medium: Medium,
        *, ambient_k: float, embedded_gpa: float, isochoric_gpa: Callable[[float], float],
    ) -> None:  # fmt: skip
        self._hidden = hidden
        self._gain = gpa_per_bar * hidden.cell.gain_relative
        self._slips = chance.stream("cell.stick_slip").uniform(0.0, hidden.cell.stick_slip_gpa, _SLIPS).tolist()
        self._medium, self._embedded_gpa, self._isochoric_gpa = medium, embedded_gpa, isochoric_gpa
        self.transformation = transformation
        start = max(hidden.cell.offset_gpa, 0.0)
        self.state = CellState(start, 0.0, start, ambient_k, medium.solid(start, ambient_k))

    def load_gpa(self, gas_bar: float) -> float:
        """What the membrane would give without friction. The gasket stiffens: the gain falls as it thins."""
        softness = 1.0 - self._hidden.cell.stiffening * gas_bar / STIFFENING_BAR
        return self._hidden.cell.offset_gpa + self._gain * gas_bar * softness

    def gradient(self, pressure_gpa: float, solid: float) -> float:
        """By how much the pressures of `Spread` are multiplied: they grow with the load, and where the medium is
        frozen."""
        grown = 1.0 + (self._hidden.cell.solid_gradient - 1.0) * solid
        return gradient_scale(pressure_gpa, self._embedded_gpa) * grown

    def deviatoric_gpa(self, solid: float) -> float:
        """The uniaxial stress t of Singh (1998) that this much of frozen medium leaves on the sample."""
        return self._hidden.sample.deviatoric_gpa * (1.0 + (self._hidden.cell.solid_stress - 1.0) * solid)

    def advance(self, gas_bar: float, kelvin: float, seconds: float, collapse: float) -> bool:
        """One step of the grid: `collapse` is the volume lost by B1 to B2 here, relative to that at the anchor.

        Returns whether anything moved. Friction holds the piston within a band around the load (wider on the way back:
        the gasket has flowed; wider where the medium is frozen); beyond it the piston slips, a little late, and part of
        each slip arrives slowly. Heat moves the pressure directly: the cell's own expansion against the sample's, and
        in a frozen medium part of the sample's thermal pressure. The volume collapse of what has transformed is given
        back by the cell as lost pressure.
        """
        hidden, state = self._hidden.cell, self.state
        solid = self._medium.solid(state.pressure_gpa, kelvin)
        pushed = self._slipped(gas_bar, solid)
        moved = pushed != state.pushed_gpa or solid != state.solid or kelvin != state.kelvin
        if pushed != state.pushed_gpa:
            state.slips += 1
        if kelvin != state.kelvin:
            state.thermal_gpa += self._by_heat(state.kelvin, kelvin, solid)
        creeping = state.creeping_gpa + hidden.creep_share * (pushed - state.pushed_gpa)
        creeping *= exp(-seconds / hidden.creep_s)
        if abs(creeping) < _REST_GPA:
            creeping = 0.0
        moved = moved or creeping != state.creeping_gpa
        state.pushed_gpa, state.creeping_gpa, state.kelvin, state.solid = pushed, creeping, kelvin, solid
        if self._gives_way(gas_bar) or state.blown:
            state.blown = True
            sound = decayed(state.sound, _RUIN, seconds, _BLOW_OUT_S)
            sound = _RUIN if sound - _RUIN < _REST_GPA else sound
            moved = moved or sound != state.sound
            state.sound = sound
        given = (pushed - creeping + state.thermal_gpa) * state.sound
        lost = hidden.collapse_gpa * collapse
        transformed = self.transformation
        before = max(given - lost * transformed.share, 0.0)
        if transformed.step(before, seconds, kelvin, self.gradient(before, solid)):
            moved = True
        # Nothing pulls at the sample: a cell that opens wider than the sample leaves it at zero.
        pressure = max(given - lost * transformed.share, 0.0)
        moved = moved or pressure != state.pressure_gpa
        state.pressure_gpa = pressure
        return moved

    def holds(self, gas_bar: float) -> bool:
        """Whether friction holds the piston where it is at this gas pressure, and so at any on the way there."""
        return self._slipped(gas_bar, self.state.solid) == self.state.pushed_gpa and not self._gives_way(gas_bar)

    def _by_heat(self, before_k: float, after_k: float, solid: float) -> float:
        hidden = self._hidden.cell
        contraction = hidden.thermal_gpa_per_k * (1.0 + (hidden.solid_thermal - 1.0) * solid) * (after_k - before_k)
        held = hidden.isochoric_share * solid
        if held == 0.0:
            return contraction
        return contraction + held * (self._isochoric_gpa(after_k) - self._isochoric_gpa(before_k))

    def _gives_way(self, gas_bar: float) -> bool:
        limit = self._hidden.cell.blow_out_bar
        return limit is not None and gas_bar > limit and not self.state.blown

    def _slipped(self, gas_bar: float, solid: float) -> float:
        """Where the piston comes to rest with this gas behind the membrane."""
        hidden, pushed = self._hidden.cell, self.state.pushed_gpa
        load, slack = self.load_gpa(gas_bar), self._slips[self.state.slips % _SLIPS]
        friction = hidden.friction_gpa * (1.0 + (hidden.solid_friction - 1.0) * solid)
        up = load - friction
        down = max(load + friction + hidden.grip * pushed, 0.0)
        if up - pushed > slack:
            return float(up)
        return float(down) if pushed - down > slack else pushed
