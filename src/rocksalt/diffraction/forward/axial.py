"""Axial divergence: rays that leave the plane of diffraction meet the arm too soon, and a line trails to small angles.

Finger, Cox and Jephcoat, J. Appl. Cryst. 27, 892 (1994), for a sample and a receiving slit of the same height.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rocksalt.diffraction.forward.lineshape import Shape

# Gauss and Legendre's rule: three points are right to the fifth moment, enough where the trail hides in the width.
_FEW: Final = np.polynomial.legendre.leggauss(3)
_MANY: Final = np.polynomial.legendre.leggauss(12)
_HIDDEN: Final = 0.25  # of the FWHM


def trailing(shape: Shape, axial: float) -> Shape:
    """Lines (m,) as the lines (some more) that their axial rays make; `axial` is H/L = S/L of the paper.

    A ray that ends h L above the plane arrives at cos 2phi = cos 2th sqrt(1 + h^2), h from 0 to H + S, with the weight
    D d(2phi) = (H + S - h) / ((1 + h^2) sin 2phi) dh: the paper's equations over h, where they have no pole. Beyond
    90 deg lines trail to large angles. The area of a line stays.
    """
    farthest = np.abs(np.degrees(_angles(shape.true_deg, np.array([2.0 * axial]))[0][:, 0]) - shape.true_deg)
    hidden = farthest < _HIDDEN * shape.fwhm_deg
    parts = [_spread(_some(shape, chosen), axial, *rule) for chosen, rule in ((hidden, _FEW), (~hidden, _MANY))]
    return Shape(*(np.concatenate([getattr(part, name) for part in parts]) for name in Shape.__slots__))


def _spread(shape: Shape, axial: float, nodes: np.ndarray, weights: np.ndarray) -> Shape:
    h = axial * (nodes + 1.0)
    angles, arrives = _angles(shape.true_deg, h)
    share = np.where(arrives, weights * (2.0 * axial - h) / ((1.0 + h * h) * np.sin(angles)), 0.0)
    share /= share.sum(axis=1, keepdims=True)
    moved = np.degrees(angles) - shape.true_deg[:, None]
    return Shape(
        np.repeat(shape.true_deg, h.size),
        (shape.centre_deg[:, None] + moved).ravel(),
        np.repeat(shape.fwhm_deg, h.size),
        np.repeat(shape.mixing, h.size),
        (shape.area[:, None] * share).ravel(),
    )


def _angles(two_theta_deg: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2phi (m, k) in radians, and which rays arrive: near 0 and 180 deg the cone is narrower than the slit is high."""
    cosine = np.cos(np.radians(two_theta_deg))[:, None] * np.sqrt(1.0 + h * h)
    arrives = np.abs(cosine) < 1.0
    return np.where(arrives, np.arccos(np.where(arrives, cosine, 0.0)), np.radians(two_theta_deg)[:, None]), arrives


def _some(shape: Shape, chosen: np.ndarray) -> Shape:
    return Shape(*(getattr(shape, name)[chosen] for name in Shape.__slots__))
