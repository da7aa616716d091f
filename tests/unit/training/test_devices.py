"""The loop with a second device, on fake tensors: they compute nothing and refuse to mix devices, as a GPU does."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from gnomon import tasks
from gnomon.core.settings import from_flat, with_values
from gnomon.data.columns import gather
from gnomon.training import loop
from gnomon.training.dense_steps import DenseSteps
from gnomon.training.evaluate import encode_whole
from gnomon.training.flat import FlatParameters
from gnomon.training.optimisers import Optimiser
from gnomon.training.state import TrainingState
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import build
from gnomon.workflow.road.follow import Silent
from gnomon.workflow.session import open_session

GPU = torch.device("meta")  # stands in for one: torch for CPUs cannot copy to a fake CUDA tensor


@pytest.fixture(scope="module", params=["image_classification", "tabular_classification"])
def session(request, tmp_path_factory):
    kind = tasks.load(request.param)
    source = kind.reader.write_sample(tmp_path_factory.mktemp("sample"), seed=0)
    opened = from_flat({"task": kind.name, "batch_size": 5, "epochs": 1, "dropout": 0})
    return open_session(prepare(source, opened, kind), opened)


def on_the_fake_gpu(model: torch.nn.Module) -> torch.nn.Module:
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = torch.nn.Parameter(torch.zeros(parameter.shape, device=GPU))
        for name, tensor in module._buffers.items():
            module._buffers[name] = torch.zeros(tensor.shape, dtype=tensor.dtype, device=GPU)
    return model


@pytest.mark.parametrize("rule", ["adamw", "rmsprop"])
@pytest.mark.parametrize("micro_batch", [None, 2])
def test_a_step_on_a_gpu_never_mixes_devices(session, rule, micro_batch, monkeypatch):
    """Columns and model on the GPU, the order of the examples on the CPU, where it is drawn."""
    monkeypatch.setattr(loop, "float", lambda value: 0.5, raising=False)  # a fake tensor has no value
    settings = with_values(
        session.settings,
        {
            "optimiser.name": rule,
            "micro_batch": micro_batch,
            "clip_norm": 1.0,
            "l2": 0.1,
            "ema": 0.9,
            "augment": "none",
        },
    )
    real = encode_whole(session.task, session.prepared.splits["train"])
    shapes = {name: (column.shape, column.dtype) for name, column in real.items()}
    with FakeTensorMode():
        columns = {name: torch.zeros(shape, dtype=dtype, device=GPU) for name, (shape, dtype) in shapes.items()}
        columns["weight"] = torch.ones(len(columns["target"]), device=GPU)
        model = on_the_fake_gpu(build(session.task, settings))
        parameters = FlatParameters(model)
        optimiser = Optimiser(parameters, settings.optimiser, settings.regularise, 10)
        state = TrainingState(model, parameters, optimiser, torch.Generator(), parameters.copies())
        state.by_hand = DenseSteps.of(model, GPU)
        job = loop.Job(
            task=session.task, settings=settings, columns=columns, device=GPU, id_of=str,
            judge=lambda model: None, watcher=Silent(), record=lambda row: None, save=lambda state: None,
            stop_asked=lambda: False,
        )  # fmt: skip
        order = torch.arange(9)
        loop.step(job, state, order[:5], 0.1)
        loop.step(job, state, order[5:], 0.1)
        batch = session.task.batch(columns, order[:4], GPU)
        losses = session.task.losses(session.task.outputs(model, batch), batch)
        assert losses.device == GPU
    assert all(buffer.device == GPU for buffer in parameters.buffers)


def test_the_fake_gpu_refuses_to_gather_by_indices_of_the_cpu():
    """What the test above rests on."""
    with FakeTensorMode():
        column, indices = torch.zeros(9, 4, device=GPU), torch.arange(3)
        with pytest.raises(RuntimeError, match="same device"):
            column.index_select(0, indices)
        assert gather({"x": column}, indices)["x"].device == GPU
