"""Nudges: what can be turned, when it is taken, and that a resumed run does the same again."""

from __future__ import annotations

import os
import signal

import pytest

import gnomon
from gnomon.core.errors import StoppedError, UsageError
from gnomon.core.settings import from_flat
from gnomon.runs.folder import RunFolder
from gnomon.runs.names import NUDGES
from gnomon.workflow import nudge as nudging
from gnomon.workflow.nudge import REQUESTS, Nudges, checked, in_words, journals, request
from gnomon.workflow.road.follow import Silent

SETTINGS = {"model": "dense", "hidden": (16,), "epochs": 6, "seed": 1, "batch_size": 32, "schedule": "constant"}
RATE, BATCH, DECAY = "optimiser.learning_rate", "optimiser.batch_size", "regularise.weight_decay"


@pytest.fixture(autouse=True)
def looks_at_every_step(monkeypatch):
    monkeypatch.setattr(nudging, "SECONDS_BETWEEN_LOOKS", 0.0)


class Nudger(Silent):
    """Asks for something at the end of an epoch, by the run's own folder."""

    def __init__(self, wishes):
        super().__init__()
        self.wishes, self.told = wishes, []

    def on_ready(self, ready):
        self.folder = RunFolder.open(ready.folder)

    def on_nudge(self, row):
        self.told.append(row)

    def on_epoch(self, row):
        super().on_epoch(row)
        if row["epoch"] in self.wishes:
            request(self.folder, self.wishes[row["epoch"]], patience=0)


def fitted(wishes, **more):
    follower = Nudger(wishes)
    return gnomon.fit("digits", **SETTINGS, **more, follower=follower), follower


def test_a_rate_applies_from_the_next_step_on_and_is_in_the_diary():
    run, follower = fitted({2: {"learning_rate": 0.0005}})
    per_epoch = run.history[0]["step"]
    (row,) = journals(run.folder)[1].read()
    assert (row["key"], row["old"], row["new"], row["step"]) == (RATE, 0.004, 0.0005, 2 * per_epoch)
    assert [each["learning_rate"] for each in run.history] == [0.004] * 2 + [0.0005] * 4
    assert follower.told == [row]
    assert in_words([row]) == f"learning_rate 0.004 -> 0.0005 at step {2 * per_epoch + 1}"
    assert run.settings.optimiser.learning_rate == 0.004  # what the run was started with


def test_a_run_nudged_before_its_first_step_is_the_run_started_with_those_settings(tmp_path):
    plain = gnomon.fit("digits", **{**SETTINGS, "batch_size": 64}, learning_rate=0.001, weight_decay=0.3)

    class AtOnce(Nudger):
        def on_ready(self, ready):
            super().on_ready(ready)
            request(self.folder, {"batch_size": 64, "learning_rate": 0.001, "weight_decay": 0.3}, patience=0)

    nudged = gnomon.fit("digits", **SETTINGS, follower=AtOnce({}), runs_folder=str(tmp_path))
    assert {row["step"] for row in journals(nudged.folder)[1].read()} == {0}
    timeless = [{k: v for k, v in row.items() if "second" not in k} for row in plain.history]
    assert [{k: v for k, v in row.items() if "second" not in k} for row in nudged.history] == timeless
    for split in ("train", "dev"):
        assert nudged.evaluation(split).table.equals(plain.evaluation(split).table)


class Stopper(Nudger):
    """Stops the run after the nudges, as a signal would."""

    def __init__(self, wishes, after):
        super().__init__(wishes)
        self.after = after

    def on_epoch(self, row):
        super().on_epoch(row)
        if row["epoch"] == self.after:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_run_stopped_and_resumed_replays_its_nudges_at_the_same_steps(tmp_path, after):
    wishes = {1: {"batch_size": 48}, 2: {"learning_rate": 0.01, "weight_decay": 0.2}, 4: {"batch_size": 16}}
    whole, _ = fitted(wishes, runs_folder=str(tmp_path / "whole"))
    stopper = Stopper(wishes, after)
    with pytest.raises(StoppedError):
        gnomon.fit("digits", **SETTINGS, runs_folder=str(tmp_path / "parts"), follower=stopper)
    resumed = gnomon.fit(resume=stopper.folder.path, follower=Nudger(wishes))
    keep = ("step", "key", "old", "new")
    assert [[row[key] for key in keep] for row in journals(resumed.folder)[1].read()] == [
        [row[key] for key in keep] for row in journals(whole.folder)[1].read()
    ]
    timeless = [{k: v for k, v in row.items() if "second" not in k} for row in whole.history]
    assert [{k: v for k, v in row.items() if "second" not in k} for row in resumed.history] == timeless
    for split in ("train", "dev"):
        assert resumed.evaluation(split).table.equals(whole.evaluation(split).table)


def test_rows_of_the_diary_after_the_checkpoint_are_repeated_at_their_steps(tmp_path):
    """As after a kill: the diary knows of a nudge that no checkpoint has seen."""
    run, _ = fitted({1: {"learning_rate": 0.01}})
    told = []
    nudges = Nudges(run.folder, run.settings, told.append)
    step = journals(run.folder)[1].read()[0]["step"]
    assert nudges(0) is None
    assert nudges(step - 1) is None
    assert nudges(step).optimiser.learning_rate == 0.01
    assert nudges(step + 1) is None
    late = Nudges(run.folder, run.settings, told.append)
    assert late(step + 50).optimiser.learning_rate == 0.01
    assert told == []


def test_a_stopped_run_applies_its_request_when_it_resumes(tmp_path):
    stopper = Stopper({}, after=1)
    with pytest.raises(StoppedError):
        gnomon.fit("digits", **SETTINGS, runs_folder=str(tmp_path), follower=stopper)
    (asked,) = request(stopper.folder, {"learning_rate": "0.002"}, patience=0)
    assert (asked.key, asked.value, asked.step) == (RATE, 0.002, None)
    run = gnomon.fit(resume=stopper.folder.path)
    assert [row["learning_rate"] for row in run.history] == [0.004] + [0.002] * 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 3}, "stop.epochs cannot be changed while a run trains"),
        ({"hidden": 3}, "model.hidden cannot be changed"),
        ({"learning_rate": -1}, "learning_rate=-1 cannot be used"),
        ({"learnin_rate": 1}, "unknown setting"),
        ({}, "needs a setting and its new value"),
        ({"batch_size": 1}, "batches of one example are too small for some layers"),
    ],
    ids=str,
)
def test_what_cannot_be_nudged_is_refused_before_anything_is_written(values, message):
    with pytest.raises(UsageError, match=message):
        checked(from_flat({}), values)


def test_a_run_with_a_table_of_rates_keeps_to_it():
    with pytest.raises(UsageError, match=r"from schedule\.table"):
        checked(from_flat({"schedule": "discrete", "schedule.table": "1:0.1"}), {"learning_rate": 0.1})


def test_a_finished_run_cannot_be_nudged():
    run, _ = fitted({})
    with pytest.raises(UsageError, match="finished"):
        request(run.folder, {"learning_rate": 0.1})
    assert not (run.path / REQUESTS).exists()
    assert not (run.path / NUDGES).exists()


def test_an_invalid_handwritten_request_does_not_end_the_training():
    class Vandal(Nudger):
        def on_ready(self, ready):
            super().on_ready(ready)
            requests, _ = journals(self.folder)
            requests.append({"request": "1", "key": "stop.epochs", "value": 99})
            requests.append({"request": "2", "key": RATE, "value": "fast"})
            requests.append({"nothing": "at all"})
            with open(ready.folder / REQUESTS, "ab") as file:
                file.write(b"junk\n{}\n")

    run = gnomon.fit("digits", **SETTINGS, follower=Vandal({}))
    assert len(run.history) == 6
    assert journals(run.folder)[1].read() == []
