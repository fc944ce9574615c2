"""An Ocean HDX as its clients know it: binary messages in and out, light from the twin behind one narrow door.

It looks at the sample (with the line to its lamp's shutter) or at the ruby (with the line to its laser).
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rocksalt.time import Clock

HEAD_SIZE, TAIL_SIZE, INSIDE = 44, 20, 16
START, VERSION, FOOTER = b"\xc1\xc0", 0x1100, b"\xc5\xc4\xc3\xc2"
F_RESPONSE, F_ACK, F_WANTS_ACK, F_NACK = 1, 2, 4, 8
(BAD_PROTOCOL, UNKNOWN, BAD_CHECKSUM, TOO_LARGE, BAD_LENGTH, BAD_DATA, NOT_READY, BAD_CHECKSUM_TYPE) = range(1, 9)
LONGEST_REQUEST = 4096
SHORTEST_US, LONGEST_US = 6_000, 10_000_000
ZERO_C = 273.15
TEMPERATURE = 0x00420004


class LightSensor(Protocol):
    """What the electronics see. Times in experiment seconds."""

    @property
    def coefficients(self) -> tuple[float, ...]: ...

    def sensor_k(self, at_s: float) -> float: ...

    def expose(self, start_s: float, integration_s: float, averages: int = 1) -> NDArray[np.uint16]: ...


class _Nack(Exception):
    """A request that is refused; its argument is the error's number."""


class HdxSimulator:
    """Options: looks_at ("sample", "ruby"), serial_number, product (0x2003), free_running (True), thermometer, smooths
    (whether it knows averages and boxcar), lamp_burns, sample_inside, one_client, and how somebody left it: trigger,
    integration_us, averages, boxcar, light.

    free_running   exposures follow each other without a gap, and a request gets the one that is under way; otherwise
                   the exposure begins with the request
    """

    @staticmethod
    def stands_at(options: Mapping[str, Any]) -> str | tuple[str, ...]:
        """The ruby has a sensor and a laser behind one door, the sample a sensor and its lights behind two."""
        looks_at = str(options.get("looks_at", "sample"))
        if looks_at not in ("sample", "ruby"):
            raise ValueError(f'looks_at is "sample" or "ruby", not {looks_at!r}')
        return "ruby" if looks_at == "ruby" else ("spectrometer", "lights")

    def __init__(self, door: Any, clock: Clock, *, options: Mapping[str, Any] | None = None) -> None:
        options = options or {}
        both = isinstance(door, Mapping)
        self.sensor: Any = door["spectrometer"] if both else door
        self.lights: Any = door["lights"] if both else None
        self.clock = clock
        self.serial = str(options.get("serial_number", "HDX00042"))
        self.product = int(options.get("product", 0x2003))
        self.free_running = bool(options.get("free_running", True))
        self.thermometer = bool(options.get("thermometer", True))
        self.smooths = bool(options.get("smooths", True))
        self.one_client = bool(options.get("one_client", False))
        self.wavelength = tuple(self.sensor.coefficients)
        self.nonlinearity = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        self.trigger = int(options.get("trigger", 0))
        self.integration_us = int(options.get("integration_us", 10_000))
        self.averages = int(options.get("averages", 1))
        self.boxcar = int(options.get("boxcar", 0))
        self.lit = False
        self.exposures = 0
        self._sessions: list[HdxSession] = []
        self._running_since_s = clock.now_s()
        if self.lights is not None:
            self.lights.lamp(clock.now_s(), bool(options.get("lamp_burns", True)))
            self.lights.sample(clock.now_s(), bool(options.get("sample_inside", True)))
        if options.get("light", False):
            self._light(True)

    def accept(self, send: Callable[[bytes], None]) -> HdxSession:
        """A new client. Raises ConnectionRefusedError for a second one where it takes one only."""
        if self.one_client and self._sessions:
            raise ConnectionRefusedError(111, "one client only")
        session = HdxSession(self, send)
        self._sessions.append(session)
        return session

    def let_go(self, session: HdxSession) -> None:
        if session in self._sessions:
            self._sessions.remove(session)

    def power_cycle(self) -> None:
        """Off and on: every setting as it was made, the light off, nothing under way."""
        self.trigger, self.integration_us, self.averages, self.boxcar = 0, 10_000, 1, 0
        self._light(False)
        self._running_since_s = self.clock.now_s()
        for session in self._sessions:
            session.forget()

    # what a fault on the wire must know of it

    def question(self, request: bytes) -> str:
        """Message type and payload in hexadecimal."""
        return f"{int.from_bytes(request[8:12], 'little'):#010x} {request[24 : 24 + request[23]].hex()}".strip()

    def renewed(self, reply: bytes, request: bytes) -> bytes:
        """An old reply under the new request's number."""
        return reply[:12] + request[12:16] + reply[16:]

    def altered(self, reply: bytes, how: Callable[[float], float]) -> bytes:
        """The sensor's temperature changed; NaN and infinity are numbers of four bytes too."""
        if int.from_bytes(reply[8:12], "little") != TEMPERATURE or reply[23] != 4:
            return reply
        (celsius,) = struct.unpack_from("<f", reply, 24)
        return reply[:24] + struct.pack("<f", how(celsius)) + reply[28:]

    # one message

    def serve(self, kind: int, payload: bytes) -> bytes | float:
        """A reply's payload; a number is the experiment time at which a spectrum will be over."""
        if kind in self._settings():
            self._set(kind, payload)
            return b""
        if kind in (0x00180101, 0x00181101):
            row = self.wavelength if kind == 0x00180101 else self.nonlinearity
            if len(payload) != 1:
                raise _Nack(BAD_LENGTH)
            if payload[0] >= len(row):
                raise _Nack(BAD_DATA)
            return struct.pack("<f", row[payload[0]])
        if payload:
            raise _Nack(BAD_LENGTH)
        if kind in (0x00101000, 0x00101100):
            if self.trigger:
                return math.inf  # it waits for a trigger that nobody gives
            return self._ends_s()
        return self._fact(kind)

    def _fact(self, kind: int) -> bytes:
        if kind == 0x100:
            return self.serial.encode("ascii")
        if kind == 0x101:
            return bytes([len(self.serial)])
        if kind == 0xE00:
            return struct.pack("<H", 0x2457)
        if kind == 0xE01:
            return struct.pack("<H", self.product)
        if kind == 0x00180100:
            return bytes([len(self.wavelength)])
        if kind == 0x00181100:
            return bytes([len(self.nonlinearity)])
        if kind == TEMPERATURE and self.thermometer:
            return struct.pack("<f", self.sensor.sensor_k(self.clock.now_s()) - ZERO_C)
        raise _Nack(UNKNOWN)

    def _settings(self) -> Mapping[int, str]:
        """Message type -> how its payload is packed."""
        known = {0x00110010: "<I", 0x00110110: "<B", 0x00110410: "<B"}
        return {**known, 0x00120010: "<H", 0x00121010: "<B"} if self.smooths else known

    def _set(self, kind: int, payload: bytes) -> None:
        try:
            (value,) = struct.unpack(self._settings()[kind], payload)
        except struct.error:
            raise _Nack(BAD_LENGTH) from None
        if kind == 0x00110010:
            if not SHORTEST_US <= value <= LONGEST_US:
                raise _Nack(BAD_DATA)
            if value != self.integration_us:
                self._running_since_s = self.clock.now_s()
            self.integration_us = value
        elif kind == 0x00110110:
            if value not in (0, 1, 2, 255):
                raise _Nack(BAD_DATA)
            self.trigger = value
        elif kind == 0x00110410:
            if value > 1:
                raise _Nack(BAD_DATA)
            self._light(bool(value))
        elif kind == 0x00120010:
            if not 1 <= value <= 5000:
                raise _Nack(BAD_DATA)
            self.averages = value
        else:
            if value > 15:
                raise _Nack(BAD_DATA)
            self.boxcar = value

    def _light(self, on: bool) -> None:
        self.lit = on
        if self.lights is not None:
            self.lights.shutter(self.clock.now_s(), on)
        else:
            self.sensor.laser(self.clock.now_s(), on)

    def _whole_s(self) -> float:
        return self.integration_us * 1e-6 * self.averages

    def _ends_s(self) -> float:
        now_s, whole_s = self.clock.now_s(), self._whole_s()
        if not self.free_running:
            return now_s + whole_s
        gone = math.floor((now_s - self._running_since_s) / whole_s + 1e-9)
        return self._running_since_s + (gone + 1) * whole_s

    def spectrum(self, ended_s: float) -> bytes:
        """The exposure that ended then, light by light."""
        self.exposures += 1
        counts = self.sensor.expose(ended_s - self._whole_s(), self.integration_us * 1e-6, self.averages)
        if self.boxcar:
            width = 2 * self.boxcar + 1
            padded = np.pad(counts.astype(np.float64), self.boxcar, mode="edge")
            counts = np.rint(np.convolve(padded, np.full(width, 1.0 / width), "valid")).astype(np.uint16)
        return bytes(counts.astype("<u2").tobytes())


class HdxSession:
    """One client's conversation: gathers bytes into messages, answers each in turn, a spectrum when it is over."""

    def __init__(self, box: HdxSimulator, send: Callable[[bytes], None]) -> None:
        self._box, self._send = box, send
        self._buffer = bytearray()
        self._exposing: asyncio.TimerHandle | None = None
        self._waits = False

    def receive(self, data: bytes) -> None:
        self._buffer += data
        self._serve()

    def closed(self) -> None:
        self.forget()
        self._box.let_go(self)

    def forget(self) -> None:
        """What is under way is lost, and what was half heard."""
        if self._exposing is not None:
            self._exposing.cancel()
        self._exposing, self._waits = None, False
        self._buffer.clear()

    def _serve(self) -> None:
        while not self._waits and (message := self._message()) is not None:
            self._one(message)

    def _message(self) -> bytes | None:
        """The next whole message; what is none is thrown away byte by byte."""
        while len(self._buffer) >= HEAD_SIZE:
            remaining = int.from_bytes(self._buffer[40:44], "little")
            if self._buffer[:2] != START or remaining < TAIL_SIZE:
                del self._buffer[0]
                continue
            if remaining > LONGEST_REQUEST:
                head = bytes(self._buffer[:HEAD_SIZE])
                self._buffer.clear()  # there is no telling where the next one would begin
                self._reply(head, F_RESPONSE | F_NACK, TOO_LARGE, b"")
                return None
            if len(self._buffer) < HEAD_SIZE + remaining:
                return None
            message = bytes(self._buffer[: HEAD_SIZE + remaining])
            del self._buffer[: HEAD_SIZE + remaining]
            return message
        return None

    def _one(self, message: bytes) -> None:
        try:
            answer = self._box.serve(int.from_bytes(message[8:12], "little"), self._payload(message))
        except _Nack as refusal:
            self._reply(message, F_RESPONSE | F_NACK, refusal.args[0], b"")
            return
        if isinstance(answer, float):
            self._waits = True
            if answer < math.inf:
                clock = self._box.clock
                delay_s = max(answer - clock.now_s(), 0.0) / clock.speed
                self._exposing = asyncio.get_running_loop().call_later(delay_s, self._exposed, message, answer)
            return
        wants_ack = int.from_bytes(message[4:6], "little") & F_WANTS_ACK
        if answer or wants_ack:
            self._reply(message, (F_RESPONSE if answer else 0) | (F_ACK if wants_ack else 0), 0, answer)

    def _exposed(self, message: bytes, ended_s: float) -> None:
        self._exposing, self._waits = None, False
        self._reply(message, F_RESPONSE, 0, self._box.spectrum(ended_s))
        self._serve()

    def _payload(self, message: bytes) -> bytes:
        """What the request carries. Raises _Nack."""
        inside, outside = message[23], message[HEAD_SIZE:-TAIL_SIZE]
        if int.from_bytes(message[2:4], "little") != VERSION or message[-4:] != FOOTER:
            raise _Nack(BAD_PROTOCOL)
        if message[22] > 1:
            raise _Nack(BAD_CHECKSUM_TYPE)
        if message[22] == 1 and hashlib.md5(message[:-TAIL_SIZE], usedforsecurity=False).digest() != message[-20:-4]:
            raise _Nack(BAD_CHECKSUM)
        if inside > INSIDE or (inside and outside):
            raise _Nack(BAD_LENGTH)
        return message[24 : 24 + inside] if inside else outside

    def _reply(self, request: bytes, flags: int, error: int, payload: bytes) -> None:
        """In the request's words: its type, its number, its kind of checksum."""
        inside = payload if len(payload) <= INSIDE else b""
        outside = b"" if len(payload) <= INSIDE else payload
        sealed = request[22] == 1
        head = b"".join((
            START, VERSION.to_bytes(2, "little"), flags.to_bytes(2, "little"), error.to_bytes(2, "little"),
            request[8:12], request[12:16], bytes(6), bytes([sealed, len(inside)]), inside.ljust(INSIDE, b"\0"),
            (len(outside) + TAIL_SIZE).to_bytes(4, "little"),
        ))  # fmt: skip
        body = head + outside
        seal = hashlib.md5(body, usedforsecurity=False).digest() if sealed else bytes(16)
        self._send(body + seal + FOOTER)
