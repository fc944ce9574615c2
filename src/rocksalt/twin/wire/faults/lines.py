"""Faults on a line of bytes: a wrapper that is accepted where the simulator was, on TCP, a pseudo-terminal, in memory.

An empty reply is how a simulator hangs up (see `rocksalt.twin.wire.hosting`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from rocksalt.twin.wire.faults.numbers import KnowsItsBytes, change, in_text
from rocksalt.twin.wire.faults.plan import NUMBER_KINDS, Active, Fault, Faults
from rocksalt.twin.wire.hosting import ByteSimulator, Session

_MESSAGE: Final = re.compile(rb"[^\r\n]*[\r\n]+|[^\r\n]+$")
_END: Final = re.compile(rb"[\r\n]*\Z")
_LATER_S: Final = 1e-6  # timers of one time have no order


class FaultyLine:
    """A simulator and its faults, as one.

    serial   whether the line is one that can't hang up and is never made anew: what drops elsewhere is silent there,
             and the line comes back by itself
    """

    def __init__(self, simulator: ByteSimulator, faults: Faults, *, serial: bool = False) -> None:
        self.simulator, self.serial = simulator, serial
        self.knows = simulator if isinstance(simulator, KnowsItsBytes) else None
        self.before = b""
        """The reply before this one, to whoever it was."""
        self._wires: list[_Wire] = []
        self.suffer(faults)

    def suffer(self, faults: Faults) -> None:
        """From now on these faults, and no others."""
        self.faults = faults
        faults.wake(self._begun)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.simulator, name)

    def accept(self, send: Callable[[bytes], None]) -> Session:
        if not self.serial and self.faults.lasts("refused", "dropped", "reboot"):
            raise ConnectionRefusedError(111, "Connection refused")
        wire = _Wire(self, send)
        self._wires.append(wire)
        wire.deaf = not self.serial and self.faults.lasts("half_open")
        return wire

    def let_go(self, wire: _Wire) -> None:
        if wire in self._wires:
            self._wires.remove(wire)

    def _begun(self, fault: Fault) -> None:
        """A fault of the link begins: what is open feels it."""
        if fault.kind == "reboot" and hasattr(self.simulator, "power_cycle"):
            self.simulator.power_cycle()
        for wire in list(self._wires):
            wire.forget()
            if fault.kind == "half_open" and not self.serial:
                wire.deaf = True
            elif fault.kind in ("dropped", "reboot") and not self.serial:
                wire.hang_up()


class _Wire:
    """One client's conversation through the faults. A deaf one hears nothing and says nothing, for ever."""

    def __init__(self, line: FaultyLine, send: Callable[[bytes], None]) -> None:
        self._line, self._send = line, send
        self._request = b""
        self._question = ""
        self._free_s = float("-inf")
        self._held: list[asyncio.TimerHandle] = []
        self.deaf = False
        self._session = line.simulator.accept(self._answer)  # last: an instrument may greet

    def receive(self, data: bytes) -> None:
        messages = [data] if self._line.knows else _MESSAGE.findall(data)  # several commands may come in one chunk
        for message in messages:
            if self._is_down():
                return
            self._request = message
            knows = self._line.knows
            self._question = knows.question(message) if knows else message.decode("ascii", "replace").strip()
            self._session.receive(message)

    def closed(self) -> None:
        self.forget()
        self._line.let_go(self)
        self._session.closed()

    def hang_up(self) -> None:
        if not self.deaf:
            self.deaf = True
            self._line.let_go(self)
            self._session.closed()
            self._send(b"")

    def forget(self) -> None:
        """What was on its way is lost."""
        for handle in self._held:
            handle.cancel()
        self._held.clear()

    def _is_down(self) -> bool:
        """Deaf, or a serial line whose instrument is off or unplugged: nothing hangs up there, and nothing is heard."""
        faults = self._line.faults
        return self.deaf or (self._line.serial and faults.lasts("dropped", "half_open", "refused", "reboot"))

    def _answer(self, reply: bytes) -> None:
        """A reply on its way: each fault that acts does its part, then it is sent, held up, or lost."""
        if self.deaf:
            return
        line = self._line
        before, line.before = line.before, reply
        delay_s, times = 0.0, 1
        for active in line.faults.on_reply(self._question):
            fault = active.fault
            if self._is_down():
                return
            match fault.kind:
                case "silence" | "dropped" | "half_open" | "reboot":
                    return
                case "delay":
                    delay_s += fault.delay_s
                case "doubled":
                    times = 2
                case "stale":
                    if not before:
                        return
                    reply = before
                case "stuck":
                    first = active.kept.setdefault(self._question, reply)
                    reply = line.knows.renewed(first, self._request) if line.knows else first
                case "garbage":
                    reply = garbage(active.chance, reply)
                case "truncated":
                    reply = truncated(active, reply)
                case kind if kind in NUMBER_KINDS:
                    reply = self._with_numbers(active, reply)
        for _ in range(times):
            self._send_after(delay_s, reply)

    def _with_numbers(self, active: Active, reply: bytes) -> bytes:
        how = change(active, self._line.faults.clock.now_s())
        knows = self._line.knows
        return knows.altered(reply, how) if knows else in_text(reply, how, active.fault.writes)

    def _send_after(self, delay_s: float, reply: bytes) -> None:
        """Replies stay in order: one that is held up holds up those behind it."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if delay_s <= 0.0 and self._free_s <= now_s:
            self._send(reply)
            return
        self._free_s = max(self._free_s + _LATER_S, now_s + delay_s)
        self._held = [handle for handle in self._held if handle.when() > now_s and not handle.cancelled()]
        self._held.append(loop.call_at(self._free_s, self._send_now, reply))

    def _send_now(self, reply: bytes) -> None:
        if not self.deaf:
            self._send(reply)


def garbage(chance: np.random.Generator, reply: bytes) -> bytes:
    """Bytes, up to twice as many, with the same end; half the time text, half the time anything."""
    end = _end(reply)
    count = int(chance.integers(len(reply), 2 * len(reply) + 2))
    low, high = (0x20, 0x7F) if chance.random() < 0.5 else (0, 256)
    body = bytes(chance.integers(low, high, count).tolist())
    return body.translate(None, b"\r\n") + end if end else body


def truncated(active: Active, reply: bytes) -> bytes:
    """The reply up to a place before its end."""
    end = _end(reply)
    kept = reply[: int(active.chance.integers(1, max(len(reply) - len(end), 2)))]
    return kept + end if active.fault.keep_end else kept


def _end(reply: bytes) -> bytes:
    found = _END.search(reply)
    return found[0] if found else b""
