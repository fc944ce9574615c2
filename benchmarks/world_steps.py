"""The twin's world: taken to the end in as few steps as its commands allow, against asked 1,000 times on the way.

Ramps, vents and holds of the membrane, shutter, door, permit and heater, across a transition and back, hot and cold;
and where the salt's colour is known, the irradiation tube, its shutter and the lamp.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from math import nextafter
from typing import Any, Final

import numpy as np

from benchmarks.acceptance import Row
from rocksalt.crystals.tables import SALTS
from rocksalt.time import Chance
from rocksalt.twin.cell.medium import MEDIA
from rocksalt.twin.picture.geometry import Geometry
from rocksalt.twin.tiers import TIERS, tier
from rocksalt.twin.world import World

QUESTIONS: Final = 1000
WITHIN: Final = 1e-9
NOMINAL: Final = Geometry(0.2503, 0.0195, 0.0027, -0.0016, 0.0009, 0.0, 75e-6, 0.4133, (514, 1030))
HARD: Final = ("NaCl", "LiF", "NaF", "NaBr")
Command = tuple[float, str, tuple[Any, ...]]


def rows(first: int, n: int) -> Iterator[Row]:
    """A case for each seed: one world driven by commands alone, its twin asked 1,000 times besides; the largest
    relative difference of any state, at the end and at twenty times of the last half hour."""
    for seed in range(first, first + n):
        began = time.process_time()
        quiet, asked = made(seed), made(seed)
        commands = schedule(seed, quiet)
        rng = Chance(seed).stream("questions")
        until = commands[-1][0] + 900.0
        play(quiet, commands, np.array([]), rng, until)
        play(asked, commands, rng.uniform(0.0, until, QUESTIONS), rng, until)
        looks = [until, *np.random.default_rng(seed).uniform(until - 1700.0, until, 20).tolist()]
        worst = max(difference(states(quiet, at), states(asked, at)) for at in looks)
        yield {
            "case": "one step against 1,000", "seed": seed, "salt": quiet.salt.name, "tier": _tier(seed),
            "commands": len(commands), "hours": round(until / 3600.0, 2), "transition_gpa": quiet.transition_gpa,
            "blown": quiet.cell.state.blown, "frozen": quiet.cell.state.solid, "gy": _gy(quiet, until),
            "measured": worst, "bar": WITHIN,
            "cpu_s": round(time.process_time() - began, 2), "pass": worst <= WITHIN,
        }  # fmt: skip


def made(seed: int) -> World:
    """Salts, tiers, media and stages in turn."""
    name = SALTS[seed % len(SALTS)]
    return World(
        name, tier(_tier(seed)), seed, nominal=NOMINAL, gpa_per_bar=0.4 if name in HARD else 0.055,
        medium=tuple(MEDIA)[(seed + seed // len(SALTS)) % len(MEDIA)], coldest_k=(None, 5.0)[seed // len(SALTS) % 2],
    )  # fmt: skip


def _gy(world: World, at_s: float) -> float:
    dose = world.dose_gy(at_s)
    return round(dose if world.colour is None else world.colour.told(at_s, False, dose)[2], 1)


def _tier(seed: int) -> str:
    return TIERS[(seed + seed // len(SALTS)) % len(TIERS)]


def schedule(seed: int, world: World) -> list[Command]:
    """Commands with their times: up through the transition (or as far as the bottle goes), about, and back down, with
    heat, light, door and permit at random in between."""
    rng = Chance(seed).stream("schedule")
    bar_gpa = world.hidden.cell.gain_relative * 0.055 * world.salt.cell
    middle_bar = min((world.p50_gpa if world.transforms else 3.0 * world.salt.cell) / bar_gpa, 90.0)
    commands: list[Command] = []
    at = 0.0
    for turn in (1.6, 1.0, 1.3, 0.4, 1.2, 0.0):
        at += float(rng.uniform(60.0, 700.0))
        rate = middle_bar / float(rng.uniform(200.0, 900.0))
        commands.append((at, "ramp", (turn * middle_bar * float(rng.uniform(0.9, 1.1)), rate)))
        if rng.random() < 0.4:
            at += float(rng.uniform(1.0, 300.0))
            commands.append((at, "hold", ()) if rng.random() < 0.7 else (at, "vent", (rate,)))
    coldest = world.stage.base_k if world.stage.base_k < world.ambient_k - 1.0 else 280.0
    rarely: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("off", ()), ("door", (False,)), ("door", (True,)), ("permit", (False,)), ("permit", (True,)),
    )  # fmt: skip
    for _ in range(8):
        setpoint = (float(rng.uniform(coldest, 380.0)), float(rng.choice([0.0, 2.0, 30.0])))
        what, given = ("heat", setpoint) if rng.random() < 0.5 else rarely[int(rng.integers(len(rarely)))]
        commands.append((float(rng.uniform(0.0, at)), what, given))
    commands += [(float(rng.uniform(0.0, at)), "shutter", (bool(rng.random() < 0.6),)) for _ in range(12)]
    if world.colour is not None:
        commands += [(float(rng.uniform(0.0, at)), "volts", (float(rng.uniform(20.0, 150.0)),)) for _ in range(4)]
        commands += [(float(rng.uniform(0.0, at)), "milliamps", (float(rng.uniform(1.0, 15.0)),)) for _ in range(3)]
        for _ in range(8):
            what = ("tube", "window", "lamp", "lid")[int(rng.integers(4))]
            commands.append((float(rng.uniform(0.0, at)), what, (bool(rng.random() < 0.7),)))
    return sorted(commands, key=lambda command: command[0])


def play(world: World, commands: list[Command], ask_at: np.ndarray, rng: np.random.Generator, until: float) -> None:
    """Give the commands at their times, and ask random doors at ask_at on the way; then go on to `until`."""
    asks = sorted(ask_at.tolist())
    doors = _questions(world)
    for at, what, given in [*commands, (until, "nothing", ())]:
        while asks and asks[0] < at:
            doors[int(rng.integers(len(doors)))](asks.pop(0))
        _command(world, at, what, given)
    world.advance(until)


def _command(world: World, at: float, what: str, given: tuple[Any, ...]) -> None:
    match what:
        case "ramp":
            world.membrane.ramp(at, *given)
        case "hold":
            world.membrane.hold(at)
        case "vent":
            world.membrane.vent(at, *given)
        case "heat":
            world.thermal.heat(at, *given)
        case "off":
            world.thermal.off(at)
        case "door":
            world.enclosure.set_door(at, *given)
        case "permit":
            world.enclosure.permit(at, *given)
        case "shutter":
            world.enclosure.request_shutter(at, *given)
        case "volts":
            world.tube.set_kv(at, *given)
        case "milliamps":
            world.tube.set_ma(at, *given)
        case "tube":
            world.tube.clear_faults(at)
            world.tube.high_voltage(at, *given)
        case "window":
            world.tube_shutter.request(at, *given)
        case "lamp":
            world.lights.lamp(at, *given)
        case "lid":
            world.lights.shutter(at, *given)


def _questions(world: World) -> list[Callable[[float], object]]:
    colour: list[Callable[[float], object]] = []
    if world.colour is not None:
        colour = [world.tube.kv, world.tube.is_on, world.tube_shutter.switches, world.lights.lamp_on,
                  lambda at: world.colour.swelling(world.advance(at))]  # type: ignore[union-attr]  # fmt: skip
    return [
        *colour, world.membrane.gas_bar, world.membrane.supply_bar, world.thermal.sample_k,
        world.thermal.heater_percent,
        world.enclosure.shutter_switches, world.enclosure.shutter_open, world.enclosure.door_closed,
        world.enclosure.permitted, lambda at: world.dose_gy(world.advance(at)),
        lambda at: states(world, world.advance(at)), lambda at: world.glimpses(max(at - 1.0, 0.0), world.advance(at)),
    ]  # fmt: skip


def states(world: World, at_s: float) -> dict[str, np.ndarray]:
    """Every state that a door could feel, at a past time."""
    pressure, transformed = world.state(at_s)
    colour = {} if world.colour is None else {
        "colour": world.colour.defects.state(at_s).values, "swelling": np.array([world.colour.swelling(at_s)]),
    }  # fmt: skip
    return colour | {
        "pressure": np.array([pressure]),
        "bins": transformed,
        "fraction": np.array([world.fraction_b2(pressure, transformed)]),
        "stray": np.array([world.stray_share(pressure, transformed)]),
        "dose": np.array([world.dose_gy(at_s)]),
        "temperature": np.array([world.temperature_k(at_s)]),
        "thickness": np.array([world.thickness_um(at_s)]),
        "position": np.array(world.position_um(at_s)),
        "frozen": np.array([world.solid(at_s)]),
        "gas": np.array([world.gas.bar(max(at_s, world.now_s)), world.gas.supply_bar(at_s)]),
        "crossing": np.array([value or 0.0 for value in world.transition_gpa]),
        "cell": np.array([world.cell.state.pushed_gpa, world.cell.state.creeping_gpa, world.cell.state.thermal_gpa,
                          world.cell.state.sound, float(world.cell.state.slips), float(world.cell.state.blown)]),
    }  # fmt: skip


def difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """Largest relative difference of any number of two states; 0 against 0 is none."""
    tiny = nextafter(0.0, 1.0)
    return max(
        float((np.abs(one[name] - other[name]) / np.maximum(np.abs(one[name]), tiny)).max())
        if not np.array_equal(one[name], other[name]) else 0.0
        for name in one
    )  # fmt: skip


if __name__ == "__main__":
    import sys

    from benchmarks.acceptance import arguments, closed, told

    options = arguments(__doc__, n=12).parse_args()
    sys.exit(closed("world-steps", [told(row) for row in rows(options.first, options.n)], options.n))
