"""Judging is tried once at the beginning of a training, and leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gnomon
from gnomon.core.settings import from_flat
from gnomon.parts import one_class
from gnomon.training.evaluate import judging
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road import train as station
from gnomon.workflow.road.encode import encode
from gnomon.workflow.road.judge import rehearse
from gnomon.workflow.session import open_session


def arrays():
    rng = np.random.default_rng(0)
    return rng.random((120, 8, 8), dtype=np.float32), np.arange(120) % 3


@pytest.mark.parametrize("part", ["predict", "errors", "describe", "metrics"])
def test_a_fault_in_judging_shows_after_the_first_step(part, monkeypatch):
    judge = one_class.ClassJudge
    steps = []
    make_step = station.train.__globals__["step"]
    monkeypatch.setitem(station.train.__globals__, "step", lambda *args: (steps.append(1), make_step(*args))[1])

    def fault(*args, **kwargs):
        raise ZeroDivisionError("a fault in judging")

    monkeypatch.setattr(judge, part, fault)
    with pytest.raises(ZeroDivisionError, match="a fault in judging"):
        gnomon.fit(arrays(), epochs=20)
    assert len(steps) == 1


def test_a_rehearsal_changes_neither_weights_nor_modes_nor_random_states(tmp_path):
    opened = from_flat({"epochs": 1, "dropout": 0.5, "model": "convnet"})
    session = open_session(prepare(arrays(), opened), opened)
    session.model.train()
    next(iter(session.model.children())).eval()
    before = {name: tensor.clone() for name, tensor in session.model.state_dict().items()}
    modes = [module.training for module in session.model.modules()]
    random = torch.get_rng_state()
    rehearse(encode(session, tmp_path))
    assert all(torch.equal(tensor, before[name]) for name, tensor in session.model.state_dict().items())
    assert [module.training for module in session.model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)


def test_a_table_that_a_model_keeps_from_judging_still_serves_training():
    class Positions(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.table = torch.nn.Parameter(torch.ones(())), None

        def forward(self, x):
            if self.table is None:
                self.table = torch.arange(3.0)
            return x + self.scale * self.table

    model = Positions()
    with judging(model):
        model(torch.zeros(2, 3))
    model(torch.zeros(2, 3)).sum().backward()
    assert float(model.scale.grad) == 6.0  # twice 0 + 1 + 2
