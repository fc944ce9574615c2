"""Which command number means what to which family of generators: the driver's own table.

The same number says different things: 98 is high voltage on or off (XRV), off alone (SL); 28 asks an XRV for its scale
and sets an XRB's watchdog. Marks of how sure each entry is stand in README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Command = tuple[str, ...]
"""A command's number, then its arguments, as they are written."""


@dataclass(frozen=True, slots=True)
class Flags:
    """Where a family keeps what the guards ask for. `number` is the query, `count` how many flags answer it.

    shut     flags that must all be 1 for every interlock to be closed
    wrong    flag and what is wrong when it is 1
    """

    number: str
    count: int
    hv_on: int | None = None
    shut: tuple[int, ...] = ()
    wrong: Mapping[int, str] = field(default_factory=dict)
    imminent: int | None = None
    local: int | None = None
    remote: int | None = None


@dataclass(frozen=True, slots=True)
class Monitor:
    """Where a voltage or current is read: query, how many numbers answer it (None: not known), and which is it."""

    number: str
    count: int | None
    place: int


@dataclass(frozen=True, slots=True)
class Family:
    """One family's command table; None is what it does not have, or what nobody has told us of.

    faults          query, count and names of latched faults
    scale           the query for full-scale kV, mA and polarity; without it the station file says them
    go_remote       what takes the generator from its panel's control
    configuration   (query, command, how many fields, place of the watchdog, in seconds as far as is known)
    watchdog        the command that sets the watchdog alone, and the one that only refreshes it
    """

    kv: Monitor
    ma: Monitor
    flags: tuple[Flags, ...]
    on: Command
    off: Command
    clear: str
    faults: Flags | None = None
    scale: str | None = None
    go_remote: Command | None = None
    configuration: tuple[str, str, int, int] | None = None
    watchdog: tuple[str, str] | None = None


_XRV_FAULTS: Final = {
    2: "over-voltage", 3: "under-voltage", 4: "over-current", 5: "under-current", 6: "over-temperature, anode",
    7: "over-temperature, cathode", 8: "inverter fault, anode", 9: "inverter fault, cathode",
    10: "filament feedback", 11: "arc, anode", 12: "arc, cathode", 13: "cable, anode", 14: "cable, cathode",
    15: "AC line, anode", 16: "AC line, cathode", 17: "DC rail, anode", 18: "DC rail, cathode",
    19: "supply of -15 V", 20: "supply of +15 V", 21: "watchdog", 22: "board over-temperature", 23: "over-power",
    24: "kV difference", 25: "mA difference", 26: "inverter not ready",
}  # fmt: skip
"""0 (filament select) and 1 (near over-temperature) are news, not faults."""
_THREE: Final = Flags("22", 3, hv_on=0, shut=(1,), wrong={2: "fault"})

FAMILIES: Final[Mapping[str, Family]] = {
    "xrv": Family(
        kv=Monitor("19", 8, 0),
        ma=Monitor("19", 8, 1),
        flags=(Flags("22", 17, hv_on=0, shut=(1, 2, 16), wrong={4: "fault"}, imminent=8, local=5),),
        on=("98", "1"),
        off=("98", "0"),
        clear="31",
        faults=Flags("68", 27, wrong=_XRV_FAULTS),
        scale="28",
        go_remote=("99", "1"),
        configuration=("27", "09", 12, 11),
    ),
    "ux": Family(
        kv=Monitor("20", 7, 2),
        ma=Monitor("20", 7, 3),
        flags=(_THREE,),
        on=("99", "1"),
        off=("99", "0"),
        clear="74",
        scale="28",
    ),
    "xrb": Family(
        kv=Monitor("60", 1, 0),
        ma=Monitor("61", 1, 0),
        flags=(_THREE,),
        on=("98", "1"),
        off=("98", "0"),
        clear="74",
        watchdog=("28", "27"),
    ),
    "sl": Family(
        kv=Monitor("20", None, 0),
        ma=Monitor("20", None, 1),
        flags=(
            Flags("22", 1, hv_on=0),
            Flags(
                "32", 11, shut=(0,), remote=10,
                wrong={1: "inhibited", 2: "over-voltage", 3: "over-current", 4: "over-power", 5: "regulator", 6: "arc",
                       7: "over-temperature", 8: "overload", 9: "system fault"},
            ),
        ),
        on=("99",),
        off=("98",),
        clear="52",
    ),
}  # fmt: skip
