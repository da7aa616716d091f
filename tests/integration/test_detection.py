"""Detection from the command line and from Python: what a run can do with boxes beyond what every task does."""

from __future__ import annotations

import json
import os
import shutil
import signal

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

import gnomon
from gnomon import tasks
from gnomon.cli import main
from gnomon.data.annotations.reading import read_annotations, tree_of
from gnomon.data.opening import open_source

KIND = tasks.load("detection")
QUICK = {"model": "yolo-notes", "epochs": 4, "seed": 5}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return KIND.reader.write_sample(tmp_path_factory.mktemp("detection") / "cells", seed=3)


@pytest.fixture(scope="module")
def run(source):
    return gnomon.fit(source, **QUICK, runs_folder=str(source.parent / "runs"))


def printed(capsys, *words):
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def middle(run):
    """The median score of all boxes on dev: so short a training is not sure of any."""
    return float(np.median([box[5] for text in run.evaluation("dev").table["prediction"] for box in json.loads(text)]))


def test_boxes_are_written_one_by_one_and_read_as_a_table_of_boxes(run, source, tmp_path):
    answers = gnomon.predict(run, source, threshold=middle(run), out=tmp_path / "found.csv")
    rows = pl.read_csv(tmp_path / "found.csv")
    assert rows.columns == ["file", "class", "left", "top", "right", "bottom", "score"]
    assert len(rows) == sum(len(json.loads(text)) for text in answers.table["prediction"]) > 0
    assert (rows["score"] >= middle(run)).all()
    shutil.copytree(source / "JPEGImages", tmp_path / "JPEGImages")
    again = read_annotations(tree_of(open_source(tmp_path)), gnomon.core.settings.from_flat({}).data)
    assert len(again.boxes) == len(rows)


def test_json_has_an_entry_for_every_picture_and_numbers_not_texts(run, source, tmp_path):
    gnomon.predict(run, source, threshold=0.9999, out=tmp_path / "found.json")
    entries = json.loads((tmp_path / "found.json").read_text())
    assert len(entries) == 24
    assert entries[0]["prediction"] == []
    assert (entries[0]["width"], entries[0]["height"]) == (48, 48)


def test_a_lower_threshold_gives_more_boxes_and_the_runs_own_is_the_one_chosen_on_dev(run, source, capsys):
    def count(*words):
        return sum(
            len(one["prediction"]) for one in printed(capsys, "predict", run.path, source, *words)["predictions"]
        )

    own = run.task.judge.threshold
    assert count("threshold=0.01") > count(f"threshold={middle(run)}") > 0
    assert count() == count(f"threshold={own}")
    assert json.loads((run.path / "model" / "task.json").read_text())["facts"]["judge"]["threshold"] == own


def test_pictures_are_drawn_beside_the_runs_and_the_data_stays_as_it_is(run, source, capsys):
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    drawn = printed(capsys, "predict", run.path, source / "JPEGImages" / "00.png", source / "JPEGImages", "draw=yes")[
        "drawn"
    ]
    assert len(drawn) == 24  # the picture that is given twice is drawn once
    assert {path.rpartition("/")[0] for path in drawn} == {str(run.path.parent.parent / "predict" / run.path.name)}
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before
    assert np.asarray(Image.open(drawn[0])).shape == (336, 336, 3)


def test_options_of_boxes_are_refused_elsewhere(tmp_path, capsys):
    digits = gnomon.fit("digits", epochs=1, runs_folder=str(tmp_path / "runs"))
    for words, message in (
        ("threshold=0.5", "threshold= is for boxes with scores"),
        ("draw=yes", "draw=yes is for what is found in pictures"),
        ("tiles=yes", "tiles=yes is for boxes"),
    ):
        assert main(["predict", str(digits.path), "digits", words]) != 0
        assert message in capsys.readouterr().err


class StopAfterOne:
    """As Ctrl-C in the second epoch."""

    def on_ready(self, ready):
        self.folder = ready.folder

    def on_epoch(self, _row):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_stopped_training_goes_on_bit_for_bit(source, run, tmp_path):
    stop = StopAfterOne()
    with pytest.raises(gnomon.core.errors.StoppedError):
        gnomon.fit(source, **QUICK, runs_folder=str(tmp_path / "runs"), follower=stop)
    resumed, whole = gnomon.fit(resume=stop.folder), run.model.state_dict()
    assert all(torch.equal(tensor, whole[name]) for name, tensor in resumed.model.state_dict().items())
    assert resumed.evaluation("dev").table.equals(run.evaluation("dev").table)


def test_the_floor_answers_every_picture_alike(run):
    floor = run.diagnosis.floor
    assert floor.guess.name == "the same boxes everywhere"
    assert 0 < floor.guess.low <= floor.guess.error <= floor.guess.high <= 1
    dev = run.evaluation("dev").table
    _, answers = run.task.judge.guess(run.evaluation("train").table, dev)
    assert answers.n_unique() == 1  # the pictures of the sample are of one size
    error = run.task.judge.split_error(dev.with_columns(prediction=answers))
    assert error(np.ones(len(dev))) == pytest.approx(floor.guess.error)


def test_an_archive_is_read_as_its_folder(source, run, tmp_path):
    packed = shutil.make_archive(str(tmp_path / "cells"), "zip", source.parent, "cells")
    table = gnomon.predict(run, packed).table
    assert table["prediction"].to_list() == gnomon.predict(run, source).table["prediction"].to_list()


def test_latency_and_size_can_be_conditions(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "again")
    found = gnomon.compare(run, tmp_path / "again", "latency_ms <= 100000", "size_mb <= 1000", metric="mAP@0.5")
    assert found.choice.winner is not None
    measures = found.choice.winner.measures
    assert measures["latency_ms"].value > 0
    assert "COCO AP" in measures


def test_a_class_that_training_never_had_is_an_error_and_no_picture_is_skipped(source, tmp_path):
    shutil.copytree(source, tmp_path / "other")
    for page in (tmp_path / "other" / "Annotations").iterdir():
        page.write_text(page.read_text().replace("disc", "ring"))
    with pytest.raises(gnomon.GnomonError, match=r"class 'ring' is not among the 2 classes .*disc, square"):
        gnomon.fit(source, **QUICK, target_data=str(tmp_path / "other"), runs_folder=str(tmp_path / "runs"))


def test_other_data_is_judged_beside_train(source, tmp_path):
    other = KIND.reader.write_sample(tmp_path / "other", seed=9)
    run = gnomon.fit(source, **{**QUICK, "epochs": 1}, target_data=str(other), runs_folder=str(tmp_path / "runs"))
    assert {"train", "train_dev", "dev"} <= {rung.name for rung in run.diagnosis.rungs}


def test_the_screen_counts_boxes_and_says_where_pictures_are(run, source, capsys):
    assert main(["predict", str(run.path), str(source), "threshold=0.01", "draw=yes"]) == 0
    shown = capsys.readouterr().out
    assert "disc" in shown or "square" in shown
    assert "[[" not in shown
    assert f"drawn in {run.path.parent.parent / 'predict' / run.path.name}" in "".join(shown.split("\n"))
