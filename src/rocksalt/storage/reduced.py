"""reduced.h5: the patterns of a run with their variances.

Recomputable from frames, geometry and mask; the PONI is kept in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rocksalt.values import Pattern


class ReducedFile:
    """Appends patterns; one writer, flushed after each. A file of an earlier part of the run is continued."""

    def __init__(self, path: Path, *, poni: str) -> None:
        import h5py

        self._file: Any = h5py.File(path, "a")
        if "poni" not in self._file:
            self._file["poni"] = poni

    def append(self, measurement: int, pattern: Pattern) -> None:
        """Add one pattern. Raises ValueError when its angles are not those of the first."""
        file = self._file
        angles = np.asarray(pattern.two_theta_deg)
        if "two_theta_deg" not in file:
            file["two_theta_deg"] = angles
            file["two_theta_deg"].attrs["units"] = "degree"
            file["wavelength_angstrom"] = pattern.wavelength_angstrom
            for name in ("intensity", "variance"):
                file.create_dataset(name, (0, angles.size), "f8", maxshape=(None, angles.size), chunks=(1, angles.size))
            file.create_dataset("measurement", (0,), "i8", maxshape=(None,), chunks=(256,))
        elif not np.array_equal(file["two_theta_deg"][()], angles):
            raise ValueError("a pattern on other angles than the first of this run")
        index = file["measurement"].shape[0]
        for name, row in (
            ("intensity", pattern.intensity),
            ("variance", pattern.variance),
            ("measurement", measurement),
        ):
            file[name].resize(index + 1, axis=0)
            file[name][index] = row
        file.flush()

    def close(self) -> None:
        self._file.close()
