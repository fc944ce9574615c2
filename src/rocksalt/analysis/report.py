"""report.html: one file a person reads in the morning, prints and keeps; it opens nothing from anywhere else.

Everything in it comes from the journal and reduced.h5, so that it can be written again at any time, the same.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from rocksalt.analysis import events, page, words
from rocksalt.analysis.load_fit import prior_of
from rocksalt.analysis.patterns import NoPatterns, read_patterns
from rocksalt.analysis.style import Drawing
from rocksalt.analysis.summary import flux_known
from rocksalt.storage import journal
from rocksalt.storage.history import History
from rocksalt.storage.journal import Entry
from rocksalt.storage.run_folder import RunFolder, write_aside

TEMPLATE: Final = "report.html.j2"


def write_report(folder: RunFolder, history: History, summary: Mapping[str, Any]) -> Path:
    """Write report.html aside and rename it; the path. Figures that have nothing to show are replaced by a sentence.

    Raises OSError where the folder can't be written.
    """
    write_aside(folder.report, render(folder, history, summary).encode())
    return folder.report


def render(folder: RunFolder, history: History, summary: Mapping[str, Any]) -> str:
    """The page as text: the same text for the same journal and the same patterns."""
    from jinja2 import Environment, StrictUndefined

    entries, notes = _entries(folder)
    figures, missing = _figures(folder, history, entries, summary)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath(TEMPLATE).read_text("utf-8"))
    return template.render(
        summary=summary,
        status=page.STATUS.get(str(summary["status"]), str(summary["status"])),
        rehearsal=page.rehearsal(history),
        found=[page.found(transition) for transition in summary["transitions"]],
        nothing=page.nothing_found(history),
        ended=_ended(entries),
        numbers=page.key_numbers(summary),
        lost=summary["result"]["lost_frames"],
        temperature=page.temperature(history.points),
        figures=[_embedded(figure) for figure in figures],
        missing=[*notes, *missing],
        rows=page.decisions(history),
        events=events.events(entries) or [events.Event(a.at_s, "alarm", a.what, grave=True) for a in history.alarms],
        clock=words.clock,
        frame_files=page.frame_files(history),
        instruments=page.instruments(history.begun, events.identities(entries)),
        station=page.station_facts(history.begun),
        campaign=page.campaign_facts(history.begun),
        program=page.program_facts(history, summary),
    )


def _entries(folder: RunFolder) -> tuple[tuple[Entry, ...], list[str]]:
    """The journal's entries, for what happened beside the measurements; and a sentence where it can't be read."""
    try:
        return journal.read(folder.journal).entries, []
    except (OSError, journal.BadJournal) as error:
        return (), [f"What happened beside the measurements can't be told: {error}"]


def _figures(
    folder: RunFolder, history: History, entries: tuple[Entry, ...], summary: Mapping[str, Any]
) -> tuple[list[Drawing], list[str]]:
    """The figures that can be drawn, and a sentence for each that can't."""
    from rocksalt.analysis import figures
    from rocksalt.analysis.waterfall import waterfall

    points, scale, salt = history.points, page.pressure_scale(history), page.salt(history.begun)
    drawn: list[Drawing] = []
    missing: list[str] = []
    seen = figures.seen_points(points)
    if any(e.fraction_b2 is not None for e in seen):
        drawn.append(figures.fraction_figure(points, summary["transitions"], scale))
    else:
        missing.append("B2 fraction: no measurement gave both a pressure and a fraction.")
    try:
        drawn.append(waterfall(read_patterns(folder.reduced), points))
    except NoPatterns as why:
        missing.append(f"Patterns: {why}")
    if any(phase.salt == salt for e in seen for phase in e.phases):
        drawn.append(figures.volume_figure(points, salt, scale))
    else:
        missing.append("Cells: no measurement gave a cell of the campaign's salt together with a pressure.")
    if seen:
        drawn.append(figures.load_figure(points, prior_of(history.begun), scale))
    else:
        missing.append("Load curve: no measurement gave a pressure.")
    if points or history.dose_gy > 0.0:
        holds = events.holding(entries, history.now_s)
        budget_gy = page.dose_budget_gy(history.begun)
        drawn.append(figures.course_figure(history, holds, budget_gy, scale, flux_known(history.begun)))
    else:
        missing.append("Course and dose: no measurement was done, and no light was spent.")
    return drawn, missing


def _embedded(figure: Drawing) -> dict[str, str]:
    data = base64.b64encode(figure.svg).decode()
    return {
        "name": figure.name,
        "title": figure.title,
        "alt": figure.alt,
        "caption": figure.caption,
        "uri": f"data:image/svg+xml;base64,{data}",
    }


def _ended(entries: tuple[Entry, ...]) -> str:
    """The run's own last sentence; "" where its journal has none."""
    return next((str(entry.data.get("why", "")) for entry in reversed(entries) if entry.kind == "ended"), "")
