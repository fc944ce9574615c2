"""What every `make accept-NAME` does at its two ends: takes FIRST= and N=, writes out/NAME.jsonl, says passed/tried."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
Row = dict[str, Any]


def arguments(what: str | None, *, n: int) -> argparse.ArgumentParser:
    """--first (seed) and --n (number of seeds)."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--n", type=int, default=n)
    return parser


def told(row: Row) -> Row:
    """A case as it is done: printed, and handed on."""
    print(json.dumps(row), flush=True)
    return row


def closed(name: str, rows: Sequence[Row], tried: int) -> int:
    """Write the rows, say how many passed. The exit status: 0 only if every case that was to be tried passed."""
    out = ROOT / "out"
    out.mkdir(exist_ok=True)
    (out / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    passed = sum(bool(row["pass"]) for row in rows)
    print(f"{passed}/{tried}")
    return 0 if passed == tried else 1
