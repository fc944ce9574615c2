"""The simulated detector's messages: pixels into chunks, chunks and settings into CBOR, as stream version 2 has it.

Written from the manual's facts in README.md, apart from the decoder in `stream.py`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import cbor2
import numpy as np
from numpy.typing import NDArray

TICKS_PER_S: Final = 50_000_000
UNSIGNED: Final = {1: 64, 2: 69, 4: 70}  # RFC 8746: little-endian typed arrays, by bytes per element


def start_message(
    config: Mapping[str, Any], names: Mapping[str, Any], *, arm_date: str, saturation_value: int, appendix: str,
    mask: NDArray[np.uint32] | None,
) -> dict[str, Any]:  # fmt: skip
    """What follows an arm. `config` is the detector's keys and values; with a mask, it and the flatfield go along."""
    columns, rows = config["x_pixels_in_detector"], config["y_pixels_in_detector"]
    per_trigger = config["nimages"] if config["trigger_mode"] in ("ints", "exts") else 1
    message: dict[str, Any] = {
        "type": "start", "arm_date": cbor2.CBORTag(0, arm_date), "beam_center_x": config["beam_center_x"],
        "beam_center_y": config["beam_center_y"], "channels": ["threshold_1"], "count_time": config["count_time"],
        "countrate_correction_enabled": config["countrate_correction_applied"],
        "detector_description": config["description"], "detector_serial_number": config["detector_number"],
        "detector_translation": [0.0, 0.0, config["detector_distance"]],
        "flatfield_enabled": config["flatfield_correction_applied"], "frame_time": config["frame_time"],
        "goniometer": {}, "image_dtype": f"uint{config['bit_depth_image']}", "image_size_x": columns,
        "image_size_y": rows, "incident_energy": config["incident_energy"],
        "incident_wavelength": config["wavelength"], "number_of_images": config["ntrigger"] * per_trigger,
        "pixel_mask_enabled": config["pixel_mask_applied"], "pixel_size_x": config["x_pixel_size"],
        "pixel_size_y": config["y_pixel_size"], "saturation_value": saturation_value,
        "sensor_material": config["sensor_material"], "sensor_thickness": config["sensor_thickness"], **names,
        "threshold_energy": {"threshold_1": config["threshold/1/energy"]}, "user_data": appendix,
        "virtual_pixel_interpolation_enabled": config["virtual_pixel_correction_applied"],
    }  # fmt: skip
    if mask is not None:
        flatfield = np.ones(mask.shape, "<f4")
        message["flatfield"] = {"threshold_1": _array(mask.shape, cbor2.CBORTag(85, flatfield.tobytes()))}
        message["pixel_mask"] = {"threshold_1": _array(mask.shape, cbor2.CBORTag(70, mask.tobytes()))}
    return message


def image_message(
    names: Mapping[str, Any], image: int, chunk: bytes, *, shape: tuple[int, int], itemsize: int, algorithm: str,
    begins_s: float, seconds: float, date: str, appendix: str,
) -> dict[str, Any]:  # fmt: skip
    """One image; begins_s counts from `date`, the arming."""
    begins, lasts = round(begins_s * TICKS_PER_S), round(seconds * TICKS_PER_S)
    element = itemsize if algorithm == "bslz4" else 0
    pixels = cbor2.CBORTag(UNSIGNED[itemsize], cbor2.CBORTag(56500, [algorithm, element, chunk]))
    return {
        "type": "image", **names, "image_id": image, "real_time": [lasts, TICKS_PER_S],
        "series_date": cbor2.CBORTag(0, date), "start_time": [begins, TICKS_PER_S],
        "stop_time": [begins + lasts, TICKS_PER_S], "user_data": appendix,
        "data": {"threshold_1": _array(shape, pixels)},
    }  # fmt: skip


def _array(shape: tuple[int, ...], typed: cbor2.CBORTag) -> cbor2.CBORTag:
    return cbor2.CBORTag(40, [list(shape), typed])


def pixel_mask(blind: NDArray[np.bool_], options: Mapping[str, Any]) -> NDArray[np.uint32]:
    """The detector's own mask, (rows, columns): bit 0 a gap (whole rows and columns), bit 1 a dead pixel."""
    columns, rows = np.asarray(blind.all(axis=0)), np.asarray(blind.all(axis=1))
    gaps = columns[np.newaxis, :] | rows[:, np.newaxis]
    mask = np.where(gaps, 1, np.where(blind, 2, 0)).astype("<u4")
    for first, last in options.get("gap_columns", []):
        mask[:, first : last + 1] |= np.uint32(1)
    for first, last in options.get("gap_rows", []):
        mask[first : last + 1, :] |= np.uint32(1)
    for row, column in options.get("dead", []):
        mask[row, column] |= np.uint32(2)
    return mask


def compress(pixels: NDArray[np.unsignedinteger], algorithm: str) -> bytes:
    """Pixels in the framing of the HDF5 filter: made by that filter itself, in a file that is never anywhere."""
    import h5py
    import hdf5plugin

    codec = hdf5plugin.Bitshuffle(cname="lz4") if algorithm == "bslz4" else hdf5plugin.LZ4()
    with h5py.File("compressor", "w", driver="core", backing_store=False) as file:
        data = file.create_dataset("pixels", data=pixels, chunks=pixels.shape, **codec)
        chunk: bytes = data.id.read_direct_chunk((0, 0))[1]
    return chunk


def darray(array: NDArray[np.uint32]) -> dict[str, Any]:
    """A 2-D array as the REST interface writes it; its shape is [width, height]."""
    return {
        "__darray__": [1, 0, 0], "type": "<u4", "shape": [array.shape[1], array.shape[0]], "filters": ["base64"],
        "data": base64.b64encode(array.tobytes()).decode("ascii"),
    }  # fmt: skip
