"""Who lives of a run: a lock on its folder that the daemon holds as long as it lives, and the pids of its processes.

A pid alone proves nothing: after a crash another program may have it. A process is known by its pid and its start.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rocksalt.storage.run_folder import write_aside

PROCESSES = ("daemon", "writer", "model", "guardian", "monitor")


@contextmanager
def living(folder: Path) -> Iterator[None]:
    """Hold the run's folder as its daemon. The system lets go when this process dies; no file is left."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tell_processes(folder, {"daemon": os.getpid()})
        yield
    finally:
        os.close(fd)


def tell_processes(folder: Path, pids: Mapping[str, int]) -> None:
    """Write logs/processes.json: {name: {pid, started}}."""
    told = {name: {"pid": pid, "started": _started(pid)} for name, pid in pids.items()}
    write_aside(folder / "logs" / "processes.json", json.dumps(told).encode())


def daemon_lives(folder: Path) -> bool:
    """Whether a process holds this folder as its run's daemon."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def pids_of(folder: Path) -> dict[str, int | None]:
    """The living processes of a run by name; None for one that is not, or never was."""
    try:
        told = json.loads((folder / "logs" / "processes.json").read_text())
        found = {name: (int(told[name]["pid"]), int(told[name]["started"])) for name in PROCESSES if name in told}
    except (OSError, ValueError, TypeError, KeyError):
        found = {}
    return {name: found[name][0] if name in found and _started(found[name][0]) == found[name][1] else None
            for name in PROCESSES}  # fmt: skip


def _started(pid: int) -> int | None:
    """When a living process began, in clock ticks since the machine did; None for one that is dead or a zombie."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = told.rpartition(")")[2].split()  # a program's name may hold spaces and brackets
    return None if fields[0] in "ZX" else int(fields[19])
