"""One conversation with one BIS, shared by all devices of a station that are parts of it.

BIS takes ten clients and obeys one of them, so the parts of an instrument speak as one client: three sockets, one
mastership, taken with the first command that moves something and given back when the last part lets go.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from rocksalt.devices import ByteLink, DeviceError, GarbledReply, Line, Link, LinkLost, NotReached, Refused, Wires
from rocksalt_drivers.bruker_bis.messages import BadMessage, Message, cut, encode, parse

DEADLINE_S: Final = 3.0  # wire seconds for one reply
PATIENCE_S: Final = 0.5  # wire seconds in which a command that is not queued shows its effect
KEPT: Final = 4096  # messages that an ear keeps until they are looked at
PROGRAM: Final = {"Program": "Rocksalt", "Version": "1.0", "Date": "22-Nov-2026", "User": "rocksalt"}
ABORT: Final = "HardAbort"
STOPPED: Final = "instrument is stopped"  # the message at the end of a HardAbort
COMPLAINTS: Final = ("warning", "error", "critical", "fatal")
ANSWERS: Final = ("YES", "NO", "MV", "SKIP")
UNASKED: Final = ("SCAN_", "STILL_", "DARK_")  # each frame of a scan is announced by a _YES of its own

Arguments = Mapping[str, str | float | int]


class NotMaster(Refused):
    """Another client of BIS holds the mastership."""


class Ear:
    """Hears everything from the moment it was made; `until` looks through it for what is wanted."""

    def __init__(self, session: BisSession) -> None:
        self._session = session
        self._heard: deque[Message] = deque(maxlen=KEPT)
        self._wake = asyncio.Event()
        self._over = ""

    def __enter__(self) -> Ear:
        self._session.ears.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._session.ears.remove(self)

    def hear(self, message: Message) -> None:
        self._heard.append(message)
        self._wake.set()

    def forget(self) -> None:
        self._heard.clear()

    def end(self, why: str) -> None:
        self._over = why
        self._wake.set()

    async def until(self, wanted: Callable[[Message], bool], *, within_s: float, what: str) -> Message:
        """The next message that is wanted; those before it are dropped. Raises LinkLost after within_s of wire time."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    while self._heard:
                        if wanted(message := self._heard.popleft()):
                            return message
                    if self._over:
                        raise LinkLost(self._session.name, self._over)
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            raise LinkLost(self._session.name, f"no {what} within {within_s:g} s") from None


class BisSession:
    """The conversation, and what BIS said last of each thing.

    said      the last message of each verb since the connection was made
    garbled   the last thing heard that was no message
    master    whether we hold the mastership
    aborts    how often everything was stopped, by whomever: what was queued then is gone
    """

    def __init__(self, wires: Wires, name: str, links: Sequence[Link], *, override: bool) -> None:
        self.name = name
        self.said: dict[str, Message] = {}
        self._untold: set[str] = set()  # what this greeting does not have
        self.garbled = ""
        self.master = False
        self.aborts = self._own_aborts = 0
        self.ears: list[Ear] = []
        self._override = override
        self._users: set[str] = set()
        self._introduced = False
        self._over = ""
        self._cid = 0
        self._asked = False  # whether something was queued of which the queue has not told yet
        self._echoes = False  # whether this BIS says in a result which command caused it
        self._tells: set[tuple[str, bool]] = set()  # questions that it answers with a status, at rest and driving
        self.link: ByteLink = wires.joined(name, links, cut=cut, listener=self, deadline_s=DEADLINE_S)
        self.link.stops_twice = True
        self.link.unasked = "news"

    # what the sockets tell

    def opened(self) -> None:
        self.said.clear()
        self._untold.clear()
        self.garbled = self._over = ""
        self.master = self._introduced = False
        self._own_aborts = 0
        self._asked = False
        for ear in self.ears:
            ear.forget()

    def heard(self, raw: bytes) -> None:
        try:
            message = parse(raw)
        except BadMessage as error:
            self.garbled = str(error)
            return
        self.said[message.verb] = message
        self._asked = self._asked and message.verb != "INSTRUMENTQUEUE"
        self._echoes = self._echoes or "CID" in message.arguments
        if message.verb == "MESSAGE" and message.arguments.get("NOTE", "").lower().startswith(STOPPED):
            if self._own_aborts:
                self._own_aborts -= 1  # counted when it was said
            else:
                self.aborts += 1
        for ear in self.ears:
            ear.hear(message)

    def ended(self, why: str) -> None:
        self._over = why
        for ear in self.ears:
            ear.end(why)

    # who uses it

    async def open(self, user: str) -> None:
        """Connect, unless another part has. Raises LinkLost."""
        self._users.add(user)
        await self.link.connect(lambda: bool(self._over))

    async def close(self, user: str) -> None:
        """The last one gives the mastership back and closes the sockets."""
        self._users.discard(user)
        if self._users:
            return
        if self.master and self.link.connected and not self.link.dirty and not self._over:
            with suppress(DeviceError):
                await self.say("RestrictAccess", {"Lock": 0})
        if not self._users:
            self.link.close()

    # speaking

    async def first(self, verb: str) -> Message:
        """What BIS said last under this verb; waits for its greeting. Raises LinkLost."""
        with Ear(self) as ear:
            if verb in self.said:
                return self.said[verb]
            if self._over:
                raise LinkLost(self.name, self._over)
            try:
                return await ear.until(
                    lambda message: message.verb == verb, within_s=self.link.deadline_s, what=f"{verb} from BIS"
                )
            except LinkLost:
                self._over = f"BIS never told its {verb}"
                raise

    async def told(self, verb: str) -> Message | None:
        """What BIS said last under this verb; None where its greeting does not have it. The greeting comes on a socket
        of its own, and may still be on its way when the first command is answered."""
        if verb in self.said or verb in self._untold:
            return self.said.get(verb)
        with Ear(self) as ear, suppress(LinkLost):
            await ear.until(lambda message: message.verb == verb, within_s=PATIENCE_S, what=verb)
        if self._over:
            raise LinkLost(self.name, self._over)
        if verb not in self.said:
            self._untold.add(verb)
        return self.said.get(verb)

    async def say(
        self,
        verb: str,
        arguments: Arguments | None = None,
        *,
        moves: bool = False,
        then: Callable[[Message], bool] | None = None,
    ) -> Message:
        """Say it and take its answer; with `then`, wait for the message that is meant and return that.

        moves   an operational verb: the mastership is taken before it

        Raises Refused (unknown, skipped), NotMaster, LinkLost, GarbledReply.
        """
        if self._over:
            raise LinkLost(self.name, self._over)
        text, cid = self._marked(verb, arguments) if then is not None else (encode(verb, arguments), 0)
        with Ear(self) as ear:
            async with self.link.exchange() as line:
                await self._introduce(line)
                if moves:
                    await self._become_master(line)
                    self._asked = True
                await line.send(text)
                reply = await self._answer(line, verb)
                self._believe(reply, text)
            if then is None:
                return reply
            wanted = then
            try:
                return await ear.until(
                    lambda message: wanted(message) and self._of(message, cid),
                    within_s=self.link.deadline_s,
                    what=f"result of {text}",
                )
            except LinkLost:
                self._over = f"{text} was accepted, and its result never came"  # a socket is half dead
                raise

    async def status(self, verb: str, *, ask: str) -> Message:
        """What BIS says under this verb when it is asked. A BIS that was never heard to tell it on being asked (it may
        tell changes alone) is believed what it told last; one that was, and does not, has lost a connection.

        Raises Refused, LinkLost, GarbledReply.
        """
        if self._over:
            raise LinkLost(self.name, self._over)
        text, cid = self._marked(ask, None)
        with Ear(self) as ear:
            async with self.link.exchange() as line:
                await self._introduce(line)
                await line.send(text)
                self._believe(await self._answer(line, ask), text)
            kind = (ask, self._drives)
            within_s = self.link.deadline_s if kind in self._tells else PATIENCE_S
            try:
                told = await ear.until(
                    lambda message: message.verb == verb and self._of(message, cid),
                    within_s=min(within_s, self.link.deadline_s), what=f"{verb} on {text}",
                )  # fmt: skip
            except LinkLost as error:
                if self._over:
                    raise
                if kind in self._tells:
                    self._over = str(error).removeprefix(f"{self.name}: ")  # a socket is half dead
                    raise
                return await self.first(verb)
            if "CID" in told.arguments:  # what comes without may be about something else
                self._tells.add(kind)
            return told

    @property
    def _drives(self) -> bool:
        """Whether an axis moves, as BIS told last: the manual has positions told when a drive has ended."""
        drive = self.said.get("DRIVESTATUS")
        return drive is not None and drive.arguments.get("MASK") != "0"

    async def say_now(
        self,
        verb: str,
        arguments: Arguments | None = None,
        *,
        done: Callable[[Message], bool] | None = None,
        or_else: str = "",
    ) -> None:
        """A stop: goes before everything else, breaks off who holds the line, takes the mastership from whoever has it.

        done      the message that shows that it was done; without it the answer alone is believed
        or_else   a verb that empties the queue: said, and then the command again, when nothing shows soon that it was
                  done, for BIS queues what moves something

        Raises Refused, LinkLost, GarbledReply; NotReached when BIS takes it and nothing shows that it was done.
        """
        text, cid = self._marked(verb, arguments)

        def shows(message: Message) -> bool:
            return done is not None and done(message) and self._of(message, cid)

        asked = self._asked
        with Ear(self) as ear:
            await self._urge(verb, text)
            if done is None or (self.idle and not asked and any(done(message) for message in self.said.values())):
                return
            within_s = PATIENCE_S if or_else else self.link.deadline_s
            if await self._shown(ear, shows, within_s):
                return
            if or_else:
                await self._urge(or_else, encode(or_else))
                await self._urge(verb, text)
                if await self._shown(ear, shows, self.link.deadline_s):
                    return
        raise NotReached(self.name, f"{text} was accepted, and BIS does not say that it was done")

    def _marked(self, verb: str, arguments: Arguments | None) -> tuple[str, int]:
        """The message with a number that what it causes carries, and the number."""
        self._cid += 1
        return encode(verb, {**(arguments or {}), "CID": self._cid}), self._cid

    def _of(self, message: Message, cid: int) -> bool:
        """Whether this command may have caused the message: on a slow line one that is older may come after it."""
        if "CID" in message.arguments:
            return message.arguments["CID"] == str(cid)
        return not self._echoes

    @property
    def idle(self) -> bool:
        """Whether BIS said last that its queue is empty."""
        queue = self.said.get("INSTRUMENTQUEUE")
        return queue is not None and queue.arguments.get("PROCESSING") == "0"

    async def _shown(self, ear: Ear, done: Callable[[Message], bool], within_s: float) -> bool:
        try:
            await ear.until(done, within_s=within_s, what="sign of it")
        except LinkLost:
            if self._over:
                raise
            return False
        return True

    async def _urge(self, verb: str, text: str) -> None:
        if verb == ABORT:
            self.aborts += 1
            self._own_aborts += 1
        async with self.link.exchange(urgent=True, first=text) as line:
            reply = await self._answer(line, verb)
            if reply.verb.endswith("_MV"):
                await self._tell(line, "RestrictAccess", {"Lock": 1, "Override": 1})
                self.master = True
                await line.send(text)
                reply = await self._answer(line, verb)
            self._believe(reply, text)

    # the protocol

    async def _introduce(self, line: Line) -> None:
        """The manual asks every client to say who it is. A BIS that does not know the verb is none the worse."""
        if not self._introduced:
            await line.send(encode("SetProgramInfo", PROGRAM))
            await self._answer(line, "SetProgramInfo")
            self._introduced = True

    async def _become_master(self, line: Line) -> None:
        if self.master:
            return
        wish: dict[str, str | float | int] = {"Lock": 1}
        if self._override:
            wish["Override"] = 1
        reply = await self._tell(line, "RestrictAccess", wish)
        if not reply.verb.endswith("_YES"):
            raise NotMaster(
                self.name,
                "another client of BIS holds the mastership: let it go there, or write override = true into options",
            )
        self.master = True

    async def _tell(self, line: Line, verb: str, arguments: Arguments) -> Message:
        await line.send(encode(verb, arguments))
        return await self._answer(line, verb)

    async def _answer(self, line: Line, verb: str) -> Message:
        """The one message that answers; what is said besides was heard by the ears already."""
        own = [f"{verb.upper()}_{word}" for word in ANSWERS]
        try:
            async with asyncio.timeout(self.link.deadline_s):
                while True:
                    raw = await line.read_by(cut, what=verb)
                    try:
                        message = parse(raw)
                    except BadMessage as error:
                        raise GarbledReply(self.name, f"{verb} was answered, but {error}") from None
                    if message.verb in own:
                        return message
                    if message.verb.rpartition("_")[2] in ANSWERS and not message.verb.startswith(UNASKED):
                        raise GarbledReply(
                            self.name, f"{verb} was answered [{message.verb}], which answers another command"
                        )
        except TimeoutError:
            raise LinkLost(
                self.name, f"no answer to {verb} within {self.link.deadline_s:g} s ({self.link.address})"
            ) from None

    def _complaint(self) -> str:
        said = self.said.get("MESSAGE")
        if said is None or said.arguments.get("LEVEL", "").lower() not in COMPLAINTS:
            return ""
        return f"; its last complaint: {said.arguments.get('NOTE', '')[:200]}"

    def _believe(self, reply: Message, text: str) -> None:
        match reply.verb.rpartition("_")[2]:
            case "NO":
                raise Refused(
                    self.name,
                    f"{text}: BIS does not know the verb, misses an argument or does not like one ({reply.verb})"
                    f"{self._complaint()}",
                )
            case "SKIP":
                raise Refused(self.name, f"{text}: BIS skipped it ({reply.verb})")
            case "MV":
                self.master = False
                raise NotMaster(self.name, f"{text}: another client of BIS took the mastership ({reply.verb})")
