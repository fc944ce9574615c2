"""What a pattern costs: KBr B1 and B2 together, 2,000 points, as the online model would ask for them; one core.

A thousand patterns in one call, one pattern a call, and the slow way beside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from rocksalt.crystals.tables import phase
from rocksalt.diffraction.forward.fast import Evaluator
from rocksalt.diffraction.forward.instrument import Emission, Instrument
from rocksalt.diffraction.forward.pattern import Powder, pattern
from rocksalt.values import FloatArray

POINTS = 2000
BAR_PER_S = 5000.0
BATCH, SINGLE, SLOW = "batch of 1,000", "one a call", "slow, one a call"


def make() -> tuple[FloatArray, list[Powder], Instrument]:
    """Grid, phases and instrument of the benchmark: 0.4133 A, 5 to 25 deg, KBr across its transition."""
    x = np.linspace(5.0, 25.0, POINTS)
    phases = [
        Powder(crystal=phase("KBr", "B1"), a_angstrom=6.35, microstrain=1e-3, size_angstrom=900.0, march_r=0.8),
        Powder(
            crystal=phase("KBr", "B2"), a_angstrom=3.80, microstrain=2e-3, size_angstrom=400.0, pressure_spread_gpa=0.1
        ),
    ]
    return x, phases, Instrument(emissions=(Emission(0.4133),), geometry="ring", w=1e-3)


def variants() -> dict[str, Callable[[], float]]:
    """CPU microseconds a pattern, of each way; every call has another cell."""
    x, phases, instrument = make()
    evaluator = Evaluator(x, phases, instrument, [100.0, -20.0])
    cells = np.array([6.35, 3.80]) * (1.0 + np.linspace(-0.02, 0.02, 1000))[:, None]

    def batch() -> float:
        return _timed(lambda: evaluator(a_angstrom=cells), 1000)

    def single() -> float:
        return _timed(lambda: [evaluator(a_angstrom=row) for row in cells], 1000)

    def slow() -> float:
        return _timed(lambda: [pattern(x, phases, instrument, [100.0, -20.0]) for _ in range(50)], 50)

    return {BATCH: batch, SINGLE: single, SLOW: slow}


def judge(medians: dict[str, float]) -> list[str]:
    """The bar, in patterns a second of CPU, for each of the fast ways."""
    rates = {name: 1e6 / medians[name] for name in (BATCH, SINGLE)}
    return [
        f"{'met' if rate >= BAR_PER_S else 'MISSED'}: {rate:.0f} patterns a second, {name} (bar {BAR_PER_S:.0f})"
        for name, rate in rates.items()
    ]


def _timed(work: Callable[[], object], count: int) -> float:
    start = time.process_time()
    work()
    return 1e6 * (time.process_time() - start) / count
