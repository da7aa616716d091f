"""Corrected labels take the place of those that were read, in pictures and in tables; nothing else changes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import from_flat
from gnomon.data.corrections import read_corrections, relabelled
from gnomon.workflow.prepare import prepare


@pytest.fixture
def rows(tmp_path):
    table = pl.DataFrame({"x": [i % 7 + 0.5 for i in range(40)], "kind": ["ant", "bee"] * 20})
    table.write_csv(tmp_path / "t.csv")
    return prepare(tmp_path / "t.csv", from_flat({"target": "kind"})).splits["train"]


@pytest.fixture
def pictures(tmp_path):
    for number in range(12):
        path = tmp_path / "p" / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), number * 20, np.uint8)).save(path)
    return prepare(tmp_path / "p", from_flat({"split.test": 0.0, "split.dev": 0.3})).splits["train"]


@pytest.mark.parametrize(("kind", "wanted"), [("rows", ("ant", "bee")), ("pictures", ("cat", "dog"))])
def test_only_the_named_example_has_its_new_label(kind, wanted, request):
    examples = request.getfixturevalue(kind)
    place = next(i for i in range(len(examples)) if examples[i].target == wanted[0])
    before = [examples[i].target for i in range(len(examples))]
    found = relabelled(examples, {examples[place].id: wanted[1], "not here": wanted[0]})
    after = [found[i].target for i in range(len(found))]
    assert after[place] == wanted[1]
    assert after[:place] + after[place + 1 :] == before[:place] + before[place + 1 :]
    assert found.index["stratum"].cast(pl.String)[place] == wanted[1]
    assert [examples[i].target for i in range(len(examples))] == before  # what was read stays as it is
    assert (found.fingerprints() == examples.fingerprints()).all()


@pytest.mark.parametrize("kind", ["rows", "pictures"])
def test_an_example_with_unknown_label_is_left_out(kind, request):
    examples = request.getfixturevalue(kind)
    found = relabelled(examples, {examples[1].id: None})
    assert len(found) == len(examples) - 1
    assert examples[1].id not in found.index["id"].cast(pl.String).to_list()


def test_a_label_that_is_not_a_class_is_refused(rows, pictures):
    for examples in (rows, pictures):
        with pytest.raises(DataError, match="'wasp' is not a class"):
            relabelled(examples, {examples[0].id: "wasp"})


def test_numbers_are_not_corrected(tmp_path):
    pl.DataFrame({"x": [i % 7 + 0.5 for i in range(40)], "y": np.linspace(0, 1, 40)}).write_csv(tmp_path / "t.csv")
    train = prepare(tmp_path / "t.csv", from_flat({"target": "y"})).splits["train"]
    with pytest.raises(DataError, match="a number, not a class"):
        relabelled(train, {train[0].id: "0.5"})


def test_a_corrections_file_is_read_without_its_marks(tmp_path):
    (tmp_path / "c.csv").write_text("id,given,label\n7,ant,bee\n'=a.png,ant,'=bee()\n9,ant,\n")
    assert read_corrections(tmp_path / "c.csv") == {"7": "bee", "=a.png": "=bee()", "9": None}
    (tmp_path / "twice.csv").write_text("id,label\n7,bee\n7,ant\n")
    with pytest.raises(DataError, match="'7' appears twice"):
        read_corrections(tmp_path / "twice.csv")
    (tmp_path / "odd.csv").write_text("name,label\n7,bee\n")
    with pytest.raises(DataError, match="there is no column id"):
        read_corrections(tmp_path / "odd.csv")
    (tmp_path / "other.csv").write_text("id,given\n7,bee\n")
    with pytest.raises(DataError, match="columns id and label"):
        read_corrections(tmp_path / "other.csv")
    with pytest.raises(DataError, match="no such file"):
        read_corrections(tmp_path / "none.csv")


@pytest.mark.parametrize(("content", "what"), [
    ("id,given,label\n7,ant,bee,wasp\n", "line 2 has 4 cells, the header 3"),
    ("id,given,label\n7,ant\n", "line 2 has 2 cells, the header 3"),
    ("id,label,label\n7,ant,bee\n", "two columns are called 'label'"),
    ("id,id,label\n7,7,bee\n", "two columns are called 'id'"),
    ("", "there is no column id"),
])  # fmt: skip
def test_ragged_rows_and_duplicate_columns_are_refused(tmp_path, content, what):
    (tmp_path / "c.csv").write_text(content)
    with pytest.raises(DataError, match=what):
        read_corrections(tmp_path / "c.csv")


def test_corrections_that_a_spreadsheet_saved_with_semicolons_are_read(tmp_path):
    (tmp_path / "c.csv").write_bytes("\ufeffid;given;label\r\n7;ant;bee\r\n".encode())
    assert read_corrections(tmp_path / "c.csv") == {"7": "bee"}


def test_irregular_files_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(UsageError, match=r"is not a file|cannot be read"):
            read_corrections(path)
