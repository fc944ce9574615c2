"""Columns of numbers in text: which comma is a decimal comma, which line is a heading, and which line is wrong.

Comments begin with #, !, ;, ', % or //. Headings without a mark are taken as such until the first line of numbers;
after it, every line is numbers, a comment, or blank.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from rocksalt.formats.errors import FormatError

_COMMENT: Final = ("#", "!", ";", "'", "%", "//", '"')
_TRAILING: Final = re.compile(r"\s[#!].*$")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?")
_NOT_FINITE: Final = re.compile(r"[+-]?(?:nan|inf|infinity|1\.#\w+)", re.IGNORECASE)
_ANY_GAP: Final = re.compile(r"[\s;]+")
_MAX_HEADING_LINES: Final = 500

Comma = Literal["none", "decimal", "separator"]


@dataclass(frozen=True, slots=True)
class Columns:
    """rows: tuples of 2 or 3 finite numbers; line_numbers: where each stood; header: comments and headings in order."""

    rows: list[tuple[float, ...]]
    line_numbers: list[int]
    header: tuple[str, ...]


def parse_columns(lines: Sequence[str], path: Path, *, first_line: int = 1) -> Columns:
    """Numbers of 2 or 3 columns (angle, intensity, sigma). Raises FormatError that names the line."""
    header, data = _apart(lines, path, first_line)
    if not data:
        raise FormatError(path, "no line of numbers in this file; a pattern is columns of angle and intensity")
    comma = _meaning_of_comma(data, path)
    rows: list[tuple[float, ...]] = []
    for number, line in data:
        row = tuple(_number(token, number, path) for token in _tokens(line, comma))
        _check_width(row, rows, number, path)
        rows.append(row)
    return Columns(rows, [number for number, _ in data], tuple(header))


def _apart(lines: Sequence[str], path: Path, first_line: int) -> tuple[list[str], list[tuple[int, str]]]:
    """Comments and headings on one side, lines of numbers with their line numbers on the other."""
    header: list[str] = []
    data: list[tuple[int, str]] = []
    for number, raw in enumerate(lines, first_line):
        line = raw.strip()
        if not line:
            continue
        if line.startswith(_COMMENT):
            header.append(line)
            continue
        line = _TRAILING.sub("", line)
        if _looks_numeric(line):
            data.append((number, line))
        elif data:
            raise FormatError(
                path,
                f"expected numbers, found {_short(line)}; mark a comment with # in front, or remove the line",
                line=number,
            )
        else:
            header.append(line)
            if len(header) > _MAX_HEADING_LINES:
                raise FormatError(
                    path, "more than 500 lines without a number; this is no pattern of columns", line=number
                )
    return header, data


def _looks_numeric(line: str) -> bool:
    tokens = [part for part in re.split(r"[\s;,]+", line) if part]
    return bool(tokens) and all(_NUMBER.fullmatch(part) or _NOT_FINITE.fullmatch(part) for part in tokens)


def _meaning_of_comma(data: Sequence[tuple[int, str]], path: Path) -> Comma:
    """Decided over the whole file: one line alone can often be read both ways."""
    with_comma = [(number, line) for number, line in data if "," in line]
    if not with_comma:
        return "none"
    for number, line in with_comma:  # evidence that a single line gives beyond doubt
        if re.search(r",\s|\s,|,$|,;|;,", line):
            return "separator"
        tokens = [part for part in _ANY_GAP.split(line) if part]
        if len(tokens) > 1:
            for token in tokens:
                if "." in token and "," in token:
                    raise FormatError(
                        path,
                        f"{_short(token)} has a point and a comma; write numbers without thousands separators",
                        line=number,
                    )
            return "decimal"
    if any("." in line for _, line in data):
        return "separator"
    number, line = with_comma[0]
    raise FormatError(
        path,
        f"{_short(line)} can be read in two ways, because the comma may separate columns or decimals; "
        "separate columns by a semicolon or a space, or write decimal points",
        line=number,
    )


def _tokens(line: str, comma: Comma) -> Iterator[str]:
    if comma == "separator":
        return (part for part in re.split(r"\s*[,;]\s*|\s+", line.rstrip(",; \t")) if part)
    return (part for part in (_decimal(line) if comma == "decimal" else _ANY_GAP.split(line)) if part)


def _decimal(line: str) -> Iterator[str]:
    for part in _ANY_GAP.split(line):
        # A point in a file of decimal commas, or two commas, is left standing: _number refuses it by its line.
        yield part if "." in part else part.replace(",", ".")


def _number(token: str, line: int, path: Path) -> float:
    if _NOT_FINITE.fullmatch(token):
        raise FormatError(path, f"{token} is no measurement; leave out points that were not measured", line=line)
    if not _NUMBER.fullmatch(token):
        raise FormatError(
            path, f"{_short(token)} is no number; write 12.5, 12,5 (columns apart by spaces) or 1.25e1", line=line
        )
    value = float(token.replace("d", "e").replace("D", "e"))
    if not math.isfinite(value):
        raise FormatError(path, f"{token} is beyond what a 64-bit number holds", line=line)
    return value


def _check_width(row: tuple[float, ...], rows: Sequence[tuple[float, ...]], line: int, path: Path) -> None:
    if len(row) < 2:
        raise FormatError(path, "one column only; a pattern needs the angle and the intensity on each line", line=line)
    if len(row) > 3:
        raise FormatError(
            path,
            f"{len(row)} columns; at most three are understood: angle, intensity and its standard uncertainty",
            line=line,
        )
    if rows and len(row) != len(rows[0]):
        raise FormatError(
            path, f"{len(row)} columns where the lines before have {len(rows[0])}; is the line torn?", line=line
        )


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
