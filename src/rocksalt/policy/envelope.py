"""Set-points against envelope and station limits before the wire, conditions against the envelope after the estimate.
Asked by whoever sends, independently of whoever decided."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rocksalt.config.campaign import Campaign
from rocksalt.config.station import Station
from rocksalt.values import Conditions, Estimate, Measured, Measurement, Reading

_ROUNDING = 1e-9  # relative; a set-point that is the limit itself must pass
_SIGMAS = 2.0


@dataclass(frozen=True, slots=True)
class Membrane:
    """The device that makes pressure: its limits (bar) and its ramp (bar per second)."""

    lower_bar: float
    upper_bar: float
    ramp_bar_per_s: float

    @classmethod
    def of(cls, station: Station) -> Membrane:
        """Read it from the station file. Raises ValueError where it is missing, or has no limits or no ramp."""
        device = station.devices.get("membrane")
        if device is None or device.limits is None or device.ramp is None:
            raise ValueError(
                f"station {station.station}: an upward ramp needs [devices.membrane] with limits and ramp, "
                "for instance limits = { lower = 0.0, upper = 150.0 } and ramp = 0.5"
            )
        return cls(device.limits.lower, device.limits.upper, device.ramp)


def violations(measurement: Measurement, campaign: Campaign, station: Station) -> list[str]:
    """All that envelope or station forbid in this measurement, a sentence each; empty when it may go to the wire."""
    found = [*_setpoints(measurement, campaign, station), *_exposures(measurement, campaign)]
    expected = measurement.expects.pressure_gpa
    if expected is not None:
        high = campaign.envelope.pressure_gpa[1]  # below the low end is where every loading starts
        upper = expected.value + _SIGMAS * expected.sigma
        if not math.isfinite(upper) or upper > high * (1.0 + _ROUNDING):
            found.append(f"the pressure may come to {upper:.3f} GPa, above the envelope's {high:g} GPa")
    found += _dose(measurement.expects, campaign)
    return found


def conditions_outside(estimate: Estimate | None, readings: Mapping[str, Reading], campaign: Campaign) -> list[str]:
    """What the sample was found to feel beyond the envelope, by more than 2 sigma; each is a reason to hold."""
    found = []
    pressure = estimate.pressure_gpa if estimate is not None else None
    if pressure is not None and math.isfinite(pressure.value):
        high = campaign.envelope.pressure_gpa[1]
        if too_high(pressure, campaign):
            found.append(
                f"the sample is at {pressure.value:.3f}({pressure.sigma:.3f}) GPa, above the envelope's {high:g} GPa"
            )
    temperature = readings.get("temperature_k")
    if temperature is not None:
        low_k, high_k = campaign.envelope.temperature_k
        beyond = max(low_k - temperature.value, temperature.value - high_k)
        if not beyond <= _SIGMAS * temperature.sigma:
            found.append(
                f"the sample is at {temperature.value:.2f} K, outside the envelope's {low_k:g} to {high_k:g} K"
            )
    return found


def too_high(pressure_gpa: Measured, campaign: Campaign) -> bool:
    """Whether a pressure (GPa) lies above the envelope's top by more than 2 sigma."""
    return pressure_gpa.value - _SIGMAS * pressure_gpa.sigma > campaign.envelope.pressure_gpa[1]


def _setpoints(measurement: Measurement, campaign: Campaign, station: Station) -> list[str]:
    found = []
    for name, target in measurement.setpoints.items():
        device = station.devices.get(name.rsplit("_", 1)[0])
        if device is None:
            found.append(f"{name} = {target:g}: the station has no device {name.rsplit('_', 1)[0]}")
        elif not math.isfinite(target):
            found.append(f"{name} = {target}: a set-point is a finite number")
        elif device.limits is not None and not _within(target, device.limits.lower, device.limits.upper):
            found.append(
                f"{name} = {target:g} is outside the station's {device.limits.lower:g} to {device.limits.upper:g}"
            )
    low_k, high_k = campaign.envelope.temperature_k
    wanted_k = measurement.setpoints.get("temperature_k")
    if wanted_k is not None and not _within(wanted_k, low_k, high_k):
        found.append(f"temperature_k = {wanted_k:g} is outside the envelope's {low_k:g} to {high_k:g} K")
    return found


def _exposures(measurement: Measurement, campaign: Campaign) -> list[str]:
    rules = campaign.exposure
    return [
        f"an exposure of {exposure.count} x {exposure.seconds:g} s is outside the campaign's "
        f"{rules.shortest_s:g} to {rules.longest_s:g} s"
        for exposure in measurement.exposures
        if not _within(exposure.seconds, rules.shortest_s, rules.longest_s) or exposure.count < 1
    ]


def _dose(expects: Conditions, campaign: Campaign) -> list[str]:
    dose: Measured | None = expects.dose_gy
    budget = campaign.envelope.dose_gy
    if dose is None or budget is None:
        return []
    upper = dose.value + _SIGMAS * dose.sigma
    if upper <= budget * (1.0 + _ROUNDING):
        return []
    return [f"the dose may come to {upper:.3g} Gy, above the budget of {budget:.3g} Gy"]


def _within(value: float, low: float, high: float) -> bool:
    slack = _ROUNDING * max(abs(low), abs(high), 1.0)
    return low - slack <= value <= high + slack
