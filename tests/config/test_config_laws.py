"""Laws over all files: what is valid comes back as it was meant, what is spoilt is answered with a line of the file."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocksalt.config.campaign import Campaign
from rocksalt.config.errors import ConfigError
from rocksalt.config.reading import read_campaign, read_station
from rocksalt.config.station import Station

PONI = "Distance: 0.25\n"
NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,12}", fullmatch=True)
DEVICES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
POSITIVE = st.floats(1e-6, 1e6) | st.integers(1, 10**6)
PLAIN = st.recursive(
    st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
OPTIONS = st.dictionaries(st.text(max_size=4), PLAIN, max_size=2)


@st.composite
def rising(draw, lowest):
    low = draw(st.floats(lowest, 500.0))
    return [low, low + draw(st.floats(0.5, 100.0))]


@st.composite
def devices(draw, port):
    device = {"driver": draw(NAMES), "link": f"{draw(st.sampled_from(['tcp', 'http']))}://127.0.0.1:{port}"}
    lower = draw(st.floats(-1e3, 1e3))
    optional = {
        "limits": {"lower": lower, "upper": lower + draw(st.floats(0.1, 10.0))},
        "ramp": draw(POSITIVE),
        "guardian": draw(st.sampled_from(["beside", "after"])),
        "options": draw(OPTIONS),
        "stream_version": draw(st.sampled_from([1, 2])),
        "shape": draw(st.lists(st.integers(1, 5000), min_size=2, max_size=2)),
    }
    device |= {key: value for key, value in optional.items() if draw(st.booleans())}
    if "shape" in device and draw(st.booleans()):
        device["stream"] = f"tcp://127.0.0.1:{port + 100}"
    return device


@st.composite
def stations(draw):
    data = {
        "station": draw(NAMES),
        "beam": {
            "wavelength_angstrom": draw(st.floats(0.08, 3.0)),
            "size_um": draw(st.lists(POSITIVE, min_size=2, max_size=2)),
            "polarisation": draw(st.floats(-1.0, 1.0)),
        },
        "geometry": {"poni": "a.poni"},
        "load_curve": {
            "gpa_per_bar": draw(POSITIVE),
            "gpa_per_bar_sigma": draw(POSITIVE),
            "offset_gpa": draw(st.floats(-5, 5)),
            "offset_sigma_gpa": draw(POSITIVE),
        },
        "devices": {
            name: draw(devices(5000 + number))
            for number, name in enumerate(draw(st.lists(DEVICES, min_size=1, max_size=3, unique=True)))
        },
    }
    if draw(st.booleans()):
        data["beam"] |= {"flux_ph_per_s": draw(POSITIVE), "flux_sigma_ph_per_s": draw(POSITIVE)}
    if draw(st.booleans()):
        data["twin"] = draw(OPTIONS)
    return data


@st.composite
def campaigns(draw):
    shortest, seconds, longest = sorted(draw(st.lists(st.floats(1e-3, 100.0), min_size=3, max_size=3)))
    frames = draw(st.integers(1, 20))
    settle_s = draw(st.floats(0.0, 600.0))
    data = {
        "campaign": draw(NAMES),
        "goal": "transition",
        "sample": {"salt": draw(NAMES), "thickness_um": draw(POSITIVE)},
        "envelope": {
            "pressure_gpa": draw(rising(0.0)),
            "ramp_gpa_per_min": draw(POSITIVE),
            "temperature_k": draw(rising(1.0)),
            "minutes": (settle_s + frames * longest) / 60.0 + draw(st.floats(0.1, 1e4)),
        },
        "exposure": {"seconds": seconds, "shortest_s": shortest, "longest_s": longest, "frames": frames},
        "transition": {
            "branch": "up",
            "precision_gpa": draw(POSITIVE),
            "measurements": draw(st.integers(1, 1000)),
            "settle_s": settle_s,
        },
        "deadlines": {"decide_within_s": draw(POSITIVE)},
    }
    if draw(st.booleans()):
        data["envelope"]["dose_gy"] = draw(POSITIVE)
    return data


def toml(data, tables):
    """TOML text of plain data; the first `tables` levels as tables of their own, what is deeper inline."""
    lines = []

    def value(item):
        if isinstance(item, dict):
            return "{ " + ", ".join(f"{name(key)} = {value(inner)}" for key, inner in item.items()) + " }"
        if isinstance(item, list):
            return "[\n  " + ",\n  ".join(value(inner) for inner in item) + "\n]" if item else "[]"
        if isinstance(item, str):
            return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007f")
        return str(item).lower() if isinstance(item, bool) else repr(item)

    def name(key):
        return key if key.isascii() and key.replace("_", "").isalnum() else value(key)

    def table(inside, path):
        if path:
            lines.append(f"[{'.'.join(name(part) for part in path)}]")
        deeper = {key: item for key, item in inside.items() if isinstance(item, dict) and len(path) < tables}
        lines.extend(f"{name(key)} = {value(item)}" for key, item in inside.items() if key not in deeper)
        for key, item in deeper.items():
            table(item, (*path, key))

    table(data, ())
    return "\n".join(lines) + "\n"


def read_text(read, text):
    """Reads the text from a file of its own, a PONI file beside it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.toml"
        path.write_bytes(text.encode())
        (path.parent / "a.poni").write_text(PONI)
        return read(path)


@given(stations(), st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_every_valid_station_comes_back_as_it_was_meant(data, tables):
    assert read_text(read_station, toml(data, tables)).value == Station.model_validate(data)


@given(campaigns(), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_every_valid_campaign_comes_back_as_it_was_meant(data, tables):
    assert read_text(read_campaign, toml(data, tables)).value == Campaign.model_validate(data)


@st.composite
def spoilt(draw, whole):
    """Data with one to three keys dropped, misspelt, or given a value that is likely to be of the wrong kind."""
    data = draw(whole)
    for _ in range(draw(st.integers(1, 3))):
        place = data
        while place:
            key = draw(st.sampled_from(sorted(place)))
            if isinstance(place[key], dict) and place[key] and draw(st.integers(0, 3)):
                place = place[key]
                continue
            way = draw(st.sampled_from(["drop", "misspell", "replace"]))
            if way == "replace":
                place[key] = draw(PLAIN | st.floats() | st.sampled_from(["41 bar", "", "tcp://a:0", [1, 2], {}]))
            else:
                value = place.pop(key)
                if way == "misspell":
                    place[draw(st.sampled_from([key[:-1], key + "s", key.upper(), "flux", key + "_nm", ""]))] = value
            break
    return data


def answered(read, text):
    """Reading the text works or is answered: every problem with a line of the text, none in pydantic's words."""
    try:
        read_text(read, text)
        return
    except ConfigError as error:
        problems = error.problems
    last = text.count("\n") + 1
    assert all(problem.line is not None and 1 <= problem.line <= last for problem in problems)
    words = "\n".join(f"{problem.rule}\n{problem.hint}" for problem in problems)
    jargon = ("Input", "Field required", "Extra inputs", "pydantic", "belongs here")
    assert not any(phrase in words for phrase in jargon)


@given(spoilt(stations()), st.integers(0, 4))
@settings(max_examples=120, deadline=None)
def test_a_spoilt_station_never_gives_anything_but_answers(data, tables):
    answered(read_station, toml(data, tables))


@given(spoilt(campaigns()), st.integers(0, 2))
@settings(max_examples=120, deadline=None)
def test_a_spoilt_campaign_never_gives_anything_but_answers(data, tables):
    answered(read_campaign, toml(data, tables))


@given(campaigns(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_text_cut_anywhere_never_gives_anything_but_answers(data, chance):
    text = toml(data, 1)
    answered(read_campaign, text[: chance.draw(st.integers(0, len(text)))])


@given(campaigns(), st.sampled_from(["campaign", "goal", "sample", "envelope", "exposure", "transition", "deadlines"]))
@settings(max_examples=30, deadline=None)
def test_a_key_that_is_left_out_is_always_missed(data, key):
    del data[key]
    with pytest.raises(ConfigError) as error:
        read_text(read_campaign, toml(data, 1))
    assert [problem.key for problem in error.value.problems] == [key]
