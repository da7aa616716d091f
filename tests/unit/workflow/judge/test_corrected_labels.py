"""labels=FILE trains and judges on corrected labels; the data itself stays as it is."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon.core.errors import DataError

FIRST_LINE = 2  # of the rows, below the header
SETTINGS = {"model": "logistic", "epochs": 30, "threads": 1}


@pytest.fixture
def flipped(tmp_path):
    """A table of two classes, x < 0 and x > 0, with 60 of 400 labels wrong; and the file that puts them right."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    right = np.where(x > 0, "above", "below")
    wrong = right.copy()
    rows = rng.choice(400, 60, replace=False)
    wrong[rows] = np.where(right[rows] == "above", "below", "above")
    pl.DataFrame({"x": x, "noise": rng.normal(size=400), "class": wrong}).write_csv(tmp_path / "data.csv")
    run = gnomon.fit(tmp_path / "data.csv", target="class", **SETTINGS)
    return tmp_path, run, rows, right


def corrections(folder, rows, right, first_id):
    """The ids of rows are their lines in the file."""
    table = pl.DataFrame({"id": [str(row + first_id) for row in rows], "label": right[rows]})
    table.write_csv(folder / "corrected.csv")
    return folder / "corrected.csv"


def test_corrected_labels_are_trained_and_judged_on(flipped):
    folder, before, rows, right = flipped
    before_file = (folder / "data.csv").read_bytes()
    path = corrections(folder, rows, right, FIRST_LINE)
    after = gnomon.fit(folder / "data.csv", target="class", labels=str(path), **SETTINGS)
    assert before.evaluation("dev").table["error"].mean() > 0.05
    assert after.evaluation("dev").table["error"].mean() < 0.03
    assert (folder / "data.csv").read_bytes() == before_file
    assert any("corrected from" in note for note in after.folder.load_data()["notes"])


def test_corrections_of_other_data_are_refused(flipped):
    folder, *_ = flipped
    (folder / "other.csv").write_text("id,label\nnobody,above\n")
    with pytest.raises(DataError, match="none of the ids in it"):
        gnomon.fit(folder / "data.csv", target="class", labels=str(folder / "other.csv"), **SETTINGS)
