"""What users of other toolkits complain of when they start from elsewhere: each works here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch

import gnomon
from gnomon import tasks
from gnomon.core import found
from gnomon.core.errors import StoppedError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.nn.stages import AfterFrozen, stages_of

FEW = {"model": "resnet20", "batch_size": 8, "threads": 1, "test": 0}
BACKBONES = sorted(
    {found.family(name).names[0] for name in found.family_names() if "features" in found.family(name).gives}
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Of a net with ten classes, under torchvision's names."""
    family = found.family("resnet20")
    torch.manual_seed(0)
    inputs = PictureInputs(3, 32, 32, (0.5,) * 3, (0.25,) * 3)
    state = family.build(Wanted("resnet20", inputs, family.settings(), (), 10)).state_dict()
    path = tmp_path_factory.mktemp("elsewhere") / "ten.safetensors"
    names = {name: name.replace("head.", "fc.") for name in state if not name.startswith("normalise.")}
    safetensors.torch.save_file({new: state[old].contiguous() for old, new in names.items()}, path)
    return path


def bars(labels, count=60):
    """Gray pictures whose bright row says the label; `count` of them."""
    rng = np.random.default_rng(0)
    chosen = np.arange(count) % len(labels)
    pictures = rng.integers(0, 60, (count, 16, 16), dtype=np.uint8)
    pictures[np.arange(count), 2 + 5 * chosen] = 250
    return pictures, np.array(labels)[chosen]


def test_the_classes_are_those_of_the_data_after_fine_tuning_loading_and_resuming(weights):
    """Ten classes in the file, three here, with ids that have gaps."""
    pictures, labels = bars([1, 3, 7])

    class Stop:
        def on_ready(self, ready):
            self.folder = ready.folder

        def on_epoch(self, _row):
            os.kill(os.getpid(), signal.SIGINT)

    stop = Stop()
    with pytest.raises(StoppedError):
        gnomon.fit((pictures, labels), weights=str(weights), epochs=8, follower=stop, **FEW)
    run = gnomon.fit((pictures, labels), resume=stop.folder)
    loaded = gnomon.load(run.path)
    assert loaded.model.head.out_features == 3
    shares = loaded.predict_proba(pictures)
    assert shares.shape == (60, 3)
    assert shares.sum(axis=1) == pytest.approx(np.ones(60))
    said = loaded.predict(pictures)["prediction"].to_numpy().astype(int)
    assert set(said) == {1, 3, 7}
    assert np.array([1, 3, 7])[shares.argmax(axis=1)].tolist() == said.tolist()
    assert (said == labels).mean() > 0.9
    assert {name for name in loaded.evaluation("dev").table.columns if name.startswith("p.")} == {"p.1", "p.3", "p.7"}


@pytest.mark.parametrize("name", BACKBONES)
def test_sides_need_not_be_multiples_of_anything(name):
    """97x131, wherever the net is cut into frozen stages and what follows."""
    family = found.family(name)
    own = family.settings(**({"width": 0.125} if "width" in family.settings.model_fields else {}))
    torch.manual_seed(0)
    model = family.build(Wanted(name, PictureInputs(3, 97, 131, (0.5,) * 3, (0.25,) * 3), own, (), 5)).eval()
    pictures = torch.randint(0, 256, (2, 3, 97, 131), dtype=torch.uint8)
    with torch.no_grad():
        whole = model(pictures)
        assert whole.shape == (2, 5)
        for stages in range(1, len(stages_of(model)) + 1):
            assert torch.allclose(AfterFrozen(model, stages)(model.up_to(pictures, stages)), whole, atol=1e-6), stages


KILLED = """
import os, signal, sys
import gnomon, gnomon.training.loop as loop
step, done = loop.step, []
def dying(*given):
    done.append(step(*given))
    if len(done) == 11:
        os.kill(os.getpid(), signal.SIGKILL)
    return done[-1]
loop.step = dying
gnomon.fit(sys.argv[1], weights=sys.argv[2], freeze=2, epochs=4, model="resnet20", batch_size=8, threads=1, test=0,
           runs_folder=sys.argv[3], **{"machine.save_every": 0.0001})
"""


def test_a_run_with_frozen_stages_that_was_killed_amid_an_epoch_goes_on_bit_for_bit(weights, tmp_path):
    """With the momentum of the optimiser: the third epoch of four, of four steps each."""
    shapes = tasks.load("image_classification").reader.write_sample(tmp_path / "shapes", seed=0)
    given = [str(shapes), str(weights), str(tmp_path / "killed")]
    done = subprocess.run([sys.executable, "-c", KILLED, *given], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    killed = tmp_path / "killed" / "latest"
    resumed = gnomon.fit(resume=str(killed)).model.state_dict()
    whole = gnomon.fit(shapes, weights=str(weights), freeze=2, epochs=4, **FEW).model.state_dict()
    assert all(torch.equal(one, whole[name]) for name, one in resumed.items())
