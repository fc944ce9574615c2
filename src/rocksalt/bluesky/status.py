"""What a RunEngine waits for: a task on its own loop, with callbacks and with the error that ended it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Status:
    """Done when `work` is. Made on the RunEngine's loop, which is where it calls its devices; no thread of ours."""

    def __init__(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            self.task = asyncio.get_running_loop().create_task(work, name=name)
        except RuntimeError:
            work.close()
            raise RuntimeError(
                f"{name}: a wrapped device works on its RunEngine's loop; ask for it in a plan, as in RE(bps.mv(…))"
            ) from None
        # Whoever starts something need not wait for it: an error that nobody asked for is no defect of the program.
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    def add_callback(self, callback: Callable[[Status], None]) -> None:
        """Have `callback(status)` called on the loop when it is done; if it is done already, at the next turn."""
        self.task.add_done_callback(lambda task: callback(self))

    @property
    def done(self) -> bool:
        return self.task.done()

    @property
    def success(self) -> bool:
        return self.done and not self.task.cancelled() and self.task.exception() is None

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """The error that ended it, None if it went well. Raises TimeoutError while it is not done: it never waits,
        since whoever waited here would stop the loop that it waits for."""
        if not self.task.done():
            raise TimeoutError(f"{self.task.get_name()} is not done")
        if self.task.cancelled():
            return asyncio.CancelledError(f"{self.task.get_name()} was cancelled")
        return self.task.exception()

    async def wait(self) -> None:
        """Wait until it is done, however it ends."""
        await asyncio.wait([self.task])

    async def begun(self) -> None:
        """Let it take its first step, before it is broken off: a task that never began would begin after the stop, or
        end as one that was cancelled, which is neither done nor stopped."""
        await asyncio.sleep(0)

    def __repr__(self) -> str:
        how = "not done" if not self.done else "done" if self.success else f"failed: {self.exception()}"
        return f"<Status of {self.task.get_name()}: {how}>"
