"""The narrow doors to the optics: what a spectrometer's electronics and the switches of its lights can do and see.

As in `rocksalt.twin.doors`: experiment time first; time only goes on. Wavelengths are the instrument's own belief.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class SpectrometerDoor(Protocol):
    """A sensor of 2068 pixels and 16 bits."""

    @property
    def coefficients(self) -> tuple[float, ...]:
        """Stored in the instrument: wavelength in nm is the sum of these times pixel^i."""
        ...

    @property
    def seconds(self) -> tuple[float, float]:
        """Shortest and longest integration."""
        ...

    def sensor_k(self, at_s: float) -> float:
        """Temperature of the sensor."""
        ...

    def expose(self, start_s: float, integration_s: float, averages: int = 1) -> NDArray[np.uint16]:
        """Counts (2068,), mean of `averages` exposures back to back since start_s. Call it when they are over. Each
        call draws the noise of the next spectrum. Raises ValueError for an integration outside `seconds`."""
        ...


class LightsDoor(Protocol):
    """Lamp, its shutter, the stage that brings the sample into the light, and the pump for luminescence."""

    def lamp(self, at_s: float, on: bool) -> None:
        """The lamp takes minutes to settle."""
        ...

    def lamp_on(self, at_s: float) -> bool:
        """Whether it burns."""
        ...

    def shutter(self, at_s: float, open: bool) -> None:
        """Shut for dark spectra, and to spare the sample: the light bleaches."""
        ...

    def shutter_open(self, at_s: float) -> bool:
        """Whether it stands open."""
        ...

    def sample(self, at_s: float, inside: bool) -> None:
        """Sample into the light, or out of it for a reference; 1.5 s from end to end."""
        ...

    def sample_inside(self, at_s: float) -> bool:
        """Whether it has arrived in the light."""
        ...

    def pump(self, at_s: float, milliwatt: float) -> None:
        """Power of the pump at 445 nm, 0 for off. Raises ValueError outside 0 to 50 mW."""
        ...

    def room(self, at_s: float, on: bool) -> None:
        """The lights of the room, where they reach the sample: a person's hand, for tests."""
        ...


class RubyDoor(SpectrometerDoor, Protocol):
    """The spectrometer that looks at the ruby, and the laser that makes it shine."""

    def laser(self, at_s: float, on: bool) -> None:
        """Laser on or off."""
        ...

    def laser_on(self, at_s: float) -> bool:
        """Whether it shines."""
        ...
