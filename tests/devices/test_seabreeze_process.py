"""USB spectrometers: a process of its own for python-seabreeze, killed when it hangs; nothing outlives it.

No unit was ever on the other end: a false seabreeze, found by the child on its path, plays one.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from rocksalt.config.links import parse_link
from rocksalt.devices import GarbledReply, Limits, LinkLost, Refused, Settings, Stopped, WrongInstrument
from rocksalt.devices.links import RealWires
from rocksalt.time import ExperimentClock
from rocksalt_drivers.ocean_hdx.driver import OceanHdx

FALSE = """
import os, pathlib, time

HERE = pathlib.Path(__file__).parent
class SeaBreezeError(Exception): pass
def note(text):
    with open(HERE / "calls", "a") as calls: calls.write(text + "\\n")
class Lamp:
    def enable_lamp(self, on): note(f"lamp {on}")
class Cooler:
    def read_temperature_degrees_celsius(self): return 21.5
class Features:
    strobe_lamp, thermo_electric = Lamp(), Cooler()
class Spectrometer:
    model, f, max_intensity, integration_time_micros_limits = "FLAME-S", Features(), 65535.0, (3800, 10_000_000)
    @classmethod
    def from_serial_number(cls, serial):
        if serial.startswith("NONE"):
            raise SeaBreezeError(f"No device attached with serial number '{serial}'.")
        note(f"opened {os.getpid()}")
        self = cls()
        self.serial_number = "OTHER1" if serial == "SWAPPED1" else serial
        self.count = 0
        return self
    def wavelengths(self): return [300.0 + 0.3 * pixel for pixel in range(2048)]
    def trigger_mode(self, mode): note(f"trigger {mode}")
    def integration_time_micros(self, us):
        if us > 9_000_000: raise SeaBreezeError("[Fix] Specified integration time is out of range.")
        note(f"integrate {us}")
    def intensities(self):
        if (HERE / "hang").exists():
            note("hung")
            while True: time.sleep(1)
        self.count += 1
        return [1000.0 + self.count + pixel % 7 for pixel in range(2047)] + [65535.0]
"""


@pytest.fixture
def false_seabreeze(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose seabreeze the child finds before any other; `calls` says what was called, `hang` makes it hang."""
    package = tmp_path / "seabreeze"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "spectrometers.py").write_text(FALSE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    return package


def flame(serial: str = "FLMS1", **options: Any) -> OceanHdx:
    settings = Settings(parse_link(f"usb://{serial}"), Limits(0.0, 10.0), options=options, where="station.toml:3")
    return OceanHdx("flame", settings, RealWires(), ExperimentClock(asyncio.get_running_loop()))


def calls(package: Path) -> list[str]:
    return (package / "calls").read_text().splitlines()


async def gone(pid: int) -> None:
    async with asyncio.timeout(5.0):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)


def child_of(device: OceanHdx) -> int:
    transport: Any = device.link._transport
    return int(transport._process.pid)


async def test_a_usb_unit_is_a_spectrometer_like_any_other(false_seabreeze: Path) -> None:
    device = flame(lamp="line")
    await device.connect()
    assert device.identified == "Ocean FLAME-S, serial FLMS1"
    assert (await device.read()).value == pytest.approx(294.65)
    await device.light(True)
    found = await device.expose(0.01, 2)
    assert found.counts.shape == (2048,)
    assert found.saturated_fraction == pytest.approx(1 / 2048)
    assert (found.wavelength_nm[0], found.light, found.sensor_k) == (300.0, "on", pytest.approx(294.65))
    await device.make_safe()
    pid = child_of(device)
    await device.close()
    await gone(pid)
    assert calls(false_seabreeze) == [
        f"opened {pid}", "trigger 0", "lamp False", "lamp True", "integrate 10000", "lamp False",
    ]  # fmt: skip


async def test_a_call_that_hangs_is_killed_and_the_next_one_has_a_new_process(false_seabreeze: Path) -> None:
    device = flame()
    await device.connect()
    first = child_of(device)
    device.link.deadline_s = 0.3
    (false_seabreeze / "hang").touch()
    with pytest.raises(LinkLost, match="no answer"):
        await device.expose(0.01)
    (false_seabreeze / "hang").unlink()
    device.link.deadline_s = 10.0
    await device.reconnect()
    await gone(first)
    assert child_of(device) != first
    assert (await device.expose(0.01)).counts.size == 2048
    await device.close()


async def test_a_stop_needs_not_wait_for_an_exposure_that_hangs(false_seabreeze: Path) -> None:
    device = flame()
    await device.connect()
    first = child_of(device)
    (false_seabreeze / "hang").touch()
    exposing = asyncio.ensure_future(device.expose(5.0))
    while "hung" not in calls(false_seabreeze):
        await asyncio.sleep(0.01)
    await device.stop()
    with pytest.raises(Stopped):
        await exposing
    await gone(first)
    await device.close()


async def test_what_the_library_says_is_told_in_its_words(false_seabreeze: Path) -> None:
    with pytest.raises(LinkLost, match="No device attached with serial number 'NONE7'"):
        await flame("NONE7").connect()
    with pytest.raises(WrongInstrument, match=r"serial number OTHER1, .* names SWAPPED1"):
        await flame("SWAPPED1").connect()
    device = flame()
    await device.connect()
    with pytest.raises(Refused, match=r"integrate: \[Fix\] Specified integration time is out of range"):
        await device.expose(9.5)
    await device.close()


async def test_without_the_package_the_way_out_is_told(false_seabreeze: Path) -> None:
    (false_seabreeze / "spectrometers.py").write_text("raise ImportError('no seabreeze')")
    with pytest.raises(LinkLost, match=r"pip install 'rocksalt\[usb\]'"):
        await flame().connect()


PARENT = """
import asyncio, sys
from rocksalt.devices.links.seabreeze import SeabreezeTransport
async def main():
    transport = SeabreezeTransport("FLMS1")
    await transport.open()
    await transport.write(b'{"number": 1, "do": "spectrum"}')
    print(transport._process.pid, flush=True)
    await transport.read()
asyncio.run(main())
"""


async def test_a_daemon_that_is_killed_leaves_no_process_though_the_library_hangs(false_seabreeze: Path) -> None:
    (false_seabreeze / "hang").touch()
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    while "hung" not in calls(false_seabreeze):
        await asyncio.sleep(0.01)
    parent.kill()
    await parent.wait()
    await gone(child)


async def test_an_answer_of_another_question_is_never_taken(false_seabreeze: Path) -> None:
    device = flame()
    await device.connect()
    transport: Any = device.link._transport
    true, told = transport.write, iter([b'{"number": 1, "do": "celsius"}\n'])
    transport.write = lambda data: true(next(told, data))
    with pytest.raises(GarbledReply, match="which answers something else"):
        await device._read()
    assert device.link.dirty
    assert (await device.read()).value == pytest.approx(294.65)
    await device.close()
