"""The optical spectrometer: its messages byte for byte, what it is believed, and light that is never left on."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.transcripts import say, transcript
from drivers.bench import Late, Wire, clock, device_on, in_virtual_time, settings
from drivers.doors import Optics
from rocksalt.config.links import parse_link
from rocksalt.devices import DeviceError, GarbledReply, LinkLost, OutOfLimits, Refused, Stopped, WrongInstrument
from rocksalt.devices.links import RealWires
from rocksalt.devices.settings import Limits, Settings
from rocksalt.time import ExperimentClock
from rocksalt.twin.wire.hosting import serve_tcp
from rocksalt_drivers.ocean_hdx import framing
from rocksalt_drivers.ocean_hdx.driver import OceanHdx
from rocksalt_drivers.ocean_hdx.simulator import HdxSimulator

ZEROS = "00" * 16
END = "c5 c4 c3 c2"


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


def message(
    kind: int, payload: bytes = b"", *, number: int = 0, flags: int = 0, error: int = 0, **other: Any
) -> bytes:  # fmt: skip
    """A message as the protocol notes have it, section i: written out here once more, from nobody's code."""
    inside = payload if len(payload) <= 16 else b""
    outside = b"" if inside else payload
    remaining = other.get("remaining", len(outside) + 20)
    body = (
        other.get("start", b"\xc1\xc0") + struct.pack("<HHHII", 0x1100, flags, error, kind, number) + bytes(6)
        + bytes([other.get("checksum", 0), other.get("inside", len(inside))]) + inside.ljust(16, b"\0")
        + struct.pack("<I", remaining) + outside
    )  # fmt: skip
    return body + other.get("seal", bytes(16)) + hexed(END)


async def connected(door: Optics | None = None, simulated: dict[str, Any] | None = None, **options: Any) -> Any:
    simulator = HdxSimulator(door or Optics(), clock(), options=simulated or {})
    device, wire = device_on(OceanHdx, "spectrometer", simulator, settings(10.0, **options))
    await device.connect()
    return device, wire, simulator


# --- bytes


def test_a_request_is_these_bytes() -> None:
    """Header 44, payload inside it, trailer 20: an integration of 100 ms, to be acknowledged, request number 7."""
    sent = framing.request(0x00110010, struct.pack("<I", 100_000), regarding=7, ack=True, md5=False)
    assert sent == hexed(
        "c1c0 0011 0400 0000 10001100 07000000 000000000000 00 04 a0860100 000000000000000000000000 14000000"
        + ZEROS + END
    )  # fmt: skip
    assert (framing.HEADER_BYTES, framing.TRAILER_BYTES, len(sent)) == (44, 20, 64)


@given(st.integers(0, 2**32 - 1), st.binary(max_size=200), st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_what_is_framed_is_what_the_notes_say_and_the_simulator_reads(
    kind: int, payload: bytes, number: int, ack: bool, md5: bool
) -> None:
    sent = framing.request(kind, payload, regarding=number, ack=ack, md5=md5)
    plain = message(kind, payload, number=number, flags=4 if ack else 0, checksum=int(md5))
    seal = hashlib.md5(plain[:-20]).digest() if md5 else bytes(16)
    assert sent == plain[:-20] + seal + plain[-4:]


@given(st.binary(min_size=44, max_size=44), st.integers(0, 5000))
def test_any_header_is_read_or_forbidden_and_none_makes_room_for_more_than_was_asked(raw: bytes, longest: int) -> None:
    for start in (raw[:4], hexed("c1c00011")):
        try:
            head = framing.head(start + raw[4:], longest=longest)
        except framing.Forbidden:
            continue
        assert 20 <= head.remaining <= longest + 20
        assert len(head.immediate) <= 16


@given(st.integers(0, 43), st.integers(1, 255))
def test_a_byte_changed_in_a_sealed_reply_is_noticed(place: int, change: int) -> None:
    plain = message(0x100, b"HDX00042", flags=1, checksum=1)
    seal = hashlib.md5(plain[:-20]).digest()
    spoilt = bytearray(plain[:-20])
    spoilt[place] ^= change
    try:
        head = framing.head(bytes(spoilt), longest=20)
    except framing.Forbidden:
        return
    if place == 22:  # it says now that it is not sealed, which a driver that seals refuses
        assert head.checksum == framing.NO_CHECKSUM
        return
    with pytest.raises(framing.Forbidden, match="checksum"):
        framing.payload(head, bytes(spoilt), seal + hexed(END))


@in_virtual_time
async def test_it_is_identified_configured_and_read_in_these_messages() -> None:
    exchanges = [
        (message(0xE01, number=1), message(0xE01, b"\x03\x20", number=1, flags=1)),
        (message(0x101, number=2), message(0x101, b"\x08", number=2, flags=1)),
        (message(0x100, number=3), message(0x100, b"HDX00042", number=3, flags=1)),
        (message(0x00110110, b"\0", number=4, flags=4), message(0x00110110, number=4, flags=2)),
        (message(0x00120010, b"\1\0", number=5, flags=4), message(0x00120010, number=5, flags=9, error=2)),
        (message(0x00121010, b"\0", number=6, flags=4), message(0x00121010, number=6, flags=9, error=2)),
        (message(0x00180100, number=7), message(0x00180100, b"\2", number=7, flags=1)),
        (message(0x00180101, b"\0", number=8), message(0x00180101, struct.pack("<f", 200.0), number=8, flags=1)),
        (message(0x00180101, b"\1", number=9), message(0x00180101, struct.pack("<f", 0.5), number=9, flags=1)),
        (message(0x00420004, number=10), message(0x00420004, number=10, flags=9, error=2)),
        (message(0x00110010, b"\x40\x42\x0f\0", number=11, flags=4), message(0x00110010, number=11, flags=2)),
        (message(0x00101000, number=12), message(0x00101000, struct.pack("<3H", 7, 65535, 9), number=12, flags=1)),
    ]  # fmt: skip
    with transcript(exchanges) as peer:
        device, _ = device_on(OceanHdx, "spectrometer", peer, settings(10.0, pixels=3, discard=0))
        await device.connect()
        assert device.identified == "Ocean HDX, serial HDX00042"
        assert device.facts["boxcar"] == "not settable"
        assert await device.readings() == ()
        found = await device.expose(1.0)
    assert found.wavelength_nm.tolist() == [200.0, 200.5, 201.0]
    assert found.counts.tolist() == [7.0, 65535.0, 9.0]
    assert found.saturated.tolist() == [False, True, False]
    assert found.saturated_fraction == pytest.approx(1 / 3)
    assert (found.light, found.sensor_k) == ("unknown", None)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (message(0x00420004, b"\0\0\xc8\x41", number=1, flags=1, start=b"\xc0\xc1"), "where a message begins"),
        (message(0x00420004, b"\0\0\xc8\x41", number=2, flags=1), "the answer is to message 0x00420004, request 2"),
        (message(0x00420005, b"\0\0\xc8\x41", number=1, flags=1), "the answer is to message 0x00420005"),
        (message(0x00420004, b"\0\0\xc8\x41", number=1, flags=0), "which answer nothing"),
        (message(0x00420004, b"\0\0\xc8\x41", number=1, flags=4), "which no reply has"),
        (message(0x00420004, b"\0\0\xc8\x41", number=1, flags=10), "which no reply has"),
        (message(0x00420004, b"\0\0\xc8\x41", number=1, flags=1, error=3), "no flag that says so"),
        (message(0x00420004, b"\0\0\xc8\x41", number=1, flags=1, checksum=2), "of type 2"),
        (message(0x00420004, b"\0\0\xc8\x41", number=1, flags=1, checksum=1), "checksum does not fit"),
        (message(0x00420004, b"\0\0\xc8\x41", number=1, flags=1, inside=17), "has room for 16"),
        (message(0x00420004, b"\0\0\xc8\x41", number=1, flags=1, remaining=2**32 - 1), "4294967295 bytes follow"),
        (message(0x00420004, b"\0\0\xc8\x41", number=1, flags=1, remaining=19), "19 bytes follow"),
        (message(0x00420004, b"\0\0\xc8\x41", number=1, flags=1)[:-1] + b"\0", "where a message ends with"),
        (message(0x00420004, b"\0\0\xc8", number=1, flags=1), "answered with 3 bytes"),
        (message(0x00420004, struct.pack("<f", float("nan")), number=1, flags=1), "which no sensor is"),
        (message(0x00420004, struct.pack("<f", 298.0), number=1, flags=1), "298 °C"),
    ],
)
@in_virtual_time
async def test_what_is_no_answer_is_garbled_and_the_line_is_made_anew(answer: bytes, words: str) -> None:
    with transcript([(message(0x00420004, number=1), answer)]) as peer:
        device, _ = device_on(OceanHdx, "spectrometer", peer, settings(10.0))
        await device.link.open()
        with pytest.raises(GarbledReply, match=words):
            await device._read()
        assert device.link.dirty


@pytest.mark.parametrize(
    ("error", "words"), [(2, "unknown message type"), (7, "not ready for this"), (99, "not in our notes")]
)
@in_virtual_time
async def test_a_refusal_is_told_in_the_instruments_own_words(error: int, words: str) -> None:
    with transcript([(message(0x00420004, number=1), message(0x00420004, number=1, flags=9, error=error))]) as peer:
        device, _ = device_on(OceanHdx, "spectrometer", peer, settings(10.0))
        await device.link.open()
        with pytest.raises(Refused, match=rf"message 0x00420004: error {error} \({words}\)"):
            await device._read()
        assert not device.link.dirty


@in_virtual_time
async def test_an_answer_that_is_put_off_is_waited_for() -> None:
    later = message(0x00420004, number=1, error=255) + message(0x00420004, b"\0\0\xc8\x41", number=1, flags=1)
    with transcript([(message(0x00420004, number=1), later)]) as peer:
        device, _ = device_on(OceanHdx, "spectrometer", peer, settings(10.0))
        await device.link.open()
        assert await device._read() == pytest.approx(298.15)


# --- the simulator, from the notes


@in_virtual_time
async def test_the_simulator_answers_the_opening_as_it_was_seen() -> None:
    box = HdxSimulator(Optics(), clock(), options={"serial_number": "HDX00042"})
    conversation = [
        (message(0x101), message(0x101, b"\x08", flags=1)),
        (message(0x100), message(0x100, b"HDX00042", flags=1)),
        (message(0x181100), message(0x181100, b"\x08", flags=1)),
        (message(0x181101, b"\0"), message(0x181101, struct.pack("<f", 1.0), flags=1)),
        (message(0x110010, b"\x40\x42\x0f\0", flags=4), message(0x110010, flags=2)),
        (message(0x180100), message(0x180100, b"\x04", flags=1)),
        (message(0x180101, b"\1", number=9), message(0x180101, struct.pack("<f", 0.5), number=9, flags=1)),
        (message(0xE00), message(0xE00, b"\x57\x24", flags=1)),
        (message(0xE01), message(0xE01, b"\x03\x20", flags=1)),
        (message(0x110010, b"\x10\x27\0\0"), b""),
    ]
    for question, answer in conversation:
        assert say(box, question) == [answer], question.hex(" ")


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (message(0x777), 2),
        (message(0x110010, b"\0\0\0", flags=4), 5),
        (message(0x110010, b"\0\0\0\0", flags=4), 6),
        (message(0x110010, struct.pack("<I", 10_000_001), flags=4), 6),
        (message(0x180101, b"\x09"), 6),
        (message(0x180101), 5),
        (message(0x101, b"\0"), 5),
        (message(0x101, checksum=2), 8),
        (message(0x101, checksum=1), 3),
        (message(0x101)[:-1] + b"\0", 1),
        (message(0x101)[:2] + b"\0\x10" + message(0x101)[4:], 1),
        (message(0x101, remaining=1 << 20), 4),
    ],
)
@in_virtual_time
async def test_the_simulator_refuses_by_number(question: bytes, error: int) -> None:
    (answer,) = say(HdxSimulator(Optics(), clock()), question)
    assert struct.unpack_from("<HH", answer, 4) == (9, error)
    assert answer[8:16] == question[8:16]


@in_virtual_time
async def test_the_simulator_puts_messages_together_from_pieces_and_steps_over_rubbish() -> None:
    box = HdxSimulator(Optics(), clock())
    whole = message(0x101, number=3)
    assert b"".join(say(box, *[bytes([byte]) for byte in whole])) == message(0x101, b"\x08", number=3, flags=1)
    assert b"".join(say(box, b"GET / HTTP/1.1\r\n\r\n" * 4 + whole)).endswith(
        message(0x101, b"\x08", number=3, flags=1)
    )
    assert len(say(box, whole + whole)[0]) == 128


# --- driver and simulator


@in_virtual_time
async def test_whatever_was_left_set_is_put_right() -> None:
    left = {"trigger": 2, "averages": 50, "boxcar": 7, "light": True, "integration_us": 5_000_000}
    door = Optics()
    device, _, simulator = await connected(door, left, lamp="line")
    assert (simulator.trigger, simulator.averages, simulator.boxcar, simulator.lit) == (0, 1, 0, False)
    await device.expose(0.02)
    assert simulator.integration_us == 20_000
    assert door.exposed[-1][1:] == (0.02, 1)


@in_virtual_time
async def test_a_spectrum_is_the_mean_of_its_exposures_with_its_times_and_its_temperature() -> None:
    door = Optics()
    device, _, _ = await connected(door)
    found = await device.expose(0.5, 4)
    assert found.counts.shape == found.wavelength_nm.shape == found.saturated.shape == (2068,)
    assert found.wavelength_nm[[0, 2]].tolist() == [200.0, 201.0]
    assert (found.averages, found.integration_s, found.light) == (4, 0.5, "unknown")
    assert found.ended_s - found.started_s == pytest.approx(2.0, abs=1e-6)
    assert found.sensor_k == pytest.approx(300.0, abs=1e-4)
    assert np.std(found.counts - 1000.0) == pytest.approx(2.5, rel=0.1)  # 5 in one exposure, by four
    assert "HDX00042" in found.source


@pytest.mark.parametrize("free_running", [True, False])
@in_virtual_time
async def test_a_dark_spectrum_has_no_light_in_it_and_the_light_comes_back(free_running: bool) -> None:
    door = Optics()
    device, _, simulator = await connected(door, {"free_running": free_running}, lamp="line")
    await device.light(True)
    assert (await device.expose(0.2)).counts.max() == pytest.approx(21000.0, rel=0.01)
    dark = await device.dark(0.2, 2)
    assert dark.light == "off"
    assert dark.counts.max() < 1040.0
    assert simulator.lit
    assert (await device.expose(0.2)).light == "on"


@in_virtual_time
async def test_without_discarding_a_free_running_sensor_would_show_the_light_that_was() -> None:
    device, _, _ = await connected(Optics(), lamp="line", discard=0)
    await device.light(True)
    await device.expose(2.0)
    await asyncio.sleep(1.0)
    assert (await device.dark(2.0)).counts.max() > 1100.0


@in_virtual_time
async def test_an_integration_beyond_the_limits_never_reaches_the_wire() -> None:
    device, wire, _ = await connected()
    wire.forget()
    with pytest.raises(OutOfLimits, match=r"60 s is above 10 s \(user limit, station\.toml:14\)"):
        await device.expose(60.0)
    with pytest.raises(OutOfLimits, match=r"0\.001 s is below 0\.006 s \(HDX's own\)"):
        await device.expose(0.001)
    with pytest.raises(OutOfLimits):
        await device.expose(float("nan"))
    with pytest.raises(Refused, match="0 exposures of 1 s are no spectrum"):
        await device.expose(1.0, 0)
    assert wire.sent == []


@in_virtual_time
async def test_another_model_another_unit_and_another_box_are_refused_by_name() -> None:
    with pytest.raises(WrongInstrument, match=r"product 0x2001 answers .* expects an Ocean HDX, 0x2003"):
        await connected(simulated={"product": 0x2001})
    with pytest.raises(WrongInstrument, match=r"has the serial number HDX00042, .* names HDX00007: are two cables"):
        await connected(serial_number="HDX00007")
    other, _ = device_on(OceanHdx, "spectrometer", Late(_Shouting(), lambda: 0.0), settings(10.0))
    with pytest.raises(DeviceError):
        await other.connect()


class _Shouting:
    def accept(self, send: Any) -> Any:
        class Session:
            def receive(self, data: bytes) -> None:
                send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

            def closed(self) -> None:
                pass

        return Session()


@in_virtual_time
async def test_a_stop_breaks_off_a_long_exposure_at_once_and_the_next_one_is_right() -> None:
    device, _, _ = await connected()
    exposing = asyncio.ensure_future(device.expose(10.0, 100))
    await asyncio.sleep(3.0)
    began_s = asyncio.get_running_loop().time()
    await device.stop()
    with pytest.raises(Stopped, match="the exposure of 100 x 10 s was stopped"):
        await exposing
    assert asyncio.get_running_loop().time() - began_s < 0.01
    assert (await device.expose(0.1)).integration_s == 0.1


@in_virtual_time
async def test_the_readings_of_a_station_do_not_wait_for_a_long_exposure() -> None:
    device, _, _ = await connected()
    exposing = asyncio.ensure_future(device.expose(10.0, 3))
    await asyncio.sleep(1.0)
    async with asyncio.timeout(0.01):
        assert await device.readings() == ()
    await exposing
    assert [reading.name for reading in await device.readings()] == ["spectrometer_sensor_k"]


@in_virtual_time
async def test_made_safe_it_is_dark_in_one_message_though_an_exposure_hangs() -> None:
    device, wire, simulator = await connected(Optics(), lamp="line")
    await device.light(True)
    exposing = asyncio.ensure_future(device.expose(10.0))
    await asyncio.sleep(1.0)
    wire.forget()
    await device.make_safe()
    assert not simulator.lit
    assert len(wire.sent) == 1
    with pytest.raises(Stopped):
        await exposing
    assert device.lit is False


@in_virtual_time
async def test_a_light_that_is_on_no_line_is_not_switched() -> None:
    device, _, simulator = await connected(Optics(), {"light": True})
    with pytest.raises(Refused, match="not on a line"):
        await device.light(False)
    await device.make_safe()
    assert simulator.lit


@in_virtual_time
async def test_a_late_reply_is_never_the_next_ones() -> None:
    late = False
    door = Optics()
    simulator = HdxSimulator(door, clock())
    device, _ = device_on(OceanHdx, "spectrometer", Late(simulator, lambda: 2.5 if late else 0.0), settings(10.0))
    await device.connect()
    late = True
    with pytest.raises(LinkLost, match="no answer to message 0x00420004 within 2 s"):
        await device.read()
    late, door.kelvin = False, 310.0
    await asyncio.sleep(0.4)
    await device.reconnect()
    assert (await device.read()).value == pytest.approx(310.0, abs=1e-3)


@in_virtual_time
async def test_a_sensor_that_is_not_read_again_is_noticed() -> None:
    door = Optics()
    device, _, _ = await connected(door)
    true = door.expose
    door.expose = lambda start_s, integration_s, averages=1: (door.exposed.clear(), true(1.0, 0.1))[1]  # type: ignore[assignment,method-assign]
    await device.expose(0.1)
    with pytest.raises(GarbledReply, match="the same to the last bit"):
        await device.expose(0.1, 2)


@in_virtual_time
async def test_sealed_it_believes_only_what_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    device, wire, _ = await connected(checksum="md5")
    assert (await device.expose(0.1)).counts.size == 2068
    assert all(sent[22] == 1 for sent in wire.sent)
    plain, _ = device_on(OceanHdx, "spectrometer", HdxSimulator(Optics(), clock()), settings(10.0, checksum="md5"))
    await plain.link.open()
    sealed = framing.request
    monkeypatch.setattr(
        framing, "request", lambda kind, payload=b"", **named: sealed(kind, payload, **{**named, "md5": False})
    )
    with pytest.raises(GarbledReply, match="without a checksum"):
        await plain._read()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "USB2000"}, "model is HDX or FX"),
        ({"lamp": "on"}, "lamp is"),
        ({"pixels": 10**9}, "pixels 1 to 65536"),
        ({"checksum": "crc"}, "checksum is none or md5, not 'crc'"),
        ({"discard": 99}, "discard 0 to 10"),
    ],
)
@in_virtual_time
async def test_options_that_make_no_sense_are_refused_before_anything_is_opened(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        device_on(OceanHdx, "spectrometer", HdxSimulator(Optics(), clock()), settings(10.0, **options))


@in_virtual_time
async def test_an_fx_has_pixels_of_its_own() -> None:
    device, _, _ = await connected(Optics(pixels=2136), {"product": 0x2001}, model="FX")
    assert device.identified == "Ocean FX, serial HDX00042"
    assert (await device.expose(0.1)).counts.size == 2136


@in_virtual_time
async def test_a_power_cut_is_a_lost_link_and_afterwards_it_is_set_up_again() -> None:
    door = Optics()
    device, _, simulator = await connected(door, lamp="line")
    await device.expose(1.0)
    simulator.power_cycle()
    simulator.trigger = 1  # somebody's default
    await device.reconnect()
    found = await device.expose(1.0)
    assert (found.integration_s, simulator.trigger) == (1.0, 0)
    assert door.exposed[-1][1] == 1.0


@in_virtual_time
async def test_at_speed_an_exposure_takes_experiment_time_and_its_deadline_wire_time() -> None:
    loop = asyncio.get_running_loop()
    fast = ExperimentClock(loop, speed=100.0)
    device = OceanHdx("spectrometer", settings(10.0), Wire(HdxSimulator(Optics(), fast)), fast)
    await device.connect()
    began_s = loop.time()
    await device.expose(10.0, 3)
    assert loop.time() - began_s == pytest.approx(0.4, abs=0.01)  # three, and the one that is thrown away


async def test_over_tcp_it_is_connected_exposed_stopped_and_connected_again() -> None:
    time = clock()
    door = Optics()
    server, address = await serve_tcp(HdxSimulator(door, time))
    link = parse_link(f"tcp://{address}")
    device = OceanHdx("spectrometer", Settings(link, Limits(0.0, 10.0)), RealWires(), time)
    await device.connect()
    first = await device.expose(0.006, 3)
    exposing = asyncio.ensure_future(device.expose(5.0))
    await asyncio.sleep(0.02)
    await device.stop()
    with pytest.raises(Stopped):
        await exposing
    door.kelvin = 305.0
    assert (await device.read()).value == pytest.approx(305.0, abs=1e-3)
    second = await device.expose(0.006)
    assert first.counts.size == second.counts.size == 2068
    await device.close()
    server.close()
    await asyncio.sleep(0.01)
