"""Faults on an instrument with a web interface: a wrapper that handles requests where the simulator did.

A connection that breaks is a ConnectionError out of `handle`; silence is a `handle` that never returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

from rocksalt.twin.wire.faults.lines import garbage, truncated
from rocksalt.twin.wire.faults.messages import FaultyStream
from rocksalt.twin.wire.faults.numbers import change, in_json
from rocksalt.twin.wire.faults.plan import NUMBER_KINDS, Fault, Faults
from rocksalt.twin.wire.hosting import HttpRequest, HttpResponse, HttpSimulator


class FaultyRequests:
    """A simulator and its faults, as one; its stream too, if it has one."""

    def __init__(self, simulator: HttpSimulator, faults: Faults) -> None:
        self.simulator = simulator
        self._before: HttpResponse | None = None
        self._cut = asyncio.Event()
        self.suffer(faults)

    def suffer(self, faults: Faults) -> None:
        """From now on these faults, and no others; a stream that is joined already keeps its own."""
        self.faults = faults
        faults.wake(self._begun)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.simulator, name)

    def stream_to(self, push: Callable[[tuple[bytes, ...]], bool]) -> None:
        """See HttpSimulator. Raises AttributeError where the simulator has no stream."""
        inner: Any = self.simulator
        inner.stream_to(FaultyStream(inner, self.faults, push).push)

    def _begun(self, fault: Fault) -> None:
        inner: Any = self.simulator
        if fault.kind == "reboot" and hasattr(inner, "power_cycle"):
            inner.power_cycle()
        if fault.kind in ("dropped", "reboot", "half_open"):
            self._cut.set()
            self._cut = asyncio.Event()

    async def handle(self, request: HttpRequest) -> HttpResponse:
        if self.faults.lasts("refused", "dropped", "reboot"):
            raise ConnectionRefusedError(111, "Connection refused")
        if self.faults.lasts("half_open"):
            await _for_ever()
        answer = await self._unless_cut(request)
        question = f"{request.method} {request.path}"
        before, self._before = self._before, answer
        for active in self.faults.on_reply(question):
            fault = active.fault
            match fault.kind:
                case "silence" | "half_open":
                    await _for_ever()
                case "dropped" | "reboot":
                    raise ConnectionResetError(104, "Connection reset by peer")
                case "delay":
                    await asyncio.sleep(fault.delay_s)
                case "doubled":
                    answer = replace(answer, body=answer.body * 2)
                case "stale":
                    if before is None:
                        await _for_ever()
                    answer = before
                case "stuck":
                    answer = active.kept.setdefault(question, answer)
                case "garbage":
                    answer = replace(answer, body=garbage(active.chance, answer.body))
                case "truncated":
                    answer = replace(answer, body=truncated(active, answer.body))
                case kind if kind in NUMBER_KINDS:
                    answer = replace(answer, body=in_json(answer.body, change(active, self.faults.clock.now_s())))
        return answer

    async def _unless_cut(self, request: HttpRequest) -> HttpResponse:
        """The simulator's answer. The instrument goes on with what it was told though the connection breaks."""
        working = asyncio.ensure_future(self.simulator.handle(request))
        breaking = asyncio.ensure_future(self._cut.wait())
        try:
            await asyncio.wait([working, breaking], return_when=asyncio.FIRST_COMPLETED)
            if breaking.done():
                raise ConnectionResetError(104, "Connection reset by peer")
            return working.result()
        finally:
            breaking.cancel()


async def _for_ever() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")
