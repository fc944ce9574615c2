"""The simulated detector keeps to what the manual says of REST, states, couplings and stream."""

from __future__ import annotations

import asyncio
import hashlib

import cbor2
import numpy as np
import pytest
from dectris.compression import decompress

from rocksalt.twin.wire.hosting import HttpRequest

GAP = [4, 5]  # the columns between the two tiles of a detector ten pixels wide


def kinds(bench) -> list[str]:
    return [cbor2.loads(message)["type"] for message in bench.messages]


def pixels_of(message: bytes) -> np.ndarray:
    """Read an image's pixels as the description of the tags has it, away from our decoder."""
    array = cbor2.loads(message)["data"]["threshold_1"]
    (rows, columns), typed = array.value
    algorithm, element, chunk = typed.value.value
    dtype = {64: "<u1", 69: "<u2", 70: "<u4"}[typed.tag]
    return np.frombuffer(decompress(bytes(chunk), algorithm, elem_size=element), dtype).reshape(rows, columns)


def test_before_initialize_only_the_state_is_there(virtually) -> None:
    async def work(bench) -> None:
        assert await bench.get("status/state") == "na"
        for path in ("status/temperature", "config/count_time"):
            answer = await bench.simulator.handle(HttpRequest("GET", f"/detector/api/1.8.0/{path}"))
            assert (answer.status, b"does not exist" in answer.body) == (404, True)
        assert (await bench.put("command/arm"))[0] == 404
        assert (await bench.put("command/initialize"))[0] == 200
        assert await bench.get("status/state") == "idle"
        assert bench.clock.now_s() == 5.0

    virtually(work)


@pytest.mark.parametrize(
    "path",
    ["/detector/api/1.8.0/config/nothing", "/detector/api/1.6.0/config/count_time", "/nobody/api/1.8.0/config/x", "/"],
)
def test_what_is_not_there_is_404(virtually, path: str) -> None:
    async def work(bench) -> None:
        await bench.put("command/initialize")
        assert (await bench.simulator.handle(HttpRequest("GET", path))).status == 404
        assert (await bench.simulator.handle(HttpRequest("PUT", path, body=b'{"value": 1}'))).status == 404

    virtually(work)


def test_the_version_is_told_in_any_state(virtually) -> None:
    async def work(bench) -> None:
        answer = await bench.simulator.handle(HttpRequest("GET", "/detector/api/version"))
        assert answer.body == b'{"value": "1.8.0", "value_type": "string"}'

    virtually(work)


@pytest.mark.parametrize("body", [b"", b"1", b"{}", b'{"value": "long"}', b'{"value": true}', b'{"value": -1}',
                                  b'{"value": NaN}', b'{"value": 1, "x": 2}', b"\xff"])  # fmt: skip
def test_a_value_of_the_wrong_type_or_range_changes_nothing(virtually, body: bytes) -> None:
    async def work(bench) -> None:
        await bench.put("command/initialize")
        request = HttpRequest("PUT", "/detector/api/1.8.0/config/count_time", body=body)
        assert (await bench.simulator.handle(request)).status == 400
        assert await bench.get("config/count_time") == 1.0
        assert (await bench.put("config/x_pixels_in_detector", 3))[0] == 400

    virtually(work)


def test_a_count_time_pushes_the_frame_time_up_and_never_pulls_it_down(virtually) -> None:
    async def work(bench) -> None:
        await bench.put("command/initialize")
        readout = await bench.get("config/detector_readout_time")
        status, changed = await bench.put("config/count_time", 2.0)
        assert status == 200
        assert {"count_time", "frame_time", "frame_count_time"} <= set(changed)
        assert await bench.get("config/frame_time") == 2.0 + readout
        _, changed = await bench.put("config/count_time", 0.5)
        assert "frame_time" not in changed
        assert await bench.get("config/frame_time") == 2.0 + readout
        await bench.put("config/frame_time", 0.25)
        assert await bench.get("config/count_time") == 0.25 - readout

    virtually(work)


def test_an_energy_takes_the_threshold_along_in_silence(virtually) -> None:
    async def work(bench) -> None:
        await bench.put("command/initialize")
        await bench.put("config/threshold/1/energy", 15000.0)
        assert await bench.get("config/threshold_energy") == 15000.0
        _, changed = await bench.put("config/photon_energy", 20000.0)
        assert {"photon_energy", "threshold_energy", "threshold/1/energy", "wavelength", "flatfield"} <= set(changed)
        assert await bench.get("config/threshold/1/energy") == 10000.0
        await bench.put("config/element", "Mo")
        assert await bench.get("config/photon_energy") == pytest.approx(17479.3)
        assert await bench.get("config/wavelength") == pytest.approx(0.70932, rel=1e-4)  # Mo K-alpha1
        assert await bench.get("config/element") == "Mo"

    virtually(work)


def test_a_series_runs_through_its_states_and_disarms_itself(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(count_time=0.5, frame_time=1.0, nimages=3, ntrigger=2)
        assert (await bench.put("command/trigger"))[0] == 400
        assert await bench.put("command/arm") == (200, {"sequence id": 1})
        assert await bench.get("status/state") == "ready"
        assert (await bench.put("command/arm"))[0] == 400
        assert (await bench.put("config/count_time", 1.0))[0] == 400
        armed_s = bench.clock.now_s()
        trigger = asyncio.ensure_future(bench.put("command/trigger"))
        await bench.clock.sleep(1.2)
        assert await bench.get("status/state") == "acquire"
        assert (await trigger)[0] == 200
        assert bench.clock.now_s() - armed_s == pytest.approx(2.5)  # the answer comes with the last image
        assert await bench.get("status/state") == "ready"
        await bench.put("command/trigger")
        assert await bench.get("status/state") == "idle"
        assert kinds(bench) == ["start", *["image"] * 6, "end"]
        assert [start - armed_s for start, _ in bench.camera.exposed] == pytest.approx([0, 1, 2, 2.5, 3.5, 4.5])
        assert await bench.put("command/disarm") == (200, {"sequence id": 1})
        assert kinds(bench)[-2:] == ["image", "end"]

    virtually(work)


def test_a_trigger_of_mode_inte_may_bring_its_own_time(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(count_time=0.5, nimages=7, ntrigger=2, trigger_mode="inte")
        await bench.put("command/arm")
        await bench.put("command/trigger")
        await bench.put("command/trigger", 2.0)
        assert [seconds for _, seconds in bench.camera.exposed] == [0.5, 2.0]
        assert kinds(bench) == ["start", "image", "image", "end"]
        assert cbor2.loads(bench.messages[0])["number_of_images"] == 2
        assert cbor2.loads(bench.messages[2])["real_time"] == [100_000_000, 50_000_000]

    virtually(work)


def test_an_end_is_these_bytes(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream()
        await bench.put("command/arm")
        await bench.put("command/disarm")
        head = bytes.fromhex("a3 64 74797065 63 656e64 69 7365726965735f6964 01 70 7365726965735f756e697175655f6964")
        assert bench.messages[-1][: len(head)] == head

    virtually(work)


def test_an_image_carries_tags_40_70_and_56500_around_the_filters_own_bytes(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(compression="bslz4", count_time=1.0)
        await bench.put("command/arm")
        await bench.put("command/trigger")
        message = bench.messages[1]
        # threshold_1: 40([[6, 10], 70(56500(["bslz4", 4, …
        assert bytes.fromhex("6b7468726573686f6c645f31 d828 82 82 06 0a d846 d9dcb4 83 6562736c7a34 04") in message
        assert bytes.fromhex("00000000000000f0 00002000") in message  # 240 bytes, blocks of 8192
        expected = np.full((6, 10), 50, "<u4") + np.arange(10, dtype="<u4")
        expected[:, GAP] = 2**32 - 1
        found = pixels_of(message)
        assert np.array_equal(found, expected)
        ((frame, sha256, chunk_sha256, series, image),) = bench.camera.truth
        assert (frame, series, image) == (0, 1, 0)
        assert sha256 == hashlib.sha256(expected.tobytes()).hexdigest()
        chunk = cbor2.loads(message)["data"]["threshold_1"].value[1].value.value[2]
        assert chunk_sha256 == hashlib.sha256(chunk).hexdigest()

    virtually(work)


@pytest.mark.parametrize(("bits", "compression"), [(16, "lz4"), (16, "bslz4"), (32, "lz4")])
def test_every_depth_and_compression_is_read_back(virtually, bits: int, compression: str) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(compression=compression)
        await bench.put("command/arm")
        await bench.put("command/trigger")
        pixels = pixels_of(bench.messages[1])
        assert pixels.dtype.itemsize == bits // 8
        assert pixels[0, 0] == 50
        assert pixels[0, GAP[0]] == 2**bits - 1

    virtually(work, bit_depth=bits)


def test_masked_pixels_can_be_zero_and_bright_ones_stop_at_the_cutoff(virtually) -> None:
    async def work(bench) -> None:
        bench.camera.max_rate_hz = 54.0
        await bench.ready_to_stream(mask_to_zero=True, count_time=1.0)
        await bench.put("command/arm")
        await bench.put("command/trigger")
        pixels = pixels_of(bench.messages[1])
        assert pixels[0, GAP[0]] == 0
        assert pixels.max() == cbor2.loads(bench.messages[0])["saturation_value"] == 54

    virtually(work)


def test_the_start_brings_the_mask_when_asked_for_all(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream()
        await bench.put("/stream/api/1.8.0/config/header_detail", "all")
        await bench.put("command/arm")
        mask = cbor2.loads(bench.messages[0])["pixel_mask"]["threshold_1"]
        assert tuple(mask.value[0]) == (6, 10)
        values = np.frombuffer(mask.value[1].value, "<u4").reshape(6, 10)
        assert values[0].tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
        assert values[2, 3] == 2

    virtually(work, dead=[[2, 3]])


def test_cancel_finishes_the_running_image_and_abort_drops_it(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(count_time=1.0, nimages=5)
        for command, images in (("cancel", 2), ("abort", 1)):
            bench.parts.clear()
            await bench.put("command/arm")
            trigger = asyncio.ensure_future(bench.put("command/trigger"))
            await bench.clock.sleep(1.5)
            assert (await bench.put(f"command/{command}"))[0] == 200
            assert (await trigger)[0] == 200
            assert kinds(bench) == ["start", *["image"] * images, "end"]
            assert await bench.get("status/state") == "idle"

    virtually(work)


def test_the_series_goes_on_when_the_client_that_triggered_goes_away(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(count_time=1.0, nimages=3)
        await bench.put("command/arm")
        trigger = asyncio.ensure_future(bench.put("command/trigger"))
        await bench.clock.sleep(0.5)
        trigger.cancel()
        await bench.clock.sleep(5.0)
        assert kinds(bench) == ["start", "image", "image", "image", "end"]

    virtually(work)


def test_what_nobody_pulls_is_counted_as_dropped(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(nimages=2)
        await bench.put("command/arm")
        bench.pulled = False
        await bench.put("command/trigger")
        answer = await bench.simulator.handle(HttpRequest("GET", "/stream/api/1.8.0/status/dropped"))
        assert b'"value": 3' in answer.body
        assert bench.camera.truth == []

    virtually(work)


def test_a_stream_that_was_never_enabled_sends_nothing_and_says_nothing(virtually) -> None:
    async def work(bench) -> None:
        await bench.put("command/initialize")
        await bench.put("command/arm")
        assert (await bench.put("command/trigger"))[0] == 200
        assert (bench.messages, bench.simulator.dropped) == ([], 0)

    virtually(work)


def test_a_reboot_in_mid_series_leaves_state_na_no_end_and_no_keys(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(count_time=1.0, nimages=5)
        await bench.put("command/arm")
        trigger = asyncio.ensure_future(bench.put("command/trigger"))
        await bench.clock.sleep(1.5)
        bench.simulator.power_cycle()
        await trigger
        assert await bench.get("status/state") == "na"
        assert (await bench.put("config/count_time", 1.0))[0] == 404
        assert kinds(bench) == ["start", "image"]

    virtually(work)


@pytest.mark.parametrize(
    ("fault", "images", "ends"),
    [
        ({}, [0, 1, 2], 1),
        ({"drop_images": [1]}, [0, 2], 1),
        ({"drop_images": [[1, 2]]}, [0, 1], 1),
        ({"drop_images": [[2, 1]]}, [0, 1, 2], 1),  # of the next series
        ({"lost_end": True}, [0, 1, 2], 0),
        ({"lost_end": [1]}, [0, 1, 2], 0),
        ({"lost_end": [2]}, [0, 1, 2], 1),
        ({"duplicate_end": True}, [0, 1, 2], 2),
    ],
)
def test_a_named_fault_of_the_stream_happens(virtually, fault, images: list[int], ends: int) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(nimages=3)
        await bench.put("command/arm")
        await bench.put("command/trigger")
        await bench.put("command/disarm")
        assert kinds(bench) == ["start", *["image"] * len(images), *["end"] * ends]
        sent = [cbor2.loads(message)["image_id"] for message in bench.messages if b"image_id" in message]
        assert sent == images == [image for *_, image in bench.camera.truth]

    virtually(work, **fault)


def test_a_corrupt_image_differs_from_its_truth_behind_the_header(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(nimages=2)
        await bench.put("command/arm")
        await bench.put("command/trigger")
        chunks = [cbor2.loads(m)["data"]["threshold_1"].value[1].value.value[2] for m in bench.messages[1:3]]
        said = [chunk_sha256 for _, _, chunk_sha256, *_ in bench.camera.truth]
        sent = [hashlib.sha256(chunk).hexdigest() for chunk in chunks]
        assert [one == other for one, other in zip(sent, said, strict=True)] == [True, False]

    virtually(work, corrupt_images=[1])


def test_the_same_seedless_run_gives_the_same_bytes_twice(virtually) -> None:
    async def work(bench) -> list[bytes]:
        await bench.ready_to_stream(nimages=2)
        await bench.put("command/arm")
        await bench.put("command/trigger")
        return bench.messages

    assert virtually(work) == virtually(work)
