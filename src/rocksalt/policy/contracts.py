"""What a policy is given and nothing else: the run so far, as the fold over the journal tells it.
Declared here as Protocols, so that deciding depends on no journal, no loop and no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rocksalt.values import Decision, Estimate, Measurement, Reading


class Point(Protocol):
    """One finished measurement; `estimate` is None when the model was late. Times in seconds since the run began."""

    @property
    def measurement(self) -> Measurement: ...
    @property
    def estimate(self) -> Estimate | None: ...
    @property
    def readings(self) -> Mapping[str, Reading]: ...
    @property
    def started_s(self) -> float: ...
    @property
    def done_s(self) -> float: ...
    @property
    def dose_gy(self) -> float: ...
    @property
    def dose_sigma_gy(self) -> float: ...


class History(Protocol):
    """The run so far: points in order, the time, the dose booked (rejected exposures too), set-points last reached."""

    @property
    def points(self) -> Sequence[Point]: ...
    @property
    def now_s(self) -> float: ...
    @property
    def dose_gy(self) -> float: ...
    @property
    def dose_sigma_gy(self) -> float: ...
    @property
    def set_points(self) -> Mapping[str, float]: ...


class Policy(Protocol):
    """Sees the run so far, says what comes next. Pure: the same history gives the same decision, on replay too."""

    def decide(self, history: History) -> Decision: ...
