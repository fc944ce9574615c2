"""Time and chance, which nobody takes for himself: the experiment clock, the loop that jumps, streams of chance.

Two times. *Experiment time* is what samples, ramps and dwells live in: seconds since the start of the run, scaled
by `--speed`. *Wire time* is the loop's own (`asyncio.timeout`), never scaled: I/O deadlines and heartbeats. In
virtual time both are the jumping loop's.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import selectors
import time as _time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
VIRTUAL_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


class NothingLeftToHappen(RuntimeError):
    """The virtual loop waits for something that no timer, message or node will ever bring: a deadlock, said aloud."""


class Crashed(RuntimeError):
    """A door of a node that is dead was used. Nothing of the node reaches the world after its crash."""


# --- experiment clock ------------------------------------------------------------------------------------------------


class Clock(Protocol):
    """Experiment time, handed to everybody who needs it."""

    speed: float

    def now_s(self) -> float:
        """Experiment seconds since the start of the run."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for so many experiment seconds."""
        ...

    def wall(self) -> str:
        """The date and time now, UTC, ISO 8601 to the millisecond: for records, never for measuring."""
        ...


@dataclass(slots=True)
class ExperimentClock:
    """Experiment time on the running loop: `speed` experiment seconds a loop second, starting at `start_s`.

    `wall_now` gives the date; a virtual run is handed one that counts from VIRTUAL_EPOCH.
    """

    loop: asyncio.AbstractEventLoop
    speed: float = 1.0
    start_s: float = 0.0
    wall_now: Callable[[], datetime] = lambda: date_now()
    _origin: float = 0.0

    def __post_init__(self) -> None:
        if not self.speed > 0 or not isfinite(self.speed):
            raise ValueError(f"speed {self.speed}: a positive, finite number of experiment seconds a second is needed")
        self._origin = self.loop.time()

    def now_s(self) -> float:
        door()
        return self.start_s + (self.loop.time() - self._origin) * self.speed

    async def sleep(self, seconds: float) -> None:
        door()
        await asyncio.sleep(max(seconds, 0.0) / self.speed)
        door()

    def wall(self) -> str:
        door()
        return self.wall_now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def date_now() -> datetime:
    """The date and time, UTC: for names and records, never for measuring. The one place where the system is asked."""
    return datetime.fromtimestamp(_time.time(), UTC)


# --- nodes: what can crash in virtual time ---------------------------------------------------------------------------


class Node:
    """One process of a run, as an object: its tasks and doors. `crash()` is a crash: the doors shut at that instant.

    Every task made while a node is current belongs to it. A door (clock, link, disk, channel) asks `door()` before it
    does anything, so that the `finally` of a cancelled task finds nothing but shut doors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self._before: list[Node | None] = []

    def __enter__(self) -> Node:
        self._before.append(_node.get())
        _node.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _node.set(self._before.pop())

    def spawn(self, work: Coroutine[Any, Any, T], name: str = "") -> asyncio.Task[T]:
        """A task of this node."""
        home = contextvars.copy_context()
        home.run(_node.set, self)
        loop = asyncio.get_running_loop()
        return loop.create_task(work, name=f"{self.name}:{name or 'main'}", context=home)

    def crash(self) -> None:
        """Death at this instant. Tasks are dropped; whatever they try on the way out meets shut doors."""
        self.dead = True
        for task in sorted(self.tasks, key=lambda t: t.get_name()):
            task.cancel()


_node: contextvars.ContextVar[Node | None] = contextvars.ContextVar("rocksalt_node", default=None)


def current_node() -> Node | None:
    """The node that the running task belongs to; None in a real process, where the process itself is the node."""
    return _node.get()


def door() -> None:
    """Pass, or raise Crashed: asked by every door of a node before it does anything."""
    node = _node.get()
    if node is not None and node.dead:
        raise Crashed(f"{node.name} is dead: this door is shut")


# --- the loop that jumps ---------------------------------------------------------------------------------------------


class _Jump(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise NothingLeftToHappen("every task waits, and no timer is set: a deadlock in virtual time")
            self.now += max(timeout, 0.0)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """When nothing is ready, time jumps to the next timer. Nothing left to wait for is an error, not a hang."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        # Timers that are due within this are run together: below the resolution of a float after a year of seconds.
        self._clock_resolution = 1e-9
        factory: Any = _belonging
        self.set_task_factory(factory)

    def time(self) -> float:
        return self._jump.now

    def wall_now(self) -> datetime:
        """The date in virtual time: VIRTUAL_EPOCH and the loop's seconds."""
        return VIRTUAL_EPOCH + timedelta(seconds=self._jump.now)


def _belonging(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **settings: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(work, loop=loop, **settings)
    context = settings.get("context")
    node = _node.get() if context is None else context.get(_node)
    if node is not None:
        node.tasks.add(task)
        task.add_done_callback(node.tasks.discard)
    return task


def run_virtual(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main()` to its end in virtual time. Raises NothingLeftToHappen where a real program would hang."""
    loop = JumpingLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main())
    finally:
        _cancel_all(loop)
        asyncio.set_event_loop(None)
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    left = sorted(asyncio.all_tasks(loop), key=lambda t: t.get_name())
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())


# --- chance ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chance:
    """Counter-based chance: Philox keyed by seed and purpose, counted by number. There is no generator state to save.

    J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011).
    """

    seed: int

    def stream(self, purpose: str, number: int = 0) -> np.random.Generator:
        """The stream of this purpose and number: always the same one, whoever asks, whenever."""
        digest = hashlib.sha256(f"{self.seed}\0{purpose}".encode()).digest()
        import numpy as np  # a process that needs no chance needs no numpy

        key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
        # The number goes into the counter's highest word: streams are 2**192 draws apart.
        counter = np.array([0, 0, 0, number], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))
