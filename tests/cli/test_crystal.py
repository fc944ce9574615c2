"""`rocksalt crystal` as a user types it: one phase, one pressure or volume, and errors that say the limit and its
source."""

from __future__ import annotations

import json
import re

import pytest

from cli.desk import Desk
from rocksalt.cli.crystal import crystal_answer, render
from rocksalt.crystals.eos import OutOfRange
from rocksalt.crystals.tables import PHASES, Phase


def test_a_crystal_is_answered_in_json_with_its_scale_its_source_and_what_is_unconfirmed(desk: Desk) -> None:
    said = desk.rocksalt("crystal", "NaCl", "--phase", "B1", "--pressure-gpa", 5, "--wavelength", 0.4, "--json")
    assert said.status == 0, said.err
    answer = json.loads(said.out)
    assert 100.0 * answer["strain"]["linear"] == pytest.approx(4.76, abs=0.03)
    assert answer["volume_a3"] == pytest.approx(answer["a_angstrom"] ** 3)
    assert answer["pressure_scale"] == "Cu, Shen-Smith 2026"
    assert "Shen and Smith" in answer["source"]
    assert answer["range_gpa"] == [0.0, 31.0]
    assert min(answer[key] for key in ("pressure_sigma", "a_sigma", "volume_sigma", "bulk_modulus_sigma")) > 0.0
    assert [line["hkl"] for line in answer["lines"][:3]] == ["111", "200", "220"]
    assert max(line["intensity"] for line in answer["lines"]) == 100.0
    assert answer["unconfirmed"] == ["B of the cation", "B of the anion"]
    assert not answer["confirmed"]


@pytest.mark.parametrize("row", PHASES.values(), ids=lambda row: row.name)
def test_pressure_and_volume_are_each_others_inverse_for_every_phase(row: Phase) -> None:
    load = 0.5 * sum(row.range_gpa)
    there = crystal_answer(row.salt, row.structure, pressure_gpa=load, volume_a3=None, temperature_k=77.0)
    back = crystal_answer(row.salt, row.structure, pressure_gpa=None, volume_a3=there["volume_a3"], temperature_k=77.0)
    assert back["pressure_gpa"] == pytest.approx(load, rel=1e-9)
    assert (there["strain"] is None) == row.v0_is_fictive
    text = render(there)
    assert ("unconfirmed" in text) == (not row.confirmed)
    assert row.scale in text


def test_a_person_reads_the_lines_too() -> None:
    answer = crystal_answer("KBr", "B1", pressure_gpa=0.0, volume_a3=None, wavelength_angstrom=1.5406)
    text = render(answer)
    assert re.search(r"^ +200 +26\.99", text, re.MULTILINE)
    assert "a = 6.6005" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("NaI", "--phase", "B1", "--pressure-gpa", 1), "no NaI B1 in the table"),
        (("LiF", "--phase", "B2", "--pressure-gpa", 1), "no LiF B2 in the table"),
        (("NaF", "--phase", "B1", "--pressure-gpa", 56), "0 to 25 GPa"),
        (("KBr", "--phase", "B2", "--pressure-gpa", 0), "does not exist without pressure"),
        (("KBr", "--phase", "B1", "--pressure-gpa", 2.7), "0 to 2.5 GPa, the range of its equation of state (Dewaele"),
        (("KBr", "--phase", "B1", "--pressure-gpa", "nan"), "NaN"),
        (("KBr", "--phase", "B1", "--pressure-gpa", 1, "--temperature-k", -4), "outside 1 to 900 K"),
        (("KBr", "--phase", "B1", "--pressure-gpa", 1, "--wavelength", 0), "must be positive"),
        (("KBr", "--phase", "B1", "--volume-a3", -3), "a cell of -3 A3 is outside"),
        (("KBr", "--phase", "B1"), "either --pressure-gpa or --volume-a3"),
        (("KBr", "--phase", "B1", "--pressure-gpa", 1, "--volume-a3", 280), "either --pressure-gpa or --volume-a3"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_exit_2_and_one_sentence(
    desk: Desk, arguments: tuple[object, ...], sentence: str
) -> None:
    said = desk.rocksalt("crystal", *arguments, "--json")
    assert said.status == 2
    assert said.out == ""
    assert sentence in said.err
    assert "Traceback" not in said.err


def test_the_error_is_a_value_error() -> None:
    assert issubclass(OutOfRange, ValueError)
