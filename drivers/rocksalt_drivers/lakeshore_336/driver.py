"""Lake Shore 335/336: temperature at the cell, in kelvin. Its facts in README.md.

The box answers what it does not understand with silence, so every message ends with `*ESR?`: the last answer says
whether all that stood before was taken.
"""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar

from rocksalt.devices import Beat, ByteDevice, DeviceError, GarbledReply, Line, Refused, Settable

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_KELVIN = re.compile(r"[+-]\d{3,}\.\d{3}", re.ASCII)
"""`+nnn.nnn`: a number that lost a digit on its way is refused."""
_REGISTER = re.compile(r"\d{3}", re.ASCII)
_IDENTITY = re.compile(r"[^,;]+(,[^,;]+){3}")
"""Four fields, IEEE 488.2 section 10.14."""
_SENSOR = {1: "invalid", 16: "temperature under range", 32: "temperature over range", 64: "sensor at zero",
           128: "sensor over range"}  # fmt: skip
_EVENTS = {32: "command error", 16: "execution error", 8: "device error", 4: "query error"}
_CLOSED_LOOP = 1
CUT_OUT_ABOVE_K = 5.0
_INPUTS = "ABCD"


class LakeShore336(ByteDevice, Settable):
    """Options: `input` ("A"…"D"), `output` (1, 2), `range` (heater 1…3), `safe`, `cut_out_k`, `spacing_s`.

    safe        what make_safe does to the heater: "hold" (default) keeps the temperature it finds; above the upper
                limit, or where the sensor can't be believed, it is switched off all the same. "off" asks nothing
    cut_out_k   where the box itself takes the heater off; default 5 K above the upper limit, for a loop overshoots
    """

    unit = "K"
    identity = re.compile(r"LSCI,MODEL33[56],")
    arrives_within = 0.2
    margin_s = 1800.0
    poll_s = 2.0
    terminator = b"\r\n"
    spacing_s = 0.05
    serial_defaults: ClassVar = {"baud": "57600", "bytesize": "7", "parity": "O", "stopbits": "1"}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        options = self.settings.options
        self._input, self._output = str(options.get("input", "A")), int(options.get("output", 1))
        self._range, self._safe = int(options.get("range", 3)), str(options.get("safe", "hold"))
        if self._input not in _INPUTS or self._output not in (1, 2) or self._range not in (1, 2, 3):
            raise ValueError(f"{self.name}: input is A to D, output 1 or 2, range 1 to 3 ({self.settings.where})")
        if self._safe not in ("hold", "off"):
            raise ValueError(f'{self.name}: safe is "hold" or "off", not {self._safe!r} ({self.settings.where})')
        self.link.resync = Beat("*IDN?", "*ESR?")

    async def _identify(self) -> str:
        async with self.link.exchange() as line:
            identity = await line.ask("*IDN?")
        if _IDENTITY.fullmatch(identity) is None:
            raise GarbledReply(self.name, f"*IDN? was answered {identity!r}, which are not four fields")
        return identity

    async def _prepare(self) -> None:
        """Closed loop from our sensor to our heater, and the box's own cut-out at our limit, read back."""
        async with self.link.exchange() as line:
            self._events(await line.ask("*ESR?"))  # an old error is nobody's fault
            channel = _INPUTS.index(self._input) + 1
            loop = f"{_CLOSED_LOOP},{channel},0"
            (found,) = await self._say(line, f"OUTMODE {self._output},{loop}", f"OUTMODE? {self._output}")
            if [self._whole(part.strip(" "), "OUTMODE?") for part in found.split(",")] != [_CLOSED_LOOP, channel, 0]:
                raise Refused(self.name, f"OUTMODE? {self._output} says {found}, where {loop} was set")
            cut_out_k = float(self.settings.options.get("cut_out_k", self.settings.limits.upper + CUT_OUT_ABOVE_K))
            if math.isfinite(cut_out_k):
                (found,) = await self._say(line, f"TLIMIT {self._input},{cut_out_k:.3f}", f"TLIMIT? {self._input}")
                if abs(self._number(found, "TLIMIT?") - cut_out_k) > self.arrives_within:
                    raise Refused(self.name, f"its own cut-out stands at {found} K, where {cut_out_k:g} K was set")

    async def _read(self) -> float:
        async with self.link.exchange() as line:
            return await self._temperature(line)

    async def _set(self, target: float) -> None:
        async with self.link.exchange() as line:
            (heater,) = await self._say(line, f"RANGE? {self._output}")
            if self._heater(heater) == 0:
                await self._start_here(line)
            on = f"RANGE {self._output},{self._range}"
            (heater,) = await self._say(line, f"SETP {self._output},{target:.3f}", on, f"RANGE? {self._output}")
            if self._heater(heater) != self._range:
                raise Refused(self.name, f"the heater was set to range {self._range}, and stands at {heater}")

    async def _set_ramp(self, per_s: float) -> float:
        async with self.link.exchange() as line:
            (answer,) = await self._say(line, f"RAMP {self._output},1,{per_s * 60:.3f}", f"RAMP? {self._output}")
        on, per_min = self._ramp(answer)
        return per_min / 60 if on else math.inf

    async def _stop(self) -> None:
        """Hold where it stands: the set-point comes to the temperature, without a ramp."""
        await self._hold_or_off()

    async def _make_safe(self) -> None:
        """As the station file says."""
        if self._safe == "hold":
            await self._hold_or_off()
            return
        async with self.link.exchange(urgent=True, first=f"RANGE {self._output},0") as line:
            (heater,) = await self._say(line, f"RANGE? {self._output}")
            if self._heater(heater) != 0:
                raise Refused(self.name, f"the heater was switched off, and stands at range {heater}")

    async def _hold_or_off(self) -> None:
        """Holding needs to know where, in the same exchange; what can't be known, or is too hot, is switched off."""
        heater_off = f"RANGE {self._output},0"
        async with self.link.exchange(urgent=True) as line:
            try:
                here_k = await self._temperature(line)
                if here_k <= self.settings.limits.upper:
                    await self._hold(line, here_k)
                    return
            except DeviceError:
                await line.send(heater_off)
                raise
            await self._say(line, heater_off)

    # the protocol

    async def _hold(self, line: Line, here_k: float) -> None:
        await self._say(line, f"RAMP {self._output},0,0", f"SETP {self._output},{here_k:.3f}")

    async def _start_here(self, line: Line) -> None:
        """A ramp starts at the present set-point, maybe far from the temperature: bring it here first."""
        (ramp,) = await self._say(line, f"RAMP? {self._output}")
        on, _ = self._ramp(ramp)
        # A temperature misread on the way must not become where a ramp starts, far above the limit.
        await self._hold(line, min(await self._temperature(line), self.settings.limits.upper))
        if on:
            await self._say(line, f"RAMP {self._output},{ramp}")

    def _ramp(self, answer: str) -> tuple[bool, float]:
        """Whether the ramp is on, and its K/min."""
        on, comma, per_min = answer.partition(",")
        if not comma or on not in ("0", "1"):
            raise GarbledReply(self.name, f"RAMP? was answered {answer!r}: on or off, then K/min was expected")
        return on == "1", self._number(per_min.strip(" "), "RAMP?")

    async def _temperature(self, line: Line) -> float:
        kelvin, status = await self._say(line, f"KRDG? {self._input}", f"RDGST? {self._input}")
        if bits := self._whole(status, "RDGST?", digits=3):
            wrong = ", ".join(text for bit, text in _SENSOR.items() if bits & bit) or f"status {bits}"
            raise Refused(self.name, f"sensor {self._input} can't be believed: {wrong}")
        if _KELVIN.fullmatch(kelvin) is None:
            raise GarbledReply(self.name, f"KRDG? was answered {kelvin!r}, which is no temperature as +nnn.nnn")
        return float(kelvin)

    async def _say(self, line: Line, *messages: str) -> list[str]:
        """Send messages in one, return the answers of those that are queries. Raises Refused by what *ESR? says."""
        queries = [message for message in messages if "?" in message]
        text = ";".join((*messages, "*ESR?"))
        *answers, events = (await line.ask(text)).split(";")
        if bits := self._events(events) & sum(_EVENTS):
            raise Refused(self.name, f"{text}: {', '.join(name for bit, name in _EVENTS.items() if bits & bit)}")
        if len(answers) != len(queries):
            raise GarbledReply(self.name, f"{text} got {len(answers)} answers, where {len(queries)} were expected")
        return [answer.strip(" ") for answer in answers]

    def _heater(self, text: str) -> int:
        if text not in ("0", "1", "2", "3"):
            raise GarbledReply(self.name, f"RANGE? was answered {text!r}, which is no range of a heater")
        return int(text)

    def _events(self, text: str) -> int:
        if _REGISTER.fullmatch(text) is None:
            raise GarbledReply(self.name, f"*ESR? was answered {text!r}, which are not three digits")
        return int(text)

    def _number(self, text: str, query: str) -> float:
        if _NUMBER.fullmatch(text) is None:
            raise GarbledReply(self.name, f"{query} was answered {text!r}, which is no number")
        return float(text)

    def _whole(self, text: str, query: str, *, digits: int = 1) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= digits):
            raise GarbledReply(self.name, f"{query} was answered {text!r}, which is no whole number")
        return int(text)
