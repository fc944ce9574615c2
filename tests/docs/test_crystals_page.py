"""The page on the salts has every row of the tables, with the numbers, scale and source that the program uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocksalt.cli.crystal import crystal_answer
from rocksalt.crystals.colour_centres import BANDS, Bands
from rocksalt.crystals.elasticity import ELASTIC, Elastic
from rocksalt.crystals.scales import SCALES
from rocksalt.crystals.tables import ALTERNATIVES, MODEL_PHASES, PHASES, Phase
from rocksalt.crystals.transition import TRANSITIONS, Transition

TEXT = (Path(__file__).parents[2] / "docs/reference/crystals.md").read_text("utf-8")
ROWS = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in TEXT.splitlines() if line.startswith("|")]
EVERY = [*PHASES.values(), *(row for rows in ALTERNATIVES.values() for row in rows)]


def rows_of(name: str, cells: int) -> list[list[str]]:
    return [row for row in ROWS if row[0] == name and len(row) == cells]


@pytest.mark.parametrize("row", EVERY, ids=lambda row: f"{row.name} {row.scale}")
def test_a_phase_has_its_row(row: Phase) -> None:
    (found,) = [cells for cells in rows_of(row.name, 10) if cells[7] == row.scale]
    assert found[1] == row.form
    assert found[2] == f"{row.v0_a3:g} ± {row.v0_sigma_a3:g}"
    assert found[3] == f"{row.k0_gpa:g} ± {row.k0_sigma_gpa:g}"
    assert found[4].startswith(f"{row.k0p:g} ± {row.k0p_sigma:g}")
    assert (row.k0pp_per_gpa is None) or found[4].endswith(f"K″ {row.k0pp_per_gpa:g}")
    assert found[5] == f"{row.range_gpa[0]:g}–{row.range_gpa[1]:g}"
    assert found[6] == f"{row.debye_k:g} / {row.gamma0:g} / {row.q:g}"
    assert found[8] == row.reference
    assert found[9] == (", ".join(f"`{name}`" for name in row.unconfirmed) or "nothing")


def test_the_page_has_no_phase_that_the_table_has_not() -> None:
    assert sum(len(row) == 10 and row[0] not in ("phase", "---") for row in ROWS) == len(EVERY)


@pytest.mark.parametrize("row", ELASTIC.values(), ids=lambda row: f"{row.salt} {row.structure}")
def test_elastic_constants_have_their_row(row: Elastic) -> None:
    (found,) = rows_of(f"{row.salt} {row.structure}", 6)
    for cell, numbers in zip(found[1:4], (row.warm_gpa, row.cold_gpa, row.per_gpa), strict=True):
        assert cell == (", ".join(f"{number:g}" for number in numbers) if numbers else "–")
    assert found[5] == (", ".join(f"`{name}`" for name in row.unconfirmed) or "nothing")


@pytest.mark.parametrize("row", TRANSITIONS.values(), ids=lambda row: row.salt)
def test_a_transition_has_its_row(row: Transition) -> None:
    (found,) = rows_of(row.salt, 7)
    assert found[1:3] == [f"{row.equilibrium_gpa:g}", f"{row.forward_gpa[0]:g}–{row.forward_gpa[1]:g}"]
    assert found[4:6] == [f"{100 * row.volume_step:g} %", row.intermediate or "–"]


@pytest.mark.parametrize("row", BANDS.values(), ids=lambda row: row.salt)
def test_bands_have_their_row(row: Bands) -> None:
    (found,) = rows_of(row.salt, 9)
    assert found[1:3] == [f"{row.f_ev:g}", f"{row.f_width_ev:g}"]
    assert found[8] == ", ".join(f"`{name}`" for name in row.unconfirmed)


def test_scales_the_models_phases_and_the_commands_keys_are_named() -> None:
    for scale in SCALES.values():
        assert rows_of(scale.name, 4)[0][3] == scale.reference
    for key in MODEL_PHASES:
        assert PHASES[key].name in TEXT
    answer = crystal_answer("KBr", "B1", pressure_gpa=1.0, volume_a3=None, wavelength_angstrom=0.4)
    named = {word for row in ROWS for cell in row[:1] for word in cell.replace("`", "").split(", ")}
    assert set(answer) - {"formula_units", "wavelength_angstrom"} <= named
