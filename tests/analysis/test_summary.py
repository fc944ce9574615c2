"""summary.json: the fixed keys, strict JSON, and nothing in it that the journal alone does not say."""

from __future__ import annotations

import json
import math
from pathlib import Path

from analysis.by_hand import Pen, transition
from rocksalt.analysis.summary import heading, headline, pressure_words, summary_of
from rocksalt.storage import journal
from rocksalt.storage.history import fold
from rocksalt.values import Finish

KEYS = [
    "run", "campaign", "station", "status", "frames", "measurements", "decisions", "dose_gy", "dose_sigma_gy",
    "duration_s", "model", "transitions", "result",
]  # fmt: skip


def test_the_keys_are_those_of_the_contract_in_its_order(night: Pen) -> None:
    summary = summary_of(night.history, [transition()])
    assert list(summary) == KEYS
    assert summary["frames"] == {"taken": 38, "written": 37, "lost": 1}
    assert (summary["run"], summary["campaign"], summary["station"]) == ("kbr-night", "kbr-transition", "simulated-dac")
    assert (summary["status"], summary["measurements"], summary["decisions"]) == ("finished", 18, 19)
    assert summary["model"] == "physics-1"
    assert summary["transitions"] == [transition()]


def test_what_came_of_it_is_one_sentence_with_both_uncertainties(night: Pen) -> None:
    result = summary_of(night.history, [transition()])["result"]
    assert result["sentence"] == (
        "KBr turns from B1 to B2 at 1.853 ± 0.017 (statistical) ± 0.031 (scale) GPa on compression at 300.0 K "
        "(pressure scale: ruby, Dewaele 2012)"
    )
    assert result["why"] == "goal"
    assert result["lost_frames"] == [21]
    assert result["dose_note"] == "photo-absorption upper bound"


def test_the_journals_bytes_give_the_same_summary_as_the_history_in_memory(night: Pen, tmp_path: Path) -> None:
    folder = night.keep(tmp_path / "run")
    again = fold(journal.read(folder.journal).entries)
    first, second = (json.dumps(summary_of(history, [transition()])) for history in (night.history, again))
    assert first == second


def test_dose_is_all_light_that_was_spent_repeats_too(night: Pen) -> None:
    summary = summary_of(night.history, [])
    seconds = 9 * 1.0 + 10 * 3.0  # eight short measurements and one repeat of them, ten long ones
    assert math.isclose(summary["dose_gy"], 2.6e4 * seconds)
    assert math.isclose(summary["dose_sigma_gy"], 5.2e3 * seconds)


def test_a_number_that_is_not_finite_becomes_null(night: Pen) -> None:
    summary = summary_of(night.history, [transition(onset_gpa=math.nan, rate_gpa_per_min=math.inf)])
    text = json.dumps(summary, allow_nan=False)
    assert json.loads(text)["transitions"][0]["onset_gpa"] is None
    assert json.loads(text)["transitions"][0]["rate_gpa_per_min"] is None


def test_nothing_found_says_why(pen: Pen) -> None:
    pen.begin()
    finish = Finish("envelope", "the sample is at 4.95 GPa, the top of the envelope, and no B2 was seen", "")
    pen.end("finished", finish.reason, finish)
    summary = summary_of(pen.history, [])
    assert summary["transitions"] == []
    assert summary["model"] is None
    assert summary["result"]["why"] == "envelope"
    assert summary["result"]["sentence"] == f"No transition was found: {finish.reason}"


def test_a_journal_without_an_end_is_interrupted(pen: Pen) -> None:
    pen.begin()
    pen.measure(0, 0.5, None)
    summary = summary_of(pen.history, [])
    assert summary["status"] == "interrupted"
    assert summary["result"]["sentence"] == "No transition was found: the journal has no end after 1 measurement"


def test_an_empty_history_has_a_summary_too(pen: Pen) -> None:
    summary = summary_of(pen.history, [])
    assert list(summary) == KEYS
    assert summary["frames"] == {"taken": 0, "written": 0, "lost": 0}
    json.dumps(summary, allow_nan=False)


def test_frames_on_disk_of_a_series_that_was_cut_off_count_as_taken(pen: Pen) -> None:
    pen.begin()
    pen.measure(0, 0.5, None)
    cut = next(entry.seq for entry in pen.entries if entry.kind == "series")
    summary = summary_of(fold(pen.entries[:cut]), [])
    assert summary["frames"] == {"taken": 2, "written": 2, "lost": 0}


def test_where_no_flux_is_known_the_dose_says_that_it_was_not_booked(pen: Pen) -> None:
    pen.begin(beam={"flux_ph_per_s": None})
    assert summary_of(pen.history, [])["result"]["dose_note"] == "not booked: the station states no flux"


def test_the_scale_has_the_decimals_of_the_statistics() -> None:
    assert pressure_words(1.8532, 0.0171, 0.05) == "1.853 ± 0.017 (statistical) ± 0.050 (scale) GPa"
    assert pressure_words(1.8, 0.12, None) == "1.80 ± 0.12 (statistical) GPa"
    assert pressure_words(1.8, None, None) == "1.800 GPa"


def test_unloading_turns_the_other_way() -> None:
    down = transition(branch="down", temperature_k=None)
    assert headline(down).startswith("KBr turns from B2 to B1 at 1.853")
    assert "on decompression" in headline(down)
    assert " K " not in headline(down)


def test_the_heading_is_the_number_and_the_line_below_how_well_it_is_known() -> None:
    large, below = heading(transition())
    assert large == "KBr turns from B1 to B2 at 1.853 GPa"
    assert below == (
        "± 0.017 (statistical) ± 0.031 (scale) GPa on compression at 300.0 K; B2 sets in at 1.790 GPa "
        "(pressure scale: ruby, Dewaele 2012)"
    )
