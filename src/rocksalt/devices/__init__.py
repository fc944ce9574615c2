"""Devices: what an instrument is to the rest of the program, and all that a driver needs to be one."""

from rocksalt.config.links import Link
from rocksalt.devices.detector import Armed, Detector
from rocksalt.devices.device import ByteDevice, Device, HttpDevice, Readable
from rocksalt.devices.enclosure import Enclosure, EnclosureStatus
from rocksalt.devices.errors import (
    DeviceError,
    GarbledReply,
    LinkLost,
    NotReached,
    OutOfLimits,
    Preempted,
    RampTooFast,
    Refused,
    Stopped,
    WrongInstrument,
)
from rocksalt.devices.links import Beat, ByteLink, FileFound, Folder, HttpLink, Line, Wires
from rocksalt.devices.settable import Settable
from rocksalt.devices.settings import ANYWHERE, Limits, Settings
from rocksalt.devices.spectrometer import Spectrometer

__all__ = [
    "ANYWHERE",
    "Armed",
    "Beat",
    "ByteDevice",
    "ByteLink",
    "Detector",
    "Device",
    "DeviceError",
    "Enclosure",
    "EnclosureStatus",
    "FileFound",
    "Folder",
    "GarbledReply",
    "HttpDevice",
    "HttpLink",
    "Limits",
    "Line",
    "Link",
    "LinkLost",
    "NotReached",
    "OutOfLimits",
    "Preempted",
    "RampTooFast",
    "Readable",
    "Refused",
    "Settable",
    "Settings",
    "Spectrometer",
    "Stopped",
    "Wires",
    "WrongInstrument",
]
