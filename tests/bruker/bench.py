"""A bench for the parts of a simulated Bruker: small worlds behind its doors, a wire that keeps what was said."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drivers.bench import clock
from drivers.doors import Heat, Hutch
from rocksalt.config.links import parse_link
from rocksalt.devices import ByteLink, Limits, Settings
from rocksalt.devices.links import SharedThings
from rocksalt.devices.links.folder import Folder, at_once
from rocksalt.devices.links.joined import JoinedTransport
from rocksalt.devices.links.memory import MemoryTransport
from rocksalt_drivers.bruker_bis.driver import BrukerBis
from rocksalt_drivers.bruker_bis.simulator import BisSimulator

SHAPE = (6, 1024)


class Camera:
    """Counts that need every table of the format: below the baseline, beyond a byte, beyond two."""

    shape = SHAPE

    def __init__(self) -> None:
        self.exposed: list[tuple[float, float]] = []
        self.truth: list[tuple[int, str]] = []
        self.pixels: list[np.ndarray[Any, Any]] = []

    def expose(self, start_s: float, seconds: float) -> np.ndarray[Any, Any]:
        self.exposed.append((start_s, seconds))
        counts = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint32).reshape(SHAPE) % 300 + len(self.exposed)
        counts[0, :3] = (64, 70_000, 2**31 - 2)
        counts[1, :3] = (0, 254 + 64, 255 + 64)
        counts[2, :3] = (65_534 + 64, 65_535 + 64, 2**32 - 1)
        self.pixels.append(np.where(counts == 2**32 - 1, 0, counts))
        return counts

    def sent(self, frame: int, sha256: str, chunk_sha256: str, series: int, image: int) -> None:
        self.truth.append((frame, sha256))


class World:
    """A Bruker, its sample, its cabinet; `parts` are the devices made so far."""

    def __init__(self, **options: Any) -> None:
        self.camera, self.hutch, self.heat = Camera(), Hutch(), Heat()
        self.clock = clock()
        self.options = options
        self.bis = BisSimulator(
            {"camera": self.camera, "enclosure": self.hutch, "thermal": self.heat}, self.clock, options=options
        )
        self.wires = Wires(self.bis.sockets)

    def part(self, name: str, part: str | None = None, *, wires: Any = None, **settings: Any) -> Any:
        """A device of this Bruker, not yet connected."""
        return BrukerBis(name, settings_of(part or name, **settings), wires or self.wires, self.clock)


def settings_of(
    part: str,
    lower: float = float("-inf"),
    upper: float = float("inf"),
    *,
    ramp: float | None = None,
    shape: tuple[int, int] | None = None,
    link: str = "tcp://127.0.0.1:49153",
    **options: Any,
) -> Settings:
    return Settings(
        parse_link(link),
        Limits(lower, upper, "user limit, station.toml:14"),
        ramp,
        shape=shape,
        options={"part": part, **options},
        where="station.toml:12",
    )


class Wires(SharedThings):
    """Joins three sockets in memory, and keeps what was written on the first."""

    def __init__(self, sockets: Sequence[Any], wrap: Callable[[int, Any], Any] = lambda number, peer: peer) -> None:
        super().__init__()
        self.lines = [MemoryTransport(wrap(number, peer)) for number, peer in enumerate(sockets)]

    def joined(
        self, device: str, links: Sequence[Any], *, cut: Any, listener: Any, deadline_s: float = 2.0
    ) -> ByteLink:
        transport = JoinedTransport(self.lines, cut=cut, listener=listener)
        return ByteLink(transport, device=device, address="memory:bis", deadline_s=deadline_s)

    def folder(self, device: str, path: Path) -> Folder:
        return Folder(path, device=device, look=at_once)

    def byte(self, *arguments: Any, **named: Any) -> Any:
        raise NotImplementedError

    def http(self, *arguments: Any, **named: Any) -> Any:
        raise NotImplementedError

    @property
    def said(self) -> list[str]:
        """What was written on the command socket, without the numbers that commands are told apart by."""
        return [re.sub(r" /CID=\d+\]$", "]", data.decode().strip()) for data in self.lines[0].sent]

    def forget(self) -> None:
        self.lines[0].sent.clear()


class Silent:
    """A socket that swallows what comes from the other side while `mute()` says so."""

    def __init__(self, peer: Any, mute: Callable[[], bool]) -> None:
        self._peer, self._mute = peer, mute

    def accept(self, send: Callable[[bytes], None]) -> Any:
        return self._peer.accept(lambda data: None if self._mute() else send(data))


class Client:
    """A plain client of the three sockets, without any driver: what it says, and what it hears."""

    def __init__(self, bis: BisSimulator) -> None:
        self.answers: list[str] = []
        self.status: list[str] = []
        self._command = bis.sockets[0].accept(lambda data: self.answers.append(data.decode()))
        self._file = bis.sockets[1].accept(lambda data: None)
        self._status = bis.sockets[2].accept(lambda data: self.status.append(data.decode()))

    def say(self, text: str) -> str:
        """The answer to one command."""
        before = len(self.answers)
        self._command.receive(text.encode())
        return "".join(self.answers[before:]).strip()

    def heard(self, verb: str) -> list[str]:
        return [text.strip() for text in self.status if text.startswith(f"[{verb} ")]

    def leave(self) -> None:
        for session in (self._command, self._file, self._status):
            session.closed()


async def soon(truth: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within_s):
        while not truth():
            await asyncio.sleep(0.01)
