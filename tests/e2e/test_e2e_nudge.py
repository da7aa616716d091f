"""A run in a process of its own takes a nudge from another one, and does the same again after a kill."""

from __future__ import annotations

import importlib.util
import json
import signal
import sys
import time
from pathlib import Path

import pytest

from gnomon.runs.folder import RunFolder
from gnomon.workflow.nudge import journals


def _beside(name: str):
    """A helper module beside this file, loaded once for all test files."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


fits = _beside("fits")
SETTINGS = ("model=dense", "hidden=64", "epochs=60", "batch_size=4", "schedule=constant", "learning_rate=0.003",
            "save_every=0.2")  # fmt: skip


def begun(tmp_path: Path):
    """A fit at work, once its first epoch is over."""
    runs = tmp_path / "runs"
    job = fits.server().start("fit", "digits", f"runs_folder={runs}", *SETTINGS, jobs=tmp_path)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = list(runs.glob("*/*/history.jsonl"))
        if found:
            return job, RunFolder.open(found[0].parent)
        time.sleep(0.02)
    raise TimeoutError(job.stderr)


def told(*words: object, jobs: Path) -> dict:
    job = fits.server().start("nudge", *words, "--json", jobs=jobs)
    assert job.wait() == 0, job.stdout + job.stderr
    return json.loads(job.stdout)


@pytest.mark.slow
def test_a_running_fit_takes_a_nudge_and_replays_it_after_a_kill(tmp_path):
    job, run = begun(tmp_path)
    (nudged,) = told(run.path, "learning_rate=0.0005", jobs=tmp_path)["nudges"]
    assert (nudged["key"], nudged["old"], nudged["new"]) == ("optimiser.learning_rate", 0.003, 0.0005)
    assert nudged["step"] > 0
    job.send(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    resumed = fits.server().start("fit", "--resume", run.path, jobs=tmp_path)
    assert resumed.wait() == 0, resumed.stderr
    (row,) = journals(run)[1].read()
    assert row["step"] == nudged["step"]
    history = run.history.read()
    assert len(history) == 60
    for epoch in history:
        expected = 0.003 if epoch["step"] <= nudged["step"] else 0.0005
        assert epoch["learning_rate"] == expected


@pytest.mark.slow
def test_a_nudge_of_a_run_that_is_killed_waits_for_it(tmp_path):
    job, run = begun(tmp_path)
    job.send(signal.SIGTERM)
    assert job.wait() == 143
    (nudged,) = told(run.path, "weight_decay=0.2", jobs=tmp_path)["nudges"]
    assert nudged["step"] is None
    resumed = fits.server().start("fit", "--resume", run.path, jobs=tmp_path)
    assert resumed.wait() == 0, resumed.stderr
    assert "weight_decay" in resumed.stdout
    assert [row["new"] for row in journals(run)[1].read()] == [0.2]
