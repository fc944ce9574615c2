"""Reads station and campaign files. Whatever is wrong comes as one ConfigError with every problem's file and line."""

from __future__ import annotations

import difflib
import hashlib
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from pydantic import ValidationError

from rocksalt.config.campaign import Campaign
from rocksalt.config.errors import ConfigError, Key, Problem
from rocksalt.config.lines import DEEPEST, key_lines
from rocksalt.config.source import Read, Source
from rocksalt.config.station import Station
from rocksalt.config.tables import Table
from rocksalt.config.words import problems_of

LARGEST_FILE: Final = 1_000_000
_BOM: Final = b"\xef\xbb\xbf"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_T = TypeVar("_T", bound=Table)


def read_station(path: str | Path) -> Read[Station]:
    """The station that the file describes, its PONI file seen to be there. Raises ConfigError with every problem."""
    return _read(Path(path), Station, _poni_problem)


def read_campaign(path: str | Path) -> Read[Campaign]:
    """The campaign that the file describes. Raises ConfigError with every problem."""
    return _read(Path(path), Campaign, lambda _data, _source: None)


def read_table(path: str | Path) -> tuple[dict[str, Any], Source]:
    """What any TOML file of ours says, and where it says it. Raises ConfigError."""
    return _parse(Path(path))


def poni_path(station: Read[Station]) -> Path:
    """Where the station's PONI file lies."""
    return station.source.path.parent / station.value.geometry.poni


def _read(
    path: Path,
    model: type[_T],
    beside: Callable[[Mapping[str, Any], Source], Problem | None],
) -> Read[_T]:
    data, source = _parse(path)
    error: ValidationError | None = None
    value: _T | None = None
    try:
        value = model.model_validate(data)
    except ValidationError as found:
        error = found
    problems = problems_of(error, model, data, source) if error else []
    if missing := beside(data, source):
        problems.append(missing)
    if problems or value is None:
        raise ConfigError(problems) from None
    return Read(value, source)


def _parse(path: Path) -> tuple[dict[str, Any], Source]:
    raw = _bytes_of(path)
    text = _text_of(path, raw)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _refuse_syntax(path, text, str(error))
    except RecursionError:
        _refuse(path, _line_of(r"[\[{]{20}", text), f"tables and lists are nested deeper than {DEEPEST}")
    except ValueError:  # Python reads no integer of more than 4300 digits
        _refuse(path, _line_of(r"[0-9_]{4300}", text), "this number has too many digits to be read")
    if not data:
        _refuse(path, 1, "there is no key in this file", "begin with one of the files that come with the program")
    source = Source(path, text, key_lines(text), hashlib.sha256(raw).hexdigest())
    if deep := _too_deep(data):
        raise ConfigError([source.problem((deep,), f"tables and lists in it are nested deeper than {DEEPEST}")])
    return data, source


def _line_of(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _bytes_of(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            _refuse(path, None, "this is a folder, not a file", _candidates(path))
        if not stat.S_ISREG(mode):
            _refuse(path, None, "this is not a regular file")
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, _toml_files(path.parent), 1, 0.5)
        _refuse(path, None, "there is no such file", f"did you mean {path.parent / near[0]}?" if near else "")
    except PermissionError:
        _refuse(path, None, "this file may not be read by this user", "change its permissions, or who runs the program")
    except OSError as error:
        _refuse(path, None, f"this file can't be read: {error.strerror or 'input/output error'}")
    except ValueError:
        _refuse(path, None, "this is not a file's name: it has a NUL character")
    if len(raw) > LARGEST_FILE:
        rule = f"a configuration file has at most {LARGEST_FILE // 1_000_000} MB, and this one is larger"
        _refuse(path, None, rule, "was a data file meant for another argument?")
    return raw


def _text_of(path: Path, raw: bytes) -> str:
    """The text; a UTF-8 byte order mark, which some editors write, is passed over."""
    if raw.startswith(_UTF16):
        _refuse(path, 1, "this is UTF-16, and TOML is UTF-8", "save it again as UTF-8")
    body = raw.removeprefix(_BOM)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        _refuse(path, line, f"byte 0x{body[error.start]:02x} is not UTF-8", "save the file again as UTF-8")
    if not text.strip():
        _refuse(path, 1, "this file is empty", "begin with one of the files that come with the program")
    return text


def _refuse_syntax(path: Path, text: str, message: str) -> NoReturn:
    place = _PLACE.search(message)
    words = _PLACE.sub("", message)
    last = len(text.rstrip().splitlines())
    line = int(place[1]) if place and place[1] else last
    where = f" (column {place[2]})" if place and place[2] else " (at the end of the file)"
    _refuse(path, min(line, last), f"not TOML: {words[:1].lower()}{words[1:]}{where}", _syntax_hint(words))


def _syntax_hint(words: str) -> str:
    if words.startswith("Expected newline or end of document"):
        return "a value ends there; a number carries no unit, the key's name does"
    if words.startswith("Unclosed"):
        return "items have commas between them; a number carries no unit, the key's name does"
    if words.startswith("Invalid value"):
        return "text stands in quotes, a number has digits before and after its point"
    if "overwrite" in words or "twice" in words:
        return "this key or table is there already, further up"
    return ""


def _refuse(path: Path, line: int | None, rule: str, hint: str = "") -> NoReturn:
    raise ConfigError([Problem(str(path), line, "", "", rule, hint)]) from None


def _too_deep(data: dict[str, Any]) -> str:
    """The first table that holds something nested too deeply; "" if none does. Not recursive: that is the point."""
    level: list[tuple[str, Any]] = list(data.items())
    for _ in range(DEEPEST):
        inner: list[tuple[str, Any]] = []
        for top, value in level:
            children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            inner += ((top, child) for child in children)
        level = inner
    return level[0][0] if level else ""


def _candidates(folder: Path) -> str:
    files = _toml_files(folder)
    return f"the TOML files in it: {', '.join(files[:5])}" if files else ""


def _toml_files(folder: Path) -> list[str]:
    try:
        return sorted(file.name for file in folder.iterdir() if file.suffix == ".toml")
    except OSError:
        return []


def _poni_problem(data: Mapping[str, Any], source: Source) -> Problem | None:
    key: Key = ("geometry", "poni")
    geometry = data.get("geometry")
    name = geometry.get("poni") if isinstance(geometry, dict) else None
    if not isinstance(name, str) or not name:
        return None
    path = source.path.parent / name
    try:
        text = _text_of(path, _bytes_of(path))
    except ConfigError as error:
        (problem,) = error.problems
        return source.problem(key, f"{path}: {problem.rule}", problem.hint, f'"{name}"')
    if not re.search(r"(?m)^\s*Distance\s*:", text):
        rule = f"{path}: this is not a PONI file, it has no line that begins with Distance:"
        return source.problem(key, rule, "pyFAI's calibration writes one", f'"{name}"')
    return None
