"""What is said to a generator and what is believed of its replies: the driver's conversation, family by family.

A reply carries its command's number and nothing else that ties it to one question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rocksalt.devices import ByteLink, GarbledReply, Line, Refused
from rocksalt_drivers.spellman_xrv.families import Command, Family, Flags, Monitor
from rocksalt_drivers.spellman_xrv.framing import ETX, LONGEST, STX, BadFrame, packed, unpacked

FULL_COUNTS = 4095
"""Set-points and monitors are 12 bit."""
ASK_KV, ASK_MA, ASK_SOFTWARE, ASK_MODEL = "14", "15", "23", "26"
_ERRORS = {"1": "out of range, or not now", "2": "command not known"}
_COUNTS = re.compile(r"\d{1,4}", re.ASCII)
_FIELD = re.compile(r"\d{1,6}(\.\d+)?", re.ASCII)
_BEATS = (ASK_SOFTWARE, ASK_KV, ASK_MA, "22")
_MOST_ROUNDS, _MOST_SKIPPED = 16, 4096
"""How often the beat is looked for, and among how many replies or loose bytes, before a line is given up."""


@dataclass(frozen=True, slots=True)
class TubeStatus:
    """What the generator's flags say; `faults` in words."""

    hv_on: bool
    interlock_closed: bool
    imminent: bool
    local: bool
    faults: tuple[str, ...]

    @property
    def live(self) -> bool:
        """Whether high voltage is on or on its way: units may differ in which flag the pre-warning shows."""
        return self.hv_on or self.imminent


class Talk:
    """A conversation over `link` with a generator of this family.

    checked        whether frames carry a check byte
    monitor_range  what part of full scale a monitor's 4095 is
    """

    def __init__(self, name: str, link: ByteLink, family: Family, *, checked: bool, monitor_range: float) -> None:
        self.name, self.family, self.checked, self._range = name, family, checked, monitor_range
        self.in_step: Line | None = None
        """The exchange in which the beat was last found: what was said in it before was drained."""
        self._beats = 0
        link.resync = self._find_the_beat

    def frame(self, command: Command) -> bytes:
        return packed(command, checked=self.checked)

    async def tell(self, line: Line, *command: str) -> None:
        """A command that is answered with $. Raises Refused, GarbledReply."""
        self.done(await self.ask(line, *command), command)

    async def ask(self, line: Line, *command: str) -> tuple[str, ...]:
        """The fields of the reply. Raises GarbledReply."""
        await line.send(self.frame(command))
        return await self.hear(line, command[0])

    async def put(self, line: Line, number: str, asks: str, counts: int) -> None:
        """A set-point, believed when it is read back."""
        await self.tell(line, number, str(counts))
        if (found := await self.counts(line, asks)) != counts:
            raise Refused(self.name, f"set-point {number} was set to {counts} counts, and {asks} says {found}")

    async def counts(self, line: Line, number: str) -> int:
        """A set-point, 0 to 4095."""
        found = await self.ask(line, number)
        if len(found) != 1 or _COUNTS.fullmatch(found[0]) is None or int(found[0]) > FULL_COUNTS:
            raise GarbledReply(self.name, f"{number} was answered {found}: counts from 0 to 4095 were expected")
        return int(found[0])

    async def fields(self, line: Line, number: str, count: int) -> tuple[str, ...]:
        """So many numbers, as they are written."""
        found = await self.ask(line, number)
        if len(found) != count or not all(map(_FIELD.fullmatch, found)):
            raise GarbledReply(self.name, f"{number} was answered {found}: {count} numbers were expected")
        return found

    async def monitors(self, line: Line) -> tuple[float, float]:
        """kV and mA as parts of full scale. An XRB's watchdog is refreshed with it.

        Raises GarbledReply, and Refused where a converter is at its end.
        """
        family = self.family
        if family.watchdog is not None:
            await self.tell(line, family.watchdog[1])
        kv = await self.ask(line, family.kv.number)
        ma = kv if family.ma.number == family.kv.number else await self.ask(line, family.ma.number)
        return self._share(family.kv, kv), self._share(family.ma, ma)

    async def look(self, line: Line, *, name_faults: bool = True) -> TubeStatus:
        """What the flags say; where one is a fault, and the family can be asked which, its name."""
        said: dict[str, list[bool]] = {"hv": [], "shut": [], "imminent": [], "local": []}
        faults: list[str] = []
        for flags in self.family.flags:
            bits = self.bits(flags, await self.ask(line, flags.number))
            said["hv"] += [bits[at] for at in (flags.hv_on,) if at is not None]
            said["shut"] += [bits[at] for at in flags.shut]
            said["imminent"] += [bits[at] for at in (flags.imminent,) if at is not None]
            said["local"] += [bits[at] for at in (flags.local,) if at is not None]
            said["local"] += [not bits[at] for at in (flags.remote,) if at is not None]
            faults += [text for at, text in flags.wrong.items() if bits[at]]
        if faults and name_faults and (latched := self.family.faults) is not None:
            bits = self.bits(latched, await self.ask(line, latched.number))
            faults = [text for at, text in latched.wrong.items() if bits[at]] or faults
        return TubeStatus(
            hv_on=any(said["hv"]),
            interlock_closed=all(said["shut"]),
            imminent=any(said["imminent"]),
            local=any(said["local"]),
            faults=tuple(faults),
        )

    def bits(self, flags: Flags, found: tuple[str, ...]) -> list[bool]:
        if len(found) != flags.count or not set(found) <= {"0", "1"}:
            raise GarbledReply(self.name, f"{flags.number} was answered {found}: {flags.count} flags were expected")
        return [text == "1" for text in found]

    def done(self, found: tuple[str, ...], command: Command) -> None:
        """Raises Refused for an error's number, GarbledReply for anything but $."""
        if found == ("$",):
            return
        said = ",".join(found)
        if len(found) == 1 and re.fullmatch(r"\d", said, re.ASCII):
            raise Refused(self.name, f"{','.join(command)} met error {said} ({_ERRORS.get(said, 'not in the notes')})")
        raise GarbledReply(self.name, f"{','.join(command)} was answered {said!r}: $ or an error was expected")

    async def hear(self, line: Line, number: str) -> tuple[str, ...]:
        """The fields of the reply to this command. Raises GarbledReply for any other's."""
        answered, *fields = await self._next(line, f"command {number}")
        if not (answered.isascii() and answered.isdigit()) or int(answered) != int(number) or not fields:
            raise GarbledReply(self.name, f"{number} was answered {answered},{','.join(fields)}: another's, or nothing")
        return tuple(fields)

    def _share(self, monitor: Monitor, found: tuple[str, ...]) -> float:
        bad = [text for text in found if _COUNTS.fullmatch(text) is None or int(text) > FULL_COUNTS]
        few = len(found) <= monitor.place if monitor.count is None else len(found) != monitor.count
        if bad or few:
            raise GarbledReply(self.name, f"monitors {monitor.number} were answered {found}, not counts 0 to 4095")
        if (counts := int(found[monitor.place])) == FULL_COUNTS:
            raise Refused(self.name, f"monitor {monitor.number} is at the end of its converter: it can't be believed")
        return counts * self._range / FULL_COUNTS

    async def _next(self, line: Line, what: str) -> tuple[str, ...]:
        if (byte := await line.read_exactly(1, what=what)) != STX:
            raise GarbledReply(self.name, f"{what} was answered with {byte!r}, where a frame begins with STX")
        inside = bytearray()
        while (byte := await line.read_exactly(1, what=what)) != ETX:
            inside += byte
            if not 0x20 <= byte[0] <= 0x7F or len(inside) > LONGEST:
                raise GarbledReply(self.name, f"{what} was answered with {bytes(inside[:40])!r}, which is no frame")
        try:
            return unpacked(bytes(inside), checked=self.checked)
        except BadFrame as error:
            raise GarbledReply(self.name, f"{what} was answered with {bytes(inside[:40])!r}: {error}") from None

    async def _find_the_beat(self, line: Line) -> None:
        """Two questions, the second another one each time, must be answered at once and in turn. Whatever comes between
        is late, and the two are asked again. Raises LinkLost, GarbledReply."""
        self._beats += 1
        await line.send("")  # ends what was half said
        pair = (ASK_MODEL, _BEATS[self._beats % len(_BEATS)])
        for _ in range(_MOST_ROUNDS):
            if all([await self._in_turn(line, number) for number in pair]):
                self.in_step = line
                return
        raise GarbledReply(self.name, "its answers stay out of turn: could not resynchronise")

    async def _in_turn(self, line: Line, number: str) -> bool:
        """Ask, and read until the answer comes; whether it came at once."""
        await line.send(self.frame((number,)))
        for skipped in range(_MOST_SKIPPED):
            try:
                await self.hear(line, number)
                return skipped == 0
            except GarbledReply:
                continue
        raise GarbledReply(self.name, f"command {number} is not answered among {_MOST_SKIPPED} replies")
