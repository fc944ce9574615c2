"""How a lens spreads a point: the intensity around its image, in focus (Airy) and out of it, with all its rings.

Scalar diffraction at a round pupil, light from all directions that the objective takes (the condenser's aperture is
open as wide), hence no interference between features. One table over radius and defocus is made; stamps are read off.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.values import FloatArray

Float32 = NDArray[np.float32]
_R_STEP_UM: Final = 0.02
_Z_STEP_UM: Final = 0.5
_WIDEST_UM: Final = 12.0  # a spot blurred wider than this radius is part of the veil
_ENCLOSED: Final = 0.94  # of the light, within the stamp: for the Airy pattern its third dark ring
_PUPIL: Final = 160
_CHUNK: Final = 400_000


class Spread:
    """The point spread of one objective in a crystal of refractive index `index`.

    h(r) = (pi NA^2 / lambda^2) |2 integral of J0(2 pi NA rho r / lambda) exp(i phase) rho d rho|^2 over rho in 0 to 1,
    with the phase (2 pi n / lambda) z sqrt(1 - (NA rho / n)^2) of a defocus z: Born & Wolf, Principles of Optics,
    section 8.8, without the paraxial step. By Parseval its integral over the plane is 1.
    """

    def __init__(self, aperture: float, wavelength_um: float, index: float) -> None:
        from scipy.special import j0

        self.wavelength_um, self.aperture = wavelength_um, aperture
        self.slope = aperture / index / np.sqrt(1.0 - (aperture / index) ** 2)
        self.rayleigh_um = 0.61 * wavelength_um / aperture
        self.depth_of_field_um = index * wavelength_um / aperture**2
        self.farthest_um = _WIDEST_UM / self.slope
        z = np.arange(0.0, self.farthest_um + _Z_STEP_UM, _Z_STEP_UM)
        r = np.arange(0.0, 1.5 * _WIDEST_UM, _R_STEP_UM)
        node, weight = np.polynomial.legendre.leggauss(_PUPIL)
        rho = 0.5 * (node + 1.0)
        bessel = j0(2.0 * np.pi * aperture / wavelength_um * np.outer(r, rho))
        path = 2.0 * np.pi * index / wavelength_um * np.sqrt(1.0 - (aperture * rho / index) ** 2)
        amplitude = bessel @ (np.exp(1j * np.outer(path - path[0], z)) * (weight * rho)[:, None])
        table = np.pi * (aperture / wavelength_um) ** 2 * np.abs(amplitude.T) ** 2
        # Cut off softly where most of the light is enclosed, and scaled so that none is lost.
        inside = np.cumsum(table * 2.0 * np.pi * r * _R_STEP_UM, axis=1)
        self.reach_um: FloatArray = np.asarray(r[np.argmax(inside >= _ENCLOSED, axis=1)])
        edge = self.reach_um[:, None]
        table *= np.clip((edge - r) / (0.12 * edge), 0.0, 1.0)
        table /= (table * 2.0 * np.pi * r * _R_STEP_UM).sum(axis=1)[:, None]
        self.sharpness_per_um2: FloatArray = (table**2 * 2.0 * np.pi * r * _R_STEP_UM).sum(axis=1)
        self._table: Float32 = np.ascontiguousarray(table, dtype=np.float32)

    def plane(self, defocus_um: FloatArray) -> NDArray[np.int64]:
        """Row of the table for each defocus (n,), of either sign: the lens has no spherical aberration."""
        return np.minimum(np.rint(np.abs(defocus_um) / _Z_STEP_UM), len(self._table) - 1).astype(np.int64)

    def peak_per_um2(self, defocus_um: FloatArray) -> FloatArray:
        """h at its centre, or where it is largest, for each defocus (n,)."""
        return np.asarray(self._table.max(axis=1)[self.plane(defocus_um)], dtype=np.float64)

    def stamp(
        self, canvas: Float32, row: FloatArray, column: FloatArray, defocus_um: FloatArray, weight_um2: FloatArray,
        um_per_px: float,
    ) -> float:  # fmt: skip
        """Add weight_um2 * h to a canvas (rows, columns), in place, for n points at fractional pixels.

        Points farther out of focus than `farthest_um` aren't stamped: returns the sum of their weights (um^2) within
        the canvas, for a veil."""
        rows, columns = canvas.shape
        far = np.abs(defocus_um) > self.farthest_um
        on = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        veil = float(weight_um2[far & on].sum())
        plane = self.plane(defocus_um)
        half = (np.ceil(self.reach_um[plane] / um_per_px / 4.0) * 4.0).astype(np.int64)
        seen = ~far & (row > -half) & (row < rows + half) & (column > -half) & (column < columns + half)
        for size in np.unique(half[seen]):
            group = np.flatnonzero(seen & (half == size))
            side = 2 * int(size) + 1
            for chunk in np.array_split(group, max(1, group.size * side * side // _CHUNK)):
                self._group(canvas, row[chunk], column[chunk], plane[chunk], weight_um2[chunk], int(size), um_per_px)
        return veil

    def _group(
        self, canvas: Float32, row: FloatArray, column: FloatArray, plane: NDArray[np.int64], weight: FloatArray,
        half: int, um_per_px: float,
    ) -> None:  # fmt: skip
        rows, columns = canvas.shape
        around = np.arange(-half, half + 1)
        top, left = np.rint(row).astype(np.int64), np.rint(column).astype(np.int64)
        scale = um_per_px / _R_STEP_UM
        down = (((around + (top - row)[:, None]) * scale) ** 2).astype(np.float32)
        along = (((around + (left - column)[:, None]) * scale) ** 2).astype(np.float32)
        radius = np.sqrt(down[:, :, None] + along[:, None, :])
        place = np.minimum(radius + np.float32(0.5), np.float32(self._table.shape[1] - 1)).astype(np.int32)
        for i in range(row.size):
            r0, r1 = max(top[i] - half, 0), min(top[i] + half + 1, rows)
            c0, c1 = max(left[i] - half, 0), min(left[i] + half + 1, columns)
            if r0 >= r1 or c0 >= c1:
                continue
            part = place[i, r0 - top[i] + half : r1 - top[i] + half, c0 - left[i] + half : c1 - left[i] + half]
            canvas[r0:r1, c0:c1] += (self._table[plane[i]] * np.float32(weight[i]))[part]
