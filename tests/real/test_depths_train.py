"""Dense nets of one, two and four layers train, on pictures and on rows, with every hidden activation."""

from __future__ import annotations

import pytest

import gnomon

DEPTHS = {
    "1 layer": {"model": "logistic"},
    "2 layers": {"model": "dense", "hidden": (32,), "dropout": ()},
    "4 layers": {"model": "dense", "hidden": (32, 32, 32), "dropout": ()},
}
# the most that dev may err: well above what each reaches, far below chance (90 % of ten digits, 37 % of two classes)
LIMITS = {"digits": 0.12, "breast-cancer": 0.08}


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", LIMITS)
def test_a_dense_net_trains(name, depth):
    settings = {"augment": "none", **DEPTHS[depth]} if name == "digits" else DEPTHS[depth]
    run = gnomon.fit(name, epochs=15, batch_size=32, optimiser="adam", learning_rate=0.01, **settings)
    weights = [tensor for tensor in run.model.state_dict().values() if tensor.dim() == 2]
    assert len(weights) == int(depth[0])
    losses = [row["train_loss"] for row in run.history]
    assert losses[-1] < losses[0] / 2
    assert run.evaluation("dev").table["error"].mean() <= LIMITS[name]


@pytest.mark.parametrize("activation", ["leaky_relu", "tanh", "sigmoid"])
def test_every_hidden_activation_trains(activation):
    run = gnomon.fit(
        "breast-cancer", model="dense", hidden=(16,), activation=activation, epochs=15, batch_size=32, dropout=(),
        learning_rate=0.01,
    )  # fmt: skip
    assert run.evaluation("dev").table["error"].mean() <= LIMITS["breast-cancer"]
