"""The writer's process beside a RunEngine, from stage to unstage: the same writer, chunks and hashes as in a run."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final

from rocksalt.daemon.processes import Child, ChildFailed, child
from rocksalt.devices import Detector, DeviceError
from rocksalt.messages import ChannelClosed, each
from rocksalt.storage.frames import FRAMES_PER_FILE

LATE_S: Final = 10.0
"""Wire seconds that a frame may take to the disk after its series is over."""
log = logging.getLogger("rocksalt.bluesky")


class FramesLost(DeviceError):
    """Frames that were taken and are not on disk."""


class Recording:
    """Frames of one detector on their way to FOLDER/frames. `files` says how many of them are on disk, file by file."""

    def __init__(self, detector: Detector, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, int] = {}
        """File, relative to the folder -> frames in it; in the order in which they were begun."""
        self.in_file = 0
        """Frames in the file that the writer is writing; 0 before it has one."""
        self._detector = detector
        self._stack = AsyncExitStack()
        self._child: Child | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._ends: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._frames = self._series_begun = 0

    @property
    def written(self) -> int:
        """Frames on disk, over all files."""
        return sum(self.files.values())

    async def begin(self) -> None:
        """Start the writer. Its file is made with its first frame. Raises ChildFailed, OSError."""
        settings = self._detector.settings
        assert settings.shape is not None
        for inside in ("frames", "logs"):
            (self.folder / inside).mkdir(parents=True, exist_ok=True)
        arguments = [
            "--stream", str(settings.stream), "--folder", str(self.folder),
            "--decoder", type(self._detector).stream_decoder, "--stream-version", str(settings.stream_version),
            "--shape", *map(str, settings.shape), "--speed", str(self._detector.clock.speed),
        ]  # fmt: skip
        self.in_file = self._frames = 0
        self._child = await self._stack.enter_async_context(
            child("writer", "rocksalt.storage.writer", arguments, self.folder / "logs")
        )
        name = f"{self._detector.name}: the writer's messages"
        self._hearing = asyncio.get_running_loop().create_task(self._hear(self._child), name=name)

    async def end(self) -> None:
        """Have the writer close its file, and see it end. Nothing of it is left."""
        if self._child is not None:
            with suppress(ChannelClosed):
                await self._child.channel.send({"kind": "finish"})
                if self._hearing is not None:
                    await asyncio.wait([self._hearing], timeout=LATE_S)
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.wait([self._hearing])
        self._child = self._hearing = None
        await self._stack.aclose()

    async def make_room(self, count: int) -> None:
        """See that the next series lies in one file; one without room for all of it is ended. Raises ChildFailed."""
        if self._child is None or self.in_file + count > FRAMES_PER_FILE > self.in_file:
            await self.end()
            await self.begin()

    async def announce(self, series: int, count: int, exposure_s: float) -> None:
        """Tell the writer that this series is ours, before its first frame may come. Raises ChildFailed."""
        self._ends[series] = asyncio.get_running_loop().create_future()
        await self._say(
            {"kind": "series", "series": series, "measurement": self._series_begun, "first_number": self._frames,
             "count": count, "exposure_s": exposure_s, "now_s": self._detector.clock.now_s()}
        )  # fmt: skip
        self._series_begun += 1
        self._frames += count

    async def counted(self, series: int, within_s: float) -> None:
        """Wait until every frame of the series is on disk. Raises FramesLost when some are not, ChildFailed.

        within_s   wire seconds for the detector's end of the series; without one, what came is counted then
        """
        end = self._ends[series]
        await asyncio.wait([end], timeout=within_s)
        if not end.done():
            await self._say({"kind": "series_timeout", "series": series})
        count = await end
        if missing := count["missing"]:
            few = ", ".join(map(str, missing[:5])) + (" …" if len(missing) > 5 else "")
            raise FramesLost(
                self._detector.name,
                f"{count['taken'] - count['written']} of {count['taken']} frames of series {series} are not on disk "
                f"(images {few}); the writer's log is {self.folder / 'logs' / 'writer.log'}",
            )

    async def cut_short(self, series: int) -> None:
        """Take no more of this series: an image that is still on its way is no frame of ours."""
        if (end := self._ends.get(series)) is None:
            return
        with suppress(ChildFailed):
            await self._say({"kind": "series_timeout", "series": series})
            await asyncio.wait([end], timeout=LATE_S)

    async def _say(self, message: dict[str, Any]) -> None:
        if self._child is None:
            raise self._gone()
        try:
            await self._child.channel.send(message)
        except ChannelClosed:
            raise self._gone() from None

    async def _hear(self, writer: Child) -> None:
        async for message in each(writer.channel):
            match message["kind"]:
                case "frame":
                    self.files[message["file"]] = self.in_file = message["index"] + 1
                case "series_end" if (end := self._ends.get(message["series"])) is not None and not end.done():
                    end.set_result(message)
                case "trouble":
                    log.warning("%s: %s", self._detector.name, message["what"])
        for end in self._ends.values():
            if not end.done():
                end.set_exception(self._gone())
                end.exception()  # it may be that nobody waits any more

    def _gone(self) -> ChildFailed:
        return ChildFailed(
            f"{self._detector.name}: its writer's process is gone; the last it said is in "
            f"{self.folder / 'logs' / 'writer.log'}"
        )
