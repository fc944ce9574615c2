"""True messages spliced, cut, doubled, late and damaged, on all sockets: an error with a name, and healing.

The protocol has no checksum: a digit that was changed on its way is a number like any other until it is told again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from bruker.bench import Wires, World, soon
from drivers.bench import in_virtual_time
from rocksalt.devices import DeviceError
from rocksalt.time import Chance


class Spoiled:
    """A socket whose bytes are spoiled, one message in three, by a seed."""

    def __init__(self, peer: Any, chance: Any, spoiling: Callable[[], bool]) -> None:
        self._peer, self._chance, self._spoiling = peer, chance, spoiling
        self._earlier = b"[NOOPERATION_YES]"

    def accept(self, send: Callable[[bytes], None]) -> Any:
        def spoil(data: bytes) -> None:
            earlier, self._earlier = self._earlier, data
            if not self._spoiling() or self._chance.random() > 1 / 3:
                send(data)
                return
            at = int(self._chance.integers(1, len(data)))
            damaged = bytearray(data)
            damaged[at % len(damaged)] ^= 1 << int(self._chance.integers(0, 8))
            other = int(self._chance.integers(0, len(earlier)))
            said = (
                data[:at], data[at:], data + data, earlier, earlier + data, data[:at] + earlier[other:], bytes(damaged),
                b"", data.replace(b"=", b"=nan "), data.replace(b"YES", b"NO"), b"\n" + data[:at] + b"\n" + data,
            )[int(self._chance.integers(0, 11))]  # fmt: skip
            if said:
                asyncio.get_running_loop().call_later(float(self._chance.choice([0.0, 0.0, 1.0, 4.0])), send, said)

        return self._peer.accept(spoil)


@pytest.mark.parametrize("seed", range(12))
@in_virtual_time
async def test_a_spoiled_conversation_raises_by_name_and_heals_to_the_truth(seed: int) -> None:
    world, chance, spoiling = World(seed=seed), Chance(seed).stream("spoil"), False
    world.wires = Wires(world.bis.sockets, lambda number, peer: Spoiled(peer, chance, lambda: spoiling))
    omega, kv, shutter = parts = [world.part(name) for name in ("omega", "kv", "shutter")]
    told = raised = 0
    spoiling = True
    for number in range(60):
        part = parts[number % 3]
        try:
            async with asyncio.timeout(3600):
                if part.state == "disconnected":
                    await part.connect()
                elif part is omega:
                    await omega.set(float(chance.integers(-20, 20)))
                elif part is kv:
                    assert math.isfinite((await kv.read()).value)
                else:
                    await shutter.make_safe()
            told += 1
        except DeviceError:
            raised += 1
    assert told
    assert raised
    spoiling = False
    await asyncio.sleep(10.0)
    for part in parts:  # a message cut short may still spoil the one after it: once, and then the sockets are new
        try:
            await part.connect()
        except DeviceError:
            await part.connect()
    await soon(lambda: not world.bis.busy)
    assert (await omega.read()).value == pytest.approx(world.bis._at["OMEGA"], abs=1e-5)
    assert (await kv.read()).value == world.bis.kv
    try:
        await omega.set(5.0)
    except DeviceError:  # a status that is told at the greeting alone may be the one that was spoiled
        for part in parts:
            await part.close()
        for part in parts:
            await part.connect()
        await omega.set(5.0)
    await shutter.open_shutter()
    await shutter.make_safe()
    assert not world.bis.safety_open
