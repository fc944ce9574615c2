"""USB spectrometers by python-seabreeze, in a process of its own: its calls block, and some of them never come back.

What is written is a line of JSON, what is read is the line that answers it; see `seabreeze_process`.
"""

from __future__ import annotations

from rocksalt.devices.links.child import ChildTransport


class SeabreezeTransport(ChildTransport):
    """The unit with this serial number. A new connection is a new process: no late reply outlives it."""

    def __init__(self, serial_number: str) -> None:
        super().__init__(
            "rocksalt.devices.links.seabreeze_process",
            {"serial": serial_number},
            what=f"spectrometer {serial_number}",
            reopening_cleans=True,
        )
