"""compare, mismatch and labels take the runs of every task there is, or refuse them kindly."""

from __future__ import annotations

import json

import pytest

import gnomon
from gnomon import tasks
from gnomon.cli import main


@pytest.mark.parametrize("name", tasks.names())
def test_every_tasks_runs_are_compared_and_audited_or_refused_kindly(name, tmp_path, capsys):
    source = tasks.load(name).reader.write_sample(tmp_path / "sample", seed=3)
    settings = {"task": name, "epochs": 1, "runs_folder": str(tmp_path / "runs")}
    runs = [
        gnomon.fit(source, **settings, run_name=word, learning_rate=rate) for word, rate in (("a", 0.01), ("b", 0.02))
    ]
    capsys.readouterr()
    assert main(["compare", *(str(run.path) for run in runs), "size_mb <= 1000", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["winner"] in {run.path.name for run in runs}
    assert found["against"] or runs[0].task.judge.error_unit is None
    for command in ("mismatch", "labels"):
        code = main([command, str(runs[0].path), "--json"])
        answer = json.loads(capsys.readouterr().out)
        assert code in (0, 2, 3), answer
        assert code == 0 or answer["error"]["fix"]
