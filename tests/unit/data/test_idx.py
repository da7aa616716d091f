"""IDX files: pairs, splits, and headers that do not tell the truth."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from gnomon.core.errors import ArtefactError, DataError
from gnomon.core.settings import DataSettings
from gnomon.data import images
from gnomon.data.opening import open_source


def idx(array: np.ndarray, code: int = 8) -> bytes:
    """Two zeros, type, number of dims, dims as big-endian 32-bit numbers, values. Source: LeCun, MNIST page."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


PICTURES = np.random.default_rng(0).integers(0, 256, (20, 5, 4), dtype=np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 4


def write(folder, pictures: bytes = idx(PICTURES), labels: bytes = idx(LABELS), *, prefix: str = "train-"):
    (folder / f"{prefix}images-idx3-ubyte").write_bytes(pictures)
    (folder / f"{prefix}labels-idx1-ubyte").write_bytes(labels)
    return folder


def read(folder):
    return images.read_labelled(open_source(folder), DataSettings())


def test_a_single_pair_is_not_split(tmp_path):
    part = read(write(tmp_path, prefix="t10k-")).splits["all"]
    np.testing.assert_array_equal(part.pixels(5, 4, 1)[..., 0], PICTURES)
    assert part.index["stratum"].to_list() == [str(i % 4) for i in range(20)]
    assert part[17].id == "image 17"


def test_train_and_t10k_are_split_already(tmp_path):
    write(tmp_path)
    reading = read(write(tmp_path, idx(PICTURES[:8]), idx(LABELS[:8]), prefix="t10k-"))
    assert {split: len(part) for split, part in reading.splits.items()} == {"train": 20, "test": 8}
    assert reading.splits["test"][3].id == "test image 3"


def test_gzipped_files_in_a_folder_below_and_other_spellings_are_read(tmp_path):
    below = tmp_path / "raw"
    below.mkdir()
    (below / "emnist-train-images.idx3-ubyte.gz").write_bytes(gzip.compress(idx(PICTURES)))
    (below / "emnist-train-labels.idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    np.testing.assert_array_equal(read(tmp_path).splits["all"].pixels(5, 4, 1)[..., 0], PICTURES)


def test_a_plain_file_is_preferred_to_its_gzipped_twin(tmp_path):
    write(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"not even gzip")
    assert "other files, ignored: 1 (train-images-idx3-ubyte.gz)" in read(tmp_path).notes


def test_other_types_are_scaled_with_a_note(tmp_path):
    shorts = (PICTURES.astype(int) * 100 % 30_000).astype(">i2")
    reading = read(write(tmp_path, idx(shorts, 0x0B)))
    assert "divided by 257" in reading.notes[0]


@pytest.mark.parametrize(("pictures", "labels", "what"), [
    (idx(PICTURES)[:-1], idx(LABELS), r"promises 20x5x4 values \(416 bytes\), but there are 415"),
    (idx(PICTURES) + b"x", idx(LABELS), "but there are 417"),
    (idx(PICTURES), idx(LABELS[:19]), "20 pictures in train-images-idx3-ubyte, but 19 labels in train-l"),
    (b"<html>404</html>", idx(LABELS), "not an IDX file"),
    (b"", idx(LABELS), "not an IDX file"),
    (b"\0\0\x08\x03\0\0", idx(LABELS), "header is truncated"),
    (gzip.compress(idx(PICTURES), mtime=0)[:-9], idx(LABELS), "gzip file is truncated or damaged"),
    (struct.pack(">BBBBIII", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 9), idx(LABELS), "promises 4294967295x4294967295x9"),
])  # fmt: skip
def test_files_inconsistent_with_their_header_or_each_other_are_named(tmp_path, pictures, labels, what):
    with pytest.raises(DataError, match=what) as caught:
        read(write(tmp_path, pictures, labels))
    assert caught.value.where.startswith(str(tmp_path))


def test_a_gzip_that_would_unpack_without_end_is_refused_from_its_header(tmp_path):
    header = struct.pack(">BBBBIII", 0, 0, 8, 3, 60_000, 300, 300)
    with pytest.raises(ArtefactError, match="would unpack to 5,400,000,016"):
        read(write(tmp_path, gzip.compress(header + bytes(10**6))))


def test_a_file_over_the_limit_is_refused_whatever_its_ratio(tmp_path, monkeypatch):
    monkeypatch.setattr("gnomon.data.images.idx.MOST_BYTES", 415)
    with pytest.raises(ArtefactError, match="would unpack to 416"):
        read(write(tmp_path, gzip.compress(idx(PICTURES))[:415]))


def test_labels_without_pictures_are_named(tmp_path):
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS))
    with pytest.raises(DataError, match="train-labels-idx1-ubyte has no images next to it"):
        read(tmp_path)


def test_classes_that_only_test_has_are_named(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match="test has 1 class without pictures in train: 9"):
        read(write(tmp_path, idx(PICTURES[:2]), idx(np.array([0, 9], np.uint8)), prefix="t10k-"))


@pytest.mark.real
def test_mnist_and_fashion_mnist_as_they_are(real_data):
    reading = read(real_data / "mnist-10k")
    part = reading.splits["all"]
    assert part.pixels(28, 28, 1).shape == (10_000, 28, 28, 1)
    # counts of the digits 0 .. 9 in MNIST's test set, as published with it
    counts = part.index["stratum"].value_counts().sort("stratum")["count"].to_list()
    assert counts == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert any("label-audit" in note for note in reading.notes)
    fashion = read(real_data / "fashion-mnist").splits
    assert {split: len(part) for split, part in fashion.items()} == {"train": 60_000, "test": 10_000}
    assert set(fashion["train"].index["stratum"].value_counts()["count"]) == {6_000}


@pytest.mark.parametrize("shape", [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 0, 2**32 - 1), (0, 5, 4)])
def test_a_header_with_a_zero_dimension_is_refused(tmp_path, shape):
    with pytest.raises(DataError, match=r"the header promises .* values: nothing"):
        read(write(tmp_path, struct.pack(">BBBBIII", 0, 0, 8, 3, *shape)))


@pytest.mark.parametrize("label", [1e308, 2.0**60, float("nan"), 0.5])
def test_labels_that_are_not_classes_are_refused(tmp_path, label):
    labels = np.array([label, *LABELS[1:]], ">f8")
    with pytest.raises(DataError, match=r"which is not a class|missing targets|fractions"):
        read(write(tmp_path, labels=idx(labels, 14)))
