"""`make bench`: what things cost, in CPU seconds and as ratios within one run.

Prints a table, writes out/bench.jsonl.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import engine, forward, start_up

ROUNDS = 5


def main() -> int:
    """Run every benchmark in rounds, every variant once a round. Exit 1 where a bar that was set is not met."""
    rows: list[dict[str, object]] = []
    failed = False
    suites: list[tuple[str, dict[str, Callable[[], float]], Callable[[dict[str, float]], list[str]]]] = [
        ("engine, CPU ms a point", engine.variants(), engine.judge),
        ("start-up, CPU s", start_up.variants(), start_up.judge),
        ("forward pattern, 2,000 points, two phases, CPU us", forward.variants(), forward.judge),
    ]
    for title, variants, judge in suites:
        print(f"\n{title} (n = {ROUNDS})")
        seen: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(ROUNDS):
            for name, measure in variants.items():
                seen[name].append(measure())
        for name, values in seen.items():
            middle = statistics.median(values)
            print(f"  {name:<58} {middle:9.4f}   ({min(values):.4f} to {max(values):.4f})")
            rows.append({"bench": title, "case": name, "median": middle, "values": values})
        for verdict in judge({name: statistics.median(values) for name, values in seen.items()}):
            print(f"  {verdict}")
            failed |= verdict.startswith("MISSED")
    Path("out").mkdir(exist_ok=True)
    Path("out/bench.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
