"""The loop against twelve lines by hand; its batches and schedules; a loss that is no number."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnomon import tasks
from gnomon.core.errors import DivergedError
from gnomon.core.seeds import derive
from gnomon.core.settings import from_flat, with_values
from gnomon.reference.averages import weighted_averages
from gnomon.training.evaluate import encode_whole
from gnomon.training.flat import FlatParameters
from gnomon.training.loop import Job, Judged, build_state, step, train
from gnomon.training.samplers import batch_end, batches_per_epoch, shuffled
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import fresh_model
from gnomon.workflow.road.follow import Silent
from gnomon.workflow.session import open_session


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    kind = tasks.load("image_classification")
    source = kind.reader.write_sample(tmp_path_factory.mktemp("sample"), seed=0)
    opened = from_flat({"task": kind.name, "batch_size": 5, "epochs": 2, "augment": "none", "dropout": 0})
    return open_session(prepare(source, opened, kind), opened)


def job_of(session, settings, *, save=lambda state: None, stop=lambda: False, columns=None) -> Job:
    return Job(
        task=session.task,
        settings=settings,
        columns=columns or encode_whole(session.task, session.prepared.splits["train"]),
        device=torch.device("cpu"),
        id_of=lambda position: f"example {position}",
        judge=lambda model: Judged(0.5, 0.5, {}),
        watcher=Silent(),
        record=lambda row: None,
        save=save,
        stop_asked=stop,
    )


RULES = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.999, eps=1e-8),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.9, 0.999), eps=1e-8),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_loop_equals_twelve_lines_by_hand(session, rule):
    settings = with_values(
        session.settings,
        {"optimiser.name": rule, "learning_rate": 0.01, "schedule.name": "constant", "weight_decay": 0.0},
    )
    job = job_of(session, settings)
    model = fresh_model(session.task, settings).double()
    state = build_state(job, model)
    train(job, state)

    by_hand = fresh_model(session.task, settings).double()
    optimiser = RULES[rule](by_hand.parameters())
    total = len(session.prepared.splits["train"])
    for epoch in range(2):
        order = torch.randperm(total, generator=torch.Generator().manual_seed(derive(0, "shuffle", epoch)))
        for indices in order.split(5):
            batch = session.task.collate(job.columns, indices)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                by_hand(batch["image"])[:, 0], batch["target"].double()
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    for one, two in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-9, rtol=1e-6)


def test_adamw_decays_weights_and_leaves_biases(session):
    settings = with_values(
        session.settings,
        {"optimiser.name": "adamw", "learning_rate": 0.01, "schedule.name": "constant", "weight_decay": 0.1},
    )
    model = fresh_model(session.task, settings).double()
    twin = fresh_model(session.task, settings).double()
    job = job_of(session, settings)
    train(job, build_state(job, model))
    groups = [
        {"params": [p for p in twin.parameters() if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in twin.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=0.01)
    for epoch in range(2):
        for indices in shuffled(len(session.prepared.splits["train"]), 0, epoch).split(5):
            batch = session.task.collate(job.columns, indices)
            optimiser.zero_grad()
            session.task.losses(twin(batch["image"]), batch).mean().backward()
            optimiser.step()
    for one, two in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-9, rtol=1e-6)


def test_l2_is_the_gradient_of_lambda_over_two_m(session):
    """sgd with l2 = lambda equals sgd on loss + lambda/(2 m) sum w^2, weights only."""
    settings = with_values(
        session.settings,
        {"optimiser.name": "sgd", "learning_rate": 0.1, "schedule.name": "constant", "l2": 3.0, "weight_decay": 0.0,
         "epochs": 1},
    )  # fmt: skip
    model, twin = (fresh_model(session.task, settings).double() for _ in range(2))
    job = job_of(session, settings)
    train(job, build_state(job, model))
    total = len(session.prepared.splits["train"])
    for indices in shuffled(total, 0, 0).split(5):
        batch = session.task.collate(job.columns, indices)
        penalty = sum((p**2).sum() for p in twin.parameters() if p.dim() >= 2) * 3.0 / (2 * total)
        loss = session.task.losses(twin(batch["image"]), batch).mean() + penalty
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        with torch.no_grad():
            for p, g in zip(twin.parameters(), gradients, strict=True):
                p -= 0.1 * g
    for one, two in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-9, rtol=1e-6)


def test_the_average_of_the_weights_is_the_bias_corrected_one_of_the_equations(session):
    settings = with_values(session.settings, {"regularise.ema": 0.9, "learning_rate": 0.05})
    job = job_of(session, settings)
    state = build_state(job, fresh_model(session.task, settings).double())
    state.model.train()
    seen, order = [], shuffled(len(session.prepared.splits["train"]), 0, 0)
    for indices in [*order.split(5)] * 2:
        step(job, state, indices, 0.05)
        seen.append(np.concatenate([buffer.numpy() for buffer in state.parameters.copies()]))
        expected = weighted_averages(np.stack(seen), beta=0.9)[-1]
        np.testing.assert_allclose(
            np.concatenate([one.numpy() for one in state.average]), expected, rtol=1e-12, atol=1e-15
        )


EVERYTHING = {
    "dropout": 0.3, "augment": "shift+mirror", "ema": 0.9, "label_smoothing": 0.1, "schedule.name": "cosine",
    "optimiser.name": "adamw", "weight_decay": 0.05, "clip_norm": 1.0, "epochs": 3,
}  # fmt: skip


def test_a_dense_net_is_trained_without_autograd_to_the_same_weights(session):
    """With dropout, smoothed labels, decay, clipping and the average of weights; the draws are the same."""
    values = {"model.name": "dense", "hidden": (64, 32), "model.normalisation": "none"}
    settings = with_values(session.settings, {**EVERYTHING, **values})
    found = []
    for is_by_hand in (True, False, True):
        torch.manual_seed(0)
        job = job_of(session, settings)
        state = build_state(job, fresh_model(session.task, settings))
        assert state.by_hand is not None
        if not is_by_hand:
            state.by_hand = None
        train(job, state)
        found.append(state.parameters.copies())
    for one, by_autograd, again in zip(*found, strict=True):
        torch.testing.assert_close(one, by_autograd, rtol=1e-3, atol=1e-4)
        assert torch.equal(one, again)


@pytest.mark.parametrize("name", ["convnet", "dense"])
@pytest.mark.parametrize("stop_at", [1, 4, 5, 9, 14])
def test_a_stopped_run_continues_as_if_it_had_not_stopped(session, stop_at, name):
    settings = with_values(session.settings, {**EVERYTHING, "model.name": name, "model.normalisation": "none"})

    def fresh():
        torch.manual_seed(0)
        model = fresh_model(session.task, settings)
        job = job_of(session, settings)
        return model, job, build_state(job, model)

    torch.manual_seed(0)
    whole, job, state = fresh()
    train(job, state)

    _, job, state = fresh()
    kept: list[dict[str, bytes]] = []
    job = dataclasses.replace(
        job, stop_asked=lambda: state.counters.step >= stop_at, save=lambda s: kept.append(s.files())
    )
    train(job, state)
    assert not state.counters.finished
    torch.manual_seed(12345)
    model, job, state = fresh()
    torch.manual_seed(54321)
    state.load(kept[-1])
    assert state.counters.step == stop_at
    train(job, state)
    assert state.counters.finished
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_a_batch_size_changed_in_mid_epoch_holds_from_there_and_every_example_is_seen_once(session):
    settings = with_values(session.settings, {"schedule.name": "constant"})
    sizes: list[int] = []
    model = fresh_model(session.task, settings)
    model.register_forward_hook(lambda module, inputs, output: sizes.append(len(inputs[0])))
    job = dataclasses.replace(
        job_of(session, settings),
        turned=lambda step: with_values(settings, {"batch_size": 7}) if step == 2 else None,
        judge=lambda model: sizes.append(0) or Judged(0.5, 0.5, {}),
    )
    train(job, build_state(job, model))
    total = len(session.prepared.splits["train"])
    first, second = sizes[: sizes.index(0)], sizes[sizes.index(0) + 1 : -1]
    assert sum(first) == sum(second) == total
    assert first[:4] == [5, 5, 7, 7]
    assert second[:3] == [7, 7, 7]


def test_a_schedule_continues_where_it_was_when_the_batch_size_doubles(session):
    """Half way through the epochs the cosine is half way down, whatever the size of a step."""
    settings = with_values(session.settings, {"schedule.warmup": 0.0, "epochs": 4, "batch_size": 4})
    rows: list[dict] = []
    job = dataclasses.replace(
        job_of(session, settings),
        turned=lambda step: with_values(settings, {"batch_size": 8}) if step == 3 else None,
        record=rows.append,
    )
    train(job, build_state(job, fresh_model(session.task, settings)))
    total = len(session.prepared.splits["train"])
    a_step = 1 / (4 * -(-total // 8))  # of the whole way
    for epoch, row in enumerate(rows, start=1):
        done = epoch / 4 - a_step
        share = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))
        assert row["learning_rate"] == pytest.approx(share * settings.optimiser.learning_rate, rel=1e-6)


def test_a_non_finite_loss_names_step_layer_and_example_and_is_not_applied(session):
    columns = encode_whole(session.task, session.prepared.splits["train"])
    model = fresh_model(session.task, session.settings)
    job = job_of(session, session.settings, columns=columns)
    state = build_state(job, model)
    before = [p.detach().clone() for p in model.parameters()]
    layer = next(name for name, module in model.named_modules() if isinstance(module, torch.nn.Conv2d))
    dict(model.named_modules())[layer].register_forward_hook(lambda module, inputs, output: output * math.nan)
    with pytest.raises(DivergedError, match=rf"step 1 .*layer {layer}; examples: example \d+.*not applied"):
        train(job, state)
    assert all(torch.equal(one, two) for one, two in zip(before, model.parameters(), strict=True))


@given(total=st.integers(1, 300), size=st.integers(0, 70))
def test_batches_cover_every_example_once_and_none_has_one_example(total, size):
    size = size or total
    bounds = [0]
    while bounds[-1] < total:
        bounds.append(batch_end(bounds[-1], total, size))
    assert bounds[-1] == total
    assert len(bounds) == 1 + batches_per_epoch(total, size)
    lengths = np.diff(bounds)
    assert (lengths > 0).all()
    if total > 1 and size != 1:
        assert lengths.min() > 1
        assert lengths.max() <= size + 1


@given(total=st.integers(1, 200), seed=st.integers(0, 10**6), epoch=st.integers(0, 50))
def test_an_epoch_sees_every_example_once(total, seed, epoch):
    assert sorted(shuffled(total, seed, epoch).tolist()) == list(range(total))


def test_flat_parameters_keep_values_shapes_and_layout():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4, 2))
    model = model.to(memory_format=torch.channels_last)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flat = FlatParameters(model)
    assert flat.weights.numel() == 4 * 3 * 9 + 4 * 2
    assert flat.others.numel() == 4 + 2
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    with torch.no_grad():
        flat.weights.fill_(7.0)
    assert (model[0].weight == 7).all()
    model(torch.ones(1, 3, 3, 3)).sum().backward()
    assert flat.weights.grad.abs().sum() > 0
    assert model[2].weight.grad.data_ptr() >= flat.weights.grad.data_ptr()


def test_clipping_by_norm_leaves_a_gradient_of_that_norm():
    model = torch.nn.Linear(3, 2)
    flat = FlatParameters(model)
    (1000 * model(torch.ones(1, 3))).sum().backward()
    flat.clip(norm=0.5, value=0.0)
    assert float(flat.gradient_norm()) == pytest.approx(0.5, rel=1e-4)
