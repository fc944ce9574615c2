"""Time and chance come in by the door, and virtual time jumps."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.time import Chance, Crashed, ExperimentClock, JumpingLoop, Node, NothingLeftToHappen, run_virtual


def virtual_clock() -> ExperimentClock:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    return ExperimentClock(loop, wall_now=loop.wall_now)


def test_a_day_of_waiting_takes_no_time_and_the_date_moves_on() -> None:
    async def main() -> tuple[float, str]:
        clock = virtual_clock()
        await clock.sleep(86_400)
        return clock.now_s(), clock.wall()

    assert run_virtual(main) == (86_400.0, "2000-01-02T00:00:00.000Z")


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    woken: list[float] = []

    async def main() -> None:
        clock = virtual_clock()

        async def sleeper(seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(seconds)

        await asyncio.gather(*(sleeper(seconds) for seconds in (3.0, 1.0, 2.0)))

    run_virtual(main)
    assert woken == [1.0, 2.0, 3.0]


def test_a_deadlock_in_virtual_time_is_said_and_not_waited_for() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingLeftToHappen, match="deadlock"):
        run_virtual(main)


def test_speed_scales_experiment_time_and_not_the_loops() -> None:
    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        clock = ExperimentClock(loop, speed=60.0)
        before = loop.time()
        await clock.sleep(600.0)
        return clock.now_s(), loop.time() - before

    assert run_virtual(main) == pytest.approx((600.0, 10.0))


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_that_makes_no_sense_is_refused(speed: float) -> None:
    async def main() -> None:
        ExperimentClock(asyncio.get_running_loop(), speed=speed)

    with pytest.raises(ValueError, match="positive, finite"):
        run_virtual(main)


def test_after_a_crash_no_finally_reaches_the_world() -> None:
    reached: list[str] = []

    async def main() -> None:
        clock = virtual_clock()
        node = Node("daemon")

        async def work() -> None:
            try:
                await clock.sleep(100.0)
            finally:
                clock.now_s()
                reached.append("the world")

        task = node.spawn(work())
        await clock.sleep(1.0)
        node.crash()
        with pytest.raises(Crashed):
            await task

    run_virtual(main)
    assert reached == []


def test_a_crash_takes_the_nodes_own_tasks_and_leaves_the_others() -> None:
    async def main() -> tuple[bool, bool]:
        clock = virtual_clock()
        first, second = Node("first"), Node("second")

        async def family() -> None:
            child = asyncio.get_running_loop().create_task(clock.sleep(50.0))
            await child

        dying, living = first.spawn(family()), second.spawn(family())
        await clock.sleep(1.0)
        first.crash()
        await asyncio.wait([dying, living])
        return dying.cancelled() or dying.exception() is not None, living.exception() is None

    assert run_virtual(main) == (True, True)


@given(st.integers(0, 2**63), st.text(max_size=20), st.integers(0, 2**40))
def test_chance_is_the_same_for_whoever_asks(seed: int, purpose: str, number: int) -> None:
    first, again = (Chance(seed).stream(purpose, number).integers(0, 2**62, 8) for _ in range(2))
    assert np.array_equal(first, again)


def test_other_purposes_numbers_and_seeds_are_other_chances() -> None:
    streams = [Chance(1).stream("a"), Chance(1).stream("a", 1), Chance(1).stream("b"), Chance(2).stream("a")]
    assert len({int(stream.integers(0, 2**62)) for stream in streams}) == 4


def test_chance_does_not_depend_on_the_process() -> None:
    program = "from rocksalt.time import Chance; print(Chance(7).stream('frames', 3).integers(0, 2**62))"
    answers = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        ).stdout
        for seed in ("0", "1")
    }
    assert answers == {f"{Chance(7).stream('frames', 3).integers(0, 2**62)}\n"}
