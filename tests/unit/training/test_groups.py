"""Parameters that are frozen, tied, trained at another rate or without decay: against torch's own parameter groups."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from gnomon.core.errors import ArtefactError
from gnomon.core.settings import OptimiserSettings, RegulariseSettings
from gnomon.nn.groups import ParameterGroup, parameter_groups, set_training
from gnomon.training.flat import FlatParameters
from gnomon.training.optimisers import Optimiser
from gnomon.training.state import (
    TrainingState,
    load_model,
    own_tensors,
    tensors_from_bytes,
    tensors_to_bytes,
)


class Tagger(nn.Module):
    """A frozen layer, a slow one without decay, one at the run's rate, and a head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.frozen = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.5)).requires_grad_(False)
        self.slow = nn.Linear(6, 6)
        self.mix = nn.Linear(6, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight

    def parameter_groups(self) -> list[ParameterGroup]:
        return [
            ParameterGroup([*self.slow.parameters()], rate=0.1, decay=False),
            ParameterGroup([self.embed.weight], decay=False),
        ]

    def forward(self, tokens):
        return self.head(self.mix(self.slow(self.frozen(self.embed(tokens)))))


def trained(rule: str, wrap=lambda model: model) -> tuple[Tagger, Tagger, FlatParameters]:
    """Five steps of ours and of torch's with its parameter groups, on the same batches, in float64."""
    torch.manual_seed(0)
    model = Tagger().double()
    twin = copy.deepcopy(model)
    flat = FlatParameters(wrap(model))
    ours = Optimiser(
        flat, OptimiserSettings(name=rule, momentum=0.9), RegulariseSettings(weight_decay=0.2), num_train=100
    )
    groups = [
        {"params": [*twin.slow.parameters()], "lr": 0.001, "weight_decay": 0.0},
        {"params": [twin.embed.weight, twin.mix.bias], "lr": 0.01, "weight_decay": 0.0},
        {"params": [twin.mix.weight], "lr": 0.01, "weight_decay": 0.2},
    ]
    theirs = torch.optim.AdamW(groups) if rule == "adamw" else torch.optim.SGD(groups, momentum=0.9)
    for one in (model, twin):
        set_training(one)
    for _ in range(5):
        tokens, target = torch.randint(0, 11, (8,)), torch.randint(0, 11, (8,))
        nn.functional.cross_entropy(model(tokens), target).backward()
        ours.step(0.01)
        theirs.zero_grad()
        nn.functional.cross_entropy(twin(tokens), target).backward()
        if rule == "momentum":  # decoupled decay: torch's SGD has the coupled one
            for group in theirs.param_groups:
                for parameter in group["params"]:
                    parameter.data.mul_(1 - group["lr"] * group["weight_decay"])
                group["weight_decay"] = 0.0
        theirs.step()
        if rule == "momentum":
            theirs.param_groups[2]["weight_decay"] = 0.2
    return model, twin, flat


@pytest.mark.parametrize("rule", ["adamw", "momentum"])
def test_rates_decay_and_frozen_parts_are_those_of_torchs_groups(rule):
    model, twin, _ = trained(rule)
    for (name, one), two in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12, msg=name)


def test_groups_are_found_in_the_modules_of_a_model_that_names_none():
    model, twin, _ = trained("adamw", wrap=lambda model: nn.Sequential(nn.Sequential(model)))
    for one, two in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


def test_frozen_parameters_have_no_gradient_no_buffer_and_no_state():
    model, _, flat = trained("adamw")
    assert sum(buffer.numel() for buffer in flat.buffers) == 11 * 6 + 6 * 6 + 6 + 6 * 6 + 6  # the tied one once
    assert all(parameter.grad is None for parameter in model.frozen.parameters())
    optimiser = Optimiser(flat, OptimiserSettings(name="adam"), RegulariseSettings(), 1)
    state = sum(tensor.numel() for tensor in optimiser.tensors().values() if tensor.dim())
    assert state == 2 * sum(buffer.numel() for buffer in flat.buffers)


def test_frozen_parts_keep_their_statistics_and_drop_nothing():
    model, _, _ = trained("adamw")
    assert not any(module.training for module in model.frozen.modules())
    assert model.mix.training
    assert int(model.frozen[1].num_batches_tracked) == 0


@pytest.mark.parametrize("wrong", ["twice", "rate"])
def test_groups_that_contradict_themselves_are_refused(wrong):
    class Odd(nn.Linear):
        def parameter_groups(self):
            if wrong == "rate":
                return [ParameterGroup([self.weight], rate=0.0)]
            return [ParameterGroup([self.weight]), ParameterGroup([self.weight], rate=0.5)]

    with pytest.raises(ValueError, match="two groups" if wrong == "twice" else "above 0"):
        parameter_groups(Odd(2, 2))


def test_tied_weights_are_saved_once_and_tied_again_when_loaded():
    model, _, _ = trained("adamw")
    saved = tensors_to_bytes(own_tensors(model))
    tensors = tensors_from_bytes({"weights": saved}, "weights")
    assert "embed.weight" in tensors
    assert "head.weight" not in tensors
    other = Tagger().double()
    load_model(other, tensors)
    assert other.head.weight is other.embed.weight
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    with pytest.raises(ArtefactError, match=r"mix\.bias"):
        load_model(other, {name: tensor for name, tensor in tensors.items() if name != "mix.bias"})


def test_a_checkpoint_of_tied_weights_comes_back():
    model, _, flat = trained("adamw")
    optimiser = Optimiser(flat, OptimiserSettings(name="adam"), RegulariseSettings(), 1)
    state = TrainingState(model, flat, optimiser, torch.Generator(), best=dict(own_tensors(model)))
    files = state.files()
    other = Tagger().double()
    again = FlatParameters(other)
    twin = TrainingState(
        other, again, Optimiser(again, OptimiserSettings(name="adam"), RegulariseSettings(), 1), torch.Generator()
    )
    twin.load(files)
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    load_model(other, twin.best)
    assert other.head.weight is other.embed.weight
