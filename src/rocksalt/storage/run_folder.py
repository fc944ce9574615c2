"""The folder of one run: made once, never reused, with room for frames and logs."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from rocksalt.config.names import run_name
from rocksalt.storage import journal


class FolderRefused(ValueError):
    """A run folder that can't be made: exists already, or its place can't be written."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where everything of a run lies."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def journal(self) -> Path:
        return self.path / journal.NAME

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def nexus(self) -> Path:
        return self.path / "run.nxs"

    @property
    def reduced(self) -> Path:
        return self.path / "reduced.h5"


def make(data: Path, name: str) -> RunFolder:
    """A new run folder. Raises FolderRefused, and NameRefused for a name that is none. Nothing is left half made."""
    folder = refuse_taken(data, name)
    try:
        data.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except FileExistsError:
        refuse_taken(data, name)
        raise
    except OSError as error:
        raise FolderRefused(
            f"{folder} can't be made ({error.strerror}): choose a folder that you may write with --data"
        ) from None
    try:
        (folder / "frames").mkdir()
        (folder / "logs").mkdir()
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise FolderRefused(f"{folder} can't be filled ({error.strerror}): choose another place with --data") from None
    return RunFolder(folder)


def refuse_taken(data: Path, name: str) -> Path:
    """The path that the run's folder will have. Raises FolderRefused where something lies there, and NameRefused."""
    folder = data / run_name(name)
    if data.exists() and not data.is_dir():
        raise FolderRefused(f"{data} is a file: run folders go into a folder; choose one with --data")
    if folder.is_symlink() or folder.exists():
        raise FolderRefused(f"{folder} exists: a run's folder is never written twice; choose another name with --run")
    return folder


def discard_unbegun(folder: RunFolder) -> bool:
    """Take away the folder of a run whose journal was never begun. Returns whether it was taken away."""
    try:
        begun = folder.journal.stat().st_size > 0
    except OSError:
        begun = False
    if not begun:
        shutil.rmtree(folder.path, ignore_errors=True)
    return not begun


def existing(path: Path) -> RunFolder:
    """The folder of a run that is there. Raises FolderRefused."""
    if not (path / journal.NAME).is_file():
        raise FolderRefused(f"{path} is no run folder: it has no {journal.NAME}")
    if (path / journal.NAME).stat().st_size == 0:
        raise FolderRefused(f"{path} holds no run: its {journal.NAME} is empty, so nothing of it ever began")
    return RunFolder(path)


def write_aside(path: Path, data: bytes) -> None:
    """Write a whole file: aside, synced, renamed, so that there is never half of it. Raises OSError."""
    aside = path.with_name(f".{path.name}.part")
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
