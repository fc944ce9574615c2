"""`make accept-identify`: files that no simulator made, through the command line as a user types it.

Real patterns and frames come from ROCKSALT_DATA (default ../shared/data); noise and empty frames are made here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.acceptance import ROOT, arguments, closed, told
from rocksalt.time import Chance

MEASURED = Path(os.environ.get("ROCKSALT_DATA", ROOT / "../shared/data")) / "measured"
CU_K_ALPHA1 = 1.540598
Answer = Mapping[str, Any]


def main() -> int:
    """Every case once, noise and emptiness N times each. Exit 0 only if every one passed."""
    given = arguments(main.__doc__, n=5).parse_args()
    if not MEASURED.is_dir():
        print(f"{MEASURED} is not there: say where the real measurements are with ROCKSALT_DATA", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        cases = _cases(Path(folder), given.first, given.n)
        rows = [told({"case": name, **judge(identified(*options))}) for name, options, judge in cases]
    return closed("accept-identify", rows, len(cases))


def identified(*arguments: str) -> Answer:
    """What `rocksalt identify … --json` says of one file."""
    done = subprocess.run(
        [sys.executable, "-m", "rocksalt", "identify", *arguments, "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not done.stdout:
        return {"error": done.stderr}
    answer: Answer = json.loads(done.stdout)["results"][0]
    return answer


def is_salts(cells: Mapping[str, tuple[float, float]], *, textured: bool | None = None) -> Callable[[Answer], Answer]:
    """B1 with exactly these salts; each cell within its tolerance (Å)."""

    def judge(answer: Answer) -> Answer:
        found = {phase["salt"]: phase["a_angstrom"] for phase in answer.get("phases", ())}
        good = answer.get("label") == "B1" and set(found) == set(cells)
        good = good and all(abs(found[salt] - a) <= within for salt, (a, within) in cells.items())
        good = good and (textured is None or answer["textured"] == textured)
        return {"measured": answer.get("label", answer.get("error")), "cells": found, "bar": cells, "pass": good}

    return judge


def is_unknown(answer: Answer) -> Answer:
    """unknown, no phases, and a reason."""
    good = answer.get("label") == "unknown" and not answer["phases"] and bool(answer["reasons"])
    reason = answer["reasons"][0] if answer.get("reasons") else answer.get("error")
    return {"measured": answer.get("label"), "why": reason, "bar": "unknown with the reason", "pass": good}


def _cases(folder: Path, first: int, number: int) -> list[tuple[str, tuple[str, ...], Callable[[Answer], Answer]]]:
    lab, dac = MEASURED / "lab_cu", MEASURED / "dac"
    copper = ("--wavelength", str(CU_K_ALPHA1))
    poni = _poni_of(dac / "Fe3O4C_M1_map_1_P1_E1_001.xy", folder)
    cases: list[tuple[str, tuple[str, ...], Callable[[Answer], Answer]]] = [
        ("real NaCl", (str(lab / "NaCl.asc"), *copper), is_salts({"NaCl": (5.6414, 0.001)}, textured=True)),
        (
            "real NaCl + KCl",
            (str(lab / "NaCl_KCl_mix.asc"), *copper),
            is_salts({"NaCl": (5.640, 0.003), "KCl": (6.294, 0.006)}),
        ),
        ("real silicon", (str(lab / "Si.asc"), *copper), is_unknown),
        (
            "real DAC frame without a halide",
            (str(dac / "Fe3O4C_M1_map_1_P1_E1_001.tif"), "--poni", str(poni), "--wavelength", "0.3344"),
            is_unknown,
        ),
        ("real CeO2 frame", (str(dac / "CeO2_Pilatus1M.tif"), "--poni", str(dac / "CeO2_Pilatus1M.poni")), is_unknown),
    ]
    for seed in range(first, first + number):
        cases.append((f"noise {seed}", (str(_noise(folder, seed)), *copper), is_unknown))
        frame = _empty_frame(folder, seed)
        cases.append((f"empty frame {seed}", (str(frame), "--poni", str(dac / "CeO2_Pilatus1M.poni")), is_unknown))
    return cases


def _poni_of(pattern: Path, folder: Path) -> Path:
    """The geometry that the pattern's own header states, as a PONI file."""
    from rocksalt.formats.poni import poni_from_header

    path = folder / "from-header.poni"
    path.write_text(poni_from_header(pattern.read_text()).text())
    return path


def _noise(folder: Path, seed: int) -> Path:
    """Poisson noise on a smooth hump, and nothing else."""
    chance = Chance(seed).stream("noise")
    angles = np.arange(20.0, 137.0, 0.013)
    level = 10 ** chance.uniform(1.0, 3.5) * (1 + np.exp(-(((angles - chance.uniform(20, 60)) / 20.0) ** 2)))
    path = folder / f"noise-{seed}.xy"
    np.savetxt(path, np.column_stack([angles, chance.poisson(level)]), fmt="%.5f %d")
    return path


def _empty_frame(folder: Path, seed: int) -> Path:
    """A detector that saw background and no ring (every third: nothing at all)."""
    import fabio.tifimage

    chance = Chance(seed).stream("empty frame")
    level = 0.0 if seed % 3 == 0 else 10 ** chance.uniform(0.0, 3.0)
    path = folder / f"empty-{seed}.tif"
    fabio.tifimage.TifImage(data=chance.poisson(level, (1043, 981)).astype(np.int32)).write(str(path))
    return path


if __name__ == "__main__":
    sys.exit(main())
