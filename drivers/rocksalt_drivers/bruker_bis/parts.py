"""The parts of an instrument behind BIS that go somewhere: axes, generator, temperature. And the table of all parts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

from rocksalt.devices import ANYWHERE, GarbledReply, Limits, RampTooFast, Refused, Settable
from rocksalt_drivers.bruker_bis.detector import BisDetector
from rocksalt_drivers.bruker_bis.driver import BrukerBis, says
from rocksalt_drivers.bruker_bis.messages import BadMessage, Message
from rocksalt_drivers.bruker_bis.session import ABORT
from rocksalt_drivers.bruker_bis.shutter import BisShutter

KELVIN_AT_0_C: Final = 273.15
SCALES_AGREE_K: Final = 0.5  # how far TEMPK and TEMPC may be apart: some programs have 273 for 273.15
HOTTEST_K: Final = 3000.0  # no stage of a D8 goes so far; of general knowledge, unconfirmed
AXES: Final = {
    "2theta": ("ANGLESTATUS", "ANGLES", 0, 4), "omega": ("ANGLESTATUS", "ANGLES", 1, 4),
    "phi": ("ANGLESTATUS", "ANGLES", 2, 4), "chi": ("ANGLESTATUS", "ANGLES", 3, 4),
    "x": ("XYZSTATUS", "XYZ", 0, 3), "y": ("XYZSTATUS", "XYZ", 1, 3), "z": ("XYZSTATUS", "XYZ", 2, 3),
    "distance": ("DISTANCESTATUS", "DISTANCE", 0, 1),
}  # fmt: skip
"""Part: the message that tells where it stands, the argument, the place in it, and of how many."""


class _Unhurried(BrukerBis, Settable):
    """A part that goes at BIS's own pace: the manual has no verb for its speed."""

    async def _set_ramp(self, per_s: float) -> float:
        raise RampTooFast(
            self.name,
            f"BIS moves {self.part} at its own speed, and no verb of its manual sets one: a ramp of {per_s:g} "
            f"{self.unit}/s can't be promised, and nothing was moved; take `ramp` out of {self.settings.where}",
        )


class BisAxis(_Unhurried):
    """An axis of the goniometer. BIS tells positions when a drive has ended, not while it moves."""

    margin_s = 600.0
    """Experiment time: a full turn of a slow axis, and what is queued before it."""

    async def _limits(self) -> Limits:
        """The instrument's own for this axis; those that forbid collisions between axes it guards by itself."""
        found = await self._say("GetAxesLimits", then=says("AXESLIMITS"))
        low, high = f"{self.part.upper()}LOW", f"{self.part.upper()}HIGH"
        if low not in found.arguments and high not in found.arguments:
            return ANYWHERE
        async with self._in_its_name():
            return Limits(found.number(low), found.number(high), "the instrument's own, AXESLIMITS")

    async def _read(self) -> float:
        verb, argument, place, count = AXES[self.part]
        status = await self._said(verb, ask="GetAxesPositions")
        async with self._in_its_name():
            here = status.numbers(argument, count)[place]
        # Where it stands may lie a little outside its limits, which can be set; a whole range outside it is nowhere.
        low, high = self.own_limits.lower, self.own_limits.upper
        if math.isfinite(high - low) and not low - (high - low) <= here <= high + (high - low):
            raise GarbledReply(
                self.name, f"{here:g} {self.unit} is far beyond the axis, which goes {low:g} to {high:g}"
            )
        return here

    async def _set(self, target: float) -> None:
        await self._must_be_normal()
        await self._say("Drive", {self.part.capitalize(): float(target)}, moves=True)

    async def _stop(self) -> None:
        """Only HardAbort stops a motion; it closes the shutters and empties the queue as well."""
        await self._say_now(ABORT)

    async def _make_safe(self) -> None:
        await self._stop()


class _Angle(BisAxis):
    unit = "deg"
    arrives_within = 0.01


class _Stage(BisAxis):
    unit = "mm"
    arrives_within = 0.01


class _Distance(BisAxis):
    unit = "cm"
    arrives_within = 0.01


class BisGenerator(_Unhurried):
    """High voltage or current of the tube. Options: `safe` ("standby", or "stay" where it is).

    BIS takes both in one command, so the one that is not meant is said as it was wanted last.
    """

    margin_s = 900.0
    """Experiment time: ramps of a cold tube take minutes."""
    most_w: float = math.inf
    _most: Mapping[str, float] = MappingProxyType({"KV": math.inf, "MA": math.inf})

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._safe = str(self.settings.options.get("safe", "standby"))
        if self._safe not in ("standby", "stay"):
            raise ValueError(f'{self.name}: safe is "standby" or "stay", not {self._safe!r} ({self.settings.where})')

    async def _limits(self) -> Limits:
        found = await self._say("GetGeneratorLimits", then=lambda message: "MAXKV" in message.arguments)
        async with self._in_its_name():
            self.most_w = found.number("MAXPOWERW")
            self.facts["max_power_w"] = self.most_w
            low, high = (found.number(f"{end}{self.part.upper()}") for end in ("MIN", "MAX"))
            self._most = {name: found.number(f"MAX{name}") for name in ("KV", "MA")}
        return Limits(low, high, f"the instrument's own, {found.verb}")

    async def _read(self) -> float:
        async with self._in_its_name():
            return (await self._status()).number(self.part.upper())

    async def _set(self, target: float) -> None:
        status = await self._status()
        async with self._in_its_name():
            kv, ma = self._wanted(status)
        kv, ma = (target, ma) if self.part == "kv" else (kv, target)
        if kv * ma > self.most_w:  # kV times mA is W
            raise Refused(self.name, f"{kv:g} kV and {ma:g} mA are {kv * ma:g} W, above the tube's {self.most_w:g} W")
        await self._say("SetGeneratorStatus", {"kV": float(kv), "mA": float(ma)}, moves=True)

    async def _stop(self) -> None:
        """Stay where the ramp has come to, as far as BIS has told. One that stands by is told to go on doing so: a
        number would wake it."""
        async with self._in_its_name():
            status = await self.session.first("GENERATORSTATUS")
            if status.flag("STANDBY"):
                await self._say_now("SetGeneratorStatus", {"StandBy": 1})
                return
            try:
                kv, ma = self._here(status)
                credible = self.own_limits.lower <= {"kv": kv, "ma": ma}[self.part] <= self.own_limits.upper
            except BadMessage:
                credible = False
            if not credible:  # heard wrongly: BIS would refuse it
                kv, ma = self._here(await self._status())
        await self._say_now("SetGeneratorStatus", {"kV": kv, "mA": ma})

    async def _make_safe(self) -> None:
        """Standby. It may be queued behind a scan: where it shows no effect, what is queued is dropped first."""
        if self._safe == "stay":
            await self._stop()
            return

        def standing_by(message: Message) -> bool:
            return message.verb == "GENERATORSTATUS" and message.arguments.get("STANDBY", "").lower() == "yes"

        await self._say_now("SetGeneratorStatus", {"StandBy": 1}, done=standing_by, or_else=ABORT)

    async def _status(self) -> Message:
        status = await self._say("GetGeneratorStatus", then=says("GENERATORSTATUS"))
        async with self._in_its_name():
            status.flag("STANDBY")  # one that lacks any of them was cut
            self._here(status)
        return status

    def _here(self, status: Message) -> tuple[float, float]:
        """kV and mA. Raises BadMessage for what no tube has: less than nothing, or twice its most."""
        kv, ma = status.number("KV"), status.number("MA")
        if not (0.0 <= kv <= 2.0 * self._most["KV"] and 0.0 <= ma <= 2.0 * self._most["MA"]):
            text = f"{kv:g} kV and {ma:g} mA are not of a tube of {self._most['KV']:g} kV and {self._most['MA']:g} mA"
            raise BadMessage(text, status.verb)
        return kv, ma

    def _wanted(self, status: Message) -> tuple[float, float]:
        kv, ma = (
            status.number(f"{name}TARGET" if f"{name}TARGET" in status.arguments else name) for name in ("KV", "MA")
        )
        return kv, ma


class _Voltage(BisGenerator):
    unit = "kV"
    arrives_within = 0.5


class _Current(BisGenerator):
    unit = "mA"
    arrives_within = 0.5


class BisTemperature(BrukerBis, Settable):
    """Temperature at the sample. Options: `safe` ("hold", the default, or "off").

    BIS speaks kelvin where its version knows TEMPK, and degrees Celsius where it does not: it is told as it tells.
    """

    unit = "K"
    arrives_within = 0.5
    margin_s = 3600.0
    poll_s = 5.0
    _per_min: float | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._safe = str(self.settings.options.get("safe", "hold"))
        if self._safe not in ("hold", "off"):
            raise ValueError(f'{self.name}: safe is "hold" or "off", not {self._safe!r} ({self.settings.where})')

    async def _read(self) -> float:
        async with self._in_its_name():
            return self._kelvin(await self._status())

    async def _set(self, target: float) -> None:
        status = await self._status()
        ramp = {} if self._per_min is None else {"RampRateDPM": self._per_min}
        await self._say("SetSampleTemperature", self._place(status, target) | ramp, moves=True)

    async def _set_ramp(self, per_s: float) -> float:
        """A ramp is part of a set-point: the temperature that it has is set, with the ramp, and the ramp read back."""
        status = await self._status()
        async with self._in_its_name():
            here_k = self._kelvin(status)
        self._per_min = 60.0 * per_s
        await self._say(
            "SetSampleTemperature", self._place(status, here_k) | {"RampRateDPM": self._per_min}, moves=True
        )
        status = await self._status()
        # Older versions of the manual write RAMPTRATEDPM.
        name = "RAMPRATEDPM" if "RAMPRATEDPM" in status.arguments else "RAMPTRATEDPM"
        async with self._in_its_name():
            return status.number(name) / 60.0

    async def _stop(self) -> None:
        """The set-point comes to the temperature that BIS told last."""
        async with self._in_its_name():
            status = await self.session.first("SAMPLETEMPERATURESTATUS")
            try:
                here_k = self._kelvin(status)
            except BadMessage:  # heard wrongly
                status = await self._status()
                here_k = self._kelvin(status)
        await self._say_now("SetSampleTemperature", self._place(status, here_k))

    async def _make_safe(self) -> None:
        """As the station file says; above the upper limit, and where BIS tells no temperature, off all the same."""
        status = self.session.said.get("SAMPLETEMPERATURESTATUS")
        with suppress(BadMessage):
            if self._safe == "hold" and status is not None and self._kelvin(status) <= self.settings.limits.upper:
                await self._stop()
                return
        await self._say_now("SampleTemperature", {"Status": "Off"})

    async def _status(self) -> Message:
        return await self._say("GetSampleTemperatureStatus", then=says("SAMPLETEMPERATURESTATUS"))

    def _kelvin(self, status: Message) -> float:
        """Told in two scales where the version knows kelvin: both must be the same temperature. Raises BadMessage."""
        kelvin = status.number("TEMPC") + KELVIN_AT_0_C
        if "TEMPK" in status.arguments:
            if abs(status.number("TEMPK") - kelvin) > SCALES_AGREE_K:
                text = f"TEMPK is {status.number('TEMPK'):g}, and TEMPC says {kelvin:g} K"
                raise BadMessage(text, status.verb)
            kelvin = status.number("TEMPK")
        if not 0.0 <= kelvin <= HOTTEST_K:
            raise BadMessage(f"{kelvin:g} K is no temperature of a sample", status.verb)
        return kelvin

    def _place(self, status: Message, kelvin: float) -> dict[str, str | float | int]:
        if "TEMPK" in status.arguments:
            return {"TEMPK": float(kelvin)}
        return {"TEMPC": float(kelvin - KELVIN_AT_0_C)}


PARTS: Final[dict[str, type[BrukerBis]]] = {
    **dict.fromkeys(("2theta", "omega", "phi", "chi"), _Angle),
    **dict.fromkeys(("x", "y", "z"), _Stage),
    "distance": _Distance,
    "kv": _Voltage,
    "ma": _Current,
    "temperature": BisTemperature,
    "shutter": BisShutter,
    "detector": BisDetector,
}
