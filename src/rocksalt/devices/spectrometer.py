"""Optical spectrometers: an integration within limits, a light that may be switched, dark spectra taken in the dark.

What a spectrum means (absorbance, lamp drift, the ruby's pressure) is inference's to say; here it is only taken.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable

from rocksalt.devices.device import Readable
from rocksalt.devices.errors import Refused
from rocksalt.devices.settings import ANYWHERE, Limits
from rocksalt.values import Reading, Spectrum

MOST_AVERAGES = 10_000


class Spectrometer(Readable):
    """An optical spectrometer. `read` gives the sensor's temperature; `limits` are those of one integration, in s.

    light_settles_s   experiment time that the lamp's shutter, or the laser, takes to follow its line
    lit               what the light was last told; None where nobody knows, and where there is no line
    """

    unit = "K"
    light_settles_s: float = 0.1
    lit: bool | None = None
    own_limits: Limits = ANYWHERE
    """The instrument's own limits of one integration, seconds, once it is connected."""

    # hooks

    async def _expose(self, integration_s: float, averages: int) -> Spectrum:
        raise NotImplementedError

    async def _light(self, on: bool) -> None:
        """Switch the line of the lamp's shutter or the laser. Raises Refused where there is none."""
        raise Refused(self.name, "its light is not on a line that this program can switch")

    async def _integrations(self) -> Limits:
        """Shortest and longest integration of the instrument, seconds."""
        return ANYWHERE

    # what the program calls

    @property
    def reading_name(self) -> str:
        return f"{self.name}_sensor_k"

    @property
    def limits(self) -> Limits:
        """What an integration must be within, seconds: the station's limits and the instrument's own."""
        return self.settings.limits.within(self.own_limits)

    @property
    def has_thermometer(self) -> bool:
        """Whether the instrument tells its sensor's temperature, as far as is known."""
        return True

    async def _learn(self) -> None:
        self.own_limits = await self._integrations()

    _exposing = False

    async def readings(self) -> tuple[Reading, ...]:
        """Nothing while it exposes: its line is taken, and the readings of a whole station must not wait for it."""
        return (await self.read(),) if self.has_thermometer and not self._exposing else ()

    async def expose(self, integration_s: float, averages: int = 1) -> Spectrum:
        """The mean of `averages` exposures of `integration_s` each (experiment time), light as it stands.

        Raises OutOfLimits before anything reaches the wire; Refused; LinkLost; GarbledReply; Stopped.
        """
        self.settings.limits.check(self.name, integration_s, "s")
        self.own_limits.check(self.name, integration_s, "s")
        if not (integration_s > 0 and math.isfinite(integration_s) and 1 <= averages <= MOST_AVERAGES):
            raise Refused(
                self.name,
                f"{averages} exposures of {integration_s:g} s are no spectrum: it takes 1 to {MOST_AVERAGES} of a "
                "positive time",
            )
        taken: list[Spectrum] = []

        async def take() -> None:
            taken.append(await self._noticing(self._expose, integration_s, averages))

        self._exposing = True
        try:
            await self._moving(take(), f"the exposure of {averages} x {integration_s:g} s")
        finally:
            self._exposing = False
        return taken[0]

    async def light(self, on: bool) -> None:
        """Switch the light, and wait until it has followed. Raises Refused, LinkLost, Stopped."""

        async def switch() -> None:
            switching: Awaitable[None] = self._noticing(self._light, on)
            self.lit = None  # until it is acknowledged, nobody knows
            await switching
            self.lit = on
            await self.clock.sleep(self.light_settles_s)

        await self._moving(switch(), f"switching the light {'on' if on else 'off'}")

    async def dark(self, integration_s: float, averages: int = 1) -> Spectrum:
        """A spectrum with the light off; then the light is as it was. A stop, or a failure, leaves it off."""
        was_on = self.lit
        await self.light(False)
        spectrum = await self.expose(integration_s, averages)
        if was_on:
            await self.light(True)
        return spectrum

    async def make_safe(self) -> None:
        await super().make_safe()
        self.lit = False if self.lit is not None else None
