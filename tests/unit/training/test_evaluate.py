"""Judging: in batches that the memory can hold, the same ones wherever the model runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnomon.cli.failures import as_gnomon_error
from gnomon.core.errors import MachineError, is_out_of_memory
from gnomon.core.settings import from_flat
from gnomon.training import evaluate as evaluating
from gnomon.training.evaluate import encode_whole, evaluate, predict
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import fresh_model
from gnomon.workflow.session import open_session

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def session():
    opened = from_flat({"model": "convnet", "channels": (4, 8)})
    return open_session(prepare("digits", opened), opened)


def lengths_of_batches(session, monkeypatch, most, **options):
    """How many examples each forward pass saw, with a fresh model whose widest output is 4 x 8 x 8 floats."""
    monkeypatch.setattr(evaluating, "MOST_OUTPUT", most)
    model, seen = fresh_model(session.task, session.settings), []
    model.register_forward_hook(lambda _model, _inputs, output: seen.append(len(output)))
    examples = session.prepared.splits["train"]
    table = evaluate(session.task, model, examples, split="train", source="", device=CPU, **options).table
    assert len(table) == len(examples) == 1079
    return seen, table


def test_a_wide_output_makes_batches_small_and_a_narrow_one_does_not(session, monkeypatch):
    assert lengths_of_batches(session, monkeypatch, 1 << 30)[0] == [1, 512, 512, 55]
    assert lengths_of_batches(session, monkeypatch, 100 * 4 * 8 * 8 * 4)[0] == [1, *[64] * 16, 55]  # 100 fit: 64
    assert lengths_of_batches(session, monkeypatch, 1)[0] == [1] * 1080


def test_encoding_beforehand_or_on_the_way_gives_the_same_batches_and_predictions(session, monkeypatch):
    columns = encode_whole(session.task, session.prepared.splits["train"])
    monkeypatch.setattr(evaluating, "CHUNK_BYTES", 1)  # chunks of 512
    one, ours = lengths_of_batches(session, monkeypatch, 30_000)
    other, theirs = lengths_of_batches(session, monkeypatch, 30_000, columns=columns)
    assert one == other
    assert ours.equals(theirs)


def test_predicting_no_examples_gives_no_rows(session):
    nobody = session.prepared.splits["dev"].take(np.empty(0, dtype=np.int64))
    assert len(predict(session.task, session.model, session.prepared.splits["dev"], device=CPU)) == 359
    assert len(predict(session.task, session.model, nobody, device=CPU)) == 0


def test_torchs_out_of_memory_errors_are_recognised():
    with pytest.raises(RuntimeError) as told:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(told.value)
    assert isinstance(as_gnomon_error(told.value), MachineError)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
