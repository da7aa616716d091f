"""Texts with a class each, in every form they come in; what is asked, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import from_flat
from gnomon.data.opening import open_source
from gnomon.data.text.labelled import read_labelled, read_texts, recognise

REVIEWS = [(f"a {'fine' if n % 2 else 'dull'} film number {n}", n % 2) for n in range(12)]


def settings(**values):
    return from_flat(values).data


def reading_of(path, **values):
    return read_labelled(open_source(path), settings(**values))


def certainty(path, **values):
    return recognise(open_source(path), settings(**values))[0]


def pairs(examples) -> list[tuple[str, str]]:
    return [(examples[row].inputs, examples[row].target) for row in range(len(examples))]


def table(folder: Path, name: str = "reviews.csv", **columns) -> str:
    frame = pl.DataFrame({"review": [text for text, _ in REVIEWS], "stars": [label for _, label in REVIEWS], **columns})
    path = folder / name
    if name.endswith(".parquet"):
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if name.endswith(".tsv") else ",")
    return str(path)


EXPECTED = [(text, str(label)) for text, label in REVIEWS]


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.tsv", "reviews.parquet"])
def test_a_table_of_a_text_and_few_classes_is_read_without_asking(tmp_path, name):
    path = table(tmp_path, name)
    assert certainty(path) > 0.9
    assert pairs(reading_of(path).splits["all"]) == EXPECTED


def test_json_lines_are_a_table_and_a_broken_one_is_named(tmp_path):
    path = tmp_path / "reviews.jsonl"
    lines = [json.dumps({"text": text, "label": label, "more": {"n": 1}}) for text, label in REVIEWS]
    path.write_text("\n".join(lines) + "\n")
    reading = reading_of(path)
    assert pairs(reading.splits["all"]) == EXPECTED
    assert any("lists and objects are not read: more" in note for note in reading.notes)
    path.write_text("\n".join([*lines[:4], "{'text': 1}", *lines[4:]]))
    with pytest.raises(DataError, match="line 5 is not JSON"):
        reading_of(path)


def test_files_of_json_lines_named_as_splits_are_splits(tmp_path):
    lines = [json.dumps({"text": text, "label": label}) for text, label in REVIEWS]
    (tmp_path / "train.jsonl").write_text("\n".join(lines[:8]))
    (tmp_path / "test.jsonl").write_text("\n".join(lines[8:]))
    splits = reading_of(tmp_path).splits
    assert pairs(splits["train"]) == EXPECTED[:8]
    assert pairs(splits["test"]) == EXPECTED[8:]


def test_what_is_not_clear_is_asked_with_the_columns_named(tmp_path):
    titles = table(tmp_path, "two.csv", title=[f"the {text} again" for text, _ in REVIEWS])
    with pytest.raises(UsageError, match=r"several columns hold texts: review, title.*"):
        reading_of(titles)
    assert pairs(reading_of(titles, text="review").splits["all"]) == EXPECTED
    years = table(tmp_path, "years.csv", year=[2000 + n % 3 for n in range(12)])
    assert certainty(years) == 0.0  # columns beside the text: a table like others, unless the text is named
    with pytest.raises(UsageError, match=r"which column has the classes\? The columns are review, stars, year"):
        reading_of(years, text="review")
    assert pairs(reading_of(years, text="review", target="stars").splits["all"]) == EXPECTED
    with pytest.raises(UsageError, match=r"there is no column 'reviw' of texts.*"):
        reading_of(years, text="reviw", target="stars")


def test_a_table_of_numbers_is_no_text(tmp_path):
    path = tmp_path / "numbers.csv"
    pl.DataFrame({"a": [1.5, 2.5, 3.5], "label": [0, 1, 0]}).write_csv(path)
    assert certainty(path) == 0.0


def folders(root: Path, *prefixes: str) -> Path:
    for prefix in prefixes or ("",):
        for number, (text, label) in enumerate(REVIEWS):
            path = root / prefix / ("pos" if label else "neg") / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{prefix} {text}")
    return root


def test_class_folders_with_splits_and_a_folder_without_a_class(tmp_path):
    root = folders(tmp_path, "train", "test")
    (root / "train/unsup").mkdir()
    (root / "train/unsup/1.txt").write_text("of no class")
    assert certainty(root) > 0.8
    reading = reading_of(root)
    assert {name: reading.splits[name].class_counts() for name in reading.splits} == {
        "train": {"neg": 6, "pos": 6}, "test": {"neg": 6, "pos": 6},
    }  # fmt: skip
    assert any("texts in folders without a class, left out: 1" in note for note in reading.notes)


def test_an_empty_document_is_listed_and_a_file_that_is_no_text_named(tmp_path):
    root = folders(tmp_path, "")
    for number in range(40):
        (root / f"pos/more{number}.txt").write_text(f"fine film {number}")
    (root / "neg/blank.txt").write_text(" \n")
    (root / "pos/photo.txt").write_bytes(b"\xff\xd8\0\0")
    reading = reading_of(root)
    assert {(one.where, one.why) for one in reading.bad} == {
        ("neg/blank.txt", "empty"), ("pos/photo.txt", "not text: it has zero bytes"),
    }  # fmt: skip
    assert len(reading.splits["all"]) == 52


def labelled_lines(root: Path) -> Path:
    for name, of in (("binary", lambda n: n % 2), ("fine", lambda n: n % 5)):
        for split in ("train", "dev", "test"):
            lines = [f"{of(n)} {text} of {split}" for n, (text, _) in enumerate(REVIEWS * 2)]
            (root / f"films.{name}.{split}").write_text("\n".join(lines) + "\n")
    return root


def test_of_two_sets_of_labels_one_is_asked_for_and_may_be_named_by_its_number_of_classes(tmp_path):
    root = labelled_lines(tmp_path)
    assert certainty(root) > 0.9
    with pytest.raises(UsageError, match=r"binary \(2 classes\) and fine \(5 classes\)") as error:
        reading_of(root)
    assert error.value.fix == "classes=binary or classes=fine."
    for wanted in ("fine", "five", "5"):
        splits = reading_of(root, classes=wanted).splits
        assert sorted(splits["dev"].class_counts()) == ["0", "1", "2", "3", "4"]
        assert splits["dev"][3].inputs == f"{REVIEWS[3][0]} of dev"
        assert splits["dev"].label_type == "integer"
    with pytest.raises(UsageError, match="classes=seven is none of the sets"):
        reading_of(root, classes="seven")


def test_texts_to_predict_come_as_literals_files_or_columns(tmp_path):
    def texts(source, each="line", column=""):
        examples = read_texts(source, settings(), each, column).splits["all"]
        return [*examples.texts()]

    assert texts(open_source("a dull film", may_be_text=True)) == ["a dull film"]
    lines = tmp_path / "new.txt"
    lines.write_text("one\n\ntwo words\n")
    assert texts(open_source(lines)) == ["one", "two words"]
    assert texts(open_source(lines), each="document") == ["one\n\ntwo words\n"]
    path = table(tmp_path)
    assert texts(open_source(path), column="review") == [text for text, _ in REVIEWS]
    assert texts(open_source(path), column="text") == [text for text, _ in REVIEWS]  # the one column of texts
    films = labelled_lines(tmp_path / "films" if (tmp_path / "films").mkdir() is None else tmp_path)
    assert texts(open_source(films / "films.binary.dev"))[0].endswith("of dev")
