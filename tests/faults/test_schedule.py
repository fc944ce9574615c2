"""When faults happen: by time, by number, by chance; the same for the same seed, however often anybody looks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.time import Chance, ExperimentClock, run_virtual
from rocksalt.twin.wire.faults import Fault, Faults


def on_clock(faults: list[Fault], seed: int = 1) -> tuple[Faults, list[dict[str, Any]]]:
    """Call it on a running loop."""
    told: list[dict[str, Any]] = []
    clock = ExperimentClock(asyncio.get_running_loop())
    return Faults(list(enumerate(faults)), clock, Chance(seed), told.append), told


def hits(fault: Fault, asked_at: list[float], question: str = "*IDN?", seed: int = 1) -> list[float]:
    """At which of these times a reply is hit."""

    async def ask() -> list[float]:
        faults, _ = on_clock([fault], seed)
        found = []
        for at_s in asked_at:
            await asyncio.sleep(at_s - asyncio.get_running_loop().time())
            if faults.on_reply(question):
                found.append(at_s)
        return found

    return run_virtual(ask)


def test_a_fault_at_a_time_hits_the_first_reply_from_then_on_and_no_other() -> None:
    assert hits(Fault("pace", "silence", at_s=2.0), [1.0, 1.9, 2.5, 3.0]) == [2.5]


def test_a_fault_that_lasts_hits_every_reply_while_it_does() -> None:
    assert hits(Fault("pace", "silence", at_s=2.0, for_s=1.0), [1.9, 2.0, 2.5, 2.99, 3.0]) == [2.0, 2.5, 2.99]


def test_a_fault_that_lasts_may_have_only_so_many_replies() -> None:
    assert hits(Fault("pace", "silence", at_s=0.0, for_s=9.0, replies=2), [1.0, 2.0, 3.0]) == [1.0, 2.0]


def test_a_fault_comes_again_and_again() -> None:
    assert hits(Fault("pace", "silence", every_s=10.0), [9.0, 10.5, 11.0, 21.0, 22.0, 39.0]) == [10.5, 21.0, 39.0]


def test_the_nth_reply_is_counted_among_those_that_match() -> None:
    fault = Fault("pace", "garbage", reply=3, matching="IDN")
    assert hits(fault, [1.0, 2.0, 3.0, 4.0]) == [3.0]
    assert hits(fault, [1.0, 2.0, 3.0, 4.0], question=":SENS:PRES?") == []


@given(st.integers(0, 50), st.lists(st.floats(0.0, 7200.0), min_size=1, max_size=20).map(sorted))
def test_chance_is_the_same_however_often_anybody_looks(seed: int, asked_at: list[float]) -> None:
    fault = Fault("pace", "silence", chance_per_hour=6.0, for_s=60.0)
    often = sorted({*asked_at, *(60.0 * minute for minute in range(120))})
    assert set(hits(fault, asked_at, seed=seed)) == set(hits(fault, often, seed=seed)) & set(asked_at)


def test_chance_has_the_rate_that_was_asked_for() -> None:
    began = hits(Fault("pace", "silence", chance_per_hour=6.0), [float(second) for second in range(0, 360_000, 10)])
    assert pytest.approx(len(began), abs=4 * 600**0.5) == 600


def test_each_occurrence_is_told_once_when_it_first_has_an_effect() -> None:
    async def ask() -> list[dict[str, Any]]:
        faults, told = on_clock([Fault("pace", "silence", at_s=1.0, for_s=5.0), Fault("pace", "delay", at_s=50.0)])
        for _ in range(8):
            await asyncio.sleep(1.5)
            faults.on_reply("*IDN?")
        return told

    assert run_virtual(ask) == [{"fault": "silence", "device": "pace", "t_s": 1.5}]


def test_a_fault_of_the_link_happens_at_its_time_though_nobody_speaks() -> None:
    async def wait() -> tuple[list[str], list[dict[str, Any]]]:
        faults, told = on_clock([Fault("pace", "dropped", at_s=3.0), Fault("pace", "reboot", every_s=4.0, for_s=1.0)])
        felt: list[str] = []
        faults.wake(lambda fault: felt.append(f"{fault.kind} {asyncio.get_running_loop().time():g}"))
        await asyncio.sleep(9.0)
        return felt, told

    felt, told = run_virtual(wait)
    assert felt == ["dropped 3", "reboot 4", "reboot 8"]
    assert [line["t_s"] for line in told] == [3.0, 4.0, 8.0]


def test_the_end_of_a_series_is_not_used_up_by_its_images() -> None:
    async def send() -> list[bool]:
        faults, _ = on_clock([Fault("detector", "stream_lost_end", at_s=0.0)])
        return [bool(faults.on_message(kind)) for kind in ("message", "message", "end", "end")]

    assert run_virtual(send) == [False, False, True, False]
