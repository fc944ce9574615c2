"""Reading a file: what a correct one gives, and the very words a person gets for a wrong one."""

import hashlib
import os
from pathlib import Path

import pytest

from rocksalt.config.errors import ConfigError, Problem
from rocksalt.config.links import Link
from rocksalt.config.reading import poni_path, read_campaign, read_station
from rocksalt.config.station import Station


def said(read, path):
    """What reading the file says is wrong with it."""
    with pytest.raises(ConfigError) as error:
        read(path)
    return str(error.value)


def test_the_station_that_comes_with_the_program_reads(folder):
    station = read_station("my-dac.toml").value
    assert station.station == "simulated-dac"
    assert station.devices["membrane"].link == Link("tcp", "127.0.0.1", 5025)
    assert station.devices["membrane"].role == "membrane"
    assert station.devices["detector"].shape == (514, 1030)
    assert station.devices["temperature"].options == {"input": "A", "output": 1}
    assert station.beam.size_um == (30.0, 30.0)
    assert station.twin == {"sample": "KBr", "tier": "clean"}


def test_the_campaign_that_comes_with_the_program_reads(folder):
    campaign = read_campaign("kbr.toml").value
    assert campaign.envelope.pressure_gpa == (0.0, 5.0)
    assert campaign.transition.branch == "up"
    assert campaign.deadlines.decide_within_s == 60.0


def test_a_source_knows_file_lines_and_hash(folder):
    read = read_station(Path("my-dac.toml"))
    assert read.source.sha256 == hashlib.sha256(Path("my-dac.toml").read_bytes()).hexdigest()
    assert read.source.line("devices.membrane.limits.upper") == 25
    assert read.source.line(("devices", "membrane", "no such key")) == read.source.line("devices.membrane") == 22
    assert read.source.line("nowhere") == 1
    assert poni_path(read) == Path("simulated-dac.poni")


def test_a_driver_can_answer_in_the_words_of_the_file(folder):
    """The very error that the sketches promise."""
    source = read_station("my-dac.toml").source
    rule = 'the instrument\'s own limit is 210 bar (PACE5000, range "211.00barg")'
    problem = source.problem("devices.membrane.limits.upper", rule, "did you mean 210?", "2100 bar")
    assert str(problem) == (
        "my-dac.toml:25  membrane.limits.upper = 2100 bar\n"
        '  the instrument\'s own limit is 210 bar (PACE5000, range "211.00barg")\n'
        "  did you mean 210?"
    )


def test_simulators_fill_in_the_addresses(folder, spoil):
    spoil("my-dac.toml", "127.0.0.1:5025", "127.0.0.1:0", "127.0.0.1:5020", "127.0.0.1:0")
    station = read_station("my-dac.toml").value
    assert station.devices["membrane"].link.any_port
    filled = station.at({"membrane": {"link": "tcp://127.0.0.1:4001"}, "interlock": {"link": "tcp://127.0.0.1:4002"}})
    assert filled.devices["membrane"].link.port == 4001
    assert filled.devices["membrane"].role == "membrane"
    assert station.devices["membrane"].link.any_port
    with pytest.raises(ValueError, match="already"):
        station.at({"membrane": {"link": "tcp://127.0.0.1:4001"}, "interlock": {"link": "tcp://localhost:4001"}})


def test_a_flux_may_be_left_out(folder, spoil):
    spoil("my-dac.toml", "flux_ph_per_s = 2.0e9", "", "flux_sigma_ph_per_s = 4.0e8", "")
    assert read_station("my-dac.toml").value.beam.flux_ph_per_s is None


def test_whole_numbers_pass_for_numbers(folder, spoil):
    spoil("my-dac.toml", "upper = 150.0", "upper = 150")
    assert read_station("my-dac.toml").value.devices["membrane"].limits.upper == 150.0


def test_a_byte_order_mark_and_windows_line_ends_are_passed_over(folder):
    raw = b"\xef\xbb\xbf" + Path("my-dac.toml").read_bytes().replace(b"\n", b"\r\n")
    Path("my-dac.toml").write_bytes(raw)
    read = read_station("my-dac.toml")
    assert read.source.line("devices.membrane.ramp") == 26
    assert read.source.sha256 == hashlib.sha256(raw).hexdigest()


STATIONS = {
    "wavelength in nm, by key": (
        ("wavelength_angstrom = 0.4133", "wavelength_nm = 0.04133"),
        "my-dac.toml:7  beam.wavelength_nm = 0.04133\n  there is no such key\n"
        "  did you mean wavelength_angstrom? 0.04133 nm is wavelength_angstrom = 0.4133",
    ),
    "wavelength in nm, by value": (
        ("wavelength_angstrom = 0.4133", "wavelength_angstrom = 0.04133"),
        "my-dac.toml:7  beam.wavelength_angstrom = 0.04133\n  a wavelength of X-rays is between 0.08 and 3 Å\n"
        "  0.04133 is plainly in nanometres: did you mean 0.4133?",
    ),
    "wavelength in m, as a PONI file has it": (
        ("wavelength_angstrom = 0.4133", "wavelength_angstrom = 4.133e-11"),
        "my-dac.toml:7  beam.wavelength_angstrom = 4.133e-11\n  a wavelength of X-rays is between 0.08 and 3 Å\n"
        "  4.133e-11 is plainly in metres: did you mean 0.4133?",
    ),
    "an energy for a wavelength": (
        ("wavelength_angstrom = 0.4133", "energy_kev = 30"),
        "my-dac.toml:7  beam.energy_kev = 30\n  there is no such key\n"
        "  did you mean wavelength_angstrom? 30 keV is wavelength_angstrom = 0.413281",
    ),
    "a wavelength that is text with a unit": (
        ("wavelength_angstrom = 0.4133", 'wavelength_angstrom = "0.04133 nm"'),
        'my-dac.toml:7  beam.wavelength_angstrom = "0.04133 nm"\n'
        "  must be a number: the wavelength of the beam in ångström\n  write 0.4133 without quotes: the key is in Å",
    ),
    "a flux without a unit": (
        ("flux_ph_per_s = 2.0e9", "flux = 2.0e9"),
        "my-dac.toml:8  beam.flux = 2.0e9\n  there is no such key\n"
        "  did you mean flux_ph_per_s? keys name their unit, here photons per s",
    ),
    "a flux without its sigma": (
        ("flux_sigma_ph_per_s = 4.0e8", ""),
        "my-dac.toml:6  beam.flux_sigma_ph_per_s\n"
        "  this key is missing: a flux and its standard uncertainty come together",
    ),
    "a flux of nothing": (
        ("flux_ph_per_s = 2.0e9", "flux_ph_per_s = 0"),
        "my-dac.toml:8  beam.flux_ph_per_s = 0\n  must be above 0: photons per second at the sample\n"
        "  for instance flux_ph_per_s = 2.0e9",
    ),
    "a beam of negative size": (
        ("size_um = [30.0, 30.0]", "size_um = [30.0, -30.0]"),
        "my-dac.toml:10  beam.size_um[1] = -30.0\n"
        "  must be above 0: full width at half maximum in µm: horizontal, vertical\n"
        "  for instance size_um = [30.0, 30.0]",
    ),
    "a limit that is text with a unit": (
        ("upper = 150.0", 'upper = "41 bar"'),
        'my-dac.toml:25  membrane.limits.upper = "41 bar"\n'
        "  must be a number: the highest allowed set-point, in the instrument's own unit\n"
        "  write 41 without quotes, in the instrument's own unit",
    ),
    "a limit with a bare unit": (
        ("upper = 150.0", "upper = 41 bar"),
        "my-dac.toml:25\n  not TOML: unclosed inline table (column 36)\n"
        "  items have commas between them; a number carries no unit, the key's name does",
    ),
    "a ramp with a bare unit": (
        ("ramp = 0.2", "ramp = 0.2 bar/s"),
        "my-dac.toml:26\n  not TOML: expected newline or end of document after a statement (column 12)\n"
        "  a value ends there; a number carries no unit, the key's name does",
    ),
    "limits the wrong way round": (
        ("lower = 0.0, upper = 150.0", "lower = 150.0, upper = 0.0"),
        "my-dac.toml:25  membrane.limits.upper = 0.0\n  the upper limit (0) must be above the lower limit (150)\n"
        "  did you mean lower = 0.0, upper = 150.0?",
    ),
    "limits without width": (
        ("lower = 0.0, upper = 150.0", "lower = 150.0, upper = 150.0"),
        "my-dac.toml:25  membrane.limits.upper = 150.0\n  the upper limit (150) must be above the lower limit (150)",
    ),
    "an endless limit": (
        ("upper = 150.0", "upper = inf"),
        "my-dac.toml:25  membrane.limits.upper = inf\n"
        "  must be a finite number: the highest allowed set-point, in the instrument's own unit\n"
        "  for instance upper = 150.0",
    ),
    "no ramp at all": (
        ("ramp = 0.2", "ramp = 0"),
        "my-dac.toml:26  membrane.ramp = 0\n  must be above 0: the fastest change, per second\n"
        "  for instance ramp = 0.5",
    ),
    "a ramp with its unit in the key": (
        ("ramp = 0.2", "ramp_bar_per_s = 0.2"),
        "my-dac.toml:26  membrane.ramp_bar_per_s = 0.2\n  there is no such key\n"
        "  did you mean ramp? it is in the instrument's own unit",
    ),
    "the membrane in psi": (
        ("gpa_per_bar = 0.055", "gpa_per_bar = 0.055\nmembrane_psi = 600"),
        "my-dac.toml:18  load_curve.membrane_psi = 600\n  there is no such key\n"
        '  the membrane counts in bar ("membrane_bar"): a station states its limits and its ramp in '
        "[devices.membrane], a campaign states the sample's pressure_gpa",
    ),
    "true for a number": (
        ("gpa_per_bar = 0.055", "gpa_per_bar = true"),
        "my-dac.toml:17  load_curve.gpa_per_bar = true\n"
        "  must be a number: the expected slope of sample pressure over membrane pressure\n"
        "  for instance gpa_per_bar = 0.055",
    ),
    "two devices on one port": (
        ("tcp://127.0.0.1:5020", "tcp://localhost:5025"),
        'my-dac.toml:38  interlock.link = "tcp://localhost:5025"\n  membrane.link is on port 5025 of 127.0.0.1 already',
    ),
    "a stream on a device's port": (
        ("tcp://127.0.0.1:31001", "tcp://localhost:8080"),
        'my-dac.toml:44  detector.stream = "tcp://localhost:8080"\n'
        "  detector.link is on port 8080 of 127.0.0.1 already",
    ),
    "two devices on one serial line": (
        ("tcp://127.0.0.1:5020", "serial:///dev/ttyUSB0?baud=9600"),
        'my-dac.toml:38  interlock.link = "serial:///dev/ttyUSB0?baud=9600"\n'
        "  temperature.link is on the serial line /dev/ttyUSB0 already",
    ),
    "a link that is no link": (
        ('"http://127.0.0.1:8080"', '"127.0.0.1:8080"'),
        'my-dac.toml:43  detector.link = "127.0.0.1:8080"\n  a link is a URL\n  for instance tcp://127.0.0.1:8080',
    ),
    "a link that is a number": (
        ('"http://127.0.0.1:8080"', "8080"),
        'my-dac.toml:43  detector.link = 8080\n  must be text\n  for instance "tcp://127.0.0.1:5025"',
    ),
    "a stream by HTTP": (
        ("tcp://127.0.0.1:31001", "http://127.0.0.1:31001"),
        'my-dac.toml:44  detector.stream = "http://127.0.0.1:31001"\n  a stream is tcp://host:port',
    ),
    "a detector without a shape": (
        ("shape = [514, 1030]", ""),
        "my-dac.toml:41  detector.shape\n"
        "  this key is missing: frames are bounded by the detector's shape before memory is taken\n"
        "  for instance shape = [514, 1030], rows and columns",
    ),
    "a detector without a stream": (
        ('stream = "tcp://127.0.0.1:31001"', ""),
        "my-dac.toml:41  detector.stream\n  this key is missing: frames of dectris_simplon come over a stream\n"
        '  for instance stream = "tcp://127.0.0.1:31001"',
    ),
    "a shape of one number": (
        ("shape = [514, 1030]", "shape = [514]"),
        "my-dac.toml:46  detector.shape = [514]\n  must be a list of two: [rows, columns]",
    ),
    "a stream of a version that is not spoken": (
        ("stream_version = 2", "stream_version = 3"),
        "my-dac.toml:45  detector.stream_version = 3\n  must be one of 1, 2: version of the stream",
    ),
    "a guardian that stands nowhere": (
        ('"beside"', '"besides"'),
        'my-dac.toml:39  interlock.guardian = "besides"\n'
        '  must be one of "beside", "after": how the guardian reaches the device\n  did you mean "beside"?',
    ),
    "a device whose name is no name": (
        ("[devices.membrane]", '[devices."Membrane 1"]'),
        'my-dac.toml:22  "Membrane 1"\n  a device\'s name has small letters, digits and _ and starts with a letter\n'
        "  did you mean membrane_1?",
    ),
    "a key that belongs to another table": (
        ("[twin]", 'poni = "x"\n[twin]'),
        'my-dac.toml:49  detector.poni = "x"\n  there is no such key\n  did you mean poni in [geometry]?',
    ),
    "a misspelt table": (("[beam]", "[baem]"), "my-dac.toml:6  baem\n  there is no such key\n  did you mean beam?"),
    "a driver's own key in the wrong place": (
        ("shape =", "zorro = 3\nshape ="),
        "my-dac.toml:46  detector.zorro = 3\n  there is no such key\n  valid here: driver, link, stream, "
        "stream_version, shape, limits, ramp, guardian, options; what only the driver understands stands in options",
    ),
    "a missing key": (
        ('driver = "druck_pace"', ""),
        "my-dac.toml:22  membrane.driver\n  this key is missing: the driver that speaks the instrument's protocol\n"
        '  for instance driver = "druck_pace"',
    ),
    "an endless number among the options": (
        ("threshold_ev = 15000", "threshold_ev = nan"),
        "my-dac.toml:47  detector.options.threshold_ev = nan\n  must be a finite number",
    ),
    "an endless number for the twin": (
        ('tier = "clean"', "tier = [1, -inf]"),
        "my-dac.toml:51  twin.tier[1] = -inf\n  must be a finite number",
    ),
    "a table where a number stands": (
        ("polarisation = 0.98", "polarisation = { x = 1 }"),
        "my-dac.toml:11  beam.polarisation\n"
        "  must be a number: the polarisation factor of the beam, 1 for wholly horizontal, 0 for a tube\n"
        "  for instance polarisation = 0.98",
    ),
    "a PONI file that is not there": (
        ('"simulated-dac.poni"', '"other.poni"'),
        'my-dac.toml:14  geometry.poni = "other.poni"\n  other.poni: there is no such file',
    ),
    "a PONI file that is a folder": (
        ('"simulated-dac.poni"', '"."'),
        'my-dac.toml:14  geometry.poni = "."\n  .: this is a folder, not a file\n'
        "  the TOML files in it: kbr.toml, my-dac.toml",
    ),
    "a PONI file that is something else": (
        ('"simulated-dac.poni"', '"kbr.toml"'),
        'my-dac.toml:14  geometry.poni = "kbr.toml"\n'
        "  kbr.toml: this is not a PONI file, it has no line that begins with Distance:\n"
        "  pyFAI's calibration writes one",
    ),
    "a key that is there twice": (
        ("ramp = 0.2", "ramp = 0.2\nramp = 0.6"),
        "my-dac.toml:27\n  not TOML: cannot overwrite a value (column 11)\n"
        "  this key or table is there already, further up",
    ),
}


@pytest.mark.parametrize("case", STATIONS)
def test_a_station_that_is_wrong_is_answered(spoil, case):
    pairs, answer = STATIONS[case]
    assert said(read_station, spoil("my-dac.toml", *pairs)) == answer


def test_port_0_is_for_simulators(spoil):
    path = spoil("my-dac.toml", "127.0.0.1:5025", "127.0.0.1:0", "[twin]", "[devices.interlock.options]")
    assert said(read_station, path) == (
        'my-dac.toml:24  membrane.link = "tcp://127.0.0.1:0"\n'
        "  port 0 means any free port, and only a simulator can choose one\n"
        "  write the instrument's port, or add a table [twin]"
    )


def test_all_problems_come_at_once_in_the_order_of_the_lines(spoil):
    path = spoil(
        "my-dac.toml",
        *("wavelength_angstrom = 0.4133", "wavelength_angstrom = 0.04133"),
        *("[load_curve]", "[lode_curve]"),
        *("lower = 0.0, upper = 150.0", "lower = 150, upper = 0"),
        *("ramp = 0.2", "ramp = -1"),
        *("127.0.0.1:5020", "127.0.0.1:5025"),
        *("stream =", "straem ="),
        *("shape = [514, 1030]", ""),
        *('"simulated-dac.poni"', '"simulated.poni"'),
    )
    with pytest.raises(ConfigError) as error:
        read_station(path)
    assert [(problem.line, problem.key) for problem in error.value.problems] == [
        (7, "beam.wavelength_angstrom"),
        (14, "geometry.poni"),
        (16, "lode_curve"),
        (25, "devices.membrane.limits.upper"),
        (26, "devices.membrane.ramp"),
        (38, "devices.interlock.link"),
        (41, "devices.detector.shape"),
        (44, "devices.detector.straem"),
    ]


CAMPAIGNS = {
    "a pressure in kbar": (
        ("pressure_gpa = [0.0, 5.0]", "pressure_kbar = [0, 50]"),
        "kbr.toml:10  envelope.pressure_kbar = [0, 50]\n  there is no such key\n"
        "  did you mean pressure_gpa? [0, 50] kbar is pressure_gpa = [0, 5]",
    ),
    "a dose in kGy": (
        ("dose_gy = 2.0e7", "dose_kgy = 20000"),
        "kbr.toml:14  envelope.dose_kgy = 20000\n  there is no such key\n"
        "  did you mean dose_gy? 20000 kGy is dose_gy = 20000000",
    ),
    "an exposure in ms": (
        ("seconds = 1.0", "exposure_ms = 1000"),
        "kbr.toml:17  exposure.exposure_ms = 1000\n  there is no such key\n"
        "  did you mean seconds? 1000 ms is seconds = 1",
    ),
    "an exposure in the wrong table": (
        ("dose_gy = 2.0e7", "exposure_ms = 1000"),
        "kbr.toml:14  envelope.exposure_ms = 1000\n  there is no such key\n"
        "  did you mean seconds in [exposure]? 1000 ms is seconds = 1",
    ),
    "the membrane in psi": (
        ("settle_s =", "membrane_psi = 600\nsettle_s ="),
        "kbr.toml:26  transition.membrane_psi = 600\n  there is no such key\n"
        '  the membrane counts in bar ("membrane_bar"): a station states its limits and its ramp in '
        "[devices.membrane], a campaign states the sample's pressure_gpa",
    ),
    "minutes as text in hours": (
        ("minutes = 600.0", 'minutes = "10 h"'),
        'kbr.toml:13  envelope.minutes = "10 h"\n  must be a number: how long the run may take, in minutes\n'
        "  write 600 without quotes: the key is in minutes",
    ),
    "minutes in quotes": (
        ("minutes = 600.0", 'minutes = "600"'),
        'kbr.toml:13  envelope.minutes = "600"\n  must be a number: how long the run may take, in minutes\n'
        "  write 600, without the quotes",
    ),
    "a pressure range that falls": (
        ("pressure_gpa = [0.0, 5.0]", "pressure_gpa = [5.0, 0.0]"),
        "kbr.toml:10  envelope.pressure_gpa = [5.0, 0.0]\n  the lower end comes first\n  did you mean [0.0, 5.0]?",
    ),
    "a temperature range without width": (
        ("[295.0, 305.0]", "[300, 300]"),
        "kbr.toml:12  envelope.temperature_k = [300, 300]\n"
        "  the lower end must be below the upper end: a range of no width leaves nothing to choose",
    ),
    "one pressure instead of two": (
        ("pressure_gpa = [0.0, 5.0]", "pressure_gpa = 5.0"),
        "kbr.toml:10  envelope.pressure_gpa = 5.0\n  must be a list of two: [low, high]",
    ),
    "a temperature below nothing": (
        ("[295.0, 305.0]", "[-5, 305.0]"),
        "kbr.toml:12  envelope.temperature_k[0] = -5\n  must be above 0: the sample's temperature, [low, high] in K\n"
        "  for instance temperature_k = [295.0, 305.0]",
    ),
    "no time at all": (
        ("minutes = 600.0", "minutes = 0"),
        "kbr.toml:13  envelope.minutes = 0\n  must be above 0: how long the run may take, in minutes\n"
        "  for instance minutes = 600.0",
    ),
    "an exposure longer than the run": (
        ("longest_s = 10.0", "longest_s = 40000.0"),
        "kbr.toml:19  exposure.longest_s = 40000.0\n  2 frames of 40000 s after 60 s of settling are longer than the "
        "time of the whole run, 600 minutes (36000 s)\n  write at most 17970, or raise envelope.minutes",
    ),
    "settling longer than the run": (
        ("settle_s = 60.0", "settle_s = 36000"),
        "kbr.toml:26  transition.settle_s = 36000\n"
        "  settling takes 36000 s, and the whole run may take 600 minutes (36000 s)\n"
        "  settle for less, or raise envelope.minutes",
    ),
    "an exposure outside of its bounds": (
        ("seconds = 1.0", "seconds = 20.0"),
        "kbr.toml:17  exposure.seconds = 20.0\n  must lie between shortest_s (0.1) and longest_s (10)\n"
        "  the nearest allowed value is 10",
    ),
    "bounds the wrong way round": (
        ("shortest_s = 0.1", "shortest_s = 12"),
        "kbr.toml:18  exposure.shortest_s = 12\n  the shortest exposure (12 s) is longer than the longest (10 s)\n"
        "  write at most 10, or raise longest_s",
    ),
    "half a frame": (
        ("frames = 2", "frames = 2.5"),
        "kbr.toml:20  exposure.frames = 2.5\n"
        "  must be a whole number: frames of a measurement; two show whether the sample still moves\n"
        "  for instance frames = 2",
    ),
    "no frame": (
        ("frames = 2", "frames = 0"),
        "kbr.toml:20  exposure.frames = 0\n"
        "  must be at least 1: frames of a measurement; two show whether the sample still moves\n"
        "  for instance frames = 2",
    ),
    "a goal that is none": (
        ('goal = "transition"', 'goal = "transitoin"'),
        'kbr.toml:3  goal = "transitoin"\n  must be "transition": what to find out\n  did you mean "transition"?',
    ),
    "a branch that is none": (
        ('branch = "up"', 'branch = "down"'),
        'kbr.toml:23  transition.branch = "down"\n  must be "up": the branch of the load; up means on compression',
    ),
    "a name that is a path": (
        ('campaign = "kbr-transition"', 'campaign = "../kbr"'),
        'kbr.toml:2  campaign = "../kbr"\n  "../kbr" can\'t be a name: a name is not a path, so it has no slash',
    ),
    "a table that is missing": (
        ("[deadlines]\ndecide_within_s = 60.0", "# "),
        "kbr.toml:1  deadlines\n  this table is missing: how late an answer may be\n  its keys: decide_within_s",
    ),
    "a table inside the wrong one": (
        ("[deadlines]\n", "deadlines.x = 1\n[deadlines]\n"),
        "kbr.toml:28  transition.deadlines\n  there is no such key\n  its table is [deadlines]",
    ),
    "an integer that nobody reads": (
        ("minutes = 600.0", "minutes = 1" + "0" * 400),
        "kbr.toml:13  envelope.minutes = an integer of many digits\n"
        "  must be a number: how long the run may take, in minutes\n  for instance minutes = 600.0",
    ),
    "an integer that Python does not read": (
        ("minutes = 600.0", "minutes = 1" + "0" * 5000),
        "kbr.toml:13\n  this number has too many digits to be read",
    ),
    "a date for a number": (
        ("minutes = 600.0", "minutes = 2026-11-22 10:00:00"),
        "kbr.toml:13  envelope.minutes = 2026-11-22T10:00:00\n"
        "  must be a number: how long the run may take, in minutes\n"
        "  for instance minutes = 600.0",
    ),
    "lists without end": (
        ("minutes = 600.0", "minutes = " + 5000 * "["),
        "kbr.toml:13\n  tables and lists are nested deeper than 20",
    ),
    "lists in lists in lists": (
        ("minutes = 600.0", "minutes = " + 50 * "[" + 50 * "]"),
        "kbr.toml:9  envelope\n  tables and lists in it are nested deeper than 20",
    ),
    "an escape that would move the cursor": (
        ("minutes = 600.0", '"minutes\\u001b[2J" = 1\nminutes = 600.0'),
        'kbr.toml:13  envelope."minutes\\u001b[2J" = 1\n  there is no such key\n  did you mean minutes?',
    ),
}


@pytest.mark.parametrize("case", CAMPAIGNS)
def test_a_campaign_that_is_wrong_is_answered(spoil, case):
    pairs, answer = CAMPAIGNS[case]
    assert said(read_campaign, spoil("kbr.toml", *pairs)) == answer


def test_a_file_that_is_not_there_has_a_neighbour(folder):
    assert said(read_campaign, "kbt.toml") == "kbt.toml\n  there is no such file\n  did you mean kbr.toml?"
    assert said(read_campaign, "nowhere/at-all.toml") == "nowhere/at-all.toml\n  there is no such file"


def test_a_folder_is_not_a_file(folder):
    assert said(read_campaign, ".") == (
        ".\n  this is a folder, not a file\n  the TOML files in it: kbr.toml, my-dac.toml"
    )


def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo("pipe.toml")
    assert said(read_campaign, "pipe.toml") == "pipe.toml\n  this is not a regular file"


def test_a_file_that_may_not_be_read_says_so(folder, monkeypatch):
    def denied(self, *_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert said(read_campaign, "kbr.toml") == (
        "kbr.toml\n  this file may not be read by this user\n  change its permissions, or who runs the program"
    )


def test_a_path_that_no_system_takes_is_refused(folder):
    assert said(read_campaign, "a\0b") == "a\\x00b\n  this is not a file's name: it has a NUL character"
    assert said(read_campaign, "kbr.toml/x") == "kbr.toml/x\n  this file can't be read: Not a directory"


BEGIN = "  begin with one of the files that come with the program"
RAW = {
    "nothing": (b"", f"x.toml:1\n  this file is empty\n{BEGIN}"),
    "blanks": (b" \n\n", f"x.toml:1\n  this file is empty\n{BEGIN}"),
    "a comment": (b"# only\n", f"x.toml:1\n  there is no key in this file\n{BEGIN}"),
    "Latin-1": (b"a = 1\nb = '\xb5m'\n", "x.toml:2\n  byte 0xb5 is not UTF-8\n  save the file again as UTF-8"),
    "UTF-16": ("a = 1".encode("utf-16"), "x.toml:1\n  this is UTF-16, and TOML is UTF-8\n  save it again as UTF-8"),
    "a megabyte": (
        b"#" * 1_000_001,
        "x.toml\n  a configuration file has at most 1 MB, and this one is larger\n"
        "  was a data file meant for another argument?",
    ),
    "an open string": (b'a = 1\nb = """\n\n\n', "x.toml:2\n  not TOML: unterminated string (at the end of the file)"),
    "no value": (
        b"a = \n",
        "x.toml:1\n  not TOML: invalid value (column 5)\n"
        "  text stands in quotes, a number has digits before and after its point",
    ),
}


@pytest.mark.parametrize("case", RAW)
def test_bytes_that_are_no_configuration_are_refused(folder, case):
    raw, answer = RAW[case]
    Path("x.toml").write_bytes(raw)
    assert said(read_station, "x.toml") == answer


def test_a_model_by_itself_keeps_the_same_rules(folder):
    data = read_station("my-dac.toml").value.model_dump()
    assert Station.model_validate(data).model_dump() == data
    data["devices"]["interlock"]["link"] = "tcp://localhost:5025"
    with pytest.raises(ValueError, match=r"membrane\.link is on port 5025"):
        Station.model_validate(data)


def test_an_error_without_a_problem_is_a_mistake_of_the_program():
    with pytest.raises(ValueError, match="at least one problem"):
        ConfigError([])


def test_the_same_problem_is_said_once():
    problem = Problem("a.toml", 3, "x", "1", "wrong")
    assert str(ConfigError([problem, problem])) == "a.toml:3  x = 1\n  wrong"


def test_the_shipped_files_are_read_and_fit_each_other() -> None:
    shipped = Path(__file__).resolve().parents[2] / "config"
    for station in (shipped / "stations").glob("*.toml"):
        read_station(station)
    for campaign in (shipped / "campaigns").glob("*.toml"):
        read_campaign(campaign)
