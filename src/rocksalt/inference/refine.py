"""The whole-pattern fit: cells, widths, shift and every line's area together, by Gauss-Newton with positive areas.

Areas are free but tied to the calculated intensities of their phase by a ridge as wide as its texture; background,
spare peaks and parasites are solved for in the same step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rocksalt.inference import stress
from rocksalt.inference.columns import Data, Drawing, Shape, draw, on_pattern
from rocksalt.inference.linear import Belief, Solved, solve
from rocksalt.inference.radiation import Radiation
from rocksalt.inference.response import MASKED, highest_within
from rocksalt.inference.templates import Template
from rocksalt.values import FloatArray, Measured

MODEL_ERROR: Final = 0.04  # of the local height of the lines: what a pseudo-Voigt misses of a real one
_FOOT_ERROR: Final = 0.01  # of the height of the peak nearby: what it misses at the foot
_USUAL_SLACK: Final = 0.2  # intensities of a powder in a cell depart by so much (relative) before anybody says texture
_SLACKS: Final = (0.1, 1.2)
_STILL: Final = 0.1  # of its sigma: a step that is no longer worth taking
_UNTIED: Final = 5.0  # slack that leaves the areas to the data, and parts only lines that stand on one another


@dataclass(frozen=True, slots=True)
class Start:
    """A phase to fit: from which cell (angstrom), how far (relative) it may move; the first one also says the zero."""

    template: Template
    a: float
    reach: float = 0.02
    shift_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class FittedPhase:
    """One phase after the fit; arrays have an entry for each of its lines on the pattern.

    a, a_sigma               angstrom, statistical, scaled by the misfit
    scale, scale_sigma       area over calculated strength, from all lines
    labels, angle, fwhm      Miller indices, degrees, degrees
    area, sigma, strength    area of each line as the data alone have it, with its sigma; calculated strength per volume
    strain_fwhm, strain_sigma   part of the FWHM that grows as tan(theta), degrees
    slack                    relative spread of the areas about the calculated ones
    stretch                  relative change of the spacings that was laid to uniaxial stress, mean over the lines; `a`
                             is without it
    """

    template: Template
    a: float
    a_sigma: float
    scale: float
    scale_sigma: float
    labels: tuple[str, ...]
    angle: FloatArray
    fwhm: FloatArray
    area: FloatArray
    sigma: FloatArray
    strength: FloatArray
    strain_fwhm: float
    strain_sigma: float
    slack: float
    stretch: float = 0.0


@dataclass(frozen=True, slots=True)
class Fit:
    """The net pattern as a sum of lines, foreign peaks with parasites, and background; each (n,).

    variance   noise and model error, (n,); chi2 is reduced, where lines are; shift_deg is zero or displacement
    stress     uniaxial stress (GPa); None where it was not looked for
    """

    phases: tuple[FittedPhase, ...]
    radiation: Radiation
    lines: FloatArray
    foreign: FloatArray
    background: FloatArray
    variance: FloatArray
    chi2: float
    shift_deg: float
    width_deg: float
    mixing: float
    stress: Measured | None = None


def refine(
    data: Data,
    radiation: Radiation,
    starts: tuple[Start, ...],
    width: float,
    rounds: int = 5,
    *,
    stressed: bool = False,
) -> Fit:
    """Fit `starts` to `data`; `width` is the FWHM (degrees) to begin with; `stressed` looks for a uniaxial stress."""
    templates = tuple(start.template for start in starts)
    count = len(starts)
    log_a = np.log([s.a for s in starts]) if starts else np.zeros(0)
    shape = Shape(log_a, np.zeros(count), width, shift=starts[0].shift_deg if starts else 0.0)
    if stressed:
        shape.pulls = tuple(
            stress.strain_per_gpa(t.salt, t.structure, t.labels, s.a) for t, s in zip(templates, starts, strict=True)
        )
    begun, reach = shape.log_a.copy(), np.array([s.reach for s in starts])
    strengths = [t.strengths(s.a) for t, s in zip(templates, starts, strict=True)]
    masks = [on_pattern(data, radiation, t, s.a, width) for t, s in zip(templates, starts, strict=True)]
    step = float(data.two_theta[1] - data.two_theta[0])
    slacks = np.full(count, 0.35)
    areas: list[FloatArray] | None = None
    step_sigmas = np.zeros(2 * count + 4)
    solved = Solved.nothing(count, data.net.size)
    turn, last = 0, rounds
    while turn <= last:
        moving = areas is not None and turn < last
        drawing = draw(data, radiation, templates, shape, masks, areas)
        here = [s[d.here] for s, d in zip(strengths, drawing.phases, strict=True)]
        if areas is None:
            scales = _first_scales(data, drawing, here)
            model = np.zeros_like(data.net)
            for scale, d, s in zip(scales, drawing.phases, here, strict=True):
                model = model + (scale * s) @ d.columns
        else:
            scales, model = solved.scales, solved.lines + solved.foreign
        variance = data.variance + misfit(model, step, shape.width) ** 2
        ties = _ties(areas, scales, slacks, here)
        solved = solve(data, drawing, here, variance, scales, ties, Belief(shape, width, radiation) if moving else None)
        areas = solved.areas
        slacks = np.array([_slack(*row) for row in zip(areas, solved.area_sigmas, solved.scales, here, strict=True)])
        if moving:
            _move(shape, solved.step, begun, reach, width, float(data.two_theta[-1]))
            strengths = [t.strengths(float(np.exp(la))) for t, la in zip(templates, shape.log_a, strict=True)]
            step_sigmas = solved.step_sigmas
            if turn > 1 and bool((np.abs(solved.step) < _STILL * step_sigmas).all()):
                last = turn + 1
        turn += 1
    loose = solve(data, drawing, here, variance, solved.scales, [np.full(h.size, _UNTIED) for h in here], None)
    return _report(data, radiation, templates, shape, solved, loose, drawing, here, variance, slacks, step_sigmas)


def misfit(model: FloatArray, step: float, width: float) -> FloatArray:
    """What the profile misses of lines of heights `model` (n,): a share of the height there and of the nearby peak."""
    near = highest_within(np.maximum(model, 0.0), max(1, round(2.5 * width / step)))
    return np.asarray(np.hypot(MODEL_ERROR * model, _FOOT_ERROR * near))


def _ties(
    areas: list[FloatArray] | None, scales: FloatArray, slacks: FloatArray, here: list[FloatArray]
) -> list[FloatArray]:
    """Slack of each line: its phase's, let out for a line that is seen to stand far off (texture, a coarse grain)."""
    ties = []
    for p, strength in enumerate(here):
        tie = np.full(strength.size, float(slacks[p]))
        if areas is not None and scales[p] > 0.0:
            off = np.abs(areas[p] / np.maximum(scales[p] * strength, 1e-300) - 1.0)
            tie = tie * np.clip(off / (1.5 * slacks[p]), 1.0, 10.0)
        ties.append(tie)
    return ties


def _first_scales(data: Data, drawing: Drawing, here: list[FloatArray]) -> FloatArray:
    """Scales of whole phases with calculated intensities: where the fit starts."""
    if not here:
        return np.zeros(0)
    rows = np.array([s @ d.columns for s, d in zip(here, drawing.phases, strict=True)])
    model_error = MODEL_ERROR * np.maximum(data.net, 0.0)  # no model yet: the data stand in for it
    weight = np.where(data.variance < MASKED, 1.0 / (data.variance + model_error**2), 0.0)
    design = np.concatenate((rows, data.splines))
    gram = (design * weight) @ design.T
    gram[np.diag_indices_from(gram)] *= 1.0 + 1e-9
    gram[np.diag_indices_from(gram)] += 1e-12 * np.trace(gram)
    return np.maximum(np.linalg.solve(gram, design @ (weight * data.net))[: len(here)], 0.0)


def _slack(area: FloatArray, sigma: FloatArray, scale: float, strength: FloatArray) -> float:
    """Relative spread of areas about the calculated ones, drawn to the usual one where few lines stand out."""
    expected = scale * strength
    clear = (np.maximum(area, expected) > 5.0 * sigma) & (expected > 0)
    if scale <= 0.0 or not clear.any():
        return _USUAL_SLACK
    logs = np.log(np.maximum(area[clear], 0.1 * expected[clear]) / expected[clear])
    noise = sigma[clear] / np.maximum(area[clear], sigma[clear])
    excess = float(np.maximum(logs**2 - noise**2, 0.0).sum())
    return float(np.clip(np.sqrt((excess + 3.0 * _USUAL_SLACK**2) / (int(clear.sum()) + 3.0)), *_SLACKS))


def _move(shape: Shape, step: FloatArray, begun: FloatArray, reach: FloatArray, width: float, top: float) -> None:
    """Takes the step, no farther at once than the linear picture holds."""
    count = shape.log_a.size
    stride = 0.6 * np.radians(shape.width) / (2.0 * np.tan(np.radians(min(top, 120.0) / 4.0)))
    shape.log_a = np.clip(shape.log_a + np.clip(step[:count], -stride, stride), begun - reach, begun + reach)
    shape.strain = np.clip(
        shape.strain + np.clip(step[count : 2 * count], -0.5 * width, 0.5 * width), 0.0, 20.0 * width
    )
    shape.width = float(
        np.clip(
            shape.width + np.clip(step[2 * count], -0.3 * shape.width, 0.3 * shape.width), 0.12 * width, 3.0 * width
        )
    )
    shape.mixing = float(np.clip(shape.mixing + np.clip(step[2 * count + 1], -0.3, 0.3), 0.0, 1.0))
    shape.shift = float(shape.shift + np.clip(step[2 * count + 2], -0.5 * width, 0.5 * width))
    if shape.pulls:
        shape.stress_gpa = float(shape.stress_gpa + step[2 * count + 3])


def _report(
    data: Data, radiation: Radiation, templates: tuple[Template, ...], shape: Shape, solved: Solved, loose: Solved,
    drawing: Drawing,
    here: list[FloatArray], variance: FloatArray, slacks: FloatArray, step_sigmas: FloatArray,
) -> Fit:  # fmt: skip
    rest = data.net - solved.lines - solved.foreign - solved.background
    on_line = solved.lines > 0.02 * max(float(solved.lines.max(initial=0.0)), 1e-300)
    points = on_line & (data.variance < MASKED)
    chi2 = float(np.mean(rest[points] ** 2 / variance[points])) if points.any() else 1.0
    inflate = np.sqrt(max(chi2, 1.0))
    count = len(templates)
    phases = []
    for p, template in enumerate(templates):
        d = drawing.phases[p]
        a = float(np.exp(shape.log_a[p]))
        labels = tuple(label for label, keep in zip(template.labels, d.here, strict=True) if keep)
        phases.append(
            FittedPhase(
                template, a, a * float(step_sigmas[p]) * inflate, float(solved.scales[p]),
                float(solved.scale_sigmas[p]) * inflate, labels, d.angle, d.fwhm, loose.areas[p],
                loose.area_sigmas[p] * inflate, here[p], float(shape.strain[p]),
                float(step_sigmas[count + p]) * inflate,
                float(slacks[p]), _stretch(shape, p, a * template.ratio[d.here], d.here, here[p], radiation.main),
            )
        )  # fmt: skip
    return Fit(
        tuple(phases), radiation, solved.lines, solved.foreign, solved.background, variance, chi2, shape.shift,
        shape.width,
        shape.mixing,
        Measured(shape.stress_gpa, float(step_sigmas[2 * count + 3]) * inflate) if shape.pulls else None,
    )  # fmt: skip


def _stretch(shape: Shape, p: int, d: FloatArray, here: np.ndarray, strength: FloatArray, wavelength: float) -> float:
    if not d.size or not strength.sum():
        return 0.0
    return float(np.average(shape.stress_gpa * shape.pulled(p, d, here, wavelength), weights=strength))
