"""Class folders: which layouts are recognised, which are told apart, and what is said about them."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data import images
from gnomon.data.images.class_folders import looks_like_class_folders
from gnomon.data.opening import open_source
from gnomon.data.source import File


def put_picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.as_png(pixels))


class Names:
    """A tree of names alone: reading from it fails, so what works on it has not decoded anything."""

    origin, notes = "names", ()

    def __init__(self, *names: str) -> None:
        self.files = [File(name, 100) for name in sorted(names)]

    def read(self, name: str) -> bytes:
        raise AssertionError("nothing may be read")


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)


def lay_out(folder, *names: str):
    for i, name in enumerate(names):
        put_picture(folder / name, noise(i))
    return folder


def read(folder, **settings):
    return images.read_labelled(open_source(folder), DataSettings(**settings))


def said(reading, text: str) -> bool:
    return any(text in note for note in reading.notes)


def classes(examples) -> list[str]:
    return examples.index["stratum"].to_list()


def test_one_folder_per_class(tmp_path):
    reading = read(lay_out(tmp_path, "cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"))
    assert list(reading.splits) == ["all"]
    assert classes(reading.splits["all"]) == ["cat", "cat", "dog", "dog"]
    assert (reading.notes, reading.bad) == ((), ())


@pytest.mark.parametrize(("train", "dev", "test"), [
    ("train", "dev", "test"), ("Train", "VAL", "Test"), ("training", "valid", "testing"),
    ("train", "validation", "test"),
])  # fmt: skip
def test_train_dev_test_above_the_classes(tmp_path, train, dev, test):
    names = [f"{split}/{kind}/{i}.png" for split in (train, dev, test) for kind in ("cat", "dog") for i in range(2)]
    reading = read(lay_out(tmp_path, *names))
    assert list(reading.splits) == ["train", "dev", "test"]
    assert all(classes(part) == ["cat", "cat", "dog", "dog"] for part in reading.splits.values())
    assert reading.splits["dev"][0].id == f"{dev}/cat/0.png"


@pytest.mark.parametrize("kinds", [("train", "bus", "car"), ("train", "test", "bus")])
def test_classes_called_train_or_test_among_others_are_classes(tmp_path, kinds):
    reading = read(lay_out(tmp_path, *(f"{kind}/{i}.png" for kind in kinds for i in range(2))))
    assert set(classes(reading.splits["all"])) == set(kinds)


def test_an_outer_folder_is_skipped_with_a_note(tmp_path):
    names = [f"pets/v1/{split}/{kind}/{i}.png" for split in ("train", "test") for kind in "ab" for i in range(2)]
    reading = read(lay_out(tmp_path, *names))
    assert list(reading.splits) == ["train", "test"]
    assert said(reading, "everything is inside pets/v1/: read from there")


def test_a_zip_is_read_without_unpacking(tmp_path):
    folder = lay_out(
        tmp_path / "plain", "c/train/a/1.png", "c/train/b/2.png", "c/train/b/3.png", "c/test/a/4.png", "c/test/b/5.png"
    )
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    plain, zipped = read(folder), read(tmp_path / "c.zip")
    for split in ("train", "test"):
        np.testing.assert_array_equal(plain.splits[split].pixels(8, 8, 1), zipped.splits[split].pixels(8, 8, 1))
        assert plain.splits[split].index.equals(zipped.splits[split].index)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.zip", "plain"]


def test_class_names_stay_text(tmp_path):
    kinds = ["007", "7", "None", "NA", "nan", "1e5", "True"]
    reading = read(lay_out(tmp_path, *(f"{kind}/{i}.png" for kind in kinds for i in range(2))))
    assert set(classes(reading.splits["all"])) == set(kinds)


def test_class_names_that_look_alike_are_kept_apart_with_a_note(tmp_path):
    kinds = ["cat", "Cat", " cat", "é", "e\u0301"]
    reading = read(lay_out(tmp_path, *(f"{kind}/{i}.png" for kind in kinds for i in range(2))))
    assert len(set(classes(reading.splits["all"]))) == 5
    assert said(reading, "' cat', 'Cat', 'cat'")
    assert said(reading, "'e\u0301', 'é'")


def test_folders_inside_class_folders_become_a_tag_with_a_note(tmp_path):
    reading = read(lay_out(tmp_path, "cat/indoor/1.png", "cat/outdoor/2.png", "dog/indoor/3.png", "dog/4.png"))
    assert classes(reading.splits["all"]) == ["cat", "cat", "dog", "dog"]
    assert reading.splits["all"].index["tag.folder"].to_list() == ["indoor", "outdoor", "", "indoor"]
    assert dict(reading.splits["all"][0].tags) == {"folder": "indoor"}
    assert said(reading, "the first level is the class")


def test_files_outside_the_classes_are_ignored_with_a_note(tmp_path):
    lay_out(tmp_path, "cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png", "cover.png")
    (tmp_path / "README.txt").write_text("hello")
    reading = read(tmp_path)
    assert len(reading.splits["all"]) == 4
    assert said(reading, "pictures in no class folder, ignored: 1 (cover.png)")
    assert said(reading, "files that are not pictures, ignored: 1 (README.txt)")


def test_a_test_folder_without_classes_is_ignored_with_a_note(tmp_path):
    reading = read(lay_out(tmp_path, "train/a/1.png", "train/a/2.png", "train/b/3.png", "train/b/4.png", "test/5.png"))
    assert list(reading.splits) == ["train"]
    assert said(reading, "ignored: 1 (test/5.png)")


@pytest.mark.parametrize(("names", "what"), [
    (["1.png", "2.png", "3.png"], "found 3 pictures but no class folders: 1.png, 2.png, 3.png"),
    (["cat/1.png", "cat/2.png"], r"only one class \(cat, 2 pictures\)"),
    (["1.png"], "found 1 picture but no class folders"),
    (["train/1.png", "test/2.png"], "found 2 pictures but no class folders"),
    (["test/a/1.png", "val/b/2.png"], "no class folders with pictures under train"),
    (["train/a/1.png", "val/a/2.png", "valid/a/3.png"], "the folders val and valid are the same split"),
    ([f"{i}/1.png" for i in range(12)], "12 of 12 classes have only one picture"),
    (["train/a/1.png", "train/a/3.png", "train/b/2.png", "train/b/5.png", "dev/A/4.png"],
     "dev has 1 class without pictures in train: A"),
])  # fmt: skip
def test_layouts_that_cannot_be_learned_from_are_explained(tmp_path, names, what):
    with pytest.raises(DataError, match=what) as caught:
        read(lay_out(tmp_path, *names))
    assert caught.value.where == str(tmp_path)


def test_a_folder_without_pictures_is_explained(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"no pictures in 1 file: notes\.txt"):
        read(tmp_path)


def test_a_class_with_one_picture_is_reported(tmp_path):
    reading = read(lay_out(tmp_path, "a/1.png", "a/2.png", "b/3.png", "b/4.png", "rare/5.png"))
    assert said(
        reading, "classes with one picture, which can be used for training or for evaluation but not both: 1 (rare)"
    )


def test_the_same_picture_in_two_classes_is_reported(tmp_path):
    lay_out(tmp_path, "a/1.png", "a/2.png", "b/3.png", "b/4.png")
    put_picture(tmp_path / "b/copy.png", noise(0))
    put_picture(tmp_path / "a/copy.png", noise(1))  # twice in one class: no contradiction
    assert [note for note in read(tmp_path).notes if "different classes" in note] == [
        "the same picture in different classes: 1 (a/1.png = b/copy.png)"
    ]


# --- bad files ------------------------------------------------------------------------------------------------------


def with_bad(folder, bad: int, good: int = 40):
    lay_out(folder, *(f"{'ab'[i % 2]}/{i:02d}.png" for i in range(good)))
    for i in range(bad):
        (folder / f"a/bad{i}.png").write_text("<html>")
    return folder


def test_a_few_bad_files_are_listed_and_the_rest_is_read(tmp_path):
    reading = read(with_bad(tmp_path, 2))
    assert len(reading.splits["all"]) == 40
    assert [(bad.where, bad.why) for bad in reading.bad] == [
        (f"a/bad{i}.png", "not an image (the content is HTML)") for i in range(2)
    ]


def test_too_many_bad_files_are_an_error_with_counts_reasons_and_a_fix(tmp_path):
    with pytest.raises(DataError) as caught:
        read(with_bad(tmp_path, 4))
    assert caught.value.what.startswith(
        "4 of 44 pictures cannot be read (9.1%; max_bad allows 5.0%): a/bad0.png (not an image"
    )
    assert "and 1 more" in caught.value.what
    assert "max_bad=0.10" in caught.value.fix
    assert len(read(tmp_path, max_bad=0.1).bad) == 4


def test_a_class_with_one_readable_picture_left_is_an_error(tmp_path):
    with_bad(tmp_path, 0, 60)
    lay_out(tmp_path, "rare/1.png")
    (tmp_path / "rare/2.png").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"class rare has only 1 of its 2 pictures; 1 cannot be read: rare/2.png \(empty"
    ):
        read(tmp_path)


def test_converted_pictures_are_counted_with_their_names(tmp_path):
    lay_out(tmp_path, "a/1.png", "a/2.png", "b/3.png", "b/4.png")
    (tmp_path / "a/2.png").rename(tmp_path / "a/2.jpg")
    (tmp_path / "b/4.png").rename(tmp_path / "b/4.bmp")
    assert read(tmp_path).notes == ("named like another format than the content has: 2 (a/2.jpg, b/4.bmp)",)


# --- predicting -----------------------------------------------------------------------------------------------------


def test_pictures_to_predict_need_no_folders_and_bad_ones_are_listed(tmp_path):
    lay_out(tmp_path, "1.png", "x/2.png")
    (tmp_path / "3.png").write_bytes(b"")
    reading = images.read_unlabelled(open_source(tmp_path), DataSettings(), images.Whites())
    assert reading.splits["all"].index["id"].to_list() == ["1.png", "x/2.png"]
    assert reading.splits["all"][0].target is None
    assert [bad.where for bad in reading.bad] == ["3.png"]
    single = images.read_unlabelled(open_source(tmp_path / "1.png"), DataSettings(), images.Whites())
    assert single.splits["all"][0].id == str(tmp_path / "1.png")


def test_nothing_readable_to_predict_is_an_error(tmp_path):
    (tmp_path / "3.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"0 of 1 picture can be read: 3.png \(empty"):
        images.read_unlabelled(open_source(tmp_path), DataSettings(), images.Whites())


# --- telling layouts apart, by names alone --------------------------------------------------------------------------


@pytest.mark.parametrize(("names", "sure"), [
    ([f"{kind}/{i}.jpg" for kind in ("cat", "dog") for i in range(9)], True),
    ([f"s{k}/{i}.pgm" for k in range(20) for i in range(10)], True),
    ([f"{split}/{kind}/{i}.jpg" for split in ("train", "val") for kind in "ab" for i in range(9)], True),
    ([f"{kind}/{i}.png" for kind in ("images", "masks") for i in range(9)], False),
    ([f"{split}/{kind}/{i}.png" for split in ("train", "test") for kind in ("img", "labels") for i in range(9)], False),
    ([f"JPEGImages/{i}.jpg" for i in range(9)] + [f"Annotations/{i}.xml" for i in range(9)], False),
    ([f"{split}2017/{i}.jpg" for split in ("train", "val") for i in range(9)] + ["annotations/instances.json"], False),
    ([f"images/train/{i}.jpg" for i in range(9)] + [f"labels/train/{i}.txt" for i in range(9)], False),
    ([f"{split}/{i}{end}" for split in ("good", "new") for i in range(9) for end in (".jpg", ".txt")], False),
    ([f"{i:03d}{end}" for i in range(9) for end in (".bmp", ".png")], False),
    ([f"yes/{i}.wav" for i in range(9)] + ["yes/cover.jpg", "no/cover.jpg"], False),
    ([f"{i}.jpg" for i in range(9)], False),
    (["table.csv"], False),
])  # fmt: skip
def test_layouts_are_told_apart_without_reading_anything(names, sure):
    certainty, why = looks_like_class_folders(Names(*names))
    assert (certainty > 0.5) == sure, why
    assert why


@pytest.mark.real
def test_real_sets_are_told_apart(real_data):
    def certainty(name: str) -> float:
        claim = images.claim(open_source(real_data / name), DataSettings())
        return claim.certainty if claim else 0.0

    assert {name: certainty(name) > 0.5 for name in (
        "faces", "cifar10-half.zip", "mnist-10k", "fashion-mnist", "membrane", "blood-cells-voc", "white-blood-cells",
        "spoken-digits", "trigger-word", "prompts-en", "sst", "words",
    )} == {
        "faces": True, "cifar10-half.zip": True, "mnist-10k": True, "fashion-mnist": True, "membrane": False,
        "blood-cells-voc": False, "white-blood-cells": False, "spoken-digits": False, "trigger-word": False,
        "prompts-en": False, "sst": False, "words": False,
    }  # fmt: skip


@pytest.mark.real
@pytest.mark.slow
def test_cifar_is_read_in_its_zip(real_data):
    reading = read(real_data / "cifar10-half.zip")
    assert {split: len(part) for split, part in reading.splits.items()} == {"train": 20_000, "test": 5_000}
    assert set(reading.splits["train"].index["stratum"].value_counts()["count"]) == {2_000}
    found = images.moments(reading.splits["train"], 32, 32, 3)
    mean, std = found.mean, found.std
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=0.005)  # the published figures of all 50,000
    np.testing.assert_allclose(std, [0.2470, 0.2435, 0.2616], atol=0.005)


@pytest.mark.real
def test_faces_have_twenty_people_with_ten_pictures_each(real_data):
    part = read(real_data / "faces").splits["all"]
    assert set(part.index["stratum"].value_counts()["count"]) == {10}
    assert part.sizes().tolist() == [[112, 92]] * 200
    assert not part.is_colour
