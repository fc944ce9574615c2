"""The processes of a real run: writer and model as children, each on a Unix socket in a folder of mode 0700.

Nothing of ours is left when the run ends, however it ends: a child whose daemon dies sees its channel close and goes,
and the folder of a socket is gone as soon as the child is connected.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocksalt.daemon.stopping import deaf_children
from rocksalt.messages import SocketChannel

START_S = 60.0  # wire seconds for a child to come up: a cold disk reads its libraries first
END_S = 10.0


class ChildFailed(RuntimeError):
    """A process of the run did not come up."""


@dataclass(slots=True)
class Child:
    """A process of the run and its channel."""

    name: str
    process: asyncio.subprocess.Process
    channel: SocketChannel

    @property
    def pid(self) -> int:
        return self.process.pid


@asynccontextmanager
async def child(name: str, module: str, arguments: Sequence[str], logs: Path) -> AsyncIterator[Child]:
    """Start `python -m module --channel SOCKET …`, wait for its connection, and see to its end.

    Its standard error goes to logs/NAME.log. Raises ChildFailed when it does not come up.
    """
    came: asyncio.Future[SocketChannel] = asyncio.get_running_loop().create_future()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if came.done():
            writer.close()
        else:
            came.set_result(SocketChannel(reader, writer))

    sockets = Path(tempfile.mkdtemp(prefix="rocksalt-"))  # mkdtemp makes it 0700
    try:
        path = sockets / "channel"
        server = await asyncio.start_unix_server(connected, path)
        try:
            with (logs / f"{name}.log").open("ab") as log, deaf_children():
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", module, "--channel", str(path), *arguments,
                    stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(),
                )  # fmt: skip
            try:
                channel = await _first(came, process, name, logs / f"{name}.log")
            except BaseException:
                await _end(process, patience_s=0.0)
                raise
        finally:
            server.close()
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    try:
        yield Child(name, process, channel)
    finally:
        channel.close()
        await _end(process)


def _environment() -> dict[str, str]:
    """One computing thread a process: two that spin on the same cores are slower than one."""
    return {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}


async def _first(
    came: asyncio.Future[SocketChannel], process: asyncio.subprocess.Process, name: str, log: Path
) -> SocketChannel:
    died = asyncio.ensure_future(process.wait())
    either: list[asyncio.Future[Any]] = [came, died]
    try:
        done, _ = await asyncio.wait(either, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if came in done:
            return came.result()
        what = f"ended with status {process.returncode}" if died in done else f"did not come up within {START_S:g} s"
        raise ChildFailed(f"the {name} process {what}{_last_words(log)}")
    finally:
        died.cancel()


def _last_words(log: Path) -> str:
    """The last line that a child wrote: the folder of its log may be gone when a person reads the message."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"; the last it said: {said[:300]}" if said else " and said nothing"


async def _end(process: asyncio.subprocess.Process, patience_s: float = END_S) -> None:
    """Wait for a child that sees its channel closed; then kill."""
    for push, wait_s in ((None, patience_s), (process.kill, END_S)):
        if push is not None:
            with contextlib.suppress(ProcessLookupError):
                push()
        try:
            async with asyncio.timeout(wait_s):
                await process.wait()
            return
        except TimeoutError:
            continue
