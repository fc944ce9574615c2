"""The parts that decide, made from the two files: policy, envelope, dose ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rocksalt.config.campaign import Campaign
from rocksalt.config.station import Station
from rocksalt.policy.dose import DoseLedger
from rocksalt.policy.envelope import conditions_outside, violations
from rocksalt.policy.upward import UpwardTransition
from rocksalt.values import Estimate, Measurement, Reading


@dataclass(frozen=True, slots=True)
class StationEnvelope:
    """The campaign's envelope and the station's limits as one question."""

    campaign: Campaign
    station: Station

    def violations(self, measurement: Measurement) -> list[str]:
        """What speaks against the measurement; see `policy.envelope.violations`."""
        return violations(measurement, self.campaign, self.station)

    def left(self, estimate: Estimate | None, readings: Mapping[str, Reading]) -> list[str]:
        """Where the sample is outside the envelope by more than 2 sigma; see `policy.envelope.conditions_outside`."""
        return conditions_outside(estimate, readings, self.campaign)


def parts_for(campaign: Campaign, station: Station) -> tuple[UpwardTransition, StationEnvelope, DoseLedger | None]:
    """Policy, envelope and ledger of a campaign. Raises ValueError for what the station can't do."""
    return (
        UpwardTransition.from_config(campaign, station),
        StationEnvelope(campaign, station),
        DoseLedger.from_config(campaign, station),
    )
