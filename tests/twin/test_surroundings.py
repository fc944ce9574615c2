"""Shutter, door, permit, heater; and the truth that is told about them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.twin.surroundings.stage import Stage


def test_the_shutter_travels_and_is_at_neither_end_meanwhile(make):
    hutch = make(1).enclosure
    assert hutch.shutter_switches(0.0) == (False, True)
    hutch.request_shutter(1.0, True)
    assert hutch.shutter_switches(1.05) == (False, False)
    assert hutch.shutter_switches(1.2) == (True, False)
    hutch.request_shutter(2.0, False)
    assert hutch.shutter_switches(2.05) == (False, False)
    assert hutch.shutter_switches(2.2) == (False, True)


def test_a_request_turned_round_half_way_gives_no_light_to_nobody(make):
    world = make(1)
    world.enclosure.request_shutter(1.0, True)
    world.enclosure.request_shutter(1.04, False)
    world.advance(10.0)
    assert world.dose_gy(10.0) == 0.0


@pytest.mark.parametrize("force", ["door", "permit"])
def test_an_open_door_or_a_lost_permit_shuts_the_shutter_and_stops_the_dose(make, force):
    world = make(1)
    hutch = world.enclosure
    hutch.request_shutter(0.0, True)
    if force == "door":
        hutch.set_door(5.0, False)
    else:
        hutch.permit(5.0, False)
    assert hutch.shutter_switches(5.2) == (False, True)
    dose = world.dose_gy(world.advance(5.2))
    assert dose > 0.0
    hutch.request_shutter(6.0, True)
    assert not hutch.shutter_open(7.0)
    assert world.dose_gy(world.advance(20.0)) == dose
    hutch.set_door(20.0, True)
    hutch.permit(20.0, True)
    assert not hutch.shutter_open(21.0), "closing the door must not open the shutter"
    hutch.request_shutter(22.0, True)
    assert hutch.shutter_open(22.2)


def test_dose_counts_while_the_shutter_is_open_and_nobody_exposes(make):
    world = make(1)
    world.enclosure.request_shutter(10.0, True)
    world.enclosure.request_shutter(20.0, False)
    world.advance(100.0)
    ten_seconds = world.dose_gy(100.0)
    world.enclosure.request_shutter(110.0, True)
    world.enclosure.request_shutter(130.0, False)
    world.advance(200.0)
    assert world.dose_gy(200.0) == pytest.approx(3.0 * ten_seconds)
    # 2e9 ph/s of 30 keV on 30 x 30 um of 30 um KBr: 1e4 Gy/s within the flux's departure.
    assert 5e3 < ten_seconds / 10.0 < 3e4


def test_the_true_flux_is_not_the_station_files(make):
    assert len({make(seed).hidden.beam.flux_relative for seed in range(5)}) == 5


def test_the_heater_reaches_its_setpoint_along_the_ramp_and_lets_go(make):
    thermal = make(1).thermal
    room = thermal.sample_k(0.0)
    thermal.heat(0.0, 310.0, 6.0)
    on_the_way = thermal.sample_k(60.0)
    assert room + 3.0 < on_the_way < room + 6.0
    assert thermal.heater_percent(60.0) > 0.0
    assert thermal.sample_k(600.0) == pytest.approx(310.0, abs=0.01)
    assert 0.0 < thermal.heater_percent(600.0) < 100.0
    thermal.off(600.0)
    assert thermal.heater_percent(601.0) == 0.0
    assert thermal.sample_k(5000.0) == pytest.approx(room, abs=0.01)


@pytest.mark.parametrize("coldest_k", [None, 5.0])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_heater_refuses_what_is_no_number(make, coldest_k, number):
    thermal = make(1, **({} if coldest_k is None else {"coldest_k": coldest_k})).thermal
    for setpoint, rate in ((number, 1.0), (300.0, number)):
        with pytest.raises(ValueError, match="finite numbers"):
            thermal.heat(1.0, setpoint, rate)


def test_a_cold_head_pulls_the_sample_down_and_the_heater_holds_it_above(make):
    thermal = make(1, coldest_k=8.0).thermal
    temperatures = [thermal.sample_k(float(at_s)) for at_s in (0.0, 60.0, 600.0, 6000.0)]
    assert temperatures[0] == pytest.approx(298.0, abs=1.5)
    assert temperatures == sorted(temperatures, reverse=True)
    assert temperatures[-1] == 8.0
    thermal.heat(6000.0, 77.0, 0.0)
    assert thermal.sample_k(6100.0) == pytest.approx(77.0, abs=0.01)
    assert 0.0 < thermal.heater_percent(6100.0) < 100.0
    thermal.heat(6100.0, 2.0, 0.0)
    assert thermal.sample_k(12000.0) == 8.0, "the cold head is the lowest"
    thermal.heat(12000.0, 9000.0, 0.0)
    assert thermal.sample_k(14000.0) == 600.0


def test_a_cold_sample_follows_faster_and_the_heater_is_faster_than_the_head():
    def late_s(start_k, to_k):
        """When the sample has gone 63 % of the way."""
        stage = Stage(298.0, 4.0)
        stage.heat(0.0, start_k, 0.0)
        stage.heat(1e5, to_k, 0.0)
        goal = start_k + (1.0 - np.exp(-1.0)) * (to_k - start_k)
        times = np.arange(0.0, 2000.0, 0.5)
        return times[np.argmin([abs(stage.sample_k(1e5 + t) - goal) for t in times])]

    assert late_s(5.0, 15.0) < 0.4 * late_s(290.0, 300.0)
    assert late_s(200.0, 210.0) < 0.1 * late_s(210.0, 200.0)


def test_the_past_of_the_stage_is_remembered_over_commands():
    stage = Stage(298.0)
    stage.heat(10.0, 310.0, 6.0)
    before = [stage.sample_k(t) for t in (5.0, 30.0, 59.0)]
    stage.off(60.0)
    stage.heat(90.0, 320.0, 0.0)
    assert [stage.sample_k(t) for t in (5.0, 30.0, 59.0)] == before
    jumps = np.diff([stage.sample_k(t) for t in np.arange(0.0, 200.0, 0.01)])
    assert np.abs(jumps).max() < 0.03, "no command makes the temperature jump"


@given(
    told=st.lists(st.tuples(st.floats(1.0, 500.0), st.floats(4.0, 600.0), st.floats(-1.0, 50.0)), max_size=8),
    coldest=st.sampled_from([None, 4.0]),
)
def test_the_temperature_stays_between_what_pulls_it(told, coldest):
    stage, at_s = Stage(298.0, coldest), 0.0
    lowest, highest = stage.base_k, max(298.0, *(setpoint for _, setpoint, _ in told), 298.0)
    for wait, setpoint, rate in told:
        at_s += wait
        stage.heat(at_s, setpoint, rate)
        assert lowest - 1e-9 <= stage.sample_k(at_s + wait) <= highest + 1e-9
        assert 0.0 <= stage.heater_percent(at_s) <= 100.0


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_truth_has_a_line_for_each_change_and_one_for_the_transition(make, tmp_path):
    path = tmp_path / "truth.jsonl"
    world = make(3, path)
    world.enclosure.request_shutter(1.0, True)
    world.enclosure.set_door(8.0, False)
    world.membrane.ramp(10.0, 90.0, 0.3)
    world.advance(600.0)
    world.camera.sent(0, "aa", "bb", 1, 0)
    world.close()
    lines = lines_of(path)
    states = [line for line in lines if "t_s" in line]
    keys = {"t_s", "sample_pressure_gpa", "fraction_b2", "shutter", "hv", "door", "beam", "dose_gy"}
    assert all(set(line) == keys for line in states)
    times = [line["t_s"] for line in states]
    assert times == sorted(times)
    shutter = [(line["shutter"], line["beam"]) for line in states]
    assert [s for i, s in enumerate(shutter) if i == 0 or s != shutter[i - 1]] == [
        ("closed", False), ("moving", True), ("open", True), ("moving", False), ("closed", False),
    ]  # fmt: skip
    pressures = np.array([line["sample_pressure_gpa"] for line in states])
    assert pressures.max() > 2.0
    assert {line["door"] for line in states} == {"closed", "open"}
    assert [line for line in lines if "frame" in line] == [
        {"frame": 0, "sha256": "aa", "chunk_sha256": "bb", "series": 1, "image": 0}
    ]
    (summary,) = (line for line in lines if "departures" in line)
    assert set(summary) == {"onset_gpa", "p50_gpa", "departures"}
    fractions = np.array([line["fraction_b2"] for line in states])
    crossing = np.flatnonzero(fractions >= 0.5)[0]
    assert summary["p50_gpa"] == pytest.approx(pressures[crossing], abs=0.02)


def test_what_never_happened_is_null(make, tmp_path):
    path = tmp_path / "truth.jsonl"
    make(3, path, transition="none").close()
    (summary,) = (line for line in lines_of(path) if "departures" in line)
    assert summary["onset_gpa"] is None
    assert summary["p50_gpa"] is None


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"teir": "clean"}, "teir: there is no such key"),
        ({"tier": "lovely"}, "take one of clean, realistic, hostile"),
        ({"sample": "LiCl"}, "sample = 'LiCl'.*take one of LiF, NaF, NaCl"),
        ({"sample": 3}, "sample = 3: a text in quotes"),
        ({"transition": "maybe"}, "draw or none"),
        ({"thickness_um": 0.0}, "thickness_um = 0: 1 to 1000 um"),
        ({"thickness_um": float("nan")}, "thickness_um = nan"),
        ({"thickness_um": "thin"}, "thickness_um = 'thin': a number"),
        ({"medium": "water"}, "medium = 'water'.*take one of helium, neon, argon"),
        ({"coldest_k": 400.0}, "coldest_k = 400: 2 to 290 K"),
        ({"coldest_k": True}, "coldest_k = True: a number"),
    ],
)
def test_a_twin_table_that_makes_no_sense_is_refused(make, table, says):
    with pytest.raises(ValueError, match=says):
        make(1, **table)
