"""How long until `rocksalt --help` has answered."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable

BAR_S = 0.3


def variants() -> dict[str, Callable[[], float]]:
    """CPU seconds of a whole process each."""
    return {
        "rocksalt --help": lambda: _cpu_s([sys.executable, "-m", "rocksalt", "--help"]),
        "python -c pass": lambda: _cpu_s([sys.executable, "-c", "pass"]),
    }


def judge(medians: dict[str, float]) -> list[str]:
    """Under 0.3 s of CPU."""
    took = medians["rocksalt --help"]
    return [f"{'met' if took < BAR_S else 'MISSED'}: rocksalt --help in {took:.3f} s of CPU, bar {BAR_S:g} s"]


def _cpu_s(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
