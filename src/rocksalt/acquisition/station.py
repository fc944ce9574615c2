"""The station: the devices that are plugged in, by the names that the station file gives them.

A set-point is a device's name and unit, as in "membrane_bar"; the one detector and the one enclosure are found by what
they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from rocksalt.devices import Detector, Device, DeviceError, Enclosure, Readable, Settable
from rocksalt.values import Reading

D = TypeVar("D", bound=Device)


class NoSuchDevice(ValueError):
    """A set-point or a role that no device of the station plays."""


class Station:
    """All devices of a run. `log(device, message)` is told what goes wrong where nobody can be asked."""

    def __init__(self, devices: Mapping[str, Device]) -> None:
        self.devices = dict(devices)
        self._settables = {device.reading_name: device for device in devices.values() if isinstance(device, Settable)}

    def only(self, kind: type[D]) -> D:
        """The one device of this kind. Raises NoSuchDevice when there is none or more than one."""
        found = [device for device in self.devices.values() if isinstance(device, kind)]
        if len(found) != 1:
            names = ", ".join(device.name for device in found) or "none"
            raise NoSuchDevice(f"one {kind.__name__.lower()} is needed, the station has {len(found)} ({names})")
        return found[0]

    @property
    def detector(self) -> Detector:
        return self.only(Detector)

    @property
    def enclosure(self) -> Enclosure:
        return self.only(Enclosure)

    async def connect(self) -> list[DeviceError]:
        """Connect all at once; one dead instrument does not keep the others from starting. Returns what failed."""
        outcomes = await asyncio.gather(*(device.connect() for device in self.devices.values()), return_exceptions=True)
        failures: list[DeviceError] = []
        for outcome in outcomes:
            if isinstance(outcome, DeviceError):
                failures.append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
        return failures

    async def go_to(
        self, setpoints: Mapping[str, float], ramps: Mapping[str, float], reached: Callable[[str, float], None]
    ) -> None:
        """Move to the set-points, one after the other in the order given; `reached` is told of each arrival.

        ramps: the fastest change that is wanted, by set-point; the station's own ramps hold as well.
        """
        for name, target in setpoints.items():
            device = self._settables.get(name)
            if device is None:
                raise NoSuchDevice(f"{name}: no such set-point; the station has {', '.join(sorted(self._settables))}")
            await device.set(target, ramp_per_s=ramps.get(name))
            reached(name, target)

    async def readings(self) -> list[Reading]:
        """What every instrument reads now."""
        found: list[Reading] = []
        for device in self.devices.values():
            if isinstance(device, Readable | Enclosure):
                found.extend(await device.readings())
        return found

    async def make_safe(self) -> list[DeviceError]:
        """The safe state of the whole station, in one order: beam, then hold the rest. Returns what could not be told.

        Every device is tried, whatever happens to the others.
        """
        failures: list[DeviceError] = []
        for device in sorted(self.devices.values(), key=_safe_order):
            try:
                if device.state == "disconnected":
                    await device.connect()
                await device.make_safe()
            except DeviceError as error:
                failures.append(error)
        return failures

    async def close(self) -> None:
        for device in self.devices.values():
            await device.close()


def _safe_order(device: Device) -> int:
    if isinstance(device, Enclosure):
        return 0
    return 1 if isinstance(device, Detector) else 2
