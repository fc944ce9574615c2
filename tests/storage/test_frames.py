"""A frame file takes the detector's bytes as they come, and plain h5py gives the pixels back."""

from __future__ import annotations

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from rocksalt.storage import frames
from rocksalt.storage.frames import DATA, FrameFile

SHAPE = (37, 51)


def chunk_of(pixels: np.ndarray, encoding: str) -> memoryview:
    """Pixels as a detector would send them: the HDF5 filter's own bytes."""
    if encoding == "raw":
        return memoryview(pixels.tobytes())
    codec = hdf5plugin.Bitshuffle(cname="lz4") if encoding == "bslz4" else hdf5plugin.LZ4()
    with h5py.File("chunk", "w", driver="core", backing_store=False) as file:
        data = file.create_dataset("p", data=pixels, chunks=pixels.shape, **codec)
        return memoryview(data.id.read_direct_chunk((0, 0))[1])


def append(file: FrameFile, chunk: memoryview, number: int) -> int:
    return file.append(
        chunk, number=number, measurement=number // 2, series=9, image=number, exposure_s=0.25,
        ended_s=float(number), sha256=f"{number:064x}",
    )  # fmt: skip


def pixels(number: int, dtype: str = "<u4") -> np.ndarray:
    return np.random.default_rng(number).poisson(5.0, SHAPE).astype(dtype)


@pytest.mark.parametrize("encoding", ["bslz4", "lz4", "raw"])
@pytest.mark.parametrize("dtype", ["<u4", "<u2", ">u2", "|u1"])
def test_plain_h5py_reads_back_every_encoding_and_type(tmp_path: Path, encoding, dtype: str) -> None:
    file = FrameFile(tmp_path, SHAPE, np.dtype(dtype), encoding)
    indices = [append(file, chunk_of(pixels(number, dtype), encoding), number) for number in range(3)]
    file.close()
    assert indices == [0, 1, 2]
    with h5py.File(tmp_path / "frames" / "frames_000001.h5", "r") as stored:
        data = stored[DATA]
        assert (data.dtype, data.chunks, data.maxshape) == (np.dtype(dtype), (1, *SHAPE), (None, *SHAPE))
        assert all(np.array_equal(data[number], pixels(number, dtype)) for number in range(3))
        assert stored["entry/data/sha256"][2] == f"{2:064x}".encode()
        assert stored["entry/data/measurement"][()].tolist() == [0, 0, 1]
        assert stored["entry/data/exposure_s"].attrs["units"] == "s"


def test_a_reader_beside_sees_each_frame_once_it_is_appended(tmp_path: Path) -> None:
    file = FrameFile(tmp_path, SHAPE, np.dtype("<u4"), "bslz4")
    with h5py.File(tmp_path / file.file, "r", swmr=True) as reader:
        for number in range(5):
            append(file, chunk_of(pixels(number), "bslz4"), number)
            for name in (DATA, "entry/data/number"):
                reader[name].refresh()
            assert reader["entry/data/number"][()].tolist() == list(range(number + 1))
            assert np.array_equal(reader[DATA][number], pixels(number))
    file.close()


def test_an_existing_file_is_never_opened_the_next_number_is_taken(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "frames_000041.h5").write_bytes(b"of an earlier part of the run, torn")
    (tmp_path / "frames" / "frames_000050.h5.bak").touch()
    file = FrameFile(tmp_path, SHAPE, np.dtype("<u4"), "raw")
    assert file.file == "frames/frames_000042.h5"
    file.close()
    assert (tmp_path / "frames" / "frames_000041.h5").read_bytes() == b"of an earlier part of the run, torn"


def test_a_file_takes_frames_of_its_own_kind_up_to_its_number(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(frames, "FRAMES_PER_FILE", 2)
    file = FrameFile(tmp_path, SHAPE, np.dtype("<u4"), "raw")
    assert file.takes(SHAPE, np.dtype("<u4"), "raw")
    assert not file.takes(SHAPE, np.dtype("<u4"), "bslz4")
    assert not file.takes(SHAPE, np.dtype("<u2"), "raw")
    assert not file.takes((1, 2), np.dtype("<u4"), "raw")
    for number in range(2):
        append(file, chunk_of(pixels(number), "raw"), number)
    assert not file.takes(SHAPE, np.dtype("<u4"), "raw")
    file.sync()
    file.close()


def test_viewers_open_a_frame_file_at_its_images(tmp_path: Path) -> None:
    nxdata = pytest.importorskip("silx.io.nxdata")
    file = FrameFile(tmp_path, SHAPE, np.dtype("<u4"), "bslz4")
    for number in range(2):
        append(file, chunk_of(pixels(number), "bslz4"), number)
    file.close()
    with h5py.File(tmp_path / file.file, "r") as stored:
        plot = nxdata.get_default(stored)
        assert plot is not None
        assert plot.is_valid
        assert (plot.signal.name, plot.interpretation) == (DATA, "image")
