"""An area detector as a RunEngine expects it: frames go to our writer, and documents point to them on disk.

A frame is told of once it is on disk. Between stage and unstage the writer's process runs; nothing is armed but while a
series is being taken, and however a plan ends, unstage leaves neither series nor process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rocksalt.bluesky.recording import LATE_S, Recording
from rocksalt.bluesky.status import Status
from rocksalt.bluesky.telling import Document, Telling
from rocksalt.bluesky.wrapped import Values, Wrapped, key_of
from rocksalt.devices import Detector, DeviceError, Refused, Stopped
from rocksalt.storage.frames import FRAMES_PER_FILE

if TYPE_CHECKING:
    from event_model.documents.event_descriptor import DataKey


@dataclass(frozen=True, slots=True)
class Frames:
    """What a detector is prepared for: `count` frames of `exposure_s` each for a kickoff; one for each trigger."""

    exposure_s: float
    count: int = 1


class WrappedDetector(Wrapped[Detector]):
    """A detector whose frames go to FOLDER/frames, chunk by chunk as they came, each with its hash."""

    def __init__(self, device: Detector, folder: Path) -> None:
        super().__init__(device)
        if device.settings.shape is None or device.settings.stream is None:
            raise Refused(
                device.name, f"the station file ({device.settings.where}) must say shape = [rows, columns] and stream"
            )
        self.folder = folder.resolve()
        self._shape = device.settings.shape
        self._frames: Frames | None = None
        self._is_staged = False
        self._new_recording()
        self._staging: Status | None = None
        self._exposing: Status | None = None
        self._halting = self._quietly = False
        self._not_safe: DeviceError | None = None
        """Why the detector could not be told to end its series, if it could not."""

    def _new_recording(self) -> None:
        self._recording = Recording(self.device, self.folder)
        self._telling = Telling(self.device, self._shape, self.folder, self._recording.files)

    # staging

    def stage(self) -> Status:
        """Start the writer. Fails if it is staged already."""
        self._staging = Status(self._stage(), f"{self.name}: stage")
        return self._staging

    async def _stage(self) -> None:
        if self._is_staged:
            raise Refused(self.name, "it is staged already: unstage it first, or stage it in one place only")
        self._is_staged = True
        self._exposing = self._not_safe = None
        self._new_recording()
        try:
            await self._recording.begin()
        except asyncio.CancelledError:  # by unstage: nobody wants the writer any more, and nothing went wrong
            self._is_staged = False
        except BaseException:
            self._is_staged = False
            raise

    def unstage(self) -> Status:
        """End a series that is being taken, then the writer. Fails with LinkLost if the detector can't be told."""
        return Status(self._unstage(), f"{self.name}: unstage")

    async def _unstage(self) -> None:
        if self._staging is not None and not self._staging.done:
            await self._staging.begun()
            self._staging.task.cancel()
            await self._staging.wait()
        if not self._is_staged:
            return
        try:
            await self._halt(quietly=True)
        finally:
            self._is_staged = False
            await self._recording.end()
        if self._not_safe is not None:
            raise self._not_safe

    async def end(self) -> None:
        await self._unstage()

    # exposing

    def prepare(self, value: Frames) -> Status:
        """Choose exposure and number of frames, for all that follows until it is prepared again."""
        return Status(self._prepare(value), f"{self.name}: prepare")

    async def _prepare(self, value: Frames) -> None:
        if not isinstance(value, Frames):
            raise Refused(self.name, f"prepare it with Frames(exposure_s=…, count=…), not with {value!r}")
        if not (value.exposure_s > 0 and value.count >= 1):
            raise Refused(self.name, f"{value.count} frames of {value.exposure_s:g} s is no exposure")
        if value.count > FRAMES_PER_FILE:
            raise Refused(
                self.name,
                f"{value.count} frames in one series: documents can follow {FRAMES_PER_FILE}, the frames of one file; "
                "make several kickoffs of it",
            )
        self._frames = value

    def trigger(self) -> Status:
        """Take one frame; done when it is on disk."""
        frames = self._prepared()
        if frames.count != 1:
            raise Refused(self.name, f"a trigger takes one frame and {frames.count} were prepared: kickoff takes them")
        self._exposing = Status(self._expose(frames), f"{self.name}: a frame")
        return self._exposing

    def kickoff(self) -> Status:
        """Begin the series that was prepared; done when the detector is armed and told to begin."""
        frames = self._prepared()
        begun = asyncio.Event()
        self._exposing = Status(self._expose(frames, begun), f"{self.name}: {frames.count} frames")
        return Status(self._has_begun(begun, self._exposing), f"{self.name}: kickoff")

    def complete(self) -> Status:
        """Done when every frame of the series is on disk; fails with FramesLost if one is not."""
        if self._exposing is None:
            raise Refused(self.name, "complete was asked of a series that was never kicked off")
        return self._exposing

    def _prepared(self) -> Frames:
        if not self._is_staged:
            raise Refused(self.name, "it is not staged: put the plan into bpp.stage_decorator, or stage it before")
        if self._frames is None:
            raise Refused(self.name, "nobody said how long: bps.prepare(detector, Frames(exposure_s=…), wait=True)")
        if self._exposing is not None and not self._exposing.done:
            raise Refused(self.name, "a series is being taken: complete it first")
        self._halting, self._not_safe = False, None
        return self._frames

    async def _has_begun(self, begun: asyncio.Event, exposing: Status) -> None:
        waiting = asyncio.ensure_future(begun.wait())
        try:
            await asyncio.wait([waiting, exposing.task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not begun.is_set():
            exposing.task.result()

    async def _expose(self, frames: Frames, begun: asyncio.Event | None = None) -> None:
        """One series, from arming to the last frame on disk. However it is broken off, nothing stays armed."""
        recording, series, is_over = self._recording, None, False
        try:
            await recording.make_room(frames.count)
            self._telling.pass_over()
            series = (await self.device.arm(frames.exposure_s, frames.count)).series
            await recording.announce(series, frames.count, frames.exposure_s)
            if begun is not None:
                begun.set()
            await self.device.trigger(frames.exposure_s, frames.count)
            is_over = True
            exposing_s = frames.exposure_s * frames.count / self.device.clock.speed
            await recording.counted(series, exposing_s + LATE_S)
        except BaseException as error:
            self._halting = True  # whoever wants it to end from now on waits for this end
            if not is_over:
                await self._disarm()
            if series is not None:
                await recording.cut_short(series)
            if not isinstance(error, asyncio.CancelledError):
                raise
            if self._not_safe is not None:
                raise self._not_safe from None
            if not self._quietly:
                raise Stopped(self.name, f"the series of {frames.count} frames was stopped") from None

    async def _disarm(self) -> None:
        try:
            await self.device.stop()
        except DeviceError as error:
            self._not_safe = error

    async def _halt(self, *, quietly: bool) -> None:
        """Break off the series that is being taken, if there is one, and wait until the detector is idle."""
        exposing = self._exposing
        if exposing is None or exposing.done:
            return
        if not self._halting:
            self._halting, self._quietly = True, quietly
            await exposing.begun()
            exposing.task.cancel()
        await exposing.wait()

    async def stop(self, success: bool = True) -> None:
        """Break off a series that is being taken. As planned (success), it counts as done."""
        await self._halt(quietly=success)

    async def pause(self) -> None:
        """A series that is being taken is broken off; a plan with a checkpoint before it takes it again."""
        await self._halt(quietly=True)

    async def resume(self) -> None:
        """Nothing: the plan arms it again."""

    # documents

    def configuration(self) -> dict[str, tuple[str | float, str]]:
        found = super().configuration()
        if self._frames is not None:
            found[key_of(f"{self.name}_exposure_s")] = (self._frames.exposure_s, "s")
        return found

    async def read(self) -> Values:
        """Nothing is told in the event itself: frames are told of by stream_datum."""
        return {}

    async def describe(self) -> dict[str, DataKey]:
        """Frames and their hashes. A RunEngine asks once a stream."""
        return self._telling.begin_stream()

    async def describe_collect(self) -> dict[str, DataKey]:
        return await self.describe()

    async def get_index(self) -> int:
        """How many frames documents could tell of since it was staged."""
        return self._telling.index

    def collect_asset_docs(self, index: int | None = None) -> Iterator[Document]:
        """Documents of the frames that are on disk and untold, up to `index` of `get_index`; one file's at a time."""
        return self._telling.documents(index)
