"""DECTRIS EIGER2 and PILATUS4 by the SIMPLON API 1.8. The manual's facts are in README.md beside it.

Frames do not pass here: the detector streams them to the writer, which decodes them with `stream.py`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.devices import Armed, Detector, GarbledReply, HttpDevice, LinkLost, Refused, WrongInstrument
from rocksalt_drivers.dectris_simplon.simplon import API, NoSuchKey, Simplon, same

INITIALIZE_S: Final = 180.0  # wire time; the manual says up to 2 min
ARM_S: Final = 30.0
ABORT_S: Final = 5.0
OVERDUE_S: Final = 2.0  # wire time; a trigger's answer that is later than its series by this is not waited for
HIGH_VOLTAGE_S: Final = 120.0  # experiment time; hv_reset takes 30 s unless told else, a cold start is unconfirmed
LARGEST_MASK: Final = 12_000_000  # pixels; 4 bytes each in base64 stay below the longest answer that a link takes
VERSION: Final = re.compile(r"1\.8\.\d{1,3}")  # what the facts in README.md are of
STATES: Final = frozenset({"na", "ready", "initialize", "configure", "acquire", "idle", "test", "error"})
COUNTING: Final = frozenset({"ready", "configure", "acquire", "test"})
HIGH_VOLTAGE: Final = frozenset({"NA", "OFF", "RAMPING", "READY"})
TRIGGER_MODES: Final = ("ints", "inte", "exts", "exte")
STREAM_FORMATS: Final = {1: "legacy", 2: "cbor"}
WORDS: Final = (("description", "description"), ("serial", "detector_number"), ("sensor_material", "sensor_material"))
NUMBERS: Final = (  # fact, key, unit
    ("sensor_thickness_m", "sensor_thickness", "m"),
    ("pixel_width_m", "x_pixel_size", "m"),
    ("pixel_height_m", "y_pixel_size", "m"),
    ("bit_depth", "bit_depth_image", ""),
    ("photon_energy_ev", "photon_energy", "eV"),
    ("threshold_ev", "threshold/1/energy", "eV"),
    ("count_cutoff", "countrate_correction_count_cutoff", ""),
)
# Keys that not every model has; one that is missing cannot be left in a wrong state.
NOT_EVERYWHERE: Final = frozenset({
    "auto_summation", "counting_mode", "extg_mode", "mask_to_zero", "nexpi", "roi_mode", "test_image_mode",
    "trigger_start_delay", "virtual_pixel_correction_applied", "threshold/2/mode", "threshold/3/mode",
    "threshold/4/mode", "threshold/difference/mode", "header_appendix", "image_appendix", "mode of filewriter",
})  # fmt: skip


class DectrisSimplon(HttpDevice, Detector):
    """Options: photon_energy_ev, threshold_ev, trigger_mode (ints, inte, exts, exte), header_detail (all, basic, none),
    counting_mode (normal, retrigger), virtual_pixels (interpolated, true), model and serial (part of what the unit
    must say), api (version)."""

    identity = re.compile(r"(EIGER|PILATUS)", re.IGNORECASE)
    stream_decoder = "rocksalt_drivers.dectris_simplon.stream:decoder"
    poll_s = 0.2
    """Experiment time between looks at the state while something runs."""

    pixel_mask: NDArray[np.uint32] | None = None
    """(rows, columns), 0 is a good pixel; as read when the detector was prepared. None: too large to be asked for."""

    count_cutoff: int | None = None
    """Counts from which a pixel is saturated in the exposure that was armed last, or at connecting."""

    def _wire(self, wires: Any) -> None:
        super()._wire(wires)
        self.api = Simplon(self.name, self.http)
        self._known: dict[tuple[str, str], Any] = {}  # what this driver has set: (module, key) -> value
        self._armed_for = 0.0, 0  # seconds, images

    async def _identify(self) -> str:
        if self.state == "connected":
            self._not_restarted(await self._state())
        else:
            await self._check_version()
            await self._wake()
        keys = ("description", "detector_number", "software_version")
        return " ".join([await self.api.word("detector", "config", key) for key in keys])

    async def _check_version(self) -> None:
        version = await self.api.ask_version()
        wanted = self.settings.options.get("api")
        if version is None or (wanted is None and not VERSION.fullmatch(version)):
            who = "no DECTRIS control unit" if version is None else f"a control unit of API {version[:40]}"
            raise WrongInstrument(
                self.name,
                f"{who} answers at {self.settings.link}, where the station file ({self.settings.where}) expects one of "
                f"API {API}",
            )
        self.api.version = str(wanted or version)

    async def _wake(self) -> None:
        """Initialized, however cold it is: up to two minutes, in which a stop goes its own way."""
        if (state := await self._state()) in ("na", "error"):
            await self.api.command("initialize", deadline_s=INITIALIZE_S)
        try:
            async with asyncio.timeout(INITIALIZE_S):
                while (state := await self._state()) == "initialize":
                    await self.clock.sleep(self.poll_s)
        except TimeoutError:
            raise LinkLost(self.name, f"it still initializes after {INITIALIZE_S:g} s") from None
        if state in ("na", "error"):
            raise Refused(self.name, f"it is in state {state!r} after initialize: look at the unit's own web page")

    async def _prepare(self) -> None:
        """Whatever the last user left: end it, then one known configuration, every key read back after all are set."""
        await self._check_model()
        if await self._state() in COUNTING:
            await self._stop()  # a unit that counts on refuses the settings that follow
        await self._check_shape()
        self._known.clear()
        options = self.settings.options
        wanted: dict[str, Any] = {
            "roi_mode": "disabled",  # first: it resets the times
            "counting_mode": options.get("counting_mode", "normal"),
            "trigger_mode": self._trigger_mode(),
            "ntrigger": 1,
            "nimages": 1,
            "nexpi": 1,
            "trigger_start_delay": 0.0,
            "compression": "bslz4",
            "test_image_mode": "",
            "auto_summation": True,
            "countrate_correction_applied": True,
            "flatfield_correction_applied": True,
            "pixel_mask_applied": True,
            "virtual_pixel_correction_applied": bool(options.get("virtual_pixels", True)),
            "mask_to_zero": False,
        }
        # The energy goes first and the threshold after it: setting an energy sets the thresholds, silently.
        energy = float(options.get("photon_energy_ev", await self.api.number("detector", "config", "photon_energy")))
        wanted["photon_energy"] = energy
        wanted["threshold/1/energy"] = float(options.get("threshold_ev", energy / 2))
        wanted["threshold/1/mode"] = "enabled"
        for other in ("2", "3", "4", "difference"):
            wanted[f"threshold/{other}/mode"] = "disabled"
        await self._configure("detector", wanted)
        await self._prepare_stream()
        await self._learn_facts()

    async def _prepare_stream(self) -> None:
        form = STREAM_FORMATS[self.settings.stream_version]
        detail = self.settings.options.get("header_detail", "all")
        appendices = {"header_appendix": "", "image_appendix": ""}
        await self._configure("stream", {"format": form, "header_detail": detail, **appendices, "mode": "enabled"})
        await self._configure("filewriter", {"mode": "disabled"})
        states = frozenset({"disabled", "ready", "acquire", "error"})
        if (state := await self.api.word("stream", "status", "state", states)) == "error":
            await self.api.command("initialize", module="stream", deadline_s=ARM_S)
            state = await self.api.word("stream", "status", "state", states)
        if state not in ("ready", "acquire"):
            raise Refused(self.name, f"its stream is in state {state!r}: no frame would come")

    async def _learn_facts(self) -> None:
        """What the run's records keep of it: the facts, the mask, the counts from which a pixel is saturated."""
        for fact, key in WORDS:
            self.facts[fact] = await self.api.word("detector", "config", key)
        for fact, key, unit in NUMBERS:
            self.facts[fact] = await self.api.number("detector", "config", key, unit=unit)
        self.count_cutoff = int(self.facts["count_cutoff"])
        self.facts["trigger_mode"] = self._trigger_mode()
        rows, columns = self._shape()
        if rows * columns > LARGEST_MASK:
            return  # the stream's header brings it to the writer all the same
        answer = await self.api.get("detector", "config", "pixel_mask", longest=6 * rows * columns + 10_000)
        self.pixel_mask = self._array(answer["value"])
        self.facts["masked_pixels"] = float(np.count_nonzero(self.pixel_mask))
        self.facts["pixel_mask_sha256"] = hashlib.sha256(self.pixel_mask.tobytes()).hexdigest()

    async def _arm(self, exposure_s: float, count: int) -> Armed:
        try:
            return await self._armed(exposure_s, count)
        except Refused:
            self._not_restarted(await self._state())
            raise

    async def _armed(self, exposure_s: float, count: int) -> Armed:
        if (state := await self._state()) != "idle":
            raise Refused(self.name, f"it is in state {state!r}, and only an idle detector can be armed")
        await self._high_voltage()
        readout_s = await self.api.number("detector", "config", "detector_readout_time", unit="s")
        frames, triggers = (count, 1) if self._trigger_mode() in ("ints", "exts") else (1, count)
        # count_time may push frame_time up and never pulls it down: first the one, then the other, then look at both.
        times = {"count_time": exposure_s, "frame_time": exposure_s + readout_s}
        await self._configure("detector", {**times, "nimages": frames, "ntrigger": triggers})
        self.count_cutoff = int(await self.api.number("detector", "config", "countrate_correction_count_cutoff"))
        self._armed_for = exposure_s, count
        return Armed(_series(self.name, await self.api.command("arm", deadline_s=ARM_S)))

    async def _high_voltage(self) -> None:
        """Wait while the sensor's high voltage ramps, as it does for a while after initialize."""
        began_s = self.clock.now_s()
        while (voltage := await self.api.word("detector", "status", "high_voltage/state", HIGH_VOLTAGE)) != "READY":
            waited_s = self.clock.now_s() - began_s
            if voltage != "RAMPING" or waited_s >= HIGH_VOLTAGE_S:
                raise Refused(
                    self.name, f"the sensor's high voltage is {voltage} after {waited_s:.0f} s: wait until it is READY"
                )
            await self.clock.sleep(self.poll_s)

    async def _trigger(self, wire_s: float) -> None:
        try:
            await self._expose(wire_s)
        except Refused:
            self._not_restarted(await self._state())
            raise

    async def _expose(self, wire_s: float) -> None:
        """The answer may come when the series starts, when it is done, or long after: the state is asked as well."""
        exposure_s, count = self._armed_for
        mode, began_s = self._trigger_mode(), self.clock.now_s()

        def left_s() -> float:
            return max(wire_s - (self.clock.now_s() - began_s) / self.clock.speed, 0.1)

        if mode == "ints":
            await self._pull(None, exposure_s * count, wire_s)
        elif mode == "inte":
            for image in range(count):
                await self._pull(exposure_s, exposure_s, left_s())
                if image + 1 < count and await self._leaves({"acquire", "configure"}, left_s()) != "ready":
                    break
        state = await self._leaves({"acquire", "ready", "configure"}, left_s())
        if state != "idle":
            raise Refused(self.name, f"the series ended in state {state!r}: the detector had a fault")

    def _not_restarted(self, state: str) -> None:
        """A unit that lost its settings is as good as lost: who connects it again initializes it and sets them anew."""
        if state in ("na", "initialize"):
            raise LinkLost(self.name, f"it is in state {state!r}: it was restarted, and its settings are gone")

    async def _pull(self, value: float | None, lasts_s: float, wire_s: float) -> None:
        """One software trigger; returns when its images should be done, and it was answered or the unit is idle."""
        began_s = self.clock.now_s()
        command = self.api.command("trigger", value, deadline_s=wire_s)
        answer = asyncio.get_running_loop().create_task(command, name=f"{self.name}: trigger")
        try:
            await asyncio.wait([answer], timeout=lasts_s / self.clock.speed + OVERDUE_S)
            while not answer.done() and await self._state() in COUNTING:
                await asyncio.wait([answer], timeout=self.poll_s / self.clock.speed)
            if answer.done():
                answer.result()
        finally:
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # told by now, or less than what is told
        await self.clock.sleep(max(0.0, began_s + lasts_s - self.clock.now_s()))

    async def _leaves(self, states: set[str], wire_s: float) -> str:
        """The first state that is none of these."""
        try:
            async with asyncio.timeout(wire_s):
                while (state := await self._state()) in states:
                    await self.clock.sleep(self.poll_s)
        except TimeoutError:
            if self._trigger_mode() in ("exts", "exte"):
                raise Refused(self.name, "the external trigger did not complete the series within its time") from None
            raise LinkLost(self.name, "the series is not done long after its trigger") from None
        return state

    async def _disarm(self) -> None:
        _series(self.name, await self.api.command("disarm", deadline_s=ARM_S))

    async def _stop(self) -> None:
        try:
            answer = await self.api.command("abort", deadline_s=ABORT_S)
        except Refused:
            if await self._state() in COUNTING:  # else it initializes or was restarted, and counts nothing
                raise
        else:
            _series(self.name, answer)

    async def _make_safe(self) -> None:
        """A detector harms nobody; it only stops counting."""
        await self._stop()

    # settings

    async def _state(self) -> str:
        return await self.api.word("detector", "status", "state", STATES)

    def _trigger_mode(self) -> str:
        mode = self.settings.options.get("trigger_mode", "ints")
        if mode not in TRIGGER_MODES:
            raise Refused(
                self.name, f"trigger_mode = {mode!r} ({self.settings.where}): it is {', '.join(TRIGGER_MODES)}"
            )
        return str(mode)

    async def _configure(self, module: str, wanted: dict[str, Any]) -> None:
        """Put every key, then read back each of them and each that the unit says moved along, if this driver ever set
        it: a later one may have changed an earlier one. Raises Refused with the key, and the key that moved it."""
        moved_by: dict[str, str] = {}
        for key, value in wanted.items():
            try:
                changed = await self.api.put(module, key, value)
            except NoSuchKey:
                if key in NOT_EVERYWHERE or f"{key} of {module}" in NOT_EVERYWHERE:
                    self._known.pop((module, key), None)
                    continue
                raise
            self._known[module, key] = value
            moved_by.pop(key, None)  # what moved it before does not matter any more
            moved_by |= {other: key for other in changed if other != key}
        for (of, key), value in list(self._known.items()):
            if of == module and (key in wanted or key in moved_by):
                found = (await self.api.get(module, "config", key))["value"]
                if not same(found, value):
                    why = f"{moved_by[key]} moved it" if key in moved_by else "the unit did not keep it"
                    raise Refused(self.name, f"{module} {key} was set to {value!r} and reads {found!r}: {why}")

    async def _check_model(self) -> None:
        """Of several detectors of one maker, the one that the station file names."""
        for option, key in (("model", "description"), ("serial", "detector_number")):
            wanted = self.settings.options.get(option)
            found = await self.api.word("detector", "config", key)
            if wanted is not None and str(wanted).casefold() not in found.casefold():
                raise WrongInstrument(
                    self.name,
                    f"{found!r} answers at {self.settings.link}, where the station file ({self.settings.where}) says "
                    f"{option} = {str(wanted)!r}",
                )

    # shape and mask

    def _shape(self) -> tuple[int, int]:
        if self.settings.shape is None:
            raise Refused(self.name, f"the station file ({self.settings.where}) must say shape = [rows, columns]")
        return self.settings.shape

    async def _check_shape(self) -> None:
        sides = [await self.api.number("detector", "config", f"{axis}_pixels_in_detector") for axis in "yx"]
        found = int(sides[0]), int(sides[1])
        if found != self._shape():
            raise Refused(
                self.name,
                f"it has {found[0]} rows of {found[1]} pixels; the station file ({self.settings.where}) says "
                f"shape = {list(self._shape())}: put shape = {list(found)} there, or connect the right detector",
            )

    def _array(self, content: Any) -> NDArray[np.uint32]:
        """A "darray" of the API -> (rows, columns). Its shape is written [width, height]."""
        rows, columns = self._shape()
        match content:
            case {"type": "<u4", "shape": [width, height], "filters": ["base64"], "data": str() as text} if (
                height,
                width,
            ) == (rows, columns) and len(text) <= 4 * (4 * rows * columns // 3 + 3):
                try:
                    data = base64.b64decode(text, validate=True)
                except binascii.Error as error:
                    raise GarbledReply(self.name, f"the pixel mask is not base64: {error}") from None
                if len(data) == 4 * rows * columns:
                    return np.frombuffer(data, "<u4").reshape(rows, columns)
        raise GarbledReply(self.name, f"the pixel mask is not {rows} x {columns} unsigned integers of 4 bytes")


def _series(name: str, content: Any) -> int:
    """The id in the answer of arm, disarm, abort; the manual writes `sequence id`, and `sequence_id` was seen too."""
    if isinstance(content, dict):
        for key in ("sequence id", "sequence_id"):
            number = content.get(key)
            if isinstance(number, int) and not isinstance(number, bool) and number >= 0:
                return number
    raise GarbledReply(name, f"it answered without a sequence id: {str(content)[:80]}")
