"""The model as a process or a node: reads acknowledged frames back from disk, reduces them, estimates, answers.

Reading back what the writer acknowledged means that what the model judged is what is on disk (decision record 0007).
It alone writes reduced.h5. Heavy libraries are imported when the first question comes.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from rocksalt.messages import Channel, ChannelClosed, Message, connect, each
from rocksalt.storage import records
from rocksalt.storage.reduced import ReducedFile
from rocksalt.time import Chance, Clock
from rocksalt.values import Estimate, FrameRef, Measured, Observation, Pattern, Reading

TEMPERATURE_SIGMA_K: Final = 0.5  # between thermometer and sample, where the instrument states nothing


class Estimating(Protocol):
    """What a model can do; `rocksalt.inference.model.PhysicsModel` is one."""

    name: str

    def estimate(
        self, observation: Observation, *, salt: str | None = None, prior_pressure_gpa: Measured | None = None
    ) -> Estimate: ...


class Delay(Protocol):
    """How long computing takes in virtual time; in a real process it takes what it takes."""

    async def __call__(self, question: int) -> None: ...


async def no_delay(question: int) -> None:
    """Computing takes the time that it takes."""


def seeded_delay(chance: Chance, clock: Clock) -> Delay:
    """Log-normal around a third of a second, so that "late" happens in virtual time too."""

    async def delay(question: int) -> None:
        await clock.sleep(float(chance.stream("computing", question).lognormal(-1.1, 0.5)))

    return delay


class ModelNode:
    """Answers one question at a time. `begin` carries what it needs to know of station and campaign."""

    def __init__(self, folder: Path, channel: Channel, delay: Delay = no_delay) -> None:
        self._folder, self._channel, self._delay = folder, channel, delay
        self._salt = ""
        self._temperature = ""
        self._integrator: Any = None
        self._model: Estimating | None = None
        self._reduced: ReducedFile | None = None

    async def serve(self) -> None:
        """Answer until the daemon is gone."""
        try:
            async for message in each(self._channel):
                if message["kind"] == "begin":
                    self._begin(message)
                elif message["kind"] == "estimate":
                    await self._delay(message["question"])
                    await self._channel.send(self._answer(message))
        except ChannelClosed:
            pass
        finally:
            if self._reduced is not None:
                self._reduced.close()

    def _begin(self, message: Message) -> None:
        from rocksalt.diffraction.integrate import Geometry, Integrator
        from rocksalt.inference.model import PhysicsModel

        geometry = Geometry.from_poni(message["poni"])
        shape = (int(message["shape"][0]), int(message["shape"][1]))
        self._integrator = Integrator(
            geometry,
            shape,
            polarisation=message["polarisation"],
            calibration_sigma=message["calibration_sigma"],
        )
        self._model = PhysicsModel()
        self._salt = message["salt"]
        self._temperature = message["temperature"]
        self._reduced = ReducedFile(self._folder / "reduced.h5", poni=message["poni"])

    def _answer(self, message: Message) -> Message:
        try:
            return {"question": message["question"], "estimate": records.plain(self._estimate(message))}
        except Exception as error:  # one bad frame must not end the model: the loop has a fallback plan for one answer
            return {"question": message["question"], "error": f"{type(error).__name__}: {error}"}

    def _estimate(self, message: Message) -> Estimate:
        if self._model is None:
            raise RuntimeError("the model was asked before it was told of the station")
        measurement = records.measurement(message["measurement"])
        readings = {name: records.reading(data) for name, data in message["readings"].items()}
        frames = [self._pixels(records.frame_ref(data)) for data in message["frames"]]
        if not frames:
            raise RuntimeError(f"measurement {measurement.number} has no frames on disk")
        source = f"measurement {measurement.number}"
        cutoffs = message["saturation"]
        cutoff = None if None in cutoffs else sum(cutoffs)
        whole = self._integrator.pattern(_together(frames), source=source, saturation=cutoff)
        estimate = self._judge(measurement.number, whole, readings)
        if len(frames) > 1:
            estimate = _with_drift(
                estimate,
                *(
                    self._judge(
                        measurement.number,
                        self._integrator.pattern(frame, source=source, saturation=saturation),
                        readings,
                    )
                    for frame, saturation in ((frames[0], cutoffs[0]), (frames[-1], cutoffs[-1]))
                ),
            )
        assert self._reduced is not None
        self._reduced.append(measurement.number, whole)
        return estimate

    def _judge(self, measurement: int, pattern: Pattern, readings: Mapping[str, Reading]) -> Estimate:
        assert self._model is not None
        thermometer = readings.get(self._temperature)
        temperature = (
            None if thermometer is None else Measured(thermometer.value, max(thermometer.sigma, TEMPERATURE_SIGMA_K))
        )
        observation = Observation(measurement, pattern, readings, temperature)
        return self._model.estimate(observation, salt=self._salt)

    def _pixels(self, ref: FrameRef) -> NDArray[np.uint32]:
        import h5py
        import hdf5plugin  # noqa: F401 - registers the filters

        with h5py.File(self._folder / ref.file, "r", swmr=True) as file:
            data: NDArray[np.uint32] = file["/entry/data/data"][ref.index]
            return data


def _together(frames: Sequence[NDArray[np.uint32]]) -> NDArray[np.uint64]:
    """The sum of frames. A pixel masked in one (its type's largest value) is masked in the sum likewise."""
    masked = np.zeros(frames[0].shape, bool)
    total = np.zeros(frames[0].shape, np.uint64)
    for frame in frames:
        masked |= frame == np.iinfo(frame.dtype).max
        total += frame
    total[masked] = np.iinfo(np.uint64).max
    return total


def _with_drift(estimate: Estimate, first: Estimate, last: Estimate) -> Estimate:
    from dataclasses import replace

    if first.pressure_gpa is None or last.pressure_gpa is None:
        return estimate
    sigma = float(np.hypot(first.pressure_gpa.sigma, last.pressure_gpa.sigma))
    return replace(estimate, drift_gpa=Measured(last.pressure_gpa.value - first.pressure_gpa.value, sigma))


def main(arguments: Sequence[str] | None = None) -> int:
    """The process form: `python -m rocksalt.daemon.model_node …`."""
    parser = argparse.ArgumentParser(prog="rocksalt-model", description=main.__doc__)
    parser.add_argument("--channel", type=Path, required=True, help="Unix socket where the daemon listens")
    parser.add_argument("--folder", type=Path, required=True, help="the run's folder")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches the whole group; the daemon decides what it means
    asyncio.run(_run(given.folder, given.channel))
    return 0


async def _run(folder: Path, socket: Path) -> None:
    channel = await connect(socket)
    try:
        await ModelNode(folder, channel).serve()
    finally:
        channel.close()


if __name__ == "__main__":
    sys.exit(main())
