"""The one error of this room: a sentence that names the file, the line where there is one, the rule and the way out.

It is a ValueError, because a file's content is a value that somebody handed in.
"""

from __future__ import annotations

from pathlib import Path


class FormatError(ValueError):
    """A file that can't be taken for what it is said to be. `str()` is the sentence for a person.

    path, line    where; line counts from 1 and is None where the fault belongs to no line
    """

    def __init__(self, path: Path | str, message: str, *, line: int | None = None) -> None:
        self.path = Path(path)
        self.line = line
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {message}")
