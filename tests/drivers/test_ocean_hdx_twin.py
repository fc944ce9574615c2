"""Two spectrometers of one station on the twin: one looks at the ruby, one at the sample, and both tell the truth."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.bench import clock, in_virtual_time
from rocksalt.cli.simulating import NoSimulator, in_memory, make_simulators, make_world
from rocksalt.config.reading import read_station
from rocksalt.daemon.run import settings_of
from rocksalt.devices.links import MemoryWires
from rocksalt.inference.optical import absorbance, light, reference_at
from rocksalt.inference.ruby import fit_ruby, unloaded
from rocksalt.inference.sensor_noise import from_pairs
from rocksalt.time import Node
from rocksalt.values import Measured
from rocksalt_drivers.ocean_hdx.driver import OceanHdx

STATIONS = Path(__file__).parents[2] / "config" / "stations"
TWO = """
[devices.gauge]
driver = "ocean_hdx"
link = "tcp://127.0.0.1:57357"
options = { lamp = "line", looks_at = "ruby", serial_number = "HDX00001" }

[devices.absorption]
driver = "ocean_hdx"
link = "tcp://127.0.0.1:57358"
options = { lamp = "line", serial_number = "HDX00002" }
"""


def station(folder: Path, more: str = TWO) -> Any:
    (folder / "simulated-dac.poni").write_text((STATIONS / "simulated-dac.poni").read_text())
    (folder / "station.toml").write_text((STATIONS / "simulated-dac.toml").read_text() + more)
    return read_station(folder / "station.toml")


def on_the_twin(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The world, and the two drivers before simulators that stand in it."""
    read = station(folder)
    world = make_world(read, twin_seed=5, truth=None)
    both = ("gauge", "absorption")
    simulators = make_simulators(read.value, world, clock(), only=both)
    wires = MemoryWires(in_memory(simulators, Node("twin")))
    devices = {
        name: OceanHdx(name, settings_of(name, read.value.devices[name], "station.toml"), wires, clock())
        for name in both
    }
    return world, devices


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@in_virtual_time
async def test_the_ruby_tells_the_pressure_that_the_sample_feels(folder: Path) -> None:
    world, devices = on_the_twin(folder)
    gauge = devices["gauge"]
    await gauge.connect()
    assert gauge.identified == "Ocean HDX, serial HDX00001"

    async def pressure(line: Measured | None) -> Any:
        await gauge.light(True)
        lit = await gauge.expose(0.5, 4)
        dark = await gauge.dark(0.5, 4)
        await gauge.light(False)
        kelvin = Measured(world.temperature_k(world.advance(gauge.clock.now_s())), 0.1)
        return fit_ruby(lit, kelvin, dark=dark, unloaded_nm=line)

    first = await pressure(None)
    assert first.flag == "ok", first.reason
    start = world.state(world.advance(gauge.clock.now_s()))[0]
    world.membrane.ramp(gauge.clock.now_s(), 60.0, 1.0)
    await asyncio.sleep(900.0)
    found = await pressure(unloaded(first))
    truth = world.state(world.advance(gauge.clock.now_s()))[0]
    assert found.flag == "ok", found.reason
    assert truth - start > 0.5
    # The first fit was not quite without load: what it felt is what the second one misses.
    assert found.pressure_gpa.value == pytest.approx(truth - start, abs=5.0 * found.pressure_gpa.sigma)


@in_virtual_time
async def test_the_sample_absorbs_what_the_twin_says_and_nothing_is_seen_in_the_dark(folder: Path) -> None:
    world, devices = on_the_twin(folder)
    device = devices["absorption"]
    await device.connect()
    await asyncio.sleep(7200.0)  # a lamp takes its time to settle
    dark = (await device.dark(0.01, 50), await device.dark(0.01, 50))
    assert max(float(np.median(one.counts)) for one in dark) < 3000.0

    async def taken(inside: bool) -> Any:
        world.lights.sample(device.clock.now_s(), inside)
        await asyncio.sleep(2.0)
        await device.light(True)
        found = await device.expose(0.01, 50)
        await device.light(False)
        return found

    before, sample, again, after = [await taken(inside) for inside in (False, True, False, False)]
    noise = from_pairs((again, after), dark)
    references = [light(one, dark[0], noise) for one in (before, again, after)]
    lit = light(sample, dark[0], noise)
    found = absorbance(lit, reference_at(references, lit.at_s))
    assert found.usable.sum() > 1000
    # An uncoloured crystal takes what its surfaces and cracks take, and no more.
    assert 0.0 < np.median(found.density[found.usable]) < 0.3
    assert found.shared_sigma < 0.02


@in_virtual_time
async def test_what_a_simulator_can_not_look_at_is_told_with_the_devices_name(folder: Path) -> None:
    read = station(folder, TWO.replace('"ruby"', '"moon"'))
    world = make_world(read, twin_seed=5, truth=None)
    with pytest.raises(NoSimulator, match=r"gauge: looks_at is \"sample\" or \"ruby\", not 'moon'"):
        make_simulators(read.value, world, clock(), only=("gauge",))
