"""The child that holds one VISA resource: `python -m rocksalt.devices.links.visa_process FD JSON`.

It does what it is told over the socket FD, and looks up from the library at least five times a second to see whether
anybody still wants it. Blocking is allowed here and nowhere else.
"""

from __future__ import annotations

import json
import select
import sys
from typing import Any, Final

from rocksalt.devices.links.child import DATA, FAILED, HEAD, OPENED, READ, WRITE
from rocksalt.devices.links.held import channel_to_parent, exactly, say, words

_SLICE_MS: Final = {"bytes": 20, "messages": 200}
_PARITY: Final = {"N": "none", "E": "even", "O": "odd", "M": "mark", "S": "space"}
_STOP_BITS: Final = {"1": "one", "1.5": "one_and_a_half", "2": "two"}


def main() -> None:
    channel = channel_to_parent()
    asked = json.loads(sys.argv[2])
    try:
        held = Held(asked["resource"], asked["serial"])
    except Exception as error:  # the libraries raise what they like; it is told in their words
        say(channel, FAILED, words(error))
        return
    say(channel, OPENED, b"")
    reading = False
    while True:
        ready, _, _ = select.select([channel], [], [], 0.0 if reading else None)
        try:
            if ready:
                head = exactly(channel, HEAD.size)
                if not head:
                    return
                kind, size = HEAD.unpack(head)
                if kind == WRITE:
                    held.write(exactly(channel, size))
                elif kind == READ:
                    reading = True
            elif data := held.read():
                reading = False
                say(channel, DATA, data)
        except BrokenPipeError:
            return
        except Exception as error:
            reading = False
            say(channel, FAILED, words(error))


class Held:
    """An open resource. Serial lines and sockets give bytes as they come, everything else whole messages."""

    def __init__(self, name: str, serial: dict[str, str]) -> None:
        import pyvisa
        from pyvisa import constants, errors

        self._timeout: type[Exception] = errors.VisaIOError
        self._timed_out: int = constants.StatusCode.error_timeout
        self._resource: Any = _manager(pyvisa).open_resource(name, open_timeout=2000)
        resource = self._resource
        kind = resource.resource_class
        self._bytes = kind == "SOCKET" or name.upper().startswith("ASRL")
        resource.timeout = _SLICE_MS["bytes" if self._bytes else "messages"]
        if name.upper().startswith("ASRL"):
            resource.baud_rate = int(serial.get("baud", "9600"))
            resource.data_bits = int(serial.get("bytesize", "8"))
            resource.parity = constants.Parity[_PARITY[serial.get("parity", "N")]]
            resource.stop_bits = constants.StopBits[_STOP_BITS[serial.get("stopbits", "1")]]
            resource.set_visa_attribute(constants.ResourceAttribute.asrl_end_in, constants.SerialTermination.none)
        elif not self._bytes:
            resource.clear()  # what was asked before is not answered any more

    def write(self, data: bytes) -> None:
        self._resource.write_raw(data)

    def read(self) -> bytes:
        """What has come within a slice of time; b"" for nothing."""
        try:
            # One byte at a time: the library drops what it has when a longer read runs out of time.
            return bytes(self._resource.read_bytes(1) if self._bytes else self._resource.read_raw())
        except self._timeout as error:
            if getattr(error, "error_code", None) == self._timed_out:
                return b""
            raise


def _manager(pyvisa: Any) -> Any:
    """The system's VISA library where one is installed, else the one in Python."""
    try:
        return pyvisa.ResourceManager()
    except (OSError, ValueError):
        return pyvisa.ResourceManager("@py")


if __name__ == "__main__":
    main()
