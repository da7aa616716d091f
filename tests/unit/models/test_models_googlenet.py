"""GoogLeNet as published, written out from the paper, and side heads; torchvision's is in test_models_backbones.py."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

import gnomon
from gnomon import tasks
from gnomon.checks.gradients import check_gradients
from gnomon.checks.shapes_and_cost import layer_table, totals
from gnomon.core.family import PictureInputs, WithSides
from gnomon.core.task import Task
from gnomon.models._backbone import Backbone, Stage
from gnomon.models.googlenet import MODULES, googlenet
from gnomon.workflow.fit import fit


def built(num_outputs=10, *, side=224, as_published=True, width=1.0):
    inputs = PictureInputs(3, side, side, (0.5,) * 3, (0.25,) * 3)
    return googlenet(inputs, num_outputs, as_published=as_published, width=width, dropout=0.4)


def convolution(size, num_inputs, filters):
    return (size * size * num_inputs + 1) * filters


def test_parameters_of_the_published_net_are_those_counted_from_the_papers_table():
    counted, num_inputs = convolution(7, 3, 64) + convolution(1, 64, 64) + convolution(3, 64, 192), 192
    sides = 0
    for name, (alone, before_3, of_3, before_5, of_5, pooled) in MODULES.items():
        counted += convolution(1, num_inputs, alone + before_3 + before_5 + pooled)
        counted += convolution(3, before_3, of_3) + convolution(5, before_5, of_5)
        num_inputs = alone + of_3 + of_5 + pooled
        if name in ("4a", "4d"):
            sides += convolution(1, num_inputs, 128) + (4 * 4 * 128 + 1) * 1024 + 1025 * 1000
    counted += 1025 * 1000
    with torch.device("meta"):
        model = built(1000)
    with_sides = sum(p.numel() for p in model.parameters())
    assert counted == 6_998_552  # as in BVLC's GoogLeNet for Caffe
    assert with_sides == counted + sides


def test_public_weights_have_6_624_904_parameters_without_side_heads():  # torchvision 0.29.1, aux_logits=False
    with torch.device("meta"):
        named = built(1000, as_published=False).named_parameters()
    assert sum(p.numel() for name, p in named if not name.startswith("aux")) == 6_624_904


def test_the_published_net_does_what_the_paper_says():
    torch.manual_seed(0)
    model = built(width=1 / 8).double().eval()
    weights = model.state_dict()

    def convolved(x, name, stride=1):
        kernel = weights[f"{name}.conv.weight"]
        y = functional.conv2d(x, kernel, weights[f"{name}.conv.bias"], stride, padding=kernel.shape[-1] // 2)
        return y.clamp(min=0)

    def responses(x):
        squares = functional.pad(x.square(), (0, 0, 0, 0, 2, 2))
        sums = sum(squares[:, i : i + x.shape[1]] for i in range(5))
        return x / (1 + 1e-4 / 5 * sums) ** 0.75  # the paper leaves its constants open: those of torch and Caffe

    def pooled(x):
        return functional.max_pool2d(x, 3, 2, ceil_mode=True)

    def inception(x, name):
        around = functional.max_pool2d(x, 3, 1, padding=1)
        branches = (
            convolved(x, f"{name}.branch1"),
            convolved(convolved(x, f"{name}.branch2.0"), f"{name}.branch2.1"),
            convolved(convolved(x, f"{name}.branch3.0"), f"{name}.branch3.1"),
            convolved(around, f"{name}.branch4.1"),
        )
        return torch.cat(branches, dim=1)

    pictures = torch.rand(2, 3, 224, 224, dtype=torch.float64)
    x = responses(pooled(convolved((pictures - 0.5) / 0.25, "conv1", stride=2)))
    x = pooled(responses(convolved(convolved(x, "conv2"), "conv3")))
    x = pooled(inception(inception(x, "inception3a"), "inception3b"))
    for name in "abcde":
        x = inception(x, f"inception4{name}")
    x = inception(inception(pooled(x), "inception5a"), "inception5b")
    assert x.shape[2:] == (7, 7)
    assert weights["inception3a.branch3.1.conv.weight"].shape[2:] == (5, 5)
    expected = functional.linear(x.mean(dim=(2, 3)), weights["head.weight"], weights["head.bias"])
    torch.testing.assert_close(model(pictures), expected)


def test_side_heads_answer_in_training_alone_and_never_from_a_backbone():
    model, pictures = built(5, side=32, width=1 / 8), torch.rand(2, 3, 32, 32)
    in_training = model.train()(pictures)
    assert isinstance(in_training, WithSides)
    assert [side.shape for side in in_training.sides] == [(2, 5), (2, 5)]
    assert in_training.weight == 0.3  # Szegedy et al. 2015, section 5
    assert isinstance(model.eval()(pictures), torch.Tensor)
    assert not [name for name in built(None, side=32, width=1 / 8).state_dict() if name.startswith("aux")]


def test_every_layer_is_in_the_table_and_side_heads_cost_nothing_at_prediction():
    model = built(5, side=32, width=1 / 8)
    rows = layer_table(model.train(), lambda net: net(torch.zeros(2, 3, 32, 32)), batch_size=2)
    assert totals(rows).parameters == sum(p.numel() for p in model.parameters())
    assert {row.calls for row in rows if row.name.startswith("aux") and row.parameters} == {0}


def losses(outputs, target):
    """Those of image classification with three classes."""
    task = tasks.load("image_classification")
    return Task(task, None, task.head(class_names=("a", "b", "c")), None).losses(outputs, {"target": target})


TARGET = torch.tensor([0, 1, 2, 1])


def test_the_loss_in_training_adds_three_tenths_of_each_side_heads():
    outputs, *sides = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0))
    whole = losses(WithSides(outputs, tuple(sides), 0.3), TARGET)
    each = [functional.cross_entropy(one, TARGET, reduction="none") for one in (outputs, *sides)]
    torch.testing.assert_close(whole, each[0] + 0.3 * each[1] + 0.3 * each[2])


def test_gradients_through_a_side_head_are_right():
    inputs = PictureInputs(1, 4, 4, (0.5,), (0.25,))
    stages = [Stage(1, 4, {"conv1": nn.Conv2d(1, 4, 3), "bend1": nn.Tanh(), "conv2": nn.Conv2d(4, 4, 2)})]
    side = nn.Sequential(nn.Flatten(), nn.Linear(4 * 2 * 2, 3))
    model = Backbone(inputs, stages, {"flatten": nn.Flatten()}, num_features=4, num_outputs=3, sides={"bend1": side})
    pictures = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    report = check_gradients(model.train(), lambda net: losses(net(pictures), TARGET).mean())
    assert report.passed, report.text
    assert {row.verdict for row in report.rows if row.name.startswith("aux1")} <= {"right", "probably right"}


def test_a_net_with_side_heads_learns_and_the_run_predicts_with_the_main_head_alone(tmp_path):
    data = tasks.load("image_classification").reader.write_sample(tmp_path / "bars", seed=0)
    run = fit(data, model="googlenet", width=0.0625, image_size=16, epochs=6, batch_size=8, micro_batch=4)
    history = [row["train_loss"] for row in run.history]
    assert history[-1] < history[0]
    again = gnomon.load(run.path).predict(data).sort("id")
    judged = run.evaluation("train").table.sort("id")
    kept = again.join(judged.select("id", judged_prediction="prediction"), on="id")
    assert len(kept) == len(judged)
    assert kept["prediction"].equals(kept["judged_prediction"], check_names=False)
