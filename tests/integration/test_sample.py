"""gnomon sample: from trained models, as their own softmax says; deterministic by seed; bad options refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

import gnomon
from gnomon.cli import main
from gnomon.core.errors import UsageError
from gnomon.data.text.tokens import END, SPECIAL, UNKNOWN, Numbering
from gnomon.workflow.sample import samples_of

NAMES = ["anna", "ann", "bob", "bobby", "hanna", "nan", "banana", "abba"]
FITS = {
    "lstm": {"model.units": 16, "model.layers": 1, "model.embedding": 8},
    "transformer": {"model.width": 16, "model.layers": 2, "model.heads": 2},
}


@pytest.fixture(scope="module", params=FITS)
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "names.txt").write_text("\n".join(NAMES * 8) + "\n")
    return gnomon.fit(
        folder / "names.txt", model=request.param, epochs=8, learning_rate=0.02, batch_size=16, each="line",
        runs_folder=str(folder / "runs"), **FITS[request.param],
    )  # fmt: skip


@pytest.fixture(scope="module")
def of_a_running_text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("running")
    (folder / "abc.txt").write_text("abcdefgh" * 400 + "\n")
    return gnomon.fit(
        folder / "abc.txt", epochs=6, window=24, learning_rate=0.02, batch_size=16, runs_folder=str(folder / "runs"),
        **FITS["lstm"],
    )  # fmt: skip


def said_after(run, text: str) -> np.ndarray:
    """(V,) float64 logits of the next piece, by one forward pass over the whole text."""
    numbering = Numbering(run.task.head.vocabulary, run.task.head.level)
    ids = torch.from_numpy(np.concatenate([[END], numbering.ids(text)]).astype(np.int64))[None]
    with torch.no_grad():
        return run.model(ids, torch.tensor([ids.shape[1]]))[0, -1].double().numpy()


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_the_next_piece_is_drawn_as_the_softmax_says(run, temperature):
    count, prefix = 4_000, "ba"
    texts = run.sample(prefix, count=count, length=1, temperature=temperature)
    logits = said_after(run, prefix) / temperature
    logits[[0, UNKNOWN]] = -np.inf
    expected = np.exp(logits - logits.max())
    expected /= expected.sum()
    pieces = run.task.head.vocabulary
    seen = {text.removeprefix(prefix): 0 for text in ["", *(prefix + piece for piece in pieces)]}
    for text in texts:
        seen[text.removeprefix(prefix)] += 1
    wanted = np.array([expected[END], *expected[SPECIAL:]])
    found = np.array([seen[""], *(seen[piece] for piece in pieces)])
    is_rare = wanted * count < 5  # as the test wants it: rare ones together
    together = [np.append(one[~is_rare], one[is_rare].sum()) for one in (found, count * wanted)]
    if not is_rare.any():
        together = [one[:-1] for one in together]
    assert chisquare(*together).pvalue > 0.001


def test_each_further_piece_follows_from_all_before_it(run):
    text = run.sample("b", length=run.task.encoder.length - 2, temperature=0.0)[0]  # as much as one pass reads
    for end in range(1, len(text)):
        logits = said_after(run, text[:end])
        logits[[0, UNKNOWN]] = -np.inf
        assert run.task.head.vocabulary[int(logits.argmax()) - SPECIAL] == text[end]


def test_the_same_seed_gives_the_same_texts_and_a_text_is_the_same_among_more(run):
    texts = run.sample(count=6, seed=3)
    assert texts == run.sample(count=6, seed=3)
    assert texts[:2] == run.sample(count=2, seed=3)
    assert texts != run.sample(count=6, seed=4)


def test_names_end_and_top_k_one_is_the_likeliest(run):
    texts = run.sample(count=40)
    assert {len(text) for text in texts} != {run.task.encoder.length - 1}  # not all went on to the end
    assert run.sample("h", top_k=1, count=2) == run.sample("h", temperature=0, count=2)


def test_unknown_pieces_come_only_where_they_are_not_rejected(run):
    with torch.no_grad():
        run.model.head.bias[UNKNOWN] += 20.0
    try:
        assert all("\N{REPLACEMENT CHARACTER}" in text for text in run.sample(count=5, length=8, reject="none"))
        assert not any("\N{REPLACEMENT CHARACTER}" in text for text in run.sample(count=50, length=8))
    finally:
        with torch.no_grad():
            run.model.head.bias[UNKNOWN] -= 20.0


def test_unknown_pieces_of_the_prefix_are_named(run):
    found = gnomon.sample(run, "é-é")
    assert found.notes == ("the model does not know these characters of the prefix: 'é', '-'",)
    assert found.texts[0].startswith("é-é")
    with pytest.warns(UserWarning, match="does not know these characters"):
        run.sample("é")


def test_a_running_text_goes_on_beyond_what_the_model_saw_at_a_time(of_a_running_text):
    text = of_a_running_text.sample("abc", length=60, temperature=0)[0]
    assert text == ("abcdefgh" * 8)[:63]
    assert all(len(one) == 24 for one in of_a_running_text.sample(count=20, temperature=3.0))  # nothing ends it


def test_the_command_line_draws_what_python_draws(run, capsys):
    options = ["prefix=an", "temperature=0.8", "top_k=40", "top_p=0.95", "count=3", "reject=unknown", "length=7"]
    assert main(["sample", str(run.path), *options, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["samples"] == run.sample("an", temperature=0.8, top_k=40, top_p=0.95, count=3, length=7)
    assert main(["sample", str(run.path), "count=2"]) == 0
    assert "--- 2" in capsys.readouterr().out


def test_the_report_shows_a_few(run):
    texts = samples_of(run)
    assert len(texts) == 3
    page = run.report.read_text(encoding="utf-8")
    assert "What it writes" in page
    assert all(text in page for text in texts)
    assert "<dt>truth</dt>" not in page  # the text itself stands there already
    assert "check whether the label is right" not in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, r"temperature=-1 is not a number from 0 up"),
        ({"temperature": "nan"}, r"temperature=nan is not"),
        ({"top_p": 0}, r"top_p=0 is not above 0"),
        ({"top_p": 1.5}, r"top_p=1.5 is not above 0 and at most 1"),
        ({"top_k": -3}, r"top_k"),
        ({"count": 0}, r"count"),
        ({"length": 0}, r"length"),
        ({"reject": "swearing"}, r"one of unknown, none"),
    ],
)
def test_impossible_options_are_refused(run, options, message):
    with pytest.raises(UsageError, match=message):
        run.sample(**options)


def test_a_run_that_is_no_language_model_is_refused(tmp_path):
    from gnomon import tasks

    source = tasks.load("tabular_classification").reader.write_sample(tmp_path / "sample", seed=3)
    other = gnomon.fit(source, epochs=1, runs_folder=str(tmp_path / "runs"))
    with pytest.raises(
        UsageError, match="sample draws texts from a language model, and this run is tabular classification"
    ):
        other.sample()
