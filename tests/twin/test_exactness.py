"""Nothing of the world depends on when, how often or at which door anybody asks: one step is as good as a hundred."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocksalt.twin.world import World

END_S = 1200.0
SALTS = ({}, {"sample": "KCl", "medium": "neon"}, {"sample": "RbCl", "medium": "none"}, {"sample": "CsI"})
Command = tuple[float, str, tuple[Any, ...]]

times = st.floats(0.0, END_S)
bars = st.floats(0.0, 120.0)
commands = st.lists(
    st.one_of(
        st.tuples(times, st.just("ramp"), st.tuples(bars, st.floats(0.05, 5.0))),
        st.tuples(times, st.just("vent"), st.tuples(st.floats(0.05, 5.0))),
        st.tuples(times, st.just("hold"), st.just(())),
        st.tuples(times, st.just("heat"), st.tuples(st.floats(4.0, 500.0), st.sampled_from([0.0, 1.0, 20.0]))),
        st.tuples(times, st.just("off"), st.just(())),
        st.tuples(times, st.just("request_shutter"), st.tuples(st.booleans())),
        st.tuples(times, st.just("set_door"), st.tuples(st.booleans())),
        st.tuples(times, st.just("permit"), st.tuples(st.booleans())),
    ),
    max_size=14,
)
DOORS = ("membrane", "thermal", "enclosure")
QUESTIONS = ("gas_bar", "supply_bar", "sample_k", "heater_percent", "shutter_switches", "door_closed", "permitted")


def tell(world: World, at_s: float, what: str, given: tuple[Any, ...]) -> None:
    door = next(getattr(world, name) for name in DOORS if hasattr(getattr(world, name), what))
    getattr(door, what)(at_s, *given)


def everything(world: World, at_s: float) -> list[float]:
    pressure, transformed = world.state(at_s)
    cell = world.cell.state
    return [
        pressure, *transformed.tolist(), world.fraction_b2(pressure, transformed), world.dose_gy(at_s),
        world.temperature_k(at_s), world.thickness_um(at_s), *world.position_um(at_s), world.solid(at_s),
        world.stray_share(pressure, transformed), world.gas.bar(world.now_s), cell.thermal_gpa, cell.sound,
        cell.creeping_gpa, float(cell.slips), *(value or 0.0 for value in world.transition_gpa),
    ]  # fmt: skip


@given(
    told=commands,
    asked_at=st.lists(st.tuples(times, st.sampled_from(QUESTIONS)), max_size=60),
    looks=st.lists(times, max_size=4),
    seed=st.integers(0, 50),
    twin=st.sampled_from(SALTS),
    tier=st.sampled_from(["clean", "realistic", "hostile"]),
    coldest=st.sampled_from([None, 5.0]),
)
@settings(max_examples=8, deadline=None)
def test_one_step_is_as_good_as_many(make, tmp_path_factory, told, asked_at, looks, seed, twin, tier, coldest):
    table = {**twin, "tier": tier} | ({} if coldest is None else {"coldest_k": coldest})
    folder = tmp_path_factory.mktemp("truth")
    quiet, asked = (make(seed, folder / name, **table) for name in ("quiet", "asked"))
    # Up through the transition and back to begin with; what else comes is anybody's guess.
    plan: list[Command] = sorted(
        [(1.0, "ramp", (100.0, 0.5)), (2.0, "request_shutter", (True,)), (900.0, "ramp", (5.0, 0.5)), *told],
        key=lambda command: command[0],
    )
    waiting = sorted([*asked_at, *((at_s, "gas_bar") for at_s in np.linspace(0.0, END_S, 101).tolist())])
    for at_s, what, given_ in plan:
        while waiting and waiting[0][0] < at_s:
            tell(asked, *waiting.pop(0), ())
        tell(asked, at_s, what, given_)
        tell(quiet, at_s, what, given_)
    for question in waiting:
        tell(asked, *question, ())
    for world in (quiet, asked):
        world.advance(END_S)
    for at_s in (END_S, *looks):
        assert everything(asked, at_s) == pytest.approx(everything(quiet, at_s), rel=1e-9, abs=0.0)
    for world in (quiet, asked):
        world.close()
    assert (folder / "quiet").read_bytes() == (folder / "asked").read_bytes()


def test_the_dose_is_a_sum_over_spells_of_light_and_not_over_questions(make):
    world, other = make(1), make(1)
    for twin in (world, other):
        twin.membrane.ramp(0.0, 60.0, 0.1)
        for spell in range(6):
            twin.enclosure.request_shutter(20.0 + 100.0 * spell, True)
            twin.enclosure.request_shutter(83.3 + 100.0 * spell, False)
            if twin is other:
                for at_s in np.linspace(84.0, 110.0, 50) + 100.0 * spell:
                    twin.dose_gy(twin.advance(float(at_s)))
    assert world.dose_gy(world.advance(650.0)) == other.dose_gy(other.advance(650.0)) > 0.0
    assert world.dose_gy(200.0) == other.dose_gy(200.0), "the past can be asked as well"


@pytest.mark.parametrize("at_s", [float("nan"), -1.0, 11.0])
def test_a_time_that_has_not_come_has_no_state(make, at_s):
    world = make(1)
    world.advance(10.0)
    for ask in (world.state, world.dose_gy, world.thickness_um, world.position_um, world.solid):
        with pytest.raises(ValueError, match="advance first"):
            ask(at_s)


def test_the_truth_of_a_cold_night_is_the_same_bytes(make, tmp_path: Path):
    """Cooling moves the pressure at every step of the grid: the same steps, whoever watched."""
    for name, looks in (("one", ()), ("many", range(10, 1800, 7))):
        world = make(3, tmp_path / name, coldest_k=10.0, medium="silicone oil", tier="hostile")
        world.membrane.ramp(0.0, 30.0, 0.5)
        for at_s in looks:
            world.thermal.sample_k(float(at_s) + 0.1)
        world.advance(1800.0)
        world.close()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()
    assert len((tmp_path / "one").read_text().splitlines()) > 20


def test_a_ramp_that_begins_just_before_a_step_is_not_slept_through(make):
    """Within the first microsecond the temperature stands still to the last digit: it is not at rest yet."""
    watched, left = (make(3, coldest_k=200.0, medium="none") for _ in range(2))
    for world in (watched, left):
        world.thermal.heat(0.0, 320.0, 0.0)
        world.membrane.ramp(0.0, 30.0, 0.5)
        world.advance(1200.0)
        world.thermal.heat(1299.9999999, 340.0, 1.0)
    for at_s in np.arange(1300.0, 1400.0, 0.25):
        watched.advance(float(at_s))
    left.advance(1400.0)
    assert left.state(1350.0)[0] == watched.state(1350.0)[0] != left.state(1300.0)[0]
