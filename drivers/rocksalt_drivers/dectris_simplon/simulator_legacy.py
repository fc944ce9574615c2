"""The simulated detector's messages in stream version 1 (legacy): JSON parts and blobs, told apart by their `htype`.

Written from the manual's facts in README.md, apart from the decoder in `stream_v1.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Parts = tuple[bytes, ...]
NS_PER_S: Final = 1_000_000_000


def start_parts(
    config: Mapping[str, Any], series: int, *, detail: str, mask: NDArray[np.uint32], flatfield: str, appendix: str
) -> Parts:
    """What follows an arm. `flatfield` is how this firmware spells the htype of that part."""
    parts = [_json({"htype": "dheader-1.0", "series": series, "header_detail": detail})]
    if detail in ("basic", "all"):
        parts.append(_json({key: value for key, value in config.items() if "/" not in key}))
    if detail == "all":
        table = np.stack([np.linspace(0, 1e6, 100), np.linspace(0, 1.1e6, 100)], axis=1).astype("<f4")
        for htype, array, kind in (
            (flatfield, np.ones(mask.shape, "<f4"), "float32"),
            ("dpixelmask-1.0", mask, "uint32"),
            ("dcountrate_table-1.0", table, "float32"),
        ):
            parts += [_json({"htype": htype, "shape": [array.shape[1], array.shape[0]], "type": kind}), array.tobytes()]
    return (*parts, *_appendix(appendix))


def image_parts(
    series: int, image: int, blob: bytes, digest: str, *, shape: tuple[int, int], itemsize: int, encoding: str,
    begins_s: float, seconds: float, appendix: str,
) -> Parts:  # fmt: skip
    """One image; `digest` is the MD5 of the blob as it was made, begins_s counts from the arming."""
    begins, lasts = round(begins_s * NS_PER_S), round(seconds * NS_PER_S)
    form = {
        "htype": "dimage_d-1.0", "shape": [shape[1], shape[0]], "type": f"uint{8 * itemsize}", "encoding": encoding,
        "size": len(blob),
    }  # fmt: skip
    times = {"htype": "dconfig-1.0", "start_time": begins, "stop_time": begins + lasts, "real_time": lasts}
    first = {"htype": "dimage-1.0", "series": series, "frame": image, "hash": digest}
    return (_json(first), _json(form), blob, _json(times), *_appendix(appendix))


def end_parts(series: int) -> Parts:
    return (_json({"htype": "dseries_end-1.0", "series": series}),)


def blob(pixels: NDArray[np.unsignedinteger], algorithm: str) -> tuple[str, bytes]:
    """(encoding, blob): shuffled blocks in the HDF5 filter's framing, or one LZ4 block without any."""
    import h5py
    import hdf5plugin

    shuffled = algorithm == "bslz4"
    codec = hdf5plugin.Bitshuffle(cname="lz4") if shuffled else hdf5plugin.LZ4(nbytes=pixels.nbytes)
    with h5py.File("compressor", "w", driver="core", backing_store=False) as file:
        data = file.create_dataset("pixels", data=pixels, chunks=pixels.shape, **codec)
        chunk: bytes = data.id.read_direct_chunk((0, 0))[1]
    if shuffled:
        return f"bs{8 * pixels.dtype.itemsize}-lz4<", chunk
    block = chunk[16:]  # behind two lengths of the whole and one of its only block
    return "lz4<", block if len(block) < pixels.nbytes else _literals(pixels.tobytes())


def _literals(data: bytes) -> bytes:
    """An LZ4 block of nothing but literals: what the compressor gave up on, and the filter would keep as it is."""
    if len(data) < 15:
        return bytes([len(data) << 4]) + data
    full, rest = divmod(len(data) - 15, 255)
    return b"\xf0" + b"\xff" * full + bytes([rest]) + data


def _appendix(text: str) -> Parts:
    return (text.encode(),) if text else ()


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content).encode()
