"""One run a station: a lock on each address, held by the living process and by nothing else.

The locks lie in a folder that this user alone can enter. A lock's file goes with it; one that a killed process left
behind locks nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rocksalt.config.errors import Problem, shown
from rocksalt.config.source import Read
from rocksalt.config.station import Device, Station


class StationBusy(RuntimeError):
    """A live run uses an instrument of this station."""


class LockFolderRefused(RuntimeError):
    """There is no folder in which this user's locks would be safe from others."""


@contextmanager
def station_lock(station: Read[Station], who: str, only: Collection[str] | None = None) -> Iterator[None]:
    """Hold every instrument's address, or those of `only`. The system lets go when this process dies.

    who   what is told to another who wants the station: a run's folder, or a command

    Raises StationBusy, LockFolderRefused.
    """
    folder = lock_folder()
    lines: set[tuple[str, ...]] = set()  # parts of one instrument share its address
    with ExitStack() as held:
        for name, device in station.value.devices.items():
            if (only is None or name in only) and _line(device) not in lines:
                lines.add(_line(device))
                held.enter_context(_locked(folder, name, device, f"{who} (pid {os.getpid()})", station))
        yield


def _line(device: Device) -> tuple[str, ...]:
    return device.link.line or (str(device.link),)


@contextmanager
def _locked(folder: Path, name: str, device: Device, who: str, station: Read[Station]) -> Iterator[None]:
    digest = hashlib.sha256("/".join(_line(device)).encode()).hexdigest()[:24]
    path = folder / f"{digest}.lock"
    fd = _open_locked(path)
    if fd is None:
        with suppress(OSError):
            who = path.read_text(encoding="utf-8")
        raise StationBusy(
            str(
                station.source.problem(
                    ("devices", name, "link"),
                    f"this instrument is in use by {who.strip() or 'another process'}",
                    "wait for its end, stop it (rocksalt stop RUN), or use another station",
                    shown(str(device.link)),
                )
            )
        )
    try:
        os.ftruncate(fd, 0)
        os.write(fd, who.encode())
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(fd)


def _open_locked(path: Path) -> int | None:
    """A file descriptor that holds the lock; None where another holds it.

    The last holder takes the file away with it, so that a lock counts only on the file that is there now.
    """
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except FileNotFoundError:
            pass
        os.close(fd)


def lock_folder() -> Path:
    """The folder of this user's locks, made if need be. Raises LockFolderRefused.

    $XDG_RUNTIME_DIR where it is this user's own, /run/user/UID where there is one, else a folder in /tmp: there anybody
    may have put something in the way, so that what lies there must be a folder (no link), ours, and closed to others.
    """
    user = os.geteuid()
    for parent in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{user}"):
        if parent and _ours(Path(parent)):
            return _private(Path(parent, "rocksalt"))
    return _private(Path(tempfile.gettempdir(), f"rocksalt-of-user-{user}"))


def _ours(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _private(folder: Path) -> Path:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)
        return folder
    what = "a link" if stat.S_ISLNK(found.st_mode) else "another user's" if stat.S_ISDIR(found.st_mode) else "no folder"
    raise LockFolderRefused(
        str(
            Problem(
                str(folder),
                None,
                "",
                "",
                f"the locks of running stations lie here, in a folder of yours with mode 0700; this is {what}",
                "remove it, or set XDG_RUNTIME_DIR to a folder of your own",
            )
        )
    )
