"""A Lake Shore 336 as its clients know it: bytes in, bytes out, and the heat behind one narrow door.

What it does not understand it meets with silence, and a bit in the event register.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from rocksalt.time import Clock
from rocksalt.twin.wire.lines import LineSimulator, replies

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(E[+-]?\d+)?", re.IGNORECASE)
COMMAND_ERROR, EXECUTION_ERROR, POWER_ON = 32, 16, 128
UNDER_RANGE, OVER_RANGE = 16, 32
CONTROL_OUTPUTS = "12"
CHANNELS = "ABCD"
ZERO_CELSIUS_K = 273.15


class ThermalDoor(Protocol):
    """What heater and sensor feel. Times in experiment seconds."""

    def sample_k(self, at_s: float) -> float: ...

    def heat(self, at_s: float, setpoint_k: float, rate_k_per_min: float) -> None: ...

    def off(self, at_s: float) -> None: ...

    def heater_percent(self, at_s: float) -> float: ...


class _Offence(Exception):
    """What sets a bit in the event register, and is met with silence."""


class LakeShoreSimulator(LineSimulator):
    """The sensor sits on input `input`, the heater on output `output`; the other inputs are open.

    Options: input ("A"), output (1), setpoint_k, ramp_on, ramp_k_per_min: how the panel was left; lowest_k, highest_k:
    ends of the sensor's curve; identity.
    """

    stands_at: ClassVar[str] = "thermal"

    def __init__(self, door: ThermalDoor, clock: Clock, *, options: Mapping[str, Any] | None = None) -> None:
        options = options or {}
        self.door, self.clock = door, clock
        self.input = str(options.get("input", "A"))
        self.output = str(options.get("output", 1))
        self.identity = str(options.get("identity", "LSCI,MODEL336,LSA21PN/#######,2.9"))
        self.lowest_k, self.highest_k = float(options.get("lowest_k", 1.4)), float(options.get("highest_k", 800.0))
        self.setpoint_k = float(options.get("setpoint_k", 0.0))
        self.ramp_on = bool(options.get("ramp_on", False))
        self.ramp_k_per_min = float(options.get("ramp_k_per_min", 10.0))
        self.range = 0
        self.mode = {"1": [1, 1, 0], "2": [1, 2, 0], "3": [0, 0, 0], "4": [0, 0, 0]}
        self.pid = {"1": (50.0, 20.0, 0.0), "2": (50.0, 20.0, 0.0)}
        self.cut_out_k = dict.fromkeys(CHANNELS, 0.0)
        self.names = dict.fromkeys(CHANNELS, "")
        self.events = POWER_ON
        self._from_k, self._from_s = self.setpoint_k, clock.now_s()

    def power_cycle(self) -> None:
        """Off and on: settings are kept, the heater is off unless OUTMODE's power-up flag says otherwise."""
        self._from_k, self._from_s = self.setpoint_k, self.clock.now_s()
        self.events = POWER_ON
        if not self.mode[self.output][2]:
            self.range = 0
        self._regulate()

    # lines

    def line(self, text: str) -> str | None:
        self._watch()
        answers = [self._one(part.strip()) for part in text.split(";") if part.strip()]
        spoken = [answer for answer in answers if answer is not None]
        return ";".join(spoken) if spoken else None

    def _one(self, command: str) -> str | None:
        try:
            return self.answer(command)
        except _Offence as offence:
            self.events |= offence.args[0]
            return None

    def unknown(self, command: str) -> str | None:
        raise _Offence(COMMAND_ERROR)

    # common commands

    @replies(r"\*IDN\?")
    def identify(self) -> str:
        return self.identity

    @replies(r"\*ESR\?")
    def take_events(self) -> str:
        events, self.events = self.events, 0
        return f"{events:03d}"

    @replies(r"\*CLS")
    def clear(self) -> None:
        self.events = 0

    # sensors

    @replies(r"KRDG\?\s*([A-D0])?")
    def kelvin(self, channel: str | None) -> str:
        return self._channels(channel, lambda name: f"{self._kelvin(name):+08.3f}")

    @replies(r"CRDG\?\s*([A-D0])?")
    def celsius(self, channel: str | None) -> str:
        return self._channels(
            channel, lambda name: f"{self._kelvin(name) - ZERO_CELSIUS_K if self._status(name) == 0 else 0.0:+08.3f}"
        )

    @replies(r"RDGST\?\s*([A-D])")
    def reading_status(self, channel: str) -> str:
        return f"{self._status(channel.upper()):03d}"

    @replies(r"INNAME\?\s*([A-D])")
    def shown_name(self, channel: str) -> str:
        return f"{self.names[channel.upper()]:<15}"

    @replies(r'INNAME\s+([A-D])\s*,\s*"?([^",]{0,15})"?')
    def set_name(self, channel: str, name: str) -> None:
        self.names[channel.upper()] = name

    @replies(r"TLIMIT\?\s*([A-D])")
    def shown_cut_out(self, channel: str) -> str:
        return f"{self.cut_out_k[channel.upper()]:+08.3f}"

    @replies(r"TLIMIT\s+([A-D])\s*,\s*(\S+)")
    def set_cut_out(self, channel: str, kelvin: str) -> None:
        self.cut_out_k[channel.upper()] = self._within(kelvin, 0.0, 2000.0)
        self._watch()

    # the loop

    @replies(r"SETP\?\s*([1-4])")
    def shown_setpoint(self, output: str) -> str:
        return f"{self._moving_setpoint_k() if output == self.output else 0.0:+08.3f}"

    @replies(r"SETP\s+([1-4])\s*,\s*(\S+)")
    def set_setpoint(self, output: str, kelvin: str) -> None:
        value_k = self._within(kelvin, 0.0, 2000.0)
        if output == self.output:
            self._from_k, self._from_s = self._moving_setpoint_k(), self.clock.now_s()
            self.setpoint_k = value_k
            self._regulate()

    @replies(r"RAMP\?\s*([1-4])")
    def shown_ramp(self, output: str) -> str:
        on, rate = (self.ramp_on, self.ramp_k_per_min) if output == self.output else (False, 0.0)
        return f"{int(on)},{rate:+06.1f}"

    @replies(r"RAMP\s+([1-4])\s*,\s*([01])\s*,\s*(\S+)")
    def set_ramp(self, output: str, on: str, k_per_min: str) -> None:
        rate = round(self._within(k_per_min, 0.0, 100.0), 1)
        if output == self.output:
            self._from_k, self._from_s = self._moving_setpoint_k(), self.clock.now_s()
            self.ramp_on, self.ramp_k_per_min = on == "1", rate
            self._regulate()

    @replies(r"RAMPST\?\s*([1-4])")
    def ramp_status(self, output: str) -> str:
        return str(int(output == self.output and self._moving_setpoint_k() != self.setpoint_k))

    @replies(r"RANGE\?\s*([1-4])")
    def shown_range(self, output: str) -> str:
        return str(self.range if output == self.output else 0)

    @replies(r"RANGE\s+([1-4])\s*,\s*(\d)")
    def set_range(self, output: str, step: str) -> None:
        if int(step) > (3 if output in CONTROL_OUTPUTS else 1):
            raise _Offence(EXECUTION_ERROR)
        if output == self.output:
            self.range = int(step)
            self._regulate()
            self._watch()

    @replies(r"OUTMODE\?\s*([1-4])")
    def shown_mode(self, output: str) -> str:
        return ",".join(str(part) for part in self.mode[output])

    @replies(r"OUTMODE\s+([1-4])\s*,\s*([0-5])\s*,\s*([0-4])\s*,\s*([01])")
    def set_mode(self, output: str, mode: str, channel: str, power_up: str) -> None:
        self.mode[output] = [int(mode), int(channel), int(power_up)]
        self._regulate()

    @replies(r"PID\?\s*([12])")
    def shown_pid(self, output: str) -> str:
        return ",".join(f"{part:+07.1f}" for part in self.pid[output])

    @replies(r"PID\s+([12])\s*,\s*([^,\s]+)\s*,\s*([^,\s]+)\s*,\s*([^,\s]+)")
    def set_pid(self, output: str, p: str, i: str, d: str) -> None:
        self.pid[output] = (self._within(p, 0.0, 1000.0), self._within(i, 0.0, 1000.0), self._within(d, 0.0, 200.0))

    @replies(r"HTR\?\s*([12])")
    def heater(self, output: str) -> str:
        on = output == self.output and self.range > 0
        return f"{self.door.heater_percent(self.clock.now_s()) if on else 0.0:+06.1f}"

    @replies(r"HTRST\?\s*([12])")
    def heater_status(self, output: str) -> str:
        return "0"

    # inside

    def _channels(self, channel: str | None, show: Any) -> str:
        names = CHANNELS if channel == "0" else (channel or "A").upper()
        return ",".join(show(name) for name in names)

    def _sample_k(self) -> float:
        return self.door.sample_k(self.clock.now_s())

    def _kelvin(self, channel: str) -> float:
        return self._sample_k() if self._status(channel) == 0 else 0.0

    def _status(self, channel: str) -> int:
        if channel != self.input:
            return 1
        kelvin = self._sample_k()
        return UNDER_RANGE if kelvin < self.lowest_k else OVER_RANGE if kelvin > self.highest_k else 0

    def _within(self, text: str, lower: float, upper: float) -> float:
        if NUMBER.fullmatch(text) is None:
            raise _Offence(COMMAND_ERROR)
        if not lower <= float(text) <= upper:
            raise _Offence(EXECUTION_ERROR)
        return float(text)

    def _moving_setpoint_k(self) -> float:
        """The set-point on its ramp from where it stood when it was told to move."""
        if not self.ramp_on or self.ramp_k_per_min == 0.0:
            return self.setpoint_k
        travelled_k = (self.clock.now_s() - self._from_s) * self.ramp_k_per_min / 60
        way_k = self.setpoint_k - self._from_k
        if travelled_k >= abs(way_k):
            return self.setpoint_k
        return self._from_k + (travelled_k if way_k > 0 else -travelled_k)

    def _regulate(self) -> None:
        now_s = self.clock.now_s()
        mode, channel, _ = self.mode[self.output]
        if self.range == 0 or mode != 1 or channel != CHANNELS.index(self.input) + 1:
            self.door.off(now_s)
            return
        here_k = self._moving_setpoint_k()
        if here_k != self.setpoint_k:
            self.door.heat(now_s, here_k, 0.0)  # a ramp starts at the present set-point, not at the temperature
        self.door.heat(now_s, self.setpoint_k, self.ramp_k_per_min if self.ramp_on else 0.0)

    def _watch(self) -> None:
        """TLIMIT: above it the box takes its heater off by itself. 0 means no limit."""
        limit_k = self.cut_out_k[self.input]
        if self.range and limit_k and self._sample_k() > limit_k:
            self.range = 0
            self.door.off(self.clock.now_s())
