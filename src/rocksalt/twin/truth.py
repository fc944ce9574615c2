"""What really happened, written as JSON lines for whoever judges a run afterwards. Nothing of the daemon opens it.

Three kinds of line: `{t_s, sample_pressure_gpa, fraction_b2, shutter, hv, door, beam, dose_gy}` at each change,
`{frame, sha256, chunk_sha256, series, image}` for a frame sent, and one `{onset_gpa, p50_gpa, departures}`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO


class Truth:
    """A truth file, line-buffered; /dev/null will do. `shutter` is "open", "closed" or "moving"; `door` is "open" or
    "closed"; `beam` says whether light reaches the sample; `hv` is false where there is no X-ray tube."""

    def __init__(self, path: str | Path) -> None:
        # Closed by close(): the file lives as long as the world that writes it.
        self._file: TextIO | None = open(path, "w", buffering=1, encoding="utf-8", newline="\n")  # noqa: SIM115

    def write(self, line: dict[str, Any]) -> None:
        """One JSON object, one line. After close() nothing is written."""
        if self._file is not None:
            self._file.write(json.dumps(line, allow_nan=False, separators=(", ", ": ")) + "\n")

    def close(self) -> None:
        """Close the file; twice does nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None
