"""A detector's stream from another process: `count` different frames at `rate_hz`, some of them never sent.

Either version of the stream, written from the protocol's description, on its own; prints one JSON line with the hash of
every frame that was made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time

import cbor2
import h5py
import hdf5plugin
import numpy as np
import zmq

ROWS, COLUMNS = 514, 1030


class Cbor:
    """Version 2: one CBOR map a message."""

    def __init__(self, series: int) -> None:
        self.name = {"series_id": series, "series_unique_id": "sender"}

    def start(self, images: int) -> list[bytes]:
        start = {"type": "start", **self.name, "number_of_images": images, "image_dtype": "uint32",
                 "image_size_x": COLUMNS, "image_size_y": ROWS, "count_time": 0.009}  # fmt: skip
        return [cbor2.dumps(start)]

    def image(self, number: int, chunk: bytes, begins_ns: int) -> list[bytes]:
        ticks = begins_ns // 20
        image = cbor2.CBORTag(40, [[ROWS, COLUMNS], cbor2.CBORTag(70, cbor2.CBORTag(56500, ["bslz4", 4, chunk]))])
        return [cbor2.dumps({
            "type": "image", **self.name, "image_id": number, "real_time": [450_000, 50_000_000],
            "start_time": [ticks, 50_000_000], "stop_time": [ticks + 450_000, 50_000_000],
            "data": {"threshold_1": image},
        })]  # fmt: skip

    def end(self) -> list[bytes]:
        return [cbor2.dumps({"type": "end", **self.name})]


class Legacy:
    """Version 1: parts of JSON and a blob."""

    def __init__(self, series: int) -> None:
        self.series = series

    def start(self, images: int) -> list[bytes]:
        config = {"nimages": images, "ntrigger": 1, "trigger_mode": "ints", "bit_depth_image": 32, "count_time": 0.009,
                  "x_pixels_in_detector": COLUMNS, "y_pixels_in_detector": ROWS}  # fmt: skip
        return self._parts({"htype": "dheader-1.0", "series": self.series, "header_detail": "basic"}, config)

    def image(self, number: int, chunk: bytes, begins_ns: int) -> list[bytes]:
        digest = hashlib.md5(chunk).hexdigest()
        first, form, times = self._parts(
            {"htype": "dimage-1.0", "series": self.series, "frame": number, "hash": digest},
            {"htype": "dimage_d-1.0", "shape": [COLUMNS, ROWS], "type": "uint32", "encoding": "bs32-lz4<",
             "size": len(chunk)},
            {"htype": "dconfig-1.0", "start_time": begins_ns, "stop_time": begins_ns + 9_000_000,
             "real_time": 9_000_000},
        )  # fmt: skip
        return [first, form, chunk, times]

    def end(self) -> list[bytes]:
        return self._parts({"htype": "dseries_end-1.0", "series": self.series})

    def _parts(self, *contents: dict[str, object]) -> list[bytes]:
        return [json.dumps(content).encode() for content in contents]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate-hz", type=float, required=True)
    parser.add_argument("--drop", type=int, nargs="*", default=[])
    parser.add_argument("--series", type=int, default=1)
    parser.add_argument("--stream-version", type=int, default=2)
    given = parser.parse_args()
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.setsockopt(zmq.SNDHWM, 1000)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    print(json.dumps({"port": port}), flush=True)
    compressed = h5py.File("nowhere", "w", driver="core", backing_store=False).create_dataset(
        "frame", (ROWS, COLUMNS), "<u4", chunks=(ROWS, COLUMNS), **hdf5plugin.Bitshuffle(cname="lz4")
    )
    pixels = np.random.default_rng(1).poisson(3.0, (ROWS, COLUMNS)).astype("<u4")
    hashes: dict[int, str] = {}
    messages = Legacy(given.series) if given.stream_version == 1 else Cbor(given.series)
    socket.send_multipart(messages.start(given.count))
    began = time.monotonic()
    for number in range(given.count):
        pixels[number % ROWS] += np.uint32(1)  # different from every frame before
        compressed[...] = pixels
        chunk = compressed.id.read_direct_chunk((0, 0))[1]
        hashes[number] = hashlib.sha256(pixels.tobytes()).hexdigest()
        message = messages.image(number, chunk, int(1e9 * number / given.rate_hz))
        time.sleep(max(0.0, began + number / given.rate_hz - time.monotonic()))
        if number not in given.drop:
            socket.send_multipart(message)
    took = time.monotonic() - began
    socket.send_multipart(messages.end())
    socket.close(linger=20_000)
    context.term()
    print(json.dumps({"hashes": [hashes[number] for number in range(given.count)], "took_s": took}), flush=True)


if __name__ == "__main__":
    main()
