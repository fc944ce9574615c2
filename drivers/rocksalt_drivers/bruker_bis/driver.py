"""A part of a Bruker D8 behind BIS: an axis, the generator, the shutters, the temperature or the detector.

Its facts in README.md. `BrukerBis` is what all parts have in common; which part it is, the station file says.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from rocksalt.devices import Device, DeviceError, GarbledReply, LinkLost, Refused, Settings, Wires
from rocksalt_drivers.bruker_bis.messages import BadMessage, Message
from rocksalt_drivers.bruker_bis.session import DEADLINE_S, Arguments, BisSession

FILE_OFFSET, STATUS_OFFSET = 1, 2
"""Ports of the file and the status socket, above that of the command socket (49153, 49154, 49155)."""
PROBE_S = 0.5  # wire seconds that an answer is waited for while a lost BIS is looked for


class BrukerBis(Device):
    """Options: `part`, `file_port`, `status_port`, `override`; more of each part's own.

    part          "2theta", "omega", "phi", "chi", "x", "y", "z", "distance", "kv", "ma", "shutter", "temperature" or
                  "detector"
    override      true: take the mastership even where another client of BIS holds it
    """

    identity = re.compile(r"^Bruker Instrument Service ")

    def __new__(cls, name: str, settings: Settings, *rest: Any) -> BrukerBis:
        if cls is not BrukerBis:
            return super().__new__(cls)
        from rocksalt_drivers.bruker_bis.parts import PARTS  # they are built on this class

        part = str(settings.options.get("part", "")).lower()
        if part not in PARTS:
            raise ValueError(
                f"{name}: options.part is {part or 'missing'!r}; it is one of {', '.join(PARTS)} ({settings.where})"
            )
        return super().__new__(PARTS[part])

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.part = str(self.settings.options.get("part", "")).lower()

    def _wire(self, wires: Wires) -> None:
        link, options = self.settings.link, self.settings.options
        first = link.port or 0
        ports = (
            first,
            int(options.get("file_port", first + FILE_OFFSET)),
            int(options.get("status_port", first + STATUS_OFFSET)),
        )
        links = tuple(replace(link, port=port) for port in ports)
        override = bool(options.get("override", False))
        # In memory a device's simulator is found by the device's name; the first that asks stands for all.
        self.session: BisSession = wires.shared(
            ("bruker_bis", links), lambda: BisSession(wires, self.name, links, override=override)
        )

    async def reconnect(self) -> None:
        """See Device. The line is shared: while one part tries, the others wait no longer either."""
        link = self.session.link
        link.deadline_s = PROBE_S
        try:
            await self.connect()
        finally:
            link.deadline_s = DEADLINE_S

    async def _open(self) -> None:
        async with self._in_its_name():
            await self.session.open(self.name)

    async def _close(self) -> None:
        await self.session.close(self.name)

    async def _identify(self) -> str:
        """What the greeting says, and a ping that shows it is still there to say it."""
        async with self._in_its_name():
            try:
                await self.session.first("BISVERSION")
            except LinkLost:
                # Somebody who answers in another language is the wrong box; one that was a BIS before is a bad line.
                if self.session.garbled and not self.identified:
                    return self.session.garbled
                raise
            await self.session.say("NoOperation", {"Echo": 1})
            greeting = await self.session.first("BISVERSION")
        version, date = (greeting.arguments.get(name, "unknown") for name in ("VERSION", "DATE"))
        return f"Bruker Instrument Service {version} of {date}"

    # for the parts

    async def _say(
        self,
        verb: str,
        arguments: Arguments | None = None,
        *,
        moves: bool = False,
        then: Callable[[Message], bool] | None = None,
    ) -> Message:
        async with self._in_its_name():
            return await self.session.say(verb, arguments, moves=moves, then=then)

    async def _say_now(
        self, verb: str, arguments: Arguments | None = None, *, done: Callable[[Message], bool] | None = None,
        or_else: str = "",
    ) -> None:  # fmt: skip
        async with self._in_its_name():
            await self.session.say_now(verb, arguments, done=done, or_else=or_else)

    async def _said(self, verb: str, *, ask: str) -> Message:
        """What BIS says under this verb when it is asked; see BisSession.status."""
        async with self._in_its_name():
            return await self.session.status(verb, ask=ask)

    async def _must_be_normal(self) -> None:
        """Somebody may have left the instrument in manual or optical mode; only a person takes it out of that again."""
        async with self._in_its_name():
            if (status := await self.session.told("MANUALSTATUS")) is not None and (mode := status.number("MODE")):
                mode_name = {1: "manual", 2: "optical"}.get(int(mode), "unknown")
                raise Refused(
                    self.name, f"the instrument is in {mode_name} mode: switch it back to normal at its panel"
                )

    @asynccontextmanager
    async def _in_its_name(self) -> AsyncIterator[None]:
        """The conversation is shared: what goes wrong in it is told under the name of the part that spoke."""
        try:
            yield
        except BadMessage as error:
            self.session.said.pop(error.verb, None)  # not to be stumbled over again
            raise GarbledReply(self.name, str(error)) from None
        except DeviceError as error:
            raise type(error)(self.name, str(error).removeprefix(f"{error.device}: ")) from error


def says(verb: str) -> Callable[[Message], bool]:
    """Whether a message has this verb."""
    return lambda message: message.verb == verb
