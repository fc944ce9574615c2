"""The values that go round the loop. Every stage takes one and hands on the next; none is ever changed.

A policy makes a `Measurement`; the detector answers with frames, which the daemon knows as `FrameRef`s; reduction makes
a `Pattern`, with the readings an `Observation`; the model makes an `Estimate`; the policy makes the next `Decision`.
Units stand in the names. This module imports nothing: arrays are numpy's, but the guardian, which has no numpy, reads
these names too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Label = Literal["B1", "B2", "mixture", "unknown"]
LABELS: Final[tuple[Label, ...]] = ("B1", "B2", "mixture", "unknown")
FloatArray: TypeAlias = "NDArray[np.float64]"


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with its standard uncertainty (one sigma), both in the unit that the field's name says."""

    value: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the sample feels, as far as it is known. A pressure is on `pressure_scale`, never on one assumed."""

    pressure_gpa: Measured | None = None
    temperature_k: Measured | None = None
    dose_gy: Measured | None = None
    pressure_scale: str = ""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Light on the sample: `count` frames of `seconds` each by the device that plays `role` (the device's name)."""

    role: str
    seconds: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class Measurement:
    """What to do next, in the instruments' own units, and what the policy expects the sample to feel.

    number        counts from 0 over the run
    setpoints     device and unit -> target, as "membrane_bar": 41.0; devices that are not named stay where they are
    settle_s      experiment time to wait once every set-point is reached
    ramps         set-point -> fastest change on the way, in the device's unit per second; the station's own ramp, if
                  it is slower, and every set-point that is not named keep to the station's
    """

    number: int
    setpoints: Mapping[str, float]
    exposures: tuple[Exposure, ...]
    settle_s: float = 0.0
    expects: Conditions = Conditions()
    ramps: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measure:
    """Decision: make this measurement, because of `reason`; `runner_up` says what came second and why it lost."""

    measurement: Measurement
    reason: str
    runner_up: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """Decision: the campaign ends here; `why` is the stop rule's name, `reason` the sentence for a person."""

    why: Literal["goal", "envelope", "budget", "unknown", "blow_out", "nothing"]
    reason: str
    runner_up: str = ""


Decision = Measure | Finish


@dataclass(frozen=True, slots=True)
class FrameRef:
    """A frame that is on disk: written, flushed, and said so by the writer. `sha256` is over the chunk as it came.

    series and image are the detector's own numbers; file is relative to the run folder; index counts within the file.
    """

    number: int
    measurement: int
    series: int
    image: int
    file: str
    index: int
    sha256: str
    exposure_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A value that an instrument gave at experiment time `at_s`; sigma is what the instrument itself states, else 0."""

    name: str
    value: float
    unit: str
    at_s: float
    sigma: float = 0.0


@dataclass(frozen=True, slots=True)
class Pattern:
    """Diffracted intensity over the scattering angle.

    two_theta_deg          (n,) ascending, degrees
    intensity, variance    (n,) same unit (and its square); where nothing was measured, intensity is NaN
    wavelength_angstrom    never assumed: whoever makes a pattern states it
    raw_counts             whether intensity is counts, so that the variance is Poisson's; None when that is not known,
                           and whoever fits must judge the scatter himself
    source                 where it came from, for messages: a file's name, or "measurement 12"
    azimuthal_variation    (n,) relative spread of intensity around the ring at this angle, if it came from an image:
                           what spots and texture look like; None from a point detector
    saturated_fraction     share of the detector's live pixels at or above its cutoff
    calibration_sigma      relative sigma that all spacings share, from distance and wavelength; None where nobody said
    """

    two_theta_deg: FloatArray
    intensity: FloatArray
    variance: FloatArray
    wavelength_angstrom: float
    raw_counts: bool | None = None
    source: str = ""
    azimuthal_variation: FloatArray | None = None
    saturated_fraction: float = 0.0
    calibration_sigma: float | None = None


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Light over the wavelength, as an optical spectrometer counted it: nothing subtracted, nothing divided.

    wavelength_nm    (n,) ascending, as the instrument's own coefficients have it
    counts           (n,) mean of `averages` exposures of integration_s each
    saturated        (n,) pixels that stood at full scale in any of these exposures
    started_s, ended_s   experiment time, the first exposure's beginning and the last one's end
    light            what the instrument's lamp line was told: "on", "off", "unknown" where it has none
    sensor_k         temperature of the sensor; None where the instrument does not tell
    source           where it came from, for messages
    """

    wavelength_nm: FloatArray
    counts: FloatArray
    saturated: NDArray[np.bool_]
    integration_s: float
    averages: int
    started_s: float
    ended_s: float
    light: Literal["on", "off", "unknown"] = "unknown"
    sensor_k: float | None = None
    source: str = ""

    @property
    def saturated_fraction(self) -> float:
        """Share of the pixels that stood at full scale."""
        return float(self.saturated.mean())


@dataclass(frozen=True, slots=True)
class Observation:
    """All that the model gets: the pattern, the readings with their age, and a gauge if there is one (GPa)."""

    measurement: int
    pattern: Pattern
    readings: Mapping[str, Reading] = field(default_factory=dict)
    temperature_k: Measured | None = None
    gauge_gpa: Measured | None = None


@dataclass(frozen=True, slots=True)
class PhaseEstimate:
    """One phase of one salt in the illuminated volume.

    fraction_kind   "volume" (of the crystalline salt, from intensities over calculated ones) or "intensity"
    pressure_gpa    from the cell by the phase's own equation of state on pressure_scale, at temperature_k; None where
                    the equation does not reach
    """

    salt: str
    structure: Literal["B1", "B2"]
    fraction: float
    fraction_sigma: float
    fraction_kind: Literal["volume", "intensity"]
    a_angstrom: float
    a_sigma: float
    pressure_gpa: float | None
    pressure_sigma: float | None
    pressure_scale: str
    temperature_k: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the model believes after one observation.

    label          B1, B2, mixture (B1 and B2 of one salt together) or unknown
    probabilities  exactly the four labels, summing to 1
    phases         found phases, strongest first; empty when the label is unknown (guesses go to candidates)
    pressure_gpa   of the sample, from all phases that speak of it; None where none does
    fraction_b2    volume fraction of B2 in the campaign's salt; None when unknown
    drift_gpa      change of that pressure from the first to the last frame of the measurement, where there were several
    reasons        which tests spoke, in words, strongest first
    """

    measurement: int
    label: Label
    probabilities: Mapping[str, float]
    phases: tuple[PhaseEstimate, ...]
    candidates: tuple[PhaseEstimate, ...]
    pressure_gpa: Measured | None
    fraction_b2: Measured | None
    microstrain: Measured | None
    textured: bool
    reasons: tuple[str, ...]
    model: str
    pressure_scale: str = ""
    drift_gpa: Measured | None = None
    saturated_fraction: float = 0.0


@dataclass(frozen=True, slots=True)
class Dose:
    """Dose of the probe beam in the illuminated volume, photo-absorption upper bound, gray."""

    gray: float
    sigma_gray: float
