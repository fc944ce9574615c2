"""A DECTRIS detector control unit as its manual describes it: requests in, answers out, a stream of messages, time.

Knows no socket: `handle` answers a request, `stream_to` says where messages go, `camera` is its door to the twin.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from rocksalt.twin.wire.hosting import HttpRequest, HttpResponse
from rocksalt_drivers.dectris_simplon import simulator_keys as keys
from rocksalt_drivers.dectris_simplon import simulator_stream as messages
from rocksalt_drivers.dectris_simplon.simulator_keys import READOUT_S, VERSION, Item
from rocksalt_drivers.dectris_simplon.simulator_monitor import Monitor, tiff
from rocksalt_drivers.dectris_simplon.simulator_outlet import Outlet, Push


class Camera(Protocol):
    """The twin, as far as a detector sees it. Times are experiment seconds; mask is True where the sensor is blind."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def mask(self) -> NDArray[np.bool_]: ...

    def cutoff_counts(self, seconds: float) -> int: ...

    def expose(self, start_s: float, seconds: float) -> NDArray[np.uint32]: ...

    def sent(self, frame: int, sha256: str, chunk_sha256: str, series: int, image: int) -> None: ...


class Clock(Protocol):
    def now_s(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...

    def wall(self) -> str: ...


class DectrisSimulator:
    """States na, initialize, idle, configure, ready, acquire, idle. One series at a time.

    Options are in README.md. Times are experiment seconds.
    """

    stands_at: ClassVar[str] = "camera"

    def __init__(self, camera: Camera, clock: Clock, *, options: Mapping[str, Any]) -> None:
        self.camera, self.clock, self.options = camera, clock, options
        self.state = "na"
        self.series = int(options.get("first_series", 0))
        self.frames = 0  # images made since this object was, whether or not they were sent
        self.mask = messages.pixel_mask(camera.mask, options)
        self._keys: dict[str, dict[str, Item]] = {}
        self._outlet = Outlet({}, self.mask, options)
        self._monitor = Monitor({})
        self._hv_ready_s = 0.0
        self._acquiring: asyncio.Task[None] | None = None
        self._gate_s: float | None = None  # since when the line of an external pulse is high
        self._cancelled = False
        self._images = 0  # of the armed series, so far
        self._armed_s = 0.0
        self._ended = True
        self._power_up()

    @property
    def dropped(self) -> int:
        """Messages of the stream that nobody pulled."""
        return self._outlet.dropped

    def stream_to(self, push: Push) -> None:
        """Where messages go, each as its parts: `push` returns False when nobody takes them, as a full PUSH socket."""
        self._outlet.push = push

    def power_cycle(self) -> None:
        """Power off and on in the middle of whatever it did: no end of series, no settings, state na."""
        self._drop_acquisition()
        self.state = "na"
        self._power_up()

    def ends_series(self, message: tuple[bytes, ...]) -> bool:
        """Whether a message of the stream, of either version, is an end of series."""
        return message[0].startswith((b'{"htype": "dseries_end', b"\xa3\x64type\x63end"))

    def trigger_in(self, high: bool) -> None:
        """The external trigger's line rises or falls. exts: a rising edge gives nimages images; exte: one, as long as
        the line is high. Edges at any other time are nobody's."""
        mode = self._detector["trigger_mode"].value if self._detector else ""
        if high and self.state == "ready" and mode in ("exts", "exte"):
            self.state = "acquire"
            if mode == "exte":
                self._gate_s = self.clock.now_s()
            else:
                self._acquire_in_a_task(self._detector["nimages"].value, self._detector["count_time"].value)
        elif not high and self._gate_s is not None:
            begins_s, self._gate_s = self._gate_s, None
            if (seconds := self.clock.now_s() - begins_s) > 0:
                self._image(begins_s, seconds)
            self._after_a_trigger()

    def _power_up(self) -> None:
        self._keys = {
            "detector": {}, "stream": keys.stream_keys(), "filewriter": keys.filewriter_keys(),
            "monitor": keys.monitor_keys(), "system": {},
        }  # fmt: skip
        self._outlet.keys, self._monitor.keys = self._keys["stream"], self._keys["monitor"]
        self._outlet.dropped = 0
        self._monitor.clear()

    @property
    def _detector(self) -> dict[str, Item]:
        return self._keys["detector"]

    # requests

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """One request of the REST interface; a trigger's answer comes when its images are done."""
        parts = request.path.strip("/").split("/", 4)
        if parts[:4] == ["monitor", "api", VERSION, "images"] and request.method == "GET":
            return await self._show(parts[4] if len(parts) == 5 else "", request.query)
        if parts[1:] == ["api", "version"]:
            return _json({"value": VERSION, "value_type": "string"})
        if len(parts) != 5 or parts[1:3] != ["api", VERSION]:
            return _no(404, f"{request.path} does not exist")
        module, _, _, task, key = parts
        if request.method == "GET" and task in ("config", "status"):
            return self._get(module, task, key, "image/tiff" in request.headers.get("accept", ""))
        if request.method == "PUT" and task == "config":
            return self._put(module, key, request.body)
        if request.method == "PUT" and task == "command":
            return await self._command(module, key, request.body)
        return _no(405 if task in ("config", "status", "command") else 404, f"{request.method} {request.path}: no")

    def _get(self, module: str, task: str, key: str, as_tiff: bool) -> HttpResponse:
        if task == "config":
            if module == "detector" and key == "pixel_mask" and self._detector:
                if as_tiff:
                    return HttpResponse(200, tiff(self.mask), "image/tiff")
                return _json({"value": messages.darray(self.mask), "value_type": "darray", "access_mode": "rw"})
            item = self._keys.get(module, {}).get(key)
            return _json(item.as_json()) if item else _no(404, f"{key} does not exist")
        status = self._status(module)
        if key not in status:
            return _no(404, f"{key} does not exist")
        kinds = {bool: "bool", int: "uint", float: "float", str: "string", list: "list"}
        value = status[key]
        return _json({
            "value": value, "value_type": kinds[type(value)], "time": self._date(self.clock.now_s()),
            "state": "normal", "critical_limits": [], "critical_values": [],
        })  # fmt: skip

    def _status(self, module: str) -> dict[str, Any]:
        if module == "detector":
            if self.state == "na":
                return {"state": "na"}
            ready = self.clock.now_s() >= self._hv_ready_s
            return {
                "state": self.state, "error": [], "time": self._date(self.clock.now_s()), "temperature": 25.0,
                "humidity": 3.0, "high_voltage/state": "READY" if ready else "RAMPING",
            }  # fmt: skip
        if module == "stream":
            mode = "disabled" if self._keys["stream"]["mode"].value == "disabled" else "ready"
            busy = mode == "ready" and self.state == "acquire"
            return {"state": "acquire" if busy else mode, "dropped": self.dropped}
        if module == "filewriter":
            writes = self._keys["filewriter"]["mode"].value == "enabled"
            return {"state": "ready" if writes else "disabled", "buffer_free": 0, "files": [], "error": []}
        return self._monitor.status() if module == "monitor" else {}

    async def _show(self, which: str, query: str) -> HttpResponse:
        if not which:
            return _json(self._monitor.listed())
        status, body = await self._monitor.get(which, query)
        return HttpResponse(status, body, "image/tiff" if status == 200 else "text/plain")

    def _put(self, module: str, key: str, body: bytes) -> HttpResponse:
        config = self._keys.get(module, {})
        item = config.get(key)
        if item is None:
            return _no(404, f"{key} does not exist")
        if item.access == "r":
            return _no(400, f"{key} is read-only")
        if self.state not in ("idle", "na"):
            return _no(400, f"{key} can't be changed in state {self.state}")
        try:
            content = json.loads(body)
            if not isinstance(content, dict) or set(content) != {"value"}:
                return _no(400, 'the body is not {"value": …}')
            value = item.takes(content["value"])
        except ValueError as error:
            return _no(400, f"{key}: {error}")
        before = {name: other.value for name, other in config.items()}
        item.value = value
        also = keys.couple(self._detector, key, self.camera.cutoff_counts) if module == "detector" else set()
        changed = {name for name, other in config.items() if other.value != before[name]}
        return _json(sorted(changed | also | {key}))

    # commands

    async def _command(self, module: str, key: str, body: bytes) -> HttpResponse:
        if module != "detector":
            known = key in ("initialize", "clear") and module in ("stream", "filewriter", "monitor")
            if known and module == "monitor":
                self._monitor.clear()
            return _json([]) if known else _no(404, f"{key} does not exist")
        try:
            argument = json.loads(body) if body.strip() else {}
            if not isinstance(argument, dict) or set(argument) - {"value"}:
                return _no(400, "the body is neither empty nor {}")
        except ValueError:
            return _no(400, "the body is not JSON")
        if argument and key not in ("trigger", "hv_reset"):
            return _no(400, f"{key} takes no argument")
        if key == "initialize":
            return await self._initialize()
        if self.state in ("na", "initialize"):
            return _no(404, f"{key} does not exist")
        match key:
            case "arm":
                return self._arm()
            case "trigger":
                return await self._trigger(argument.get("value"))
            case "disarm" | "cancel":
                return await self._wind_down()
            case "abort":
                self._drop_acquisition()
                return self._close_series()
            case "hv_reset":
                self._hv_ready_s = self.clock.now_s() + float(argument.get("value", 30))
                return _json([])
            case "check_connections":
                self.state = "na"
                return _json([])
        return _no(404, f"{key} does not exist")

    async def _initialize(self) -> HttpResponse:
        self._drop_acquisition()
        self._ended = True
        self.state = "initialize"
        await self.clock.sleep(float(self.options.get("initialize_s", 5.0)))
        if self.state == "initialize":  # not rebooted meanwhile
            self._keys["detector"] = keys.detector_keys(self.camera.shape, self.options)
            self._hv_ready_s = self.clock.now_s() + float(self.options.get("hv_ramp_s", 0.0))
            self._detector["number_of_excluded_pixels"].value = int(np.count_nonzero(self.mask))
            cutoff = keys.cutoff(self._detector, self.camera.cutoff_counts)
            self._detector["countrate_correction_count_cutoff"].value = cutoff
            self.state = "idle"
        return _json([])

    def _arm(self) -> HttpResponse:
        if self.state != "idle":
            return _no(400, f"arm is not allowed in state {self.state}")
        self.state = "configure"
        self.series += int(self.options.get("series_step", 1))
        self._images, self._cancelled, self._ended = 0, False, False
        self._armed_s = self.clock.now_s()
        date = self._detector["data_collection_date"].value = self._date(self._armed_s)
        self._outlet.start(
            self.series, date, {key: item.value for key, item in self._detector.items()},
            keys.cutoff(self._detector, self.camera.cutoff_counts),
        )  # fmt: skip
        self.state = "ready"
        return self._sequence()

    async def _trigger(self, argument: Any) -> HttpResponse:
        mode = self._detector["trigger_mode"].value
        if self.state != "ready" or mode not in ("ints", "inte"):
            return _no(400, f"trigger is not allowed in state {self.state}, trigger_mode {mode}")
        count_time = self._detector["count_time"].value
        if argument is not None:
            try:
                count_time = self._detector["count_time"].takes(argument)
            except ValueError as error:
                return _no(400, str(error))
            if mode != "inte":
                return _no(400, "an exposure time is only taken in trigger_mode inte")
        self.state = "acquire"
        acquiring = self._acquire_in_a_task(self._detector["nimages"].value if mode == "ints" else 1, count_time)
        if not self.options.get("early_reply", False):
            await asyncio.wait([acquiring])
            if not acquiring.cancelled():
                acquiring.result()  # what went wrong in the twin is not hidden behind an answer
            await self.clock.sleep(float(self.options.get("late_reply_s", 0.0)))
        return _json([])

    def _acquire_in_a_task(self, nimages: int, count_time: float) -> asyncio.Task[None]:
        """A task of its own: the acquisition goes on when the client that asked for it goes away."""
        acquiring = asyncio.get_running_loop().create_task(self._acquire(nimages, count_time), name="acquire")
        self._acquiring = acquiring
        return acquiring

    async def _acquire(self, nimages: int, count_time: float) -> None:
        start_s = self.clock.now_s() + self._detector["trigger_start_delay"].value
        frame_time = max(self._detector["frame_time"].value, count_time + READOUT_S)
        for number in range(nimages):
            begins_s = start_s + number * frame_time
            await self.clock.sleep(begins_s + count_time - self.clock.now_s())
            self._image(begins_s, count_time)
            if self._cancelled:
                break
        self._after_a_trigger()

    def _after_a_trigger(self) -> None:
        total = self._detector["ntrigger"].value
        if self._detector["trigger_mode"].value in ("ints", "exts"):
            total *= self._detector["nimages"].value
        if self._images >= total or self._cancelled:
            self._close_series()
        else:
            self.state = "ready"

    async def _wind_down(self) -> HttpResponse:
        """disarm and cancel: the running image is finished, then the series ends."""
        self._cancelled = True
        if self._gate_s is not None:
            self.trigger_in(False)
        elif self.state == "acquire" and self._acquiring is not None:
            await asyncio.wait([self._acquiring])
        if self.state == "idle" and self._ended and self._end_is("duplicate_end") and self.series:
            self._outlet.end()
        return self._close_series()

    def _drop_acquisition(self) -> None:
        self._gate_s = None
        if self._acquiring is not None:
            self._acquiring.cancel()
            self._acquiring = None

    def _close_series(self) -> HttpResponse:
        if not self._ended:
            self._ended = True
            if not self._end_is("lost_end"):
                self._outlet.end()
        self.state = "idle"
        return self._sequence()

    def _sequence(self) -> HttpResponse:
        return _json({"sequence id": self.series})

    # the stream

    def _image(self, begins_s: float, count_time: float) -> None:
        """Expose, correct, send and show one image; its exposure is over."""
        image, self._images = self._images, self._images + 1
        frame, self.frames = self.frames, self.frames + 1
        pixels = self._pixels(begins_s, count_time)
        chunk_sha256 = self._outlet.image(
            image, pixels, str(self._detector["compression"].value), begins_s - self._armed_s, count_time
        )
        self._monitor.show(self.series, image, pixels)
        if chunk_sha256 is not None:
            sha256 = hashlib.sha256(pixels.tobytes()).hexdigest()
            self.camera.sent(frame, sha256, chunk_sha256, self.series, image)

    def _end_is(self, fault: str) -> bool:
        given = self.options.get(fault, False)
        return given if isinstance(given, bool) else self.series in given

    def _pixels(self, begins_s: float, count_time: float) -> NDArray[np.unsignedinteger]:
        config = self._detector
        bits = int(config["bit_depth_image"].value)
        if config["test_image_mode"].value == "value":
            value = min(int(config["test_image_value"].value), 2**bits - 1)
            counts = np.full(self.camera.shape, value, np.uint32)
        else:
            cutoff = np.uint32(keys.cutoff(config, self.camera.cutoff_counts))
            exposed = self.camera.expose(begins_s, count_time)
            # A pixel that the sensor does not have stays what it is: the cutoff is for those that count.
            counts = np.where(exposed == np.iinfo(exposed.dtype).max, exposed, np.minimum(exposed, cutoff))
        if config["pixel_mask_applied"].value:
            counts = np.where(self.mask != 0, np.uint32(0 if config["mask_to_zero"].value else 2**bits - 1), counts)
        return np.ascontiguousarray(counts, dtype=f"<u{bits // 8}")

    def _date(self, at_s: float) -> str:
        now = datetime.fromisoformat(self.clock.wall().replace("Z", "+00:00"))
        return (now + timedelta(seconds=at_s - self.clock.now_s())).isoformat(timespec="milliseconds")


def _json(content: Any) -> HttpResponse:
    return HttpResponse(200, json.dumps(content).encode(), "application/json")


def _no(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, text.encode(), "text/plain")
