"""Ctrl-C, SIGTERM and a closed terminal: heard from the first moment to the last, obeyed once.

A signal may come before there is a run to stop, or while the last files are written. The first word counts, whenever it
comes; what follows changes nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

WORDS: Final = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "the end of its terminal"}


class Stopping:
    """The wish to stop. `why` is empty until somebody wished it; then it is the sentence for the journal."""

    def __init__(self) -> None:
        self.why = ""
        self._obey: Callable[[str], object] | None = None

    def listen(self) -> None:
        """Hear the signals, for the rest of the process: a second one while it ends must change nothing.

        A SIGHUP that was ignored (nohup) stays ignored.
        """
        for number in WORDS:
            if not (number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN):
                signal.signal(number, self._heard)

    @staticmethod
    def deafen() -> None:
        """Hear nothing any more: the process is about to end with the status that was worked out."""
        for number in WORDS:
            signal.signal(number, signal.SIG_IGN)

    def obeyed_by(self, obey: Callable[[str], object] | None) -> None:
        """Who is told; at once if the wish is older. `obey` is called in a signal handler: it must only pass it on."""
        self._obey = obey
        if self.why and obey is not None:
            obey(self.why)

    def stop(self, why: str) -> None:
        """Wish it. The first wish counts."""
        if self.why:
            return
        self.why = why
        if self._obey is not None:
            self._obey(why)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.stop(f"stopped by {WORDS[signal.Signals(number)]}")


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes started in here never hear the signals that stop a run; they see their channel close, and go.

    A Ctrl-C reaches the terminal's whole foreground group and a service manager's SIGTERM every process of the service;
    the daemon alone decides what it means, with writer and instruments alive until the station is safe. A blocked
    signal stays blocked in a child from its very first instruction on.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WORDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
