"""Language models: what a text costs, in closed form; padding and batches change nothing; order is split in order."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import gnomon
from gnomon import tasks
from gnomon.core.settings import Settings, from_flat
from gnomon.data.text.reading import of_strings
from gnomon.data.text.tokens import END, SPECIAL
from gnomon.models import build
from gnomon.parts.next_token import costs
from gnomon.training.evaluate import encode_whole, evaluate

TEXTS = ["abab", "b", "aabbaabb", "ba"]


SMALL = {"model.units": 16, "model.embedding": 8}
OWN = {"transformer": {"model.width": 16, "model.layers": 2, "model.heads": 2}}


def task_and_model(model: str = "lstm"):
    kind = tasks.load("language_model")
    settings = from_flat({"model": model, "regularise.dropout": (0.0,), **OWN.get(model, SMALL)})
    task = kind.from_train(of_strings(TEXTS), settings)
    torch.manual_seed(3)
    return task, build(task, settings)


def test_a_model_that_knows_nothing_pays_the_logarithm_of_the_number_of_ids():
    task, model = task_and_model()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    found = evaluate(task, model, of_strings(TEXTS), split="dev", source="x", device=torch.device("cpu"))
    assert found.table["error"].to_numpy() == pytest.approx(math.log2(SPECIAL + 2))
    metrics = task.judge.metrics(found)
    assert metrics["perplexity"].value == pytest.approx(SPECIAL + 2)
    pieces, size = sum(len(one) + 1 for one in TEXTS), sum(map(len, TEXTS))  # an end after each
    assert metrics["bits per byte"].value == pytest.approx(math.log2(SPECIAL + 2) * pieces / size)


MODELS = ["rnn", "gru", "lstm", "transformer"]


@pytest.mark.parametrize("model", MODELS)
def test_a_text_costs_the_same_alone_and_beside_longer_ones(model):
    task, model = task_and_model(model)
    model.eval()
    together = encode_whole(task, of_strings(TEXTS))
    batch = task.batch(together, torch.arange(len(TEXTS)))
    losses = task.losses(task.outputs(model, batch), batch).detach()
    for row, text in enumerate(TEXTS):
        alone = task.batch(encode_whole(task, of_strings([text])), torch.arange(1))
        assert float(task.losses(task.outputs(model, alone), alone).detach()) == pytest.approx(
            float(losses[row]), abs=1e-6
        )
        assert float(batch["weight"][row]) == len(text) + 1


@pytest.mark.parametrize("model", MODELS)
def test_nothing_that_comes_later_changes_what_was_said_before(model):
    task, model = task_and_model(model)
    model.eval()
    batch = task.batch(encode_whole(task, of_strings(["abab", "abba"])), torch.arange(2))
    one, other = task.outputs(model, batch)
    torch.testing.assert_close(one[:3], other[:3], rtol=0, atol=1e-6)  # said from the end before, a, and b
    assert not torch.allclose(one[3], other[3])


def test_padding_has_exactly_no_gradient():
    task, model = task_and_model()
    batch = task.batch(encode_whole(task, of_strings(TEXTS)), torch.arange(len(TEXTS)))
    outputs = task.outputs(model, batch).detach().requires_grad_()
    costs(outputs, batch["ids"]).sum().backward()
    beyond = torch.arange(outputs.shape[1]) >= batch["length"][:, None]
    assert beyond.any()
    assert (outputs.grad[beyond] == 0).all()


def test_what_always_follows_costs_nothing_once_learned_and_windows_are_split_in_order(tmp_path):
    text = tmp_path / "abc.txt"
    text.write_text("abcdefgh" * 700 + "\n")
    run = gnomon.fit(
        text, epochs=15, window=41, optimiser="adam", learning_rate=0.01, batch_size=16,
        runs_folder=str(tmp_path / "runs"),
        **{"model.units": 32, "model.layers": 1, "model.embedding": 16, "dropout": 0.0},
    )  # fmt: skip
    dev = run.evaluation("dev").table
    begins = [int(name.rsplit(" ", 1)[1]) for name in dev["id"]]
    train = [int(name.rsplit(" ", 1)[1]) for name in run.evaluation("train").table["id"]]
    assert max(train) < min(begins) and begins == sorted(begins)  # noqa: PT018  one claim
    floor = run.diagnosis.floor
    assert floor.guess.name == "character frequencies"
    assert floor.guess.error == pytest.approx(3, abs=0.01)  # of eight letters, all as frequent
    assert [one.name for one in floor.references] == ["5-gram"]
    assert floor.best.error == pytest.approx(math.log2(8) / 41, abs=0.05)
    costs_a_window = math.log2(8) / 41  # of its first letter, which nothing tells
    assert dev["error"].mean() == pytest.approx(costs_a_window, abs=0.05)


def test_a_name_is_learned_with_its_end(tmp_path):
    kind = tasks.load("language_model")
    task = kind.from_train(of_strings(["ann"] * 4), Settings())
    columns = encode_whole(task, of_strings(["ann", "na"]))
    assert columns["length"].tolist() == [4, 3]
    assert columns["ids"][:, -2:].numpy().tolist() == [[columns["ids"][0, 1].item(), END], [END, 0]]
    assert np.array_equal(columns["bytes"].numpy(), [3, 2])
