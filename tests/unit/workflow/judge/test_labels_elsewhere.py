"""Labels audited with probabilities made elsewhere: the same suspects as from the arrays, and clear refusals."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from gnomon.cli import main
from gnomon.core.errors import DataError, UsageError
from gnomon.strategy.labels import find_suspects
from gnomon.workflow.judge.labels import labels

CLASSES = ("cat", "dog", "owl")


@pytest.fixture
def planted() -> tuple[pl.DataFrame, np.ndarray]:
    """A table of 300 dev rows, 30 of them with a label that is wrong; and which ones."""
    rng = np.random.default_rng(0)
    true = rng.integers(3, size=300)
    given = true.copy()
    wrong = rng.choice(300, 30, replace=False)
    given[wrong] = (true[wrong] + 1) % 3
    chances = np.full((300, 3), 0.05) + 0.85 * np.eye(3)[true]
    names = np.array(CLASSES)
    table = pl.DataFrame(
        {
            "split": ["dev"] * 300,
            "id": [f"n{i}" for i in range(300)],
            "target": names[given],
            "prediction": names[true],
            **{f"p.{name}": chances[:, k] for k, name in enumerate(CLASSES)},
        }
    )
    return table, wrong


def test_the_planted_wrong_labels_are_the_suspects(planted):
    table, wrong = planted
    found = labels(predictions=table).audit
    suspects = {found.ids[place] for place in np.flatnonzero(found.suspects.is_suspect)}
    assert suspects == {f"n{i}" for i in wrong}
    assert found.error == pytest.approx(0.1)  # as diagnose judges them: the prediction differs from the label


def test_rows_that_sum_to_one_up_to_rounding_are_normalised(planted):
    table, _ = planted
    scaled = table.with_columns(pl.col("^p\\..*$") * 1.00001)
    ours, theirs = (labels(predictions=one).audit.suspects for one in (table, scaled))
    assert theirs.probabilities.sum(axis=1) == pytest.approx(np.ones(300), abs=1e-12)
    assert theirs.order.tolist() == ours.order.tolist()
    alone = find_suspects(np.array([[1.000005, 0.000005]]), np.array([0]), ["a", "b"])
    assert alone.probabilities.sum() == pytest.approx(1, abs=1e-12)


def test_rows_that_do_not_sum_to_one_are_refused(planted):
    table, _ = planted
    with pytest.raises(DataError, match=r"row 1 sum to 0\.5"):
        labels(predictions=table.with_columns(pl.col("^p\\..*$") / 2))


def test_the_review_goes_out_and_comes_back(planted, tmp_path):
    table, wrong = planted
    sheet = tmp_path / "review.csv"
    assert labels(predictions=table, out=sheet, top=30, random=20).written == 50
    rows = pl.read_csv(sheet, infer_schema=False)
    is_wrong = rows["id"].is_in([f"n{i}" for i in wrong])
    verdicts = rows.with_columns(
        pl.when(is_wrong).then(pl.lit("suggested")).otherwise(pl.lit("given")).alias("verdict")
    )
    verdicts.write_csv(tmp_path / "filled.csv")
    reviewed = labels(predictions=table, review=tmp_path / "filled.csv").reviewed
    assert reviewed is not None
    assert reviewed.wrong.value == pytest.approx(0.1)


def test_the_command_takes_the_table_of_diagnose(planted, tmp_path, capsys):
    table, _ = planted
    path = tmp_path / "predictions.csv"
    table.write_csv(path)
    assert main(["labels", "--predictions", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["split"], found["examples"], len(found["suspects"])) == ("dev", 300, 30)
    assert 0.1 <= found["wrong_share_at_most"] < 0.2
    assert main(["labels", str(path)]) == 2
    assert "gnomon labels --predictions" in capsys.readouterr().err


def test_what_cannot_be_audited_is_named(planted):
    table, _ = planted
    with pytest.raises(UsageError, match="no split 'test'; it has dev"):
        labels(predictions=table, split="test")
    with pytest.raises(UsageError, match="no probability for every class"):
        labels(predictions=table.drop("p.cat", "p.dog", "p.owl"))
    with pytest.raises(DataError, match="'owl' has no column"):
        labels(predictions=table.drop("p.owl").with_columns(pl.lit(0.5).alias("p.cat"), pl.lit(0.5).alias("p.dog")))
    with pytest.raises(UsageError, match="does not go with predictions"):
        labels("latest", predictions=table)
