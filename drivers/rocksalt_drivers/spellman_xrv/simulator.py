"""A Spellman generator as its manual and its clients know it: frames in, frames out, the tube behind one narrow door.

Four families, each with its own meaning of the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from rocksalt.time import Clock
from rocksalt_drivers.spellman_xrv.simulator_frames import FrameSession, framed
from rocksalt_drivers.spellman_xrv.simulator_generator import ARC, OVER_POWER, GeneratorBox, TubeDoor, Unwilling

STEPS = 4095
OVER_RANGE = 1.2
OUT_OF_RANGE, UNKNOWN = "1", "2"
DONE = "$"
FAULT_FLAGS, STATUS_FLAGS = 27, 17

Answer = str | list[Any]
Table = dict[str, tuple[int, int, Callable[..., Answer]]]
"""Number -> fewest and most arguments, and what it does."""


class _Error(Exception):
    """An error reply; its argument is the number."""


class SpellmanSimulator(GeneratorBox):
    """Options: model ("xrv", "ux", "xrb", "sl"); port ("serial": frames need their checksum; "tcp": none has one;
    "auto": as the client does); name; local, left_watchdog_s: how it was left; one_client.
    """

    stands_at: ClassVar[str] = "tube"

    def __init__(self, door: TubeDoor, clock: Clock, *, options: Mapping[str, Any] | None = None) -> None:
        options = options or {}
        self.model = str(options.get("model", "xrv"))
        self._left_watchdog_s = int(options.get("left_watchdog_s", 5 if self.model == "xrb" else 0))
        super().__init__(door, clock, watchdog_s=self._left_watchdog_s, local=bool(options.get("local", False)))
        self.port = str(options.get("port", "auto"))
        self.name = str(options.get("name", {"xrv": "XRV160", "ux": "UX50", "xrb": "XRB160", "sl": "SL60"}[self.model]))
        self._one_client, self._clients = bool(options.get("one_client", False)), 0
        kv, ma, kw = door.ratings
        # Command 27's first 11 fields (the watchdog is the 12th); what has no name in the notes is 0.
        self.config = ["0", "105", "8000", "8000", "5", "4", "0", "300", "0", f"{kv:g}", f"{ma:g}"]
        self.words = {"12": 2048, "13": 1024, "32": 1, "70": 1}
        self.power_w = [f"{1000 * kw:.0f}", f"{600 * kw:.0f}"]
        self._mode = 1
        self.table = self._tables()[self.model]

    def accept(self, send: Callable[[bytes], None]) -> FrameSession:
        """A new client. Raises ConnectionRefusedError where one is there and no more are taken."""
        if self._one_client and self._clients:
            raise ConnectionRefusedError(111, "Connection refused")
        self._clients += 1
        return FrameSession(self, send)

    def left(self) -> None:
        self._clients -= 1

    def power_cycle(self) -> None:
        """Off and on; the configuration is kept, an XRB's watchdog is what it was at birth."""
        super().power_cycle()
        if self.model == "xrb":
            self.watchdog_s = self._left_watchdog_s

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
        kv, ma, _ = self.door.ratings
        full = {("xrv", "19"): {1: kv, 2: ma}, ("ux", "20"): {3: kv, 4: ma}, ("sl", "20"): {1: kv, 2: ma},
                ("xrb", "60"): {1: kv}, ("xrb", "61"): {1: ma}}.get((self.model, fields[0]), {})  # fmt: skip
        for at, at_most in full.items():
            value = how(int(fields[at]) * OVER_RANGE * at_most / STEPS)
            fields[at] = "" if math.isnan(value) else str(_counts(value, OVER_RANGE * at_most))
        return framed(fields, checked) if full else reply

    # one message

    def respond(self, command: str, arguments: list[str]) -> list[str]:
        """The reply's fields to one command, its number first."""
        self.look()
        self.heard()
        try:
            if command not in self.table:
                raise _Error(UNKNOWN)
            least, most, handler = self.table[command]
            if not least <= len(arguments) <= most:
                raise _Error(OUT_OF_RANGE)
            answer = handler(*arguments)
        except _Error as error:
            answer = error.args[0]
        except Unwilling:
            answer = OUT_OF_RANGE
        self.look()
        return [command, *([answer] if isinstance(answer, str) else [str(field) for field in answer])]

    def _tables(self) -> dict[str, Table]:
        """Written from the notes, family by family."""
        common: Table = {
            "10": (1, 1, lambda counts: self._program(counts, kv=True)),
            "11": (1, 1, lambda counts: self._program(counts, kv=False)),
            "14": (0, 0, lambda: [_counts(self.door.setpoints(self.clock.now_s())[0], self.door.ratings[0])]),
            "15": (0, 0, lambda: [_counts(self.door.setpoints(self.clock.now_s())[1], self.door.ratings[1])]),
            "23": (0, 0, lambda: ["SWM0123-001"]),
            "26": (0, 0, lambda: [self.name]),
        }
        tube: Table = {
            "12": (1, 1, lambda counts: self._keep("12", counts)),
            "13": (1, 1, lambda counts: self._keep("13", counts)),
            "16": (0, 0, lambda: [self.words["12"]]),
            "17": (0, 0, lambda: [self.words["13"]]),
            "21": (0, 0, lambda: [f"{self.hours():.1f}"]),
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
                "27": (0, 0, lambda: [*self.config, self.watchdog_s]),
                "31": (0, 0, self._clear),
                "32": (1, 1, lambda flag: self._flag("32", flag)),
                "38": (0, 0, lambda: list(self.power_w)),
                "43": (0, 0, lambda: ["FPGA0045-002"]),
                "60": (0, 0, lambda: [self._measured()[0]]),
                "61": (0, 0, lambda: [self._measured()[1]]),
                "68": (0, 0, lambda: [int(at in self.faults()) for at in range(FAULT_FLAGS)]),
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
        self.switch(bool(self._whole(flag, 1)))
        return DONE

    def _clear(self) -> str:
        self.clear()
        return DONE

    def _configure(self, *fields: str) -> str:
        for text in fields:
            self._whole(text, 10**6)
        kv, ma, _ = self.door.ratings
        if int(fields[9]) > kv or int(fields[10]) > ma:
            raise _Error(OUT_OF_RANGE)
        self.config, self.watchdog_s = list(fields[:11]), int(fields[11])
        return DONE

    def _set_watchdog(self, seconds: str) -> str:
        self.watchdog_s = self._whole(seconds, 10)
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
        self.reset_hours()
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
        flags[4] = int(bool(self.faulty()))
        flags[5] = int(self.local)
        flags[6] = self.words["70"]
        flags[7] = flags[9] = self.words["32"]
        flags[8] = int(self.door.imminent(self.clock.now_s()))
        flags[10] = 1 - self.words["32"]
        flags[15] = int(closed and not self.faulty())
        return flags

    def _status3(self) -> Answer:
        return [self._on(), int(self.door.interlock_closed(self.clock.now_s())), int(bool(self.faulty()))]

    def _status11(self) -> Answer:
        flags = [0] * 11
        flags[0] = int(self.door.interlock_closed(self.clock.now_s()))
        faults = self.faults()
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


def _counts(value: float, full: float) -> int:
    if not value < full:
        return STEPS
    return max(round(value / full * STEPS), 0)
