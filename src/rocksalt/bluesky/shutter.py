"""The shutter as a RunEngine expects it: set to "open" or "closed", and shut whenever a plan pauses or ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rocksalt.bluesky.status import Status
from rocksalt.bluesky.wrapped import Values, Wrapped, key_of, told
from rocksalt.devices import Enclosure, Refused, Stopped

if TYPE_CHECKING:
    from event_model.documents.event_descriptor import DataKey


class WrappedEnclosure(Wrapped[Enclosure]):
    """Shutter and door. A plan that opens the shutter has it open while it runs, and not a moment longer."""

    def __init__(self, device: Enclosure) -> None:
        super().__init__(device)
        self._wanted = "closed"
        self._move: Status | None = None
        self._as_planned = False
        self._shut_while_open = False
        """Whether the last thing that happened was a stop that found the shutter open: a pause comes right after it."""
        self._open_again = False

    @property
    def hints(self) -> dict[str, Any]:
        return {"fields": [key_of(f"{self.name}_shutter")]}

    async def read(self) -> Values:
        self._shut_while_open = False
        return told(await self.device.readings(), self.device.clock)

    async def describe(self) -> dict[str, DataKey]:
        return {
            key_of(reading.name): {"source": self.source(reading.name), "dtype": "number", "shape": []}
            for reading in await self.device.readings()
        }

    def check_value(self, value: str) -> None:
        """Raises Refused for anything but "open" and "closed"."""
        if value not in ("open", "closed"):
            raise Refused(self.name, f"the shutter can be set to open or closed, not to {value!r}")

    def set(self, value: str) -> Status:
        """Open or close; done when the switch says so. Fails with Refused where door or interlock forbid it."""
        self._as_planned = self._shut_while_open = False
        self._move = Status(self._go(value), f"{self.name}: shutter {value}")
        return self._move

    async def _go(self, value: str) -> None:
        self.check_value(value)
        try:
            self._wanted = value
            await (self.device.open_shutter() if value == "open" else self.device.close_shutter())
        except (Stopped, asyncio.CancelledError):
            if not self._as_planned:
                raise Stopped(self.name, f"the shutter was stopped on its way to {value}") from None

    async def stop(self, success: bool = True) -> None:
        """Close. A RunEngine calls this when a plan that has set the shutter pauses or ends, however it ends."""
        self._as_planned = success
        self._shut_while_open = self._wanted == "open"
        self._wanted = "closed"
        if self._move is not None and not self._move.done:
            await self._move.begun()
            self._move.task.cancel()  # it may still be asking whether door and interlock let it
            await self._move.wait()
        if not success:
            await self.device.make_safe()
            return
        await self.device.stop()
        await self.device.close_shutter()

    async def pause(self) -> None:
        """The stop before it has closed the shutter; only a plan that had it open gets it opened again."""
        self._open_again, self._shut_while_open = self._shut_while_open, False
        await self.device.close_shutter()

    async def resume(self) -> None:
        """Open again what the pause has closed. Raises Refused where the door was opened meanwhile."""
        if self._open_again:
            self._open_again = False
            await self.device.open_shutter()
            self._wanted = "open"

    async def end(self) -> None:
        await self.stop()
