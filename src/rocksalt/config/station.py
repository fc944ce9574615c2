"""The station file: the instruments that are plugged in, how they are reached, and what they are allowed to do.

Read one with `reading.read_station`, which names file and line of whatever is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, PlainSerializer, PrivateAttr, model_validator

from rocksalt.config.errors import Fault, Key
from rocksalt.config.links import Link, LinkRefused, parse_link
from rocksalt.config.names import DEVICE_NAME
from rocksalt.config.tables import (
    MISSING,
    BeamSize,
    Name,
    Number,
    Positive,
    Shape,
    Table,
    Text,
    describe,
    number_in,
    refuse,
)
from rocksalt.config.units import KEV_ANGSTROM

# From 155 keV, harder than diamond-anvil beamlines work, to beyond Cr K-alpha (2.29 Å), the softest laboratory tube.
SHORTEST_WAVELENGTH: Final = 0.08
LONGEST_WAVELENGTH: Final = 3.0
# Drivers whose frames come over a stream; its sizes are bounded by the shape before memory is taken.
STREAMING_DRIVERS: Final = frozenset({"dectris_simplon"})
# Drivers of instruments with several parts behind one address, and the option that tells the parts apart.
SHARING_DRIVERS: Final[Mapping[str, str]] = {"bruker_bis": "part"}


def _plausible(wavelength: float) -> float:
    if SHORTEST_WAVELENGTH <= wavelength <= LONGEST_WAVELENGTH:
        return wavelength
    rule = f"a wavelength of X-rays is between {SHORTEST_WAVELENGTH} and {LONGEST_WAVELENGTH:g} Å"
    refuse([Fault((), rule, " ".join(_meant(wavelength)))])
    raise AssertionError  # unreachable: refuse() raised


def _meant(wavelength: float) -> Iterator[str]:
    def fits(angstrom: float) -> bool:
        return SHORTEST_WAVELENGTH <= angstrom <= LONGEST_WAVELENGTH

    if wavelength <= 0:
        return
    if fits(10 * wavelength):
        yield f"{wavelength:.6g} is plainly in nanometres: did you mean {10 * wavelength:.6g}?"
    elif fits(1e10 * wavelength):
        yield f"{wavelength:.6g} is plainly in metres: did you mean {1e10 * wavelength:.6g}?"
    if wavelength > LONGEST_WAVELENGTH:
        if fits(KEV_ANGSTROM / wavelength):
            yield f"if this is an energy in keV, write {KEV_ANGSTROM / wavelength:.6g}."
        if fits(wavelength / 100):
            yield f"if these are picometres, write {wavelength / 100:.6g}."


def _link(value: object) -> object:
    if not isinstance(value, str):
        if isinstance(value, Link):
            return value
        refuse([Fault((), "must be text", 'for instance "tcp://127.0.0.1:5025"')])
    try:
        return parse_link(str(value))
    except LinkRefused as refused:
        refuse([Fault((), refused.rule, refused.hint)])
        raise


Address = Annotated[InstanceOf[Link], BeforeValidator(_link), PlainSerializer(str, return_type=str)]
Wavelength = Annotated[Positive, AfterValidator(_plausible)]


class Beam(Table):
    """The beam at the sample, shutter open. Size is the full width at half maximum, horizontal and vertical."""

    wavelength_angstrom: Wavelength = describe("the wavelength of the beam in ångström", 0.4133)
    size_um: BeamSize = describe("full width at half maximum in µm: horizontal, vertical", [30.0, 30.0])
    polarisation: Annotated[Number, Field(ge=-1, le=1)] = describe(
        "the polarisation factor of the beam, 1 for wholly horizontal, 0 for a tube", 0.98
    )
    flux_ph_per_s: Positive | None = Field(None, description="photons per second at the sample", examples=[2.0e9])
    flux_sigma_ph_per_s: Positive | None = Field(None, description="one sigma of the flux", examples=[4.0e8])

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> list[Fault]:
        absent = [key for key in ("flux_ph_per_s", "flux_sigma_ph_per_s") if data.get(key) is None]
        if len(absent) != 1:
            return []
        return [Fault((absent[0],), f"{MISSING}: a flux and its standard uncertainty come together")]


class Geometry(Table):
    """Where the detector stands: a PONI file, its path relative to the station file."""

    poni: Text = describe("the calibration of the detector, a PONI file beside the station file", "my-station.poni")
    sigma: Annotated[Number, Field(ge=1e-6, le=0.05)] = Field(
        3e-4,
        description="relative standard uncertainty that distance and wavelength leave in every spacing",
        examples=[3e-4],
    )


class LoadCurvePrior(Table):
    """What cell and gasket are expected to do: sample pressure = gpa_per_bar * membrane + offset."""

    gpa_per_bar: Positive = describe("the expected slope of sample pressure over membrane pressure", 0.055)
    gpa_per_bar_sigma: Positive = describe("the standard uncertainty of that slope", 0.020)
    offset_gpa: Number = describe("the sample's expected pressure at no membrane pressure, in GPa", 0.0)
    offset_sigma_gpa: Positive = describe("the standard uncertainty of that pressure, in GPa", 0.15)


class Limits(Table):
    """Where a device may be sent, in the instrument's own unit, both ends included."""

    lower: Number = describe("the lowest allowed set-point, in the instrument's own unit", 0.0)
    upper: Number = describe("the highest allowed set-point, in the instrument's own unit", 150.0)

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> list[Fault]:
        lower, upper = number_in(data, "lower"), number_in(data, "upper")
        if lower is None or upper is None or lower < upper:
            return []
        rule = f"the upper limit ({upper:g}) must be above the lower limit ({lower:g})"
        swapped = f"did you mean lower = {upper!r}, upper = {lower!r}?"
        return [Fault(("upper",), rule, swapped if lower > upper else "")]


class Device(Table):
    """One instrument. Limits and ramp (per second) are in its own unit; the driver knows which that is."""

    driver: Text = describe("the driver that speaks the instrument's protocol", "druck_pace")
    link: Address = describe("where the instrument listens", "tcp://127.0.0.1:5025")
    stream: Address | None = Field(None, description="where frames come from", examples=["tcp://127.0.0.1:31001"])
    stream_version: Annotated[Literal[1, 2], Field(description="version of the stream", examples=[2])] = 2
    shape: Shape | None = Field(None, description="the detector's [rows, columns]", examples=[[514, 1030]])
    limits: Limits | None = Field(None, description="where the device may be sent", examples=[{}])
    ramp: Positive | None = Field(None, description="the fastest change, per second", examples=[0.5])
    guardian: Literal["beside", "after"] | None = Field(None, description="how the guardian reaches the device")
    options: dict[str, Any] = Field(default_factory=dict, description="what the driver alone understands")
    _role: str = PrivateAttr("")

    @property
    def role(self) -> str:
        """What the device is for in this station: the name of its table, `membrane` for [devices.membrane]."""
        return self._role

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> list[Fault]:
        driver, stream = data.get("driver"), data.get("stream")
        streaming = isinstance(driver, str) and driver in STREAMING_DRIVERS
        faults = _endless(data.get("options"), ("options",))
        if streaming and stream is None:
            rule = f"{MISSING}: frames of {driver} come over a stream"
            faults.append(Fault(("stream",), rule, 'for instance stream = "tcp://127.0.0.1:31001"'))
        if (link := _readable(stream)) is not None and link.scheme != "tcp":
            faults.append(Fault(("stream",), "a stream is tcp://host:port"))
        if (streaming or stream is not None) and data.get("shape") is None:
            rule = f"{MISSING}: frames are bounded by the detector's shape before memory is taken"
            faults.append(Fault(("shape",), rule, "for instance shape = [514, 1030], rows and columns"))
        return faults


class Station(Table):
    """A station file. `twin` is for the simulators alone and stays plain data; with it, ports may be left open (0)."""

    station: Name = describe("the station's name", "simulated-dac")
    beam: Beam = describe("the beam at the sample", {})
    geometry: Geometry = describe("where the detector stands", {})
    load_curve: LoadCurvePrior = describe("what cell and gasket are expected to do", {})
    devices: dict[str, Device] = describe("the instruments, a table [devices.NAME] each", {})
    twin: dict[str, Any] | None = Field(None, description="what the simulators are to play", examples=[{}])

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> list[Fault]:
        return [*_endless(data.get("twin"), ("twin",)), *_device_faults(data)]

    @model_validator(mode="after")
    def _devices_know_their_role(self) -> Self:
        for name, device in self.devices.items():
            device._role = name
        return self

    def at(self, addresses: Mapping[str, Mapping[str, str]]) -> Station:
        """The same station with other addresses: {device: {"link": URL, "stream": URL}}, as simulators announce them.

        Raises KeyError for a device that the station does not have, ValidationError for an address it refuses.
        """
        data = self.model_dump()
        for name, places in addresses.items():
            data["devices"][name].update(places)
        return Station.model_validate(data)


def _device_faults(data: Mapping[str, Any]) -> list[Fault]:
    """Names, open ports, and two devices on one line."""
    devices = data.get("devices")
    if not isinstance(devices, Mapping):
        return []
    faults = _same_parts(devices)
    if not devices:
        faults.append(Fault(("devices",), "a station has at least one device", "add a table [devices.detector]"))
    simulated = isinstance(data.get("twin"), Mapping)
    taken: dict[tuple[str, ...], tuple[str, str]] = {}
    for name, device in devices.items():
        if not DEVICE_NAME.fullmatch(name):
            rule = "a device's name has small letters, digits and _ and starts with a letter"
            faults.append(Fault(("devices", name), rule, _tidy(name)))
        if not isinstance(device, Mapping):
            continue
        for key in ("link", "stream"):
            if (link := _readable(device.get(key))) is None:
                continue
            if link.any_port and not simulated:
                rule = "port 0 means any free port, and only a simulator can choose one"
                faults.append(Fault(("devices", name, key), rule, "write the instrument's port, or add a table [twin]"))
            if (line := link.line) is None:
                continue
            if line in taken:
                other = ".".join(taken[line])
                if key == "link" and _two_parts(device, devices[taken[line][0]]) and taken[line][1] == "link":
                    continue
                faults.append(Fault(("devices", name, key), f"{other} is on {_line_words(line)} already"))
            else:
                taken[line] = (name, key)
    return faults


def _two_parts(one: object, other: object) -> bool:
    """Whether both are parts of one instrument, as far as their driver goes."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return False
    driver = one.get("driver")
    return isinstance(driver, str) and driver in SHARING_DRIVERS and driver == other.get("driver")


def _same_parts(devices: Mapping[str, object]) -> list[Fault]:
    """A fault for each device that is the same part of the same instrument as one before it."""
    faults: list[Fault] = []
    taken: dict[tuple[str, str, str], str] = {}
    for name, device in devices.items():
        if not isinstance(device, Mapping) or not _two_parts(device, device):
            continue
        driver, options, link = str(device["driver"]), device.get("options"), str(device.get("link"))
        key = SHARING_DRIVERS[driver]
        part = str(options.get(key, "") if isinstance(options, Mapping) else "").lower()
        if (other := taken.setdefault((driver, link, part), name)) != name:
            what = f'{key} = "{part}"' if part else f"no {key}"
            rule = f"{other} is this part of {link} already ({what})"
            faults.append(Fault(("devices", name, "options"), rule, f"each device of one {driver} has its own {key}"))
    return faults


def _endless(value: object, key: Key) -> list[Fault]:
    """A fault for each number in plain data that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return [Fault(key, "must be a finite number")]
    if isinstance(value, Mapping):
        return [fault for name, inner in value.items() for fault in _endless(inner, (*key, name))]
    if isinstance(value, list | tuple):
        return [fault for index, inner in enumerate(value) for fault in _endless(inner, (*key, index))]
    return []


def _readable(text: object) -> Link | None:
    try:
        return parse_link(text) if isinstance(text, str) else None
    except LinkRefused:
        return None


def _line_words(line: tuple[str, ...]) -> str:
    match line:
        case ("port", host, port):
            return f"port {port} of {host}"
        case ("serial", path):
            return f"the serial line {path}"
        case _:
            return f"the resource {line[-1]}"


def _tidy(name: str) -> str:
    better = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.lower()).lstrip("_0123456789")
    return f"did you mean {better}?" if DEVICE_NAME.fullmatch(better) else ""
