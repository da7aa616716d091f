"""Each sanity check passes on a sound system and catches the bug it is there for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnomon.checks.sanity import gradients_right, labels_and_inputs_matter, loss_at_start, overfits_few, sanity_checks
from gnomon.core.settings import from_flat
from gnomon.training.evaluate import encode_whole
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import fresh_model
from gnomon.workflow.session import open_session


@pytest.fixture(scope="module")
def session():
    opened = from_flat({"dropout": 0})
    return open_session(prepare("digits", opened), opened)


@pytest.fixture(scope="module")
def columns(session):
    return {
        name: encode_whole(session.task, session.prepared.splits[name].take(np.arange(350)))
        for name in ("train", "dev")
    }


def test_a_sound_system_passes_every_check(session, columns):
    findings = sanity_checks(
        session.task, lambda: fresh_model(session.task, session.settings), columns["train"], columns["dev"], seed=0
    )
    assert [finding.name for finding in findings if not finding.passed] == []
    assert len(findings) == 5


def test_a_bad_initialisation_shows_in_the_first_loss(session, columns):
    model = fresh_model(session.task, session.settings)
    with torch.no_grad():
        model.head.weight.normal_(0, 5.0)
    finding = loss_at_start(session.task, model, columns["train"])
    assert not finding.passed
    assert "2.303" in finding.text  # ln 10


def test_a_model_that_cannot_change_does_not_memorise(session, columns):
    model = fresh_model(session.task, session.settings)
    model.register_forward_hook(lambda module, inputs, output: output * 0 + output.detach() * 0)
    assert not overfits_few(session.task, model, columns["train"]).passed


class WrongSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


def test_a_wrong_backward_is_found_by_its_gradients(session, columns):
    model = fresh_model(session.task, session.settings)
    model.stage1.register_forward_hook(lambda module, inputs, output: WrongSign.apply(output))
    finding = gradients_right(session.task, model, columns["train"], seed=0)
    assert not finding.passed
    assert "stage1" in finding.text


def test_targets_of_other_examples_are_no_better_than_shuffled_ones(session, columns):
    """Misaligned data: every input has the target of another one."""
    wrong = {**columns["train"], "target": columns["train"]["target"].roll(7)}
    order = torch.randperm(len(wrong["target"]), generator=torch.Generator().manual_seed(3))
    wrong["target"] = wrong["target"][order]
    findings = labels_and_inputs_matter(
        session.task, lambda: fresh_model(session.task, session.settings), wrong, columns["dev"], seed=0
    )
    assert not all(finding.passed for finding in findings)


def test_an_answer_that_does_not_come_from_the_inputs_is_caught(session, columns):
    """A model that ignores its picture cannot tell it from another."""

    class Blind(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(10))

        def forward(self, images):
            return self.bias.expand(len(images), 10)

    findings = labels_and_inputs_matter(session.task, Blind, columns["train"], columns["dev"], seed=0)
    assert not findings[1].passed


def checked(**settings):
    opened = from_flat({"dropout": 0, "model": "dense", "hidden": (16,), **settings})
    session = open_session(prepare("iris", opened), opened)
    train, dev = (encode_whole(session.task, session.prepared.splits[name]) for name in ("train", "dev"))
    found = sanity_checks(session.task, lambda: fresh_model(session.task, session.settings), train, dev, seed=0)
    return {finding.name: finding for finding in found}


def test_units_that_all_start_at_zero_are_called_by_their_name():
    found = checked(init="zeros")["units differ at the start"]
    assert not found.passed
    assert found.text.startswith("symmetry: all units of ")
    assert "units differ at the start" not in checked()


def test_a_start_fifty_times_too_large_passes_nothing_at_the_level_of_a_guess():
    found = checked(init={"name": "he", "scale": 50.0})
    assert not found["loss at the start"].passed
    few = found["memorises a small batch"]
    reached = float(few.text.split("-> ")[1].split(" ")[0])
    assert few.passed == (reached <= 0.05 * np.log(3))  # a guess among three classes, not a share of a huge start
