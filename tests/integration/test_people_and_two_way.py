"""gnomon diagnose with people's answers, and with the table of general and target data."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon.cli import main
from gnomon.core.errors import DataError


@pytest.fixture
def tables(tmp_path):
    """Predictions of two sources, and two people's answers on a third of dev; wrong rows come first."""
    parts = [
        ("train", "web", 50, 1000),
        ("train", "app", 14, 200),
        ("train-dev", "web", 24, 300),
        ("dev", "app", 60, 300),
    ]
    rows = [
        (split, source, f"{split} {source} {i}", "a", "b" if i < wrong else "a")
        for split, source, wrong, size in parts
        for i in range(size)
    ]
    table = pl.DataFrame(rows, schema=["split", "source", "id", "target", "prediction"], orient="row")
    table.write_csv(tmp_path / "predictions.csv")
    ids = [f"dev app {i}" for i in range(100)]
    answers = {"id": ids, "anna": ["b"] * 2 + ["a"] * 98, "ben": ["b"] * 9 + ["a"] * 91}
    pl.DataFrame(answers).write_csv(tmp_path / "people.csv")
    return tmp_path


def test_peoples_answers_are_the_human_rung(tables, capsys):
    code = main(
        ["diagnose", "--predictions", str(tables / "predictions.csv"), f"human={tables / 'people.csv'}", "--json"]
    )
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    human = found["errors"]["human"]
    assert (human["error"], human["examples"]) == (pytest.approx(0.02), 100)
    assert human["low"] < 0.02 < human["high"]
    assert found["two_way"]["human"]["target"]["value"] == pytest.approx(0.02)
    assert found["two_way"]["trained on"]["target"]["value"] == pytest.approx(0.07)
    assert found["two_way"]["not trained on"]["general"]["value"] == pytest.approx(0.08)


def test_the_table_is_shown_below_the_ladder(tables, capsys):
    assert main(["diagnose", "--predictions", str(tables / "predictions.csv"), "human=0.01"]) == 0
    shown = capsys.readouterr().out
    assert "general data" in shown
    assert "data mismatch: 12.0 points from general to target" in shown


def test_a_run_takes_peoples_answers_too(tmp_path):
    run = gnomon.fit("wine", epochs=2, runs_folder=str(tmp_path / "runs"))
    dev = run.evaluation("dev").table
    answers = pl.DataFrame({"id": dev["id"], "anna": dev["target"], "ben": np.full(len(dev), "class_0")})
    found = gnomon.diagnose(run, human=answers)
    assert found.rungs[0].error == 0
    assert found.rungs[0].note == f"measured on {len(dev)} examples"
    assert gnomon.diagnose(run).rungs[0].note.startswith("not known")


def test_counts_of_answers_are_read_from_a_file(tables, capsys):
    # by hand: 4 voters on 100 examples, one of them wrong on 20: 5 % of the answers, never the majority
    wrong = [1] * 20 + [0] * 80
    ids = [f"dev app {i}" for i in range(100)]
    pl.DataFrame({"id": ids, "a": [4 - one for one in wrong], "b": wrong}).write_csv(tables / "counts.csv")
    code = main(
        ["diagnose", "--predictions", str(tables / "predictions.csv"), f"human={tables / 'counts.csv'}", "--json"]
    )
    human = json.loads(capsys.readouterr().out)["errors"]["human"]
    assert code == 0
    assert (human["error"], human["examples"]) == (0, 100)


def test_a_table_of_nobody_is_refused(tables, capsys):
    pl.DataFrame({"anna": ["a"]}).write_csv(tables / "odd.csv")
    code = main(["diagnose", "--predictions", str(tables / "predictions.csv"), f"human={tables / 'odd.csv'}"])
    assert code == 3
    assert "expected an id column" in capsys.readouterr().err


@pytest.fixture(scope="module")
def votes(tmp_path_factory):
    """600 rows, whose ids are their lines in the file, and the answers of ann, who errs on every tenth of them."""
    folder = tmp_path_factory.mktemp("votes")
    rng = np.random.default_rng(2)
    values = rng.normal(size=600)
    labels = np.where(values > 0, "yes", "no")
    ids = range(2, 602)
    pl.DataFrame({"x": values, "label": labels}).write_csv(folder / "votes.csv")
    wrong = np.arange(2, 602) % 10 == 0
    said = np.where(wrong, np.where(labels == "yes", "no", "yes"), labels)
    pl.DataFrame({"id": ids, "ann": said}).write_csv(folder / "people.csv")
    return folder


QUICK = {"target": "label", "model": "logistic", "epochs": 1}


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_fit_measures_people_from_the_file_that_human_names(votes, tmp_path, as_path):
    run = gnomon.fit(str(votes / "votes.csv"), **QUICK, human=as_path(votes / "people.csv"), runs_folder=str(tmp_path))
    human = next(rung for rung in run.diagnosis.rungs if rung.name == "human")
    dev = list(map(int, run.evaluation("dev").table["id"]))
    assert human.error == pytest.approx(np.mean([i % 10 == 0 for i in dev]))
    assert (human.examples, human.note) == (len(dev), f"measured on {len(dev)} examples")
    assert next(gap for gap in run.diagnosis.gaps if gap.name == "avoidable bias").is_bound is False
    assert str(votes / "people.csv") in (run.path / "settings.toml").read_text()
    assert len(run.test().table)  # which judges the run anew
    assert next(rung for rung in run.diagnosis.rungs if rung.name == "human").error == human.error


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"id": range(2, 602), "ann": ["yes", "perhaps"] * 300}, "'perhaps' is not a class"),
        ({"id": ["a", "b"], "ann": ["yes", "no"]}, "none of the people's answers is for an example of dev"),
        ({"ann": ["yes"], "ben": ["no"]}, "expected an id column"),
    ],
)
def test_answers_that_cannot_be_scored_are_refused_before_training(table, says, votes, tmp_path):
    pl.DataFrame(table).write_csv(tmp_path / "people.csv")
    with pytest.raises(DataError, match=says):
        gnomon.fit(str(votes / "votes.csv"), **QUICK, human=tmp_path / "people.csv", runs_folder=str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
