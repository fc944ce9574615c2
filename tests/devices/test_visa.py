"""VISA: bytes through a process of its own: a library that hangs is killed, and holds neither the loop nor a port."""

from __future__ import annotations

import asyncio
import os
import signal
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rocksalt.config.links import parse_link
from rocksalt.devices import Beat, ByteLink, LinkLost
from rocksalt.devices.links import RealWires
from rocksalt.devices.links.visa import VisaTransport


async def ask(link: ByteLink, query: str) -> str:
    async with link.exchange() as line:
        return await line.ask(query)


def child_of(link: ByteLink) -> int:
    transport: Any = link._transport
    assert isinstance(transport, VisaTransport)
    assert transport._process is not None
    return transport._process.pid


async def gone(pid: int) -> None:
    """Until the process is no more."""
    async with asyncio.timeout(5.0):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def echoing_socket(connections: list[int]) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        try:
            while line := await reader.readline():
                if line != b"silence?\n":
                    writer.write(line.replace(b"?", b"").strip() + b"\r")
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def linked(resource: str) -> AsyncIterator[ByteLink]:
    link = RealWires().byte("bird", parse_link(f"visa://{resource}"), deadline_s=10.0, serial={"baud": "57600"})
    link.resync, link.quiet_s = Beat("*IDN?", "*STB?"), 0.1
    await link.open()
    pid = child_of(link)
    try:
        yield link
    finally:
        link.close()
        await gone(pid)


async def test_a_socket_is_reached_through_visa_whatever_ends_its_answers() -> None:
    async with echoing_socket([]) as port, linked(f"TCPIP0::127.0.0.1::{port}::SOCKET") as link:
        assert await ask(link, "one?") == "one"
        assert await ask(link, "two words?") == "two words"


async def test_a_library_that_hangs_is_a_lost_link_at_the_deadline_and_is_killed_with_its_connection() -> None:
    connections: list[int] = []
    async with echoing_socket(connections) as port, linked(f"TCPIP0::127.0.0.1::{port}::SOCKET") as link:
        hung = child_of(link)
        assert await ask(link, "one?") == "one"
        os.kill(hung, signal.SIGSTOP)  # as deep in a system call as a library can be
        link.deadline_s = 0.2
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with pytest.raises(LinkLost, match=r"within 0\.2 s"):
            await ask(link, "two?")
        assert loop.time() - began_s < 2.0
        link.deadline_s = 10.0
        assert await ask(link, "three?") == "three"
        await gone(hung)
        assert len(connections) == 2


async def test_a_reply_that_comes_too_late_stays_behind() -> None:
    async with echoing_socket([]) as port, linked(f"TCPIP0::127.0.0.1::{port}::SOCKET") as link:
        link.deadline_s = 0.1
        with pytest.raises(LinkLost, match=r"no answer to 'silence\?'"):
            await ask(link, "silence?")
        assert link.dirty
        link.deadline_s = 10.0
        assert await ask(link, "two?") == "two"


async def test_a_serial_line_through_visa_is_let_go_when_it_is_closed() -> None:
    master, slave = os.openpty()
    tty.setraw(master)
    os.set_blocking(master, False)

    def hear() -> None:
        data = os.read(master, 4096)
        for line in data.split(b"\n"):
            if line:
                answer = line.replace(b"?", b"").replace(b"*IDN", b"a parrot, green")
                os.write(master, answer + b"\r\n")

    asyncio.get_running_loop().add_reader(master, hear)
    async with linked(f"ASRL{os.ttyname(slave)}::INSTR") as link:
        assert await ask(link, "KRDG? A") == "KRDG A"
        pid = child_of(link)
        held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert os.ttyname(slave) in held
    assert not Path(f"/proc/{pid}").exists()
    asyncio.get_running_loop().remove_reader(master)
    os.close(master)
    os.close(slave)


async def test_a_resource_that_is_not_there_is_a_lost_link_in_the_librarys_words() -> None:
    link = RealWires().byte("bird", parse_link("visa://ASRL/dev/no-such-line::INSTR"), deadline_s=10.0)
    with pytest.raises(LinkLost, match="no connection to visa://ASRL/dev/no-such-line::INSTR"):
        await link.open()
