"""The program as its user has it: real processes, real sockets, real signals, each test in folders of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CAMPAIGN = (ROOT / "config/campaigns/kbr-transition.toml").read_text("utf-8")
STATION = (ROOT / "config/stations/simulated-dac.toml").read_text("utf-8")
PONI = (ROOT / "config/stations/simulated-dac.poni").read_text("utf-8")
PATIENCE_S = 60.0  # wire time; only a fault makes a test wait so long


def until(what: str, look: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """Look until it is so."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s:g} s: {what}")


def pause() -> None:
    """Let the other processes have the processor."""
    time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Said:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


@dataclass
class Running:
    """A command that is still running, in a process group of its own."""

    process: subprocess.Popen[str]
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        os.killpg(self.pid, number)

    @staticmethod
    def signal_process(pid: int, number: int) -> None:
        os.kill(pid, number)

    def ends(self, within_s: float = PATIENCE_S) -> Said:
        status = self.process.wait(within_s)
        return Said(status, self.out.read_text(), self.err.read_text())


@dataclass
class Desk:
    """A folder with a station and a campaign, a runtime folder and a temporary folder, and the program to hand."""

    here: Path
    mark: str
    tmp: Path
    stack: ExitStack = field(default_factory=ExitStack)
    started: int = 0
    runs: list[Running] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.here / "runtime").mkdir(mode=0o700)
        (self.here / "simulated-dac.poni").write_text(PONI)
        self.station()
        self.campaign()

    @property
    def data(self) -> Path:
        return self.here / "data"

    @property
    def truth(self) -> Path:
        return self.here / "truth.jsonl"

    def campaign(self, *changes: tuple[str, str]) -> Path:
        """The shipped campaign made short, with changes."""
        short = (
            ("pressure_gpa = [0.0, 5.0]", "pressure_gpa = [0.0, 0.5]"),
            ("measurements = 25", "measurements = 3"),
            ("settle_s = 60.0", "settle_s = 5.0"),
        )
        path = self.here / "campaign.toml"
        path.write_text(_changed(CAMPAIGN, (*short, *changes)), "utf-8")
        return path

    def station(self, *changes: tuple[str, str]) -> Path:
        """The shipped station, with changes."""
        path = self.here / "station.toml"
        path.write_text(_changed(STATION, changes), "utf-8")
        return path

    def at(self, devices: dict[str, dict[str, str]]) -> Path:
        """The station with the addresses that a ready line told."""
        path = self.here / "connected.toml"
        (path.parent / "simulated-dac.poni").write_text(PONI)
        links = {"membrane": "tcp://127.0.0.1:5025", "temperature": "serial:///dev/ttyUSB0?baud=57600"}
        links |= {"interlock": "tcp://127.0.0.1:5020", "detector": "http://127.0.0.1:8080"}
        schemes = {"tcp": "tcp://", "http": "http://", "pty": "serial://"}
        text = STATION
        for name, places in devices.items():
            for kind, address in places.items():
                old = "tcp://127.0.0.1:31001" if kind == "stream" else links[name]
                text = _changed(text, ((old, ("tcp://" if kind == "stream" else schemes[kind]) + address),))
        path.write_text(text, "utf-8")
        return path

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "XDG_RUNTIME_DIR": str(self.here / "runtime"),
            "TMPDIR": str(self.tmp),
            "ROCKSALT_TEST_MARK": self.mark,
            "COLUMNS": "200",
        }

    def start(self, *arguments: object) -> Running:
        """The program, beside us."""
        self.started += 1
        out, err = (self.here / f"{kind}-{self.started}.txt" for kind in ("out", "err"))
        with out.open("w") as to_out, err.open("w") as to_err:
            process = subprocess.Popen(
                [sys.executable, "-m", "rocksalt", *map(str, arguments)],
                stdout=to_out, stderr=to_err, stdin=subprocess.DEVNULL, text=True,
                cwd=self.here, env=self.environment(), start_new_session=True,
            )  # fmt: skip
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        running = Running(process, out, err)
        if arguments[0] == "run":
            self.runs.append(running)
        return running

    def rocksalt(self, *arguments: object) -> Said:
        """The program, from its start to its end."""
        return self.start(*arguments).ends()

    def run(self, *options: object, name: str = "night", speed: float = 200) -> Running:
        """A simulated run."""
        return self.start(
            "run", "campaign.toml", "--station", "station.toml", "--data", "data", "--run", name,
            "--simulate", "--speed", speed, "--truth", self.truth, *options,
        )  # fmt: skip

    def simulators(self, *options: object, station: str = "station.toml") -> tuple[Running, dict[str, dict[str, str]]]:
        """`rocksalt simulate`, ready; the detector wakes up at once."""
        if "--faults" not in options:
            (self.here / "quick.toml").write_text("[options.detector]\ninitialize_s = 0.0\n")
            options = (*options, "--faults", "quick.toml")
        running = self.start("simulate", station, *options)
        line = until("a ready line", lambda: running.out.read_text() or running.process.poll() is not None)
        assert line is not True, running.err.read_text()
        ready = json.loads(running.out.read_text())
        assert ready["ready"] is True
        return running, ready["devices"]

    # what is there

    def folder(self, name: str = "night") -> Path:
        return self.data / name

    def journal(self, name: str = "night") -> list[dict[str, Any]]:
        path = self.folder(name) / "journal.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def kinds(self, name: str = "night") -> list[str]:
        return [line["kind"] for line in self.journal(name)]

    def comes(self, kind: str, times: int = 1, name: str = "night") -> None:
        """Wait for a journal line of this kind."""
        until(f"{times} x {kind} in the journal", lambda: self.kinds(name).count(kind) >= times or self._over())
        assert self.kinds(name).count(kind) >= times, self.runs[-1].ends()

    def _over(self) -> bool:
        return bool(self.runs) and self.runs[-1].process.poll() is not None

    def summary(self, name: str = "night") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder(name) / "summary.json").read_text())
        return found

    def states(self) -> list[dict[str, Any]]:
        """The truth's lines about the sample."""
        lines = [json.loads(line) for line in self.truth.read_text().splitlines()]
        return [line for line in lines if "shutter" in line]

    def ours(self) -> list[str]:
        """The processes of this test that still live, by their environment's mark: whoever is their parent."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if f"ROCKSALT_TEST_MARK={self.mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                        found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
                except OSError:
                    continue
        return found

    def child(self, of: Running, word: str) -> int:
        """The pid of the child whose command line has this word."""
        children = Path(f"/proc/{of.pid}/task/{of.pid}/children").read_text().split()
        return next(int(pid) for pid in children if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes())

    def nothing_is_left(self, within_s: float = 10.0) -> None:
        """No process, no socket, no lock."""
        until(f"every process has ended: {self.ours()}", lambda: not self.ours(), within_s)
        assert list(self.tmp.iterdir()) == []
        assert [path for path in (self.here / "runtime").rglob("*") if not path.is_dir()] == []


def _changed(text: str, changes: Sequence[tuple[str, str]]) -> str:
    for old, new in changes:
        assert old in text, f"{old!r} is not in the shipped file any more"
        text = text.replace(old, new)
    return text


def answers(said: Said, status: int, *fragments: str) -> None:
    """The exit status, and one readable message on standard error that holds every fragment (regular expressions)."""
    assert said.status == status, said
    assert "Traceback" not in said.err + said.out
    for fragment in fragments:
        assert re.search(fragment, said.err), f"{fragment!r} is not in\n{said.err}"


INTERRUPT, TERMINATE, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGKILL
