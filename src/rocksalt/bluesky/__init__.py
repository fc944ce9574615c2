"""Our devices under a Bluesky RunEngine: `station` plugs in those of a station file, `wrap` one that was made by hand.

Imported only when asked for. Bluesky itself is not imported: its protocols are met by having their methods.
"""

from rocksalt.bluesky.detector import Frames, WrappedDetector
from rocksalt.bluesky.plugging import Plugged, station, wrap
from rocksalt.bluesky.recording import FramesLost
from rocksalt.bluesky.shutter import WrappedEnclosure
from rocksalt.bluesky.status import Status
from rocksalt.bluesky.wrapped import Wrapped, WrappedReadable, WrappedSettable

__all__ = [
    "Frames",
    "FramesLost",
    "Plugged",
    "Status",
    "Wrapped",
    "WrappedDetector",
    "WrappedEnclosure",
    "WrappedReadable",
    "WrappedSettable",
    "station",
    "wrap",
]
