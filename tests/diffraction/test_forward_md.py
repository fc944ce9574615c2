"""Frames of molecular dynamics give the lines of the table's salt, at rest and when their atoms shake by a known sigma.

The files are written here by hand, line by line, as LAMMPS and VASP print them; ASE reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from rocksalt.crystals.structure import lines
from rocksalt.crystals.tables import phase
from rocksalt.diffraction.forward.errors import ForwardError
from rocksalt.diffraction.forward.instrument import Emission, Instrument
from rocksalt.diffraction.forward.md import FramesCrystal, crystal_from_frames
from rocksalt.diffraction.forward.md_files import frames_from_file
from rocksalt.diffraction.forward.pattern import Powder, pattern
from rocksalt.time import Chance
from rocksalt.values import FloatArray

pytest.importorskip("ase")

EDGE, WAVELENGTH, LIMIT = 5.64, 0.4133, 25.0
D_MIN = WAVELENGTH / (2.0 * np.sin(np.radians(LIMIT) / 2.0))
AT_REST = replace(phase("NaCl", "B1"), b_cation_a2=0.0, b_anion_a2=0.0)
TYPES = {1: "Na", 2: "Cl"}


@dataclass(frozen=True)
class Atoms:
    """A frame as `crystal_from_frames` asks for it, without ASE."""

    symbols: list[str]
    positions: FloatArray
    cell: FloatArray
    pbc: tuple[bool, bool, bool] = (True, True, True)

    def get_chemical_symbols(self) -> list[str]:
        return self.symbols


def salt(cells: int = 3, sigma: float = 0.0, frame: int = 0, edge: float = EDGE) -> Atoms:
    """A supercell of rock salt, sodium first, each atom moved by a normal `sigma` along each axis."""
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    faces = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    sodium = (corners[:, None] + faces).reshape(-1, 3)
    positions = edge * np.concatenate([sodium, sodium + 0.5])
    moved = Chance(1).stream("atoms", frame).normal(0.0, 1.0, positions.shape)
    return Atoms(["Na"] * len(sodium) + ["Cl"] * len(sodium), positions + sigma * moved, np.eye(3) * edge * cells)


def as_dump(frames: list[Atoms], columns: str = "id type xs ys zs") -> str:
    text = []
    for step, frame in enumerate(frames):
        edge = frame.cell[0, 0]
        text += ["ITEM: TIMESTEP", str(100 * step), "ITEM: NUMBER OF ATOMS", str(len(frame.symbols))]
        text += ["ITEM: BOX BOUNDS pp pp pp", *[f"0.0 {edge:.10f}"] * 3, f"ITEM: ATOMS {columns}"]
        for number, (symbol, (x, y, z)) in enumerate(zip(frame.symbols, frame.positions / edge, strict=True)):
            kind = symbol if "element" in columns else 1 if symbol == "Na" else 2
            text.append(f"{number + 1} {kind} {x:.10f} {y:.10f} {z:.10f}")
    return "\n".join(text) + "\n"


def as_xdatcar(frames: list[Atoms]) -> str:
    text = ["NaCl", "  1.0"]
    text += [f" {row[0]:.10f} {row[1]:.10f} {row[2]:.10f}" for row in frames[0].cell]
    half = len(frames[0].symbols) // 2
    text += [" Na Cl", f" {half} {half}"]
    for number, frame in enumerate(frames):
        text.append(f"Direct configuration= {number + 1:5d}")
        text += [f" {x:.10f} {y:.10f} {z:.10f}" for x, y, z in frame.positions / frame.cell[0, 0]]
    return "\n".join(text) + "\n"


def as_outcar(frames: list[Atoms]) -> str:
    """What ASE looks for in an OUTCAR, in VASP's order and words."""
    half = len(frames[0].symbols) // 2
    text = [" vasp.6.4.2 20Jul23 complex"]
    text += 2 * [" POTCAR:    PAW_PBE Na 08Apr2002", " POTCAR:    PAW_PBE Cl 06Sep2000"]
    text += [
        "   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1   number of bands    NBANDS=      8"
    ]
    text += [f"   ions per type =             {half}   {half}", "   ISPIN  =      1    spin polarized calculation?"]
    text += [" k-points in reciprocal lattice and weights: Gamma", "   0.00000000  0.00000000  0.00000000       1.000"]
    rule = " " + "-" * 83
    for number, frame in enumerate(frames):
        text += [f"--------------------------------------- Iteration {number + 1:6d}(   1)  -------------------"]
        text += ["      direct lattice vectors                 reciprocal lattice vectors"]
        text += [" ".join(f"{value:.9f}" for value in (*row, *np.zeros(3))) for row in frame.cell]
        text += [" POSITION                                       TOTAL-FORCE (eV/Angst)", rule]
        text += [f" {x:.9f} {y:.9f} {z:.9f}  0.000000  0.000000  0.000000" for x, y, z in frame.positions]
        text += [rule, "", "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)", "  " + "-" * 51]
        text += ["  free  energy   TOTEN  =       -54.12345678 eV", ""]
        text += ["  energy  without entropy=      -54.12345678  energy(sigma->0) =      -54.12345678"]
    return "\n".join(text) + "\n"


def as_extxyz(frames: list[Atoms]) -> str:
    text = []
    for frame in frames:
        lattice = " ".join(f"{value:.10f}" for value in frame.cell.ravel())
        text += [str(len(frame.symbols)), f'Lattice="{lattice}" Properties=species:S:1:pos:R:3']
        text += [f"{s} {x:.10f} {y:.10f} {z:.10f}" for s, (x, y, z) in zip(frame.symbols, frame.positions, strict=True)]
    return "\n".join(text) + "\n"


def crystal(path: Path, text: str, cells: int = 2, types: dict[int, str] | None = None) -> FramesCrystal:
    path.write_text(text)
    return crystal_from_frames(frames_from_file(path, types=types), d_min_angstrom=D_MIN, repeats=(cells, cells, cells))


@pytest.mark.parametrize("name", ["dump.lammpstrj", "XDATCAR", "OUTCAR", "frames.xyz"])
def test_frames_at_rest_have_the_lines_and_intensities_of_the_table(name: str, tmp_path: Path) -> None:
    write = {"dump.lammpstrj": as_dump, "XDATCAR": as_xdatcar, "OUTCAR": as_outcar, "frames.xyz": as_extxyz}[name]
    made = crystal(tmp_path / name, write([salt(2), salt(2)]), types=TYPES if "dump" in name else None)
    assert made.frames == 2
    found = made.families(WAVELENGTH, LIMIT)
    seen = found.strength > 1e-9 * found.strength.max()
    listed = lines(AT_REST, EDGE, WAVELENGTH, LIMIT)
    np.testing.assert_allclose(found.d_angstrom[seen], listed.d_angstrom, rtol=1e-8)
    np.testing.assert_array_equal(found.multiplicity[seen], listed.multiplicity)
    np.testing.assert_allclose(found.strength[seen], listed.intensity_per_volume, rtol=1e-5)


def test_atoms_that_shake_weaken_lines_as_debye_and_waller_say() -> None:
    sigma = 0.18
    frames = [salt(3, sigma, number) for number in range(12)]
    made = crystal_from_frames(frames, d_min_angstrom=D_MIN, repeats=(3, 3, 3))
    found = made.families(WAVELENGTH, LIMIT)
    listed = lines(AT_REST, EDGE, WAVELENGTH, LIMIT)
    seen = np.isin(np.round(found.d_angstrom, 6), np.round(listed.d_angstrom, 6))
    b = 8.0 * np.pi**2 * sigma**2
    expected = np.exp(-2.0 * b / (4.0 * listed.d_angstrom**2))
    even = np.array([row.sum() % 2 == 0 for row in listed.hkl])
    ratio = found.strength[seen] / listed.intensity_per_volume
    # Over 12 frames of 216 atoms the mean still scatters, the more the weaker: the even lines are strong.
    np.testing.assert_allclose(ratio[even], expected[even], rtol=0.03)
    assert expected[even].min() < 0.5


def test_a_long_box_is_a_box_and_one_whose_vectors_lie_in_a_plane_is_none() -> None:
    one = salt(1)
    many = [one.positions + np.array([0.0, 0.0, EDGE * n]) for n in range(40)]
    long = Atoms(one.symbols * 40, np.concatenate(many), np.diag([EDGE, EDGE, 40 * EDGE]))
    made = crystal_from_frames([long], d_min_angstrom=1.0, repeats=(1, 1, 40))
    short = crystal_from_frames([one], d_min_angstrom=1.0)
    np.testing.assert_allclose(
        made.families(WAVELENGTH, 20.0).strength, short.families(WAVELENGTH, 20.0).strength, atol=1e-9
    )
    flat = replace(one, cell=np.array([[EDGE, 0.0, 0.0], [0.0, EDGE, 0.0], [EDGE, EDGE, 0.0]]))
    with pytest.raises(ForwardError, match="no cell"):
        crystal_from_frames([flat], d_min_angstrom=1.0)


def test_a_drifting_crystal_loses_nothing() -> None:
    still = crystal_from_frames([salt(2)], d_min_angstrom=1.0, repeats=(2, 2, 2))
    frames = [replace(salt(2), positions=salt(2).positions + shift) for shift in (0.0, 1.1, 2.3)]
    drifted = crystal_from_frames(frames, d_min_angstrom=1.0, repeats=(2, 2, 2))
    np.testing.assert_allclose(
        drifted.families(WAVELENGTH, 20.0).strength, still.families(WAVELENGTH, 20.0).strength, atol=1e-9
    )


def test_structure_factors_are_those_of_gemmi_for_a_skew_cell_of_any_atoms() -> None:
    import gemmi

    rng = Chance(7).stream("skew")
    cell = gemmi.UnitCell(7.1, 8.3, 9.2, 78.0, 96.0, 104.0)
    small = gemmi.SmallStructure()
    small.cell, small.spacegroup_hm = cell, "P 1"
    symbols, fractions = ["Na", "K", "Cl", "Cl", "Br"], rng.uniform(0.0, 1.0, (5, 3))
    for symbol, place in zip(symbols, fractions, strict=True):
        site = gemmi.SmallStructure.Site()
        site.element, site.fract, site.occ = gemmi.Element(symbol), gemmi.Fractional(*place), 1.0
        small.add_site(site)
    small.setup_cell_images()
    calculator = gemmi.StructureFactorCalculatorX(cell)
    for symbol in set(symbols):
        number = gemmi.Element(symbol).atomic_number
        real, imaginary = gemmi.cromer_liberman(number, gemmi.hc / WAVELENGTH)
        calculator.addends.set(gemmi.Element(symbol), real)
        assert imaginary < 1.5  # left out of gemmi's sum, and of the comparison below
    vectors = np.array(cell.orth.mat.tolist()).T
    frame = Atoms(symbols, fractions @ vectors, vectors)
    made = crystal_from_frames([frame], d_min_angstrom=1.2, charges={})
    found = made.families(WAVELENGTH, 18.0)
    expected = [abs(calculator.calculate_sf_from_small_structure(small, row)) ** 2 for row in found.hkl.tolist()]
    # Lines of one pair of reflections: where two spacings happen to agree, a line holds more.
    strong = (np.array(expected) > 0.05 * max(expected)) & (found.multiplicity == 2)
    assert strong.sum() > 20
    np.testing.assert_allclose(
        (found.strength * cell.volume**2 / found.multiplicity)[strong], np.array(expected)[strong], rtol=0.03
    )
    np.testing.assert_allclose(found.d_angstrom, [cell.calculate_d(row) for row in found.hkl.tolist()], rtol=1e-4)


def test_a_pattern_of_frames_is_the_pattern_of_the_salt_with_texture_too() -> None:
    x, instrument = np.linspace(5.0, 20.0, 1500), Instrument(emissions=(Emission(WAVELENGTH),), geometry="ring")
    made = crystal_from_frames([salt(2)], d_min_angstrom=D_MIN, repeats=(2, 2, 2))
    for r in (1.0, 0.6):
        table = pattern(x, [Powder(crystal=AT_REST, a_angstrom=EDGE, march_r=r)], instrument)
        frames = pattern(x, [Powder(crystal=made, march_r=r)], instrument)
        np.testing.assert_allclose(frames, table, atol=2e-5 * table.max())


def test_without_repeats_the_diffuse_scattering_between_the_lines_shows() -> None:
    frames = [salt(2, 0.15, number) for number in range(4)]
    whole = crystal_from_frames(frames, d_min_angstrom=1.2).families(WAVELENGTH, 19.0)
    bragg = crystal_from_frames(frames, d_min_angstrom=1.2, repeats=(2, 2, 2)).families(WAVELENGTH, 19.0)
    np.testing.assert_allclose(np.interp(2.82, whole.d_angstrom[::-1], whole.strength[::-1]),
                               np.interp(2.82, bragg.d_angstrom[::-1], bragg.strength[::-1]), rtol=1e-9)  # fmt: skip
    assert len(whole.hkl) > 3 * len(bragg.hkl)
    assert 1.01 < whole.strength.sum() / bragg.strength.sum() < 3.0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: crystal_from_frames([], d_min_angstrom=1.0), "no frame"),
        (lambda: crystal_from_frames([replace(salt(1), cell=np.zeros((3, 3)))], d_min_angstrom=1.0), "no cell"),
        (lambda: crystal_from_frames([replace(salt(1), cell=-salt(1).cell)], d_min_angstrom=1.0), "left-handed"),
        (lambda: crystal_from_frames([replace(salt(1), pbc=(True, True, False))], d_min_angstrom=1.0), "periodic"),
        (lambda: crystal_from_frames([salt(1), salt(2)], d_min_angstrom=1.0), "Cl32 Na32 and frame 0 Cl4 Na4"),
        (lambda: crystal_from_frames([replace(salt(1), symbols=[])], d_min_angstrom=1.0), "1 to 500000"),
        (lambda: crystal_from_frames([replace(salt(1), symbols=["Xx"] * 8)], d_min_angstrom=1.0), "no element"),
        (lambda: crystal_from_frames([replace(salt(1), positions=np.full((8, 3), np.nan))], d_min_angstrom=1.0), "NaN"),
        (lambda: crystal_from_frames([salt(1)], d_min_angstrom=0.0), "0.25 to 50"),
        (lambda: crystal_from_frames([salt(1)], d_min_angstrom=1.0, repeats=(0, 1, 1)), "three edges"),
        (lambda: crystal_from_frames([replace(salt(1), cell=np.eye(3) * 400.0)], d_min_angstrom=0.5), "repeats"),
        (lambda: crystal_from_frames([salt(5, 1.5)], d_min_angstrom=1.0, repeats=(3, 3, 3)), "melted"),
        (lambda: crystal_from_frames([salt(1)], d_min_angstrom=1.0).families(WAVELENGTH, 60.0), "smaller d_min"),
        (lambda: crystal_from_frames([salt(1)], d_min_angstrom=1.0).families(0.0, 20.0), "0.05 to 5"),
    ],
)  # fmt: skip
def test_frames_that_make_no_pattern_are_refused_in_a_sentence(make: object, says: str) -> None:
    with pytest.raises(ForwardError, match=says):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "text", "types", "says"),
    [
        ("a.dump", as_dump([salt(1)]), None, "types="),
        ("b.dump", as_dump([salt(1)]), {1: "Na"}, "atoms of type 2"),
        ("c.dump", as_dump([salt(1)])[:-40], TYPES, "can't read"),
        ("XDATCAR", as_xdatcar([salt(1)])[:-30], None, "can't read"),
        ("d.py", "raise SystemExit\n", None, "frames are taken from"),
        ("e", "", None, "can't tell"),
    ],
)
def test_files_that_hold_no_frames_are_refused_in_a_sentence(
    name: str, text: str, types: dict[int, str] | None, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ForwardError, match=says):
        crystal(tmp_path / name, text, 1, types)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ForwardError, match="can't tell"):
        frames_from_file(tmp_path / "nothing")


def test_a_dump_that_names_its_elements_needs_no_types(tmp_path: Path) -> None:
    made = crystal(tmp_path / "named.dump", as_dump([salt(1)], "id element xs ys zs"), 1)
    assert made.species == (("Cl", -1), ("Na", 1))


def test_the_time_to_settle_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "XDATCAR"
    path.write_text(as_xdatcar([salt(1)] * 7))
    assert len(list(frames_from_file(path, skip=3, step=2))) == 2
