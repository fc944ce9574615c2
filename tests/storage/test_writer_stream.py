"""The writer as a process, a detector's stream from another one over ZeroMQ: what was sent is what is on disk."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the filter for plain h5py)
import numpy as np
import pytest

from rocksalt.messages import Message, SocketChannel, each

SENDER = Path(__file__).with_name("sender.py")
DECODER = "rocksalt_drivers.dectris_simplon.stream:decoder"


async def stream_through_the_writer(
    folder: Path, *, count: int, rate_hz: float, drop: list[int], stream_version: int = 2
) -> tuple[list[Message], dict[str, Any]]:
    """What the writer said, and what the sender says it made."""
    said: list[Message] = []
    done = asyncio.Event()

    async def daemon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = SocketChannel(reader, writer)
        await channel.send(
            {"kind": "series", "series": 1, "measurement": 4, "first_number": 100, "count": count, "exposure_s": 0.009}
        )
        async for message in each(channel):
            said.append(message)
            if message["kind"] == "series_end":
                await channel.send({"kind": "finish"})
        channel.close()
        done.set()

    socket = folder / "channel"
    server = await asyncio.start_unix_server(daemon, str(socket))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = asyncio.subprocess.PIPE
    sender = await asyncio.create_subprocess_exec(
        sys.executable, str(SENDER), "--count", str(count), "--rate-hz", str(rate_hz),
        "--stream-version", str(stream_version), "--drop", *(str(number) for number in drop),
        stdout=pipe, env=environment, limit=1 << 20,
    )  # fmt: skip
    assert sender.stdout is not None
    port = json.loads(await sender.stdout.readline())["port"]
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rocksalt.storage.writer", "--channel", str(socket), "--folder", str(folder),
        "--stream", f"tcp://127.0.0.1:{port}", "--decoder", DECODER,
        "--stream-version", str(stream_version), "--shape", "514", "1030", env=environment,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            through, died = asyncio.create_task(done.wait()), asyncio.create_task(writer.wait())
            await asyncio.wait([through, died], return_when=asyncio.FIRST_COMPLETED)
            assert through.done(), "the writer died before it had told everything"
            made = json.loads(await sender.stdout.readline())
            assert await sender.wait() == 0
            assert await writer.wait() == 0
    finally:
        for process in (sender, writer):
            if process.returncode is None:
                process.kill()
                await process.wait()
        server.close()
    return said, made


def hashes_on_disk(folder: Path, frames: list[Message]) -> dict[int, str]:
    """Pixels, as plain h5py gives them, hashed; by frame number."""
    found: dict[int, str] = {}
    for path in sorted((folder / "frames").iterdir()):
        with h5py.File(path, "r") as file:
            numbers = file["/entry/data/number"][()]
            for index, number in enumerate(numbers):
                pixels = np.ascontiguousarray(file["/entry/data/data"][index])
                found[int(number)] = hashlib.sha256(pixels.tobytes()).hexdigest()
    return found


@pytest.mark.timeout(180)
async def test_a_thousand_frames_at_100_hz_are_all_on_disk_and_the_dropped_one_is_named(tmp_path: Path) -> None:
    said, made = await stream_through_the_writer(tmp_path, count=1000, rate_hz=100.0, drop=[617])
    frames = [message for message in said if message["kind"] == "frame"]
    (end,) = [message for message in said if message["kind"] == "series_end"]
    assert (end["taken"], end["written"], end["missing"], end["reason"]) == (1000, 999, [617], "end")
    troubles = [message for message in said if message["kind"] == "trouble" and message["cause"] != "disk_low"]
    assert troubles == []
    assert len(set(made["hashes"])) == 1000
    expected = {100 + image: digest for image, digest in enumerate(made["hashes"]) if image != 617}
    assert hashes_on_disk(tmp_path, frames) == expected
    assert [frame["number"] for frame in frames] == sorted(expected)


@pytest.mark.timeout(180)
async def test_two_hundred_frames_of_the_first_stream_are_all_on_disk_and_the_dropped_one_is_named(
    tmp_path: Path,
) -> None:
    said, made = await stream_through_the_writer(tmp_path, count=200, rate_hz=100.0, drop=[61], stream_version=1)
    frames = [message for message in said if message["kind"] == "frame"]
    (end,) = [message for message in said if message["kind"] == "series_end"]
    assert (end["taken"], end["written"], end["missing"], end["reason"]) == (200, 199, [61], "end")
    assert [message for message in said if message["kind"] == "trouble" and message["cause"] != "disk_low"] == []
    expected = {100 + image: digest for image, digest in enumerate(made["hashes"]) if image != 61}
    assert hashes_on_disk(tmp_path, frames) == expected
