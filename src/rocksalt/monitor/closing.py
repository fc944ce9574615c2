"""What a run leaves behind, made from its journal and frames: run.nxs, summary.json, report.html.

Nothing here runs beside the loop: it works before the first command and after the last, or on a run that is long over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rocksalt.config.station import LoadCurvePrior
from rocksalt.daemon.run import Plan, begun
from rocksalt.storage import journal, records, run_folder
from rocksalt.storage.history import History, fold
from rocksalt.storage.journal import Entry


@dataclass(frozen=True, slots=True)
class Closed:
    """The summary as written, and where the report lies."""

    summary: dict[str, Any]
    report: Path


def close_run(path: Path) -> Closed:
    """Write run.nxs, summary.json and report.html from what lies in the folder.

    Raises FolderRefused, BadJournal, OSError.
    """
    from rocksalt.analysis.report import write_report

    folder = run_folder.existing(path)
    entries = journal.begun(folder.journal)
    history = fold(entries)
    summary = summary_from(history)
    run_folder.write_aside(folder.summary, (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode())
    write_run_file(folder, entries, history, complete=True)
    return Closed(summary, write_report(folder, history, summary))


def summary_from(history: History) -> dict[str, Any]:
    """summary.json from the history alone, which is a fold over the journal alone."""
    from rocksalt.analysis.summary import summary_of
    from rocksalt.analysis.transition import fit_transition

    campaign, station = history.begun["campaign"], history.begun["station"]
    transitions = fit_transition(
        history.points,
        LoadCurvePrior.model_validate(station["load_curve"]),
        salt=campaign["sample"]["salt"],
        branch=campaign["transition"]["branch"],
    )
    return summary_of(history, transitions)


def open_run(plan: Plan, wall: str) -> None:
    """run.nxs as it is while the run goes on: external links to the frames that will come. `wall`: the date now."""
    entry = Entry(0, "begun", 0.0, wall, begun(plan))
    write_run_file(plan.folder, (entry,), fold((entry,)), complete=False)


def write_run_file(
    folder: run_folder.RunFolder, entries: tuple[Entry, ...], history: History, *, complete: bool
) -> Path:
    """run.nxs of a run. Raises OSError."""
    from rocksalt.storage.nexus import write_nexus

    return write_nexus(folder.path, run_info(entries, history), complete=complete)


def run_info(entries: tuple[Entry, ...], history: History) -> Any:
    """What run.nxs says, taken from the journal."""
    from rocksalt.storage.nexus import BeamInfo, DecisionLine, ReadingLog, RunInfo, SampleInfo

    begun = history.begun
    beam, sample = begun["station"]["beam"], begun["campaign"]["sample"]
    names = sorted({reading.name for reading in history.readings})
    logs = {
        name: ReadingLog(
            unit=next(r.unit for r in history.readings if r.name == name),
            times_s=np.array([r.at_s for r in history.readings if r.name == name]),
            values=np.array([r.value for r in history.readings if r.name == name]),
        )
        for name in names
    }
    return RunInfo(
        run=begun["run"],
        title=f"{begun['campaign']['campaign']} on {begun['station']['station']}",
        identifier=f"{begun['run']}:{begun['campaign_sha256'][:16]}",
        start_time=history.began_at,
        end_time=history.ended_at or history.began_at,
        station=begun["station"]["station"],
        program_version=begun["rocksalt"],
        beam=BeamInfo(
            wavelength_angstrom=beam["wavelength_angstrom"],
            source=begun["station"]["station"],
            flux_ph_per_s=beam["flux_ph_per_s"],
            size_um=tuple(beam["size_um"]),
        ),
        detector=_detector(begun, history.facts),
        sample=SampleInfo(name=sample["salt"], formula=sample["salt"]),
        measurements={
            point.measurement.number: max((frame.ended_s for frame in point.frames), default=point.done_s)
            for point in history.points
        },
        readings=logs,
        estimates=[point.estimate for point in history.points if point.estimate is not None],
        decisions=[
            DecisionLine(
                at_s=entry.t_s,
                kind="measure" if entry.kind == "intend" else "finish",
                reason=entry.data["reason"],
                runner_up=entry.data["runner_up"],
                json=json.dumps(records.plain(entry.data)),
            )
            for entry in entries
            if entry.kind in ("intend", "finish")
        ],
    )


def _detector(begun: Mapping[str, Any], facts: Mapping[str, Mapping[str, Any]]) -> Any:
    from rocksalt.diffraction.geometry import Geometry
    from rocksalt.storage.nexus import DetectorInfo

    name, device = next((n, d) for n, d in begun["station"]["devices"].items() if d["shape"] is not None)
    shape = (int(device["shape"][0]), int(device["shape"][1]))
    integrator = Geometry.from_poni(begun["poni"]).integrator(shape)
    flat = integrator.getFit2D()
    told = facts.get(name, {})  # nothing before the detector was connected: the file is written again at the end
    return DetectorInfo(
        description=str(told.get("description", f"{name} ({device['driver']})")),
        shape=shape,
        pixel_size_m=(float(integrator.detector.pixel2), float(integrator.detector.pixel1)),
        distance_m=float(integrator.dist),
        beam_center_px=(float(flat["centerX"]), float(flat["centerY"])),
        sensor_material=str(told.get("sensor_material", "unknown")),
        sensor_thickness_m=float(told.get("sensor_thickness_m", 0.0)),
        bit_depth=int(told.get("bit_depth", 32)),
        poni=begun["poni"],
    )
