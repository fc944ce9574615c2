"""The real configuration files, and a night spent on the stand-in cell."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policy.stand_in import Cell, History, Night, one_measurement
from rocksalt.config.campaign import Campaign
from rocksalt.config.station import Station
from rocksalt.values import Decision, Finish

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(scope="session")
def campaign() -> Campaign:
    return Campaign.model_validate(tomllib.loads((CONFIG / "campaigns/kbr-transition.toml").read_text()))


@pytest.fixture(scope="session")
def station() -> Station:
    return Station.model_validate(tomllib.loads((CONFIG / "stations/simulated-dac.toml").read_text()))


@pytest.fixture
def spend_the_night(station: Station) -> Callable[..., Night]:
    """Run a policy on a cell until it finishes; `see` replaces the cell's own estimate."""

    def run(policy: Any, cell: Cell, *, see: Any = None, gy_per_s: float = 1.6e4, at_most: int = 60) -> Night:
        history = History()
        decisions: list[Decision] = []
        see = see or (lambda cell, wanted: cell.look(wanted.number, wanted.exposures[0].seconds))
        for _ in range(at_most):
            decisions.append(policy.decide(history))
            if isinstance(decisions[-1], Finish):
                return Night(history, decisions, cell)
            one_measurement(history, decisions[-1], cell, station, gy_per_s, see)
        raise AssertionError(f"no end after {at_most} measurements")

    return run
