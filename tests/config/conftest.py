"""A folder with a station, its PONI file and a campaign, all correct, for tests to spoil one thing at a time."""

from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parent / "files"  # of their own: messages name lines, and the shipped files change


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder: my-dac.toml, simulated-dac.poni and kbr.toml are copies of files as a user has them."""
    monkeypatch.chdir(tmp_path)
    Path("my-dac.toml").write_text((FILES / "station.toml").read_text(encoding="utf-8"))
    Path("simulated-dac.poni").write_text("poni_version: 2.1\nDistance: 0.25\n")
    Path("kbr.toml").write_text((FILES / "campaign.toml").read_text(encoding="utf-8"))
    return tmp_path


@pytest.fixture
def spoil(folder):
    """spoil(file, old, new, ...): replace text in one of the files; every old text has to be there."""

    def replace(name, *pairs):
        path = Path(name)
        text = path.read_text(encoding="utf-8")
        for old, new in zip(pairs[::2], pairs[1::2], strict=True):
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text, encoding="utf-8")
        return path

    return replace
