"""The reference pages name every key and every kind that the program knows, and link to nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocksalt.config import campaign, station
from rocksalt.config.tables import Table
from rocksalt.storage import history
from rocksalt.storage.history import History, fold
from rocksalt.storage.journal import Entry, decode

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.parent.name != "decisions")


def keys_of(module: object, *left_out: str) -> Iterator[tuple[str, str]]:
    for table in vars(module).values():
        if isinstance(table, type) and issubclass(table, Table) and table.__name__ not in left_out:
            yield from ((table.__name__, key) for key in table.model_fields)


@pytest.mark.parametrize(
    ("page", "module"), [("campaign-file.md", campaign), ("station-file.md", station)], ids=["campaign", "station"]
)
def test_every_key_of_a_file_has_its_place_on_the_page(page: str, module: object) -> None:
    text = (DOCS / "reference" / page).read_text("utf-8")
    named = set(re.findall(r"`\[?(\w+)", text)) | set(re.findall(r"\b(lower|upper)\b", text))
    missing = [key for _, key in keys_of(module, "Table") if key not in named]
    assert missing == []


def test_the_journal_page_names_every_kind_that_is_written() -> None:
    text = (DOCS / "reference/journal.md").read_text("utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    source = Path(fold.__code__.co_filename).parents[1]
    written: set[str] = set()
    for path in (*source.glob("acquisition/*.py"), *source.glob("daemon/*.py")):
        written |= set(re.findall(r"journal\.append\(\s*\"(\w+)\"", path.read_text("utf-8")))
    assert {"begun", "intend", "acknowledged", "ended"} <= written
    assert written - named == set()
    assert set(history._FOLDS) - named == set()


def test_the_line_on_the_journal_page_is_a_line() -> None:
    example = re.search(r"^\{.*\}$", (DOCS / "reference/journal.md").read_text("utf-8"), re.MULTILINE)
    assert example is not None
    entry = decode(example[0].encode() + b"\n")
    assert (entry.seq, entry.kind, entry.data) == (17, "done", {"measurement": 1})


def test_a_kind_that_nobody_knows_is_passed_over_as_the_page_says() -> None:
    assert fold([Entry(0, "sung", 5.0, "", {})]) == History(now_s=5.0)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_begins_with_its_title(page: Path) -> None:
    lines = page.read_text("utf-8").splitlines()
    assert re.match(r"# \S", lines[0])
    assert sum(line.startswith("# ") for line in lines if not line.startswith("    ")) == 1
