"""Bytes over VISA (GPIB, USBTMC, VXI-11, HiSLIP, sockets, serial): pyvisa in a process of its own.

A VISA library may block for as long as it likes, in code that no thread can be called back from. So it lives in a child
(`visa_process`), which closing the link kills.
"""

from __future__ import annotations

from collections.abc import Mapping

from rocksalt.devices.links.child import ChildTransport


class VisaTransport(ChildTransport):
    """A VISA resource. A new connection leaves every late reply behind (the child clears the device as it opens it),
    except on a serial line, which nothing cleans."""

    def __init__(self, resource: str, serial: Mapping[str, str]) -> None:
        super().__init__(
            "rocksalt.devices.links.visa_process",
            {"resource": resource, "serial": dict(serial)},
            what=resource,
            reopening_cleans=not resource.upper().startswith("ASRL"),
        )
