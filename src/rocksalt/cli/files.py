"""The files and options of a command, read and checked before anything starts: everything that is wrong, at once."""

from __future__ import annotations

import math
import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from rocksalt.cli.answers import Usage
from rocksalt.config.campaign import Campaign
from rocksalt.config.check import check
from rocksalt.config.errors import ConfigError, Problem, shown
from rocksalt.config.reading import read_campaign, read_station
from rocksalt.config.source import Read
from rocksalt.config.station import Station


def read_both(campaign: Path, station: Path, *, simulated: bool) -> tuple[Read[Campaign], Read[Station]]:
    """Both files, read and checked against one another. Raises ConfigError with every problem of both."""
    from rocksalt.crystals.tables import MODEL_SALTS

    problems: list[Problem] = []
    found: list[Any] = []
    for read, path in ((read_campaign, campaign), (read_station, station)):
        try:
            found.append(read(path))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    drivers = [point.name for point in entry_points(group="rocksalt.drivers")]
    problems = check(found[0], found[1], MODEL_SALTS, drivers, simulated=simulated)
    if problems := problems or geometry_problems(found[1]):
        raise ConfigError(problems)
    return found[0], found[1]


def geometry_problems(station: Read[Station]) -> list[Problem]:
    """What keeps the station's PONI from being its detector's and its beam's."""
    from rocksalt.cli.simulating import poni_text
    from rocksalt.diffraction.geometry import Geometry, GeometryError
    from rocksalt.diffraction.wavelength import AGREE

    value, source = station.value, station.source
    name, key = shown(str(value.geometry.poni)), ("geometry", "poni")
    try:
        geometry = Geometry.from_poni(poni_text(station) + "\n")
    except GeometryError as error:
        rule = str(error).replace("PONI text", "the file")
        return [source.problem(key, rule, "", name)]
    found: list[Problem] = []
    for device_name, device in value.devices.items():
        if device.shape is None or geometry.detector_shape is None:
            continue
        rows, columns = geometry.detector_shape
        if tuple(device.shape) != (rows, columns):
            where = f"{source.path}:{source.line(('devices', device_name, 'shape'))}"
            rule = (
                f"the PONI is of a detector of {rows} x {columns} pixels (rows x columns), and {device_name}.shape "
                f"is {list(device.shape)} ({where})"
            )
            hint = f"give the PONI that was calibrated for this detector, or write shape = [{rows}, {columns}]"
            found.append(source.problem(key, rule, hint, name))
    beam = value.beam.wavelength_angstrom
    stated = geometry.wavelength_angstrom
    if stated is not None and abs(stated - beam) > AGREE * beam:
        where = f"{source.path}:{source.line('beam.wavelength_angstrom')}"
        rule = f"the PONI was calibrated at {stated:.6g} Å, and beam.wavelength_angstrom is {beam:.6g} ({where})"
        hint = "distance and wavelength are calibrated together: state the wavelength of the calibration"
        found.append(source.problem(key, rule, hint, name))
    return found


def refuse_speed(speed: float) -> None:
    """Raises Usage for a speed that no clock can have."""
    if not (math.isfinite(speed) and speed > 0):
        raise Usage(f"--speed {speed:g}: a positive number of experiment seconds a second is needed")


def refuse_truth(path: Path | None) -> None:
    """Before anything starts: can the truth be written? Raises Usage."""
    if path is None:
        return
    if path.is_dir():
        raise Usage(f"--truth {path}: this is a folder; name a file in it")
    if not path.parent.is_dir():
        raise Usage(f"--truth {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Usage(f"--truth {path}: this user may not write there; name another file")
