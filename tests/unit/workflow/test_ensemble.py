"""Runs that answer together, and views of a picture: means of what `predict` gives for each alone."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest
from PIL import Image

import gnomon
from gnomon import tasks
from gnomon.cli.run_command import run_command
from gnomon.core.errors import DataError, UsageError
from gnomon.workflow.ensemble import ensemble_of


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return tasks.load("image_classification").reader.write_sample(tmp_path_factory.mktemp("pictures") / "bars", 0)


@pytest.fixture(scope="module")
def runs(pictures, tmp_path_factory):
    """Three of one net that differ in their seed, judged on the same examples; the third sees larger pictures."""
    folder = str(tmp_path_factory.mktemp("runs"))
    return [
        gnomon.fit(
            pictures,
            augment="shift,mirror",
            seed=seed,
            split_seed=5,
            epochs=3,
            runs_folder=folder,
            run_name=f"r{seed}",
            **more,
        )
        for seed, more in enumerate(({}, {}, {"image_size": 16}))
    ]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("tables"))
    common = {"split_seed": 0, "epochs": 3, "runs_folder": folder}
    return [gnomon.fit("diabetes", seed=seed, run_name=f"t{seed}", **common) for seed in (0, 1)]


def probabilities(table: pl.DataFrame) -> np.ndarray:
    return table.select(pl.col("^p\\..*$")).to_numpy()


def test_an_ensemble_answers_with_the_mean_of_its_runs_probabilities(runs, pictures):
    alone = [probabilities(run.predict(pictures)) for run in runs]
    together = gnomon.predict(runs, pictures).table
    assert probabilities(together) == pytest.approx(np.mean(alone, axis=0), abs=1e-6)
    assert np.ptp(np.stack(alone), axis=0).max() > 0.01  # they do not all say the same


def test_an_ensemble_of_one_run_three_times_is_that_run(runs, pictures):
    once, thrice = runs[0].predict(pictures), gnomon.Ensemble([runs[0]] * 3).predict(pictures)
    assert thrice["prediction"].equals(once["prediction"])
    assert probabilities(thrice) == pytest.approx(probabilities(once), abs=1e-6)


def test_an_ensemble_for_numbers_answers_with_the_mean_of_its_runs_numbers(tables):
    alone = [run.predict("diabetes")["prediction"].to_numpy() for run in tables]
    together = gnomon.predict(tables, "diabetes").table["prediction"].to_numpy()
    assert together == pytest.approx(np.mean(alone, axis=0), rel=1e-9)
    assert not np.allclose(*alone, rtol=1e-3)


def test_crops_answer_with_the_mean_over_pictures_that_pillow_cut(runs, pictures, tmp_path):
    """12 x 12 pictures padded by one pixel of their border: what `crops=10` sees, written as files of its own."""
    paths = sorted(pictures.rglob("*.png"))[:6]
    for number, path in enumerate(paths):
        picture = Image.fromarray(np.pad(np.asarray(Image.open(path)), 1, mode="edge"))
        for view, (left, top) in enumerate([(1, 1), (0, 0), (2, 0), (0, 2), (2, 2)]):
            cut = picture.crop((left, top, left + 12, top + 12))
            for side, one in enumerate((cut, cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT))):
                (tmp_path / f"{side}{view}").mkdir(exist_ok=True)
                one.save(tmp_path / f"{side}{view}" / f"{number}.png")
    each = {one.name: probabilities(runs[0].predict(one)) for one in tmp_path.iterdir()}
    for crops, names in {1: ["00"], 2: ["00", "10"], 5: [f"0{k}" for k in range(5)], 10: list(each)}.items():
        found = probabilities(runs[0].predict(paths, crops=crops))
        assert found == pytest.approx(np.mean([each[name] for name in names], axis=0), abs=1e-6), crops
    assert np.ptp(np.stack(list(each.values())), axis=0).max() > 0.01


def test_two_views_of_a_picture_that_is_its_own_mirror_image_are_one(runs, pictures, tmp_path):
    for path in sorted(pictures.rglob("*.png"))[:4]:
        half = np.asarray(Image.open(path))[:, :6]
        Image.fromarray(np.concatenate([half, half[:, ::-1]], axis=1)).save(tmp_path / f"{path.parent.name}{path.name}")
    once, twice = (probabilities(runs[0].predict(tmp_path, crops=crops)) for crops in (1, 2))
    assert twice == pytest.approx(once, abs=1e-6)


def test_answers_repeat_bit_for_bit(runs, pictures):
    one, two = (gnomon.predict(runs, pictures, crops=10).table for _ in range(2))
    assert one.equals(two)


def test_command_line_and_python_give_the_same(runs, pictures, tmp_path, capsys):
    names = ",".join(str(run.path) for run in runs)
    assert run_command(["predict", names, str(pictures), "crops=5", f"out={tmp_path / 'answers.csv'}", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["predictions"]
    found = gnomon.predict(runs, pictures, crops=5).table
    assert shown == found.to_dicts()
    assert (tmp_path / "answers.csv").is_file()
    assert gnomon.Ensemble(names.split(","), crops=5).predict(pictures).equals(found)
    assert gnomon.Ensemble(runs, 5).predict_proba(pictures) == pytest.approx(probabilities(found), abs=1e-6)


def test_mirror_images_that_the_model_was_not_trained_on_are_an_alarm(runs, pictures, tmp_path):
    shifted = gnomon.fit(pictures, augment="shift", epochs=1, runs_folder=str(tmp_path))
    alarms = [gnomon.predict(run, pictures, crops=crops).alarms for run in (shifted, runs[0]) for crops in (2, 5)]
    assert "averages mirror images, which this model was not trained on" in alarms[0][0]
    assert alarms[1:] == [(), (), ()]


def test_a_comma_in_a_folders_name_is_no_list(runs, tmp_path):
    there = tmp_path / "a,b"
    shutil.copytree(runs[0].path, there)
    assert len(ensemble_of(str(there)).runs) == 1


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        (7, r"crops=7 is not one of 1, 2, 5, 10\."),
        ("many", "crops=many is not a whole number"),
        (0, "crops=0 is not one of"),
    ],
)
def test_a_number_of_crops_that_there_is_not_is_refused(runs, pictures, crops, message):
    with pytest.raises(UsageError, match=message):
        runs[0].predict(pictures, crops=crops)


def test_crops_of_a_table_are_refused(tables):
    with pytest.raises(UsageError, match=r"crops=10 is for pictures with classes, and this run is tabular regression"):
        tables[0].predict("diabetes", crops=10)


def test_runs_of_other_tasks_targets_or_classes_are_refused_saying_what_differs(runs, tables, pictures, tmp_path):
    with pytest.raises(UsageError, match="one is image classification, the other tabular regression"):
        gnomon.Ensemble([runs[0], tables[0]])
    others = tmp_path / "others"
    shutil.copytree(pictures, others)
    (others / "standing").rename(others / "tilted")
    other = gnomon.fit(others, epochs=1, runs_folder=str(tmp_path / "runs"))
    with pytest.raises(UsageError, match="only the first has 'standing' and only the second has 'tilted'"):
        gnomon.Ensemble([runs[0], other])
    rows = pl.DataFrame({"a": range(60), "b": [k % 7 for k in range(60)], "c": [k % 5 for k in range(60)]})
    rows.cast(pl.Float64).write_csv(tmp_path / "rows.csv")
    by_target = [
        gnomon.fit(
            tmp_path / "rows.csv", target=name, task="tabular_regression", epochs=1, runs_folder=str(tmp_path / "r")
        )
        for name in ("b", "c")
    ]
    with pytest.raises(UsageError, match="one predicts b and one predicts c"):
        gnomon.Ensemble(by_target)


def test_an_empty_name_between_commas_is_refused(runs, pictures):
    with pytest.raises(UsageError, match="names a run that is empty"):
        gnomon.predict(f"{runs[0].path},", pictures)


def test_inputs_that_the_runs_read_differently_are_refused(runs, pictures, tmp_path):
    small = gnomon.fit(pictures, epochs=1, max_pixels=200, runs_folder=str(tmp_path / "runs"))
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "large.png")
    Image.fromarray(np.zeros((12, 12), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(DataError, match="read different examples here: 2 and 1"):
        gnomon.predict([runs[0], small], [tmp_path / "large.png", tmp_path / "small.png"])
