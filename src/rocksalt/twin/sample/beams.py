"""What shines on the sample: beams that leave dose in its layers, and light that bleaches. Functions of time that only
commands change, and that remember their past."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from rocksalt.values import FloatArray

# Photon energies (eV) at which light on the sample is described: from the near infrared to the ultraviolet.
LIGHT_EV: Final = np.linspace(1.1, 6.3, 53)


class Beam(Protocol):
    """What leaves dose in the layers."""

    def knots(self, start_s: float, end_s: float) -> list[float]:
        """Times strictly between at which it changes its ways."""
        ...

    def moving(self, start_s: float, end_s: float) -> bool:
        """Whether it changes between two knots."""
        ...

    def dose_gy(self, start_s: float, end_s: float) -> FloatArray | None:
        """Dose (layers,) in a short stretch without knots inside; None where it is dark."""
        ...


class Light(Protocol):
    """Light that the crystal sees from its first layer on."""

    def knots(self, start_s: float, end_s: float) -> list[float]:
        """Times strictly between at which it goes on or off."""
        ...

    def photons(self, start_s: float, end_s: float) -> FloatArray | None:
        """Photons per cm^2, s and eV at LIGHT_EV, mean over a stretch without knots inside; None where it is dark."""
        ...


class MicroBeam:
    """A beam of constant profile (Gy/s in each layer) behind a shutter: `lit_s(start, end)` gives its spells of light.

    `ripple` is the flux at a time, relative to its mean.
    """

    def __init__(
        self,
        gy_per_s: FloatArray,
        lit_s: Callable[[float, float], list[tuple[float, float]]],
        ripple: Callable[[float], float] = lambda _: 1.0,
    ) -> None:
        self._gy_per_s, self._lit_s, self._ripple = gy_per_s, lit_s, ripple

    def knots(self, start_s: float, end_s: float) -> list[float]:
        return [t for spell in self._lit_s(start_s, end_s) for t in spell if start_s < t < end_s]

    def moving(self, start_s: float, end_s: float) -> bool:
        return False

    def dose_gy(self, start_s: float, end_s: float) -> FloatArray | None:
        lit = sum(end - start for start, end in self._lit_s(start_s, end_s))
        return None if lit == 0.0 else self._gy_per_s * (lit * self._ripple(0.5 * (start_s + end_s)))
