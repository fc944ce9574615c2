"""`python -m benchmarks.accept_twin`: the twin's time, noise and speed, and its frames beside a real one.

The real frame comes from ROCKSALT_DATA (default ../shared/data); both are drawn to out/dac-frame.png.
"""

from __future__ import annotations

import sys
from typing import Final

from benchmarks import dac_frame, twin_frames, world_steps
from benchmarks.acceptance import ROOT, Row, arguments, closed, told

NOISE_SEEDS: Final = 5
DAC_SEEDS: Final = 20
"""Tiers are wide: the median of fewer frames wanders."""


def main() -> int:
    """N seeds for one step against 1,000; at most five for noise and speed; twenty frames beside the real one."""
    options = arguments(__doc__, n=12).parse_args()
    if not dac_frame.there():
        print("the real frame is not there: say where the real measurements are with ROCKSALT_DATA", file=sys.stderr)
        return 1
    rows: list[Row] = [told(row) for row in world_steps.rows(options.first, options.n)]
    rows += twin_frames.rows(options.first, min(options.n, NOISE_SEEDS))
    (ROOT / "out").mkdir(exist_ok=True)
    real = dac_frame.measured()
    twins = [dac_frame.rendered(real, seed) for seed in range(options.first, options.first + DAC_SEEDS)]
    rows += [told(row) for row in dac_frame.judged(real, twins)]
    dac_frame.draw(real, twins, ROOT / "out" / "dac-frame.png")
    return closed("accept-twin", rows, len(rows))


if __name__ == "__main__":
    sys.exit(main())
