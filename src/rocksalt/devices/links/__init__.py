"""Links: how a driver reaches its instrument. Threads and real clocks live in this room and nowhere else.

`Wires` makes links from the addresses of the station file; a driver gets real ones or memory ones and can't tell.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rocksalt.config.links import Link
from rocksalt.devices.links.beat import Beat
from rocksalt.devices.links.byte import ByteLink, Line
from rocksalt.devices.links.folder import FileFound, Folder, aside, at_once
from rocksalt.devices.links.http import HttpLink, HttpxRequests, MemoryRequests
from rocksalt.devices.links.joined import Cut, JoinedTransport, Listener
from rocksalt.devices.links.memory import MemoryTransport

__all__ = [
    "Beat", "ByteLink", "FileFound", "Folder", "HttpLink", "Line", "MemoryWires", "RealWires", "SharedThings", "Wires",
]  # fmt: skip

T = TypeVar("T")


class SharedThings:
    """What several devices of one set of wires have in common: one instrument's connection and its state."""

    def __init__(self) -> None:
        self._shared: dict[Hashable, Any] = {}

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """The one thing of this key; made by whoever asks first."""
        if key not in self._shared:
            self._shared[key] = make()
        thing: T = self._shared[key]
        return thing


class Wires(Protocol):
    """Makes links. Raises ValueError for a scheme that it can't reach."""

    def byte(
        self, device: str, link: Link, *, deadline_s: float = 2.0, serial: Mapping[str, str] | None = None
    ) -> ByteLink:
        """A line of bytes. `serial` holds what the instrument's port is set to unless the address says otherwise."""
        ...

    def http(self, device: str, link: Link, *, deadline_s: float = 5.0) -> HttpLink: ...

    def joined(
        self,
        device: str,
        links: Sequence[Link],
        *,
        cut: Cut,
        listener: Listener,
        deadline_s: float = 2.0,
    ) -> ByteLink:
        """Several tcp connections to one instrument that are one conversation: see JoinedTransport."""
        ...

    def folder(self, device: str, path: Path) -> Folder:
        """A folder that the instrument writes files into."""
        ...

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """What the devices of these wires share under a key; made by whoever asks first."""
        ...


class RealWires(SharedThings):
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

    def joined(
        self,
        device: str,
        links: Sequence[Link],
        *,
        cut: Cut,
        listener: Listener,
        deadline_s: float = 2.0,
    ) -> ByteLink:
        from rocksalt.devices.links.tcp import TcpTransport

        if wrong := [link for link in links if link.scheme != "tcp"]:
            raise ValueError(f"{device}: {wrong[0]} is not a tcp:// address")
        transport = JoinedTransport(
            [TcpTransport(link.host, link.port or 0) for link in links], cut=cut, listener=listener
        )
        return ByteLink(transport, device=device, address=str(links[0]), deadline_s=deadline_s)

    def folder(self, device: str, path: Path) -> Folder:
        return Folder(path, device=device, look=aside)


class MemoryWires(SharedThings):
    """Links to simulators in this process, found by the device's name; one with several sockets is a sequence."""

    def __init__(self, peers: Mapping[str, Any]) -> None:
        super().__init__()
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

    def joined(
        self,
        device: str,
        links: Sequence[Link],
        *,
        cut: Cut,
        listener: Listener,
        deadline_s: float = 2.0,
    ) -> ByteLink:
        transport = JoinedTransport([MemoryTransport(peer) for peer in self._peers[device]], cut=cut, listener=listener)
        return ByteLink(transport, device=device, address=f"memory:{device}", deadline_s=deadline_s)

    def folder(self, device: str, path: Path) -> Folder:
        return Folder(path, device=device, look=at_once)
