"""A Druck PACE5000 as its manual describes it: bytes in, bytes out, and the gas behind one narrow door.

It stands as its front panel was left: nothing about it is made easy for a driver. Its facts are in README.md.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from rocksalt.time import Clock
from rocksalt.twin.wire.lines import LineSimulator, replies

BAR_IN = {
    "MPA": 10.0, "BAR": 1.0, "MBAR": 1e-3, "KPA": 1e-2, "PA": 1e-5, "HPA": 1e-3, "PSI": 0.0689475729,
    "USER1": 1.0, "USER2": 1.0, "USER3": 1.0, "USER4": 1.0,
}  # fmt: skip
ERRORS = {
    0: "No error", -102: "Syntax error", -113: "Undefined header", -114: "Header suffix out of range",
    -222: "Data out of range", -350: "Queue overflow", 201: "Query only", 202: "No query allowed",
}  # fmt: skip
ERROR_QUEUE = 5
LONGEST_REPLY = 255
SUPPLIES = 2
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(E[+-]?\d+)?", re.IGNORECASE)


class MembraneDoor(Protocol):
    """What the controller feels of the gas. Gauge pressures in bar, times in experiment seconds."""

    def gas_bar(self, at_s: float) -> float: ...

    def supply_bar(self, at_s: float) -> float: ...

    def ramp(self, at_s: float, target_bar: float, rate_bar_per_s: float) -> None: ...

    def hold(self, at_s: float) -> None: ...

    def vent(self, at_s: float, rate_bar_per_s: float) -> None: ...


class _Offence(Exception):
    """What the instrument writes into its error queue, and answers with silence."""


def scpi(words: str, argument: str = "") -> str:
    """The pattern of a command as manuals write it: capitals for the short form, [nodes] to leave out, # a suffix."""
    pattern = re.sub(r"([A-Z]+)([a-z]*)", lambda word: f"{word[1]}(?:{word[2]})?" if word[2] else word[1], words)
    pattern = pattern.replace("[", "(?:").replace("]", ")?").replace("#", r"(\d*)")
    return ":?" + pattern.removeprefix(":") + argument


SET = r"\s+(\S.*)"
ASK = r"\?"
LEVEL = "[:LEVel][:IMMediate][:AMPLitude]"


class PaceSimulator(LineSimulator):
    """Options: range_bar (210), lowest_bar (-1), unit, slew_mode, overshoot, slew_bar_per_s: how the panel was left;
    modules (1), fastest_bar_per_s (20, what MAX does), vent_bar_per_s, headers (True), identity."""

    stands_at: ClassVar[str] = "membrane"

    def __init__(self, door: MembraneDoor, clock: Clock, *, options: Mapping[str, Any] | None = None) -> None:
        options = options or {}
        self.door, self.clock = door, clock
        self.range_bar = float(options.get("range_bar", 210.0))
        self.lowest_bar = float(options.get("lowest_bar", -1.0))
        self.unit = str(options.get("unit", "MBAR")).upper()
        self.mode = str(options.get("slew_mode", "MAX")).upper()
        self.overshoot = bool(options.get("overshoot", True))
        self.slew_bar_per_s = float(options.get("slew_bar_per_s", 1.0))
        self.fastest_bar_per_s = float(options.get("fastest_bar_per_s", 20.0))
        self.vent_bar_per_s = float(options.get("vent_bar_per_s", 2.0))
        self.modules = int(options.get("modules", 1))
        self.headers = bool(options.get("headers", True))
        self.identity = str(options.get("identity", "GE Druck,Pace5000 User Interface,58784,01.05.04"))
        self.terminator = str(options.get("terminator", "\r\n")).encode()
        self.setpoint_bar = 0.0
        self.output = self.remote = False
        self.venting = 0
        self.band_percent, self.dwell_s = 0.01, 2.0
        self.errors: deque[int] = deque()
        self._peak: tuple[float, float] | None = None  # when an overshoot turns (s), and to which target
        self._inside_since: float | None = None
        self._last: tuple[float, float] | None = None  # time and gas at the look before this one
        self._rate = 0.0

    def power_cycle(self) -> None:
        """Off and on: control off, as the manual's default; how the panel was left is gone, its unit is not."""
        self.output = self.remote = False
        self.venting, self.setpoint_bar = 0, 0.0
        self.mode, self.overshoot = "MAX", True
        self.errors.clear()
        self._peak = self._inside_since = self._last = None
        self.door.hold(self.clock.now_s())

    # lines

    def line(self, text: str) -> str | None:
        self._advance()
        answers = [self._one(part.strip()) for part in text.split(";") if part.strip()]
        spoken = [answer for answer in answers if answer is not None]
        return ";".join(spoken)[:LONGEST_REPLY] if spoken else None

    def _one(self, command: str) -> str | None:
        if not re.match(r":?(LOC|GTL)\b", command, re.IGNORECASE):
            self.remote = True
        try:
            return self.answer(command)
        except _Offence as offence:
            self._complain(offence.args[0])
            return None

    def unknown(self, command: str) -> str | None:
        head = command.rstrip("?") if command.endswith("?") else re.split(r"\s", command)[0]
        for pattern, _ in self._handlers:
            if pattern.fullmatch(head + "?"):
                raise _Offence(201 if " " in command else -102)
            if pattern.fullmatch(head) or pattern.fullmatch(head + " 0"):
                raise _Offence(202 if command.endswith("?") else -102)
        raise _Offence(-113)

    def _complain(self, code: int) -> None:
        if len(self.errors) >= ERROR_QUEUE:
            self.errors[-1] = -350
        else:
            self.errors.append(code)

    def _reply(self, header: str, value: str) -> str:
        return f"{header} {value}" if self.headers else value

    # numbers in the panel's unit

    def _shown(self, bar: float) -> str:
        return f"{bar / BAR_IN[self.unit]:.7f}"

    def _number(self, text: str) -> float:
        if NUMBER.fullmatch(text.strip()) is None:
            raise _Offence(-102)
        return float(text)

    def _bar(self, text: str) -> float:
        return self._number(text) * BAR_IN[self.unit]

    def _on(self, text: str) -> bool:
        if text.upper() not in ("0", "1", "ON", "OFF"):
            raise _Offence(-102)
        return text.upper() in ("1", "ON")

    def _module(self, suffix: str, most: int | None = None) -> str:
        if not 1 <= int(suffix or "1") <= (self.modules if most is None else most):
            raise _Offence(-114)
        return suffix

    # common commands

    @replies(r"\*IDN\?")
    def identify(self) -> str:
        return self._reply("*IDN", self.identity)

    @replies(r"\*CLS")
    def clear(self) -> None:
        self.errors.clear()

    @replies(r"\*STB\?")
    def status_byte(self) -> str:
        return self._reply("*STB", str(4 if self.errors else 0))

    @replies(r"\*ESR\?")
    def event_status(self) -> str:
        return self._reply("*ESR", str(32 if any(-200 < code < -99 for code in self.errors) else 0))

    @replies(scpi(":SYSTem:ERRor", ASK))
    def next_error(self) -> str:
        code = self.errors.popleft() if self.errors else 0
        return self._reply(":SYST:ERR", f'{code}, "{ERRORS[code]}"')

    @replies(r":?(?:LOC|GTL)")
    def go_local(self) -> None:
        self.remote = False

    # what it is

    @replies(scpi(":INSTrument:LIMit#", ASK))
    def limits(self, module: str) -> str:
        self._module(module)
        upper, lower = self._shown(self.range_bar), self._shown(self.lowest_bar)
        return self._reply(f":INST:LIM{module}", f'"{self.range_bar + 1:.2f}barg", {upper}, {lower}')

    @replies(scpi(":INSTrument:SENSe#:FULLscale", ASK))
    def full_scale(self, module: str) -> str:
        self._module(module)
        return self._reply(f":INST:SENS{module}:FULL", f"{self._shown(self.range_bar)}, {self._shown(self.lowest_bar)}")

    @replies(scpi(":INSTrument:SN", ASK))
    def serial_number(self) -> str:
        return self._reply(":INST:SN", self.identity.split(",")[2])

    @replies(scpi(":UNIT:PRESsure", ASK))
    def shown_unit(self) -> str:
        return self._reply(":UNIT:PRES", self.unit)

    @replies(scpi(":UNIT:PRESsure", SET))
    def set_unit(self, unit: str) -> None:
        if unit.upper() not in BAR_IN:
            raise _Offence(-102)
        self.unit = unit.upper()

    # what it measures

    @replies(scpi(":SENSe#:PRESsure", ASK))
    def pressure(self, module: str) -> str:
        return self._reply(f":SENS{self._module(module)}:PRES", self._shown(self._gas_bar()))

    @replies(scpi(":SENSe#:PRESsure:SLEW", ASK))
    def measured_rate(self, module: str) -> str:
        return self._reply(f":SENS{self._module(module)}:PRES:SLEW", self._shown(self._rate))

    @replies(scpi(":SENSe#:PRESsure:INLimits", ASK))
    def in_limits(self, module: str) -> str:
        since = self._inside_since
        settled = since is not None and self.clock.now_s() - since >= self.dwell_s
        return self._reply(f":SENS{self._module(module)}:PRES:INL", f"{self._shown(self._gas_bar())}, {int(settled)}")

    @replies(scpi(":SOURce#:PRESsure:INLimits", SET))
    def set_band(self, module: str, percent: str) -> None:
        self._module(module)
        self.band_percent = self._within(self._number(percent), 0.0, 100.0)

    @replies(scpi(":SOURce#:PRESsure:INLimits:TIME", SET))
    def set_dwell(self, module: str, seconds: str) -> None:
        self._module(module)
        self.dwell_s = self._within(self._number(seconds), 2.0, 999.0)

    @replies(scpi(":SOURce#:PRESsure:COMPensate#", ASK))
    def supply(self, module: str, which: str) -> str:
        self._module(module)
        self._module(which, SUPPLIES)
        bar = self.door.supply_bar(self.clock.now_s()) if which in ("", "1") else 0.0
        return self._reply(f":SOUR{module}:PRES:COMP{which}", self._shown(bar))

    @replies(scpi(":SOURce#:PRESsure:EFFort", ASK))
    def effort(self, module: str) -> str:
        error_bar = self.setpoint_bar - self._gas_bar()
        percent = max(-100.0, min(100.0, 1e4 * error_bar / self.range_bar)) if self.output else 0.0
        return self._reply(f":SOUR{self._module(module)}:PRES:EFF", f"{percent:.7f}")

    # what it does

    @replies(scpi(f":SOURce#:PRESsure{LEVEL}", ASK))
    def shown_setpoint(self, module: str) -> str:
        return self._reply(f":SOUR{self._module(module)}:PRES:LEV:IMM:AMPL", self._shown(self.setpoint_bar))

    @replies(scpi(f":SOURce#:PRESsure{LEVEL}", SET))
    def set_setpoint(self, module: str, value: str) -> None:
        self._module(module)
        self.setpoint_bar = self._within(self._bar(value), self.lowest_bar, self.range_bar)
        self._drive()

    @replies(scpi(":SOURce#:PRESsure:SLEW", ASK))
    def shown_slew(self, module: str) -> str:
        return self._reply(f":SOUR{self._module(module)}:PRES:SLEW", self._shown(self.slew_bar_per_s))

    @replies(scpi(":SOURce#:PRESsure:SLEW", SET))
    def set_slew(self, module: str, value: str) -> None:
        self._module(module)
        self.slew_bar_per_s = self._within(self._bar(value), 1e-9, self.fastest_bar_per_s)
        self._drive()

    @replies(scpi(":SOURce#:PRESsure:SLEW:MODE", ASK))
    def shown_mode(self, module: str) -> str:
        return self._reply(f":SOUR{self._module(module)}:PRES:SLEW:MODE", self.mode)

    @replies(scpi(":SOURce#:PRESsure:SLEW:MODE", SET))
    def set_mode(self, module: str, mode: str) -> None:
        self._module(module)
        modes = {"LIN": "LIN", "LINEAR": "LIN", "MAX": "MAX", "MAXIMUM": "MAX"}
        if mode.upper() not in modes:
            raise _Offence(-102)
        self.mode = modes[mode.upper()]
        self._drive()

    @replies(scpi(":SOURce#:PRESsure:SLEW:OVERshoot[:STATe]", ASK))
    def shown_overshoot(self, module: str) -> str:
        return self._reply(f":SOUR{self._module(module)}:PRES:SLEW:OVER:STAT", str(int(self.overshoot)))

    @replies(scpi(":SOURce#:PRESsure:SLEW:OVERshoot[:STATe]", SET))
    def set_overshoot(self, module: str, state: str) -> None:
        self._module(module)
        self.overshoot = self._on(state)

    @replies(scpi(":OUTPut#[:STATe]", ASK))
    def shown_output(self, module: str) -> str:
        return self._reply(f":OUTP{self._module(module)}:STAT", str(int(self.output)))

    @replies(scpi(":OUTPut#[:STATe]", SET))
    def set_output(self, module: str, state: str) -> None:
        self._module(module)
        self.output = self._on(state)
        if self.output:
            self.venting = 0
            self._drive()
        else:
            self._peak = None
            self.door.hold(self.clock.now_s())

    @replies(scpi(f":SOURce#:PRESsure{LEVEL}:VENT", ASK))
    def shown_vent(self, module: str) -> str:
        return self._reply(f":SOUR{self._module(module)}:PRES:LEV:IMM:AMPL:VENT", str(self.venting))

    @replies(scpi(f":SOURce#:PRESsure{LEVEL}:VENT", SET))
    def vent(self, module: str, start: str) -> None:
        self._module(module)
        self.output, self._peak = False, None
        if self._on(start):
            self.venting = 1
            self.door.vent(self.clock.now_s(), self.vent_bar_per_s)
        else:
            self.venting = 0
            self.door.hold(self.clock.now_s())

    # the controller

    def _within(self, value: float, lower: float, upper: float) -> float:
        if not (math.isfinite(value) and lower <= value <= upper):
            raise _Offence(-222)
        return value

    def _gas_bar(self) -> float:
        return self.door.gas_bar(self.clock.now_s())

    def _drive(self) -> None:
        """Send the gas on its way; with overshoot, past the set-point by a fiftieth of the step, and back."""
        if not self.output:
            return
        now_s = self.clock.now_s()
        rate = self.slew_bar_per_s if self.mode == "LIN" else self.fastest_bar_per_s
        step = self.setpoint_bar - self.door.gas_bar(now_s)
        beyond = 0.02 * step if self.overshoot else 0.0
        self._peak = (now_s + abs(step + beyond) / rate, self.setpoint_bar) if beyond else None
        self.door.ramp(now_s, self.setpoint_bar + beyond, rate)

    def _advance(self) -> None:
        now_s = self.clock.now_s()
        if self._peak is not None and now_s >= self._peak[0]:
            self.door.ramp(self._peak[0], self._peak[1], self.slew_bar_per_s)
            self._peak = None
        gas_bar = self.door.gas_bar(now_s)
        if self._last is not None and now_s > self._last[0]:
            self._rate = (gas_bar - self._last[1]) / (now_s - self._last[0])
        if self._last is None or now_s > self._last[0]:
            self._last = (now_s, gas_bar)
        if self.venting == 1 and gas_bar <= 0.01 * self.range_bar / 100:
            self.venting = 2
        inside = self.output and abs(gas_bar - self.setpoint_bar) <= self.band_percent / 100 * self.range_bar
        self._inside_since = (self._inside_since if self._inside_since is not None else now_s) if inside else None
