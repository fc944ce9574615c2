"""Whether a station can do a campaign, in the words a person gets."""

import pytest

from rocksalt.config.check import check
from rocksalt.config.reading import read_campaign, read_station

SALTS = ("LiF", "NaCl", "KCl", "KBr", "CsI")
DRIVERS = ("druck_pace", "lakeshore_336", "modbus_interlock", "dectris_simplon")


def problems(**how):
    """What keeps my-dac.toml from doing kbr.toml."""
    found = check(read_campaign("kbr.toml"), read_station("my-dac.toml"), SALTS, DRIVERS, **how)
    return "\n".join(str(problem) for problem in found)


def test_the_files_that_come_with_the_program_fit_each_other(folder):
    assert problems() == ""
    assert problems(simulated=False) == ""


CASES = {
    "a salt in small letters": (
        ("kbr.toml", 'salt = "KBr"', 'salt = "kbr"'),
        'kbr.toml:6  sample.salt = "kbr"\n  there are no tables for this salt\n  did you mean KBr?',
    ),
    "a salt that nobody knows": (
        ("kbr.toml", 'salt = "KBr"', 'salt = "quartz"'),
        'kbr.toml:6  sample.salt = "quartz"\n  there are no tables for this salt\n  known: CsI, KBr, KCl, LiF, NaCl',
    ),
    "a driver that is not installed": (
        ("my-dac.toml", '"druck_pace"', '"druk_pace"'),
        'my-dac.toml:23  membrane.driver = "druk_pace"\n  no driver of this name is installed\n'
        "  did you mean druck_pace?",
    ),
    "a temperature beyond the controller's limits": (
        ("kbr.toml", "[295.0, 305.0]", "[280.0, 305.0]"),
        "kbr.toml:12  envelope.temperature_k = [280.0, 305.0]\n  the station's temperature stays within 290 and 320 K "
        "(temperature.limits, my-dac.toml:32)\n  both allow [290, 305]",
    ),
    "a temperature in degrees Celsius": (
        ("kbr.toml", "[295.0, 305.0]", "[20, 30]"),
        "kbr.toml:12  envelope.temperature_k = [20.0, 30.0]\n  the station's temperature stays within 290 and 320 K "
        "(temperature.limits, my-dac.toml:32)\n  plainly in degrees Celsius: did you mean [293.15, 303.15]?",
    ),
    "no detector": (
        ("my-dac.toml", "[devices.detector]", "[devices.camera]"),
        "my-dac.toml:22  devices\n  the campaign exposes, and this station has no detector\n"
        "  add a table [devices.detector]",
    ),
    "no membrane": (
        ("my-dac.toml", "[devices.membrane]", "[devices.gas]"),
        'my-dac.toml:22  devices\n  the goal "transition" changes the pressure, and this station has no membrane\n'
        "  add a table [devices.membrane]",
    ),
    "a membrane without a ramp": (
        ("my-dac.toml", "ramp = 0.2", ""),
        'my-dac.toml:22  membrane.ramp\n  this key is missing: the goal "transition" moves the membrane, and nothing '
        "moves without ramp\n  for instance ramp = 0.5",
    ),
    "a membrane without limits": (
        ("my-dac.toml", "limits = { lower = 0.0, upper = 150.0 }", ""),
        'my-dac.toml:22  membrane.limits\n  this key is missing: the goal "transition" moves the membrane, and nothing '
        "moves without limits\n  for instance limits = { lower = 0.0, upper = 150.0 }",
    ),
    "a dose that nobody can book": (
        ("my-dac.toml", "flux_ph_per_s = 2.0e9", "", "flux_sigma_ph_per_s = 4.0e8", ""),
        "kbr.toml:14  envelope.dose_gy = 2.0e7\n  a dose is booked from the flux at the sample, and the station does "
        "not state one (my-dac.toml:6)\n  add beam.flux_ph_per_s and beam.flux_sigma_ph_per_s, or let minutes alone "
        "be the budget",
    ),
    "an interlock that the guardian opens too late": (
        ("my-dac.toml", '"beside"', '"after"'),
        'my-dac.toml:39  interlock.guardian = "after"\n'
        "  what shuts the beam off needs the guardian's own connection from the start\n"
        '  write guardian = "beside"',
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_does_not_fit_is_answered(spoil, case):
    change, answer = CASES[case]
    spoil(*change)
    assert problems() == answer


def test_minutes_alone_are_a_budget_where_no_flux_is_known(spoil):
    spoil("my-dac.toml", "flux_ph_per_s = 2.0e9", "", "flux_sigma_ph_per_s = 4.0e8", "")
    spoil("kbr.toml", "dose_gy = 2.0e7", "")
    assert problems() == ""


def test_a_station_without_a_temperature_controller_is_not_asked_for_one(spoil):
    spoil("my-dac.toml", "[devices.temperature]", "[devices.heater]")
    assert problems() == ""


def test_open_ports_are_for_simulators(spoil):
    spoil("my-dac.toml", "127.0.0.1:5025", "127.0.0.1:0", "127.0.0.1:31001", "127.0.0.1:0")
    assert problems() == ""
    assert problems(simulated=False) == (
        'my-dac.toml:24  membrane.link = "tcp://127.0.0.1:0"\n'
        "  port 0 means any free port, and only a simulator can choose one\n"
        "  write the instrument's port, or run with --simulate\n"
        'my-dac.toml:44  detector.stream = "tcp://127.0.0.1:0"\n'
        "  port 0 means any free port, and only a simulator can choose one\n"
        "  write the instrument's port, or run with --simulate"
    )


def test_everything_that_does_not_fit_is_said_at_once(spoil):
    spoil("kbr.toml", 'salt = "KBr"', 'salt = "NaF"', "[295.0, 305.0]", "[5, 10]")
    spoil("my-dac.toml", '"lakeshore_336"', '"lakeshore"', "ramp = 0.2", "", "[devices.detector]", "[devices.camera]")
    assert problems().count("\n  ") == 5 * 2 - 1  # a temperature of 5 K has no nearest range to offer
