"""The ladder of runs together and of crops, beside what NumPy and the saved tables say; gain and cost side by side."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon import tasks
from gnomon.cli.run_command import run_command
from gnomon.core.errors import UsageError
from gnomon.workflow.judge.gain import gain_of


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return tasks.load("image_classification").reader.write_sample(tmp_path_factory.mktemp("pictures") / "bars", 0)


@pytest.fixture(scope="module")
def runs(pictures, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("runs"))
    return [
        gnomon.fit(pictures, seed=seed, split_seed=3, dev=0.4, epochs=epochs, runs_folder=folder, run_name=f"r{seed}")
        for seed, epochs in enumerate((1, 12))
    ]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Two that predict one number from different columns, fitted and judged on the same rows."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 300))
    pl.DataFrame({"a": a, "b": b, "y": a + b + rng.normal(0, 0.1, 300)}).write_csv(folder / "rows.csv")
    return [
        gnomon.fit(
            folder / "rows.csv",
            target="y",
            ignore=ignored,
            seed=seed,
            split_seed=0,
            epochs=10,
            runs_folder=str(folder / "runs"),
            run_name=f"without-{ignored}",
        )
        for seed, ignored in enumerate("ab")
    ]


def test_split_seed_gives_runs_of_other_seeds_the_same_examples(runs):
    one, two = (run.folder.load_splits() for run in runs)
    assert one.equals(two)
    assert runs[0].settings.seed != runs[1].settings.seed


def test_the_ladder_of_runs_together_is_that_of_their_mean_probabilities(runs):
    tables = [run.evaluation("dev").table for run in runs]
    mean = np.mean([table.select("p.lying", "p.standing").to_numpy() for table in tables], axis=0)
    answers = np.array(["lying", "standing"])[mean.argmax(axis=1)]
    together = gnomon.Ensemble(runs).evaluation("dev").table
    assert together["id"].equals(tables[0]["id"])
    assert together["prediction"].to_list() == answers.tolist()
    wrong = float((answers != tables[0]["target"].to_numpy()).mean())
    rungs = {rung.name: rung for rung in gnomon.diagnose(runs).rungs}
    assert rungs["dev"].error == pytest.approx(wrong)
    assert {"train", "dev"} <= rungs.keys()
    assert "test" not in rungs


def test_runs_that_read_other_columns_are_averaged_as_numbers(tables):
    alone = [run.evaluation("dev").table for run in tables]
    mean = np.mean([table["prediction"].to_numpy() for table in alone], axis=0)
    off = np.abs(mean - alone[0]["target"].to_numpy()).mean()
    dev = next(rung for rung in gnomon.diagnose(tables).rungs if rung.name == "dev")
    assert dev.error == pytest.approx(off, rel=1e-6)


def test_the_test_split_stays_sealed(runs):
    found = gnomon.diagnose(runs, crops=10)
    assert found.test_openings == 0
    assert all(run.folder.num_openings == 0 and "test" not in run.folder.saved_predictions() for run in runs)
    with pytest.raises(UsageError, match="sealed"):
        gnomon.Ensemble(runs).evaluation("test")


def test_opening_test_together_is_counted_in_every_run_and_leaves_their_tables_alone(pictures, tmp_path, capsys):
    runs = [
        gnomon.fit(pictures, seed=seed, split_seed=3, epochs=1, runs_folder=str(tmp_path), run_name=f"r{seed}")
        for seed in (0, 1)
    ]
    names = ",".join(str(run.path) for run in runs)
    assert run_command(["test", names, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [gnomon.load(run.path).folder.num_openings for run in runs] == [1, 1]
    assert all("test" not in run.folder.saved_predictions() for run in runs)
    alone = [run.test().table for run in runs]  # counted again
    mean = np.mean([table.select("p.lying", "p.standing").to_numpy() for table in alone], axis=0)
    answers = np.array(["lying", "standing"])[mean.argmax(axis=1)]
    assert found["errors"]["test"]["error"] == pytest.approx(float((answers != alone[0]["target"].to_numpy()).mean()))
    assert gnomon.test(runs, crops=2).table.height == len(answers)
    assert [gnomon.load(run.path).folder.num_openings for run in runs] == [3, 3]


def test_gain_is_measured_against_the_best_of_the_runs(runs):
    gain = gain_of(gnomon.Ensemble(runs))
    errors = {run.path.name: float(run.evaluation("dev").table["error"].mean()) for run in runs}
    assert errors[gain.against] == min(errors.values()) < max(errors.values())
    assert gain.test.difference.value == pytest.approx(gain.dev.value - gain.dev_against.value)
    assert gain.latency.value > gain.latency_against.value


def test_the_command_shows_gain_beside_cost_and_python_the_same_errors(runs, capsys):
    names = ",".join(str(run.path) for run in runs)
    assert run_command(["diagnose", names, "crops=2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    dev = next(rung for rung in gnomon.diagnose(runs, crops=2).rungs if rung.name == "dev")
    assert found["errors"]["dev"]["error"] == dev.error == found["together"]["dev"]["value"]
    assert found["together"]["times_slower"] > 1
    assert found["together"]["paired"]["difference"]["low"] <= found["together"]["paired"]["difference"]["high"]
    assert run_command(["diagnose", names, "crops=2"]) == 0
    shown = capsys.readouterr().out
    assert "gain " in shown
    assert "times slower" in shown
    assert "paired " in shown


def test_compare_takes_crops_and_ensembles_with_their_latency(runs, capsys):
    names = ",".join(str(run.path) for run in runs)
    words = ["compare", str(runs[0].path), names, "crops=1,10", "latency_ms < 10000"]
    assert run_command([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    one, two = (run.path.name for run in runs)
    assert list(found["systems"]) == [one, f"{one} crops=10", f"{one} + {two}", f"{one} + {two} crops=10"]
    measures = [system["measures"] for system in found["systems"].values()]
    latencies = [one["latency_ms"]["value"] for one in measures]
    assert latencies[1] > 2 * latencies[0]
    assert latencies[3] > latencies[1]
    adds = [one["multiply_adds"]["value"] for one in measures]
    assert adds == [adds[0], 10 * adds[0], 2 * adds[0], 20 * adds[0]]
    assert found["winner"] in found["systems"]
    assert sum("averages mirror images" in note for note in found["notes"]) == 1  # these were trained on none
    # no view of a picture takes less than a hundredth of a microsecond
    assert run_command(["compare", names, str(runs[0].path), "latency_ms < 0.00001", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["winner"] is None


def test_one_run_is_compared_with_its_own_crops(runs):
    found = gnomon.compare(runs[0], crops=(1, 10))
    assert [system.name for system in found.systems] == [runs[0].path.name, f"{runs[0].path.name} crops=10"]
    assert len(found.against) == 1


def test_runs_judged_on_other_examples_are_refused_saying_what_differs(runs, pictures, tmp_path):
    other = gnomon.fit(pictures, seed=4, dev=0.4, epochs=1, runs_folder=str(tmp_path))
    with pytest.raises(UsageError, match=r"were judged on different examples: train has \d+ and \d+ examples, \d+ of"):
        gnomon.diagnose([runs[0], other])
    assert len(gnomon.predict([runs[0], other], pictures).table) == 40  # to predict, they need not be alike


def test_other_inputs_under_the_same_names_are_noticed(runs, pictures, tmp_path):
    import shutil

    from PIL import Image

    shutil.copytree(pictures, tmp_path / "bars")
    changed = tmp_path / "bars" / "lying" / "00.png"
    Image.fromarray(255 - np.asarray(Image.open(changed))).save(changed)
    other = gnomon.fit(tmp_path / "bars", seed=1, split_seed=3, dev=0.4, epochs=1, runs_folder=str(tmp_path / "runs"))
    with pytest.raises(UsageError, match="1 examples have the same id and other inputs"):
        gnomon.diagnose([runs[0], other])


def test_folds_are_not_judged_on_what_most_of_their_models_have_seen(pictures, tmp_path):
    run = gnomon.fit(pictures, folds=2, epochs=1, runs_folder=str(tmp_path))
    with pytest.raises(UsageError, match="has 2 folds"):
        gnomon.diagnose(run, crops=2)
    assert len(run.predict(pictures, crops=5)) == 40


@pytest.mark.parametrize("words", [["real=x.csv"], ["crops=7"]])
def test_what_does_not_fit_is_one_clear_error(runs, words, capsys):
    more = ["crops=10", *words] if "crops=7" not in words else words
    assert run_command(["diagnose", str(runs[0].path), *more]) == UsageError.exit_code
    assert "fix:" in capsys.readouterr().err


def test_a_table_of_predictions_has_no_crops(tmp_path, capsys):
    table = tmp_path / "answers.csv"
    table.write_text("split,id,target,prediction\ndev,1,a,a\ndev,2,b,a\n")
    assert run_command(["diagnose", f"predictions={table}", "crops=10"]) == UsageError.exit_code
    assert run_command(["compare", str(table), "crops=1,10"]) == UsageError.exit_code
    assert capsys.readouterr().err.count("no pictures to crop") == 2
