"""DECTRIS EIGER2 and PILATUS4 by the SIMPLON API 1.8 (HTTP and JSON). The manual's facts are in README.md beside it.

Frames do not pass here: the detector streams them to the writer, which decodes them with `stream.py`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Collection, Mapping
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from rocksalt.devices import Armed, Detector, GarbledReply, HttpDevice, LinkLost, Refused

API: Final = "1.8.0"
INITIALIZE_S: Final = 180.0  # wire time; the manual says up to 2 min
NEAR: Final = 1e-4  # relative; the detector rounds times to its ticks
FACTS: Final[tuple[tuple[str, str, type[str] | type[float]], ...]] = (
    ("description", "description", str),
    ("serial", "detector_number", str),
    ("sensor_material", "sensor_material", str),
    ("sensor_thickness_m", "sensor_thickness", float),
    ("pixel_width_m", "x_pixel_size", float),
    ("pixel_height_m", "y_pixel_size", float),
    ("bit_depth", "bit_depth_image", float),
    ("photon_energy_ev", "photon_energy", float),
    ("threshold_ev", "threshold/1/energy", float),
)
STREAM_FORMATS: Final = {1: "legacy", 2: "cbor"}
STATES: Final = ("na", "ready", "initialize", "configure", "acquire", "idle", "test", "error")
HIGH_VOLTAGE: Final = ("NA", "OFF", "RAMPING", "READY")
FITS: Final[Mapping[type, tuple[type, ...]]] = {str: (str,), float: (int, float), int: (int,)}
V = TypeVar("V", str, float, int)


class DectrisSimplon(HttpDevice, Detector):
    """options: photon_energy_ev, threshold_ev, header_detail (all, basic, none), counting_mode (normal, retrigger)."""

    identity = re.compile(r"(EIGER|PILATUS)", re.IGNORECASE)
    stream_decoder = "rocksalt_drivers.dectris_simplon.stream:decoder"
    poll_s = 0.2
    """Experiment time between looks at the state while a series runs."""

    pixel_mask: NDArray[np.uint32] | None = None
    """(rows, columns), 0 is a good pixel; as read when the detector was prepared."""

    async def _identify(self) -> str:
        if await self._state() == "na":
            await self._command("initialize", deadline_s=INITIALIZE_S)
        keys = ("description", "detector_number", "software_version")
        return " ".join([await self._typed("config", key, str) for key in keys])

    async def _prepare(self) -> None:
        """Whatever the last user left: end it, then one known configuration, every key read back after all are set."""
        if (state := await self._state()) != "idle":
            if state in ("ready", "acquire", "configure", "test"):
                await self._stop()
            else:
                await self._command("initialize", deadline_s=INITIALIZE_S)
        await self._check_shape()
        options = self.settings.options
        wanted: dict[str, Any] = {
            "counting_mode": options.get("counting_mode", "normal"),
            "trigger_mode": "ints",
            "ntrigger": 1,
            "trigger_start_delay": 0.0,
            "compression": "bslz4",
            "roi_mode": "disabled",
            "test_image_mode": "",
            "auto_summation": True,
            "countrate_correction_applied": True,
            "flatfield_correction_applied": True,
            "pixel_mask_applied": True,
            "mask_to_zero": False,
        }
        # The energy goes first and the threshold after it: setting an energy sets the thresholds, silently.
        if (energy := options.get("photon_energy_ev")) is not None:
            wanted["photon_energy"] = float(energy)
        if (threshold := options.get("threshold_ev")) is not None:
            wanted["threshold/1/energy"] = float(threshold)
        for threshold_name, mode in (("1", "enabled"), ("2", "disabled"), ("difference", "disabled")):
            wanted[f"threshold/{threshold_name}/mode"] = mode
        await self._configure("detector", wanted)
        form = STREAM_FORMATS[self.settings.stream_version]
        detail = options.get("header_detail", "all")
        await self._configure("stream", {"format": form, "header_detail": detail, "mode": "enabled"})
        self.pixel_mask = self._array(await self._get("detector", "config", "pixel_mask"))
        for fact, key, kind in FACTS:
            told = self._typed("config", key, str) if kind is str else self._typed("config", key, float)
            self.facts[fact] = await told

    async def _arm(self, exposure_s: float, count: int) -> Armed:
        if (state := await self._state()) != "idle":
            raise Refused(self.name, f"it is in state {state!r}, and only an idle detector can be armed")
        if (voltage := await self._word("high_voltage/state", HIGH_VOLTAGE)) != "READY":
            raise Refused(self.name, f"the sensor's high voltage is {voltage}: wait until it is READY")
        readout_s = await self._typed("config", "detector_readout_time", float)
        # count_time may push frame_time up and never pulls it down: first the one, then the other, then look at both.
        await self._configure(
            "detector",
            {"count_time": exposure_s, "frame_time": exposure_s + readout_s, "nimages": count, "ntrigger": 1},
        )
        return Armed(_series(self.name, await self._command("arm", deadline_s=30.0)))

    async def _trigger(self, wire_s: float) -> None:
        """The answer may come when the series starts or when it is done; either way the state is asked as well."""
        await self._command("trigger", deadline_s=wire_s)
        try:
            async with asyncio.timeout(wire_s):
                while (state := await self._state()) in ("acquire", "ready", "configure"):
                    await self.clock.sleep(self.poll_s)
        except TimeoutError:
            raise LinkLost(self.name, f"the series is not done {wire_s:g} s after its trigger") from None
        if state != "idle":
            raise Refused(self.name, f"the series ended in state {state!r}: the detector was restarted or had a fault")

    async def _disarm(self) -> None:
        _series(self.name, await self._command("disarm", deadline_s=30.0))

    async def _stop(self) -> None:
        _series(self.name, await self._command("abort"))

    async def _make_safe(self) -> None:
        """A detector harms nobody; it only stops counting."""
        await self._stop()

    # requests

    async def _state(self) -> str:
        return await self._word("state", STATES)

    async def _word(self, key: str, known: Collection[str]) -> str:
        """A status that is one of a few words. Raises GarbledReply for any other."""
        if (word := await self._typed("status", key, str)) not in known:
            raise GarbledReply(self.name, f"detector status {key} is {word[:40]!r}, none of {', '.join(known)}")
        return word

    async def _typed(self, task: str, key: str, kind: type[V]) -> V:
        """A value of the type that the manual gives it. Raises GarbledReply: it may be another key's."""
        value = await self._get("detector", task, key)
        if type(value) not in FITS[kind]:  # not isinstance: True is an int for Python alone
            raise GarbledReply(self.name, f"detector {task} {key} is {str(value)[:40]!r}, no {kind.__name__}")
        return kind(value)

    async def _get(self, module: str, task: str, key: str) -> Any:
        reply = await self.http.request("GET", f"/{module}/api/{API}/{task}/{key}")
        if reply.status != 200:
            raise Refused(self.name, f"{module} {task} {key}: {reply.status} {reply.text[:200]}")
        content = reply.json()
        if not isinstance(content, dict) or "value" not in content:
            raise GarbledReply(self.name, f"{module} {task} {key}: the answer has no value: {reply.text[:80]!r}")
        return content["value"]

    async def _configure(self, module: str, wanted: dict[str, Any]) -> None:
        """Put every key, then read every key back: a later one may have changed an earlier one. Raises Refused."""
        for key, value in wanted.items():
            reply = await self.http.request("PUT", f"/{module}/api/{API}/config/{key}", {"value": value})
            if reply.status != 200:
                raise Refused(self.name, f"{module} {key} = {value!r}: {reply.status} {reply.text[:200]}")
            if not _names_keys(reply.json()):
                raise GarbledReply(self.name, f"{module} {key}: the answer is no list of keys: {reply.text[:80]!r}")
        for key, value in wanted.items():
            found = await self._get(module, "config", key)
            if not _same(found, value):
                raise Refused(
                    self.name, f"{module} {key} was set to {value!r} and reads {found!r}: another setting moved it"
                )

    async def _command(self, command: str, *, deadline_s: float | None = None) -> Any:
        reply = await self.http.request("PUT", f"/detector/api/{API}/command/{command}", deadline_s=deadline_s)
        if reply.status != 200:
            raise Refused(self.name, f"{command}: {reply.status} {reply.text[:200]}")
        return reply.json()

    # shape and mask

    def _shape(self) -> tuple[int, int]:
        if self.settings.shape is None:
            raise Refused(self.name, f"the station file ({self.settings.where}) must say shape = [rows, columns]")
        return self.settings.shape

    async def _check_shape(self) -> None:
        found = tuple([await self._typed("config", f"{axis}_pixels_in_detector", int) for axis in "yx"])
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


def _names_keys(content: Any) -> bool:
    """Whether an answer to a PUT is what the manual says: a list of the keys that may have changed."""
    return isinstance(content, list) and all(isinstance(key, str) for key in content)


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, float) and isinstance(found, int | float) and not isinstance(found, bool):
        return abs(found - wanted) <= NEAR * max(abs(wanted), 1e-12)
    return bool(found == wanted and type(found) is type(wanted))


def _series(name: str, content: Any) -> int:
    """The id in the answer of arm, disarm, abort; the manual writes `sequence id`, and `sequence_id` was seen too."""
    if isinstance(content, dict):
        for key in ("sequence id", "sequence_id"):
            if isinstance(number := content.get(key), int) and not isinstance(number, bool) and number >= 0:
                return number
    raise GarbledReply(name, f"it answered without a sequence id: {str(content)[:80]}")
