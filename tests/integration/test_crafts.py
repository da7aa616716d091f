"""A craft's run resumes bit for bit after a kill or a stop, keeps to its time, and has no ladder to ask for."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import studio_samples as samples

import gnomon
from gnomon import crafts, tasks
from gnomon.cli import main
from gnomon.core.errors import DataError, DivergedError, StoppedError, UsageError
from gnomon.core.settings import from_flat
from gnomon.runs.reader import read_manifest
from gnomon.workflow.made import Made
from gnomon.workflow.road.open import open_data
from gnomon.workflow.road.recognise import recognise_work

NAMES = ("forgers", "near_words")


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    kept: dict[str, Path] = {}

    def written(name: str) -> Path:
        if name not in kept:
            kept[name] = crafts.load(name).write_sample(tmp_path_factory.mktemp(name) / "sample", seed=3)
        return kept[name]

    return written


@pytest.fixture(scope="module", params=NAMES)
def whole(request, sample, tmp_path_factory) -> Made:
    """A craft's run that was never interrupted."""
    return gnomon.fit(sample(request.param), runs_folder=str(tmp_path_factory.mktemp("whole")), epochs=5)


def what_it_made(made: Made) -> tuple[object, ...]:
    """All that two runs must have in common, byte by byte: outputs, measures, and the state after the last step."""
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in made.history]
    last = made.folder.latest_checkpoint()
    state = {name: content for name, content in last.files.items() if name != "state.json"}
    counters = {key: value for key, value in json.loads(last.files["state.json"]).items() if key != "seconds"}
    return dict(made.outputs), rows, state, counters


KILLED = {  # where, and the step that the newest checkpoint is of then
    "within an epoch": ("_step", "state.counters.step == 13", 13),
    "after a row, before its checkpoint": ("_end_epoch", "state.counters.step == 18", 17),
}


@pytest.mark.parametrize("where", KILLED)
def test_a_killed_run_goes_on_to_the_same_bytes(where, whole, sample, tmp_path):
    name, (function, when, step) = whole.folder.task, KILLED[where]
    if name == "near_words" and function == "_end_epoch":
        when, step = "state.counters.step == 20", 19
    code = (
        "import os, signal, sys, gnomon\n"
        "from gnomon.training import making\n"
        f"whole = making.{function}\n"
        "def mine(job, state):\n"
        f"    dies = {when}\n"
        "    if dies and whole.__name__ == '_end_epoch':\n"
        "        whole(job, state)\n"
        "    if dies:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return whole(job, state)\n"
        f"making.{function} = mine\n"
        "gnomon.fit(sys.argv[1], runs_folder=sys.argv[2], epochs=5, save_every=0.000001)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(sample(name)), str(tmp_path / "runs")], check=False)
    assert done.returncode == -signal.SIGKILL
    killed = Made.open(tmp_path / "runs" / "latest")
    assert killed.outcome is None
    assert killed.folder.latest_checkpoint().step == step
    with pytest.raises(UsageError, match="has no outputs yet"):
        _ = killed.outputs
    again = gnomon.fit(resume=killed)
    assert again.path == killed.path
    assert what_it_made(again) == what_it_made(whole)


def test_a_run_stopped_by_a_signal_goes_on_to_the_same_bytes(whole, sample, tmp_path):
    class Stops:
        def on_epoch(self, row):
            if row["epoch"] == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError, match=r"its state is saved.*continue with: gnomon fit --resume"):
        gnomon.fit(sample(whole.folder.task), runs_folder=str(tmp_path / "runs"), epochs=5, follower=Stops())
    stopped = Made.open(tmp_path / "runs" / "latest")
    assert [row["epoch"] for row in stopped.history] == [1, 2]
    assert what_it_made(gnomon.fit(resume=stopped)) == what_it_made(whole)


def test_a_finished_run_comes_back_as_it_is(whole):
    before = {path: path.stat().st_mtime_ns for path in whole.path.rglob("*") if path.is_file()}
    assert gnomon.fit(resume=whole).measures == whole.measures
    after = {path: path.stat().st_mtime_ns for path in whole.path.rglob("*") if path.is_file()}
    assert {path for path in after if before.get(path) != after[path]} <= {whole.path / "lock"}


def test_the_same_seed_makes_the_same_and_another_seed_another(whole, sample, tmp_path):
    name = whole.folder.task
    again = gnomon.fit(sample(name), runs_folder=str(tmp_path), epochs=5, run_name="again")
    assert what_it_made(again) == what_it_made(whole)
    other = gnomon.fit(sample(name), runs_folder=str(tmp_path), epochs=5, seed=1)
    assert dict(other.outputs) != dict(whole.outputs)


def test_it_keeps_to_its_time_and_says_so(sample, tmp_path, capsys):
    made = gnomon.fit(sample("forgers"), runs_folder=str(tmp_path), epochs=100_000, max_time=0.5)
    assert made.outcome["ended_because"] == "max_time"
    assert made.outcome["steps"] == made.history[-1]["step"] < 600_000
    assert main(["show", str(made.path)]) == 0
    assert f"max_time stopped it at step {made.outcome['steps']:,}" in capsys.readouterr().out


def test_other_material_is_not_gone_on_with(sample, tmp_path):
    class Stops:
        def on_epoch(self, row):
            os.kill(os.getpid(), signal.SIGTERM)

    mine = crafts.load("forgers").write_sample(tmp_path / "mine", seed=3)
    with pytest.raises(StoppedError):
        gnomon.fit(mine, runs_folder=str(tmp_path / "runs"), follower=Stops())
    (mine / "numbers.txt").write_text("1\n2\n3\n")
    with pytest.raises(DataError, match="the data is not what this run was made from"):
        gnomon.fit(resume=tmp_path / "runs" / "latest")


def test_a_loss_that_is_no_number_ends_it_with_a_way_out(sample, tmp_path):
    with pytest.raises(DivergedError, match=r"the loss is not a finite number at step \d+ .*start again with"):
        gnomon.fit(sample("near_words"), runs_folder=str(tmp_path), optimiser="sgd", learning_rate=1e6)


# --- what a person sees -----------------------------------------------------------------------------------------------
def test_the_terminal_shows_measures_where_others_have_errors(sample, capsys):
    assert main(["fit", str(sample("forgers")), "epochs=2"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"making +numbers made up of 200 numbers", shown)
    assert re.search(r"^ +2/2 +\d\.\d+ +\d+\.\d\d % ", shown, re.MULTILINE)
    assert "lower is better" in shown
    assert "made.txt" in shown
    assert main(["show", "latest"]) == 0
    assert "distance of the quantiles" in capsys.readouterr().out
    assert main(["fit", "--resume", "runs/latest"]) == 0
    assert "this run was already finished" in capsys.readouterr().out
    assert main(["show", "latest", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["measures"]["taken for true"]["unit"] == "share"
    assert told["outputs"] == [
        {"name": "made.txt", "bytes": len((Path(told["run"]) / "outputs/made.txt").read_bytes())}
    ]


NEEDS_A_LADDER = (
    "diagnose RUN", "errors RUN", "labels RUN", "test RUN", "compare RUN RUN", "mismatch RUN", "probe RUN time=5s",
    "improve RUN time=5s", "predict RUN numbers.txt", "nudge RUN learning_rate=0.1",
)  # fmt: skip


@pytest.mark.parametrize("command", NEEDS_A_LADDER)
def test_verbs_that_need_a_ladder_refuse_a_crafts_run_in_one_line(command, whole, capsys):
    assert main(command.replace("RUN", str(whole.path)).split()) == 2
    told = capsys.readouterr().err
    assert "was made by the craft" in told
    assert "there is no ladder" in told
    assert len(told.strip().splitlines()) == 2  # what is wrong, and what to do


@pytest.mark.parametrize(
    "command", ["check DATA", "lr DATA", "peek DATA", "tune DATA", "improve DATA time=5s", "labels DATA"]
)
def test_verbs_that_need_a_ladder_refuse_what_is_for_a_craft_in_one_line(command, sample, capsys):
    assert main(command.replace("DATA", str(sample("forgers"))).split()) == 2
    told = capsys.readouterr().err
    assert "a craft: it has measures instead of errors" in told
    assert len(told.strip().splitlines()) == 2
    assert not Path("runs").exists() or not list(Path("runs").glob("*/*/manifest.json"))


def test_settings_that_need_examples_are_refused_and_those_of_the_craft_are_not(sample):
    for given in ({"dropout": 0.3}, {"dev": 0.2}, {"model": "dense"}, {"patience": 3}, {"human": 0.1}):
        with pytest.raises(UsageError, match="would have no effect here: it needs examples"):
            gnomon.fit(sample("near_words"), epochs=1, **given)
    with pytest.raises(UsageError, match="batch_size=4 would have no effect here"):
        gnomon.fit(sample("near_words"), epochs=1, batch_size=4)  # it looks at the whole text in every step
    with pytest.raises(UsageError, match="precision=bfloat16 would have no effect here"):
        gnomon.fit(sample("near_words"), epochs=1, precision="bfloat16")  # its step is its own
    made = gnomon.fit(sample("near_words"), epochs=1, dims=3)
    assert len(made.outputs["vectors.tsv"].split(b"\n")[0].split(b"\t")) == 1 + 3
    assert gnomon.fit(sample("forgers"), epochs=1, batch_size=4).outcome["steps"] == 200 // 4


def test_settings_of_a_craft_are_listed_as_they_would_be_filled_in(capsys):
    assert main(["settings", "near_words"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"task\.dims +8 +numbers in a vector\n", shown)
    assert re.search(r"optimiser\.learning_rate +0\.05 ", shown)
    assert re.search(r"split\.dev .*no effect here: it needs examples", shown)


def test_a_task_that_is_surer_takes_the_data(sample, monkeypatch):
    source = sample("forgers")
    opened = open_data(source, from_flat({}))
    assert recognise_work(opened).craft.name == "forgers"
    chosen = open_data(source, from_flat({"task": "spelled_numbers"}))
    assert recognise_work(chosen).task.name == "spelled_numbers"
    kind = type(crafts.load("forgers"))
    unsure = kind.claim(crafts.load("forgers"), opened.source, opened.settings.data)
    monkeypatch.setattr(kind, "claim", lambda *_: type(unsure)(0.85, "perhaps"))
    reader = type(tasks.load("spelled_numbers").reader)
    monkeypatch.setattr(reader, "claim", lambda *_: type(unsure)(0.9, "rather"))
    assert recognise_work(opened).task.name == "spelled_numbers"


def test_an_unknown_name_is_refused_naming_tasks_and_crafts(sample):
    with pytest.raises(UsageError, match=r"no task or craft named 'near_word'\. Fix: did you mean near_words\?"):
        gnomon.fit(sample("near_words"), task="near_word")


def test_the_studio_lists_it_as_made_with_its_first_measure(whole):
    client = samples.Client(whole.path.parent.parent)
    status, _, page = client.ask("/")
    value = whole.measures[next(iter(whole.measures))]
    text = page.decode().replace("\u00a0", " ")
    assert status == 200
    assert '<span class="badge">made</span>' in text
    assert re.search(rf"{whole.card['measures'][0]['name']} {re.escape(f'{value:.3g}'[:4])}", text)
    here = f"/runs/{samples.run_id(whole.path)}"
    status, _, page = client.ask(here)
    assert status == 200
    assert "it has measures and no ladder" in page.decode()
    assert page.decode().count('<svg class="curves"') == len(whole.measures)
    for place in ("/errors/dev", "/labels/dev", "/live"):
        status, _, page = client.ask(f"{here}{place}", headers={"accept": "text/html"})
        assert 400 <= status < 500
        assert "was made by the craft" in page.decode()


def test_the_manifest_says_of_which_kind_the_run_is(whole):
    assert read_manifest(whole.path)["kind"] == "craft"
    with pytest.raises(UsageError, match="there is no ladder"):
        gnomon.load(whole.path)
    assert gnomon.show(whole).measures == whole.measures
