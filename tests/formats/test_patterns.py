"""Patterns on disk: whatever separates them, the numbers come back; whatever is wrong is said by its line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocksalt.formats import FormatError, PatternFile, read_pattern, write_pattern

DATA = Path(os.environ.get("ROCKSALT_DATA", Path(__file__).parents[2] / "../shared/data"))

steps = st.floats(min_value=1e-3, max_value=0.5)
values = st.floats(min_value=-1e6, max_value=1e9, allow_nan=False)
tables = st.lists(st.tuples(steps, values, st.floats(min_value=0.0, max_value=1e5)), min_size=3, max_size=30)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(folder: Path, text: str | bytes, name: str = "pattern.xy") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def columns_of(table: list[tuple[float, float, float]]) -> np.ndarray:
    rows = np.array(table, dtype=float)
    rows[:, 0] = 5.0 + np.cumsum(rows[:, 0])
    return rows


@quick
@given(
    table=tables,
    sigma=st.booleans(),
    dialect=st.sampled_from(
        [(" ", "."), ("\t", "."), (";", "."), (",", "."), (" ", ","), ("\t", ","), (";", ","), ("; ", ",")]
    ),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    downwards=st.booleans(),
)
def test_columns_come_back_whatever_separates_them(tmp_path, table, sigma, dialect, ending, encoding, downwards):
    rows = columns_of(table)[:, : 3 if sigma else 2]
    separator, point = dialect
    body = [
        separator.join(f"{value:.9f}".replace(".", point) for value in row)
        for row in (rows[::-1] if downwards else rows)
    ]
    text = ending.join(["# 2th_deg, measured in Å", "", *body, ""])
    read = read_pattern(written(tmp_path, text.encode(encoding)))
    assert read.axis == pytest.approx(rows[:, 0], abs=1e-9)
    assert read.intensity == pytest.approx(rows[:, 1], abs=1e-9)
    assert (read.sigma is not None) == sigma
    assert read.axis_kind == "2theta"
    assert bool(read.notes) == downwards


@quick
@given(table=tables, kind=st.sampled_from(["2theta", "q", "d"]), wavelength=st.none() | st.floats(0.1, 3.0))
def test_what_is_written_reads_back_bit_for_bit(tmp_path, table, kind, wavelength):
    rows = columns_of(table)
    pattern = PatternFile(tmp_path, rows[:, 0], kind, rows[:, 1], rows[:, 2], wavelength)
    write_pattern(pattern, tmp_path / "copy.xye")
    copy = read_pattern(tmp_path / "copy.xye")
    assert np.array_equal(copy.axis, pattern.axis)
    assert np.array_equal(copy.intensity, pattern.intensity)
    assert np.array_equal(copy.sigma, pattern.sigma)
    assert (copy.axis_kind, copy.wavelength_angstrom) == (kind, wavelength)


@quick
@given(content=st.text(alphabet="0123456789.,;-+eEdD \t\r\n#nanif:_x", max_size=200) | st.binary(max_size=200))
def test_a_file_of_anything_gives_finite_numbers_or_a_sentence(tmp_path, content):
    for name in ("any.xy", "any.chi", "any.xrdml"):
        path = written(tmp_path, content, name)
        read, said = None, str(path)
        try:
            read = read_pattern(path)
        except FormatError as error:
            said = str(error)
        assert said.startswith(str(path))
        if read is not None:
            assert np.all(np.isfinite([read.axis, read.intensity]))
            assert np.all(np.diff(read.axis) > 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"the file is empty \(0 bytes\)"),
        ("# only words\n", r"no line of numbers in this file; a pattern is columns of angle and intensity"),
        ("10 1\n11 2\n", r"2 points are no pattern; at least 3 are needed"),
        ("10 1\n11 nan\n12 3\n", r":2: nan is no measurement; leave out points that were not measured"),
        ("10 1\n11 -inf\n12 3\n", r":2: -inf is no measurement"),
        ("10 1\n11 1e999\n12 3\n", r":2: 1e999 is beyond what a 64-bit number holds"),
        ("10 1\n\n11 2\n11 3\n12 4\n", r":4: the angle 11 comes twice in a row; each angle may stand once"),
        ("10 1\n11 2\n12 3\n10 1\n11 2\n12 3\n", r":4: the angle falls from 12 to 10 .* make a file of each"),
        ("12 1\n11 2\n10 3\n11 3\n", r":4: the angle rises from 10 to 11"),
        ("1\n2\n3\n", r":1: one column only; a pattern needs the angle and the intensity on each line"),
        (
            "1 2 3 4\n2 3 4 5\n",
            r":1: 4 columns; at most three are understood: angle, intensity and its standard uncertainty",
        ),
        ("1 2\n2 3\n3\n", r":3: one column only"),
        ("1 2\n2 3\n3 4 5\n", r":3: 3 columns where the lines before have 2; is the line torn\?"),
        ("1 2\n2 3\nend of scan\n", r":3: expected numbers, found 'end of scan'; mark a comment with #"),
        (
            "10,5,200\n11,5,300\n",
            r":1: '10,5,200' can be read in two ways, because the comma may separate columns or decimals",
        ),
        ("10,200\n11,300\n", r":1: '10,200' can be read in two ways"),
        (
            "1.234,5 7\n1.235,5 8\n",
            r":1: '1\.234,5' has a point and a comma; write numbers without thousands separators",
        ),
        ("10,5 7\n11,5 8,1,2\n12,5 9\n", r":2: '8\.1\.2' is no number"),
        ("10 1 1\n11 1 -2\n12 1 1\n", r":2: the third column is -2; it is taken as a standard uncertainty"),
        ("# 2th_deg I\n100 1\n150 2\n250 3\n", r":4: 250 degrees is outside -180 to 180 degrees, where 2theta lies"),
        ("# r_mm I\n1 1\n2 2\n3 3\n", r"the axis is a radius on the detector; integrate to 2θ, q or d instead"),
        (b"10 1\n11\x00\x01 2\n", r":2: byte value 0 is no text: this is a binary file"),
        (b"\xff\xfe1", r"the file opens as utf-16-le but byte 0 is not"),
        ("x\n" * 501, r":501: more than 500 lines without a number"),
    ],
)
def test_what_is_wrong_is_said_by_file_and_line(tmp_path, text, sentence):
    path = written(tmp_path, text)
    with pytest.raises(FormatError, match=sentence) as caught:
        read_pattern(path)
    assert str(caught.value).startswith(str(path))


def test_missing_files_folders_and_foreign_suffixes_are_named(tmp_path):
    with pytest.raises(FormatError, match=r"nowhere\.xy: no such file"):
        read_pattern(tmp_path / "nowhere.xy")
    with pytest.raises(FormatError, match=r"this is a folder; name the file inside it"):
        read_pattern(tmp_path)
    with pytest.raises(FormatError, match=r"the suffix '\.raw' is not known; patterns end in \.xy, \.xye, \.asc"):
        read_pattern(written(tmp_path, "1 2", "a.raw"))


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.xy")
    with pytest.raises(FormatError, match="this is a device or a pipe"):
        read_pattern(tmp_path / "pipe.xy")


def test_a_file_without_read_permission_is_named(tmp_path, monkeypatch):
    path = written(tmp_path, "1 2\n2 3\n3 4\n")

    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # file modes don't bind the superuser, as whom tests may run
    with pytest.raises(FormatError, match="no permission to read this file"):
        read_pattern(path)


def test_a_file_beyond_the_bound_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.xy"
    with path.open("wb") as handle:
        handle.truncate(65 * 2**20)
    with pytest.raises(FormatError, match=r"the file has 65 MB; this kind of file is read up to 64 MB"):
        read_pattern(path)


@pytest.mark.parametrize(
    ("header", "kind", "wavelength"),
    [
        ("# Wavelength: 3.344e-11\n# 2th_deg\t I", "2theta", 0.3344),
        ("# Wavelength: 4.066e-11 m\n# q_A^-1\t I", "q", 0.4066),
        ("# wavelength = 0.15406 nm\n# d_A I", "d", 1.5406),
        ("! Wavelength (A): 1.5406\n' 2-theta (deg)", "2theta", 1.5406),
        ('# {"wavelength": 4.133e-11}\n2Theta Intensity', "2theta", 0.4133),
        ("# Wavelength: 0.41 A\n# Wavelength: 0.71 A\nangle counts", None, None),
        ("# Dark current applied: None", None, None),
    ],
)
def test_the_header_is_believed_where_it_speaks(tmp_path, header, kind, wavelength):
    read = read_pattern(written(tmp_path, f"{header}\n1 10\n2 20\n3 15\n"))
    assert read.axis_kind == kind
    assert read.wavelength_angstrom == (None if wavelength is None else pytest.approx(wavelength))


def test_nanometres_and_radians_are_brought_to_angstrom_and_degrees(tmp_path):
    assert read_pattern(written(tmp_path, "# q_nm^-1 I\n10 1\n20 2\n30 1\n")).axis == pytest.approx([1.0, 2.0, 3.0])
    assert read_pattern(written(tmp_path, "# 2th_rad I\n0.1 1\n0.2 2\n0.3 1\n")).axis == pytest.approx(
        np.degrees([0.1, 0.2, 0.3])
    )


CHI = "KBr 2 GPa\n2-Theta Angle (Degrees)\nIntensity\n       4\n 1.0 10\n 2.0 20\n 3.0 30\n 4.0 20\n"


def test_a_chi_file_is_four_lines_of_header_and_columns(tmp_path):
    read = read_pattern(written(tmp_path, CHI, "a.chi"))
    assert read.axis == pytest.approx([1, 2, 3, 4])
    assert read.axis_kind == "2theta"
    assert read.header[0] == "KBr 2 GPa"


def test_a_chi_file_that_was_cut_is_found_out_by_its_own_count(tmp_path):
    with pytest.raises(FormatError, match=r"cut\.chi:4: 4 points are announced and 3 are there; was the file cut\?"):
        read_pattern(written(tmp_path, CHI.removesuffix(" 4.0 20\n"), "cut.chi"))
    with pytest.raises(FormatError, match=r":4: the fourth line of a \.chi file is the number of points"):
        read_pattern(written(tmp_path, "1 2\n2 3\n3 4\n4.5 5\n5 6\n", "no.chi"))


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real measurements is absent (ROCKSALT_DATA)")
def test_real_files_read_as_their_notes_say():
    salt = read_pattern(DATA / "measured/lab_cu/NaCl.asc")
    assert (len(salt.axis), salt.axis_kind, salt.wavelength_angstrom) == (8999, None, None)
    assert salt.axis[[0, -1]] == pytest.approx([20.01576514, 136.98976514])
    oxide = read_pattern(DATA / "measured/dac/CeO2_Pilatus1M.xy")
    assert (len(oxide.axis), oxide.axis_kind, oxide.wavelength_angstrom) == (1512, "2theta", pytest.approx(0.4066))
