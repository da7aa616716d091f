"""Subwords: every text comes back as it was, whatever was learned from; the same pieces every time."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gnomon
from gnomon.core.errors import ArtefactError, MachineError, UsageError
from gnomon.data.text.subwords import FIXED, learned, model_of, pieces_of
from gnomon.data.text.tokens import END, SPECIAL, Numbering

TEXT = "the other brother bothers the father\nthe mother gathers the feathers\n" * 400
WILD = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\u2581"), max_size=40)


@pytest.fixture(scope="module")
def numbering():
    pytest.importorskip("sentencepiece")
    found = learned([TEXT], 400)
    return Numbering(pieces_of(found), "subword", found)


@settings(deadline=None)
@given(WILD | st.sampled_from(["<pad></s><unk><0x0A>", "\r\n\t  x ", "e\u0301 \ufb01 \u65e5\u672c", "\x00", "  "]))
def test_texts_come_back_as_they_were_without_unknown_pieces(numbering, text):
    ids = numbering.ids(text)
    assert (ids >= SPECIAL).all()
    assert numbering.text(ids.tolist()) == text
    assert numbering.text([END, *ids.tolist(), END, 0]) == text


@settings(deadline=None)
@given(WILD, st.integers(1, 12))
def test_the_beginning_holds_the_first_pieces_and_no_part_of_a_character(numbering, text, count):
    begun = numbering.beginning(text, count)
    assert text.startswith(begun)
    ids = numbering.ids(text)
    if len(ids) <= count:
        assert begun == text
    else:
        assert len(begun.encode()) <= len(numbering.text(ids[:count].tolist()).encode())


def test_frequent_strings_are_one_piece_and_texts_are_shorter(numbering):
    assert "the" in {piece.strip("\u2581") for piece in numbering.vocabulary}
    assert len(numbering.ids(TEXT)) < len(TEXT) / 2
    assert len(numbering.vocabulary) + SPECIAL <= 400
    assert numbering.vocabulary[0] == "\n"


def test_the_same_texts_give_the_same_pieces():
    pytest.importorskip("sentencepiece")
    assert learned([TEXT, "and more"], 350) == learned([TEXT, "and more"], 350)


def test_little_text_gets_few_pieces_and_a_line_of_any_length_counts():
    pytest.importorskip("sentencepiece")
    assert len(pieces_of(learned(["abcabc" * 3], 20_000))) <= FIXED + 3
    one_line = TEXT.replace("\n", " ")  # of 27,600 characters
    assert "the" in {piece.strip("\u2581") for piece in pieces_of(learned([one_line], 500))}


def test_too_small_a_vocabulary_is_refused_with_the_number_needed():
    pytest.importorskip("sentencepiece")
    with pytest.raises(UsageError, match=r"vocabulary=200 is too few for subwords: .* are 263\."):
        learned(["abc"], 200)


def test_a_damaged_model_is_refused():
    pytest.importorskip("sentencepiece")
    for damaged in ("not base64!", "AAAA"):
        with pytest.raises(ArtefactError, match="subwords of this run are damaged"):
            model_of(damaged)


def test_without_the_extra_the_line_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MachineError, match=r"pip install 'gnomon\[text\]'"):
        learned(["abc"], 400)


@pytest.mark.parametrize("each", ["window", "line"])
def test_a_language_model_of_subwords_is_fitted_sampled_and_used_without_its_data(tmp_path, each):
    pytest.importorskip("sentencepiece")
    rng = np.random.default_rng(0)
    words = ["other", "brother", "bothers", "father", "mother", "gathers"]
    lines = [" ".join(rng.choice(words, int(rng.integers(2, 8)))) for _ in range(80)]
    (tmp_path / "t.txt").write_text("\n".join(lines) + "\n")
    run = gnomon.fit(
        tmp_path / "t.txt", level="subword", each=each, window=16, model="gru", units=8, layers=1, epochs=1,
        runs_folder=str(tmp_path / "runs"),
    )  # fmt: skip
    (tmp_path / "t.txt").unlink()
    again = gnomon.load(run.path)
    assert again.task.encoder.subwords == run.task.encoder.subwords != ""
    assert (run.evaluation("dev").table["unknown"] == 0).all()
    found = again.sample(prefix="moth\u00e9r ", count=2)
    assert len(found) == 2
    assert all(text.startswith("moth\u00e9r ") for text in found)
    if each == "window":  # of eight words, the newlines between them left in: none is cut
        (tmp_path / "new.txt").write_text("\n".join(lines[:20]) + "\n")
        assert again.predict(tmp_path / "new.txt")["bytes"].sum() == len("\n".join(lines[:20]) + "\n")
