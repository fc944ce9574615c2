"""The shutters and the door of the cabinet, as BIS tells them. BIS has no watchdog: see README.md."""

from __future__ import annotations

from typing import Any

from rocksalt.devices import Enclosure, EnclosureStatus
from rocksalt_drivers.bruker_bis.driver import BrukerBis, says
from rocksalt_drivers.bruker_bis.messages import Message
from rocksalt_drivers.bruker_bis.session import ABORT


class BisShutter(BrukerBis, Enclosure):
    """Options: `opens`: "safety" (the tube's window; the default, for BIS opens the fast shutter for each frame by
    itself) or "all" (for a detector that BIS knows nothing of)."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._opens = str(self.settings.options.get("opens", "safety"))
        if self._opens not in ("safety", "all"):
            raise ValueError(f'{self.name}: opens is "safety" or "all", not {self._opens!r} ({self.settings.where})')

    async def _status(self) -> EnclosureStatus:
        instrument = await self._say("GetInstrumentStatus", then=says("INSTRUMENTSTATUS"))
        shutter = await self._said("SAFETYSHUTTERSTATUS", ask="GetShutterAttenuatorStatus")
        async with self._in_its_name():
            safety = shutter.flag("STATUS")
            fast = (await self.session.first("SHUTTERSTATUS")).flag("STATUS")
            door_closed = instrument.flag("DOORLOCK")
            service = "SERVICEKEY" in instrument.arguments and instrument.flag("SERVICEKEY")
            xrays = "XRAYSON" not in instrument.arguments or instrument.flag("XRAYSON")
        wrong = [
            text for bad, text in ((service, "the service key is turned"), (not xrays, "the X-rays are off")) if bad
        ]
        return EnclosureStatus(
            shutter_open=safety and (fast or self._opens == "safety"),
            shutter_closed=not safety,
            door_closed=door_closed,
            ready=not wrong,
            fault=", ".join(wrong),
        )

    async def _shutter(self, *, open: bool) -> None:
        verb = "Shutter" if open and self._opens == "all" else "SafetyShutter"
        await self._say(verb, {"Status": int(open)}, moves=True)

    async def _stop(self) -> None:
        await self._make_safe()

    async def _make_safe(self) -> None:
        """Close all. It may be queued behind a scan: where BIS does not say closed at once, HardAbort closes them."""

        def closed(message: Message) -> bool:
            return message.verb == "SAFETYSHUTTERSTATUS" and message.arguments.get("STATUS") == "0"

        await self._say_now("SafetyShutter", {"Status": 0}, done=closed, or_else=ABORT)
