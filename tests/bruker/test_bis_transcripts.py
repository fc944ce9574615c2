"""Conversations as the manual has them, byte for byte: commands on one socket, what comes of them on another.

Taken from the notes on Bruker's help file (BIS.HLP) and on areaDetector's client, never from our own programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from bruker.bench import Wires, settings_of
from devices.transcripts import Transcript
from drivers.bench import clock, in_virtual_time
from rocksalt.devices import GarbledReply, LinkLost, Refused, WrongInstrument
from rocksalt_drivers.bruker_bis.driver import BrukerBis

GREETING = (
    b"[BISVERSION /VERSION=2.0.0.0 /DATE=17-Oct-2004]\n"
    b"[INSTRUMENTSTATUS SERVICEKEY=0 /DOORLOCK=1 /DRIVELOCK=0 /XRAYSON=1 /BUSY=0]\n"
    b"[INSTRUMENTQUEUE /PROCESSING=0]\n[RESTRICTACCESSSTATUS /LOCKED=0]\n"
    b"[GENERATORSTATUS /KV=20.0 /MA=5.0 /STANDBY=No]\n"
    b"[ANGLESTATUS /ANGLES=30.0 15.0 0.0 54.74]\n[XYZSTATUS /XYZ=0.1 0.2 0.3]\n[DISTANCESTATUS /DISTANCE=6.0]\n"
    b"[SAFETYSHUTTERSTATUS /STATUS=0]\n[SHUTTERSTATUS /STATUS=0]\n"
    b"[SAMPLETEMPERATURESTATUS /TEMPC=21.85 /SETTEMPC=21.85 /RAMPRATEDPM=0.0]\n"
)
HELLO = (
    b"[SetProgramInfo /Program=Rocksalt /Version=1.0 /Date=22-Nov-2026 /User=rocksalt]\n",
    b"[SETPROGRAMINFO_YES]\n",
    b"",
)
PING = (b"[NoOperation /Echo=1]\n", b"[NOOPERATION_YES]", b"")  # without its line end, as real servers do
WHERE = (b"[GetAxesPositions]\n", b"[GETAXESPOSITIONS_YES]\n", b"")  # where it was told already, and nothing changed
LOCK = (b"[RestrictAccess /Lock=1]\n", b"[RESTRICTACCESS_YES]\n", b"[RESTRICTACCESSSTATUS /LOCKED=1]\n")
UNLOCK = (b"[RestrictAccess /Lock=0]\n", b"[RESTRICTACCESS_YES]\n", b"[RESTRICTACCESSSTATUS /LOCKED=0]\n")
LIMITS = (
    b"[GetAxesLimits /CID=1]\n",
    b"[GETAXESLIMITS_YES]",
    b"[AXESLIMITS /2THETALOW=-20.0 /2THETAHIGH=110.0 /OMEGALOW=-30.0 /OMEGAHIGH=90.0 /OMEGA2THETALOW=-10.0]\n",
)

Exchange = tuple[bytes, bytes, bytes]


class Said:
    """The status socket of a transcript: greets, then says what the commands cause."""

    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting
        self.send: Callable[[bytes], None] = lambda data: None

    def accept(self, send: Callable[[bytes], None]) -> Any:
        self.send = send
        if self._greeting:
            send(self._greeting)
        return Transcript([])


@contextmanager
def bis(exchanges: Sequence[Exchange], greeting: bytes = GREETING) -> Iterator[Wires]:
    """Three sockets that expect this conversation, and nothing else."""
    status = Said(greeting)

    class Commands(Transcript):
        def receive(self, data: bytes) -> None:
            before = len(self._left)
            super().receive(data)
            for caused in causes[len(causes) - before : len(causes) - len(self._left)]:
                if caused:
                    status.send(caused)

    causes = [caused for _, _, caused in exchanges]
    commands = Commands([(sent, answer) for sent, answer, _ in exchanges])
    yield Wires([commands, Transcript([]), status])
    commands.finish()


def part(wires: Wires, name: str, **settings: Any) -> Any:
    return BrukerBis(name, settings_of(name, **settings), wires, clock())


@in_virtual_time
async def test_an_axis_is_driven_and_has_arrived_when_its_angles_are_told() -> None:
    drive = (
        b"[Drive /Omega=42.500000]\n",
        b"[DRIVE_YES]",
        b"[DRIVESTATUS /MASK=2]\n[INSTRUMENTQUEUE /PROCESSING=1]\n[DRIVESTATUS /MASK=0]\n"
        b"[ANGLESTATUS /ANGLES=30.0 42.5 0.0 54.74]\n[INSTRUMENTQUEUE /PROCESSING=0]\n",
    )
    with bis([HELLO, PING, LIMITS, WHERE, LOCK, drive, WHERE, UNLOCK]) as wires:
        omega = part(wires, "omega")
        await omega.connect()
        assert omega.identified == "Bruker Instrument Service 2.0.0.0 of 17-Oct-2004"
        assert (omega.own_limits.lower, omega.own_limits.upper) == (-30.0, 90.0)
        await omega.set(42.5)
        await omega.close()


@in_virtual_time
async def test_the_result_of_a_question_may_come_on_the_command_socket_too() -> None:
    answer = b"[AXESLIMITS /2THETALOW=-20.0 /2THETAHIGH=110.0]\n[GETAXESLIMITS_YES]\n"
    later = b"[GETAXESLIMITS_YES][AXESLIMITS /2THETALOW=-20.0 /2THETAHIGH=110.0]"
    for said in (answer, later):
        with bis([HELLO, PING, (LIMITS[0], said, b"")]) as wires:
            two_theta = part(wires, "2theta")
            await two_theta.connect()
            assert (two_theta.own_limits.lower, two_theta.own_limits.upper) == (-20.0, 110.0)
            await two_theta.close()


@in_virtual_time
async def test_the_generator_is_told_both_numbers_and_ramps_by_itself() -> None:
    limits = (
        b"[GetGeneratorLimits /CID=1]\n", b"[GETGENERATORLIMITS_YES]\n",
        b"[GENERATORLIMITS /MAXPOWERW=2200.0 /MINKV=20.0 /MAXKV=50.0 /MINMA=5.0 /MAXMA=50.0]\n",
    )  # fmt: skip

    def status(kv: float, cid: int) -> Exchange:
        told = f"[GENERATORSTATUS /KV={kv} /MA=5.0 /STANDBY=No]\n".encode()
        return (f"[GetGeneratorStatus /CID={cid}]\n".encode(), b"[GETGENERATORSTATUS_YES]", told)

    ramp = (
        b"[SetGeneratorStatus /kV=40.000000 /mA=5.000000]\n", b"[SETGENERATORSTATUS_YES]",
        b"[GENERATORSTATUS /KV=20.0 /MA=5.0 /KVtarget=40.0 /MAtarget=5.0 /STANDBY=No]\n"
        b"[GENERATORSTATUS /KV=30.0 /MA=5.0 /STANDBY=No]\n[SETGENERATORSTATUS /DONE=1 /KV=40.0 /MA=5.0]\n",
    )  # fmt: skip
    with bis(
        [HELLO, PING, limits, status(20, 2), status(20, 3), LOCK, ramp, status(30, 4), status(40, 5), UNLOCK]
    ) as wires:
        kv = part(wires, "kv")
        await kv.connect()
        await kv.set(40.0)
        await kv.close()


@in_virtual_time
async def test_where_results_say_what_caused_them_an_older_one_that_comes_late_is_not_taken() -> None:
    limits = (
        b"[GetGeneratorLimits /CID=1]\n", b"[GETGENERATORLIMITS_YES]\n",
        b"[GENERATORLIMITS /MAXPOWERW=2200.0 /MINKV=20.0 /MAXKV=50.0 /MINMA=5.0 /MAXMA=50.0 /CID=1]\n",
    )  # fmt: skip
    status = (
        b"[GetGeneratorStatus /CID=2]\n", b"[GETGENERATORSTATUS_YES]\n",
        b"[GENERATORSTATUS /KV=20.0 /MA=5.0 /STANDBY=No]\n[GENERATORSTATUS /KV=45.0 /MA=5.0 /STANDBY=No /CID=2]\n",
    )  # fmt: skip
    with bis([HELLO, PING, limits, status]) as wires:
        kv = part(wires, "kv")
        await kv.connect()
        assert (await kv.read()).value == 45.0
        await kv.close()


@in_virtual_time
async def test_the_safe_state_of_the_shutters_is_one_message_that_closes_them_all() -> None:
    close = (
        b"[SafetyShutter /Status=0 /CID=1]\n", b"[SAFETYSHUTTER_YES]",
        b"[SAFETYSHUTTERSTATUS /STATUS=0]\n[SHUTTERSTATUS /STATUS=0]\n",
    )  # fmt: skip
    with bis([HELLO, PING, close]) as wires:
        shutter = part(wires, "shutter")
        await shutter.connect()
        await shutter.make_safe()
        await shutter.close()


@in_virtual_time
async def test_a_temperature_in_celsius_alone_is_told_and_set_in_celsius() -> None:
    def status(celsius: float, cid: int) -> Exchange:
        told = f"[SAMPLETEMPERATURESTATUS /TEMPC={celsius} /SETTEMPC=21.85 /RAMPTRATEDPM=0.0]\n".encode()
        return (f"[GetSampleTemperatureStatus /CID={cid}]\n".encode(), b"[GETSAMPLETEMPERATURESTATUS_YES]", told)

    wish = (b"[SetSampleTemperature /TEMPC=36.850000]\n", b"[SETSAMPLETEMPERATURE_YES]", b"")
    with bis(
        [HELLO, PING, status(21.85, 1), status(21.85, 2), LOCK, wish, status(36.9, 3), status(36.9, 4), UNLOCK]
    ) as wires:
        temperature = part(wires, "temperature")
        await temperature.connect()
        await temperature.set(310.0)
        assert (await temperature.read()).value == pytest.approx(310.05)
        await temperature.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"[DRIVE_NO]", r"omega: \[Drive /Omega=1.000000\]: BIS does not know the verb, misses an argument"),
        (b"[DRIVE_MV]\n", r"omega: .*another client of BIS took the mastership"),
        (b"[DRIVE_SKIP]", r"omega: .*BIS skipped it"),
    ],
)
@in_virtual_time
async def test_a_refusal_is_told_in_words(answer: bytes, words: str) -> None:
    exchanges = [HELLO, PING, LIMITS, WHERE, LOCK, (b"[Drive /Omega=1.000000]\n", answer, b"")]
    if answer != b"[DRIVE_MV]\n":
        exchanges.append(UNLOCK)
    with bis(exchanges) as wires:
        omega = part(wires, "omega")
        await omega.connect()
        with pytest.raises(Refused, match=words):
            await omega.set(1.0)
        await omega.close()


@in_virtual_time
async def test_a_mastership_that_another_client_holds_is_named_before_anything_moves() -> None:
    no = (LOCK[0], b"[RESTRICTACCESS_NO]", b"")
    with bis([HELLO, PING, LIMITS, WHERE, no]) as wires:
        omega = part(wires, "omega")
        await omega.connect()
        with pytest.raises(Refused, match=r"^omega: another client of BIS holds the mastership: .* override = true"):
            await omega.set(1.0)
        await omega.close()


@in_virtual_time
async def test_a_stop_takes_the_mastership_from_whoever_has_it() -> None:
    take = (b"[RestrictAccess /Lock=1 /Override=1]\n", b"[RESTRICTACCESS_YES]", b"[RESTRICTACCESSSTATUS /LOCKED=1]\n")
    stop = b"[HardAbort /CID=2]\n"
    note = b"[MESSAGE /NOTE=Instrument is stopped. /LEVEL=Info]\n"
    exchanges = [HELLO, PING, LIMITS, (stop, b"[HARDABORT_MV]", b""), take, (stop, b"[HARDABORT_YES]\n", note), UNLOCK]
    with bis(exchanges) as wires:
        omega = part(wires, "omega")
        await omega.connect()
        await omega.stop()
        await omega.close()


@in_virtual_time
async def test_an_answer_to_another_command_is_garbled() -> None:
    with bis([HELLO, (PING[0], b"[DRIVE_YES]", b"")]) as wires:
        omega = part(wires, "omega")
        with pytest.raises(
            GarbledReply, match=r"^omega: NoOperation was answered \[DRIVE_YES\], which answers another"
        ):
            await omega.connect()


@in_virtual_time
async def test_somebody_else_at_the_address_is_refused_by_name() -> None:
    with bis([], greeting=b"SSH-2.0-OpenSSH_9.6\r\n") as wires:
        omega = part(wires, "omega")
        with pytest.raises(WrongInstrument, match=r"SSH-2.0-OpenSSH_9.6.*expects one like .*Bruker Instrument Service"):
            await omega.connect()
        assert omega.state == "disconnected"


@in_virtual_time
async def test_nobody_who_greets_is_a_lost_link() -> None:
    with bis([], greeting=b"") as wires:
        omega = part(wires, "omega")
        with pytest.raises(LinkLost, match=r"^omega: no BISVERSION from BIS within 3 s"):
            await omega.connect()
