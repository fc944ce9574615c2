"""What bad input gets: one message that names place, key, rule and way out; exit 2; and nothing made."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cli.desk import TERMINATE, Desk, answers, free_port

RUN = ("run", "campaign.toml", "--station", "station.toml", "--data", "data", "--run", "night", "--simulate")


def untouched(desk: Desk, before: set[Path]) -> None:
    new = {path.name for path in set(desk.here.rglob("*")) - before}
    assert {name for name in new if not name.startswith(("out-", "err-"))} == set()
    desk.nothing_is_left()


def there(desk: Desk) -> set[Path]:
    return set(desk.here.rglob("*"))


def line_of(text: str, path: Path) -> str:
    before, _, _ = path.read_text("utf-8").partition(text)
    return str(before.count("\n") + 1)


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("ramp = 0.2 ", "rampp = 0.2 ", (r"station\.toml:LINE  membrane\.rampp = 0\.2", "did you mean ramp")),
        ("0.4133", "0.04133", (r"station\.toml:LINE  beam\.wavelength_angstrom", "plainly in nanometres", "0.4133")),
        ("0.4133", "nan", (r"station\.toml:LINE  beam\.wavelength_angstrom = nan", "finite")),
        ("0.4133", "-0.4133", (r"station\.toml:LINE  beam\.wavelength_angstrom", "must be above 0")),
        ("wavelength_angstrom = 0.4133", "# ", (r"station\.toml:\d+  beam\.wavelength_angstrom", "missing")),
        ("127.0.0.1:5020", "localhost:5025", (r"station\.toml:LINE  interlock\.link", "membrane.link is on port 5025")),
        ("[514, 1030]  ", "[1062, 1028]  ", (r"station\.toml:\d+  geometry\.poni", "514 x 1030", r"detector\.shape")),
        ("0.4133", "0.7107", (r"station\.toml:\d+  geometry\.poni", "calibrated at 0.4133", "0.7107")),
        ('"simulated-dac.poni"', '"other.poni"', (r"station\.toml:\d+  geometry\.poni", "no such file")),
        ('"druck_pace"', '"druck_pase"', (r"station\.toml:LINE  membrane\.driver", "did you mean druck_pace")),
        ('tier = "clean"', 'tear = "clean"', (r"station\.toml:\d+  twin", "tear: there is no such key", "tier")),
        ("limits = { lower = 0.0, upper = 150.0 }", "limits = { lower = 0,0 }", (r"station\.toml:LINE", "not TOML")),
    ],
)  # fmt: skip
def test_a_wrong_station_is_answered_with_its_line(desk: Desk, old: str, new: str, fragments: tuple[str, ...]) -> None:
    line = line_of(new, desk.station((old, new)))
    before = there(desk)
    answers(desk.rocksalt(*RUN), 2, *(fragment.replace("LINE", line) for fragment in fragments))
    untouched(desk, before)


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("[0.0, 0.5]", "[0.5, 0.0]", (r"toml:LINE  envelope\.pressure_gpa", "the lower end", r"\[0\.0, 0\.5\]")),
        ("pressure_gpa", "pressure_kbar", (r"campaign\.toml:LINE  envelope\.pressure_kbar", "pressure_gpa = ")),
        ("[295.0, 305.0]", "[20.0, 30.0]", (r"campaign\.toml:LINE  envelope\.temperature_k", "did you mean")),
        ("measurements = 3", "measurements = 0", (r"campaign\.toml:\d+  transition\.measurements",)),
    ],
)  # fmt: skip
def test_a_wrong_campaign_is_answered_with_its_line(desk: Desk, old: str, new: str, fragments: tuple[str, ...]) -> None:
    line = line_of(new, desk.campaign((old, new)))
    before = there(desk)
    answers(desk.rocksalt(*RUN), 2, *(fragment.replace("LINE", line) for fragment in fragments))
    untouched(desk, before)


def test_every_problem_of_both_files_is_told_at_once(desk: Desk) -> None:
    desk.campaign(("[0.0, 0.5]", "[0.5, 0.0]"), ("settle_s", "settle_h"))
    desk.station(("ramp = 0.2 ", "rampp = 0.2 "))
    said = desk.rocksalt("check", "campaign.toml", "--station", "station.toml")
    answers(said, 2, "envelope.pressure_gpa", "transition.settle_h", "membrane.rampp")


@pytest.mark.parametrize("content", [b"", b"\xff\xfec\x00", b"a = [" * 3000, b"\x00\x01\x02"])
def test_a_campaign_that_is_no_toml_is_an_answer(desk: Desk, content: bytes) -> None:
    path = desk.here / "campaign.toml"
    path.write_bytes(content)
    answers(desk.rocksalt("check", path, "--station", "station.toml"), 2, r"campaign\.toml", r"\n  \S")


def test_crlf_and_a_byte_order_mark_are_no_mistake(desk: Desk) -> None:
    for path in (desk.station(), desk.campaign()):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    answers(desk.rocksalt("check", "campaign.toml", "--station", "station.toml"), 0, "can be run")


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (("--simulate", "--virtual"), "--simulate and --virtual"),
        (("--simulate", "--speed", "0"), "--speed 0: a positive number"),
        (("--virtual", "--speed", "9"), "virtual time has no speed"),
        (("--truth", "t"), "--truth is for simulated instruments"),
        (("--simulate", "--truth", "nowhere/t"), "--truth nowhere/t: there is no folder nowhere"),
        (("--simulate", "--faults", "none.toml"), r"none\.toml\n  there is no such file"),
        (("--simulate", "--seed", "-1"), "--seed"),
        (("--simulate", "--run", "../x"), r'"\.\./x" can\'t be a name: a name is not a path'),
        (("--simulate", "--data", "station.toml"), r"station\.toml is a file: run folders go into a folder"),
        (("--simulate", "--data", "/proc"), r"/proc/night can't be made \(.*\): choose a folder"),
    ],
)
def test_usage_that_makes_no_sense_is_refused_before_anything_is_made(
    desk: Desk, options: tuple[str, ...], fragment: str
) -> None:
    before = there(desk)
    if "--run" not in options:
        options = ("--run", "night", *options)
    answers(desk.rocksalt("run", "campaign.toml", "--station", "station.toml", "--data", "data", *options), 2, fragment)
    untouched(desk, before)


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("[options.detektor]\nx = 1\n", (r"toml:1  options\.detektor", "no such device", "did you mean detector")),
        ("[detector]\nx = 1\n", (r"faults\.toml:1  detector", "no such table", r"\[options\.detector\]")),
        ("[options]\ndetector = 3\n", (r"faults\.toml:2  options\.detector = 3", "a table")),
        ("[detector\n", (r"faults\.toml:1", "not TOML")),
    ],
)
def test_a_wrong_faults_file_is_answered_with_its_line(desk: Desk, text: str, fragments: tuple[str, ...]) -> None:
    (desk.here / "faults.toml").write_text(text)
    before = there(desk)
    answers(desk.rocksalt(*RUN, "--faults", "faults.toml"), 2, *fragments)
    untouched(desk, before)


def test_a_run_folder_is_never_written_twice(desk: Desk) -> None:
    (desk.data / "night").mkdir(parents=True)
    (desk.data / "night" / "mine.txt").write_text("mine")
    before = there(desk)
    answers(desk.rocksalt(*RUN), 2, "data/night exists: .* choose another name with --run")
    untouched(desk, before)


def test_a_folder_is_no_file_and_a_near_name_is_offered(desk: Desk) -> None:
    answers(desk.rocksalt("check", ".", "--station", "station.toml"), 2, "this is a folder, not a file", "station.toml")
    answers(desk.rocksalt("check", "campain.toml", "--station", "station.toml"), 2, r"did you mean campaign\.toml\?")


def test_a_port_that_is_taken_is_named(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        desk.station(("127.0.0.1:5025", f"127.0.0.1:{port}"))
        said = desk.rocksalt("simulate", "station.toml", "--only", "membrane")
    answers(said, 2, rf"127\.0\.0\.1:{port} is taken by another program: choose another port, or 0 for any")
    assert said.out == ""
    desk.nothing_is_left()


def test_a_station_in_use_by_a_live_run_is_refused_and_named(desk: Desk) -> None:
    """And its instruments can be told to be safe all the same, and the lock goes with the run."""
    simulators, devices = desk.simulators("--any-port", "--speed", "1")
    desk.at(devices)
    live = desk.start("run", "campaign.toml", "--station", "connected.toml", "--data", "data", "--run", "night")
    desk.comes("connected", 4)
    second = desk.rocksalt("run", "campaign.toml", "--station", "connected.toml", "--data", "data", "--run", "second")
    answers(
        second,
        2,
        r"connected\.toml:\d+  membrane\.link = ",
        rf"in use by the live run {desk.folder()} \(pid {live.pid}\)",
    )
    assert not desk.folder("second").exists()
    answers(desk.rocksalt("device", "connected.toml", "membrane", "set", "3"), 2, "in use by the live run")
    answers(desk.rocksalt("device", "connected.toml", "detector", "safe"), 0)
    live.signal(TERMINATE)
    answers(live.ends(), 3)
    answers(desk.rocksalt("device", "connected.toml", "membrane", "read"), 0)
    simulators.signal(TERMINATE)
    assert simulators.ends().status == 0
    desk.nothing_is_left()


def test_without_a_runtime_folder_locks_go_to_tmp_without_a_warning(desk: Desk) -> None:
    port = free_port()
    desk.station(("127.0.0.1:5025", f"127.0.0.1:{port}"))
    (desk.here / "runtime").rmdir()  # and /run/user/UID is another's, or not there, or ours: no warning in any case
    said = desk.rocksalt("device", "station.toml", "membrane", "read")
    answers(said, 1, rf"membrane: no connection to tcp://127\.0\.0\.1:{port}")
    assert "Warning" not in said.err


@pytest.mark.parametrize("trap", ["link", "file"])
def test_what_another_put_where_the_locks_go_is_not_followed(desk: Desk, trap: str) -> None:
    place, victim = desk.here / "runtime" / "rocksalt", desk.here / "victim"
    victim.mkdir()
    if trap == "link":
        place.symlink_to(victim)
    else:
        place.write_text("")
    answers(desk.rocksalt("device", "station.toml", "membrane", "read"), 2, str(place), "0700", "XDG_RUNTIME_DIR")
    assert list(victim.iterdir()) == []


def test_the_folder_of_locks_is_closed_to_others(desk: Desk) -> None:
    locks = desk.here / "runtime" / "rocksalt"
    locks.mkdir(mode=0o777)
    locks.chmod(0o777)
    desk.rocksalt("device", "station.toml", "membrane", "read")
    assert locks.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("command", ["status", "report", "stop"])
def test_what_is_no_run_folder_is_said_so(desk: Desk, command: str) -> None:
    answers(desk.rocksalt(command, "nowhere"), 2, r"nowhere is no run folder: it has no journal\.jsonl")
    (desk.here / "empty").mkdir()
    (desk.here / "empty" / "journal.jsonl").touch()
    answers(desk.rocksalt(command, "empty"), 2, r"its journal\.jsonl is empty")
    (desk.here / "empty" / "journal.jsonl").write_text('{"seq":0}\n')
    said = desk.rocksalt(command, "empty")
    answers(said, 2, r"empty/journal\.jsonl:1: the line that begins a journal is not there")
