"""The writer: takes the detector's stream, writes and flushes each frame, and only then says so. Counts every series.

An object with messages in and out, so that it is a process of its own in a real run and a node in virtual time.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib
import inspect
import os
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from rocksalt.devices.links.stream import StreamLink, ZmqStream
from rocksalt.devices.stream import BadMessage, Ignored, Image, Message, SeriesEnd, SeriesStart, StreamDecoder
from rocksalt.messages import Channel, ChannelClosed, connect, each
from rocksalt.storage.frames import FrameFile, broken_files, disk_takes
from rocksalt.time import Crashed, ExperimentClock

Send = Callable[[dict[str, Any]], "Awaitable[None] | None"]
WAITING_BYTES: Final = 256 << 20  # frames of series that nobody has announced yet
RESERVE_BYTES: Final = 256 << 20  # below this much free disk, the daemon is told to stop exposing
STARTS_KEPT: Final = 16  # series whose start is remembered; one comes after the other
FULL_LIST: Final = 1000  # missing images named one by one up to here


class Clock(Protocol):
    """Experiment time, as far as the writer needs it."""

    def now_s(self) -> float: ...


@dataclass(slots=True)
class _Series:
    """What was announced of a series and what came of it. `zero_s` is the experiment time of its detector's zero."""

    series: int
    measurement: int
    first_number: int
    count: int
    exposure_s: float
    zero_s: float = float("inf")
    came: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)
    ended: bool = False


class Writer:
    """Commands and stream messages in; `frame`, `series_end`, `trouble` and `finished` messages out.

    In, by `command` (the key `kind` says which):
      series          series, measurement, first_number, count, exposure_s, now_s (the daemon's experiment time; may be
                      left out where both share a clock): these frames belong to us. Said again, it
                      amends the count, as for a series that is being cut short
      series_timeout  series: no more is coming, the end was lost; the count is closed
      finish          no more commands: open counts and files are closed
    Out, by `send`:
      frame           the fields of FrameRef: on disk, flushed. image i of a series is frame first_number + i
      series_start    series, saturation_value, count_time_s, images: what the detector said when it was armed; None
                      where it did not say
      series_end      series, measurement, taken, written, missing (image numbers), reason (end, timeout, finish)
      trouble         what: a sentence; cause: disk_low, disk, stream, stray, duplicate
      finished        frames: how many were written in all
    """

    def __init__(
        self,
        folder: Path,
        decoder: StreamDecoder,
        send: Send,
        clock: Clock,
        *,
        waiting_bytes: int = WAITING_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        self.folder, self._decoder, self._send, self._clock = folder, decoder, send, clock
        self._behind_s = 0.0  # of the daemon's experiment time: this process's clock began later
        self._waiting_bytes, self._reserve_bytes = waiting_bytes, reserve_bytes
        self._series: dict[int, _Series] = {}
        self._waiting: deque[Image | SeriesEnd] = deque()
        self._held_bytes = 0
        self._file: FrameFile | None = None
        self._starts: dict[int, SeriesStart] = {}
        self._mask: NDArray[np.uint32] | None = None  # the last that a start brought
        self._refused = False  # the disk refused the last frame that it was given
        self._told: set[str] = set()
        self._one_at_a_time = asyncio.Lock()  # a command's work is never cut in two by a message
        self.finished = False
        self.frames = 0
        self.strays = 0

    async def command(self, command: Mapping[str, Any]) -> None:
        """One command of the daemon's. Raises ValueError for an unknown kind, KeyError where a field misses."""
        async with self._one_at_a_time:
            match command["kind"]:
                case "series":
                    await self._announce(command)
                case "series_timeout":
                    if (series := self._series.get(command["series"])) is not None:
                        await self._close_count(series, "timeout")
                case "finish":
                    await self._finish()
                case kind:
                    raise ValueError(f"the writer knows series, series_timeout and finish; not {kind!r}")

    async def message(self, parts: Message) -> None:
        """One message of the detector's stream. Whatever is wrong with it becomes `trouble`; nothing is raised."""
        try:
            message = self._decoder.decode(parts)
        except BadMessage as error:
            await self._trouble("stream", str(error))
            return
        async with self._one_at_a_time:
            match message:
                case Image():
                    await self._image(message)
                case SeriesEnd():
                    await self._end(message)
                case SeriesStart():
                    self._remember(message)
                    await self._say(
                        kind="series_start", series=message.series, images=message.images,
                        count_time_s=message.count_time_s, saturation_value=message.saturation_value,
                    )  # fmt: skip
                case Ignored():
                    await self._trouble_once("stream", message.note, message.note)

    def abandon(self) -> None:
        """Let go of the file as a death of the process would: for a crash in virtual time, from outside the node."""
        file, self._file = self._file, None
        if file is not None:
            file.abandon()

    def mute(self) -> None:
        """The daemon is gone: say nothing more to nobody."""
        self._send = lambda message: None

    async def _finish(self) -> None:
        for series in list(self._series.values()):
            if not series.ended:
                await self._close_count(series, "finish")
        await self._close_file()
        self.finished = True
        await self._say(kind="finished", frames=self.frames)

    async def _announce(self, command: Mapping[str, Any]) -> None:
        number, count = int(command["series"]), int(command["count"])
        self._behind_s = float(command.get("now_s", self._clock.now_s())) - self._clock.now_s()
        if (known := self._series.get(number)) is not None:
            known.count = count
            return
        self._series[number] = _Series(
            number, int(command["measurement"]), int(command["first_number"]), count, float(command["exposure_s"])
        )
        kept, self._waiting = self._waiting, deque()
        self._held_bytes = 0
        for message in kept:
            await (self._image(message) if isinstance(message, Image) else self._end(message))

    def _remember(self, start: SeriesStart) -> None:
        """A detector sends its mask with every series: the same one is kept as one."""
        if start.pixel_mask is not None:
            if self._mask is not None and np.array_equal(self._mask, start.pixel_mask):
                start = replace(start, pixel_mask=self._mask)
            self._mask = start.pixel_mask
        self._starts[start.series] = start
        while len(self._starts) > STARTS_KEPT:
            del self._starts[next(iter(self._starts))]

    async def _image(self, image: Image) -> None:
        series = self._series.get(image.series)
        if series is None:
            await self._hold(image, image.chunk.nbytes)
        elif series.ended:
            await self._stray(f"image {image.image} of series {image.series} came after that series was closed")
        elif image.image >= series.count:
            await self._stray(
                f"image {image.image} of series {image.series}, which was announced with {series.count} images"
            )
        elif image.image in series.came:
            await self._trouble(
                "duplicate", f"image {image.image} of series {image.series} came twice; the first is kept"
            )
        else:
            series.came.add(image.image)
            await self._write(series, image)

    async def _end(self, end: SeriesEnd) -> None:
        series = self._series.get(end.series)
        if series is None:
            await self._hold(end, 64)
        elif not series.ended:  # a second end says nothing new
            await self._close_count(series, "end")

    async def _hold(self, message: Image | SeriesEnd, size: int) -> None:
        """The stream may be ahead of the daemon's command: wait for it, within bounds."""
        if self._held_bytes + size > self._waiting_bytes:
            await self._stray(f"no room is left to keep a message of series {message.series}, which nobody announced")
            return
        self._held_bytes += size
        self._waiting.append(message)

    async def _write(self, series: _Series, image: Image) -> None:
        now_s = self._clock.now_s() + self._behind_s
        # The earliest arrival tells best when the detector's zero was; delays in between can only look later.
        series.zero_s = min(series.zero_s, now_s - image.stop_s)
        frame: dict[str, Any] = {
            "number": series.first_number + image.image,
            "measurement": series.measurement,
            "series": image.series,
            "image": image.image,
            "sha256": hashlib.sha256(image.chunk).hexdigest(),
            "exposure_s": image.real_s,
            "ended_s": series.zero_s + image.stop_s,
        }
        start = self._starts.get(image.series)
        mask = None if start is None else start.pixel_mask
        saturation = (start.saturation_value or 0) if start is not None else 0
        try:
            if self._refused:
                disk_takes(self.folder)  # no HDF5 file is risked on a disk that takes nothing
                self._refused = False
                self._told.discard("disk")
            if self._file is not None and not self._file.takes(image.shape, image.dtype, image.encoding, mask):
                await self._close_file()
            if self._file is None:
                self._file = FrameFile(self.folder, image.shape, image.dtype, image.encoding, mask)
            index = self._file.append(image.chunk, **frame, saturation_value=saturation)
        except Crashed:
            raise
        except (OSError, RuntimeError, ValueError) as error:  # h5py has no one class for what a disk says
            self._file, self._refused = None, True
            await self._trouble_once(
                "disk",
                "disk",
                f"frame {frame['number']} (series {image.series}, image {image.image}) and those after it are not on "
                f"disk: {_in_words(error)}. Stop exposing; writing goes on in a new file once the disk takes it",
            )
            return
        series.written.add(image.image)
        self.frames += 1
        await self._say(kind="frame", file=self._file.file, index=index, **frame)
        await self._look_at_the_disk()

    async def _close_count(self, series: _Series, reason: str) -> None:
        if series.ended:
            return
        series.ended = True
        if self._file is not None:
            try:
                self._file.sync()
            except OSError as error:
                await self._trouble("disk", f"{self._file.file} could not be synchronised: {_in_words(error)}")
        missing = [image for image in range(series.count) if image not in series.written]
        await self._say(
            kind="series_end", series=series.series, measurement=series.measurement, taken=series.count,
            written=len(series.written), missing=missing[:FULL_LIST], reason=reason,
        )  # fmt: skip
        series.came, series.written = set(), set()

    async def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except Crashed:
            raise
        except (OSError, RuntimeError, ValueError) as error:
            await self._trouble("disk", f"{file.file} did not close: {_in_words(error)}; `rocksalt recover` repairs it")

    async def _look_at_the_disk(self) -> None:
        disk = os.statvfs(self.folder)
        free = disk.f_bavail * disk.f_frsize
        if free >= self._reserve_bytes:
            self._told.discard("disk_low")
            return
        await self._trouble_once(
            "disk_low",
            "disk_low",
            f"{free / 1e6:.0f} MB are left on the run's disk, below the reserve of {self._reserve_bytes / 1e6:.0f} MB: "
            "stop exposing, make room, then release",
        )

    async def _stray(self, what: str) -> None:
        self.strays += 1
        await self._trouble("stray", what)

    async def _trouble_once(self, cause: str, key: str, what: str) -> None:
        if key not in self._told:
            self._told.add(key)
            await self._trouble(cause, what)

    async def _trouble(self, cause: str, what: str) -> None:
        await self._say(kind="trouble", cause=cause, what=what)

    async def _say(self, **message: Any) -> None:
        answer = self._send(message)
        if inspect.isawaitable(answer):
            await answer


def _in_words(error: Exception) -> str:
    """What the system says; HDF5's own account of it runs over many lines."""
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error).partition("\n")[0]


# --- the writer as a process or a node -------------------------------------------------------------------------------


async def serve(writer: Writer, stream: StreamLink, channel: Channel) -> None:
    """Commands from the channel, messages from the stream, until `finish` or until the daemon is gone. Then: close."""

    async def pull() -> None:
        while True:
            await writer.message(await stream.receive())

    async def obey() -> None:
        async for command in each(channel):
            await writer.command(command)
            if writer.finished:
                return

    both = [asyncio.create_task(obey(), name="writer:obey"), asyncio.create_task(pull(), name="writer:pull")]
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            if task in done:
                task.result()  # a pull that broke must not leave a writer that obeys and takes no frames
    except ChannelClosed:
        pass  # nobody left to tell; what came is on disk
    finally:
        for task in both:
            task.cancel()
        await asyncio.wait(both)
        stream.close()
    if not writer.finished:
        writer.mute()
        await writer.command({"kind": "finish"})


def load_decoder(place: str, stream_version: int, shape: tuple[int, int]) -> StreamDecoder:
    """The decoder that "module:function" of a driver makes for a detector of (rows, columns)."""
    module, _, function = place.partition(":")
    decoder: StreamDecoder = getattr(importlib.import_module(module), function)(stream_version, shape)
    return decoder


def main(arguments: Sequence[str] | None = None) -> int:
    """The process form: `python -m rocksalt.storage.writer …`. It speaks through its channel alone."""
    parser = argparse.ArgumentParser(prog="rocksalt-writer", description=main.__doc__)
    parser.add_argument("--channel", type=Path, required=True, help="Unix socket where the daemon listens")
    parser.add_argument("--stream", required=True, help="address of the detector's PUSH socket")
    parser.add_argument("--folder", type=Path, required=True, help="the run's folder")
    parser.add_argument("--decoder", required=True, help="module:function, called with (stream version, shape)")
    parser.add_argument("--stream-version", type=int, default=2)
    parser.add_argument("--shape", type=int, nargs=2, required=True, metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--speed", type=float, default=1.0, help="experiment seconds a second")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches the whole group; the daemon decides what it means
    decoder = load_decoder(given.decoder, given.stream_version, (given.shape[0], given.shape[1]))
    asyncio.run(_run(given, decoder))
    if broken_files():
        os._exit(0)
    return 0


async def _run(given: argparse.Namespace, decoder: StreamDecoder) -> None:
    clock = ExperimentClock(asyncio.get_running_loop(), given.speed)
    channel = await connect(given.channel)
    writer = Writer(given.folder, decoder, channel.send, clock)
    try:
        await serve(writer, ZmqStream(given.stream, largest=decoder.max_message_bytes), channel)
    finally:
        channel.close()


if __name__ == "__main__":
    sys.exit(main())
