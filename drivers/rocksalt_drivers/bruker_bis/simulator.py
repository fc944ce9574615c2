"""A Bruker Instrument Service as its help file describes it: three sockets, a queue, a master, and a D8 behind them.

Get… verbs run at once, what moves something is queued and done in order; what comes of it goes to all clients.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar

from rocksalt.time import Chance, Clock
from rocksalt_drivers.bruker_bis.simulator_frames import sfrm
from rocksalt_drivers.bruker_bis.simulator_status import AXES, KELVIN, KV, MA, MOST_W, Diffractometer
from rocksalt_drivers.bruker_bis.simulator_wire import Client, Socket, taken_apart

BITS = {"2THETA": 0, "OMEGA": 1, "PHI": 2, "CHI": 3, "X": 4, "Y": 5, "Z": 6, "DISTANCE": 8}
LIMITS = {"2THETA": (-30.0, 120.0), "OMEGA": (-180.0, 180.0), "PHI": (-360.0, 360.0), "CHI": (-10.0, 100.0),
          "X": (-10.0, 10.0), "Y": (-10.0, 10.0), "Z": (-5.0, 5.0), "DISTANCE": (4.0, 30.0)}  # fmt: skip
SPEEDS = {axis: 10.0 if axis in AXES[:4] else 1.0 for axis in AXES}  # units a second
CAUSE: ContextVar[str] = ContextVar("bis_cid", default="")
"""The number that a command came with: what it causes carries it."""
RAMP_PER_S = 2.0  # kV and mA a second


class _No(Exception):
    """The verb is unknown, or an argument is missing or impossible."""


class BisSimulator(Diffractometer):
    """Options: frames_dir, file_case ("upper", "lower", "kept"), baseline (64; -1 none), omit_lf (0.3: share of the
    replies without line end), seed, version, temperature_c_only, results_on ("status", "command"), standby,
    attenuator_in, mode (0 normal, 1 manual, 2 optical), echo_cid (True).

    Faults: refuse ([verbs]), lose_replies ([numbers of commands, from 1]), stuck_drive, late_file_s, no_file and
    truncate ([numbers of frames, from 0]); attributes mute_status, service_key. Times are experiment seconds.
    """

    stands_at: ClassVar[tuple[str, ...]] = ("camera", "enclosure", "thermal")

    def __init__(self, doors: Mapping[str, Any], clock: Clock, *, options: Mapping[str, Any] | None = None) -> None:
        options = options or {}
        super().__init__((doors["camera"], doors["enclosure"], doors["thermal"]), clock, options)
        self.clients: list[Client] = []
        self.sockets = (Socket(self, "command"), Socket(self, "file"), Socket(self, "status"))
        self.mute_status = False
        self.heard = 0
        self.frames = 0
        self._chance = Chance(int(options.get("seed", 0))).stream("bruker_bis.line_ends")
        self._omit_lf = float(options.get("omit_lf", 0.3))
        self._goal: dict[str, float] = {}
        self.queue: deque[tuple[str, Callable[[], Awaitable[None]]]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._late: set[asyncio.Task[None]] = set()
        self.last_error = ""

    # sockets

    def line_end(self) -> bytes:
        """Real servers leave it out on some replies to commands."""
        return b"" if self._chance.random() < self._omit_lf else b"\n"

    def gone(self, client: Client) -> None:
        if self.master is client:
            self.master = None
            self._tell_lock()

    def greet(self, client: Client) -> None:
        version = self.options.get("version", "2009.2.0.0")
        first = [f"[BISVERSION /VERSION={version} /DATE=17-Oct-2009]", *self._all_status()]
        for text in first:
            self._send_status(client, text)

    def broadcast(self, *texts: str) -> None:
        for text in map(self._caused, texts):
            for client in list(self.clients):
                self._send_status(client, text)

    def _caused(self, text: str) -> str:
        cid = CAUSE.get() if self.options.get("echo_cid", True) else ""
        return f"{text[:-1]} /CID={cid}]" if cid else text

    def _send_status(self, client: Client, text: str) -> None:
        if client.status is not None and not self.mute_status:
            client.status(text.encode("ascii", "replace") + b"\n")

    # commands

    def command(self, client: Client, text: str) -> None:
        self._look()
        self.heard += 1
        verb, arguments = taken_apart(text)
        cause = CAUSE.set(arguments.pop("CID", ""))
        try:
            if verb in self.options.get("refuse", ()):
                raise _No
            method = getattr(self, f"_{kind}_{verb.lower()}", None) if (kind := self._kind(verb)) else None
            if method is None:
                raise _No
            if kind == "do" and self.master not in (None, client):
                reply = f"{verb}_MV"
            else:
                found = method(client, arguments)
                reply = f"{verb}_YES" if found is None else f"{verb}_YES {found}"
        except (_No, KeyError, ValueError) as why:
            self.last_error = f"{verb}: {why}"
            reply = f"{verb}_NO"
        finally:
            CAUSE.reset(cause)
        if self.heard not in self.options.get("lose_replies", ()):
            client.answer(f"[{reply}]".encode("ascii", "replace") + self.line_end())

    def _kind(self, verb: str) -> str:
        if not verb.isalnum():
            return ""
        return next((kind for kind in ("do", "get", "say") if hasattr(self, f"_{kind}_{verb.lower()}")), "")

    def _result(self, client: Client, *texts: str) -> None:
        if self.options.get("results_on", "status") == "command":
            for text in texts:
                client.answer(self._caused(text).encode() + self.line_end())
        else:
            self.broadcast(*texts)

    # what everybody may say

    def _say_setprograminfo(self, client: Client, arguments: dict[str, str]) -> None:
        client.program = arguments

    def _say_nooperation(self, client: Client, arguments: dict[str, str]) -> None:
        return None

    def _say_restrictaccess(self, client: Client, arguments: dict[str, str]) -> None:
        if arguments["LOCK"] == "0":
            if self.master is not client:
                raise _No("not the master")
            self.master = None
        elif self.master not in (None, client) and arguments.get("OVERRIDE") != "1":
            raise _No("another client is the master")
        else:
            self.master = client
        self._tell_lock()

    def _tell_lock(self) -> None:
        self.broadcast(self._lock())

    # what is read at once

    def _get_getaxesnames(self, client: Client, arguments: dict[str, str]) -> None:
        self._result(client, self._names())

    def _get_getaxespositions(self, client: Client, arguments: dict[str, str]) -> None:
        self._result(client, *self._positions())

    def _get_getaxeslimits(self, client: Client, arguments: dict[str, str]) -> None:
        ends = " ".join(f"/{axis}LOW={low:.4f} /{axis}HIGH={high:.4f}" for axis, (low, high) in LIMITS.items())
        self._result(client, f"[AXESLIMITS {ends} /OMEGA2THETALOW=-60.0000]")

    def _get_getgeneratorlimits(self, client: Client, arguments: dict[str, str]) -> None:
        self._result(
            client,
            f"[GENERATORLIMITS /MAXPOWERW={MOST_W:.1f} /MINKV={KV[0]:.1f} /MAXKV={KV[1]:.1f} "
            f"/MINMA={MA[0]:.1f} /MAXMA={MA[1]:.1f}]",
        )

    def _get_getgeneratorstatus(self, client: Client, arguments: dict[str, str]) -> None:
        self._result(client, self._generator())

    def _get_getinstrumentstatus(self, client: Client, arguments: dict[str, str]) -> None:
        self._result(client, self._instrument())

    def _get_getshutterattenuatorstatus(self, client: Client, arguments: dict[str, str]) -> None:
        self._result(client, *self._shutters())

    def _get_getsampletemperaturestatus(self, client: Client, arguments: dict[str, str]) -> None:
        self._result(client, self._temperature())

    def _get_getdetectorstatus(self, client: Client, arguments: dict[str, str]) -> None:
        self._result(client, self._detector())

    def _get_getgoniometerinfo(self, client: Client, arguments: dict[str, str]) -> None:
        self._result(client, "[GONIOMETERINFO /NAME=D8[000123] with FixedChi]")

    def _get_getmastershipstatus(self, client: Client, arguments: dict[str, str]) -> None:
        self._result(client, self._lock())

    # what needs the mastership

    def _do_drive(self, client: Client, arguments: dict[str, str]) -> None:
        goals = {axis: float(arguments[axis]) for axis in AXES if axis in arguments}
        if not goals:
            raise _No("no axis")
        for axis, goal in goals.items():
            low, high = LIMITS[axis]
            if not low <= goal <= high:
                self._message(f"{axis} {goal:g} is outside {low:g} to {high:g}", "Error")
                raise _No("out of limits")
        self._enqueue(lambda: self._drive(goals))

    def _do_shutter(self, client: Client, arguments: dict[str, str]) -> None:
        is_open = _bit(arguments["STATUS"])
        self._enqueue(lambda: self._set_shutters(is_open, is_open))

    def _do_safetyshutter(self, client: Client, arguments: dict[str, str]) -> None:
        is_open = _bit(arguments["STATUS"])
        self._enqueue(lambda: self._set_shutters(is_open, self.fast_open and is_open))

    def _do_attenuator(self, client: Client, arguments: dict[str, str]) -> None:
        is_in = _bit(arguments["STATUS"])
        self._enqueue(lambda: self._attenuate(is_in))

    def _do_setgeneratorstatus(self, client: Client, arguments: dict[str, str]) -> None:
        if arguments.get("STANDBY") == "1":
            self._enqueue(self._stand_by)
            return
        kv, ma = float(arguments["KV"]), float(arguments["MA"])
        if not (KV[0] <= kv <= KV[1] and MA[0] <= ma <= MA[1] and kv * ma <= MOST_W):
            raise _No("beyond the generator's limits")
        self._enqueue(lambda: self._generate(kv, ma))

    def _do_setsampletemperature(self, client: Client, arguments: dict[str, str]) -> None:
        kelvin = float(arguments["TEMPK"]) if "TEMPK" in arguments else float(arguments["TEMPC"]) + KELVIN
        if "TEMPK" in arguments and self.options.get("temperature_c_only", False):
            raise _No("TEMPK")
        per_min = self.per_min
        if "RAMPRATEDPM" in arguments:
            per_min = float(arguments["RAMPRATEDPM"])
        elif "RAMPRATEDPH" in arguments:
            per_min = float(arguments["RAMPRATEDPH"]) / 60.0
        self._enqueue(lambda: self._warm(kelvin, per_min))

    def _do_sampletemperature(self, client: Client, arguments: dict[str, str]) -> None:
        if not _bit(arguments["STATUS"]):
            self._enqueue(self._cool)

    def _do_changeframesize(self, client: Client, arguments: dict[str, str]) -> None:
        if int(arguments["FRAMESIZE"]) not in (512, 1024, 2048, 4096):
            raise _No("no such frame size")

    def _do_scan(self, client: Client, arguments: dict[str, str]) -> str:
        name = arguments["FILENAME"].replace("\\", "/").rpartition("/")[2]
        seconds = float(arguments["SCANTIME"])
        if "frames_dir" not in self.options or not name.lower().endswith(".sfrm") or not 0 < seconds < 1e6:
            raise _No("no place for frames, no .sfrm file or no time")
        frame, self.frames = self.frames, self.frames + 1
        self._enqueue(lambda: self._scan(name, seconds, frame))
        return (
            f"/RUNNUMBER=1 /FRAMENUMBER={frame} /FILENAME={arguments['FILENAME'].upper()} /ACQUIREDSCANS=0 "
            f"/REMAININGSCANS=1 /ELAPSEDSECONDS=0.0 /REMAININGSECONDS={seconds:.3f}"
        )

    def _do_softabort(self, client: Client, arguments: dict[str, str]) -> None:
        self.queue.clear()

    def power_cycle(self) -> None:
        """BIS is started anew: all of it stops, and nobody is told (what a real one stops then is a guess)."""
        self._halt()
        self.master, self.paused = None, False

    def _halt(self) -> None:
        self.queue.clear()
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None
        for axis in list(self._going):
            self._at[axis] = self._where(axis)
        self._going.clear()
        self.kv_wanted, self.ma_wanted = self.kv, self.ma
        self.safety_open = self.fast_open = self.busy = False
        self._light()

    def _do_hardabort(self, client: Client, arguments: dict[str, str]) -> None:
        """Stop motion, close shutters, drop the queue, at once."""
        self._halt()
        self.broadcast("[DRIVESTATUS /MASK=0]", *self._positions(), *self._shutters(), self._generator())
        self.broadcast("[INSTRUMENTQUEUE /PROCESSING=0]", self._instrument())
        self._message("Instrument is stopped.", "Info")

    def _do_pausequeue(self, client: Client, arguments: dict[str, str]) -> None:
        self.paused = True

    def _do_resumequeue(self, client: Client, arguments: dict[str, str]) -> None:
        self.paused = False
        self._start()

    # the queue

    def _enqueue(self, job: Callable[[], Awaitable[None]]) -> None:
        self.queue.append((CAUSE.get(), job))
        self._start()

    def _start(self) -> None:
        if self._worker is None and self.queue and not self.paused:
            # A task of its own: what was queued goes on when the client that asked for it goes away.
            self._worker = asyncio.get_running_loop().create_task(self._work(), name="bis queue")

    async def _work(self) -> None:
        self.busy = True
        CAUSE.set("")  # the queue is nobody's own
        self.broadcast("[INSTRUMENTQUEUE /PROCESSING=1]", self._instrument())
        while self.queue and not self.paused:
            cid, job = self.queue.popleft()
            CAUSE.set(cid)
            await job()
        CAUSE.set("")
        self._worker, self.busy = None, False
        self.broadcast("[INSTRUMENTQUEUE /PROCESSING=0]", self._instrument())

    async def _drive(self, goals: dict[str, float]) -> None:
        now_s = self.clock.now_s()
        self._going = {axis: (self._at[axis], now_s) for axis in goals}
        self._goal = goals
        self.broadcast(f"[DRIVESTATUS /MASK={sum(1 << BITS[axis] for axis in goals)}]")
        while self.options.get("stuck_drive", False):
            await self.clock.sleep(3600.0)
        await self.clock.sleep(max(abs(goal - self._at[axis]) / SPEEDS[axis] for axis, goal in goals.items()))
        self._at |= goals
        self._going.clear()
        self.broadcast("[DRIVESTATUS /MASK=0]", *self._positions())

    def _where(self, axis: str) -> float:
        if axis not in self._going:
            return self._at[axis]
        start, since_s = self._going[axis]
        if self.options.get("stuck_drive", False):
            return start
        way = self._goal[axis] - start
        gone = min(SPEEDS[axis] * (self.clock.now_s() - since_s), abs(way))
        return start + (gone if way > 0 else -gone)

    async def _set_shutters(self, safety: bool, fast: bool) -> None:
        now_s = self.clock.now_s()
        if (safety or fast) and not self.enclosure.door_closed(now_s):
            self._message("The door is open: the shutter stays closed.", "Error")
            safety = fast = False
        self.safety_open, self.fast_open = safety, fast
        self._light()
        self.broadcast(*self._shutters())
        self._look()

    async def _attenuate(self, is_in: bool) -> None:
        self.attenuator = is_in
        self.broadcast(self._attenuator())

    async def _stand_by(self) -> None:
        self.standby = True
        self.kv, self.ma = self.kv_wanted, self.ma_wanted = KV[0], MA[0]
        self.broadcast(self._generator(), self._instrument())

    async def _generate(self, kv: float, ma: float) -> None:
        self.standby, self.kv_wanted, self.ma_wanted = False, kv, ma
        self.broadcast(self._generator(), self._instrument())
        while (self.kv, self.ma) != (kv, ma):
            await self.clock.sleep(1.0)
            self.kv, self.ma = _towards(self.kv, kv, RAMP_PER_S), _towards(self.ma, ma, RAMP_PER_S)
            self.broadcast(self._generator())
        self.broadcast(f"[SETGENERATORSTATUS /DONE=1 /KV={kv:.1f} /MA={ma:.1f}]")

    async def _warm(self, kelvin: float, per_min: float) -> None:
        self.set_k, self.per_min = kelvin, per_min
        self.thermal.heat(self.clock.now_s(), kelvin, per_min)
        self.broadcast(self._temperature())
        if self._warming is not None:
            self._warming.cancel()
        self._warming = asyncio.get_running_loop().create_task(self._until_warm(kelvin), name="bis temperature")

    async def _until_warm(self, kelvin: float) -> None:
        for _ in range(24 * 360):
            await self.clock.sleep(10.0)
            self.broadcast(self._temperature())
            if abs(self.thermal.sample_k(self.clock.now_s()) - kelvin) < 0.2:
                self.broadcast(f"[SETSAMPLETEMPERATURE /DONE=1 /TEMPC={kelvin - KELVIN:.2f}]")
                return
        self.broadcast("[SETSAMPLETEMPERATURE /ERROR=1]")

    async def _cool(self) -> None:
        self.thermal.off(self.clock.now_s())
        self.broadcast(self._temperature())

    async def _scan(self, name: str, seconds: float, frame: int) -> None:
        """One frame: the fast shutter opens for it, where the safety shutter lets it see light."""
        self.fast_open = self.safety_open
        self._light()
        self.broadcast(*self._shutters())
        begins_s = self.clock.now_s()
        await self.clock.sleep(seconds)
        self.fast_open = False
        self._light()
        self.broadcast(*self._shutters(), "[CCDTEMPERATURE /DEGREESC=-54.8]")
        exposed = self.camera.expose(begins_s, seconds)
        counts = exposed.copy()
        counts[exposed == 2**32 - 1] = 0  # a frame of this format has no word for a pixel that is not there
        data = sfrm(counts, self._facts(name, seconds, frame), baseline=int(self.options.get("baseline", 64)))
        if frame in self.options.get("truncate", ()):
            data = data[: 2 * len(data) // 3]
        if frame in self.options.get("no_file", ()):
            return
        path = Path(str(self.options["frames_dir"])) / _spelled(name, str(self.options.get("file_case", "upper")))
        if late_s := float(self.options.get("late_file_s", 0.0)):
            task = asyncio.get_running_loop().create_task(self._later(path, data, late_s), name="bis late file")
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        else:
            path.write_bytes(data)
        hashes = (hashlib.sha256(part).hexdigest() for part in (counts.astype("<u4").tobytes(), data))
        self.camera.sent(frame, *hashes, 1, frame)
        self.broadcast(
            f"[ACQUISITIONSTATUS /ACQUIREDFRAMES={frame + 1} /SKIPPEDFRAMES=0 /REMAININGFRAMES={len(self.queue)} "
            f"/ELAPSEDSECONDS={seconds:.3f} /REMAININGSECONDS=0.000 /USEDKB={len(data) // 1024}]"
        )

    async def _later(self, path: Path, data: bytes, late_s: float) -> None:
        await self.clock.sleep(late_s)
        path.write_bytes(data)

    def _facts(self, name: str, seconds: float, frame: int) -> dict[str, str]:
        angles = " ".join(f"{self._at[axis]:.5f}" for axis in AXES[:4])
        return {
            "SITE": "simulated", "MODEL": "D8 with FixedChi", "USER": "rocksalt", "FILENAM": name,
            "CREATED": self.clock.wall(), "CUMULAT": f"{seconds:.3f}", "ELAPSDR": f"{seconds:.3f}",
            "ELAPSDA": f"{seconds:.3f}", "NUMBER": str(frame), "NFRAMES": "1", "ANGLES": angles, "ENDING": angles,
            "START": "0.0", "RANGE": "0.0", "INCREME": "0.0", "AXIS": "2", "SOURCEK": f"{self.kv:.1f}",
            "SOURCEM": f"{self.ma:.1f}", "DISTANC": f"{self._at['DISTANCE']:.3f}", "DETTYPE": "simulated",
            "DARK": "NONE",
        }  # fmt: skip

    # light and door

    def _light(self) -> None:
        now_s = self.clock.now_s()
        if self.safety_open:
            self.enclosure.permit(now_s, True)
        self.enclosure.request_shutter(now_s, self.safety_open and self.fast_open)

    def _look(self) -> None:
        """A door that opens closes the shutters; nobody has to ask. Looked for while a shutter is open."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if not self.safety_open:
            return
        if not self.enclosure.door_closed(self.clock.now_s()):
            self.safety_open = self.fast_open = False
            self._light()
            self.broadcast(*self._shutters(), self._instrument())
            self._message("The door was opened: the shutters are closed.", "Error")
            return
        self._watch = asyncio.get_running_loop().call_later(0.2, self._look)

    def _message(self, note: str, level: str) -> None:
        self.broadcast(f"[MESSAGE /NOTE={note} /LEVEL={level}]")


def _bit(text: str) -> bool:
    if text.upper() not in ("0", "1", "ON", "OFF"):
        raise _No(text)
    return text.upper() in ("1", "ON")


def _towards(here: float, there: float, step: float) -> float:
    return there if abs(there - here) <= step else here + (step if there > here else -step)


def _spelled(name: str, case: str) -> str:
    return name.upper() if case == "upper" else name.lower() if case == "lower" else name
