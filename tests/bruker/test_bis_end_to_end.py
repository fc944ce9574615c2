"""Simulator and driver on three real sockets, and through a station file as a run would take them."""

from __future__ import annotations

import asyncio
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from bruker.bench import SHAPE, World, settings_of
from rocksalt.cli import simulating
from rocksalt.cli.faults import read_faults
from rocksalt.config.errors import ConfigError
from rocksalt.config.reading import read_station
from rocksalt.daemon.run import make_devices
from rocksalt.daemon.station_lock import StationBusy, station_lock
from rocksalt.devices import Device, DeviceError, LinkLost
from rocksalt.devices.links import MemoryWires, RealWires
from rocksalt.devices.supervision import Supervisor
from rocksalt.time import ExperimentClock, Node, run_virtual
from rocksalt.twin.wire.hosting import PortTaken, serve_tcp, serve_tcp_in_a_row
from rocksalt.values import Reading
from rocksalt_drivers.bruker_bis.driver import BrukerBis
from rocksalt_drivers.bruker_bis.sfrm import read_frame

ROOT = Path(__file__).parents[2]
STATION = """
station = "bruker"
[beam]
wavelength_angstrom = 0.7107
size_um = [100.0, 100.0]
polarisation = 0.0
[geometry]
poni = "bruker.poni"
[load_curve]
gpa_per_bar = 0.055
gpa_per_bar_sigma = 0.020
offset_gpa = 0.0
offset_sigma_gpa = 0.15
[devices.omega]
driver = "bruker_bis"
link = "tcp://127.0.0.1:{port}"
limits = {{ lower = -20.0, upper = 20.0 }}
options = {{ part = "omega" }}
[devices.shutter]
driver = "bruker_bis"
link = "tcp://127.0.0.1:{port}"
options = {{ part = "shutter" }}
[devices.detector]
driver = "bruker_bis"
link = "tcp://127.0.0.1:{port}"
shape = [6, 1024]
options = {{ part = "detector", frames_dir = "{frames}" }}
{more}
[twin]
sample = "KBr"
"""


def station_file(folder: Path, *, port: int = 49153, more: str = "") -> Path:
    path = folder / "bruker.toml"
    path.write_text(STATION.format(port=port, frames=folder, more=more))
    (folder / "bruker.poni").write_text((ROOT / "config/stations/simulated-dac.poni").read_text())
    return path


class Doors:
    """What a simulator asks of the twin, from the bench's small worlds."""

    def __init__(self, world: World) -> None:
        self.camera, self.enclosure, self.thermal = world.camera, world.hutch, world.heat


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point, whether or not the distribution's metadata is installed."""
    point = EntryPoint("bruker_bis", "rocksalt_drivers.bruker_bis.simulator:BisSimulator", "rocksalt.simulators")
    monkeypatch.setattr(simulating, "entry_points", lambda group: [point])


async def test_three_sockets_carry_moves_frames_and_a_lost_and_found_link(tmp_path: Path) -> None:
    world = World(frames_dir=str(tmp_path))
    world.clock = world.bis.clock = ExperimentClock(asyncio.get_running_loop(), speed=200.0)
    servers, address = await serve_tcp_in_a_row(world.bis.sockets)
    wires, link = RealWires(), f"tcp://{address}"
    omega, detector = (
        BrukerBis(part, settings_of(part, link=link, shape=SHAPE, frames_dir=str(tmp_path)), wires, world.clock)
        for part in ("omega", "detector")
    )
    supervisor: Supervisor | None = None
    back: asyncio.Future[tuple[Reading, ...]] = asyncio.get_running_loop().create_future()
    try:
        async with asyncio.timeout(20):
            await asyncio.gather(omega.connect(), detector.connect())
            assert len(world.bis.clients) == 1
            await omega.set(12.5)
            files = await detector.expose(20.0, 2)
            assert [(read_frame(file.path, SHAPE).counts == pixels).all()
                    for file, pixels in zip(files, world.camera.pixels, strict=True)] == [True, True]  # fmt: skip
            supervisor = Supervisor([omega], lambda device, why: None, lambda device, found: back.set_result(found))
            supervisor.start()
            world.bis._at["OMEGA"] = 7.0  # moved by hand while nobody looked
            omega.session.link._transport._connections[2]._writer.transport.abort()
            await asyncio.sleep(0.05)
            with pytest.raises(LinkLost, match="connection 3 of 3"):
                await omega.read()
            assert [reading.value for reading in await back] == [7.0]
            await detector.connect()
            assert len(await detector.expose(1.0, 1)) == 1
    finally:
        if supervisor is not None:
            supervisor.stop()
        await omega.close()
        await detector.close()
        for server in servers:
            server.close()
    await asyncio.sleep(0.05)
    assert world.bis.clients == []


async def test_ports_in_a_row_are_found_or_refused() -> None:
    world = World()
    servers, address = await serve_tcp_in_a_row(world.bis.sockets)
    first = int(address.rpartition(":")[2])
    assert [server.sockets[0].getsockname()[1] for server in servers] == [first, first + 1, first + 2]
    servers[0].close()
    with pytest.raises(PortTaken):
        await serve_tcp_in_a_row(world.bis.sockets, first)
    with pytest.raises(PortTaken):
        await serve_tcp_in_a_row(world.bis.sockets, 65535)
    again, _ = await serve_tcp(world.bis.sockets[0], first)
    for server in (*servers, again):
        server.close()


async def test_a_station_of_three_parts_is_one_simulated_instrument(player: None, tmp_path: Path) -> None:
    station = read_station(station_file(tmp_path, port=0)).value
    clock = ExperimentClock(asyncio.get_running_loop(), speed=200.0)
    simulators = simulating.make_simulators(station, Doors(World()), clock)  # type: ignore[arg-type]
    assert len({id(simulator) for simulator in simulators.values()}) == 1
    hosted = await simulating.host(station, simulators, any_port=True)
    try:
        urls = hosted.urls()
        assert len({url["link"] for url in urls.values()}) == 1
        path = station_file(tmp_path, port=int(urls["omega"]["link"].rpartition(":")[2]))
        devices = make_devices(read_station(path), {"bruker_bis": BrukerBis}, RealWires(), clock)
        async with asyncio.timeout(20):
            for device in devices.values():
                await device.connect()
            await devices["omega"].set(3.0)  # type: ignore[attr-defined]
            assert len(simulators["omega"].clients) == 1
            for device in devices.values():
                await device.close()
    finally:
        hosted.close()


def test_in_virtual_time_it_is_the_same_and_a_crashed_daemon_says_nothing_more(player: None, tmp_path: Path) -> None:
    async def night() -> None:
        station = read_station(station_file(tmp_path))
        clock = ExperimentClock(asyncio.get_running_loop())
        world, twin, daemon = World(), Node("twin"), Node("daemon")
        with twin:
            simulators = simulating.make_simulators(station.value, Doors(world), clock)  # type: ignore[arg-type]
        bis = simulators["omega"]
        wires = MemoryWires(simulating.in_memory(simulators, twin))
        with daemon:
            devices = make_devices(station, {"bruker_bis": BrukerBis}, wires, clock)

        async def work() -> None:
            for device in devices.values():
                await device.connect()
            await devices["shutter"].open_shutter()  # type: ignore[attr-defined]
            assert len(await devices["detector"].expose(10.0, 1)) == 1  # type: ignore[attr-defined]
            await devices["omega"].set(19.0)  # type: ignore[attr-defined]

        working = daemon.spawn(work(), "work")
        await asyncio.sleep(11.0)
        heard = bis.heard
        daemon.crash()
        with pytest.raises(asyncio.CancelledError):
            await working
        await asyncio.sleep(60.0)
        assert bis.heard == heard
        assert bis._at["OMEGA"] == 19.0, "what was queued goes on without its client"

    run_virtual(night)


def test_a_fault_of_one_part_is_the_instruments(player: None, tmp_path: Path) -> None:
    async def work() -> None:
        station = read_station(station_file(tmp_path))
        (tmp_path / "faults.toml").write_text('[[fault]]\ndevice = "shutter"\nkind = "dropped"\nat_s = 5.0\n')
        schedule = read_faults(tmp_path / "faults.toml", station.value)
        clock, twin, world = ExperimentClock(asyncio.get_running_loop()), Node("twin"), World()
        told: list[Any] = []
        doors: Any = Doors(world)
        doors.truth_line = told.append
        with twin:
            simulators = simulating.make_simulators(station.value, doors, clock)
            simulators = simulating.with_faults(simulators, schedule, station.value, doors, clock, seed=1, virtual=True)
        assert len({id(simulator) for simulator in simulators.values()}) == 1
        wires = MemoryWires(simulating.in_memory(simulators, twin))
        omega = make_devices(station, {"bruker_bis": BrukerBis}, wires, clock)["omega"]
        await omega.connect()
        await asyncio.sleep(6.0)
        with pytest.raises(LinkLost, match="closed by the other side"):
            await omega.identify()
        await omega.connect()
        assert len(told) == 1

    run_virtual(work)


# the station file


def refusals(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_station(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            '[devices.phi]\ndriver = "bruker_bis"\nlink = "tcp://127.0.0.1:49153"\noptions = { part = "Omega" }',
            'omega is this part of tcp://127.0.0.1:49153 already (part = "omega")',
        ),
        (
            '[devices.gas]\ndriver = "druck_pace"\nlink = "tcp://127.0.0.1:49153"',
            "is on port 49153 of 127.0.0.1 already",
        ),
        (
            '[devices.eye]\ndriver = "dectris_simplon"\nlink = "http://127.0.0.1:80"\nshape = [6, 10]\n'
            'stream = "tcp://127.0.0.1:49153"',
            "is on port 49153 of 127.0.0.1 already",
        ),
    ],
)
def test_an_address_is_shared_by_different_parts_of_one_instrument_and_by_nobody_else(
    more: str, words: str, tmp_path: Path
) -> None:
    assert read_station(station_file(tmp_path)).value.devices["shutter"].options == {"part": "shutter"}
    assert words in refusals(station_file(tmp_path, more=more))


def test_a_station_is_locked_once_for_all_parts_of_an_instrument(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    station = read_station(station_file(tmp_path))
    with station_lock(station, "a run"):  # noqa: SIM117
        with pytest.raises(StationBusy, match="in use by a run"), station_lock(station, "another", only=("shutter",)):
            pass
    with station_lock(station, "another", only=("shutter",)):
        pass


async def test_nobody_at_the_address_is_a_lost_link_for_every_part() -> None:
    wires, clock = RealWires(), ExperimentClock(asyncio.get_running_loop())
    servers, address = await serve_tcp_in_a_row(World().bis.sockets)
    for server in servers:
        server.close()
    parts: list[Device] = [
        BrukerBis(part, settings_of(part, link=f"tcp://{address}"), wires, clock) for part in ("omega", "phi")
    ]
    outcomes = await asyncio.gather(*(part.connect() for part in parts), return_exceptions=True)
    assert all(isinstance(outcome, DeviceError) for outcome in outcomes)
    assert [str(outcome).split(":")[0] for outcome in outcomes] == ["omega", "phi"]
