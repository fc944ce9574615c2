"""A simulated detector of 6 x 10 pixels in virtual time, and a driver for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from rocksalt.config.links import Link
from rocksalt.devices import Settings
from rocksalt.devices.links import MemoryWires
from rocksalt.time import ExperimentClock, run_virtual
from rocksalt.twin.wire.hosting import HttpRequest, HttpResponse
from rocksalt_drivers.dectris_simplon.driver import DectrisSimplon
from rocksalt_drivers.dectris_simplon.simulator import DectrisSimulator

SHAPE = (6, 10)


class Camera:
    """Counts that grow with time: ten a second of the exposure's start, one more a column."""

    shape = SHAPE
    mask = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % SHAPE[1] // 2 == 2  # columns 4 and 5, between two tiles
    max_rate_hz = 1.0e7

    def cutoff_counts(self, seconds: float) -> int:
        return int(self.max_rate_hz * seconds)

    def __init__(self) -> None:
        self.exposed: list[tuple[float, float]] = []
        self.truth: list[tuple[int, str, str, int, int]] = []

    def expose(self, start_s: float, seconds: float) -> np.ndarray[Any, Any]:
        self.exposed.append((round(start_s, 6), seconds))
        return np.full(self.shape, round(10 * start_s), np.uint32) + np.arange(SHAPE[1], dtype=np.uint32)

    def sent(self, frame: int, sha256: str, chunk_sha256: str, series: int, image: int) -> None:
        self.truth.append((frame, sha256, chunk_sha256, series, image))


class Bench:
    """The simulator on the bench: requests in, answers and messages out. Made inside a virtual loop."""

    def __init__(self, **options: Any) -> None:
        loop: Any = asyncio.get_running_loop()
        self.clock = ExperimentClock(loop, wall_now=loop.wall_now)
        self.camera = Camera()
        self.simulator = DectrisSimulator(self.camera, self.clock, options=options)
        self.parts: list[tuple[bytes, ...]] = []
        self.pulled = True
        self.log: list[tuple[str, str, bytes]] = []
        self.simulator.stream_to(self._push)

    def _push(self, message: tuple[bytes, ...]) -> bool:
        if self.pulled:
            self.parts.append(message)
        return self.pulled

    @property
    def messages(self) -> list[bytes]:
        """What was sent, of stream version 2: one part a message."""
        return [part for (part,) in self.parts]

    async def take(self) -> None:
        """Arm and trigger: a whole series."""
        await self.put("command/arm")
        assert (await self.put("command/trigger"))[0] == 200

    async def handle(self, request: Any) -> HttpResponse:
        self.log.append((request.method, request.path, request.body))
        return await self.simulator.handle(request)

    async def get(self, path: str) -> Any:
        """The value under /detector/api/1.8.0/PATH."""
        return await self.value(f"/detector/api/1.8.0/{path}")

    async def value(self, path: str) -> Any:
        answer = await self.simulator.handle(HttpRequest("GET", path))
        assert answer.status == 200, answer.body
        return json.loads(answer.body)["value"]

    async def put(self, path: str, value: Any = None) -> tuple[int, Any]:
        """Status and answer of a PUT; what is not JSON comes as text."""
        body = b"" if value is None else json.dumps({"value": value}).encode()
        path = path if path.startswith("/") else f"/detector/api/1.8.0/{path}"
        answer = await self.simulator.handle(HttpRequest("PUT", path, body=body))
        is_json = answer.content_type == "application/json"
        return answer.status, json.loads(answer.body) if is_json else answer.body.decode()

    async def ready_to_stream(self, *, stream: str = "cbor", **config: Any) -> None:
        """Initialized, streaming in this format, with these keys set."""
        await self.put("command/initialize")
        await self.put("/stream/api/1.8.0/config/format", stream)
        await self.put("/stream/api/1.8.0/config/mode", "enabled")
        for key, value in config.items():
            assert (await self.put(f"config/{key}", value))[0] == 200

    def driver(
        self, *, shape: tuple[int, int] = SHAPE, peer: Any = None, stream_version: int = 2, **options: Any
    ) -> DectrisSimplon:
        settings = Settings(
            Link("http", "127.0.0.1", 80), shape=shape, stream_version=stream_version, options=options,
            where="station.toml:40",
        )  # fmt: skip
        return DectrisSimplon("detector", settings, MemoryWires({"detector": peer or self}), self.clock)


@pytest.fixture
def virtually() -> Callable[..., Any]:
    """Run an async function of a Bench in virtual time; keywords are the simulator's options."""

    def run(work: Callable[[Bench], Coroutine[Any, Any, Any]], **options: Any) -> Any:
        async def main() -> Any:
            return await work(Bench(**options))

        return run_virtual(main)

    return run
