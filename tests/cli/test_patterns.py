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


def kbr(
    path: Path, form: str = "{:.4f} {:.2f}\n", newline: str = "\n", bom: bytes = b"", descending: bool = False
) -> Path:
    """KBr in B1 at ambient pressure, a = 6.6 Å, made here by Bragg's law."""
    angle = np.arange(4.0, 25.0, 0.01)
    counts = np.full_like(angle, 100.0)
    for h, k, l, strength in (
        (1, 1, 1, 0.1),
        (2, 0, 0, 1.0),
        (2, 2, 0, 0.7),
        (2, 2, 2, 0.25),
        (4, 0, 0, 0.15),
        (4, 2, 0, 0.35),
        (4, 2, 2, 0.2),
    ):
        at = 2 * np.degrees(np.arcsin(WAVELENGTH * np.sqrt(h * h + k * k + l * l) / (2 * 6.598)))
        counts += 20000 * strength * np.exp(-(((angle - at) / 0.04) ** 2))
    rows = list(zip(angle, np.round(counts), strict=True))
    text = "".join(form.format(*row) for row in (reversed(rows) if descending else rows))
    path.write_bytes(bom + text.replace("\n", newline).encode())
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
    assert {result["label"] for result in found.values()} == {"B1"}
    cells = {round(result["phases"][0]["a_angstrom"], 4) for result in found.values()}
    assert len(cells) == 1
    assert cells.pop() == pytest.approx(6.598, abs=0.01)


def test_what_cannot_be_read_gets_its_sentence_and_the_rest_is_answered(desk: Desk) -> None:
    good = kbr(desk.here / "good.xy")
    (desk.here / "empty.xy").touch()
    (desk.here / "words.xy").write_text("no numbers here\nnone at all\n")
    (desk.here / "folder.xy").mkdir()
    with h5py.File(desk.here / "nodata.h5", "w") as file:
        file["something/else"] = 3
    (desk.here / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\nbroken")
    (desk.here / "wrong.h5")
    with h5py.File(desk.here / "shape.h5", "w") as file:
        file["entry/data/data"] = np.ones((1, 100, 200), np.uint32)
    (desk.here / "geometry.poni").write_text(PONI)
    names = ["empty.xy", "words.xy", "folder.xy", "nodata.h5", "broken.h5", "shape.h5", "missing.xy"]
    status, found = identified(
        desk, good, *(desk.here / name for name in names), "--wavelength", WAVELENGTH, "--poni", "geometry.poni"
    )
    assert status == 1
    assert found["good.xy"]["label"] == "B1"
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
    [("0", "--wavelength"), ("-1", "--wavelength"), ("nan", "--wavelength"), ("0.04133", "nanomet")],
)
def test_a_wavelength_that_is_none_is_refused(desk: Desk, value: str, fragment: str) -> None:
    said = desk.rocksalt("identify", kbr(desk.here / "good.xy"), "--wavelength", value)
    answers(said, 2, fragment, "Å")
    assert said.out == ""
