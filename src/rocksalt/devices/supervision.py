"""Lost links come back: reconnect with back-off, identify again, look at a value, and only then say that it is well."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from rocksalt.devices.device import Device, Readable, State
from rocksalt.devices.enclosure import Enclosure
from rocksalt.devices.errors import DeviceError, LinkLost
from rocksalt.values import Reading

FIRST_S, FACTOR, LONGEST_S = 0.1, 2.0, 0.4
"""Back-off, wire seconds from one attempt's beginning to the next one's. It stays short: a link that is back is to give
a correct value within 1 s, and a question that nobody answers costs nobody anything."""
BREATH_S = 0.05
"""Between an attempt's end and the next one, however long it took."""


class Supervisor:
    """Watches devices. `lost(device, why)` and `back(device, readings)` are called as links go and come."""

    def __init__(
        self,
        devices: Iterable[Device],
        lost: Callable[[Device, str], None],
        back: Callable[[Device, tuple[Reading, ...]], None],
    ) -> None:
        self._devices = tuple(devices)
        self._lost, self._back = lost, back
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        for device in self._devices:
            device.on_change = self._changed
            if device.state == "disconnected":
                self._changed(device, "disconnected", "not connected at the start")

    def stop(self) -> None:
        """Stop watching. Nothing is reconnected any more."""
        for device in self._devices:
            device.on_change = lambda device, state, why: None
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def _changed(self, device: Device, state: State, why: str) -> None:
        if state == "disconnected" and device.name not in self._tasks:
            self._lost(device, why)
            self._tasks[device.name] = asyncio.get_running_loop().create_task(
                self._bring_back(device), name=f"reconnect {device.name}"
            )

    async def _bring_back(self, device: Device) -> None:
        loop = asyncio.get_running_loop()
        wait_s, began_s, told = FIRST_S, loop.time(), ""
        while True:
            await asyncio.sleep(max(began_s + wait_s - loop.time(), BREATH_S))
            wait_s, began_s = min(wait_s * FACTOR, LONGEST_S), loop.time()
            try:
                await device.reconnect()
                readings = await device.readings() if isinstance(device, Readable | Enclosure) else ()
            except DeviceError as error:
                if not isinstance(error, LinkLost) and str(error) != told:
                    told = str(error)  # somebody answers, and it is not what was lost: waiting alone won't mend that
                    self._lost(device, told)
                continue
            del self._tasks[device.name]
            self._back(device, readings)
            return
