"""A run keeps its promises when a hand reaches into the night: doors opened, cables pulled, frames dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.night import Hand, night
from rocksalt.storage.journal import read
from rocksalt.values import Conditions, Exposure, Measure, Measured, Measurement

HIGH = Conditions(pressure_gpa=Measured(7.0, 0.5))


class Looked(Exception):
    """The person has seen what there was to see."""


def shutter_of(truth: list[dict[str, Any]]) -> list[str]:
    return [line["shutter"] for line in truth if "shutter" in line]


def test_a_quiet_night_measures_ends_in_order_and_shuts_the_beam(tmp_path: Path) -> None:
    quiet = night(tmp_path)
    assert (quiet.ended.status, quiet.ended.exit) == ("finished", 0)
    assert len(quiet.history.points) == 3
    assert quiet.history.lost == []
    assert shutter_of(quiet.truth)[-1] == "closed"
    numbers = [entry.data["number"] for entry in quiet.entries if entry.kind == "acknowledged"]
    assert numbers == list(range(6))


def test_intent_stands_before_the_action_and_the_outcome_after(tmp_path: Path) -> None:
    quiet = night(tmp_path, measurements=1)
    steps = quiet.kinds("intend", "reached", "exposing", "acknowledged", "dose", "series", "estimated", "done")
    assert steps == [
        "intend",
        "reached",
        "exposing",
        "acknowledged",
        "acknowledged",
        "dose",
        "series",
        "estimated",
        "done",
    ]


def test_a_door_opened_during_an_exposure_costs_a_repeat_and_no_data(tmp_path: Path) -> None:
    async def visitor(hand: Hand) -> None:
        await hand.until("exposing", 2)
        await hand.clock.sleep(0.8)
        hand.world.enclosure.set_door(hand.clock.now_s(), False)
        await hand.clock.sleep(20.0)
        hand.world.enclosure.set_door(hand.clock.now_s(), True)

    visited = night(tmp_path, during=visitor, changes={"seconds = 1.0 ": "seconds = 3.0 "})
    assert visited.ended.exit == 0, visited.ended
    assert "repeated" in visited.kinds("repeated")
    assert len(visited.history.points) == 3
    numbers = [entry.data["number"] for entry in visited.entries if entry.kind == "acknowledged"]
    assert len(numbers) == len(set(numbers))
    opened_s = next(line["t_s"] for line in visited.truth if line.get("door") == "open")
    for line in visited.truth:
        if line.get("door") == "open" and line["t_s"] > opened_s + 0.3:  # a shutter takes its time to fall
            assert line["beam"] is False


def test_a_pulled_cable_holds_the_run_by_name_and_the_run_goes_on_when_it_is_back(tmp_path: Path) -> None:
    async def cat(hand: Hand) -> None:
        await hand.until("done", 1)
        hand.doors["membrane"].pulled = True
        await hand.until("held")
        await hand.clock.sleep(30.0)
        hand.doors["membrane"].pulled = False

    chewed = night(tmp_path, during=cat)
    assert chewed.ended.exit == 0, chewed.ended
    (held,) = [entry for entry in chewed.entries if entry.kind == "held"]
    assert held.data["hold"] == "link membrane"
    (released,) = [entry for entry in chewed.entries if entry.kind == "released"]
    assert "membrane_bar" in released.data["why"]  # a value was compared, not a connection believed
    assert len(chewed.history.points) == 3


def test_an_instrument_that_comes_back_elsewhere_is_not_driven_on_before_a_person_has_looked(tmp_path: Path) -> None:
    async def power_cut(hand: Hand) -> None:
        await hand.until("done", 3)
        hand.doors["membrane"].pulled = True
        await hand.until("held")
        hand.world.membrane.vent(hand.clock.now_s(), 100.0)
        await hand.clock.sleep(30.0)
        hand.doors["membrane"].pulled = False
        await hand.until("held", 2)
        await hand.clock.sleep(3600.0)
        raise Looked

    with pytest.raises(Looked):
        night(tmp_path, during=power_cut, measurements=6)
    entries = read(tmp_path / "night/journal.jsonl").entries
    held = [entry for entry in entries if entry.kind == "held"]
    assert [entry.data["hold"] for entry in held] == ["link membrane", "value membrane_bar"]
    assert "came back at" in held[1].data["why"]
    assert {entry.kind for entry in entries[held[1].seq + 1 :]} <= {"released"}


def test_a_frame_lost_on_the_way_has_its_number_named_and_the_exit_is_not_0(tmp_path: Path) -> None:
    lossy = night(tmp_path, options={"detector": {"drop_images": [[2, 1]]}})
    assert lossy.history.lost == [3]
    assert lossy.ended.exit == 1
    assert "number 3" in lossy.ended.why
    assert any("frame 3 was lost" in alarm.what for alarm in lossy.history.alarms)


def test_a_lost_end_of_series_is_waited_for_and_then_done_without(tmp_path: Path) -> None:
    assert night(tmp_path, options={"detector": {"lost_end": [2], "duplicate_end": [3]}}).ended.exit == 0


def test_a_membrane_that_is_loaded_already_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    async def predecessor(hand: Hand) -> None:
        hand.world.membrane.ramp(0.0, 8.0, 100.0)

    loaded = night(tmp_path, during=predecessor, measurements=1)
    (found,) = [entry for entry in loaded.entries if entry.kind == "found" and entry.data["setpoint"] == "membrane_bar"]
    assert found.data["value"] > 5.0
    (intended,) = [entry for entry in loaded.entries if entry.kind == "intend"]
    assert intended.data["measurement"]["setpoints"].get("membrane_bar", 99.0) >= found.data["value"] - 0.5


def test_a_model_that_is_too_late_is_passed_over_and_the_plan_goes_on(tmp_path: Path) -> None:
    late = night(tmp_path, changes={"decide_within_s = 60.0": "decide_within_s = 0.01"})
    assert late.kinds("late", "estimated") == ["late"] * 3
    assert late.ended.exit == 0


def test_an_instrument_that_is_silent_from_the_start_ends_the_run_by_name_with_the_others_safe(tmp_path: Path) -> None:
    async def absent(hand: Hand) -> None:
        hand.doors["temperature"].pulled = True

    dark = night(tmp_path, during=absent)
    assert (dark.ended.status, dark.ended.exit) == ("failed", 1)
    assert "temperature" in dark.ended.why
    assert "open" not in shutter_of(dark.truth)


def test_light_that_was_spent_is_booked_even_where_the_exposure_was_in_vain(tmp_path: Path) -> None:
    async def visitor(hand: Hand) -> None:
        await hand.until("exposing", 1)
        await hand.clock.sleep(1.5)
        hand.world.enclosure.set_door(hand.clock.now_s(), False)
        await hand.clock.sleep(5.0)
        hand.world.enclosure.set_door(hand.clock.now_s(), True)

    visited = night(tmp_path, during=visitor, measurements=1, changes={"seconds = 1.0 ": "seconds = 3.0 "})
    spent = [entry.data["gray"] for entry in visited.entries if entry.kind == "dose"]
    assert len(spent) >= 2
    assert visited.history.dose_gy == sum(spent)
    true_gy = [line["dose_gy"] for line in visited.truth if "dose_gy" in line][-1]
    assert true_gy / 2 < visited.history.dose_gy < 2 * true_gy


def test_a_fault_of_the_program_itself_leaves_the_station_safe_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absurd(self: object, history: object) -> object:
        raise ZeroDivisionError("a policy with a fault")

    monkeypatch.setattr("rocksalt.policy.upward.UpwardTransition.decide", absurd)
    broken = night(tmp_path)
    assert (broken.ended.status, broken.ended.exit) == ("failed", 1)
    assert "a policy with a fault" in broken.ended.why
    assert "in absurd" in (broken.folder / "logs" / "fault.txt").read_text()
    assert shutter_of(broken.truth)[-1] == "closed"


def test_a_policy_that_asks_for_more_than_the_envelope_never_reaches_the_wire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(self: object, history: object) -> Measure:
        return Measure(Measurement(0, {"membrane_bar": 140.0}, (Exposure("detector", 1.0),), expects=HIGH), "more")

    monkeypatch.setattr("rocksalt.policy.upward.UpwardTransition.decide", greedy)
    refused = night(tmp_path)
    assert (refused.ended.status, refused.ended.exit) == ("failed", 1)
    assert "envelope" in refused.ended.why
    assert refused.kinds("intend", "reached", "exposing") == []
