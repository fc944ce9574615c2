"""Can this station do this campaign? What neither file can know alone, asked before anything is connected."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from rocksalt.config.campaign import Campaign
from rocksalt.config.errors import Key, Problem, shown
from rocksalt.config.hints import did_you_mean
from rocksalt.config.source import Read
from rocksalt.config.station import Station

MEMBRANE, TEMPERATURE, DETECTOR, INTERLOCK = "membrane", "temperature", "detector", "interlock"
_KELVIN_AT_0_C = 273.15


def check(
    campaign: Read[Campaign],
    station: Read[Station],
    known_salts: Collection[str],
    known_drivers: Collection[str],
    simulated: bool = True,
) -> list[Problem]:
    """Everything that keeps the station from doing the campaign, each problem in the file where it can be mended.

    known_salts     formulas the program has tables for; known_drivers the names of the installed drivers
    simulated       False: real instruments are to be connected, so that every address has to be complete
    """
    return [
        *_salt(campaign, known_salts),
        *_drivers(station, known_drivers),
        *_set_points(campaign, station),
        *_temperature(campaign, station),
        *_light(campaign, station),
        *([] if simulated else _open_ports(station)),
    ]


def _salt(campaign: Read[Campaign], known: Collection[str]) -> Iterator[Problem]:
    salt = campaign.value.sample.salt
    if salt not in known:
        rule = "there are no tables for this salt"
        yield campaign.source.problem("sample.salt", rule, did_you_mean(salt, known), shown(salt))


def _drivers(station: Read[Station], known: Collection[str]) -> Iterator[Problem]:
    for name, device in station.value.devices.items():
        if device.driver not in known:
            key: Key = ("devices", name, "driver")
            hint = did_you_mean(device.driver, known)
            yield station.source.problem(key, "no driver of this name is installed", hint, shown(device.driver))


def _set_points(campaign: Read[Campaign], station: Read[Station]) -> Iterator[Problem]:
    """A transition is found by moving the membrane, and nothing moves without limits and a ramp."""
    device = station.value.devices.get(MEMBRANE)
    goal = campaign.value.goal
    if device is None:
        rule = f'the goal "{goal}" changes the pressure, and this station has no membrane'
        yield station.source.problem("devices", rule, f"add a table [devices.{MEMBRANE}]")
        return
    for key, missing, example in (
        ("limits", device.limits is None, "limits = { lower = 0.0, upper = 150.0 }"),
        ("ramp", device.ramp is None, "ramp = 0.5"),
    ):
        if missing:
            rule = f'this key is missing: the goal "{goal}" moves the {MEMBRANE}, and nothing moves without {key}'
            yield station.source.problem(("devices", MEMBRANE, key), rule, f"for instance {example}")


def _temperature(campaign: Read[Campaign], station: Read[Station]) -> Iterator[Problem]:
    device = station.value.devices.get(TEMPERATURE)
    if device is None or device.limits is None:
        return
    lower, upper = device.limits.lower, device.limits.upper
    low, high = campaign.value.envelope.temperature_k
    if lower <= low and high <= upper:
        return
    key: Key = ("devices", TEMPERATURE, "limits")
    where = f"{station.source.path}:{station.source.line(key)}"
    rule = f"the station's temperature stays within {lower:g} and {upper:g} K ({TEMPERATURE}.limits, {where})"
    hint = ""
    if lower <= low + _KELVIN_AT_0_C and high + _KELVIN_AT_0_C <= upper:
        kelvin = f"[{low + _KELVIN_AT_0_C:.10g}, {high + _KELVIN_AT_0_C:.10g}]"
        hint = f"plainly in degrees Celsius: did you mean {kelvin}?"
    elif max(low, lower) < min(high, upper):
        hint = f"both allow [{max(low, lower):.10g}, {min(high, upper):.10g}]"
    yield campaign.source.problem("envelope.temperature_k", rule, hint, shown([low, high]))


def _light(campaign: Read[Campaign], station: Read[Station]) -> Iterator[Problem]:
    if DETECTOR not in station.value.devices:
        rule = "the campaign exposes, and this station has no detector"
        yield station.source.problem("devices", rule, f"add a table [devices.{DETECTOR}]")
    dose_gy = campaign.value.envelope.dose_gy
    if dose_gy is not None and station.value.beam.flux_ph_per_s is None:
        where = f"{station.source.path}:{station.source.line('beam')}"
        rule = f"a dose is booked from the flux at the sample, and the station does not state one ({where})"
        hint = "add beam.flux_ph_per_s and beam.flux_sigma_ph_per_s, or let minutes alone be the budget"
        yield campaign.source.problem("envelope.dose_gy", rule, hint, shown(dose_gy))
    interlock = station.value.devices.get(INTERLOCK)
    if interlock is not None and interlock.guardian != "beside":
        rule = "what shuts the beam off needs the guardian's own connection from the start"
        value = "" if interlock.guardian is None else shown(interlock.guardian)
        yield station.source.problem(("devices", INTERLOCK, "guardian"), rule, 'write guardian = "beside"', value)


def _open_ports(station: Read[Station]) -> Iterator[Problem]:
    for name, device in station.value.devices.items():
        for key, link in (("link", device.link), ("stream", device.stream)):
            if link is not None and link.any_port:
                rule = "port 0 means any free port, and only a simulator can choose one"
                hint = "write the instrument's port, or run with --simulate"
                yield station.source.problem(("devices", name, key), rule, hint, shown(str(link)))
