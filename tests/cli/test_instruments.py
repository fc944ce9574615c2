"""`rocksalt simulate`, `device` and `devices`: simulated instruments on real sockets, talked to one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - registers the detector's compression
import pytest

from cli.desk import INTERRUPT, TERMINATE, Desk, Running, Said, answers, until


@dataclass
class Bench:
    """A station that is being simulated."""

    desk: Desk
    running: Running
    devices: dict[str, dict[str, str]]

    def device(self, *arguments: object) -> Said:
        return self.desk.rocksalt("device", "connected.toml", *arguments)


@pytest.fixture
def bench(desk: Desk) -> Iterator[Bench]:
    faults = desk.here / "faults.toml"
    faults.write_text("[options.detector]\ninitialize_s = 0.0\ndrop_images = [2]\n")
    running, devices = desk.simulators("--any-port", "--faults", faults, "--truth", desk.truth, "--speed", "20")
    desk.at(devices)
    yield Bench(desk, running, devices)
    running.signal(TERMINATE)
    assert running.ends().status == 0
    desk.nothing_is_left()


def listeners(pid: int) -> set[str]:
    """The local addresses, as /proc writes them, on which a process listens."""
    found = set()
    inodes = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1].partition(":")[0])
    return found


def test_the_ready_line_tells_every_address_and_nothing_listens_beyond_this_machine(bench: Bench) -> None:
    assert {name: set(places) for name, places in bench.devices.items()} == {
        "membrane": {"tcp"},
        "temperature": {"pty"},
        "interlock": {"tcp"},
        "detector": {"http", "stream"},
    }
    assert bench.running.out.read_text().count("\n") == 1
    assert listeners(bench.running.pid) == {"0100007F"}
    ports = [places[kind] for places in bench.devices.values() for kind in places if kind != "pty"]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len(set(ports)) == 4


def test_only_means_only(desk: Desk) -> None:
    running, devices = desk.simulators("--any-port", "--only", "membrane", "--only", "interlock")
    assert set(devices) == {"membrane", "interlock"}
    running.signal(INTERRUPT)
    assert running.ends().status == 0
    answers(
        desk.rocksalt("simulate", "station.toml", "--only", "membran"), 2, "--only membran: there is no such device"
    )


@pytest.mark.parametrize("speed", ["0", "nan"])
def test_no_clock_runs_at_such_a_speed(desk: Desk, speed: str) -> None:
    answers(desk.rocksalt("simulate", "station.toml", "--speed", speed), 2, f"--speed {speed}: a positive number")


def test_sigterm_before_it_is_ready_is_an_end_in_good_order_too(desk: Desk) -> None:
    running = desk.start("simulate", "station.toml", "--any-port")
    until("it hears signals", lambda: signals_caught(running.pid) & (1 << (TERMINATE - 1)))
    running.signal(TERMINATE)
    assert running.ends().status == 0
    desk.nothing_is_left()


def signals_caught(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), 16)


def test_each_instrument_answers_what_it_is_asked(bench: Bench) -> None:
    said = bench.device("membrane", "identify", "--json")
    answers(said, 0)
    assert json.loads(said.out) == {"device": "membrane", "identity": "GE Druck,Pace5000 User Interface,58784,01.05.04"}
    told = json.loads(bench.device("temperature", "read", "--json").out)
    assert set(told) == {"device", "value", "unit", "state", "at_s"}
    assert told["unit"] == "K"
    assert 280 < told["value"] < 310
    moved = bench.device("membrane", "set", "1.0", "--speed", "20", "--json")
    answers(moved, 0)
    assert json.loads(moved.out)["value"] == pytest.approx(1.0, abs=0.2)
    answers(bench.device("interlock", "set", "open"), 0, "")
    assert bench.desk.states()[-1]["shutter"] == "open"
    answers(bench.device("interlock", "safe"), 0, "")
    assert bench.desk.states()[-1]["shutter"] == "closed"


def test_a_value_beyond_the_limits_moves_nothing(bench: Bench) -> None:
    answers(bench.device("membrane", "set", "500"), 2, r"membrane: 500 bar is above 150 bar \(connected\.toml:\d+\)")
    answers(bench.device("membrane", "set", "nan"), 2, "nan bar is below 0 bar|no place")
    answers(bench.device("membrane", "set", "much"), 2, "set membrane to a number in bar; 'much' was given")
    answers(bench.device("membrane", "set"), 2, "set membrane to a number in bar; nothing was given")
    answers(bench.device("interlock", "set", "ajar"), 2, "interlock can be set to open or closed, not to 'ajar'")
    answers(bench.device("detector", "set", "1"), 2, "detector can't be set")
    answers(bench.device("membrane", "read", "3"), 2, "read takes no value, and '3' was given")
    assert json.loads(bench.device("membrane", "read", "--json").out)["value"] == pytest.approx(0.0, abs=0.01)


def test_a_ctrl_c_during_a_move_stops_it(bench: Bench) -> None:
    start_gpa = bench.desk.states()[-1]["sample_pressure_gpa"]
    move = bench.desk.start("device", "connected.toml", "membrane", "set", "100", "--speed", "20")
    until("it moves", lambda: bench.desk.states()[-1]["sample_pressure_gpa"] > start_gpa + 0.01)
    move.signal(INTERRUPT)
    answers(move.ends(), 3, "stopped by Ctrl-C")
    first, later = (json.loads(bench.device("membrane", "read", "--json").out)["value"] for _ in range(2))
    assert 0 < first < 99
    assert later == pytest.approx(first, abs=0.5)


def test_frames_are_counted_and_a_lost_one_is_named(bench: Bench) -> None:
    out = bench.desk.here / "frames"
    said = bench.device("detector", "expose", "--frames", 4, "--exposure-s", 0.1, "--out", out, "--speed", 20, "--json")
    answers(said, 1)
    told = json.loads(said.out)
    assert {key: told[key] for key in ("device", "frames", "lost", "missing")} == {
        "device": "detector",
        "frames": 3,
        "lost": 1,
        "missing": [2],
    }
    (path,) = told["files"]
    with h5py.File(path, "r") as file:
        assert file["/entry/data/data"].shape == (3, 514, 1030)


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("detector", "expose"), "expose needs --out"),
        (("detector", "expose", "--out", "o", "--exposure-s", "0"), "--exposure-s 0: a frame is exposed"),
        (("detector", "expose", "--out", "o", "--frames", "0"), "--frames"),
        (("membrane", "expose", "--out", "o"), "membrane is no detector: only a detector can expose"),
        (("membran", "read"), r'station\.toml:\d+  devices\n  this station has no device "membran"'),
    ],
)  # fmt: skip
def test_a_command_that_makes_no_sense_is_refused(desk: Desk, arguments: tuple[str, ...], fragment: str) -> None:
    answers(desk.rocksalt("device", "station.toml", *arguments), 2, fragment)
    assert not (desk.here / "o").exists()


def test_the_others_answer_where_one_instrument_is_dead(desk: Desk) -> None:
    _, devices = desk.simulators("--any-port", "--only", "temperature", "--only", "interlock", "--only", "detector")
    desk.at(devices)
    said = desk.rocksalt("devices", "connected.toml", "--json")
    answers(said, 1)
    told = {result["device"]: result for result in json.loads(said.out)["devices"]}
    assert "membrane: no connection to tcp://127.0.0.1:5025" in told["membrane"]["error"]
    assert "connected.toml:" in told["membrane"]["error"]
    assert all("identity" in told[name] for name in ("temperature", "interlock", "detector"))
    assert said.err == ""
