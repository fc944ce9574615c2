"""Exposure, dose, and the envelope that is asked before the wire and after the estimate."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from policy.stand_in import Point, estimate
from policy.test_load_curve import seen
from rocksalt.config.campaign import Campaign
from rocksalt.config.station import Station
from rocksalt.policy.dose import DoseLedger
from rocksalt.policy.envelope import conditions_outside, violations
from rocksalt.policy.exposing import next_exposure_s
from rocksalt.policy.seen import look
from rocksalt.values import Conditions, Exposure, Measured, Measurement, Reading


def wish(bar: float = 40.0, seconds: float = 1.0, **expects: Measured) -> Measurement:
    return Measurement(0, {"membrane_bar": bar}, (Exposure("detector", seconds, 2),), 60.0, Conditions(**expects))


@pytest.mark.parametrize(
    ("measurement", "word"),
    [
        (wish(bar=151.0), "151"),
        (wish(bar=-1.0), "-1"),
        (wish(bar=math.nan), "finite"),
        (wish(seconds=11.0), "11"),
        (wish(seconds=0.01), "0.01"),
        (wish(pressure_gpa=Measured(4.95, 0.05)), "5 GPa"),
        (wish(pressure_gpa=Measured(math.nan, 0.05)), "GPa"),
        (wish(dose_gy=Measured(1.9e7, 1.0e6)), "Gy"),
        (replace(wish(), setpoints={"temperature_k": 306.0}), "temperature_k"),
        (replace(wish(), setpoints={"furnace_k": 300.0}), "no device furnace"),
    ],
)
def test_whatever_leaves_envelope_or_limits_is_named(
    measurement: Measurement, word: str, campaign: Campaign, station: Station
) -> None:
    found = violations(measurement, campaign, station)
    assert len(found) >= 1
    assert word in found[0]


def test_what_lies_inside_passes_its_limits_included(campaign: Campaign, station: Station) -> None:
    inside = wish(bar=150.0, seconds=10.0, pressure_gpa=Measured(4.90, 0.05), dose_gy=Measured(1.8e7, 1.0e6))
    assert violations(inside, campaign, station) == []


def test_a_sample_beyond_the_envelope_by_more_than_two_sigma_is_a_reason_to_hold(campaign: Campaign) -> None:
    def at(pressure: float) -> list[str]:
        return conditions_outside(estimate(0, Measured(pressure, 0.02), Measured(0.0, 0.02)), {}, campaign)

    assert at(5.03) == []
    assert "above the envelope" in at(5.05)[0]


@pytest.mark.parametrize(("kelvin", "outside"), [(300.0, False), (305.1, True), (294.0, True), (math.nan, True)])
def test_temperature_is_judged_where_it_is_read(kelvin: float, outside: bool, campaign: Campaign) -> None:
    readings = {"temperature_k": Reading("temperature_k", kelvin, "K", 0.0, 0.02)}
    assert bool(conditions_outside(None, readings, campaign)) is outside


def test_the_ledger_carries_the_sigma_of_the_flux(campaign: Campaign, station: Station) -> None:
    ledger = DoseLedger.from_config(campaign, station)
    assert ledger is not None
    ten, one = ledger.of(10.0), ledger.of(1.0)
    assert ten.gray == pytest.approx(10 * one.gray)
    assert ten.sigma_gray / ten.gray == pytest.approx(0.2)
    assert ledger.at_most(1.0) == pytest.approx(1.4 * one.gray)
    assert 5e3 < one.gray < 3e4


def test_a_dose_limit_without_a_flux_is_refused(campaign: Campaign, station: Station) -> None:
    dark = station.model_copy(
        update={"beam": station.beam.model_copy(update={"flux_ph_per_s": None, "flux_sigma_ph_per_s": None})}
    )
    with pytest.raises(ValueError, match="flux_ph_per_s"):
        DoseLedger.from_config(campaign, dark)
    free = campaign.model_copy(update={"envelope": campaign.envelope.model_copy(update={"dose_gy": None})})
    assert DoseLedger.from_config(free, dark) is None


@pytest.mark.parametrize(
    ("last", "deciding", "expected_s"),
    [
        ({}, False, 1.0),
        ({"fraction": Measured(0.0, 0.10)}, False, 3.0),
        ({"fraction": Measured(0.2, 0.04)}, False, 1.0),
        ({"fraction": Measured(0.2, 0.04)}, True, 3.0),
        ({"fraction": None, "pressure_gpa": None}, False, 3.0),
        ({"fraction": None, "pressure_gpa": None, "late": True}, False, 1.0),
        ({"saturated": 0.01}, True, 0.5),
        ({"saturated": 0.01, "exposure_s": 0.15}, True, 0.1),
        ({"fraction": None, "exposure_s": 9.0}, False, 10.0),
        ({"exposure_s": 9.0, "fraction": Measured(0.2, 0.01)}, True, 4.5),
    ],
)
def test_exposure_follows_confidence_and_saturation(
    last: dict[str, Any], deciding: bool, expected_s: float, campaign: Campaign
) -> None:
    seconds, why = next_exposure_s(campaign.exposure, [replace(seen(10.0, 0.5), **last)], deciding)
    assert seconds == pytest.approx(expected_s)
    assert bool(why) is (seconds != last.get("exposure_s", 1.0))


def test_an_exposure_that_saturated_is_not_tried_again(campaign: Campaign) -> None:
    looks = [replace(seen(10.0, 0.5), exposure_s=2.0, saturated=0.01), replace(seen(10.0, None, None), exposure_s=1.0)]
    assert next_exposure_s(campaign.exposure, looks, True)[0] == pytest.approx(1.4)


@pytest.mark.parametrize(("read_bar", "taken_bar"), [(40.05, 40.0), (37.0, 37.0), (math.nan, 40.0), (1e9, 40.0)])
def test_a_membrane_reading_counts_unless_the_instrument_must_be_wrong(read_bar: float, taken_bar: float) -> None:
    readings = {"membrane_bar": Reading("membrane_bar", read_bar, "bar", 0.0)}
    point = Point(wish(bar=40.0), None, readings, 0.0, 70.0, 0.0, 0.0)
    assert look(point).bar == taken_bar
    assert look(point).late
