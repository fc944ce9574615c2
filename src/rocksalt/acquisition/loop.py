"""The loop: decide, move, settle, expose, estimate; each step in the journal before the next.

Holding and stopping are not `if`s in here: `gate` is the state machine around it, and waits or raises between steps.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Protocol

from rocksalt.acquisition.parts import Envelope, EnvelopeLeft, Ledger, Model, ModelGone, Policy, Store
from rocksalt.acquisition.station import Station
from rocksalt.devices import DeviceError, LinkLost, Refused
from rocksalt.storage.history import History
from rocksalt.storage.journal import Journal
from rocksalt.storage.records import plain
from rocksalt.time import Clock
from rocksalt.values import Exposure, Finish, FrameRef, Measure, Measurement, Reading


class Gate(Protocol):
    """Waits while the run is held."""

    async def passed(self) -> None: ...

    def hold(self, name: str, why: str) -> None: ...

    def release(self, name: str, why: str) -> None: ...


class OutsideEnvelope(RuntimeError):
    """A policy asked for something outside the envelope: a fault of the program, found before the wire."""


@dataclass(slots=True)
class Acquisition:
    """The parts of one run, put together. decide_within_s is wire time: a later model is passed over."""

    journal: Journal
    history: History
    station: Station
    store: Store
    model: Model
    policy: Policy
    envelope: Envelope
    ledger: Ledger | None
    gate: Gate
    clock: Clock
    decide_within_s: float
    repeats: int = 10
    look_again_s: float = 1.0

    async def go_round(self) -> Finish:
        """Measure until the policy says that it is done.

        Raises what the station can't heal: DeviceError, StoreFailed.
        """
        while True:
            await self.gate.passed()
            if self.history.pending is not None:
                measurement = self.history.pending.measurement
            else:
                decision = self.policy.decide(self.history)
                if not isinstance(decision, Measure):
                    self.journal.append("finish", **plain(decision))
                    await self.journal.commit()
                    return decision
                self._check(decision)
                self.journal.append("intend", **plain(decision))
                await self.journal.commit()
                measurement = decision.measurement
            await self._until_done(measurement)

    async def _until_done(self, measurement: Measurement) -> None:
        """Make one measurement, again if the line to an instrument broke or light was missing meanwhile."""
        for attempt in range(self.repeats + 1):
            try:
                await self._measure(measurement)
                return
            except (LinkLost, _Unlit) as trouble:
                if attempt == self.repeats:
                    raise
                self.journal.append("repeated", measurement=measurement.number, why=str(trouble))
                if isinstance(trouble, _Unlit):
                    await self._light_again(str(trouble))
                await self.gate.passed()

    async def _measure(self, measurement: Measurement) -> None:
        await self.station.go_to(measurement.setpoints, measurement.ramps, self._reached)
        await self.clock.sleep(measurement.settle_s)
        await self.gate.passed()
        readings = await self._read()
        refs: list[FrameRef] = []
        for exposure in measurement.exposures:
            refs.extend(await self._expose(measurement, exposure))
        await self._estimate(measurement, tuple(refs), readings)
        self.journal.append("done", measurement=measurement.number)
        await self.journal.commit()
        if problems := self.envelope.left(self.history.points[-1].estimate, readings):
            raise EnvelopeLeft("; ".join(problems))

    def _check(self, decision: Measure) -> None:
        if problems := self.envelope.violations(decision.measurement):
            raise OutsideEnvelope(f"measurement {decision.measurement.number}: {'; '.join(problems)}")

    def _reached(self, setpoint: str, target: float) -> None:
        self.journal.append("reached", setpoint=setpoint, target=target)

    async def _read(self) -> dict[str, Reading]:
        readings = {reading.name: reading for reading in await self.station.readings()}
        for reading in readings.values():
            self.journal.append("reading", **plain(reading))
        return readings

    async def _expose(self, measurement: Measurement, exposure: Exposure) -> tuple[FrameRef, ...]:
        """One series: announced before its first frame, lit, counted. Its numbers are never given again."""
        armed = await self.station.detector.arm(exposure.seconds, exposure.count)
        where = {"series": armed.series, "measurement": measurement.number, "first_number": self.history.next_frame}
        series = await self.store.expect(**where, count=exposure.count, exposure_s=exposure.seconds)
        self.journal.append("exposing", **where, count=exposure.count, exposure_s=exposure.seconds)
        try:
            lit = await self._light(measurement, exposure)
        except BaseException:
            taken = await series.give_up()
            self.journal.append("series", **where, taken=taken, missing=[], cut_short=True)
            with contextlib.suppress(DeviceError):  # what went wrong already is what is told
                await self.station.detector.stop()
            raise
        wire_s = exposure.seconds * exposure.count / self.clock.speed + 10.0
        count = await series.done(within_s=wire_s)
        self.journal.append("series", **where, taken=exposure.count, missing=list(count.missing))
        for number in count.missing:
            self.journal.append("alarm", what=f"frame {number} was lost between the detector and the writer")
        if not lit:
            raise _Unlit("the shutter closed during the exposure")
        return count.refs

    async def _light(self, measurement: Measurement, exposure: Exposure) -> bool:
        """Shutter open, frames, shutter closed whatever happens, every second booked. Whether it was lit to the end."""
        detector, enclosure = self.station.detector, self.station.enclosure
        opened_s = self.clock.now_s()
        try:
            await enclosure.open_shutter()
            await detector.trigger(exposure.seconds, exposure.count)
            return (await enclosure.status()).shutter_open
        except Refused as error:
            raise _Unlit(str(error)) from error
        finally:
            try:
                await self._shut()
            finally:
                if self.ledger is not None:
                    dose = self.ledger.of(self.clock.now_s() - opened_s)
                    self.journal.append("dose", measurement=measurement.number, **plain(dose))

    async def _shut(self) -> None:
        await self.station.enclosure.close_shutter()

    async def _light_again(self, why: str) -> None:
        """Hold the run until the interlock would let light through again."""
        self.gate.hold("light", why)
        while True:
            status = await self.station.enclosure.status()
            if status.door_closed and status.ready:
                break
            await self.clock.sleep(self.look_again_s)
        self.gate.release("light", "the door is closed and the interlock is ready")

    async def _estimate(
        self, measurement: Measurement, refs: tuple[FrameRef, ...], readings: dict[str, Reading]
    ) -> None:
        try:
            async with asyncio.timeout(self.decide_within_s):
                estimate = await self.model.estimate(measurement, refs, readings)
        except (TimeoutError, ModelGone) as error:
            why = "the model was late" if isinstance(error, TimeoutError) else str(error)
            self.journal.append("late", measurement=measurement.number, why=f"{why}: the fallback plan goes on")
            return
        self.journal.append("estimated", estimate=plain(estimate))


class _Unlit(RuntimeError):
    """Frames were taken, or would have been, without light on the sample."""
