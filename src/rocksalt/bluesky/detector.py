"""An area detector as a RunEngine expects it: frames go to our writer, and documents point to them on disk.

A frame is told of once it is on disk. Between stage and unstage the writer's process runs; nothing is armed but while a
series is being taken, and however a plan ends, unstage leaves neither series nor process.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rocksalt.bluesky.recording import LATE_S, Recording
from rocksalt.bluesky.status import Status
from rocksalt.bluesky.wrapped import Values, Wrapped, key_of
from rocksalt.devices import Detector, DeviceError, Refused, Stopped
from rocksalt.storage.frames import COLUMN_CHUNK, DATA, FRAMES_PER_FILE

if TYPE_CHECKING:
    from event_model.documents.event_descriptor import DataKey

MIMETYPE: Final = "application/x-hdf5"
SHA256: Final = "/entry/data/sha256"
Document = tuple[str, dict[str, Any]]


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
        self._recording = Recording(device, self.folder)
        self._is_staged = False
        self._staging: Status | None = None
        self._exposing: Status | None = None
        self._halting = self._quietly = False
        self._told: dict[str, int] = {}
        """File -> frames in it that documents have told of, or that are none of theirs."""
        self._tellable = 0
        """Frames told of since it was staged."""
        self._resources: dict[tuple[str, str], str] = {}
        """(file, key) -> uid of the stream_resource that the stream has."""

    # staging

    def stage(self) -> Status:
        """Start the writer. Fails if it is staged already."""
        self._staging = Status(self._stage(), f"{self.name}: stage")
        return self._staging

    async def _stage(self) -> None:
        if self._is_staged:
            raise Refused(self.name, "it is staged already: unstage it first, or stage it in one place only")
        self._is_staged = True
        self._recording = Recording(self.device, self.folder)
        self._told, self._resources, self._tellable, self._exposing = {}, {}, 0, None
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
        if self._exposing is not None and isinstance(error := self._exposing.exception(), _NotSafe):
            raise error.why

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
        self._halting = False
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
            self._told = dict(recording.files)  # what an earlier series left untold is no part of this one
            series = (await self.device.arm(frames.exposure_s, frames.count)).series
            await recording.announce(series, frames.count, frames.exposure_s)
            if begun is not None:
                begun.set()
            await self.device.trigger(frames.exposure_s, frames.count)
            is_over = True
            exposing_s = frames.exposure_s * frames.count / self.device.clock.speed
            await recording.counted(series, exposing_s + LATE_S)
        except BaseException as error:
            not_safe = None if is_over else await self._abort(recording, series)
            if not isinstance(error, asyncio.CancelledError):
                raise
            if not_safe is not None:
                raise _NotSafe(self.name, not_safe) from None
            if not self._quietly:
                raise Stopped(self.name, f"the series of {frames.count} frames was stopped") from None

    async def _abort(self, recording: Recording, series: int | None) -> DeviceError | None:
        """Returns why the detector could not be told to stop, if it could not."""
        try:
            await self.device.stop()
        except DeviceError as error:
            return error
        finally:
            if series is not None:
                await recording.cut_short(series)
        return None

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
        """A RunEngine asks once a stream: from here on files are told of anew, with uids of that stream's own."""
        self._resources = {}
        rows, columns = self._shape
        image: DataKey = {
            "source": self.source("frames"), "dtype": "array", "shape": [1, rows, columns],
            "dims": ["frame", "row", "column"], "external": "STREAM:", "units": "counts",
        }  # fmt: skip
        if isinstance(bits := self.device.facts.get("bit_depth"), float):
            image["dtype_numpy"] = "|u1" if bits == 8 else f"<u{int(bits) // 8}"
        sha256: DataKey = {
            "source": self.source("sha256 of a frame's chunk"), "dtype": "array", "shape": [1], "dims": ["frame"],
            "dtype_numpy": "|S64", "external": "STREAM:",
        }  # fmt: skip
        return {self._image_key: image, self._sha256_key: sha256}

    async def describe_collect(self) -> dict[str, DataKey]:
        return await self.describe()

    @property
    def _image_key(self) -> str:
        return key_of(self.name)

    @property
    def _sha256_key(self) -> str:
        return key_of(f"{self.name}_sha256")

    async def get_index(self) -> int:
        """How many frames documents could tell of since it was staged."""
        return self._tellable + sum(new for _, _, new in self._untold())

    def collect_asset_docs(self, index: int | None = None) -> Iterator[Document]:
        """Documents of the frames that are on disk and untold, up to `index` of `get_index`; one file's at a time.

        Where the frames are: dataset and indices in the file that the stream_resource's uri names.
        """
        for file, first, new in self._untold():
            count = new if index is None else min(new, index - self._tellable)
            if count <= 0:
                return
            self._told[file] = first + count
            self._tellable += count
            for key in (self._image_key, self._sha256_key):
                if (file, key) not in self._resources:
                    self._resources[file, key] = self._uid(file, key, first)
                    yield "stream_resource", self._resource(file, key)
                yield "stream_datum", self._datum(file, key, first, first + count)
            return

    def _untold(self) -> list[tuple[str, int, int]]:
        """(file, first untold frame, how many)"""
        told = ((file, self._told.get(file, 0), frames) for file, frames in self._recording.files.items())
        return [(file, first, frames - first) for file, first, frames in told if frames > first]

    def _uid(self, file: str, key: str, first: int) -> str:
        """Unlike any other: of this file, this moment and this place in it. Chance is not asked."""
        at = self.device.clock
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.folder / file}#{key}/{first}@{at.wall()}/{at.now_s()!r}"))

    def _resource(self, file: str, key: str) -> dict[str, Any]:
        image = key == self._image_key
        return {
            "uid": self._resources[file, key],
            "data_key": key,
            "mimetype": MIMETYPE,
            "uri": f"file://localhost{(self.folder / file).as_uri().removeprefix('file://')}",
            "parameters": {
                "dataset": DATA if image else SHA256,
                "swmr": True,
                "chunk_shape": [1, *self._shape] if image else [COLUMN_CHUNK],
            },
        }

    def _datum(self, file: str, key: str, start: int, stop: int) -> dict[str, Any]:
        """Its descriptor and seq_nums are the RunEngine's to fill in."""
        resource = self._resources[file, key]
        return {
            "uid": f"{resource}/{start}",
            "stream_resource": resource,
            "descriptor": "",
            "indices": {"start": start, "stop": stop},
            "seq_nums": {"start": 0, "stop": 0},
        }


class _NotSafe(DeviceError):
    """A series was to be broken off, and the detector could not be told."""

    def __init__(self, device: str, why: DeviceError) -> None:
        Exception.__init__(self, str(why))
        self.device, self.why = device, why
