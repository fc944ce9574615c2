"""A desk for every test: folders of its own, so that tests run beside one another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    # Unix sockets have short names, so that the temporary folder is not pytest's deep one.
    with tempfile.TemporaryDirectory(prefix="rs-") as tmp:
        made = Desk(tmp_path, f"{os.getpid()}-{tmp_path}", Path(tmp))
        with made.stack:
            yield made
