"""The state of a run: one table of transitions, and the set of holds. Everything that shows a state reads it here.

A run is held while any hold stands; each has its own reason, so that a rule that clears never releases a person's
pause.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from rocksalt.storage.journal import Journal

State = Literal["preparing", "running", "held", "stopping", "finished", "failed", "stopped", "safe"]

TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    "preparing": frozenset({"running", "held", "stopping", "failed", "safe"}),
    "running": frozenset({"held", "stopping", "finished", "failed", "safe"}),
    "held": frozenset({"running", "stopping", "finished", "failed", "safe"}),
    "stopping": frozenset({"stopped", "failed", "safe"}),
    "finished": frozenset(),
    "failed": frozenset(),
    "stopped": frozenset(),
    "safe": frozenset(),
}
"""What may follow what. `interrupted` is no state: it is how a run shows whose daemon died in one of the others."""

ENDS: Final = frozenset(state for state, following in TRANSITIONS.items() if not following)


class RunState:
    """The one state of one run; every change and every hold goes into the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.state: State = "preparing"
        self.holds: dict[str, str] = {}
        self._free = asyncio.Event()
        self._free.set()
        journal.append("state", state=self.state, why="begun")

    def becomes(self, state: State, why: str) -> None:
        """Change the state. Raises ValueError for a change that the table does not hold."""
        if state == self.state:
            return
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"a run that is {self.state} can't become {state}")
        self.state = state
        self._journal.append("state", state=state, why=why)

    def hold(self, name: str, why: str) -> None:
        """Add a hold. The run goes on once every hold is released."""
        if name in self.holds or self.state in ENDS or self.state == "stopping":
            return
        self.holds[name] = why
        self._journal.append("held", hold=name, why=why)
        self._free.clear()
        if self.state != "preparing":
            self.becomes("held", why)

    def release(self, name: str, why: str) -> None:
        """Release this hold, and no other."""
        if self.holds.pop(name, None) is None:
            return
        self._journal.append("released", hold=name, why=why)
        if not self.holds:
            self._free.set()
            if self.state == "held":
                self.becomes("running", "every hold is released")

    async def passed(self) -> None:
        """Wait until nothing holds the run."""
        await self._free.wait()
