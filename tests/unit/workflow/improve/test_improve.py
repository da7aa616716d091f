"""improve: a diary that can be followed, a limit that is kept, a kill that costs one step, a test split opened once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon.core.errors import UsageError
from gnomon.core.settings import flat
from gnomon.runs.folder import find
from gnomon.strategy.improve_diary import Entry, state_of
from gnomon.workflow.improve.improve import _base, improve
from gnomon.workflow.run import load

LIMIT = 40.0  # seconds; on a machine of its own every knob is tried in less
SLACK = 20.0  # that a machine may lose while other tests run on it: judging and writing are not cut short


def circle(number: int, seed: int) -> pl.DataFrame:
    """Inside or outside of a circle: no straight line tells, a few hidden units do."""
    rng = np.random.default_rng([seed, number])
    inputs = rng.normal(size=(number, 2))
    inside = (inputs**2).sum(axis=1) < 1.4
    return pl.DataFrame({"x0": inputs[:, 0], "x1": inputs[:, 1], "class": np.where(inside, "in", "out")})


@pytest.fixture(scope="module")
def circles(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "circle.csv"
    circle(700, 0).write_csv(path)
    return path


@pytest.fixture(scope="module")
def improved(circles, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    began = time.monotonic()
    start = {
        "model": "logistic",
        "epochs": 5,
        "batch_size": 32,
        "learning_rate": 0.01,
        "human": 0.0,
        "runs_folder": str(runs),
    }
    found = improve(str(circles), time=LIMIT, test=True, **start)
    return found, time.monotonic() - began


def test_a_model_planted_too_small_is_found_and_fixed(improved):
    """Logistic regression on a circle: avoidable bias; hidden layers are tried, help, and are kept."""
    found, _ = improved
    kept = [entry for entry in found.diary if entry.event == "tried" and entry.facts["kept"]]
    assert found.changes["model.name"] == "dense"
    assert kept[0].facts["name"] == "larger model"
    assert kept[0].facts["gain"] > 0.05
    assert kept[0].facts["p_value"] < kept[0].facts["level"]


def test_only_knobs_of_the_diagnosed_link_are_turned(improved):
    found, _ = improved
    links: set[str] = set()
    for entry in found.diary:
        if entry.event == "seen":
            links = set(entry.facts["links"])
        elif entry.event == "tried":
            assert entry.facts["link"] in links


def test_the_improved_system_is_a_run_like_any_other(improved):
    found, _ = improved
    run = load(found.run.path)
    settings = flat(run.settings)
    assert settings["model.name"] == "dense"
    assert run.folder.load_settings()[1] >= found.changes.keys()
    assert {"train", "dev", "test"} <= set(run.folder.saved_predictions())
    assert not run.folder.check().bad
    assert run.report.is_file()


def test_the_time_is_a_hard_limit(improved):
    assert improved[1] < LIMIT + SLACK


def test_the_test_split_is_opened_once_at_the_end(improved):
    found, _ = improved
    assert len(found.run.folder.openings.read()) == 1
    assert found.diary[-1].event == "test"
    again = improve(resume=found.run.path, test=True)
    assert len(again.run.folder.openings.read()) == 1


def test_the_diary_on_disk_matches_what_was_reported_and_its_page_has_every_step(improved):
    found, _ = improved
    lines = found.run.folder.load_diary()
    assert [line.text for line in lines] == [entry.text for entry in found.diary]
    text = (found.run.path / "diary.md").read_text()
    assert all(entry.text.replace("|", "\\|") in text for entry in found.diary)
    assert (found.run.path / "figures" / "diary.svg").is_file()


@pytest.mark.slow
def test_a_run_can_be_improved_without_being_changed(circles, tmp_path):
    run = gnomon.fit(str(circles), model="logistic", epochs=5)
    before = (run.path / "settings.toml").read_text()
    found = improve(run, time=8)
    assert found.run.path != run.path
    assert (run.path / "settings.toml").read_text() == before
    assert found.diary[1].facts["dev_error"] == pytest.approx(run.evaluation("dev").table["error"].mean())
    assert not found.run.folder.openings.read()


@pytest.mark.slow
def test_a_training_that_takes_all_the_time_is_run_once_as_far_as_possible(tmp_path):
    path = tmp_path / "large.csv"
    circle(40_000, 1).write_csv(path)
    began = time.monotonic()
    found = improve(str(path), time=8, epochs=900, hidden=(256, 256), batch_size=16)
    assert time.monotonic() - began < 8 + SLACK
    assert [entry.event for entry in found.diary][-2:] == ["ended", "final"]
    assert found.run.settings.stop.epochs < 900
    assert not found.changes


@pytest.mark.slow
def test_a_killed_improvement_continues_where_it_was(circles, tmp_path):
    """SIGKILL after the second try: nothing that was tried is tried again, and what was kept stays kept."""
    command = [sys.executable, "-m", "gnomon", "improve", str(circles), "time=30s", "model=logistic", "epochs=6"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    diary = None
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            diary = next(iter(tmp_path.glob("runs/*/*/diary.jsonl")), None)
            if diary is not None and diary.read_text().count('"event":"tried"') >= 2:
                break
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert diary is not None
    before = [Entry.from_json(json.loads(line)) for line in diary.read_text().splitlines() if line.endswith("}")]
    found = improve(resume=diary.parent)
    texts = [entry.text for entry in found.diary]
    assert texts[: len(before)] == [entry.text for entry in before]
    tries = [json.dumps(entry.facts["changes"]) for entry in found.diary if entry.event == "tried"]
    assert len(tries) >= 2
    assert found.diary[-1].event == "final"
    assert state_of(before).proven.keys() <= found.changes.keys()  # what was on trial may have been undone since
    assert sum(entry.event == "first" for entry in found.diary) == 1


def test_what_cannot_be_resumed_is_refused(circles, tmp_path):
    run = gnomon.fit(str(circles), model="logistic", epochs=1)
    with pytest.raises(UsageError, match="no diary"):
        improve(resume=run.path)
    with pytest.raises(UsageError, match="nothing to improve"):
        improve()


def test_the_command_says_what_was_kept_and_where_the_diary_is(improved, capsys):
    from gnomon.cli.improve import improvement_as_json, print_improvement

    found, _ = improved
    print_improvement(found)
    shown = capsys.readouterr().out
    assert "model.name = dense" in shown
    assert str(found.run.path / "diary.md") in shown
    plain = json.loads(json.dumps(improvement_as_json(found), allow_nan=False, default=str))
    assert plain["changes"]["model.name"] == "dense"
    assert [step["event"] for step in plain["diary"]] == [entry.event for entry in found.diary]


def test_the_report_tells_the_story(improved):
    found, _ = improved
    page = found.run.report.read_text()
    assert "How it was improved" in page
    assert "model logistic → dense" in page or "model logistic -" in page


def test_the_latest_run_of_the_same_data_is_where_it_starts(circles, tmp_path):
    settings = {"model": "logistic", "epochs": 2, "runs_folder": str(tmp_path)}
    first = gnomon.fit(str(circles), **settings)
    assert _base(str(circles), {"runs_folder": str(tmp_path)}).path == first.path
    assert _base("iris", {"runs_folder": str(tmp_path)}) is None


def test_a_time_too_short_for_one_change_is_said_before_anything_is_made(circles, tmp_path):
    first = gnomon.fit(str(circles), model="logistic", epochs=2, runs_folder=str(tmp_path))
    with first.folder.lock():
        first.folder.save_outcome({**first.folder.load_outcome(), "training_seconds": 100.0})
    with pytest.raises(UsageError, match="too short to try one change: a training of this run takes 100 s"):
        improve(first, time=90)
    assert {path.name for path in first.path.parent.iterdir()} == {first.path.name}


def test_the_latest_run_can_be_put_back(circles, tmp_path):
    runs = [gnomon.fit(str(circles), model="logistic", epochs=1, runs_folder=str(tmp_path)) for _ in range(2)]
    assert find("latest", tmp_path).path == runs[1].path
    runs[0].folder.make_latest()
    assert find("latest", tmp_path).path == runs[0].path
