"""The line of bytes: whole exchanges, deadlines, stops that go first, and answers that are never taken for another's.

The laws are tried in virtual time on lines of memory; the real ones, a socket and a pseudo-terminal, once each.
"""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable
from typing import Any

import pytest

from drivers.bench import Late, SerialLike, in_virtual_time
from rocksalt.config.links import parse_link
from rocksalt.devices import Beat, ByteLink, GarbledReply, LinkLost, Preempted
from rocksalt.devices.links import RealWires
from rocksalt.devices.links.memory import MemoryTransport
from rocksalt.time import Chance, Crashed, Node


class Parrot:
    """Answers a query with its own words, and says who it is; what does not end in a question mark it only hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.connections = 0

    def accept(self, send: Callable[[bytes], None]) -> Parrot:
        self.connections += 1
        return _Conversation(self, send)  # type: ignore[return-value]


class _Conversation:
    def __init__(self, parrot: Parrot, send: Callable[[bytes], None]) -> None:
        self._parrot, self._send, self._rest = parrot, send, b""

    def receive(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in filter(None, lines):
            self._parrot.heard.append(line.decode())
            if line.endswith(b"?"):
                self._send(line.replace(b"?", b"").replace(b"*IDN", b"a parrot, green") + b"\r\n")

    def closed(self) -> None:
        pass


def link_to(peer: Any, transport: Callable[[Any], MemoryTransport] = MemoryTransport, **settings: Any) -> ByteLink:
    link = ByteLink(transport(peer), device="bird", address="memory:bird", **settings)
    link.resync = Beat("*IDN?", "*STB?")
    return link


async def ask(link: ByteLink, query: str) -> str:
    async with link.exchange() as line:
        return await line.ask(query)


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\n\r", b"\r\n\r\n"])
@in_virtual_time
async def test_an_answer_may_end_as_it_likes_even_torn_in_pieces(end: bytes) -> None:
    class Torn(Parrot):
        def accept(self, send: Callable[[bytes], None]) -> Any:
            def torn(data: bytes) -> None:
                for byte in data.rstrip() + end:
                    send(bytes([byte]))

            return super().accept(torn)

    link = link_to(Torn())
    await link.open()
    for number in range(3):
        assert await ask(link, f"q{number}?") == f"q{number}"


@in_virtual_time
async def test_nobody_slips_between_a_command_and_its_confirmation() -> None:
    parrot = Parrot()
    link = link_to(Late(parrot, lambda: 0.1))
    await link.open()

    async def command(number: int) -> None:
        async with link.exchange() as line:
            await line.send(f"do {number}")
            assert await line.ask(f"done {number}?") == f"done {number}"

    await asyncio.gather(*[command(number) for number in range(5)], *[ask(link, f"poll {n}?") for n in range(5)])
    at = [parrot.heard.index(f"do {number}") for number in range(5)]
    assert [parrot.heard[place + 1] for place in at] == [f"done {number}?" for number in range(5)]


@in_virtual_time
async def test_no_answer_is_a_lost_link_at_the_deadline_and_not_later() -> None:
    link = link_to(Late(Parrot(), lambda: None), deadline_s=0.7)
    await link.open()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(LinkLost, match=r"^bird: no answer to 'q\?' within 0\.7 s \(memory:bird\)$"):
        await ask(link, "q?")
    assert loop.time() - began_s == pytest.approx(0.7)
    assert link.dirty


@in_virtual_time
async def test_a_dirty_connection_is_reopened_and_the_late_answer_stays_behind() -> None:
    parrot, slow = Parrot(), True
    link = link_to(Late(parrot, lambda: 3.0 if slow else 0.0))
    await link.open()
    with pytest.raises(LinkLost):
        await ask(link, "first?")
    slow = False
    await asyncio.sleep(2)
    assert await ask(link, "second?") == "second"
    assert parrot.connections == 2


@in_virtual_time
async def test_a_garbled_answer_leaves_the_line_to_be_cleansed() -> None:
    link = link_to(Parrot())
    await link.open()

    async def ask_and_doubt() -> None:
        async with link.exchange() as line:
            await line.ask("q?")
            raise GarbledReply("bird", "that was no answer to q?")

    with pytest.raises(GarbledReply):
        await ask_and_doubt()
    assert link.dirty


@in_virtual_time
async def test_more_than_was_asked_for_leaves_the_line_to_be_cleansed() -> None:
    class Twice(Parrot):
        def accept(self, send: Callable[[bytes], None]) -> Any:
            return super().accept(lambda data: send(data + data))

    link = link_to(Twice())
    await link.open()
    assert await ask(link, "q?") == "q"
    assert link.dirty


@in_virtual_time
async def test_a_stop_goes_before_all_who_wait_and_breaks_off_who_holds_the_line() -> None:
    parrot = Parrot()
    link = link_to(Late(parrot, lambda: 1.0))
    await link.open()
    polls = [asyncio.ensure_future(ask(link, f"poll {n}?")) for n in range(3)]
    await asyncio.sleep(0.5)
    async with link.exchange(urgent=True, first="stop") as line:
        assert await line.ask("stopped?") == "stopped"
    with pytest.raises(Preempted, match="broken off by a stop"):
        await polls[0]
    assert await polls[1] == "poll 1"
    assert await polls[2] == "poll 2"
    assert parrot.heard == ["poll 0?", "stop", "stopped?", "poll 1?", "poll 2?"]


@in_virtual_time
async def test_one_stop_does_not_break_off_another() -> None:
    link = link_to(Late(Parrot(), lambda: 1.0))
    await link.open()

    async def stop(number: int) -> str:
        async with link.exchange(urgent=True) as line:
            return await line.ask(f"stop {number}?")

    assert await asyncio.gather(stop(1), stop(2)) == ["stop 1", "stop 2"]


@in_virtual_time
async def test_on_a_line_that_cant_be_reopened_a_stop_is_said_before_the_line_is_cleansed() -> None:
    parrot, slow = Parrot(), False
    link = link_to(Late(parrot, lambda: 3.0 if slow else 0.1), SerialLike)
    await link.open()
    await ask(link, "q0?")
    slow = True
    poll = asyncio.ensure_future(ask(link, "q1?"))
    await asyncio.sleep(0.5)
    parrot.heard.clear()
    with pytest.raises(LinkLost):
        async with link.exchange(urgent=True, first="stop"):
            raise AssertionError("a line that is out of step was handed out")
    with pytest.raises(Preempted):
        await poll
    assert parrot.heard[0] == "stop"


@pytest.mark.parametrize("transport", [MemoryTransport, SerialLike])
@pytest.mark.parametrize("seed", range(100))
@in_virtual_time
async def test_whatever_is_late_lost_cancelled_or_broken_off_each_answer_belongs_to_its_question(
    seed: int, transport: Callable[[Any], MemoryTransport]
) -> None:
    chance = Chance(seed).stream("line")
    answered = 0

    def delay_s() -> float | None:
        kind = chance.random()
        return None if kind < 0.05 else float(chance.uniform(0, 5)) if kind < 0.2 else float(chance.uniform(0, 0.3))

    link = link_to(Late(Parrot(), delay_s), transport)
    await link.open()

    async def client(name: str, urgent: bool) -> None:
        nonlocal answered
        for number in range(15):
            try:
                async with asyncio.timeout(float(chance.uniform(0.1, 4))):
                    async with link.exchange(urgent=urgent) as line:
                        query = f"{name}{number}"
                        for part in range(int(chance.integers(1, 3))):
                            assert await line.ask(f"{query}.{part}?") == f"{query}.{part}"
                            answered += 1
            except (LinkLost, Preempted, TimeoutError):
                if not link.connected:
                    await link.open()
            await asyncio.sleep(float(chance.uniform(0, 3 if urgent else 1)))

    async with asyncio.TaskGroup() as group:
        for name, urgent in (("poll", False), ("set", False), ("stop", True)):
            group.create_task(client(name, urgent))
    assert answered > 10


@in_virtual_time
async def test_a_reopening_that_is_cancelled_is_tried_again_by_whoever_comes_next() -> None:
    class SlowToOpen(MemoryTransport):
        async def open(self) -> None:
            await asyncio.sleep(0.5)
            await super().open()

    slow = True
    link = link_to(Late(Parrot(), lambda: 9.0 if slow else 0.0), SlowToOpen)
    await link.open()
    with pytest.raises(LinkLost):
        await ask(link, "q?")
    slow = False
    poll = asyncio.ensure_future(ask(link, "q?"))
    await asyncio.sleep(0.2)
    poll.cancel()
    await asyncio.wait([poll])
    assert await ask(link, "next?") == "next"


@in_virtual_time
async def test_who_is_cancelled_while_waiting_hands_his_turn_on() -> None:
    link = link_to(Late(Parrot(), lambda: 0.5))
    await link.open()
    first, second, third = (asyncio.ensure_future(ask(link, f"q{n}?")) for n in range(3))
    await asyncio.sleep(0.1)
    second.cancel()
    assert [await first, await third] == ["q0", "q2"]
    with pytest.raises(asyncio.CancelledError):
        await second


@in_virtual_time
async def test_messages_keep_the_distance_that_the_instrument_wants() -> None:
    link = link_to(Parrot())
    link.spacing_s = 0.05
    await link.open()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for _ in range(4):
        await ask(link, "q?")
    assert loop.time() - began_s == pytest.approx(0.15)


@in_virtual_time
async def test_after_a_crash_of_its_node_a_line_carries_nothing() -> None:
    parrot = Parrot()
    node = Node("daemon")

    async def work() -> None:
        link = link_to(Late(parrot, lambda: 1.0))
        await link.open()
        try:
            await ask(link, "q?")
        finally:
            await link._transport.write(b"a last word\n")

    task = node.spawn(work())
    await asyncio.sleep(0.5)
    node.crash()
    with pytest.raises(Crashed):
        await task
    assert parrot.heard == ["q?"]


# --- the real ones


async def test_a_dirty_socket_is_reopened_and_an_answer_that_comes_late_is_not_heard() -> None:
    conversations: list[asyncio.Task[Any]] = []
    answers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.append(asyncio.current_task())  # type: ignore[arg-type]
        answers.append(writer)
        try:
            while line := await reader.readline():
                if line != b"first?\n":
                    answers[0].write(b"first\n")
                    writer.write(line.replace(b"?", b""))
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = RealWires().byte("bird", parse_link(f"tcp://127.0.0.1:{port}"), deadline_s=0.05)
    await link.open()
    with pytest.raises(LinkLost, match=r"no answer to 'first\?' within 0\.05 s"):
        await ask(link, "first?")
    assert link.dirty
    link.deadline_s = 5.0
    assert await ask(link, "second?") == "second"
    assert await ask(link, "third?") == "third"
    assert len(conversations) == 2
    link.close()
    server.close()
    await server.wait_closed()
    await asyncio.gather(*conversations)


async def test_a_socket_that_nobody_listens_on_and_one_that_hangs_up_are_lost_links() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = RealWires().byte("bird", parse_link(f"tcp://127.0.0.1:{port}"))
    await link.open()
    with pytest.raises(LinkLost, match="the other side closed the connection"):
        await ask(link, "q?")
    assert not link.connected
    server.close()
    await server.wait_closed()
    with pytest.raises(LinkLost, match=rf"no connection to tcp://127\.0\.0\.1:{port}"):
        await link.open()


class Terminal:
    """The far end of a pseudo-terminal, with a parrot on it that can be told to be late."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.master)
        os.set_blocking(self.master, False)
        self.parrot, self.kept, self.late = Parrot(), b"", False
        self._conversation = self.parrot.accept(self.say)
        asyncio.get_running_loop().add_reader(self.master, self._hear)

    def _hear(self) -> None:
        try:
            self._conversation.receive(os.read(self.master, 4096))  # type: ignore[attr-defined]
        except OSError:  # nobody has it open just now
            pass

    def say(self, data: bytes) -> None:
        if self.late:
            self.kept += data
        else:
            os.write(self.master, self.kept + data)
            self.kept = b""

    def unplug(self) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)

    async def link(self, query: str = "?baud=57600&bytesize=7&parity=O") -> ByteLink:
        link = RealWires().byte("bird", parse_link(f"serial://{os.ttyname(self.slave)}{query}"), deadline_s=2.0)
        link.quiet_s, link.resync = 0.02, Beat("*IDN?", "*STB?")
        await link.open()
        return link


async def test_a_dirty_terminal_is_drained_and_finds_the_beat_again() -> None:
    terminal = Terminal()
    os.write(terminal.master, b"what the last program asked for\n")
    link = await terminal.link()
    assert await ask(link, "q0?") == "q0"
    terminal.late, link.deadline_s = True, 0.05
    with pytest.raises(LinkLost, match=r"no answer to 'first\?'"):
        await ask(link, "first?")
    assert link.dirty
    terminal.late, link.deadline_s = False, 2.0  # the late answer comes together with the next one
    assert await ask(link, "second?") == "second"
    assert [text for text in terminal.parrot.heard if text.startswith("*IDN")] == ["*IDN?;*STB?", "*IDN?;*STB?;*STB?"]
    assert await ask(link, "third?") == "third"
    link.close()
    terminal.unplug()
    os.close(terminal.slave)


async def test_a_terminal_that_is_unplugged_is_a_lost_link() -> None:
    terminal = Terminal()
    link = await terminal.link("")
    assert await ask(link, "q?") == "q"
    os.close(terminal.slave)
    terminal.unplug()
    with pytest.raises(LinkLost):
        await ask(link, "q?")
    assert not link.connected
    link.close()


async def test_a_device_file_that_is_not_there_is_a_lost_link() -> None:
    link = RealWires().byte("bird", parse_link("serial:///dev/no-such-line"))
    with pytest.raises(LinkLost, match="no connection to serial:///dev/no-such-line"):
        await link.open()


def test_a_line_of_bytes_can_not_be_had_from_just_any_address() -> None:
    with pytest.raises(ValueError, match="bird: a line of bytes can't be had from http://"):
        RealWires().byte("bird", parse_link("http://127.0.0.1:80"))
