"""Weights from elsewhere for the backbone inside a detector: where they go, what stays, and the rate of the rest."""

from __future__ import annotations

import pytest
import safetensors.torch
import torch

from gnomon import tasks
from gnomon.core import found
from gnomon.core.family import PictureInputs, Wanted
from gnomon.core.settings import from_flat
from gnomon.workflow.prepare import prepare
from gnomon.workflow.session import open_session

FEW = {"backbone": "mobilenet-v2", "epochs": 1, "threads": 1}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return tasks.load("detection").reader.write_sample(tmp_path_factory.mktemp("data") / "scenes", seed=0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Of a classifier of colour pictures."""
    torch.manual_seed(1)
    family = found.family("mobilenet-v2")
    inputs = PictureInputs(3, 64, 64, (0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
    model = family.build(Wanted("mobilenet-v2", inputs, family.settings(), (0.0,), 10))
    file = tmp_path_factory.mktemp("before") / "weights.safetensors"
    safetensors.torch.save_file(model.state_dict(), file)
    return file


def opened(scenes, **more):
    settings = from_flat({"model": "detector", **FEW, **more})
    return open_session(prepare(str(scenes), settings), settings)


def is_trained(model, stage):
    return {one.requires_grad for layer in stage.layers for one in model.get_submodule(layer).parameters()}


def test_the_backbone_of_a_detector_begins_with_the_weights_of_a_classifier(scenes, weights):
    backbone, given = opened(scenes, weights=str(weights)).model.backbone, safetensors.torch.load_file(weights)
    own = backbone.state_dict()
    assert torch.equal(own["stage3.0.project.conv.weight"], given["stage3.0.project.conv.weight"])


def test_a_detector_keeps_the_first_stages_of_given_weights_and_learns_faster_towards_its_end(scenes, weights):
    session = opened(scenes, weights=str(weights))
    backbone = session.model.backbone
    assert [is_trained(backbone, one) for one in backbone.maps] == [{False}, {False}, {True}, {True}, {True}]
    rates = [backbone.rates[one.layers[0]] for one in backbone.maps[2:]]
    assert rates[0] == pytest.approx(0.1)
    assert rates == sorted(rates)
    assert not any(hasattr(one, "keeps_statistics") for one in session.model.modules())
    assert any("its first 2 stages stay as they are" in note for note in session.prepared.notes)


def test_what_the_user_asks_for_comes_before_what_the_family_says(scenes, weights):
    backbone = opened(scenes, weights=str(weights), freeze="none", backbone_rate=0.5).model.backbone
    assert is_trained(backbone, backbone.maps[0]) == {True}
    assert min(backbone.rates.values()) == pytest.approx(0.5)


def test_a_detector_from_scratch_is_trained_as_a_whole_at_one_rate(scenes):
    session = opened(scenes, pretrained="no")
    assert all(one.requires_grad for one in session.model.parameters())
    assert session.settings.transfer.freeze == "none"
    assert not hasattr(session.model.backbone, "rates")


def test_frozen_stages_of_a_detector_are_run_in_every_step_also_where_pictures_stay_as_they_are(scenes, weights):
    session = opened(scenes, weights=str(weights), augment="none")
    assert session.model is session.whole
