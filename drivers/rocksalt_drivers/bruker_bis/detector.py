"""The detector of BIS: scans, one frame each, written by BIS as SFRM files into a folder that the daemon sees too.

Pixels do not pass here: a frame is announced once its file is whole. `sfrm.read_frame` reads it, where that may block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from rocksalt.devices import Armed, Detector, FileFound, GarbledReply, LinkLost, NotReached, Refused
from rocksalt_drivers.bruker_bis import sfrm
from rocksalt_drivers.bruker_bis.driver import BrukerBis
from rocksalt_drivers.bruker_bis.messages import Message
from rocksalt_drivers.bruker_bis.session import ABORT, Ear

FILE_WITHIN_S: Final = 10.0
"""Wire seconds, from the end of the queue to a whole file (areaDetector allows 10 s of clock skew)."""
_OURS: Final = re.compile(r"rs(\d{6})_\d{6}\.sfrm", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FrameFile:
    """A frame that is whole on disk: `number` counts from 0 over its series, `size` is in bytes."""

    series: int
    number: int
    path: Path
    size: int
    exposure_s: float


class BisDetector(BrukerBis, Detector):
    """Options: `frames_dir` (the folder as this computer sees it), `frames_dir_on_bis` (the same, as BIS sees it),
    `file_within_s`, `attenuator` (false: out of the beam). The station file's `shape` is needed.

    frames   the files of the last series, whole; lost: the numbers of those that never came, with why
    """

    stream_decoder: ClassVar[str] = ""

    def __init__(self, *arguments: Any) -> None:
        self.frames: tuple[FrameFile, ...] = ()
        self.lost: dict[int, str] = {}
        self._series = 0
        super().__init__(*arguments)
        options = self.settings.options
        if self.settings.shape is None or "frames_dir" not in options:
            raise ValueError(
                f"{self.name}: {self.settings.where} must say shape = [rows, columns], and options.frames_dir: "
                "the folder into which BIS writes its frames"
            )
        self._shape = self.settings.shape
        self._there = str(options.get("frames_dir_on_bis", options["frames_dir"])).rstrip("/\\")
        self._attenuated = bool(options.get("attenuator", False))
        self._within_s = float(options.get("file_within_s", FILE_WITHIN_S))

    def _wire(self, wires: Any) -> None:
        super()._wire(wires)
        self.folder = wires.folder(self.name, Path(str(self.settings.options.get("frames_dir", "."))))

    async def _prepare(self) -> None:
        """The folder can be looked at; the detector has the frame size of the station file, where it tells its own."""
        await self.folder.names()
        async with self._in_its_name():
            status = await self.session.told("DETECTORSTATUS")
        if status is not None and "FRAMESIZE" in status.arguments:
            async with self._in_its_name():
                size = int(status.number("FRAMESIZE"))
            if size != self._shape[1]:
                await self._say("ChangeFrameSize", {"FrameSize": self._shape[1]}, moves=True)

    async def expose(self, exposure_s: float, count: int) -> tuple[FrameFile, ...]:
        """A series from arming to its last file; what never came is in `lost`. Raises as arm and trigger do."""
        await self.arm(exposure_s, count)
        await self.trigger(exposure_s, count)
        return self.frames

    async def _arm(self, exposure_s: float, count: int) -> Armed:
        """A series number that no file in the folder has: an old file is then never taken for a new frame.

        The attenuator may have been left in the beam, or out of it: it goes where the station file says."""
        await self._must_be_normal()
        async with self._in_its_name():
            attenuator = await self.session.told("ATTENSTATUS")
            if attenuator is not None and attenuator.flag("STATUS") != self._attenuated:
                await self._say("Attenuator", {"Status": int(self._attenuated)}, moves=True)
        taken = [int(found[1]) for name in await self.folder.names() if (found := _OURS.fullmatch(name))]
        self._series = max([self._series, *taken]) + 1
        if self._series > 999_999:
            raise Refused(self.name, f"{self.folder.path} holds series up to 999999: use another folder")
        self.frames, self.lost = (), {}
        self._exposure_s, self._count = exposure_s, count
        return Armed(self._series)

    async def _trigger(self, wire_s: float) -> None:
        """One Scan after the other, each until its file is whole. A file that never comes is a lost frame, no more."""
        each_s = (wire_s - 15.0) / self._count + 15.0
        before = self._stopped()
        for number in range(self._count):
            if self._stopped() != before:
                raise Refused(self.name, f"the series was stopped after {number} of {self._count} frames")
            name = f"rs{self._series:06d}_{number:06d}.sfrm"
            try:
                found = await self._one(name, each_s)
            except (NotReached, GarbledReply) as error:
                self.lost[number] = str(error)
                continue
            self.frames += (FrameFile(self._series, number, found.path, found.size, self._exposure_s),)

    async def _one(self, name: str, wire_s: float) -> FileFound:
        with Ear(self.session) as ear:
            separator = "\\" if "\\" in self._there or re.match(r"[A-Za-z]:", self._there) else "/"
            await self._say(
                "Scan",
                {"Filename": f"{self._there}{separator}{name}", "ScanTime": self._exposure_s, "Rescan": 0},
                moves=True,
            )
            before = self._stopped()
            await self._ended(ear, name, wire_s)
            self._go_on(before, name)

        def length(head: bytes) -> int:
            try:
                return sfrm.length(head, self._shape)
            except sfrm.BadFrame as error:
                raise GarbledReply(self.name, f"{name}: {error}") from None

        try:
            found: FileFound = await self.folder.whole(
                name, head=sfrm.HEAD, length=length, most=sfrm.largest(self._shape), within_s=self._within_s
            )
        except NotReached:
            self._go_on(before, name)
            raise
        return found

    def _go_on(self, before: tuple[int, int], name: str) -> None:
        if self._stopped() != before:
            raise Refused(self.name, f"{name} was stopped before it was whole")

    async def _ended(self, ear: Ear, name: str, wire_s: float) -> None:
        """The queue has worked and is empty. areaDetector goes by this message; what proves a frame is its file."""
        working = not self.session.idle  # what it does already is not announced again

        def empty(message: Message) -> bool:
            nonlocal working
            if message.verb == "INSTRUMENTQUEUE":
                busy = message.arguments.get("PROCESSING") == "1"
                ended, working = working and not busy, working or busy
                return ended
            return False

        try:
            async with self._in_its_name():
                await ear.until(empty, within_s=wire_s, what=f"end of {name}")
        except LinkLost as error:
            raise LinkLost(self.name, f"{error} (its frames so far: {len(self.frames)})") from error

    def _stopped(self) -> tuple[int, int]:
        """Changes when this device is stopped, or everything is."""
        return self._stops, self.session.aborts

    async def _disarm(self) -> None:
        """Nothing is left armed: each frame is a scan of its own."""

    async def _stop(self) -> None:
        await self._say_now(ABORT)

    async def _make_safe(self) -> None:
        """Drop what is queued, and end with the frame that is being taken: closing shutters is the shutter's part."""
        await self._say_now("SoftAbort")
