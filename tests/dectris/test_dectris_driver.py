"""The driver on the wire: what it asks, what it makes of answers, and a whole series against the simulator."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rocksalt.devices import GarbledReply, LinkLost, Refused
from rocksalt.devices.stream import Image, SeriesEnd, SeriesStart
from rocksalt_drivers.dectris_simplon.stream import decoder as stream_decoder

from .conftest import SHAPE
from .wire import Wire

API = "/detector/api/1.8.0"


def test_a_series_is_these_requests(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver()
        await detector.connect()
        bench.log.clear()
        armed = await detector.arm(0.5, 4)
        await detector.trigger(0.5, 4)
        assert armed.series == 1
        puts = [(path, json.loads(body) if body else None) for method, path, body in bench.log if method == "PUT"]
        assert puts == [
            (f"{API}/config/count_time", {"value": 0.5}),
            (f"{API}/config/frame_time", {"value": pytest.approx(0.5000001)}),
            (f"{API}/config/nimages", {"value": 4}),
            (f"{API}/config/ntrigger", {"value": 1}),
            (f"{API}/command/arm", None),
            (f"{API}/command/trigger", None),
        ]

    virtually(work)


def test_frames_come_out_of_the_decoder_as_the_camera_saw_them(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver()
        await detector.connect()
        await detector.arm(0.5, 3)
        await detector.trigger(0.5, 3)
        await detector.disarm()
        read = stream_decoder(2, SHAPE).decode
        start, *images, end = [read(message) for message in bench.parts]
        assert isinstance(start, SeriesStart)
        assert (start.images, start.shape, start.count_time_s) == (3, (6, 10), 0.5)
        assert np.array_equal(start.pixel_mask, detector.pixel_mask)
        assert [image.image for image in images if isinstance(image, Image)] == [0, 1, 2]
        assert [image.stop_s - image.start_s for image in images] == pytest.approx([0.5] * 3)
        assert end == SeriesEnd(1)

    virtually(work)


@pytest.mark.parametrize("early", [False, True])
def test_trigger_returns_when_the_series_is_done_whenever_the_answer_comes(virtually, early: bool) -> None:
    async def work(bench) -> None:
        detector = bench.driver()
        await detector.connect()
        began_s = bench.clock.now_s()
        await detector.arm(2.0, 3)
        await detector.trigger(2.0, 3)
        assert 6.0 <= bench.clock.now_s() - began_s < 6.5
        assert await bench.get("status/state") == "idle"

    virtually(work, early_reply=early)


def test_a_trigger_without_any_answer_is_a_lost_link_within_its_own_deadline(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver(peer=Wire(bench, {"command/trigger": None}))
        await detector.connect()
        await detector.arm(2.0, 3)
        began_s = bench.clock.now_s()
        with pytest.raises(LinkLost, match=r"no answer to PUT .*trigger within 33 s"):
            await detector.trigger(2.0, 3)
        assert bench.clock.now_s() - began_s == pytest.approx(33.0)

    virtually(work)


def test_a_reboot_in_mid_series_is_a_lost_link_by_name(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver()
        await detector.connect()
        await detector.arm(1.0, 4)
        bench.clock.loop.call_later(2.5, bench.simulator.power_cycle)
        with pytest.raises(LinkLost, match="in state 'na': it was restarted"):
            await detector.trigger(1.0, 4)
        await detector.close()
        await detector.connect()  # initializes it again
        assert (await detector.arm(1.0, 1)).series == 2

    virtually(work)


def test_the_threshold_is_what_was_asked_for_although_the_energy_moves_it(virtually) -> None:
    async def work(bench) -> None:
        await bench.driver(photon_energy_ev=30000, threshold_ev=12000).connect()
        assert await bench.get("config/photon_energy") == 30000
        assert await bench.get("config/threshold/1/energy") == 12000

    virtually(work)


def test_a_setting_that_another_one_moved_is_noticed(virtually) -> None:
    async def work(bench) -> None:
        wire = Wire(bench, {"GET threshold/1/energy": b'{"value": 9999.0}'})
        with pytest.raises(
            Refused, match=r"threshold/1/energy was set to 15000\.0 and reads 9999\.0: the unit did not"
        ):
            await bench.driver(peer=wire, threshold_ev=15000).connect()

    virtually(work)


def test_whatever_the_last_user_left_is_ended_first(virtually) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(trigger_mode="inte", compression="lz4", test_image_mode="value", ntrigger=9)
        await bench.put("command/arm")
        detector = bench.driver()
        await detector.connect()
        assert await bench.get("config/trigger_mode") == "ints"
        assert await bench.get("config/compression") == "bslz4"
        assert await bench.get("config/test_image_mode") == ""
        await detector.arm(0.1, 1)

    virtually(work)


def test_another_shape_than_the_station_files_says_what_to_write(virtually) -> None:
    async def work(bench) -> None:
        why = r"6 rows of 10 pixels; the station file \(station\.toml:40\) says .*\[10, 6\]"
        with pytest.raises(Refused, match=why):
            await bench.driver(shape=(10, 6)).connect()

    virtually(work)


def test_nothing_is_exposed_before_the_high_voltage_is_ready(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver()
        await detector.connect()
        await bench.put("command/hv_reset", 60)
        began_s = bench.clock.now_s()
        await detector.arm(1.0, 1)
        assert 60.0 <= bench.clock.now_s() - began_s < 60.5
        with pytest.raises(Refused, match="state 'ready'"):
            await detector.arm(1.0, 1)
        await detector.stop()
        await bench.put("command/hv_reset", 600)
        with pytest.raises(Refused, match="high voltage is RAMPING after 120 s"):
            await detector.arm(1.0, 1)
        off = bench.driver(peer=Wire(bench, {"high_voltage/state": b'{"value": "OFF"}'}))
        await off.connect()
        with pytest.raises(Refused, match="high voltage is OFF after 0 s"):
            await off.arm(1.0, 1)

    virtually(work)


def test_the_sequence_id_is_taken_in_both_spellings_and_nothing_else(virtually) -> None:
    async def work(bench) -> None:
        for answer in (b'{"sequence id": 12}', b'{"sequence_id": 12}'):
            detector = bench.driver(peer=Wire(bench, {"command/arm": answer}))
            await detector.connect()
            assert (await detector.arm(1.0, 1)).series == 12
        for answer in (b"{}", b"[]", b"not json", b'{"sequence id": "12"}'):
            detector = bench.driver(peer=Wire(bench, {"command/arm": answer}))
            await detector.connect()
            with pytest.raises(GarbledReply):
                await detector.arm(1.0, 1)

    virtually(work)


@pytest.mark.parametrize(
    "mask",
    [
        b'{"value": {"__darray__": [1, 0, 0], "type": "<u4", "shape": [6, 10], "filters": ["base64"], "data": ""}}',
        b'{"value": {"__darray__": [1, 0, 0], "type": "<u4", "shape": [10, 6], "filters": ["base64"], "data": "AAAA"}}',
        b'{"value": {"__darray__": [1, 0, 0], "type": "<u4", "shape": [10, 6], "filters": ["base64"], "data": "*"}}',
        b'{"value": 7}',
        b"7",
    ],
)
def test_a_mask_of_another_shape_or_kind_is_garbled(virtually, mask: bytes) -> None:
    async def work(bench) -> None:
        with pytest.raises(GarbledReply):
            await bench.driver(peer=Wire(bench, {"config/pixel_mask": mask})).connect()

    virtually(work)


def test_stop_and_safe_end_the_series_at_once(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver()
        await detector.connect()
        for end in (detector.stop, detector.make_safe):
            await detector.arm(100.0, 5)
            await end()
            assert await bench.get("status/state") == "idle"

    virtually(work)
