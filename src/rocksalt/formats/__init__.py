"""Patterns and frames on disk: what other people's files say, read strictly and refused in whole sentences.

`read_pattern` for one-dimensional files, `read_image` for detector frames, `poni_from_header` for geometry in headers.
"""

from rocksalt.formats.errors import FormatError
from rocksalt.formats.image_file import ImageFile
from rocksalt.formats.images import read_image
from rocksalt.formats.pattern_file import PatternFile
from rocksalt.formats.patterns import read_pattern, write_pattern
from rocksalt.formats.poni import Poni, poni_from_header

__all__ = [
    "FormatError",
    "ImageFile",
    "PatternFile",
    "Poni",
    "poni_from_header",
    "read_image",
    "read_pattern",
    "write_pattern",
]
