"""Files in, the contract's answers out: one each, strict JSON, and a sentence where a file can't be read."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocksalt.diffraction.geometry import Geometry
from rocksalt.formats import Poni
from rocksalt.identify import OptionError, identify_files, render
from rocksalt.values import LABELS, Estimate, Measured, PhaseEstimate

DATA = Path(os.environ.get("ROCKSALT_DATA", Path(__file__).parents[2] / "../shared/data")) / "measured"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real measurements is absent (ROCKSALT_DATA)")

KEYS = ["file", "label", "probabilities", "phases", "candidates", "microstrain", "textured", "reasons", "model"]
PHASE_KEYS = [
    "salt", "structure", "fraction", "fraction_kind", "a_angstrom", "a_sigma", "pressure_gpa", "pressure_sigma",
    "pressure_scale", "temperature_k",
]  # fmt: skip
STRAIN = Measured(1e-3, 1e-4)
KBR = PhaseEstimate("KBr", "B2", 1.0, 0.01, "volume", 3.777, 0.001, 2.5, 0.1, "ruby, Dewaele 2012", 300.0)


def estimate(label="B2", phases=(KBR,), candidates=(), microstrain=STRAIN, sure=0.94):
    probabilities = {each: sure if each == label else (1 - sure) / 3 for each in LABELS}
    return Estimate(0, label, probabilities, phases, candidates, None, None, microstrain, False, ("because",), "fake-1")


class Fake:
    """Answers the same to everything and remembers what it saw."""

    def __init__(self, answer=None):
        self.answer = answer or estimate()
        self.seen = []
        self.salts = []

    def estimate(self, observation, *, salt=None):
        self.seen.append(observation)
        self.salts.append(salt)
        return self.answer


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def columns(tmp_path):
    def make(low=5.0, high=25.0, header="# 2th_deg I", name="a.xy"):
        axis = np.linspace(low, high, 200)
        rows = "\n".join(f"{x:.5f} {100 + i % 7}" for i, x in enumerate(axis))
        (tmp_path / name).write_text(f"{header}\n{rows}\n")
        return tmp_path / name

    return make


def test_an_answer_has_exactly_the_keys_of_the_contract(columns, fake):
    (result,) = identify_files([columns()], wavelength_angstrom=0.4133, model=fake)
    assert list(result) == KEYS
    assert set(result["probabilities"]) == set(LABELS)
    assert math.fsum(result["probabilities"].values()) == pytest.approx(1.0, abs=1e-12)
    assert [list(phase) for phase in result["phases"]] == [PHASE_KEYS]
    assert (result["label"], result["microstrain"], result["reasons"][0], result["model"]) == (
        "B2",
        1e-3,
        "because",
        "fake-1",
    )


def test_what_is_told_reaches_the_model(columns, fake):
    told = {"temperature_k": 295.0, "pressure_gpa": 2.0, "pressure_sigma_gpa": 0.2, "salts": ["KBr"]}
    identify_files([columns()], wavelength_angstrom=0.4133, model=fake, **told)
    (seen,) = fake.seen
    assert seen.pattern.wavelength_angstrom == 0.4133
    assert (seen.temperature_k.value, seen.gauge_gpa) == (295.0, Measured(2.0, 0.2))
    assert fake.salts == ["KBr"]


def test_what_is_not_told_is_not_made_up(columns, fake):
    identify_files([columns()], wavelength_angstrom=0.4133, model=fake)
    assert (fake.seen[0].temperature_k, fake.seen[0].gauge_gpa, fake.salts) == (None, None, [None])


def test_guesses_of_an_unknown_go_to_the_candidates(columns):
    (result,) = identify_files([columns()], wavelength_angstrom=0.4133, model=Fake(estimate("unknown", phases=(KBR,))))
    assert result["phases"] == []
    assert [phase["salt"] for phase in result["candidates"]] == ["KBr"]


def test_a_file_that_can_not_be_read_does_not_keep_the_others(columns, tmp_path, fake):
    results = identify_files([tmp_path / "none.xy", columns()], wavelength_angstrom=0.4133, model=fake)
    assert results[0] == {"file": str(tmp_path / "none.xy"), "error": f"{tmp_path / 'none.xy'}: no such file"}
    assert results[1]["label"] == "B2"


anything = st.floats(allow_nan=True, allow_infinity=True) | st.none()


@settings(deadline=None, max_examples=40)
@given(numbers=st.tuples(*[anything] * 5))
def test_no_nan_and_no_infinity_ever_comes_out(tmp_path_factory, numbers):
    folder = tmp_path_factory.getbasetemp() / "strict.xy"
    folder.write_text("# 2th_deg\n1 1\n2 2\n3 1\n")
    a, sigma, pressure, spread, strain = numbers
    phase = PhaseEstimate("KBr", "B1", 1.0, 0.1, "volume", a or 0.0, sigma or 0.0, pressure, spread, "", None)
    answer = estimate("B1", (phase,), (phase,), None if strain is None else Measured(strain, 0.1))
    results = identify_files([folder], wavelength_angstrom=0.4, model=Fake(answer))
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    assert "nan" not in render(results)


@pytest.mark.parametrize("bad", [{}, dict.fromkeys(LABELS, float("nan")), {**dict.fromkeys(LABELS, 0.25), "B3": 0.1}])
def test_a_model_without_usable_probabilities_is_an_error_of_that_file(columns, bad):
    answer = Estimate(0, "B1", bad, (), (), None, None, None, False, (), "broken")
    (result,) = identify_files([columns()], wavelength_angstrom=0.4133, model=Fake(answer))
    assert "the model gave no usable probabilities" in result["error"]


# Wavelength and axis


def test_an_angle_without_a_wavelength_is_refused(columns, fake):
    (result,) = identify_files([columns()], model=fake)
    assert result["error"].endswith("wavelength left out: the file does not say one; give --wavelength in Å")
    assert fake.seen == []


def test_the_files_own_wavelength_is_used_and_said(columns, fake):
    (result,) = identify_files([columns(header="# Wavelength: 4.133e-11 m\n# 2th_deg I")], model=fake)
    assert fake.seen[0].pattern.wavelength_angstrom == pytest.approx(0.4133)
    assert "wavelength 0.4133 Å as the file says" in result["reasons"]


def test_two_wavelengths_that_differ_are_refused(columns, fake):
    (result,) = identify_files(
        [columns(header="# Wavelength: 4.133e-11 m\n# 2th_deg I")], wavelength_angstrom=0.7107, model=fake
    )
    assert "--wavelength says 0.7107 Å and a.xy says 0.4133 Å, which differ by more than 0.1 %" in result["error"]


def test_nanometres_are_recognised_by_the_range_of_the_pattern(columns, fake):
    (result,) = identify_files([columns(high=137.0)], wavelength_angstrom=0.154, model=fake)
    assert (
        "is a tenth of Cu Kα, and the pattern reaches 137 deg: it looks like nanometres; give 1.54" in result["error"]
    )
    assert "error" not in identify_files([columns(high=20.0)], wavelength_angstrom=0.154, model=fake)[0]


def test_an_axis_of_q_or_d_needs_no_wavelength_and_says_which_was_chosen(columns, fake):
    of_q = identify_files([columns(0.5, 6.0, "# q_A^-1 I")], model=fake)[0]
    of_d = identify_files([columns(1.0, 12.0, "")], axis="d", model=fake)[0]
    assert "the axis needs no wavelength and none was stated: angles and intensities are for 0.5 Å" in of_q["reasons"]
    assert "error" not in of_d
    for seen in fake.seen:
        pattern = seen.pattern
        assert np.all(np.diff(pattern.two_theta_deg) > 0)
        q = 4 * np.pi * np.sin(np.radians(pattern.two_theta_deg[-1]) / 2) / pattern.wavelength_angstrom
        assert q == pytest.approx(6.0 if seen is fake.seen[0] else 2 * np.pi)


def test_q_and_an_angle_of_the_same_pattern_agree(columns, fake):
    angle = columns(5.0, 25.0)
    q = np.array([line.split() for line in angle.read_text().splitlines()[1:]], dtype=float)
    q[:, 0] = 4 * np.pi * np.sin(np.radians(q[:, 0]) / 2) / 0.4133
    other = angle.with_name("q.xy")
    other.write_text("\n".join(f"{x:.9f} {y}" for x, y in q))
    identify_files([angle, other], wavelength_angstrom=0.4133, axis=None, model=fake)
    identify_files([other], wavelength_angstrom=0.4133, axis="q", model=fake)
    assert fake.seen[2].pattern.two_theta_deg == pytest.approx(fake.seen[0].pattern.two_theta_deg, abs=1e-5)
    assert fake.seen[1].pattern.two_theta_deg != pytest.approx(fake.seen[0].pattern.two_theta_deg, abs=1e-5)


@pytest.mark.parametrize(
    ("low", "high", "header", "options", "sentence"),
    [
        (
            5,
            25,
            "# 2th_deg I",
            {"axis": "q"},
            "the file says that its axis is 2theta, and --axis says q; leave the option out",
        ),
        (5, 250, "", {}, "the axis reaches 250, which is no 2θ in degrees; say what it is by --axis q or d"),
        (0, 9, "", {"axis": "d"}, "d reaches 0 Å; a spacing is above zero"),
        (5, 25, "", {"axis": "q"}, "q reaches 25 1/Å, and a wavelength of 1 Å only 12.57 1/Å"),
        (-9, -1, "", {}, "fewer than three points lie between 0 and 180 deg"),
    ],
)
def test_an_axis_that_can_not_be_is_refused(columns, fake, low, high, header, options, sentence):
    (result,) = identify_files([columns(low, high, header)], wavelength_angstrom=1.0, model=fake, **options)
    assert sentence in result["error"]


def test_points_that_were_not_measured_are_left_out(tmp_path, fake):
    rows = "\n".join(f"{i - 2} 5 {0 if i == 9 else 1}" for i in range(30))
    (tmp_path / "a.xye").write_text(rows)
    (result,) = identify_files([tmp_path / "a.xye"], wavelength_angstrom=1.0, model=fake)
    assert len(fake.seen[0].pattern.two_theta_deg) == 26
    assert "4 points at 2θ outside 0 to 180 deg or with an uncertainty of 0 were left out" in result["reasons"]


# Options that are wrong for every file


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"wavelength_angstrom": 0.0}, "--wavelength: a wavelength of 0 Å is none"),
        ({"wavelength_angstrom": math.nan}, "--wavelength: a wavelength of nan Å is none"),
        ({"wavelength_angstrom": 154.06}, "if it is in pm, give 1.5406"),
        ({"wavelength_angstrom": 0.0154}, "if it is in nm, give 0.154"),
        ({"temperature_k": -5.0}, r"--temperature-k: -5 K is outside 0 to 5000 K; give kelvin"),
        ({"temperature_k": math.nan}, "--temperature-k: nan K is outside"),
        ({"pressure_gpa": 2.0}, "--pressure-gpa was given without --pressure-sigma-gpa"),
        ({"pressure_sigma_gpa": 2.0}, "--pressure-sigma-gpa was given without --pressure-gpa"),
        ({"pressure_gpa": math.inf, "pressure_sigma_gpa": 1.0}, "--pressure-gpa: inf GPa is outside -1 to 1000 GPa"),
        ({"pressure_gpa": 2.0, "pressure_sigma_gpa": 0.0}, "--pressure-sigma-gpa: 0 GPa is no standard uncertainty"),
        ({"axis": "r"}, "--axis: 'r' is not known; it is 2theta"),
        ({"salts": ["NaCI"], "model": None}, "--salt: there is no .*NaCI in the table"),
    ],
)
def test_an_option_that_is_wrong_is_refused_before_any_file_is_opened(fake, options, sentence):
    with pytest.raises(OptionError, match=sentence):
        identify_files(["nowhere.xy"], **{"model": fake, **options})


# Frames

SHAPE = (200, 220)
PONI = Poni(0.08, 90 * 75e-6, 100 * 75e-6, 0.02, 0.0, 0.0, 75e-6, 75e-6, 0.4133, 3)


@pytest.fixture
def frame(tmp_path):
    two_theta = Geometry.from_poni(PONI.text()).integrator(SHAPE).center_array(SHAPE, unit="2th_deg")
    mean = 20 + 200 * sum(np.exp(-0.5 * ((two_theta - ring) / 0.1) ** 2) for ring in (2.0, 3.0, 4.0))
    with h5py.File(tmp_path / "frame.h5", "w") as file:
        file["entry/data/data"] = np.random.default_rng(3).poisson(mean).astype(np.uint32)
    (tmp_path / "station.poni").write_text(PONI.text())
    return tmp_path / "frame.h5"


def test_a_frame_is_integrated_by_its_geometry(frame, fake):
    (result,) = identify_files([frame], poni=frame.with_name("station.poni"), model=fake)
    pattern = fake.seen[0].pattern
    peak = pattern.two_theta_deg[np.nanargmax(np.where(abs(pattern.two_theta_deg - 3.0) < 0.4, pattern.intensity, 0))]
    assert peak == pytest.approx(3.0, abs=0.08)
    assert pattern.azimuthal_variation is not None
    assert "wavelength 0.4133 Å as station.poni says" in result["reasons"]


def test_a_frame_without_geometry_asks_for_it(frame, fake):
    assert "a frame needs its geometry: give --poni" in identify_files([frame], model=fake)[0]["error"]


def test_a_wavelength_beside_the_ponis_is_refused_unless_it_agrees(frame, fake):
    poni = frame.with_name("station.poni")
    (result,) = identify_files([frame], poni=poni, wavelength_angstrom=0.7107, model=fake)
    assert "station.poni says 0.4133 Å and --wavelength says 0.7107 Å" in result["error"]
    identify_files([frame], poni=poni, wavelength_angstrom=0.4134, model=fake)
    assert fake.seen[0].pattern.wavelength_angstrom == pytest.approx(0.4133)


def test_a_poni_that_is_missing_is_named_beside_the_frame(frame, fake):
    (result,) = identify_files([frame], poni=frame.with_name("none.poni"), model=fake)
    assert result["error"] == f"{frame}: {frame.with_name('none.poni')}: no such file"


def test_two_frames_share_one_set_up(frame, fake, monkeypatch):
    from rocksalt.diffraction import integrate

    made = []
    original = integrate.Integrator.__init__
    monkeypatch.setattr(
        integrate.Integrator, "__init__", lambda self, *a, **k: (made.append(1), original(self, *a, **k))[1]
    )
    identify_files([frame, frame], poni=frame.with_name("station.poni"), model=fake)
    assert len(made) == 1


# For a person


def test_the_page_for_a_person_names_label_cell_pressure_and_reason(columns, tmp_path, fake):
    text = render(identify_files([columns(), tmp_path / "none.xy"], wavelength_angstrom=0.4133, model=fake))
    assert f"B2        {tmp_path / 'a.xy'}  (probability 0.94)" in text
    assert "KBr B2, a = 3.7770 ± 0.0010 Å, P = 2.50 ± 0.10 GPa (ruby, Dewaele 2012), 100% by volume" in text
    assert "- because" in text
    assert f"not read  {tmp_path / 'none.xy'}: no such file\n" in text


def test_escape_sequences_in_a_name_do_not_reach_the_terminal():
    assert render([{"file": "x", "error": "\x1b[31mred\r"}]) == "not read  \\x1b[31mred\\r\n"


# With the physics leg, on real data


@real
def test_real_rock_salt_is_b1_with_its_cell():
    (result,) = identify_files([DATA / "lab_cu/NaCl.asc"], wavelength_angstrom=1.540598, temperature_k=295.0)
    assert (result["label"], result["phases"][0]["salt"]) == ("B1", "NaCl")
    assert result["phases"][0]["a_angstrom"] == pytest.approx(5.6414, abs=0.001)


@real
@pytest.mark.parametrize("name", ["CeO2_Pilatus1M", "Fe3O4C_M1_map_1_P1_E1_001"])
def test_real_frames_without_a_salt_are_unknown(name, tmp_path):
    from rocksalt.formats import poni_from_header, read_pattern

    header = "\n".join(read_pattern(DATA / f"dac/{name}.xy").header)
    (tmp_path / "from-header.poni").write_text(poni_from_header(header).text())
    (result,) = identify_files([DATA / f"dac/{name}.tif"], poni=tmp_path / "from-header.poni")
    assert (result.get("error"), result["label"], result["phases"]) == (None, "unknown", [])
    assert any("turned over" in reason for reason in result["reasons"])
