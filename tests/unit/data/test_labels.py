"""Labels come back as what they were given as, and one-hot targets are one class each."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon import tasks
from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings, from_flat
from gnomon.data.labels import as_given, label_type, one_hot_indices
from gnomon.data.opening import open_source
from gnomon.data.tables import TableExamples

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).round(3)
PICTURES = RNG.integers(0, 256, (60, 6, 6), dtype=np.uint8)
EVEN = (X[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (np.array([1, 0]), "integer"),
        (np.array([1.0, 0.0]), "integer"),
        (np.array([True, False]), "boolean"),
        (np.array(["1", "0"]), "text"),
        (pl.Series([1, 0], dtype=pl.UInt8), "integer"),
        (pl.Series([True, False]), "boolean"),
        (pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])), "text"),
    ],
)
def test_labels_keep_the_type_they_were_given_in(labels, kind):
    assert label_type(labels) == kind


@pytest.mark.parametrize(
    ("names", "kind", "expected"),
    [
        (["-1", "10"], "integer", [-1, 10]),
        (["false", "true"], "boolean", [False, True]),
        (["1", "other"], "integer", ["1", "other"]),  # a class that another source brought
        (["true", "maybe"], "boolean", ["true", "maybe"]),
        (["1", "2"], "text", ["1", "2"]),
    ],
)
def test_names_become_labels_of_that_type_where_all_of_them_can(names, kind, expected):
    assert as_given(names, kind).to_list() == expected


def fitted(thing, **settings):
    """The task that claims `thing`, fitted on all of it, and the labels as evaluation tables show them."""
    source, chosen = open_source(thing), from_flat(settings)
    claims = {name: tasks.load(name).reader.claim(source, chosen.data) for name in tasks.names()}
    name = chosen.task.name or max(claims, key=lambda each: claims[each].certainty if claims[each] else 0)
    kind = tasks.load(name)
    reading = kind.reader.read(source, chosen.data)
    examples = reading.splits["all"]
    task = kind.from_train(examples, chosen)
    again = kind.from_facts(json.loads(json.dumps(task.facts())))
    shown = again.judge.describe(again.head.encode(examples)["target"].numpy())
    return again, shown, reading.notes


@pytest.mark.parametrize("inputs", [X, PICTURES], ids=["table", "pictures"])
@pytest.mark.parametrize(
    ("targets", "dtype"),
    [
        (EVEN * 3 - 1, pl.Int64),
        (EVEN.astype(float), pl.Int64),
        (EVEN.astype(bool), pl.Boolean),
        (np.where(EVEN, "yes", "no"), pl.String),
    ],
    ids=["int", "float", "bool", "text"],
)
def test_labels_come_back_as_they_were_given(inputs, targets, dtype):
    _, shown, _ = fitted((inputs, targets))
    assert shown.dtype == dtype
    assert shown.to_list() == targets.tolist()


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt32, pl.Boolean])
def test_labels_of_frames_and_files_come_back_as_they_were_given(tmp_path, dtype):
    frame = pl.DataFrame({"x": X[:, 0], "label": pl.Series(EVEN).cast(dtype)})
    frame.write_parquet(tmp_path / "t.parquet")
    for thing in (frame, tmp_path / "t.parquet"):
        assert fitted(thing)[1].to_list() == frame["label"].to_list()
    frame.write_csv(tmp_path / "t.csv")
    written = ["true" if one else "false" for one in EVEN] if dtype == pl.Boolean else EVEN.tolist()
    assert fitted(tmp_path / "t.csv")[1].to_list() == written


def test_each_of_several_targets_comes_back_as_given():
    targets = {"a": EVEN, "b": ["u", "v", "w"] * 20, "c": X[:, 1] > 0}
    task, shown, _ = fitted(pl.DataFrame({"x": X[:, 0], **targets}), target="a,b,c")
    assert json.loads(shown[7]) == {"a": int(EVEN[7]), "b": "v", "c": bool(X[7, 1] > 0)}
    assert task.name == "multi_task"


@pytest.mark.parametrize("inputs", [X, PICTURES], ids=["table", "pictures"])
@pytest.mark.parametrize("dtype", [np.float64, np.int64, bool, np.uint8])
def test_one_hot_targets_are_one_class_each(inputs, dtype):
    classes = RNG.integers(0, 4, 60)
    task, shown, notes = fitted((inputs, np.eye(4)[classes].astype(dtype)))
    assert task.head.class_names == ("0", "1", "2", "3")
    assert shown.to_list() == classes.tolist()
    assert any("one-hot" in note for note in notes)


def test_one_hot_columns_of_a_table_are_classes_of_their_names(tmp_path):
    classes = RNG.integers(0, 3, 60)
    columns = {f"target_{name}": (classes == i).astype(int) for i, name in enumerate(("cat", "dog", "eel"))}
    pl.DataFrame({"x": X[:, 0], **columns}).write_csv(tmp_path / "t.csv")
    task, shown, notes = fitted(tmp_path / "t.csv")
    assert task.name == "tabular_classification"
    assert shown.to_list() == np.array(["cat", "dog", "eel"])[classes].tolist()
    assert any("target_cat, target_dog, target_eel have a single 1 per row (one-hot)" in note for note in notes)
    task, shown, _ = fitted(tmp_path / "t.csv", task="multi_task")
    assert task.head.target_names == tuple(columns)


def test_columns_that_are_not_one_hot_are_several_targets():
    targets = np.eye(3, dtype=int)[RNG.integers(0, 3, 60)]
    targets[41] = [1, 1, 0]
    assert fitted((X, targets))[0].name == "multi_task"
    with pytest.raises(DataError, match=r"do not make one class per row: row 42 has 2 ones.*task=multi_task"):
        fitted((X, targets), task="tabular_classification")


def test_tables_with_splits_may_be_one_hot(tmp_path):
    classes = np.arange(40) % 2
    frame = pl.DataFrame({"x": X[:40, 0], "target_a": classes, "target_b": 1 - classes})
    for name in ("train", "dev"):
        frame.write_csv(tmp_path / f"{name}.csv")
    kind = tasks.load("tabular_classification")
    dev = kind.reader.read(open_source(tmp_path), DataSettings()).splits["dev"]
    assert isinstance(dev, TableExamples)
    assert dev.index["stratum"].to_list() == np.where(classes, "a", "b").tolist()


@pytest.mark.parametrize(
    ("targets", "why"),
    [
        (np.array([[1, 0], [0, 2]]), "2 in example 1"),
        (np.array([[1, 0], [0, 0]]), "example 1 has 0 ones"),
        (np.array([[0.3, 0.7]]), "0.3 in example 0"),
        (np.ones((3, 1)), "shape 3x1"),
        (np.ones((2, 2, 2)), "shape 2x2x2"),
    ],
)
def test_what_is_not_one_hot_is_reported_with_an_example(targets, why):
    assert why in one_hot_indices(targets)


@pytest.mark.parametrize("labels", [EVEN * 2 + 1, EVEN.astype(bool)], ids=["int", "bool"])
def test_predictions_and_evaluated_tables_have_the_given_labels(tmp_path, monkeypatch, labels):
    monkeypatch.chdir(tmp_path)
    run = gnomon.fit((X, labels), epochs=2)
    assert set(run.predict(X)["prediction"].to_list()) <= set(labels.tolist())
    table = run.evaluation("dev").table
    assert table["target"].dtype == table["prediction"].dtype == pl.Series(labels.tolist()).dtype
    assert ((table["target"] == table["prediction"]) == (table["error"] == 0)).all()
