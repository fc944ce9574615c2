"""The whole campaign in virtual time: one seed, one journal, in any process, folder, time zone and hash seed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CAMPAIGN = ROOT / "config/campaigns/kbr-transition.toml"
STATION = ROOT / "config/stations/simulated-dac.toml"


@dataclass(frozen=True)
class Night:
    """A finished run: its folder, how long it took, what it printed."""

    folder: Path
    wall_s: float
    exit: int
    stdout: str
    stderr: str

    @property
    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "journal.jsonl").read_text().splitlines()]

    @property
    def journal_hash(self) -> str:
        return hashlib.sha256((self.folder / "journal.jsonl").read_bytes()).hexdigest()

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "summary.json").read_text()))


def virtual(
    place: Path, *arguments: str, campaign: Path = CAMPAIGN, environment: dict[str, str] | None = None
) -> Night:
    """Run a campaign in virtual time in a process of its own."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "rocksalt", "run", str(campaign), "--station", str(STATION), "--virtual", "--json",
         "--data", str(place), "--run", "night", *arguments],
        capture_output=True, text=True, check=False, cwd=place, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    return Night(place / "night", time.monotonic() - began, done.returncode, done.stdout, done.stderr)


def small(place: Path, **changes: str) -> Path:
    """The shipped campaign with some lines changed: a short night."""
    text = CAMPAIGN.read_text()
    for old, new in {"measurements = 25 ": "measurements = 3 ", **changes}.items():
        assert old in text
        text = text.replace(old, new)
    path = place / "small.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return virtual(
        tmp_path_factory.mktemp("whole"), "--seed", "5", "--twin-seed", "5", "--truth", "truth.jsonl",
        environment={"PYTHONHASHSEED": "1", "TZ": "UTC"},
    )  # fmt: skip


def test_the_shipped_campaign_finds_the_transition_within_a_minute(whole: Night) -> None:
    assert whole.exit == 0, whole.stderr
    truth = [json.loads(line) for line in (whole.folder.parent / "truth.jsonl").read_text().splitlines()]
    p50 = next(line["p50_gpa"] for line in truth if "p50_gpa" in line)
    (found,) = whole.summary["transitions"]
    assert found["pressure_gpa"] == pytest.approx(p50, abs=0.10)
    assert whole.wall_s < 60.0


def test_another_process_folder_time_zone_and_hash_seed_give_the_same_journal(whole: Night, tmp_path: Path) -> None:
    again = virtual(
        tmp_path, "--seed", "5", "--twin-seed", "5", "--truth", "/dev/null",
        environment={"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"},
    )  # fmt: skip
    assert again.exit == 0
    assert again.journal_hash == whole.journal_hash


def test_another_seed_gives_another_journal(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    campaign = small(tmp_path)
    nights = [virtual(place, "--seed", seed, campaign=campaign) for place, seed in ((first, "1"), (second, "2"))]
    without_seed = [
        [{k: v for k, v in line.items() if k not in ("seed", "crc32")} for line in night.journal] for night in nights
    ]
    assert without_seed[0] != without_seed[1]


def test_the_summary_can_be_rebuilt_from_the_journal_alone(whole: Night, tmp_path: Path) -> None:
    from rocksalt.monitor.closing import summary_from
    from rocksalt.storage import journal
    from rocksalt.storage.history import fold

    copy = tmp_path / "journal.jsonl"
    copy.write_bytes((whole.folder / "journal.jsonl").read_bytes())
    assert summary_from(fold(journal.read(copy).entries)) == whole.summary


def test_json_on_standard_output_is_the_summary_and_nothing_else(whole: Night) -> None:
    assert json.loads(whole.stdout) == whole.summary


def test_every_frame_sent_is_on_disk_pixel_by_pixel(whole: Night) -> None:
    import h5py
    import hdf5plugin  # noqa: F401

    truth = [json.loads(line) for line in (whole.folder.parent / "truth.jsonl").read_text().splitlines()]
    sent = {line["sha256"] for line in truth if "sha256" in line}
    found = set()
    for path in sorted((whole.folder / "frames").iterdir()):
        with h5py.File(path) as file:
            data = file["/entry/data/data"]
            found |= {hashlib.sha256(data[index].tobytes()).hexdigest() for index in range(data.shape[0])}
    assert sent
    assert found == sent
    assert whole.summary["frames"] == {"taken": len(sent), "written": len(sent), "lost": 0}


def test_the_shutter_is_open_only_while_something_exposes_and_shut_at_the_end(whole: Night) -> None:
    truth = [json.loads(line) for line in (whole.folder.parent / "truth.jsonl").read_text().splitlines()]
    shutter = [line["shutter"] for line in truth if "shutter" in line]
    assert "open" in shutter
    assert shutter[-1] == "closed"


def test_half_the_dose_budget_stops_the_run_before_it_is_exceeded(whole: Night, tmp_path: Path) -> None:
    """The budget is half of what the same run spent without it; the twin's own dose is the judge, with its own flux."""
    spent = whole.summary["dose_gy"]
    campaign = small(
        tmp_path,
        **{"measurements = 3 ": "measurements = 25 ", "dose_gy = 2.0e7 ": f"dose_gy = {spent / 2:.4e} "},
    )
    night = virtual(tmp_path, "--seed", "5", "--twin-seed", "5", campaign=campaign)
    assert night.exit == 0
    assert 0 < night.summary["dose_gy"] + 2 * night.summary["dose_sigma_gy"] <= spent / 2
    assert night.summary["measurements"] < whole.summary["measurements"]
    (finish,) = [line for line in night.journal if line["kind"] == "finish"]
    assert finish["why"] == "budget"


def test_the_run_file_is_valid_nxmx_and_opens_at_the_patterns(whole: Night) -> None:
    from silx.io.nxdata import get_default

    tool = Path(sys.executable).with_name("nxvalidate")
    said = subprocess.run([tool, "-e", whole.folder / "run.nxs"], capture_output=True, text=True, check=False).stdout
    assert "Total number of errors: 0" in said
    import h5py

    with h5py.File(whole.folder / "run.nxs") as file:
        shown = get_default(file)
        assert shown.signal.name.startswith("/entry/powder")
        assert shown.signal.shape[0] == whole.summary["measurements"]
        assert file["/entry/instrument/detector/sensor_material"].asstr()[()] == "CdTe"
        assert file["/entry/data/data"].shape[0] == whole.summary["frames"]["written"]


def test_the_report_is_there_and_loads_nothing_from_elsewhere(whole: Night) -> None:
    page = (whole.folder / "report.html").read_text()
    assert page.count("<figure") >= 4
    assert 'src="http' not in page
