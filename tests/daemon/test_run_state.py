"""A run is in exactly one state, and is held while any hold stands."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.daemon.run_state import ENDS, TRANSITIONS, RunState
from rocksalt.storage.disk import VirtualDisk
from rocksalt.storage.history import fold
from rocksalt.storage.journal import Journal
from rocksalt.time import ExperimentClock, JumpingLoop, run_virtual


def journal(path: Path) -> Journal:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    return Journal(path / "journal.jsonl", VirtualDisk(), ExperimentClock(loop, wall_now=loop.wall_now))


def test_a_rule_that_clears_does_not_release_a_persons_pause(tmp_path: Path) -> None:
    async def main() -> None:
        state = RunState(journal(tmp_path))
        state.becomes("running", "ready")
        state.hold("person", "coffee")
        state.hold("beam", "the beam is gone")
        state.release("beam", "the beam is back")
        assert (state.state, state.holds) == ("held", {"person": "coffee"})
        state.release("person", "go on")
        assert state.state == "running"

    run_virtual(main)


def test_whoever_waits_at_the_gate_goes_on_when_the_last_hold_is_released(tmp_path: Path) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        state = RunState(journal(tmp_path))
        state.becomes("running", "ready")
        state.hold("link", "the cable is out")
        loop.call_later(7.0, state.release, "link", "the cable is in")
        await state.passed()
        return loop.time()

    assert run_virtual(main) == 7.0


def test_an_end_is_an_end(tmp_path: Path) -> None:
    async def main() -> None:
        state = RunState(journal(tmp_path))
        state.becomes("running", "ready")
        state.becomes("finished", "done")
        state.hold("person", "too late")
        with pytest.raises(ValueError, match="finished can't become running"):
            state.becomes("running", "again")
        assert state.holds == {}

    run_virtual(main)


def test_every_state_but_an_end_can_become_safe_and_failed() -> None:
    for state, following in TRANSITIONS.items():
        assert (state in ENDS) == (not following)
        assert state in ENDS or {"failed", "safe"} <= following


@given(st.lists(st.tuples(st.sampled_from(["hold", "release"]), st.sampled_from(["a", "b", "c"])), max_size=12))
def test_held_is_exactly_holds_and_the_journal_tells_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    async def main() -> None:
        log = journal(tmp_path_factory.mktemp("run"))
        state = RunState(log)
        state.becomes("running", "ready")
        for verb, name in steps:
            getattr(state, verb)(name, "why not")
            assert (state.state == "held") == bool(state.holds)
            history = fold(log.entries)
            assert (history.state, history.holds) == (state.state, state.holds)

    run_virtual(main)
