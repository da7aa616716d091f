"""A batch in parts: the same step, whatever the parts and whatever each example counts."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gnomon import tasks
from gnomon.core.settings import from_flat, with_values
from gnomon.training.evaluate import encode_whole
from gnomon.training.loop import Job, Judged, build_state, step, train
from gnomon.training.state import Counters
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import fresh_model
from gnomon.workflow.road.follow import Silent
from gnomon.workflow.session import open_session


@pytest.fixture(scope="module", params=["convnet", "dense"])
def session(request, tmp_path_factory):
    """dense goes without autograd."""
    kind = tasks.load("image_classification")
    source = kind.reader.write_sample(tmp_path_factory.mktemp("sample"), seed=0)
    opened = from_flat({
        "task": kind.name, "model": request.param, "batch_size": 7, "epochs": 2, "augment": "shift",
        "normalisation": "none", "dropout": 0, "schedule": "constant", "optimiser": "momentum",
        "learning_rate": 0.05, "weight_decay": 0,
    })  # fmt: skip
    return open_session(prepare(source, opened, kind), opened)


def job_of(session, *, micro_batch=None, weighted=False, rows=None, **values) -> Job:
    columns = dict(encode_whole(session.task, session.prepared.splits["train"]))
    if weighted:
        columns["weight"] = torch.linspace(0, 3, len(columns["target"]), dtype=torch.float64)
    return Job(
        task=session.task,
        settings=with_values(session.settings, {"micro_batch": micro_batch, **values}),
        columns=columns,
        device=torch.device("cpu"),
        id_of=str,
        judge=lambda model: Judged(0.5, 0.5, {}),
        watcher=Silent(),
        record=(rows if rows is not None else []).append,
        save=lambda state: None,
        stop_asked=lambda: False,
    )


def trained(session, **options):
    job = job_of(session, **options)
    state = build_state(job, fresh_model(session.task, job.settings).double())
    train(job, state)
    return state


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("micro_batch", [1, 3, 6, 7, 100])
def test_parts_of_a_batch_make_the_step_of_the_whole(session, weighted, micro_batch):
    """Parts of 3, 3 and 1, say, moved pictures among them, each example counted by its weight."""
    rows, rows_of_parts = [], []
    whole = trained(session, weighted=weighted, rows=rows)
    parts = trained(session, weighted=weighted, micro_batch=micro_batch, rows=rows_of_parts)
    for one, two in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)
    for one, two in zip(rows, rows_of_parts, strict=True):
        assert one["train_loss"] == pytest.approx(two["train_loss"], rel=1e-9)
        assert "micro_batch" not in two  # which is for what the machine made necessary


def test_the_training_loss_is_the_mean_over_scored_units(session):
    """With a rate of next to nothing, batches of 7 and a last one of 4: by hand, over all examples by their weight."""
    rows = []
    job = job_of(session, weighted=True, rows=rows, learning_rate=1e-12, augment="none", epochs=1)
    model = fresh_model(session.task, job.settings).double()
    train(job, build_state(job, model))
    batch = session.task.collate(job.columns, torch.arange(len(job.columns["target"])))
    losses = session.task.losses(session.task.outputs(model, batch), batch).detach()
    expected = float((losses * batch["weight"]).sum() / batch["weight"].sum())
    assert rows[0]["train_loss"] == pytest.approx(expected, rel=1e-6)


def short_of_memory(model, most: int):
    """The model, which takes `most` examples at a time, and of more says what torch says."""

    def refuse(module, inputs):
        if len(inputs[0]) > most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

    next(module for module in model.modules() if isinstance(module, torch.nn.Flatten)).register_forward_pre_hook(refuse)
    return model


def test_a_batch_that_does_not_fit_into_memory_is_halved_with_the_same_step(session):
    rows = []
    job = job_of(session, rows=rows)
    state = build_state(job, short_of_memory(fresh_model(session.task, job.settings).double(), 3))
    train(job, state)
    assert state.counters.micro_batch == 2  # 7, 4, 2
    assert [row["micro_batch"] for row in rows] == [2, 2]
    whole = trained(session)
    for one, two in zip(state.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


def test_one_example_that_does_not_fit_is_an_error(session):
    job = job_of(session)
    state = build_state(job, short_of_memory(fresh_model(session.task, job.settings), 0))
    with pytest.raises(RuntimeError, match="allocate memory"):
        step(job, state, torch.arange(5), 0.1)


def test_other_errors_are_not_mistaken_for_out_of_memory(session):
    job = job_of(session, augment="none")
    state = build_state(job, fresh_model(session.task, job.settings))
    job = dataclasses.replace(job, columns={**job.columns, "image": job.columns["image"][:, :5]})
    with pytest.raises(RuntimeError, match=r"shapes|size"):
        step(job, state, torch.arange(5), 0.1)
    assert state.counters == Counters()


def test_no_part_has_a_single_example_as_batch_norm_needs_two(tmp_path):
    kind = tasks.load("image_classification")
    source = kind.reader.write_sample(tmp_path, seed=0)
    opened = from_flat({"task": kind.name, "batch_size": 7, "epochs": 1, "normalisation": "batch", "micro_batch": 3})
    session = open_session(prepare(source, opened, kind), opened)
    job = job_of(session, micro_batch=3)
    step(job, build_state(job, fresh_model(session.task, job.settings)), torch.arange(7), 0.1)  # 3 and 4
