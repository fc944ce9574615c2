"""What the driver makes of a detector in whatever state: who it is, one known configuration, couplings read back."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocksalt.devices import DeviceError, GarbledReply, LinkLost, Refused, WrongInstrument
from rocksalt.time import run_virtual

from .conftest import Bench
from .wire import Wire

VERSION = "detector/api/version"


def test_another_server_is_refused_by_name(virtually) -> None:
    async def work(bench) -> None:
        where = r"answers at http://127.0.0.1:80, where the station file \(station.toml:40\) expects one of API 1.8.0"
        for answer in ((404, b"<html>"), b"<html>", b"[]", b'{"value": 1.8}'):
            with pytest.raises(WrongInstrument, match=f"no DECTRIS control unit {where}"):
                await bench.driver(peer=Wire(bench, {VERSION: answer})).connect()
        for version in ("1.6.0", "1.8.0/../../x", "1.8."):
            with pytest.raises(WrongInstrument, match=f"a control unit of API {version} {where}"):
                await bench.driver(peer=Wire(bench, {VERSION: b'{"value": "%s"}' % version.encode()})).connect()

    virtually(work)


def test_another_version_is_driven_where_the_station_file_says_so(virtually) -> None:
    async def work(bench) -> None:
        odd = Wire(bench, {VERSION: b'{"value": "9.9.9"}'})
        await bench.driver(peer=odd, api="1.8.0").connect()

    virtually(work)


def test_another_detector_of_the_same_maker_is_refused_by_name(virtually) -> None:
    async def work(bench) -> None:
        await bench.driver(model="eiger2 cdte 500k", serial="E-02-0500").connect()
        with pytest.raises(WrongInstrument, match=r"'Dectris EIGER2 CdTe 500K' answers .* says model = 'PILATUS4'"):
            await bench.driver(model="PILATUS4").connect()
        with pytest.raises(WrongInstrument, match=r"'E-02-0500' answers .* says serial = 'E-32-0001'"):
            await bench.driver(serial="E-32-0001").connect()

    virtually(work)


def test_an_instrument_of_another_kind_is_refused_by_name(virtually) -> None:
    async def work(bench) -> None:
        with pytest.raises(WrongInstrument, match=r"'MYTHEN2 E-02-0500 1.8.0' answers at http://127.0.0.1:80"):
            await bench.driver().connect()

    virtually(work, description="MYTHEN2")


LEFT = {
    "trigger_mode": "exte", "compression": "lz4", "test_image_mode": "value", "ntrigger": 9, "nimages": 100, "nexpi": 4,
    "counting_mode": "retrigger", "auto_summation": False, "countrate_correction_applied": False,
    "flatfield_correction_applied": False, "pixel_mask_applied": False, "virtual_pixel_correction_applied": False,
    "mask_to_zero": True, "trigger_start_delay": 3.0, "roi_mode": "lines", "threshold/1/mode": "disabled",
    "threshold/2/mode": "enabled", "threshold/difference/mode": "enabled", "threshold/1/energy": 7000.0,
}  # fmt: skip
WANTED = {
    "trigger_mode": "ints", "compression": "bslz4", "test_image_mode": "", "ntrigger": 1, "nimages": 1, "nexpi": 1,
    "counting_mode": "normal", "auto_summation": True, "countrate_correction_applied": True,
    "flatfield_correction_applied": True, "pixel_mask_applied": True, "virtual_pixel_correction_applied": True,
    "mask_to_zero": False, "trigger_start_delay": 0.0, "roi_mode": "disabled", "threshold/1/mode": "enabled",
    "threshold/2/mode": "disabled", "threshold/difference/mode": "disabled", "threshold/1/energy": 15000.0,
}  # fmt: skip


@pytest.mark.parametrize(("stream_version", "form"), [(1, "legacy"), (2, "cbor")])
def test_whatever_the_front_panel_was_left_in_is_put_right(virtually, stream_version: int, form: str) -> None:
    async def work(bench) -> None:
        await bench.ready_to_stream(stream={"legacy": "cbor", "cbor": "legacy"}[form], **LEFT)
        for key, value in (("header_detail", "none"), ("header_appendix", "mine"), ("image_appendix", "mine")):
            await bench.put(f"/stream/api/1.8.0/config/{key}", value)
        await bench.put("/filewriter/api/1.8.0/config/mode", "enabled")
        await bench.put("command/arm")  # and it waits for a trigger that nobody will give
        await bench.driver(stream_version=stream_version, photon_energy_ev=30000).connect()
        assert await bench.get("status/state") == "idle"
        assert {key: await bench.get(f"config/{key}") for key in WANTED} == WANTED
        for path, value in (
            ("stream/config/format", form), ("stream/config/mode", "enabled"), ("stream/config/header_detail", "all"),
            ("stream/config/header_appendix", ""), ("stream/config/image_appendix", ""),
            ("filewriter/config/mode", "disabled"),
        ):  # fmt: skip
            module, _, rest = path.partition("/")
            assert await bench.value(f"/{module}/api/1.8.0/{rest}") == value

    virtually(work)


def test_a_detector_that_was_restarted_is_as_it_was_once_it_is_back(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver(stream_version=1, photon_energy_ev=30000, threshold_ev=15000)
        await detector.connect()
        await detector.arm(1.0, 5)
        bench.clock.loop.call_later(2.5, bench.simulator.power_cycle)
        with pytest.raises(LinkLost, match="in state 'na': it was restarted, and its settings are gone"):
            await detector.trigger(1.0, 5)
        assert detector.state == "disconnected"  # and whoever watches connects it again
        await detector.connect()
        assert {key: await bench.get(f"config/{key}") for key in WANTED} == WANTED
        assert await bench.value("/stream/api/1.8.0/config/format") == "legacy"
        await detector.arm(1.0, 5)
        bench.parts.clear()
        await detector.trigger(1.0, 5)
        assert len(bench.parts) == 6

    virtually(work)


def test_a_restart_between_two_questions_is_noticed_at_the_next_one(virtually) -> None:
    class Restarting(Wire):
        """The unit is switched off and on at a command or a key."""

        at = ""

        async def handle(self, request):
            if self.at and request.method == "PUT" and request.path.endswith(self.at):
                self.at = ""
                self.bench.simulator.power_cycle()
            return await super().handle(request)

    async def work(bench) -> None:
        wire = Restarting(bench, {})
        detector = bench.driver(peer=wire)
        for at in ("/count_time", "/frame_time", "/nimages", "/arm", "/trigger"):
            await detector.connect()
            wire.at = at
            if at == "/trigger":
                await detector.arm(1.0, 1)
            asked = detector.trigger if at == "/trigger" else detector.arm
            with pytest.raises(LinkLost, match="it was restarted, and its settings are gone"):
                await asked(1.0, 1)
            assert detector.state == "disconnected"
        await detector.connect()
        bench.simulator.power_cycle()
        with pytest.raises(LinkLost, match="it was restarted"):
            await detector.identify()

    virtually(work)


def test_the_threshold_is_half_the_energy_unless_the_station_file_says_else(virtually) -> None:
    async def work(bench) -> None:
        await bench.put("command/initialize")
        await bench.put("config/photon_energy", 22000.0)
        await bench.put("config/threshold/1/energy", 5000.0)
        detector = bench.driver()
        await detector.connect()
        assert detector.facts["photon_energy_ev"] == 22000.0
        assert detector.facts["threshold_ev"] == 11000.0

    virtually(work)


def test_a_key_that_the_model_does_not_have_is_passed_over_and_one_that_it_needs_is_not(virtually) -> None:
    async def work(bench) -> None:
        gone = (404, b"does not exist")
        lacking = Wire(bench, {"config/threshold/difference/mode": gone, "config/auto_summation": gone})
        await bench.driver(peer=lacking).connect()
        with pytest.raises(Refused, match=r"nimages = 1: 404 does not exist"):
            await bench.driver(peer=Wire(bench, {"config/nimages": gone})).connect()

    virtually(work)


def test_a_coupling_that_moves_what_was_set_before_is_refused_with_both_keys(virtually) -> None:
    class Coupled(Wire):
        """A firmware in which the number of images moves the energy threshold."""

        async def handle(self, request):
            reply = await super().handle(request)
            if request.method == "PUT" and request.path.endswith("nimages") and json.loads(request.body)["value"] > 1:
                await self.bench.put("config/threshold/1/energy", 9999.0)
                return type(reply)(200, b'["nimages", "threshold/1/energy"]')
            return reply

    async def work(bench) -> None:
        detector = bench.driver(peer=Coupled(bench, {}), threshold_ev=15000)
        await detector.connect()
        await detector.arm(1.0, 1)
        await detector.stop()
        why = r"detector threshold/1/energy was set to 15000\.0 and reads 9999\.0: nimages moved it"
        with pytest.raises(Refused, match=why):
            await detector.arm(1.0, 2)
        assert detector.state == "connected"

    virtually(work)


def test_a_time_that_the_detector_does_not_take_is_refused_with_the_key(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver(peer=Wire(bench, {"GET config/count_time": b'{"value": 0.25}'}))
        await detector.connect()
        with pytest.raises(Refused, match=r"count_time was set to 0\.5 and reads 0\.25: the unit did not keep it"):
            await detector.arm(0.5, 1)
        beyond = bench.driver()
        await beyond.connect()
        with pytest.raises(Refused, match=r"count_time = 7200\.0: 400 count_time: value is out of range"):
            await beyond.arm(7200.0, 1)

    virtually(work)


def test_the_mask_and_the_cutoff_are_read_and_kept(virtually) -> None:
    async def work(bench) -> None:
        detector = bench.driver()
        await detector.connect()
        mask = np.zeros((6, 10), "<u4")
        mask[:, 4:6] = 1
        mask[2, 3] = 2
        assert np.array_equal(detector.pixel_mask, mask)
        assert detector.facts["masked_pixels"] == 13
        assert detector.facts["pixel_mask_sha256"] == hashlib.sha256(mask.tobytes()).hexdigest()
        await detector.arm(0.001, 1)
        assert detector.count_cutoff == 10_000  # 1e7 a second
        await detector.stop()
        await detector.arm(0.5, 1)
        assert detector.count_cutoff == 5_000_000

    virtually(work, dead=[[2, 3]])


def test_a_stream_in_error_is_initialized_and_one_that_stays_there_is_refused(virtually) -> None:
    async def work(bench) -> None:
        broken = Wire(bench, {"stream/api/1.8.0/status/state": b'{"value": "error"}'})
        with pytest.raises(Refused, match="its stream is in state 'error': no frame would come"):
            await bench.driver(peer=broken).connect()
        assert ("PUT", "/stream/api/1.8.0/command/initialize") in [(method, path) for method, path, _ in bench.log]

    virtually(work)


@pytest.mark.parametrize(
    ("place", "answer", "why"),
    [
        ("status/state", b'{"value": "running"}', "'running' is not one of acquire"),
        ("status/state", b'{"value": 7}', "7"),
        ("config/y_pixels_in_detector", b'{"value": "six"}', "'six' is no number"),
        ("config/y_pixels_in_detector", b'{"value": NaN}', "NaN is no number"),
        ("config/sensor_thickness", b'{"value": 0.75, "unit": "mm"}', "comes in 'mm', where m belongs"),
        ("config/sensor_thickness", b'{"value": 1e-3, "min": 0, "max": 1e-4}', "out of its own range"),
        ("config/sensor_thickness", b'{"value": "CdTe", "value_type": "float"}', "is told to be a float"),
        ("config/sensor_thickness", b'{"value": true, "value_type": "float"}', "is told to be a float"),
        ("config/description", b'{"value": ["EIGER"]}', "is not a word"),
        ("config/description", b'{"value": "a", "value": "b"}', "stands there twice"),
        ("config/description", b"[" * 100_000, "no JSON"),
        ("config/description", b'{"value": "' + b"x" * 300_000 + b'"}', "bytes of JSON"),
        ("PUT config/nimages", b'{"value": 1}', "no list of changed keys"),
        ("PUT config/nimages", b"[1]", "no list of changed keys"),
        ("PUT config/nimages", b"", "no list of changed keys"),
    ],
)
def test_an_answer_that_the_manual_does_not_allow_is_garbled(virtually, place: str, answer: bytes, why: str) -> None:
    async def work(bench) -> None:
        with pytest.raises(GarbledReply) as error:
            await bench.driver(peer=Wire(bench, {place: answer})).connect()
        assert why in str(error.value)

    virtually(work)


TRUE = [
    b'{"value": 0.5, "value_type": "float", "unit": "s", "min": 1e-6, "max": 3600.0, "access_mode": "rw"}',
    b'{"value": "idle", "value_type": "string", "state": "normal"}', b'{"value": 7, "value_type": "uint"}',
    b'["count_time", "frame_time"]', b'{"sequence id": 3}', b'{"value": "1.8.0", "value_type": "string"}',
]  # fmt: skip
PLACES = [
    "status/state", "config/count_time", "config/description", "command/arm", "PUT config/nimages", "_mode", VERSION,
    "command/trigger", "readout_time", "pixel_mask", "command/abort", "format", "status/high_voltage/state",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PLACES), st.one_of(st.sampled_from(TRUE), st.binary(max_size=40)), st.data())
def test_whatever_is_answered_is_a_device_error_or_true(place: str, answer: bytes, data: st.DataObject) -> None:
    """Spliced, cut and foreign answers, at any question: a device error of this device, or it works."""
    if data.draw(st.booleans()):
        other = data.draw(st.sampled_from(TRUE))
        answer = answer[: data.draw(st.integers(0, len(answer)))] + other[data.draw(st.integers(0, len(other))) :]

    async def work() -> None:
        bench = Bench(initialize_s=0.0)
        detector = bench.driver(peer=Wire(bench, {place: answer}))
        try:
            await detector.connect()
            await detector.arm(0.1, 2)
            await detector.trigger(0.1, 2)
            await detector.stop()
        except DeviceError as error:
            assert str(error).startswith("detector: ")  # noqa: PT017

    run_virtual(work)
