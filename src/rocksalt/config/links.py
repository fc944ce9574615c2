"""Where an instrument listens: the URL in a station file, taken apart and checked.

Schemes: tcp://host:port, serial:///dev/…?baud=…, visa://RESOURCE, http://host:port, ca://PREFIX, usb://SERIAL.
"""

from __future__ import annotations

import difflib
import ipaddress
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast
from urllib.parse import parse_qsl, urlencode

Scheme = Literal["tcp", "serial", "visa", "http", "ca", "usb"]
SCHEMES: Final[tuple[Scheme, ...]] = ("tcp", "serial", "visa", "http", "ca", "usb")
_FORMS: Final[Mapping[str, str]] = {
    "tcp": "tcp://host:port",
    "serial": "serial:///dev/ttyUSB0?baud=9600",
    "visa": "visa://TCPIP0::192.168.0.5::inst0::INSTR",
    "http": "http://host:port",
    "ca": "ca://PREFIX:",
    "usb": "usb://FLMS01234",
}
_SERIAL: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "baud": (re.compile(r"[1-9][0-9]{1,6}"), "a rate such as 9600"),
    "bytesize": (re.compile(r"[5-8]"), "5, 6, 7 or 8"),
    "parity": (re.compile(r"[NEOMS]"), "N, E, O, M or S"),
    "stopbits": (re.compile(r"1|1\.5|2"), "1, 1.5 or 2"),
}
_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_AUTHORITY: Final = re.compile(r"(\[[^\]]*\]|[^:/?#]*)(?::([^/?#]*))?([^?#]*)(?:\?([^#]*))?")
_LOOPBACK: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "::1", "127.0.0.1"})
_LARGEST_PORT: Final = 65535


class LinkRefused(ValueError):
    """A link that can't be used: `rule` says what is required, `hint` the way out."""

    def __init__(self, rule: str, hint: str = "") -> None:
        super().__init__(f"{rule} ({hint})" if hint else rule)
        self.rule = rule
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Link:
    """An instrument's address, taken apart.

    host, port   of tcp and http; port 0 (any free port) is for simulators alone; None where the scheme has none
    path         serial: the device file; visa: the resource's name; ca: the channels' prefix; http: the path; usb: the
                 unit's serial number
    query        serial: baud, bytesize, parity, stopbits: those that were written, as text
    """

    scheme: Scheme
    host: str = ""
    port: int | None = None
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """The URL again; parse_link(str(link)) == link."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        query = f"?{urlencode(self.query, safe='/')}" if self.query else ""
        return f"{self.scheme}://{host}{port}{self.path}{query}"

    @property
    def any_port(self) -> bool:
        """Whether the port is still to be chosen, which only a simulator can do."""
        return self.port == 0

    @property
    def is_serial(self) -> bool:
        """Whether the bytes go over a serial line, however it is reached."""
        return self.scheme == "serial" or (self.scheme == "visa" and self.path.upper().startswith("ASRL"))

    @property
    def line(self) -> tuple[str, ...] | None:
        """What two devices may not share: a serial line, VISA resource or port. None where sharing is no harm.

        127.0.0.1, ::1 and localhost are one host; a VISA name of a serial line or a socket is that line or socket.
        """
        match self.scheme:
            case "tcp" | "http":
                return None if self.any_port else ("port", same_host(self.host), str(self.port))
            case "serial":
                return ("serial", posixpath.normpath(self.path))
            case "visa":
                return _visa_line(self.path)
            case "usb":
                return ("usb", self.path)
            case "ca":
                return None


def same_host(host: str) -> str:
    """One spelling for every spelling of a host that can be told apart without asking a name server."""
    name = host.lower().rstrip(".")
    if name in _LOOPBACK:
        return "127.0.0.1"
    try:
        return ipaddress.ip_address(name).compressed
    except ValueError:
        return name


def parse_link(text: str) -> Link:
    """A link from its URL. Raises LinkRefused; port 0 passes here, whoever reads a station decides if it may."""
    if text != text.strip() or not text.isprintable() or " " in text:
        raise LinkRefused("a link has no blanks and no control characters")
    if not (match := _URL.fullmatch(text)):
        raise LinkRefused("a link is a URL", f"for instance {_guess_form(text)}")
    scheme, rest = match[1].lower(), match[2]
    if scheme not in SCHEMES:
        near = difflib.get_close_matches(scheme, SCHEMES, 1, 0.6)
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise LinkRefused(f"{scheme}:// is not one of {known}", f"did you mean {near[0]}://?" if near else "")
    if scheme in ("tcp", "http"):
        return _parse_network(cast(Scheme, scheme), rest)
    if scheme == "serial":
        return _parse_serial(rest)
    if scheme == "usb" and not re.fullmatch(r"[A-Za-z0-9_+-]{1,64}", rest):
        raise LinkRefused("a usb link names the unit's serial number", f"for instance {_FORMS['usb']}")
    if not rest:
        raise LinkRefused(f"a {scheme} link names what it connects to", f"for instance {_FORMS[scheme]}")
    if "?" in rest or "#" in rest:
        raise LinkRefused(f"a {scheme} link takes no options", f"for instance {_FORMS[scheme]}")
    return Link(cast(Scheme, scheme), path=rest)


def _parse_network(scheme: Scheme, rest: str) -> Link:
    form = f"for instance {scheme}://127.0.0.1:5025"
    if not (match := _AUTHORITY.fullmatch(rest)):
        raise LinkRefused(f"a {scheme} link is {_FORMS[scheme]}", form)
    host, port, path, query = match[1], match[2], match[3], match[4]
    if query is not None:
        raise LinkRefused(f"a {scheme} link takes no options", form)
    if path.strip("/") and scheme == "tcp":
        raise LinkRefused("a tcp link has no path", f"did you mean tcp://{host}:{port or 'port'}?")
    _check_host(host, form)
    if port is None or port == "":
        raise LinkRefused(f"a {scheme} link names its port", f"write {scheme}://{host}:port")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > _LARGEST_PORT:
        raise LinkRefused(f"a port is a whole number from 1 to {_LARGEST_PORT}", form)
    return Link(scheme, host.strip("[]"), int(port), path.rstrip("/"))


def _check_host(host: str, form: str) -> None:
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise LinkRefused(f"{host} is not an IPv6 address", "for instance [::1]") from None
        return
    if not host:
        raise LinkRefused("a link names its host", form)
    if "@" in host:
        raise LinkRefused("a link carries no user name and no password", form)
    if not _HOST.fullmatch(host):
        raise LinkRefused(f"{host} is not a host's name or address", form)
    if host == "0.0.0.0":
        raise LinkRefused("0.0.0.0 is an address to listen on, not one to connect to", "did you mean 127.0.0.1?")
    if re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise LinkRefused(f"{host} is not an IPv4 address", "four numbers from 0 to 255 with dots") from None


def _parse_serial(rest: str) -> Link:
    path, mark, query = rest.partition("?")
    if not path.startswith("/"):
        raise LinkRefused("a serial link names a device file from the root", f"did you mean serial:///dev/{path}?")
    if path.endswith("/") or "#" in rest:
        raise LinkRefused("a serial link names a device file", f"for instance {_FORMS['serial']}")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(mark), max_num_fields=8)
    except ValueError:
        raise LinkRefused("the options of a serial link are name=value with & between", _FORMS["serial"]) from None
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in _SERIAL:
            near = difflib.get_close_matches(name, _SERIAL, 1, 0.5)
            way = f"did you mean {near[0]}?" if near else ""
            raise LinkRefused(f"{name} is not one of a serial link's options: {', '.join(_SERIAL)}", way)
        if name in options:
            raise LinkRefused(f"{name} is given twice")
        pattern, words = _SERIAL[name]
        if not pattern.fullmatch(value):
            raise LinkRefused(f"{name} is {words}, not {value or 'nothing'}")
        options[name] = value
    return Link("serial", path=path, query=options)


def _visa_line(resource: str) -> tuple[str, ...]:
    if match := re.fullmatch(r"(?i)ASRL(/.*?)(::INSTR)?", resource):
        return ("serial", posixpath.normpath(match[1]))
    if match := re.fullmatch(r"(?i)TCPIP[0-9]*::(.+)::([0-9]+)::SOCKET", resource):
        return ("port", same_host(match[1].strip("[]")), str(int(match[2])))
    return ("visa", resource.upper())


def _guess_form(text: str) -> str:
    if text.startswith("/dev/"):
        return f"serial://{text}"
    if re.fullmatch(r"[A-Za-z0-9.-]+:[0-9]+", text):
        return f"tcp://{text}"
    if "::" in text:
        return f"visa://{text}"
    return _FORMS["tcp"]
