"""Spellman X-ray generator: the irradiation tube's kV and mA. Its facts, and which are unconfirmed, in README.md.

High voltage comes on through `hv(True)` and nothing else; `stop` and `make_safe` take it off.
"""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from rocksalt.devices import (
    ByteDevice,
    GarbledReply,
    Limits,
    Line,
    NotReached,
    Refused,
    Settable,
    WrongInstrument,
)
from rocksalt.values import Reading
from rocksalt_drivers.spellman_xrv.families import FAMILIES, Command, Flags, Monitor
from rocksalt_drivers.spellman_xrv.framing import ETX, LONGEST, STX, BadFrame, packed, unpacked

FULL_COUNTS = 4095
"""Set-points and monitors are 12 bit."""
MONITOR_RANGE = 1.2
"""A monitor's 4095 stands for so much of full scale."""
SET_KV, SET_MA, ASK_KV, ASK_MA, ASK_MODEL, ASK_SOFTWARE = "10", "11", "14", "15", "26", "23"
_ERRORS = {"1": "out of range, or not now", "2": "command not known"}
_COUNTS = re.compile(r"\d{1,4}", re.ASCII)
_SCALE = re.compile(r"\d{1,4}(\.\d+)?", re.ASCII)
_FIELD = re.compile(r"\d{1,6}(\.\d+)?", re.ASCII)
_BEATS = (ASK_SOFTWARE, ASK_KV, ASK_MA, "22")
_LONGEST_LAG = 4096
"""Bytes or replies out of turn after which a line is given up."""
_OFF_LOOKS = 3
"""How often a status may still say "on" after it was told to be off."""
_STEP_S = 0.5
"""Experiment time between two steps of a ramp."""
_LEAD_S = 2.0
"""By so much of a ramp a set-point may be ahead of the voltage."""


@dataclass(frozen=True, slots=True)
class TubeStatus:
    """What the generator's flags say; `faults` in words."""

    hv_on: bool
    interlock_closed: bool
    imminent: bool
    local: bool
    faults: tuple[str, ...]

    @property
    def live(self) -> bool:
        """Whether high voltage is on or on its way: units may differ in which flag the pre-warning shows."""
        return self.hv_on or self.imminent


class SpellmanXrv(ByteDevice, Settable):
    """Options: `model` ("xrv", "ux", "xrb", "sl"), `ma`, `max_w`, `identity`, `full_scale_kv`, `full_scale_ma`,
    `monitor_range`, `watchdog_s`, `warning_s`, `arrives_within_kv`, `arrives_within_ma`, `checksum`, `spacing_s`.

    model            the family, whose numbers mean what they mean to no other
    ma               tube current, set and confirmed before high voltage comes on
    max_w            what the tube bears: limits kV to max_w / ma
    identity         what the generator's own model name must contain
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
        self._full_kv, self._full_ma = (float(options.get(f"full_scale_{unit}", 0.0)) for unit in ("kv", "ma"))
        if self._family.scale is None and not (self._full_kv > 0 and self._full_ma > 0):
            raise ValueError(
                f"{self.name}: a generator of the family {self._model} can't be asked for its scale: "
                f"options.full_scale_kv and options.full_scale_ma must be given ({where})"
            )
        self._range = float(options.get("monitor_range", MONITOR_RANGE))
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
        self._checked = bool(options.get("checksum", self.settings.link.is_serial))
        self._ramp_kv_per_s: float | None = None
        self._ma_now = math.nan
        self._found_on: Line | None = None
        self._beats = 0
        self.link.resync = self._find_the_beat

    # hooks

    async def _identify(self) -> str:
        """The model's name, and that the status has as many flags as the family has."""
        async with self.link.exchange() as line:
            named = ",".join(await self._ask(line, ASK_MODEL))
            if not named.strip():
                raise GarbledReply(self.name, f"{ASK_MODEL} (model) was answered with nothing")
            flags = self._family.flags[0]
            found = await self._ask(line, flags.number)
        wanted = str(self.settings.options.get("identity", ""))
        if len(found) != flags.count or wanted not in named:
            raise WrongInstrument(
                self.name,
                f"{named!r} with {len(found)} status flags answers at {self.settings.link}, where the station file "
                f"({self.settings.where}) expects the family {self._model} with {flags.count}"
                + (f", and {wanted!r} in its name" if wanted else ""),
            )
        self._bits(flags, found)
        self.facts["model"] = named
        return f"spellman {self._model} {named}"

    async def _prepare(self) -> None:
        """Out of the panel's control, watchdog set, and no set-point left over that would surprise anybody.

        High voltage that is on and within the station's limits stays on: a link was lost, and the run goes on.
        """
        async with self.link.exchange() as line:
            await self._learn_scale(line)
            status = await self._look(line)
            if status.local:
                if self._family.go_remote is not None:
                    await self._tell(line, *self._family.go_remote)
                    status = await self._look(line)
                if status.local:
                    raise Refused(self.name, "its panel has control: switch it to remote")
            await self._set_watchdog(line)
            if status.live:
                upper_kv = min(self.settings.limits.upper, self._upper_kv())
                kv = self._kilovolt(await self._counts(line, ASK_KV))
                ma = self._full_ma * await self._counts(line, ASK_MA) / FULL_COUNTS
                if kv <= upper_kv and ma <= self._ma:
                    return
                self.facts["found"] = f"high voltage on, set to {kv:.1f} kV, {ma:.2f} mA: switched off"
                await self._tell(line, *self._family.off)
            await self._tell(line, SET_KV, "0")
            await self._tell(line, SET_MA, "0")

    async def _limits(self) -> Limits:
        upper_kv = self._upper_kv()
        whose = "full scale" if upper_kv == self._full_kv else "options.max_w at this current"
        return Limits(0.0, upper_kv, f"the generator's own, {whose}")

    async def _read(self) -> float:
        async with self.link.exchange() as line:
            return await self._monitors(line)

    async def _status(self) -> TubeStatus:
        async with self.link.exchange() as line:
            return await self._look(line)

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
            self._must_be_on(await self._look(line))
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
            await self._tell(line, self._family.clear)

    # high voltage

    async def _switch_on(self) -> None:
        stops, start_kv = self._stops, max(self.limits.lower, 0.0)
        self.limits.check(self.name, start_kv, self.unit)
        try:
            if not await self._noticing(self._command_on, start_kv):
                return
            await self._rise_to(start_kv, within_s=self._warning_s + self.margin_s, coming=True)
        except (Refused, NotReached, GarbledReply):
            await self._noticing(self._off)
            raise
        except asyncio.CancelledError:
            if self._stops == stops:  # nobody stopped it: whoever waited went away, and nobody watches it come up
                await self._noticing(self._off)
            raise

    async def _command_on(self, start_kv: float) -> bool:
        """Check, set, read back, switch: one exchange. False where it is on already."""
        async with self.link.exchange() as line:
            status = await self._look(line)
            self._must_be_sound(status)
            if status.hv_on and not status.imminent:
                return False
            if not status.live:
                await self._put(line, SET_MA, ASK_MA, math.floor(self._ma / self._full_ma * FULL_COUNTS + 1e-9))
                await self._put(line, SET_KV, ASK_KV, self._to_counts(start_kv))
                await self._tell(line, *self._family.on)
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
        try:
            await self._say_off()
        except GarbledReply:
            await self._say_off()

    async def _say_off(self) -> None:
        off = packed(self._family.off, checked=self._checked)
        async with self.link.exchange(urgent=True, first=off) as line:
            if self._found_on is not line:  # else the answer was drained while the line found its beat again
                self._done(await self._hear(line, self._family.off[0]), self._family.off)
            for _ in range(_OFF_LOOKS):
                if not (await self._look(line, name_faults=False)).live:
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
            found = await self._ask(line, self._family.scale)
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
            await self._tell(line, self._family.watchdog[0], str(self._watchdog_s))
        elif self._family.configuration is not None and self._watchdog_s is not None:
            asks, tells, count, place = self._family.configuration
            found = await self._fields(line, asks, count)
            if float(found[place]) != self._watchdog_s:
                wanted = (*found[:place], str(self._watchdog_s), *found[place + 1 :])
                await self._tell(line, tells, *wanted)
                if (found := await self._fields(line, asks, count)) != wanted:
                    raise Refused(self.name, f"its configuration was set to {wanted}, and is {found}")

    async def _fields(self, line: Line, number: str, count: int) -> tuple[str, ...]:
        found = await self._ask(line, number)
        if len(found) != count or not all(map(_FIELD.fullmatch, found)):
            raise GarbledReply(self.name, f"{number} was answered {found}: {count} numbers were expected")
        return found

    async def _monitors(self, line: Line) -> float:
        """kV; mA is kept beside it. An XRB's watchdog is refreshed with it."""
        family = self._family
        if family.watchdog is not None:
            await self._tell(line, family.watchdog[1])
        kv = await self._ask(line, family.kv.number)
        ma = kv if family.ma.number == family.kv.number else await self._ask(line, family.ma.number)
        here_kv = self._share(family.kv, kv) * self._full_kv
        self._ma_now = self._share(family.ma, ma) * self._full_ma
        return here_kv

    def _share(self, monitor: Monitor, found: tuple[str, ...]) -> float:
        """A monitor's part of full scale. Raises GarbledReply, and Refused where its converter is at its end."""
        bad = [text for text in found if _COUNTS.fullmatch(text) is None or int(text) > FULL_COUNTS]
        few = len(found) <= monitor.place if monitor.count is None else len(found) != monitor.count
        if bad or few:
            raise GarbledReply(self.name, f"monitors {monitor.number} were answered {found}, not counts 0 to 4095")
        if (counts := int(found[monitor.place])) == FULL_COUNTS:
            raise Refused(self.name, f"monitor {monitor.number} is at the end of its converter: it can't be believed")
        return counts * self._range / FULL_COUNTS

    async def _look(self, line: Line, *, name_faults: bool = True) -> TubeStatus:
        said: dict[str, list[bool]] = {"hv": [], "shut": [], "imminent": [], "local": []}
        faults: list[str] = []
        for flags in self._family.flags:
            bits = self._bits(flags, await self._ask(line, flags.number))
            said["hv"] += [bits[at] for at in (flags.hv_on,) if at is not None]
            said["shut"] += [bits[at] for at in flags.shut]
            said["imminent"] += [bits[at] for at in (flags.imminent,) if at is not None]
            said["local"] += [bits[at] for at in (flags.local,) if at is not None]
            said["local"] += [not bits[at] for at in (flags.remote,) if at is not None]
            faults += [text for at, text in flags.wrong.items() if bits[at]]
        if faults and name_faults and (latched := self._family.faults) is not None:
            bits = self._bits(latched, await self._ask(line, latched.number))
            faults = [text for at, text in latched.wrong.items() if bits[at]] or faults
        return TubeStatus(
            hv_on=any(said["hv"]),
            interlock_closed=all(said["shut"]),
            imminent=any(said["imminent"]),
            local=any(said["local"]),
            faults=tuple(faults),
        )

    def _bits(self, flags: Flags, found: tuple[str, ...]) -> list[bool]:
        if len(found) != flags.count or not set(found) <= {"0", "1"}:
            raise GarbledReply(self.name, f"{flags.number} was answered {found}: {flags.count} flags were expected")
        return [text == "1" for text in found]

    async def _step(self, kv: float, *, confirm: bool = False) -> None:
        async with self.link.exchange() as line:
            if confirm:
                await self._put(line, SET_KV, ASK_KV, self._to_counts(kv))
            else:
                await self._tell(line, SET_KV, str(self._to_counts(kv)))

    async def _put(self, line: Line, number: str, asks: str, counts: int) -> None:
        """A set-point, believed when it is read back."""
        await self._tell(line, number, str(counts))
        if (found := await self._counts(line, asks)) != counts:
            raise Refused(self.name, f"set-point {number} was set to {counts} counts, and {asks} says {found}")

    async def _counts(self, line: Line, number: str) -> int:
        found = await self._ask(line, number)
        if len(found) != 1 or _COUNTS.fullmatch(found[0]) is None or int(found[0]) > FULL_COUNTS:
            raise GarbledReply(self.name, f"{number} was answered {found}: counts from 0 to 4095 were expected")
        return int(found[0])

    def _to_counts(self, kv: float) -> int:
        """Rounded down: a limit is never passed by a rounding. 1e-9 of a count is the arithmetic's own."""
        return min(math.floor(max(kv, 0.0) / self._full_kv * FULL_COUNTS + 1e-9), FULL_COUNTS)

    def _kilovolt(self, counts: int) -> float:
        return self._full_kv * counts / FULL_COUNTS

    def _upper_kv(self) -> float:
        return min(self._full_kv, float(self.settings.options.get("max_w", math.inf)) / self._ma)

    async def _tell(self, line: Line, *command: str) -> None:
        self._done(await self._ask(line, *command), command)

    def _done(self, found: tuple[str, ...], command: Command) -> None:
        if found == ("$",):
            return
        said = ",".join(found)
        if len(found) == 1 and re.fullmatch(r"\d", said, re.ASCII):
            raise Refused(self.name, f"{','.join(command)} met error {said} ({_ERRORS.get(said, 'not in the notes')})")
        raise GarbledReply(self.name, f"{','.join(command)} was answered {said!r}: $ or an error was expected")

    async def _ask(self, line: Line, *command: str) -> tuple[str, ...]:
        await line.send(packed(command, checked=self._checked))
        return await self._hear(line, command[0])

    async def _hear(self, line: Line, number: str) -> tuple[str, ...]:
        """The fields of the reply to this command. Raises GarbledReply for any other's."""
        answered, *fields = await self._frame(line, number)
        if not answered.isdecimal() or int(answered) != int(number) or not fields:
            raise GarbledReply(self.name, f"{number} was answered {answered},{','.join(fields)}: another's, or nothing")
        return tuple(fields)

    async def _frame(self, line: Line, number: str) -> tuple[str, ...]:
        what = f"command {number}"
        if (byte := await line.read_exactly(1, what=what)) != STX:
            raise GarbledReply(self.name, f"{what} was answered with {byte!r}, where a frame begins with STX")
        inside = bytearray()
        while (byte := await line.read_exactly(1, what=what)) != ETX:
            inside += byte
            if not 0x20 <= byte[0] <= 0x7F or len(inside) > LONGEST:
                raise GarbledReply(self.name, f"{what} was answered with {bytes(inside[:40])!r}, which is no frame")
        try:
            return unpacked(bytes(inside), checked=self._checked)
        except BadFrame as error:
            raise GarbledReply(self.name, f"{what} was answered with {bytes(inside[:40])!r}: {error}") from None

    async def _find_the_beat(self, line: Line) -> None:
        """Replies carry their command's number and nothing more: two questions, the second another one each time, must
        be answered at once and in turn. Whatever comes between is late, and the two are asked again."""
        self._beats += 1
        await line.send("")  # ends what was half said
        pair = (ASK_MODEL, _BEATS[self._beats % len(_BEATS)])
        for _ in range(_LONGEST_LAG // 256):
            if all([await self._in_turn(line, number) for number in pair]):
                self._found_on = line
                return
        raise GarbledReply(self.name, "its answers stay out of turn: could not resynchronise")

    async def _in_turn(self, line: Line, number: str) -> bool:
        """Ask, and read until the answer comes; whether it came at once."""
        await line.send(packed((number,), checked=self._checked))
        for skipped in range(_LONGEST_LAG):
            try:
                await self._hear(line, number)
                return skipped == 0
            except GarbledReply:
                continue
        raise GarbledReply(self.name, f"command {number} is not answered among {_LONGEST_LAG} replies")
