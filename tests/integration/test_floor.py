"""The floor of a run: measured on its own split, saved with it, shown; and a run that time cut short goes on."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import gnomon
from gnomon.cli import main
from gnomon.core.errors import UsageError
from gnomon.strategy.advice import _from_train
from gnomon.strategy.verdict import Known
from gnomon.workflow.road.verdict import commands_of


def rows(number=600, seed=0):
    """The class is the sign of a sum; three columns, one of them a category."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(number, 2))
    kind = rng.choice(["a", "b"], number)
    target = np.where(values.sum(axis=1) + (kind == "a") > 0.5, "yes", "no")
    return pl.DataFrame({"x": values[:, 0], "y": values[:, 1], "kind": kind, "class": target})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return gnomon.fit(rows(), target="class", epochs=3, runs_folder=str(tmp_path_factory.mktemp("runs")))


def test_a_reference_is_fitted_to_train_and_judged_on_dev(run):
    frame = rows()
    by_split = dict(zip(*[run.folder.load_splits()[name] for name in ("id", "split")], strict=True))
    which = np.array([by_split[str(number)] for number in range(1, len(frame) + 1)])
    train = which == "train"
    x = frame.select("x", "y").to_numpy()
    x = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    x = np.column_stack([x, *((frame["kind"] == level).to_numpy() for level in ("a", "b"))])
    y = frame["class"].to_numpy()
    peer = LogisticRegression(max_iter=100).fit(x[train], y[train])
    wrong = float((peer.predict(x[which == "dev"]) != y[which == "dev"]).mean())
    linear = next(one for one in run.diagnosis.floor.references if one.name == "linear model")
    assert linear.error == pytest.approx(wrong, abs=0.02)


def test_the_guess_is_the_commonest_class_of_train(run):
    dev = run.evaluation("dev").table["target"]
    guess = run.diagnosis.floor.guess
    assert guess.name in ("always 'yes'", "always 'no'")
    assert guess.error == pytest.approx((dev != guess.name[8:-1]).mean())


def test_the_floor_is_saved_and_shown_everywhere(run, capsys):
    assert run.folder.load_floor() == run.diagnosis.floor
    assert "floor  always '" in str(run.diagnosis)
    assert "always &#39;" in run.report.read_text(encoding="utf-8")
    assert main(["diagnose", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["floor"]["guess"] == asdict(run.diagnosis.floor)["guess"]


def test_it_costs_seconds(run):
    assert run.diagnosis.floor.seconds < 20  # on a machine at ease, one


def test_pictures_have_references_on_edges_and_brightness(tmp_path):
    found = gnomon.fit("digits", epochs=1, runs_folder=str(tmp_path)).diagnosis.floor
    assert {one.name for one in found.references} == {"linear model", "nearest neighbours"}
    assert found.best.error < 0.1 < found.guess.error
    assert found.giveaway is None


def test_numbers_have_a_floor_in_their_own_unit(tmp_path):
    run = gnomon.fit("diabetes", epochs=2, runs_folder=str(tmp_path))
    guess = run.diagnosis.floor.guess
    target = run.evaluation("dev").table["target"].to_numpy()
    median = float(guess.name.removeprefix("always "))
    assert guess.error == pytest.approx(np.abs(target - median).mean(), rel=0.01)


def test_a_task_without_references_has_no_floor(tmp_path):
    frame = rows().with_columns(other=pl.Series(rows(seed=1)["class"]))
    run = gnomon.fit(frame, target=("class", "other"), epochs=1, runs_folder=str(tmp_path))
    assert run.diagnosis.floor is None
    assert run.folder.load_floor() is None


# --- going on ---------------------------------------------------------------------------------------------------------
def test_a_run_that_time_cut_short_says_so_and_goes_on_with_more(tmp_path):
    frame = rows(20_000)
    run = gnomon.fit(frame, target="class", epochs=50, batch_size=16, max_time=0.5, runs_folder=str(tmp_path))
    assert run.diagnosis.verdict.cause == "unfinished"
    assert "there is nothing to diagnose yet" in run.diagnosis.verdict.text
    (first,) = run.diagnosis.advice
    assert first.command.startswith(f"gnomon fit --resume {run.path} max_time=")
    steps = run.folder.load_outcome()["steps"]
    again = gnomon.fit(frame, resume=run.path, max_time=4)
    assert again.path == run.path
    assert again.folder.load_outcome()["steps"] > steps
    assert again.settings.stop.max_time == 4
    assert again.folder.check().bad == ()


def test_a_finished_run_is_returned_as_it_is(run):
    assert gnomon.fit(resume=run.path, max_time=60).history == run.history


def test_a_resumed_run_takes_no_other_setting(run):
    with pytest.raises(UsageError, match="epochs cannot be changed"):
        gnomon.fit(resume=run.path, max_time=60, epochs=7)


def test_peek_and_fit_say_the_same_of_the_columns(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    frame = rows(80).with_columns(name=pl.Series([f"someone else {i}" for i in range(80)]))
    frame.write_csv("people.csv")
    shown = []
    for words in (["peek", "people.csv", "target=class"], ["fit", "people.csv", "target=class", "epochs=1"]):
        assert main(words) == 0
        shown.append(capsys.readouterr().out.splitlines())
    for begin in ("  columns ", "             dropped", "  notes "):
        mine, theirs = ([line for line in lines if line.startswith(begin)] for lines in shown)
        assert mine == theirs
    assert "  columns    2 numbers (x, y) · 1 category (kind)" in shown[0]
    assert any("name" in line and "dropped" in line.lower() for line in shown[0])


def test_mistakes_show_the_columns_that_the_model_saw(tmp_path):
    frame = rows(200).with_columns(name=pl.Series([f"someone else {i}" for i in range(200)]))
    run = gnomon.fit(frame, target="class", epochs=1, runs_folder=str(tmp_path))
    assert "someone else" not in run.report.read_text(encoding="utf-8")


@pytest.mark.parametrize("own", ["nothing", "test"])
def test_the_command_for_more_dev_examples_gives_as_many_at_the_price_told(own, tmp_path):
    if own == "nothing":
        data, pool = tmp_path / "rows.csv", 2000
        rows(2000).write_csv(data)
    else:
        data, pool = tmp_path / "parts", 1500
        data.mkdir()
        rows(1500).write_csv(data / "train.csv")
        rows(500, seed=1).write_csv(data / "test.csv")
    first = gnomon.fit(str(data), target="class", epochs=1, model="logistic", runs_folder=str(tmp_path / "runs"))
    sizes = first.folder.load_data()["splits"]
    assert commands_of(first).pool == pool
    wanted = sizes["dev"] + 60
    words, command = _from_train(wanted, sizes["dev"], Known(num_train=sizes["train"], commands=commands_of(first)))
    again = gnomon.load(run_of(command, tmp_path)).folder.load_data()["splits"]
    assert wanted <= again["dev"] <= wanted + 0.01 * pool
    assert words == f", or take them from train, which keeps {again['train']:,} of {sizes['train']:,}"


def run_of(command, tmp_path):
    """What a command to paste makes, its folder."""
    assert main([*shlex.split(command)[1:], f"runs_folder={tmp_path / 'again'}"]) == 0
    return (tmp_path / "again" / "latest").resolve()


def test_a_dev_split_of_the_users_own_is_not_drawn(tmp_path):
    for name in ("train", "dev"):
        rows(200, seed=len(name)).write_csv(tmp_path / f"{name}.csv")
    run = gnomon.fit(str(tmp_path), target="class", epochs=1, model="logistic", runs_folder=str(tmp_path / "runs"))
    assert commands_of(run).pool is None
