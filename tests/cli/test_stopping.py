"""Ctrl-C and SIGTERM, whenever they come: shutter closed, pressure held, files closed, summary written, exit 3."""

from __future__ import annotations

import json
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - registers the detector's compression
import pytest

from cli.desk import INTERRUPT, KILL, TERMINATE, Desk, Running, answers, pause, until


def in_good_order(desk: Desk, status: str = "stopped") -> dict[str, Any]:
    """What every end leaves: the shutter closed, files that open, a summary that says how it ended, nothing else."""
    assert desk.states()[-1]["shutter"] == "closed"
    assert desk.states()[-1]["beam"] is False
    summary = desk.summary()
    assert summary["status"] == status
    acknowledged = [line for line in desk.journal() if line["kind"] == "acknowledged"]
    for line in acknowledged:
        with h5py.File(desk.folder() / line["file"], "r") as file:
            assert file["/entry/data/data"][line["index"]].shape == (514, 1030)
    assert summary["frames"]["written"] == len(acknowledged)
    with h5py.File(desk.folder() / "run.nxs", "r") as file:
        assert "entry" in file
    assert (desk.folder() / "report.html").stat().st_size > 0
    kinds = desk.kinds()
    assert kinds[-1] == "ended"
    desk.nothing_is_left()
    return summary


def before_it_begins(desk: Desk) -> None:
    until("the folder", desk.folder().exists)


def exposing(desk: Desk) -> None:
    desk.comes("exposing")


def estimating(desk: Desk) -> None:
    desk.comes("series")


@pytest.mark.parametrize("stage", [before_it_begins, exposing, estimating])
def test_a_ctrl_c_at_the_terminal_stops_a_run_in_good_order(desk: Desk, stage: Any) -> None:
    """A terminal's Ctrl-C reaches the whole group: writer and instruments live on until the station is safe."""
    desk.campaign(("seconds = 1.0", "seconds = 5.0"))
    run = desk.run(speed=60)
    stage(desk)
    run.signal_group(INTERRUPT)
    run.signal_group(INTERRUPT)
    answers(run.ends(), 3, "stopped: stopped by Ctrl-C")
    in_good_order(desk)
    assert "Ctrl-C" in desk.journal()[-1]["why"]


def test_a_service_manager_s_sigterm_to_every_process_stops_a_run_in_good_order(desk: Desk) -> None:
    run = desk.run(speed=60)
    desk.comes("exposing")
    pids = json.loads((desk.folder() / "logs" / "processes.json").read_text())
    for process in pids.values():
        Running.signal_process(process["pid"], TERMINATE)
    answers(run.ends(), 3, "stopped by SIGTERM")
    in_good_order(desk)


def test_signals_while_it_is_stopping_change_nothing(desk: Desk) -> None:
    run = desk.run(speed=60)
    desk.comes("exposing")
    run.signal(TERMINATE)
    until("it stops", lambda: "stopping" in [line.get("state") for line in desk.journal()])
    while run.process.poll() is None:  # through making safe, writing run.nxs, summary and report
        run.signal_group(INTERRUPT)
        run.signal(TERMINATE)
        pause()
    answers(run.ends(), 3, "stopped by SIGTERM")
    in_good_order(desk)
    assert [line["state"] for line in desk.journal() if line["kind"] == "state"][-2:] == ["stopping", "stopped"]


def test_a_signal_after_the_end_changes_nothing_and_json_is_alone_on_standard_output(desk: Desk) -> None:
    desk.campaign(("measurements = 3", "measurements = 1"))
    run = desk.run("--json")
    desk.comes("ended")
    while run.process.poll() is None:
        run.signal_group(INTERRUPT)
        pause()
    said = run.ends()
    answers(said, 0, "finished")
    assert json.loads(said.out) == in_good_order(desk, "finished")


def test_a_virtual_run_is_stopped_in_good_order_too(desk: Desk) -> None:
    run = desk.start(
        "run", "campaign.toml", "--station", "station.toml", "--data", "data", "--run", "night", "--virtual",
        "--truth", desk.truth, "--json",
    )  # fmt: skip
    desk.comes("intend", 2)
    run.signal(INTERRUPT)
    said = run.ends()
    answers(said, 3)
    assert json.loads(said.out) == in_good_order(desk)


def test_the_pressure_is_held_where_it_stands(desk: Desk) -> None:
    """Stopped in the middle of a move: the membrane neither goes on to its target nor is let go."""
    desk.campaign(("settle_s = 5.0", "settle_s = 0.0"), ("seconds = 1.0", "seconds = 0.1"))
    simulators, devices = desk.simulators("--any-port", "--truth", desk.truth)
    desk.at(devices)
    run = desk.start("run", "campaign.toml", "--station", "connected.toml", "--data", "data", "--run", "night")
    desk.comes("intend", 2)
    target = [line for line in desk.journal() if line["kind"] == "intend"][1]["measurement"]["setpoints"][
        "membrane_bar"
    ]

    def bar() -> float:
        said = desk.rocksalt("device", "connected.toml", "membrane", "read", "--json")
        return float(json.loads(said.out)["value"])

    start_gpa = desk.states()[-1]["sample_pressure_gpa"]
    until("the membrane moves", lambda: desk.states()[-1]["sample_pressure_gpa"] > start_gpa + 0.005)
    run.signal(INTERRUPT)
    answers(run.ends(), 3)
    first, later = bar(), bar()
    assert abs(first - later) < 0.05 < target - first
    simulators.signal(TERMINATE)
    assert simulators.ends().status == 0
    desk.nothing_is_left()


def test_status_and_stop_know_a_live_run_from_one_that_is_over(desk: Desk) -> None:
    desk.campaign(("settle_s = 5.0", "settle_s = 2000.0"))
    run = desk.run()
    desk.comes("intend")
    live = json.loads(desk.rocksalt("status", "data/night", "--json").out)
    assert live["state"] == "running"
    assert live["pids"]["daemon"] == run.pid
    assert set(live["pids"]) == {"daemon", "writer", "model", "guardian", "monitor"}
    stopped = desk.rocksalt("stop", "data/night", "--json")
    answers(stopped, 0)
    assert json.loads(stopped.out)["state"] == "stopped"
    assert run.process.wait(1) == 3
    in_good_order(desk)
    answers(desk.rocksalt("stop", "data/night"), 2, "data/night is over: it is stopped, and there is nothing to stop")
    over = json.loads(desk.rocksalt("status", "data/night", "--json").out)
    assert set(over["pids"].values()) == {None}


def test_a_killed_daemon_leaves_nothing_running_and_shows_as_interrupted(desk: Desk) -> None:
    run = desk.run(speed=60)
    desk.comes("exposing")
    run.signal(KILL)
    run.ends()
    desk.nothing_is_left()
    said = desk.rocksalt("status", "data/night", "--json")
    answers(said, 0)
    found = json.loads(said.out)
    assert found["state"] == "interrupted"
    assert set(found["pids"].values()) == {None}
    answers(desk.rocksalt("stop", "data/night"), 2, "data/night is interrupted: its daemon died")
    for path in (desk.folder() / "frames").iterdir():
        with h5py.File(path, "r") as file:
            assert file["/entry/data/data"].shape[1:] == (514, 1030)
