"""Keithley 6485/6487 picoammeters: the current of a flux monitor, in ampere. Its facts in README.md.

Each reading comes with a time and a status word, and is believed only where both say so: an input that is shorted by
zero check, a reading left from before, and a number that stands for none look like currents otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from rocksalt.devices import ByteDevice, GarbledReply, Line, Readable, Refused
from rocksalt.values import Reading
from rocksalt_drivers.keithley_6487.reading import SOURCE_LIMITED_V, parse

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_ERROR = re.compile(r'([+-]?\d{1,4})\s*,\s*"([^"]*)"', re.ASCII)
_IDENTITY = re.compile(r"[^,;]+(,[^,;]+){3}")
"""Four fields, IEEE 488.2 section 10.14."""
_NO_NUMBER = 9.9e37
_LARGEST_A, _ZERO_RANGE_A, _OVER_RANGE = 0.02, 2e-9, 1.05
_PARTS = 3
"""Autozero makes three conversions of one: signal, zero, reference."""
_RESET_S = 1.0
_QUEUE_DEPTH = 10
_SHAPES = 9
_CLEAR = b"\x18"
"""^X: on a serial line, clears what it is doing and discards what it was about to say."""


class Keithley6487(ByteDevice, Readable):
    """Options: `range_a` ("auto", or a current), `nplc`, `average`, `line_hz`, `zero_correct`, `autorange_s`,
    `on_limit`, `bias_v`, `bias_limit_a`, `ampere_per_photon`, `dark_a`, `terminator`.

    nplc, average      integration in cycles of line_hz (default 1 of 50 Hz), and how many of them a reading is (1)
    zero_correct       measure the instrument's own zero when connecting, and subtract it (true)
    autorange_s        how much later an answer may be for the range's sake, wire seconds (2)
    on_limit           "refuse" (default) or "ignore" a reading that a limit test at the panel has failed
    bias_v             voltage of a 6487's source (0: off), bias_limit_a its limit of current (25e-6)
    ampere_per_photon  current for one photon a second; with it `readings` give the flux
    dark_a             current without light, taken off before that (0)
    """

    unit = "A"
    identity = re.compile(r"^KEITHLEY INSTRUMENTS INC\.,\s*MODEL 648[57],")
    terminator = b"\r\n"
    serial_defaults: ClassVar = {"baud": "9600"}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        options, where = self.settings.options, f"{self.name}: {{}} ({self.settings.where})"
        asked = options.get("range_a", "auto")
        self._range_a = None if asked == "auto" else float(asked)
        self._nplc, self._average = float(options.get("nplc", 1.0)), int(options.get("average", 1))
        line_hz = float(options.get("line_hz", 50.0))
        self._zero_correct, self._on_limit = options.get("zero_correct", True), options.get("on_limit", "refuse")
        self._bias_v, self._bias_limit_a = float(options.get("bias_v", 0.0)), float(options.get("bias_limit_a", 25e-6))
        self._per_photon = options.get("ampere_per_photon")
        self._dark_a = float(options.get("dark_a", 0.0))
        if self._range_a is not None and not 0 < self._range_a <= _LARGEST_A:
            raise ValueError(where.format(f'range_a is "auto" or above 0 and at most {_LARGEST_A} A'))
        if line_hz not in (50.0, 60.0) or not 0.01 <= self._nplc <= line_hz or not 1 <= self._average <= 100:
            raise ValueError(where.format("line_hz is 50 or 60, nplc 0.01 to that, average 1 to 100"))
        if self._on_limit not in ("refuse", "ignore") or not isinstance(self._zero_correct, bool):
            raise ValueError(where.format('on_limit is "refuse" or "ignore", zero_correct true or false'))
        if not (abs(self._bias_v) <= 500.0 and 0 < self._bias_limit_a <= 25e-3):
            raise ValueError(where.format("bias_v is at most 500 V, bias_limit_a at most 0.025 A"))
        if self._per_photon is not None and not 0 < float(self._per_photon) < math.inf:
            raise ValueError(where.format("ampere_per_photon is above 0"))
        gate_s = self._nplc / line_hz * self._average
        self._zero_s = _PARTS * gate_s
        # A search for the range may find it only once a reading is over, and then begins anew.
        auto_s = 0.0 if self._range_a is not None else self._zero_s + float(options.get("autorange_s", 2.0))
        self.reading_s = self._zero_s + auto_s
        """Wire seconds that a reading may take, beyond the link's deadline for any answer."""
        path = self.settings.link.path.upper()
        self._on_bus = self.settings.link.scheme == "visa" and not path.startswith(("ASRL", "TCPIP"))
        self._behind_server = not (self._on_bus or self.settings.link.is_serial)
        self._suspect = self._behind_server
        self._has_source, self._shape, self._bits, self._before = True, 0, 0, ""
        self._source_v, self._top_a = 0.0, _LARGEST_A
        self._made_safe = False
        self.link.resync = self._find_beat

    async def _open(self) -> None:
        self._suspect, self._before = self._behind_server, ""
        await super()._open()

    async def close(self) -> None:
        """Let go of the instrument. Whoever connects it again after this wants its bias, too."""
        await super().close()
        self._made_safe = False

    async def _identify(self) -> str:
        async with self._exchange() as line:
            identity = await self._ask(line, "*IDN?")
            if _IDENTITY.fullmatch(identity) is None:
                raise GarbledReply(self.name, f"*IDN? was answered {identity!r}, which are not four fields")
        return identity

    async def _prepare(self) -> None:
        """From a reset on: whatever the panel was left in is gone. Zero check goes off last."""
        self._has_source = "MODEL 6487," in self.identified
        if self._bias_v and not self._has_source:
            raise Refused(self.name, f"bias_v = {self._bias_v:g}, and a 6485 has no voltage source")
        items = "READ,UNIT,TIME,STAT,VSO" if self._bias_v else "READ,UNIT,TIME,STAT"
        async with self._exchange() as line:
            await line.send("*CLS")
            self._source_v = 0.0
            await self._tell(line, "*RST", extra_s=_RESET_S)
            await self._tell(line, "SYST:ZCH ON")
            await self._tell(line, f"FORM:ELEM {items}")
            await self._set_number(line, "CURR:NPLC", self._nplc)
            if self._average > 1:
                await self._tell(line, "AVER:TCON REP")
                await self._set_number(line, "AVER:COUN", self._average)
            await self._tell(line, f"AVER {'ON' if self._average > 1 else 'OFF'}")
            if self._zero_correct:
                await self._zero(line)
            if self._range_a is None:
                self._top_a = _LARGEST_A
                await self._set_flag(line, "CURR:RANG:AUTO", on=True)
            else:
                self._top_a = await self._set_range(line, self._range_a)
            if self._has_source:
                await self._bias(line)
            await self._tell(line, "SYST:TIME:RES")
            await self._set_flag(line, "SYST:ZCH", on=False)
        self.facts |= {"gate_s": self._zero_s / _PARTS, "bias_v": self._bias_v}

    async def _read(self) -> float:
        async with self._exchange() as line:
            answer = await self._ask(line, "READ?", extra_s=self.reading_s)
            before, self._before = self._before, answer
            current_a = self._believed(answer)
            # A unit whose clock stands still is stuck; an answer that was there before is not the one to this question.
            if answer == before:
                raise GarbledReply(self.name, f"READ? was answered {answer!r} once more, time stamp and all")
            return current_a

    async def readings(self) -> tuple[Reading, ...]:
        """The current; the flux in photons/s, where the station file says what a photon is worth; the status word."""
        current = await self.read()
        bits = Reading(f"{self.name}_status", float(self._bits), "", current.at_s)
        if self._per_photon is None:
            return (current, bits)
        flux = (current.value - self._dark_a) / float(self._per_photon)
        return (current, Reading(f"{self.name}_ph_per_s", flux, "photons/s", current.at_s), bits)

    async def _stop(self) -> None:
        """End the reading that goes on: device clear on a serial line; on the bus the link has cleared it already."""
        first: str | bytes = "ABOR" if self._on_bus else _CLEAR
        async with self._exchange(urgent=True, first=first) as line:
            await self._complete(line)

    async def _make_safe(self) -> None:
        """The voltage source is off, whatever it is doing. A 6485 has none: it is stopped."""
        self._made_safe = True
        if not self._has_source:
            await self._stop()
            return
        off = "SOUR:VOLT:STAT OFF"
        first: str | bytes = off if self._on_bus else _CLEAR + off.encode() + self.link.terminator
        async with self._exchange(urgent=True, first=first) as line:
            self._source_v = 0.0
            if await self._flag(line, "SOUR:VOLT:STAT?"):
                raise Refused(self.name, "its voltage source was switched off, and says that it is on")

    # what a reading must be

    def _believed(self, text: str) -> float:
        """The current of an answer. Raises GarbledReply for what is no reading, Refused for one that says so itself."""
        try:
            answer = parse(text, with_source=bool(self._bias_v))
        except ValueError as error:
            raise GarbledReply(self.name, f"READ? was answered {text!r}: {error}") from None
        self._bits = answer.status
        if why := answer.why_not():
            raise Refused(self.name, why)
        if self._zero_correct and not answer.zero_corrected:
            raise Refused(
                self.name, f"zero correct is off, status {answer.status}: is somebody at its panel? Connect again"
            )
        if self._on_limit == "refuse" and answer.failed_a_limit:
            raise Refused(self.name, f"a limit test has failed, status {answer.status} (options.on_limit)")
        if abs(answer.current_a) > _OVER_RANGE * self._top_a:
            raise GarbledReply(self.name, f"READ? was answered {text!r}, which is beyond every range that was set")
        if answer.volts == SOURCE_LIMITED_V:
            raise Refused(self.name, f"its voltage source is at its limit of {self._bias_limit_a:g} A")
        if answer.volts is not None and abs(answer.volts - self._source_v) > 1e-3 * abs(self._bias_v):
            raise Refused(
                self.name, f"its voltage source stands at {answer.volts:g} V, where {self._source_v:g} V was set"
            )
        return answer.current_a

    # setting up

    async def _zero(self, line: Line) -> None:
        """The instrument's own zero, on the lowest range with its input shorted, is what readings are corrected by."""
        await self._set_range(line, _ZERO_RANGE_A)
        await line.send("INIT")
        await self._complete(line, extra_s=self._zero_s)
        await self._tell(line, "SYST:ZCOR:ACQ")
        await self._set_flag(line, "SYST:ZCOR", on=True)

    async def _bias(self, line: Line) -> None:
        """After the reset the source is off; where there is to be a bias, limit and voltage stand before it is on. One
        that was made safe stays off, though its link was lost and is back."""
        bias_v = 0.0 if self._made_safe else self._bias_v
        if bias_v:
            await self._tell(line, f"SOUR:VOLT:RANG {abs(self._bias_v):.6g}")
            await self._tell(line, f"SOUR:VOLT:ILIM {self._bias_limit_a:.6g}")
            await self._set_number(line, "SOUR:VOLT", self._bias_v)
        await self._set_flag(line, "SOUR:VOLT:STAT", on=bias_v != 0.0)
        self._source_v = bias_v

    async def _set_range(self, line: Line, current_a: float) -> float:
        """The instrument takes the range that a current fits into, and says which (A)."""
        await self._tell(line, f"CURR:RANG {current_a:.6g}")
        range_a = self._number(await self._ask(line, "CURR:RANG?"), "CURR:RANG?")
        if not current_a <= _OVER_RANGE * range_a or range_a > max(10 * current_a, _ZERO_RANGE_A):
            raise Refused(self.name, f"told a range for {current_a:g} A, it stands at {range_a:g} A")
        return range_a

    async def _set_number(self, line: Line, command: str, value: float) -> None:
        await self._tell(line, f"{command} {value:.6g}")
        found = self._number(await self._ask(line, f"{command}?"), f"{command}?")
        if abs(found - value) > 1e-3 * abs(value):
            raise Refused(self.name, f"{command}? says {found:g}, where {value:g} was set")

    async def _set_flag(self, line: Line, command: str, *, on: bool) -> None:
        await self._tell(line, f"{command} {'ON' if on else 'OFF'}")
        if await self._flag(line, f"{command}?") is not on:
            raise Refused(self.name, f"{command}? says {int(not on)}, where {int(on)} was set")

    # the protocol

    async def _tell(self, line: Line, command: str, *, extra_s: float = 0.0) -> None:
        """A wrong command is answered with silence, so the error queue is read, to its end, after each."""
        await line.send(command)
        errors: list[str] = []
        for _ in range(_QUEUE_DEPTH + 1):
            answer = await self._ask(line, "SYST:ERR?", extra_s=extra_s)
            if (found := _ERROR.fullmatch(answer)) is None:
                raise GarbledReply(self.name, f"SYST:ERR? was answered {answer!r}, which is no error message")
            if int(found[1]) == 0:
                break
            errors.append(f"{found[1]} {found[2]}".strip())
        if errors:
            raise Refused(self.name, f"{command}: {'; '.join(errors)}")

    async def _complete(self, line: Line, *, extra_s: float = 0.0) -> None:
        if (answer := await self._ask(line, "*OPC?", extra_s=extra_s)) != "1":
            raise GarbledReply(self.name, f"*OPC? was answered {answer!r}, and says 1 or nothing")

    async def _flag(self, line: Line, query: str) -> bool:
        if (answer := await self._ask(line, query)) not in ("0", "1"):
            raise GarbledReply(self.name, f"{query} was answered {answer!r}, which is neither 0 nor 1")
        return answer == "1"

    def _number(self, text: str, query: str) -> float:
        if _NUMBER.fullmatch(text) is None or abs(value := float(text)) >= _NO_NUMBER:
            raise GarbledReply(self.name, f"{query} was answered {text!r}, which is no number")
        return value

    async def _ask(self, line: Line, query: str, *, extra_s: float = 0.0) -> str:
        deadline_s = self.link.deadline_s + extra_s
        answer = await line.ask(query, deadline_s=deadline_s)
        while answer.strip() == "DCL":  # what some of its family say to a device clear
            answer = await line.read_line(what=repr(query), deadline_s=deadline_s)
        return answer.strip()

    @asynccontextmanager
    async def _exchange(self, *, urgent: bool = False, first: str | bytes | None = None) -> AsyncIterator[Line]:
        """The link's exchange. Behind a serial server a new connection is still the old line: where an exchange was cut
        short, its answer may yet come, and the beat is found before the next one."""
        async with self.link.exchange(urgent=urgent, first=first) as line:
            try:
                if self._suspect:
                    await self._find_beat(line)
                    self._suspect = False
                yield line
            except Refused:
                raise
            except BaseException:
                self._suspect = self._behind_server
                raise

    async def _find_beat(self, line: Line) -> None:
        """Device clear, then an identification with another number of `*OPC?` behind it each time: what has another
        shape was late. An urgent exchange has sent its device clear, and one more could take its command away."""
        if not line.urgent:
            await line.send(_CLEAR)
        self._shape = self._shape % _SHAPES + 1
        await line.send("")  # ends whatever was half said before
        answer = await line.ask(";".join(["*IDN?", *["*OPC?"] * self._shape]))
        while not _is_beat(answer, self._shape):
            answer = await line.read_line(what="*IDN? (while resynchronising)")


def _is_beat(answer: str, shape: int) -> bool:
    """Whether this is an identification and so many ones; the manual prints a semicolon at the end, too."""
    identity, *ones = (part.strip() for part in answer.rstrip("; ").split(";"))
    return "," in identity and ones == ["1"] * shape
