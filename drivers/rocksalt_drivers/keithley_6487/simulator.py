"""A Keithley 6487 (or 6485) as its manual describes it: bytes in, bytes out, and a current at its input.

It stands as its front panel was left, and a reading takes its time. Its facts are in README.md.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from rocksalt.time import Chance, Clock
from rocksalt.twin.wire.lines import LineSimulator, replies
from rocksalt_drivers.keithley_6487.simulator_talk import Conversation, Talk, scpi

RANGES_A = tuple(2.0 * 10.0**decade for decade in range(-9, -1))
OVER_RANGE = 1.05
OVERFLOW, NO_NUMBER, SOURCE_LIMITED_V = 9.9e37, 9.91e37, -999.0
FILTER, MATH, NULL, LIMITS, LIMIT_1, OVERVOLTAGE, ZERO_CHECK, ZERO_CORRECT = 2, 4, 8, 16, 32, 128, 512, 1024
ELEMENTS = {"READ": "READING", "UNIT": "UNITS", "TIME": "TIME", "STAT": "STATUS", "VSO": "VSOURCE"}
EVERY, USUAL = ("READ", "UNIT", "TIME", "STAT", "VSO"), ("READ", "UNIT", "TIME", "STAT")
ERRORS = {
    0: "No error", -109: "Missing parameter", -113: "Undefined header", -221: "Settings conflict",
    -222: "Parameter data out of range", -224: "Illegal parameter value", -230: "Data corrupt or stale",
    -350: "Queue overflow",
}  # fmt: skip
ERROR_QUEUE = 10
CLOCK_WRAPS_S = 100_000.0
PARTS = 3
"""A conversion with autozero is three: signal, zero, reference."""
TOUCHABLE_V = 50.0
SOURCE_RANGES_V, SOURCE_LIMITS_A = (10.0, 50.0, 500.0), (25e-6, 250e-6, 2.5e-3, 25e-3)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(E[+-]?\d+)?", re.IGNORECASE)
SHOWN_CURRENT = re.compile(rb"[+-]\d\.\d{6}E[+-]\d\d(?=A)")


class FluxDoor(Protocol):
    """What is at the input connector. Times in experiment seconds."""

    def current_a(self, start_s: float, seconds: float) -> float: ...


class _Offence(Exception):
    """What goes into the error queue, and is answered with silence."""


SET, ASK = r"\s+(\S.*)", r"\?"
SENSE = "[SENSe[1]:]"


class PicoammeterSimulator(LineSimulator):
    """Options, the box: model (6487), identity, terminator ("\\n"), echo (of terminators), says_dcl (after ^C and ^X),
    bus (False; on GPIB whoever opens it clears it), offset_a (4e-13), noise_a (2e-14, at 1 PLC on 2 nA), noise_seed,
    line_hz (50), range_s (0.1, for each range passed). How the panel was left: zero_check (True), range_a (0.02, or
    "auto"), auto (False), nplc (6), average (1), trigger_count (1), null_a (0), volts (0: the source is off), elements
    ("READ"), limit_a. Around it: interlock (False), source_limited (False), overvoltage (False).
    """

    stands_at: ClassVar[str] = "flux"

    def __init__(self, door: FluxDoor, clock: Clock, *, options: Mapping[str, Any] | None = None) -> None:
        options = options or {}
        self.door, self.clock = door, clock
        self.model = str(options.get("model", "6487"))
        usual = f"KEITHLEY INSTRUMENTS INC.,MODEL {self.model},1234567,B04   May  9 2005 10:47:41/A02  /D"
        self.identity = str(options.get("identity", usual))
        self.terminator = str(options.get("terminator", "\n")).encode()
        self.echo, self.says_dcl = bool(options.get("echo", False)), bool(options.get("says_dcl", False))
        self.offset_a, self.noise_a = float(options.get("offset_a", 4e-13)), float(options.get("noise_a", 2e-14))
        self.line_hz, self.range_s = float(options.get("line_hz", 50.0)), float(options.get("range_s", 0.1))
        self.interlock = bool(options.get("interlock", False))
        self.overvoltage = bool(options.get("overvoltage", False))
        self.source_limited = bool(options.get("source_limited", False))
        self._talk, self.bus = Talk(self), bool(options.get("bus", False))
        self._chance, self._readings = Chance(int(options.get("noise_seed", 0))), 0
        self.reset()
        self.zero_check = bool(options.get("zero_check", True))
        range_a = options.get("range_a", RANGES_A[-1])
        self.auto = bool(options.get("auto", range_a == "auto"))
        self.range_a = RANGES_A[-1] if range_a == "auto" else self._fitting(float(range_a))
        self.nplc, self.average = float(options.get("nplc", 6.0)), int(options.get("average", 1))
        self.filter = self.average > 1
        self.trigger_count = int(options.get("trigger_count", 1))
        self.null_a = float(options.get("null_a", 0.0))
        self.limit_a = float(options.get("limit_a", math.inf))
        self.volts = float(options.get("volts", 0.0))
        self.source_on = self.volts != 0.0
        self.elements = tuple(str(options.get("elements", "READ")).split(","))
        self.errors: deque[int] = deque()
        self._zero_s = clock.now_s()

    def power_cycle(self) -> None:
        """Off and on: as after a reset, with zero check on and a clock that starts at 0."""
        self._talk.clear()
        self.reset()
        self.zero_check = True
        self.errors.clear()
        self._zero_s = self.clock.now_s()

    @replies(r"\*RST")
    def reset(self) -> None:
        self.zero_check, self.zero_correct, self.zero_a = False, False, 0.0
        self.auto, self.range_a, self.nplc = True, RANGES_A[-1], 6.0
        self.filter, self.average = False, 10
        self.trigger_count, self.null_a, self.limit_a, self.math = 1, 0.0, math.inf, False
        self.elements = USUAL
        self.source_on, self.volts, self.source_range_v, self.source_limit_a = False, 0.0, 10.0, 25e-3
        self.last: list[tuple[float, int, float]] = []

    def accept(self, send: Callable[[bytes], None]) -> Any:
        if self.bus:
            self._talk.clear()
        return Conversation(self, self._talk, send)

    # what stands between a fault and these bytes

    def question(self, request: bytes) -> str:
        return request.decode("ascii", "replace").strip()

    def altered(self, reply: bytes, how: Callable[[float], float]) -> bytes:
        """A current is changed; what is none is written as this instrument writes it."""

        def changed(found: re.Match[bytes]) -> bytes:
            value = how(float(found[0]))
            value = NO_NUMBER if math.isnan(value) else OVERFLOW if math.isinf(value) else value
            return f"{value:+.6E}".encode()

        return SHOWN_CURRENT.sub(changed, reply)

    def renewed(self, reply: bytes, request: bytes) -> bytes:
        return reply

    # commands

    def one(self, command: str) -> str | None:
        """One command's answer at once; measuring is the conversation's."""
        try:
            return self.answer(command)
        except _Offence as offence:
            self.complain(offence.args[0])
            return None

    def unknown(self, command: str) -> str | None:
        head = re.split(r"[\s?]", command)[0]
        known = any(pattern.fullmatch(head + " 0") for pattern, _ in self._handlers)
        raise _Offence(-109 if known and head == command else -113)

    def complain(self, code: int) -> None:
        if len(self.errors) >= ERROR_QUEUE:
            self.errors[-1] = -350
        else:
            self.errors.append(code)

    @replies(r"\*IDN\?")
    def identify(self) -> str:
        return self.identity

    @replies(r"\*CLS")
    @replies(scpi("SYSTem:CLEar"))
    def clear(self) -> None:
        self.errors.clear()

    @replies(r"\*OPC\?")
    def complete(self) -> str:
        return "1"

    @replies(scpi("ABORt"))
    def abort(self) -> None:
        pass

    @replies(scpi("SYSTem:ERRor[:NEXT]", ASK))
    def next_error(self) -> str:
        code = self.errors.popleft() if self.errors else 0
        return f'{code},"{ERRORS[code]}"'

    @replies(scpi("SYSTem:TIME:RESet"))
    def reset_clock(self) -> None:
        self._zero_s = self.clock.now_s()

    @replies(scpi("SYSTem:ZCHeck[:STATe]", SET))
    def set_zero_check(self, state: str) -> None:
        self.zero_check = self._on(state)

    @replies(scpi("SYSTem:ZCHeck[:STATe]", ASK))
    def shown_zero_check(self) -> str:
        return str(int(self.zero_check))

    @replies(scpi("SYSTem:ZCORrect[:STATe]", SET))
    def set_zero_correct(self, state: str) -> None:
        self.zero_correct = self._on(state)

    @replies(scpi("SYSTem:ZCORrect[:STATe]", ASK))
    def shown_zero_correct(self) -> str:
        return str(int(self.zero_correct))

    @replies(scpi("SYSTem:ZCORrect:ACQuire"))
    def acquire_zero(self) -> None:
        if not (self.zero_check and self.last):
            raise _Offence(-221)
        self.zero_a = self.last[-1][0]

    @replies(scpi("FORMat:ELEMents", SET))
    def set_elements(self, items: str) -> None:
        wanted: set[str] = set()
        for item in items.upper().replace(" ", "").split(","):
            short = next((key for key, long in ELEMENTS.items() if item in (key, long)), item)
            wanted |= {"ALL": set(EVERY), "DEF": set(USUAL), "DEFAULT": set(USUAL)}.get(short, {short})
        known = EVERY if self.model == "6487" else USUAL
        if not wanted <= set(known):
            raise _Offence(-224)
        self.elements = tuple(name for name in EVERY if name in wanted)

    @replies(scpi("FORMat:ELEMents", ASK))
    def shown_elements(self) -> str:
        return ",".join(self.elements)

    @replies(scpi(SENSE + "CURRent[:DC]:RANGe[:UPPer]", SET))
    @replies(scpi("RANGe[:UPPer]", SET))
    def set_range(self, ampere: str) -> None:
        self.range_a = self._fitting(abs(self._number(ampere, -0.021, 0.021)))
        self.auto = False

    @replies(scpi(SENSE + "CURRent[:DC]:RANGe[:UPPer]", ASK))
    def shown_range(self) -> str:
        return f"{self.range_a:.6E}"

    @replies(scpi(SENSE + "CURRent[:DC]:RANGe:AUTO", SET))
    def set_auto(self, state: str) -> None:
        self.auto = self._on(state)

    @replies(scpi(SENSE + "CURRent[:DC]:RANGe:AUTO", ASK))
    def shown_auto(self) -> str:
        return str(int(self.auto))

    @replies(scpi(SENSE + "CURRent[:DC]:NPLCycles", SET))
    def set_nplc(self, cycles: str) -> None:
        self.nplc = self._number(cycles, 0.01, self.line_hz)

    @replies(scpi(SENSE + "CURRent[:DC]:NPLCycles", ASK))
    def shown_nplc(self) -> str:
        return f"{self.nplc:.2f}"

    @replies(scpi(SENSE + "AVERage[:STATe]", SET))
    def set_filter(self, state: str) -> None:
        self.filter = self._on(state)

    @replies(scpi(SENSE + "AVERage:COUNt", SET))
    def set_average(self, count: str) -> None:
        self.average = int(self._number(count, 2, 100))

    @replies(scpi(SENSE + "AVERage:COUNt", ASK))
    def shown_average(self) -> str:
        return str(self.average)

    @replies(scpi(SENSE + "AVERage:TCONtrol", SET))
    def set_averaging(self, kind: str) -> None:
        if kind.upper() not in ("REP", "REPEAT", "MOV", "MOVING"):
            raise _Offence(-224)

    @replies(scpi("TRIGger[:SEQuence[1]]:COUNt", SET))
    def set_trigger_count(self, count: str) -> None:
        self.trigger_count = int(self._number(count, 1, 2500))

    @replies(scpi("DISPlay:ENABle", SET))
    def set_display(self, state: str) -> None:
        self._on(state)

    # the voltage source

    @replies(scpi("SOURce[1]:VOLTage:STATe", SET))
    def switch_source(self, state: str) -> None:
        self._only_6487()
        if self._on(state) and abs(self.volts) > TOUCHABLE_V and not self.interlock:
            raise _Offence(-221)
        self.source_on = self._on(state)

    @replies(scpi("SOURce[1]:VOLTage:STATe", ASK))
    def shown_source(self) -> str:
        self._only_6487()
        return str(int(self.source_on))

    @replies(scpi("SOURce[1]:VOLTage[:LEVel][:IMMediate][:AMPLitude]", SET))
    def set_volts(self, volts: str) -> None:
        self._only_6487()
        self.volts = self._number(volts, -1.01 * self.source_range_v, 1.01 * self.source_range_v)

    @replies(scpi("SOURce[1]:VOLTage[:LEVel][:IMMediate][:AMPLitude]", ASK))
    def shown_volts(self) -> str:
        self._only_6487()
        return f"{self.volts:.6E}"

    @replies(scpi("SOURce[1]:VOLTage:RANGe", SET))
    def set_source_range(self, volts: str) -> None:
        self._only_6487()
        wanted = abs(self._number(volts, -505.0, 505.0))
        self.source_range_v = next(value for value in (*SOURCE_RANGES_V, 505.0) if wanted <= 1.01 * value)

    @replies(scpi("SOURce[1]:VOLTage:ILIMit", SET))
    def set_source_limit(self, ampere: str) -> None:
        self._only_6487()
        wanted = self._number(ampere, 0.0, 25e-3)
        self.source_limit_a = next(value for value in SOURCE_LIMITS_A if wanted <= value)

    # readings

    @replies(scpi("FETCh[:CURRent[:DC]]", ASK))
    def fetch(self) -> str:
        if not self.last:
            raise _Offence(-230)
        return self.shown()

    @property
    def conversion_s(self) -> float:
        """Time of a conversion, all its parts and repetitions."""
        return PARTS * self.gate_s

    @property
    def gate_s(self) -> float:
        """How long the current is looked at for one reading."""
        return self.nplc / self.line_hz * (self.average if self.filter else 1)

    def take(self, start_s: float) -> float | None:
        """The reading that began at start_s and is over; None, and the range is another one, if it has to be repeated.
        The range's number of steps is what the next one is late by."""
        current_a = 0.0 if self.zero_check else self.door.current_a(start_s, self.gate_s)
        if self.auto and not self.zero_check and (fit := self._ranged(abs(current_a))) != self.range_a:
            self.range_a = fit
            return None
        noise = self.noise_a * self.range_a / RANGES_A[0] / math.sqrt(min(self.nplc, 1.0))
        current_a += self.offset_a + noise * self._chance.stream("picoammeter", self._readings).standard_normal()
        self._readings += 1
        return current_a

    def keep(self, current_a: float) -> None:
        """A reading is done: what it shows, and the status that goes with it."""
        overflow = abs(current_a) > OVER_RANGE * self.range_a
        shown_a = OVERFLOW if overflow else current_a - (self.zero_a if self.zero_correct else 0.0) - self.null_a
        bits = (
            overflow + FILTER * self.filter + MATH * self.math + NULL * (self.null_a != 0.0)
            + LIMITS * math.isfinite(self.limit_a) + LIMIT_1 * (abs(shown_a) > self.limit_a)
            + OVERVOLTAGE * self.overvoltage + ZERO_CHECK * self.zero_check + ZERO_CORRECT * self.zero_correct
        )  # fmt: skip
        self.last.append((shown_a, bits, (self.clock.now_s() - self._zero_s) % CLOCK_WRAPS_S))

    def shown(self) -> str:
        return ",".join(self._shown(*reading) for reading in self.last)

    def _shown(self, current_a: float, bits: int, at_s: float) -> str:
        source_v = (SOURCE_LIMITED_V if self.source_limited else self.volts) if self.source_on else 0.0
        unit = "A" if "UNIT" in self.elements else ""
        parts = {"READ": f"{current_a:+.6E}{unit}", "TIME": f"{at_s:+.6E}", "STAT": f"{bits:+.6E}",
                 "VSO": f"{source_v:+.6E}"}  # fmt: skip
        return ",".join(parts[name] for name in self.elements if name in parts)

    def _ranged(self, current_a: float) -> float:
        """Up at 105 % of a range, down at the next lower one's value."""
        if current_a > OVER_RANGE * self.range_a:
            return self._fitting(current_a)
        below = [value for value in RANGES_A if value < self.range_a and current_a < value]
        return below[0] if below else self.range_a

    # inside

    def _fitting(self, current_a: float) -> float:
        return next((value for value in RANGES_A if current_a <= OVER_RANGE * value), RANGES_A[-1])

    def _only_6487(self) -> None:
        if self.model != "6487":
            raise _Offence(-113)

    def _number(self, text: str, lower: float, upper: float) -> float:
        if NUMBER.fullmatch(text.strip()) is None:
            raise _Offence(-224)
        if not lower <= float(text) <= upper:
            raise _Offence(-222)
        return float(text)

    def _on(self, text: str) -> bool:
        if text.upper() not in ("0", "1", "ON", "OFF"):
            raise _Offence(-224)
        return text.upper() in ("1", "ON")
