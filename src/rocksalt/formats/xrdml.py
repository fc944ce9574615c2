"""PANalytical's .xrdml, schema 1.x and 2.x: one scan of 2θ, with its wavelength and whether it holds counts.

XML is read by defusedxml, so that entities and document types from a foreign file are refused, not expanded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rocksalt.formats.errors import FormatError
from rocksalt.formats.pattern_file import MIN_POINTS, PatternFile, ascending
from rocksalt.values import FloatArray

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


@dataclass(frozen=True, slots=True)
class _Scan:
    number: int
    complete: bool
    two_theta_deg: FloatArray
    intensity: FloatArray
    variance: FloatArray | None
    counts: bool
    seconds: float | None


def read_xrdml(content: bytes, path: Path) -> PatternFile:
    """Parse an .xrdml file's bytes. Raises FormatError.

    Scans over the same angles with the same counting time are summed where they hold counts; else the first complete
    one is taken; `notes` says which.
    """
    root = _parse(content, path)
    if _local(root) != "xrdMeasurements":
        raise FormatError(path, f"the root element is <{_local(root)}>; an .xrdml file has <xrdMeasurements>")
    measurement = _child(root, "xrdMeasurement")
    if measurement is None:
        raise FormatError(path, "no <xrdMeasurement> in this file")
    elements = _children(measurement, "scan")
    if not elements:
        raise FormatError(path, "no <scan> in this measurement")
    scans = [_scan(element, number, path) for number, element in enumerate(elements, 1)]
    scan, notes = _choose(scans, path)
    wavelength, k_alpha2, ratio = _wavelengths(measurement, path)
    upward = ascending(scan.two_theta_deg, path, lambda _: None)
    order = slice(None) if upward else slice(None, None, -1)
    return PatternFile(
        path=path,
        axis=np.ascontiguousarray(scan.two_theta_deg[order]),
        axis_kind="2theta",
        intensity=np.ascontiguousarray(scan.intensity[order]),
        sigma=None if scan.variance is None else np.sqrt(scan.variance[order]),
        wavelength_angstrom=wavelength,
        k_alpha2_angstrom=k_alpha2,
        k_alpha2_ratio=ratio,
        counts=scan.counts,
        notes=tuple(notes),
    )


def _parse(content: bytes, path: Path) -> Element:
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise FormatError(
            path, "the XML declares a document type or entities, which an .xrdml file has no use for; refused"
        ) from error
    except ParseError as error:
        line, column = error.position
        raise FormatError(path, f"no well-formed XML (column {column}); was the file cut?", line=line) from error
    except (ValueError, LookupError) as error:  # an encoding that is unknown, or not kept
        raise FormatError(path, f"no readable XML: {error}") from error
    return root


def _scan(element: Element, number: int, path: Path) -> _Scan:
    where = f"scan {number}"
    points = _child(element, "dataPoints")
    if points is None:
        raise FormatError(path, f"{where} has no <dataPoints>")
    counted, corrected = _child(points, "counts"), _child(points, "intensities")
    source = counted if counted is not None else corrected
    if source is None:
        raise FormatError(path, f"{where} has neither <counts> (schema 2) nor <intensities> (schema 1)")
    intensity = _numbers(source, f"{where}, <{_local(source)}>", path)
    seconds = _seconds(points, where, path)
    if source.get("unit", "counts") == "cps":
        if seconds is None:
            raise FormatError(path, f"{where} is in counts per second without a counting time; export counts")
        intensity = np.rint(intensity * seconds)
    factors = _child(points, "beamAttenuationFactors")
    variance, counts = None, True
    if factors is not None:
        attenuation = _numbers(factors, f"{where}, <beamAttenuationFactors>", path)
        if attenuation.shape != intensity.shape or np.any(attenuation <= 0):
            raise FormatError(
                path,
                f"{where}: {len(attenuation)} attenuation factors for {len(intensity)} points; each needs one above 0",
            )
        counts = bool(np.all(attenuation == 1.0))
        # <counts> are what the detector saw behind the absorber; <intensities> of schema 1 are corrected already.
        seen = intensity if counted is not None else intensity / attenuation
        intensity = seen * attenuation
        variance = None if counts else np.maximum(seen, 1.0) * attenuation**2
    two_theta = _two_theta(points, len(intensity), where, path)
    return _Scan(
        number, element.get("status", "Completed") == "Completed", two_theta, intensity, variance, counts, seconds
    )


def _two_theta(points: Element, size: int, where: str, path: Path) -> FloatArray:
    positions = next((each for each in _children(points, "positions") if each.get("axis") == "2Theta"), None)
    if positions is None:
        raise FormatError(path, f"{where} has no positions of the axis 2Theta")
    if positions.get("unit", "deg") != "deg":
        raise FormatError(path, f"{where}: 2Theta is in {positions.get('unit')!r}; degrees are understood")
    if (listed := _child(positions, "listPositions")) is not None:
        axis = _numbers(listed, f"{where}, <listPositions>", path)
        if len(axis) != size:
            raise FormatError(path, f"{where}: {len(axis)} positions for {size} intensities; was the file cut?")
        return axis
    ends = [_child(positions, name) for name in ("startPosition", "endPosition")]
    if ends[0] is None or ends[1] is None:
        raise FormatError(
            path, f"{where}: 2Theta stands still; a pattern needs a scan over 2Theta (Gonio or 2Theta axis)"
        )
    start, end = (_numbers(each, f"{where}, 2Theta", path)[0] for each in ends if each is not None)
    if start == end or size < MIN_POINTS:
        raise FormatError(path, f"{where}: {size} points from {start:g} to {end:g} degrees are no pattern")
    return np.linspace(start, end, size)


def _choose(scans: list[_Scan], path: Path) -> tuple[_Scan, list[str]]:
    """One scan out of several, and the sentence that says how."""
    complete = [scan for scan in scans if scan.complete]
    if not complete:
        scan = scans[0]
        return scan, [f"scan {scan.number} was not completed when the file was written"]
    first = complete[0]
    if len(scans) == 1:
        return first, []
    alike = [
        scan
        for scan in complete
        if scan.counts and scan.seconds == first.seconds and np.array_equal(scan.two_theta_deg, first.two_theta_deg)
    ]
    if first.counts and len(alike) == len(complete) > 1:
        total = np.sum([scan.intensity for scan in alike], axis=0)
        return (
            _Scan(first.number, True, first.two_theta_deg, total, None, True, first.seconds),
            [f"{len(alike)} complete scans over the same angles were summed (of {len(scans)} in the file)"],
        )
    return first, [f"the file holds {len(scans)} scans; the first complete one (scan {first.number}) was taken"]


def _wavelengths(measurement: Element, path: Path) -> tuple[float | None, float | None, float | None]:
    used = _child(measurement, "usedWavelength")
    if used is None:
        return None, None, None
    found: dict[str, float] = {}
    for name in ("kAlpha1", "kAlpha2", "ratioKAlpha2KAlpha1"):
        if (element := _child(used, name)) is not None and (element.text or "").strip():
            value = float(_numbers(element, f"<{name}>", path)[0])
            found[name] = value * (10.0 if element.get("unit", "").lower() in {"nm", "nanometer"} else 1.0)
    alpha1, alpha2, ratio = found.get("kAlpha1"), found.get("kAlpha2"), found.get("ratioKAlpha2KAlpha1")
    if alpha1 is None or not 0.05 < alpha1 < 5.0:
        return None, None, None
    if used.get("intended", "") == "K-Alpha 1" or alpha2 is None or not ratio:
        return alpha1, None, None
    return alpha1, alpha2, ratio


def _seconds(points: Element, where: str, path: Path) -> float | None:
    element = _child(points, "commonCountingTime")
    if element is None:
        return None
    seconds = float(_numbers(element, f"{where}, <commonCountingTime>", path)[0])
    if seconds <= 0:
        raise FormatError(path, f"{where}: a counting time of {seconds:g} s")
    return seconds


def _numbers(element: Element, where: str, path: Path) -> FloatArray:
    try:
        values = np.array(
            [float(token) for token in (element.text or "").split() if "_" not in token], dtype=np.float64
        )
    except ValueError as error:
        raise FormatError(path, f"{where}: {error}") from error
    if not len(values):
        raise FormatError(path, f"{where} is empty")
    if not np.all(np.isfinite(values)):
        raise FormatError(path, f"{where}: value {int(np.flatnonzero(~np.isfinite(values))[0]) + 1} is not finite")
    return values


def _local(element: Element) -> str:
    """Name without namespace; the schema's number stands in the namespace and changes with every release."""
    return str(element.tag).rpartition("}")[2]


def _child(element: Element, name: str) -> Element | None:
    return next((child for child in element if _local(child) == name), None)


def _children(element: Element, name: str) -> list[Element]:
    return [child for child in element if _local(child) == name]
