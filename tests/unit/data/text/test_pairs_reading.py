"""Pairs of texts from files of lines, tables and JSON lines; what is asked where it cannot be told."""

import gzip
import json

import numpy as np
import polars as pl
import pytest

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import DataSettings
from gnomon.data.opening import open_source
from gnomon.data.text.pairs_reading import looks_like_pairs, read_pairs, read_to_translate

EN = ["a dog", "a cat", "two dogs", "a red house"]
DE = ["ein Hund", "eine Katze", "zwei Hunde", "ein rotes Haus"]


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, lines in files.items():
        (folder / name.replace("__", ".")).write_text("".join(f"{line}\n" for line in lines))
    return folder


def read(thing, **settings):
    target = settings.pop("target", None)
    return read_pairs(open_source(thing), DataSettings(target=(target,) if target else None, **settings))


def pairs_in(examples):
    return [(examples.source(row), examples.references(row)) for row in range(len(examples))]


def test_files_of_lines_are_pairs_in_the_splits_of_their_names(tmp_path):
    folder = write(tmp_path / "set", train__en=EN, train__de=DE, val__en=EN[:1], val__de=DE[:1])
    write(folder, test_2016_flickr__en=EN[1:3], test_2016_flickr__de=DE[1:3])
    found = read(folder, source="en", target="de").splits
    assert {name: pairs_in(part) for name, part in found.items()} == {
        "train": [(one, (two,)) for one, two in zip(EN, DE, strict=True)],
        "dev": [("a dog", ("ein Hund",))],
        "test": [("a cat", ("eine Katze",)), ("two dogs", ("zwei Hunde",))],
    }
    assert found["train"].index["id"].to_list()[1] == "train line 2"


def test_the_other_direction_is_asked_for_in_the_same_way(tmp_path):
    folder = write(tmp_path / "set", train__en=EN, train__de=DE)
    assert pairs_in(read(folder, source="de").splits["train"])[0] == ("ein Hund", ("a dog",))


def test_files_without_a_split_in_their_name_are_all(tmp_path):
    folder = write(tmp_path / "set", **{"europarl-v7__de-en__en": EN, "europarl-v7__de-en__de": DE})
    assert list(read(folder, source="en").splits) == ["all"]
    write(folder, newstest2014__en=EN[:2], newstest2014__de=DE[:2])
    reading = read(folder, source="en")
    assert {name: len(part) for name, part in reading.splits.items()} == {"train": 4, "test": 2}
    assert any("europarl-v7.de-en names no split: read as train" in note for note in reading.notes)


def test_compressed_files_and_several_references_are_read(tmp_path):
    folder = write(tmp_path / "set", train__de=DE, dev__en=EN[:2], dev__de__0=DE[:2], dev__de__1=["Hund", "Katze"])
    (folder / "train.en.gz").write_bytes(gzip.compress(("\n".join(EN) + "\n").encode()))
    found = read(folder, source="en", target="de").splits
    assert len(found["train"]) == 4
    assert pairs_in(found["dev"])[1] == ("a cat", ("eine Katze", "Katze"))


def test_files_of_unequal_length_are_named_with_their_counts(tmp_path):
    folder = write(tmp_path / "set", train__en=EN, train__de=DE[:3])
    with pytest.raises(DataError, match=r"train\.en 4 and train\.de 3"):
        read(folder, source="en", target="de")


def test_without_source_it_is_asked_with_what_to_type(tmp_path):
    folder = write(tmp_path / "set", train__en=EN, train__de=DE)
    with pytest.raises(UsageError, match="which side is translated into which") as asked:
        read(folder)
    assert asked.value.fix == "add source=de target=en."
    (tmp_path / "pairs.csv").write_text("human,iso,note\n5 March,03-05,x\n")
    with pytest.raises(UsageError, match="columns human, iso, note"):
        read(tmp_path / "pairs.csv")


@pytest.mark.parametrize("words", [{"source": "fr"}, {"source": "en", "target": "fr"}])
def test_a_side_that_is_not_there_is_named(tmp_path, words):
    folder = write(tmp_path / "set", train__en=EN, train__de=DE)
    with pytest.raises(UsageError, match="=fr, and there are no files that end in fr"):
        read(folder, **words)


def test_an_empty_line_is_reported_and_one_that_is_empty_on_both_sides_is_nothing(tmp_path):
    lines = [f"word {number}" for number in range(40)]
    folder = write(tmp_path / "set", train__en=[*lines, "", "x", ""], train__de=[*lines, "", "", "y"])
    reading = read(folder, source="en", target="de")
    assert len(reading.splits["train"]) == 40
    assert [(one.where, one.why) for one in reading.bad] == [
        ("train line 42", "an empty target"),
        ("train line 43", "an empty source"),
    ]
    assert any("pairs whose target is the source: 40 of 40" in note for note in reading.notes)


def test_files_that_are_mostly_empty_on_one_side_are_refused(tmp_path):
    folder = write(tmp_path / "set", train__en=EN, train__de=["ein Hund", "", "", ""])
    with pytest.raises(DataError, match=r"3 of 4 pairs lack one of their sides: train line 2 has an empty target"):
        read(folder, source="en")


def test_rows_of_one_source_are_references_of_one_example(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("human,iso\n5 March,03-05\n6 March,03-06\n5 March,3-5\n5 March,03-05\n")
    reading = read(path, source="human", target="iso")
    assert pairs_in(reading.splits["all"]) == [("5 March", ("03-05", "3-5")), ("6 March", ("03-06",))]
    assert any("sources with more than one reference: 1 of 2" in note for note in reading.notes)
    assert any("pairs that occur again, counted once: 1" in note for note in reading.notes)


def test_cells_stay_as_they_are_written(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("source\ttarget\n007\t7\n1e3\ttrue\nNA\t2016-03-05\n")
    found = pairs_in(read(path).splits["all"])
    assert found == [("007", ("7",)), ("1e3", ("true",)), ("NA", ("2016-03-05",))]


def test_a_folder_of_tables_has_the_splits_of_their_names(tmp_path):
    for name, rows in (("train", 4), ("dev", 2), ("test", 1)):
        pl.DataFrame({"en": EN[:rows], "de": DE[:rows]}).write_csv(tmp_path / f"{name}.csv")
    found = read(tmp_path, source="en", target="de").splits
    assert {name: len(part) for name, part in found.items()} == {"train": 4, "dev": 2, "test": 1}


def test_frames_and_parquet_are_read_alike(tmp_path):
    frame = pl.DataFrame({"en": EN, "de": DE})
    frame.write_parquet(tmp_path / "pairs.parquet")
    expected = [(one, (two,)) for one, two in zip(EN, DE, strict=True)]
    assert pairs_in(read(frame, source="en").splits["all"]) == expected
    assert pairs_in(read(tmp_path / "pairs.parquet", source="en").splits["all"]) == expected


def test_json_lines_may_hold_translations_inside_and_several_references(tmp_path):
    inside = [{"translation": {"en": one, "de": two}} for one, two in zip(EN, DE, strict=True)]
    plain = [{"en": "a dog", "de": ["ein Hund", "Hund"]}]
    for name, rows in (("inside", inside), ("plain", plain)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(read(tmp_path / "inside.jsonl", source="en", target="de").splits["all"]) == 4
    assert pairs_in(read(tmp_path / "plain.jsonl", source="en").splits["all"]) == [("a dog", ("ein Hund", "Hund"))]
    (tmp_path / "bad.jsonl").write_text('{"en": "a", "de": "b"}\n{"en": 5, "de": "b"}\n')
    with pytest.raises(DataError, match="line 2: a side is neither a text"):
        read(tmp_path / "bad.jsonl", source="en")


def test_a_missing_column_names_the_nearest(tmp_path):
    (tmp_path / "pairs.csv").write_text("human,iso\n5 March,03-05\n")
    with pytest.raises(UsageError, match="source=humans, and there are no columns humans") as refused:
        read(tmp_path / "pairs.csv", source="humans", target="iso")
    assert "did you mean" in refused.value.fix


def test_text_that_is_not_utf8_is_named(tmp_path):
    folder = write(tmp_path / "set", train__en=EN)
    (folder / "train.de").write_bytes("schön\n".encode("latin-1") * 4)
    with pytest.raises(DataError, match=r"not UTF-8: byte 0xf6 in line 1") as refused:
        read(folder, source="en")
    assert "train.de" in str(refused.value)


@pytest.mark.parametrize(
    ("files", "certain"),
    [
        ({"train.en": EN, "train.de": DE}, True),
        ({"train.en.txt": EN, "train.de.txt": DE}, True),
        ({"train.src": EN, "train.tgt": DE}, True),
        ({"a.txt": EN, "b.txt": DE}, False),
        ({"a.txt": EN, "a.md": DE}, False),
        ({"001.jpg": EN, "001.xml": DE}, False),
        ({"train.conll": EN, "dev.conll": DE}, False),
    ],
)
def test_what_is_pairs_by_its_names(tmp_path, files, certain):
    for name, lines in files.items():
        (tmp_path / name).write_text("\n".join(lines))
    certainty, _ = looks_like_pairs(open_source(tmp_path), DataSettings())
    assert (certainty > 0.8) == certain


def test_texts_to_translate_are_literals_lines_or_a_column(tmp_path):
    lines = tmp_path / "sentences.txt"
    lines.write_text("a dog\n\na cat\n")
    table = tmp_path / "new.csv"
    table.write_text("id,en\n1,a dog\n2,a cat\n")
    literal = read_to_translate(open_source(["a dog", "a cat"], may_be_text=True), DataSettings(), "en")
    from_lines = read_to_translate(open_source(lines), DataSettings(), "en")
    from_table = read_to_translate(open_source(table), DataSettings(source="en", target=("de",)), "en")
    for found in (literal, from_lines, from_table):
        assert pairs_in(found.splits["all"]) == [("a dog", ()), ("a cat", ())]
    assert from_lines.splits["all"].index["id"].to_list() == ["sentences.txt line 1", "sentences.txt line 3"]
    assert [one.where for one in from_lines.bad] == ["sentences.txt line 2"]
    with pytest.raises(DataError, match="no column fr, which the model translates from"):
        read_to_translate(open_source(table), DataSettings(), "fr")


def test_only_the_lines_of_the_source_side_of_a_folder_are_translated(tmp_path):
    folder = write(tmp_path / "set", new__en=EN, new__de=DE)
    found = read_to_translate(open_source(folder), DataSettings(), "en")
    assert [text for text, _ in pairs_in(found.splits["all"])] == EN


def test_pairs_are_taken_and_joined_with_their_references(tmp_path):
    pairs = read(pl.DataFrame({"en": [*EN, "a dog"], "de": [*DE, "Hund"]}), source="en").splits["all"]
    other = read(pl.DataFrame({"en": ["a mouse"], "de": ["eine Maus"]}), source="en").splits["all"]
    few = pairs.take(np.array([3, 0])).join(other)
    expected = [("a red house", ("ein rotes Haus",)), ("a dog", ("ein Hund", "Hund")), ("a mouse", ("eine Maus",))]
    assert pairs_in(few) == expected
