"""One run a station: a lock on each address, held by the living process and by nothing else."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from rocksalt.config.station import Station


class StationBusy(RuntimeError):
    """A live run uses an instrument of this station."""


@contextmanager
def station_lock(station: Station, run: str) -> Iterator[None]:
    """Hold every instrument's address. The system lets go when this process dies. Raises StationBusy."""
    folder = _folder()
    with ExitStack() as held:
        for name, device in station.devices.items():
            digest = hashlib.sha256("/".join(device.link.line or (str(device.link),)).encode()).hexdigest()[:24]
            held.enter_context(
                _locked(folder / f"{digest}.lock", f"{run} ({name} at {device.link}, pid {os.getpid()})", name)
            )
        yield


@contextmanager
def _locked(path: Path, who: str, name: str) -> Iterator[None]:
    file: IO[str]
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise StationBusy(
                f"{name} is in use by a live run: {holder}; stop it first (`rocksalt stop RUN`), or use another station"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(who)
        file.flush()
        yield


def _folder() -> Path:
    import platformdirs

    folder = Path(platformdirs.user_runtime_dir("rocksalt", ensure_exists=False))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
