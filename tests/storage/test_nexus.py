"""run.nxs: what the validator, silx and plain h5py make of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  (registers the filter for plain h5py)
import numpy as np
import pytest

from rocksalt.storage.frames import FrameFile
from rocksalt.storage.nexus import BeamInfo, DecisionLine, DetectorInfo, ReadingLog, RunInfo, SampleInfo, write_nexus
from rocksalt.values import Estimate, Measured

SHAPE = (6, 8)


@pytest.fixture
def info() -> RunInfo:
    estimate = Estimate(
        measurement=0, label="B1", probabilities={"B1": 0.9, "B2": 0.02, "mixture": 0.03, "unknown": 0.05}, phases=(),
        candidates=(), pressure_gpa=Measured(1.2, 0.1), fraction_b2=None, microstrain=None, textured=False,
        reasons=("every line is B1's",), model="physics", pressure_scale="Dewaele 2012",
    )  # fmt: skip
    return RunInfo(
        run="kbr-1", title="KBr in a diamond-anvil cell", identifier="0f0e2c9a-5a0e-4a6e-9f65-5b7f6a3f1d11",
        start_time="2026-05-01T10:00:00.000Z", end_time="2026-05-01T11:00:00.000Z", station="simulated-dac",
        program_version="0.1.0", beam=BeamInfo(0.4133, "a source", flux_ph_per_s=2.0e9, size_um=(30.0, 30.0)),
        detector=DetectorInfo(
            "EIGER2", SHAPE, (75e-6, 75e-6), 0.2, (4.0, 3.0), "CdTe", 750e-6, saturation_value=1000,
            pixel_mask=np.zeros(SHAPE, np.uint32), poni="poni_version: 2.1\nDistance: 0.2\n",
        ),
        sample=SampleInfo("KBr", "K Br"), measurements={0: 10.0, 1: 20.0},
        readings={
            "membrane_bar": ReadingLog("bar", np.array([0.0, 5.0]), np.array([1.0, 2.0])),
            "interlock.door": ReadingLog("", np.array([0.0]), np.array([1.0])),
        },
        estimates=(estimate, replace(estimate, measurement=1, fraction_b2=Measured(0.3, 0.02))),
        decisions=(DecisionLine(0.0, "measure", "the first point", "wait", '{"seq": 1}'),),
    )  # fmt: skip


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Two frame files with three and two frames, and two patterns."""
    number = 0
    for count in (3, 2):
        file = FrameFile(tmp_path, SHAPE, np.dtype("<u4"), "raw")
        for _ in range(count):
            pixels = np.full(SHAPE, number, "<u4")
            file.append(
                memoryview(pixels.tobytes()), number=number, measurement=number // 3, series=1, image=number,
                exposure_s=0.5, ended_s=float(number), sha256="0" * 64,
            )  # fmt: skip
            number += 1
        file.close()
    with h5py.File(tmp_path / "reduced.h5", "w") as reduced:
        reduced["two_theta_deg"] = np.linspace(5.0, 25.0, 200)
        reduced["intensity"] = np.random.default_rng(3).poisson(50, (2, 200)).astype(float)
        reduced["variance"] = reduced["intensity"][()]
        reduced["measurement"] = np.array([0, 1])
    return tmp_path


def nxvalidate_errors(file: Path) -> int:
    """The number of errors that nxvalidate counts: its exit status is 0 whatever it finds."""
    tool = Path(sys.executable).with_name("nxvalidate")
    done = subprocess.run([str(tool), "-e", str(file)], capture_output=True, text=True, timeout=120, check=True)
    count = re.search(r"number of errors:?\s*(\d+)", done.stdout + done.stderr)
    assert count is not None, done.stdout + done.stderr
    return int(count[1])


@pytest.mark.parametrize("complete", [False, True])
def test_nxvalidate_finds_no_error(run_folder: Path, info: RunInfo, complete: bool) -> None:
    assert nxvalidate_errors(write_nexus(run_folder, info, complete=complete)) == 0


def test_the_validator_bites_where_start_time_is_gone(run_folder: Path, info: RunInfo) -> None:
    path = write_nexus(run_folder, info, complete=True)
    with h5py.File(path, "a") as file:
        del file["entry/start_time"]
    assert nxvalidate_errors(path) > 0


@pytest.mark.parametrize("complete", [False, True])
def test_silx_opens_it_at_the_powder_patterns(run_folder: Path, info: RunInfo, complete: bool) -> None:
    nxdata = pytest.importorskip("silx.io.nxdata")
    with h5py.File(write_nexus(run_folder, info, complete=complete), "r") as file:
        plot = nxdata.get_default(file)
        assert plot is not None
        assert plot.is_valid
        assert plot.signal.shape == (2, 200)
        assert [axis.shape for axis in plot.axes] == [(2,), (200,)]
        assert plot.group.name == "/entry/powder"


def test_the_virtual_dataset_is_read_from_any_folder_even_after_the_run_was_moved(
    run_folder: Path, info: RunInfo, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_nexus(run_folder, info, complete=True)
    elsewhere = tmp_path_factory.mktemp("archive") / "moved"
    os.rename(run_folder, elsewhere)
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    with h5py.File(elsewhere / "run.nxs", "r") as file:
        data = file["entry/data/data"]
        assert data.is_virtual
        assert data[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
        assert file["entry/data/number"][()].tolist() == [0, 1, 2, 3, 4]
        assert file["entry/instrument/detector/count_time"].attrs["units"] == "s"


def test_while_the_run_goes_on_the_frame_files_are_links(run_folder: Path, info: RunInfo) -> None:
    with h5py.File(write_nexus(run_folder, info, complete=False), "r") as file:
        assert file["entry/data/data_000002"][:, 0, 0].tolist() == [3, 4]
        assert "end_time" not in file["entry"]


def test_a_run_without_a_single_frame_or_pattern_still_gets_a_valid_file(tmp_path: Path, info: RunInfo) -> None:
    bare = replace(info, estimates=(), decisions=(), readings={}, measurements={})
    assert nxvalidate_errors(write_nexus(tmp_path, bare, complete=True)) == 0


def test_a_frame_file_that_cannot_be_read_leaves_the_older_file_alone_and_says_what_helps(
    run_folder: Path, info: RunInfo
) -> None:
    before = write_nexus(run_folder, info, complete=False).read_bytes()
    (run_folder / "frames" / "frames_000003.h5").write_bytes(b"torn")
    with pytest.raises(OSError, match=r"frames_000003\.h5 can't be read.*rocksalt recover"):
        write_nexus(run_folder, info, complete=True)
    assert (run_folder / "run.nxs").read_bytes() == before
    assert not (run_folder / "run.nxs.part").exists()


def test_what_the_model_said_and_what_was_decided_is_in_the_file(run_folder: Path, info: RunInfo) -> None:
    with h5py.File(write_nexus(run_folder, info, complete=True), "r") as file:
        assert file["entry/analysis/fraction_b2/fraction_b2"][1] == 0.3
        assert np.isnan(file["entry/analysis/fraction_b2/fraction_b2"][0])
        assert file["entry/decisions/reason"].asstr()[0] == "the first point"
        log = file["entry/sample/environment/membrane_bar/value_log"]
        assert log["value"].attrs["units"] == "bar"
        assert log["value"][()].tolist() == [1.0, 2.0]
        assert "poni_version" in file["entry/powder_process/configuration/description"].asstr()[()]
