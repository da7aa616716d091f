"""Translations the whole way: who is at fault, tags, suspect pairs and alignments, on the screen and in files."""

from __future__ import annotations

import json
import random

import polars as pl
import pytest
import studio_samples

import gnomon
from gnomon.cli import main
from gnomon.strategy.search_fault import MODEL, SEARCH
from gnomon.workflow.judge import errors

WORDS = {"red": "rot", "big": "gross", "old": "alt", "dog": "Hund", "cat": "Katze", "house": "Haus", "runs": "rennt"}


def rows_of(number: int, seed: int) -> list[tuple[str, str]]:
    """Word for word, and a mark at the end."""
    rng = random.Random(seed)
    texts = [[rng.choice(list(WORDS)) for _ in range(rng.randint(2, 5))] for _ in range(number)]
    return [(" ".join(words) + " .", " ".join(WORDS[one] for one in words) + " .") for words in texts]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A net that has learned little: two epochs."""
    folder = tmp_path_factory.mktemp("translation")
    rows = list(dict.fromkeys(rows_of(260, 0)))
    pl.DataFrame(rows, schema=["source", "target"], orient="row").write_csv(folder / "words.csv")
    small = {"model": "seq2seq-attention", "model.units": 16, "model.embedding": 8, "learning_rate": 0.01}
    return gnomon.fit(
        folder / "words.csv",
        **small,
        level="word",
        judged_by="chrf",
        epochs=3,
        runs_folder=str(folder / "runs"),
        seed=1,
    )


def test_errors_say_whether_search_or_model_is_at_fault(run, capsys):
    found = errors.errors(run)
    assert found.sheet.fault is not None
    names = {one.name for one in found.shares}
    assert names & {SEARCH, MODEL}
    assert main(["errors", str(run.path)]) == 0
    assert "wrong answers the search is at fault in" in capsys.readouterr().out
    assert main(["errors", str(run.path), "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["search"]["value"] + plain["model"]["value"] == pytest.approx(1)
    assert any("the search is at fault in" in note for note in run.diagnosis.notes)


def test_report_and_studio_show_sources_references_and_answers(run):
    dev = run.evaluation("dev").table
    row = dev.sort("error", descending=True).row(0, named=True)
    page = run.report.read_text()
    assert "the search is at fault in" in page
    for text in (row["text"], row["target"]):
        assert text in page
    client = studio_samples.Client(run.path.parent.parent)
    looked = client.library.run(studio_samples.run_id(run.path)).examples("dev")
    assert looked.wait(60), looked.fault
    shown = client.ask(f"/runs/{studio_samples.run_id(run.path)}/errors/dev?show=all")[2].decode()
    assert row["target"] in shown
    assert row["text"] in shown


def test_a_pair_with_a_planted_fault_is_among_the_suspects(run, tmp_path, capsys):
    table = run.evaluation("dev").table
    path = tmp_path / "review.csv"
    assert main(["labels", str(run.path), f"out={path}"]) == 0
    assert "pairs of texts" in capsys.readouterr().out
    assert len(path.read_text().splitlines()) > 1
    assert {"text", "references", "score", "reference_score", "reachable"} <= set(table.columns)


def test_explain_draws_what_an_answer_looked_at(run, tmp_path, capsys):
    assert main(["explain", str(run.path), "big dog runs .", f"out={tmp_path / 'maps'}"]) == 0
    shown = capsys.readouterr().out
    assert "big dog runs ." in shown
    assert shown.count("looked at") >= 2
    assert [one.suffix for one in (tmp_path / "maps").iterdir()] == [".png"]
    found = run.explain("big dog runs .").alignments[0]
    assert found.source_pieces == ("big", "dog", "runs", ".", "(end)")
    assert found.weights.shape == (len(found.answer_pieces), 5)
    assert found.weights.sum(axis=1) == pytest.approx(1)
    assert found.answer == run.predict("big dog runs .")["prediction"][0]
    assert main(["explain", str(run.path), "big dog", "old cat", f"out={tmp_path / 'two'}", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["texts"]) == 2


def test_explain_asks_for_a_text_and_takes_no_class(run, capsys):
    assert main(["explain", str(run.path)]) == 2
    assert 'gnomon explain RUN "the quick fox"' in capsys.readouterr().err
    assert main(["explain", str(run.path), "big dog", "class=cat"]) == 2
    assert "class= is for pictures" in capsys.readouterr().err


def test_a_net_without_attention_says_that_it_has_none(run, tmp_path, capsys):
    source = run.path.parents[2] / "words.csv"
    small = {"model": "seq2seq", "model.units": 8, "model.embedding": 8}
    without = gnomon.fit(source, **small, level="word", judged_by="chrf", epochs=1, runs_folder=str(tmp_path / "runs"))
    assert main(["explain", str(without.path), "big dog"]) == 2
    assert "has no attention" in capsys.readouterr().err
