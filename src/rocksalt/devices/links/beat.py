"""Finding the beat again on a line that can't be reopened: a question whose answer tells which time it was asked.

An identification alone would not do: where the late answer is itself an identification, it would pass for the new one.
"""

from __future__ import annotations

from collections.abc import Callable

from rocksalt.devices.links.byte import Line

SHAPES = 9
"""Questions that can be told apart before the first shape comes again: far more than can be late at once."""


class Beat:
    """Asks `question`, joined by `;` with `filler` once, twice… up to SHAPES times, a different number each time.

    question   answered by an instrument's identification; known(answer) says whether a text is one
    filler     a harmless query with a short answer
    The line is in step once an answer has the shape of the question just asked: whatever came before was late.
    """

    def __init__(self, question: str, filler: str, *, known: Callable[[str], bool] = lambda text: "," in text) -> None:
        self._question, self._filler, self._known = question, filler, known
        self._shape = 0

    async def __call__(self, line: Line) -> None:
        """Raises LinkLost when the instrument does not answer by the link's deadline."""
        self._shape = self._shape % SHAPES + 1
        await line.send("")  # ends whatever was half said before
        parts = [self._question, *[self._filler] * self._shape]
        answer = await line.ask(";".join(parts))
        while not (answer.count(";") == self._shape and self._known(answer.partition(";")[0])):
            answer = await line.read_line(what=f"{self._question} (while resynchronising)")
