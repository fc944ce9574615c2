"""The simulated detector's keys: what it comes up with after initialize, and which key moves which.

Values and couplings are the manual's as README.md has them; what the manual leaves open is marked there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

VERSION: Final = "1.8.0"
HC_EV_ANGSTROM: Final = 12398.419843  # CODATA 2018: h c in eV times angstrom
ELEMENTS_EV: Final = {"Cu": 8047.8, "Mo": 17479.3, "Ag": 22162.9}  # K-alpha1, Bearden 1967
READOUT_S: Final = 1e-7
TRIGGER_MODES: Final = ("ints", "inte", "exts", "exte")


class Item:
    """One key: its value, the type the manual gives it, and what may be written."""

    def __init__(
        self, value: Any, kind: str, *, access: str = "rw", unit: str = "", low: float | None = None,
        high: float | None = None, allowed: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.value, self.kind, self.access, self.unit = value, kind, access, unit
        self.low, self.high, self.allowed = low, high, allowed

    def takes(self, value: Any) -> Any:
        """The value as this key holds it. Raises ValueError, in the words of the answer."""
        fits: dict[str, bool] = {
            "bool": isinstance(value, bool),
            "string": isinstance(value, str),
            "float": isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value)),
            "uint": isinstance(value, int) and not isinstance(value, bool) and value >= 0,
        }
        if not fits[self.kind]:
            raise ValueError(f"value is not of type {self.kind}")
        if self.allowed and value not in self.allowed:
            raise ValueError(f"value is none of {list(self.allowed)}")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise ValueError(f"value is out of range [{self.low}, {self.high}]")
        return float(value) if self.kind == "float" else value

    def as_json(self) -> dict[str, Any]:
        shown = {"value": self.value, "value_type": self.kind, "access_mode": self.access}
        optional = {"unit": self.unit, "min": self.low, "max": self.high, "allowed_values": list(self.allowed)}
        return shown | {key: value for key, value in optional.items() if value not in ("", None, [])}


def detector_keys(shape: tuple[int, int], options: Mapping[str, Any]) -> dict[str, Item]:
    """What the unit comes up with after initialize."""
    rows, columns = shape
    energy = float(options.get("photon_energy_ev", 8047.8))

    def fixed(value: Any, kind: str, unit: str = "") -> Item:
        return Item(value, kind, access="r", unit=unit)

    return {
        "count_time": Item(1.0, "float", unit="s", low=1e-6, high=3600.0),
        "frame_time": Item(1.0 + READOUT_S, "float", unit="s", low=2e-6, high=3600.0),
        "frame_count_time": fixed(1.0, "float", "s"),
        "nimages": Item(1, "uint", low=1, high=2_000_000_000),
        "ntrigger": Item(1, "uint", low=1, high=2_000_000_000),
        "nexpi": Item(1, "uint", low=1, high=2_000_000_000),
        "trigger_mode": Item("ints", "string", allowed=TRIGGER_MODES),
        "trigger_start_delay": Item(0.0, "float", unit="s", low=0.0, high=3600.0),
        "counting_mode": Item("normal", "string", allowed=("normal", "retrigger")),
        "auto_summation": Item(True, "bool"),
        "photon_energy": Item(energy, "float", unit="eV", low=4000.0, high=100000.0),
        "incident_energy": Item(energy, "float", unit="eV", low=4000.0, high=100000.0),
        "wavelength": Item(HC_EV_ANGSTROM / energy, "float", unit="angstrom", low=0.12, high=3.1),
        "element": Item("", "string", allowed=("", *ELEMENTS_EV)),
        "threshold_energy": Item(energy / 2, "float", unit="eV", low=2000.0, high=80000.0),
        "threshold/1/energy": Item(energy / 2, "float", unit="eV", low=2000.0, high=80000.0),
        "threshold/1/mode": Item("enabled", "string", allowed=("enabled", "disabled")),
        "threshold/2/energy": Item(energy * 0.8, "float", unit="eV", low=2000.0, high=80000.0),
        "threshold/2/mode": Item("disabled", "string", allowed=("enabled", "disabled")),
        "threshold/difference/mode": Item("disabled", "string", allowed=("enabled", "disabled")),
        "beam_center_x": Item(columns / 2, "float", unit="px"),
        "beam_center_y": Item(rows / 2, "float", unit="px"),
        "detector_distance": Item(0.2, "float", unit="m"),
        "roi_mode": Item("disabled", "string", allowed=("disabled", "lines")),
        "compression": Item("lz4", "string", allowed=("lz4", "bslz4")),
        "countrate_correction_applied": Item(True, "bool"),
        "flatfield_correction_applied": Item(True, "bool"),
        "pixel_mask_applied": Item(True, "bool"),
        "virtual_pixel_correction_applied": Item(True, "bool"),
        "mask_to_zero": Item(False, "bool"),
        "sample_name": Item("", "string"),
        "test_image_mode": Item("", "string", allowed=("", "value")),
        "test_image_value": Item(0, "uint"),
        "bit_depth_image": fixed(int(options.get("bit_depth", 32)), "uint"),
        "bit_depth_readout": fixed(16, "uint"),
        "x_pixels_in_detector": fixed(columns, "uint"),
        "y_pixels_in_detector": fixed(rows, "uint"),
        "x_pixel_size": fixed(75e-6, "float", "m"),
        "y_pixel_size": fixed(75e-6, "float", "m"),
        "sensor_material": fixed(str(options.get("sensor_material", "CdTe")), "string"),
        "sensor_thickness": fixed(float(options.get("sensor_thickness_m", 750e-6)), "float", "m"),
        "description": fixed(str(options.get("description", "Dectris EIGER2 CdTe 500K")), "string"),
        "detector_number": fixed(str(options.get("detector_number", "E-02-0500")), "string"),
        "software_version": fixed(VERSION, "string"),
        "eiger_fw_version": fixed("release-2022.1.2", "string"),
        "detector_readout_time": fixed(READOUT_S, "float", "s"),
        "number_of_excluded_pixels": fixed(0, "uint"),
        "countrate_correction_count_cutoff": fixed(0, "uint"),
        "data_collection_date": fixed("", "string"),
    }  # fmt: skip


def stream_keys() -> dict[str, Item]:
    return {
        "mode": switch(),
        "format": Item("legacy", "string", allowed=("legacy", "cbor")),
        "header_detail": Item("basic", "string", allowed=("all", "basic", "none")),
        "header_appendix": Item("", "string"),
        "image_appendix": Item("", "string"),
    }


def filewriter_keys() -> dict[str, Item]:
    return {
        "mode": switch(),
        "compression_enabled": Item(True, "bool"),
        "image_nr_start": Item(1, "uint"),
        "name_pattern": Item("series_$id", "string"),
        "nimages_per_file": Item(1000, "uint"),
    }


def monitor_keys() -> dict[str, Item]:
    return {"mode": switch(), "buffer_size": Item(100, "uint", low=1), "discard_new": Item(True, "bool")}


def switch() -> Item:
    """An interface's `mode`, off until told else."""
    return Item("disabled", "string", allowed=("enabled", "disabled"))


def couple(detector: Mapping[str, Item], key: str, sensor_cutoff: Callable[[float], int]) -> set[str]:
    """Move what else moves when `key` was written; returns the keys that may have changed beyond their values."""
    value = {name: item.value for name, item in detector.items()}

    def energy(ev: float) -> None:
        detector["photon_energy"].value = detector["incident_energy"].value = ev
        detector["wavelength"].value = HC_EV_ANGSTROM / ev
        detector["threshold_energy"].value = detector["threshold/1/energy"].value = ev / 2
        if key != "element":
            detector["element"].value = ""

    match key:
        case "count_time":
            detector["frame_time"].value = max(value["frame_time"], value["count_time"] + READOUT_S)
            detector["frame_count_time"].value = value["count_time"]
        case "frame_time":
            if value["count_time"] + READOUT_S > value["frame_time"]:
                detector["count_time"].value = value["frame_time"] - READOUT_S
            detector["frame_count_time"].value = detector["count_time"].value
        case "photon_energy" | "incident_energy":
            energy(value[key])
        case "wavelength":
            energy(HC_EV_ANGSTROM / value[key])
        case "element" if value[key]:
            energy(ELEMENTS_EV[value[key]])
        case "roi_mode":
            detector["count_time"].value = detector["frame_count_time"].value = 1.0
            detector["frame_time"].value = 1.0 + READOUT_S
        case "threshold_energy":
            detector["threshold/1/energy"].value = value[key]
        case "threshold/1/energy":
            detector["threshold_energy"].value = value[key]
        case _:
            return set()
    detector["countrate_correction_count_cutoff"].value = cutoff(detector, sensor_cutoff)
    return set() if key.endswith("_time") else {"flatfield"}


def cutoff(detector: Mapping[str, Item], sensor_cutoff: Callable[[float], int]) -> int:
    """Counts from which a pixel tells nothing: the sensor's own in this counting time, or the full scale below."""
    full = int(2 ** detector["bit_depth_image"].value) - 2
    return min(full, sensor_cutoff(float(detector["count_time"].value)))
