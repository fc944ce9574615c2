"""What BIS may say, for the judge of `make accept-garbage`: written from the protocol notes, section c.

Questions go out on one socket and their results come on another, so the whole conversation is looked through: each
command needs its own answer, and what a call returns must stand in the result that carries its question's number.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.garbage_spoiling import Spoilt

COMMANDS: Final = 0
"""The socket that commands go out on and are answered on."""
NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
ANSWER: Final = re.compile(r"(.+)_(YES|NO|MV|SKIP|DONE)")
KELVIN: Final = 273.15


class Forbidden(Exception):
    """What the manual does not have, or what answers another command."""


@dataclass(frozen=True)
class Message:
    verb: str
    arguments: Mapping[str, str]

    def number(self, name: str, at: int = 0) -> float:
        words = self.arguments.get(name, "").split()
        if at >= len(words) or not NUMBER.fullmatch(words[at]) or abs(float(words[at])) > 1e30:
            raise Forbidden(f"{self.verb} has no number {name}")
        return float(words[at])

    def flag(self, name: str) -> bool:
        if self.arguments.get(name, "").lower() not in ("0", "1", "yes", "no"):
            raise Forbidden(f"{self.verb} does not say {name}")
        return self.arguments[name].lower() in ("1", "yes")


@dataclass(frozen=True)
class Listening:
    """One part's grammar. `calls` as in `garbage_grammars.Judge`; `judged` says what is wrong with a call."""

    calls: Mapping[str, tuple[int, Callable[[Any], Awaitable[Any]]]]
    value: Callable[[str, Conversation, Any], None]
    options: Mapping[str, Any] = field(default_factory=lambda: {"omit_lf": 0.3})
    binary: bool = False
    number: tuple[int, int] = (0, 2)
    values: Callable[[bytes], range] = lambda reply: range(len(reply))

    def judged(self, name: str, log: Sequence[Spoilt], returned: Any) -> str:
        """What is wrong with a call that returned this after these replies; "" for nothing."""
        try:
            talk = Conversation(log)
            talk.all_answered()
            self.value(name, talk, returned)
        except Forbidden as error:
            return f"{name} returned {returned!r}, and had to raise: {error}"
        return ""


class Conversation:
    """All that was said in a call, and all that was heard."""

    def __init__(self, log: Sequence[Spoilt]) -> None:
        self.commands = [(text(one.question), one) for one in log if one.socket == COMMANDS]
        self.heard: list[Message] = []
        buffers: dict[int, bytes] = {}
        for one in log:
            buffer = buffers.get(one.socket, b"") + one.delivered
            found, buffers[one.socket] = messages(buffer)
            self.heard += [message for message in found if message is not None]

    def all_answered(self) -> None:
        """Each command was taken, or was said again. Whether the client's name was liked does not matter."""
        for number, (command, one) in enumerate(self.commands):
            again = self.commands[number + 1 :]
            verb = command.verb
            asks = verb.startswith("GET") or verb == "NOOPERATION"
            if verb == "SETPROGRAMINFO" or any(
                later.verb == verb and (asks or other.question == one.question) for later, other in again
            ):
                continue
            if (word := answer(command, one.delivered)) != "YES":
                raise Forbidden(f"{one.question!r} was answered {one.delivered!r}: {word}")

    def result(self, ask: str, verb: str) -> Message:
        """What the last question of this kind brought: it carries the question's number."""
        asked = [command for command, _ in self.commands if command.verb == ask]
        if not asked:
            raise Forbidden(f"{ask} was never said")
        for message in self.heard:
            if message.verb == verb and message.arguments.get("CID") == asked[-1].arguments.get("CID"):
                return message
        raise Forbidden(f"no {verb} came of the last {ask}")


def text(question: bytes) -> Message:
    found, _ = messages(question.strip())
    if len(found) != 1 or found[0] is None:
        raise Forbidden(f"{question!r} is no command")
    return found[0]


def answer(command: Message, delivered: bytes) -> str:
    """YES, NO, MV or SKIP. Statuses may stand before it. Raises Forbidden."""
    for message in messages(delivered)[0]:
        if message is None:
            raise Forbidden(f"{delivered!r} is no answer to {command.verb}")
        if found := ANSWER.fullmatch(message.verb):
            if found[1] != command.verb:
                raise Forbidden(f"{message.verb} answers another command than {command.verb}")
            return found[2]
    raise Forbidden(f"{delivered!r} holds no answer to {command.verb}")


def messages(data: bytes) -> tuple[list[Message | None], bytes]:
    """The messages in these bytes, None for what is none, and what is left for more to come."""
    return list(found := _cut(data)), found.rest


class _cut(Iterator["Message | None"]):
    def __init__(self, data: bytes) -> None:
        self.rest = data

    def __next__(self) -> Message | None:
        self.rest = self.rest.lstrip(b" \t\r\n\0")
        if not self.rest:
            raise StopIteration
        depth, opened = 0, False
        for at, byte in enumerate(self.rest):
            depth += (byte == ord("[")) - (byte == ord("]"))
            if byte in b"\r\n" or (byte == ord("[") and at and not opened) or depth < 0:
                return self._broken(max(at, 1))
            opened = opened or byte == ord("[")
            if opened and depth == 0:
                whole, self.rest = self.rest[1:at], self.rest[at + 1 :]
                return _message(whole)
        raise StopIteration

    def _broken(self, at: int) -> None:
        """A message broken by a line end: one that began inside it may be whole."""
        inner = self.rest.find(b"[", 1, at)
        self.rest = self.rest[inner if inner > 0 else at :]


def _message(inside: bytes) -> Message | None:
    words = inside.decode("latin-1")
    if not words.isascii() or not words.isprintable():
        return None
    head, *parts = words.split(" /")
    verb, _, first = head.strip().partition(" ")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_()]*", verb):
        return None
    arguments = {}
    for part in ([first] if first.strip() else []) + parts:  # the help file writes one first argument without slash
        name, equals, value = part.partition("=")
        arguments[name.strip().upper()] = value.strip()
        if not equals:
            return None
    return Message(verb.upper(), arguments)


def identity(talk: Conversation, returned: str) -> str:
    """What the greeting says, where it was said in this call."""
    told = [message.arguments for message in talk.heard if message.verb == "BISVERSION"]
    if not told:
        return returned
    return "Bruker Instrument Service {} of {}".format(*(told[-1].get(name, "unknown") for name in ("VERSION", "DATE")))


def omega(talk: Conversation) -> float:
    told = talk.result("GETAXESPOSITIONS", "ANGLESTATUS")
    if len(told.arguments.get("ANGLES", "").split()) != 4:
        raise Forbidden("angles are four")
    return told.number("ANGLES", 1)


def kv(talk: Conversation) -> float:
    told = talk.result("GETGENERATORSTATUS", "GENERATORSTATUS")
    told.number("MA")
    told.flag("STANDBY")
    return told.number("KV")


def kelvin(talk: Conversation) -> float:
    told = talk.result("GETSAMPLETEMPERATURESTATUS", "SAMPLETEMPERATURESTATUS")
    celsius = told.number("TEMPC")
    if "TEMPK" not in told.arguments:
        return celsius + KELVIN
    if abs(told.number("TEMPK") - celsius - KELVIN) > 1.0:
        raise Forbidden("one temperature, and two numbers for it")
    return told.number("TEMPK")


def cabinet(talk: Conversation) -> tuple[bool, bool, bool, bool]:
    """Open, closed, door, ready."""
    instrument = talk.result("GETINSTRUMENTSTATUS", "INSTRUMENTSTATUS")
    service, door, xrays = (instrument.flag(name) for name in ("SERVICEKEY", "DOORLOCK", "XRAYSON"))
    is_open = talk.result("GETSHUTTERATTENUATORSTATUS", "SAFETYSHUTTERSTATUS").flag("STATUS")
    return is_open, not is_open, door, xrays and not service


def _goes(read: Callable[[Conversation], float], target: float, near: float) -> Callable[..., None]:
    def value(name: str, talk: Conversation, returned: Any) -> None:
        if name == "identify" and returned != identity(talk, returned):
            raise Forbidden(f"the greeting says {identity(talk, returned)!r}")
        if name == "read" and returned != read(talk):
            raise Forbidden(f"its answers say {read(talk)!r}")
        if name == "set" and abs(read(talk) - target) > near:
            raise Forbidden(f"it is told to stand at {read(talk)!r}, and {target:g} was asked for")

    return value


def _shutter(name: str, talk: Conversation, returned: Any) -> None:
    if name == "status" and returned != cabinet(talk):
        raise Forbidden(f"its answers say {cabinet(talk)!r}")
    if name in ("open_shutter", "close_shutter") and cabinet(talk)[0] is not (name == "open_shutter"):
        raise Forbidden("the shutter is told to be elsewhere")


async def _value(device: Any) -> float:
    return float((await device.read()).value)


async def _status(device: Any) -> tuple[bool, bool, bool, bool]:
    status = await device.status()
    return status.shutter_open, status.shutter_closed, status.door_closed, status.ready


def _called(name: str, *arguments: Any) -> Callable[[Any], Awaitable[Any]]:
    async def call(device: Any) -> Any:
        return await getattr(device, name)(*arguments)

    return call


def _settable(read: Callable[[Conversation], float], target: float, near: float) -> Listening:
    return Listening(
        {"read": (5, _value), "identify": (1, _called("identify")), "set": (2, _called("set", target)),
         "stop": (1, _called("stop")), "make_safe": (1, _called("make_safe")), "connect": (1, _called("connect"))},
        _goes(read, target, near),
    )  # fmt: skip


BRUKER: Final[Mapping[str, Listening]] = {
    "bruker_bis omega": _settable(omega, 15.0, 0.01),
    "bruker_bis kv": _settable(kv, 32.0, 0.5),
    "bruker_bis temperature": _settable(kelvin, 297.0, 0.5),
    "bruker_bis shutter": Listening(
        {"status": (5, _status), "stop": (1, _called("stop")), "make_safe": (1, _called("make_safe")),
         "open_shutter": (2, _called("open_shutter")), "close_shutter": (1, _called("close_shutter")),
         "connect": (1, _called("connect"))},
        _shutter,
    ),
}  # fmt: skip
