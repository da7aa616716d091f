"""Word vectors of a text, by one hash per seed; the verb on a run and on files: asks, scores, draws, debiases."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

import gnomon
from gnomon import crafts
from gnomon.cli import main
from gnomon.core.errors import StoppedError, UsageError
from gnomon.data.text.vectors import Vectors, binary_of, read_vectors
from gnomon.workflow.vectors import vectors
from tests.unit.data.text.test_debias import VALUES, WORDS


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    return crafts.load("word_vectors").write_sample(tmp_path_factory.mktemp("sample") / "words", seed=0)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("file") / "v.bin"
    path.write_bytes(binary_of(Vectors(WORDS, VALUES)))
    return path


ALL = {"subsample": 0}  # nine words are all frequent
MODELS = {"skipgram": ALL, "cbow": ALL, "glove": {}, "tree": {**ALL, "model": "skipgram", "negatives": 0}}


@pytest.mark.parametrize("model", MODELS)
def test_words_in_the_same_company_end_up_together(model, sample, tmp_path):
    given = {"model": model, "epochs": 60, "dims": 10, "learning_rate": 0.03, "window": 2, **MODELS[model]}
    made = gnomon.fit(sample, runs_folder=str(tmp_path), **given)
    assert made.measures["loss per pair"] < 0.8 * made.history[0]["measures"]["loss per pair"]
    if model == "glove":  # products of vectors are what it learns: nine words are too few for their angles
        return
    near = {word: [one.word for one in vectors(made.path, nearest=word, count=2).nearest] for word in ("cat", "bread")}
    assert set(near["cat"]) == {"dog", "cow"}
    assert set(near["bread"]) == {"fish", "grass"}


def test_one_seed_gives_one_set_of_vectors_at_any_number_of_threads(sample, tmp_path):
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        made = gnomon.fit(sample, runs_folder=str(tmp_path), epochs=2, dims=32, threads=threads)
        found.append(made.outputs)
    assert found[0] == found[1]
    assert torch.get_num_threads() == before


def test_another_optimiser_takes_the_way_of_autograd(sample, tmp_path):
    made = gnomon.fit(sample, runs_folder=str(tmp_path), epochs=20, optimiser="adam", learning_rate=0.01, dims=10)
    assert made.measures["loss per pair"] < made.history[0]["measures"]["loss per pair"]


def test_a_model_that_only_the_craft_has_chooses_it(sample, tmp_path):
    made = gnomon.fit(sample / "corpus.txt", model="cbow", runs_folder=str(tmp_path), epochs=1)
    assert made.folder.task == "word_vectors"
    with pytest.raises(UsageError, match="min_count=1000: fewer than two words"):
        gnomon.fit(sample, min_count=1000, runs_folder=str(tmp_path))


def test_the_terminal_answers_and_writes_what_comes_back(file, tmp_path, capsys):
    questions = tmp_path / "q.txt"
    questions.write_text(": family\nman woman king queen\n")
    command = ["vectors", str(file), "nearest=king", "analogy=man woman king", f"evaluate={questions}", "map=5"]
    assert main([*command, "to=glove", f"out={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    assert "8 words, 4 numbers each" in shown
    assert "queen" in shown
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"
    assert np.array_equal(read_vectors(tmp_path / "vectors.glove.txt").values, VALUES)
    assert main([*command, "to=vec", f"out={tmp_path}", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["analogies"]["questions"] == 1
    assert [Path(one).name for one in answer["files"]] == ["map-2.png", "vectors.vec"]


def test_a_bias_is_gone_from_what_is_asked_and_written(file, tmp_path, capsys):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "definitional_pairs.json").write_text('[["he", "she"], ["man", "woman"]]')
    (lists / "gender_specific_full.json").write_text('["he", "she", "man", "woman"]')
    assert main(["vectors", str(file), f"debias={lists}", "to=bin", f"out={tmp_path}"]) == 0
    assert "mean |cosine| with the direction" in capsys.readouterr().out
    found = vectors(tmp_path / "debiased.bin", debias=lists)
    assert found.debiased.before.direct < 1e-6
    with pytest.raises(UsageError, match="belong to debias="):
        vectors(file, direction="mean")
    with pytest.raises(UsageError, match="three words, got 2"):
        vectors(file, analogy="man woman")


@pytest.mark.parametrize("model", ["skipgram", "glove"])
def test_a_stopped_run_goes_on_to_the_same_bytes(model, sample, tmp_path):
    class Stops:
        def on_epoch(self, row):
            if row["epoch"] == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    given = (
        {"model": model, "epochs": 4, "dims": 8, "subsample": 0.01}
        if model == "skipgram"
        else {"model": model, "epochs": 4}
    )
    whole = gnomon.fit(sample, runs_folder=str(tmp_path / "whole"), **given)
    with pytest.raises(StoppedError):
        gnomon.fit(sample, runs_folder=str(tmp_path / "runs"), follower=Stops(), **given)
    again = gnomon.fit(resume=tmp_path / "runs" / "latest")
    assert again.measures == whole.measures
    assert dict(again.outputs) == dict(whole.outputs)
