"""What is in the picture and isn't wanted: dust, bubbles, scratches, cleavage steps. Attenuation, natural logarithm.

Shapes and strengths are chosen by eye to look like what is seen; no paper stands behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.time import Chance
from rocksalt.twin.departures import MicroscopeDepartures
from rocksalt.values import FloatArray

Float32 = NDArray[np.float32]
_SHARP_UM: Final = 0.35  # one sigma of the lens in focus, for extended shapes
_BLUR: Final = 0.5  # one sigma of the blur, over the radius of the cone of light
_BAND: Final = 4.0
_HARMONICS: Final = 6


@dataclass(frozen=True, slots=True)
class Blob:
    """Dust (an irregular outline, dark) or a bubble (a dark rim, bright inside): centre, radius, um; strength of its
    attenuation; waves (harmonics, 2), cosine and sine parts of its outline."""

    place_um: FloatArray
    radius_um: float
    strength: float
    bubble: bool
    waves: FloatArray


@dataclass(frozen=True, slots=True)
class Line:
    """A scratch or a cleavage step on a face: from and to, um, half-width, strength; a step has a bright side. A
    scratch is uneven along its length: waves (n, 2), um a period and phase, of its strength and its path."""

    start_um: FloatArray
    end_um: FloatArray
    half_width_um: float
    strength: float
    bright: float
    waves: FloatArray


@dataclass(frozen=True, slots=True)
class Nuisances:
    """All of one crystal."""

    blobs: tuple[Blob, ...]
    lines: tuple[Line, ...]


def draw(hidden: MicroscopeDepartures, chance: Chance, box_um: FloatArray) -> Nuisances:
    """What lies on the faces and in the plate whose sides are box_um (3,): x, y, depth."""
    blobs = [_dust(chance.stream("microscope.dust", number), box_um) for number in range(hidden.crystal_dust)]
    blobs += [_bubble(chance.stream("microscope.bubble", number), box_um) for number in range(hidden.bubbles)]
    lines = [_scratch(chance.stream("microscope.scratch", number), box_um) for number in range(hidden.scratches)]
    lines += [_step(chance.stream("microscope.step", number), box_um) for number in range(hidden.steps)]
    return Nuisances(tuple(blobs), tuple(lines))


def _dust(rng: np.random.Generator, box: FloatArray) -> Blob:
    depth = box[2] if rng.random() < 0.3 else 0.0
    place = np.array([*(rng.random(2) * box[:2]), depth])
    waves = rng.normal(0.0, 0.3, (_HARMONICS, 2)) / np.arange(1, _HARMONICS + 1)[:, None]
    return Blob(place, float(np.exp(rng.normal(0.7, 0.6))), float(rng.uniform(0.4, 1.6)), False, waves)


def _bubble(rng: np.random.Generator, box: FloatArray) -> Blob:
    waves = np.zeros((_HARMONICS, 2))
    return Blob(rng.random(3) * box, float(rng.uniform(1.5, 5.0)), float(rng.uniform(0.5, 1.2)), True, waves)


def _scratch(rng: np.random.Generator, box: FloatArray) -> Line:
    place, angle, length = rng.random(2) * box[:2], rng.uniform(0.0, np.pi), rng.uniform(0.2, 0.9) * box[0]
    along = 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
    width, strength = float(rng.uniform(0.3, 0.8)), float(rng.uniform(0.05, 0.3))
    waves = np.stack([np.exp(rng.uniform(1.0, 4.5, 8)), rng.uniform(0.0, 2.0 * np.pi, 8)], axis=1)
    return Line(place - along, place + along, width, strength, 0.0, waves)


def _step(rng: np.random.Generator, box: FloatArray) -> Line:
    """Cleavage steps run nearly along a cube's edge, from side to side, or end within where two of them meet."""
    place, tilt = rng.random(2) * box[:2], np.radians(rng.normal(0.0, 2.0)) + 0.5 * np.pi * rng.integers(2)
    along = np.hypot(box[0], box[1]) * np.array([np.cos(tilt), np.sin(tilt)])
    back = 0.0 if rng.random() < 0.3 else 1.0
    width, strength = float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.08, 0.35))
    bright = float(rng.uniform(0.4, 0.9))
    return Line(place - back * along, place + along, width, strength, bright, np.empty((0, 2)))


def stamp_blob(canvas: Float32, blob: Blob, row: float, column: float, defocus_um: float, um_per_px: float,
               slope: float) -> None:  # fmt: skip
    """Add one blob to a canvas, centred at this pixel; slope is the tangent of the cone of light in the crystal."""
    blur = float(np.hypot(_SHARP_UM, _BLUR * slope * defocus_um))
    reach = int((1.6 * blob.radius_um + 3.0 * blur) / um_per_px) + 1
    top, left = round(row), round(column)
    r0, r1 = max(top - reach, 0), min(top + reach + 1, canvas.shape[0])
    c0, c1 = max(left - reach, 0), min(left + reach + 1, canvas.shape[1])
    if r0 >= r1 or c0 >= c1:
        return
    down = ((np.arange(r0, r1) - row) * um_per_px).astype(np.float32)[:, None]
    along = ((np.arange(c0, c1) - column) * um_per_px).astype(np.float32)[None, :]
    away = np.hypot(down, along)
    edge = np.full_like(away, blob.radius_um)
    if blob.waves.any():
        turn = np.exp(1j * np.arctan2(down, along)).astype(np.complex64)
        wave, outline = turn, np.ones_like(away)
        # Blur rounds the outline, its finer parts first.
        order = np.arange(1, len(blob.waves) + 1)[:, None]
        rounded = blob.waves * np.exp(-0.5 * (order * blur / blob.radius_um) ** 2)
        for cosine, sine in rounded.astype(np.float32):
            outline += cosine * wave.real + sine * wave.imag
            wave = wave * turn
        # Towards the centre every direction becomes the same.
        round_inside = np.minimum(away / np.float32(0.5 * blob.radius_um), np.float32(1.0))
        edge = edge * np.clip(1.0 + (outline - 1.0) * round_inside, 0.3, 1.6)
    # A blurred disc is fainter in its middle, and its light is where the disc isn't.
    thin = blob.radius_um**2 / (blob.radius_um**2 + 2.0 * blur**2)
    width = np.float32(0.6 * blur)
    disc = 1.0 / (1.0 + np.exp(np.clip((away - edge) / width, -30.0, 30.0)))
    if blob.bubble:
        inner = 1.0 / (1.0 + np.exp(np.clip((away - 0.62 * edge) / width, -30.0, 30.0)))
        core = np.exp(-0.5 * (away / (0.3 * blob.radius_um + 0.5 * blur)) ** 2)
        disc = disc - 0.75 * inner - 0.35 * core
    canvas[r0:r1, c0:c1] += (blob.strength * thin * disc).astype(np.float32)


def stamp_line(canvas: Float32, line: Line, start_px: FloatArray, end_px: FloatArray, defocus_um: float,
               um_per_px: float, slope: float) -> None:  # fmt: skip
    """Add one line to a canvas, between two (row, column); only pixels near it are touched."""
    if abs(end_px[1] - start_px[1]) > abs(end_px[0] - start_px[0]):
        canvas, start_px, end_px = canvas.T, start_px[::-1], end_px[::-1]
    blur = float(np.hypot(_SHARP_UM, _BLUR * slope * defocus_um))
    sigma = float(np.hypot(line.half_width_um, blur)) / um_per_px
    height = line.strength * line.half_width_um / (sigma * um_per_px)
    (a_row, a_column), (b_row, b_column) = (start_px, end_px) if start_px[0] <= end_px[0] else (end_px, start_px)
    rows = np.arange(max(int(np.ceil(a_row)), 0), min(int(b_row) + 1, canvas.shape[0]))
    if rows.size == 0:
        return
    lean = (b_column - a_column) / (b_row - a_row)
    straight = 1.0 / np.hypot(1.0, lean)
    along_um = (rows - a_row) / straight * um_per_px
    turns = 2.0 * np.pi / line.waves[:, 0]
    wave = np.sin(turns * along_um[:, None] + line.waves[:, 1]) * np.exp(-0.5 * (turns * blur) ** 2)
    middle = a_column + lean * (rows - a_row) + 0.1 / um_per_px * wave[:, ::2].sum(axis=1)
    half = int(np.ceil(_BAND * sigma * (1.5 if line.bright else 1.0) / straight))
    columns = np.rint(middle).astype(np.int64)[:, None] + np.arange(-half, half + 1)
    distance = (columns - middle[:, None]) * straight / sigma
    profile = np.exp(-0.5 * distance**2) - line.bright * np.exp(-0.5 * (distance - 1.8) ** 2)
    profile *= np.clip(1.0 + 0.25 * wave.sum(axis=1), 0.1, None)[:, None]
    # The ends fade over a few pixels.
    profile *= np.clip(np.minimum(rows - a_row, b_row - rows) / (3.0 * sigma), 0.0, 1.0)[:, None]
    inside = (columns >= 0) & (columns < canvas.shape[1])
    np.add.at(canvas, (np.broadcast_to(rows[:, None], columns.shape)[inside], columns[inside]),
              (height * profile[inside]).astype(np.float32))  # fmt: skip
