"""PANalytical files: both schemas, attenuation, several scans, and XML that means harm."""

from __future__ import annotations

import numpy as np
import pytest

from rocksalt.formats import FormatError, read_pattern

WAVELENGTH = """<usedWavelength intended="K-Alpha"><kAlpha1 unit="Angstrom">1.5405980</kAlpha1>
<kAlpha2 unit="Angstrom">1.5444260</kAlpha2><ratioKAlpha2KAlpha1>0.5000</ratioKAlpha2KAlpha1></usedWavelength>"""
STARTED = "<startPosition>20.0</startPosition><endPosition>24.0</endPosition>"
COUNTS = '<counts unit="counts">10 20 90 20 10</counts>'


def scan(data: str = COUNTS, positions: str = STARTED, status: str = "Completed", seconds: float = 2.0) -> str:
    return (
        f'<scan status="{status}" scanAxis="Gonio"><dataPoints>'
        f'<positions axis="2Theta" unit="deg">{positions}</positions>'
        f'<commonCountingTime unit="seconds">{seconds}</commonCountingTime>{data}</dataPoints></scan>'
    )


@pytest.fixture
def read(tmp_path):
    def reader(*scans: str, version: str = "2.1", wavelength: str = WAVELENGTH, doctype: str = ""):
        path = tmp_path / "scan.xrdml"
        path.write_text(
            f'<?xml version="1.0" encoding="UTF-8"?>{doctype}\n'
            f'<xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/{version}" status="Completed">'
            f'<xrdMeasurement measurementType="Scan">{wavelength}{"".join(scans)}</xrdMeasurement></xrdMeasurements>'
        )
        return read_pattern(path)

    return reader


def test_a_scan_of_schema_2_holds_counts_and_its_doublet(read):
    pattern = read(scan())
    assert pattern.axis == pytest.approx([20, 21, 22, 23, 24])
    assert pattern.intensity == pytest.approx([10, 20, 90, 20, 10])
    assert pattern.counts is True
    assert pattern.axis_kind == "2theta"
    assert (pattern.wavelength_angstrom, pattern.k_alpha2_angstrom, pattern.k_alpha2_ratio) == (1.540598, 1.544426, 0.5)


def test_a_scan_of_schema_1_reads_alike(read):
    assert read(scan('<intensities unit="counts">10 20 90 20 10</intensities>'), version="1.5").counts is True


def test_a_monochromator_leaves_one_line(read):
    pattern = read(scan(), wavelength=WAVELENGTH.replace('"K-Alpha"', '"K-Alpha 1"'))
    assert (pattern.wavelength_angstrom, pattern.k_alpha2_angstrom) == (1.540598, None)


def test_counts_behind_an_absorber_are_scaled_and_keep_their_own_noise(read):
    pattern = read(scan(COUNTS + "<beamAttenuationFactors>1 1 100 1 1</beamAttenuationFactors>"))
    assert pattern.intensity[2] == pytest.approx(9000)
    assert pattern.sigma[2] == pytest.approx(100 * np.sqrt(90))
    assert pattern.counts is False


def test_counts_per_second_are_counts_again(read):
    assert read(scan('<intensities unit="cps">5 10 45 10 5</intensities>')).intensity == pytest.approx(
        [10, 20, 90, 20, 10]
    )


def test_listed_positions_may_run_downwards(read):
    pattern = read(scan(positions="<listPositions>24 23 22.5 21 20</listPositions>"))
    assert pattern.axis == pytest.approx([20, 21, 22.5, 23, 24])
    assert pattern.intensity == pytest.approx([10, 20, 90, 20, 10])


def test_equal_scans_are_summed_and_it_is_said(read):
    pattern = read(scan(), scan(), scan(status="Aborted"))
    assert pattern.intensity[2] == 180
    assert pattern.notes == ("2 complete scans over the same angles were summed (of 3 in the file)",)


def test_of_unlike_scans_the_first_complete_one_is_taken_and_it_is_said(read):
    pattern = read(scan(status="Aborted"), scan(seconds=4.0), scan())
    assert pattern.intensity[2] == 90
    assert pattern.notes == ("the file holds 3 scans; the first complete one (scan 2) was taken",)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"scans": [scan(COUNTS.replace("90", "nan"))]}, "scan 1, <counts>: value 3 is not finite"),
        ({"scans": [scan(COUNTS.replace("90", "many"))]}, "scan 1, <counts>: could not convert"),
        ({"scans": [scan("")]}, "scan 1 has neither <counts>"),
        ({"scans": [scan(positions="<commonPosition>30</commonPosition>")]}, "scan 1: 2Theta stands still"),
        (
            {"scans": [scan(positions="<listPositions>20 21</listPositions>")]},
            "2 positions for 5 intensities; was the file cut",
        ),
        (
            {"scans": [scan(COUNTS + "<beamAttenuationFactors>1 0 1 1 1</beamAttenuationFactors>")]},
            "each needs one above 0",
        ),
        ({"scans": []}, "no <scan> in this measurement"),
    ],
)
def test_what_is_wrong_is_said_by_scan_and_element(read, document, sentence):
    with pytest.raises(FormatError, match=sentence):
        read(*document["scans"])


def test_entities_are_refused_not_expanded(read):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    with pytest.raises(FormatError, match="declares a document type or entities"):
        read(scan("<counts>&b;</counts>"), doctype=bomb)


def test_xml_that_ends_early_and_other_xml_are_told_apart(tmp_path):
    path = tmp_path / "cut.xrdml"
    path.write_text("<xrdMeasurements>\n<xrdMeasurement>")
    with pytest.raises(FormatError, match=r"cut\.xrdml:2: no well-formed XML"):
        read_pattern(path)
    path.write_text("<html/>")
    with pytest.raises(FormatError, match=r"the root element is <html>; an \.xrdml file has <xrdMeasurements>"):
        read_pattern(path)
