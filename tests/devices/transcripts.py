"""A peer that expects a conversation byte for byte: what it must be sent, what it answers, and nothing left over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


class Transcript:
    """Plays one side of a conversation. None is silence. Anything unexpected is an AssertionError, at once."""

    def __init__(self, exchanges: Sequence[tuple[bytes, bytes | None]]) -> None:
        self._left = deque(exchanges)
        self._heard = bytearray()
        self._send: Callable[[bytes], None] = lambda data: None

    def accept(self, send: Callable[[bytes], None]) -> Transcript:
        self._send = send
        return self

    def receive(self, data: bytes) -> None:
        self._heard += data
        while self._heard:
            assert self._left, f"{bytes(self._heard)!r} was sent after the end of the transcript"
            expected, answer = self._left[0]
            said = bytes(self._heard[: len(expected)])
            assert expected.startswith(said), f"{bytes(self._heard)!r} was sent, where {expected!r} was expected"
            if len(said) < len(expected):
                return
            del self._heard[: len(expected)]
            self._left.popleft()
            if answer is not None:
                self._send(answer)

    def closed(self) -> None:
        pass

    def finish(self) -> None:
        assert not self._heard, f"{bytes(self._heard)!r} was sent, and no exchange begins so"
        assert not self._left, f"never said: {[sent for sent, _ in self._left]}"


@contextmanager
def transcript(exchanges: Sequence[tuple[bytes, bytes | None]]) -> Iterator[Transcript]:
    """A peer for a memory link that checks every byte, and at the end that all was said."""
    peer = Transcript(exchanges)
    yield peer
    peer.finish()


def say(simulator: object, *messages: bytes) -> list[bytes]:
    """What a simulator answers to each message: all the bytes it sent, b"" for silence."""
    answers: list[bytes] = []
    session = simulator.accept(lambda data: answers.append(data))  # type: ignore[attr-defined]
    found = []
    for message in messages:
        answers.clear()
        session.receive(message)
        found.append(b"".join(answers))
    return found
