"""What is true of every driver on a line of bytes, whatever it drives: one table, one test for each promise."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from drivers.bench import Late, Wire, clock, device_on, in_virtual_time, settings
from drivers.doors import Gas, Heat, Hutch, Optics
from rocksalt.devices import ByteDevice, DeviceError, Enclosure, LinkLost, OutOfLimits, Settable, Settings, Spectrometer
from rocksalt_drivers.druck_pace.driver import DruckPace
from rocksalt_drivers.druck_pace.simulator import PaceSimulator
from rocksalt_drivers.lakeshore_336.driver import LakeShore336
from rocksalt_drivers.lakeshore_336.simulator import LakeShoreSimulator
from rocksalt_drivers.modbus_interlock.driver import ModbusInterlock
from rocksalt_drivers.modbus_interlock.simulator import InterlockSimulator
from rocksalt_drivers.ocean_hdx.driver import OceanHdx
from rocksalt_drivers.ocean_hdx.simulator import HdxSimulator


@dataclass(frozen=True)
class Case:
    name: str
    driver: type[Any]
    simulator: type[Any]
    door: Callable[[], Any]
    settings: Callable[[], Settings]
    inside: float = 0.0
    beyond: float = 0.0


CASES = [
    Case("druck_pace", DruckPace, PaceSimulator, Gas, settings, 10.0, 500.0),
    Case("lakeshore_336", LakeShore336, LakeShoreSimulator, Heat, lambda: settings(320.0, lower=290.0), 300.0, 500.0),
    Case("modbus_interlock", ModbusInterlock, InterlockSimulator, Hutch, settings),
    Case("ocean_hdx", OceanHdx, HdxSimulator, Optics, lambda: settings(10.0)),
]
every = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
SETTABLE = [case for case in CASES if issubclass(case.driver, Settable)]
settable = pytest.mark.parametrize("case", SETTABLE, ids=lambda case: case.name)


def on_bench(case: Case, wrap: Callable[[Any], Any] = lambda peer: peer) -> tuple[Any, Wire, Any]:
    simulator = case.simulator(case.door(), clock(), options={})
    device, wire = device_on(case.driver, case.name, wrap(simulator), case.settings())
    return device, wire, simulator


def folder(case: Case) -> Path:
    return Path(inspect.getfile(case.driver)).parent


@every
@in_virtual_time
async def test_it_identifies_itself_and_is_connected(case: Case) -> None:
    device, _, _ = on_bench(case)
    await device.connect()
    assert device.state == "connected"
    assert device.identity.search(await device.identify())
    await device.close()
    assert device.state == "disconnected"


@every
@in_virtual_time
async def test_it_reads_numbers_with_a_name_a_unit_and_a_time(case: Case) -> None:
    device, _, _ = on_bench(case)
    await device.connect()
    readings = await device.readings()
    assert readings
    for reading in readings:
        assert reading.name.startswith(case.name)
        assert reading.value == reading.value
        assert reading.at_s >= 0


@settable
@in_virtual_time
async def test_a_target_beyond_the_limit_never_reaches_the_wire(case: Case) -> None:
    device, wire, _ = on_bench(case)
    await device.connect()
    wire.forget()
    with pytest.raises(OutOfLimits, match=rf"^{case.name}: {case.beyond:g} .* \(user limit, station\.toml:14\)$"):
        await device.set(case.beyond)
    assert wire.sent == []


@settable
@in_virtual_time
async def test_it_arrives_and_may_be_stopped_and_made_safe_there(case: Case) -> None:
    device, _, _ = on_bench(case)
    await device.connect()
    await device.set(case.inside)
    await device.stop()
    await device.make_safe()
    assert (await device.read()).value == pytest.approx(case.inside, abs=device.arrives_within)


@every
@in_virtual_time
async def test_the_safe_state_takes_two_messages_at_most_and_may_be_said_to_a_box_that_is_safe(case: Case) -> None:
    device, wire, _ = on_bench(case)
    await device.connect()
    for _ in range(2):
        wire.forget()
        await device.make_safe()
        assert 1 <= len(wire.sent) <= 2
        await device.stop()


@every
@pytest.mark.parametrize("ask", ["stop", "make_safe"])
@in_virtual_time
async def test_a_stop_is_on_the_wire_at_once_though_a_poll_waits_for_its_answer(case: Case, ask: str) -> None:
    slow = False
    device, wire, _ = on_bench(case, lambda peer: Late(peer, lambda: 0.9 if slow else 0.0))
    await device.connect()
    slow = True
    polls = [asyncio.ensure_future(device.readings()) for _ in range(3)]
    await asyncio.sleep(0.3)
    wire.forget()
    urgent = asyncio.ensure_future(getattr(device, ask)())
    await asyncio.sleep(0.2)
    assert len(wire.sent) >= 1
    slow = False
    await asyncio.gather(urgent, *polls)


@every
@in_virtual_time
async def test_a_box_that_falls_silent_is_a_lost_link_in_every_call(case: Case) -> None:
    silent = False
    device, _, _ = on_bench(case, lambda peer: Late(peer, lambda: None if silent else 0.0))
    changes: list[str] = []
    device.on_change = lambda device, state, why: changes.append(state)
    await device.connect()
    silent = True
    for call in (device.identify, device.readings, device.stop, device.make_safe):
        with pytest.raises(LinkLost, match=f"^{case.name}: "):
            await call()
    assert changes == ["connected", "disconnected"]
    silent = False
    await device.connect()
    assert device.state == "connected"


@every
@in_virtual_time
async def test_garbage_on_the_line_is_a_device_error_and_never_a_traceback_of_another_kind(case: Case) -> None:
    for garbage in (b"\0\0\0\0\0\0\0\0\r\n", b"\xff" * 20 + b"\n", b"1;2;3;4\n", b",,,\n", b":\n", b"9" * 400 + b"\n"):
        rubbish = False

        class Noisy:
            def __init__(self, peer: Any) -> None:
                self.peer = peer

            def accept(self, send: Callable[[bytes], None]) -> Any:
                return self.peer.accept(lambda data: send(garbage if rubbish else data))  # noqa: B023

        device, _, _ = on_bench(case, Noisy)
        await device.connect()
        rubbish = True
        for call in (device.readings, device.stop, device.make_safe):
            with pytest.raises(DeviceError):
                await call()


@every
def test_its_folder_tells_the_facts_and_driver_and_simulator_know_nothing_of_each_other(case: Case) -> None:
    text = (folder(case) / "README.md").read_text()
    for chapter in ("## Facts", "## Wiring", "## Station file", "## Quirks", "## Never tried on hardware"):
        assert chapter in text, f"{case.name}/README.md has no chapter {chapter!r}"
    for module, forbidden in (("driver", "simulator"), ("simulator", "driver")):
        imported = _imports(folder(case) / f"{module}.py")
        assert not any(forbidden in name.split(".") for name in imported)
        if module == "driver":
            inside = {name for name in imported if name.partition(".")[0] == "rocksalt"}
            assert inside <= {"rocksalt.devices", "rocksalt.values"}


@every
def test_it_is_found_by_its_name(case: Case) -> None:
    found = {point.name: point.value for point in entry_points(group="rocksalt.drivers")}
    if not found:
        pytest.skip("the distribution's metadata is not installed here")
    module, _, name = found[case.name].partition(":")
    assert getattr(importlib.import_module(module), name) is case.driver


@every
def test_it_is_one_of_the_kinds_that_the_program_knows(case: Case) -> None:
    assert issubclass(case.driver, ByteDevice)
    assert issubclass(case.driver, Settable | Enclosure | Spectrometer)
    stands_at = case.simulator.stands_at
    assert (stands_at({}) if callable(stands_at) else stands_at) in (
        "membrane", "thermal", "enclosure", ("spectrometer", "lights"),
    )  # fmt: skip
    assert (case.driver.__doc__ or "").startswith("Options: ")


def _imports(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names
