"""`predict` reads what `fit` reads: class folders, archives, IDX files, split tables; the target may be missing."""

from __future__ import annotations

import gzip
import shutil
import struct

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon.core.errors import DataError
from gnomon.parts.pictures import LabelledPictures
from gnomon.workflow.run import Run


def as_evaluated(run: Run, answers: pl.DataFrame) -> None:
    """Answers to the examples of dev are those of the run's own evaluation, under the same ids."""
    dev = run.evaluation("dev").table.select(pl.col("id").cast(pl.String), pl.col("prediction").cast(pl.String))
    found = answers.select(pl.col("id").cast(pl.String), pl.col("prediction").cast(pl.String).alias("answer"))
    both = dev.join(found, on="id", how="left")
    assert both["answer"].null_count() == 0
    assert both["answer"].to_list() == both["prediction"].to_list()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A run on class folders, and the folder."""
    folder = tmp_path_factory.mktemp("pictures") / "bars"
    LabelledPictures().write_sample(folder, 0)
    run = gnomon.fit(folder, epochs=1, hidden=8, model="dense", runs_folder=str(folder.parent / "runs"))
    return run, folder


def test_class_folders_and_a_zip_of_them(pictures):
    run, folder = pictures
    as_evaluated(run, run.predict(folder))
    assert len(run.predict(folder)) == 40
    archive = shutil.make_archive(str(folder), "zip", folder)
    as_evaluated(run, run.predict(archive))


def write_idx(path, array: np.ndarray) -> None:
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture(scope="module")
def idx(tmp_path_factory):
    folder = tmp_path_factory.mktemp("idx") / "set"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for stem, count in (("train", 60), ("t10k", 20)):
        labels = rng.integers(2, size=count)
        images = rng.integers(0, 60, (count, 8, 8)) + 150 * labels[:, None, None]
        write_idx(folder / f"{stem}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{stem}-labels-idx1-ubyte.gz", labels)
    return gnomon.fit(folder, epochs=2, model="dense", hidden=8, runs_folder=str(folder.parent / "runs")), folder


def test_idx_files(idx):
    run, folder = idx
    answers = run.predict(folder)
    assert answers["id"].to_list() == [f"train image {i}" for i in range(60)] + [f"test image {i}" for i in range(20)]
    as_evaluated(run, answers)


def test_idx_pictures_without_labels_and_labels_without_pictures(idx, tmp_path):
    run, folder = idx
    shutil.copy(folder / "t10k-images-idx3-ubyte.gz", tmp_path)
    alone = run.predict(tmp_path)
    assert alone["prediction"].to_list() == run.predict(folder)["prediction"].to_list()[60:]
    assert len(run.predict(tmp_path / "t10k-images-idx3-ubyte.gz")) == 20
    with pytest.raises(DataError, match="labels but no pictures"):
        run.predict(folder / "train-labels-idx1-ubyte.gz")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A run on a folder with a train and a dev table, and the folder."""
    folder = tmp_path_factory.mktemp("tables") / "set"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, count in (("train", 80), ("dev", 30)):
        x, city = rng.normal(size=count), rng.choice(["Bonn", "Ulm"], count)
        label = np.where(x > 0, "big", "small")
        pl.DataFrame({"x": x, "city": city, "label": label}).write_csv(folder / f"{name}.csv")
    run = gnomon.fit(folder, target="label", epochs=2, model="logistic", runs_folder=str(folder.parent / "runs"))
    return run, folder


def of_dev(answers):
    """The predictions for the rows of dev.csv."""
    return answers.filter(pl.col("id").str.starts_with("dev.csv:"))["prediction"].to_list()


def test_a_folder_of_split_tables_and_one_of_them(tables):
    run, folder = tables
    answers = run.predict(folder)
    assert len(answers) == 110
    as_evaluated(run, answers)
    alone = run.predict(folder / "dev.csv")
    assert alone["prediction"].to_list() == of_dev(answers)


def test_the_target_may_be_there_or_not(tables, tmp_path):
    run, folder = tables
    without = pl.read_csv(folder / "dev.csv").drop("label")
    without.write_csv(tmp_path / "new.csv")
    expected = run.predict(folder / "dev.csv")["prediction"].to_list()
    assert run.predict(tmp_path / "new.csv")["prediction"].to_list() == expected
    split = tmp_path / "split"
    split.mkdir()
    for name in ("train", "dev"):
        pl.read_csv(folder / f"{name}.csv").drop("label").write_csv(split / f"{name}.csv")
    assert of_dev(run.predict(split)) == expected
