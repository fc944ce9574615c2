"""The twin's detector stands where a calibrated one would: off by little, and by what its departures say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rocksalt.time import Chance
from rocksalt.twin.departures import draw
from rocksalt.twin.picture.geometry import Geometry, beam_centre_m, departed, rays, read_poni
from rocksalt.twin.tiers import tier


def test_the_beam_centre_is_where_the_scattering_angle_vanishes_and_tilts_leave_it_alone() -> None:
    """A departure of tilt turns the detector about the beam; only the centre's own departure moves the centre."""
    nominal = Geometry(0.25, 0.0193, 0.03, 0.002, -0.003, 0.1, 75e-6, 0.4133, (514, 1030))
    rows, columns = (centre / nominal.pixel_m - 0.5 for centre in beam_centre_m(nominal))
    seen = np.unravel_index(np.argmin(rays(nominal).two_theta_deg), nominal.shape)
    assert np.allclose(seen, (rows, columns), atol=0.5)
    tilted = replace(nominal, rot1_rad=0.01, rot2_rad=0.02)
    assert not np.allclose(beam_centre_m(tilted), beam_centre_m(nominal), atol=1e-4)


def test_departed_geometries_keep_the_beam_within_the_centres_departure(poni: str) -> None:
    nominal = read_poni(poni, (514, 1030))
    for seed in range(20):
        hidden = draw(tier("clean"), Chance(seed))
        off = np.subtract(beam_centre_m(departed(nominal, hidden)), beam_centre_m(nominal)) / nominal.pixel_m
        assert off == pytest.approx((hidden.calibration.centre_row_px, hidden.calibration.centre_column_px), abs=1e-9)
