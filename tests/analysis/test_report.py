"""report.html: whole, closed in itself, honest where something is missing, and the same for the same journal."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis.by_hand import Pen, estimate, transition, unknown, write_patterns
from rocksalt.analysis.report import render, write_report
from rocksalt.analysis.summary import summary_of
from rocksalt.storage.run_folder import RunFolder
from rocksalt.values import Finish

VOID = {"meta", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """A page read back: its text, its figures by name, and whether every element was closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.figures: dict[str, bytes] = {}
        self.tags: set[str] = set()
        self._figure = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        if tag == "figure":
            self._figure = given["id"] or ""
        if tag == "img":
            assert given["alt"]
            head, data = (given["src"] or "").split(",")
            assert head == "data:image/svg+xml;base64"
            self.figures[self._figure] = base64.b64decode(data)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def night_html(night: Pen, night_folder: RunFolder) -> str:
    return render(night_folder, night.history, summary_of(night.history, [transition()]))


def test_the_page_shows_every_figure_and_says_what_was_found(night_html: str) -> None:
    page = Page(night_html)
    assert list(page.figures) == ["fraction", "waterfall", "volumes", "load", "course"]
    assert all(svg.rstrip().endswith(b"</svg>") for svg in page.figures.values())
    for words in (
        "KBr turns from B1 to B2 at 1.853 GPa",
        "± 0.017 (statistical) ± 0.031 (scale) GPa on compression at 300.0 K",
        "pressure scale: ruby, Dewaele 2012",
        "Nothing here was measured on a real crystal",
        "1 frame lost between detector and disk: number 21",
        "measurement 7: the shutter closed during the exposure",
        "link membrane: membrane: no answer within 2 s",
        "unknown, for nothing diffracts",
        "instead of a step of 0.30 GPa: 21%",
        "photo-absorption upper bound",
    ):
        assert words in page.text


def test_nothing_is_opened_from_anywhere_else(night_html: str) -> None:
    page = Page(night_html)
    assert not page.tags & {"script", "link", "iframe", "object", "a"}
    assert re.search(r"https?:", night_html.replace("http://127.0.0.1:8080", "")) is None  # the detector's own address
    for svg in page.figures.values():
        assert re.sub(rb'xmlns(:\w+)?="[^"]*"', b"", svg).count(b"http") == 0


def test_the_page_is_small(night_html: str) -> None:
    assert len(night_html.encode()) < 3_000_000


def test_the_same_journal_gives_the_same_bytes(night: Pen, night_folder: RunFolder, night_html: str) -> None:
    written = write_report(night_folder, night.history, summary_of(night.history, [transition()]))
    assert written == night_folder.report
    assert written.read_bytes() == night_html.encode()


def test_what_comes_from_files_is_text_and_never_markup(pen: Pen, tmp_path: Path) -> None:
    pen.begin(campaign="<script>alert(1)</script>")
    pen.measure(0, 0.5, None, reason="<img src=x onerror=alert(2)>", runner_up='"><b>bold</b>')
    pen.write("alarm", what="</td><script>alert(3)</script>")
    pen.end("stopped", "<i>Ctrl-C</i>")
    html = render(pen.keep(tmp_path / "run"), pen.history, summary_of(pen.history, []))
    page = Page(html)
    assert not page.tags & {"script", "b", "i"}
    assert "<script>alert(1)</script>" in page.text
    assert "<img src=x onerror=alert(2)>" in page.text
    assert "</td><script>alert(3)</script>" in page.text


def test_a_run_that_failed_at_once_still_has_a_report(pen: Pen, tmp_path: Path) -> None:
    pen.begin()
    pen.write("alarm", what="membrane: no answer")
    pen.end("failed", "membrane: no answer at tcp://127.0.0.1:5025 within 2 s")
    page = Page(render(pen.keep(tmp_path / "run"), pen.history, summary_of(pen.history, [])))
    assert page.figures == {}
    for words in (
        "No transition was found",
        "failed, the station was made safe",
        "membrane: no answer at tcp://127.0.0.1:5025 within 2 s",
        "reduced.h5 is missing",
        "Load curve: no measurement gave a pressure",
        "No decision was taken",
    ):
        assert words in page.text


def test_no_transition_gives_the_stop_rules_sentence_and_a_fraction_without_a_curve(pen: Pen, tmp_path: Path) -> None:
    pen.begin()
    for number in range(3):
        pen.measure(number, 8.0 * number, estimate(number, 0.4 * number, 0.0))
    finish = Finish("envelope", "the top of the envelope was reached without B2")
    pen.end("finished", finish.reason, finish)
    page = Page(render(pen.keep(tmp_path / "run"), pen.history, summary_of(pen.history, [])))
    assert "the top of the envelope was reached without B2 (the envelope's end was reached)" in page.text
    assert "P50" not in page.text
    assert "fraction" in page.figures


def test_a_night_of_unknowns_shows_the_dose_and_says_what_could_not_be_drawn(pen: Pen, tmp_path: Path) -> None:
    pen.begin()
    for number in range(3):
        pen.measure(number, 8.0 * number, unknown(number))
    finish = Finish("unknown", "3 loads in a row stayed unknown")
    pen.end("finished", finish.reason, finish)
    folder = pen.keep(tmp_path / "run")
    write_patterns(folder, pen.history)
    page = Page(render(folder, pen.history, summary_of(pen.history, [])))
    assert list(page.figures) == ["waterfall", "course"]
    assert "Dose of the run" in page.text
    assert "3 loads in a row stayed unknown (the model could not read the sample)" in page.text
    assert "B2 fraction: no measurement gave both a pressure and a fraction" in page.text


def test_a_torn_reduced_file_is_said_and_the_rest_is_drawn(night: Pen, tmp_path: Path) -> None:
    folder = night.keep(tmp_path / "run")
    folder.reduced.write_bytes(b"\x89HDF\r\n\x1a\n torn")
    page = Page(render(folder, night.history, summary_of(night.history, [transition()])))
    assert list(page.figures) == ["fraction", "volumes", "load", "course"]
    assert "reduced.h5 can't be read" in page.text


def test_a_journal_that_is_gone_leaves_alarms_from_the_history(pen: Pen, tmp_path: Path) -> None:
    pen.begin()
    pen.measure(0, 0.5, None, missing=(0,))
    page = Page(render(RunFolder(tmp_path), pen.history, summary_of(pen.history, [])))
    assert "frame 0 was lost between the detector and the writer" in page.text
    assert "can't be told" in page.text


def test_a_measurement_that_was_cut_off_is_listed_as_not_done(pen: Pen, tmp_path: Path) -> None:
    pen.begin()
    pen.measure(0, 0.5, estimate(0, 0.02, 0.0))
    pen.measure(1, 8.0, estimate(1, 0.4, 0.0))
    del pen.entries[-2:]
    page = Page(render(pen.keep(tmp_path / "run"), pen.history, summary_of(pen.history, [])))
    assert "not done" in page.text
    assert "no end in the journal" in page.text


def test_writing_a_report_does_not_touch_the_state_of_pyplot(night_folder: RunFolder) -> None:
    code = (
        "import sys; from pathlib import Path; from rocksalt.storage import journal, run_folder, history;"
        "from rocksalt.analysis import report, summary;"
        "assert 'matplotlib' not in sys.modules and 'jinja2' not in sys.modules;"
        "folder = run_folder.existing(Path(sys.argv[1]));"
        "told = history.fold(journal.read(folder.journal).entries);"
        "report.write_report(folder, told, summary.summary_of(told, []));"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(night_folder.path)], check=True, timeout=100)
    assert night_folder.report.is_file()
