"""Druck PACE5000/6000: gas pressure behind the membrane of the cell. Manual K0472, its facts in README.md.

Gauge pressure in bar. The driver never vents: letting the gas out of a loaded cell is a person's decision.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from rocksalt.devices import Beat, ByteDevice, GarbledReply, Limits, Line, Refused, Settable

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
"""Numbers in answers, IEEE 488.2 section 8.7: narrower than what may be said to an instrument."""
_ERROR = re.compile(r'([+-]?\d+)\s*,\s*"([^"]*)"')
_IDENTITY = re.compile(r"[^,]+(,[^,]+){3}")
"""Four fields, IEEE 488.2 section 10.14."""
_NO_NUMBER = 9.9e37
"""SCPI writes 9.9E37 for infinity and 9.91E37 for "not a number"."""
_LONG = {
    "SENS": "SENSE", "SOUR": "SOURCE", "PRES": "PRESSURE", "COMP": "COMPENSATE", "OVER": "OVERSHOOT", "OUTP": "OUTPUT",
    "INST": "INSTRUMENT", "LIM": "LIMIT", "SYST": "SYSTEM", "ERR": "ERROR", "LEV": "LEVEL", "IMM": "IMMEDIATE",
    "AMPL": "AMPLITUDE", "STAT": "STATE",
}  # fmt: skip
"""A word is written short or long and no way between."""
_OPTIONAL = {"SOUR:PRES": ("LEV", "IMM", "AMPL"), "OUTP": ("STAT",), "SOUR:PRES:SLEW:OVER": ("STAT",)}
"""What may stand behind a header, in this order."""
_SUFFIXED = ("SENS", "SOUR", "OUTP", "LIM", "COMP")
_QUEUE_DEPTH = 5
_BEYOND = 0.05
"""How far beyond its own range, in spans, a controller may read: an overrange is a few percent."""


class DruckPace(ByteDevice, Settable):
    """Options: `module` (PACE6000 with two controllers: 1 or 2), `terminator`."""

    unit = "bar"
    identity = re.compile(r"^GE Druck,\s*Pace(5000|6000)", re.IGNORECASE)
    arrives_within = 0.1
    serial_defaults: ClassVar = {"baud": "9600"}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        module = int(self.settings.options.get("module", 1))
        suffix = "" if module == 1 else str(module)
        self._sens, self._sour = f":SENS{suffix}:PRES", f":SOUR{suffix}:PRES"
        self._outp, self._limit = f":OUTP{suffix}:STAT", f":INST:LIM{suffix}"
        self.link.resync = Beat("*IDN?", "*STB?")
        self._headers: bool | None = None

    async def _open(self) -> None:
        self._headers = None
        await super()._open()

    async def _identify(self) -> str:
        """Whether answers repeat their header is seen here: where they do, one without is not believed any more."""
        async with self.link.exchange() as line:
            answer = await line.ask("*IDN?")
            if self._headers is None:
                self._headers = answer.strip().upper().startswith("*IDN")
            identity = self._answer("*IDN?", answer)
        if _IDENTITY.fullmatch(identity) is None:
            raise GarbledReply(self.name, f"*IDN? was answered {identity!r}, which are not four fields")
        return identity

    async def _prepare(self) -> None:
        """The panel may have left any unit, any slew, overshoot on: an overshoot can't be taken back from a cell."""
        async with self.link.exchange() as line:
            await line.send("*CLS")
            await self._tell(line, ":UNIT:PRES BAR")
            await self._tell(line, f"{self._sour}:SLEW:MODE LIN")
            await self._tell(line, f"{self._sour}:SLEW:OVER 0")
            await self._check_panel(line)

    async def _limits(self) -> Limits:
        async with self.link.exchange() as line:
            answer = await self._ask(line, f"{self._limit}?")
            if not 2 <= len(fields := answer.split(",")) <= 3:
                raise GarbledReply(self.name, f"{self._limit}? was answered {answer!r}: range, upper, lower expected")
            *named, upper, lower = fields
            upper_bar, lower_bar = (self._number(text, f"{self._limit}?") for text in (upper, lower))
        if not lower_bar < upper_bar:
            raise GarbledReply(self.name, f"{self._limit}? was answered {answer!r}: upper, then lower was expected")
        return Limits(lower_bar, upper_bar, f"the instrument's own, range {','.join(named).strip() or 'not named'}")

    async def _read(self) -> float:
        async with self.link.exchange() as line:
            here_bar = await self._ask_number(line, f"{self._sens}?")
            beyond_bar = _BEYOND * (self.own_limits.upper - self.own_limits.lower)
            if not self.own_limits.lower - beyond_bar <= here_bar <= self.own_limits.upper + beyond_bar:
                raise GarbledReply(
                    self.name,
                    f"it reads {here_bar:g} bar, and its own range is {self.own_limits.lower:g} to "
                    f"{self.own_limits.upper:g}: is that another unit?",
                )
            return here_bar

    async def _set(self, pressure_bar: float) -> None:
        async with self.link.exchange() as line:
            await self._check_panel(line)
            if (supply_bar := await self._ask_number(line, f"{self._sour}:COMP1?")) < pressure_bar:
                raise Refused(self.name, f"the supply holds {supply_bar:g} bar, below {pressure_bar:g}")
            await self._tell(line, f"{self._sour} {pressure_bar:.6g}")
            accepted_bar = await self._ask_number(line, f"{self._sour}?")
            if abs(accepted_bar - pressure_bar) > self.arrives_within:
                raise Refused(self.name, f"told {pressure_bar:.6g} bar, it has a set-point of {accepted_bar:g} bar")
            await self._tell(line, f"{self._outp} 1")
            if (await self._ask(line, f"{self._outp}?")).upper() not in ("1", "ON"):
                raise Refused(self.name, "control was switched on, and its output says that it is off")

    async def _set_ramp(self, per_s: float) -> float:
        async with self.link.exchange() as line:
            await self._tell(line, f"{self._sour}:SLEW {per_s:.6g}")
            return await self._ask_number(line, f"{self._sour}:SLEW?")

    async def _stop(self) -> None:
        """Control off shuts the valves: the gas stays where it stands. Nothing is asked before."""
        async with self.link.exchange(urgent=True, first=f"{self._outp} 0") as line:
            if (output := await self._ask(line, f"{self._outp}?")).upper() not in ("0", "OFF"):
                raise Refused(self.name, f"control was switched off, and {self._outp}? says {output}")

    async def _make_safe(self) -> None:
        """Hold where it stands: stop regulating, never vent. One command, nothing read first."""
        await self._stop()

    # the protocol

    async def _check_panel(self, line: Line) -> None:
        """Every number is in the panel's unit, only LIN without overshoot obeys the ramp: believed when read back."""
        for query, wanted in (
            (":UNIT:PRES?", ("BAR",)),
            (f"{self._sour}:SLEW:MODE?", ("LIN", "LINEAR")),
            (f"{self._sour}:SLEW:OVER?", ("0", "OFF")),
        ):
            if (found := (await self._ask(line, query)).upper()) not in wanted:
                raise Refused(self.name, f"{query} says {found}, where {wanted[0]} was set: is somebody at its panel?")

    async def _tell(self, line: Line, command: str) -> None:
        await line.send(command)
        await self._confirm(line, command)

    async def _confirm(self, line: Line, command: str) -> None:
        """A wrong command is answered with silence, so the error queue is read, to its end, in the same exchange."""
        errors: list[str] = []
        for _ in range(_QUEUE_DEPTH + 1):
            answer = await self._ask(line, ":SYST:ERR?")
            if (found := _ERROR.fullmatch(answer)) is None:
                raise GarbledReply(self.name, f":SYST:ERR? was answered {answer!r}, which is no error message")
            if int(found[1]) == 0:
                break
            errors.append(f"{found[1]} {found[2]}".strip())
        if errors:
            raise Refused(self.name, f"{command}: {'; '.join(errors)}")

    async def _ask_number(self, line: Line, query: str) -> float:
        return self._number(await self._ask(line, query), query)

    def _number(self, text: str, query: str) -> float:
        if _NUMBER.fullmatch(text.strip()) is None or abs(value := float(text)) >= _NO_NUMBER:
            raise GarbledReply(self.name, f"{query} was answered {text!r}, which is no number")
        return value

    async def _ask(self, line: Line, query: str) -> str:
        return self._answer(query, await line.ask(query))

    def _answer(self, query: str, answer: str) -> str:
        """The answer without the header that stands before it. Raises GarbledReply for another query's header, and for
        none where this instrument writes them."""
        answer = answer.strip()
        if not answer.startswith((":", "*")):
            if self._headers:
                raise GarbledReply(self.name, f"{query} was answered {answer!r}, and its header is missing")
            return answer
        if self._headers is False:
            raise GarbledReply(self.name, f"{query} was answered {answer!r}; it identified itself without a header")
        header, _, rest = answer.partition(" ")
        if not _same_header(query.removesuffix("?"), header):
            raise GarbledReply(self.name, f"{query} was answered {answer!r}, which answers another question")
        return rest.strip()


def _same_header(asked: str, answered: str) -> bool:
    """Whether both name one command: words long or short, optional words there or not, suffix 1 written or not."""
    ours, theirs = _nodes(asked), _nodes(answered)
    if ours[-1] == ("STAT", ""):
        del ours[-1]
    named, rest = theirs[: len(ours)], theirs[len(ours) :]
    allowed = iter(_OPTIONAL.get(":".join(word for word, _ in ours), ()))
    return (
        len(named) == len(ours)
        and all(_same_word(*pair) for pair in zip(ours, named, strict=True))
        and all(any(_same_word((word, ""), node) for word in allowed) for node in rest)
    )


def _same_word(ours: tuple[str, str], theirs: tuple[str, str]) -> bool:
    return theirs[0] in (ours[0], _LONG.get(ours[0])) and theirs[1] == ours[1]


def _nodes(header: str) -> list[tuple[str, str]]:
    """The words of a header, each with its suffix; where a word takes one, 1 needs no writing."""
    words = [re.fullmatch(r"(\*?[A-Z]+)(\d*)", word) for word in header.upper().removeprefix(":").split(":")]
    return [
        ("?", "") if word is None else (word[1], "" if word[2] == "1" and word[1].startswith(_SUFFIXED) else word[2])
        for word in words
    ]
