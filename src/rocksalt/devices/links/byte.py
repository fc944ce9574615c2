"""A line to an instrument that speaks in bytes: whole exchanges, one deadline, no late reply taken for the next.

`async with link.exchange() as line:` holds the line for a command and its confirmation. An exchange that was cut short
leaves the link dirty: before the next one it is reopened, or drained and resynchronised.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, NoReturn, Protocol, TypeVar

from rocksalt.devices.errors import GarbledReply, LinkLost, Preempted
from rocksalt.time import door

R = TypeVar("R")
LONGEST_REPLY = 1 << 20  # bytes: an instrument that sends more without an end has lost its mind


class Transport(Protocol):
    """How bytes travel. `reopening_cleans`: whether a new connection leaves every late reply of the old one behind."""

    reopening_cleans: bool

    async def open(self) -> None:
        """Raises OSError or TimeoutError."""
        ...

    async def write(self, data: bytes) -> None: ...

    async def read(self) -> bytes:
        """At least one byte; b"" once the other side is gone."""
        ...

    def waiting(self) -> bool:
        """Whether bytes have arrived that nobody has read."""
        ...

    def close(self) -> None: ...


class ByteLink:
    """One instrument's line. On one that can't be reopened, the driver's `resync` finds the beat again (see Beat).

    deadline_s   wire seconds for one answer; never scaled with experiment time
    quiet_s      how long the line must be silent, while it is drained, to count as quiet
    spacing_s    wire seconds that the instrument wants between one message and the next
    stops_twice  a stop is said on a dirty line as well, and again once that was reopened: for instruments that may not
                 let a client in again, where a stop must not hang on it
    unasked      what bytes that nobody asked for are: "dirt" (a second copy of a reply, which the next question would
                 be answered with), or "news" from an instrument that speaks by itself
    """

    def __init__(
        self, transport: Transport, *, device: str, address: str, deadline_s: float = 2.0, quiet_s: float = 0.1
    ) -> None:
        self.device, self.address = device, address
        self.deadline_s, self.quiet_s = deadline_s, quiet_s
        self.resync: Callable[[Line], Awaitable[None]] | None = None
        self.terminator = b"\n"
        self.spacing_s = 0.0
        self.stops_twice = False
        self.unasked: Literal["dirt", "news"] = "dirt"
        self.connected = False
        self._transport = transport
        self._turn = _Turn()
        self._buffer = bytearray()
        self._outstanding = False
        self._dirty = False
        self._current: Line | None = None
        self._last_word_s = float("-inf")

    async def open(self) -> None:
        """Connect. Raises LinkLost when nobody answers by the deadline."""
        door()
        self._transport.close()
        self._buffer.clear()
        self._outstanding = self.connected = False
        # What a serial line was told before it was opened, by us or by another program, may still be answered.
        self._dirty = not self._transport.reopening_cleans
        try:
            async with asyncio.timeout(self.deadline_s):
                await self._transport.open()
        except (OSError, TimeoutError) as error:
            self._transport.close()
            raise LinkLost(self.device, f"no connection to {self.address} ({_why(error)})") from error
        self.connected = True

    async def connect(self, stale: Callable[[], bool] = lambda: False) -> None:
        """Open, unless it is open, clean and not stale; in turn with those who speak: for a line that devices share.

        stale: asked once it is our turn; whether the connection is none any more, though it looks like one.
        """
        async with self._turn.mine(urgent=False):
            if not self.connected or self._dirty or stale():
                await self.open()

    def close(self) -> None:
        self.connected = False
        self._transport.close()

    @property
    def dirty(self) -> bool:
        """Whether the last exchange was cut short, so that a late reply may still come."""
        return self._dirty

    @asynccontextmanager
    async def exchange(self, *, urgent: bool = False, first: str | bytes | None = None) -> AsyncIterator[Line]:
        """The line, for a whole command and its confirmation. Raises LinkLost.

        urgent: for stops. Goes before everybody who waits, and breaks off the exchange that holds the line (which
        raises Preempted in its own task), unless that is a stop itself.
        first: a command without answer that is sent as soon as the line can carry it: a line that can't be reopened is
        cleansed after it, not before, for a stop must not wait until an instrument has found its words again.
        """
        if urgent and self._current is not None and not self._current.urgent:
            self._current.break_off()
        async with self._turn.mine(urgent=urgent):
            door()
            if not self.connected:
                raise LinkLost(self.device, f"not connected to {self.address}")
            self._dirty = self._dirty or self._has_dirt()
            line = self._current = Line(self, urgent=urgent)
            try:
                if first is not None and self._dirty and self.stops_twice:
                    with suppress(LinkLost):  # the line is made anew in any case, and it is said again there
                        await line.send(first)
                if first is not None and not (self._dirty and self._transport.reopening_cleans):
                    if self._dirty:
                        await line.send("")  # ends whatever was half said
                    await line.send(first)
                    first = None
                if self._dirty:
                    await self._cleanse(line)
                if first is not None:
                    await line.send(first)
                yield line
            except GarbledReply:
                self._dirty = True  # it may have been the answer to another question: ours is then still to come
                raise
            finally:
                self._current = None
                self._dirty = self._dirty or self._outstanding or self._has_dirt()

    def _has_dirt(self) -> bool:
        return self.unasked == "dirt" and (bool(self._buffer) or self._transport.waiting())

    async def _cleanse(self, line: Line) -> None:
        if self._transport.reopening_cleans:
            try:
                await self.open()
            except asyncio.CancelledError:
                self.connected = self._dirty = True  # nobody lost the line: whoever comes next reopens it
                raise
            return
        await self._drain()
        self._outstanding = False
        if self.resync is not None:
            await self.resync(line)
        self._dirty = self._outstanding or self._has_dirt()
        if self._dirty:
            raise LinkLost(self.device, f"{self.address} keeps talking out of turn: could not resynchronise")

    async def _drain(self) -> None:
        """Read until the line is quiet. An instrument that never falls silent is lost at the deadline."""
        self._buffer.clear()
        try:
            async with asyncio.timeout(self.deadline_s):
                while True:
                    try:
                        async with asyncio.timeout(self.quiet_s):
                            if not await self._transport.read():
                                self._lose("the connection was closed while it was drained")
                    except TimeoutError:
                        return
        except TimeoutError as error:
            raise LinkLost(self.device, f"{self.address} never falls silent: could not resynchronise") from error
        except OSError as error:
            self._lose(_why(error))

    def _lose(self, why: str) -> NoReturn:
        self.connected = False
        self._dirty = True
        self._transport.close()
        raise LinkLost(self.device, f"{self.address}: {why}")


class Line:
    """What an exchange hands out: send, ask, read. Every wait ends at the link's deadline."""

    def __init__(self, link: ByteLink, *, urgent: bool = False) -> None:
        self._link, self.urgent = link, urgent
        self._deadline: asyncio.Timeout | None = None
        self._broken_off = False

    def break_off(self) -> None:
        """End the wait in progress, and any later one: a stop needs the line."""
        self._broken_off = True
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(0.0)

    def _is_broken_off(self) -> bool:
        return self._broken_off

    async def send(self, command: str | bytes) -> None:
        """Send a command that the instrument does not answer. Text gets the link's terminator and is ASCII."""
        self._link._outstanding = True  # cut short, half a command would spoil the next one
        await self._within(self._write(command), f"could not send {command!r}")
        self._link._outstanding = False

    async def ask(self, query: str | bytes, *, deadline_s: float | None = None) -> str:
        """Send a query, return the one line that answers, without its end. Raises LinkLost, GarbledReply (no ASCII)."""
        self._link._outstanding = True
        await self._within(self._write(query), f"could not send {query!r}")
        return await self.read_line(what=repr(query), deadline_s=deadline_s)

    async def read_line(self, *, what: str = "what was asked", deadline_s: float | None = None) -> str:
        """The next line that is not empty, ended by CR, LF or both: instruments and sites differ."""
        self._link._outstanding = True
        raw = await self._within(self._line(), f"no answer to {what}", deadline_s)
        self._link._outstanding = False
        try:
            return raw.decode("ascii")
        except UnicodeDecodeError:
            raise GarbledReply(self._link.device, f"{what} was answered with bytes, not text: {raw[:40]!r}") from None

    async def read_by(
        self, cut: Callable[[bytearray], bytes | None], *, what: str = "what was asked", deadline_s: float | None = None
    ) -> bytes:
        """The next message where lines don't end messages: cut(buffer) takes one whole message off the buffer's front,
        or returns None while there is none."""
        self._link._outstanding = True
        message = await self._within(self._cut(cut), f"no answer to {what}", deadline_s)
        self._link._outstanding = False
        return message

    async def read_exactly(self, count: int, *, what: str = "what was asked", deadline_s: float | None = None) -> bytes:
        """The next `count` bytes."""
        self._link._outstanding = True
        data = await self._within(self._bytes(count), f"no answer to {what}", deadline_s)
        self._link._outstanding = False
        return data

    async def _write(self, data: str | bytes) -> None:
        door()
        link, loop = self._link, asyncio.get_running_loop()
        if (wait_s := link._last_word_s + link.spacing_s - loop.time()) > 0:
            await asyncio.sleep(wait_s)
            door()
        raw = data.encode("ascii") + link.terminator if isinstance(data, str) else data
        await link._transport.write(raw)
        link._last_word_s = loop.time()

    async def _line(self) -> bytes:
        buffer = self._link._buffer
        while True:
            del buffer[: len(buffer) - len(buffer.lstrip(b"\r\n"))]
            ends = [at for end in (b"\r", b"\n") if (at := buffer.find(end)) >= 0]
            if ends:
                line = bytes(buffer[: min(ends)])
                del buffer[: min(ends)]
                del buffer[: len(buffer) - len(buffer.lstrip(b"\r\n"))]
                return line
            await self._more()

    async def _cut(self, cut: Callable[[bytearray], bytes | None]) -> bytes:
        while (message := cut(self._link._buffer)) is None:
            await self._more()
        return message

    async def _bytes(self, count: int) -> bytes:
        buffer = self._link._buffer
        while len(buffer) < count:
            await self._more()
        data = bytes(buffer[:count])
        del buffer[:count]
        return data

    async def _more(self) -> None:
        data = await self._link._transport.read()
        door()
        if not data:
            self._link._lose("the other side closed the connection")
        self._link._last_word_s = asyncio.get_running_loop().time()
        self._link._buffer += data
        if len(self._link._buffer) > LONGEST_REPLY:
            self._link._lose(f"more than {LONGEST_REPLY} bytes without an end")

    async def _within(self, work: Coroutine[Any, Any, R], otherwise: str, deadline_s: float | None = None) -> R:
        link = self._link
        limit_s = deadline_s if deadline_s is not None else link.deadline_s
        if self._is_broken_off():
            work.close()
            raise Preempted(link.device, f"{otherwise}: broken off by a stop")
        try:
            async with asyncio.timeout(limit_s) as self._deadline:
                return await work
        except TimeoutError as error:
            if self._is_broken_off():
                link._dirty = True
                raise Preempted(link.device, f"{otherwise}: broken off by a stop") from error
            raise LinkLost(link.device, f"{otherwise} within {limit_s:g} s ({link.address})") from error
        except OSError as error:
            link.connected = False
            link._dirty = True
            raise LinkLost(link.device, f"{otherwise}: {link.address} {_why(error)}") from error
        finally:
            self._deadline = None


class _Turn:
    """First come, first served, but a stop goes before all who wait."""

    def __init__(self) -> None:
        self._taken = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def mine(self, *, urgent: bool) -> AsyncIterator[None]:
        if self._taken:
            place = asyncio.get_running_loop().create_future()
            queue = self._urgent if urgent else self._waiting
            queue.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._next()  # the turn came just as we were cancelled: hand it on
                raise
        self._taken = True
        try:
            yield
        finally:
            self._next()

    def _next(self) -> None:
        for queue in (self._urgent, self._waiting):
            while queue:
                place = queue.popleft()
                if not place.done():
                    place.set_result(None)  # the line stays taken: it passes straight on
                    return
        self._taken = False


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
