"""Several trainings as one run: who is judged by whom, what is said together, what a kill leaves, what is refused."""

from __future__ import annotations

import os
import signal

import numpy as np
import polars as pl
import pytest
import studio_samples

import gnomon
from gnomon import tasks
from gnomon.core.errors import UsageError
from gnomon.core.settings import from_flat
from gnomon.metrics.intervals import wilson
from gnomon.workflow.folds import mean_history
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.encode import seen_rows
from gnomon.workflow.road.follow import Silent

FEW = {"epochs": 3, "hidden": 8}


def flowers(number: int = 120, seed: int = 0) -> pl.DataFrame:
    """Three classes on two numbers, 0.8 standard deviations of overlap, and a third column of noise."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, number)
    long = kind + rng.normal(0, 0.8, number)
    return pl.DataFrame({"long": long, "wide": rng.normal(0, 1, number) - kind, "noise": rng.normal(0, 1, number),
                         "kind": [("iris", "rose", "tulip")[k] for k in kind]})  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("folds")
    flowers().write_csv(place / "flowers.csv")
    return gnomon.fit(str(place / "flowers.csv"), "kind", folds=4, test=0.25, runs_folder=str(place / "runs"), **FEW)


def whole(run) -> gnomon.workflow.road.split.Prepared:
    return prepare(run.folder.load_data()["reopen"], run.settings)


def test_every_example_outside_test_is_judged_once(run):
    dev, card = run.evaluation("dev").table, run.folder.load_data()
    test = prepare(card["reopen"], run.settings).splits["test"].index["id"]
    assert card["splits"] == {"train": 90, "dev": 90, "test": 30}
    assert sorted([*dev["id"].to_list(), *test.to_list()]) == list(range(2, 122))  # lines of the file
    sizes = dict(run.folder.load_splits()["split"].value_counts().rows())
    assert sizes.pop("test") == 30
    assert set(sizes) == {"fold 1", "fold 2", "fold 3", "fold 4"}
    assert max(sizes.values()) - min(sizes.values()) <= 3  # one for each class


def test_a_fold_is_the_training_that_fit_makes_of_its_two_tables(run, tmp_path):
    """Written as train.csv and dev.csv, what the first fold trains on and judges gives the same answers."""
    first, frame = whole(run).fold(0), pl.read_csv(run.folder.load_data()["reopen"])
    for name in ("train", "dev"):
        lines = first.splits[name].index["id"].cast(int).to_numpy()
        frame[lines - 2].write_csv(tmp_path / f"{name}.csv")
    keep = {"optimiser.batch_size": run.settings.optimiser.batch_size, "bins": False}
    alone = gnomon.fit(str(tmp_path), "kind", weight_decay=run.settings.regularise.weight_decay, **keep, **FEW)
    ours = run.evaluation("dev").table.filter(pl.col("id").is_in(first.splits["dev"].index["id"].implode()))
    for column in ("p.iris", "p.rose", "p.tulip", "loss"):
        np.testing.assert_allclose(alone.evaluation("dev").table[column], ours[column], rtol=1e-5)


def test_every_fold_is_judged_by_its_own_model_and_train_by_one_that_saw_it(run):
    data = whole(run)
    dev, train = (run.evaluation(name).table for name in ("dev", "train"))
    seen = seen_rows(data, run.settings.seed)
    for number, member in enumerate(run.members):
        assert not set(seen[number]) & set(data.folds[number])
        for table, rows in ((dev, data.folds[number]), (train, seen[number])):
            examples = data.splits["train"].take(rows)
            said = gnomon.training.evaluate.predict(member.task, member.model, examples, device="cpu")
            found = table.filter(pl.col("id").is_in(examples.index["id"].implode()))
            assert found["prediction"].to_list() == said["prediction"].to_list()
    assert len(train) == len(dev) == 90


def test_predict_and_test_take_the_mean_of_the_folds_probabilities(run):
    data = whole(run)
    test = run.test().table
    each = [
        gnomon.training.evaluate.predict(one.task, one.model, data.splits["test"], device="cpu") for one in run.members
    ]
    for name in ("p.iris", "p.rose", "p.tulip"):
        mean = np.mean([table[name].to_numpy() for table in each], axis=0)
        np.testing.assert_allclose(test[name], mean, rtol=1e-5)
    frame = pl.read_csv(run.folder.load_data()["reopen"]).drop("kind")
    inputs = frame[test["id"].to_numpy() - 2]
    np.testing.assert_allclose(run.predict(inputs)["p.rose"], test["p.rose"], rtol=1e-5)
    np.testing.assert_allclose(run.predict_proba(inputs)[:, 1], test["p.rose"], rtol=1e-5)
    with pytest.raises(UsageError, match=r"has 4 models, one for each fold. Fix: use run\.models"):
        _ = run.model


def test_the_mean_of_numbers_is_in_their_own_units():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, (60, 2))
    run = gnomon.fit(x, 1000 + 5 * x[:, 0], folds=3, test=0.2, **FEW)
    inputs = rng.normal(0, 1, (7, 2))
    examples = run.task.reader.read_inputs(
        gnomon.data.opening.open_source(inputs), run.settings.data, run.task.encoder
    ).splits["all"]
    each = [gnomon.training.evaluate.predict(one.task, one.model, examples, device="cpu") for one in run.members]
    np.testing.assert_allclose(run.predict(inputs)["prediction"], np.mean([t["prediction"] for t in each], axis=0))
    assert len({one.task.judge.mean for one in run.members}) == 3  # each fold standardises by its own examples


def test_the_interval_counts_five_folds_as_fewer_examples():
    # drawn on paper: the variance is 1 + 5 / 4 = 2.25 times that of independent examples
    run = gnomon.fit(flowers(seed=3), "kind", folds=5, test=0.0, **FEW)
    dev = next(rung for rung in run.diagnosis.rungs if rung.name == "dev")
    expected = wilson(dev.error * 120 / 2.25, 120 / 2.25)
    assert (dev.low, dev.high) == pytest.approx((expected.low, expected.high))
    assert any("5 folds" in note for note in run.diagnosis.notes)


class StopAt(Silent):
    """Ctrl-C after an epoch of a fold."""

    def __init__(self, fold: int, epoch: int) -> None:
        super().__init__()
        self.place = fold, epoch

    def on_epoch(self, row):
        if (row["fold"], row["epoch"]) == self.place:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("place", [(1, 2), (3, 1), (3, 3)])
def test_a_run_stopped_in_any_fold_goes_on_to_the_same_bits(run, place):
    data, runs = run.folder.load_data()["reopen"], run.path.parents[1]
    with pytest.raises(gnomon.GnomonError, match=r"gnomon fit --resume"):
        gnomon.fit(data, "kind", folds=4, test=0.25, runs_folder=str(runs), follower=StopAt(*place), **FEW)
    again = gnomon.fit(resume=(runs / "latest").resolve())
    assert dict(again.folder.load_model()) == dict(run.folder.load_model())
    assert again.evaluation("dev").table.equals(run.evaluation("dev").table)
    assert gnomon.fit(resume=again.path, follower=StopAt(1, 1)).path == again.path  # there is nothing left to do


def test_groups_stay_in_one_fold_and_a_class_of_one_group_is_never_judged():
    frame = flowers(90).with_columns(garden=pl.Series([f"g{i % 15}" for i in range(90)]))
    lone = frame[:3].with_columns(kind=pl.lit("thistle"), garden=pl.lit("g99"))
    run = gnomon.fit(pl.concat([frame, lone]), "kind", folds=3, test=0.0, group="garden", **FEW)
    judged = run.folder.load_splits().filter(pl.col("split") != "train").sort(pl.col("id").cast(int))
    dev = run.evaluation("dev").table.with_columns(fold=judged["split"])
    assert dev.group_by("group").agg(pl.col("fold").n_unique())["fold"].max() == 1
    assert "thistle" not in dev["target"].to_list()
    assert "p.thistle" in dev.columns
    assert any("trained on, never judged" in note for note in run.folder.load_data()["notes"])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"time": "day"}, "data.time is about the future"),
        ({"dev": 0.3}, "split.dev is a share for one dev split"),
        ({"duplicates": "drop"}, "copies of one dev split"),
    ],
)
def test_settings_that_contradict_folds_are_refused_in_a_line(given, why):
    frame = flowers(40).with_columns(day=pl.Series(range(40)))
    with pytest.raises(UsageError, match=rf"folds=4 does not fit: .*{why}.* Fix: leave one of them out"):
        gnomon.fit(frame, "kind", folds=4, **given, **FEW)


def test_too_few_examples_and_verbs_for_one_training_are_refused_in_a_line(run):
    with pytest.raises(gnomon.GnomonError, match=r"18 examples cannot make 10 folds: it takes 20"):
        gnomon.fit(flowers(18), "kind", folds=10, test=0.0, **FEW)
    for verb in (lambda: gnomon.tune(flowers(40), "kind", folds=3), lambda: gnomon.probe(run.path)):
        with pytest.raises(UsageError, match=r"is for fit; what is wanted here trains on one split"):
            verb()
    with pytest.raises(UsageError, match="dev and train are the same examples"):
        gnomon.mismatch(run.path)
    with pytest.raises(UsageError, match="several networks, and yours is one"):
        gnomon.fit(flowers(40), "kind", folds=3, model=__import__("torch").nn.Linear(2, 3))


def test_verbs_that_read_predictions_see_one_run(run):
    other = gnomon.fit(run.folder.load_data()["reopen"], "kind", folds=4, test=0.25, seed=0, epochs=1, hidden=2)
    found = gnomon.compare(run.path, other.path)
    assert "widened" in found.systems[0].measures["error"].method
    wrong = run.evaluation("dev").table.filter(pl.col("error") > 0)
    found = gnomon.errors(run.path)
    assert found.sheet.errors.count == len(wrong)
    assert found.data is not None  # the examples themselves were found, in the order of the table
    assert gnomon.labels(run.path, split="dev")


def test_the_studio_shows_one_run_and_its_pages(run):
    client = studio_samples.Client(run.path.parents[1])
    here = f"/runs/{studio_samples.run_id(run.path)}"
    looked = client.library.run(studio_samples.run_id(run.path)).examples("dev")
    assert looked.wait(60), looked.fault
    for path in ("", "/errors/dev", "/errors/train", "/examples/dev/0", "/labels/dev"):
        status, _, page = client.ask(f"{here}{path}", headers={"accept": "text/html"})
        assert status == 200, (path, page[-800:])
    assert "folds/1" not in client.ask("/", headers={"accept": "text/html"})[2].decode()


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_has_folds_or_says_that_its_answers_have_no_mean(name, tmp_path):
    kind = tasks.load(name)
    source = kind.reader.write_sample(tmp_path / "sample", seed=3)
    own = "dev" in kind.reader.read(gnomon.data.opening.open_source(source), from_flat({}).data).splits
    values = {"task": name, "epochs": 1, "folds": 2}
    if own or not kind.judge.can_average:
        why = "dev split of its own" if own else "cannot be averaged"
        with pytest.raises(UsageError, match=rf"folds=2 does not fit: .*{why}"):
            gnomon.fit(source, **values)
        return
    run = gnomon.fit(source, **values)
    assert [rung.name for rung in run.diagnosis.rungs][:3] == ["human", "train", "dev"]
    assert run.report.is_file()
    assert len(gnomon.load(run.path).predict(source)) > 0


def test_the_history_is_the_mean_over_folds():
    rows = [
        {"epoch": 1, "train_loss": 1.0, "train_error": 0.4, "dev_error": 0.5, "learning_rate": 0.1, "seconds": 1.0},
        {"epoch": 2, "train_loss": 0.5, "train_error": 0.2, "dev_error": 0.7, "learning_rate": 0.1, "seconds": 2.0},
    ]
    other = [{**rows[0], "dev_error": 0.3, "seconds": 3.0}]
    found = mean_history([rows, other])
    assert [row["dev_error"] for row in found] == pytest.approx([0.4, 0.7])
    assert [row["seconds"] for row in found] == [4.0, 2.0]
    assert [row["best"] for row in found] == [True, False]
