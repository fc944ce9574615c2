"""The interlock box of README.md's map: Modbus TCP frames in, frames out, and the hutch behind one narrow door.

It takes every write and does what its switches allow: an effect may be refused, and a fault bit set.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from rocksalt.time import Clock

SHUTTER, RESET, PERMIT, LAMP = range(4)
HEARTBEAT, WATCHDOG_MS, MAX_OPEN_S = range(3)
SAFE, READY, EXPOSING, FAULT = range(4)
(DOOR_CHANNELS, DOOR_OPEN, ESTOP, SEARCH, SWITCHES, COOLING, DARK, WATCHDOG, REFUSED, TOO_LONG) = (
    1 << bit for bit in range(10)
)
CONDITIONS = DOOR_OPEN | ESTOP | SEARCH | COOLING | DARK
LATCHED = DOOR_CHANNELS | SWITCHES | TOO_LONG
DOORS_AGREE_WITHIN_S = 0.5
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
DISCRETE, COILS, INPUTS, HOLDINGS = 8, 4, 6, 3
MBAP = struct.Struct(">HHHB")
LONGEST_FRAME = 260


class EnclosureDoor(Protocol):
    """What the box feels of the hutch. Times in experiment seconds."""

    def request_shutter(self, at_s: float, open: bool) -> None: ...

    def shutter_open(self, at_s: float) -> bool: ...

    def shutter_switches(self, at_s: float) -> tuple[bool, bool]: ...

    def door_closed(self, at_s: float) -> bool: ...

    def permit(self, at_s: float, on: bool) -> None: ...


class _Exception(Exception):
    """A Modbus exception response; its argument is the code."""


class InterlockSimulator:
    """Options: unit (1), watchdog_ms (2000), travel_s (1, experiment time), chamber_k (295).

    Attributes that a test or a fault may turn: emergency_ok, searched, cooled, lamp_ok, door_b (None: as door A).
    The watchdog and the longest opening run on the box's own time, which is wire time.
    """

    stands_at: ClassVar[str] = "enclosure"

    def __init__(self, door: EnclosureDoor, clock: Clock, *, options: Mapping[str, Any] | None = None) -> None:
        options = options or {}
        self.door, self.clock = door, clock
        self.unit = int(options.get("unit", 1))
        self.travel_s = float(options.get("travel_s", 1.0))
        self.chamber_k = float(options.get("chamber_k", 295.0))
        self.emergency_ok = self.searched = self.cooled = self.lamp_ok = True
        self.door_b: bool | None = None
        self.coils = [False] * COILS
        self._factory = (0, int(options.get("watchdog_ms", 2000)), 0)
        self.holdings = list(self._factory)
        self.cycles = 0
        self.faults = 0
        self._started_s = self._beat_s = self._raised_s = self._opened_s = self._wire_s()
        self._odd_since_s: dict[int, float] = {}
        self._alarm: asyncio.TimerHandle | None = None

    def accept(self, send: Callable[[bytes], None]) -> InterlockSession:
        """A new client; any number may be there."""
        return InterlockSession(self, send)

    def power_cycle(self) -> None:
        """Off and on: relays fall, registers are as the factory left them, no fault is remembered."""
        now_s = self.clock.now_s()
        self.coils, self.holdings = [False] * COILS, list(self._factory)
        self.faults = self.cycles = 0
        self._odd_since_s.clear()
        self.door.request_shutter(now_s, False)
        self.door.permit(now_s, False)
        self._started_s = self._beat_s = self._raised_s = self._opened_s = self._wire_s()
        self._set_alarm(self._started_s)

    # what a fault on the wire must know of it

    def question(self, request: bytes) -> str:
        """A request in words: function and what follows it, in hexadecimal."""
        return request[MBAP.size :].hex(" ")

    def renewed(self, reply: bytes, request: bytes) -> bytes:
        """An old reply under a new request's transaction."""
        return request[:2] + reply[2:]

    def altered(self, reply: bytes, how: Callable[[float], float]) -> bytes:
        """The one quantity of the map, the chamber's temperature, changed. No number: every register reads 0xFFFF, as
        gateways answer for what they can't read."""
        head, registers = reply[: MBAP.size + 2], reply[MBAP.size + 2 :]
        if reply[MBAP.size] != 4 or len(registers) != 2 * INPUTS:
            return reply
        values = list(struct.unpack(f">{INPUTS}H", registers))
        chamber = how(values[4] / 10) * 10
        if not math.isfinite(chamber):
            values = [0xFFFF] * INPUTS
        else:
            values[4] = min(max(round(chamber), 0), 0xFFFF)
        return head + struct.pack(f">{INPUTS}H", *values)

    # one message

    def respond(self, function: int, body: bytes) -> bytes:
        """The answer to one message, function code first; exceptions are answers too."""
        self.look()
        try:
            answer = self._serve(function, body)
        except _Exception as refusal:
            return struct.pack(">BB", function | 0x80, refusal.args[0])
        self.look()
        return bytes([function]) + answer

    def _serve(self, function: int, body: bytes) -> bytes:
        if function not in (1, 2, 3, 4, 5, 6, 15, 16, 23):
            raise _Exception(ILLEGAL_FUNCTION)
        try:
            if function in (1, 2):
                first, count = struct.unpack(">HH", body)
                return _packed(_part(self.coils if function == 1 else self._discrete(), first, count))
            if function in (3, 4):
                first, count = struct.unpack(">HH", body)
                return _words(_part(self.holdings if function == 3 else self._inputs(), first, count))
            if function == 5:
                first, value = struct.unpack(">HH", body)
                if value not in (0, 0xFF00):
                    raise _Exception(ILLEGAL_VALUE)
                self._write_coils(first, [value == 0xFF00])
                return body
            if function == 6:
                first, value = struct.unpack(">HH", body)
                self._write_holdings(first, [value])
                return body
            if function == 15:
                first, count, size = struct.unpack(">HHB", body[:5])
                if not count or size != (count + 7) // 8 or len(body) != 5 + size:
                    raise _Exception(ILLEGAL_VALUE)
                self._write_coils(first, [bool(body[5 + at // 8] >> at % 8 & 1) for at in range(count)])
                return body[:4]
            if function == 16:
                first, count, size = struct.unpack(">HHB", body[:5])
                self._write_holdings(first, _values(count, size, body[5:]))
                return body[:4]
            first, count, write_first, write_count, size = struct.unpack(">HHHHB", body[:9])
            _part(self.holdings, first, count)
            self._write_holdings(write_first, _values(write_count, size, body[9:]))
            return _words(_part(self.holdings, first, count))
        except struct.error:
            raise _Exception(ILLEGAL_VALUE) from None

    # the map

    def _discrete(self) -> list[bool]:
        door_a, door_b = self._doors()
        is_open, is_closed = self.door.shutter_switches(self.clock.now_s())
        lamp = self.coils[LAMP] and self.lamp_ok
        return [door_a, door_b, self.emergency_ok, self.searched, is_open, is_closed, self.cooled, lamp]

    def _inputs(self) -> list[int]:
        uptime_s = int(self._wire_s() - self._started_s)
        low, high = self.cycles & 0xFFFF, self.cycles >> 16 & 0xFFFF
        return [self._state(), self.faults, low, high, round(self.chamber_k * 10), uptime_s & 0xFFFF]

    def _state(self) -> int:
        if self.faults & ~DOOR_OPEN:
            return FAULT
        if not self.door.shutter_switches(self.clock.now_s())[1]:
            return EXPOSING
        return READY if self.coils[PERMIT] else SAFE

    def _doors(self) -> tuple[bool, bool]:
        closed = self.door.door_closed(self.clock.now_s())
        return closed, closed if self.door_b is None else self.door_b

    def _write_coils(self, first: int, bits: list[bool]) -> None:
        """Take the write, then do what the chain allows of it: lamp, permit, shutter, in this order."""
        _part(self.coils, first, len(bits))
        asked: dict[int, bool] = dict(enumerate(bits, first))
        if asked.get(RESET):
            self.faults &= ~LATCHED
            self._odd_since_s.clear()
        self.coils[LAMP] = asked.get(LAMP, self.coils[LAMP])
        self._see(self.clock.now_s())
        if (asked.get(PERMIT) or asked.get(SHUTTER)) and not (self.coils[PERMIT] or self.coils[SHUTTER]):
            self._raised_s = self._wire_s()
        if PERMIT in asked:
            self._permit(asked[PERMIT])
        if SHUTTER in asked:
            self._shutter(asked[SHUTTER])

    def _permit(self, on: bool) -> None:
        if on and self.faults & ~REFUSED:
            self.faults |= REFUSED
            return
        self.coils[PERMIT] = on
        self.door.permit(self.clock.now_s(), on)

    def _shutter(self, open: bool) -> None:
        if not open:
            self.faults &= ~REFUSED
        elif self.faults or not (self.coils[PERMIT] and self.coils[LAMP]):
            self.faults |= REFUSED
            return
        elif not self.coils[SHUTTER]:
            self.cycles += 1
            self._opened_s = self._wire_s()
        self.coils[SHUTTER] = open
        self.door.request_shutter(self.clock.now_s(), open)

    def _write_holdings(self, first: int, values: list[int]) -> None:
        _part(self.holdings, first, len(values))
        for at, value in enumerate(values, first):
            if at == HEARTBEAT and value != self.holdings[HEARTBEAT]:
                self._beat_s = self._wire_s()
                self.faults &= ~WATCHDOG
            self.holdings[at] = value

    # what the relays do by themselves

    def look(self) -> None:
        """See what has happened since the last look, act on it, and know when to look again."""
        now_s, wire_s = self.clock.now_s(), self._wire_s()
        self._see(now_s)
        due = [(bit, at_s) for bit, at_s in self._deadlines() if at_s <= wire_s]
        for bit, _ in due:
            self.faults |= bit
        if self.faults & ~REFUSED and (self.coils[SHUTTER] or self.coils[PERMIT]):
            self.coils[SHUTTER] = self.coils[PERMIT] = False
            self.door.request_shutter(now_s, False)
            self.door.permit(now_s, False)
        self._set_alarm(wire_s)

    def _see(self, now_s: float) -> None:
        door_a, door_b = self._doors()
        lit = self.lamp_ok or not self.coils[LAMP]
        self.faults &= ~CONDITIONS
        for sound, bit in ((door_a and door_b, DOOR_OPEN), (self.emergency_ok, ESTOP), (self.searched, SEARCH),
                           (self.cooled, COOLING), (lit, DARK)):  # fmt: skip
            if not sound:
                self.faults |= bit
        is_open, is_closed = self.door.shutter_switches(now_s)
        for odd, bit in ((door_a != door_b, DOOR_CHANNELS), (is_open == is_closed, SWITCHES)):
            if odd:
                self._odd_since_s.setdefault(bit, self._wire_s())
            else:
                self._odd_since_s.pop(bit, None)

    def _deadlines(self) -> list[tuple[int, float]]:
        """Which fault comes at which wire time, if nothing changes."""
        patience_s = {DOOR_CHANNELS: DOORS_AGREE_WITHIN_S, SWITCHES: self.travel_s / self.clock.speed}
        found = [(bit, since_s + patience_s[bit]) for bit, since_s in self._odd_since_s.items()]
        if self.holdings[WATCHDOG_MS] and (self.coils[SHUTTER] or self.coils[PERMIT]):
            found.append((WATCHDOG, max(self._beat_s, self._raised_s) + self.holdings[WATCHDOG_MS] / 1000))
        if self.holdings[MAX_OPEN_S] and self.coils[SHUTTER]:
            found.append((TOO_LONG, self._opened_s + self.holdings[MAX_OPEN_S]))
        return [(bit, at_s) for bit, at_s in found if not self.faults & bit]

    def _set_alarm(self, wire_s: float) -> None:
        """A relay needs nobody to ask it: it falls when its time has come. The timer belongs to no client."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if waiting := [at_s for _, at_s in self._deadlines()]:
            loop = asyncio.get_running_loop()
            delay_s = max(min(waiting) - wire_s, 0.0) + 1e-6
            self._alarm = loop.call_later(delay_s, self.look, context=contextvars.Context())

    def _wire_s(self) -> float:
        return self.clock.now_s() / self.clock.speed


class InterlockSession:
    """One client's conversation: gathers bytes into frames, answers each."""

    def __init__(self, box: InterlockSimulator, send: Callable[[bytes], None]) -> None:
        self._box, self._send = box, send
        self._buffer = bytearray()

    def receive(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= MBAP.size:
            transaction, protocol, length, unit = MBAP.unpack_from(self._buffer)
            if protocol != 0 or not 2 <= length <= LONGEST_FRAME - 6:
                self._buffer.clear()  # not Modbus: there is no telling where the next frame would begin
                return
            if len(self._buffer) < 6 + length:
                return
            message = bytes(self._buffer[MBAP.size : 6 + length])
            del self._buffer[: 6 + length]
            if unit == self._box.unit:
                answer = self._box.respond(message[0], message[1:])
                self._send(MBAP.pack(transaction, 0, len(answer) + 1, unit) + answer)

    def closed(self) -> None:
        self._buffer.clear()


def _part(values: list[Any], first: int, count: int) -> list[Any]:
    if not count:
        raise _Exception(ILLEGAL_VALUE)
    if first + count > len(values):
        raise _Exception(ILLEGAL_ADDRESS)
    return values[first : first + count]


def _packed(bits: list[bool]) -> bytes:
    """Bits lowest first, eight a byte, after their byte count."""
    packed = bytearray((len(bits) + 7) // 8)
    for at, bit in enumerate(bits):
        packed[at // 8] |= bit << at % 8
    return bytes([len(packed)]) + bytes(packed)


def _words(values: list[int]) -> bytes:
    return struct.pack(f">B{len(values)}H", 2 * len(values), *values)


def _values(count: int, size: int, raw: bytes) -> list[int]:
    if not count or size != 2 * count or len(raw) != size:
        raise _Exception(ILLEGAL_VALUE)
    return list(struct.unpack(f">{count}H", raw))
