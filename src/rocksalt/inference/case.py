"""What the model is asked: an observation, and what is known beside it.

Where the campaign's salt is told, its phases may be followed beyond the data of their equations of state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rocksalt.crystals import eos, tables
from rocksalt.values import Measured, Observation

ROOM_K: Final = 300.0


@dataclass(frozen=True, slots=True)
class Case:
    """What the referee is asked: observation, the campaign's salt and pressure where they are known, and by whom."""

    observation: Observation
    salt: str | None
    prior_gpa: Measured | None
    model: str

    @property
    def known_gpa(self) -> Measured | None:
        """What is known of the pressure beside the pattern: the caller's word before the gauge's."""
        return self.prior_gpa or self.observation.gauge_gpa

    @property
    def temperature_k(self) -> float:
        """Of the sample; room where it was not told (and the estimate then says so)."""
        told = self.observation.temperature_k
        return told.value if told is not None else ROOM_K

    def isotherm(self, salt: str, structure: str) -> tables.Phase:
        """The table's row, followed beyond its data if the salt was told.

        One that was not told is looked for among many: there, a cell that no equation reaches speaks against it.
        """
        row = tables.phase(salt, structure)
        return row if self.salt is None else eos.extrapolated(row)
