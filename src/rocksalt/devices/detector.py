"""Area detectors: armed, triggered, disarmed. Their frames go past the daemon, straight to the writer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rocksalt.devices.device import Device
from rocksalt.devices.errors import Refused


@dataclass(frozen=True, slots=True)
class Armed:
    """A detector that waits for its trigger: the series that its frames will carry."""

    series: int


class Detector(Device):
    """An area detector that streams its frames past the daemon to the writer."""

    stream_decoder: ClassVar[str]
    """"module:function", called by the writer with (stream version, (rows, columns)); all it needs of the driver."""

    async def _arm(self, exposure_s: float, count: int) -> Armed:
        raise NotImplementedError

    async def _trigger(self, wire_s: float) -> None:
        """Trigger; return when the series is done, whenever the detector's answer comes. wire_s: its I/O deadline."""
        raise NotImplementedError

    async def _disarm(self) -> None:
        raise NotImplementedError

    async def arm(self, exposure_s: float, count: int) -> Armed:
        """Make ready for `count` frames of `exposure_s`. Raises Refused, LinkLost, Stopped."""
        if not (exposure_s > 0 and count >= 1):
            raise Refused(self.name, f"{count} frames of {exposure_s:g} s is no exposure")
        armed: list[Armed] = []

        async def arming() -> None:
            armed.append(await self._noticing(self._arm, exposure_s, count))

        await self._moving(arming(), "arming")
        return armed[0]

    async def trigger(self, exposure_s: float, count: int) -> None:
        """Expose; returns when the detector has taken the series. Raises Refused, LinkLost, Stopped."""
        # A detector may be slower than its frames (simulated ones are, at high rates): late is not lost.
        wire_s = 3.0 * exposure_s * count / self.clock.speed + 15.0
        await self._moving(self._noticing(self._trigger, wire_s), "the series")

    async def disarm(self) -> None:
        """End the series, if it has not ended by itself."""
        await self._noticing(self._disarm)
