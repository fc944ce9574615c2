"""Figures of a report: B2 fraction, volumes, load curve, and the course of the run. Each a function of the points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rocksalt.analysis import words
from rocksalt.analysis.load_fit import fit_load, loaded, prior_fit
from rocksalt.analysis.style import (
    B1_COLOUR,
    B2_COLOUR,
    BAND,
    FAINT,
    INK,
    INNER_BAND,
    LEARNED_COLOUR,
    Drawing,
    draw,
    label_legend,
    scatter,
)
from rocksalt.config.station import LoadCurvePrior
from rocksalt.crystals import eos, tables
from rocksalt.storage.history import History, Point
from rocksalt.values import Estimate, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTHS_GPA: Final = np.geomspace(0.004, 0.4, 80)  # of a logistic: from one step of a careful ramp to a smeared sample
_FAR: Final = 9.0  # of chi squared: farther than three sigma a point says no more about the width
_ROOM_K: Final = 300.0
_SMALL_SHARE: Final = 0.2  # of the budget, below which the axis ends at what was booked


def seen_points(points: Sequence[Point]) -> list[Estimate]:
    """The estimates that state a pressure, in the order of measurement."""
    return [p.estimate for p in points if p.estimate is not None and p.estimate.pressure_gpa is not None]


def fraction_figure(points: Sequence[Point], transitions: Sequence[Mapping[str, Any]], scale: str) -> Drawing:
    """B2 volume fraction against sample pressure; P50 with its band, a logistic through it, and a closer look at it."""
    seen = [e for e in seen_points(points) if e.fraction_b2 is not None]
    stated = [transition for transition in transitions if transition.get("pressure_gpa") is not None]

    def paint(figure: Figure) -> None:
        widths = [4, 3] if stated else [1]
        panels = list(figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0])
        for axes in panels:
            axes.axhline(0.5, color=FAINT, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
            _path(axes, seen)
            for transition in stated:
                _mark_transition(axes, transition, seen)
        if stated:
            panels[1].set_xlim(*_close_to(stated[0], seen))
            panels[1].set_title("close to P50")
        panels[0].set_ylim(-0.06, 1.06)
        panels[0].set_ylabel("B2 volume fraction")
        figure.supxlabel(_pressure_axis(scale), fontsize=9.0, color=INK)
        label_legend(panels[0], {e.label for e in seen}, loc="upper left")

    caption = (
        "Bars are one sigma; the grey line joins the measurements in their order, so that a pressure which falls while "
        "the sample turns is seen to fall."
    )
    if stated:
        caption += (
            " Bands around P50: inner statistical, outer with the pressure scale. The curve is a logistic whose middle "
            "is the stated P50; only its width was fitted here."
        )
    alt = f"B2 volume fraction against sample pressure for {len(seen)} measurements"
    alt += ", with a logistic curve and a band at P50." if stated else "."
    return Drawing("fraction", "How much is B2", draw(3.5, paint), alt, caption)


def _path(axes: Axes, seen: Sequence[Estimate]) -> None:
    """The measurements with their bars, and the way from one to the next."""
    known = [(e, e.pressure_gpa, e.fraction_b2) for e in seen if e.pressure_gpa and e.fraction_b2]
    axes.plot([p.value for _, p, _ in known], [f.value for *_, f in known], color=FAINT, linewidth=0.7, zorder=2)
    for e, pressure, fraction in known:
        scatter(axes, pressure.value, fraction.value, e.label, pressure.sigma, fraction.sigma)


def _mark_transition(axes: Axes, found: Mapping[str, Any], seen: Sequence[Estimate]) -> None:
    p50, stat, both = _uncertainties(found)
    low, high = axes.get_xlim()
    axes.axvspan(p50 - both, p50 + both, color=BAND, linewidth=0, zorder=0, label="P50 ± 1σ, with scale")
    axes.axvspan(p50 - stat, p50 + stat, color=INNER_BAND, linewidth=0, zorder=0.5, label="P50 ± 1σ, statistical")
    axes.axvline(p50, color=INK, linewidth=0.8, zorder=1)
    if (onset := found.get("onset_gpa")) is not None:
        axes.axvline(onset, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1, label="onset (fraction 0.05)")
    width = logistic_width(seen, p50)
    x = np.union1d(np.linspace(low, high, 300), np.linspace(p50 - 8.0 * width, p50 + 8.0 * width, 200))
    axes.plot(x, _logistic(x, p50, width), color=LEARNED_COLOUR, zorder=3, label="logistic through P50")
    axes.set_xlim(min(low, p50 - both), max(high, p50 + both))


def _close_to(found: Mapping[str, Any], seen: Sequence[Estimate]) -> tuple[float, float]:
    """Pressures (GPa) that show the sigmoid, the bands and the onset."""
    p50, _, both = _uncertainties(found)
    onset = found.get("onset_gpa")
    reach = max(6.0 * logistic_width(seen, p50), 1.5 * both, 1.3 * abs(p50 - (p50 if onset is None else onset)), 0.05)
    return p50 - reach, p50 + reach


def _uncertainties(found: Mapping[str, Any]) -> tuple[float, float, float]:
    """P50, its statistical sigma, and that with the scale's, in GPa."""
    stat = float(found.get("sigma_stat") or 0.0)
    return float(found["pressure_gpa"]), stat, math.hypot(stat, float(found.get("sigma_scale") or 0.0))


def logistic_width(seen: Sequence[Estimate], p50_gpa: float) -> float:
    """Scale (GPa) of the logistic around p50_gpa that passes best through the fractions; errors of both axes count."""
    known = [(e.pressure_gpa, e.fraction_b2) for e in seen if e.pressure_gpa and e.fraction_b2]
    x = np.array([p.value for p, _ in known])
    y = np.array([f.value for _, f in known])
    x_sigma = np.array([p.sigma for p, _ in known])
    y_sigma = np.array([max(f.sigma, 0.01) for _, f in known])

    def cost(width: float) -> float:
        expected = _logistic(x, p50_gpa, width)
        slope = expected * (1.0 - expected) / width
        return float(np.minimum((y - expected) ** 2 / (y_sigma**2 + (slope * x_sigma) ** 2), _FAR).sum())

    return float(_WIDTHS_GPA[int(np.argmin([cost(float(width)) for width in _WIDTHS_GPA]))])


def _logistic(x: FloatArray, middle: float, width: float) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip((x - middle) / width, -60.0, 60.0))))


def volume_figure(points: Sequence[Point], salt: str, scale: str) -> Drawing:
    """Volume per formula unit of the fitted cells on both equations of state, and how the phases' pressures differ."""
    seen = seen_points(points)
    cells = [(e, phase) for e in seen for phase in e.phases if phase.salt == salt]
    temperatures = [phase.temperature_k for _, phase in cells if phase.temperature_k is not None]
    temperature_k = float(np.mean(temperatures)) if temperatures else _ROOM_K

    def paint(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        for e, phase in cells:
            assert e.pressure_gpa
            row = tables.phase(salt, phase.structure)
            mark = phase.structure
            volume = phase.a_angstrom**3 / row.z
            spread = 3.0 * phase.a_angstrom**2 * phase.a_sigma / row.z
            scatter(upper, e.pressure_gpa.value, volume, mark, e.pressure_gpa.sigma, spread)
            if phase.pressure_gpa is not None:
                apart = phase.pressure_gpa - e.pressure_gpa.value
                scatter(lower, e.pressure_gpa.value, apart, mark, 0.0, phase.pressure_sigma or 0.0)
        low, high = upper.get_xlim()
        for name, colour in (("B1", B1_COLOUR), ("B2", B2_COLOUR)):
            _isotherm(upper, salt, name, colour, temperature_k, max(low, -0.4), high)
        upper.set_xlim(low, high)
        upper.set_ylabel(f"{salt} volume per\nformula unit (Å³)")
        lower.axhline(0.0, color=FAINT, linewidth=0.7)
        lower.set_ylabel("P(phase) −\nP(sample) (GPa)")
        lower.set_xlabel(_pressure_axis(scale))
        label_legend(upper, {phase.structure for _, phase in cells}, loc="best")

    return Drawing(
        "volumes",
        "Cells and equations of state",
        draw(4.5, paint),
        f"Volumes of {len(cells)} fitted cells against sample pressure, on the B1 and B2 equations of state of {salt}.",
        f"Curves: the equations of state that the pressures come from, at {temperature_k:.1f} K ({_references(salt)}); "
        "dashed outside the pressures that their source measured. The sample's pressure is read off these same cells, "
        "so points near a curve are no test of it; the lower panel is: where both phases are seen, they should agree "
        "within the pressure gradient over the beam.",
    )


def _isotherm(axes: Axes, salt: str, name: str, colour: str, temperature_k: float, low: float, high: float) -> None:
    """One phase's volume over the drawn pressures, as far as its equation of state reaches."""
    try:
        row = tables.phase(salt, name)
    except tables.UnknownPhase:
        return
    measured_low, measured_high = row.range_gpa
    for start, end, line in (
        (low, min(high, measured_low), (0, (3, 2))),
        (max(low, measured_low), min(high, measured_high), "-"),
        (max(low, measured_high), min(high, 1.1 * measured_high + 0.4), (0, (3, 2))),
    ):
        if start >= end:
            continue
        pressure = np.linspace(start, end, 80)
        try:
            volume = eos.volume_a3(row, pressure, temperature_k) / row.z
        except eos.OutOfRange:
            continue
        axes.plot(pressure, volume, color=colour, linestyle=line, linewidth=1.1, zorder=2)


def _references(salt: str) -> str:
    rows = [tables.PHASES[key] for key in ((salt, "B1"), (salt, "B2")) if key in tables.PHASES]
    return "; ".join(dict.fromkeys(row.reference for row in rows)) or "none in the table"


def load_figure(points: Sequence[Point], prior: LoadCurvePrior | None, scale: str) -> Drawing:
    """Sample pressure against membrane pressure: what was expected, what was measured, and the line through it."""
    known = [p for p in points if loaded([p])]
    seen = loaded(points)
    top = max([one.bar for one in seen], default=1.0) * 1.05 or 1.0
    bar = np.linspace(0.0, top, 120)
    caption = "Bars are one sigma."
    fit = None
    if prior is not None:
        fit = fit_load(prior, seen)
        caption = (
            "Expected before the run (station file): "
            f"{words.plus_minus(prior.gpa_per_bar, prior.gpa_per_bar_sigma)} GPa/bar. Learned from all measurements: "
            f"{words.measured(fit.slope)} GPa/bar, and {words.measured(fit.loss)} GPa lost at constant membrane when "
            "all of the sample turns. The line is drawn without that loss: points where B2 has grown lie below it. "
            "While the run went on the program let the slope change with the load; this line is for the reader."
        )

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for p, one in zip(known, seen, strict=True):
            assert p.estimate is not None
            scatter(axes, one.bar, one.pressure_gpa.value, p.estimate.label, 0.0, one.pressure_gpa.sigma)
        if prior is not None and fit is not None:
            expected, spread = prior_fit(prior).at(bar)
            axes.fill_between(bar, expected - spread, expected + spread, color="#e4e4e4", linewidth=0, zorder=0,
                              label="expected (station file), ± 1σ")  # fmt: skip
            axes.plot(bar, expected, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
            line, sigma = fit.at(bar)
            axes.fill_between(bar, line - sigma, line + sigma, color=LEARNED_COLOUR, alpha=0.2, linewidth=0, zorder=1)
            axes.plot(bar, line, color=LEARNED_COLOUR, linewidth=1.1, zorder=2, label="learned, nothing turned, ± 1σ")
        axes.set_xlim(0.0, top)
        axes.set_xlabel("membrane pressure (bar)")
        axes.set_ylabel(_pressure_axis(scale))
        label_legend(axes, {p.estimate.label for p in known if p.estimate}, loc="upper left")

    alt = f"Sample pressure against membrane pressure for {len(seen)} measurements, with expected and learned line."
    return Drawing("load", "Load curve", draw(3.4, paint), alt, caption)


def course_figure(
    history: History, holds: Sequence[tuple[float, float]], budget_gy: float | None, scale: str, booked: bool
) -> Drawing:
    """Pressure of the sample and dose booked, over the time of the run; times of holding are shaded."""
    hours = history.now_s > 2.5 * 3600.0
    unit, name = (3600.0, "hours") if hours else (60.0, "minutes")
    times = np.array([0.0, *(p.done_s for p in history.points), history.now_s]) / unit
    dose = np.cumsum([0.0, *(p.dose_gy for p in history.points), 0.0])
    sigma = np.cumsum([0.0, *(p.dose_sigma_gy for p in history.points), 0.0])
    dose[-1], sigma[-1] = history.dose_gy, history.dose_sigma_gy
    largest = float(np.max(dose + sigma))
    seen = seen_points(history.points)
    heights = [3, 2] if seen else [1]
    scale_gy, prefix = next(((s, p) for s, p in ((1e6, "M"), (1e3, "k")) if largest >= s), (1.0, ""))

    def paint(figure: Figure) -> None:
        panels = list(figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
        upper, lower = panels[0], panels[-1]
        for axes in panels:
            for start, end in holds:
                axes.axvspan(start / unit, end / unit, color=BAND, linewidth=0, zorder=0)
        for p in history.points:
            if p.estimate is not None and (pressure := p.estimate.pressure_gpa) is not None:
                scatter(upper, p.done_s / unit, pressure.value, p.estimate.label, 0.0, pressure.sigma)
        if seen:
            upper.set_ylabel(_pressure_axis(scale).replace(" (GPa", "\n(GPa"))
            label_legend(upper, {e.label for e in seen}, loc="upper left")
        lower.step(times, dose / scale_gy, where="post", color=INK, linewidth=1.1)
        lower.fill_between(times, (dose - sigma) / scale_gy, (dose + sigma) / scale_gy, step="post", color=FAINT,
                           alpha=0.35, linewidth=0)  # fmt: skip
        if budget_gy is not None and largest >= _SMALL_SHARE * budget_gy:
            lower.axhline(budget_gy / scale_gy, color=B2_COLOUR, linewidth=1.0, linestyle=(0, (4, 3)))
            lower.annotate("budget", (1.0, budget_gy / scale_gy), xycoords=("axes fraction", "data"), xytext=(-2, 3),
                           textcoords="offset points", ha="right", fontsize=8, color=B2_COLOUR)  # fmt: skip
        lower.set_ylim(bottom=0.0)
        lower.set_xlim(0.0, max(1.015 * float(times[-1]), 1e-9))
        lower.set_ylabel(f"dose booked\n({prefix}Gy)")
        lower.set_xlabel(f"time since the start of the run ({name})")

    caption = _dose_caption(history, budget_gy, booked) + (" Shaded: the run was held." if holds else "")
    over = f"over {words.duration(history.now_s)}"
    if not seen:
        return Drawing("course", "Dose of the run", draw(2.3, paint), f"The dose booked {over}.", caption)
    alt = f"Sample pressure of {len(seen)} measurements and the dose booked, {over}."
    return Drawing("course", "Course of the run, and its dose", draw(4.2, paint), alt, caption)


def _dose_caption(history: History, budget_gy: float | None, booked: bool) -> str:
    if not booked:
        return "No dose is booked: the station states no flux at the sample, and minutes are the budget."
    text = (
        f"Booked: {words.dose(history.dose_gy, history.dose_sigma_gy)}, a photo-absorption upper bound; its sigma is "
        "the flux's, common to all measurements."
    )
    if budget_gy is None:
        return text + " The campaign sets no limit to it."
    return f"{text} That is {history.dose_gy / budget_gy:.1%} of the {words.dose(budget_gy)} that the campaign allows."


def _pressure_axis(scale: str) -> str:
    return f"sample pressure (GPa; {scale})" if scale else "sample pressure (GPa)"
