"""A Spellman generator as its manual and its clients know it: frames in, frames out, the tube behind one narrow door.

Four families, each with its own meaning of the numbers. Faults latch until they are cleared; the watchdog runs on the
box's own time, which is wire time.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from rocksalt.time import Clock

STEPS = 4095
OVER_RANGE = 1.2
OUT_OF_RANGE, UNKNOWN = "1", "2"
RECEIVED_BADLY = "1"
DONE = "$"
LONGEST_FRAME = 1024
ARC, WATCHDOG, OVER_POWER = 11, 21, 23
"""Places among the 27 fault flags."""
FAULT_FLAGS, STATUS_FLAGS = 27, 17

Answer = str | list[Any]
Table = dict[str, tuple[int, int, Callable[..., Answer]]]
"""Number -> fewest and most arguments, and what it does."""


class TubeDoor(Protocol):
    """What the generator feels of its tube. Times in experiment seconds."""

    @property
    def ratings(self) -> tuple[float, float, float]: ...

    def set_kv(self, at_s: float, kv: float) -> None: ...

    def set_ma(self, at_s: float, ma: float) -> None: ...

    def high_voltage(self, at_s: float, on: bool) -> bool: ...

    def is_on(self, at_s: float) -> bool: ...

    def imminent(self, at_s: float) -> bool: ...

    def kv(self, at_s: float) -> float: ...

    def ma(self, at_s: float) -> float: ...

    def setpoints(self, at_s: float) -> tuple[float, float]: ...

    def interlock_closed(self, at_s: float) -> bool: ...

    def fault(self, at_s: float) -> str: ...

    def clear_faults(self, at_s: float) -> None: ...


class _Error(Exception):
    """An error reply; its argument is the number."""


class SpellmanSimulator:
    """Options: model ("xrv", "ux", "xrb", "sl"); port ("serial": frames need their checksum; "tcp": none has one;
    "auto": as the client does); name, local, watchdog_s: how it was left; one_client.

    Attributes that a test may turn: `latched` (places of fault flags), `obeys` (whether 98 and 99 do anything).
    """

    stands_at: ClassVar[str] = "tube"

    def __init__(self, door: TubeDoor, clock: Clock, *, options: Mapping[str, Any] | None = None) -> None:
        options = options or {}
        self.door, self.clock = door, clock
        self.model = str(options.get("model", "xrv"))
        self.port = str(options.get("port", "auto"))
        self.name = str(options.get("name", {"xrv": "XRV160", "ux": "UX50", "xrb": "XRB160", "sl": "SL60"}[self.model]))
        self._one_client, self._clients = bool(options.get("one_client", False)), 0
        self.local = bool(options.get("local", False))
        self.obeys = True
        kv, ma, _ = door.ratings
        self._at_birth = int(options.get("watchdog_s", 5 if self.model == "xrb" else 0))
        # Configuration's 12 fields in the order of command 27; what has no name in the notes is 0.
        self.config = ["0", "105", "8000", "8000", "5", "4", "0", "300", "0", f"{kv:g}", f"{ma:g}", str(self._at_birth)]
        self.latched: set[int] = set()
        self.tripped = False
        """An interlock took the voltage away: it needs a reset and a new command."""
        self.words = {"12": 2048, "13": 1024, "32": 1, "70": 1}
        self.power_w = ["3000", "1800"]
        self._mode = 1
        self._commanded = door.is_on(clock.now_s())
        self._hours_from_s = clock.now_s()
        self._lit_s = 0.0
        self._heard_s = self._wire_s()
        self._alarm: asyncio.TimerHandle | None = None
        self.table = self._tables()[self.model]

    def accept(self, send: Callable[[bytes], None]) -> SpellmanSession:
        """A new client. Raises ConnectionRefusedError where one is there and no more are taken."""
        if self._one_client and self._clients:
            raise ConnectionRefusedError(111, "Connection refused")
        self._clients += 1
        return SpellmanSession(self, send)

    def left(self) -> None:
        self._clients -= 1

    def power_cycle(self) -> None:
        """Off and on: no voltage, no set-points, no memory of faults; the configuration is kept."""
        now_s = self.clock.now_s()
        self.door.high_voltage(now_s, False)
        self.door.clear_faults(now_s)
        self.door.set_kv(now_s, 0.0)
        self.door.set_ma(now_s, 0.0)
        self.latched.clear()
        self.tripped = self._commanded = self.local = False
        if self.model == "xrb":
            self.config[11] = str(self._at_birth)

    # what a fault on the wire must know of it

    def question(self, request: bytes) -> str:
        """A request in words: number and arguments."""
        return request.strip(b"\x02\x03").rpartition(b",")[0].decode("ascii", "replace")

    def renewed(self, reply: bytes, request: bytes) -> bytes:
        """An old reply: frames carry nothing that ties them to one request."""
        return reply

    def altered(self, reply: bytes, how: Callable[[float], float]) -> bytes:
        """The monitors' kV and mA changed. No number leaves its field empty; too large is the converter's end."""
        inside = reply.strip(b"\x02\x03")
        checked = not inside.endswith(b",")
        fields = inside.rpartition(b",")[0].decode("ascii").split(",")
        places = {("xrv", "19"): (1, 2), ("ux", "20"): (3, 4), ("sl", "20"): (1, 2), ("xrb", "60"): (1,),
                  ("xrb", "61"): (1,)}.get((self.model, fields[0]), ())  # fmt: skip
        for at, full in zip(places, self.door.ratings, strict=False):
            value = how(int(fields[at]) * OVER_RANGE * full / STEPS)
            fields[at] = "" if math.isnan(value) else str(_counts(value, OVER_RANGE * full))
        return framed(fields, checked) if places else reply

    # one message

    def respond(self, command: str, arguments: list[str]) -> list[str]:
        """The reply's fields to one command, its number first."""
        self.look()
        self._heard_s = self._wire_s()
        try:
            if command not in self.table:
                raise _Error(UNKNOWN)
            least, most, handler = self.table[command]
            if not least <= len(arguments) <= most:
                raise _Error(OUT_OF_RANGE)
            answer = handler(*arguments)
        except _Error as error:
            answer = error.args[0]
        self.look()
        return [command, *([answer] if isinstance(answer, str) else [str(field) for field in answer])]

    def _tables(self) -> dict[str, Table]:
        """Written from the notes, family by family."""
        common: Table = {
            "10": (1, 1, lambda counts: self._program(counts, kv=True)),
            "11": (1, 1, lambda counts: self._program(counts, kv=False)),
            "14": (0, 0, lambda: [_counts(self._setpoints()[0], self.door.ratings[0])]),
            "15": (0, 0, lambda: [_counts(self._setpoints()[1], self.door.ratings[1])]),
            "23": (0, 0, lambda: ["SWM0123-001"]),
            "26": (0, 0, lambda: [self.name]),
        }
        tube: Table = {
            "12": (1, 1, lambda counts: self._keep("12", counts)),
            "13": (1, 1, lambda counts: self._keep("13", counts)),
            "16": (0, 0, lambda: [self.words["12"]]),
            "17": (0, 0, lambda: [self.words["13"]]),
            "21": (0, 0, lambda: [f"{self._hours():.1f}"]),
            "28": (0, 0, lambda: [f"{self.door.ratings[0]:g}", f"{self.door.ratings[1]:g}", 0]),
            "30": (0, 0, self._reset_hours),
        }
        return {
            "xrv": {
                **common, **tube,
                "07": (1, 1, lambda rate: self._within(rate, 1, 5)),
                "09": (12, 12, self._configure),
                "19": (0, 0, lambda: [*self._measured(), self._filament(), 0, 0, 0, 0, self._measured()[1]]),
                "22": (0, 0, self._status17),
                "27": (0, 0, lambda: list(self.config)),
                "31": (0, 0, self._clear),
                "32": (1, 1, lambda flag: self._flag("32", flag)),
                "38": (0, 0, lambda: list(self.power_w)),
                "43": (0, 0, lambda: ["FPGA0045-002"]),
                "60": (0, 0, lambda: [self._measured()[0]]),
                "61": (0, 0, lambda: [self._measured()[1]]),
                "68": (0, 0, lambda: [int(at in self._faults()) for at in range(FAULT_FLAGS)]),
                "70": (1, 1, lambda flag: self._flag("70", flag)),
                "97": (2, 2, self._limit_power),
                "98": (1, 1, self._switch),
                "99": (1, 1, self._take_control),
            },
            "ux": {
                **common, **tube,
                "20": (0, 0, lambda: [1365, 2400, *self._measured(), self._filament(), self._filament(), 1365]),
                "22": (0, 0, self._status3),
                "74": (0, 0, self._clear),
                "99": (1, 1, self._switch),
            },
            "xrb": {
                **common,
                "22": (0, 0, self._status3),
                "27": (0, 0, lambda: DONE),
                "28": (1, 1, self._set_watchdog),
                "60": (0, 0, lambda: [self._measured()[0]]),
                "61": (0, 0, lambda: [self._measured()[1]]),
                "74": (0, 0, self._clear),
                "98": (1, 1, self._switch),
            },
            "sl": {
                **common,
                "20": (0, 0, lambda: [*self._measured(), 0, 0]),
                "22": (0, 0, lambda: [int(self._on())]),
                "32": (0, 0, self._status11),
                "52": (0, 0, self._clear),
                "69": (0, 0, lambda: [self._mode]),
                "98": (0, 0, lambda: self._switch("0")),
                "99": (0, 0, lambda: self._switch("1")),
            },
        }  # fmt: skip

    # what the commands do

    def _program(self, counts: str, *, kv: bool) -> str:
        full = self.door.ratings[0 if kv else 1]
        value = self._whole(counts, STEPS) * full / STEPS
        if self.local:
            raise _Error(OUT_OF_RANGE)
        (self.door.set_kv if kv else self.door.set_ma)(self.clock.now_s(), value)
        return DONE

    def _switch(self, flag: str) -> str:
        on = bool(self._whole(flag, 1))
        now_s = self.clock.now_s()
        if on and (self.local or self._fault() or not self.door.interlock_closed(now_s)):
            raise _Error(OUT_OF_RANGE)
        if not self.obeys:
            return DONE
        if on and not self._commanded:
            self._hours_from_s = now_s
        obeyed = self.door.high_voltage(now_s, on)
        if not on:
            self._count_hours(now_s)
        self._commanded = on and obeyed
        if not obeyed:
            raise _Error(OUT_OF_RANGE)
        return DONE

    def _clear(self) -> str:
        self.door.clear_faults(self.clock.now_s())
        self.latched.clear()
        self.tripped = False
        return DONE

    def _configure(self, *fields: str) -> str:
        for text in fields:
            self._whole(text, 10**6)
        kv, ma, _ = self.door.ratings
        if int(fields[9]) > kv or int(fields[10]) > ma:
            raise _Error(OUT_OF_RANGE)
        self.config = list(fields)
        return DONE

    def _set_watchdog(self, seconds: str) -> str:
        self.config[11] = str(self._whole(seconds, 10))
        return DONE

    def _take_control(self, flag: str) -> str:
        self.local = not self._whole(flag, 1)
        return DONE

    def _keep(self, number: str, counts: str) -> str:
        self.words[number] = self._whole(counts, STEPS)
        return DONE

    def _flag(self, number: str, flag: str) -> str:
        self.words[number] = self._whole(flag, 1)
        return DONE

    def _limit_power(self, large: str, small: str) -> str:
        most = round(1000 * self.door.ratings[2])
        self.power_w = [str(self._whole(watt, most)) for watt in (large, small)]
        return DONE

    def _reset_hours(self) -> str:
        self._lit_s, self._hours_from_s = 0.0, self.clock.now_s()
        return DONE

    def _within(self, text: str, least: int, most: int) -> str:
        if self._whole(text, most) < least:
            raise _Error(OUT_OF_RANGE)
        return DONE

    def _whole(self, text: str, most: int) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 7 and int(text) <= most):
            raise _Error(OUT_OF_RANGE)
        return int(text)

    # what it shows

    def _status17(self) -> Answer:
        closed, flags = self.door.interlock_closed(self.clock.now_s()), [0] * STATUS_FLAGS
        flags[0] = self._on()
        flags[1] = flags[2] = flags[16] = int(closed)
        flags[4] = int(bool(self._fault()))
        flags[5] = int(self.local)
        flags[6] = self.words["70"]
        flags[7] = flags[9] = self.words["32"]
        flags[8] = int(self.door.imminent(self.clock.now_s()))
        flags[10] = 1 - self.words["32"]
        flags[15] = int(closed and not self._fault())
        return flags

    def _status3(self) -> Answer:
        return [self._on(), int(self.door.interlock_closed(self.clock.now_s())), int(bool(self._fault()))]

    def _status11(self) -> Answer:
        flags = [0] * 11
        flags[0] = int(self.door.interlock_closed(self.clock.now_s()))
        faults = self._faults()
        flags[4], flags[6], flags[9] = int(OVER_POWER in faults), int(ARC in faults), int(self.tripped)
        flags[10] = int(not self.local)
        return flags

    def _on(self) -> int:
        """High voltage is on once the warning is over."""
        now_s = self.clock.now_s()
        return int(self.door.is_on(now_s) and not self.door.imminent(now_s))

    def _measured(self) -> tuple[int, int]:
        now_s, (kv, ma, _) = self.clock.now_s(), self.door.ratings
        return _counts(self.door.kv(now_s), OVER_RANGE * kv), _counts(self.door.ma(now_s), OVER_RANGE * ma)

    def _filament(self) -> int:
        """The filament's current: at its preheat, and towards its limit as the tube's current asks for more."""
        preheat, limit = self.words["13"], self.words["12"]
        share = self.door.ma(self.clock.now_s()) / self.door.ratings[1]
        return round(preheat + (limit - preheat) * math.pow(max(share, 0.0), 0.2))

    def _setpoints(self) -> tuple[float, float]:
        return self.door.setpoints(self.clock.now_s())

    def _faults(self) -> set[int]:
        word = self.door.fault(self.clock.now_s())
        return self.latched | {place for name, place in (("arc", ARC), ("over-power", OVER_POWER)) if name == word}

    def _fault(self) -> bool:
        return bool(self._faults()) or self.tripped

    def _hours(self) -> float:
        self._count_hours(self.clock.now_s())
        return self._lit_s / 3600.0

    def _count_hours(self, now_s: float) -> None:
        if self._commanded:
            self._lit_s += now_s - self._hours_from_s
        self._hours_from_s = now_s

    # what it does by itself

    def look(self) -> None:
        """See what has happened since the last look: an interlock, an arc, a watchdog; know when to look again."""
        now_s = self.clock.now_s()
        if self._commanded and not self.door.is_on(now_s):
            self._count_hours(now_s)
            self._commanded = False
            self.tripped = self.tripped or not self.door.fault(now_s)
        if self.door.is_on(now_s) and not self._commanded:
            self._commanded, self._hours_from_s = True, now_s
        if self._commanded and self._fault():
            self._shut(now_s)
        limit_s = int(self.config[11])
        if self._commanded and limit_s and self._wire_s() >= self._heard_s + limit_s:
            self.latched.add(WATCHDOG)
            self._shut(now_s)
        self._set_alarm(limit_s)

    def _shut(self, now_s: float) -> None:
        self._count_hours(now_s)
        self._commanded = False
        self.door.high_voltage(now_s, False)

    def _set_alarm(self, limit_s: int) -> None:
        """The watchdog needs nobody to ask it. The timer belongs to no client."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._commanded and limit_s:
            delay_s = max(self._heard_s + limit_s - self._wire_s(), 0.0) + 1e-6
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(delay_s, self.look, context=contextvars.Context())

    def _wire_s(self) -> float:
        return self.clock.now_s() / self.clock.speed


class SpellmanSession:
    """One client's conversation: gathers bytes into frames, answers each. What stands outside a frame is nothing."""

    def __init__(self, box: SpellmanSimulator, send: Callable[[bytes], None]) -> None:
        self._box, self._send = box, send
        self._frame: bytearray | None = None

    def receive(self, data: bytes) -> None:
        for byte in data:
            if byte == 2:
                self._frame = bytearray()
            elif byte == 3 and self._frame is not None:
                frame, self._frame = bytes(self._frame), None
                self._answer(frame)
            elif self._frame is not None:
                self._frame.append(byte)
                if len(self._frame) > LONGEST_FRAME:
                    self._frame = None

    def _answer(self, frame: bytes) -> None:
        checked = self._box.port == "serial" or (self._box.port == "auto" and not frame.endswith(b","))
        text = frame[:-1] if checked else frame
        sound = text.endswith(b",") and text.isascii() and (not checked or frame[-1] == _check(text))
        fields = text.decode("ascii", "replace").split(",")[:-1]
        if not sound:
            number = fields[0] if fields and fields[0].isdigit() else "0"
            if checked:
                self._send(framed([number, RECEIVED_BADLY], checked))
            return
        self._send(framed(self._box.respond(fields[0], fields[1:]), checked))

    def closed(self) -> None:
        self._frame = None
        self._box.left()


def framed(fields: list[str], checked: bool) -> bytes:
    """STX, the fields with a comma after each, the check byte of a serial line, ETX."""
    text = "".join(field + "," for field in fields).encode("ascii")
    return b"\x02" + text + (bytes([_check(text)]) if checked else b"") + b"\x03"


def _check(text: bytes) -> int:
    """256 minus the sum, its low seven bits, with bit 6 set."""
    return (0x100 - sum(text) % 0x100) % 0x80 | 0x40


def _counts(value: float, full: float) -> int:
    if not value < full:
        return STEPS
    return max(round(value / full * STEPS), 0)
