"""run.nxs: one NXmx file a run, which silx, h5web and pyFAI open at the powder patterns.

While the run goes on it points at the frame files by external links; complete, it holds a virtual dataset over all of
them. Always written whole: aside, synchronised, renamed. Imported where it is used: it needs h5py.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from rocksalt.storage.frames import DATA, NAME
from rocksalt.time import door
from rocksalt.values import LABELS, Estimate, FloatArray, Measured

HC_KEV_ANGSTROM: Final = 12.39841984332  # CODATA 2018
REDUCED: Final = "reduced.h5"
RUN_FILE: Final = "run.nxs"
TEXT: Final = h5py.string_dtype("utf-8")
# words that NXsensor's `measurement` list and ours have in common, by the unit of a reading
MEASUREMENTS: Final[Mapping[str, str]] = {
    "K": "temperature", "bar": "pressure", "GPa": "pressure", "V": "voltage", "A": "current"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """The detector as the station file, the geometry and its own header have it. Pairs are (x, y): x along a row.

    beam_center_px  where the direct beam meets the detector, from the PONI at its tilt; poni is that file's own text
    """

    description: str
    shape: tuple[int, int]
    pixel_size_m: tuple[float, float]
    distance_m: float
    beam_center_px: tuple[float, float]
    sensor_material: str
    sensor_thickness_m: float
    saturation_value: int | None = None
    bit_depth: int = 32
    pixel_mask: NDArray[np.uint32] | None = None
    poni: str = ""


@dataclass(frozen=True, slots=True)
class BeamInfo:
    wavelength_angstrom: float
    source: str
    source_type: str = "Synchrotron X-ray Source"
    flux_ph_per_s: float | None = None
    size_um: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class SampleInfo:
    name: str
    formula: str
    environment: str = "diamond-anvil cell"


@dataclass(frozen=True, slots=True)
class ReadingLog:
    """What one instrument told over the run: times_s and values, (k,) each; times are experiment seconds."""

    unit: str
    times_s: FloatArray
    values: FloatArray


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """One decision: experiment time, its kind ("measure", "finish"), why, what came second, and the journal's JSON."""

    at_s: float
    kind: str
    reason: str
    runner_up: str = ""
    json: str = ""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """All that run.nxs says beside frames and patterns. start_time and end_time are ISO 8601 with a zone; while the run
    goes on, end_time is an estimate. measurements: number -> experiment time of its last frame, s."""

    run: str
    title: str
    identifier: str
    start_time: str
    end_time: str
    station: str
    program_version: str
    beam: BeamInfo
    detector: DetectorInfo
    sample: SampleInfo
    measurements: Mapping[int, float] = field(default_factory=dict)
    readings: Mapping[str, ReadingLog] = field(default_factory=dict)
    estimates: Sequence[Estimate] = ()
    decisions: Sequence[DecisionLine] = ()


def write_nexus(run_folder: Path, info: RunInfo, *, complete: bool) -> Path:
    """Write run.nxs and return its path. An older one is replaced in one step: a reader sees the old or the new.

    complete: the frame files are closed (or repaired), and the file gets a virtual dataset over all of them.
    Raises OSError where a frame file can't be read or the disk refuses; run.nxs is then what it was.
    """
    door()
    aside = run_folder / (RUN_FILE + ".part")
    aside.unlink(missing_ok=True)
    try:
        with h5py.File(aside, "x", libver=("v110", "v110")) as file:
            _write(file, run_folder, info, complete)
        _synchronise(aside)
        door()
        final = run_folder / RUN_FILE
        os.replace(aside, final)
        _synchronise(run_folder)
    finally:
        aside.unlink(missing_ok=True)
    return final


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(file: h5py.File, run_folder: Path, info: RunInfo, complete: bool) -> None:
    file.attrs.update({
        "NX_class": "NXroot", "file_name": RUN_FILE, "file_time": info.end_time if complete else info.start_time,
        "creator": "rocksalt", "creator_version": info.program_version, "NeXus_version": "v2026.01",
        "HDF5_Version": h5py.version.hdf5_version, "h5py_version": h5py.version.version,
    })  # fmt: skip
    entry = _group(file, "entry", "NXentry")
    file.attrs["default"] = "entry"
    _value(entry, "definition", "NXmx")
    _value(entry, "title", info.title)
    _value(entry, "start_time", info.start_time)
    _value(entry, "end_time_estimated", info.end_time)
    if complete:
        _value(entry, "end_time", info.end_time)
    _value(entry, "entry_identifier_uuid", info.identifier)
    _value(entry, "experiment_identifier", info.run)
    program = _value(entry, "program_name", "rocksalt")
    program.attrs["version"] = info.program_version
    source = _group(entry, "source", "NXsource")
    _value(source, "name", info.beam.source)
    _value(source, "type", info.beam.source_type)
    _value(source, "probe", "x-ray")
    _instrument(entry, info)
    _sample(entry, info)
    _frames(entry, run_folder, complete)
    plotted = _powder(entry, run_folder, info, complete)
    _analysis(entry, info)
    _decisions(entry, info.decisions)
    entry.attrs["default"] = "powder" if plotted else "data"


# --- instrument and sample -------------------------------------------------------------------------------------------


def _instrument(entry: h5py.Group, info: RunInfo) -> None:
    instrument = _group(entry, "instrument", "NXinstrument")
    _value(instrument, "name", info.station)
    beam = _group(instrument, "beam", "NXbeam")
    wavelength = info.beam.wavelength_angstrom
    _value(beam, "incident_wavelength", wavelength, "angstrom")
    _value(beam, "incident_energy", HC_KEV_ANGSTROM / wavelength, "keV")
    if info.beam.flux_ph_per_s is not None:
        _value(beam, "total_flux", info.beam.flux_ph_per_s, "Hz")
    if info.beam.size_um is not None:
        _value(beam, "incident_beam_size", np.array(info.beam.size_um), "um")
    monochromator = _group(instrument, "monochromator", "NXmonochromator")
    _value(monochromator, "wavelength", wavelength, "angstrom")
    _value(monochromator, "energy", HC_KEV_ANGSTROM / wavelength, "keV")
    _detector(instrument, info.detector)


def _detector(instrument: h5py.Group, info: DetectorInfo) -> None:
    """Axes as in NeXus: z along the beam, y up, x to the left of who looks along it. Rows run to -x, columns to -y.

    The PONI's tilts are not repeated as transformations: its text, kept verbatim under powder_process, is what
    integration used.
    """
    detector = _group(instrument, "detector", "NXdetector")
    size_x, size_y = info.pixel_size_m
    center_x, center_y = info.beam_center_px
    _value(detector, "description", info.description)
    _value(detector, "x_pixel_size", size_x, "m")
    _value(detector, "y_pixel_size", size_y, "m")
    _value(detector, "distance", info.distance_m, "m")
    _value(detector, "beam_center_x", center_x, "pixel")
    _value(detector, "beam_center_y", center_y, "pixel")
    _value(detector, "sensor_material", info.sensor_material)
    _value(detector, "sensor_thickness", info.sensor_thickness_m, "m")
    _value(detector, "bit_depth_readout", info.bit_depth)
    if info.saturation_value is not None:
        _value(detector, "saturation_value", info.saturation_value)
    if info.pixel_mask is not None:
        detector.create_dataset("pixel_mask", data=info.pixel_mask, chunks=info.pixel_mask.shape, compression="gzip")
    moved = _group(detector, "transformations", "NXtransformations")
    det_z = _value(moved, "det_z", info.distance_m, "m")
    _transformation(det_z, "translation", (0.0, 0.0, 1.0), depends_on=".")
    _value(detector, "depends_on", det_z.name)
    module = _group(detector, "module", "NXdetector_module")
    _value(module, "data_origin", np.zeros(2, int))
    _value(module, "data_size", np.array(info.shape))
    fast = _value(module, "fast_pixel_direction", size_x, "m")
    slow = _value(module, "slow_pixel_direction", size_y, "m")
    corner = (center_x * size_x, center_y * size_y, 0.0)
    _transformation(fast, "translation", (-1.0, 0.0, 0.0), offset=corner, depends_on=det_z.name)
    _transformation(slow, "translation", (0.0, -1.0, 0.0), depends_on=fast.name)


def _transformation(
    axis: h5py.Dataset, kind: Literal["translation"], vector: tuple[float, float, float], *,
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0), depends_on: str,
) -> None:  # fmt: skip
    axis.attrs.update({
        "transformation_type": kind, "vector": np.array(vector), "offset": np.array(offset), "offset_units": "m",
        "depends_on": depends_on,
    })  # fmt: skip


def _sample(entry: h5py.Group, info: RunInfo) -> None:
    sample = _group(entry, "sample", "NXsample")
    _value(sample, "name", info.sample.name)
    _value(sample, "chemical_formula", info.sample.formula)
    _value(sample, "depends_on", ".")
    environment = _group(sample, "environment", "NXenvironment")
    _value(environment, "name", info.sample.environment)
    _value(environment, "type", info.sample.environment)
    for name, log in sorted(info.readings.items()):
        sensor = _group(environment, _word(name), "NXsensor")
        _value(sensor, "name", name)
        if (measurement := MEASUREMENTS.get(log.unit)) is not None:
            _value(sensor, "measurement", measurement)
        logged = _group(sensor, "value_log", "NXlog")
        _value(logged, "time", np.asarray(log.times_s, float), "s").attrs["start"] = info.start_time
        _value(logged, "value", np.asarray(log.values, float), log.unit)


# --- frames ----------------------------------------------------------------------------------------------------------


def _frames(entry: h5py.Group, run_folder: Path, complete: bool) -> None:
    """/entry/data: links to the files, or one virtual dataset over all of one kind; the odd ones stay links."""
    data = _group(entry, "data", "NXdata")
    folder = run_folder / "frames"
    names = sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name)) if folder.is_dir() else []
    if not complete:
        for name in names:
            data[_link_name(name)] = h5py.ExternalLink(f"frames/{name}", DATA)
        if names:
            data.attrs["signal"] = _link_name(names[0])
        return
    parts = [part for name in names if (part := _part(run_folder, f"frames/{name}")).frames > 0]
    whole = [part for part in parts if part.kind == parts[0].kind]
    for part in parts:
        if part not in whole:
            data[_link_name(Path(part.file).name)] = h5py.ExternalLink(part.file, DATA)
    if not whole:
        return
    shape, dtype = whole[0].kind
    count = sum(part.frames for part in whole)
    layout = h5py.VirtualLayout((count, *shape), dtype)
    first = 0
    for part in whole:
        layout[first : first + part.frames] = h5py.VirtualSource(part.file, DATA, (part.stored, *shape))[: part.frames]
        first += part.frames
    detector = entry["instrument/detector"]
    # A file that is not there reads as masked, not as no counts.
    pixels = detector.create_virtual_dataset("data", layout, fillvalue=np.iinfo(dtype).max)
    pixels.attrs.update({"interpretation": "image", "long_name": "counts", "target": pixels.name, "units": "counts"})
    _value(detector, "count_time", np.concatenate([part.columns["exposure_s"] for part in whole]), "s")
    data["data"] = h5py.SoftLink(pixels.name)
    _value(data, "time", np.concatenate([part.columns["ended_s"] for part in whole]), "s").attrs["long_name"] = (
        "time since the start of the run (s)"
    )
    for name in ("number", "measurement"):
        _value(data, name, np.concatenate([part.columns[name] for part in whole]))
    data.attrs.update({"signal": "data", "axes": ["time", ".", "."], "time_indices": 0})


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One frame file: how many frames have all of their columns, how many the dataset has room for."""

    file: str
    frames: int
    stored: int
    kind: tuple[tuple[int, int], np.dtype[Any]]
    columns: Mapping[str, NDArray[Any]]


def _part(run_folder: Path, file: str) -> _Part:
    try:
        with h5py.File(run_folder / file, "r") as source:
            data = source[DATA]
            columns = {name: data.parent[name][()] for name in ("number", "measurement", "exposure_s", "ended_s")}
            frames = min(data.shape[0], *(len(column) for column in columns.values()))
            kept = {name: column[:frames] for name, column in columns.items()}
            return _Part(file, frames, data.shape[0], (data.shape[1:], data.dtype), kept)
    except (OSError, KeyError) as error:
        raise OSError(f"{file} can't be read ({error}): `rocksalt recover` makes it readable") from error


def _link_name(file: str) -> str:
    return f"data_{Path(file).stem.removeprefix('frames_')}"


# --- patterns, estimates, decisions ----------------------------------------------------------------------------------


def _powder(entry: h5py.Group, run_folder: Path, info: RunInfo, complete: bool) -> bool:
    """The patterns of reduced.h5: linked while it grows, copied at the end, so that they go where the file goes."""
    if not _has_patterns(run_folder / REDUCED):
        return False
    powder = _group(entry, "powder", "NXdata")
    powder.attrs.update({
        "signal": "intensity", "axes": ["measurement", "polar_angle"],
        "measurement_indices": 0, "polar_angle_indices": 1,
    })  # fmt: skip
    _value(powder, "title", f"{info.title}: powder patterns")
    if not complete:
        for name, theirs in (
            ("intensity", "intensity"), ("polar_angle", "two_theta_deg"), ("measurement", "measurement")
        ):  # fmt: skip
            powder[name] = h5py.ExternalLink(REDUCED, theirs)
        return True
    with h5py.File(run_folder / REDUCED, "r") as reduced:
        count = min(len(reduced[name]) for name in ("intensity", "variance", "measurement"))
        intensity = _value(powder, "intensity", reduced["intensity"][:count], "counts")
        _value(powder, "intensity_errors", np.sqrt(np.maximum(reduced["variance"][:count], 0.0)), "counts")
        angle = _value(powder, "polar_angle", reduced["two_theta_deg"][()], "degree")
        numbers = reduced["measurement"][:count]
    intensity.attrs.update({"interpretation": "spectrum", "long_name": "intensity (counts)"})
    angle.attrs["long_name"] = "2theta (degree)"
    _value(powder, "measurement", numbers).attrs["long_name"] = "measurement"
    times = np.array([info.measurements.get(int(number), np.nan) for number in numbers])
    time = _value(powder, "time", times, "s")
    time.attrs["long_name"], powder.attrs["time_indices"] = "time since the start of the run (s)", 0
    process = _group(entry, "powder_process", "NXprocess")
    _program(process, info, 1)
    note = _group(process, "configuration", "NXnote")
    _value(note, "type", "text/plain")
    _value(note, "description", info.detector.poni)
    return True


def _has_patterns(path: Path) -> bool:
    """False for a file that is not there or has its PONI and no pattern yet; one that is being written counts."""
    if not path.is_file():
        return False
    try:
        with h5py.File(path, "r") as reduced:
            return "intensity" in reduced
    except OSError:
        return True


def _analysis(entry: h5py.Group, info: RunInfo) -> None:
    if not info.estimates:
        return
    process = _group(entry, "analysis", "NXprocess")
    _program(process, info, 2)
    numbers = np.array([estimate.measurement for estimate in info.estimates])
    phase = _group(process, "phase", "NXdata")
    phase.attrs.update({"signal": "probability", "axes": ["measurement", "label"]})
    probabilities = [[estimate.probabilities.get(label, 0.0) for label in LABELS] for estimate in info.estimates]
    _value(phase, "probability", np.array(probabilities), "")
    _value(phase, "measurement", numbers)
    _value(phase, "label", list(LABELS))
    quantities: tuple[tuple[str, str, list[Measured | None]], ...] = (
        ("pressure", "GPa", [estimate.pressure_gpa for estimate in info.estimates]),
        ("fraction_b2", "", [estimate.fraction_b2 for estimate in info.estimates]),
        ("microstrain", "", [estimate.microstrain for estimate in info.estimates]),
    )
    for name, unit, measured in quantities:
        group = _group(process, name, "NXdata")
        group.attrs.update({"signal": name, "axes": ["measurement"]})
        _value(group, name, np.array([one.value if one else np.nan for one in measured]), unit)
        _value(group, f"{name}_errors", np.array([one.sigma if one else np.nan for one in measured]), unit)
        _value(group, "measurement", numbers)
    said = _group(process, "labels", "NXcollection")
    _value(said, "measurement", numbers)
    _value(said, "label", [estimate.label for estimate in info.estimates])
    _value(said, "reasons", ["; ".join(estimate.reasons) for estimate in info.estimates])
    _value(said, "model", [estimate.model for estimate in info.estimates])
    _value(said, "pressure_scale", [estimate.pressure_scale for estimate in info.estimates])


def _decisions(entry: h5py.Group, decisions: Sequence[DecisionLine]) -> None:
    if not decisions:
        return
    group = _group(entry, "decisions", "NXcollection")
    _value(group, "time", np.array([line.at_s for line in decisions]), "s")
    for name in ("kind", "reason", "runner_up", "json"):
        _value(group, name, [getattr(line, name) for line in decisions])


def _program(process: h5py.Group, info: RunInfo, index: int) -> None:
    _value(process, "program", "rocksalt")
    _value(process, "version", info.program_version)
    _value(process, "date", info.end_time)
    _value(process, "sequence_index", index)


# --- small things ----------------------------------------------------------------------------------------------------


def _group(parent: h5py.Group, name: str, kind: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    return group


def _value(group: h5py.Group, name: str, value: object, unit: str | None = None) -> h5py.Dataset:
    """A field; text and lists of text as UTF-8. Every float is given its unit, "" where it has none."""
    text = isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))
    field_ = group.create_dataset(name, data=value, dtype=TEXT if text else None)
    if unit is not None:
        field_.attrs["units"] = unit
    return field_


def _word(name: str) -> str:
    """A reading's name as NeXus allows one: letters, digits, underscore."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name) or "_"
