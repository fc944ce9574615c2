"""One-dimensional patterns on disk: .xy .xye .asc .chi .xrdml, read into one plain value, and .xy/.xye written.

Every failure is a FormatError whose sentence names the file, the line, the rule and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np

from rocksalt.formats.columns import parse_columns
from rocksalt.formats.errors import FormatError
from rocksalt.formats.header import AxisKind, axis_of, wavelength_of
from rocksalt.formats.pattern_file import MIN_POINTS, PatternFile, ascending
from rocksalt.formats.text import decode, lines_of, read_bytes
from rocksalt.values import FloatArray


def read_pattern(path: Path | str) -> PatternFile:
    """Read a pattern by its suffix: .xy .xye .asc .chi .xrdml, and .txt .dat .csv as columns. Raises FormatError."""
    path = Path(path)
    content = read_bytes(path)  # first, so that "no such file" is said before anything about suffixes
    suffix = path.suffix.lower()
    if suffix == ".xrdml":
        from rocksalt.formats.xrdml import read_xrdml  # the XML parser is loaded for XML alone

        return read_xrdml(content, path)
    if suffix not in _READERS:
        raise FormatError(path, f"the suffix {suffix!r} is not known; patterns end in {', '.join(PATTERN_SUFFIXES)}")
    return _READERS[suffix](lines_of(decode(content, path)), path)


def write_pattern(pattern: PatternFile, path: Path | str) -> None:
    """Write two columns, or three with sigma; the header names axis and wavelength so that read_pattern finds them.

    UTF-8, LF; numbers are written so that they come back bit for bit.
    """
    path = Path(path)
    titles = {"2theta": "2th_deg", "q": "q_A^-1", "d": "d_A", None: "axis"}
    lines = [line if line.startswith("#") else f"# {line}" for line in pattern.header]
    if pattern.wavelength_angstrom is not None and wavelength_of(lines) is None:
        lines.append(f"# Wavelength: {pattern.wavelength_angstrom!r} A")
    lines.append(f"# {titles[pattern.axis_kind]}\t I" + ("\t sigma" if pattern.sigma is not None else ""))
    columns = [pattern.axis, pattern.intensity] + ([] if pattern.sigma is None else [pattern.sigma])
    lines += ["\t".join(repr(float(value)) for value in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _read_columns(lines: Sequence[str], path: Path) -> PatternFile:
    return _assemble(lines, path, first_line=1, titles=())


def _read_chi(lines: Sequence[str], path: Path) -> PatternFile:
    """Fit2D's form: four lines (title, axis, intensity, number of points), then columns; or pyFAI's, # and columns."""
    start = next(
        (index for index, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), None
    )
    if start is None:
        raise FormatError(
            path, "no line of numbers in this file; a .chi file is four lines of header, then angle and intensity"
        )
    if start > 0 and len(lines[start].split()) > 1 and axis_of(lines[:start]) is not None:
        return _read_columns(lines, path)
    if len(lines) < start + 5:
        raise FormatError(
            path, "a .chi file is four lines of header, then angle and intensity; this one ends before", line=len(lines)
        )
    announced = lines[start + 3].split()
    if not announced or not re.fullmatch(r"\d{1,9}", announced[0]):
        raise FormatError(
            path,
            f"the fourth line of a .chi file is the number of points, here it is {lines[start + 3][:40]!r}",
            line=start + 4,
        )
    result = _assemble(lines[start + 4 :], path, first_line=start + 5, titles=tuple(lines[: start + 3]))
    if len(result.axis) != int(announced[0]):
        raise FormatError(
            path,
            f"{announced[0]} points are announced and {len(result.axis)} are there; was the file cut?",
            line=start + 4,
        )
    return result


def _assemble(lines: Sequence[str], path: Path, *, first_line: int, titles: tuple[str, ...]) -> PatternFile:
    columns = parse_columns(lines, path, first_line=first_line)
    header = titles + columns.header
    table = np.array(columns.rows, dtype=np.float64)
    if len(table) < MIN_POINTS:
        raise FormatError(path, f"{len(table)} points are no pattern; at least {MIN_POINTS} are needed")
    axis, sigma = table[:, 0], table[:, 2] if table.shape[1] == 3 else None

    def line_of(index: int) -> int:
        return columns.line_numbers[index]

    if sigma is not None and np.any(sigma < 0):
        at = int(np.flatnonzero(sigma < 0)[0])
        raise FormatError(
            path,
            f"the third column is {sigma[at]:g}; it is taken as a standard uncertainty and can't be negative",
            line=line_of(at),
        )
    upward = ascending(axis, path, line_of)
    named = axis_of(header)
    if named == "radius":
        raise FormatError(path, "the axis is a radius on the detector; integrate to 2θ, q or d instead")
    kind, factor = (named.kind, named.factor) if named is not None else (None, 1.0)
    _check_range(axis * factor, kind, path, line_of)
    order = slice(None) if upward else slice(None, None, -1)
    return PatternFile(
        path=path,
        axis=np.ascontiguousarray(axis[order] * factor),
        axis_kind=kind,
        intensity=np.ascontiguousarray(table[order, 1]),
        sigma=None if sigma is None else np.ascontiguousarray(sigma[order]),
        wavelength_angstrom=wavelength_of(header),
        header=header,
        notes=() if upward else ("the axis runs downwards in the file and was turned round",),
    )


def _check_range(axis: FloatArray, kind: AxisKind | None, path: Path, line_of: Callable[[int], int | None]) -> None:
    limits: dict[AxisKind, tuple[float, float, Literal["degrees", "1/Å", "Å"]]] = {
        "2theta": (-180.0, 180.0, "degrees"),
        "q": (0.0, 100.0, "1/Å"),
        "d": (0.0, 10_000.0, "Å"),
    }
    if kind is None:
        return
    low, high, unit = limits[kind]
    outside = np.flatnonzero((axis < low) | (axis > high))
    if len(outside):
        at = int(outside[0])
        raise FormatError(
            path,
            f"{axis[at]:g} {unit} is outside {low:g} to {high:g} {unit}, where {kind} lies; is the axis another?",
            line=line_of(at),
        )


_READERS: Final[dict[str, Callable[[Sequence[str], Path], PatternFile]]] = {
    ".xy": _read_columns,
    ".xye": _read_columns,
    ".asc": _read_columns,
    ".txt": _read_columns,
    ".dat": _read_columns,
    ".csv": _read_columns,
    ".chi": _read_chi,
}
PATTERN_SUFFIXES: Final = (".xy", ".xye", ".asc", ".chi", ".xrdml", ".txt", ".dat", ".csv")
