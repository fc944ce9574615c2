"""A detector's stream from another process: `count` different frames at `rate_hz`, some of them never sent.

Written from the protocol's description, on its own; prints one JSON line with the hash of every frame that was made.
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate-hz", type=float, required=True)
    parser.add_argument("--drop", type=int, nargs="*", default=[])
    parser.add_argument("--series", type=int, default=1)
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
    name = {"series_id": given.series, "series_unique_id": "sender"}
    start = {"type": "start", **name, "number_of_images": given.count, "image_dtype": "uint32",
             "image_size_x": COLUMNS, "image_size_y": ROWS, "count_time": 0.009}  # fmt: skip
    socket.send(cbor2.dumps(start))
    began = time.monotonic()
    for number in range(given.count):
        pixels[number % ROWS] += np.uint32(1)  # different from every frame before
        compressed[...] = pixels
        chunk = compressed.id.read_direct_chunk((0, 0))[1]
        hashes[number] = hashlib.sha256(pixels.tobytes()).hexdigest()
        ticks = int(50_000_000 * number / given.rate_hz)
        image = cbor2.CBORTag(40, [[ROWS, COLUMNS], cbor2.CBORTag(70, cbor2.CBORTag(56500, ["bslz4", 4, chunk]))])
        message = cbor2.dumps({
            "type": "image", **name, "image_id": number, "real_time": [450_000, 50_000_000],
            "start_time": [ticks, 50_000_000], "stop_time": [ticks + 450_000, 50_000_000],
            "data": {"threshold_1": image},
        })  # fmt: skip
        time.sleep(max(0.0, began + number / given.rate_hz - time.monotonic()))
        if number not in given.drop:
            socket.send(message)
    took = time.monotonic() - began
    socket.send(cbor2.dumps({"type": "end", **name}))
    socket.close(linger=20_000)
    context.term()
    print(json.dumps({"hashes": [hashes[number] for number in range(given.count)], "took_s": took}), flush=True)


if __name__ == "__main__":
    main()
