"""Absorbance from spectra: dark subtracted, divided by a reference that is followed through the lamp's drift.

A = -log10((S - D)/(R - D)), pixel by pixel with its variance, and beside it the sigma of what all pixels share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.inference.sensor_noise import SensorNoise
from rocksalt.values import FloatArray, Spectrum

_LN10: Final = log(10.0)
_SEEN: Final = 3.0
"""Sigmas of light that a pixel needs for its absorbance to be a number."""
_LIT: Final = 0.1
"""Pixels with this share of the brightest ones' light say how bright the lamp is."""


class OpticalError(ValueError):
    """Spectra that can't be put together; the sentence says which, and what to take instead."""


@dataclass(frozen=True, slots=True)
class Light:
    """Light alone: counts a second above the dark, (n,) each. `dark_variance` is the dark's part of `variance`.

    lamp_variance   relative variance of the lamp's brightness that all pixels share; 0 for a spectrum just taken
    """

    wavelength_nm: FloatArray
    rate: FloatArray
    variance: FloatArray
    dark_variance: FloatArray
    usable: NDArray[np.bool_]
    at_s: float
    dark: Spectrum
    lamp_variance: float = 0.0


@dataclass(frozen=True, slots=True)
class Absorbance:
    """Optical density over the wavelength, (n,) each.

    density     NaN where it is not known
    variance    of each pixel by itself; shared_sigma: of an offset that all of them have (lamp)
    usable      saturated pixels, and those with too little light, are not
    at_least    where too little light came through: what the density is at least, at 3 sigma; -inf elsewhere
    """

    wavelength_nm: FloatArray
    density: FloatArray
    variance: FloatArray
    usable: NDArray[np.bool_]
    at_least: FloatArray
    shared_sigma: float


def light(spectrum: Spectrum, dark: Spectrum, noise: SensorNoise) -> Light:
    """A spectrum without its dark. Raises OpticalError for a dark of another integration, or another sensor."""
    if dark.wavelength_nm.shape != spectrum.wavelength_nm.shape or np.any(dark.wavelength_nm != spectrum.wavelength_nm):
        raise OpticalError("dark and spectrum have other wavelengths: they are of two instruments")
    if dark.integration_s != spectrum.integration_s:
        raise OpticalError(
            f"a dark spectrum of {dark.integration_s:g} s is none for one of {spectrum.integration_s:g} s: what the "
            "sensor counts in the dark grows with the time; take one of the same"
        )
    if dark.light == "on":
        raise OpticalError("the dark spectrum was taken with the light on: switch it off")
    counts = spectrum.counts - dark.counts
    per_s2 = spectrum.integration_s**2
    of_dark = noise.variance(np.zeros_like(counts), dark.averages) / per_s2
    # A gain that is a pixel's own is the same in the reference, and goes out of the quotient.
    of_light = replace(noise, gain=0.0).variance(counts, spectrum.averages) / per_s2
    usable = ~(spectrum.saturated | dark.saturated) & np.isfinite(counts)
    return Light(
        spectrum.wavelength_nm, counts / spectrum.integration_s, of_light + of_dark, of_dark, usable,
        0.5 * (spectrum.started_s + spectrum.ended_s), dark,
    )  # fmt: skip


def brightness(one: Light, other: Light) -> float:
    """How bright the lamp was in `one`, over `other`: median over the pixels that are well lit in both. Raises
    OpticalError where none is."""
    both = one.usable & other.usable
    lit = both & (other.rate > _LIT * float(np.max(other.rate[both], initial=0.0))) & (other.rate > 0) & (one.rate > 0)
    if not lit.any():
        raise OpticalError("a reference has no light in it: is the lamp on, is its shutter open?")
    return float(np.median(one.rate[lit] / other.rate[lit]))


def drift_per_s(references: Sequence[Light]) -> float:
    """Relative variance that the lamp's brightness gains per second, from repeated references; a random walk.

    With three or more: from how far each lies off the line between its neighbours (a walk that is tied down at both
    ends has variance q a b/(a + b) between them). With two: from their difference. Raises OpticalError for fewer.
    """
    kept = sorted(references, key=lambda reference: reference.at_s)
    if len(kept) < 2:
        raise OpticalError("one reference can't say how the lamp drifts: take another one, after the sample")
    logs = np.array([log(brightness(reference, kept[0])) for reference in kept])
    times = np.array([reference.at_s for reference in kept])
    if np.any(np.diff(times) <= 0.0):
        raise OpticalError("two references were taken at the same time")
    if len(kept) == 2:
        return float((logs[1] - logs[0]) ** 2 / (times[1] - times[0]))
    before, after = times[1:-1] - times[:-2], times[2:] - times[1:-1]
    between = (logs[:-2] * after + logs[2:] * before) / (before + after)
    return float(np.mean((logs[1:-1] - between) ** 2 * (before + after) / (before * after)))


def reference_at(references: Sequence[Light], at_s: float) -> Light:
    """The reference as it would have been at a time (experiment time, s), between repeated ones.

    Linear in time, pixel by pixel; what the lamp may have done meanwhile (see drift_per_s) is in lamp_variance. Before
    the first and behind the last one the nearest is held, and its doubt grows with the time.
    """
    drift = drift_per_s(references)
    kept = sorted(references, key=lambda reference: reference.at_s)
    if at_s <= kept[0].at_s or at_s >= kept[-1].at_s:
        nearest = kept[0] if at_s <= kept[0].at_s else kept[-1]
        return replace(nearest, at_s=at_s, lamp_variance=drift * abs(at_s - nearest.at_s))
    first, second = next(pair for pair in pairwise(kept) if pair[0].at_s <= at_s <= pair[1].at_s)
    span = second.at_s - first.at_s
    share = (at_s - first.at_s) / span
    same_dark = first.dark is second.dark
    dark = (share**2 + (1.0 - share) ** 2 if not same_dark else 1.0) * np.maximum(
        first.dark_variance, second.dark_variance
    )
    own = (1.0 - share) ** 2 * (first.variance - first.dark_variance) + share**2 * (
        second.variance - second.dark_variance
    )
    return Light(
        first.wavelength_nm, (1.0 - share) * first.rate + share * second.rate, own + dark, dark,
        first.usable & second.usable, at_s, first.dark if same_dark else second.dark,
        drift * share * (1.0 - share) * span,
    )  # fmt: skip


def absorbance(sample: Light, reference: Light) -> Absorbance:
    """Optical density of a sample against a reference at its time (`reference_at`). Raises OpticalError for spectra of
    two instruments."""
    if sample.rate.shape != reference.rate.shape or np.any(sample.wavelength_nm != reference.wavelength_nm):
        raise OpticalError("sample and reference have other wavelengths: they are of two instruments")
    s, r = sample.rate, reference.rate
    lit = reference.usable & (r > _SEEN * np.sqrt(reference.variance))
    through = lit & sample.usable & (s > _SEEN * np.sqrt(sample.variance))
    density, variance = np.full_like(s, np.nan), np.full_like(s, np.nan)
    at_least = np.full_like(s, -np.inf)
    here_s, here_r = s[through], r[through]
    density[through] = -np.log10(here_s / here_r)
    # d(ln A): both quotients' own noise; one dark for both moves numerator and denominator together.
    one_dark = sample.dark is reference.dark
    shared = np.minimum(sample.dark_variance, reference.dark_variance)[through] if one_dark else 0.0
    own = sample.variance[through] / here_s**2 + reference.variance[through] / here_r**2
    variance[through] = (own - 2.0 * shared / (here_s * here_r)) / _LN10**2
    black = lit & sample.usable & ~through
    most = np.maximum(s, 0.0) + _SEEN * np.sqrt(sample.variance)
    at_least[black] = -np.log10(most[black] / r[black])
    return Absorbance(
        sample.wavelength_nm, density, variance, through, at_least,
        float(np.sqrt(sample.lamp_variance + reference.lamp_variance)) / _LN10,
    )  # fmt: skip
