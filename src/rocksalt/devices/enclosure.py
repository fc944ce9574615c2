"""Shutter, door and interlock chain: what opens only where everything says that it may, and closes whatever happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rocksalt.devices.device import Device
from rocksalt.devices.errors import NotReached, Refused
from rocksalt.values import Reading


@dataclass(frozen=True, slots=True)
class EnclosureStatus:
    """Shutter and door as the switches tell. A shutter in between is neither open nor closed."""

    shutter_open: bool
    shutter_closed: bool
    door_closed: bool
    ready: bool
    fault: str = ""


class Enclosure(Device):
    """Shutter, door and interlock chain of the hutch or the cabinet."""

    travel_s: float = 2.0
    """Experiment time that the shutter may take from one switch to the other."""
    poll_s: float = 0.1

    async def _status(self) -> EnclosureStatus:
        raise NotImplementedError

    async def _shutter(self, *, open: bool) -> None:
        raise NotImplementedError

    async def _beat(self) -> None:
        """Refresh the hardware's watchdog, where it has one."""

    async def beat(self) -> None:
        """Tell the hardware that somebody watches. Called twice a second of wire time while a run lives."""
        await self._noticing(self._beat)

    async def status(self) -> EnclosureStatus:
        """The switches now. Raises LinkLost, GarbledReply."""
        status: EnclosureStatus = await self._noticing(self._status)
        return status

    async def readings(self) -> tuple[Reading, ...]:
        status = await self.status()
        at_s = self.clock.now_s()
        return (
            Reading(f"{self.name}.shutter", float(status.shutter_open), "", at_s),
            Reading(f"{self.name}.door", float(status.door_closed), "", at_s),
        )

    async def open_shutter(self) -> None:
        """Open, and return when the switch says so. Raises Refused with the door open or the chain not ready."""
        status = await self.status()
        if not status.door_closed:
            raise Refused(self.name, "the door is open: the shutter stays closed")
        if not status.ready:
            raise Refused(self.name, f"the interlock is not ready{f' ({status.fault})' if status.fault else ''}")
        await self._moving(self._drive_shutter(open=True), "opening the shutter")

    async def close_shutter(self) -> None:
        """Close, and return when the switch says so. Raises NotReached if it does not."""
        await self._moving(self._drive_shutter(open=False), "closing the shutter")

    async def _drive_shutter(self, *, open: bool) -> None:
        await self._noticing(self._command_shutter, open)
        await self._until_switch("open" if open else "closed")

    async def _command_shutter(self, open: bool) -> None:
        await self._shutter(open=open)

    async def _until_switch(self, which: Literal["open", "closed"]) -> None:
        until_s = self.clock.now_s() + self.travel_s
        while True:
            status = await self.status()
            if status.shutter_open if which == "open" else status.shutter_closed:
                return
            if self.clock.now_s() > until_s:
                raise NotReached(
                    self.name,
                    f"the shutter was told to be {which}, and its switch does not say so after "
                    f"{self.travel_s:g} s{f' ({status.fault})' if status.fault else ''}",
                )
            await self.clock.sleep(self.poll_s)
