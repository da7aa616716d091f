"""Tagged text as tensors and back: words, characters, spans; what is answered breaks nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from gnomon.core.errors import DataError
from gnomon.core.parts import View
from gnomon.core.settings import DataSettings, from_flat
from gnomon.data.opening import open_source
from gnomon.data.text.tagged_reading import read_tagged, read_to_tag
from gnomon.parts.tagged import TaggedEncoder, TagHead, TagJudge

CONTENT = (
    "Ada\tB-per\nLovelace\tI-per\nmet\tO\n\nada\tB-per\nsaw\tO\nBabbage's\tB-per\nEngine\tB-thing\n\nmet\tO\nsaw\tO\n"
)


@pytest.fixture
def made(tmp_path):
    path = tmp_path / "some.conll"
    path.write_text(CONTENT)
    examples = read_tagged(open_source(str(path)), DataSettings()).splits["all"]
    settings = from_flat({})
    encoder, head = TaggedEncoder.fit(examples, settings), TagHead.fit(examples, settings)
    return examples, encoder, head, TagJudge.of(head)


def batch_of(examples, encoder, head, *, targets=True):
    columns = {**encoder.encode(examples), **(head.encode(examples) if targets else {})}
    return head.collate(encoder.collate(columns, torch.arange(len(examples))), columns, torch.arange(len(examples)))


def test_words_are_told_apart_in_any_case_and_characters_as_written(made):
    examples, encoder, head, _ = made
    assert encoder.vocabulary == ("ada", "met", "saw")  # the others occur once
    batch = batch_of(examples, encoder, head)
    assert batch["ids"].shape == (3, 4, 17)
    words = batch["ids"][..., 0]
    assert words[0].tolist() == [3, 1, 4, 0]
    assert words[1, 0] == words[0, 0]  # Ada and ada
    assert not batch["ids"][0, 0].equal(batch["ids"][1, 0])  # but for the way they are written
    assert batch["weight"].tolist() == [3, 4, 2]


def test_truths_come_back_with_their_places_and_flags(made):
    examples, encoder, head, judge = made
    batch = batch_of(examples, encoder, head)
    first, second, third = judge.describe(judge.targets(batch)).to_list()
    assert json.loads(first) == [[0, 12, "per", "unknown"]]
    assert json.loads(second) == [[0, 3, "per", ""], [8, 17, "per", "unknown"], [18, 24, "thing", "unknown"]]
    assert third == "[]"
    other = TagJudge(judge.tag_names, judge.kind, ("ada",))
    assert json.loads(other.describe(other.targets(batch))[1])[2][3] == "unseen unknown"


def test_answers_never_break_bio_and_say_how_sure_they_are(made):
    examples, encoder, head, judge = made
    batch = batch_of(examples, encoder, head, targets=False)
    names = list(judge.tag_names)
    assert names == ["O", "B-per", "I-per", "B-thing", "I-thing"]
    outputs = torch.zeros(3, 4, 5)
    outputs[0, 0, names.index("O")] = 2.0  # by itself O, but I-per after it is so likely that a span must begin here
    outputs[0, 0, names.index("B-per")] = 1.5
    outputs[0, 1, names.index("I-per")] = 5.0
    outputs[0, 2, names.index("O")] = 5.0
    outputs[1:, :, 0] = 9.0
    found = judge.predict(None, outputs, batch)
    [span] = found.values[0].spans
    assert span[:3] == [0, 12, "per"]
    assert span[3] == pytest.approx(float(outputs[0, 0].softmax(0)[1]), abs=1e-4)  # the lowest of its tags
    assert found.values[1].spans == found.values[2].spans == []
    assert found.columns["text"][1] == "ada saw Babbage's Engine"


def test_the_error_of_a_sentence_is_one_minus_its_f1(made):
    examples, encoder, head, judge = made
    batch = batch_of(examples, encoder, head)
    truths = judge.targets(batch)
    half = [truths[0]._replace(spans=[[0, 3, "per", 0.5]]), truths[1]._replace(spans=truths[1].spans[:1]), truths[2]]
    np.testing.assert_allclose(judge.errors(half, batch), [1, 1 - 2 / 4, 0])


def test_losses_are_the_mean_over_tokens_and_padding_counts_for_nothing(made):
    examples, encoder, head, _ = made
    batch = batch_of(examples, encoder, head)
    outputs = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    expected = -outputs.log_softmax(2)[2, range(2), batch["tags"][2, :2]].mean()
    torch.testing.assert_close(head.losses(outputs, batch)[2], expected)


def test_a_type_that_train_does_not_have_is_one_clear_error(made, tmp_path):
    _, _, head, _ = made
    path = tmp_path / "other.conll"
    path.write_text("Rome\tB-place\nis\tO\n")
    other = read_tagged(open_source(str(path)), DataSettings()).splits["all"]
    with pytest.raises(DataError, match=r"other\.conll line 1: 'place' is not among the types that train has"):
        head.encode(other)


def test_answers_in_a_file_have_one_row_for_each_span(made):
    examples, encoder, head, judge = made
    batch = batch_of(examples, encoder, head)
    values = [one._replace(spans=[[*span[:3], 0.5] for span in one.spans]) for one in judge.targets(batch)]
    table = examples.index.select("id").with_columns(
        prediction=judge.describe(values), text=np.array([examples.text(i) for i in range(3)])
    )
    rows = judge.answer_rows(table)
    assert rows["text"].to_list() == ["Ada Lovelace", "ada", "Babbage's", "Engine"]
    assert rows.row(0) == ("some.conll line 1", 0, 12, "per", "Ada Lovelace", 0.5)
    view = judge.on_view(View(), {**table.row(1, named=True)}, "prediction")
    assert view.spans == [(0, 3, "per"), (8, 17, "per"), (18, 24, "thing")]


def test_texts_to_predict_go_the_same_way_without_tags(made):
    _, encoder, head, judge = made
    source = open_source("Ada met 日本 𝒳!", may_be_text=True)
    examples = read_to_tag(source, "spans", None).splits["all"]
    batch = batch_of(examples, encoder, head, targets=False)
    outputs = torch.zeros(1, 5, 5)
    outputs[0, 2, 1] = 9.0
    outputs[0, [0, 1, 3, 4], 0] = 9.0
    assert judge.predict(None, outputs, batch).values[0].spans[0][:3] == [8, 10, "per"]


def test_what_several_models_say_is_the_mean_of_their_probabilities_whatever_the_padding(made):
    *_, judge = made
    drawn = torch.Generator().manual_seed(0)
    one, other = (torch.randn(2, 3, 5, generator=drawn) for _ in range(2))
    mean = judge.averaged([(judge, one), (judge, other)])
    torch.testing.assert_close(mean.exp(), (one.softmax(2) + other.softmax(2)) / 2)
    assert judge.joined([one, other[:, :2]]).shape == (4, 3, 5)
