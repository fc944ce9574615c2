"""Where a run stands, read from its folder: the journal tells the state, a lock tells whether its daemon lives.

And how it is stopped from outside: by a signal to the one process that holds the folder.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rocksalt.daemon.living import daemon_lives, pids_of
from rocksalt.daemon.run_state import ENDS
from rocksalt.storage import journal, run_folder
from rocksalt.storage.history import History, fold


class NotRunning(ValueError):
    """A run that can't be stopped, because nobody conducts it."""


class StillRunning(RuntimeError):
    """A run that was told to stop and has not ended in time."""


def status_of(path: Path) -> dict[str, Any]:
    """The state of a run and its processes; `interrupted` where the daemon died in the middle.

    Raises FolderRefused, BadJournal.
    """
    folder, history = _look(path)
    return {
        "run": folder.name,
        "state": _state(folder, history),
        "pids": pids_of(folder.path),
        "holds": dict(history.holds),
        "measurements": len(history.points),
        "frames": {"taken": history.taken, "written": history.written, "lost": len(history.lost)},
        "dose_gy": history.dose_gy,
        "alarms": len(history.alarms),
    }


def stop_run(path: Path, *, within_s: float) -> dict[str, Any]:
    """Tell the daemon of a live run to stop, as SIGTERM does, and wait (wire seconds) until its process has ended.

    Returns the status then. Raises FolderRefused, BadJournal; NotRunning where there is nobody to tell; StillRunning.
    """
    folder, history = _look(path)
    state, daemon = _state(folder, history), pids_of(folder.path)["daemon"]
    if state == "interrupted":
        raise NotRunning(
            f"{path} is interrupted: its daemon died, nobody conducts it. `rocksalt report {path}` shows what it left"
        )
    if state in ENDS or daemon is None:
        raise NotRunning(f"{path} is over: it is {state}, and there is nothing to stop")
    with _handle(daemon) as handle:  # from here on the number can't become another process's
        if daemon_lives(folder.path) and pids_of(folder.path)["daemon"] == daemon:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        end = select.poll()
        end.register(handle, select.POLLIN)
        if not end.poll(1000.0 * within_s):
            raise StillRunning(
                f"{path} was told to stop and has not ended within {within_s:g} s (pid {daemon}): it makes the station "
                f"safe and writes its files; `rocksalt status {path}` shows where it stands"
            )
    return status_of(path)


@contextmanager
def _handle(pid: int) -> Iterator[int]:
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def _look(path: Path) -> tuple[run_folder.RunFolder, History]:
    folder = run_folder.existing(path)
    return folder, fold(journal.begun(folder.journal))


def _state(folder: run_folder.RunFolder, history: History) -> str:
    if history.state not in ENDS and not daemon_lives(folder.path):
        # It may have ended between the two looks.
        state = fold(journal.begun(folder.journal)).state
        return state if state in ENDS else "interrupted"
    return history.state
