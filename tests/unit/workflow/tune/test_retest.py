"""An older search on today's data: what has become the best is named, and chance is not."""

from __future__ import annotations

import json

import polars as pl
import pytest
from sklearn.datasets import load_wine

import gnomon
from gnomon.cli import main
from gnomon.core.errors import UsageError
from gnomon.runs.journal import Journal
from gnomon.runs.search_folder import SearchFolder
from gnomon.workflow.tune.retest import RETESTS


@pytest.fixture(scope="module")
def rows():
    found = load_wine()
    columns = {f"column{i}": found.data[:, i] for i in range(found.data.shape[1])}
    return pl.DataFrame({**columns, "class": [f"kind{one}" for one in found.target]}).sample(178, shuffle=True, seed=0)


@pytest.fixture(scope="module")
def searched(rows, tmp_path_factory):
    """A search whose trials have a useful rate or one that learns nothing, on 120 rows."""
    folder = tmp_path_factory.mktemp("data")
    rows.head(120).write_csv(folder / "wine.csv")
    settings = {"learning_rate": "0.0000001,0.01", "weight_decay": 0.1, "momentum": 0.9, "batch_size": 32, "units": 16,
                "layers": 1, "dropout": 0, "epochs": 8}  # fmt: skip
    tuned = gnomon.tune(
        str(folder / "wine.csv"), trials=6, repeats=0, workers=1, stop_early=False, sampler="random",
        runs_folder=str(folder / "runs"), **settings,
    )  # fmt: skip
    return tuned, folder


def test_unchanged_data_leave_the_earlier_best_the_best(searched):
    tuned, _ = searched
    found = gnomon.retest(tuned.path, trials=3, seeds=2)
    assert not found.changes
    assert not found.is_stale
    assert found.systems[0].name == f"trial {tuned.best.number}"
    assert len(found.systems[0].errors) == 2
    line = Journal(tuned.path, RETESTS).read()[-1]
    assert (line["stale"], line["winner"]) == (False, found.winner.name)


def test_settings_that_are_no_longer_best_are_stale_and_better_ones_are_named(searched):
    tuned, folder = searched
    idle = next(one for one in tuned.results if one.point["learning_rate"] == 1e-7)
    search = SearchFolder.open(tuned.path)
    before = search.load_outcome()
    with search.lock():  # as if it had been the best
        search.save_outcome({**before, "best": {**before["best"], "number": idle.number}})
    try:
        found = gnomon.retest(tuned.path, str(folder / "wine.csv"), trials=3, seeds=2)
    finally:
        with search.lock():
            search.save_outcome(before)
    assert found.is_stale
    assert found.systems[0].name == f"trial {idle.number}"
    assert found.winner.settings["optimiser.learning_rate"] == 0.01
    assert "stale" in found.verdict


def test_rows_added_since_are_counted_and_trained_on(searched, rows, tmp_path, capsys):
    tuned, _ = searched
    rows.write_csv(tmp_path / "wine.csv")
    assert main(["retest", str(tuned.path), str(tmp_path / "wine.csv"), "trials=1", "seeds=1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changes"]["added"] == 178 - 120
    assert (found["changes"]["removed"], found["examples"]) == (0, 178)
    assert [one["name"] for one in found["systems"]] == [f"trial {tuned.best.number}", "defaults"]


def test_the_screen_says_then_now_and_the_gain(searched, capsys):
    tuned, _ = searched
    assert main(["retest", str(tuned.path), "trials=2", "seeds=2"]) == 0
    shown = capsys.readouterr().out
    assert "120 examples now, unchanged" in shown
    assert "dev is what the search chose on" in shown
    assert f"gain over trial {tuned.best.number}" in shown


@pytest.mark.parametrize("given", [["seeds=0"], ["trials=0"], ["epochs=3"], ["seeds=x"]])
def test_what_cannot_be_done_is_refused_before_anything_runs(searched, given, capsys):
    assert main(["retest", str(searched[0].path), *given]) == 2
    assert "fix:" in capsys.readouterr().err


def test_data_of_another_kind_are_refused(searched, capsys):
    assert main(["retest", str(searched[0].path), "digits"]) == 3
    assert "for tabular_classification, and this is data for image_classification" in capsys.readouterr().err


def test_a_run_is_not_a_search(tmp_path):
    run = gnomon.fit("iris", epochs=1, runs_folder=str(tmp_path / "runs"))
    with pytest.raises(UsageError, match="is a run, not a search"):
        gnomon.retest(run.path)
