"""Several connections that are one conversation, and a folder that an instrument writes into."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.bench import in_virtual_time
from rocksalt.devices import ByteLink, GarbledReply, LinkLost, NotReached, Preempted
from rocksalt.devices.links.folder import Folder, aside, at_once
from rocksalt.devices.links.joined import WAITING, JoinedTransport
from rocksalt.devices.links.memory import MemoryTransport


def by_stop(buffer: bytearray) -> bytes | None:
    """Messages that end with a full stop."""
    at = buffer.find(b".")
    if at < 0:
        return None
    message = bytes(buffer[: at + 1])
    del buffer[: at + 1]
    return message


class Peer:
    """One side of a connection: says what it is told to, keeps what it hears; may refuse to be called."""

    def __init__(self) -> None:
        self.heard = b""
        self.calls = 0
        self.refuses = False
        self.say: Callable[[bytes], None] = lambda data: None

    def accept(self, send: Callable[[bytes], None]) -> Peer:
        if self.refuses:
            raise ConnectionRefusedError(111, "busy")
        self.calls += 1
        self.say = send
        return self

    def receive(self, data: bytes) -> None:
        self.heard += data

    def closed(self) -> None:
        self.say = lambda data: None


class Ears:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def opened(self) -> None:
        self.told.append("opened")

    def heard(self, message: bytes) -> None:
        self.told.append(message)

    def ended(self, why: str) -> None:
        self.told.append(why)


async def conversation(**settings: Any) -> tuple[ByteLink, Peer, Peer, Ears]:
    first, second, ears = Peer(), Peer(), Ears()
    transport = JoinedTransport([MemoryTransport(first), MemoryTransport(second)], cut=by_stop, listener=ears)
    link = ByteLink(transport, device="pair", address="memory:pair", **settings)
    link.unasked = "news"
    await link.open()
    return link, first, second, ears


@in_virtual_time
async def test_what_is_said_on_any_connection_is_heard_though_nobody_asks() -> None:
    _, first, second, ears = await conversation()
    second.say(b"one.tw")
    second.say(b"o.")
    first.say(b"three.")
    await asyncio.sleep(0.01)
    assert sorted(ears.told[1:]) == [b"one.", b"three.", b"two."]
    assert ears.told[0] == "opened"


@in_virtual_time
async def test_an_answer_comes_from_the_first_connection_and_after_the_question() -> None:
    link, first, second, _ = await conversation()
    first.say(b"stale.")
    await asyncio.sleep(0.01)
    async with link.exchange() as line:
        await line.send(b"question")
        second.say(b"chatter.")
        first.say(b"ans")
        first.say(b"wer.")
        assert await line.read_by(by_stop) == b"answer."
    assert first.heard == b"question"
    assert not link.dirty


@in_virtual_time
async def test_no_whole_message_by_the_deadline_is_a_lost_link_and_all_connections_are_made_anew() -> None:
    link, first, second, _ = await conversation(deadline_s=0.5)
    first.say(b"half an answ")
    with pytest.raises(LinkLost, match=r"no answer to the question within 0\.5 s"):
        async with link.exchange() as line:
            await line.read_by(by_stop, what="the question")
    assert link.dirty
    async with link.exchange() as line:
        first.say(b"whole.")
        assert await line.read_by(by_stop) == b"whole."
    assert (first.calls, second.calls) == (2, 2)


@in_virtual_time
async def test_a_stop_breaks_off_who_waits_and_where_it_must_not_hang_on_reopening_is_said_before_and_after() -> None:
    for twice, expected in ((True, b"stop\nstop\n"), (False, b"stop\n")):
        link, first, _, _ = await conversation()
        link.stops_twice = twice

        async def wait(link: ByteLink = link) -> None:
            async with link.exchange() as line:
                await line.read_by(by_stop)

        waiting = asyncio.ensure_future(wait())
        await asyncio.sleep(0.1)
        async with link.exchange(urgent=True, first="stop"):
            pass
        with pytest.raises(Preempted):
            await waiting
        assert first.heard == expected


@in_virtual_time
async def test_a_stop_is_said_on_the_old_line_though_nobody_is_let_in_again() -> None:
    link, first, second, _ = await conversation(deadline_s=0.5)
    link.stops_twice = True
    with pytest.raises(LinkLost):
        async with link.exchange() as line:
            await line.read_by(by_stop)
    second.refuses = True
    with pytest.raises(LinkLost, match="no connection"):
        async with link.exchange(urgent=True, first="stop"):
            pass
    assert first.heard == b"stop\n"


@in_virtual_time
async def test_one_end_ends_the_conversation_and_tells_which() -> None:
    link, _, second, ears = await conversation()
    second.say(b"last words.")
    second.say(b"")
    await asyncio.sleep(0.01)
    assert ears.told[1:] == [b"last words.", "connection 2 of 2 was closed by the other side"]
    with pytest.raises(LinkLost, match="the other side closed the connection"):
        async with link.exchange() as line:
            await line.read_by(by_stop)


@in_virtual_time
async def test_a_megabyte_without_an_end_ends_the_conversation() -> None:
    _, _, second, ears = await conversation()
    for _ in range(20):
        second.say(b"x" * 65536)
    await asyncio.sleep(0.01)
    assert ears.told[-1] == "more than 1048576 bytes without an end on connection 2"


@in_virtual_time
async def test_answers_that_nobody_takes_do_not_pile_up() -> None:
    link, first, _, ears = await conversation()
    for number in range(3 * WAITING):
        first.say(b"%d." % number)
    await asyncio.sleep(0.01)
    assert len(ears.told) == 3 * WAITING + 1
    assert len(link._transport._answers) == WAITING  # type: ignore[attr-defined]


@in_virtual_time
async def test_connecting_is_once_for_all_who_share_and_again_when_it_went_stale() -> None:
    link, first, _, _ = await conversation()
    stale = True

    def is_stale() -> bool:
        nonlocal stale
        was, stale = stale, False
        return was

    await asyncio.gather(link.connect(), link.connect())
    assert first.calls == 1
    await asyncio.gather(link.connect(is_stale), link.connect(is_stale))
    assert first.calls == 2


# the folder


def whole(head: bytes) -> int:
    return int(head[:2])


@pytest.mark.parametrize("written", ["frame.dat", "FRAME.DAT"])
@in_virtual_time
async def test_a_file_is_waited_for_until_it_is_as_long_as_it_says(written: str, tmp_path: Path) -> None:
    folder = Folder(tmp_path, device="eye", look=at_once)

    async def write() -> None:
        for size in (1, 5, 10):
            await asyncio.sleep(1.0)
            (tmp_path / written).write_bytes(b"10........"[:size])

    writing = asyncio.ensure_future(write())
    found = await folder.whole("frame.dat", head=2, length=whole, most=100, within_s=5.0)
    assert (found.path, found.size) == (tmp_path / written, 10)
    assert writing.done()
    assert await folder.names() == [written]


@in_virtual_time
async def test_a_file_that_stays_short_or_away_is_named_with_what_it_had(tmp_path: Path) -> None:
    folder = Folder(tmp_path, device="eye", look=at_once)
    with pytest.raises(NotReached, match=r"^eye: a\.dat is not there after 2 s"):
        await folder.whole("a.dat", head=2, length=whole, most=100, within_s=2.0)
    (tmp_path / "a.dat").write_bytes(b"99 bytes")
    with pytest.raises(NotReached, match=r"^eye: a\.dat has 8 of 99 bytes after 2 s"):
        await folder.whole("a.dat", head=2, length=whole, most=100, within_s=2.0)
    with pytest.raises(GarbledReply, match=r"has or announces 99 bytes, of 50 at most"):
        await folder.whole("a.dat", head=2, length=whole, most=50, within_s=2.0)


@pytest.mark.parametrize("name", ["../a.dat", "/etc/passwd", "", ".", "..", "a/b", "a\\b", "a\nb", ".hidden"])
@in_virtual_time
async def test_a_name_is_a_name_and_never_a_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no bare file name"):
        await Folder(tmp_path, device="eye", look=at_once).whole(name, head=2, length=whole, most=9, within_s=1.0)


async def test_a_look_that_hangs_is_left_behind_and_no_second_one_is_started(tmp_path: Path) -> None:
    """A share whose server is gone blocks whoever looks at it, for as long as it likes."""
    looks: list[int] = []
    release = threading.Event()

    async def hanging(work: Callable[[], Any]) -> Any:
        def wait() -> Any:
            looks.append(1)
            release.wait(10.0)
            return work()

        return await aside(wait)

    folder = Folder(tmp_path, device="eye", look=hanging)
    with pytest.raises(LinkLost, match=r"can't be looked at within 0\.05 s"):
        await folder.names(within_s=0.05)
    with pytest.raises(LinkLost, match="a look at this folder still hangs"):
        await folder.names(within_s=0.05)
    assert looks == [1]
    release.set()
    while folder._hanging:
        await asyncio.sleep(0.001)
    assert await folder.names() == []


async def test_a_real_folder_is_looked_at_aside(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(b"10........")
    os.mkfifo(tmp_path / "pipe")
    folder = Folder(tmp_path, device="eye", look=aside)
    assert await folder.names() == ["a.dat"]
    assert (await folder.whole("a.dat", head=2, length=whole, most=100, within_s=5.0)).size == 10
    with pytest.raises(GarbledReply, match="pipe is no plain file"):
        await folder.whole("pipe", head=2, length=whole, most=100, within_s=5.0)
