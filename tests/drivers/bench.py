"""A bench for drivers: a device, its simulator, the line between them, and time that jumps."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from rocksalt.config.links import parse_link
from rocksalt.devices import ByteLink, Device, Limits, Settings
from rocksalt.devices.links.memory import MemoryTransport
from rocksalt.time import ExperimentClock, run_virtual


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs on the loop that jumps: a day of waiting costs nothing."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        run_virtual(lambda: test(*arguments, **named))

    return run


class SerialLike(MemoryTransport):
    """Memory that behaves as a serial line: closing and opening it leaves late answers where they are."""

    reopening_cleans = False

    async def open(self) -> None:
        if self._session is None:
            await super().open()

    def close(self) -> None:
        pass


class Late:
    """A line that delays every answer, in order, and swallows one where the delay says None."""

    def __init__(self, peer: Any, delay_s: Callable[[], float | None]) -> None:
        self._peer, self._delay_s = peer, delay_s

    def accept(self, send: Callable[[bytes], None]) -> Any:
        loop = asyncio.get_running_loop()
        free_s = 0.0

        def later(data: bytes) -> None:
            nonlocal free_s
            if (delay_s := self._delay_s()) is not None:
                free_s = max(free_s + 1e-6, loop.time() + delay_s)  # timers of one time have no order
                loop.call_at(free_s, send, data)

        return self._peer.accept(later)


@dataclass
class Wire:
    """Makes the one line of a bench, and keeps what went over it."""

    peer: Any
    transport: Callable[[Any], MemoryTransport] = MemoryTransport

    def __post_init__(self) -> None:
        self.line = self.transport(self.peer)

    def byte(self, device: str, link: object, *, deadline_s: float = 2.0, serial: object = None) -> ByteLink:
        return ByteLink(self.line, device=device, address=f"memory:{device}", deadline_s=deadline_s)

    def http(self, device: str, link: object, *, deadline_s: float = 5.0) -> Any:
        raise NotImplementedError

    @property
    def sent(self) -> list[bytes]:
        return self.line.sent

    def forget(self) -> None:
        self.line.sent.clear()


def clock(speed: float = 1.0) -> ExperimentClock:
    return ExperimentClock(asyncio.get_running_loop(), speed=speed)


def settings(
    upper: float = 150.0,
    *,
    lower: float = 0.0,
    ramp: float | None = 0.5,
    link: str = "tcp://127.0.0.1:5025",
    **options: Any,
) -> Settings:
    limits = Limits(lower, upper, "user limit, station.toml:14")
    return Settings(parse_link(link), limits, ramp, options=options, where="station.toml:12")


def device_on(kind: type[Device], name: str, peer: Any, settings: Settings, **wire: Any) -> tuple[Any, Wire]:
    """A device on a line of its own to `peer`, not yet connected."""
    line = Wire(peer, **wire)
    return kind(name, settings, line, clock()), line
