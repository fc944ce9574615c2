"""The narrow doors to the irradiation chamber: what a generator's terminals and a shutter's switches show.

As in `rocksalt.twin.doors`: experiment time first; time only goes on. Readings are the generator's own, which hides by
how much its true kilovolts and output differ.
"""

from __future__ import annotations

from typing import Protocol


class TubeDoor(Protocol):
    """High-voltage generator and X-ray tube."""

    @property
    def ratings(self) -> tuple[float, float, float]:
        """(kV, mA, kW) at most."""
        ...

    def set_kv(self, at_s: float, kv: float) -> None:
        """Ramp to this voltage while on, or keep it for when it is. Raises ValueError beyond the rating."""
        ...

    def set_ma(self, at_s: float, ma: float) -> None:
        """The same for the current."""
        ...

    def setpoints(self, at_s: float) -> tuple[float, float]:
        """(kV, mA) that were set."""
        ...

    def high_voltage(self, at_s: float, on: bool) -> bool:
        """Switch on, after a warning of some seconds, or off at once. False where an interlock, the permit or a fault
        stands against it, which is then left as it was."""
        ...

    def is_on(self, at_s: float) -> bool:
        """Whether high voltage is on, the warning included."""
        ...

    def imminent(self, at_s: float) -> bool:
        """Whether the warning runs: X-rays will come."""
        ...

    def kv(self, at_s: float) -> float:
        """Voltage as the generator measures it."""
        ...

    def ma(self, at_s: float) -> float:
        """Current as the generator measures it."""
        ...

    def interlock_closed(self, at_s: float) -> bool:
        """Whether the door's contact is closed and the permit stands."""
        ...

    def set_interlock(self, at_s: float, closed: bool) -> None:
        """The door of the chamber: opening it takes the voltage away, closing it brings nothing back."""
        ...

    def permit(self, at_s: float, on: bool) -> None:
        """Give or take the permit for high voltage."""
        ...

    def fault(self, at_s: float) -> str:
        """The latched fault: "arc", "over-power", or "" for none."""
        ...

    def arc_count(self, at_s: float) -> int:
        """Arcs so far, the quenched ones included."""
        ...

    def clear_faults(self, at_s: float) -> None:
        """Forget the fault; the voltage stays off."""
        ...


class TubeShutterDoor(Protocol):
    """The shutter in front of the tube."""

    def request(self, at_s: float, open: bool) -> None:
        """Ask for it open or closed; it travels a quarter of a second."""
        ...

    def switches(self, at_s: float) -> tuple[bool, bool]:
        """(open switch, closed switch); both False while it travels."""
        ...
