"""Where a run stands, read from its folder: the journal tells the state, the processes tell whether somebody lives."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rocksalt.daemon.run_state import ENDS
from rocksalt.storage import journal, run_folder
from rocksalt.storage.history import fold

PROCESSES = ("daemon", "writer", "model", "guardian", "monitor")


def status_of(path: Path) -> dict[str, Any]:
    """The state of a run and its processes; `interrupted` where the daemon died in the middle. Raises FolderRefused."""
    folder = run_folder.existing(path)
    history = fold(journal.read(folder.journal).entries)
    pids = _pids(folder.path)
    state = history.state
    if state not in ENDS and not _lives(pids.get("daemon")):
        state = "interrupted"
    return {
        "run": folder.name,
        "state": state,
        "pids": {name: pid if _lives(pid) else None for name, pid in pids.items()},
        "holds": dict(history.holds),
        "measurements": len(history.points),
        "frames": {"taken": history.taken, "written": history.written, "lost": len(history.lost)},
        "dose_gy": history.dose_gy,
        "alarms": len(history.alarms),
    }


def _pids(folder: Path) -> dict[str, int | None]:
    try:
        found = json.loads((folder / "logs" / "processes.json").read_text())
    except (OSError, ValueError):
        found = {}
    return {name: found.get(name) for name in PROCESSES}


def _lives(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
