"""gnomon diagnose with people's answers, and with the table of general and target data."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon.cli import main


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
