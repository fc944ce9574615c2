"""Where a pixel looks: detector geometry in the PONI convention, computed here and not by the library that others use.

J. Kieffer et al., "pyFAI", J. Synchrotron Rad. 27, 558 (2020) and the PONI format's own documentation: axis 1 is slow
(rows), axis 2 fast (columns), rot1..rot3 in radian, distances in metre, wavelength in metre.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np

from rocksalt.twin.departures import Departures
from rocksalt.values import FloatArray


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sample to detector. Pixels are square; `shape` is (rows, columns)."""

    distance_m: float
    poni1_m: float
    poni2_m: float
    rot1_rad: float
    rot2_rad: float
    rot3_rad: float
    pixel_m: float
    wavelength_angstrom: float
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Rays:
    """For each pixel, (rows, columns): scattering angle, azimuth (0 horizontal), cosine of incidence on the sensor."""

    two_theta_deg: FloatArray
    azimuth_rad: FloatArray
    cos_incidence: FloatArray


def read_poni(text: str, shape: tuple[int, int]) -> Geometry:
    """A PONI file, version 2 or 2.1. Raises ValueError naming what is missing, or a detector of another shape."""
    entries: dict[str, str] = {}
    for line in text.splitlines():
        if ":" in line and not line.lstrip().startswith("#"):
            key, value = line.split(":", 1)
            entries[key.strip().lower()] = value.strip()
    wanted = ("detector_config", "distance", "poni1", "poni2", "rot1", "rot2", "rot3", "wavelength")
    if missing := [name for name in wanted if name not in entries]:
        raise ValueError(f"the geometry (.poni) lacks {', '.join(missing)}: a PONI file of version 2 or 2.1 is needed")
    detector = json.loads(entries["detector_config"])
    if not detector.get("pixel1") or detector.get("pixel1") != detector.get("pixel2"):
        raise ValueError("the geometry's Detector_config needs square pixels: pixel1 and pixel2, equal, in metre")
    if tuple(detector.get("max_shape") or shape) != tuple(shape):
        raise ValueError(f"the geometry is for {detector['max_shape']} pixels, the detector has {list(shape)}")
    number = {name: float(entries[name]) for name in wanted[1:]}
    return Geometry(
        number["distance"], number["poni1"], number["poni2"], number["rot1"], number["rot2"], number["rot3"],
        float(detector["pixel1"]), number["wavelength"] * 1e10, (int(shape[0]), int(shape[1])),
    )  # fmt: skip


def departed(nominal: Geometry, hidden: Departures) -> Geometry:
    """The geometry that the twin really has.

    A calibration knows the beam's centre far better than tilt and PONI each: the tilt turns the detector about the
    centre, and what the centre is off by is its own departure.
    """
    turned = replace(
        nominal,
        distance_m=nominal.distance_m * (1.0 + hidden.calibration.distance_relative),
        rot1_rad=nominal.rot1_rad + hidden.calibration.tilt1_rad,
        rot2_rad=nominal.rot2_rad + hidden.calibration.tilt2_rad,
        wavelength_angstrom=nominal.wavelength_angstrom * (1.0 + hidden.beam.wavelength_relative),
    )
    (row, column), (off_row, off_column) = beam_centre_m(nominal), beam_centre_m(turned)
    return replace(
        turned,
        poni1_m=nominal.poni1_m + row - off_row + hidden.calibration.centre_row_px * nominal.pixel_m,
        poni2_m=nominal.poni2_m + column - off_column + hidden.calibration.centre_column_px * nominal.pixel_m,
    )


def beam_centre_m(geometry: Geometry) -> tuple[float, float]:
    """Where the direct beam meets the detector, in metre along rows and columns."""
    across = geometry.distance_m / np.cos(geometry.rot1_rad)
    return (
        float(geometry.poni1_m + across * np.tan(geometry.rot2_rad)),
        float(geometry.poni2_m - geometry.distance_m * np.tan(geometry.rot1_rad)),
    )


def rays(geometry: Geometry) -> Rays:
    """Angles of every pixel's centre."""
    rows, columns = geometry.shape
    p1 = (np.arange(rows) + 0.5)[:, None] * geometry.pixel_m - geometry.poni1_m
    p2 = (np.arange(columns) + 0.5)[None, :] * geometry.pixel_m - geometry.poni2_m
    distance = geometry.distance_m
    # Rotations about axis 1, then 2, then the beam, of the vector (slow, fast, along the beam).
    c1, s1 = np.cos(geometry.rot1_rad), np.sin(geometry.rot1_rad)
    c2, s2 = np.cos(geometry.rot2_rad), np.sin(geometry.rot2_rad)
    c3, s3 = np.cos(geometry.rot3_rad), np.sin(geometry.rot3_rad)
    slow = p1 * c2 * c3 + p2 * (c3 * s1 * s2 - c1 * s3) - distance * (c1 * c3 * s2 + s1 * s3)
    fast = p1 * c2 * s3 + p2 * (c1 * c3 + s1 * s2 * s3) - distance * (c1 * s2 * s3 - c3 * s1)
    along = p1 * s2 - p2 * c2 * s1 + distance * c1 * c2
    length = np.sqrt(p1**2 + p2**2 + distance**2)
    return Rays(np.degrees(np.arctan2(np.hypot(slow, fast), along)), np.arctan2(slow, fast), distance / length)
