"""What a session decides and offers before training, and when it looks at the signals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gnomon
from gnomon.core.errors import UsageError
from gnomon.core.settings import from_flat
from gnomon.models._defaults import picture_recipe, table_recipe
from gnomon.training.evaluate import encode_whole
from gnomon.training.loop import Job, Judged, build_state, train
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road import train as training
from gnomon.workflow.road.follow import Silent
from gnomon.workflow.road.train import signals_look
from gnomon.workflow.session import open_session


def session_of(source="wine", **settings):
    opened = from_flat(settings)
    return open_session(prepare(source, opened), opened)


def offers(session):
    return [note for note in session.prepared.notes if "batch_size=0" in note]


def test_full_batches_which_are_worse_on_small_tables_are_not_suggested():
    assert offers(session_of()) == []


@pytest.mark.parametrize(
    ("source", "settings", "key"),
    [
        ("wine", {"batch_size": 1}, "batch_size"),
        ("wine", {"batch_size": 32, "micro_batch": 1}, "micro_batch"),
        ("digits", {"batch_size": 1, "hidden": (8,)}, "batch_size"),  # one value per unit of the dense layer
        ("digits", {"batch_size": 1, "model": "resnet18"}, "batch_size"),  # its last stage has one position
    ],
)
def test_batch_norm_is_refused_one_example_at_a_time_where_a_unit_would_see_one_value(source, settings, key):
    normed = {} if "model" in settings else {"normalisation": "batch"}
    with pytest.raises(UsageError, match=rf"one example at a time \({key}=1\).*Fix: {key}=2 or more"):
        session_of(source, **normed, **settings)
    assert session_of(source, **normed, **{**settings, key: 2}).layers
    if normed:
        assert session_of(source, normalisation="layer", **settings).layers


def test_batch_norm_over_the_positions_of_a_picture_takes_one_picture_at_a_time():
    pictures = np.random.default_rng(0).random((40, 8, 8))
    settings = {"normalisation": "batch", "channels": (4, 4), "hidden": (), "epochs": 1}
    run = gnomon.fit((pictures, np.arange(40) % 2), **settings, batch_size=1)
    assert len(run.history) == 1


@pytest.mark.parametrize("num_train", [3, 50, 107, 1_079, 6_000, 60_000, 5_000_000])
def test_the_batch_size_by_data_size_is_a_power_of_two(num_train):
    for defaults in (picture_recipe(num_train), table_recipe(num_train)):
        size = defaults["optimiser.batch_size"]
        assert size & (size - 1) == 0
        assert 32 <= size <= 1_024


@pytest.mark.parametrize(("name", "warmup"), [("cosine", 0.05), ("one-cycle", 0.3), ("inverse", 0.0)])
def test_the_warm_up_is_filled_in_by_the_schedule(name, warmup):
    assert session_of(schedule=name).settings.schedule.warmup == warmup
    assert session_of(schedule=name, warmup=0.2).settings.schedule.warmup == 0.2


def test_discrete_without_a_table_is_refused_before_training():
    with pytest.raises(UsageError, match="needs its table"):
        session_of(schedule="discrete")


def trained(session, *, with_looks, max_steps=None):
    columns = encode_whole(session.task, session.prepared.splits["train"])
    rows = []
    job = Job(
        task=session.task, settings=session.settings, columns=columns, device=session.device, id_of=str,
        judge=lambda _model: Judged(0.5, 0.5, {}), watcher=Silent(), record=rows.append, save=lambda _state: None,
        stop_asked=lambda: False, look=signals_look(session, columns) if with_looks else None,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = build_state(job, session.model)
        train(job, state)
    return rows, state


def test_measuring_signals_does_not_change_the_final_weights():
    settings = {"model": "dense", "epochs": 4, "normalisation": "batch", "dropout": 0.4, "ema": 0.9}
    rows, looked = trained(session_of(**settings), with_looks=True)
    _, plain = trained(session_of(**settings), with_looks=False)
    assert "signals" in rows[0]
    for name, tensor in plain.model.state_dict().items():
        assert torch.equal(tensor, looked.model.state_dict()[name]), name
    for name, tensor in plain.optimiser.tensors().items():
        assert torch.equal(tensor, looked.optimiser.tensors()[name]), name


def test_layers_are_measured_first_and_last_and_about_ten_times_in_between(monkeypatch):
    monkeypatch.setattr(training, "STEPS_BETWEEN_LOOKS", (10, 40))
    rows, _ = trained(session_of(epochs=8, batch_size=32), with_looks=True)
    # four steps an epoch: the tens are passed in epochs 3 (step 12), 5 (20) and 8 (32)
    assert [row["epoch"] for row in rows if "signals" in row] == [1, 3, 5, 8]
    rows, _ = trained(session_of(epochs=40, batch_size=32), with_looks=True)
    # a tenth of 160 steps is 16: every fourth epoch
    assert [row["epoch"] for row in rows if "signals" in row] == [1, *range(4, 41, 4)]
