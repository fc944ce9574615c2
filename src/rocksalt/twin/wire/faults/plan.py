"""Which fault happens when: a schedule in experiment time, by replies or by chance, the same for the same seed.

Nothing here touches a byte. `Faults` is asked at each reply what acts on it, and wakes those that hit a link by itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rocksalt.time import Chance, Clock

REPLY_KINDS: Final = ("silence", "delay", "garbage", "truncated", "stale", "doubled", "stuck")
"""What may happen to one reply."""
NUMBER_KINDS: Final = ("nan", "overflow", "drift", "wrong_unit")
"""What may happen to the numbers in one."""
LINK_KINDS: Final = ("dropped", "half_open", "refused", "reboot")
"""What may happen to the link as a whole."""
STREAM_KINDS: Final = ("stream_lost", "stream_corrupt", "stream_delay", "stream_lost_end", "stream_duplicate_end")
"""What may happen to a message of a detector's stream."""
KINDS: Final = (*REPLY_KINDS, *NUMBER_KINDS, *LINK_KINDS, *STREAM_KINDS)
END: Final = "end"
"""The question of a message that ends a series; that of any other message of a stream is "message"."""
S_PER_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of a schedule. Exactly one of at_s, every_s, chance_per_hour and reply says when it begins.

    device           whose wire
    kind             one of KINDS
    at_s             begins at this experiment time
    every_s          begins at this experiment time and after each such span again
    chance_per_hour  begins by chance, so often an hour of experiment time in the mean (a Poisson process)
    reply            begins at the n-th reply that matches, counted from 1
    for_s            lasts so long, experiment time; None: until `replies` are hit
    replies          hits at most so many replies each time it begins; None: any number within for_s, or one
    matching         a regular expression that the question must have in it; "" for any. The question is the command's
                     text, "METHOD /path", or what the simulator's `question` makes of its bytes
    delay_s          for delay and stream_delay: wire seconds
    per_s            for drift: how much is added to numbers per second of experiment time since it began
    factor           for wrong_unit: what numbers are multiplied with
    writes           for nan and overflow: what stands where the number stood; "" for NaN and 9.9E37
    keep_end         for truncated: whether what is left of the line is ended as if it were whole
    """

    device: str
    kind: str
    at_s: float | None = None
    every_s: float | None = None
    chance_per_hour: float | None = None
    reply: int | None = None
    for_s: float | None = None
    replies: int | None = None
    matching: str = ""
    delay_s: float = 0.0
    per_s: float = 0.0
    factor: float = 1.0
    writes: str = ""
    keep_end: bool = False


class Active:
    """A fault that has begun: what it remembers while it lasts."""

    def __init__(self, fault: Fault, began_s: float, chance: np.random.Generator) -> None:
        self.fault, self.began_s, self.chance = fault, began_s, chance
        self.kept: dict[str, Any] = {}
        """By question: the reply that `stuck` repeats."""


class _Entry:
    """One entry of the schedule and where it stands in it."""

    def __init__(self, fault: Fault, number: int, chance: Chance) -> None:
        self.fault, self._chance = fault, chance.stream(f"fault {fault.kind}: what", number)
        self._matching = re.compile(fault.matching)
        self._starts = _starts(fault, chance.stream(f"fault {fault.kind}: when", number))
        self.next_s = next(self._starts, None)
        self._seen = 0
        self._left: int | None = None
        self._active: Active | None = None
        self.happened = True
        """Whether the occurrence had its first effect."""

    @property
    def of_the_link(self) -> bool:
        return self.fault.kind in LINK_KINDS

    @property
    def by_itself(self) -> bool:
        """Whether it needs no question to happen."""
        return self.of_the_link and not self.fault.matching

    def look(self, now_s: float) -> Active | None:
        """Begin and end what time begins and ends; the occurrence that lasts, if there is one."""
        while self.next_s is not None and self.next_s <= now_s:
            self._begin(self.next_s)
            self.next_s = next(self._starts, None)
        if self._active is not None and not self._lasts(self._active, now_s):
            self._active = None
        return self._active

    def hit(self, now_s: float, question: str) -> Active | None:
        """The occurrence that acts on a reply to this question, which is counted."""
        if not self._matching.search(question):
            return None
        self._seen += 1
        if self._seen == self.fault.reply:
            self._begin(now_s)
        active = self.look(now_s)
        if active is not None and self._left is not None:
            self._left -= 1
        return active

    def _begin(self, at_s: float) -> None:
        self._active = Active(self.fault, at_s, self._chance)
        self._left = 1 if self.fault.for_s is None and self.fault.replies is None else self.fault.replies
        self.happened = False

    def _lasts(self, active: Active, now_s: float) -> bool:
        if self.fault.for_s is not None and now_s >= active.began_s + self.fault.for_s:
            return False
        if self.of_the_link and self.fault.for_s is None:
            return not self.happened
        return self._left is None or self._left > 0


def _starts(fault: Fault, chance: np.random.Generator) -> Iterator[float]:
    """The experiment times at which time alone begins the fault."""
    if fault.at_s is not None:
        yield fault.at_s
    elif fault.every_s is not None:
        count = 1
        while True:
            yield count * fault.every_s
            count += 1
    elif fault.chance_per_hour is not None:
        at_s = 0.0
        while True:
            at_s += float(chance.exponential(S_PER_HOUR / fault.chance_per_hour))
            yield at_s


class Faults:
    """The faults of one device, as they come.

    tell(line) hears each occurrence once, as the truth file has it: {"fault", "device", "t_s"}, t_s being when it first
    had an effect. The number beside a fault is its place in the whole schedule: it keys its stream of chance.
    """

    def __init__(
        self,
        numbered: Sequence[tuple[int, Fault]],
        clock: Clock,
        chance: Chance,
        tell: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:
        self.clock, self._tell = clock, tell
        self._entries = [_Entry(fault, number, chance) for number, fault in numbered]
        self._act: Callable[[Fault], None] = lambda fault: None

    def on_reply(self, question: str) -> list[Active]:
        """What acts on the reply to this question, in the schedule's order."""
        return self._hit(question, of_stream=False)

    def on_message(self, question: str) -> list[Active]:
        """What acts on this message of the stream."""
        return self._hit(question, of_stream=True)

    def _hit(self, question: str, *, of_stream: bool) -> list[Active]:
        now_s = self.clock.now_s()
        found: list[Active] = []
        for entry in self._entries:
            kind = entry.fault.kind
            wanted = (kind in STREAM_KINDS) is of_stream and (not kind.endswith("_end") or question == END)
            if wanted and (active := entry.hit(now_s, question)) is not None:
                found.append(active)
                self._happens(entry, now_s)
        return found

    def lasts(self, *kinds: str) -> bool:
        """Whether a fault of the link of one of these kinds lasts now."""
        now_s = self.clock.now_s()
        for entry in self._entries:
            if entry.fault.kind in kinds and entry.look(now_s) is not None and (entry.happened or entry.by_itself):
                self._happens(entry, now_s)
                return True
        return False

    def wake(self, act: Callable[[Fault], None]) -> None:
        """Call act(fault) when a fault of the link begins: by time alone, though nobody speaks, or at a question."""
        self._act = act
        for entry in self._entries:
            if entry.by_itself:
                self._set_alarm(entry)

    def _set_alarm(self, entry: _Entry) -> None:
        if (next_s := entry.next_s) is None:
            return

        def ring() -> None:
            now_s = max(self.clock.now_s(), next_s)
            if entry.look(now_s) is not None:
                self._happens(entry, now_s)
            self._set_alarm(entry)

        delay_s = max(next_s - self.clock.now_s(), 0.0) / self.clock.speed
        asyncio.get_running_loop().call_later(delay_s, ring)

    def _happens(self, entry: _Entry, now_s: float) -> None:
        """The first effect of an occurrence; any later one is nothing new."""
        if entry.happened:
            return
        entry.happened = True
        self._tell({"fault": entry.fault.kind, "device": entry.fault.device, "t_s": round(now_s, 6)})
        if entry.of_the_link:
            self._act(entry.fault)
