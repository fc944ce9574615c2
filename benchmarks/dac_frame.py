"""`python -m benchmarks.dac_frame`: the twin's picture of a diamond-anvil cell beside a real one, by the same numbers.

The real frame is in ROCKSALT_DATA (default ../shared/data) and is never copied from there. Its flux and exposure are
not recorded: their product is taken, for each twin, from the real level at one angle; the others are then a test.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.acceptance import ROOT, Row, arguments, closed, told
from benchmarks.frame_statistics import LEVELS_DEG, FloatArray, Mask, Seen, Statistics, statistics
from rocksalt.twin.picture.geometry import Geometry, rays
from rocksalt.twin.world import World

MEASURED: Final = Path(os.environ.get("ROCKSALT_DATA", ROOT / "../shared/data")) / "measured"
NAME: Final = "Fe3O4C_M1_map_1_P1_E1_001"
TIER: Final = "realistic"
ANCHOR_DEG: Final = 10.0
"""Where the levels are made equal."""
FACTOR: Final = 2.0

# The station that fits: an undulator beamline's flux, a small beam, a thin flake as in laser heating. Only thickness
# bears on the comparison: flux times exposure is fitted, and the frame says nothing of the rest.
_FLUX_PH_PER_S: Final = 1e11
_BEAM_M: Final = 5e-6
_THICKNESS_M: Final = 1.2e-6
_PRESSURE_GPA: Final = 1.0
_LONGEST_S: Final = 1e4


@dataclass(frozen=True, slots=True)
class Real:
    """The real frame as its calibration sees it, that calibration, and the statistics."""

    seen: Seen
    geometry: Geometry
    step_deg: float
    statistics: Statistics


@dataclass(frozen=True, slots=True)
class Rendered:
    """One twin's frame of the same size and brightness; photons: flux times exposure that it took."""

    seed: int
    seen: Seen
    photons: float
    statistics: Statistics


def there() -> bool:
    """Whether the real frame is where it should be."""
    return (MEASURED / "dac" / f"{NAME}.tif").is_file()


def measured() -> Real:
    """The real frame, rows turned over where its calibration wants them so. Raises FormatError where it is missing."""
    from rocksalt.diffraction.geometry import Geometry as Calibration
    from rocksalt.diffraction.integrate import clearer_way_up
    from rocksalt.formats import poni_from_header, read_image, read_pattern

    image = read_image(MEASURED / "dac" / f"{NAME}.tif")
    poni = poni_from_header("\n".join(read_pattern(MEASURED / "dac" / f"{NAME}.xy").header))
    told_by = Calibration.from_poni(poni.text())
    turned = clearer_way_up(told_by, image.counts, image.mask)[0] != told_by
    counts, mask = np.asarray(image.counts, dtype=np.float64), np.asarray(image.mask, dtype=np.bool_)
    rows, columns = counts.shape
    assert poni.wavelength_angstrom is not None
    geometry = Geometry(
        poni.distance_m, poni.poni1_m, poni.poni2_m, poni.rot1_rad, poni.rot2_rad, poni.rot3_rad,
        poni.pixel1_m, poni.wavelength_angstrom, (rows, columns),
    )  # fmt: skip
    seen = _seen(counts[::-1] if turned else counts, mask[::-1] if turned else mask, geometry)
    step = float(np.degrees(geometry.pixel_m / geometry.distance_m))
    saturation = math.inf if image.saturation is None else float(image.saturation)
    return Real(seen, geometry, step, statistics(seen, step, saturation))


def rendered(real: Real, seed: int, tier_name: str = TIER) -> Rendered:
    """A twin's frame in the real one's geometry, gaps and all, its level at ANCHOR_DEG made the real one's."""
    from rocksalt.time import Chance
    from rocksalt.twin.picture.render import Glimpse
    from rocksalt.twin.sample.transformation import BINS
    from rocksalt.twin.tiers import tier

    world = World(
        "KBr", tier(tier_name), seed, nominal=real.geometry, flux_ph_per_s=_FLUX_PH_PER_S,
        size_m=(_BEAM_M, _BEAM_M), thickness_m=_THICKNESS_M,
    )  # fmt: skip
    renderer = world.renderer
    mask = real.seen.mask | renderer.mask

    def glimpse(seconds: float) -> list[Glimpse]:
        return [Glimpse(seconds, _PRESSURE_GPA, np.zeros(BINS), 0.0, 298.0)]

    near = (np.abs(real.seen.two_theta_deg - ANCHOR_DEG) < 0.5) & ~mask
    dim = renderer.expected(glimpse(1.0), 1.0).reshape(mask.shape)[near]
    seconds = min(float(np.median(real.seen.counts[near])) / float(np.median(dim)), _LONGEST_S)
    counts = renderer.frame(glimpse(seconds), seconds, Chance(seed).stream("benchmark.dac_frame"))
    seen = Seen(counts.astype(np.float64), mask, real.seen.two_theta_deg, real.seen.azimuth_rad)
    photons = seconds * _FLUX_PH_PER_S * world.hidden.beam.flux_relative
    return Rendered(seed, seen, photons, statistics(seen, real.step_deg, renderer.cutoff_counts(seconds)))


def _seen(counts: FloatArray, mask: Mask, geometry: Geometry) -> Seen:
    where = rays(geometry)
    return Seen(counts, mask, where.two_theta_deg, where.azimuth_rad)


def _worst(ratios: FloatArray) -> float:
    """The ratio that is furthest from 1, either way, as a factor of at least 1; NaN where none is known."""
    known = ratios[np.isfinite(ratios) & (ratios > 0.0)]
    return float(np.exp(np.max(np.abs(np.log(known))))) if known.size else math.nan


def compared(real: Statistics, twin: Statistics) -> dict[str, float]:
    """Twin over real, of each statistic; for the level the factor at the angle where they differ most."""
    return {
        "background level": _worst(twin.levels / real.levels),
        "ring contrast": twin.ring_contrast / real.ring_contrast,
        "spots per megapixel": twin.spots.per_megapixel / real.spots.per_megapixel,
        "azimuthal variance": twin.azimuthal_variance / real.azimuthal_variance,
    }


def rows(first: int, n: int) -> Iterator[Row]:
    """One row a statistic for these n seeds. It passes where the median of twin over real is within FACTOR of 1;
    `within` says how many single seeds are. Tiers are wide: for a median ten seeds are few. Raises FormatError where
    the real frame is missing."""
    real = measured()
    twins = [rendered(real, seed) for seed in range(first, first + n)]
    yield from judged(real, twins)


def judged(real: Real, twins: Sequence[Rendered]) -> Iterator[Row]:
    """The rows of these twins."""
    ratios = [compared(real.statistics, twin.statistics) for twin in twins]
    for name in ratios[0]:
        each = np.array([ratio[name] for ratio in ratios])
        middle = float(np.median(np.where(np.isfinite(each), each, 0.0)))
        yield {
            "case": f"DAC frame, {name}: {TIER} twins over the real one, median of {len(twins)}",
            "measured": round(middle, 3),
            "bar": [1.0 / FACTOR, FACTOR],
            "pass": 1.0 / FACTOR <= middle <= FACTOR,
            "seed": twins[0].seed,
            "within": int(((each >= 1.0 / FACTOR) & (each <= FACTOR)).sum()),
            "each": [round(float(value), 3) for value in each],
        }


def draw(real: Real, twins: Sequence[Rendered], path: Path) -> None:
    """The real frame and the first twin's on one colour scale; below, the levels of all of them and the numbers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 9.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(2.6, 1.0))
    top = 1.6 * float(np.nanmax(real.statistics.levels))
    pictures = ((real.seen, "real: Pilatus 1M, 0.3344 Å"), (twins[0].seen, f"twin, {TIER}, seed {twins[0].seed}"))
    for column, (seen, title) in enumerate(pictures):
        axes = figure.add_subplot(grid[0, column])
        shown = np.where(seen.mask, np.nan, seen.counts)
        image = axes.imshow(shown, origin="lower", cmap="inferno", vmin=0.0, vmax=top, interpolation="nearest")
        axes.set_title(title)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.colorbar(image, ax=figure.axes, label="counts", shrink=0.9)
    axes = figure.add_subplot(grid[1, 0])
    for twin in twins:
        axes.plot(LEVELS_DEG, twin.statistics.levels, color="#d55e00", linewidth=0.7, alpha=0.6)
    axes.plot(LEVELS_DEG, real.statistics.levels, color="#222222", linewidth=1.8, label="real")
    axes.plot([], [], color="#d55e00", label=f"{len(twins)} twins, equal at {ANCHOR_DEG:g}° by exposure")
    axes.set_ylim(0.0, top)
    axes.set_xlabel("2θ (deg)")
    axes.set_ylabel("median counts")
    axes.legend(frameon=False)
    axes = figure.add_subplot(grid[1, 1])
    axes.axis("off")
    table = axes.table(
        cellText=_cells(real, twins), loc="center", cellLoc="right",
        colLabels=["", "real", f"seed {twins[0].seed}", f"median of {len(twins)}", "within 2×"],
        colWidths=[0.4, 0.11, 0.13, 0.2, 0.16],
    )  # fmt: skip
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1.0, 1.5)
    figure.savefig(path, dpi=110)


def picture(path: Path, first: int = 0, n: int = 20) -> None:
    """What the documentation shows, for n seeds from `first` on. Raises FormatError where the real frame is missing."""
    real = measured()
    draw(real, [rendered(real, seed) for seed in range(first, first + n)], path)


def _cells(real: Real, twins: Sequence[Rendered]) -> list[list[str]]:
    """The table's text, a line a statistic."""

    def values(found: Statistics) -> list[float]:
        contrast = 100.0 * found.ring_contrast
        return [float("nan"), contrast, found.spots.per_megapixel, 1e3 * found.azimuthal_variance]

    names = ["level, worst factor 4–21°", "ring contrast (%)", "spots a megapixel", "azimuthal variance (‰)"]
    all_values = np.array([values(twin.statistics) for twin in twins])
    cells = []
    for number, (name, row) in enumerate(zip(names, judged(real, twins), strict=True)):
        within = f"{row['within']} of {len(twins)}"
        if number == 0:
            cells.append([name, "1", f"{row['each'][0]:.2f}", f"{row['measured']:.2f}", within])
        else:
            one, middle = all_values[0, number], float(np.nanmedian(all_values[:, number]))
            cells.append([name, f"{values(real.statistics)[number]:.2g}", f"{one:.2g}", f"{middle:.2g}", within])
    share = [100.0 * each.spots.saturated_share for each in (real.statistics, *(twin.statistics for twin in twins))]
    cells.append(["saturated spot pixels (%)", *(f"{x:.2g}" for x in (share[0], share[1], np.median(share[1:]))), ""])
    return cells


def main() -> int:
    """Compare, draw out/dac-frame.png, print a JSON line for each statistic. Exit 0 only if all are within the bar."""
    wanted = arguments(__doc__, n=20).parse_args()
    if not there():
        print(
            f"{MEASURED / 'dac'} is not there: say where the real measurements are with ROCKSALT_DATA", file=sys.stderr
        )
        return 1
    real = measured()
    twins = [rendered(real, seed) for seed in range(wanted.first, wanted.first + wanted.n)]
    found = [told(row) for row in judged(real, twins)]
    (ROOT / "out").mkdir(exist_ok=True)
    draw(real, twins, ROOT / "out" / "dac-frame.png")
    return closed("dac-frame", found, len(found))


if __name__ == "__main__":
    sys.exit(main())
