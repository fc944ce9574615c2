"""Geometry in the header of an integrated pattern becomes a PONI that pyFAI reads."""

from __future__ import annotations

import dataclasses

import pytest

from rocksalt.diffraction.geometry import Geometry
from rocksalt.formats import poni_from_header

HEADER = """# == pyFAI calibration ==
# SplineFile: None
# PixelSize: 1.720e-04, 1.720e-04 m
# PONI: 8.722e-02, 8.342e-02 m
# Distance Sample to Detector: 0.284634930882 m
# Rotations: -0.000251 0.000603 -0.000000 rad
# Wavelength: 3.344e-11
"""


def test_the_header_tells_the_whole_geometry():
    poni = poni_from_header(HEADER)
    assert dataclasses.astuple(poni) == (
        0.284634930882, 0.08722, 0.08342, -0.000251, 0.000603, 0.0, 0.000172, 0.000172, pytest.approx(0.3344), None
    )  # fmt: skip


@pytest.mark.parametrize("orientation", [None, 2])
def test_pyfai_reads_what_is_written(orientation):
    poni = dataclasses.replace(poni_from_header(HEADER), orientation=orientation)
    geometry = Geometry.from_poni(poni.text())
    assert geometry.wavelength_angstrom == pytest.approx(0.3344)
    assert geometry.orientation == (orientation or 3)
    read = geometry.integrator((100, 100)).get_config()
    assert (read["dist"], read["poni1"], read["rot2"]) == (poni.distance_m, poni.poni1_m, poni.rot2_rad)


@pytest.mark.parametrize("line", ["PixelSize", "PONI", "Distance", "Rotations"])
def test_a_header_that_lacks_a_line_is_told_which(line):
    short = "\n".join(each for each in HEADER.splitlines() if not each.startswith(f"# {line}"))
    with pytest.raises(ValueError, match=f"(?i)the header states no {line}"):
        poni_from_header(short)
