"""USB spectrometers by python-seabreeze: one line of JSON to the child that holds the unit, one line back.

The child is `rocksalt.devices.links.seabreeze_process`; only this file knows its words on the driver's side.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from rocksalt.devices import GarbledReply, Line, Refused


class UsbTongue:
    """What the driver says to the child. `full_scale`, `integration_s`, `has_thermometer` are known once prepared."""

    def __init__(self, device: str, full_scale: int) -> None:
        self._device = device
        self._number = 0
        self.full_scale = full_scale
        self.integration_s = (0.0, math.inf)
        self.has_thermometer = False

    async def identify(self, line: Line) -> tuple[str, str]:
        """Model and serial number."""
        said = await self._ask(line, "identify")
        model, serial = said.get("model"), said.get("serial")
        if not (isinstance(model, str) and isinstance(serial, str)):
            raise GarbledReply(self._device, f"it identifies itself as {said!r}")
        return model, serial

    async def prepare(self, line: Line) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Spectra on demand; the wavelengths in nm."""
        said = await self._ask(line, "prepare")
        low, high = self._numbers(said, "integration_s", 2)
        self.full_scale = int(self._numbers(said, "full_scale", 1)[0])
        self.integration_s = (float(low), float(high))
        self.has_thermometer = said.get("thermometer") is True
        wavelengths = self._numbers(said, "wavelength_nm", None)
        if wavelengths.size < 2 or not np.all(np.diff(wavelengths) > 0.0):
            raise GarbledReply(self._device, "its wavelengths do not ascend")
        return wavelengths

    async def set_integration(self, line: Line, microseconds: int) -> None:
        await self._ask(line, "integrate", microseconds=microseconds)

    async def spectrum(self, line: Line, pixels: int, patience_s: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        return self._numbers(await self._ask(line, "spectrum", patience_s=patience_s), "counts", pixels)

    async def celsius(self, line: Line) -> float:
        return float(self._numbers(await self._ask(line, "celsius"), "celsius", 1)[0])

    async def light(self, line: Line, on: bool) -> None:
        await self._ask(line, "light", on=on)

    async def settle(self, line: Line) -> None:
        """Spectra on demand again: after a stop the child may be a new one."""
        await self._ask(line, "settle")

    async def _ask(self, line: Line, do: str, *, patience_s: float | None = None, **what: Any) -> dict[str, Any]:
        self._number += 1
        text = json.dumps({"number": self._number, "do": do, **what})
        answer = await line.ask(text, deadline_s=patience_s)
        try:
            said = json.loads(answer)
        except ValueError:
            raise GarbledReply(self._device, f"{do} was answered {answer[:60]!r}, which is no JSON") from None
        if not isinstance(said, dict) or said.get("number") != self._number:
            raise GarbledReply(self._device, f"{do} was answered {answer[:60]!r}, which answers something else")
        if "error" in said:
            raise Refused(self._device, f"{do}: {said['error']}")
        return said

    def _numbers(self, said: dict[str, Any], key: str, count: int | None) -> np.ndarray[Any, np.dtype[np.float64]]:
        value: Any = said.get(key)
        found: list[Any] = value if isinstance(value, list) else [value]
        numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in found)
        if not numbers or count not in (None, len(found)) or not all(math.isfinite(item) for item in found):
            raise GarbledReply(self._device, f"{key} was answered with {len(found)} values, not all of them numbers")
        return np.asarray(found, dtype=np.float64)
