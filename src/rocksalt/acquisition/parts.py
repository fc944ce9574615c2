"""What the loop asks of policy, model and frame store. It declares them here, and knows nobody who is them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rocksalt.storage.history import History
from rocksalt.values import Decision, Dose, Estimate, FrameRef, Measurement, Reading


class Policy(Protocol):
    """Decides from the history alone, so that a resumed or replayed run decides the same."""

    def decide(self, history: History) -> Decision: ...


class Envelope(Protocol):
    """The limits that a person set: asked by whoever sends, independently of whoever decided."""

    def violations(self, measurement: Measurement) -> list[str]:
        """What speaks against a measurement, in sentences, before anything reaches the wire; none means inside."""
        ...

    def left(self, estimate: Estimate | None, readings: Mapping[str, Reading]) -> list[str]:
        """In which way the sample has left the envelope, after it was looked at; none means inside."""
        ...


class EnvelopeLeft(RuntimeError):
    """The sample feels what the envelope forbids: the run ends in the safe state."""


class Model(Protocol):
    """Reads states off frames. May take its time; the loop goes on without it after a deadline."""

    async def estimate(
        self, measurement: Measurement, frames: tuple[FrameRef, ...], readings: dict[str, Reading]
    ) -> Estimate:
        """Raises ModelGone when there is nobody to ask."""
        ...


class ModelGone(RuntimeError):
    """The model's process is dead or does not answer."""


class Series(Protocol):
    """A series of frames that the store was told to expect."""

    async def done(self, within_s: float) -> SeriesCount:
        """Every frame is on disk, or the deadline (wire seconds) passed; raises StoreFailed when writing failed."""
        ...

    async def give_up(self) -> int:
        """No more frames of this series are wanted: its count is closed. Returns how many are on disk by now."""
        ...


class SeriesCount(Protocol):
    """What came of a series: frames on disk, and the run's numbers of those that never arrived."""

    @property
    def refs(self) -> tuple[FrameRef, ...]: ...

    @property
    def missing(self) -> tuple[int, ...]: ...


class Store(Protocol):
    """Where frames go."""

    async def expect(
        self, series: int, *, measurement: int, first_number: int, count: int, exposure_s: float
    ) -> Series:
        """Announce a series before its first frame can arrive."""
        ...


class StoreFailed(RuntimeError):
    """The store can't take frames any more: a full disk, a dead writer. Exposing stops first."""


class Ledger(Protocol):
    """What light costs."""

    def of(self, seconds: float) -> Dose: ...
