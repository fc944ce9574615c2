"""Bytes to lines: bounded reading, byte-order marks, every line ending, and a refusal of what is no text.

Line numbers that these functions give are the ones an editor shows.
"""

from __future__ import annotations

import codecs
import errno
import re
import stat
from pathlib import Path
from typing import Final

from rocksalt.formats.errors import FormatError

MAX_TEXT_BYTES: Final = 64 * 2**20
"""A pattern of a million points is some 30 MB of text; more than 64 MB is no pattern."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ENDINGS: Final = re.compile(r"\r\n|\r|\n")
_CONTROL: Final = re.compile(
    r"[\x00-\x08\x0e-\x19\x1b-\x1f]"
)  # tab, line ends, form feeds and DOS's end of file may stay


def require_file(path: Path, *, max_bytes: int) -> None:
    """Refuse what is missing, no ordinary file, empty or too large, before anything is opened. Raises FormatError."""
    try:
        status = path.stat()
    except OSError as error:
        raise FormatError(path, _why_not(error)) from error
    if stat.S_ISDIR(status.st_mode):
        raise FormatError(path, "this is a folder; name the file inside it")
    if not stat.S_ISREG(status.st_mode):
        raise FormatError(path, "this is a device or a pipe; copy its content into an ordinary file first")
    if status.st_size == 0:
        raise FormatError(path, "the file is empty (0 bytes)")
    if status.st_size > max_bytes:
        raise FormatError(
            path,
            f"the file has {status.st_size / 2**20:.0f} MB; this kind of file is read up to {max_bytes / 2**20:.0f} MB",
        )


def read_bytes(path: Path, *, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """The bytes of an ordinary file of at most max_bytes. Raises FormatError."""
    require_file(path, max_bytes=max_bytes)
    try:
        with path.open("rb") as handle:
            content = handle.read(max_bytes + 1)
    except OSError as error:
        raise FormatError(path, _why_not(error)) from error
    if len(content) > max_bytes:
        raise FormatError(path, f"the file grew beyond {max_bytes / 2**20:.0f} MB while it was read")
    return content


def decode(content: bytes, path: Path) -> str:
    """Text of bytes: by its byte-order mark, else UTF-8, else Latin-1 (as old instruments wrote their units).

    Raises FormatError for what is no text: control characters, or a mark that the rest does not keep.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                text = content[len(mark) :].decode(encoding)
            except UnicodeDecodeError as error:
                raise FormatError(
                    path, f"the file opens as {encoding} but byte {error.start} is not; save it as UTF-8"
                ) from error
            break
    else:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
    text = text.rstrip("\x00\x1a")  # padding of old DOS programs
    if (found := _CONTROL.search(text)) is not None:
        line = len(_ENDINGS.findall(text, 0, found.start())) + 1
        raise FormatError(
            path,
            f"byte value {ord(found[0])} is no text: this is a binary file; export columns of angle and intensity",
            line=line,
        )
    return text


def lines_of(text: str) -> list[str]:
    """Lines ended by CRLF, CR or LF, without their ends (str.splitlines would also break at rarer characters)."""
    return _ENDINGS.split(text)


def _why_not(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "no such file"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "no permission to read this file; ask its owner, or copy it"
    return f"can't be read: {error.strerror or error}"
