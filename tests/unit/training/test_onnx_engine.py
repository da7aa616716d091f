"""onnxruntime gives torch's answers, or says that it cannot: never others."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

import gnomon
from gnomon.cli import main
from gnomon.core import found
from gnomon.core.errors import MachineError, UsageError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.nn.normalise import Normalise
from gnomon.parts.pictures import LabelledPictures
from gnomon.training.onnx_engine import MOST_AT_ONCE, through_onnxruntime

SIZES = (1, 3, MOST_AT_ONCE, MOST_AT_ONCE + 1)


@pytest.fixture(autouse=True)
def needs_the_extra(request):
    if "without" not in request.node.name:
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")


def pictures(size: int, side: int) -> torch.Tensor:
    """(size, 3, side, side) bytes, channels last in memory, as batches are."""
    return torch.randint(0, 256, (size, side, side, 3), dtype=torch.uint8).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("name", "side"),
    [("convnet", 32), ("resnet20", 32), ("mobilenet-v2", 64), ("efficientnet-b0", 64), ("googlenet", 64), ("dense", 9)],
)
def test_it_gives_the_answers_of_torch_at_every_batch_size(name, side):
    family, inputs = found.family(name), PictureInputs(3, side, side, (0.5, 0.4, 0.3), (0.2, 0.3, 0.25))
    net = family.build(Wanted(name, inputs, family.settings(), (), 7)).eval()
    twin = through_onnxruntime(net)
    for size in SIZES:
        batch = pictures(size, side)
        with torch.no_grad():
            np.testing.assert_allclose(twin(batch), net(batch), atol=1e-5, rtol=1e-5)
    assert twin.normalise is net.normalise  # parts are shared, which encoders look at


def test_numbers_and_categories_are_inputs_of_a_net(tmp_path):
    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.city, self.layer = nn.Embedding(5, 3), nn.Linear(5, 2)

        def forward(self, numbers, codes):
            return self.layer(torch.cat([numbers, self.city(codes[:, 0])], dim=1))

    net = Table().eval()
    twin = through_onnxruntime(net)
    for size in SIZES:
        arguments = torch.randn(size, 2), torch.randint(0, 5, (size, 1))
        torch.testing.assert_close(twin(*arguments), net(*arguments).detach(), atol=1e-5, rtol=1e-5)


def test_a_net_in_training_is_exported_as_it_evaluates_and_stays_in_training():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 36, 2))
    batch = torch.rand(2, 3, 8, 8)
    found_here = through_onnxruntime(net)(batch)
    assert net.training
    with torch.no_grad():
        torch.testing.assert_close(found_here, net.eval()(batch), atol=1e-5, rtol=1e-5)


def test_pictures_of_another_size_are_exported_again():
    net = nn.Sequential(Normalise((0.5,) * 3, (0.2,) * 3), nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    twin = through_onnxruntime(net)
    for side in (8, 11):
        batch = pictures(2, side)
        torch.testing.assert_close(twin(batch), net(batch).detach(), atol=1e-5, rtol=1e-5)


def test_a_net_that_counts_its_examples_is_refused_not_answered_wrongly():
    class Counts(nn.Module):
        def forward(self, x):
            return x / len(x)  # a number fixed by the trace: 2 examples

    with pytest.raises(UsageError, match=r"gives other answers than torch for this net .*differ by 0\.5"):
        through_onnxruntime(Counts())(torch.ones(1, 3))


def test_a_layer_that_onnx_has_no_form_of_is_refused_by_name():
    with pytest.raises(UsageError, match=r"cannot be exported to ONNX: .*adaptive_avg_pool2d"):
        through_onnxruntime(nn.AdaptiveAvgPool2d(3))(torch.ones(1, 3, 8, 8))


def test_a_net_with_several_outputs_is_refused():
    class Two(nn.Module):
        def forward(self, x):
            return x, 2 * x

    with pytest.raises(UsageError, match="more than one tensor"):
        through_onnxruntime(Two())(torch.ones(1, 3))


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_inputs_that_are_not_finite_are_refused(odd):
    twin = through_onnxruntime(nn.MaxPool1d(2))  # whose maximum of NaN and 1 is 1 in onnxruntime
    twin(torch.ones(1, 1, 4))
    with pytest.raises(UsageError, match="NaN or infinite"):
        twin(torch.tensor([[[1.0, odd, 1.0, 1.0]]]))


def test_without_the_extra_the_line_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MachineError, match=r"pip install 'gnomon\[onnx\]'"):
        through_onnxruntime(nn.Identity())


def test_a_run_predicts_the_same_with_it(tmp_path, capsys, monkeypatch):
    folder = LabelledPictures().write_sample(tmp_path / "bars", 0)
    run = gnomon.fit(folder, epochs=2, model="convnet", runs_folder=str(tmp_path / "runs"))
    plain = run.predict(folder)
    for crops in (1, 5):
        one, other = run.predict(folder, crops=crops), run.predict(folder, crops=crops, engine="onnx")
        assert one["prediction"].equals(other["prediction"])
        np.testing.assert_allclose(one["confidence"], other["confidence"], atol=1e-5)
    np.testing.assert_allclose(run.predict_proba(folder), run.predict_proba(folder, engine="onnx"), atol=1e-5)
    assert run.members_by("onnx")[0].model is run.members_by("onnx")[0].model  # exported once
    assert run.predict(folder).equals(plain)  # torch's model is as it was

    assert main(["predict", str(run.path), str(folder), "engine=onnx", f"out={tmp_path / 'a.csv'}"]) == 0
    assert main(["predict", str(run.path), str(folder), f"out={tmp_path / 'b.csv'}"]) == 0
    assert [line.split(",")[:2] for line in (tmp_path / "a.csv").read_text().splitlines()] == [
        line.split(",")[:2] for line in (tmp_path / "b.csv").read_text().splitlines()
    ]
    capsys.readouterr()
    assert main(["predict", str(run.path), str(folder), "engine=tensorrt"]) == 2
    assert "engine=tensorrt is not one of torch, onnx" in capsys.readouterr().err


def test_a_run_on_a_table_predicts_the_same_with_it(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("size,city,label\n" + "\n".join(f"{i},{'ab'[i % 2]},{'xy'[i > 30]}" for i in range(60)) + "\n")
    run = gnomon.fit(path, epochs=2, model="dense", hidden=8, runs_folder=str(tmp_path / "runs"))
    one, other = run.predict(path), run.predict(path, engine="onnx")
    np.testing.assert_allclose(one["confidence"], other["confidence"], atol=1e-5)
