"""Training with products in bfloat16: the same step as torch's autocast, everything else in float32."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch

from gnomon import tasks
from gnomon.core.family import WithSides
from gnomon.core.settings import from_flat, with_values
from gnomon.training.evaluate import encode_whole
from gnomon.training.loop import Job, Judged, build_state, step
from gnomon.training.precision import in_precision
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import fresh_model
from gnomon.workflow.road.follow import Silent
from gnomon.workflow.session import open_session

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["convnet", "dense"])
def session(request, tmp_path_factory):
    kind = tasks.load("image_classification")
    source = kind.reader.write_sample(tmp_path_factory.mktemp("sample"), seed=0)
    opened = from_flat({
        "task": kind.name, "model": request.param, "batch_size": 8, "augment": "none", "dropout": 0,
        "schedule": "constant", "optimiser": "sgd", "learning_rate": 0.05, "weight_decay": 0,
    })  # fmt: skip
    return open_session(prepare(source, opened, kind), opened)


def after_a_step(session, precision):
    columns = encode_whole(session.task, session.prepared.splits["train"])
    settings = with_values(session.settings, {"precision": precision})
    job = Job(
        task=session.task, settings=settings, columns=columns, device=CPU, id_of=str,
        judge=lambda model: Judged(0.5, 0.5, {}), watcher=Silent(), record=lambda row: None, save=lambda state: None,
        stop_asked=lambda: False,
    )  # fmt: skip
    state = build_state(job, fresh_model(session.task, settings))
    state.model.train()
    loss = step(job, state, torch.arange(8), 0.05)
    return loss, dict(state.model.named_parameters())


def by_autocast(session):
    """The same step, by torch's own autograd, loss and arithmetic."""
    columns = encode_whole(session.task, session.prepared.splits["train"])
    model = fresh_model(session.task, session.settings).train()
    batch = session.task.collate(columns, torch.arange(8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(batch["image"])
    assert logits.shape == (8, 1)  # of two classes
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0].float(), batch["target"].float())
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.05 * parameter.grad
    return loss.item(), dict(model.named_parameters())


def test_a_step_in_bfloat16_is_that_of_autocast(session):
    loss, weights = after_a_step(session, "bfloat16")
    expected_loss, expected = by_autocast(session)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    for name, weight in weights.items():
        assert weight.dtype == torch.float32
        torch.testing.assert_close(weight, expected[name], rtol=1e-5, atol=1e-6)


def test_it_is_near_the_step_in_float32_and_not_the_same(session):
    (loss, weights), (exact, exact_weights) = (after_a_step(session, one) for one in ("bfloat16", "float32"))
    assert loss == pytest.approx(exact, rel=0.02)  # bfloat16 has 8 bits
    assert any(not torch.equal(weights[name], exact_weights[name]) for name in weights)


def test_whatever_a_model_gives_comes_out_as_float32():
    half, whole = torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.int64)
    for given in (
        half, (half, whole), [half], {"a": half}, OrderedDict(stride8=half), WithSides(half, (half, half), 0.3),
    ):  # fmt: skip
        found = in_precision("bfloat16", CPU, lambda given=given: given)
        assert type(found) is type(given)
        flat = torch.utils._pytree.tree_leaves(found)
        assert {one.dtype for one in flat if isinstance(one, torch.Tensor)} <= {torch.float32, torch.int64}
    assert in_precision("float32", CPU, lambda: half) is half
    assert in_precision("bfloat16", CPU, lambda: "words") == "words"
