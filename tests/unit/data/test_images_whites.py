"""What white is belongs to the training set: a picture has the same pixels alone, in a batch, and in every format."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gnomon.core.errors import ArtefactError, DataError
from gnomon.core.settings import DataSettings, from_flat
from gnomon.data import images
from gnomon.data.images import Whites
from gnomon.data.opening import open_source
from gnomon.tasks.image_classification import TASK

SETTINGS = from_flat({})


def trained(thing) -> tuple[TASK, images.ImageExamples]:
    """The task with what it fits on all of `thing`, and its examples."""
    examples = TASK.reader.read(open_source(thing), DataSettings()).splits["all"]
    return TASK.from_train(examples, SETTINGS), examples


def encoded(task: TASK, thing) -> tuple[np.ndarray, str]:
    """The pixels that the network sees of inputs to predict, and what was said about them."""
    reading = task.reader.read_inputs(open_source(thing), DataSettings(), task.encoder)
    return task.encoder.encode(reading.splits["all"])["image"].numpy(), " ".join(reading.notes)


def dark_and_bright(high: float, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Eight 6x6 pictures, the even ones no brighter than a hundredth of `high`."""
    rng = np.random.default_rng(0)
    top = np.where(np.arange(8) % 2, high, high / 100).reshape(-1, 1, 1)
    pictures = rng.random((8, 6, 6)) * top
    pictures[1, 0, 0] = high
    return pictures.astype(dtype), np.arange(8) % 2


@pytest.mark.parametrize(
    ("high", "dtype"),
    [(3_500, np.uint16), (255, np.float32), (255, np.int64), (16, np.int64), (1, np.float64), (60_000, np.int32)],
)
def test_a_picture_of_an_array_is_the_same_alone_and_in_a_batch(high, dtype):
    pictures, classes = dark_and_bright(high, dtype)
    task, examples = trained((pictures, classes))
    batch = task.encoder.encode(examples)["image"].numpy()
    alone = np.concatenate([encoded(task, pictures[i : i + 1])[0] for i in range(len(pictures))])
    np.testing.assert_array_equal(alone, batch)


@pytest.mark.parametrize(
    ("high", "white"), [(1.0, 1), (16, 16), (16.5, 255), (255, 255), (300, 4_095), (4_095, 4_095), (4_096, 65_535)]
)
def test_white_is_the_smallest_usual_value_that_covers_all_pictures(high, white):
    pictures, classes = np.zeros((4, 2, 2)), np.arange(4) % 2
    pictures[3, 0, 0] = high
    task, examples = trained((pictures, classes))
    assert task.encoder.whites == Whites(floating=white)
    assert task.encoder.encode(examples)["image"][3, 0, 0, 0] == round(255 * high / white)


def write_tiffs(folder, pictures, classes) -> None:
    for i, (picture, label) in enumerate(zip(pictures, classes, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / str(label) / f"{i}.tif")


@pytest.mark.parametrize(("high", "dtype"), [(3_500, np.uint16), (200, np.float32), (1, np.float32)])
def test_files_of_one_set_share_one_scale_which_prediction_keeps(tmp_path, high, dtype):
    pictures, classes = dark_and_bright(high, dtype)
    write_tiffs(tmp_path / "set", pictures, classes)
    task, examples = trained(tmp_path / "set")
    white = {3_500: 4_095, 200: 255, 1: 1}[high]
    names = examples.index["id"].to_list()
    batch = task.encoder.encode(examples)["image"].numpy()[..., 0]
    for name, pixels in zip(names, batch, strict=True):
        given = pictures[int(name.rpartition("/")[2].removesuffix(".tif"))].astype(np.float64)
        np.testing.assert_allclose(pixels, given * 255 / white, atol=0.501)
        np.testing.assert_array_equal(encoded(task, tmp_path / "set" / name)[0][0, ..., 0], pixels)


def test_in_a_folder_with_splits_train_alone_determines_white(tmp_path):
    pictures, classes = dark_and_bright(1, np.float32)
    write_tiffs(tmp_path / "train", pictures, classes)
    write_tiffs(tmp_path / "dev", pictures * 3, classes)
    reading = TASK.reader.read(open_source(tmp_path), DataSettings())
    assert reading.splits["train"].whites == Whites(floating=1.0)
    assert any("above the training set's white" in note for note in reading.notes)


def test_pictures_of_another_source_are_brought_to_the_scale_of_the_first():
    pictures, classes = dark_and_bright(255, np.float32)
    task, _ = trained((pictures, classes))
    other = TASK.reader.read(open_source((pictures / 300, classes)), DataSettings()).splits[
        "all"
    ]  # alone, taken for 0..1
    assert task.encoder.encode(other)["image"].max() == 1


def test_the_same_numbers_in_a_narrower_type_are_the_same_pictures():
    pictures, classes = dark_and_bright(16, np.int64)
    task, examples = trained((pictures, classes))
    expected = task.encoder.encode(examples)["image"].numpy()
    for dtype in (np.uint8, np.float32, np.int16):
        np.testing.assert_array_equal(encoded(task, pictures.astype(dtype))[0], expected)


def test_bytes_mean_0_to_255_when_training_had_floats_from_0_to_1():
    pictures, classes = dark_and_bright(1, np.float64)
    task, examples = trained((pictures, classes))
    as_bytes = np.rint(pictures * 255).astype(np.uint8)
    np.testing.assert_array_equal(encoded(task, as_bytes)[0], task.encoder.encode(examples)["image"].numpy())


def test_values_out_of_the_range_of_training_are_noted_and_far_out_ones_refused():
    pictures, classes = dark_and_bright(1, np.float64)
    task, _ = trained((pictures, classes))
    pixels, said = encoded(task, pictures * 2)
    assert pixels.max() == 255
    assert "4 pictures with values above 1 (white in training): clipped to white" in said
    assert "nearly black" in encoded(task, pictures[::2])[1]
    with pytest.raises(DataError, match=r"go up to 255, but white is 1 in the training set\. Fix: .* 0\.\.1"):
        encoded(task, pictures * 255)


def test_files_far_out_of_the_range_of_training_are_listed_as_bad(tmp_path):
    pictures, classes = dark_and_bright(1, np.float32)
    write_tiffs(tmp_path / "set", pictures, classes)
    task, _ = trained(tmp_path / "set")
    write_tiffs(tmp_path / "new", np.stack([pictures[1], pictures[1] * 200, pictures[1] * 2]), "aaa")
    reading = task.reader.read_inputs(open_source(tmp_path / "new"), DataSettings(), task.encoder)
    assert [(one.where, one.why) for one in reading.bad] == [
        ("a/1.tif", "values up to 200, but white is 1 in the training set: another scale")
    ]
    assert "values above the training set's white: clipped to white: 1 (a/2.tif)" in reading.notes


def test_the_second_pair_of_idx_files_is_on_the_scale_of_the_first(tmp_path):
    pictures, classes = dark_and_bright(4_000, np.int16)
    for name, part in (("train", pictures), ("t10k", pictures // 100)):
        header = struct.pack(">BBBBIII", 0, 0, 0x0B, 3, *part.shape)
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(header + part.astype(">i2").tobytes())
        header = struct.pack(">BBBBI", 0, 0, 8, 1, len(classes))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(header + classes.astype(np.uint8).tobytes())
    splits = TASK.reader.read(open_source(tmp_path), DataSettings()).splits
    np.testing.assert_array_equal(splits["test"][1].inputs, np.rint(pictures[1] // 100 * (255 / 4_095)))


def test_a_run_older_than_saved_scales_reads_bytes_and_refuses_the_rest():
    pictures, classes = dark_and_bright(255, np.uint8)
    task, examples = trained((pictures, classes))
    facts = task.facts()
    del facts["encoder"]["whites"]
    old = TASK.from_facts(facts)
    np.testing.assert_array_equal(encoded(old, pictures)[0], task.encoder.encode(examples)["image"].numpy())
    with pytest.raises(ArtefactError, match=r"does not record the white level.*train it again"):
        encoded(old, pictures.astype(np.float32))


# --- files of 16 bits per value ---------------------------------------------------------------------------------------


def tiff(array: np.ndarray, order: str) -> bytes:
    """A baseline TIFF of one strip, by hand. Source: TIFF 6.0, section 4 (grayscale images)."""
    data = array.astype(f"{order}u2").tobytes()
    height, width = array.shape
    longs = {256: width, 257: height, 273: 8, 278: height, 279: len(data)}
    shorts = {258: 16, 259: 1, 262: 1, 277: 1}
    entries = b""
    for tag in sorted({**longs, **shorts}):
        value = struct.pack(f"{order}I", longs[tag]) if tag in longs else struct.pack(f"{order}HH", shorts[tag], 0)
        entries += struct.pack(f"{order}HHI", tag, 4 if tag in longs else 3, 1) + value
    directory = struct.pack(f"{order}H", len(longs) + len(shorts)) + entries + bytes(4)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}I", 8 + len(data)) + data + directory


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_tiffs_of_either_byte_order_are_read(tmp_path, order):
    values = np.array([[0, 257, 40_000], [65_535, 25_700, 514]])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(2):
            (tmp_path / name / f"{i}.tif").write_bytes(tiff(values, order))
    np.testing.assert_array_equal(trained(tmp_path)[1][0].inputs, [[0, 1, 156], [255, 100, 2]])


def png(colour: int, row: bytes, transparent: bytes) -> bytes:
    """A PNG of three pixels of 16 bits per value with a transparent colour. Source: PNG, section 11.3.1.1 (tRNS)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, 16, colour, 0, 0, 0))
    data = chunk(b"tRNS", transparent) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + data


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(0, struct.pack(">3H", 0, 300, 25_700), struct.pack(">H", 300)), [0, 255, 100]),
        (
            png(2, struct.pack(">9H", *[0] * 3, *[257] * 3, *[25_700] * 3), struct.pack(">3H", 257, 257, 257)),
            [0, 255, 100],
        ),
    ],
)
def test_16_bit_pictures_with_a_transparent_colour_are_put_on_white_like_8_bit_ones(content, expected):
    with images.decoding.decoder_guard(100):
        picture = images.decoding.decode(content, "a.png", max_pixels=100)
    np.testing.assert_array_equal(picture.pixels, [expected])
    assert images.decoding.TRANSPARENT in picture.remarks
    eight = io.BytesIO()
    Image.fromarray(np.array([[0, 7, 100]], np.uint8)).save(eight, "PNG", transparency=7)
    with images.decoding.decoder_guard(100):
        same = images.decoding.decode(eight.getvalue(), "a.png", max_pixels=100)
    np.testing.assert_array_equal(same.pixels, picture.pixels)
