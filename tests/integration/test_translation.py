"""Pairs of texts the whole way: dates to one form, a toy language; n-best answers, bad input, one hash for one seed."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

import gnomon
from gnomon import tasks
from gnomon.cli import main
from gnomon.core.errors import DataError, UsageError

SMALL = {"model": "seq2seq-attention", "model.units": 32, "model.embedding": 16, "dropout": 0.0, "learning_rate": 0.02}
WORDS = {"dog": "hund", "cat": "katze", "house": "haus", "old": "alte", "red": "rote", "sees": "sieht", "the": "die"}


def toy(count, seed=0):
    """Sentences and their translations: word by word, the last word first."""
    rng = np.random.default_rng(seed)
    sources = [" ".join(rng.choice([*WORDS], int(rng.integers(4, 9)))) + " here" for _ in range(count)]
    return sources, [" ".join(WORDS.get(word, word) for word in reversed(text.split())) for text in sources]


def write_toy(folder, **counts):
    folder.mkdir()
    for seed, (name, count) in enumerate(counts.items()):
        for ending, lines in zip(("en", "xx"), toy(count, seed), strict=True):
            (folder / f"{name}.{ending}").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translation")
    data = write_toy(folder / "toy", train=300, val=30)
    return gnomon.fit(data, source="en", target="xx", **SMALL, epochs=8, runs_folder=str(folder / "runs"))


def test_a_toy_language_is_learned_and_judged_by_chrf(run):
    assert run.diagnosis.error_name == "1 - chrF"
    dev = run.evaluation("dev")
    assert dev.table["error"].mean() < 0.3
    floor = run.folder.load_floor()
    names = {floor.guess.name, *(one.name for one in floor.references)}
    assert {"the source itself", "the target of the nearest source"} <= names
    assert floor.best.error > dev.table["error"].mean()
    assert {"BLEU", "chrF", "TER", "exact match"} <= run.task.judge.metrics(dev).keys()


def test_the_n_best_answers_are_shown_and_written(run, capsys, tmp_path):
    out = tmp_path / "answers.json"
    words = ["beam=5", "n_best=3", "length_alpha=0.6", f"out={out}"]
    assert main(["predict", str(run.path), "the old dog sees the cat here", *words]) == 0
    [row] = json.loads(out.read_text())
    assert len(row["n_best"]) == 3
    assert row["n_best"][0]["prediction"] == row["prediction"]
    scores = [one["score"] for one in row["n_best"]]
    assert scores == sorted(scores, reverse=True)
    shown = " ".join(capsys.readouterr().out.split())
    assert all(" ".join(one["prediction"].split()) in shown for one in row["n_best"])


def test_settings_of_the_search_are_checked_at_predict(run):
    assert run.predict(["the red house here"], beam=1)["prediction"].to_list() != []
    with pytest.raises(UsageError, match="beam"):
        run.predict(["the red house here"], beam=0)
    with pytest.raises(UsageError, match="width= does nothing in gnomon predict of translation"):
        run.predict(["the red house here"], width=4)


def test_a_sentence_answers_the_same_alone_and_among_others(run):
    texts = toy(20, seed=9)[0]
    together = run.predict(texts)
    for row in (0, 7, 19):
        alone = run.predict([texts[row]])
        assert alone["prediction"][0] == together["prediction"][row]
        assert alone["score"][0] == pytest.approx(together["score"][row], abs=1e-5)


def test_odd_sources_are_answered_and_said(run):
    found = run.answers([" ".join(["dog"] * 40), "Ж Ж Ж", "the dog here"])
    assert len(found.table) == 3
    notes = " ".join(found.notes)
    assert "1 source longer than any in training" in notes
    assert "pieces of the sources are unknown to the model" in notes


def test_several_references_give_a_human_level(tmp_path):
    data = write_toy(tmp_path / "toy", train=60)
    sources, targets = toy(40, seed=5)
    (data / "val.en").write_text("\n".join(sources) + "\n")
    (data / "val.xx.0").write_text("\n".join(targets) + "\n")
    (data / "val.xx.1").write_text("\n".join(f"{text} genau" for text in targets) + "\n")
    run = gnomon.fit(data, source="en", **SMALL, epochs=1, runs_folder=str(tmp_path / "runs"))
    human = next(rung for rung in run.diagnosis.rungs if rung.name == "human")
    assert 0.0 < human.error < 0.2  # one word more


def test_one_seed_gives_one_hash(tmp_path):
    source = tasks.load("translation").reader.write_sample(tmp_path / "sample", seed=1)
    hashes = set()
    for place in ("one", "two"):
        run = gnomon.fit(source, **SMALL, epochs=2, runs_folder=str(tmp_path / place), seed=3)
        content = (run.path / "model" / "weights.safetensors").read_bytes()
        table = run.evaluation("dev").table
        hashes.add((hashlib.sha256(content).hexdigest(), table.write_csv()))
    assert len(hashes) == 1


def test_files_of_unequal_length_and_a_missing_side_are_one_error(tmp_path, capsys):
    data = write_toy(tmp_path / "toy", train=10)
    (data / "train.xx").write_text("ein hund\n")
    with pytest.raises(DataError, match=r"train\.en 10 and train\.xx 1"):
        gnomon.fit(data, source="en", target="xx", runs_folder=str(tmp_path / "runs"))
    assert main(["fit", str(data), "source=en", "target=yy", f"runs_folder={tmp_path / 'runs'}"]) == 2
    assert "there are no files that end in yy" in " ".join(capsys.readouterr().err.split())
