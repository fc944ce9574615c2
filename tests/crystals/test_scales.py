"""Scales and gauges: there and back, against printed differences, and never one for the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.crystals import gauges, scales
from rocksalt.crystals.scales import SCALES, ScaleError, convert_gpa, known_scales
from rocksalt.values import Measured


@given(pressure=st.floats(0.0, 60.0), pair=st.tuples(*[st.sampled_from(known_scales())] * 2))
def test_there_and_back_is_the_same_pressure(pressure: float, pair: tuple[str, str]) -> None:
    here, there = pair
    assert convert_gpa(convert_gpa(pressure, here, there), there, here) == pytest.approx(pressure, rel=1e-9, abs=1e-9)


def test_scales_agree_when_small_and_part_by_a_few_per_cent() -> None:
    for name in known_scales():
        assert convert_gpa(1.0, "ruby, Mao 1986", name) == pytest.approx(1.0, rel=0.04)
    # At 80 GPa of 1986 the later scales read 3-6 % more.
    for name in ("ruby, Dewaele 2008", "ruby, Ruby2020", "ruby, Dorogokupets-Oganov 2007"):
        assert 80.0 < convert_gpa(78.0, "ruby, Mao 1986", name) < 84.0


def test_the_formulas_are_the_printed_ones() -> None:
    x = np.asarray(1.02)
    assert float(SCALES["ruby, Ruby2020"].pressure_gpa(x)) == pytest.approx(1870 * 0.02 * (1 + 5.63 * 0.02))
    assert float(SCALES["ruby, Mao 1986"].pressure_gpa(x)) == pytest.approx(1904 / 7.665 * (1.02**7.665 - 1))
    assert float(SCALES["ruby, Dewaele 2008"].pressure_gpa(x)) == pytest.approx(1920 / 9.61 * (1.02**9.61 - 1))


def test_ruby2020_knows_its_sigma_and_mao_does_not() -> None:
    own = SCALES["ruby, Ruby2020"].sigma_gpa(np.asarray(1.02))
    by_a, by_b = 0.02 * (1 + 5.63 * 0.02) * 10.0, 1870 * 0.02**2 * 0.03
    assert own is not None
    assert float(own) == pytest.approx(np.hypot(by_a, by_b), rel=1e-6)
    assert SCALES["ruby, Mao 1986"].sigma_gpa(np.asarray(1.02)) is None


def test_what_cannot_be_converted_is_refused() -> None:
    with pytest.raises(ScaleError, match="no calibration for the scale 'not stated'"):
        convert_gpa(5.0, "not stated", "ruby, Ruby2020")
    with pytest.raises(ScaleError, match=r"120 GPa is outside 0 to 80 GPa.*Mao, Xu and Bell"):
        convert_gpa(120.0, "ruby, Mao 1986", "ruby, Ruby2020")
    with pytest.raises(ScaleError, match="finite"):
        convert_gpa(float("nan"), "ruby, Mao 1986", "ruby, Ruby2020")
    assert convert_gpa(np.array([0.0, 10.0]), "ruby, Dewaele 2012", "Cu, Shen-Smith 2026").shape == (2,)


def test_a_warm_ruby_is_not_a_loaded_one() -> None:
    nanometres = gauges.ruby_line_nm(310.0)
    assert (nanometres - gauges.RUBY_REFERENCE_NM) / 12.0 == pytest.approx(0.00675, abs=0.0006)
    known = gauges.ruby_pressure_gpa(Measured(nanometres, 0.0), Measured(310.0, 0.0))
    ignored = gauges.ruby_pressure_gpa(Measured(nanometres, 0.0), Measured(298.0, 0.0))
    assert known.value == pytest.approx(0.0, abs=1e-9)
    assert ignored.value / 12.0 == pytest.approx(0.0185, abs=0.0016)
    assert gauges.ruby_line_nm(20.0) == gauges.ruby_line_nm(50.0)


def test_a_rubys_sigma_is_made_of_line_temperature_and_scale() -> None:
    found = gauges.ruby_pressure_gpa(Measured(697.9, 0.02), Measured(298.0, 1.0))
    assert found.value == pytest.approx(10.1, abs=0.2)
    assert found.sigma == pytest.approx(np.hypot(np.hypot(0.02 * 2.77, 0.0192), 0.054), rel=0.06)
    moved = gauges.ruby_pressure_gpa(Measured(697.9, 0.0), Measured(298.0, 0.0), unloaded_nm=694.35)
    assert moved.value < found.value


@pytest.mark.parametrize(("marker", "edge", "low", "high"), [("Au", 4.0, 11.0, 13.0), ("MgO", 4.1, 14.0, 17.0)])
def test_markers_read_pressure_and_heat(marker: str, edge: float, low: float, high: float) -> None:
    found = gauges.marker_pressure_gpa(marker, Measured(edge, 0.001))
    assert low < found.value < high
    assert found.sigma > gauges.marker_pressure_gpa(marker, Measured(edge, 0.0)).sigma > 0.0
    hot = gauges.marker_pressure_gpa(marker, Measured(edge, 0.0), 400.0).value
    cold = gauges.marker_pressure_gpa(marker, Measured(edge, 0.0), 5.0).value
    # alpha K: 0.00714 GPa/K for gold, about 0.005 for MgO
    assert (hot - found.value) / 100.0 == pytest.approx({"Au": 0.0071, "MgO": 0.0051}[marker], rel=0.15)
    assert cold < found.value


def test_a_markers_unloaded_cell_is_its_own() -> None:
    for name, row in gauges.MARKERS.items():
        assert gauges.marker_pressure_gpa(name, Measured(row.v0_a3 ** (1 / 3), 0.0)).value == pytest.approx(
            0.0, abs=1e-9
        )


def test_impossible_readings_are_refused() -> None:
    with pytest.raises(gauges.GaugeError, match="no marker 'Pt'; there are Au, MgO"):
        gauges.marker_pressure_gpa("Pt", Measured(3.9, 0.0))
    with pytest.raises(gauges.GaugeError, match=r"outside 0\.75 to 1\.05 of 4\.0786 A.*Dewaele"):
        gauges.marker_pressure_gpa("Au", Measured(float("nan"), 0.0))
    with pytest.raises(gauges.GaugeError, match="outside 5 to 900 K"):
        gauges.marker_pressure_gpa("Au", Measured(4.0, 0.0), 2000.0)
    with pytest.raises(gauges.GaugeError, match=r"outside 0 to 117\.9 GPa"):
        gauges.marker_pressure_gpa("Au", Measured(3.3, 0.0))
    with pytest.raises(gauges.GaugeError, match="Ragan 1992"):
        gauges.ruby_line_nm(700.0)
    with pytest.raises(gauges.GaugeError, match="ruby shines"):
        gauges.ruby_pressure_gpa(Measured(500.0, 0.0), Measured(298.0, 0.0))
    with pytest.raises(ScaleError, match="no ruby scale"):
        gauges.ruby_pressure_gpa(Measured(695.0, 0.0), Measured(298.0, 0.0), scale="Au, Dewaele 2004")
    with pytest.raises(ScaleError, match="outside 0 to 80 GPa"):
        gauges.ruby_pressure_gpa(Measured(760.0, 0.0), Measured(298.0, 0.0), scale="ruby, Mao 1986")
    with pytest.raises(ScaleError):
        scales.reading(SCALES["ruby, Ruby2020"], np.array([np.nan]))
