"""A RunEngine, and instruments simulated on real sockets by a process of their own."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from bluesky import RunEngine
from event_model import DocumentNames, schema_validators

from cli.desk import Desk
from rocksalt.bluesky import station

SPEED = 20  # as on the page of docs/how-to/use-with-bluesky.md
ONLY = ["membrane", "interlock", "detector"]
SMALL = ("shape = [514, 1030]", "shape = [270, 480]")
"""A detector that is soon read out: what is tested here is not the pixels."""
Devices = dict[str, Any]


@dataclass
class Bench:
    """Instruments that wait at the addresses of `station`, and what they truly did."""

    station: Path
    truth: Path

    def lines(self, key: str) -> list[dict[str, Any]]:
        """The truth's lines that have this key."""
        return [line for text in self.truth.read_text().splitlines() if key in (line := json.loads(text))]

    def sent(self) -> list[dict[str, Any]]:
        """Every frame that left the detector so far."""
        return self.lines("sha256")

    @property
    def shutters(self) -> list[str]:
        """What the shutter was at each change of the station's state: open, moving, closed."""
        return [line["shutter"] for line in self.lines("shutter")]

    @property
    def shutter(self) -> str:
        return self.shutters[-1]


@dataclass
class Told:
    """The documents that a RunEngine has told; each valid, or the test fails."""

    documents: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def hear(self, name: str, document: dict[str, Any]) -> None:
        schema_validators[DocumentNames[name]].validate(document)
        self.documents.append((name, copy.deepcopy(document)))

    def of(self, name: str) -> list[dict[str, Any]]:
        return [document for kind, document in self.documents if kind == name]

    def clear(self) -> None:
        self.documents.clear()


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    here = tmp_path_factory.mktemp("bench")
    with tempfile.TemporaryDirectory(prefix="rs-") as tmp:
        desk = Desk(here, f"{os.getpid()}-{here}", Path(tmp))
        with desk.stack:
            only = [word for name in ONLY for word in ("--only", name)]
            desk.station(SMALL)
            poni = here / "simulated-dac.poni"
            poni.write_text(poni.read_text().replace("[514, 1030]", "[270, 480]"))
            _, addresses = desk.simulators("--any-port", "--speed", SPEED, "--truth", desk.truth, *only)
            connected = desk.at(addresses)
            connected.write_text(connected.read_text().replace(*SMALL))
            yield Bench(connected, desk.truth)


@pytest.fixture
def engine() -> Iterator[RunEngine]:
    made = RunEngine({}, context_managers=[])
    yield made
    if made.state == "paused":  # by a test that failed in between
        made.abort()


@pytest.fixture
def told(engine: RunEngine) -> Told:
    heard = Told()
    engine.subscribe(heard.hear)
    return heard


@pytest.fixture
def devices(bench: Bench, engine: RunEngine, tmp_path: Path) -> Iterator[Devices]:
    with station(bench.station, engine, only=ONLY, data=tmp_path, speed=SPEED) as found:
        yield found
