"""The disk as a door: appending and syncing, real in a real process, crashable in virtual time.

A process's death leaves what was written; a machine's death leaves what was synced and any torn part of what was not.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from rocksalt.time import Crashed, current_node, door


class Appending(Protocol):
    """A file that only grows. One writer."""

    def write(self, data: bytes) -> None:
        """Hand the bytes to the system: they survive the death of this process. Raises OSError."""
        ...

    async def sync(self) -> None:
        """Everything written so far survives the death of the machine. Raises OSError."""
        ...

    def close(self) -> None: ...


class Disk(Protocol):
    """Opens files for appending."""

    def append(self, path: Path) -> Appending: ...


class RealDisk:
    """The system's files. A sync runs in a thread; those asked for while one runs share the next (group commit)."""

    def append(self, path: Path) -> RealFile:
        return RealFile(path)


class RealFile:
    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._written = self._synced = 0
        self._committing = asyncio.Lock()

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            # A full disk takes half a line. Left there, it would be damage in the middle once there is room again.
            if part := len(data) - len(view):
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - part)
            raise
        self._written += len(data)

    async def sync(self) -> None:
        wanted = self._written
        async with self._committing:
            if self._synced >= wanted:
                return  # the commit that we waited for took our bytes along
            upto = self._written
            await asyncio.to_thread(os.fdatasync, self._fd)
            self._synced = upto

    def close(self) -> None:
        os.close(self._fd)


@dataclass(slots=True)
class VirtualDisk:
    """The disk of a virtual run: the files are real, what has been synced is remembered, and machines can die."""

    sync_s: float = 0.002
    _files: dict[Path, VirtualFile] = field(default_factory=dict)

    def append(self, path: Path) -> VirtualFile:
        file = self._files[path] = VirtualFile(path, self.sync_s)
        return file

    def machine_dies(self, chance: np.random.Generator) -> None:
        """Leave each file as the last sync left it, and a torn part, of any length, of what came after."""
        for file in self._files.values():
            file.tear(chance)


class VirtualFile:
    def __init__(self, path: Path, sync_s: float) -> None:
        self._path, self._sync_s = path, sync_s
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._written = self._synced = os.fstat(self._fd).st_size

    def write(self, data: bytes) -> None:
        door()
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self._written += len(data)

    async def sync(self) -> None:
        door()
        upto = self._written
        await asyncio.sleep(self._sync_s)
        door()
        self._synced = max(self._synced, upto)

    def tear(self, chance: np.random.Generator) -> None:
        os.truncate(self._path, int(chance.integers(self._synced, self._written, endpoint=True)))

    def close(self) -> None:
        node = current_node()
        if node is not None and node.dead:
            raise Crashed(f"{node.name} is dead: {self._path.name} stays as it lies")
        os.close(self._fd)
