"""One run, from the first line of its journal to the last: connect, go round, leave the station safe, say how it ended.

The same code conducts a run on real instruments, on simulators and in virtual time: it is handed its wires, its
channels to writer and model, its disk and its clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rocksalt import __version__
from rocksalt.acquisition.loop import Acquisition
from rocksalt.acquisition.parts import Envelope, EnvelopeLeft, Ledger, Policy, StoreFailed
from rocksalt.acquisition.station import Station
from rocksalt.config.campaign import Campaign
from rocksalt.config.source import Read
from rocksalt.config.station import Device as DeviceConfig
from rocksalt.config.station import Station as StationConfig
from rocksalt.daemon.clients import ModelClient, WriterClient
from rocksalt.daemon.run_state import RunState
from rocksalt.devices import Detector, Device, DeviceError, Enclosure, Limits, Settable, Settings
from rocksalt.devices.links import Wires
from rocksalt.devices.settings import ANYWHERE
from rocksalt.devices.supervision import Supervisor
from rocksalt.messages import Channel, ChannelClosed
from rocksalt.storage.disk import Disk
from rocksalt.storage.history import History
from rocksalt.storage.journal import VERSION, Entry, Journal
from rocksalt.storage.run_folder import RunFolder
from rocksalt.time import Clock
from rocksalt.values import Finish, Reading

Status = Literal["finished", "failed", "stopped", "safe"]
EXIT: Mapping[Status, int] = {"finished": 0, "failed": 1, "stopped": 3, "safe": 4}
SLACK = 0.02  # of its value: what a device that held by itself may have drifted while nobody could look
BEAT_S = 0.5  # wire seconds between heartbeats to the interlock
UNSAFE_ENDS = frozenset({"blow_out"})


class NotThere(RuntimeError):
    """Instruments that did not answer as the run began."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run: the two files, the folder, the seed, and the parts that decide.

    drivers   driver name -> class, found by the caller through the entry points
    decision  the parts made from the two files: policy, envelope, ledger
    """

    campaign: Read[Campaign]
    station: Read[StationConfig]
    folder: RunFolder
    seed: int
    mode: Literal["real", "simulate", "virtual"]
    drivers: Mapping[str, type[Device]]
    policy: Policy
    envelope: Envelope
    ledger: Ledger | None
    poni: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its status, the process's exit status, and the sentence for a person."""

    status: Status
    exit: int
    why: str


def settings_of(name: str, device: DeviceConfig, where: str) -> Settings:
    """A device's part of the station file, as drivers take it. `where` is "file:line" of the device's table."""
    limits = ANYWHERE if device.limits is None else Limits(device.limits.lower, device.limits.upper, where)
    return Settings(
        link=device.link,
        limits=limits,
        ramp=device.ramp,
        stream=device.stream,
        stream_version=device.stream_version,
        shape=device.shape,
        options=device.options,
        where=where,
    )


def make_devices(
    station: Read[StationConfig], drivers: Mapping[str, type[Device]], wires: Wires, clock: Clock
) -> dict[str, Device]:
    """The station's devices, not connected yet."""
    made: dict[str, Device] = {}
    for name, device in station.value.devices.items():
        key = f"devices.{name}.limits" if device.limits is not None else f"devices.{name}"
        where = f"{station.source.path.name}:{station.source.line(key)}"
        made[name] = drivers[device.driver](name, settings_of(name, device, where), wires, clock)
    return made


def begun(plan: Plan) -> dict[str, Any]:
    """The journal's first line: everything that is needed to understand the rest without the two files."""
    return {
        "version": VERSION,
        "run": plan.folder.name,
        "rocksalt": __version__,
        "mode": plan.mode,
        "seed": plan.seed,
        "campaign": plan.campaign.value.model_dump(mode="json"),
        "campaign_sha256": plan.campaign.source.sha256,
        "station": plan.station.value.model_copy(update={"twin": None}).model_dump(mode="json"),
        "station_sha256": plan.station.source.sha256,
        "poni": plan.poni,
    }


def detector_class(plan: Plan, driver: str) -> type[Detector]:
    """The driver's class, known to be a detector's. Raises TypeError."""
    found = plan.drivers[driver]
    if not issubclass(found, Detector):
        raise TypeError(f"the driver {driver} has a stream in the station file, and is no detector")
    return found


class Run:
    """One run being conducted. `listen` is handed every journal entry as it is written."""

    def __init__(
        self,
        plan: Plan,
        *,
        wires: Wires,
        writer: Channel,
        model: Channel,
        disk: Disk,
        clock: Clock,
        listen: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        self.plan, self.clock = plan, clock
        self.journal = Journal(plan.folder.journal, disk, clock)
        self.history = History()
        self.journal.listeners += [self.history.take, listen]
        self.devices = make_devices(plan.station, plan.drivers, wires, clock)
        self.station = Station(self.devices)
        self._writer_channel, self._model_channel = writer, model
        self._stop_why = self._fail_why = ""
        self._unwritten = ""
        self._working: asyncio.Task[Finish] | None = None

    def stop(self, why: str) -> None:
        """End the run in good order: shutter closed, pressure held, files closed. A second word changes nothing."""
        if self._stop_why:
            return
        self._stop_why = why
        if self._working is not None:
            self._working.cancel()

    def fail(self, why: str) -> None:
        """End the run as failed, in the same good order: what it stands on is gone."""
        self._fail_why = self._fail_why or why
        if self._working is not None and not self._stop_why:
            self._working.cancel()

    async def conduct(self) -> Ended:
        """The whole run. Raises nothing of the station's: what goes wrong becomes the run's end."""
        self._begin()
        self.state = RunState(self.journal)
        self.store = WriterClient(self._writer_channel, self.journal, self.clock)
        self.model = ModelClient(self._model_channel, self.store.saturation)
        self.supervisor = Supervisor(self.devices.values(), self._lost, self._back)
        helpers = [
            asyncio.create_task(self.store.run(), name="writer's messages"),
            asyncio.create_task(self.model.run(), name="model's messages"),
            asyncio.create_task(self._beat(), name="heartbeat"),
        ]
        try:
            ended = await self._work_to_an_end()
            with self._writing():
                self.journal.append(
                    "ended",
                    status=ended.status,
                    exit=ended.exit,
                    why=ended.why,
                    duration_s=round(self.clock.now_s(), 3),
                )
                await self.journal.commit()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self.journal.close()
        return ended

    def _begin(self) -> None:
        self.journal.append("begun", **begun(self.plan))

    async def _work_to_an_end(self) -> Ended:
        self._working = asyncio.create_task(self._work(), name="work")
        if self._stop_why or self._fail_why:
            self._working.cancel()
        status: Status
        try:
            finish = await self._working
            status = "safe" if finish.why in UNSAFE_ENDS else "finished"
            why = finish.reason
        except EnvelopeLeft as error:
            status, why = "safe", str(error)
        except asyncio.CancelledError:
            if not (self._stop_why or self._fail_why):
                raise
            status, why = ("stopped", self._stop_why) if self._stop_why else ("failed", self._fail_why)
        except (DeviceError, StoreFailed, NotThere) as error:
            # A stop may find a line broken on its way out: what the person asked for is still what happened.
            status, why = ("stopped", self._stop_why) if self._stop_why else ("failed", str(error))
        except Exception as error:  # a fault of the program itself: the station is made safe all the same
            status, why = "failed", f"{type(error).__name__}: {error} (where: logs/fault.txt)"
            with contextlib.suppress(OSError):
                (self.plan.folder.path / "logs" / "fault.txt").write_text("".join(traceback.format_exception(error)))
        return await self._leave(status, why)

    async def _work(self) -> Finish:
        failures = await self.station.connect()
        if failures:
            for failure in failures:
                self.journal.append("alarm", what=str(failure))
            raise NotThere(self._not_there(failures))
        for device in self.devices.values():
            self.journal.append("connected", device=device.name, identity=device.identified, facts=dict(device.facts))
        await self._find()
        self.supervisor.start()
        self.state.becomes("running", "every instrument is connected")
        loop = Acquisition(
            journal=self.journal,
            history=self.history,
            station=self.station,
            store=self.store,
            model=self.model,
            policy=self.plan.policy,
            envelope=self.plan.envelope,
            ledger=self.plan.ledger,
            gate=self.state,
            clock=self.clock,
            decide_within_s=self.plan.campaign.value.deadlines.decide_within_s,
        )
        await self._begin_model()
        return await loop.go_round()

    def _not_there(self, failures: list[DeviceError]) -> str:
        source = self.plan.station.source
        lines = ", ".join(f"{source.path}:{source.line(('devices', failure.device, 'link'))}" for failure in failures)
        ask = "is it switched on, and is its address" if len(failures) == 1 else "are they on, and are their addresses"
        return f"{'; '.join(map(str, failures))}: {ask} right? ({lines})"

    async def _find(self) -> None:
        """Where everything stands before anything is moved: a policy must not take a loaded cell for an empty one."""
        for device in self.devices.values():
            if isinstance(device, Settable):
                reading = await device.read()
                self.journal.append("found", setpoint=device.reading_name, value=reading.value)

    async def _begin_model(self) -> None:
        station, campaign = self.plan.station.value, self.plan.campaign.value
        detector = station.devices[self.station.detector.name]
        assert detector.shape is not None  # the configuration refuses a detector without one
        begin = {
            "kind": "begin",
            "poni": self.plan.poni,
            "shape": list(detector.shape),
            "polarisation": station.beam.polarisation,
            "calibration_sigma": station.geometry.sigma,
            "salt": campaign.sample.salt,
            "temperature": "temperature_k",
        }
        with contextlib.suppress(ChannelClosed):  # the loop hears it when it asks, and has its fallback plan
            await self._model_channel.send(begin)

    async def _leave(self, status: Status, why: str) -> Ended:
        """Whatever happened: beam off, pressure held, files closed. Then the state says how it ended."""
        self.supervisor.stop()
        if status == "stopped":
            with self._writing():
                self.state.becomes("stopping", why)
        failures = await self.station.make_safe()
        with self._writing():
            for failure in failures:
                self.journal.append("alarm", what=f"could not be made safe: {failure}")
            await self.store.finish(within_s=30.0)
        await self.station.close()
        if failures:
            status = "failed" if status == "finished" else status
            if not any(str(failure) in why for failure in failures):
                why = f"{why}; but could not be made safe: {failures[0]}"
        with self._writing():
            self.state.becomes(status, why)
        lost = self.history.lost
        code = EXIT[status]
        if lost and code == 0:
            code = 1
            why += f"; {len(lost)} frame{'s' if len(lost) > 1 else ''} lost: number {', '.join(map(str, lost[:20]))}"
        if self._unwritten:
            status, code = ("failed", 1) if code == 0 else (status, code)
            why = f"{why}; the journal could not be written: {self._unwritten}"
        return Ended(status, code, why)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """A disk that does not take the journal must not keep the shutter open, nor the files."""
        try:
            yield
        except OSError as error:
            self._unwritten = error.strerror or str(error)

    def _lost(self, device: Device, why: str) -> None:
        self.journal.append("alarm", what=why)
        self.state.hold(f"link {device.name}", why)

    def _back(self, device: Device, readings: tuple[Reading, ...]) -> None:
        """The line is there again and the identity is right; the run goes on only if the values make sense as well."""
        told = ", ".join(f"{reading.name} {reading.value:g} {reading.unit}".rstrip() for reading in readings)
        for reading in readings:
            if elsewhere := self._elsewhere(device, reading):
                self.journal.append("alarm", what=elsewhere)
                self.state.hold(f"value {reading.name}", elsewhere)
        self.state.release(f"link {device.name}", f"{device.name} is back: {device.identified}: {told}")

    def _elsewhere(self, device: Device, reading: Reading) -> str:
        """What is wrong with a value after a reconnection; nothing where it lies between where it was and was sent."""
        if not isinstance(device, Settable):
            return ""
        known = [old.value for old in reversed(self.history.readings) if old.name == reading.name][:1]
        known += [target for target in (self._sent_to(reading.name),) if target is not None]
        if not known:
            return ""
        slack = SLACK * max(abs(value) for value in known) + 10 * device.arrives_within
        if min(known) - slack <= reading.value <= max(known) + slack:
            return ""
        was = " and ".join(f"{value:g}" for value in known)
        return (
            f"{device.name} came back at {reading.value:g} {reading.unit}, where {was} {reading.unit} was expected: "
            "the run is held for a person to look at it, and to end with `rocksalt stop`"
        )

    def _sent_to(self, setpoint: str) -> float | None:
        pending = self.history.pending
        if pending is not None and setpoint in pending.measurement.setpoints:
            return pending.measurement.setpoints[setpoint]
        return self.history.set_points.get(setpoint)

    async def _beat(self) -> None:
        """Refresh the interlock's watchdog: with the daemon dead or hung, hardware closes the shutter by itself."""
        while True:
            await asyncio.sleep(BEAT_S)
            for device in self.devices.values():
                if isinstance(device, Enclosure) and device.state == "connected":
                    with contextlib.suppress(DeviceError):  # a lost link is the supervisor's business
                        await device.beat()
