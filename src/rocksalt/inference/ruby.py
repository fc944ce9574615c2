"""The ruby's R1 and R2 in a spectrum: where they stand, how good that is, and the pressure it comes to.

Two pseudo-Voigts on a smooth ground. A spectrum that is no ruby's gets a flag and a sentence, never a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, log
from typing import Final, Literal

from rocksalt.crystals.gauges import RUBY_TEMPERATURE_K, ruby_line_nm, ruby_pressure_gpa
from rocksalt.crystals.limits import CrystalError
from rocksalt.inference.doublet import Doublet, expected_ratio, fit_doublet, strongest_line
from rocksalt.values import Measured, Spectrum

Flag = Literal["ok", "weak", "saturated", "cold", "shape"]
_LEAST_SIGNAL: Final = 8.0
"""R1's height over its sigma."""
_LEAST_R2, _MISSED_R2 = 3.0, 6.0
"""Sigmas at which R2 is seen; at which it is missed, where temperature and R1 say how strong it has to be."""
_RATIO_WITHIN: Final = 2.5
"""Factor around the expected R2/R1: polarisation and stress move it (the factor is a judgement)."""
_CHI2, _MISFIT = 2.0, 0.03
"""Reduced chi-squared, and rms misfit over R1's height: both must be passed for a shape to count as another's."""
_WIDEST_NM: Final = 2.4
_UNCALIBRATED_NM: Final = 0.05
"""One sigma of R1 without load where nobody measured it: rubies and spectrometers differ so much (unconfirmed)."""


@dataclass(frozen=True, slots=True)
class RubyFit:
    """What a spectrum says of its ruby. Places, widths and pressure are None unless the flag is "ok" or "cold".

    flag            ok; weak: no line above the noise; saturated: at the lines; cold: R2 is gone, as the temperature has
                    it, and R1 alone is read; shape: something shines, and it is no ruby's doublet
    chi2            reduced, against the noise that the pixels' own roughness shows
    signal          R1's height over its sigma; ratio: R2's height over R1's
    pressure_gpa    on `scale`, at temperature_k; sigma from the line, the unloaded line, the temperature and the scale
    reason          one sentence for a person
    """

    flag: Flag
    reason: str
    r1_nm: Measured | None = None
    r2_nm: Measured | None = None
    width_nm: Measured | None = None
    ratio: float | None = None
    chi2: float | None = None
    signal: float = 0.0
    pressure_gpa: Measured | None = None
    scale: str = ""
    temperature_k: Measured | None = None


def fit_ruby(
    spectrum: Spectrum,
    temperature_k: Measured,
    *,
    dark: Spectrum | None = None,
    unloaded_nm: Measured | None = None,
    scale: str = "ruby, Ruby2020",
) -> RubyFit:
    """Fit the doublet and read the pressure.

    dark          of the same integration: takes the sensor's hot pixels away
    unloaded_nm   this ruby's R1 in this spectrometer, without load at 298 K (see `unloaded`); without it 694.25 nm with
                  a sigma of 0.05
    Raises ValueError for a dark spectrum of another integration.
    """
    if dark is not None and dark.integration_s != spectrum.integration_s:
        raise ValueError(
            f"a dark spectrum of {dark.integration_s:g} s is none for one of {spectrum.integration_s:g} s: take it anew"
        )
    low, high = RUBY_TEMPERATURE_K
    kelvin = min(max(temperature_k.value, low), high)
    start = strongest_line(spectrum, dark, kelvin)
    if start is None:
        return RubyFit("weak", "no line stands above the noise: is the laser on, is the ruby in its spot?")
    if start.saturated:
        return RubyFit("saturated", f"{start.saturated} pixels at full scale at the lines: expose more shortly")
    found = fit_doublet(spectrum, dark, start, kelvin)
    if found is None:
        return RubyFit("shape", f"what shines at {start.nm:.2f} nm can't be followed by a doublet")
    flag, reason = _judged(found, temperature_k.value)
    seen = RubyFit(flag, reason, chi2=found.chi2, signal=found.signal, ratio=found.ratio)
    if flag not in ("ok", "cold"):
        return seen
    line = found.r1_nm
    reference = None if unloaded_nm is None else unloaded_nm.value
    spread = _UNCALIBRATED_NM if unloaded_nm is None else unloaded_nm.sigma
    try:
        pressure = ruby_pressure_gpa(
            Measured(line.value, hypot(line.sigma, spread)), temperature_k, scale=scale, unloaded_nm=reference
        )
    except CrystalError as error:
        return RubyFit("shape", str(error), chi2=found.chi2, signal=found.signal, ratio=found.ratio)
    if unloaded_nm is None:
        reason += f"; no unloaded ruby was measured, so its line is believed to {_UNCALIBRATED_NM:g} nm"
    return RubyFit(
        flag, reason, line, found.r2_nm if flag == "ok" else None, found.width_nm, found.ratio, found.chi2,
        found.signal, pressure, scale, temperature_k,
    )  # fmt: skip


def unloaded(fit: RubyFit) -> Measured:
    """R1 of this ruby in this spectrometer at 298 K, from a fit without load. Raises ValueError for one that is no
    good."""
    if fit.r1_nm is None or fit.temperature_k is None:
        raise ValueError(f"an unloaded line can't be had from this fit: {fit.reason}")
    kelvin = fit.temperature_k.value
    factor = ruby_line_nm(298.0) / ruby_line_nm(kelvin)
    top = min(kelvin + 1.0, RUBY_TEMPERATURE_K[1])
    per_kelvin = ruby_line_nm(top) - ruby_line_nm(top - 1.0)
    return Measured(fit.r1_nm.value * factor, hypot(fit.r1_nm.sigma, per_kelvin * fit.temperature_k.sigma))


def _judged(found: Doublet, kelvin: float) -> tuple[Flag, str]:
    if found.signal < _LEAST_SIGNAL:
        return "weak", f"R1 stands {found.signal:.1f} sigma above the ground, and {_LEAST_SIGNAL:g} are asked for"
    if found.width_nm.value > _WIDEST_NM:
        return "shape", f"what shines at {found.r1_nm.value:.2f} nm is {found.width_nm.value:.2f} nm wide, no R line"
    worst = max(found.chi2, found.chi2_slow)
    if worst > _CHI2 and found.misfit > _MISFIT:
        return (
            "shape",
            f"a doublet leaves {100 * found.misfit:.0f} % of R1's height unexplained (chi2 {worst:.1f})",
        )
    expected = expected_ratio(kelvin)
    seen = found.ratio / max(found.ratio_sigma, 1e-12)
    if seen < _LEAST_R2:
        if expected > _MISSED_R2 * found.ratio_sigma:
            return (
                "shape",
                f"R2 is missing, and at {kelvin:g} K it has {100 * expected:.0f} % of R1: one line is no ruby",
            )
        return "cold", f"R2 is gone, as it may be at {kelvin:g} K: R1 alone is read"
    if found.at_bound:
        return "shape", f"two lines, and {found.splitting_per_cm:.1f} per cm between them is no ruby's splitting"
    if abs(log(found.ratio / expected)) > log(_RATIO_WITHIN) + 2.0 * found.ratio_sigma / found.ratio:
        return "shape", f"the weaker line has {100 * found.ratio:.0f} % of the other, R2 has {100 * expected:.0f} %"
    return "ok", f"R1 at {found.r1_nm.value:.3f} nm, R2 beside it"
