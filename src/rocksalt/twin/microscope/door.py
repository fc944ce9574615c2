"""The narrow door through which a simulated microscope camera sees the twin: a stage's focus, and pictures."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class MicroscopeDoor(Protocol):
    """A bright-field microscope with a monochrome camera. Experiment time comes first, as at every door."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the camera."""
        ...

    @property
    def um_per_px(self) -> float:
        """What the experimenter's calibration says a pixel is wide on the sample, um. The true scale is a little
        different."""
        ...

    @property
    def most_counts(self) -> int:
        """The number that a saturated pixel reports."""
        ...

    def focus_um(self, at_s: float) -> float:
        """Where the focus drive says it stands, um of travel below the crystal's upper face. In the crystal the plane
        in focus lies deeper, by about the refractive index."""
        ...

    def set_focus(self, at_s: float, focus_um: float) -> None:
        """Drive the focus there, at once. Raises ValueError for a number that is not finite."""
        ...

    def expose(self, at_s: float, exposure_s: float) -> NDArray[np.uint16]:
        """One picture, (rows, columns), 12 bit in uint16. Each call draws the noise of the next picture; the array is
        the caller's own. Raises ValueError for an exposure that is not positive."""
        ...
