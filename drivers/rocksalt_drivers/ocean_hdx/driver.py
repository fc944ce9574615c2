"""Ocean HDX (and FX): optical spectra over TCP in the Ocean Binary Protocol. Its facts in README.md.

USB units that speak another protocol are reached by python-seabreeze in a process of its own: `usb.py`, chosen by the
link `usb://SERIAL`.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from rocksalt.devices import ByteDevice, GarbledReply, Limits, Line, Refused, Spectrometer, WrongInstrument
from rocksalt.values import Spectrum
from rocksalt_drivers.ocean_hdx import framing
from rocksalt_drivers.ocean_hdx.usb import UsbTongue

SERIAL, SERIAL_LENGTH, PRODUCT = 0x100, 0x101, 0xE01
COEFFICIENTS, COEFFICIENT = 0x00180100, 0x00180101
INTEGRATION_US, TRIGGER_MODE, LAMP = 0x00110010, 0x00110110, 0x00110410
SCANS_TO_AVERAGE, BOXCAR = 0x00120010, 0x00121010
SENSOR_C = 0x00420004
ON_DEMAND = 0
ZERO_CELSIUS_K = 273.15
COLDEST_C, WARMEST_C = -100.0, 100.0
"""What a cooled or a hot sensor may be at; anything else is no temperature of one."""
LONGEST_SERIAL, MOST_COEFFICIENTS = 64, 10
LONGEST_REFUSAL = 256
"""Bytes of payload that a refusal may carry."""
SHORTEST_NM, LONGEST_NM = 100.0, 10_000.0
DEFERRALS = 4
USB_PATIENCE_S = 10.0
"""Wire seconds: a new process, and every USB unit looked at before ours is found."""


@dataclass(frozen=True, slots=True)
class Model:
    """What pyseabreeze 2.11 knows of a model. product: None where its number is not known."""

    pixels: int
    product: int | None
    spectrum: int = 0x00101000
    full_scale: int = 65535
    integration_s: tuple[float, float] = (0.006, 10.0)


MODELS = {"HDX": Model(2068, 0x2003), "FX": Model(2136, None)}


class _NotKnown(Refused):
    """The instrument has no such message, or no such information."""


class OceanHdx(ByteDevice, Spectrometer):
    """Options: `model` ("HDX", "FX"), `serial_number`, `lamp` ("none", "line"), `discard`, `checksum`, and more.

    serial_number     the unit that is meant; another one is refused. Two spectrometers look alike
    lamp              "line": the lamp-enable line works the lamp's shutter, or the laser; make_safe switches it off
    light_settles_s   experiment time that shutter or laser takes; default 0.1
    discard           spectra thrown away after a change of integration or light (1): a sensor that runs freely answers
                      with the exposure that was under way
    checksum          "none", or "md5": requests are sealed, and so must replies be
    regarding         "echoed": replies carry the request's number and others are refused; "ignored"
    product           the USB product number that it must tell; 0 does not ask
    pixels, spectrum_message, full_scale, metadata_bytes   for other models
    """

    identity = re.compile(r"^Ocean \S+, serial [!-~]{1,64}$")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        options, where = self.settings.options, self.settings.where
        self._model = str(options.get("model", "HDX"))
        by_usb = self.settings.link.scheme == "usb"
        if self._model not in MODELS and not by_usb:
            raise ValueError(f"{self.name}: model is {' or '.join(MODELS)}, not {self._model!r} ({where})")
        known = MODELS.get(self._model, MODELS["HDX"])
        self._pixels = int(options.get("pixels", known.pixels))
        self._full_scale = int(options.get("full_scale", known.full_scale))
        self._metadata = int(options.get("metadata_bytes", 0))
        self._spectrum_message = int(options.get("spectrum_message", known.spectrum))
        self._product = int(options.get("product", known.product or 0))
        self._integrations_s = known.integration_s
        self._wanted_serial = str(options.get("serial_number", self.settings.link.path if by_usb else ""))
        self._lamp = str(options.get("lamp", "none"))
        self._discard = int(options.get("discard", 1))
        self._md5 = _either(self.name, where, options, "checksum", "none", "md5") == "md5"
        self._echoed = _either(self.name, where, options, "regarding", "echoed", "ignored") == "echoed"
        self.light_settles_s = float(options.get("light_settles_s", 0.1))
        if not (1 <= self._pixels <= 65536 and 1 <= self._full_scale <= 65535 and 0 <= self._metadata <= 4096):
            raise ValueError(f"{self.name}: pixels 1 to 65536, full_scale to 65535, metadata_bytes to 4096 ({where})")
        if self._lamp not in ("none", "line") or not 0 <= self._discard <= 10:
            raise ValueError(f'{self.name}: lamp is "none" or "line", discard 0 to 10 ({where})')
        self._usb = UsbTongue(self.name, self._full_scale) if by_usb else None
        if by_usb:
            self.link.deadline_s = max(self.link.deadline_s, USB_PATIENCE_S)
        self._number = 0
        self._integration_us = 0
        self._stale = True
        self._thermometer = True
        self._wavelength_nm = np.empty(0)

    async def reconnect(self) -> None:
        """A USB unit's process takes longer to start than a probe lasts."""
        await (self.connect() if self._usb is not None else super().reconnect())

    # hooks

    async def _identify(self) -> str:
        async with self.link.exchange() as line:
            if self._usb is not None:
                model, serial = await self._usb.identify(line)
                self._model = model
            else:
                model, serial = await self._model_there(line), await self._serial(line)
        if self._wanted_serial and serial != self._wanted_serial:
            raise WrongInstrument(
                self.name,
                f"the spectrometer at {self.settings.link} has the serial number {serial}, where the station file "
                f"({self.settings.where}) names {self._wanted_serial}: are two cables exchanged?",
            )
        return f"Ocean {model}, serial {serial}"

    async def _prepare(self) -> None:
        """Spectra on demand, one scan each, no smoothing, light off; then the wavelengths. What others left is gone."""
        self._integration_us, self._stale = 0, True
        async with self.link.exchange() as line:
            if self._usb is not None:
                self._wavelength_nm = await self._usb.prepare(line)
                self._pixels = self._wavelength_nm.size
                self._full_scale, self._integrations_s = self._usb.full_scale, self._usb.integration_s
                self._thermometer = self._usb.has_thermometer
                if self._lamp == "line":
                    await self._usb.light(line, False)
            else:
                await self._tell(line, TRIGGER_MODE, bytes([ON_DEMAND]))
                for kind, value, what in ((SCANS_TO_AVERAGE, b"\1\0", "averages"), (BOXCAR, b"\0", "boxcar")):
                    try:
                        await self._tell(line, kind, value)
                    except _NotKnown:  # not every model has it: then nobody can have set it either
                        self.facts[what] = "not settable"
                if self._lamp == "line":
                    await self._tell(line, LAMP, b"\0")
                self._wavelength_nm = await self._wavelengths(line)
                try:
                    await self._celsius(line)
                    self._thermometer = True
                except _NotKnown:
                    self._thermometer = False
                    self.facts["thermometer"] = "none"
        self.lit = False if self._lamp == "line" else None

    async def _integrations(self) -> Limits:
        return Limits(*self._integrations_s, f"{self._model}'s own")

    @property
    def has_thermometer(self) -> bool:
        return self._thermometer

    async def _read(self) -> float:
        if not self._thermometer:
            raise Refused(self.name, "this spectrometer does not tell the temperature of its sensor")
        async with self.link.exchange() as line:
            return await self._temperature_k(line)

    async def _expose(self, integration_s: float, averages: int) -> Spectrum:
        frames: list[np.ndarray[Any, np.dtype[np.float64]]] = []
        saturated = np.zeros(self._pixels, bool)
        async with self.link.exchange() as line:
            await self._set_integration(line, round(integration_s * 1e6))
            for _ in range(self._discard if self._stale else 0):
                await self._spectrum(line, integration_s)
            self._stale = False
            started_s = self.clock.now_s()
            for _ in range(averages):
                frame = await self._spectrum(line, integration_s)
                if frames and np.array_equal(frame, frames[-1]) and np.ptp(frame) > 0.0:
                    raise GarbledReply(
                        self.name, "two spectra in a row are the same to the last bit: the sensor was not read again"
                    )
                saturated |= frame >= self._full_scale
                frames.append(frame)
            ended_s = self.clock.now_s()
            sensor_k = await self._temperature_k(line) if self._thermometer else None
        return Spectrum(
            self._wavelength_nm, np.mean(frames, axis=0), saturated, integration_s, averages, started_s, ended_s,
            light="unknown" if self.lit is None else "on" if self.lit else "off", sensor_k=sensor_k,
            source=f"{self.name}, {self.identified}",
        )  # fmt: skip

    async def _light(self, on: bool) -> None:
        if self._lamp != "line":
            await super()._light(on)
        self._stale = True
        async with self.link.exchange() as line:
            await self._switch(line, on)

    async def _stop(self) -> None:
        """Breaks off the exposure that waits; the instrument is told to answer on demand, as it does."""
        self._stale = True
        async with self.link.exchange(urgent=True) as line:
            if self._usb is not None:
                await self._usb.settle(line)
            else:
                await self._tell(line, TRIGGER_MODE, bytes([ON_DEMAND]))

    async def _make_safe(self) -> None:
        """The light is off, where it is ours to switch: it bleaches colour centres, and warms a ruby."""
        if self._lamp != "line":
            await self._stop()
            return
        self._stale = True
        async with self.link.exchange(urgent=True) as line:
            await self._switch(line, False)

    # the instrument's words

    async def _switch(self, line: Line, on: bool) -> None:
        if self._usb is not None:
            await self._usb.light(line, on)
        else:
            await self._tell(line, LAMP, bytes([on]))

    async def _set_integration(self, line: Line, microseconds: int) -> None:
        """Told each time: whoever else reached the instrument meanwhile may have told it another."""
        self._stale = self._stale or microseconds != self._integration_us
        self._integration_us = 0
        if self._usb is not None:
            await self._usb.set_integration(line, microseconds)
        else:
            await self._tell(line, INTEGRATION_US, struct.pack("<I", microseconds))
        self._integration_us = microseconds

    async def _spectrum(self, line: Line, integration_s: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        # A sensor that runs freely may have to end one exposure before it begins ours.
        patience_s = 2.0 * integration_s / self.clock.speed + self.link.deadline_s
        if self._usb is not None:
            return await self._usb.spectrum(line, self._pixels, patience_s)
        size = 2 * self._pixels + self._metadata
        raw = await self._ask(line, self._spectrum_message, sizes=(size,), deadline_s=patience_s)
        return np.frombuffer(raw, "<u2", self._pixels, self._metadata).astype(np.float64)

    async def _temperature_k(self, line: Line) -> float:
        celsius = await self._usb.celsius(line) if self._usb is not None else await self._celsius(line)
        if not COLDEST_C <= celsius <= WARMEST_C:
            raise GarbledReply(self.name, f"its sensor is said to be at {celsius:g} °C, which no sensor is")
        return celsius + ZERO_CELSIUS_K

    async def _celsius(self, line: Line) -> float:
        return float(struct.unpack("<f", await self._ask(line, SENSOR_C, sizes=(4,)))[0])

    async def _model_there(self, line: Line) -> str:
        if not self._product:
            return self._model
        (product,) = struct.unpack("<H", await self._ask(line, PRODUCT, sizes=(2,)))
        if product != self._product:
            known = next((name for name, model in MODELS.items() if model.product == product), "")
            raise WrongInstrument(
                self.name,
                f"product {product:#06x}{f' ({known})' if known else ''} answers at {self.settings.link}, where the "
                f"station file ({self.settings.where}) expects an Ocean {self._model}, {self._product:#06x}",
            )
        return self._model

    async def _serial(self, line: Line) -> str:
        (length,) = await self._ask(line, SERIAL_LENGTH, sizes=(1,))
        if not 1 <= length <= LONGEST_SERIAL:
            raise GarbledReply(self.name, f"its serial number is said to have {length} characters")
        raw = (await self._ask(line, SERIAL, sizes=range(1, length + 1))).rstrip(b"\0 ")
        if not raw or not all(0x21 <= byte <= 0x7E for byte in raw):
            raise GarbledReply(self.name, f"its serial number is said to be {raw!r}, which is no text")
        return raw.decode("ascii")

    async def _wavelengths(self, line: Line) -> np.ndarray[Any, np.dtype[np.float64]]:
        (count,) = await self._ask(line, COEFFICIENTS, sizes=(1,))
        if not 2 <= count <= MOST_COEFFICIENTS:
            raise GarbledReply(self.name, f"its wavelengths are said to have {count} coefficients")
        numbers = [struct.unpack("<f", await self._ask(line, COEFFICIENT, bytes([index]), sizes=(4,)))[0]
                   for index in range(count)]  # fmt: skip
        if not all(math.isfinite(number) for number in numbers):
            raise GarbledReply(self.name, f"its wavelengths have the coefficients {numbers}, not all of them numbers")
        nm = np.polynomial.polynomial.polyval(np.arange(self._pixels, dtype=np.float64), numbers)
        if not (np.all(np.diff(nm) > 0.0) and nm[0] >= SHORTEST_NM and nm[-1] <= LONGEST_NM):
            raise GarbledReply(
                self.name,
                f"the coefficients {numbers} give wavelengths from {nm[0]:g} to {nm[-1]:g} nm that do not ascend "
                f"within {SHORTEST_NM:g} to {LONGEST_NM:g}",
            )
        self.facts["wavelengths"] = " ".join(f"{number:.9g}" for number in numbers)
        return np.asarray(nm, dtype=np.float64)

    # the protocol

    async def _ask(
        self, line: Line, kind: int, payload: bytes = b"", *, sizes: tuple[int, ...] | range,
        deadline_s: float | None = None,
    ) -> bytes:  # fmt: skip
        """A query's payload, of one of these sizes."""
        answer = await self._transact(line, kind, payload, ack=False, longest=max(sizes), deadline_s=deadline_s)
        if len(answer) not in sizes:
            raise GarbledReply(self.name, f"message {kind:#010x} was answered with {len(answer)} bytes")
        return answer

    async def _tell(self, line: Line, kind: int, payload: bytes) -> None:
        """A command, acknowledged."""
        if answer := await self._transact(line, kind, payload, ack=True, longest=framing.TRAILER_BYTES):
            raise GarbledReply(self.name, f"message {kind:#010x} was acknowledged with {len(answer)} bytes of payload")

    async def _transact(
        self, line: Line, kind: int, payload: bytes, *, ack: bool, longest: int, deadline_s: float | None = None
    ) -> bytes:
        """One request and its reply. Raises Refused by the instrument's own error, GarbledReply, LinkLost."""
        self._number = self._number % 0xFFFFFFFF + 1
        what = f"message {kind:#010x}"
        await line.send(framing.request(kind, payload, regarding=self._number, ack=ack, md5=self._md5))
        for _ in range(1 + DEFERRALS):
            raw = await line.read_exactly(framing.HEADER_BYTES, what=what, deadline_s=deadline_s)
            try:
                head = framing.head(raw, longest=max(longest, LONGEST_REFUSAL) if raw[4] & framing.NACK else longest)
                answer = framing.payload(head, raw, await line.read_exactly(head.remaining, what=what))
            except framing.Forbidden as error:
                raise GarbledReply(self.name, f"{what} was answered with what is no message: {error}") from None
            if head.kind != kind or (self._echoed and head.regarding != self._number):
                raise GarbledReply(
                    self.name,
                    f"{what}, request {self._number}: the answer is to message {head.kind:#010x}, request "
                    f"{head.regarding}",
                )
            if self._md5 and head.checksum != framing.MD5:
                raise GarbledReply(self.name, f"{what} was answered without a checksum")
            if head.flags & (framing.NACK | framing.EXCEPTION):
                words = framing.ERRORS.get(head.error, "not in our notes")
                none_such = head.error in (framing.UNKNOWN_TYPE, framing.NO_SUCH_INFORMATION)
                raise (_NotKnown if none_such else Refused)(self.name, f"{what}: error {head.error} ({words})")
            if head.error == framing.DEFERRED and not head.flags & framing.ACK:
                continue
            if not head.flags & (framing.ACK if ack else framing.RESPONSE):
                raise GarbledReply(self.name, f"{what} was answered with flags {head.flags:#06x}, which answer nothing")
            return answer
        raise Refused(self.name, f"{what} was put off {DEFERRALS} times")


def _either(device: str, where: str, options: Any, key: str, *words: str) -> str:
    """The option's word; the first where it is left out. Raises ValueError."""
    word = str(options.get(key, words[0]))
    if word not in words:
        raise ValueError(f"{device}: {key} is {' or '.join(words)}, not {word!r} ({where})")
    return word
