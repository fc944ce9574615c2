"""Spellman X-ray generator: the irradiation tube's kV and mA. Its facts, and which are unconfirmed, in README.md.

High voltage comes on through `hv(True)` and nothing else; `stop` and `make_safe` take it off.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from typing import Any, ClassVar

from rocksalt.devices import (
    ByteDevice,
    DeviceError,
    GarbledReply,
    Limits,
    Line,
    NotReached,
    Refused,
    Settable,
    WrongInstrument,
)
from rocksalt.values import Reading
from rocksalt_drivers.spellman_xrv.families import FAMILIES
from rocksalt_drivers.spellman_xrv.framing import ETX
from rocksalt_drivers.spellman_xrv.talking import ASK_KV, ASK_MA, ASK_MODEL, FULL_COUNTS, Talk, TubeStatus

MONITOR_RANGE = 1.2
"""A monitor's 4095 stands for so much of full scale."""
SET_KV, SET_MA = "10", "11"
NAMED = ("ux", "xrb")
"""Families that nothing but the model's name tells apart: 99,0 is high voltage off for one, local for the other."""
_SCALE = re.compile(r"\d{1,4}(\.\d+)?", re.ASCII)
_OFF_LOOKS = 3
"""How often a status may still say "on" after it was told to be off."""
_STEP_S = 0.5
"""Experiment time between two steps of a ramp."""
_LEAD_S = 2.0
"""By so much of a ramp a set-point may be ahead of the voltage."""


class SpellmanXrv(ByteDevice, Settable):
    """Options: `model` ("xrv", "ux", "xrb", "sl"), `ma`, `max_w`, `identity`, `full_scale_kv`, `full_scale_ma`,
    `monitor_range`, `watchdog_s`, `warning_s`, `arrives_within_kv`, `arrives_within_ma`, `checksum`, `spacing_s`.

    model            the family, whose numbers mean what they mean to no other
    ma               tube current, set and confirmed before high voltage comes on
    max_w            what the tube bears: limits kV to max_w / ma
    identity         what the generator's own model name must contain; required for ux and xrb
    full_scale_*     kV and mA at full scale; needed where the family can't be asked, compared where it can
    watchdog_s       the generator shuts off after so long without a word. XRB: 5 unless said. XRV: left alone unless
                     said. 0 switches it off
    warning_s        longest pre-warning, experiment time
    checksum         whether frames carry one; unless said, on serial lines and nowhere else
    """

    unit = "kV"
    identity = re.compile(r"^spellman (xrv|ux|xrb|sl) .")
    arrives_within = 0.5
    margin_s = 120.0
    poll_s = 0.5
    terminator = ETX  # ends a frame that was half said
    spacing_s = 0.15
    probe_s = 0.5
    serial_defaults: ClassVar = {"baud": "9600"}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        options, where = self.settings.options, self.settings.where
        self._model = str(options.get("model", "xrv"))
        if self._model not in FAMILIES:
            raise ValueError(f"{self.name}: model is one of {', '.join(FAMILIES)}, not {self._model!r} ({where})")
        self._family = FAMILIES[self._model]
        if "ma" not in options or not 0 < float(options["ma"]) < math.inf:
            raise ValueError(f"{self.name}: options.ma, the tube's current in mA, must be given, above 0 ({where})")
        self._ma = float(options["ma"])
        if self._model in NAMED and not str(options.get("identity", "")):
            raise ValueError(
                f"{self.name}: the families {' and '.join(NAMED)} differ in nothing but their numbers' meaning: "
                f"options.identity, a part of the name that the generator gives itself, must be given ({where})"
            )
        self._full_kv, self._full_ma = (float(options.get(f"full_scale_{unit}", 0.0)) for unit in ("kv", "ma"))
        if self._family.scale is None and not (self._full_kv > 0 and self._full_ma > 0):
            raise ValueError(
                f"{self.name}: a generator of the family {self._model} can't be asked for its scale: "
                f"options.full_scale_kv and options.full_scale_ma must be given ({where})"
            )
        self._talk = Talk(
            self.name,
            self.link,
            self._family,
            checked=bool(options.get("checksum", self.settings.link.is_serial)),
            monitor_range=float(options.get("monitor_range", MONITOR_RANGE)),
        )
        self._watchdog_s = options.get("watchdog_s", 5 if self._family.watchdog else None)
        if self._watchdog_s is not None and not (
            (self._family.watchdog or self._family.configuration)
            and type(self._watchdog_s) is int
            and 0 <= self._watchdog_s <= 10
        ):
            raise ValueError(
                f"{self.name}: watchdog_s is a whole number from 0 (off) to 10, and the families xrv and xrb alone "
                f"have one ({where})"
            )
        self._warning_s = float(options.get("warning_s", 30.0))
        self.arrives_within = float(options.get("arrives_within_kv", self.arrives_within))
        self._ramp_kv_per_s: float | None = None
        self._ma_now = math.nan
        self._in_doubt = False
        """Whether a command for high voltage was never confirmed: then it is switched off on connecting."""

    # hooks

    async def _identify(self) -> str:
        """The model's name, and that the status has as many flags as the family has."""
        async with self.link.exchange() as line:
            named = ",".join(await self._talk.ask(line, ASK_MODEL))
            if not named.strip():
                raise GarbledReply(self.name, f"{ASK_MODEL} (model) was answered with nothing")
            flags = self._family.flags[0]
            found = await self._talk.ask(line, flags.number)
        wanted = str(self.settings.options.get("identity", ""))
        if len(found) != flags.count or wanted not in named:
            raise WrongInstrument(
                self.name,
                f"{named!r} with {len(found)} status flags answers at {self.settings.link}, where the station file "
                f"({self.settings.where}) expects the family {self._model} with {flags.count}"
                + (f", and {wanted!r} in its name" if wanted else ""),
            )
        self._talk.bits(flags, found)
        self.facts["model"] = named
        return f"spellman {self._model} {named}"

    async def _prepare(self) -> None:
        """Out of the panel's control, watchdog set, and no set-point left over that would surprise anybody.

        High voltage that is on and within the station's limits stays on: a link was lost, and the run goes on. It goes
        off where the last command for it, on or off, was never confirmed.
        """
        async with self.link.exchange() as line:
            await self._learn_scale(line)
            status = await self._talk.look(line)
            if status.local:
                if self._family.go_remote is not None:
                    await self._talk.tell(line, *self._family.go_remote)
                    status = await self._talk.look(line)
                if status.local:
                    raise Refused(self.name, "its panel has control: switch it to remote")
            await self._set_watchdog(line)
            if status.live:
                upper_kv = min(self.settings.limits.upper, self._upper_kv())
                kv, ma = await self._talk.counts(line, ASK_KV), await self._talk.counts(line, ASK_MA)
                if kv <= self._to_counts(upper_kv) and ma <= self._ma_counts() and not self._in_doubt:
                    return
                self.facts["found"] = (
                    f"high voltage on, set to {kv * self._full_kv / FULL_COUNTS:.1f} kV, "
                    f"{ma * self._full_ma / FULL_COUNTS:.2f} mA: switched off"
                )
                await self._talk.tell(line, *self._family.off)
                self._in_doubt = (await self._talk.look(line)).live
                if self._in_doubt:
                    raise Refused(self.name, "high voltage was switched off, and its status says that it is on")
            await self._talk.tell(line, SET_KV, "0")
            await self._talk.tell(line, SET_MA, "0")

    async def _limits(self) -> Limits:
        upper_kv = self._upper_kv()
        whose = "full scale" if upper_kv == self._full_kv else "options.max_w at this current"
        return Limits(0.0, upper_kv, f"the generator's own, {whose}")

    async def _read(self) -> float:
        async with self.link.exchange() as line:
            return await self._monitors(line)

    async def _status(self) -> TubeStatus:
        async with self.link.exchange() as line:
            return await self._talk.look(line)

    async def _set_ramp(self, per_s: float) -> float:
        """The ramp is walked in steps from here: the generators' own is set in units that nobody has confirmed."""
        self._ramp_kv_per_s = per_s
        return per_s

    async def _set(self, target: float) -> None:
        """Walk the set-point to the target from where the voltage is, watching flags and monitors at each step.

        The set-point does not run away from a voltage that does not follow. Raises Refused with high voltage off, and
        as soon as it goes off; NotReached.
        """
        ramp, self._ramp_kv_per_s = self._ramp_kv_per_s, None
        here_kv = start_kv = await self._lit_kv()
        if ramp is not None:
            sign, way_kv, lead_kv = math.copysign(1.0, target - start_kv), abs(target - start_kv), _LEAD_S * ramp
            started_s = self.clock.now_s()
            until_s = started_s + 1.1 * way_kv / ramp + self.margin_s
            while True:
                planned_kv = (self.clock.now_s() - started_s + _STEP_S) * ramp
                gone_kv = min(planned_kv, sign * (here_kv - start_kv) + lead_kv + self.arrives_within)
                if gone_kv >= way_kv:
                    break
                if self.clock.now_s() > until_s:
                    raise NotReached(self.name, f"{here_kv:.1f} kV on the way to {target:g} kV: it does not follow")
                await self._step(min(start_kv + sign * gone_kv, self.limits.upper))
                await self.clock.sleep(_STEP_S)
                here_kv = await self._lit_kv()
        await self._step(target, confirm=True)
        await self._rise_to(target, within_s=self.margin_s)

    async def _lit_kv(self) -> float:
        """kV, with high voltage on. Raises Refused where it is not."""
        async with self.link.exchange() as line:
            self._must_be_on(await self._talk.look(line))
            return await self._monitors(line)

    async def _stop(self) -> None:
        """High voltage off. A tube that holds goes on irradiating what nobody watches; one that is off costs a
        warm-up."""
        await self._off()

    async def _make_safe(self) -> None:
        await self._off()

    # what else the program calls

    async def status(self) -> TubeStatus:
        """The generator's flags now. Raises LinkLost, GarbledReply."""
        status: TubeStatus = await self._noticing(self._status)
        return status

    async def readings(self) -> tuple[Reading, ...]:
        """kV, mA, and 0 or 1 for high voltage, interlock and fault. Polling this keeps the watchdog content."""
        kv = await self.read()
        status = await self.status()
        ma = Reading(f"{self.name}_ma", self._ma_now, "mA", kv.at_s)
        said = {"hv": status.hv_on, "interlock": status.interlock_closed, "fault": bool(status.faults)}
        at_s = self.clock.now_s()
        return kv, ma, *(Reading(f"{self.name}.{name}", float(flag), "", at_s) for name, flag in said.items())

    async def hv(self, on: bool) -> None:
        """High voltage on, at the lower limit and options.ma, confirmed by flags and monitors; or off.

        Raises Refused with an interlock open, a fault latched or the panel in control; NotReached where the monitors
        don't show it, and then it is off again; OutOfLimits; LinkLost; Stopped.
        """
        if on:
            await self._moving(self._switch_on(), "switching high voltage on")
        else:
            await self.make_safe()

    async def clear_faults(self) -> None:
        """Forget latched faults whose cause is gone: for a person to call, never for the program. Raises Refused."""
        async with self.link.exchange() as line:
            await self._talk.tell(line, self._family.clear)

    # high voltage

    async def _switch_on(self) -> None:
        stops, start_kv = self._stops, max(self.limits.lower, 0.0)
        self.limits.check(self.name, start_kv, self.unit)
        try:
            if not await self._noticing(self._command_on, start_kv):
                return
            await self._rise_to(start_kv, within_s=self._warning_s + self.margin_s, coming=True)
            self._in_doubt = False
        except (Refused, NotReached, GarbledReply):
            await self._noticing(self._off)
            raise
        except asyncio.CancelledError:
            if self._stops == stops:  # nobody stopped it: whoever waited went away, and nobody watches it come up
                with contextlib.suppress(DeviceError):  # what is in doubt is switched off when the line is back
                    await self._noticing(self._off)
            raise

    async def _command_on(self, start_kv: float) -> bool:
        """Check, set, read back, switch: one exchange. False where it is on already."""
        async with self.link.exchange() as line:
            status = await self._talk.look(line)
            self._must_be_sound(status)
            if status.hv_on and not status.imminent:
                return False
            if not status.live:
                await self._talk.put(line, SET_MA, ASK_MA, self._ma_counts())
                await self._talk.put(line, SET_KV, ASK_KV, self._to_counts(start_kv))
                self._in_doubt = True
                await self._talk.tell(line, *self._family.on)
        return True

    async def _rise_to(self, target_kv: float, *, within_s: float, coming: bool = False) -> None:
        """Until flags and monitors say so. `coming`: it may still be off. Raises Refused for what stands against it,
        NotReached."""
        until_s = self.clock.now_s() + within_s
        least_ma = self._ma - float(self.settings.options.get("arrives_within_ma", 0.02 * self._full_ma))
        while True:
            status: TubeStatus = await self._noticing(self._status)
            (self._must_be_sound if coming else self._must_be_on)(status)
            kv: float = await self._noticing(self._read)
            flows = target_kv <= 0.0 or self._ma_now >= least_ma  # without voltage no current comes
            if status.hv_on and not status.imminent and abs(kv - target_kv) <= self.arrives_within and flows:
                return
            if self.clock.now_s() > until_s:
                raise NotReached(
                    self.name,
                    f"{kv:.1f} kV, {self._ma_now:.2f} mA after {within_s:.0f} s, where {target_kv:g} kV, "
                    f"{self._ma:g} mA were asked for{', and the pre-warning still runs' if status.imminent else ''}",
                )
            await self.clock.sleep(self.poll_s)

    async def _off(self) -> None:
        """Off first, whatever the line's state; then its own word for it. An answer that got lost is no reason to
        believe: it is said again."""
        self._in_doubt = True
        try:
            await self._say_off()
        except GarbledReply:
            await self._say_off()
        self._in_doubt = False

    async def _say_off(self) -> None:
        off = self._talk.frame(self._family.off)
        async with self.link.exchange(urgent=True, first=off) as line:
            if self._talk.in_step is not line:  # else the answer was drained while the line found its beat again
                self._talk.done(await self._talk.hear(line, self._family.off[0]), self._family.off)
            for _ in range(_OFF_LOOKS):
                if not (await self._talk.look(line, name_faults=False)).live:
                    return
        raise Refused(self.name, "high voltage was switched off, and its status says that it is on: cut its power")

    def _must_be_sound(self, status: TubeStatus) -> None:
        if not status.interlock_closed:
            raise Refused(self.name, "an interlock is open: high voltage stays off")
        if status.faults:
            raise Refused(self.name, f"{', '.join(status.faults)}: high voltage stays off until the fault is cleared")
        if status.local:
            raise Refused(self.name, "its panel has control: switch it to remote")

    def _must_be_on(self, status: TubeStatus) -> None:
        self._must_be_sound(status)
        if not status.hv_on:
            raise Refused(self.name, "high voltage is off: it comes on by hv(True) and nothing else")

    # the protocol

    async def _learn_scale(self, line: Line) -> None:
        options = self.settings.options
        if self._family.scale is not None:
            found = await self._talk.ask(line, self._family.scale)
            if not (len(found) == 3 and all(map(_SCALE.fullmatch, found[:2])) and found[2] in ("0", "1")):
                raise GarbledReply(self.name, f"its scale is {found}: kV, mA and polarity 0 or 1 were expected")
            self._full_kv, self._full_ma = float(found[0]), float(found[1])
            for name, full in (("full_scale_kv", self._full_kv), ("full_scale_ma", self._full_ma)):
                if full <= 0 or float(options.get(name, full)) != full:
                    raise Refused(
                        self.name,
                        f"its own {name} is {full:g}, and {options.get(name)} in {self.settings.where}",
                    )
        if self._ma > self._full_ma:
            raise Refused(
                self.name, f"it gives {self._full_ma:g} mA at most; options.ma is {self._ma:g} ({self.settings.where})"
            )
        self.facts["full_scale_kv"], self.facts["full_scale_ma"] = self._full_kv, self._full_ma

    async def _set_watchdog(self, line: Line) -> None:
        if self._family.watchdog is not None:
            await self._talk.tell(line, self._family.watchdog[0], str(self._watchdog_s))
        elif self._family.configuration is not None and self._watchdog_s is not None:
            asks, tells, count, place = self._family.configuration
            found = await self._talk.fields(line, asks, count)
            if float(found[place]) != self._watchdog_s:
                wanted = (*found[:place], str(self._watchdog_s), *found[place + 1 :])
                await self._talk.tell(line, tells, *wanted)
                if (found := await self._talk.fields(line, asks, count)) != wanted:
                    raise Refused(self.name, f"its configuration was set to {wanted}, and is {found}")

    async def _monitors(self, line: Line) -> float:
        """kV; mA is kept beside it."""
        kv_share, ma_share = await self._talk.monitors(line)
        self._ma_now = ma_share * self._full_ma
        return kv_share * self._full_kv

    async def _step(self, kv: float, *, confirm: bool = False) -> None:
        async with self.link.exchange() as line:
            if confirm:
                await self._talk.put(line, SET_KV, ASK_KV, self._to_counts(kv))
            else:
                await self._talk.tell(line, SET_KV, str(self._to_counts(kv)))

    def _to_counts(self, kv: float) -> int:
        """Rounded down: a limit is never passed by a rounding. 1e-9 of a count is the arithmetic's own."""
        return min(math.floor(max(kv, 0.0) / self._full_kv * FULL_COUNTS + 1e-9), FULL_COUNTS)

    def _ma_counts(self) -> int:
        return math.floor(self._ma / self._full_ma * FULL_COUNTS + 1e-9)

    def _upper_kv(self) -> float:
        return min(self._full_kv, float(self.settings.options.get("max_w", math.inf)) / self._ma)
