"""A folder into which an instrument writes files: waited for until they are whole, and never followed out of it.

A share that hangs blocks whoever looks at it, so every look happens in a thread that can be abandoned; while one hangs,
no other is started.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rocksalt.devices.errors import GarbledReply, LinkLost, NotReached
from rocksalt.time import door

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
POLL_S = 0.01  # wire seconds between looks, as areaDetector's Bruker driver does


@dataclass(frozen=True, slots=True)
class FileFound:
    """A whole file: where it is, and its bytes as far as its own head says that it goes."""

    path: Path
    size: int


class Looking(Protocol):
    """How a call that may block is made."""

    def __call__(self, work: Callable[[], Any]) -> Awaitable[Any]: ...


class Folder:
    """`device` is whose files they are, for messages."""

    def __init__(self, path: Path, *, device: str, look: Looking) -> None:
        self.path, self._device, self._look = path, device, look
        self._hanging = False

    async def names(self, *, within_s: float = 5.0) -> list[str]:
        """The names of the plain files in it, sorted. Raises LinkLost when it can't be looked at."""
        found: list[str] = await self._within(lambda: _plain_files(self.path), within_s)
        return found

    async def whole(
        self, name: str, *, head: int, length: Callable[[bytes], int], most: int, within_s: float
    ) -> FileFound:
        """Wait for the file, in wire time, until it is as long as its head says.

        name     a bare name; upper and lower case are tried too, for instruments change them
        head     bytes that must be there before `length` is asked
        length   the first bytes -> bytes of the whole file; may raise a DeviceError
        most     bytes that no honest file exceeds

        Raises NotReached when it is not there or not whole in time; LinkLost when the folder can't be looked at;
        GarbledReply when it is longer than `most`, or no plain file.
        """
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no bare file name")
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        had = "is not there"
        while True:
            seen = await self._within(lambda: _look_at(self.path, name, head), max(until_s - loop.time(), POLL_S))
            if seen is not None:
                path, size, first = seen
                needed = head if len(first) < head else length(first)
                if (longest := max(size, needed)) > most:
                    raise GarbledReply(self._device, f"{path.name} has or announces {longest} bytes, of {most} at most")
                if len(first) >= head and size >= needed:
                    return FileFound(path, needed)
                had = f"has {size} of {needed} bytes"
            if loop.time() >= until_s:
                raise NotReached(self._device, f"{name} {had} after {within_s:g} s ({self.path})")
            await asyncio.sleep(POLL_S)
            door()

    async def _within(self, work: Callable[[], Any], within_s: float) -> Any:
        door()
        if self._hanging:
            raise LinkLost(self._device, f"{self.path}: a look at this folder still hangs")
        self._hanging = True

        def done() -> Any:
            try:
                return work()
            finally:
                self._hanging = False

        try:
            async with asyncio.timeout(within_s):
                return await self._look(done)
        except TimeoutError:
            raise LinkLost(self._device, f"{self.path} can't be looked at within {within_s:g} s") from None
        except _NoPlainFile as error:
            raise GarbledReply(self._device, str(error)) from None
        except OSError as error:
            raise LinkLost(self._device, f"{self.path}: {error.strerror or type(error).__name__}") from error


class _NoPlainFile(Exception):
    pass


def _plain_files(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))


def _look_at(folder: Path, name: str, head: int) -> tuple[Path, int, bytes] | None:
    """(path, size, first bytes) of the file in whichever spelling it has; None when there is none."""
    for spelling in dict.fromkeys((name, name.upper(), name.lower())):
        path = folder / spelling
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            if path.is_symlink():
                raise _NoPlainFile(f"{spelling} is a link, and links are not followed") from error
            raise
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise _NoPlainFile(f"{spelling} is no plain file")
            return path, found.st_size, os.pread(fd, head, 0)
        finally:
            os.close(fd)
    return None


async def at_once(work: Callable[[], Any]) -> Any:
    """Look here and now: for folders in virtual time, which knows no threads."""
    return work()


async def aside(work: Callable[[], Any]) -> Any:
    """Look in a thread; whoever no longer waits leaves it behind."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Any] = loop.create_future()

    def hand_over(value: Any, error: Exception | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)

    def run() -> None:
        value, failure = None, None
        try:
            value = work()
        except Exception as error:  # handed over whole: it is raised where it is awaited
            failure = error
        try:
            loop.call_soon_threadsafe(hand_over, value, failure)
        except RuntimeError:  # the loop is gone
            pass

    threading.Thread(target=run, name="look into a folder", daemon=True).start()
    return await result
