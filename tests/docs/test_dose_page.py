"""The hand calculation in docs/explanation/dose.md is of the shipped files, and comes out where the program does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rocksalt.config.units import KEV_ANGSTROM
from rocksalt.crystals.absorption import dose_rate_gy_per_s

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs/explanation/dose.md").read_text("utf-8")


@pytest.fixture(scope="module")
def beam() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "config/stations/simulated-dac.toml").read_text("utf-8"))["beam"]
    return found


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    read = tomllib.loads((ROOT / "config/campaigns/kbr-transition.toml").read_text("utf-8"))
    found: dict[str, Any] = read["sample"]
    return found


def row(page: str, name: str) -> str:
    """What the table of inputs says of `name`."""
    match = re.search(rf"^\| {re.escape(name)} \| (.*) \|$", page, re.MULTILINE)
    assert match is not None, f"the page has no row {name}"
    return match[1]


def numbers(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]


def test_the_page_calculates_with_the_shipped_files(page: str, beam: dict[str, Any], sample: dict[str, Any]) -> None:
    assert numbers(row(page, "wavelength")) == [beam["wavelength_angstrom"]]
    assert numbers(row(page, "flux at the sample")) == [beam["flux_ph_per_s"], beam["flux_sigma_ph_per_s"]]
    assert numbers(row(page, "beam, full width at half maximum")) == beam["size_um"]
    assert row(page, "sample").startswith(sample["salt"])
    assert numbers(row(page, "sample")) == [sample["thickness_um"]]


def test_the_hand_calculation_and_the_program_agree_within_a_factor_of_two(
    page: str, beam: dict[str, Any], sample: dict[str, Any]
) -> None:
    match = re.search(r"^> dose rate = (\S+) Gy/s$", page, re.MULTILINE)
    assert match is not None
    program = dose_rate_gy_per_s(
        sample["salt"],
        beam["flux_ph_per_s"],
        KEV_ANGSTROM / beam["wavelength_angstrom"],
        beam_size_m=(beam["size_um"][0] * 1e-6, beam["size_um"][1] * 1e-6),
        thickness_m=sample["thickness_um"] * 1e-6,
    )
    assert 0.5 < float(match[1]) / program < 2.0


def test_the_steps_of_the_hand_calculation_follow_from_one_another(page: str) -> None:
    by_step = dict(re.findall(r"^\*\*(\d)\. (.*?)(?=^\*\*\d|^> )", page, re.MULTILINE | re.DOTALL))
    power, share = numbers(by_step["2"])[-1], numbers(by_step["6"])[0]
    absorbed, mass = numbers(by_step["6"])[-1], numbers(by_step["7"])[-1]
    assert numbers(by_step["2"])[0] * numbers(by_step["2"])[1] == pytest.approx(power, rel=0.01)
    assert share * power == pytest.approx(absorbed, rel=0.01)
    stated = re.search(r"^> dose rate = (\S+) Gy/s$", page, re.MULTILINE)
    assert stated is not None
    assert absorbed / mass == pytest.approx(float(stated[1]), rel=0.01)
