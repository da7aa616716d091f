"""Convex models trained by the one loop end where scikit-learn's solvers do, at the same L2 strength.

gnomon minimises mean loss + lambda/(2 m) |w|^2 with m training examples, scikit-learn C * sum of losses + |w|^2 / 2:
the same minimum at C = 1 / lambda. The squared error has no factor 1/2 in gnomon, so Ridge's alpha is lambda / 2.
Each twin is fitted on gnomon's own split and its own standardised inputs. Momentum on full batches, from zeros.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.class_weight import compute_class_weight

import gnomon
from gnomon.training.evaluate import predict
from gnomon.training.state import load_model, tensors_from_bytes
from gnomon.workflow.prepare import prepare

PLAIN = {
    "batch_size": 0, "schedule": "constant", "init": "zeros", "weight_decay": 0.0,
}  # fmt: skip


def fitted(source, model, **settings):
    """The run, its task, and the splits its data was divided into."""
    run = gnomon.fit(source, model=model, optimiser="momentum", **PLAIN, **settings)
    return run, run.task, prepare(source, run.settings).splits


def numbers(task, examples):
    """(N, D) float64 as the linear layer sees them, and (N,) targets."""
    inputs = task.encoder.encode(examples)
    target = task.head.encode(examples)["target"].numpy()
    if "image" not in inputs:
        return inputs["numbers"].double().numpy(), target
    pixels = inputs["image"].double().numpy() / 255
    return ((pixels - task.encoder.mean) / task.encoder.std).reshape(len(pixels), -1), target


def at_the_end(run):
    """The run's model with the weights of its last step: those kept are of the epoch with the best dev error."""
    load_model(run.model, tensors_from_bytes(run.folder.latest_checkpoint().files, "model.safetensors"))
    return run.model


def test_logistic_regression_on_breast_cancer_is_scikit_learns_to_1e_4_in_held_out_probabilities():
    strength = 1.0
    run, task, splits = fitted("breast-cancer", "logistic", l2=strength, learning_rate=0.8, epochs=500)
    twin = LogisticRegression(C=1 / strength, tol=1e-10, max_iter=10_000).fit(*numbers(task, splits["train"]))
    assert run.folder.load_outcome()["best_epoch"] == 500  # the weights kept are those at the minimum
    run.test()
    for split in ("dev", "test"):
        table = run.evaluation(split).table
        assert table["id"].to_list() == splits[split].index["id"].to_list()
        expected = twin.predict_proba(numbers(task, splits[split])[0])
        found = table.select(f"p.{name}" for name in task.head.class_names).to_numpy()
        assert np.abs(found - expected).max() < 1e-4
        assert table["error"].to_list() == (expected.argmax(1) != numbers(task, splits[split])[1]).tolist()
    np.testing.assert_allclose(run.model.head.weight.detach().numpy(), twin.coef_, atol=1e-3)


def test_balanced_class_weights_are_scikit_learns_in_training_and_leave_what_is_measured_alone():
    run, task, splits = fitted("breast-cancer", "logistic", l2=1.0, learning_rate=0.8, epochs=500,
                               class_weights="balanced")  # fmt: skip
    inputs, target = numbers(task, splits["train"])
    np.testing.assert_allclose(
        task.head.weights, compute_class_weight("balanced", classes=np.unique(target), y=target), rtol=1e-6
    )
    twin = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-10, max_iter=10_000).fit(inputs, target)
    expected = twin.predict_proba(numbers(task, splits["dev"])[0])
    model, dev = at_the_end(run), splits["dev"]
    found = predict(task, model, dev, device=torch.device("cpu"))
    found = found.select(f"p.{name}" for name in task.head.class_names).to_numpy()
    assert np.abs(found - expected).max() < 1e-4
    assert run.evaluation("dev").table["weight"].to_list() == [1.0] * len(dev)


def test_logistic_regression_with_its_defaults_ends_at_scikit_learns_solution():
    """Its optimiser is the nets' (AdamW on a cosine), so it ends near the minimum and not in it."""
    run = gnomon.fit("breast-cancer", model="logistic")
    splits = prepare("breast-cancer", run.settings).splits
    train, target = numbers(run.task, splits["train"])
    twin = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(train, target)
    held_out = numbers(run.task, splits["dev"])[0]
    with torch.no_grad():
        found = at_the_end(run)(torch.from_numpy(held_out).float(), None)[:, 0].sigmoid().numpy()
    assert np.abs(found - twin.predict_proba(held_out)[:, 1]).max() < 0.02


def test_linear_regression_on_diabetes_is_the_closed_form():
    strength = 10.0
    run, task, splits = fitted("diabetes", "linear", l2=strength, learning_rate=0.1, epochs=300)
    inputs, target = numbers(task, splits["train"])
    wanted = (target[:, 0] - task.head.mean[0]) / task.head.std[0]
    centre, level = inputs.mean(0), wanted.mean()  # the intercept is not shrunk
    inner = (inputs - centre).T @ (inputs - centre) + strength / 2 * np.eye(inputs.shape[1])
    slopes = np.linalg.solve(inner, (inputs - centre).T @ (wanted - level))
    held_out = numbers(task, splits["dev"])[0]
    expected = (held_out - centre) @ slopes + level
    twin = Ridge(alpha=strength / 2).fit(inputs, wanted)
    np.testing.assert_allclose(twin.predict(held_out), expected, atol=1e-10)
    with torch.no_grad():
        found = at_the_end(run)(torch.from_numpy(held_out).float(), None)[:, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_softmax_regression_on_digits_is_scikit_learns_multinomial_to_1e_5():
    """At lambda = 100, where 800 steps reach the minimum: float32 leaves about 1e-6, far below what one step moves."""
    strength = 100.0
    run, task, splits = fitted("digits", "logistic", l2=strength, learning_rate=0.3, momentum=0.95, epochs=800)
    twin = LogisticRegression(C=1 / strength, tol=1e-10, max_iter=10_000).fit(*numbers(task, splits["train"]))
    model = at_the_end(run)
    for split in ("train", "dev", "test"):
        columns = task.encoder.encode(splits[split])
        batch = task.collate(columns, torch.arange(len(splits[split])))
        with torch.no_grad():
            found = task.outputs(model, batch).softmax(dim=1).numpy()
        expected = twin.predict_proba(numbers(task, splits[split])[0])
        assert np.abs(found - expected).max() < 1e-5
        assert (found.argmax(1) == expected.argmax(1)).all()
