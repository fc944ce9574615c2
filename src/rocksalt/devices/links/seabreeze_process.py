"""The child that holds one USB spectrometer: `python -m rocksalt.devices.links.seabreeze_process FD JSON`.

It takes one line of JSON at a time and answers with one. Blocking is allowed here; whoever waits too long kills it.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any, Final

from rocksalt.devices.links.child import DATA, FAILED, HEAD, OPENED, WRITE
from rocksalt.devices.links.held import channel_to_parent, exactly, say, words

_ON_DEMAND: Final = 0  # seabreeze's trigger mode "normal"
_LONGEST_LINE: Final = 4096


def main() -> None:
    channel = channel_to_parent()
    try:
        unit = Unit(json.loads(sys.argv[2])["serial"])
    except ImportError:
        say(channel, FAILED, b"python-seabreeze is not installed: pip install 'rocksalt[usb]'")
        return
    except Exception as error:  # the library raises what it likes; it is told in its words
        say(channel, FAILED, words(error))
        return
    say(channel, OPENED, b"")
    while head := exactly(channel, HEAD.size):
        kind, size = HEAD.unpack(head)
        if size > _LONGEST_LINE:
            return
        text = exactly(channel, size)
        if kind == WRITE:
            try:
                say(channel, DATA, json.dumps(_answered(unit, text), allow_nan=False).encode() + b"\n")
            except BrokenPipeError:
                return
        # A request to read needs no word: the answer is on its way, or will be.


def _answered(unit: Unit, text: bytes) -> dict[str, Any]:
    asked = json.loads(text)
    number = asked.pop("number", None)
    try:
        return {"number": number, **getattr(unit, f"do_{asked.pop('do')}")(**asked)}
    except Exception as error:
        return {"number": number, "error": words(error).decode()}


class Unit:
    """An open spectrometer, and what may be asked of it: the methods that begin with `do_`."""

    def __init__(self, serial: str) -> None:
        from seabreeze.spectrometers import Spectrometer

        self._unit: Any = Spectrometer.from_serial_number(serial)
        self._features: Any = getattr(self._unit, "f", None)

    def do_identify(self) -> dict[str, Any]:
        return {"model": str(self._unit.model), "serial": str(self._unit.serial_number)}

    def do_prepare(self) -> dict[str, Any]:
        """Spectra on demand; what the unit is."""
        self.do_settle()
        low_us, high_us = self._unit.integration_time_micros_limits
        return {
            "wavelength_nm": [float(nm) for nm in self._unit.wavelengths()],
            "full_scale": float(self._unit.max_intensity),
            "integration_s": [low_us * 1e-6, high_us * 1e-6],
            "thermometer": self._feature("thermo_electric") is not None,
        }

    def do_settle(self) -> dict[str, Any]:
        self._unit.trigger_mode(_ON_DEMAND)
        return {}

    def do_integrate(self, microseconds: int) -> dict[str, Any]:
        self._unit.integration_time_micros(microseconds)
        return {}

    def do_spectrum(self) -> dict[str, Any]:
        """Counts as they are: neither dark nor nonlinearity is corrected here."""
        counts = [float(count) for count in self._unit.intensities()]
        if not all(math.isfinite(count) for count in counts):
            raise ValueError("the unit gave counts that are no numbers")
        return {"counts": counts}

    def do_celsius(self) -> dict[str, Any]:
        feature = self._feature("thermo_electric")
        if feature is None:
            raise ValueError("the unit does not tell the temperature of its sensor")
        return {"celsius": float(feature.read_temperature_degrees_celsius())}

    def do_light(self, on: bool) -> dict[str, Any]:
        feature = self._feature("strobe_lamp")
        if feature is None:
            raise ValueError("the unit has no lamp line")
        feature.enable_lamp(on)
        return {}

    def _feature(self, name: str) -> Any:
        return getattr(self._features, name, None)


if __name__ == "__main__":
    main()
