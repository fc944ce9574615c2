"""Frames of the twin, integrated as the model process does it: the twin's truth against the estimate."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rocksalt.diffraction.geometry import Geometry
from rocksalt.diffraction.integrate import Integrator
from rocksalt.inference.model import PhysicsModel
from rocksalt.twin.picture.render import Glimpse
from rocksalt.twin.sample import transformation
from rocksalt.twin.world import world_from_station
from rocksalt.values import Measured, Observation

STATIONS = Path(__file__).parents[2] / "config" / "stations"
Look = Callable[[float, float], tuple[Observation, float]]


@pytest.fixture(scope="module", params=[0, 2])
def look(request: pytest.FixtureRequest) -> Look:
    """look(pressure, share of B2 in moles) -> what one second of beam shows, and the true volume fraction of B2."""
    station = tomllib.loads((STATIONS / "simulated-dac.toml").read_text())
    poni = (STATIONS / "simulated-dac.poni").read_text()
    shape = tuple(station["devices"]["detector"]["shape"])
    world = world_from_station(
        {**station["twin"], "tier": "clean"}, station["beam"], shape, poni, station["load_curve"], request.param, None
    )
    renderer = world.renderer
    integrator = Integrator(Geometry.from_poni(poni), shape, mask=renderer.mask, polarisation=0.98)

    def at(pressure_gpa: float, share: float) -> tuple[Observation, float]:
        bins = transformation.BINS
        transformed = np.clip(share * bins - np.arange(bins)[::-1], 0.0, 1.0)  # where pressure is highest, first
        fraction = world.fraction_b2(pressure_gpa, transformed)
        glimpse = Glimpse(1.0, pressure_gpa, transformed, fraction, 300.0)
        rng = np.random.default_rng([request.param, round(1e3 * pressure_gpa)])
        pattern = integrator.pattern(renderer.frame([glimpse], 1.0, rng), saturation=renderer.cutoff_counts(1.0))
        return Observation(0, pattern, {}, Measured(300.0, 0.5)), fraction

    return at


@pytest.mark.parametrize(
    ("pressure", "share", "label"),
    [
        (0.3, 0.0, "B1"),
        (1.6, 0.0, "B1"),
        (1.9, 0.08, "mixture"),
        (2.1, 0.5, "mixture"),
        (2.3, 0.9, "mixture"),
        (3.0, 1.0, "B2"),
    ],
)
def test_a_frame_of_the_twin_is_read_as_it_is(
    model: PhysicsModel, look: Look, pressure: float, share: float, label: str
) -> None:
    observation, fraction = look(pressure, share)
    estimate = model.estimate(observation, salt="KBr")
    assert estimate.label == label, estimate.reasons
    assert estimate.fraction_b2 is not None
    assert estimate.fraction_b2.value == pytest.approx(fraction, abs=0.05)
    assert estimate.pressure_gpa is not None
    assert estimate.pressure_gpa.value == pytest.approx(pressure, abs=0.15)
    assert abs(estimate.pressure_gpa.value - pressure) < 4.0 * estimate.pressure_gpa.sigma
