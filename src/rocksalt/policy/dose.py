"""What the probe beam costs the sample: dose per second of open shutter, photo-absorption upper bound, with its sigma.
Only where the flux at the sample is known; elsewhere minutes are the budget."""

from __future__ import annotations

from dataclasses import dataclass

from rocksalt.config.campaign import Campaign
from rocksalt.config.station import Station
from rocksalt.config.units import KEV_ANGSTROM
from rocksalt.values import Dose

_METRES_A_MICROMETRE = 1e-6


@dataclass(frozen=True, slots=True)
class DoseLedger:
    """Dose rate in Gy/s (upper bound: all absorbed energy stays) and its sigma, which is the flux's."""

    gy_per_s: float
    sigma_gy_per_s: float

    @classmethod
    def from_config(cls, campaign: Campaign, station: Station) -> DoseLedger | None:
        """The ledger of this sample in this beam; None where the station states no flux.

        Raises ValueError when the campaign limits the dose and no flux is known: the limit could not be kept.
        """
        from rocksalt.crystals.absorption import dose_rate_gy_per_s

        beam = station.beam
        if beam.flux_ph_per_s is None or beam.flux_sigma_ph_per_s is None:
            if campaign.envelope.dose_gy is not None:
                raise ValueError(
                    f"the campaign limits the dose to {campaign.envelope.dose_gy:g} Gy, and the station states no "
                    "flux to count it with: write flux_ph_per_s and flux_sigma_ph_per_s in [beam], or take dose_gy out "
                    "of [envelope]"
                )
            return None
        horizontal, vertical = (size * _METRES_A_MICROMETRE for size in beam.size_um)
        rate = dose_rate_gy_per_s(
            campaign.sample.salt,
            beam.flux_ph_per_s,
            KEV_ANGSTROM / beam.wavelength_angstrom,
            beam_size_m=(horizontal, vertical),
            thickness_m=campaign.sample.thickness_um * _METRES_A_MICROMETRE,
        )
        return cls(rate, rate * beam.flux_sigma_ph_per_s / beam.flux_ph_per_s)

    def of(self, exposure_s: float) -> Dose:
        """Dose (Gy) of so many seconds of beam. The flux is one unknown for the whole run: sigmas add linearly."""
        return Dose(self.gy_per_s * exposure_s, self.sigma_gy_per_s * exposure_s)

    def seconds_of(self, dose_gy: float) -> float:
        """Seconds of beam that a booked dose (Gy) stands for."""
        return dose_gy / self.gy_per_s if self.gy_per_s > 0 else 0.0

    def at_most(self, exposure_s: float, sigmas: float = 2.0) -> float:
        """Dose (Gy) that so many seconds give at flux + `sigmas` sigma."""
        return (self.gy_per_s + sigmas * self.sigma_gy_per_s) * exposure_s
