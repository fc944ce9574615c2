"""What a person reads while a run goes on: a line a decision with its reason, a line of what was seen, what is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.night import CONFIG, Night, night
from rocksalt.config.reading import read_campaign
from rocksalt.monitor.closing import close_run
from rocksalt.monitor.terminal import Terminal
from rocksalt.storage import records


@pytest.fixture(scope="module")
def quiet_night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return night(tmp_path_factory.mktemp("night"))


def read_aloud(quiet_night: Night, *, quiet: bool = False) -> Terminal:
    campaign = read_campaign(CONFIG / "campaigns/kbr-transition.toml").value
    terminal = Terminal(campaign, speed=60.0, quiet=quiet, folder=Path("data/night"))
    with terminal:
        for entry in quiet_night.entries:
            terminal.listen(entry)
        terminal.ended(quiet_night.ended, close_run(quiet_night.folder))
    return terminal


def test_every_decision_has_its_line_and_its_reason(quiet_night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    read_aloud(quiet_night)
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    for entry in quiet_night.entries:
        if entry.kind == "intend":
            number = entry.data["measurement"]["number"]
            (line,) = [line for line in lines if f"#{number} " in line]
            assert entry.data["reason"] in line
        if entry.kind == "estimated":
            label = records.estimate(entry.data["estimate"]).label
            assert any(label in line and "GPa" in line for line in lines)


def test_the_end_says_how_it_ended_and_where_everything_lies(
    quiet_night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    read_aloud(quiet_night)
    said = capsys.readouterr().err
    assert "finished: " in said
    assert "no transition was found in 3 measurements" in said
    assert "run folder  data/night" in said
    assert "report.html" in said


def test_a_quiet_terminal_says_only_what_is_wrong_and_how_it_ended(
    quiet_night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    read_aloud(quiet_night, quiet=True)
    said = capsys.readouterr().err
    assert "#0" not in said
    assert "finished: " in said


def test_what_is_left_is_the_pace_so_far_times_what_may_come(quiet_night: Night) -> None:
    terminal = read_aloud(quiet_night, quiet=True)
    done_s = [entry.t_s for entry in quiet_night.entries if entry.kind == "done"]
    # 22 of at most 25 measurements may come, at 60 experiment seconds a second
    left_s = quiet_night.entries[-1].t_s / len(done_s) * 22 / 60.0
    minutes, seconds = divmod(round(left_s), 60)
    assert terminal._left() == f"at most {minutes}:{seconds:02d} left"
