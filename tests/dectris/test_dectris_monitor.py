"""The simulated detector's monitor, its high voltage, its ROI coupling, and its arrays as TIFF."""

from __future__ import annotations

import asyncio
import io
import json

import numpy as np
import pytest

from rocksalt.twin.wire.hosting import HttpRequest

MONITOR = "/monitor/api/1.8.0"


async def ask(bench, path: str, query: str = "", **headers: str):
    return await bench.simulator.handle(HttpRequest("GET", path, query, headers))


def read_tiff(data: bytes) -> np.ndarray:
    from PIL import Image

    return np.array(Image.open(io.BytesIO(data)))


async def monitored(bench, images: int, **config: object) -> None:
    await bench.ready_to_stream(nimages=images)
    for key, value in {"mode": "enabled", **config}.items():
        assert (await bench.put(f"{MONITOR}/config/{key}", value))[0] == 200
    await bench.take()


def test_images_are_listed_looked_at_and_taken_away(virtually) -> None:
    async def work(bench) -> None:
        await monitored(bench, 3)
        assert json.loads((await ask(bench, f"{MONITOR}/images")).body) == [[1, [0, 1, 2]]]
        newest = await ask(bench, f"{MONITOR}/images/monitor")
        assert (newest.status, newest.content_type) == (200, "image/tiff")
        oldest = await ask(bench, f"{MONITOR}/images/next")
        assert json.loads((await ask(bench, f"{MONITOR}/images")).body) == [[1, [1, 2]]]
        kept = await ask(bench, f"{MONITOR}/images/1/1/1")
        assert [int(read_tiff(reply.body)[0, 0]) for reply in (oldest, kept, newest)] == [50, 60, 70]
        assert read_tiff(newest.body).shape == (6, 10)
        for unknown in ("1/0/1", "2/1/1", "1/1/2", "x"):
            assert (await ask(bench, f"{MONITOR}/images/{unknown}")).status == 404

    virtually(work, bit_depth=16)


def test_an_image_is_waited_for_half_a_second_or_as_long_as_asked(virtually) -> None:
    async def work(bench) -> None:
        await monitored(bench, 1)
        assert (await ask(bench, f"{MONITOR}/images/next")).status == 200
        for query, waits_s in (("", 0.5), ("timeout=2000", 2.0), ("timeout=0", 0.0)):
            began_s = bench.clock.now_s()
            assert (await ask(bench, f"{MONITOR}/images/next", query)).status == 408
            assert bench.clock.now_s() - began_s == pytest.approx(waits_s)
        assert (await ask(bench, f"{MONITOR}/images/next", "timeout=long")).status == 400
        waiting = asyncio.ensure_future(ask(bench, f"{MONITOR}/images/monitor", "timeout=30000"))
        await bench.take()
        assert (await waiting).status == 200

    virtually(work)


@pytest.mark.parametrize(("discard_new", "kept"), [(True, [0, 1]), (False, [2, 3])])
def test_a_full_buffer_says_so_and_keeps_what_it_was_told_to(virtually, discard_new: bool, kept: list[int]) -> None:
    async def work(bench) -> None:
        await monitored(bench, 4, buffer_size=2, discard_new=discard_new)
        assert json.loads((await ask(bench, f"{MONITOR}/images")).body) == [[1, kept]]
        found = {key: await bench.value(f"{MONITOR}/status/{key}") for key in ("state", "dropped", "buffer_fill_level")}
        assert found == {"state": "overflow", "dropped": 2, "buffer_fill_level": [2, 2]}
        await bench.put(f"{MONITOR}/command/clear")
        assert await bench.value(f"{MONITOR}/status/state") == "normal"

    virtually(work)


def test_a_monitor_that_is_off_keeps_nothing(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream()
        await bench.take()
        assert json.loads((await ask(bench, f"{MONITOR}/images")).body) == []

    virtually(work)


def test_the_mask_comes_as_tiff_where_that_is_asked_for(virtually) -> None:
    async def work(bench) -> None:
        await bench.put("command/initialize")
        reply = await ask(bench, "/detector/api/1.8.0/config/pixel_mask", accept="image/tiff")
        assert reply.content_type == "image/tiff"
        assert np.frombuffer(reply.body[-240:], "<u4").reshape(6, 10).tolist() == bench.simulator.mask.tolist()

    virtually(work)


def test_the_high_voltage_ramps_after_a_cold_start(virtually) -> None:
    async def work(bench) -> None:
        await bench.put("command/initialize")
        assert await bench.get("status/high_voltage/state") == "RAMPING"
        await bench.clock.sleep(20.0)
        assert await bench.get("status/high_voltage/state") == "READY"

    virtually(work, hv_ramp_s=20.0)


def test_a_new_roi_mode_resets_the_times(virtually) -> None:
    async def work(bench) -> None:
        await bench.put("command/initialize")
        await bench.put("config/count_time", 7.0)
        _, changed = await bench.put("config/roi_mode", "lines")
        assert {"count_time", "frame_time", "roi_mode"} <= set(changed)
        assert await bench.get("config/count_time") == 1.0

    virtually(work)


def test_a_command_in_the_wrong_state_is_refused_and_changes_nothing(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(count_time=10.0, nimages=2)
        refused = {"idle": {"trigger"}, "ready": {"arm"}, "acquire": {"arm", "trigger"}}
        for state in ("idle", "ready", "acquire"):
            if state != "idle":
                await bench.put("command/arm")
            trigger = asyncio.ensure_future(bench.put("command/trigger")) if state == "acquire" else None
            await bench.clock.sleep(0.1)
            for command in refused[state]:
                assert (await bench.put(f"command/{command}"))[0] == 400
                assert await bench.get("status/state") == state
            if state != "idle":
                assert (await bench.put("config/count_time", 1.0))[0] == 400
            assert await bench.put("command/disarm") == (200, {"sequence id": bench.simulator.series})
            assert await bench.get("status/state") == "idle"
            if trigger is not None:
                await trigger

    virtually(work)
