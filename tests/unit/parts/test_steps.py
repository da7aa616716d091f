"""Answers at every step: what counts, what does not, and what is written; nets for series see no padding."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional

from gnomon.core.family import SeriesInputs, Wanted
from gnomon.models import recurrent, resnet1d
from gnomon.models.recurrent import RecurrentSettings
from gnomon.models.resnet1d import ResNet1dSettings
from gnomon.parts.steps import StepClassHead, StepClassJudge, StepNumberHead, StepNumberJudge, one_row_a_step

CLASSES = StepClassHead(("high", "low", "off"))
NUMBERS = StepNumberHead(mean=10.0, std=2.0)
LENGTHS = torch.tensor([3, 2])


def test_a_step_without_a_class_and_padding_cost_nothing():
    outputs = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    batch = {"target": torch.tensor([[0, -1, 2], [1, 1, -1]]), "length": LENGTHS}
    losses = CLASSES.losses(outputs, batch)
    first = functional.cross_entropy(outputs[0, [0, 2]], torch.tensor([0, 2]))
    second = functional.cross_entropy(outputs[1, :2], torch.tensor([1, 1]))
    torch.testing.assert_close(losses, torch.stack([first, second]))


def test_a_step_without_a_number_and_padding_cost_nothing():
    outputs = torch.tensor([[0.0, 9.0, 1.0], [2.0, 0.0, 9.0]])
    batch = {"target": torch.tensor([[12.0, math.nan, 12.0], [10.0, 10.0, math.nan]]), "length": LENGTHS}
    # in standard deviations: 1 and 1 of the first, 0 and 0 of the second; squares (1 + 0) / 2 and (4 + 0) / 2
    assert NUMBERS.losses(outputs, batch).tolist() == [0.5, 2.0]


def test_the_error_of_a_series_is_the_share_of_its_steps_that_are_wrong():
    batch = {"target": torch.tensor([[0, -1, 2], [1, 1, -1]]), "length": LENGTHS}
    judge = StepClassJudge.of(CLASSES)
    answers = [np.array([0, 1, 1]), np.array([1, 1])]
    assert judge.errors(answers, batch).tolist() == [0.5, 0.0]
    assert judge.describe(judge.targets(batch)).to_list() == ['["high", null, "off"]', '["low", "low"]']


def test_numbers_are_judged_and_written_in_their_own_unit():
    outputs = torch.tensor([[0.0, 0.0, 1.0], [0.5, -1.0, 0.0]])
    batch = {"target": torch.tensor([[12.0, math.nan, 12.0], [10.0, 10.0, math.nan]]), "length": LENGTHS}
    judge = StepNumberJudge.of(NUMBERS)
    answers = judge.predict(torch.nn.Identity(), outputs, batch).values
    assert judge.errors(answers, batch).tolist() == [1.0, 1.5]
    assert [json.loads(one) for one in judge.describe(answers)] == [[10.0, 10.0, 12.0], [11.0, 8.0]]


def test_several_models_say_the_mean_of_their_probabilities_at_each_step():
    judge = StepClassJudge.of(CLASSES)
    one, other = np.array([[[0.8, 0.1, 0.1], [0.2, 0.3, 0.5]]]), np.array([[[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]]])
    together = judge.averaged([(judge, torch.from_numpy(np.log(each))) for each in (one, other)])
    np.testing.assert_allclose(together.softmax(dim=2).numpy(), (one + other) / 2)
    two = StepClassJudge(("off", "on"))  # of two classes, one logit
    logits = [torch.tensor([[[math.log(p / (1 - p))], [0.0]]]) for p in (0.9, 0.3)]
    np.testing.assert_allclose(two.averaged([(two, each) for each in logits]).sigmoid(), [[[0.6], [0.5]]], rtol=1e-6)


def test_several_models_say_the_mean_of_their_numbers_each_from_its_own_scale():
    judge, other = StepNumberJudge.of(NUMBERS), StepNumberJudge(mean=0.0, std=10.0)
    together = judge.averaged([(judge, torch.tensor([[0.0, 1.0]])), (other, torch.tensor([[2.0, 0.0]]))])
    assert together.tolist() == [[2.5, -2.0]]  # (10 + 20) / 2 and (12 + 0) / 2, in standard deviations of 2 from 10


@pytest.mark.parametrize("judge", [StepClassJudge.of(CLASSES), StepNumberJudge.of(NUMBERS)])
def test_batches_of_other_lengths_are_joined_by_padding_at_the_end(judge):
    short, long = (torch.ones(1, size, 3) for size in (2, 4))
    if isinstance(judge, StepNumberJudge):
        short, long = short[..., 0], long[..., 0]
    joined = judge.joined([short, long])
    assert joined.shape == (2, *long.shape[1:])
    assert torch.equal(joined[0, :2], short[0])
    assert torch.equal(joined[1], long[0])


def test_a_file_of_answers_has_a_row_for_each_step():
    table = pl.DataFrame({"id": ["a", "b"], "prediction": ['["x", "y"]', '["z"]']})
    assert one_row_a_step(table).rows() == [("a", 1, "x"), ("a", 2, "y"), ("b", 1, "z")]


RECURRENT = [(name, gives) for name in ("lstm", "gru", "rnn") for gives in ("vector", "places")]


@pytest.mark.parametrize(("name", "gives"), [*RECURRENT, ("resnet1d", "vector")])
def test_a_series_is_answered_alike_alone_and_padded_in_a_batch(name, gives):
    own = ResNet1dSettings(width=0.1) if name == "resnet1d" else RecurrentSettings(units=5, layers=2, embedding=4)
    build = resnet1d.build if name == "resnet1d" else recurrent.build
    net = build(Wanted(name, SeriesInputs(2, 12), own, (0.0,), 3, gives)).eval()
    rng = torch.Generator().manual_seed(0)
    short, long = torch.randn(4, 2, generator=rng), torch.randn(12, 2, generator=rng)
    batch = torch.nn.utils.rnn.pad_sequence([short, long], batch_first=True)
    with torch.no_grad():
        together = net(batch, torch.tensor([4, 12]))
        alone = net(short[None], torch.tensor([4]))
    own_part = together[:1, :4] if gives == "places" else together[:1]
    torch.testing.assert_close(own_part, alone)
