"""Links: how a driver reaches its instrument. Threads and real clocks live in this room and nowhere else.

`Wires` makes links from the addresses of the station file; a driver gets real ones or memory ones and can't tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rocksalt.config.links import Link
from rocksalt.devices.links.beat import Beat
from rocksalt.devices.links.byte import ByteLink, Line
from rocksalt.devices.links.http import HttpLink, HttpxRequests, MemoryRequests
from rocksalt.devices.links.memory import MemoryTransport

__all__ = ["Beat", "ByteLink", "HttpLink", "Line", "MemoryWires", "RealWires", "Wires"]


class Wires(Protocol):
    """Makes links. Raises ValueError for a scheme that it can't reach."""

    def byte(
        self, device: str, link: Link, *, deadline_s: float = 2.0, serial: Mapping[str, str] | None = None
    ) -> ByteLink:
        """A line of bytes. `serial` holds what the instrument's port is set to unless the address says otherwise."""
        ...

    def http(self, device: str, link: Link, *, deadline_s: float = 5.0) -> HttpLink: ...


class RealWires:
    """Sockets and serial ports."""

    def byte(
        self, device: str, link: Link, *, deadline_s: float = 2.0, serial: Mapping[str, str] | None = None
    ) -> ByteLink:
        if link.scheme == "tcp":
            from rocksalt.devices.links.tcp import TcpTransport

            return ByteLink(
                TcpTransport(link.host, link.port or 0), device=device, address=str(link), deadline_s=deadline_s
            )
        if link.scheme == "serial":
            from rocksalt.devices.links.serial import SerialTransport

            transport = SerialTransport(link.path, {**(serial or {}), **link.query})
            return ByteLink(transport, device=device, address=str(link), deadline_s=deadline_s)
        if link.scheme == "visa":
            from rocksalt.devices.links.visa import VisaTransport

            transport_by_visa = VisaTransport(link.path, serial or {})
            return ByteLink(transport_by_visa, device=device, address=str(link), deadline_s=deadline_s)
        if link.scheme == "usb":
            from rocksalt.devices.links.seabreeze import SeabreezeTransport

            return ByteLink(SeabreezeTransport(link.path), device=device, address=str(link), deadline_s=deadline_s)
        raise ValueError(
            f"{device}: a line of bytes can't be had from {link}; use tcp://, serial://, visa:// or usb://"
        )

    def http(self, device: str, link: Link, *, deadline_s: float = 5.0) -> HttpLink:
        if link.scheme != "http":
            raise ValueError(f"{device}: {link} is not an http:// address")
        return HttpLink(HttpxRequests(str(link)), device=device, address=str(link), deadline_s=deadline_s)


class MemoryWires:
    """Links to simulators in this process, found by the device's name."""

    def __init__(self, peers: Mapping[str, Any]) -> None:
        self._peers = peers

    def byte(
        self, device: str, link: Link, *, deadline_s: float = 2.0, serial: Mapping[str, str] | None = None
    ) -> ByteLink:
        return ByteLink(
            MemoryTransport(self._peers[device]), device=device, address=f"memory:{device}", deadline_s=deadline_s
        )

    def http(self, device: str, link: Link, *, deadline_s: float = 5.0) -> HttpLink:
        return HttpLink(
            MemoryRequests(self._peers[device]), device=device, address=f"memory:{device}", deadline_s=deadline_s
        )
