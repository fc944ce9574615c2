"""Axial divergence: rays that leave the plane of diffraction meet the arm too soon, and a line trails to small angles.

Finger, Cox and Jephcoat, J. Appl. Cryst. 27, 892 (1994), for a sample and a receiving slit of the same height.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.diffraction.forward.lineshape import Shape
from rocksalt.values import FloatArray

# Gauss and Legendre's rule: three points are right to the fifth moment, enough where the trail hides in the width.
_FEW: Final = np.polynomial.legendre.leggauss(3)
_SOME: Final = np.polynomial.legendre.leggauss(6)
_MANY: Final = np.polynomial.legendre.leggauss(12)
_HIDDEN: Final = 0.25  # of the FWHM
_Two = tuple[FloatArray, FloatArray]


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


def rays(two_theta_deg: FloatArray, axial: float) -> tuple[FloatArray, FloatArray]:
    """By how much axial rays shift angles (m,), in degrees, and their shares, (k, m) each: for what is no line."""
    moved, share = _rays(two_theta_deg, axial, *_SOME)
    return moved.T, share.T


def _rays(two_theta_deg: FloatArray, axial: float, nodes: FloatArray, weights: FloatArray) -> _Two:
    h = axial * (nodes + 1.0)
    angles, arrives = _angles(two_theta_deg, h)
    share = np.where(arrives, weights * (2.0 * axial - h) / ((1.0 + h * h) * np.sin(angles)), 0.0)
    return np.degrees(angles) - two_theta_deg[:, None], share / share.sum(axis=1, keepdims=True)


def _spread(shape: Shape, axial: float, nodes: FloatArray, weights: FloatArray) -> Shape:
    moved, share = _rays(shape.true_deg, axial, nodes, weights)
    return Shape(
        np.repeat(shape.true_deg, nodes.size),
        (shape.centre_deg[:, None] + moved).ravel(),
        np.repeat(shape.fwhm_deg, nodes.size),
        np.repeat(shape.mixing, nodes.size),
        (shape.area[:, None] * share).ravel(),
    )


def _angles(two_theta_deg: FloatArray, h: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """2phi (m, k) in radians, and which rays arrive: near 0 and 180 deg the cone is narrower than the slit is high."""
    cosine = np.cos(np.radians(two_theta_deg))[:, None] * np.sqrt(1.0 + h * h)
    arrives = np.abs(cosine) < 1.0
    return np.where(arrives, np.arccos(np.where(arrives, cosine, 0.0)), np.radians(two_theta_deg)[:, None]), arrives


def _some(shape: Shape, chosen: NDArray[np.bool_]) -> Shape:
    return Shape(*(getattr(shape, name)[chosen] for name in Shape.__slots__))
