"""Geometry as text: the PONI that a pattern's header tells, and the wavelength and orientation a PONI states.

Integration reads PONI files with pyFAI; this module only writes them, and asks nothing of pyFAI.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from rocksalt.formats.header import wavelength_of

_NUM: Final = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_PIXEL: Final = re.compile(rf"Pixel\s?Size\s*[=:]\s*{_NUM}(µm|um)?\s*,\s*{_NUM}\s*(m|µm|um)?", re.IGNORECASE)
_PONI: Final = re.compile(rf"PONI\s*[=:]\s*{_NUM}\s*m?\s*,\s*{_NUM}\s*m", re.IGNORECASE)
_DISTANCE: Final = re.compile(rf"(?:Distance Sample to Detector:|SampleDetDist\s*=)\s*{_NUM}\s*m\b", re.IGNORECASE)
_ROTATIONS: Final = re.compile(rf"Rotations:\s*{_NUM}\s+{_NUM}\s+{_NUM}\s*rad", re.IGNORECASE)
_ROT: Final = re.compile(rf"rot1\s*=\s*{_NUM}\s+rot2\s*=\s*{_NUM}\s+rot3\s*=\s*{_NUM}\s*rad", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Poni:
    """Where the detector stands, in pyFAI's terms: 1 is along rows' number (up), 2 along columns' number.

    distance_m, poni1_m, poni2_m       sample to the point of normal incidence, and that point, in metres
    rot1_rad, rot2_rad, rot3_rad       tilts
    pixel1_m, pixel2_m                 pixel pitch along 1 and 2
    wavelength_angstrom                None where it is not known
    orientation                        pyFAI's 1 to 4 (EXIF): 3 is pyFAI's own, row 0 below; 2 has row 0 on top,
                                       as Dioptas, which turns every image over; None: not said
    """

    distance_m: float
    poni1_m: float
    poni2_m: float
    rot1_rad: float
    rot2_rad: float
    rot3_rad: float
    pixel1_m: float
    pixel2_m: float
    wavelength_angstrom: float | None = None
    orientation: int | None = None

    def text(self) -> str:
        """A PONI file's content: version 2.1 where the orientation is known, else 1, which has no word for it."""
        if self.orientation is None:
            lines = [f"PixelSize1: {self.pixel1_m!r}", f"PixelSize2: {self.pixel2_m!r}"]
        else:
            config = {
                "pixel1": self.pixel1_m,
                "pixel2": self.pixel2_m,
                "max_shape": None,
                "orientation": self.orientation,
            }
            lines = ["poni_version: 2.1", "Detector: Detector", f"Detector_config: {json.dumps(config)}"]
        lines += [
            f"Distance: {self.distance_m!r}",
            f"Poni1: {self.poni1_m!r}",
            f"Poni2: {self.poni2_m!r}",
            f"Rot1: {self.rot1_rad!r}",
            f"Rot2: {self.rot2_rad!r}",
            f"Rot3: {self.rot3_rad!r}",
        ]
        if self.wavelength_angstrom is not None:
            lines.append(f"Wavelength: {self.wavelength_angstrom * 1e-10:.12g}")
        return "\n".join(lines) + "\n"


def poni_from_header(text: str) -> Poni:
    """Geometry that pyFAI or Dioptas wrote above an integrated pattern (the "pyFAI calibration" lines of its .xy).

    The header rounds PONI to 0.01 mm and rotations to 1e-6 rad. It does not say which way up the image was.
    Raises ValueError that names what is missing.
    """
    found: dict[str, re.Match[str]] = {}
    for name, pattern in (("PixelSize", _PIXEL), ("PONI", _PONI), ("distance", _DISTANCE)):
        if (match := pattern.search(text)) is None:
            raise ValueError(
                f"the header states no {name}; a geometry needs PixelSize, PONI and the detector's distance"
            )
        found[name] = match
    rotations = _ROTATIONS.search(text) or _ROT.search(text)
    if rotations is None:
        raise ValueError("the header states no rotations; a line 'Rotations: rot1 rot2 rot3 rad' is needed")
    pixel = found["PixelSize"]
    unit = 1e-6 if "um" in (pixel[2], pixel[4]) or "µm" in (pixel[2], pixel[4]) else 1.0
    return Poni(
        distance_m=float(found["distance"][1]),
        poni1_m=float(found["PONI"][1]),
        poni2_m=float(found["PONI"][2]),
        rot1_rad=float(rotations[1]),
        rot2_rad=float(rotations[2]),
        rot3_rad=float(rotations[3]),
        pixel1_m=float(pixel[1]) * unit,
        pixel2_m=float(pixel[3]) * unit,
        wavelength_angstrom=wavelength_of(text.splitlines()),
    )
