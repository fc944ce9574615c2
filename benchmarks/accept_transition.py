"""`make accept-transition`: is the transition found where there is one, and nothing where there is none?

Each case is a whole campaign in virtual time, a process of its own, on a twin that differs from the tables. The judge
reads `summary.json` and the twin's truth, and imports nothing of the daemon's. "always 1.8" and "membrane x constant"
are printed beside it and are to fail.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.acceptance import ROOT, arguments, closed, told

CAMPAIGN = ROOT / "config/campaigns/kbr-transition.toml"
STATION = ROOT / "config/stations/simulated-dac.toml"
WITHIN_GPA, MEASUREMENTS = 0.10, 25
ALWAYS_GPA = 1.8


def main() -> int:
    """N twins with a transition and half as many without one. Exit 0 only if every one passed."""
    parser = arguments(main.__doc__, n=20)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    cases = [(seed, "found") for seed in range(given.first, given.first + given.n)]
    cases += [
        (seed, "none" if seed % 2 else "outside") for seed in range(given.first, given.first + max(given.n // 2, 1))
    ]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.workers) as pool:
        results = list(pool.map(lambda case: judged(Path(folder), *case), cases))
    found = [row for row in results if row["case"] == "found"]
    for name in ("always_error_gpa", "membrane_error_gpa"):
        good = sum(row.get(name) is not None and abs(row[name]) <= WITHIN_GPA for row in found)
        print(f"{name.removesuffix('_error_gpa')}: {good}/{len(found)} within {WITHIN_GPA} GPa (is to fail)")
    return closed("accept-transition", results, len(cases))


def judged(folder: Path, seed: int, case: str) -> dict[str, Any]:
    """Run one campaign and judge it."""
    place = folder / f"{case}-{seed}"
    place.mkdir()
    campaign, station = _files(place, case)
    truth = place / "truth.jsonl"
    command = [
        sys.executable, "-m", "rocksalt", "run", str(campaign), "--station", str(station), "--virtual", "--json",
        "--data", str(place), "--run", "run", "--seed", str(seed), "--twin-seed", str(seed), "--truth", str(truth),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    row: dict[str, Any] = {"seed": seed, "case": case, "exit": done.returncode}
    if done.returncode != 0:
        row |= {"pass": False, "why": done.stderr[-500:]}
    else:
        row |= _found(place, truth) if case == "found" else _none(place)
    return told(row)


def _files(place: Path, case: str) -> tuple[Path, Path]:
    """The shipped files. "outside": the envelope ends before the transition; "none": the twin has none."""
    campaign, station = CAMPAIGN.read_text(), STATION.read_text()
    if case == "outside":
        campaign = _replaced(campaign, "pressure_gpa = [0.0, 5.0]", "pressure_gpa = [0.0, 1.2]")
    if case == "none":
        station = _replaced(station, 'tier = "clean"', 'tier = "clean"\ntransition = "none"')
    (place / "campaign.toml").write_text(campaign)
    (place / "station.toml").write_text(station)
    poni = tomllib.loads(station)["geometry"]["poni"]
    (place / poni).write_text((STATION.parent / poni).read_text())
    return place / "campaign.toml", place / "station.toml"


def _replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(f"the shipped file no longer has {old!r}: this judge must follow it")
    return text.replace(old, new)


def _truth_of(path: Path) -> dict[str, Any]:
    return next(line for line in map(json.loads, path.read_text().splitlines()) if "p50_gpa" in line)


def _found(place: Path, truth: Path) -> dict[str, Any]:
    summary = json.loads((place / "run" / "summary.json").read_text())
    p50 = _truth_of(truth)["p50_gpa"]
    row: dict[str, Any] = {"truth_gpa": p50, "measurements": summary["measurements"], "bar_gpa": WITHIN_GPA}
    membrane = _membrane_times_constant(place, p50)
    row["always_error_gpa"] = None if p50 is None else round(ALWAYS_GPA - p50, 4)
    row["membrane_error_gpa"] = None if p50 is None or membrane is None else round(membrane - p50, 4)
    if p50 is None or len(summary["transitions"]) != 1:
        return row | {"pass": False, "why": f"{len(summary['transitions'])} transitions; the truth is {p50}"}
    found = summary["transitions"][0]
    error = found["pressure_gpa"] - p50
    good = abs(error) <= WITHIN_GPA and summary["measurements"] <= MEASUREMENTS
    return row | {
        "pass": good,
        "found_gpa": round(found["pressure_gpa"], 4),
        "error_gpa": round(error, 4),
        "sigma_stat": round(found["sigma_stat"], 4),
        "sigma_scale": round(found["sigma_scale"], 4),
    }


def _none(place: Path) -> dict[str, Any]:
    summary = json.loads((place / "run" / "summary.json").read_text())
    return {
        "pass": summary["transitions"] == [],
        "measurements": summary["measurements"],
        "why": summary["result"]["sentence"] if isinstance(summary["result"], dict) else summary["result"],
    }


def _membrane_times_constant(place: Path, p50: float | None) -> float | None:
    """What somebody would say who multiplies the membrane's pressure with the station file's constant."""
    per_bar = tomllib.loads(STATION.read_text())["load_curve"]["gpa_per_bar"]
    bar: float | None = None
    for line in (place / "run" / "journal.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["kind"] == "reached" and entry["setpoint"] == "membrane_bar":
            bar = entry["target"]
        fraction = entry["estimate"]["fraction_b2"] if entry["kind"] == "estimated" else None
        if fraction is not None and fraction["value"] >= 0.5 and bar is not None:
            return float(per_bar * bar)
    return None


if __name__ == "__main__":
    sys.exit(main())
