"""What lies under the lines.

A first guess that peaks cannot lift, and the splines that the fit then corrects it with.
"""

from __future__ import annotations

import numpy as np

from rocksalt.values import FloatArray


def smoothed(values: FloatArray, half_width: int) -> FloatArray:
    """Running mean over 2 * half_width + 1 points; the ends are held. values (n,) -> (n,)."""
    if half_width < 1:
        return values
    padded = np.pad(values, half_width, mode="edge")
    total = np.cumsum(np.concatenate(([0.0], padded)))
    width = 2 * half_width + 1
    return np.asarray((total[width:] - total[:-width]) / width)


def under_peaks(intensity: FloatArray, reach: int, smooth: int) -> FloatArray:
    """Baseline that features narrower than `reach` points to either side cannot lift. (n,) -> (n,).

    Statistics-sensitive non-linear iterative peak clipping on a root scale, window shrinking by a constant factor:
    Ryan et al., Nucl. Instrum. Meth. B 34 (1988) 396; Morhac et al., Nucl. Instrum. Meth. A 401 (1997) 113.
    """
    n = intensity.size
    low = float(intensity.min())
    level = np.sqrt(smoothed(intensity, smooth) - low + 1.0)
    width = max(1, min(reach, n // 3))
    while width >= 1:
        clipped = 0.5 * (level[: n - 2 * width] + level[2 * width :])
        inner = level[width : n - width]
        np.minimum(inner, clipped, out=inner)
        width = int(width / 1.2) if width > 6 else width - 1
    return np.asarray(level**2 - 1.0 + low)


def splines(n: int, spacing: float) -> FloatArray:
    """Uniform cubic B-splines over n points, a knot each `spacing` points. Returns (count, n), rows summing to one."""
    pieces = max(2, int(np.ceil((n - 1) / max(spacing, 4.0))))
    at = np.arange(n) * (pieces / max(n - 1, 1))
    cell = np.minimum(at.astype(int), pieces - 1)
    u = at - cell
    parts = (
        (1 - u) ** 3 / 6.0,
        (3 * u**3 - 6 * u**2 + 4) / 6.0,
        (-3 * u**3 + 3 * u**2 + 3 * u + 1) / 6.0,
        u**3 / 6.0,
    )
    basis = np.zeros((pieces + 3, n))
    columns = np.arange(n)
    for shift, part in enumerate(parts):
        basis[cell + shift, columns] = part
    return basis
