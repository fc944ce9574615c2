"""A twin for tests: the station file as it is shipped, any seed, any tier."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocksalt.twin.world import World, world_from_station

STATIONS = Path(__file__).parents[2] / "config" / "stations"
Make = Callable[..., World]


@pytest.fixture(scope="session")
def station() -> dict[str, Any]:
    return tomllib.loads((STATIONS / "simulated-dac.toml").read_text())


@pytest.fixture(scope="session")
def poni() -> str:
    return (STATIONS / "simulated-dac.poni").read_text()


@pytest.fixture(scope="session")
def make(station: dict[str, Any], poni: str) -> Make:
    """make(seed, truth=None, **more keys of [twin]) -> World."""

    def world(seed: int, truth: Path | str | None = None, **twin: Any) -> World:
        shape = tuple(station["devices"]["detector"]["shape"])
        table = {**station["twin"], **twin}
        return world_from_station(table, station["beam"], shape, poni, station["load_curve"], seed, truth)

    return world


@pytest.fixture(scope="session")
def make_with(station: dict[str, Any], poni: str) -> Make:
    """make_with(GPa per bar, seed, **more keys of [twin]) -> World in another cell."""

    def world(gpa_per_bar: float, seed: int, **twin: Any) -> World:
        shape, table = tuple(station["devices"]["detector"]["shape"]), {**station["twin"], **twin}
        return world_from_station(table, station["beam"], shape, poni, {"gpa_per_bar": gpa_per_bar}, seed, None)

    return world
