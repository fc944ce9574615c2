"""python-seabreeze, which knows nothing of us, opens the simulator as it opens an HDX. Never skipped: it is a
requirement of the tests."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from seabreeze.pyseabreeze.devices import SeaBreezeDevice
from seabreeze.pyseabreeze.transport import IPv4Transport, IPv4TransportHandle

from drivers.bench import clock
from drivers.doors import Optics
from rocksalt.twin.wire.hosting import serve_tcp
from rocksalt_drivers.ocean_hdx.simulator import HdxSimulator


def as_seabreeze_sees_it(host: str, port: int) -> dict[str, Any]:
    IPv4Transport.register_model("HDX", ipv4_address=host, ipv4_port=port)
    handle = IPv4TransportHandle(host, port)
    handle.socket.close()  # it makes one now and another when it is opened, and closes one of them
    device = SeaBreezeDevice(handle)
    device.open()
    try:
        feature = device.f.spectrometer
        feature.set_trigger_mode(0)
        feature.set_integration_time_micros(20_000)
        return {
            "serial": device.serial_number,
            "model": device.model,
            "wavelengths": feature.get_wavelengths(),
            "counts": [feature.get_intensities() for _ in range(3)],
            "nonlinearity": device.f.nonlinearity_coefficients.get_nonlinearity_coefficients(),
        }
    finally:
        handle.socket.close()
        device.close()


async def test_pyseabreeze_opens_and_reads_the_simulator() -> None:
    door = Optics()
    server, address = await serve_tcp(HdxSimulator(door, clock(), options={"serial_number": "HDX00042"}))
    host, port = address.split(":")
    seen = await asyncio.to_thread(as_seabreeze_sees_it, host, int(port))
    server.close()
    await asyncio.sleep(0.01)
    assert (seen["serial"], seen["model"]) == ("HDX00042", "HDX")
    np.testing.assert_allclose(seen["wavelengths"], 200.0 + 0.5 * np.arange(2068), rtol=1e-6)
    assert all(counts.shape == (2068,) for counts in seen["counts"])
    assert abs(np.mean(seen["counts"]) - 1000.0) < 1.0
    assert door.exposed[-1][1] == 0.02
    assert len(seen["nonlinearity"]) == 8
