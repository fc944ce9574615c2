"""Small doses of `make accept-faults` and `make accept-garbage`: the table, late replies, outages, spoilt replies."""

from __future__ import annotations

import contextlib
from importlib.metadata import entry_points

import pytest
from benchmarks.accept_faults import cell, kinds_of, matrix, outage
from benchmarks.accept_garbage import answered
from benchmarks.fault_late import interleaved
from benchmarks.fault_rigs import NOT_APPLICABLE, RIGS, rigs_of
from benchmarks.garbage_grammars import JUDGES

DRIVERS = sorted(point.name for point in entry_points(group="rocksalt.drivers"))


def test_every_driver_is_in_the_tables() -> None:
    assert [name for name in DRIVERS if name not in NOT_APPLICABLE and not rigs_of(name)] == []
    assert [name for name in RIGS if name not in JUDGES] == []


@pytest.mark.parametrize("driver", sorted(RIGS))
def test_every_fault_does_to_a_driver_what_was_said_beforehand(driver: str) -> None:
    rows = [cell(RIGS[driver], kind, "memory", 0) for kind in kinds_of(RIGS[driver])]
    assert [row for row in rows if not row["pass"]] == []


def test_a_driver_without_a_rig_is_untested_and_that_is_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.fault_rigs.RIGS", {})
    assert not any(row["pass"] for row in matrix(0, real=False))


@pytest.mark.parametrize(
    ("driver", "kind"),
    [("druck_pace", "dropped"), ("modbus_interlock", "half_open"), ("lakeshore_336", "silence"),
     ("dectris_simplon", "reboot"), ("bruker_bis omega", "half_open"), ("bruker_bis shutter", "dropped")],
)  # fmt: skip
def test_a_real_wire_is_lost_and_comes_back(driver: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How soon is judged by `make accept-faults`, on a machine that does nothing else."""
    monkeypatch.setattr("benchmarks.accept_faults.BACK_WITHIN_S", 10.0)
    monkeypatch.setattr("benchmarks.accept_faults.SLACK_S", {True: 5.0, False: 0.02})
    row = cell(RIGS[driver], kind, RIGS[driver].wires[0], 0)
    assert row["pass"], row


def test_a_late_reply_is_never_taken_for_the_next_ones() -> None:
    rows = [interleaved(seed) for seed in range(100)]
    assert [row for row in rows if not row["pass"]] == []
    assert sum(row["late"] for row in rows) > 500
    assert sum(row["readings"] for row in rows) > 500


LINES = [
    ("bruker_bis kv", "tcp"),
    ("druck_pace", "tcp"),
    ("druck_pace", "serial"),
    ("lakeshore_336", "serial"),
    ("modbus_interlock", "tcp"),
]


@pytest.mark.parametrize(("driver", "wire"), LINES)
def test_a_value_is_right_within_a_second_of_the_links_return(driver: str, wire: str) -> None:
    rows = [outage(RIGS[driver], wire, seed, real=False) for seed in range(10)]  # type: ignore[arg-type]
    assert [row for row in rows if not row["pass"]] == []


@pytest.mark.parametrize("driver", sorted(JUDGES))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_driver_is_not_misled_by_spoilt_replies(driver: str) -> None:
    row = answered(driver, 0, 500)
    assert row["complaints"] == 0, row["shown"]
    assert row["pass"]
    assert row["true_and_taken"] == row["true"] > 0
    assert sum(row["raised"].values()) > 50


def test_the_judge_sees_a_driver_that_believes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    from rocksalt_drivers.druck_pace.driver import DruckPace

    async def believes(self: DruckPace) -> float:
        async with self.link.exchange() as line:
            answer = await line.ask(":SENS:PRES?")
        with contextlib.suppress(ValueError):
            return float(answer.split()[-1])
        return 0.0

    monkeypatch.setattr(DruckPace, "_read", believes)
    assert answered("druck_pace", 0, 300)["complaints"] > 20


def test_the_judge_sees_a_link_that_never_finds_the_beat_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from rocksalt.devices import Beat, ByteLink

    async def nothing(*arguments: object) -> None: ...

    monkeypatch.setattr(ByteLink, "_drain", nothing)
    monkeypatch.setattr(Beat, "__call__", nothing)
    monkeypatch.setattr(ByteLink, "_has_dirt", lambda self: False)
    assert any(not interleaved(seed)["pass"] for seed in range(1, 40, 4))
