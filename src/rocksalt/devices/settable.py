"""Instruments that can be told where to go: limits before the wire, a ramp agreed on, arrival judged by the reading."""

from __future__ import annotations

from typing import ClassVar

from rocksalt.devices.device import Readable
from rocksalt.devices.errors import NotReached, RampTooFast
from rocksalt.devices.settings import ANYWHERE, Limits


class Settable(Readable):
    """An instrument that can be told where to go, within limits and ramp.

    arrives_within   how near, in the unit, counts as there
    margin_s         experiment time granted beyond the ramp's own
    poll_s           experiment time between looks while it moves
    """

    arrives_within: float = 0.1
    margin_s: float = 60.0
    poll_s: float = 1.0
    quickest: ClassVar[float] = 1e-6
    """A ramp below this, in unit per second, would never arrive."""

    async def _limits(self) -> Limits:
        """The instrument's own limits."""
        return ANYWHERE

    async def _set_ramp(self, per_s: float) -> float:
        """Set the ramp (unit per second), return what the instrument then reports."""
        raise NotImplementedError

    async def _set(self, target: float) -> None:
        raise NotImplementedError

    own_limits: Limits = ANYWHERE
    """The instrument's own limits, once it is connected."""

    @property
    def limits(self) -> Limits:
        """What a target must be within: the station's limits and the instrument's own."""
        return self.settings.limits.within(self.own_limits)

    async def _learn(self) -> None:
        self.own_limits = await self._limits()

    async def set(self, target: float, *, ramp_per_s: float | None = None) -> None:
        """Move to target (in `unit`) within limits and ramp; returns when there.

        ramp_per_s: a slower ramp than the station's, in `unit` per second; a faster one is not obeyed.

        Raises OutOfLimits before anything reaches the wire; RampTooFast; Refused; LinkLost (no answer by an I/O
        deadline); NotReached (experiment time); Stopped.
        """
        self.settings.limits.check(self.name, target, self.unit)
        self.own_limits.check(self.name, target, self.unit)
        await self._moving(self._go(float(target), ramp_per_s), f"the move to {target:g} {self.unit}")

    async def _go(self, target: float, ramp_per_s: float | None) -> None:
        ramp = await self._agree_on_ramp(ramp_per_s)
        start: float = await self._noticing(self._read)
        await self._noticing(self._set, target)
        travel_s = abs(target - start) / ramp if ramp else 0.0
        await self._arrive(target, within_s=1.1 * travel_s + self.margin_s)

    async def _agree_on_ramp(self, slower: float | None) -> float | None:
        asked = [ramp for ramp in (self.settings.ramp, slower) if ramp is not None]
        if not asked:
            return None
        wanted = min(asked)
        reported: float = await self._noticing(self._set_ramp, wanted)
        if not 0 < reported <= wanted * 1.001:
            raise RampTooFast(
                self.name,
                f"the instrument reports a ramp of {reported:g} {self.unit}/s after it was told "
                f"{wanted:g} ({self.settings.where}): nothing was moved",
            )
        return max(reported, self.quickest)

    async def _arrive(self, target: float, *, within_s: float) -> None:
        until_s = self.clock.now_s() + within_s
        while True:
            here: float = await self._noticing(self._read)
            if abs(here - target) <= self.arrives_within:
                return
            if self.clock.now_s() > until_s:
                raise NotReached(
                    self.name,
                    f"{here:g} {self.unit} after {within_s:.0f} s, where {target:g} was asked for: "
                    "is the supply high enough, is something stuck?",
                )
            await self.clock.sleep(self.poll_s)
