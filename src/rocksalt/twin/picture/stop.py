"""The beam stop and its arm: where nominal geometry says the beam is, soft because the light comes from no point."""

from __future__ import annotations

import numpy as np

from rocksalt.twin.departures import Departures
from rocksalt.twin.picture.geometry import Geometry, beam_centre_m
from rocksalt.values import FloatArray


def past_the_stop(nominal: Geometry, hidden: Departures) -> FloatArray:
    """Transmission of every pixel, (rows, columns): the stop leaks what scatters behind it, the arm passes some."""
    stop = hidden.scene
    rows, columns = nominal.shape
    centre = beam_centre_m(nominal)
    row = (np.arange(rows)[:, None] + 0.5) * nominal.pixel_m - centre[0]
    column = (np.arange(columns)[None, :] + 0.5) * nominal.pixel_m - centre[1]
    soft_m = max(1e-3 * stop.stop_soft_mm, 1.5 * nominal.pixel_m)
    disc = np.clip((np.hypot(row, column) - 1e-3 * stop.stop_radius_mm) / soft_m + 0.5, 0.0, 1.0)
    sine, cosine = np.sin(stop.arm_azimuth_rad), np.cos(stop.arm_azimuth_rad)
    along, across = row * sine + column * cosine, np.abs(row * cosine - column * sine)
    beside = np.clip((across - 0.5e-3 * stop.arm_width_mm) / soft_m + 0.5, 0.0, 1.0)
    arm = np.where(along > 0.0, stop.arm_transmission + (1.0 - stop.arm_transmission) * beside, 1.0)
    return np.asarray(stop.stop_leak + (1.0 - stop.stop_leak) * disc * arm)
