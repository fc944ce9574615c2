"""Frames of molecular dynamics from files, by ASE: LAMMPS dumps, VASP's XDATCAR and OUTCAR, extended XYZ.

ASE comes with `pip install rocksalt[md]`. It reads many formats, some of which run code: only those named here pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rocksalt.diffraction.forward.errors import ForwardError

if TYPE_CHECKING:
    import ase

FORMATS: Final = {
    "lammps-dump-text": "LAMMPS dump",
    "vasp": "VASP POSCAR or CONTCAR",
    "vasp-xdatcar": "VASP XDATCAR",
    "vasp-out": "VASP OUTCAR",
    "extxyz": "extended XYZ",
}
_HEADER_LINES: Final = 100


def frames_from_file(
    path: Path, *, types: Mapping[int, str] | None = None, step: int = 1, skip: int = 0
) -> Iterator[ase.Atoms]:
    """Frames of a file one by one, every `step`-th after the first `skip` (the time a simulation needs to settle).

    `types` gives the element of each type of a LAMMPS dump, as {1: "Na", 2: "Cl"}: a dump counts its species, and
    only one written with the column `element` names them. Raises ForwardError: ASE isn't installed, the file isn't
    there or can't be read, its format isn't one of those above, a type that `types` doesn't name.
    """
    if step < 1 or skip < 0:
        raise ForwardError(f"step is {step} and skip {skip}; a step is 1 or more, and what is skipped 0 or more")
    try:
        from ase.io import iread
        from ase.io.formats import UnknownFileTypeError, filetype
    except ImportError as error:
        raise ForwardError("frames of molecular dynamics are read by ASE: pip install 'rocksalt[md]'") from error
    path = Path(path)
    try:
        kind = filetype(str(path))
    except (OSError, UnknownFileTypeError, ValueError) as error:
        raise ForwardError(f"{path}: ASE can't tell what this is ({error})") from error
    if kind not in FORMATS:
        raise ForwardError(f"{path}: this looks like {kind}; frames are taken from {', '.join(FORMATS.values())}")
    named = kind != "lammps-dump-text" or "element" in _columns(path)
    if not named and not types:
        raise ForwardError(
            f"{path}: a LAMMPS dump numbers its species; say which element each type is, as types={{1: 'Na', 2: 'Cl'}}"
        )
    return _read(path, iread(str(path), index=f"{skip}::{step}", format=kind), None if named else types)


def _read(path: Path, frames: Iterator[Any], types: Mapping[int, str] | None) -> Iterator[ase.Atoms]:
    try:
        for atoms in frames:
            if types is not None:
                _name(path, atoms, types)
            yield atoms
    except ForwardError:
        raise
    except Exception as error:  # whatever a reader of foreign text may raise
        raise ForwardError(f"{path}: ASE can't read this ({type(error).__name__}: {error})") from error


def _name(path: Path, atoms: Any, types: Mapping[int, str]) -> None:
    """Put elements in place of a dump's types. ASE takes type 1 for hydrogen."""
    if "type" not in atoms.arrays:
        raise ForwardError(f"{path}: this dump has neither the column type nor element, so nobody knows its atoms")
    unknown = sorted({int(number) for number in atoms.arrays["type"]} - set(types))
    if unknown:
        raise ForwardError(f"{path}: atoms of type {', '.join(map(str, unknown))}; types names {sorted(types)} only")
    atoms.set_chemical_symbols([types[int(number)] for number in atoms.arrays["type"]])


def _columns(path: Path) -> list[str]:
    """Column names of a dump's first frame."""
    from ase.io.formats import open_with_compression

    with open_with_compression(str(path), "rt") as lines:
        for _, text in zip(range(_HEADER_LINES), lines, strict=False):
            if text.startswith("ITEM: ATOMS"):
                return [str(column) for column in text.split()[2:]]
    raise ForwardError(f"{path}: no line ITEM: ATOMS in the first {_HEADER_LINES} lines of this dump")
