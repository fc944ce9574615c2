"""What is true of every installed driver, whatever it drives: a small bench for each, one test for each promise."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from drivers.bench import in_virtual_time
from drivers.benches import BENCHES, NO_BENCH, Bench, Between
from rocksalt.devices import Detector, Device, DeviceError, Enclosure, LinkLost, OutOfLimits, Refused, Settable
from rocksalt.devices.device import Readable
from rocksalt.devices.supervision import Supervisor

DRIVERS = {point.name: point.value for point in entry_points(group="rocksalt.drivers")}
"""By name: "module:Class"."""
SETTABLE = [bench for bench in BENCHES if issubclass(bench.kind, Settable)]
LONGEST_DEADLINE_S = 5.0  # of any driver's question, wire time
every = pytest.mark.parametrize("bench", BENCHES, ids=lambda bench: bench.name)
settable = pytest.mark.parametrize("bench", SETTABLE, ids=lambda bench: bench.name)
each_driver = pytest.mark.parametrize(
    "bench", {bench.driver: bench for bench in BENCHES}.values(), ids=lambda bench: bench.driver
)


def on_bench(bench: Bench) -> tuple[Any, Between, Any]:
    return bench.on(asyncio.get_running_loop())


async def connected(bench: Bench) -> tuple[Any, Between, Any]:
    device, between, simulator = on_bench(bench)
    await device.connect()
    between.sent.clear()
    return device, between, simulator


async def value(device: Any) -> Any:
    """What it reads; a detector reads nothing, and says who it is."""
    if isinstance(device, Readable | Enclosure):
        return tuple(reading.value for reading in await device.readings())
    return await device.identify()


def folder(bench: Bench) -> Path:
    return Path(inspect.getfile(importlib.import_module(DRIVERS[bench.driver].partition(":")[0]))).parent


def test_every_installed_driver_has_a_bench() -> None:
    benches = {bench.driver for bench in BENCHES}
    assert DRIVERS, "the distribution's metadata is not installed here"
    assert sorted(set(DRIVERS) - benches - set(NO_BENCH)) == []
    assert sorted(benches - set(DRIVERS)) == []


@every
@in_virtual_time
async def test_it_identifies_itself_and_is_connected(bench: Bench) -> None:
    device, _, _ = on_bench(bench)
    await device.connect()
    assert device.state == "connected"
    assert device.identity.search(await device.identify())
    await device.close()
    assert device.state == "disconnected"


@every
@in_virtual_time
async def test_it_reads_numbers_with_a_name_a_unit_and_a_time(bench: Bench) -> None:
    device, _, _ = await connected(bench)
    if isinstance(device, Detector):
        assert device.identified
        return
    readings = await device.readings()
    assert readings
    for reading in readings:
        assert reading.name.startswith(bench.driver)
        assert reading.value == reading.value
        assert reading.at_s >= 0
    if isinstance(device, Readable):
        assert (readings[0].name, readings[0].unit) == (device.reading_name, device.unit)
        assert device.unit


@settable
@in_virtual_time
async def test_a_target_beyond_the_limit_never_reaches_the_wire(bench: Bench) -> None:
    device, between, _ = await connected(bench)
    rule = rf"^{bench.driver}: {bench.beyond:g} .* \(user limit, station\.toml:14\)$"
    with pytest.raises(OutOfLimits, match=rule):
        await device.set(bench.beyond)
    for nowhere in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(OutOfLimits):
            await device.set(nowhere)
    assert between.sent == []


@settable
@in_virtual_time
async def test_it_arrives_and_may_be_stopped_and_made_safe_there(bench: Bench) -> None:
    device, _, _ = await connected(bench)
    await device.set(bench.inside)
    await device.stop()
    await device.make_safe()
    assert (await device.read()).value == pytest.approx(bench.inside, abs=device.arrives_within)


@every
@in_virtual_time
async def test_the_safe_state_takes_two_messages_at_most_and_may_be_said_to_a_box_that_is_safe(bench: Bench) -> None:
    device, between, _ = await connected(bench)
    for _ in range(2):
        between.sent.clear()
        await device.make_safe()
        assert 1 <= len(between.sent) <= 2
        await device.stop()


@every
@pytest.mark.parametrize("ask", ["stop", "make_safe"])
@in_virtual_time
async def test_a_stop_is_on_the_wire_at_once_though_a_poll_waits_for_its_answer(bench: Bench, ask: str) -> None:
    device, between, _ = await connected(bench)
    between.delay_s = 0.9
    polls = [asyncio.ensure_future(value(device)) for _ in range(3)]
    await asyncio.sleep(0.3)
    between.sent.clear()
    urgent = asyncio.ensure_future(getattr(device, ask)())
    await asyncio.sleep(0.2)
    assert len(between.sent) >= 1
    between.delay_s = 0.0
    await asyncio.gather(urgent, *polls)


@every
@in_virtual_time
async def test_a_box_that_falls_silent_is_a_lost_link_in_every_call_by_its_deadline(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    for call in ("identify", "stop", "make_safe", "value"):
        device, between, _ = on_bench(bench)
        changes: list[str] = []
        device.on_change = lambda device, state, why, changes=changes: changes.append(state)
        await device.connect()
        between.silent = True
        began_s = loop.time()
        with pytest.raises(LinkLost, match=f"^{bench.driver}: "):
            await (value(device) if call == "value" else getattr(device, call)())
        assert loop.time() - began_s <= LONGEST_DEADLINE_S
        assert changes == ["connected", "disconnected"]
        between.silent = False
        await device.connect()
        assert device.state == "connected"


@every
@in_virtual_time
async def test_a_lost_one_comes_back_by_itself_within_a_second_and_reads_what_is_true_then(bench: Bench) -> None:
    device, between, simulator = await connected(bench)
    back = asyncio.Event()
    supervisor = Supervisor([device], lambda device, why: None, lambda device, readings: back.set())
    supervisor.start()
    identity, before = device.identified, await value(device)
    between.silent = True
    with pytest.raises(LinkLost):
        await value(device)
    bench.shift(simulator)
    await asyncio.sleep(30.0)
    assert not back.is_set()
    between.silent = False
    async with asyncio.timeout(1.0):
        await back.wait()
    if bench.shifted:
        first = slice(len(bench.shifted))
        assert before[first] != pytest.approx(bench.shifted, rel=1e-3)
        assert (await value(device))[first] == pytest.approx(bench.shifted, rel=1e-3)
    assert device.identified.split(",")[0] == identity.split(",")[0]
    supervisor.stop()


@every
@in_virtual_time
async def test_another_instrument_is_refused_and_its_words_are_told(bench: Bench) -> None:
    device, between, _ = on_bench(bench)
    between.alter = bench.stranger
    with pytest.raises(bench.refused_as, match=f"^{bench.driver}: "):
        await device.connect()
    assert device.state == "disconnected"
    between.alter = lambda data: data
    await device.connect()


@pytest.mark.parametrize("bench", [bench for bench in BENCHES if bench.disorder], ids=lambda bench: bench.name)
@in_virtual_time
async def test_a_front_panel_left_in_a_wrong_state_is_put_right_or_named_where_only_a_person_may(bench: Bench) -> None:
    device, between, simulator = await connected(bench)
    await device.close()
    assert bench.disorder is not None
    bench.disorder(simulator)
    assert bench.named or not bench.in_order(simulator)
    await device.connect()
    assert bench.in_order(simulator)
    if bench.named:
        between.sent.clear()
        with pytest.raises(Refused, match=f"^{bench.driver}: .* mode"):
            await bench.named(device)


def test_every_driver_has_a_front_panel_to_be_put_right() -> None:
    assert {bench.driver for bench in BENCHES if bench.disorder} == {bench.driver for bench in BENCHES}


@every
@in_virtual_time
async def test_garbage_on_the_line_is_a_device_error_and_never_a_traceback_of_another_kind(bench: Bench) -> None:
    for garbage in (b"\0\0\0\0\0\0\0\0\r\n", b"\xff" * 20 + b"\n", b"1;2;3;4\n", b",,,\n", b":\n", b"9" * 400 + b"\n"):
        for call in ("value", "stop", "make_safe"):
            device, between, _ = await connected(bench)
            between.alter = lambda data, garbage=garbage: garbage
            with pytest.raises(DeviceError):
                await (value(device) if call == "value" else getattr(device, call)())


@each_driver
def test_its_folder_tells_the_facts_and_driver_and_simulator_know_nothing_of_each_other(bench: Bench) -> None:
    text = (folder(bench) / "README.md").read_text()
    for chapter in ("## Facts", "## Wiring", "## Station file", "## Quirks", "## Never tried on hardware"):
        assert chapter in text, f"{bench.driver}/README.md has no chapter {chapter!r}"
    for module, forbidden in (("driver", "simulator"), ("simulator", "driver")):
        imported = _imports(folder(bench) / f"{module}.py")
        assert not any(forbidden in name.split(".") for name in imported)
        if module == "driver":
            inside = {name for name in imported if name.startswith("rocksalt.")}
            assert all(name.startswith(("rocksalt.devices", "rocksalt.values")) for name in inside), inside


@every
def test_it_is_one_of_the_kinds_that_the_program_knows_and_says_its_options(bench: Bench) -> None:
    assert issubclass(bench.kind, Device)
    assert issubclass(bench.kind, Readable | Enclosure | Detector)
    assert any("Options: " in (kind.__doc__ or "") for kind in bench.kind.__mro__ if issubclass(kind, Device))


def _imports(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names
