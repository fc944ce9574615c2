"""What a simulated D8 is and how BIS tells it: its state, and a status message for each part of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocksalt.time import Clock

AXES = ("2THETA", "OMEGA", "PHI", "CHI", "X", "Y", "Z", "DISTANCE")
KV, MA, MOST_W = (20.0, 50.0), (5.0, 50.0), 2200.0
KELVIN = 273.15


class Diffractometer:
    """The instrument as it stands; `doors` are the twin's camera, enclosure and thermometer. Simulator's options."""

    def __init__(self, doors: tuple[Any, Any, Any], clock: Clock, options: Mapping[str, Any]) -> None:
        self.options, self.clock = options, clock
        self.camera, self.enclosure, self.thermal = doors
        self.master: object = None
        self.service_key = False
        self.attenuator = bool(options.get("attenuator_in", False))
        self.mode = int(options.get("mode", 0))
        self._at = dict.fromkeys(AXES, 0.0) | {"DISTANCE": 10.0}
        self._going: dict[str, tuple[float, float]] = {}  # axis: where from, when (s)
        self.standby = bool(options.get("standby", False))
        self.kv, self.ma = KV[0], MA[0]
        self.kv_wanted, self.ma_wanted = self.kv, self.ma
        self.set_k, self.per_min = 295.0, 0.0
        self.safety_open = self.fast_open = False
        self.paused = self.busy = False

    def _all_status(self) -> list[str]:
        return [
            self._instrument(), f"[INSTRUMENTQUEUE /PROCESSING={int(self.busy)}]", self._lock(), self._generator(),
            self._detector(), self._names(), *self._positions(), *self._shutters(), self._attenuator(),
            f"[MANUALSTATUS /MODE={self.mode}]", self._temperature(),
        ]  # fmt: skip

    def _instrument(self) -> str:
        door = int(self.enclosure.door_closed(self.clock.now_s()))
        moving = int(bool(self._going))
        return (  # the help file shows the first argument without its slash
            f"[INSTRUMENTSTATUS SERVICEKEY={int(self.service_key)} /DOORLOCK={door} /DRIVELOCK={moving} "
            f"/XRAYSON={int(not self.standby)} /BUSY={int(self.busy)}]"
        )

    def _attenuator(self) -> str:
        return f"[ATTENSTATUS /STATUS={int(self.attenuator)}]"

    def _lock(self) -> str:
        return f"[RESTRICTACCESSSTATUS /LOCKED={int(self.master is not None)}]"

    def _names(self) -> str:
        return "[AXESNAMES " + " ".join(f"/AXIS{at}={axis}" for at, axis in enumerate(AXES, 1)) + "]"

    def _positions(self) -> list[str]:
        angles = " ".join(f"{self._at[axis]:.5f}" for axis in AXES[:4])
        xyz = " ".join(f"{self._at[axis]:.5f}" for axis in "XYZ")
        return [
            f"[ANGLESTATUS /ANGLES={angles}]", f"[XYZSTATUS /XYZ={xyz}]",
            f"[DISTANCESTATUS /DISTANCE={self._at['DISTANCE']:.5f}]",
        ]  # fmt: skip

    def _shutters(self) -> list[str]:
        return [
            f"[SAFETYSHUTTERSTATUS /STATUS={int(self.safety_open)}]", f"[SHUTTERSTATUS /STATUS={int(self.fast_open)}]",
        ]  # fmt: skip

    def _generator(self) -> str:
        targets = "" if self.standby else f" /KVtarget={self.kv_wanted:.1f} /MAtarget={self.ma_wanted:.1f}"
        standby = "Yes" if self.standby else "No"
        return f"[GENERATORSTATUS /KV={self.kv:.1f} /MA={self.ma:.1f}{targets} /STANDBY={standby}]"

    def _temperature(self) -> str:
        kelvin = self.thermal.sample_k(self.clock.now_s())
        text = f"/TEMPC={kelvin - KELVIN:.2f} /SETTEMPC={self.set_k - KELVIN:.2f}"
        if self.options.get("temperature_c_only", False):  # as older versions spell it
            return f"[SAMPLETEMPERATURESTATUS {text} /RAMPTRATEDPM={self.per_min:.3f}]"
        return (
            f"[SAMPLETEMPERATURESTATUS {text} /RAMPRATEDPM={self.per_min:.3f} /TEMPK={kelvin:.2f} "
            f"/SETTEMPK={self.set_k:.2f}]"
        )

    def _detector(self) -> str:
        return f"[DETECTORSTATUS /FRAMESIZE={self.camera.shape[1]} /CCDTEMP=-54.8 /PDC=0.000]"
