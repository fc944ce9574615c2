"""Processes and nodes talk in the same bytes, whole and in order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.messages import ChannelClosed, SocketChannel, connect, each, pack, pair, unpack
from rocksalt.time import run_virtual


@given(st.binary(max_size=64))
def test_garbage_is_refused_and_never_more(data: bytes) -> None:
    try:
        message = unpack(data)
    except ValueError:
        return
    assert isinstance(message, dict)


def test_a_pair_in_memory_keeps_order_and_says_when_the_other_is_gone() -> None:
    async def main() -> list[dict[str, object]]:
        here, there = pair()
        for number in range(3):
            await here.send({"number": number})
        here.close()
        return [message async for message in each(there)]

    assert run_virtual(main) == [{"number": 0}, {"number": 1}, {"number": 2}]


def test_what_cannot_travel_between_processes_cannot_travel_between_nodes() -> None:
    async def main() -> None:
        here, _ = pair()
        await here.send({"when": object()})

    with pytest.raises(TypeError):
        run_virtual(main)


async def test_a_unix_socket_carries_the_same_and_ends_the_same(tmp_path: Path) -> None:
    came: asyncio.Future[SocketChannel] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_unix_server(
        lambda reader, writer: came.set_result(SocketChannel(reader, writer)), tmp_path / "s"
    )
    here = await connect(tmp_path / "s")
    there = await came
    big = {"kind": "frame", "bytes": bytes(300_000)}
    await here.send(big)
    assert await there.receive() == big
    here.close()
    with pytest.raises(ChannelClosed):
        await there.receive()
    there.close()
    await there.closed()
    await here.closed()
    server.close()
    await server.wait_closed()


def test_messages_survive_packing() -> None:
    assert unpack(pack({"a": [1, 2.5, None, "x"], "b": {"c": True}})) == {"a": [1, 2.5, None, "x"], "b": {"c": True}}
