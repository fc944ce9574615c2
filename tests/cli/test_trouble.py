"""Trouble in a run: an instrument that is silent or dies, a process that is killed, a disk that is full."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cli.desk import KILL, TERMINATE, Desk, Running, answers, until

CONNECTED = ("run", "campaign.toml", "--station", "connected.toml", "--data", "data", "--run", "night")


def pids(desk: Desk) -> dict[str, int]:
    told = json.loads((desk.folder() / "logs" / "processes.json").read_text())
    return {name: process["pid"] for name, process in told.items()}


def test_an_instrument_that_is_not_there_is_named_and_the_station_is_left_safe(desk: Desk) -> None:
    simulators, devices = desk.simulators(
        "--any-port", "--only", "temperature", "--only", "interlock", "--only", "detector", "--truth", desk.truth
    )
    desk.at(devices)
    said = desk.rocksalt(*CONNECTED)
    answers(
        said, 1, r"failed: membrane: no connection to tcp://127\.0\.0\.1:5025.*is it switched on.*connected\.toml:\d+"
    )
    assert desk.summary()["status"] == "failed"
    assert desk.states()[-1]["shutter"] == "closed"
    simulators.signal(TERMINATE)
    assert simulators.ends().status == 0
    desk.nothing_is_left()


def test_an_instrument_that_never_answers_is_named_with_question_and_deadline(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        desk.station(("127.0.0.1:5025", f"127.0.0.1:{port}"))
        said = desk.rocksalt("device", "station.toml", "membrane", "read")
    answers(said, 1, r"membrane: .*\*IDN\?.* within 2 s", rf"tcp://127\.0\.0\.1:{port}")


def test_an_instrument_that_dies_holds_the_run_and_lets_it_go_on_when_it_is_back(desk: Desk) -> None:
    """The membrane's controller is switched off and on: held, named, found again, released; then a person stops it."""
    desk.campaign(("settle_s = 5.0", "settle_s = 0.0"), ("seconds = 1.0", "seconds = 0.1"))
    membrane, first = desk.simulators("--any-port", "--only", "membrane")
    _, rest = desk.simulators(
        "--any-port", "--only", "temperature", "--only", "interlock", "--only", "detector", "--truth", desk.truth
    )
    desk.at(first | rest)
    run = desk.start(*CONNECTED)
    desk.comes("reached")
    membrane.signal(KILL)
    desk.comes("held")
    held = next(line for line in desk.journal() if line["kind"] == "held")
    assert held["hold"] == "link membrane"
    port = first["membrane"]["tcp"].rpartition(":")[2]
    again = desk.station(("127.0.0.1:5025", f"127.0.0.1:{port}"))
    desk.simulators("--only", "membrane", station=again.name)
    desk.comes("released")
    assert "Pace5000" in next(line for line in desk.journal() if line["kind"] == "released")["why"]
    desk.comes("done")
    run.signal(TERMINATE)
    answers(run.ends(), 3, "held: membrane", "released: membrane is back")
    assert desk.states()[-1]["shutter"] == "closed"


def test_another_instrument_at_the_address_is_not_taken_for_the_one_that_was_lost(desk: Desk) -> None:
    membrane, first = desk.simulators("--any-port", "--only", "membrane")
    _, rest = desk.simulators("--any-port", "--only", "temperature", "--only", "interlock", "--only", "detector")
    desk.at(first | rest)
    run = desk.start(*CONNECTED)
    desk.comes("intend")
    membrane.signal(KILL)
    (desk.here / "impostor.toml").write_text('[options.membrane]\nidentity = "ACME,Pump 3,0,1"\n')
    port = first["membrane"]["tcp"].rpartition(":")[2]
    station = desk.station(("127.0.0.1:5025", f"127.0.0.1:{port}"))
    desk.simulators("--only", "membrane", "--faults", "impostor.toml", station=station.name)
    until("the impostor is named", lambda: any("ACME" in str(line.get("what")) for line in desk.journal()))
    assert "released" not in desk.kinds()
    run.signal(TERMINATE)
    answers(run.ends(), 3, "'ACME,Pump 3,0,1' answers at tcp://127", "expects one like")


def test_a_run_that_is_held_for_a_dead_instrument_is_stopped_by_a_person(desk: Desk) -> None:
    simulators, devices = desk.simulators("--any-port")
    desk.at(devices)
    run = desk.start(*CONNECTED)
    desk.comes("intend")
    simulators.signal(KILL)
    desk.comes("held")
    assert json.loads(desk.rocksalt("status", "data/night", "--json").out)["state"] == "held"
    run.signal(TERMINATE)
    answers(run.ends(), 3, "stopped by SIGTERM; but could not be made safe: interlock: no connection to tcp://")
    assert desk.summary()["status"] == "stopped"
    desk.nothing_is_left()


def test_a_killed_writer_ends_the_run_named_and_safe(desk: Desk) -> None:
    run = desk.run(speed=60)
    desk.comes("exposing")
    Running.signal_process(pids(desk)["writer"], KILL)
    answers(run.ends(), 1, "failed: the writer process is gone: no frame can be taken any more")
    assert desk.summary()["status"] == "failed"
    assert desk.states()[-1]["shutter"] == "closed"
    desk.nothing_is_left()


def test_a_killed_model_is_passed_over_and_the_run_goes_on(desk: Desk) -> None:
    run = desk.run(speed=60)
    desk.comes("exposing")
    Running.signal_process(pids(desk)["model"], KILL)
    answers(run.ends(), 0, "the model process is gone .*: the fallback plan goes on")
    assert desk.kinds().count("late") >= 1
    assert desk.summary()["status"] == "finished"
    assert desk.states()[-1]["shutter"] == "closed"
    desk.nothing_is_left()


def test_simulated_instruments_that_vanish_end_the_run_since_they_cannot_come_back(desk: Desk) -> None:
    run = desk.run(speed=60)
    desk.comes("intend", 2)
    Running.signal_process(desk.child(run, "simulate"), KILL)
    answers(run.ends(), 1, "failed: the simulated instruments ended; but could not be made safe: interlock")
    assert desk.summary()["status"] == "failed"
    desk.nothing_is_left()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Processes started in here can't make a file grow beyond so many bytes: as near to a full disk as a user gets."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [12_000, 300_000], ids=["journal", "frames"])
def test_a_disk_that_takes_no_more_ends_the_run_with_the_shutter_closed(desk: Desk, size: int) -> None:
    """12 kB are too little for the journal, 300 kB for the frames."""
    simulators, devices = desk.simulators("--any-port", "--truth", desk.truth)
    desk.at(devices)
    desk.campaign(("settle_s = 5.0", "settle_s = 0.0"), ("seconds = 1.0", "seconds = 0.1"))
    with files_of_at_most(size):
        run = desk.start(*CONNECTED)
    answers(run.ends(), 1, "File too large|not on disk|could not be written")
    until("the shutter is closed", lambda: desk.states()[-1]["shutter"] == "closed")
    simulators.signal(TERMINATE)
    simulators.ends()
    desk.nothing_is_left()
