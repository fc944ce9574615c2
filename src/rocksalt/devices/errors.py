"""What can go wrong between Rocksalt and an instrument, each with a name: policy on errors is policy on classes.

Every message says which device, what was asked, which rule stood in the way, and what would help.
"""

from __future__ import annotations


class DeviceError(Exception):
    """Anything that went wrong with one device; `device` is its name in the station file."""

    def __init__(self, device: str, message: str) -> None:
        super().__init__(f"{device}: {message}")
        self.device = device


class LinkLost(DeviceError):
    """No answer by the I/O deadline, a connection that broke, or one that could not be made."""


class GarbledReply(DeviceError):
    """A reply that the protocol's grammar forbids, or that answers another question."""


class Refused(DeviceError):
    """The instrument, or its driver on its behalf, said no."""


class OutOfLimits(DeviceError):
    """A target outside the limits: refused before anything reached the wire."""


class RampTooFast(DeviceError):
    """The instrument reports a faster ramp than the station file allows."""


class NotReached(DeviceError):
    """The target was not reached in the experiment time that the ramp and a margin allow."""


class WrongInstrument(DeviceError):
    """Something answers, and it is not the instrument that the station file names."""


class Preempted(DeviceError):
    """This exchange was broken off because a stop needed the line."""


class Stopped(DeviceError):
    """A move was ended by a stop before it arrived."""
