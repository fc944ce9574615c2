"""Patterns as people have them: what can be read is read, what can't gets its sentence, and the others are answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cli.desk import PONI, Desk, answers

WAVELENGTH = 0.4133


LINES = {3: 0.1, 4: 1.0, 8: 0.7, 12: 0.25, 16: 0.15, 20: 0.35, 24: 0.2}  # h² + k² + l²: height


def kbr(path: Path, newline: str = "\n", bom: bytes = b"", descending: bool = False) -> Path:
    """Lines where a cubic cell of 6.598 Å has them, by Bragg's law, without noise."""
    angle = np.arange(4.0, 25.0, 0.01)
    counts = np.full_like(angle, 100.0)
    for squares, height in LINES.items():
        at = 2 * np.degrees(np.arcsin(WAVELENGTH * np.sqrt(squares) / (2 * 6.598)))
        counts += 20000 * height * np.exp(-(((angle - at) / 0.04) ** 2))
    rows = [f"{x:.4f} {y:.2f}{newline}" for x, y in zip(angle, np.round(counts), strict=True)]
    path.write_bytes(bom + "".join(reversed(rows) if descending else rows).encode())
    return path


def identified(desk: Desk, *arguments: object) -> tuple[int, dict[str, Any]]:
    said = desk.rocksalt("identify", *arguments, "--json")
    assert "Traceback" not in said.err
    return said.status, {Path(result["file"]).name: result for result in json.loads(said.out)["results"]}


def test_every_spelling_of_the_same_pattern_reads_the_same(desk: Desk) -> None:
    files = [
        kbr(desk.here / "plain.xy"),
        kbr(desk.here / "crlf.xy", newline="\r\n"),
        kbr(desk.here / "bom.xy", bom=b"\xef\xbb\xbf"),
        kbr(desk.here / "descending.xy", descending=True),
    ]
    comma = desk.here / "comma.xy"
    comma.write_text(files[0].read_text().replace(".", ","))
    status, found = identified(desk, *files, comma, "--wavelength", WAVELENGTH)
    assert status == 0, found
    said = [{key: value for key, value in result.items() if key != "file"} for result in found.values()]
    for result in said:
        result["reasons"] = [reason for reason in result["reasons"] if "turned round" not in reason]
    assert all(result == said[0] for result in said)
    assert said[0]["candidates"] or said[0]["phases"]


def test_what_cannot_be_read_gets_its_sentence_and_the_rest_is_answered(desk: Desk) -> None:
    good = kbr(desk.here / "good.xy")
    (desk.here / "empty.xy").touch()
    (desk.here / "words.xy").write_text("no numbers here\nnone at all\n")
    (desk.here / "folder.xy").mkdir()
    with h5py.File(desk.here / "nodata.h5", "w") as file:
        file["something/else"] = 3
    (desk.here / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\nbroken")
    with h5py.File(desk.here / "shape.h5", "w") as file:
        file["entry/data/data"] = np.ones((1, 100, 200), np.uint32)
    (desk.here / "geometry.poni").write_text(PONI)
    names = ["empty.xy", "words.xy", "folder.xy", "nodata.h5", "broken.h5", "shape.h5", "missing.xy"]
    status, found = identified(
        desk, good, *(desk.here / name for name in names), "--wavelength", WAVELENGTH, "--poni", "geometry.poni"
    )
    assert status == 1
    assert "label" in found["good.xy"]
    for name in names:
        assert set(found[name]) == {"file", "error"}
        assert name in found[name]["error"]
    assert "empty" in found["empty.xy"]["error"]
    assert "no such file" in found["missing.xy"]["error"].lower()
    assert "100 x 200" in found["shape.h5"]["error"]
    assert "514 x 1030" in found["shape.h5"]["error"]


def test_a_wavelength_is_never_assumed(desk: Desk) -> None:
    status, found = identified(desk, kbr(desk.here / "good.xy"))
    assert status == 1
    assert "wavelength left out" in found["good.xy"]["error"]
    assert "--wavelength" in found["good.xy"]["error"]


@pytest.mark.parametrize(
    ("value", "fragment"),
    [("-1", "--wavelength"), ("nan", "--wavelength"), ("0.04133", "in nm, give 0.4133")],
)
def test_a_wavelength_that_is_none_is_refused(desk: Desk, value: str, fragment: str) -> None:
    said = desk.rocksalt("identify", kbr(desk.here / "good.xy"), "--wavelength", value)
    answers(said, 2, fragment, "Å")
    assert said.out == ""
