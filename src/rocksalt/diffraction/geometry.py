"""Where the detector stands: a PONI, kept word for word and read by pyFAI alone.

A PONI may leave open which way up the image is; `Geometry.turned_over` is the other way.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rocksalt.formats.text import decode, read_bytes

_MAX_PONI_BYTES: Final = 2**20
_OTHER_WAY_UP: Final = {1: 4, 2: 3, 3: 2, 4: 1}  # pyFAI's (EXIF's) orientations with the order of rows reversed


class GeometryError(ValueError):
    """A geometry that can't be used, or does not belong to the image; `str()` says why and what would be right."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """A PONI as it was written, and the little that others need to know of it.

    poni_text              verbatim
    source                 the file's name, for messages
    wavelength_angstrom    None where the PONI states none
    detector_shape         (rows, columns), None where the PONI leaves it open
    orientation            pyFAI's 1 to 4; overrides what the text says where `turned` is True
    """

    poni_text: str
    source: str
    wavelength_angstrom: float | None
    detector_shape: tuple[int, int] | None
    orientation: int
    turned: bool = False

    @classmethod
    def from_poni(cls, source: Path | str) -> Geometry:
        """Read a PONI file (a path) or a PONI's text (a string of several lines) with pyFAI.

        Raises FormatError for a file that can't be read, GeometryError for a PONI that is incomplete or refused.
        """
        if isinstance(source, str) and "\n" in source:
            name, text = "PONI text", source
        else:
            name = str(source)
            text = decode(read_bytes(Path(source), max_bytes=_MAX_PONI_BYTES), Path(source))
        poni = _read(text, name)
        shape = poni.detector.shape
        wavelength = poni.wavelength
        return cls(
            poni_text=text,
            source=name,
            wavelength_angstrom=None if wavelength is None else float(wavelength) * 1e10,
            detector_shape=None if shape is None else (int(shape[0]), int(shape[1])),
            orientation=int(poni.detector.orientation or 3),
        )

    def turned_over(self) -> Geometry:
        """The same geometry for an image whose rows run the other way, as Dioptas reads every image."""
        return replace(self, orientation=_OTHER_WAY_UP[self.orientation], turned=True)

    def require_shape(self, shape: tuple[int, ...]) -> None:
        """Raises GeometryError where an image of this shape can't come from this detector."""
        if len(shape) != 2:
            raise GeometryError(f"an image of shape {shape}; a frame has rows and columns")
        if self.detector_shape is not None and tuple(shape) != self.detector_shape:
            raise GeometryError(
                f"the image has {shape[0]} x {shape[1]} pixels (rows x columns) and the detector of {self.source} "
                f"{self.detector_shape[0]} x {self.detector_shape[1]}; give the PONI that was calibrated for this one"
            )

    def integrator(self, shape: tuple[int, int]) -> Any:
        """pyFAI's AzimuthalIntegrator for images of this shape. Raises GeometryError as `require_shape` does."""
        from pyFAI.integrator.azimuthal import AzimuthalIntegrator
        from pyFAI.io.ponifile import PoniFile

        self.require_shape(shape)
        poni = _read(self.poni_text, self.source)
        config = poni.as_dict()
        detector = dict(config.get("detector_config") or {})
        detector["orientation"] = self.orientation
        if self.detector_shape is None:
            detector["max_shape"] = list(shape)  # without it a turned image would have no last row to count from
        config["detector_config"] = detector
        if config.get("wavelength") is None:
            config["wavelength"] = 1e-10  # pyFAI asks for one; angles do not depend on it
        result = AzimuthalIntegrator()
        result._init_from_poni(PoniFile(config))
        return result


def _read(text: str, name: str) -> Any:
    """pyFAI's PoniFile of that text; pyFAI reads files only, so the text goes through one."""
    from pyFAI.io.ponifile import PoniFile

    keys = {match[1].lower() for match in re.finditer(r"^\s*(\w+)\s*:", text, re.MULTILINE)}
    missing = [key for key in ("Distance", "Poni1", "Poni2", "Rot1", "Rot2", "Rot3") if key.lower() not in keys]
    if missing:
        raise GeometryError(
            f"{name} states no {', '.join(missing)}; a PONI file as pyFAI-calib2 or Dioptas saves it is needed"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "geometry.poni")
        file.write_text(text, encoding="utf-8")
        try:
            poni = PoniFile(str(file))
        except Exception as error:  # whatever a detector's factory meets first in a foreign configuration
            raise GeometryError(f"{name} is no PONI that pyFAI can read: {error}") from error
    detector = poni.detector
    if detector is None or not detector.pixel1 or not detector.pixel2:
        raise GeometryError(
            f"{name} states no pixel size; add PixelSize1 and PixelSize2 in metres, or the detector's name"
        )
    if poni.dist is None or not poni.dist > 0.0:
        raise GeometryError(
            f"{name} states a distance of {poni.dist} m; the detector stands behind the sample, above 0 m"
        )
    if poni.wavelength is not None and not 1e-12 < poni.wavelength < 1e-9:
        raise GeometryError(
            f"{name} states a wavelength of {poni.wavelength:g} m; X-rays lie between 1e-12 and 1e-9 m (0.01 to 10 Å)"
        )
    return poni
