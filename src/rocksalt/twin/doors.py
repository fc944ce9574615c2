"""The narrow doors through which simulated instruments see the twin: what an instrument could feel at its terminals.

Every method takes experiment time first (`at_s`, `start_s`, seconds since the start of the run). Time only goes on: a
time before the world's present means the present. Nothing here tells truth about the sample except through an image.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class MembraneDoor(Protocol):
    """The gas behind the membrane of the cell, and the bottle that feeds it. Gauge pressures in bar."""

    def gas_bar(self, at_s: float) -> float:
        """Pressure of the gas behind the membrane, bar."""
        ...

    def supply_bar(self, at_s: float) -> float:
        """Pressure of the supply, bar: the gas can't be driven above it."""
        ...

    def ramp(self, at_s: float, target_bar: float, rate_bar_per_s: float) -> None:
        """Regulate towards target_bar, linearly at rate_bar_per_s (> 0), and keep it there. Raises ValueError for a
        rate that is not positive or a number that is not finite."""
        ...

    def hold(self, at_s: float) -> None:
        """Shut the valves: the gas is trapped where it stands, and leaks slowly."""
        ...

    def vent(self, at_s: float, rate_bar_per_s: float) -> None:
        """Let the gas out to the atmosphere (0 bar gauge) at rate_bar_per_s (> 0)."""
        ...


class ThermalDoor(Protocol):
    """Heater and thermometer at the cell."""

    def sample_k(self, at_s: float) -> float:
        """Temperature of the sample, K."""
        ...

    def heat(self, at_s: float, setpoint_k: float, rate_k_per_min: float) -> None:
        """Regulate towards setpoint_k, the set-point moving at rate_k_per_min (0 or less: at once). Raises ValueError
        for numbers that aren't finite."""
        ...

    def off(self, at_s: float) -> None:
        """Heater off: the cell drifts back to the room, or down to its cold head."""
        ...

    def heater_percent(self, at_s: float) -> float:
        """Heater output, 0 to 100 percent of full power."""
        ...


class EnclosureDoor(Protocol):
    """Hutch: shutter with its two end switches, door, and the permit of the personnel safety system."""

    def request_shutter(self, at_s: float, open: bool) -> None:
        """Ask for the shutter open or closed. It travels about 0.1 s; without permit, or with the door open, it closes
        whatever is asked, and a request made meanwhile is forgotten."""
        ...

    def shutter_open(self, at_s: float) -> bool:
        """Whether the shutter stands at its open end."""
        ...

    def shutter_switches(self, at_s: float) -> tuple[bool, bool]:
        """(open switch, closed switch). Both are False while the shutter travels; never both True."""
        ...

    def door_closed(self, at_s: float) -> bool:
        """Whether the hutch door is closed."""
        ...

    def set_door(self, at_s: float, closed: bool) -> None:
        """Open or close the door: a person's hand, for tests and faults. Opening it forces the shutter closed."""
        ...

    def permit(self, at_s: float, on: bool) -> None:
        """Give or take the permit to have beam. Taking it forces the shutter closed."""
        ...

    def permitted(self, at_s: float) -> bool:
        """Whether the permit stands."""
        ...


class CameraDoor(Protocol):
    """The sensor of the area detector. Pixels are (rows, columns), row-major, counts as uint32."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        ...

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(rows, columns): True where the detector's own pixel mask says gap, dead or noisy. `expose` gives 2**32 - 1
        there, as an instrument with its pixel mask applied does."""
        ...

    def cutoff_counts(self, seconds: float) -> int:
        """Highest count that a pixel reports in an exposure of `seconds`: at or above it a pixel is saturated."""
        ...

    def expose(self, start_s: float, seconds: float) -> NDArray[np.uint32]:
        """Counts integrated over [start_s, start_s + seconds], with light only while the shutter let the beam through.

        Call it when the exposure is over: the world is taken to start_s + seconds, and looks back for what happened in
        between (up to half an hour). Each call draws the noise of the next frame; the array is the caller's own.
        Raises ValueError for seconds that are not positive."""
        ...

    def sent(self, frame: int, sha256: str, chunk_sha256: str, series: int, image: int) -> None:
        """Tell the truth file that a frame left the instrument: hash of the pixels (uint32, row-major, little-endian)
        and of the compressed chunk, and the detector's own numbers."""
        ...


class FluxDoor(Protocol):
    """The flux monitor's two wires: a diode behind the shutter, before the sample."""

    def current_a(self, start_s: float, seconds: float) -> float:
        """Mean current over [start_s, start_s + seconds], A, with the noise of that gate: the same for whoever asks.

        Call it when the gate is over: the world is taken to its end. Raises ValueError for seconds that are not
        positive."""
        ...
