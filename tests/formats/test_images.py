"""Frames on disk: what is masked, which dataset is meant, and nothing from outside the folder."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from rocksalt.formats import FormatError, read_image


@pytest.fixture
def frame() -> np.ndarray:
    return np.arange(40 * 50, dtype=np.int32).reshape(40, 50)


@pytest.fixture
def h5(tmp_path):
    """A file beside the test, made by whatever is done to it."""

    def make(fill, name="frames.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            fill(file)
        return tmp_path / name

    return make


@pytest.mark.parametrize("suffix", [".tif", ".cbf"])
def test_negative_pixels_of_signed_frames_are_masked(tmp_path, frame, suffix):
    import fabio

    frame[3, 4], frame[5, 6] = -1, -2
    writer = {".tif": fabio.tifimage.TifImage, ".cbf": fabio.cbfimage.CbfImage}[suffix]
    writer(data=frame).write(str(tmp_path / f"frame{suffix}"))
    image = read_image(tmp_path / f"frame{suffix}")
    assert np.array_equal(image.counts, frame)
    assert sorted(map(tuple, np.argwhere(image.mask))) == [(3, 4), (5, 6)]


def test_the_largest_value_of_unsigned_frames_is_masked(h5, frame):
    pixels = frame.astype(np.uint32)
    pixels[7, 8] = 2**32 - 1
    image = read_image(h5(lambda file: file.create_dataset("entry/data/data", data=pixels)))
    assert np.argwhere(image.mask).tolist() == [[7, 8]]
    assert image.counts[7, 8] == 0
    assert image.counts[7, 9] == frame[7, 9]


def test_a_stack_is_summed_so_that_counts_stay_counts(h5, frame):
    image = read_image(h5(lambda file: file.create_dataset("entry/data/data", data=np.stack([frame, frame, frame]))))
    assert np.array_equal(image.counts, 3 * frame)
    assert image.frames == 3
    assert image.notes == ("3 frames of /entry/data/data were summed",)


def test_the_default_chain_leads_to_the_signal(h5, frame):
    def fill(file):
        file.attrs["default"] = "run"
        file["other/data"] = frame + 1
        file["run/plot/counts"] = frame
        file["run"].attrs["default"] = "plot"
        file["run/plot"].attrs["signal"] = "counts"

    assert np.array_equal(read_image(h5(fill)).counts, frame)


def test_the_only_plane_in_a_file_is_found_wherever_it_is(h5, frame):
    def fill(file):
        file["deep/in/there"] = frame
        file["deep/axis"] = np.arange(50.0)

    assert np.array_equal(read_image(h5(fill, "plain.hdf5")).counts, frame)


def test_several_planes_are_listed_and_one_is_chosen_by_name(h5, frame):
    def fill(file):
        file["one"], file["two"] = frame, frame + 1

    path = h5(fill)
    with pytest.raises(FormatError, match=r"say which by --dataset: /one \(40, 50\), /two \(40, 50\)"):
        read_image(path)
    assert np.array_equal(read_image(path, dataset="/two").counts, frame + 1)
    with pytest.raises(FormatError, match=r"there is no '/three' in this file; say which by --dataset: /one"):
        read_image(path, dataset="/three")


def test_a_file_without_frames_says_so(h5):
    with pytest.raises(FormatError, match=r"no detector frame \(a dataset of two or three dimensions\) in this file"):
        read_image(h5(lambda file: file.create_dataset("axis", data=np.arange(5.0))))
    with pytest.raises(FormatError, match="holds no frame yet"):
        read_image(h5(lambda file: file.create_dataset("entry/data/data", shape=(0, 40, 50), dtype="u4"), "empty.nxs"))


def test_the_parts_of_a_master_file_are_read_beside_it(h5, frame):
    for number in (1, 2):
        h5(
            lambda file, number=number: file.create_dataset("entry/data/data", data=frame[None] * number),
            f"part{number}.h5",
        )

    def fill(file):
        for number in (1, 2):
            file[f"entry/data/data_00000{number}"] = h5py.ExternalLink(f"part{number}.h5", "/entry/data/data")

    assert np.array_equal(read_image(h5(fill, "master.h5")).counts, 3 * frame)


def test_pixel_mask_cutoff_and_wavelength_of_nexus_are_used(h5, frame):
    def fill(file):
        file["entry/data/data"] = frame
        file["entry/instrument/detector/pixel_mask"] = (frame == 77).astype(np.uint32)
        file["entry/instrument/detector/saturation_value"] = 60000
        file["entry/instrument/beam/incident_wavelength"] = 0.04133
        file["entry/instrument/beam/incident_wavelength"].attrs["units"] = "nm"

    image = read_image(h5(fill))
    assert image.mask.sum() == 1
    assert image.saturation == 60000
    assert image.wavelength_angstrom == pytest.approx(0.4133)


def test_links_out_of_the_folder_are_refused(h5, tmp_path, frame):
    outside = tmp_path / "outside"
    outside.mkdir()
    with h5py.File(outside / "secret.h5", "w") as file:
        file["data"] = frame
    inside = tmp_path / "inside"
    inside.mkdir()
    layout = h5py.VirtualLayout(shape=frame.shape, dtype=frame.dtype)
    layout[:] = h5py.VirtualSource(str(outside / "secret.h5"), "data", shape=frame.shape)
    for name, fill in {
        "link.h5": lambda file: file.__setitem__("entry/data/data", h5py.ExternalLink("../outside/secret.h5", "/data")),
        "virtual.h5": lambda file: file.create_group("entry/data").create_virtual_dataset("data", layout),
    }.items():
        with pytest.raises(FormatError, match=r"/entry/data/data lies in another folder .*only files beside this one"):
            read_image(h5(fill, f"inside/{name}"))


def test_bytes_kept_in_another_file_are_refused(h5, tmp_path):
    (tmp_path / "raw.bin").write_bytes(bytes(40 * 50 * 4))
    made = h5(
        lambda file: file.create_dataset(
            "entry/data/data", shape=(40, 50), dtype="i4", external=[(str(tmp_path / "raw.bin"), 0, 8000)]
        )
    )
    with pytest.raises(FormatError, match="keeps its bytes in other files"):
        read_image(made)


def test_soft_links_in_circles_are_refused(h5):
    def fill(file):
        file["entry/data/data"] = h5py.SoftLink("/entry/data/again")
        file["entry/data/again"] = h5py.SoftLink("/entry/data/data")

    with pytest.raises(FormatError, match="links in this file lead in circles"):
        read_image(h5(fill))


@pytest.mark.parametrize("name", ["a.tif", "a.cbf", "a.h5"])
def test_garbage_gives_a_sentence(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x89nothing of the kind" * 50)
    with pytest.raises(FormatError, match=rf"{name}: no readable"):
        read_image(tmp_path / name)


def test_dataset_is_for_hdf5_and_suffixes_are_named(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"x")
    with pytest.raises(FormatError, match="--dataset names a path inside an HDF5 file"):
        read_image(tmp_path / "a.tif", dataset="/entry")
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(FormatError, match=r"the suffix '\.png' is not known; frames end in \.tif"):
        read_image(tmp_path / "a.png")
