"""Pictures of people: split by person, and one clear answer to each fault of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings, from_flat
from gnomon.data.images import as_png
from gnomon.data.images.people import read_people
from gnomon.data.opening import open_source
from gnomon.data.pairs import Pairs
from gnomon.workflow.prepare import prepare


def faces(folder: Path, counts: dict[str, int], seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        for number in range(1, count + 1):
            place = folder / name / f"{name.rpartition('/')[2]}_{number:04d}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(as_png(rng.integers(0, 256, (12, 12), dtype=np.uint8)))
    return folder


def read(folder: Path):
    return read_people(open_source(folder, "runs").tree, DataSettings())


def test_no_person_is_on_two_sides_of_a_split(tmp_path):
    faces(tmp_path, {f"p{i}": 4 for i in range(12)})
    prepared = prepare(tmp_path, from_flat({"task": "verification"}))
    sides = [set(part.index["group"]) for part in prepared.splits.values()]
    assert sum(map(len, sides)) == 12 == len(set.union(*sides))
    assert sorted(map(len, sides)) == [2, 2, 8]
    assert any("all pictures of one are in one split" in note for note in prepared.notes)


def test_folders_of_pictures_stay_classes_unless_verification_is_asked_for(tmp_path):
    faces(tmp_path, {f"p{i:02d}": 4 for i in range(16)})
    prepared = prepare(tmp_path, from_flat({}))
    assert prepared.task.name == "image_classification"
    assert any("task=verification" in note for note in prepared.notes)
    assert not any(
        "task=verification" in note for note in prepare(faces(tmp_path / "two", {"a": 9, "b": 9}), from_flat({})).notes
    )


def test_a_person_with_one_picture_is_kept_and_named(tmp_path):
    reading = read(faces(tmp_path, {**{f"p{i}": 3 for i in range(6)}, "lone": 1}))
    assert len(reading.splits["all"]) == 19
    assert any("one picture" in note and "lone" in note for note in reading.notes)


def test_the_same_picture_under_two_names_is_left_out_on_both_sides(tmp_path):
    faces(tmp_path, {f"p{i}": 3 for i in range(7)})
    (tmp_path / "p0" / "copy.png").write_bytes((tmp_path / "p1" / "p1_0002.png").read_bytes())
    (tmp_path / "p2" / "again.png").write_bytes((tmp_path / "p2" / "p2_0001.png").read_bytes())  # one name: kept
    reading = read(tmp_path)
    ids = reading.splits["all"].index["id"].to_list()
    assert "p0/copy.png" not in ids
    assert "p1/p1_0002.png" not in ids
    assert "p2/again.png" in ids
    assert any("under two names" in note and "p0/copy.png = p1/p1_0002.png" in note for note in reading.notes)


def test_too_few_people_are_counted(tmp_path):
    with pytest.raises(DataError, match=r"5 of 7 identities have two pictures or more; 6 are needed\. Fix: give"):
        read(faces(tmp_path, {**{f"p{i}": 2 for i in range(5)}, "a": 1, "b": 1}))


def test_a_person_in_two_splits_of_the_source_is_refused(tmp_path):
    faces(tmp_path, {f"train/p{i}": 3 for i in range(4)} | {f"dev/p{i}": 3 for i in range(3, 6)})
    with pytest.raises(DataError, match=r"1 identity in dev and in train: p3\..*keep all pictures of one identity"):
        read(tmp_path)


LIST = "2\t1\np0\t1\t2\np1\t2\t3\np0\t1\tp1\t3\np2\t1\tp0\t2\n"


def test_a_published_list_of_pairs_is_the_test_split_and_its_people_are_not_trained_on(tmp_path):
    faces(tmp_path, {f"p{i}": 3 for i in range(10)})
    (tmp_path / "pairs.txt").write_text(LIST)
    prepared = prepare(tmp_path, from_flat({"task": "verification"}))
    test = prepared.splits["test"]
    assert isinstance(test, Pairs)
    assert test.index["id"].to_list()[0] == "p0/p0_0001.png + p0/p0_0002.png"
    assert test.index["label"].to_list() == ["same", "same", "different", "different"]
    others = {name for split in ("train", "dev") for name in prepared.splits[split].index["group"]}
    assert others == {f"p{i}" for i in range(3, 10)}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("p0\t1\t9", r"pairs\.txt, line 1: there is no picture 9 of p0"),
        ("p0\tone\t2", r"pairs\.txt, line 1: .* is not a pair"),
        ("p0\t1\t2", r"has 1 pairs of one person and 0 of two"),
        ("\n".join(f"p{i}\t1\tp{i + 1}\t1" for i in range(7)) + "\np0\t1\t2", "names all 8 people"),
    ],
)
def test_a_list_that_does_not_fit_is_refused_with_its_line(tmp_path, line, message):
    faces(tmp_path, {f"p{i}": 3 for i in range(8)})
    (tmp_path / "pairs.txt").write_text(line)
    with pytest.raises(DataError, match=message):
        read(tmp_path)
