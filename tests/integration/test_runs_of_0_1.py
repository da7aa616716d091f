"""Runs that gnomon 0.1 wrote, before tasks were composed of parts: they load, answer as then, and say their settings.

The archive holds a run of each task on its own sample, the sample, and the answers that 0.1 gave (report and
checkpoints left out).
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import polars as pl
import pytest

import gnomon
from gnomon import tasks

ARCHIVE = Path(__file__).parents[1] / "samples" / "runs_of_0_1.tar.xz"
TASKS = ("image_classification", "multi_task", "tabular_classification", "tabular_regression")


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("of 0.1")
    with tarfile.open(ARCHIVE) as archive:
        careful = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from Python 3.11.4 on
        archive.extractall(folder, **careful)
    return folder


@pytest.mark.parametrize("task", TASKS)
def test_a_run_of_0_1_answers_as_it_did(old, task):
    run = gnomon.load(next((old / "runs" / task).iterdir()))
    assert run.task.name == run.settings.task.name == task
    sample = old / "data" / task
    new = {"multi_task": sample / "dev.csv"}.get(task, sample)
    answers = run.predict(new if new.is_file() or task == "image_classification" else next(sample.iterdir()))
    then = pl.read_csv(
        old / f"{task}.csv", schema_overrides={"id": pl.String, "prediction": answers["prediction"].dtype}
    )
    assert answers["id"].cast(pl.String).to_list() == then["id"].to_list()
    if answers["prediction"].dtype.is_float():
        assert answers["prediction"].to_list() == pytest.approx(then["prediction"].to_list(), rel=1e-6)
    else:
        assert answers["prediction"].to_list() == then["prediction"].to_list()


@pytest.mark.parametrize("task", TASKS)
def test_its_ladder_and_its_settings_are_read(old, task):
    run = gnomon.load(next((old / "runs" / task).iterdir()))
    assert {rung.name for rung in run.diagnosis.rungs} >= {"train", "dev"}
    assert run.settings.seed == 1
    own = run.settings.model.own
    assert "channels" not in own  # every model had every model's settings then
    assert set(tasks.names()) >= {task}
